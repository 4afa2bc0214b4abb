"""Low diversity: how well can p parameters tell a Gaussian from the uniform distribution on m of its samples?

Claim: the neural net distance falls as sqrt(p / m), on one curve in m / p for all networks, while W1 and JS (Jensen-
Shannon) of the same samples stay near their limits; unlimited real data help the discriminator by a constant factor
only (after Arora, Ge, Liang, Ma and Zhang 2017, arXiv 1703.00573).
Time: 13 minutes on two CPU cores that had other work; paper wants a GPU, not timed.

    python -m experiments theory_low_diversity                   5 networks, 6 seeds, on two CPU cores
    python -m experiments theory_low_diversity --preset paper    7 networks, four times as many samples, 20 seeds

Protocol, departures and trials are in experiments/theorems/README.md.
"""

import functools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from experiments.common import exponents, harness, options, report, verdicts
from experiments.common.session import session
from experiments.theorems import low_diversity, low_diversity_figure
from experiments.theorems.low_diversity import classical, distances, fitted, slopes


@dataclass(frozen=True)
class Config:
    """Everything a run depends on."""

    dimension: options.Count = 64
    """Dimension d of the Gaussian."""
    widths: options.Sizes = (1, 2, 4, 8)
    """Numbers of hidden units of the networks with one hidden layer."""
    deep_widths: options.Sizes = (4,)
    """Numbers of units in each layer of the networks with two hidden layers."""
    ratios: options.Sizes = (1, 4, 16, 32, 64)
    """Numbers of atoms for each parameter, m / p."""
    fit_from: options.Count = 16
    """Least m / p to which the law is fitted."""
    parameter_size: options.Positive = 1.0
    """Radius of the ball over sqrt p."""
    seeds: options.Count = 6
    """Number of seeds: 0, 1, ..."""
    steps: options.Count = 1500
    """Number of steps of Adam where m = p; it grows as sqrt(m / p)."""
    restarts: options.Count = 2
    """Number of times that each discriminator is trained, from new initial parameters."""
    learning_rate: options.Positive = 0.05
    """Learning rate of the first step; it falls to 0 along a cosine."""
    batch: options.Count = 2048
    """Number of reals, and of atoms, in a step; if there are fewer atoms, all are used."""
    pool: options.Samples = 2**20
    """Number of reals to train on."""
    held_out: options.Samples = 2**17
    """Number of reals to measure on."""
    assignment: options.Samples = 4288
    """Largest number of atoms, and of reals, between which W1 is computed: its time grows as their cube."""


PRESETS = {
    "cpu": Config(),
    "paper": Config(
        widths=(1, 2, 4, 8, 16),
        deep_widths=(4, 8),
        ratios=(1, 2, 4, 8, 16, 32, 64, 128, 256),
        seeds=20,
        steps=4000,
        restarts=4,
        batch=8192,
        pool=2**22,
        held_out=2**18,
    ),
    "smoke": Config(
        dimension=4,
        widths=(1,),
        deep_widths=(2,),
        ratios=(2, 4),
        fit_from=2,
        seeds=2,
        steps=20,
        restarts=1,
        pool=512,
        held_out=256,
    ),
}

COLUMNS = {
    "smallest": ("smallest p", 3),
    "largest": ("largest p", 3),
    "few_reals": ("m reals", 3),
    "wasserstein": ("W1", 2),
    "jensen_shannon": ("JS", 2),
}


def networks(config: Config) -> list[low_diversity.Network]:
    """All classes of discriminators, from the fewest parameters to the most."""
    return low_diversity.networks(config.dimension, config.widths, config.deep_widths)


def steps(config: Config, ratio: int) -> int:
    """Returns the number of Adam's steps."""
    return round(config.steps * math.sqrt(ratio))


def check(config: Config) -> None:
    """Raises ValueError for a config that would fail at the end."""
    fitted = sum(ratio >= config.fit_from for ratio in config.ratios)
    if fitted < 2:
        raise ValueError(
            f"--ratios must have two or more >= fit_from = {config.fit_from}, got {config.ratios}"
        )
    most = networks(config)[-1].parameters * config.ratios[-1]
    if config.pool < most:
        raise ValueError(f"--pool must be as many as the most atoms, {most}, got {config.pool}")


