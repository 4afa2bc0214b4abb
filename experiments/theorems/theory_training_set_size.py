"""Training-set size: how many data does a GAN need before more of them stop improving it?

Claim: what the discriminator's class learns by heart, the gap between training and held-out value, falls as n^(-1/2)
with n data, and beyond n = p log p / eps^2 more data improve the distance to the population by less than eps (after
Arora, Ge, Liang, Ma and Zhang 2017, arXiv 1703.00573).
Time: 13 minutes on two CPU cores that had other work; paper wants a GPU, not timed.

    python -m experiments theory_training_set_size                   2 discriminators, 6 seeds, on two CPU cores
    python -m experiments theory_training_set_size --preset paper    3 discriminators, up to 262,144 data, 20 seeds

Protocol, departures and trials are in experiments/theorems/README.md.
"""

import functools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import jax
import numpy as np
import optax

import mixgan_jax as mg
from experiments.common import exponents, harness, options, report, verdicts
from experiments.common.session import session
from mixgan_jax.data import Feed, grid
from mixgan_jax.metrics import neural_net_distance, sliced_wasserstein
from mixgan_jax.networks import MLP
from mixgan_jax.plots import drawing
from mixgan_jax.runs.parallel import map_runs
from mixgan_jax.types import Array, Key

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Config:
    """Everything a run depends on."""

    side: options.Count = 4
    """Number of Gaussians in each row of the grid, and of rows."""
    spacing: options.Positive = 1.0
    """Distance between neighbours on the grid."""
    std: options.Positive = 0.15
    """Standard deviation of each Gaussian."""
    sizes: options.Sizes = (64, 256, 1024, 4096, 16_384)
    """Sizes n of the training set."""
    widths: options.Sizes = (8, 16)
    """Widths of the discriminator's two hidden layers."""
    generator_width: options.Count = 64
    """Width of the generator's two hidden layers."""
    latent_size: options.Count = 8
    """Number of standard normal latents."""
    seeds: options.Count = 6
    """Number of seeds: 0, 1, ..."""
    steps: options.Samples = 12_000
    """Number of steps of the GAN."""
    batch: options.Count = 256
    """Number of reals, and of fakes, in a step of the GAN."""
    learning_rate: options.Rate = 1e-3
    """Learning rate of the generator; the discriminator's is twice that. Both fall to 0 along a cosine."""
    gamma: options.Rate = 0.1
    """Coefficient of R1."""
    delta: options.Positive = 0.1
    """Constant delta of phi(t) = log(delta + (1 - delta) t)."""
    distance_steps: options.Count = 3000
    """Number of steps of Adam for each distance."""
    distance_batch: options.Count = 1024
    """Number of reals, and of fakes, in a step of the distances."""
    restarts: options.Count = 2
    """Number of trainings for each distance, from new initial parameters."""
    pool: options.Samples = 2**17
    """Number of reals of the population to train on, of reals to measure on, and of fakes for either."""
    tolerances: options.Tolerances = (0.1, 0.2, 0.4)
    """Tolerances eps."""


PRESETS = {
    "cpu": Config(),
    "paper": Config(
        sizes=tuple(2**i for i in range(6, 19)),
        widths=(8, 16, 32),
        seeds=20,
        steps=100_000,
        distance_steps=20_000,
        restarts=4,
        pool=2**19,
    ),
    "smoke": Config(
        sizes=(16, 64), widths=(2,), seeds=2, steps=20, distance_steps=10, restarts=1, pool=256
    ),
}

COLUMNS = {
    "value": ("on n data", 3),
    "held_out": ("held out", 3),
    "population": ("population", 3),
    "sliced": ("sliced W1", 3),
}


def check(config: Config) -> None:
    """Raises ValueError for a config that would fail after hours."""
    if len(config.sizes) < 2:
        raise ValueError(f"--sizes must be two or more, got {config.sizes}")
    if config.steps % 2:
        raise ValueError(f"--steps must be even, got {config.steps}")
    if config.delta >= 1:
        raise ValueError(f"--delta must be below 1, got {config.delta}")


def parameters(width: int) -> int:
    """Counts a discriminator's parameters p."""
    return 3 * width + (width + 1) * width + width + 1


def train(config: Config, discriminator: mg.Player, key: Key, data: Array) -> Any:
    """Trains a GAN on the data; returns its generator from latents ``[B, Z]`` to fakes ``[B, 2]``."""
    hidden = (config.generator_width, config.generator_width)
    generator = mg.from_linen(MLP(hidden, outputs=2))

    def tx(rate: float) -> optax.GradientTransformation:
        return optax.adam(optax.cosine_decay_schedule(rate, config.steps), b1=0.5)

    def batch(key: Key, data: Array) -> Array:
        return data[jax.random.randint(key, (config.batch,), 0, data.shape[0])]

    solver = mg.gda(
        generator,
        discriminator,
        mg.losses.measuring(mg.losses.phi_bounded_log(config.delta)),
        latent_size=config.latent_size,
        generator_tx=tx(config.learning_rate),
        discriminator_tx=tx(2 * config.learning_rate),
        penalty=mg.penalties.r1(config.gamma),
    )
    state, _ = mg.run(
        key, solver, Feed(data, batch), num_steps=config.steps, log_every=config.steps // 2
    )
    params, inner = harness.seed((state.generators.params, state.generators.state), 0)
    return lambda latents: generator.apply(params, inner, latents, train=False)[0]


