"""Signals that ask a run to end: the run saves first, then stops."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

URGENT = (signal.SIGINT, signal.SIGTERM)

# A closed terminal sends SIGHUP; SLURM sends SIGUSR1 before a job's end; Windows has neither.
NOTICES = tuple(getattr(signal, name) for name in ("SIGHUP", "SIGUSR1") if hasattr(signal, name))
SIGNALS = (*URGENT, *NOTICES)


class Interrupted(KeyboardInterrupt):
    """A signal stopped a run, which has saved. It is a KeyboardInterrupt, so ``except Exception`` does not catch it.

    Attributes:
        signal: the signal received.
        step: number of steps done, all of them saved.
        folder: the folder that they are saved in.
    """

    def __init__(self, signal: signal.Signals, step: int, folder: str | os.PathLike[str]) -> None:
        """See the class."""
        super().__init__(f"stopped by {signal.name} after step {step}, which is saved in {folder}")
        self.signal, self.step, self.folder = signal, step, folder

    def __reduce__(self) -> tuple[Any, ...]:
        """Tells pickle how to make an equal one."""
        return type(self), (self.signal, self.step, self.folder)


class Inbox:
    """A place where a signal waits until the run acts on it.

    Attributes:
        signal: the first signal received, or None.
    """

    def __init__(self) -> None:
        """Makes an empty inbox."""
        self.signal: signal.Signals | None = None

    def receive(self, number: int, _: FrameType | None) -> None:
        """Keeps the first signal; a second Ctrl-C or SIGTERM raises KeyboardInterrupt at once.

        SIGHUP and SIGUSR1 only give notice. They may come before a SIGTERM, and more than once.
        """
        received = signal.Signals(number)
        if received in URGENT and self.signal in URGENT:
            raise KeyboardInterrupt(f"{received.name} came twice")
        if self.signal is None or received in URGENT:
            self.signal = received


@contextmanager
def deferred_signals() -> Iterator[Inbox]:
    """Keeps Ctrl-C, SIGTERM, SIGHUP and SIGUSR1 in an :class:`Inbox` while the context lasts.

    At the end the context restores the handlers, and raises again a signal that is still in the inbox. Signals that
    were ignored before stay ignored. Outside the main thread, where Python handles no signals, the inbox stays empty.
    """
    inbox = Inbox()
    before = {}
    if threading.current_thread() is threading.main_thread():
        before = {number: signal.getsignal(number) for number in SIGNALS}
    # A handler that Python did not set reads as None, and cannot be restored.
    before = {number: old for number, old in before.items() if old not in (None, signal.SIG_IGN)}
    try:
        for number in before:
            signal.signal(number, inbox.receive)
        yield inbox
    finally:
        for number, old in before.items():
            signal.signal(number, old)
    if inbox.signal is not None:
        signal.raise_signal(inbox.signal)
