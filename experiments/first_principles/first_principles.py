"""GANs from first principles: what breaks as each of the six assumptions behind "a GAN minimises JS" is dropped?

Claim: each assumption's failure is a number. A1 to A5 are computed exactly and agree with their references to 3
decimals: a data density that is not degenerate (A1), cross-entropy (A2), an unlimited discriminator (A3), an unlimited
generator (A4), JS as the objective (A5). A6, infinite data, is sampled: two samples of one distribution have JS log 2
exactly and a W1 far from 0 (after Nie, Liu and Patel, "GANs from first principles", poster).
Time: 1 minute on two CPU cores that had other work; paper half an hour, estimated.

    python -m experiments first_principles                  A6 with 5 seeds, up to 1024 samples in 3000 dimensions
    python -m experiments first_principles --preset paper   A6 with 20 seeds, up to 4096 samples

Protocol, departures and trials are in experiments/first_principles/README.md.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np

import mixgan_jax as mg
from experiments.common import harness, options, report, verdicts
from experiments.common.session import session
from experiments.first_principles import first_principles_figure
from experiments.first_principles.first_principles_panels import (
    DEGREES,
    EXCESSES,
    OBJECTIVES,
    STDS,
    exact_panels,
)
from experiments.first_principles.first_principles_tables import (
    FINITE,
    FITS,
    LOG_2,
    TOLERANCE,
    deviation,
    finite_bound,
    pull_at,
    tables,
)

SHOWN_STD, SHOWN_EXCESS = 0.1, 0.001  # the table's standard deviation in A1, and excess in A2
VANISHES, STAYS = 0.01, 1.0  # pulls at the excess 0.001
TITLES = {
    "A1": "degenerate manifolds",
    "A2": "scoring rules",
    "A3": "limited discriminator",
    "A4": "limited generator",
    "A5": "fits under other objectives",
}


@dataclass(frozen=True)
class Config:
    """Everything a run depends on."""

    dimensions: options.Sizes = (2, 10, 50, 100, 500, 1000, 3000)
    """Dimensions d of the data in A6."""
    sizes: options.Sizes = (128, 512, 1024)
    """Numbers of samples of either distribution in A6."""
    seeds: options.Count = 5
    """Number of pairs of samples in A6, with seeds 0, 1, ..."""


PRESETS = {
    "cpu": Config(),
    "paper": Config(sizes=(128, 512, 1024, 2048, 4096), seeds=20),
    "smoke": Config(dimensions=(5, 50), sizes=(16, 32), seeds=2),
}

COLUMNS = {"value": ("value", 3), "reference": ("reference", 3)}


def check(config: Config) -> None:
    """Raises ValueError for samples whose distances would not fit into memory."""
    if config.sizes[-1] > 8192:
        raise ValueError(f"--sizes must be at most 8192, got {config.sizes}")
    if config.sizes[-1] * config.dimensions[-1] > 2**27:
        raise ValueError(
            f"--sizes times --dimensions must be at most {2**27}, "
            f"got {config.sizes[-1]} samples in {config.dimensions[-1]} dimensions"
        )


def finite_samples(run: harness.Run) -> dict[str, Any]:
    """Measures A6: W1 and JS between two samples of one Gaussian, ``[d, m, S]``."""
    config = run.config
    shape = (len(config.dimensions), len(config.sizes), config.seeds)
    found = {"wasserstein": np.zeros(shape), "jensen_shannon": np.zeros(shape)}
    for place in np.ndindex(shape):
        d, m, seed = config.dimensions[place[0]], config.sizes[place[1]], run.seeds[place[2]]
        key = jax.random.fold_in(jax.random.fold_in(jax.random.key(seed), d), m)
        pair = np.asarray(jax.random.normal(key, (2, m, d))) / np.float32(math.sqrt(d))
        found["wasserstein"][place] = mg.metrics.exact_wasserstein(*pair)
        found["jensen_shannon"][place] = mg.metrics.empirical_jensen_shannon(*pair)
    return found


def headlines(panels: Mapping[str, Any]) -> list[tuple[str, float, float]]:
    """Lists a few numbers of each exact panel: name, value, reference."""
    gaussians, at = panels["A1"]["gaussians"], STDS.index(SHOWN_STD)
    pulls, expected = panels["A2"]["pulls"], pull_at(SHOWN_EXCESS)
    of = EXCESSES.index(SHOWN_EXCESS)
    bounds, reference = tables(panels)["A3"]["bounds"]
    fooled = panels["A4"]["fooled"]["3"]
    shown = [("A1 JS of segments 1 apart", panels["A1"]["segments"]["jensen_shannon"][-1], LOG_2)]
    shown += [
        (f"A1 slope of {label}, s = {SHOWN_STD:g}", gaussians[f"d_{name}"][at], value)
        for label, name, value in (
            ("JS", "jensen_shannon", 2.2e-5),
            ("KL", "kl", SHOWN_STD**-2),
            ("W1", "wasserstein", 1.0),
        )
    ]
    shown += [
        (f"A2 pull, {name}", pulls[name]["pull"][of], value) for name, value in expected.items()
    ]
    shown += [
        (f"A3 told apart, degree {n}", bounds[DEGREES.index(n)], reference[DEGREES.index(n)])
        for n in (3, 4, 10)
    ]
    shown.append(("A4 largest loss if fooled, degree 3", max(fooled), 0.0))
    for target, short in (("modes at ±2", "even"), ("modes at ±2, 0.6 left", "0.6 left")):
        for index, name in enumerate(OBJECTIVES):
            mean = abs(panels["A5"][target][name]["mean"])
            label = f"A5 |mean|, {name.replace('_', ' ')}, {short}"
            shown.append((label, mean, abs(FITS[target][index][0])))
    return shown


def rows_of(run: harness.Run) -> tuple[list[dict[str, Any]], dict[str, Any], dict[str, Any]]:
    """Makes the table's rows: exact panels once, A6 by seed; returns the panels too."""
    config = run.config
    panels = harness.once(run, "exact", exact_panels)
    finite = harness.once(run, "finite", lambda: finite_samples(run))
    once = [1.0] * config.seeds
    rows = [
        report.row(
            name,
            {"value": np.multiply(value, once), "reference": np.multiply(reference, once)},
            seconds=0.0,
        )
        for name, value, reference in headlines(panels)
    ]
    rows[0] |= {"seconds": panels["seconds"], "panels": panels}
    for index, d in enumerate(config.dimensions):
        last = finite["wasserstein"][index][-1]
        name = f"A6 W1 of {config.sizes[-1]} samples, d = {d} (bound)"
        metrics = {"value": last, "reference": np.multiply(max(finite_bound(d), 0.0), once)}
        rows.append(report.row(name, metrics, seconds=0.0))
    rows[-1] |= {"seconds": finite["seconds"], "finite": finite}
    return rows, panels, finite


