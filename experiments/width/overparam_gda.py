"""How wide must a generator be for gradient descent-ascent to find the global saddle, and how fast does it get there?

Claim: with a linear discriminator it is found in those runs, and only those, in which it exists. The share of these
rises with the width as Wendel's theorem says, from none below the data's dimension to all. Beyond that, width makes
the tangent kernel well conditioned and convergence fast. The step size at which the game turns unstable is that of its
linearisation (after Balaji et al. 2021, arXiv 2104.05605).
Time: 5 minutes on two CPU cores; paper not timed.

    python -m experiments overparam_gda                   32 seeds, widths 1 to 2048, on two CPU cores
    python -m experiments overparam_gda --preset paper    200 seeds, widths up to 8192

Protocol, departures and trials are in experiments/width/README.md.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import mixgan_jax as mg
from experiments.common import harness, options, report
from experiments.common.session import session
from experiments.width import mean_matching, overparam_figures, overparam_verdict, stability_edge
from experiments.width.mean_matching import Problem
from mixgan_jax.runs.parallel import map_runs
from mixgan_jax.theory import condition_number
from mixgan_jax.types import Array, Key

WIDEST_CONDITION = 1e7  # beyond this float32 cannot tell a kernel from a singular one
DECAY_FITTED = (1e-5, 2.0)  # errors over the first one


@dataclass(frozen=True)
class Config:
    """Everything a run depends on."""

    widths: options.Sizes = (1, 2, 3, 5, 8, 16, 32, 64, 128, 512, 2048)
    """Numbers k of hidden units of the generator."""
    seeds: options.Count = 32
    """Number of problems, with seeds 0, 1, ..."""
    latent_size: options.Count = 10
    """Number of standard normal latents."""
    dimension: options.Count = 5
    """Dimension D of the data."""
    latents: options.Count = 100
    """Number of latents in the generator's mean, fixed."""
    ratio: options.Positive = 0.25
    """Step size of W, times the largest eigenvalue of K at the start."""
    tolerance: options.Positive = 1e-4
    """Error at which a run has converged, as a share of the first error."""
    most: options.Count = 20_000
    """Number of steps after which a run counts as not converged."""
    shown: options.Samples = 300
    """Number of steps of the curves that are fitted and drawn."""
    edge_width: options.Count = 512
    """Width k at which the edge of stability is looked for."""
    edge_ratios: options.Tolerances = (
        *(0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.98),
        *(1.02, 1.05, 1.1, 1.25, 1.5, 2.0),
    )
    """Step sizes around the edge of stability, over the predicted edge."""
    edge_steps: options.Samples = 600
    """Number of steps of each run around the edge of stability."""


PRESETS = {
    "cpu": Config(),
    "paper": Config(
        widths=(1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 16, 24, 32, 64, 128, 512, 2048, 8192),
        seeds=200,
        edge_width=2048,
        edge_steps=2000,
    ),
    "smoke": Config(
        widths=(3, 32, 64),
        seeds=2,
        most=400,
        shown=60,
        edge_width=64,
        edge_ratios=(0.5, 1.5),
        edge_steps=40,
    ),
}

COLUMNS = {
    "converged": ("% converged", 0),
    "steps": ("steps", 0),
    "max_converged": ("% GDmax", 0),
    "max_steps": ("steps GDmax", 0),
    "error": ("last error, %", 1),
    "log_condition": ("log10 cond K", 2),
}


def check(config: Config) -> None:
    """Raises ValueError for a config that would fail after minutes."""
    wide = [k for k in config.widths if k >= overparam_verdict.ALL_CONVERGE]
    if config.widths[0] >= config.dimension or len(wide) < 2:
        raise ValueError(
            f"--widths must start below the dimension {config.dimension} and hold two from "
            f"{overparam_verdict.ALL_CONVERGE} on, got {config.widths}"
        )
    if config.edge_width < overparam_verdict.ALL_CONVERGE:
        # Narrower generators may have no solution to be near.
        raise ValueError(
            f"--edge-width must be at least {overparam_verdict.ALL_CONVERGE}, got {config.edge_width}"
        )
    if config.tolerance >= 1 or config.ratio >= 1:
        name = "tolerance" if config.tolerance >= 1 else "ratio"
        raise ValueError(f"--{name} must be below 1, got {getattr(config, name)}")


def problems(run: harness.Run, width: int) -> Problem:
    """Draws all seeds' problems, leaves ``[S, ...]``, over all devices."""
    config = run.config
    keys = mg.spread_over_devices(harness.seed_keys(run.seeds))
    draw = partial(
        mean_matching.draw,
        width=width,
        latent_size=config.latent_size,
        dimension=config.dimension,
        num_latents=config.latents,
    )
    return jax.jit(map_runs(keys, draw))(keys)


