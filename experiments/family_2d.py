"""The family on PacGAN's ring and grid: which choice of opponents, packs and losses captures the most modes?

Claim: TODO
Time: TODO

    python -m experiments.family_2d                       ring, narrow networks, on two CPU cores
"""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal, get_args

import jax
import jax.numpy as jnp
import numpy as np
import optax

import mixgan_jax as mg
from experiments import mix_gan_ring
from experiments.common import harness, options, report
from experiments.common.progress import Stopwatch
from experiments.common.session import session
from experiments.common.setup import Setup
from experiments.parts import family_figures, family_methods, family_verdict
from experiments.parts.family_methods import Method, Name, Players
from mixgan_jax.data import GaussianMixture, feed_from_distribution, feed_from_packs, grid, ring
from mixgan_jax.types import Array, Key


@dataclass(frozen=True)
class Config:
    """Everything a run depends on."""

    target: Literal["ring", "grid"] = "ring"
    """8 Gaussians on a ring of radius 1, or 25 on the grid {-4, -2, 0, 2, 4}^2."""
    std: options.Positive = 0.01
    """Of each Gaussian."""
    methods: tuple[Name, ...] = get_args(Name)
    """The rows, in any order; each once."""
    points: options.Count = 100_000
    """Of the training set, and packs put together from it."""
    seeds: options.Count = 4
    """Runs of each method, seeds 0, 1, ..."""
    steps: options.Count = 10_000
    """Updates of either side."""
    batch: options.Count = 100
    """Packs of reals in a step, and of fakes of each generator."""
    width: options.Count = 32
    """Of the generator's hidden layers, an even number; the discriminator's have half as many units, of 5 pieces."""
    latent_size: options.Count = 2
    """Standard normal latents."""
    learning_rate: options.Rate = 1e-3
    """Of Adam, both sides."""
    beta1: options.Decay = 0.8
    """Of Adam."""
    weight_rate: options.Rate = 1e-3
    """Step size of exponentiated gradient on mixture weights."""
    weight_barrier: options.Rate = 0.1
    """Coefficient of -(1/k) sum log w."""
    alpha: options.Share = 0.3
    """Of DuelGAN, at its largest."""
    beta: options.Rate = 0.5
    """Of DuelGAN, at its largest."""
    capacity: options.Count = 5
    """Past players that a fictitious player answers."""
    record_every: options.Count = 200
    """Steps between two of them."""
    depth: options.Count = 5
    """Virtual turns of the discriminator in Unrolled."""
    population: options.Count = 10
    """Players of either side that the double oracle keeps."""
    response_steps: options.Count = 450
    """In which its candidates are trained."""
    measure_steps: options.Count = 50
    """In which they are measured."""
    tolerance: options.Rate = 0.01
    """It stops where both candidates together gain less, in nats."""
    gamma: options.Rate = 0.1
    """Of R1 and of R2, in the R3-style row."""
    log_every: options.Count = 500
    """Steps between entries of the log."""


PRESETS = {
    "cpu": Config(),
    "grid": Config(target="grid", std=0.05),
    "paper": Config(
        seeds=10,
        steps=400_000,
        width=400,
        learning_rate=1e-4,
        log_every=2000,
    ),
    "smoke": Config(
        methods=("GAN", "PacGAN2", "Fictitious"),
        points=200,
        seeds=2,
        steps=20,
        batch=12,
        width=8,
        capacity=2,
        record_every=5,
        log_every=10,
    ),
}
PRESETS["paper_grid"] = dataclasses.replace(PRESETS["paper"], target="grid", std=0.05)

COLUMNS = {
    **family_verdict.MEASURES,
    "nash_conv": ("NashConv", 3),
    "parameters": ("1000 parameters", 1),
    "step_ms": ("ms/step", 2),
}


def check(config: Config) -> None:
    """Raises ValueError for what would otherwise fail after minutes."""
    if not config.methods or len(set(config.methods)) < len(config.methods):
        raise ValueError(f"--methods must be one or more, each once, got {config.methods}")
    if config.width % 2:
        raise ValueError(f"--width must be even, got {config.width}")
    if config.steps <= config.log_every:
        raise ValueError(
            f"--steps must be more than log_every = {config.log_every}, got {config.steps}"
        )


def methods(config: Config) -> list[Method]:
    """The rows."""
    own = {name: getattr(config, name) for name in family_methods.Settings._fields}
    known = family_methods.methods(family_methods.Settings(**own))
    return [method for method in known if method.name in config.methods]


