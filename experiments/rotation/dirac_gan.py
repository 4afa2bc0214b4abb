"""The Dirac-GAN: which losses and penalties reach the equilibrium, and which turn around it for ever?

Claim: without a penalty no loss converges at a linear rate, since all eigenvalues are imaginary: simultaneous steps
leave the equilibrium, of zero-sum losses for good, and alternating steps of zero-sum losses stay on their orbit.
WGAN-GP's penalty does not change that; R1, R2, consensus optimisation, JARE and the symplectic adjustment converge, at
the rate that the eigenvalues say (after Mescheder, Geiger and Nowozin 2018, arXiv 1801.04406, section 2).
Time: 15 seconds on two CPU cores.

    python -m experiments dirac_gan                  1,000 steps of 0.1, 16 starts
    python -m experiments dirac_gan --preset paper   10,000 steps of 0.01, 100 starts

Protocol, departures and trials are in experiments/rotation/README.md.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import jax
import numpy as np

from experiments.common import harness, options, report, verdicts
from experiments.common.session import session
from experiments.rotation import dirac_figure, phase_portrait
from experiments.rotation.phase_portrait import DAMPED, LOSSES, ROWS, Row
from mixgan_jax import spectrum, theory

HORIZON = 100.0
"""Least time, step size times steps, in which a run can converge."""


@dataclass(frozen=True)
class Config:
    """Everything a run depends on."""

    step_size: options.Positive = 0.1
    """Step size of gradient descent, both players."""
    steps: options.Count = 1000
    """Number of steps of each player."""
    gamma: options.Positive = 0.3
    """Coefficient of R1, R2 and the gradient penalty."""
    adjustment: options.Positive = 0.5
    """Coefficient of consensus, JARE and the symplectic adjustment."""
    seeds: options.Count = 16
    """Number of random starts, with seeds 0, 1, ..."""


PRESETS = {
    "cpu": Config(),
    "paper": Config(step_size=0.01, steps=10_000, seeds=100),
    "smoke": Config(step_size=0.5, steps=200, seeds=2),
}

COLUMNS = {
    "minimax": ("minimax", 1),
    "wasserstein": ("WGAN", 1),
    "hinge": ("hinge", 1),
    "non_saturating": ("NS", 1),
    "relativistic": ("relat.", 1),
    "least_squares": ("LS", 1),
}


def check(config: Config) -> None:
    """Raises ValueError for a config whose results would say nothing."""
    if config.step_size > 0.5:
        raise ValueError(f"--step-size must be at most 0.5, got {config.step_size:g}")
    if config.step_size * config.steps < HORIZON * (1 - 1e-9):
        raise ValueError(
            f"--steps must be at least {HORIZON:g} / step size = {HORIZON / config.step_size:.0f}, "
            f"got {config.steps}"
        )


def measure(run: harness.Run) -> dict[str, Any]:
    """Measures every row: ``ratio``, ``rate``, ``turns``, ``radius`` by loss and seed; the first seed's trajectory."""
    config = run.config
    play = jax.jit(
        lambda keys: phase_portrait.run_all(
            keys, config.gamma, config.adjustment, config.step_size, config.steps
        )
    )
    return jax.device_get(play(harness.seed_keys(run.seeds)))


def rate(config: Config, row: Row, loss: str) -> float:
    """Predicts log10 of the contraction per simultaneous step from the eigenvalues at the equilibrium."""
    damping = config.gamma if row.penalty in ("R1", "R2") else 0.0
    jacobian = _jacobian(loss, damping)
    rule = row.penalty if row.penalty in DAMPED else "none"
    adjusted = theory.adjusted_jacobian(jacobian, config.adjustment, rule)
    step = 1.0 - config.step_size * np.linalg.eigvals(adjusted)
    return math.log10(float(np.abs(step).max()))


