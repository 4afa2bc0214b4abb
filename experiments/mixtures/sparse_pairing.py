"""Many components: is a sparse pairing as good as a Latin one, and as full pairing at the same number of evaluations?

Claim: with k = 8 and k = 32 in MIX+GAN (Arora et al. 2017, arXiv 1703.00573), a sparse pairing of 4 meetings is not
worse than Latin pairing at the same batch, nor than full pairing at as many network evaluations a step, by half a mode
and by 0.05 nats of reverse KL.
Time: 4 minutes each for k = 8 on two CPU cores, 10 to 14 minutes for k = 32, with other work beside them.

    python -m experiments sparse_pairing                     8 modes, k = 8
    python -m experiments sparse_pairing --preset grid       25 modes, k = 8
    python -m experiments sparse_pairing --preset ring_32    8 modes, k = 32
    python -m experiments sparse_pairing --preset grid_32    25 modes, k = 32

Protocol, departures and trials are in experiments/mixtures/README.md.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from experiments.common import harness, plane, report
from experiments.common.plane import Config, Method
from experiments.common.session import session
from experiments.mixtures.pairing_rows import (
    COLUMNS,
    check_multiple,
    check_one,
    draw,
    measure,
    not_worse,
)

MEETINGS = (4, 1)
"""Discriminators that a generator meets in a step: what is claimed, and the fewest there can be."""


def _preset(name: str, **changes: Any) -> Config:
    """Returns the plane's protocol of that name, at eight seeds and this script's batch."""
    return dataclasses.replace(plane.PROTOCOLS[name], **{"seeds": 8, "batch": 64, **changes})


PRESETS = {
    "cpu": _preset("cpu", components=(8,), steps=4000),
    "grid": _preset("grid", components=(8,), steps=4000),
    "ring_32": _preset("cpu", components=(32,), steps=2000),
    "grid_32": _preset("grid", components=(32,), steps=2000),
    "smoke": _preset("smoke", components=(4,), seeds=2, batch=24),
}


def check(config: Config) -> None:
    """Raises ValueError for a config that would fail after hours."""
    check_one(config)
    (k,) = config.components
    if k % max(MEETINGS):
        raise ValueError(f"--components must be a multiple of {max(MEETINGS)}, got {k}")
    check_multiple(config)


def evaluations(k: int, batch: int, pairing: str) -> int:
    """Counts the points that networks of one step evaluate: in both turns generators draw, discriminators judge.

    Discriminators see B reals each in their own turn. A fake is judged by all k with full pairing, else by one.
    """
    judges = k if pairing == "full" else 1
    return k * batch * (2 * (1 + judges) + 1)


def methods(config: Config) -> list[Method]:
    """Lists the rows: full at the batch of as many evaluations, Latin, sparse with each number of meetings."""
    (k,), batch = config.components, config.batch
    equal = round(evaluations(k, batch, "latin") / evaluations(k, 1, "full"))
    return [
        Method(f"full, B={equal}", k, batch=equal),
        Method(f"Latin, B={batch}", k, pairing="latin", batch=batch),
        *(
            Method(f"sparse, r={r}, B={batch}", k, pairing="sparse", batch=batch, meetings=r)
            for r in MEETINGS
        ),
    ]


def counted(run: harness.Run, method: Method, bar: harness.ProgressBar) -> dict[str, Any]:
    """Trains and measures a row; adds the network evaluations of a step."""
    batch = method.batch or run.config.batch
    count = evaluations(method.components, batch, method.pairing)
    return measure(run, method, bar) | report.measured_once(evaluations=count)


def judge(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Returns the verdict: the sparse pairing of most meetings against Latin and against full pairing."""
    full, latin, sparse, _ = rows
    return [line for other in (latin, full) for line in not_worse(sparse, other)]


def main(argv: list[str] | None = None) -> None:
    """Trains with every pairing, measures, reports."""
    run = harness.start("sparse_pairing", __doc__, PRESETS, argv, check, by_train=True)
    columns = COLUMNS | {"evaluations": ("evaluations", 0)}
    with session(run) as bar:
        rows = [counted(run, method, bar) for method in methods(run.config)]
        results, figures = report.save_results(
            run, rows=rows, verdict=judge(rows), columns=columns, figures=lambda: draw(run, rows)
        )
    report.show(run, results, figures)


if __name__ == "__main__":
    main()
