"""The family on PacGAN's ring and grid: which choice of opponents, packs and losses covers the modes most evenly?

Claim: PacGAN2 captures more modes than a GAN, and MIX with k = 5 more than a GAN with five times the parameters, by
more than two standard errors. These two, DuelGAN, Fictitious, Unrolled and R3-style have smaller reverse KLs than the
rows they answer; PacMIX captures as many modes as either part of it. In the paper presets GAN and PacGAN2-4 are as in
PacGAN's Table 1 (Lin et al. 2018, arXiv 1712.04086) within two standard errors.
Time: ring 20 and grid 11 minutes on two CPU cores; paper and paper_grid want a GPU and have not been timed.

    python -m experiments family_2d                       ring, narrow networks, on two CPU cores
    python -m experiments family_2d --preset grid         grid, the same networks
    python -m experiments family_2d --preset paper        PacGAN's networks and steps on the ring, 10 seeds
    python -m experiments family_2d --preset paper_grid   the same on the grid

Protocol, departures and trials are in experiments/family/README.md.
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
from experiments.common import harness, options, plane, report
from experiments.common.session import session
from experiments.common.setup import Setup, num_parameters
from experiments.family import family_figures, family_methods, family_verdict
from experiments.family.family_methods import Init, Method, Name, Players
from experiments.family.pacgan_tables import published_in_the_plane as published
from mixgan_jax.data import GaussianMixture, feed_from_distribution, feed_from_packs, grid, ring
from mixgan_jax.types import Array, Key


@dataclass(frozen=True)
class Config(options.Mixing):
    """Everything a run depends on."""

    target: Literal["ring", "grid"] = "ring"
    """Data: 8 Gaussians on a ring of radius 1, or 25 on the grid {-4, -2, 0, 2, 4}^2."""
    std: options.Positive = 0.01
    """Standard deviation of each Gaussian."""
    methods: tuple[Name, ...] = get_args(Name)
    """Rows of the table, in any order; each once."""
    points: options.Count = 100_000
    """Number of points in the training set, and of packs put together from it."""
    seeds: options.Count = 8
    batch: options.Count = 100
    """Number of packs of reals in a step, and of packs of fakes of each generator."""
    width: options.Count = 32
    """Width of the generator's hidden layers, an even number; the discriminator has half as many units, of 5 pieces."""
    init: Init = "lecun"
    """Initialiser of the kernels."""
    latent_size: options.Count = 2
    learning_rate: options.Rate = 1e-3
    """Learning rate of Adam, both players."""
    beta1: options.Decay = 0.8
    alpha: options.Share = 0.3
    """Largest alpha of DuelGAN."""
    beta: options.Rate = 0.5
    """Largest beta of DuelGAN, in units of the loss."""
    capacity: options.Count = 5
    """Number of past players that a fictitious player answers."""
    record_every: options.Count = 200
    """Number of steps between two records of a fictitious player's history."""
    depth: options.Count = 5
    """Number of virtual turns of the discriminator in Unrolled."""
    population: options.Count = 8
    """Number of players that the double oracle keeps on either side."""
    response_steps: options.Count = 50
    """Number of steps that train the double oracle's candidates."""
    measure_steps: options.Count = 5
    """Number of steps that measure the double oracle's candidates."""
    tolerance: options.Rate = 0.0
    """Gain of both candidates together, in nats, below which the double oracle stops; 0 to go on."""
    gamma: options.Rate = 0.001
    """Coefficient of R1 and of R2, in the R3-style row."""


