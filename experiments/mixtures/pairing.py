"""Pairings on rings and grids of Gaussians: is Latin at twice the batch as good as full pairing, for less time?

Claim: with k = 5 in MIX+GAN (Arora et al. 2017, arXiv 1703.00573), Latin pairing at twice the batch is not worse than
full pairing, by half a mode and by 0.05 nats of reverse KL, and takes less time a step.
Time: 6 minutes each for ring and grid on two CPU cores; paper and paper_grid want a GPU, not timed.

    python -m experiments pairing                       8 modes, 16 seeds, on two CPU cores
    python -m experiments pairing --preset grid         25 modes, 10 seeds
    python -m experiments pairing --preset paper        PacGAN's networks, ring and number of steps, 10 seeds
    python -m experiments pairing --preset paper_grid   the same on the grid

Protocol, departures and trials are in experiments/mixtures/README.md.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from experiments.common import harness, plane, report, verdicts
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


def _preset(name: str, **changes: Any) -> Config:
    """Returns the plane's protocol of that name, with one number of components."""
    return dataclasses.replace(plane.PROTOCOLS[name], **{"components": (5,), **changes})


PRESETS = {
    "cpu": _preset("cpu", seeds=16, batch=60),
    "grid": _preset("grid", seeds=10, batch=60),
    "paper": _preset("paper"),
    "paper_grid": _preset("paper_grid"),
    "smoke": _preset("smoke", components=(3,)),
}


def check(config: Config) -> None:
    """Raises ValueError for a config that would fail after hours."""
    check_one(config)
    check_multiple(config)


def methods(config: Config) -> list[Method]:
    """Lists the rows: full, Latin, Latin at twice the batch, stratified."""
    (k,), batch = config.components, config.batch
    return [
        Method(f"full, B={batch}", k, batch=batch),
        Method(f"Latin, B={batch}", k, pairing="latin", batch=batch),
        Method(f"Latin, B={2 * batch}", k, pairing="latin", batch=2 * batch),
        Method(f"stratified, B={batch}", k, pairing="stratified", batch=batch),
    ]


def judge(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Returns the verdict: what was claimed before the run against the results."""
    full, _, latin, _ = rows
    ratio = latin["step_ms_mean"] / full["step_ms_mean"]
    return [
        *not_worse(latin, full),
        verdicts.claim(
            f"less time a step with {latin['method']} than {full['method']}",
            "ratio < 1",
            f"ratio {ratio:.2f}",
            ratio < 1,
        ),
    ]


def main(argv: list[str] | None = None) -> None:
    """Trains with every pairing, measures, reports."""
    run = harness.start("pairing", __doc__, PRESETS, argv, check, by_train=True)
    with session(run) as bar:
        rows = [measure(run, method, bar) for method in methods(run.config)]
        results, figures = report.save_results(
            run, rows=rows, verdict=judge(rows), columns=COLUMNS, figures=lambda: draw(run, rows)
        )
    report.show(run, results, figures)


if __name__ == "__main__":
    main()
