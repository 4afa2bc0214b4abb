"""What the processes of one run agree on while they train: to stop at one step, for a signal or for an error."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec as P

from mixgan_jax.processes import share_error
from mixgan_jax.runs.quarantine import NonFiniteError
from mixgan_jax.storage.records import Records
from mixgan_jax.types import Array

# More than any signal's number.
_FAILED = 1000


class Agreement:
    """Lets all processes stop at the same step. One process alone stops at once.

    After each chunk every process votes: for no stop, for a signal, or for an error that it holds. The votes are an
    array on the devices, behind the chunk. They are read when the next chunk has been dispatched, so that no device
    waits for them. All processes then act at the same step.
    """

    def __init__(self, mesh: Mesh | None) -> None:
        """Takes the mesh over the devices of all processes."""
        self._mesh = mesh if jax.process_count() > 1 else None
        self._error: Exception | None = None
        self._votes: Array | None = None

    @property
    def alone(self) -> bool:
        """Whether one process trains by itself."""
        return self._mesh is None

    @contextmanager
    def holding_errors(self) -> Iterator[None]:
        """Holds an error until all processes can raise it, for work that one process may fail at."""
        try:
            yield
        except NonFiniteError:  # which every process finds
            raise
        except Exception as error:
            if self._mesh is None:
                raise
            self._error = self._error or error

    def stop_signal(self, own: signal.Signals | None, *, wait: bool) -> signal.Signals | None:
        """Returns the signal that all processes stop for, or raises the error of one of them.

        Args:
            own: the signal that this process received.
            wait: whether this chunk's votes are waited for, as after the last one.
        """
        if self._mesh is None:
            return own
        before, self._votes = self._votes, self._cast(own)
        found = _most(before) or (_most(self._votes) if wait else 0)
        if found == _FAILED:
            self.check()
        return signal.Signals(found) if found else None

    def check(self) -> None:
        """Raises in all processes the error that one of them holds."""
        if self._mesh is not None:
            share_error(self._error)

    def _cast(self, own: signal.Signals | None) -> Array:
        vote = np.full(1, _FAILED if self._error else own or 0, np.int32)
        mesh: Any = self._mesh
        votes = jax.make_array_from_callback(
            (mesh.size,), NamedSharding(mesh, P(mesh.axis_names)), lambda _: vote
        )
        return _largest(mesh)(votes)


def _largest(mesh: Mesh) -> Any:
    return jax.jit(jnp.max, out_shardings=NamedSharding(mesh, P()))


def _most(votes: Array | None) -> int:
    return 0 if votes is None else int(votes)


class SilentRecords(Records):
    """The log as processes other than the first have it: it knows the last step, and writes nothing."""

    def __init__(self, path: Path, last_step: int | None) -> None:
        """Takes what process 0 found."""
        self.path, self.last_step = path, last_step

    def write(self, /, step: int, **values: Any) -> None:
        """Leaves it to process 0."""

    def sync(self) -> None:
        """Leaves it to process 0."""

    def close(self) -> None:
        """Has nothing to close."""
