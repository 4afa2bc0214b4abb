"""How an experiment that is stopped ends: with one line that says what happened and how to go on."""

import errno
import logging
import signal
import sys
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import jax

import mixgan_jax as mg
from experiments.common.harness import Run
from experiments.common.progress import ProgressBar
from mixgan_jax.processes import on_first
from mixgan_jax.runs.interrupt import SIGNALS
from mixgan_jax.storage.lock import lock_folder

NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


# What all processes of a job raise together.
SHARED = (mg.Interrupted, mg.NonFiniteError, mg.FolderInUseError, mg.SaveError)


class Terminated(KeyboardInterrupt):
    """SIGTERM, SIGHUP or SIGUSR1 came while nothing was training."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.signal = signal.Signals(number)


@contextmanager
def session(run: Run) -> Iterator[ProgressBar]:
    """Wraps all that a script does after reading its command line; no other process works in the run folder meanwhile.

    Ctrl-C, SIGTERM, SIGHUP and SIGUSR1, a component whose update is not finite, a full disk and a run folder in use end
    the process with one last line on stderr and no traceback. The status is 128 + the signal's number, else 1. Of
    several processes that end for the same reason the first alone prints it.

    Yields:
        The progress bar, started.
    """
    try:
        with _in_one_line(run), _signals(), _held(run.folder), ProgressBar() as bar:
            yield bar
    except (KeyboardInterrupt, mg.NonFiniteError, mg.FolderInUseError, OSError) as error:
        if isinstance(error, OSError) and not (_is_full(error) or isinstance(error, mg.SaveError)):
            raise
        text, status = _last_words(run, error)
        if jax.process_index() == 0 or not isinstance(error, SHARED):
            print(f"{run.experiment}: {text}", file=sys.stderr)
        raise SystemExit(status) from None


@contextmanager
def _held(folder: Path) -> Iterator[None]:
    """Keeps other jobs out of the run folder; all processes of this one hear of a refusal."""
    with ExitStack() as stack:
        on_first(lambda: stack.enter_context(lock_folder(folder)))
        yield


def _last_words(run: Run, error: BaseException) -> tuple[str, int]:
    """Returns the printed line, and the exit status."""
    if isinstance(error, KeyboardInterrupt):
        number = getattr(error, "signal", signal.SIGINT)
        text = f"stopped by {number.name}; what was saved is in {run.folder}"
        if isinstance(error, mg.Interrupted):
            text = str(error)
        return f"{text}; the same command continues there", 128 + number
    if isinstance(error, mg.NonFiniteError):
        return f"{error}; --on-nan freeze goes on without updating it", 1
    if isinstance(error, mg.FolderInUseError):
        return f"{error}; nothing was changed", 1
    text = str(error) if isinstance(error, mg.SaveError) else f"cannot write ({error})"
    return f"{text}; once that is put right, the same command continues there", 1


def _is_full(error: OSError) -> bool:
    return error.errno in NO_SPACE


@contextmanager
def _signals() -> Iterator[None]:
    """Has SIGTERM, SIGHUP and SIGUSR1 raise as Ctrl-C does, so that files are closed; ignored ones stay ignored."""

    def terminate(number: int, _: Any) -> None:
        raise Terminated(number)

    before = {number: signal.getsignal(number) for number in SIGNALS if number != signal.SIGINT}
    before = {number: old for number, old in before.items() if old not in (None, signal.SIG_IGN)}
    for number in before:
        signal.signal(number, terminate)
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)


@contextmanager
def _in_one_line(run: Run) -> Iterator[None]:
    """Prints warnings in one line, without a place in the code; silences Orbax's tracebacks of handled errors."""

    def show(message: Warning | str, *_: Any, **__: Any) -> None:
        if jax.process_index() == 0:
            print(f"{run.experiment}: {message}", file=sys.stderr)

    logger = logging.getLogger("absl")
    before = logger.level
    with warnings.catch_warnings():
        warnings.showwarning = show
        logger.setLevel(logging.CRITICAL)
        try:
            yield
        finally:
            logger.setLevel(before)
