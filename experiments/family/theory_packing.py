"""What a discriminator of packs sees of mode collapse: how far can packing move generators at one distance apart?

Claim: among pairs with TV(P, Q) = tau, TV(P^m, Q^m) lies between the bounds of PacGAN's theorem for every random pair.
Packing ranks a generator that misses a mode above one that only weighs modes wrongly, at every m >= 2, though both
are at 0.2 from the data (Lin, Khetan, Fanti and Oh 2018, arXiv 1712.04086).
Time: 20 seconds on one CPU core; paper has not been timed.

    python -m experiments theory_packing                     2,000 random pairs for each of 8 seeds
    python -m experiments theory_packing --preset paper      40,000

Protocol, departures and trials are in experiments/family/README.md.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from experiments.common import harness, options, report, verdicts
from experiments.common.session import session
from mixgan_jax import theory
from mixgan_jax.plots import drawing

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MISSING = ([0.2, 0.8], [0.0, 1.0])
"""Mass of the data, then of the generator, on [0, 0.2] and [0.2, 1]: the generator has none on the first."""
WRONG = ([0.5, 0.5], [0.3, 0.7])
"""Mass of the data, then of the generator, on [0, 0.5] and [0.5, 1]: the generator has less on the first."""
TAU = 0.2
"""Total variation of both generators, and of the random pairs."""


@dataclass(frozen=True)
class Config:
    """Everything a run depends on."""

    seeds: options.Count = 8
    """Number of seeds of the random pairs: 0, 1, ..."""
    pairs: options.Count = 2000
    """Number of random pairs for each seed."""
    degrees: options.Sizes = (2, 3, 4, 5)
    """Packing degrees m."""


PRESETS = {
    "cpu": Config(),
    "paper": Config(pairs=40_000),
    "smoke": Config(seeds=2, pairs=20, degrees=(2, 3)),
}

COLUMNS = {
    "lower": ("bound", 4),
    "least": ("least", 4),
    "wrong": ("wrong", 4),
    "missing": ("missing", 4),
    "largest": ("largest", 4),
    "upper": ("bound", 4),
}


def check(config: Config) -> None:
    """Raises ValueError for a config that would fail after minutes."""
    if min(config.degrees) < 2 or max(config.degrees) > 8:
        raise ValueError(f"--degrees must be from 2 to 8, got {config.degrees}")


def random_pairs(seed: int, count: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Draws pairs of distributions on 4 atoms at distance :data:`TAU`."""
    rng = np.random.default_rng(seed)
    pairs: list[tuple[np.ndarray, np.ndarray]] = []
    while len(pairs) < count:
        p, q = rng.dirichlet(np.full(4, 0.5), 2)
        distance = 0.5 * np.abs(p - q).sum()
        if distance >= TAU:
            pairs.append((p, p + TAU / distance * (q - p)))
    return pairs


def measure(run: harness.Run, degree: int) -> dict[str, Any]:
    """Measures each seed's extremes over its random pairs, beside the bounds and the two generators: ``[seeds]``."""
    lower, upper = theory.packing_bounds(TAU, degree)
    found = np.array(
        [
            [
                theory.packed_total_variation(p, q, degree)
                for p, q in random_pairs(s, run.config.pairs)
            ]
            for s in run.seeds
        ]
    )
    exact = {
        "lower": lower,
        "upper": upper,
        "missing": theory.packed_total_variation(*MISSING, degree),
        "wrong": theory.packed_total_variation(*WRONG, degree),
    }
    return {
        "least": found.min(axis=1),
        "largest": found.max(axis=1),
        **{name: np.full(len(run.seeds), value) for name, value in exact.items()},
    }


