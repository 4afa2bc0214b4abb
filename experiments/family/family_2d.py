"""The family on PacGAN's ring and grid: which choice of opponents, packs and losses covers the modes most evenly?

Claim: PacGAN2 captures more modes than a GAN and MIX with k = 5 more than a GAN with five times the parameters, by more
than two standard errors; these two, DuelGAN against two discriminators that do not duel, Fictitious and Unrolled
against an alternating GAN, and R3-style against a GAN have smaller reverse KLs; PacMIX captures as many modes as either
part of it, but for half of one. In the paper presets, GAN and PacGAN2-4 are as in PacGAN's Table 1 within two standard
errors.
Time: ring 20 and grid 11 minutes on two CPU cores; paper and paper_grid want a GPU and have not been timed.

    python -m experiments family_2d                       ring, narrow networks, on two CPU cores
    python -m experiments family_2d --preset grid         grid, the same networks
    python -m experiments family_2d --preset paper        PacGAN's networks and steps on the ring, 10 seeds
    python -m experiments family_2d --preset paper_grid   the same on the grid

PacGAN's protocol (Lin et al. 2018, arXiv 1712.04086, and its code): two normal latents; 4 x 400 ReLU units with batch
norm against 3 x 200 maxout units of 5 pieces; non-saturating loss; Adam 1e-4, beta1 .8; 400,000 steps of 100 packs from
a fixed set of 100,000, both sides moving from one point; 2,500 samples of the last iterate, with running batch
statistics; ten seeds. Departures: a batch's packs are drawn with replacement, not in epochs; all seeds share one
training set; batch norm in the generator is over all members of all packs, not slot by slot. The cpu presets keep all
that but widths of 32 and 16, LeCun's initialiser, learning rate 1e-3, 10,000 or 15,000 steps, eight seeds or four:
PacGAN's numbers stand below ours for orientation only.

The rows share networks, optimiser, batch and training set. GAN, MIX, PacGAN, R3-style and PacMIX move both sides at
once; the others alternate by their nature, and "GAN, alternating" is what to compare them with. MIX trains its weights.
"Two discriminators" is DuelGAN without the duel (alpha = beta = 0), which is what its released code trains. Fictitious
is sampled from its history of 5. Double oracle keeps 8 players a side and is sampled from their Nash mixture. R3-style
has R3GAN's loss and penalties, gamma = .001 on the ring and .01 on the grid, with our networks and optimiser (not by
its own rules: no normalisation, no momentum). PacMIX has k = 3 and packs of 2; fictitious PacMIX k = 2, packs of 2, and
a history of 5.

NashConv is of the game between the components that are kept, on new data, for the row's own loss, hence 0 by definition
where each side has one; parameters are of all players kept; ms/step is of all seeds together, one reading, and a step
is one batch for whoever moves in it. All seeds of a row are one compiled program: as many programs as rows.

Fixed before the final run, after trials on seeds 100-103, none of which is reported: width, initialiser, steps and
learning rate, so that rows differ and fit the time (narrow networks started as PacGAN's had 5 % good samples on the
grid after 8,000 steps); gamma, the best in reverse KL of {.001, .01, .1, 1} on the ring and {.01, .1} on the grid after
5,000 or 8,000 steps; the claims on reverse KL, since a GAN had 7 of the ring's 8 modes; and PacGAN2 as the one claimed,
since PacGAN4 is slower to train and had 8 % good samples on the ring. At these sizes trials had, in modes, per cent
good and reverse KL, on the ring GAN 6.75, 72, .35, MIX k = 3 8, 73, .14, PacGAN2 8, 76, .09; on the grid GAN 16, 25,
.99, MIX k = 3 25, 65, .17, PacGAN2 12.5, 3, 1.17, PacGAN4 12.25, 2, 1.18. So the grid's packs are claimed against the
trial. Other settings are the papers' (alpha .3, beta .5, depth 5) or were never varied.

The ring was run three times. The first two runs had seeds 0-3, on two kinds of processors, whose rounding makes equal
seeds as good as new ones. They agreed on all claims but two: DuelGAN's held by .17 +- .06, then failed by .00 +- .12;
R3-style's failed by .09 +- .09, then held by .21 +- .09. So the third, which is kept, has eight seeds; claims stayed as
they were. Between the first two the double oracle's rounds were chosen, for its solver had changed, on seeds 100-103
after 5,000 steps: 50 steps and 8 players a side had 6 modes, 67 % good and reverse KL .77; 150 steps 4, 71 and 1.6; and
450 steps and 10 players until the gain is below .01, as the first run had it, 3.5, 44 and 1.6. Why Unrolled loses modes
here is unrolled_ring's subject. Why Fictitious does was tried after the runs, on seeds 100-103: with a record at every
step it had 6.0 modes and reverse KL .52, with a history of 1 and a record every 200 steps 5.0 and 1.51, where the GAN,
alternating, had 7.0 and .44. So what costs modes is that opponents stand still, not that they are averaged.
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
    seeds: options.Count = 8
    """Runs of each method, seeds 0, 1, ..."""
    steps: options.Count = 10_000
    """Updates of either side."""
    batch: options.Count = 100
    """Packs of reals in a step, and of fakes of each generator."""
    width: options.Count = 32
    """Of the generator's hidden layers, an even number; the discriminator's have half as many units, of 5 pieces."""
    init: Init = "lecun"
    """Of the kernels."""
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
    population: options.Count = 8
    """Players of either side that the double oracle keeps."""
    response_steps: options.Count = 50
    """In which its candidates are trained."""
    measure_steps: options.Count = 5
    """In which they are measured."""
    tolerance: options.Rate = 0.0
    """It stops where both candidates together gain less, in nats; 0 to go on."""
    gamma: options.Rate = 0.001
    """Of R1 and of R2, in the R3-style row."""
    log_every: options.Count = 500
    """Steps between entries of the log."""


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
    """Raises ValueError for what would otherwise fail after minutes."""
    if not config.methods or len(set(config.methods)) < len(config.methods):
        raise ValueError(f"--methods must be one or more, each once, got {config.methods}")
    if config.width % 2:
        raise ValueError(f"--width must be even, got {config.width}")
    options.check_timed(config)


def methods(config: Config) -> list[Method]:
    """The rows."""
    own = {name: getattr(config, name) for name in family_methods.Settings._fields}
    known = family_methods.methods(family_methods.Settings(**own))
    return [method for method in known if method.name in config.methods]


def target_of(config: Config) -> GaussianMixture:
    """The distribution of the data."""
    return ring(8, 1.0, config.std) if config.target == "ring" else grid(5, 2.0, config.std)


def players_of(config: Config, method: Method) -> tuple[mg.Player, mg.Player]:
    """Generator and discriminator, packed."""
    nets = family_methods.networks(config.width, config.init, config.latent_size, method.times)
    generator, discriminator = map(mg.from_linen, nets)
    return generator, mg.pack(discriminator, method.packing)


def build(config: Config, method: Method) -> Setup:
    """Players, loss, optimisers and data of a method."""
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
    """The plane's measures of a method's players, on reals that are drawn anew."""
    return plane.evaluate(setup, key, method.players(state))


def measure(
    run: harness.Run, method: Method, bar: harness.ProgressBar
) -> tuple[dict[str, Any], Players]:
    """Trains all seeds of a method at once; the table's row, and the players of seed 0."""
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
    """The figures: samples of seed 0, and measures of all seeds."""
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
    """What the table's rows tell, without the paper's numbers."""
    return family_verdict.judge(rows, [], is_theirs=False)


def main(argv: list[str] | None = None) -> None:
    """Trains every method, measures, reports."""
    run = harness.start("family_2d", __doc__, PRESETS, argv, check)
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
