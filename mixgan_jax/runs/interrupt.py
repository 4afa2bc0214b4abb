"""Signals that ask a run to end: it saves first, then stops."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

URGENT = (signal.SIGINT, signal.SIGTERM)

# A closed terminal sends the first, SLURM the second some time before a job's end; Windows has neither.
NOTICES = tuple(getattr(signal, name) for name in ("SIGHUP", "SIGUSR1") if hasattr(signal, name))
SIGNALS = (*URGENT, *NOTICES)


class Interrupted(KeyboardInterrupt):
    """A signal stopped a run, which has saved. A kind of KeyboardInterrupt: no ``except Exception`` catches it.

    Attributes:
        signal: what was received.
        step: how many steps were done; all of them are saved.
        folder: where.
    """

    def __init__(self, signal: signal.Signals, step: int, folder: str | os.PathLike[str]) -> None:
        """See the class."""
        super().__init__(f"stopped by {signal.name} after step {step}, which is saved in {folder}")
        self.signal, self.step, self.folder = signal, step, folder

    def __reduce__(self) -> tuple[Any, ...]:
        """What pickle makes an equal one from."""
        return type(self), (self.signal, self.step, self.folder)


class Inbox:
    """Where a signal waits to be acted on.

    Attributes:
        signal: the first one received, or None.
    """

    def __init__(self) -> None:
        """Empty."""
        self.signal: signal.Signals | None = None

    def receive(self, number: int, _: FrameType | None) -> None:
        """Keeps the first signal; a second Ctrl-C or SIGTERM raises KeyboardInterrupt at once.

        SIGHUP and SIGUSR1 only give notice: they may come before a SIGTERM, and more than once.
        """
        received = signal.Signals(number)
        if received in URGENT and self.signal in URGENT:
            raise KeyboardInterrupt(f"{received.name} came twice")
        if self.signal is None or received in URGENT:
            self.signal = received


@contextmanager
def deferred_signals() -> Iterator[Inbox]:
    """Ctrl-C, SIGTERM, SIGHUP and SIGUSR1 are kept in an :class:`Inbox` for as long as the context lasts.

    One that is still there at the end is then sent again, to whoever handled it before. Signals that were ignored
    stay so. Outside of the main thread, where Python handles no signals, the inbox stays empty.
    """
    inbox = Inbox()
    before = {}
    if threading.current_thread() is threading.main_thread():
        before = {number: signal.getsignal(number) for number in SIGNALS}
    # Handlers that were not set by Python are None, and could not be put back.
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
