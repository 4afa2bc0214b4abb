"""How far an experiment is, how long it has taken, and where the time goes."""

import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TypeAlias

import jax
import numpy as np
import rich
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

OnLog: TypeAlias = Callable[[int, Mapping[str, np.ndarray]], None]


class Stopwatch:
    """Seconds that a method has trained, over all starts: the sum is kept in a file of its folder."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / "seconds"
        self.seconds = float(self._path.read_text()) if self._path.exists() else 0.0
        self._last = time.perf_counter()

    def lap(self) -> None:
        """Adds the time since the last lap, and writes the sum down."""
        now = time.perf_counter()
        self.seconds, self._last = round(self.seconds + now - self._last, 3), now
        part = self._path.with_suffix(".part")
        part.write_text(str(self.seconds))
        part.replace(self._path)


class ProgressBar:
    """One bar for each method on a terminal; one line for each method where there is none.

    Use as a context manager; :meth:`method` starts the next bar and gives ``fit`` its ``on_log``.
    """

    def __init__(self) -> None:
        self._progress = Progress(
            TextColumn("{task.description:<28}"),
            BarColumn(),
            TextColumn("{task.completed:>7.0f}/{task.total:.0f} steps"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}"),
            disable=not sys.stdout.isatty(),
        )

    def __enter__(self) -> "ProgressBar":
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def method(self, name: str, num_steps: int, stopwatch: Stopwatch) -> OnLog:
        """``on_log`` for a method's training."""
        task = self._progress.add_task(name, total=num_steps, note="compiling")
        started = time.perf_counter()

        def on_log(step: int, info: Mapping[str, np.ndarray]) -> None:
            stopwatch.lap()
            note = f"value {float(np.mean(info['value'])):+.3f}"
            self._progress.update(task, completed=step, note=note)
            if step == num_steps and not sys.stdout.isatty():
                rich.print(f"{name}: {num_steps} steps, {time.perf_counter() - started:.0f} s")

        return on_log


@contextmanager
def tracing(folder: Path | None, on_log: OnLog) -> Iterator[OnLog]:
    """``on_log``, which also has the profiler trace the work between its first two calls: compilation is done then.

    Args:
        folder: for the trace; None for no trace.
        on_log: called first.
    """
    calls = 0

    def traced(step: int, info: Mapping[str, np.ndarray]) -> None:
        nonlocal calls
        on_log(step, info)
        calls += 1
        if calls == 1:
            jax.profiler.start_trace(folder)
        elif calls == 2:
            jax.profiler.stop_trace()

    try:
        yield on_log if folder is None else traced
    finally:
        if calls == 1:
            jax.profiler.stop_trace()