PRESETS = {
    "cpu": Config(),
    "grid": Config(
        target="grid",
        std=0.05,
        methods=tuple(name for name in get_args(Name) if name != "fictitious PacMIX"),
        seeds=4,
        steps=15_000,
        gamma=0.01,
    ),
    "paper": Config(
        seeds=10,
        steps=400_000,
        width=400,
        init="pacgan",
        learning_rate=1e-4,
        record_every=2000,
        response_steps=500,
        measure_steps=50,
        log_every=2000,
    ),
    "smoke": Config(
        methods=("GAN", "PacGAN2"),
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
PRESETS["paper_grid"] = dataclasses.replace(
    PRESETS["paper"], target="grid", std=0.05, gamma=PRESETS["grid"].gamma
)

COLUMNS = {
    **family_verdict.MEASURES,
    "nash_conv": ("NashConv", 3),
    "parameters": ("1000 parameters", 1),
    "step_ms": ("ms/step", 2),
}


def check(config: Config) -> None:
    """Raises ValueError for a config that would fail after minutes."""
    if not config.methods or len(set(config.methods)) < len(config.methods):
        raise ValueError(f"--methods must be one or more, each once, got {config.methods}")
    if config.width % 2:
        raise ValueError(f"--width must be even, got {config.width}")
    options.check_timed(config)


def methods(config: Config) -> list[Method]:
    """Lists the rows of the table."""
    own = {name: getattr(config, name) for name in family_methods.Settings._fields}
    known = family_methods.methods(family_methods.Settings(**own))
    return [method for method in known if method.name in config.methods]


def target_of(config: Config) -> GaussianMixture:
    """Returns the distribution of the data."""
    return ring(8, 1.0, config.std) if config.target == "ring" else grid(5, 2.0, config.std)


def players_of(config: Config, method: Method) -> tuple[mg.Player, mg.Player]:
    """Makes generator and packed discriminator."""
    nets = family_methods.networks(config.width, config.init, config.latent_size, method.times)
    generator, discriminator = map(mg.from_linen, nets)
    return generator, mg.pack(discriminator, method.packing)


def build(config: Config, method: Method) -> Setup:
    """Builds players, loss, optimisers and data of a method."""
    generator, discriminator = players_of(config, method)
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
    """Takes the plane's measures of a method's players, on new reals."""
    return plane.evaluate(setup, key, method.players(state))


def measure(
    run: harness.Run, method: Method, bar: harness.ProgressBar
) -> tuple[dict[str, Any], Players]:
    """Trains all seeds of a method at once; returns the table's row, and the players of seed 0."""
    config = run.config
    setup = build(config, method)
    fresh = setup._replace(feed=feed_from_distribution(target_of(config), config.batch))
    look = partial(evaluate, fresh, method)
    state, seconds = harness.train(run, method.name, setup, bar, look)
    metrics = harness.evaluate_seeds(run, look, state)
    players = method.players(harness.seed(state, 0))
    row = report.row(method.name, metrics, seconds=seconds)
    once = report.measured_once(
        parameters=num_parameters(players) / 1000.0,
        step_ms=harness.step_milliseconds(run, method.name),
    )
    return row | once, players


def draw(
    run: harness.Run,
    players: Mapping[str, Players],
    rows: Sequence[Mapping[str, Any]],
    theirs: Sequence[Mapping[str, Any]],
) -> dict[str, Path]:
    """Draws the figures: samples of seed 0, and measures of all seeds."""
    config, target = run.config, target_of(run.config)
    points, captions = {}, {}
    latents_key, key = jax.random.split(jax.random.key(0))
    latents = jax.random.normal(latents_key, (1000, config.latent_size))
    for method, row in zip(methods(config), rows, strict=True):
        generator, generators = players_of(config, method)[0], players[method.name].generators
        drawn, made_by = mg.sample(key, generator, generators, latents)
        components = jnp.arange(generators.num_components)
        own = made_by[None] == components[:, None]
        points[method.name] = np.where(own[..., None], np.asarray(drawn)[None], np.nan)
        captions[method.name] = family_figures.caption(row)
    figures = {
        "samples": family_figures.samples(points, target, captions),
        "measures": family_figures.measures(rows, theirs, target.means.shape[0]),
    }
    return {name: report.save_figure(run, figure, name) for name, figure in figures.items()}


def judge_rows(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Judges the claims that the table's rows decide without the paper's numbers."""
    return family_verdict.judge(rows, [], is_theirs=False)


def main(argv: list[str] | None = None) -> None:
    """Trains every method, measures, reports."""
    run = harness.start("family_2d", __doc__, PRESETS, argv, check, by_train=True)
    config, rows, players = run.config, [], {}
    with session(run) as bar:
        for method in methods(config):
            row, players[method.name] = measure(run, method, bar)
            rows.append(row)
        theirs = published(config)
        verdict = family_verdict.judge(rows, theirs, is_theirs=harness.is_paper_protocol(run))
        draws = partial(draw, run, players, rows, theirs)
        results, figures = report.save_results(
            run, rows=rows, verdict=verdict, columns=COLUMNS, figures=draws, published=theirs
        )
    report.show(run, results, figures)


if __name__ == "__main__":
    main()
