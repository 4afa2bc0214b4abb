"""Several devices and processes: joins them, and deals out independent runs or the parts of one game."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from mixgan_jax.checked import checked
from mixgan_jax.checks import check_kind
from mixgan_jax.players.mesh import AXES, RUNS
from mixgan_jax.runs.last_words import leave_last_words
from mixgan_jax.runs.steps import RunKey
from mixgan_jax.types import Count, Key, Tree, Whole


@checked
def distributed(
    coordinator_address: str | None = None,
    num_processes: Count | None = None,
    process_id: Whole | None = None,
    *,
    heartbeat_seconds: Count = 100,
) -> None:
    """Joins the processes of a job: afterwards ``jax.devices()`` are those of all of them.

    Call it first in every process: making a solver or a feed already starts JAX's backend. Then let all processes make
    the same calls, of ``fit`` with a mesh over all devices and one folder that all of them see. JAX finds the job by
    itself under SLURM, Open MPI and on Cloud TPU; elsewhere give all three arguments.

    Args:
        coordinator_address: host and port of process 0, as ``10.0.0.1:1234``; the port is free there.
        num_processes: number of processes.
        process_id: this process's number, 0 .. ``num_processes`` - 1.
        heartbeat_seconds: after this time without a sign of life from one process, JAX ends the others. It prints
            several lines; the last line, from a small process that this call starts, says that the same command
            continues.

    Raises:
        RuntimeError: JAX's backend has started already, or the processes have joined already.
        ValueError: no job was found, and an argument is missing.

    Example:
        >>> import mixgan_jax as mg
        >>> mg.distributed()  # doctest: +SKIP
    """
    if jax.distributed.is_initialized():
        raise RuntimeError("distributed must be called once, got a second call")
    try:
        jax.distributed.initialize(
            coordinator_address,
            num_processes,
            process_id,
            heartbeat_timeout_seconds=heartbeat_seconds,
        )
    except ValueError as error:
        given = f"{coordinator_address = }, {num_processes = }, {process_id = }"
        raise ValueError(
            f"distributed must run in a job that JAX detects, or get all three arguments, got {given} ({error})"
        ) from error
    except RuntimeError as error:
        if "must be called before" not in str(error):
            raise
        raise RuntimeError(
            "distributed must be called before anything that computes with JAX, solvers and feeds included"
        ) from error
    leave_last_words()


@checked
def make_mesh(
    *,
    component: Count = 1,
    data: Count = 1,
    runs: Count = 1,
    devices: Sequence[jax.Device] | None = None,
) -> Mesh:
    """Makes the mesh over whose devices ``fit(..., mesh=mesh)`` and :func:`on_mesh` spread one game, or several runs.

    Args:
        component: devices that share the components of a game; divides the number of components of each side that has
            more than one.
        data: devices that share each batch; divides the batch.
        runs: groups of devices that each train runs of their own; divides the number of keys.
        devices: the devices to choose from, those of all processes; all that JAX has if not given. The first
            ``component * data * runs`` are taken.

    Returns:
        A mesh with the axes ``runs``, ``component``, ``data``. Devices that share components, and then those of one
        run, are next to each other.

    Example:
        >>> import mixgan_jax as mg
        >>> dict(mg.make_mesh(component=1).shape)
        {'runs': 1, 'component': 1, 'data': 1}
    """
    shape = (runs, component, data)
    given = jax.devices() if devices is None else check_kind("devices", devices, Sequence)
    chosen = [check_kind("a device of devices", device, jax.Device) for device in given]
    if math.prod(shape) > len(chosen):
        raise ValueError(
            f"a mesh of {runs = }, {component = }, {data = } needs {math.prod(shape)} devices, got {len(chosen)}; "
            "their product must be at most that"
        )
    chosen = chosen[: math.prod(shape)]
    missing = set(range(jax.process_count())) - {device.process_index for device in chosen}
    if missing:
        raise ValueError(
            f"a mesh must have devices of all {jax.process_count()} processes, got none of process {min(missing)}"
        )
    # Explicit axes, jax.make_mesh's default, want a sharding said at every product of a network.
    return jax.make_mesh(shape, AXES, (AxisType.Auto,) * len(AXES), devices=chosen)


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
    if jax.process_count() > 1:
        raise ValueError(
            f"keys are spread over the devices of one process, got {jax.process_count()} processes: hand "
            "mesh=make_mesh(runs=...) to fit"
        )
    count = max(n for n in range(1, len(jax.devices()) + 1) if keys.shape[0] % n == 0)
    mesh = make_mesh(runs=count)
    return jax.device_put(keys, NamedSharding(mesh, PartitionSpec(RUNS)))


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
        # Nothing crosses between runs, so there is no replication to check. Other axes of the mesh are the solver's.
        return jax.shard_map(
            over_runs,
            mesh=sharding.mesh,
            in_specs=specs,
            out_specs=runs,
            axis_names={name for name in runs if name is not None},
            check_vma=False,
        )(*arguments)

    return on_devices
