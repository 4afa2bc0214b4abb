"""MIX+DCGAN against PyTorch, and the share of the device's matrix peak that each of them reaches."""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple, TypeAlias

from experiments.benchmark.against_torch import (
    agreement,
    compiled_programs,
    free,
    torch_programs,
    warm,
)
from experiments.benchmark.programs import peak, product, share_of_peak
from experiments.benchmark.timing import Call, Timing, interleaved, preparations, prepare, ratio
from experiments.benchmark.workloads import Game, dcgan_game, flops, scanned
from mixgan_jax.players.pairing import Pairing

Row: TypeAlias = tuple[Game, dict[str, int], dict[str, Call]]
"""A game, its programs, and how many steps of it each takes, by the program's name."""


class Case(NamedTuple):
    """One row: k components of either side; whether networks compute in bfloat16; whether PyTorch compiles its own."""

    k: int
    pairing: Pairing = "full"
    batch: int = 64
    width: int = 64
    half: bool = False
    compiled: bool = False

    def game(self) -> Game:
        """Makes the game; k divides its batch, since Latin pairing deals the batch out to k discriminators."""
        return dcgan_game(
            self.batch // self.k * self.k, self.k, self.pairing, self.width, half=self.half
        )


PAIRINGS: tuple[Pairing, ...] = ("full", "latin")
CPU = (Case(1), *(Case(k, pairing) for k in (3, 5, 8) for pairing in PAIRINGS))
SMOKE = (Case(1, "full", 4, 4), Case(1, "full", 4, 4, half=True))
GPU = (
    Case(1),
    Case(1, "full", 512, 128, half=True),
    Case(8, "full", 512, 128, half=True),
    Case(8, "latin", 512, 128, half=True),
    Case(5),
    Case(5, "latin"),
    Case(1, "full", 512, 128),
    Case(8, "full", 512, 128),
    Case(8, "latin", 512, 128),
    Case(1, half=True),
    Case(8),
    Case(8, "latin"),
    Case(5, half=True),
    Case(5, "latin", half=True),
    Case(1, compiled=True),
    Case(1, "full", 512, 128, half=True, compiled=True),
)
"""Rows for a GPU, the most important ones first.

At batch 64 and width 64, the size of the experiments, a step is many short kernels, and what is compared is how each
side starts them: k = 1, 5, 8 in float32 (TF32), full and Latin; k = 1 and 5 in bfloat16 show how much of that is
arithmetic. At batch 512 and width 128 the device has work enough: k = 1 and 8, both pairings, both dtypes, whose share
of the peak can be read. Batch or width alone, and k = 5 at the large size, lie between rows that are here. The last
two rows are the first two again, with PyTorch's networks compiled, which takes long and may fail.
"""


def table(
    *, preset: str = "cpu", rounds: int = 5, work: int = 8, at_once: int = 8
) -> Iterator[dict[str, Any]]:
    """Times MIX+DCGAN on 32x32x3 images, full and Latin pairing, against plain and tuned PyTorch.

    Args:
        preset: which rows.
        rounds: number of counted rounds.
        work: number of steps that one timed call takes for k = 1; fewer for more.
        at_once: number of rows whose programs are compiled together, before any of them is timed.
    """
    cases = {"cpu": CPU, "gpu": GPU, "smoke": SMOKE}[preset]
    for start in range(0, len(cases), at_once):
        ready: list[Row] = []
        here: list[Call] = []
        prepare(_started(cases[start : start + at_once], work, ready, here), here)
        while ready:
            game, units, programs = ready.pop(0)
            times = interleaved(programs, units, rounds, go_on=True)
            yield _row(game, times, agreement(game))
            del programs
            free()


def _started(cases: Sequence[Case], work: int, rows: list[Row], here: list[Call]) -> Iterator[Call]:
    """Makes the programs of each case, and gives away what there is to prepare while the next is traced."""
    for case in cases:
        game, steps = case.game(), max(1, round(work / case.k**1.3))
        programs = {"jax": scanned(game, steps), "peak": product(case.half)}
        programs |= torch_programs(game, steps)
        yield from preparations(programs.values())
        if case.compiled:
            last = compiled_programs(game, steps)
            programs |= last
            here.append(partial(warm, last["torch compiled"]))
        rows.append((game, dict.fromkeys(programs, steps) | {"peak": 1}, programs))
    kinds = {(game.components > 1, game.pairing, game.half): game for game, _, _ in rows}
    here += [partial(agreement, game) for game in kinds.values()]


def _row(game: Game, times: dict[str, Timing], agreed: float) -> dict[str, Any]:
    operations, multiplied = flops(game), times.pop("peak")
    good = {name: timing for name, timing in times.items() if not timing.failure}
    return {
        "k": game.components,
        "pairing": game.pairing,
        "batch": game.batch,
        "width": game.width,
        "precision": game.precision(),
        **{f"{name} ms": timing.text(1e3, 2) for name, timing in times.items()},
        **{
            f"{name.removeprefix('torch ')} / jax": ratio(timing, times["jax"])
            for name, timing in good.items()
            if name != "jax" and "jax" in good
        },
        "GFLOP": operations / 1e9,
        "peak TFLOP/s": peak(multiplied) / 1e12,
        **{
            f"{name} share of peak": share_of_peak(operations, multiplied, good[name])
            for name in ("jax", "torch graph")
            if name in good
        },
        "seconds": {name: timing.rounds for name, timing in good.items()},
        "losses differ by": agreed,
    }