def play(config: Config, key: Key, problem: Problem, step_size: Array) -> dict[str, Any]:
    """Plays one seed's problem; the key only says which device works on it."""
    del key
    error = partial(mean_matching.mean_error, problem)
    played: dict[str, Any] = {
        order: mean_matching.play(
            error,
            problem.hidden,
            step_size,
            order,
            tolerance=config.tolerance,
            most=config.most,
        )
        for order in ("simultaneous", "alternating")
    }
    games = {"net": error, "linear": mean_matching.linearised(error, problem.hidden)}
    for name, game in games.items():
        curve = mean_matching.trajectory(
            game, problem.hidden, step_size, jnp.ones(()), "simultaneous", config.shown
        )
        played[name] = curve["error"]
    return played


def measure(run: harness.Run, width: int) -> dict[str, Any]:
    """Measures one width, by seed."""
    config, drawn = run.config, problems(run, width)
    kernels = stability_edge.kernels(drawn, drawn.hidden)
    keys = mg.spread_over_devices(harness.seed_keys(run.seeds))
    sizes = jax.device_put(
        jnp.float32(config.ratio / stability_edge.largest(kernels)), keys.sharding
    )
    played = jax.device_get(jax.jit(map_runs(keys, partial(play, config)))(keys, drawn, sizes))
    fit = partial(mean_matching.decay, low=DECAY_FITTED[0], high=DECAY_FITTED[1])
    simultaneous, alternating = played["simultaneous"], played["alternating"]
    host = jax.device_get(drawn)
    return {
        "steps": simultaneous["steps"],
        "error": simultaneous["error"],
        "max_steps": alternating["steps"],
        "max_error": alternating["error"],
        "reachable": [mean_matching.reachable(harness.seed(host, s)) for s in range(config.seeds)],
        "condition": [
            min(float(condition_number(k)), WIDEST_CONDITION) for k in jnp.float32(kernels)
        ],
        **{
            f"{name}_decay": np.apply_along_axis(fit, -1, np.float64(played[name]))
            for name in ("net", "linear")
        },
        **{f"{name}_curve": np.median(played[name], axis=0) for name in ("net", "linear")},
    }


def measure_edge(run: harness.Run, case: str) -> dict[str, Any]:
    """Measures factors a step below and above the predicted edge, see ``stability_edge``."""
    config, drawn = run.config, problems(run, run.config.edge_width)
    kernels = stability_edge.kernels(drawn, drawn.hidden)
    sizes = jnp.float32(config.ratio / stability_edge.largest(kernels))

    def solve(problem: Problem, step_size: Array) -> Array:
        error = partial(mean_matching.mean_error, problem)
        return mean_matching.play(
            error, problem.hidden, step_size, "simultaneous", tolerance=1e-4, most=config.most
        )["hidden"]

    solutions = jax.jit(jax.vmap(solve))(drawn, sizes)
    return stability_edge.measure(drawn, solutions, case, config.edge_ratios, config.edge_steps)


def row(config: Config, width: int, found: Mapping[str, Any]) -> dict[str, Any]:
    """Makes a row of the table; keeps the numbers behind it too."""
    converged = {
        name: np.asarray(found[name]) <= config.tolerance for name in ("error", "max_error")
    }
    metrics = {
        "converged": 100.0 * converged["error"],
        "steps": found["steps"],
        "max_converged": 100.0 * converged["max_error"],
        "max_steps": found["max_steps"],
        "error": 100.0 * np.asarray(found["error"]),
        "log_condition": np.log10(found["condition"]),
    }
    extra = ("reachable", "net_decay", "linear_decay", "net_curve", "linear_curve")
    return report.row(
        f"k = {width}",
        metrics,
        seconds=found["seconds"],
        width=width,
        **{name: found[name] for name in extra},
    )


def judge(config: Config, rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Returns the verdict: what was claimed before the run against the results."""
    return overparam_verdict.judge(config, rows, rows[-1]["edges"])


def main(argv: list[str] | None = None) -> None:
    """Plays at every width and step size, reports."""
    run = harness.start("overparam_gda", __doc__, PRESETS, argv, check)
    config = run.config
    with session(run):
        rows = [
            row(config, k, harness.once(run, f"k={k}", lambda k=k: measure(run, k)))
            for k in config.widths
        ]
        edges = {
            case: harness.once(run, f"edge {case}", lambda c=case: measure_edge(run, c))
            for case in stability_edge.CASES
        }
        rows[-1]["edges"] = edges
        rows[-1]["seconds"] += sum(edge["seconds"] for edge in edges.values())
        verdict = judge(config, rows)
        results, figures = report.save_results(
            run, rows=rows, verdict=verdict, columns=COLUMNS, figures=lambda: draw(run, rows, edges)
        )
    report.show(run, results, figures)


def draw(
    run: harness.Run, rows: Sequence[Mapping[str, Any]], edges: Mapping[str, Any]
) -> dict[str, Path]:
    """Draws the figures; returns their paths by the names under which they are kept."""
    config = run.config
    figures = {
        "widths": overparam_figures.widths(rows, config.dimension),
        "decay": overparam_figures.decay(rows),
        "edge": overparam_figures.edge(edges),
    }
    return {name: report.save_figure(run, figure, name) for name, figure in figures.items()}


if __name__ == "__main__":
    main()
