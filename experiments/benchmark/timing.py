"""Times programs that do the same work in turn, so that a change of the machine's speed meets all of them."""

import contextlib
import math
import os
import statistics
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import jax

Call = Callable[[], Any]
MEMORY = ("out of memory", "resource_exhausted")


class Timing(NamedTuple):
    """Seconds of one unit of work in each round; no rounds, but a reason, of a program that failed."""

    rounds: list[float]
    failure: str = ""

    @property
    def median(self) -> float:
        """The median over the rounds; infinite of a program that failed."""
        return statistics.median(self.rounds) if self.rounds else math.inf

    def text(self, scale: float = 1e3, digits: int = 1) -> str:
        """Writes ``median (lowest - highest)``, in milliseconds by default, or why there is no time."""
        if self.failure:
            return self.failure
        low, high = (
            f"{scale * value:.{digits}f}" for value in (min(self.rounds), max(self.rounds))
        )
        return f"{scale * self.median:.{digits}f} ({low}-{high})"


def preparations(programs: Iterable[Any]) -> list[Call]:
    """Lists the method ``prepare`` of those programs that have one."""
    return [program.prepare for program in programs if hasattr(program, "prepare")]


def prepare(calls: Iterable[Call], here: Iterable[Call] = ()) -> None:
    """Runs calls in as many threads as there are cores: XLA compiles without Python's lock.

    The calls ``here`` run in this thread meanwhile. No error is raised: who calls what was not prepared meets it.
    """
    with ThreadPoolExecutor(max(2, os.cpu_count() or 1)) as pool:
        for call in calls:
            pool.submit(call)
        for call in here:
            with contextlib.suppress(Exception):
                call()


def interleaved(
    programs: Mapping[str, Call],
    units: Mapping[str, int],
    rounds: int,
    *,
    go_on: bool = False,
) -> dict[str, Timing]:
    """Runs every program once to warm up, then ``rounds`` times in turn: A B C A B C ...

    Args:
        programs: programs by name; each returns the arrays to wait for.
        units: number of steps of one call, by which its time is divided.
        rounds: number of counted rounds.
        go_on: whether a program that fails gets a :class:`Timing` that says so, and the others go on.
    """
    prepare(preparations(programs.values()))
    seconds: dict[str, list[float]] = {name: [] for name in programs}
    failures: dict[str, str] = {}
    for counted in [False] + [True] * rounds:
        for name in [name for name in programs if name not in failures]:
            began = time.perf_counter()
            try:
                jax.block_until_ready(programs[name]())
            except Exception as error:
                if not go_on:
                    raise
                traceback.print_exc(file=sys.stderr)
                failures[name] = reason(error)
            if counted:
                seconds[name].append((time.perf_counter() - began) / units[name])
    return {
        name: Timing([], failures[name]) if name in failures else Timing(each)
        for name, each in seconds.items()
    }


def reason(error: Exception) -> str:
    """Says in a few words why a program failed."""
    text = f"{type(error).__name__}: {error}"
    if any(words in text.lower() for words in MEMORY):
        return "out of memory"
    return f"failed, {text.splitlines()[0][:60]}"


def ratio(a: Timing, b: Timing) -> float:
    """Computes how many times as long ``a`` takes as ``b``: the median over rounds of the ratio within a round.

    NaN if either failed.
    """
    if a.failure or b.failure:
        return math.nan
    return statistics.median(x / y for x, y in zip(a.rounds, b.rounds, strict=True))
