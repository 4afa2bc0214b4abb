"""Unequal masses: when do trained weights of MIX+GAN beat uniform ones?

The modes of the data have unequal mass, and there are as many generators as modes: a generator that covers one mode
needs the weight that is the mode's mass. The step size of the weights, their barrier, the speed of components, the
components' optimiser and mirror-prox vary (Arora et al. 2017, arXiv 1703.00573).
Claim: weights trained by exponentiated gradient at rates of 0.001 and 0.01 bring the mixture's masses nearer to the
data's than uniform weights do. At 0.01 a barrier of 0.1 costs some of that unless it decays; a rate of 1 costs more.
Time: four CPU minutes by trial; 15 minutes passed on two cores that other work kept busy.

    python -m experiments unequal_masses   two CPU cores

Protocol, departures and trials are in experiments/mixtures/README.md.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import mixgan_jax as mg
from experiments.common import harness, options, report, verdicts
from experiments.common.session import session
from experiments.mixtures import unequal_figures
from experiments.mixtures.unequal_training import POINTS, Plan, Rule, train_all
from mixgan_jax.types import Key

LATE = POINTS // 4  # the last points of a curve, whose mean is a measure
BARRIER = 0.1  # of the released code
RATES = (1e-3, 1e-2, 1e-1, 1.0)

RULES = {
    "uniform": Rule(0.0),
    **{f"EG {rate:g}": Rule(rate) for rate in RATES},
    "EG 0.001, barrier": Rule(1e-3, BARRIER),
    "EG 0.01, barrier": Rule(1e-2, BARRIER),
    "EG 0.01, decaying barrier": Rule(1e-2, BARRIER, decays=True),
    "EG 0.01, equal speeds": Rule(1e-2, speed="equal"),
    "SGD, uniform": Rule(0.0, positions="sgd"),
    "SGD, EG 0.01": Rule(1e-2, positions="sgd"),
    "SGD, EG 0.01, mirror-prox": Rule(1e-2, positions="sgd", mirror_prox=True),
}
BASIC = ("uniform", "EG 0.001", "EG 0.01", "EG 0.001, barrier")
"""The rules of the larger numbers of modes."""
SHOWN = (*BASIC, "EG 0.01, decaying barrier", "EG 1")  # in the figure, where they were trained

CONTRASTS: tuple[tuple[str, str, str, verdicts.Direction, float], ...] = (
    ("EG 0.001, barrier", "EG 0.001", "tv", "<", 0.02),
    ("EG 0.01, barrier", "EG 0.01", "tv", ">", 0.0),
    ("EG 0.01, decaying barrier", "EG 0.01, barrier", "tv", "<", 0.0),
    ("EG 0.01, decaying barrier", "EG 0.01", "tv", "<", 0.02),
    ("EG 1", "EG 0.01", "tv", ">", 0.0),
    ("EG 0.01, equal speeds", "EG 0.01", "tv", "<", 0.02),
    ("EG 0.01", "uniform", "high_quality", ">", -0.05),
    ("SGD, EG 0.01", "SGD, uniform", "tv", "<", 0.0),
    ("SGD, EG 0.01, mirror-prox", "SGD, EG 0.01", "tv", "<", 0.02),
)
"""Claims on the first number of modes: a rule, the one that it is compared with, the measure, and its difference."""


@dataclass(frozen=True)
class Config:
    """Everything a run depends on."""

    modes: options.Sizes = (3, 8)
    """Numbers of modes; three have masses 5, 3 and 2, M others 1 to M. The first number is trained by all rules."""
    seeds: options.Count = 8
    """Number of runs of each rule, with seeds 0, 1, ..."""
    steps: options.Count = 3000
    """Number of training steps, a multiple of 20."""
    batch: options.Count = 24
    """Number of reals in a step, a multiple of every number of modes."""
    width: options.Count = 32
    """Number of units in each of the two hidden layers of all networks."""
    latent_size: options.Count = 4
    """Number of standard normal latents."""
    learning_rate: options.Rate = 1e-3
    """Learning rate of Adam, both players."""
    sgd_rate: options.Rate = 0.1
    """Learning rate of SGD, both players."""


PRESETS = {
    "cpu": Config(),
    "smoke": Config(modes=(2, 3), seeds=2, steps=20, batch=6, width=4),
}

COLUMNS = {
    "tv": ("TV", 3),
    "tv_best": ("TV, best weights", 3),
    "weight_error": ("weights off", 3),
    "kl": ("KL", 3),
    "modes": ("modes", 2),
    "high_quality": ("good", 2),
    "nash_conv": ("NashConv", 3),
}


def check(config: Config) -> None:
    """Raises ValueError for a config that would fail after minutes."""
    for name, value, part in (
        ("steps", config.steps, POINTS),
        *(("batch", config.batch, modes) for modes in config.modes),
    ):
        if value % part:
            raise ValueError(f"--{name} must be a multiple of {part}, got {value}")


def masses_of(modes: int) -> tuple[float, ...]:
    """Returns the masses of the modes, in any scale."""
    return (5, 3, 2) if modes == 3 else tuple(range(1, modes + 1))


def names_of(config: Config, modes: int) -> Sequence[str]:
    """Returns the rules that train a number of modes."""
    return tuple(RULES) if modes == config.modes[0] else BASIC


def train(config: Config, keys: Key, modes: int, names: Sequence[str]) -> dict[str, Any]:
    """Trains all seeds by the rules named; returns curves ``[S, 20]`` of each measure by rule."""
    plan = Plan(
        masses_of(modes),
        config.width,
        config.steps,
        config.batch,
        config.learning_rate,
        config.sgd_rate,
        config.latent_size,
    )
    return train_all(keys, plan, {name: RULES[name] for name in names})


def rows_of(parts: Mapping[int, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Lists the table's rows: by number of modes, by rule; values are means over the last quarter of the steps."""
    rows = []
    for modes, part in parts.items():
        for place, name in enumerate(key for key in part if key != "seconds"):
            late = {key: np.array(part[name][key])[:, -LATE:].mean(axis=1) for key in COLUMNS}
            seconds = 0.0 if place else part["seconds"]
            rows.append(report.row(f"{modes}: {name}", late, seconds=seconds))
    return rows


