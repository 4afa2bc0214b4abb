"""The options ``--mesh component=4,data=2`` and ``--distributed``: the devices, and processes, that share each game."""

import argparse
import math
from collections.abc import Mapping

import jax
import jax.numpy as jnp
from jax.experimental.multihost_utils import process_allgather
from jax.sharding import Mesh

import mixgan_jax as mg
from mixgan_jax.checks import check_count
from mixgan_jax.types import Key, Tree

AXES = ("runs", "component", "data")


def mesh_axes(text: str) -> dict[str, int]:
    """Reads ``component=4,data=2``; an error names the option."""
    axes: dict[str, int] = {}
    for part in text.split(","):
        name, _, number = part.strip().partition("=")
        if name not in AXES or name in axes or not number.isdecimal():
            raise ValueError(
                f"--mesh must be like component=4,data=2, with the axes {', '.join(AXES)}, got {text!r}"
            )
        axes[name] = check_count(f"{name} in --mesh", int(number))
    return axes


def num_devices(axes: Mapping[str, int]) -> int:
    """Returns the number of devices that a mesh takes."""
    return math.prod(axes.values())


def job_of(text: str) -> tuple[str, int, int] | tuple[()]:
    """Reads ``10.0.0.1:1234,2,0``, the arguments of ``mg.distributed``; ``auto`` leaves them to JAX."""
    if text == "auto":
        return ()
    address, *numbers = text.split(",")
    if ":" not in address or len(numbers) != 2 or not all(map(str.isdecimal, numbers)):
        raise ValueError(
            "--distributed must be alone, or like 10.0.0.1:1234,2,0: process 0's address, the number of processes, "
            f"this one's number, got {text!r}"
        )
    return address, int(numbers[0]), int(numbers[1])


def where(options: argparse.Namespace, keys: Key, solver: mg.Solver) -> tuple[Key, Mesh | None]:
    """Returns the seeds' keys and the mesh for ``fit``; without ``--mesh`` devices share the seeds.

    Raises:
        ValueError: the mesh has more devices than there are, or does not divide the solver's components.
    """
    if options.mesh is None:
        return mg.spread_over_devices(keys), None
    mesh = mg.make_mesh(**options.mesh, devices=devices_of_all(num_devices(options.mesh)))
    jax.eval_shape(mg.on_mesh(solver, mesh).init, keys[0])
    return keys, mesh


def devices_of_all(count: int) -> list[jax.Device]:
    """Returns ``count`` devices, as many of each process."""
    share, rest = divmod(count, jax.process_count())
    if rest:
        raise ValueError(
            f"--mesh must take as many devices of each of {jax.process_count()} processes, got {count}"
        )
    owned = [jax.local_devices(owner) for owner in range(jax.process_count())]
    return [device for devices in owned for device in devices[:share]]


def whole(state: Tree) -> Tree:
    """Gives each process the whole of a state that several hold in parts, to measure and draw by itself."""
    if jax.process_count() == 1:
        return state
    return jax.tree.map(jnp.asarray, process_allgather(state, tiled=True))
