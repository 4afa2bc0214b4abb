"""Deals independent runs out to several devices."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from mixgan_jax.checked import checked
from mixgan_jax.runs.steps import RunKey
from mixgan_jax.types import Key, Tree


@checked
def spread_over_devices(keys: RunKey) -> Key:
    """Spreads the keys of several runs over all devices: ``fit`` then trains S / devices runs on each.

    Runs do not talk to each other, so this costs nothing. One small program cannot fill a CPU's cores: there set
    ``jax.config.update("jax_num_cpu_devices", cores)`` before any other use of JAX. On another number of devices a
    run's numbers may differ in the last bits, since it is compiled in another batch.

    Args:
        keys: ``[S]``.

    Returns:
        The same keys, over the largest number of devices that divides S.
    """
    if keys.ndim == 0:
        raise ValueError("keys must be keys [S], got a single key")
    count = max(n for n in range(1, len(jax.devices()) + 1) if keys.shape[0] % n == 0)
    mesh = Mesh(np.asarray(jax.devices()[:count]), ("runs",))
    return jax.device_put(keys, NamedSharding(mesh, PartitionSpec("runs")))


def map_runs(key: Key, function: Callable[..., Any], shared: int = 0) -> Callable[..., Any]:
    """Maps a function of one run over runs: vmapped, on each device over its own runs.

    Args:
        key: one run's key ``[]``, or keys ``[S]``. For one run the function is returned as it is. Where the keys lie
            on several devices (:func:`spread_over_devices`), each device maps over its share.
        function: pure; its arguments and results are trees of arrays.
        shared: number of last arguments that all runs share. The others have a leading axis S.

    Returns:
        A function of the stacked arguments whose results have a leading axis S.
    """
    if not key.ndim:
        return function

    def over_runs(*arguments: Tree) -> Tree:
        axes = [0] * (len(arguments) - shared) + [None] * shared
        return jax.vmap(function, in_axes=axes)(*arguments)

    sharding = key.sharding
    if not isinstance(sharding, NamedSharding) or sharding.num_devices == 1:
        return over_runs

    def on_devices(*arguments: Tree) -> Tree:
        runs, every = sharding.spec, PartitionSpec()
        specs = (*[runs] * (len(arguments) - shared), *[every] * shared)
        # Nothing crosses between devices, so there is no replication to check.
        return jax.shard_map(
            over_runs, mesh=sharding.mesh, in_specs=specs, out_specs=runs, check_vma=False
        )(*arguments)

    return on_devices