def judge(config: Config, rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Returns the verdict: what was claimed before the run against the results."""
    by_name = {row["method"]: row for row in rows}
    verdict = []
    for modes in config.modes:
        for name in ("EG 0.001", "EG 0.01"):
            verdict.append(_contrast(by_name, modes, name, "uniform", "tv", "<"))
    for name, other, metric, direction, threshold in CONTRASTS:
        verdict.append(
            _contrast(by_name, config.modes[0], name, other, metric, direction, threshold)
        )
    return verdict


def _contrast(
    by_name: Mapping[str, Any],
    modes: int,
    name: str,
    other: str,
    metric: str,
    direction: verdicts.Direction,
    threshold: float = 0.0,
) -> dict[str, Any]:
    """Judges the difference between two rules, seed by seed."""
    pair = by_name[f"{modes}: {name}"], by_name[f"{modes}: {other}"]
    text, outcome = verdicts.contrast(*pair, metric, direction, threshold, by_seed=True, digits=3)
    what = {"tv": "total variation", "high_quality": "share of good samples"}[metric]
    claim = f"{modes} modes, {name} against {other}: the difference in {what} is {direction} {threshold:g}"
    return verdicts.claim(claim, "by seed, 2 standard errors included", text, outcome)


def main(argv: list[str] | None = None) -> None:
    """Trains all mixtures, reports."""
    run = harness.start("unequal_masses", __doc__, PRESETS, argv, check)
    config = run.config
    with session(run):
        keys = mg.spread_over_devices(harness.seed_keys(run.seeds))
        parts = {
            modes: harness.once(
                run, f"{modes} modes", partial(train, config, keys, modes, names_of(config, modes))
            )
            for modes in config.modes
        }
        rows = rows_of(parts)

        def draw() -> dict[str, Path]:
            figure = unequal_figures.distances(parts, SHOWN, config.steps)
            return {"distances": report.save_figure(run, figure, "distances")}

        results, paths = report.save_results(
            run, rows=rows, verdict=judge(config, rows), columns=COLUMNS, figures=draw
        )
    report.show(run, results, paths)


if __name__ == "__main__":
    main()
