"""How far an experiment is, how long it has taken, and where the time goes."""

import statistics
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

from mixgan_jax.files import read_json, write_json

OnLog: TypeAlias = Callable[[int, Mapping[str, np.ndarray]], None]


class Stopwatch:
    """The seconds that a method has trained, and those of a step, over all starts; kept in two files of its folder."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / "seconds"
        self._pace_path = folder / "pace"
        remedy = "delete it, and the time of earlier starts is not counted"
        self.seconds = float(read_json(self._path, remedy)) if self._path.exists() else 0.0
        self._pace = read_json(self._pace_path, remedy) if self._pace_path.exists() else []
        self._last, self._step = time.perf_counter(), -1

    @property
    def step_seconds(self) -> float:
        """The median over the entries of the log, without the first of a start, which compiles; NaN if none is left."""
        return statistics.median(self._pace) if self._pace else float("nan")

    def lap(self, step: int) -> None:
        """Adds the time since the last lap, which ended at an earlier step, and writes it down."""
        now = time.perf_counter()
        lap, self._last = now - self._last, now
        self.seconds = round(self.seconds + lap, 3)
        if self._step >= 0:
            self._pace.append(lap / (step - self._step))
        self._step = step
        for path, value in ((self._path, self.seconds), (self._pace_path, self._pace)):
            write_json(path, value, indent=None)


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
            disable=jax.process_index() > 0 or not sys.stdout.isatty(),
        )

    def __enter__(self) -> "ProgressBar":
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def method(self, name: str, num_steps: int, stopwatch: Stopwatch) -> OnLog:
        """Starts a method's bar; returns ``on_log`` for its training."""
        task = self._progress.add_task(name, total=num_steps, note="compiling")
        started = time.perf_counter()

        def on_log(step: int, info: Mapping[str, np.ndarray]) -> None:
            stopwatch.lap(step)
            note = f"value {float(np.mean(info['value'])):+.3f}"
            self._progress.update(task, completed=step, note=note)
            if step == num_steps and not sys.stdout.isatty():
                rich.print(f"{name}: {num_steps} steps, {time.perf_counter() - started:.0f} s")

        return on_log


def trace_options() -> jax.profiler.ProfileOptions:
    """Makes options that trace devices and the runtime: Python's calls would take most of the file, and of the time."""
    options = jax.profiler.ProfileOptions()
    options.python_tracer_level = 0
    return options


@contextmanager
def tracing(folder: Path | None, on_log: OnLog) -> Iterator[OnLog]:
    """Yields an ``on_log`` that traces the work between its first two calls, after compilation, with the profiler.

    Args:
        folder: folder of the trace; None for no trace.
        on_log: called first.
    """
    calls = 0

    def traced(step: int, info: Mapping[str, np.ndarray]) -> None:
        nonlocal calls
        on_log(step, info)
        calls += 1
        if calls == 1:
            jax.profiler.start_trace(folder, profiler_options=trace_options())
        elif calls == 2:
            jax.profiler.stop_trace()

    try:
        yield on_log if folder is None else traced
    finally:
        if calls == 1:
            jax.profiler.stop_trace()