def measure(run: harness.Run, ratio: int) -> dict[str, Any]:
    """Measures one row: all networks at one m / p."""
    config = run.config
    classes, parts = networks(config), {}
    one = functools.partial(distances, run, ratio=ratio, steps=steps(config, ratio))
    for network in classes:
        compute = functools.partial(one, network)
        parts[network.name] = harness.once(run, f"{network.name} m={ratio}p", compute)
    middle, m = classes[len(classes) // 2], ratio * classes[0].parameters
    compute = functools.partial(one, middle, few_reals=True)
    few = harness.once(run, f"{middle.name} m={ratio}p few reals", compute)
    exact = harness.once(run, f"classical m={ratio}p", lambda: classical(run, m))
    names = {"smallest": classes[0].name, "largest": classes[-1].name, "middle": middle.name}
    metrics = {column: parts[name]["held_out"] for column, name in names.items()}
    metrics |= {"few_reals": few["held_out"]}
    metrics |= {name: exact[name] for name in ("wasserstein", "jensen_shannon")}
    seconds = sum(part["seconds"] for part in (*parts.values(), few, exact))
    found = [
        {"name": n.name, "parameters": n.parameters, "m": ratio * n.parameters, **parts[n.name]}
        for n in classes
    ]
    extra = {"ratio": ratio, "networks": found, "few": few, "w1_samples": exact["samples"]}
    return report.row(f"m = {ratio} p", metrics, seconds=seconds, **extra)


def longer(run: harness.Run, row: Mapping[str, Any]) -> list[float]:
    """The distance by seed after twice the steps, for the largest network and m."""
    config, network, ratio = run.config, networks(run.config)[-1], row["ratio"]
    compute = functools.partial(distances, run, network, ratio, steps=2 * steps(config, ratio))
    part = harness.once(run, f"{network.name} m={ratio}p twice the steps", compute)
    row["seconds"] += part["seconds"]
    return part["held_out"]


def judge(
    config: Config, rows: Sequence[Mapping[str, Any]], twice: Sequence[float]
) -> list[dict[str, Any]]:
    """Returns the verdict: what was claimed before the run against the results."""
    once = rows[-1]["networks"][-1]["held_out"]
    longer_helps = verdicts.claim(
        "twice the steps raise the distance of the largest network and m by at most 10 %",
        "ratio <= 1.1",
        f"{np.mean(once):.4f} to {np.mean(twice):.4f}, ratio {np.mean(twice) / np.mean(once):.2f}",
        verdicts.at_most_times(twice, 1.1, once),
    )
    return [*judge_rows(config, rows), longer_helps]


def judge_rows(config: Config, rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Judges the claims that the table's rows decide."""
    law = [row for row in rows if row["ratio"] >= config.fit_from]
    few = [row["middle_mean"] / max(row["few_reals_mean"], 1e-6) for row in law]
    at = f"from m = {config.fit_from} p up"
    return [
        *judge_law(config, rows, law),
        *judge_classical(config, rows),
        verdicts.claim(
            f"unlimited reals raise the distance by no more than a constant factor {at}",
            "1.41 expected; <= 1.6 in each row",
            ", ".join(f"{factor:.2f}" for factor in few),
            verdicts.all_of(
                verdicts.at_most_times(row["middle_by_seed"], 1.6, row["few_reals_by_seed"])
                for row in law
            ),
        ),
    ]


def judge_law(
    config: Config, rows: Sequence[Mapping[str, Any]], law: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """Judges the claims on the neural net distance: two exponents, and the collapse onto one curve."""
    fit, at = fitted(law), f"from m = {config.fit_from} p up"
    small, large = (networks(config)[i].parameters for i in (0, -1))
    first, last = law[0]["ratio"], law[-1]["ratio"]
    p_log_p = 0.5 + 0.5 * of_logarithm(small, large)
    with_log = -0.5 + 0.5 * of_logarithm(max(first, 2), last)
    spreads, close = [], []
    for row in law:
        *_, most = ranked = sorted((n["held_out"] for n in row["networks"]), key=np.mean)
        spreads.append(np.mean(most) / max(np.mean(ranked[0]), 1e-6))
        close.append(verdicts.at_most_times(most, 1.25, ranked[0]))
    neighbours = f"; between neighbouring rows {slopes(rows)}"
    claims = [
        ("the distance falls as m^(-1/2)", "m", -0.5, -0.5, neighbours),
        ("or at least no slower than sqrt(p log(m / p) / m)", "m", -0.5, with_log, ""),
        ("it rises as p^(1/2)", "p", 0.5, 0.5, ""),
        ("or at least no faster than sqrt(p log p)", "p", 0.5, p_log_p, ""),
    ]
    return [
        *(
            verdicts.claim(
                f"{text}, {at}",
                f"interval contains {low:g}" if low == high else f"exponent <= {high:.2f}",
                exponents.in_words(fit[name]) + more,
                exponents.agrees(fit[name], low)
                if low == high
                else verdicts.inside(fit[name]["low"], fit[name]["high"], -math.inf, high),
            )
            for text, name, low, high, more in claims
        ),
        verdicts.claim(
            f"networks of {small} to {large} parameters lie on one curve in m / p, {at}",
            "largest mean over smallest <= 1.25 in each row",
            ", ".join(f"{spread:.2f}" for spread in spreads),
            verdicts.all_of(close),
        ),
    ]


def of_logarithm(first: int, last: int) -> float:
    """Computes the exponent of log x in x between two points."""
    return math.log(math.log(last) / math.log(first)) / math.log(last / first)


def judge_classical(config: Config, rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Judges the claims that W1 and JS stay near their limits."""
    w1 = min(row["wasserstein_mean"] for row in rows)
    bound = math.sqrt(2) - math.sqrt(10 / config.dimension)
    js = max(abs(v - math.log(2)) for row in rows for v in row["jensen_shannon_by_seed"])
    return [
        verdicts.claim(
            "W1 of the same samples stays above sqrt 2 - sqrt(10 / d)",
            f">= {bound:.3f} in each row",
            f"least mean {w1:.3f}",
            verdicts.all_of(verdicts.of_mean(row, "wasserstein", ">=", bound) for row in rows),
        ),
        verdicts.claim(
            "the Jensen-Shannon divergence of the same samples is log 2",
            "within 1e-12, each seed",
            f"farthest {js:.1g}",
            js <= 1e-12,
        ),
    ]


def draw(run: harness.Run, rows: Sequence[Mapping[str, Any]]) -> dict[str, Path]:
    """Draws the figure; returns its path by the name under which it is kept."""
    figure = low_diversity_figure.curves(rows)
    return {"curves": report.save_figure(run, figure, "curves")}


def main(argv: list[str] | None = None) -> None:
    """Measures all distances, reports."""
    run = harness.start("theory_low_diversity", __doc__, PRESETS, argv, check)
    with session(run):
        rows = [measure(run, ratio) for ratio in run.config.ratios]
        verdict = judge(run.config, rows, longer(run, rows[-1]))
        results, figures = report.save_results(
            run, rows=rows, verdict=verdict, columns=COLUMNS, figures=lambda: draw(run, rows)
        )
    report.show(run, results, figures)


if __name__ == "__main__":
    main()
