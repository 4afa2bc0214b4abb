"""What does gradient descent-ascent match when the discriminator is linear in random features?

Claim: it finds a saddle at which the mean features agree, and no more: a discriminator linear in the data matches their
mean alone; with more random features the generator's outputs come as near to the data as the features' kernel can tell
(after Balaji et al. 2021, arXiv 2104.05605, whose theorem covers discriminators of random features).
Time: 3 minutes on two CPU cores; paper not timed.

    python -m experiments overparam_features                   up to 128 features, 8 seeds, on two CPU cores
    python -m experiments overparam_features --preset paper    up to 512 features, 20 seeds, a wider generator

Protocol, departures and trials are in experiments/width/README.md.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

import mixgan_jax as mg
from experiments.common import harness, options, report, verdicts
from experiments.common.session import session
from experiments.width import mean_matching, random_features, stability_edge
from mixgan_jax.data import ring
from mixgan_jax.metrics import maximum_mean_discrepancy, sliced_wasserstein
from mixgan_jax.plots import drawing
from mixgan_jax.runs.parallel import map_runs
from mixgan_jax.types import Array, Key

if TYPE_CHECKING:
    from matplotlib.figure import Figure

RATIO = 0.25  # ratio of W's step size to the linearised game's edge
FLOOR = 3e-6  # least error over the first one that float32 resolves
SHOWN = 500  # points in a panel of the figure


@dataclass(frozen=True)
class Config:
    """Everything a run depends on."""

    features: options.Sizes = (8, 32, 128)
    """Numbers P of random features of the discriminators."""
    bandwidth: options.Positive = 0.5
    """Bandwidth of the Gaussian kernel that the features approximate."""
    width: options.Count = 256
    """Number of hidden units of the generator."""
    latent_size: options.Count = 10
    """Number of standard normal latents."""
    latents: options.Samples = 500
    """Number of training latents, fixed."""
    reals: options.Samples = 1000
    """Number of data; as many new ones are drawn to measure on."""
    std: options.Positive = 0.1
    """Standard deviation of each Gaussian of the ring, whose radius is 1."""
    steps: options.Samples = 10_000
    """Number of steps of each player."""
    seeds: options.Count = 8
    """Number of seeds: 0, 1, ..."""


PRESETS = {
    "cpu": Config(),
    "paper": Config(features=(8, 32, 128, 512), width=1024, latents=2000, steps=50_000, seeds=20),
    "smoke": Config(features=(4, 16), width=16, latents=32, reals=64, steps=50, seeds=2),
}

COLUMNS = {
    "error": ("error, %", 2),
    "mean": ("means", 4),
    "mmd": ("MMD^2", 4),
    "new_mmd": ("MMD^2, new", 4),
    "new_sliced": ("sliced W1, new", 3),
}
UNTRAINED = "untrained"


def check(config: Config) -> None:
    """Raises ValueError for a config that would fail after minutes."""
    if len(config.features) < 2:
        raise ValueError(f"--features must be two or more, got {config.features}")


def game(config: Config, count: int | None, key: Key) -> random_features.Game:
    """Draws a seed's game."""
    return random_features.draw(
        key,
        ring(std=config.std, radius=1.0),
        count,
        bandwidth=config.bandwidth,
        width=config.width,
        latent_size=config.latent_size,
        num_latents=config.latents,
        num_reals=config.reals,
    )


def play(
    config: Config, count: int | None, steps: int, key: Key, step_size: Array
) -> dict[str, Array]:
    """Plays one seed, then measures."""
    own = game(config, count, jax.random.fold_in(key, 0))
    played = mean_matching.trajectory(
        own.error, own.problem.hidden, step_size, jnp.ones(()), "simultaneous", steps
    )
    hidden = played["hidden"]
    keys = jax.random.split(jax.random.fold_in(key, 1), 3)
    new_reals = ring(std=config.std, radius=1.0).sample(keys[0], config.reals)
    latents = jax.random.normal(keys[1], (config.reals, config.latent_size))
    new = random_features.outputs(own.problem, hidden, latents)
    fakes = random_features.outputs(own.problem, hidden, own.problem.latents)
    discrepancy = partial(maximum_mean_discrepancy, bandwidth=config.bandwidth)
    first = jnp.linalg.norm(own.error(own.problem.hidden))
    return {
        "error": 100.0 * jnp.linalg.norm(own.error(hidden)) / first,
        "mean": jnp.linalg.norm(jnp.mean(own.reals, axis=0) - jnp.mean(fakes, axis=0)),
        "mmd": discrepancy(own.reals, fakes),
        "new_mmd": discrepancy(new_reals, new),
        "new_sliced": sliced_wasserstein(keys[2], new_reals, new),
        "curve": played["error"],
        "points": fakes,
        "reals": own.reals,
    }


