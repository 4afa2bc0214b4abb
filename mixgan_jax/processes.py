"""Several processes that train one run: how they start, and what they tell one another besides arrays."""

import hashlib
import pickle
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import jax
import numpy as np

from mixgan_jax.checked import checked
from mixgan_jax.types import Count, Whole

T = TypeVar("T")

# Messages are padded to whole blocks, so that few shapes are compiled.
_BLOCK = 4096


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
        heartbeat_seconds: after this time without a sign of life from one process, JAX ends the others.

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


def gather(message: Any) -> list[Any]:
    """Returns the messages of all processes, in their order. Every process must call it, and waits for the others."""
    if jax.process_count() == 1:
        return [message]
    from jax.experimental.multihost_utils import process_allgather

    own = np.frombuffer(pickle.dumps(message), np.uint8)
    sizes = np.ravel(process_allgather(np.int32(own.size)))
    padded = np.zeros(-(-int(sizes.max()) // _BLOCK) * _BLOCK, np.uint8)
    padded[: own.size] = own
    rows = np.reshape(process_allgather(padded), (len(sizes), -1))
    return [pickle.loads(row[:size].tobytes()) for row, size in zip(rows, sizes, strict=True)]


def share_error(error: Exception | None) -> None:
    """Raises in every process the error of the first process that has one. Every process must call it."""
    if jax.process_count() == 1:
        if error is not None:
            raise error
        return
    errors = gather(_portable(error))
    first = next((number for number, one in enumerate(errors) if one is not None), None)
    if first is None:
        return
    found = error if error is not None and first == jax.process_index() else errors[first]
    found.add_note(f"It comes from process {first} of {jax.process_count()}.")
    raise found


def on_first(function: Callable[[], T]) -> T:
    """Calls a function on process 0, and returns its result, or raises its error, in every process."""
    result, error = None, None
    if jax.process_index() == 0:
        try:
            result = function()
        except Exception as caught:
            if jax.process_count() == 1:
                raise
            error = caught
    share_error(error)
    return gather(result)[0]


def check_same(fields: Mapping[str, Any]) -> None:
    """Raises in every process a ValueError that names the fields that differ from those of process 0.

    Args:
        fields: text by name; the values are compared as they are printed.
    """
    first, *others = gather({name: str(value) for name, value in fields.items()})
    lines = [
        f"{name}: process 0 has {first.get(name)}, process {number} has {other.get(name)}"
        for number, other in enumerate(others, start=1)
        for name in first | other
        if first.get(name) != other.get(name)
    ]
    if lines:
        more = [f"and {len(lines) - 8} more"] if len(lines) > 8 else []
        raise ValueError(
            "all processes must make the same call of fit; they differ in\n  "
            + "\n  ".join([*lines[:8], *more])
        )


def code_version() -> str:
    """Returns a checksum of the package's source, and the version of JAX."""
    folder = Path(__file__).parent
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*.py")):
        digest.update(f"{path.relative_to(folder).as_posix()}\n".encode() + path.read_bytes())
    return f"mixgan_jax {digest.hexdigest()[:12]}, jax {jax.__version__}"


def _portable(error: Exception | None) -> Exception | None:
    """Returns an error that another process can rebuild: the same, or a RuntimeError that has its words."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error