def judge(config: Config, rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Returns the verdict: what was claimed before the run against the results."""
    slack = min(
        min(min(row["least_by_seed"]) - row["lower_mean"] for row in rows),
        min(row["upper_mean"] - max(row["largest_by_seed"]) for row in rows),
    )
    ranked = [row["missing_mean"] - row["wrong_mean"] for row in rows]
    attained = max(abs(row["missing_mean"] - row["upper_mean"]) for row in rows)
    return [
        verdicts.claim(
            "the packed distance of every random pair is within the bounds",
            "no bound passed by more than 1e-6",
            f"nearest to a bound: {slack:.5f} inside",
            slack >= -1e-6,
        ),
        verdicts.claim(
            "packing tells a generator that misses a mode apart from the data more easily than one that weighs "
            "modes wrongly",
            "a larger distance at every m",
            "larger by " + ", ".join(f"{gain:.3f}" for gain in ranked),
            min(ranked) > 0,
        ),
        verdicts.claim(
            "missing a mode altogether attains the upper bound",
            "to 1e-9",
            f"{attained:.0e} away",
            attained <= 1e-9,
        ),
    ]


@drawing.styled
def regions(rows: Sequence[Mapping[str, Any]], degrees: Sequence[int]) -> "Figure":
    """Draws the mode-collapse regions of both generators, and their distances when packed."""
    figure = drawing.new_figure(7.4, 3.1)
    left, right = figure.subplots(1, 2)
    _regions(left)
    m = [1, *degrees]
    bounds = np.array([(TAU, TAU), *((row["lower_mean"], row["upper_mean"]) for row in rows)])
    right.fill_between(m, *bounds.T, color="0.88", label="all pairs at distance 0.2")
    for name, label, style, colour in (
        ("missing", "misses a mode", "o-", drawing.COLOURS[1]),
        ("wrong", "weighs modes wrongly", "s--", drawing.COLOURS[0]),
    ):
        right.plot(
            m, [TAU, *(row[f"{name}_mean"] for row in rows)], style, ms=5, color=colour, label=label
        )
    right.set(xlabel="packing degree m", ylabel="TV(P$^m$, Q$^m$)", xticks=m, ylim=(0, None))
    right.legend(loc="upper left")
    return figure


def _regions(axes: "Axes") -> None:
    for (p, q), label, hatch, style, colour in (
        (MISSING, "misses a mode", "////", "-", drawing.COLOURS[1]),
        (WRONG, "weighs modes wrongly", None, "--", drawing.COLOURS[0]),
    ):
        x, y = theory.mode_collapse_region(p, q).T
        axes.fill(x, y, facecolor="none", edgecolor=colour, hatch=hatch, alpha=0.35, lw=0)
        axes.plot(x, y, color=colour, ls=style, lw=1.5, label=label)
    axes.plot([0, 1], [0, 1], color="0.5", lw=0.8)
    axes.plot([0, 1 - TAU], [TAU, 1], color="0.5", lw=0.8, ls=":", label="δ = ε + 0.2")
    axes.set(
        xlabel="ε, the generator's mass at most",
        ylabel="δ, the data's mass at least",
        xlim=(0, 1),
        ylim=(0, 1),
    )
    axes.set_aspect("equal")
    axes.legend(loc="lower right")


def draw(run: harness.Run, rows: Sequence[Mapping[str, Any]]) -> dict[str, Path]:
    """Draws the figure; returns its path by the name under which it is kept."""
    return {"regions": report.save_figure(run, regions(rows, run.config.degrees), "regions")}


def main(argv: list[str] | None = None) -> None:
    """Measures at every packing degree, reports."""
    run = harness.start("theory_packing", __doc__, PRESETS, argv, check)
    with session(run):
        rows = []
        for degree in run.config.degrees:
            name = f"m={degree}"
            part = harness.once(run, name, lambda d=degree: measure(run, d))
            seconds = part.pop("seconds")
            rows.append(report.row(name, part, seconds=seconds))
        results, figures = report.save_results(
            run,
            rows=rows,
            verdict=judge(run.config, rows),
            columns=COLUMNS,
            figures=lambda: draw(run, rows),
        )
    report.show(run, results, figures)


if __name__ == "__main__":
    main()
