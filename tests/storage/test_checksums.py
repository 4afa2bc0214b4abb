"""Checksums of arrays that lie on several devices, as one process of several sees them on another mesh."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import NamedSharding, PartitionSpec as P

import mixgan_jax as mg
from mixgan_jax.storage import checksums as module
from mixgan_jax.storage.checksums import checksums, matches

VALUES = np.arange(2 * 8 * 3, dtype=np.float32).reshape(2, 8, 3)


def on(values, *, runs=1, component=1):
    mesh = mg.make_mesh(runs=runs, component=component)
    return jax.device_put(values, NamedSharding(mesh, P("runs", "component")))


def test_each_component_of_each_run_has_a_checksum():
    (stored,) = checksums([on(VALUES, runs=2, component=4)])
    assert [entry[:2] for entry in stored] == [
        [[run, k, 0], [run + 1, k + 1, 3]] for run in range(2) for k in range(8)
    ]
    (by_run,) = checksums([on(VALUES, runs=2)])
    assert [entry[:2] for entry in by_run] == [[[0, 0, 0], [1, 8, 3]], [[1, 0, 0], [2, 8, 3]]]
    whole = [jnp.asarray(VALUES), VALUES, jax.random.key(0)]
    assert all(isinstance(one, int) for one in checksums(whole))


@pytest.mark.parametrize("component", [1, 2, 8])
def test_damage_is_found_on_a_mesh_with_other_parts(component, monkeypatch):
    (stored,) = checksums([on(VALUES, component=4)])
    monkeypatch.setattr(module, "_is_shared", lambda leaf: component > 1)
    assert matches(on(VALUES, component=component), stored)
    for k in range(8):
        damaged = VALUES.copy()
        damaged[1, k, 2] += 1
        assert not matches(on(damaged, component=component), stored)