def judge(config: Config, rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Returns the verdict: what was claimed before the run against the results."""
    return [*_unpenalised(config, rows), *_penalised(config, rows)]


def _unpenalised(config: Config, rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    by_name = {row["method"]: row["cells"] for row in rows}
    plain, turns = by_name["none sim."], by_name["none alt."]
    wasserstein = np.array(plain["wasserstein"]["ratio"])
    exact = 0.5 * config.steps * math.log10(1.0 + config.step_size**2)
    error = float(np.abs(wasserstein - exact).max())
    zero_sum = [name for name, make in LOSSES.items() if make().zero_sum]
    outward = min(np.min(plain[name]["ratio"]) for name in zero_sum)
    drift = max(np.abs(turns[name]["ratio"]).max() for name in zero_sum)
    text = " and ".join(zero_sum)
    verdict = [
        verdicts.claim(
            "unpenalised eigenvalues are imaginary for every loss",
            "phase factor infinite",
            ", ".join(LOSSES),
            all(_phase(name) == math.inf for name in LOSSES),
        ),
        verdicts.claim(
            "Wasserstein leaves the equilibrium as (1 + step^2)^(steps / 2), simultaneous steps",
            f"log10 {exact:.3f} to 0.001",
            f"largest error {error:.1e}",
            error < 1e-3,
        ),
        verdicts.claim(
            f"{text} leave the equilibrium, simultaneous steps",
            "log10 ratio > 0 from every start",
            f"least {outward:.3f}",
            outward > 0,
        ),
        verdicts.claim(
            f"{text} stay on their orbit, alternating steps",
            "|log10 ratio| < 0.1 from every start",
            f"largest {drift:.3f}",
            drift < 0.1,
        ),
    ]
    for name, make in LOSSES.items():
        pull = theory.dirac_gan_inward_pull(make())
        if pull > 0:
            slope = _jacobian(name, 0.0)[1, 0]
            expected = 2.0 * slope * math.sqrt(config.step_size / pull)
            radius = float(np.mean(plain[name]["radius"]))
            verdict.append(
                verdicts.claim(
                    f"{phase_portrait.TITLES[name]} ends on a cycle, simultaneous steps",
                    f"mean radius within 10 % of {expected:.3f}",
                    f"{radius:.3f}",
                    abs(radius / expected - 1.0) < 0.1,
                )
            )
    return verdict


def _penalised(config: Config, rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    known = {row.name: row for row in ROWS}
    by_name = {row["method"]: row["cells"] for row in rows}
    stuck = [name for name in by_name if known[name].penalty == "GP"]
    nearest = min(np.min(by_name[name][loss]["nearest"]) for name in stuck for loss in LOSSES)
    curing = [name for name in by_name if known[name].penalty in ("R1", "R2", *DAMPED)]
    worst = max(np.max(by_name[name][loss]["ratio"]) for name in curing for loss in LOSSES)
    errors = [
        np.mean(by_name[name][loss]["rate"]) / rate(config, known[name], loss) - 1.0
        for name in curing
        if known[name].update == "simultaneous"
        for loss in LOSSES
    ]
    error = float(np.abs(errors).max())
    return [
        verdicts.claim(
            "WGAN-GP does not converge, with any loss, simultaneous or alternating",
            "radius > 0.05 throughout the last tenth of every run",
            f"least {nearest:.3f}",
            nearest > 0.05,
        ),
        verdicts.claim(
            "R1, R2, consensus, JARE and the symplectic adjustment converge, with every loss",
            "log10 ratio < -2 from every start",
            f"largest {worst:.2f}",
            worst < -2,
        ),
        verdicts.claim(
            "they do at the rate of the eigenvalues, simultaneous steps",
            "slope of log10 radius within 5 %",
            f"largest error {100 * error:.1f} %",
            error < 0.05,
        ),
    ]


def _phase(loss: str) -> float:
    return spectrum.phase_factor(np.linalg.eigvals(_jacobian(loss, 0.0)))


@cache
def _jacobian(loss: str, damping: float) -> np.ndarray:
    return theory.dirac_gan_jacobian(LOSSES[loss](), damping)


def main(argv: list[str] | None = None) -> None:
    """Runs every loss and penalty from every start, reports."""
    run = harness.start("dirac_gan", __doc__, PRESETS, argv, check)
    config = run.config
    with session(run):
        found = harness.once(run, "portraits", lambda: measure(run))
        seconds = found.pop("seconds")
        rows = [
            report.row(
                row.name,
                {loss: found[row.name][loss]["ratio"] for loss in LOSSES},
                cells=_without_paths(found[row.name]),
                seconds=seconds / len(found),
            )
            for row in ROWS
        ]

        def draw() -> dict[str, Path]:
            picture = dirac_figure.portraits(found)
            return {"portraits": report.save_figure(run, picture, "portraits")}

        results, figures = report.save_results(
            run, rows=rows, verdict=judge(config, rows), columns=COLUMNS, figures=draw
        )
    report.show(run, results, figures)


def _without_paths(cells: Mapping[str, Any]) -> dict[str, Any]:
    return {
        loss: {name: value for name, value in cell.items() if name != "path"}
        for loss, cell in cells.items()
    }


if __name__ == "__main__":
    main()