def target_of(config: Config) -> GaussianMixture:
    """The distribution of the data."""
    return ring(8, 1.0, config.std) if config.target == "ring" else grid(5, 2.0, config.std)


def build(config: Config, method: Method) -> Setup:
    """Players, loss, optimisers and data of a method."""
    nets = family_methods.networks(config.width, config.latent_size, method.times)
    generator, discriminator = map(mg.from_linen, nets)
    discriminator = mg.pack(discriminator, method.packing)
    loss, tx = method.loss(), optax.adam(config.learning_rate, b1=config.beta1)
    solver = method.solver(
        generator,
        discriminator,
        loss,
        latent_size=config.latent_size,
        generator_tx=tx,
        discriminator_tx=tx,
    )
    points_key, packs_key = jax.random.split(jax.random.key(config.points))
    points = target_of(config).sample(points_key, config.points)
    batch = config.batch * method.packing
    feed = feed_from_packs(packs_key, points, method.packing, batch)
    return Setup(generator, discriminator, solver, feed, loss, config.latent_size)


def evaluate(setup: Setup, method: Method, key: Key, state: Any) -> dict[str, Array]:
    """mix_gan_ring's measures of a method's players, on reals that are drawn anew."""
    return mix_gan_ring.evaluate(setup, key, method.players(state))


def measure(
    run: harness.Run, method: Method, bar: harness.ProgressBar
) -> tuple[dict[str, Any], Players]:
    """Trains all seeds of a method at once; the table's row, and the players of seed 0."""
    config = run.config
    setup = build(config, method)
    fresh = setup._replace(feed=feed_from_distribution(target_of(config), config.batch))
    look = partial(evaluate, fresh, method)
    state, seconds = harness.train(run, method.name, setup, bar, look)
    keys = mg.evaluation_key(harness.seed_keys(config.seeds), config.steps)
    metrics = jax.device_get(jax.jit(jax.vmap(look))(keys, state))
    players = method.players(harness.seed(state, 0))
    row = report.row(method.name, metrics, seconds=seconds)
    size = sum(leaf.size for side in players for leaf in jax.tree.leaves(side.params))
    step_ms = 1000.0 * Stopwatch(harness.method_folder(run, method.name)).step_seconds
    for name, value in (("parameters", size / 1000.0), ("step_ms", step_ms)):
        row |= {f"{name}_mean": value, f"{name}_stderr": None}
    return row, players


def draw(
    run: harness.Run,
    players: Mapping[str, Players],
    rows: Sequence[Mapping[str, Any]],
    theirs: Sequence[Mapping[str, Any]],
) -> dict[str, Path]:
    """The figures: samples of seed 0, and measures of all seeds."""
    config, target = run.config, target_of(run.config)
    points, captions = {}, {}
    latents_key, key = jax.random.split(jax.random.key(0))
    latents = jax.random.normal(latents_key, (1000, config.latent_size))
    for method, row in zip(methods(config), rows, strict=True):
        setup, generators = build(config, method), players[method.name].generators
        drawn, made_by = mg.sample(key, setup.generator, generators, latents)
        components = jnp.arange(generators.num_components)
        own = made_by[None] == components[:, None]
        points[method.name] = np.where(own[..., None], np.asarray(drawn)[None], np.nan)
        captions[method.name] = family_figures.caption(row)
    figures = {
        "samples": family_figures.samples(points, target, captions),
        "measures": family_figures.measures(rows, theirs, target.means.shape[0]),
    }
    return {name: report.save_figure(run, figure, name) for name, figure in figures.items()}


def main(argv: list[str] | None = None) -> None:
    """Trains every method, measures, reports."""
    run = harness.start("family_2d", __doc__, PRESETS, argv, check)
    config, rows, players = run.config, [], {}
    with session(run) as bar:
        for method in methods(config):
            row, players[method.name] = measure(run, method, bar)
            rows.append(row)
        theirs = family_verdict.published(config.target, list(players))
        figures = draw(run, players, rows, theirs)
        verdict = family_verdict.judge(
            rows, theirs, is_theirs=run.preset in ("paper", "paper_grid")
        )
        results = report.save_results(
            run, rows=rows, verdict=verdict, columns=COLUMNS, figures=figures, published=theirs
        )
    report.show(run, results, figures)


if __name__ == "__main__":
    main()