def judge(
    config: Config, panels: Mapping[str, Any], finite: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """Returns the verdict: what was claimed before the run against the results."""
    verdict = []
    for name, table in tables(panels).items():
        worst, where, count = deviation(table)
        text = f"{name}, {TITLES[name]}: {count} numbers agree to 3 decimals"
        got = f"largest difference {worst:.1e} ({where})"
        verdict.append(verdicts.claim(text, f"< {TOLERANCE:g}", got, worst < TOLERANCE))
    at = EXCESSES.index(SHOWN_EXCESS)
    pulls = {name: found["pull"][at] for name, found in panels["A2"]["pulls"].items()}
    proper = max(pulls[name] for name in ("logistic", "Brier", "exponential"))
    others = min(pulls[name] for name in ("hinge", "non-saturating", "Wasserstein"))
    verdict.append(
        verdicts.claim(
            f"A2: {SHOWN_EXCESS:g} from its best, each strictly proper rule leaves the generator no pull; "
            "hinge, non-saturating and Wasserstein losses do",
            f"at most {VANISHES:g}, at least {STAYS:g}",
            f"{proper:.4f}, {others:.4f}",
            proper <= VANISHES and others >= STAYS,
        )
    )
    gradient = panels["A3"]["gradient"]
    text = "A3: Newton's method has converged for every degree"
    verdict.append(verdicts.claim(text, "derivative < 1e-9", f"{gradient:.1e}", gradient < 1e-9))
    return verdict + judge_finite(config, finite)


def judge_rows(config: Config, rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Judges the claims that the table's rows decide."""
    return judge_finite(config, rows[-1]["finite"])


def judge_finite(config: Config, finite: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Judges the claims on A6."""
    distances = np.asarray(finite["wasserstein"])
    bounds = np.array([finite_bound(d) for d in config.dimensions])
    least = float((distances - bounds[:, None, None]).min())
    verdict = [
        verdicts.claim(
            "A6: W1 of two samples is above sqrt 2 - sqrt(10 / d) for every d, size and seed",
            "> 0",
            f"least difference {least:.3f}",
            least > 0,
        )
    ]
    js = np.asarray(finite["jensen_shannon"])
    apart = float(np.abs(js - LOG_2).max())
    text = "A6: JS of two samples is log 2"
    verdict.append(
        verdicts.claim(text, "to 1e-15", f"largest difference {apart:.0e}", apart < 1e-15)
    )
    share, close = 0.0, []
    for i, d in enumerate(config.dimensions):
        for j, m in enumerate(config.sizes):
            expected = FINITE.get(d, {}).get(m)
            if expected is not None:
                allowed = 0.01 if d >= 50 else 0.03
                difference, error = verdicts.mean_and_error(distances[i, j] - expected)
                share = max(share, abs(difference) / allowed)
                close.append(verdicts.within(difference, error, -allowed, allowed))
    if close:
        text = f"A6: {len(close)} mean W1 agree with the table within 0.01 (0.03 for d < 50)"
        got = f"largest difference {share:.2f} of what is allowed"
        verdict.append(verdicts.claim(text, "<= 1", got, verdicts.all_of(close)))
    return verdict


def main(argv: list[str] | None = None) -> None:
    """Computes the panels, compares, draws."""
    run = harness.start("first_principles", __doc__, PRESETS, argv, check)
    with session(run):
        rows, panels, finite = rows_of(run)

        def draw() -> dict[str, Path]:
            picture = first_principles_figure.six_panels(run.config, panels, finite)
            return {"panels": report.save_figure(run, picture, "panels")}

        verdict = judge(run.config, panels, finite)
        results, figures = report.save_results(
            run, rows=rows, verdict=verdict, columns=COLUMNS, figures=draw
        )
    report.show(run, results, figures)


if __name__ == "__main__":
    main()
