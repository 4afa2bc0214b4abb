"""The barrier of processes that write one checkpoint, against a coordinator that knows one process."""

import threading

import jax
import pytest

from mixgan_jax.storage import barrier
from mixgan_jax.storage.barrier import Barrier


class Coordinator:
    """Has JAX's calls. No other process ever arrives."""

    def __init__(self):
        self.values, self.end = {}, threading.Event()

    def key_value_set(self, key, value):
        if key in self.values:
            raise jax.errors.JaxRuntimeError("ALREADY_EXISTS")
        self.values[key] = value

    def key_value_try_get(self, key):
        if key not in self.values:
            raise jax.errors.JaxRuntimeError("NOT_FOUND")
        return self.values[key]

    def wait_at_barrier(self, name, timeout_ms):
        self.end.wait(60)


@pytest.fixture
def coordinator(monkeypatch):
    made = Coordinator()
    monkeypatch.setattr(barrier, "_client", lambda: made)
    monkeypatch.setattr(jax, "process_count", lambda: 2)
    yield made
    made.end.set()


def call(gate):
    gate(key="written", timeout_ms=1000)


def test_one_process_waits_for_nobody():
    called = []
    gate = Barrier("run")
    call(gate)
    gate.after_first(lambda: called.append(1))
    assert not called and gate.fail("disk full") == "disk full"


def test_a_failure_elsewhere_ends_the_wait(coordinator):
    gate = Barrier("run")
    threading.Timer(0.1, lambda: gate.fail("disk full")).start()
    with pytest.raises(RuntimeError, match=r"^process 0: disk full$"):
        call(gate)
    with pytest.raises(RuntimeError, match="disk full"):
        gate.after_first(lambda: None)
    assert gate.fail("later") == "process 0: disk full", "the first failure is that of all"


def test_a_thread_that_failed_tells_the_others(coordinator):
    gate = Barrier("run")

    def write():
        try:
            try:
                raise OSError(28, "No space\nleft")
            finally:
                call(gate)
        except OSError:
            pass

    thread = threading.Thread(target=write)
    thread.start()
    thread.join(10)
    assert not thread.is_alive()
    assert list(coordinator.values.values()) == ["process 0: OSError: [Errno 28] No space left"]


def test_an_error_that_its_maker_handles_is_no_failure(coordinator):
    coordinator.end.set()
    try:
        raise ValueError("of the caller")
    except ValueError:
        call(Barrier("run"))
    assert not coordinator.values
