"""GAN dynamics, exactly: do gradient steps of the discriminator make training fail where its optimum succeeds?

Claim: two Gaussians are learned from every start off the diagonal when the discriminator is optimal, and from about a
tenth of the starts when both players take gradient steps. More discriminator steps do not help (below 0.3), while a
generator that differentiates through 5 virtual ones succeeds in at least 0.7 (step size 0.1) and 0.9 (0.3) of all runs
(after Li, Madry, Peebles and Schmidt 2018, arXiv 1706.09884).
Time: 10 minutes on two CPU cores that had other work; paper, the whole grid for all dynamics, wants a GPU (not timed).

    python -m experiments gan_dynamics                   100 x 100 starts x 100 discriminators, first-order dynamics
    python -m experiments gan_dynamics --preset paper    the same for all dynamics

Protocol, departures and trials are in experiments/two_gaussians/README.md.
"""

import functools
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np

from experiments.common import harness, options, report
from experiments.common.session import session
from experiments.two_gaussians import (
    gan_dynamics_figures as figures,
    gan_dynamics_verdict as verdict,
    interval_examples,
    interval_extensions,
    interval_orders,
)
from experiments.two_gaussians.interval_runs import Rule, Sweep, cells, grid_summary, summary
from mixgan_jax import theory
from mixgan_jax.theory import IntervalState


@dataclass(frozen=True)
class Config:
    """Everything a run depends on."""

    side: options.Samples = 100
    """Side of the grid of starts for the cheap dynamics: optimal, simultaneous, alternating, in order."""
    costly_side: options.Samples = 50
    """Side of the grid of starts for k discriminator steps and for unrolling."""
    discriminators: options.Count = 10
    """Number of runs in a cell, for each seed."""
    seeds: options.Count = 10
    """Number of draws of all discriminators' starts, with seeds 0, 1, ..."""
    steps: options.Count = 3000
    """Number of steps of a run."""
    step_size: options.Positive = 0.1
    """Step size of both players."""
    large_step_size: options.Positive = 0.3
    """Step size of both players in the second column."""
    reach: options.Positive = 2.0
    """Bound of the discriminator's ends at the start: they are drawn from [-reach, reach]."""
    discriminator_steps: options.Sizes = (2, 5, 10, 30)
    """Numbers k of discriminator steps before each generator step; 5 must be among them."""
    depths: options.Sizes = (1, 2, 5, 10)
    """Numbers k of virtual steps; 5 must be among them."""
    starts: options.Count = 100
    """Number of starts for each seed, in the rows beyond the grid."""
    limit: options.Count = 30_000
    """Number of steps after which a run of Theorem 4.1 counts as not arrived."""
    far_steps: options.Count = 20_000
    """Number of steps of the run that starts far out."""
    at_once: options.Count = 640
    """Number of a seed's runs that are played at the same time; the results do not depend on it."""


PRESETS = {
    "cpu": Config(),
    "paper": Config(costly_side=100, seeds=20, starts=1000, at_once=2**16),
    "smoke": Config(
        side=5,
        costly_side=5,
        discriminators=1,
        seeds=2,
        steps=20,
        discriminator_steps=(5,),
        depths=(5,),
        # As many starts as cells, so that all rows have one shape, and share programs.
        starts=15,
        limit=100,
        far_steps=20,
    ),
}

COLUMNS = {
    "success": ("success", 1),
    "large": ("at 0.3", 1),
    "merged": ("merged", 1),
    "inverted": ("inverted", 1),
    "tv": ("TV", 3),
}
SHOWN = 5  # k in figures and claims


def check(config: Config) -> None:
    """Raises ValueError for a config that would fail after minutes."""
    for name in ("discriminator_steps", "depths"):
        if SHOWN not in getattr(config, name):
            flag = name.replace("_", "-")
            raise ValueError(f"--{flag} must hold {SHOWN}, got {getattr(config, name)}")
    if config.step_size == config.large_step_size:
        raise ValueError(f"--large-step-size must be another than step_size = {config.step_size}")


def rules(config: Config) -> list[tuple[Rule, int]]:
    """Lists the rows on the grid, with the grid's side."""
    cheap = [
        Rule("optimal", "optimal"),
        Rule("simultaneous", "simultaneous"),
        Rule("simultaneous, in order", "simultaneous", ordered=True),
        Rule("alternating", "alternating"),
    ]
    costly = [Rule(f"{k} steps", "alternating", k) for k in config.discriminator_steps]
    costly += [Rule(f"unrolled by {k}", "unrolled", k) for k in config.depths]
    return [(rule, config.side) for rule in cheap] + [(rule, config.costly_side) for rule in costly]


def sizes(config: Config) -> tuple[float, float]:
    """Returns both step sizes."""
    return config.step_size, config.large_step_size


def sweep(run: harness.Run) -> Sweep:
    """Returns what all rows share."""
    config = run.config
    return Sweep(config.seeds, config.steps, config.reach, config.at_once, run.seeds[0])


