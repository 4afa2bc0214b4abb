"""Where processes that write one checkpoint wait for each other. A failure of one of them ends the wait of all."""

import sys
import threading
from collections import Counter
from collections.abc import Callable
from concurrent import futures
from typing import Any

import jax

from mixgan_jax.messages import reason

_POLL_SECONDS = 0.5
_TIMEOUT_MS = 1_200_000  # Orbax's own

_made: Counter[str] = Counter()


class Barrier:
    """Orbax's barrier for the threads that write, with news of failures. It does nothing in one process.

    Orbax's own barrier waits for 20 minutes for a process that could not write its part, and does not say why.
    After a failure it stays broken: the folder must be opened again, by all processes, under one path.
    """

    def __init__(self, name: str) -> None:
        """Takes a name that all processes give. Each makes as many barriers of that name."""
        _made[name] += 1
        self._name = f"mixgan_jax/{name}/{_made[name]}"
        self._maker = threading.current_thread()

    def __call__(self, *, key: str, timeout_ms: int) -> None:
        """Waits for all processes, or raises a RuntimeError with the words of the first that failed."""
        if jax.process_count() == 1:
            return
        error = sys.exception()
        if error is not None and threading.current_thread() is not self._maker:
            # Orbax's thread has failed, and calls this from a `finally`.
            self.fail(reason(error))
            return
        arrived = None
        while arrived is None or not arrived.done():
            failure = self._failure()
            if failure is not None:
                raise RuntimeError(failure)
            arrived = arrived or _arrive(f"{self._name}/{key}", timeout_ms)
            futures.wait([arrived], _POLL_SECONDS)
        arrived.result()

    def after_first(self, function: Callable[[], None]) -> None:
        """Returns once process 0 has called a function without an error. It calls none where one process is alone."""
        if jax.process_count() > 1:
            if jax.process_index() == 0:
                function()
            self(key="after_first", timeout_ms=_TIMEOUT_MS)

    def fail(self, words: str) -> str:
        """Tells all processes why this one failed. Returns the words of the first that did, as all of them get them."""
        if jax.process_count() == 1:
            return words
        own = f"process {jax.process_index()}: {words}"
        try:
            _client().key_value_set(f"{self._name}/failure", own)
        except jax.errors.JaxRuntimeError:  # another was first
            return self._failure() or own
        return own

    def _failure(self) -> str | None:
        try:
            return _client().key_value_try_get(f"{self._name}/failure")
        except jax.errors.JaxRuntimeError:  # there is none
            return None


def _arrive(name: str, timeout_ms: int) -> futures.Future[None]:
    """Waits in a thread that the end of the process does not wait for."""
    arrived: futures.Future[None] = futures.Future()

    def wait() -> None:
        try:
            arrived.set_result(_client().wait_at_barrier(name, timeout_ms))
        except jax.errors.JaxRuntimeError as error:
            arrived.set_exception(error)

    threading.Thread(target=wait, daemon=True).start()
    return arrived


def _client() -> Any:
    from jax._src import distributed  # JAX has no public name for it

    return distributed.global_state.client