def run_one(
    config: Config, width: int, n: int, key: Key, pool: Array, new: Array
) -> dict[str, Array]:
    """Trains one seed on n data, then measures."""
    target = grid(config.side, config.spacing, config.std)
    discriminator = mg.from_linen(MLP((width, width)))
    keys = jax.random.split(key, 6)
    data = target.sample(keys[0], n)
    generate = train(config, discriminator, keys[1], data)
    latents = jax.random.normal(keys[2], (2, config.pool, config.latent_size))
    fakes, new_fakes = generate(latents[0]), generate(latents[1])

    def distance(key: Key, reals: Array) -> dict[str, Array]:
        return neural_net_distance(
            key,
            discriminator,
            mg.losses.phi_bounded_log(config.delta),
            reals,
            fakes,
            new,
            new_fakes,
            bound=math.sqrt(parameters(width)),
            steps=config.distance_steps,
            restarts=config.restarts,
            learning_rate=0.03,
            batch=config.distance_batch,
        )

    on_data, on_pool = distance(keys[3], data), distance(keys[4], pool)
    return {
        **{name: on_data[name] for name in ("value", "held_out", "gap")},
        "population": on_pool["held_out"],
        "sliced": sliced_wasserstein(keys[5], new, new_fakes),
    }


def measure(run: harness.Run, width: int, n: int) -> dict[str, Any]:
    """Measures all seeds at one n; returns the table's row."""
    config = run.config

    def compute() -> dict[str, Array]:
        target = grid(config.side, config.spacing, config.std)
        reals = target.sample(jax.random.key(2**31 - 1), 2 * config.pool)  # not a seed's key
        keys = mg.spread_over_devices(harness.seed_keys(run.seeds))
        one = functools.partial(run_one, config, width, n)
        return jax.jit(map_runs(keys, one, shared=2))(
            keys, reals[: config.pool], reals[config.pool :]
        )

    part = harness.once(run, f"width {width} n={n}", compute)
    p, metrics = parameters(width), {name: part[name] for name in (*COLUMNS, "gap")}
    return report.row(f"p = {p}, n = {n}", metrics, seconds=part["seconds"], parameters=p, data=n)


def enough(rows: Sequence[Mapping[str, Any]], tolerance: float) -> int:
    """Finds the least n from which on the distance to the population is within ``tolerance`` of the last one."""
    last = rows[-1]["population_mean"]
    for row in reversed(rows):
        if row["population_mean"] - last > tolerance:
            break
        found = row["data"]
    return found


def judge(config: Config, rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Returns the verdict: what was claimed before the run against the results."""
    verdict = []
    for p in (parameters(width) for width in config.widths):
        own = [row for row in rows if row["parameters"] == p]
        gaps = np.maximum([row["gap_by_seed"] for row in own], 1e-4)
        fit = exponents.exponents({"n": [row["data"] for row in own]}, gaps.T)["n"]
        text, got = f"with p = {p} the gap falls as n^(-1/2)", exponents.in_words(fit)
        falls = exponents.agrees(fit, -0.5)
        verdict.append(verdicts.claim(text, "interval contains -0.5", got, falls))
        least = [enough(own, tolerance) for tolerance in config.tolerances]
        constants = [
            n * eps**2 / (p * math.log(p)) for n, eps in zip(least, config.tolerances, strict=True)
        ]
        got = "; ".join(
            f"eps {eps:g}: n = {n}, C = {c:.2g}"
            for eps, n, c in zip(config.tolerances, least, constants, strict=True)
        )
        text = f"with p = {p} more than p log p / eps^2 data improve the distance by less than eps"
        verdict.append(verdicts.claim(text, "C <= 1 for each eps", got, max(constants) <= 1))
        better = verdicts.contrast(own[-1], own[0], "sliced", "<")
        text = (
            f"with p = {p} sliced W1 is smaller at {own[-1]['data']} than at {own[0]['data']} data"
        )
        verdict.append(verdicts.claim(text, verdicts.BELOW, *better))
    return verdict


@drawing.styled
def curves(rows: Sequence[Mapping[str, Any]]) -> "Figure":
    """Draws, over n, a panel for each discriminator: the value on n data, held out, and to the population."""
    sizes = sorted({row["parameters"] for row in rows})
    figure = drawing.new_figure(3.2 * len(sizes) + 0.4, 2.9)
    panels = figure.subplots(1, len(sizes), sharey=True, squeeze=False)[0]
    names = {
        "value": "on the n data",
        "held_out": "same discriminator, held out",
        "population": "to the population",
        "sliced": "sliced $W_1$",
    }
    for axes, p in zip(panels, sizes, strict=True):
        own = [row for row in rows if row["parameters"] == p]
        for index, (name, label) in enumerate(names.items()):
            axes.errorbar(
                [row["data"] for row in own],
                [row[f"{name}_mean"] for row in own],
                yerr=[row[f"{name}_stderr"] or 0.0 for row in own],
                color=drawing.COLOURS[index],
                marker=drawing.MARKERS[index],
                ls=drawing.LINES[index],
                ms=4,
                label=label if p == sizes[0] else None,
            )
        axes.set(xscale="log", xlabel="training data $n$", title=f"p = {p}")
    panels[0].set(ylabel="distance")
    panels[0].set_ylim(bottom=0.0)
    figure.legend(loc="outside lower center", ncols=2)
    return figure


def main(argv: list[str] | None = None) -> None:
    """Trains on every n, measures, reports."""
    run = harness.start("theory_training_set_size", __doc__, PRESETS, argv, check)
    with session(run):
        pairs = [(width, n) for width in run.config.widths for n in run.config.sizes]
        rows = [measure(run, width, n) for width, n in pairs]
        results, figures = report.save_results(
            run,
            rows=rows,
            verdict=judge(run.config, rows),
            columns=COLUMNS,
            figures=lambda: {"curves": report.save_figure(run, curves(rows), "curves")},
        )
    report.show(run, results, figures)


if __name__ == "__main__":
    main()