def on_the_grid(run: harness.Run, rule: Rule, side: int) -> dict[str, Any]:
    """Plays a row's runs on the grid; returns, by step size, rates by seed, and maps."""
    config, game = run.config, theory.interval_game(jnp.asarray(interval_examples.TARGET))
    if rule.dynamics != "optimal":
        return {
            f"{size:g}": sweep(run).on_grid(game, rule, side, config.discriminators, size)
            for size in sizes(config)
        }
    # The optimal discriminator has no start, so no seeds: run both step sizes at once, each on its own device.
    both = sweep(run)._replace(seeds=2)
    means = np.stack([cells(side)] * 2)
    found = both.run(game, rule, IntervalState(means, means, means), sizes(config))
    return {
        f"{size:g}": grid_summary(
            {name: value[[i] * config.seeds] for name, value in found.items()}, side
        )
        for i, size in enumerate(sizes(config))
    }


def beyond(run: harness.Run) -> dict[str, Any]:
    """Plays the rows beyond the grid; returns rates by name, step size and seed, and each row's seconds."""
    config, found = run.config, {}
    for setting in interval_extensions.settings():
        started = time.perf_counter()
        start = functools.partial(setting.draw, count=config.starts, reach=config.reach)
        starts = sweep(run).draw(start)
        own = {
            f"{size:g}": summary(sweep(run).run(setting.game(), setting.rule, starts, size))
            for size in sizes(config)
        }
        found[setting.rule.name] = {**own, "seconds": time.perf_counter() - started}
    return found


def row(config: Config, name: str, found: Mapping[str, Any], runs: int) -> dict[str, Any]:
    """Makes a row of the table; keeps the rates of all outcomes for both step sizes, by seed."""
    small, large = (found[f"{size:g}"] for size in sizes(config))
    rates = {
        measure: 100.0 * np.asarray(small[measure])
        for measure in ("success", "merged", "inverted", "escaped")
    }
    metrics = {**rates, "large": 100.0 * np.asarray(large["success"]), "tv": small["tv"]}
    kept = {
        name: {f"{size:g}": found[f"{size:g}"][name] for size in sizes(config)}
        for name in ("fates", "ever_inverted")
    }
    return report.row(name, metrics, seconds=found["seconds"], runs=runs, **kept)


def judge(
    config: Config,
    rows: Sequence[Mapping[str, Any]],
    parts: Mapping[str, Any],
    singles: Mapping[str, Any],
    hits: Mapping[str, Any],
) -> list[dict[str, Any]]:
    """Returns the verdict: what was claimed before the run against the results."""
    return [
        *verdict.of_optimum([parts["optimal"][f"{size:g}"] for size in sizes(config)], config.side),
        *judge_rows(config, rows),
        *verdict.of_single_runs(singles),
        *verdict.of_theorem(hits, config.limit),
    ]


def judge_rows(config: Config, rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Judges the claims that the table's rows decide."""
    named = {entry["method"]: entry for entry in rows}
    plain = [f"{k} steps" for k in config.discriminator_steps]
    of_grid = verdict.of_gradients(named, plain, f"unrolled by {SHOWN}", sizes(config))
    return [*of_grid, *verdict.of_extensions(named)]


def draw(
    run: harness.Run,
    rows: Sequence[Mapping[str, Any]],
    parts: Mapping[str, Any],
    singles: Mapping[str, Any],
    hits: Mapping[str, Any],
) -> dict[str, Path]:
    """Draws the figures; returns their paths by the names under which they are kept."""
    config = run.config
    shown = ("optimal", "simultaneous", "alternating", f"{SHOWN} steps", f"unrolled by {SHOWN}")
    sides = {rule.name: side for rule, side in rules(config)}
    maps = {
        name: {size: parts[name][f"{size:g}"]["map"] for size in sizes(config)} for name in shown
    }
    grid = [entry for entry in rows if entry["method"] in sides]
    made = {
        "success": figures.heat_maps(maps, sides),
        "trajectories": figures.trajectories(singles["paths"]),
        "fates": figures.fates(grid, sizes(config)),
        "collapse": figures.collapse(singles),
        "orders": figures.orders(hits, interval_orders.orders(hits)),
    }
    return {name: report.save_figure(run, figure, name) for name, figure in made.items()}


def main(argv: list[str] | None = None) -> None:
    """Plays all runs, counts, reports."""
    run = harness.start("gan_dynamics", __doc__, PRESETS, argv, check)
    config = run.config
    with session(run):
        parts, runs = {}, {}
        for rule, side in rules(config):
            parts[rule.name] = harness.once(
                run, rule.name, lambda r=rule, s=side: on_the_grid(run, r, s)
            )
            apart = side * (side - 1) // 2
            each = 1 if rule.dynamics == "optimal" else config.discriminators * config.seeds
            runs[rule.name] = apart * each
        rest = harness.once(run, "beyond the grid", lambda: beyond(run))
        for setting in interval_extensions.settings():
            parts[setting.rule.name] = rest[setting.rule.name]
            runs[setting.rule.name] = config.starts * config.seeds
        singles = harness.once(
            run,
            "single runs",
            lambda: {
                "one_step_error": interval_examples.one_step_error(),
                **interval_examples.examples(config.steps, config.far_steps),
            },
        )
        hits = harness.once(
            run, "theorem", lambda: interval_orders.measure(run.seeds, config.limit)
        )
        hits = {name: hits[name] for name in interval_orders.SERIES}
        rows = [row(config, name, found, runs[name]) for name, found in parts.items()]
        found = judge(config, rows, parts, singles, hits)
        draws = partial(draw, run, rows, parts, singles, hits)
        results, files = report.save_results(
            run, rows=rows, verdict=found, columns=COLUMNS, figures=draws
        )
    report.show(run, results, files)


if __name__ == "__main__":
    main()
