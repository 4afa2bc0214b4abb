"""Times programs that do the same work in turn, so that a change of the machine's speed meets all of them."""

import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax


class Timing(NamedTuple):
    """Seconds of one unit of work in each round."""

    rounds: list[float]

    @property
    def median(self) -> float:
        """The median over the rounds."""
        return statistics.median(self.rounds)

    def text(self, scale: float = 1e3, digits: int = 1) -> str:
        """Writes ``median (lowest - highest)``, in milliseconds by default."""
        low, high = (
            f"{scale * value:.{digits}f}" for value in (min(self.rounds), max(self.rounds))
        )
        return f"{scale * self.median:.{digits}f} ({low}-{high})"


def interleaved(
    programs: Mapping[str, Callable[[], Any]], units: Mapping[str, int], rounds: int
) -> dict[str, Timing]:
    """Runs every program once to warm up, then ``rounds`` times in turn: A B C A B C ...

    Args:
        programs: programs by name; each returns the arrays to wait for.
        units: number of steps of one call, by which its time is divided.
        rounds: number of counted rounds.
    """
    for program in programs.values():
        jax.block_until_ready(program())
    seconds: dict[str, list[float]] = {name: [] for name in programs}
    for _ in range(rounds):
        for name, program in programs.items():
            began = time.perf_counter()
            jax.block_until_ready(program())
            seconds[name].append((time.perf_counter() - began) / units[name])
    return {name: Timing(each) for name, each in seconds.items()}


def ratio(a: Timing, b: Timing) -> float:
    """Computes how many times as long ``a`` takes as ``b``: the median over rounds of the ratio within a round."""
    return statistics.median(x / y for x, y in zip(a.rounds, b.rounds, strict=True))