def measure(run: harness.Run, count: int | None, steps: int) -> dict[str, Any]:
    """Measures all seeds of one discriminator; keeps the points of seed 0."""
    config = run.config
    keys = mg.spread_over_devices(harness.seed_keys(run.seeds))

    def tangent(key: Key) -> Array:
        return random_features.kernel(game(config, count, jax.random.fold_in(key, 0)))

    kernels = np.float64(jax.jit(map_runs(keys, tangent))(keys))
    sizes = jnp.float32(RATIO / stability_edge.largest(kernels))
    run = map_runs(keys, partial(play, config, count, steps))
    found = jax.device_get(jax.jit(run)(keys, jax.device_put(sizes, keys.sharding)))
    kept = {name: found[name] for name in COLUMNS}
    marks = np.unique(np.geomspace(1, steps, 60).astype(int)) - 1
    return {
        **kept,
        "marks": marks,
        "curve": np.median(found["curve"], axis=0)[marks],
        "points": np.round(found["points"][0, :SHOWN], 4),
        "reals": np.round(found["reals"][0, :SHOWN], 4),
    }


def methods(config: Config) -> dict[str, tuple[int | None, int]]:
    """Lists the rows: the discriminator's features, and steps."""
    random = {f"P = {count}": (count, config.steps) for count in config.features}
    return {UNTRAINED: (None, 1), "linear": (None, config.steps), **random}


def judge(config: Config, rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Returns the verdict: what was claimed before the run against the results."""
    untrained, linear, *random = rows
    most = max(max(row["error_by_seed"]) for row in random)
    text, further = verdicts.contrast(random[-1], linear, "mmd", "<")
    falling = verdicts.trend(random, np.log(config.features), "mmd", "<")
    gain, held = verdicts.contrast(random[-1], linear, "new_mmd", "<")
    return [
        verdicts.claim(
            "the linear discriminator's saddle matches the means",
            "error at most 0.1 % in every seed",
            f"at most {max(linear['error_by_seed']):.4f} %",
            max(linear["error_by_seed"]) <= 0.1,
        ),
        verdicts.claim(
            "random features come to agree too",
            "error at most 15 % in every seed",
            f"at most {most:.1f} %",
            most <= 15,
        ),
        verdicts.claim(
            "with more features the outputs come nearer to the data",
            f"slope of MMD^2 on log P below 0, P = {', '.join(map(str, config.features))}",
            f"{falling[0]}; linear {linear['mmd_mean']:.2f}, untrained {untrained['mmd_mean']:.2f}",
            falling[1],
        ),
        verdicts.claim(
            f"they do with P = {config.features[-1]} against the linear one",
            verdicts.BELOW,
            text,
            further,
        ),
        verdicts.claim("so they do on new latents and data", verdicts.BELOW, gain, held),
    ]


@drawing.styled
def points(rows: Sequence[Mapping[str, Any]]) -> "Figure":
    """Draws seed 0's data, and the generator's outputs on its training latents against each discriminator."""
    figure = drawing.new_figure(7.2, 2.1)
    panels = figure.subplots(1, len(rows), sharex=True, sharey=True)
    look: dict[str, Any] = {"lw": 0, "rasterized": True}
    for axes, row in zip(panels, rows, strict=True):
        axes.scatter(*np.transpose(row["reals"]), s=6, c="0.75", label="data", **look)
        fakes = np.transpose(row["points"])
        axes.scatter(*fakes, s=4, c=drawing.COLOURS[0], marker="^", label="generated", **look)
        axes.set(xlim=(-2, 2), ylim=(-2, 2), aspect="equal", title=row["method"])
        axes.set(xticks=(-1, 0, 1), yticks=(-1, 0, 1), xlabel="$x_1$")
    panels[0].set_ylabel("$x_2$ (ring of radius 1)")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return figure


@drawing.styled
def errors(rows: Sequence[Mapping[str, Any]]) -> "Figure":
    """Draws the error in the features over the steps, median over seeds."""
    figure = drawing.new_figure(4.8, 2.8)
    axes = figure.add_subplot()
    for index, row in enumerate(rows[1:]):  # the first is not trained
        steps, curve = np.asarray(row["marks"]) + 1, np.asarray(row["curve"])
        axes.plot(
            steps,
            np.where(curve > FLOOR, curve, np.nan),
            color=drawing.COLOURS[index],
            marker=drawing.MARKERS[index],
            markevery=0.12,
            ms=4,
            label=row["method"],
        )
    axes.set(
        xscale="log", yscale="log", xlabel="step", ylabel="error in the features, over the first"
    )
    figure.legend(loc="outside right center")
    return figure


def main(argv: list[str] | None = None) -> None:
    """Plays against every discriminator, reports."""
    run = harness.start("overparam_features", __doc__, PRESETS, argv, check)
    config = run.config
    with session(run):
        rows = []
        for name, (count, steps) in methods(config).items():
            part = harness.once(run, name, lambda c=count, s=steps: measure(run, c, s))
            extra = {key: part[key] for key in ("marks", "curve", "points", "reals", "seconds")}
            rows.append(report.row(name, {key: part[key] for key in COLUMNS}, **extra))

        def draw() -> dict[str, Path]:
            pictures = {"points": points(rows), "errors": errors(rows)}
            return {name: report.save_figure(run, own, name) for name, own in pictures.items()}

        results, figures = report.save_results(
            run, rows=rows, verdict=judge(config, rows), columns=COLUMNS, figures=draw
        )
    report.show(run, results, figures)


if __name__ == "__main__":
    main()
