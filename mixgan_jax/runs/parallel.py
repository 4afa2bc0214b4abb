"""Several devices: independent runs dealt out to them."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from mixgan_jax.checks import check_key
from mixgan_jax.types import Key


def spread_over_devices(keys: Key) -> Key:
    """Keys of several runs, dealt out to all devices: ``fit`` then trains S / devices runs on each.

    Runs do not talk to each other, so this costs nothing. On a CPU, whose cores one small program cannot fill, set
    ``jax.config.update("jax_num_cpu_devices", cores)`` before any other use of JAX. A run's numbers may differ in the
    last bits from those with another number of devices: it is compiled in another batch.

    Args:
        keys: ``[S]``.

    Returns:
        The same keys, over the largest number of devices that divides S.

    Raises:
        TypeError, ValueError: ``keys`` are not typed keys ``[S]``.
    """
    if check_key("keys", keys, sweep=True).ndim == 0:
        raise ValueError("keys must be keys [S], got a single key")
    count = max(n for n in range(1, len(jax.devices()) + 1) if keys.shape[0] % n == 0)
    mesh = Mesh(np.asarray(jax.devices()[:count]), ("runs",))
    return jax.device_put(keys, NamedSharding(mesh, PartitionSpec("runs")))


def map_runs(key: Key, function: Callable[..., Any], shared: int = 0) -> Callable[..., Any]:
    """``function`` of one run, mapped over runs: vmapped, on each device over its own.

    Args:
        key: one run's key ``[]``, for which ``function`` itself is returned, or keys ``[S]``; with those on several
            devices (:func:`spread_over_devices`) each device maps over its share.
        function: pure; its arguments and results are trees of arrays.
        shared: how many of the last arguments all runs share; the others have a leading axis S.

    Returns:
        A function of the stacked arguments whose results have a leading axis S.
    """
    if not key.ndim:
        return function

    def over_runs(*arguments: Any) -> Any:
        axes = [0] * (len(arguments) - shared) + [None] * shared
        return jax.vmap(function, in_axes=axes)(*arguments)

    sharding = key.sharding
    if not isinstance(sharding, NamedSharding) or sharding.num_devices == 1:
        return over_runs

    def on_devices(*arguments: Any) -> Any:
        runs, every = sharding.spec, PartitionSpec()
        specs = (*[runs] * (len(arguments) - shared), *[every] * shared)
        # Nothing crosses between devices, so there is no replication to check.
        return jax.shard_map(
            over_runs, mesh=sharding.mesh, in_specs=specs, out_specs=runs, check_vma=False
        )(*arguments)

    return on_devices
