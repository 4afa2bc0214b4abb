"""MIX+GAN on rings and grids of Gaussians: do mixtures cover more modes than one GAN, and than one larger GAN?

Claim: modes captured rise with the number of components k, and k = 5 beats both one GAN and one GAN with at least five
times the parameters by more than two standard errors (after Arora, Ge, Liang, Ma and Zhang 2017, arXiv 1703.00573).
Time: ring 2 minutes, grid 4 minutes on two CPU cores; paper and paper_grid want a GPU and have not been timed.

    python -m experiments.mix_gan_ring                       8 modes on two CPU cores (make demo)
    python -m experiments.mix_gan_ring --preset grid         25 modes
    python -m experiments.mix_gan_ring --preset paper        PacGAN's networks, ring and number of steps, 10 seeds
    python -m experiments.mix_gan_ring --preset paper_grid   the same on the grid

The benchmark and its measures are those of VEEGAN and PacGAN (Lin et al. 2018, arXiv 1712.04086), whose table gives one
GAN with its networks 6.3 +- 0.5 of 8 and 17.3 +- 0.8 of 25 modes. Departure in the paper presets: data are drawn fresh,
PacGAN cycles through 100,000 fixed points.

Protocol: seeds are 0, 1, ..., all trained at once in one compiled program; the last iterate is measured, on samples and
reals that training has not seen; no seed and no checkpoint is chosen. The Latin row makes no more network evaluations a
step than the full pairing above it, and spends them on a larger batch; for the ring it is in `pairing`. The cpu preset
had 4 seeds of 10,000 steps and claimed that each mean is above the one before: 7 of 10 runs would repeat that, by a
bootstrap of 26 other seeds. With 14 seeds of 5,000 steps 9,999 of 10,000 runs would repeat all of today's claims.
"""

import dataclasses
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, NamedTuple

import jax
import numpy as np
import optax

import mixgan_jax as mg
from experiments.common import harness, options, report, verdicts
from experiments.common.session import session
from experiments.common.setup import Setup, num_parameters
from mixgan_jax.data import feed_from_distribution, grid, ring
from mixgan_jax.metrics import component_coverage, mode_coverage
from mixgan_jax.networks import MLP, pacgan_discriminator, pacgan_generator, widen
from mixgan_jax.pairing import Pairing
from mixgan_jax.types import Array, Key


@dataclass(frozen=True)
class Config:
    """Everything a run depends on."""

    target: Literal["ring", "grid"] = "ring"
    """8 Gaussians on a ring, or 25 on the grid {-4, -2, 0, 2, 4}^2."""
    radius: options.Positive = 2.0
    """Of the ring."""
    std: options.Positive = 0.02
    """Of each Gaussian."""
    components: options.ComponentsToCompare = (1, 2, 3, 5)
    """Numbers of generators, and of discriminators, from 1 up."""
    latin: bool = True
    """Whether the largest mixture is trained with Latin pairing too."""
    seeds: options.Count = 4
    """Runs of each method, seeds 0, 1, ..."""
    steps: options.Count = 10_000
    """Updates of either side."""
    batch: options.Count = 64
    """Reals in a step, and fakes of each generator; the Latin row has more, see latin_batch."""
    latent_size: options.Count = 16
    """Standard normal latents."""
    width: options.Count = 64
    """Of the two hidden layers of either network."""
    pacgan_networks: bool = False
    """PacGAN's networks instead: batch norm in the generator, maxout in the discriminator."""
    loss: options.LossName = "non_saturating"
    """Of both sides, a name in mixgan_jax.losses."""
    learning_rate: options.Rate = 1e-3
    """Of Adam, both sides."""
    cosine_decay: bool = True
    """Whether the learning rate falls to 0 over the run, along a cosine."""
    beta1: options.Decay = 0.5
    """Of Adam."""
    update: Literal["alternating", "simultaneous"] = "alternating"
    """Whether generators answer updated discriminators."""
    weight_rate: options.Rate = 1e-3
    """Step size of exponentiated gradient."""
    weight_barrier: options.Rate = 0.1
    """Coefficient of -(1/k) sum log w."""
    log_every: options.Count = 500
    """Steps between entries of the log."""


PRESETS = {
    "cpu": Config(components=(1, 2, 5), seeds=14, steps=5000, latin=False),
    "grid": Config(target="grid", std=0.05, steps=20_000),
    "paper": Config(
        radius=1.0,
        std=0.01,
        seeds=10,
        steps=400_000,
        batch=100,
        latent_size=2,
        pacgan_networks=True,
        learning_rate=1e-4,
        cosine_decay=False,
        beta1=0.8,
        update="simultaneous",
        log_every=2000,
    ),
    "smoke": Config(components=(1, 3), seeds=2, steps=40, batch=24, log_every=20),
}
PRESETS["paper_grid"] = dataclasses.replace(PRESETS["paper"], target="grid", std=0.05)

COLUMNS = {
    "modes": ("modes", 2),
    "high_quality": ("HQ %", 1),
    "reverse_kl": ("reverse KL", 3),
    "nash_conv": ("NashConv", 3),
    "effective_components": ("eff. k", 2),
}


def check(config: Config) -> None:
    """Raises ValueError for what would otherwise fail after hours."""
    if config.latin and latin_batch(config) < 1:
        k = max(config.components)
        raise ValueError(f"--batch must be larger for k = {k}, got {config.batch}")


class Method(NamedTuple):
    """One row of the table; without a batch it has the config's."""

    name: str
    components: int
    wide: bool = False
    pairing: Pairing = "full"
    batch: int | None = None


def methods(config: Config) -> list[Method]:
    """The rows: one GAN, one wide GAN, mixtures, the largest mixture with Latin pairing if that is wanted."""
    largest = max(config.components)
    found = [Method("GAN", 1), Method(f"GAN, {largest}x parameters", 1, wide=True)]
    found += [Method(f"MIX+GAN k={k}", k) for k in config.components if k > 1]
    if config.latin:
        name, batch = f"MIX+GAN k={largest}, Latin", latin_batch(config)
        found.append(Method(name, largest, pairing="latin", batch=batch))
    return found


def latin_batch(config: Config) -> int:
    """The largest batch with which Latin pairing makes no more network evaluations a step than full pairing.

    Reals, fakes and fakes judged are 2 k + k^2 evaluations of a batch with full pairing, 3 k with Latin; alternating
    updates make and judge fakes twice.
    """
    k, twice = max(config.components), config.update == "alternating"
    full, latin = (2 * k + 3, 5) if twice else (k + 2, 3)
    return config.batch * full // latin // k * k


def build(config: Config, method: Method) -> Setup:
    """Players, loss, optimisers and data of a method."""
    on_ring = config.target == "ring"
    target = ring(8, config.radius, config.std) if on_ring else grid(5, 2.0, config.std)
    generator, discriminator = players(config, method.wide)
    rate = config.learning_rate
    schedule = optax.cosine_decay_schedule(rate, config.steps) if config.cosine_decay else rate
    tx = optax.adam(schedule, b1=config.beta1)
    loss = options.loss_of(config)
    solver = mg.mix_gan(
        generator,
        discriminator,
        loss,
        num_generators=method.components,
        num_discriminators=method.components,
        latent_size=config.latent_size,
        generator_tx=tx,
        discriminator_tx=tx,
        weight_tx=mg.exponentiated_gradient(config.weight_rate),
        weight_barrier=config.weight_barrier,
        pairing=method.pairing,
        update=config.update,
    )
    feed = feed_from_distribution(target, method.batch or config.batch)
    return Setup(generator, discriminator, solver, feed, loss, config.latent_size)


def players(config: Config, wide: bool) -> tuple[mg.Player, mg.Player]:
    """Generator and discriminator; wide ones have at least as many parameters as all of the largest mixture."""
    times = max(config.components) if wide else 1
    if config.pacgan_networks:
        generator, discriminator = pacgan_generator(), pacgan_discriminator()
    else:
        hidden = (config.width, config.width)
        generator, discriminator = MLP(hidden, outputs=2), MLP(hidden)
    return (
        mg.from_linen(widen(generator, times, config.latent_size)),
        mg.from_linen(widen(discriminator, times, 2)),
    )


def evaluate(setup: Setup, key: Key, state: mg.MixGanState) -> dict[str, Array]:
    """The table's measures of one run, on 2,500 samples of the mixture and 5,000 new reals."""
    target = setup.feed.arrays  # the distribution that batches are drawn from
    keys = jax.random.split(key, 4)
    latents = jax.random.normal(keys[0], (2500, setup.latent_size))
    samples, _ = mg.sample(keys[1], setup.generator, state.generators, latents)
    coverage = mode_coverage(samples, target.means, target.std)
    shape = (state.generators.num_components, 1000, setup.latent_size)
    by_component, _ = mg.generate(
        setup.generator, state.generators, jax.random.normal(keys[2], shape)
    )
    overlap = component_coverage(by_component, target.means, target.std)["overlap"]
    values = held_out(setup, keys[3], state).mean(axis=0)
    weights = (state.generators.weights, state.discriminators.weights)
    return {
        "modes": coverage["modes"],
        "high_quality": 100.0 * coverage["high_quality"],
        "reverse_kl": coverage["reverse_kl"],
        "nash_conv": mg.nash_conv(mg.zero_sum(values), *weights),
        "effective_components": mg.effective_components(state.generators.log_weights),
        "overlap": overlap,
    }


def held_out(setup: Setup, key: Key, state: mg.MixGanState) -> Array:
    """Payoff matrices ``[10, I, J]`` on new data."""
    real_key, key = jax.random.split(key)
    size = 500 - 500 % setup.discriminator.packing
    reals = setup.feed.arrays.sample(real_key, 10 * size).reshape(10, size, 2)
    return setup.values(key, state, reals)


def measure(
    run: harness.Run, method: Method, bar: harness.ProgressBar
) -> tuple[dict[str, Any], mg.MixGanState]:
    """Trains all seeds of a method at once; the table's row, and the state."""
    setup = build(run.config, method)
    look = partial(evaluate, setup)
    state, seconds = harness.train(run, method.name, setup, bar, look)
    metrics = harness.evaluate_seeds(run, look, state)
    parameters = num_parameters(harness.seed(state, 0))
    return report.row(method.name, metrics, parameters=parameters, seconds=seconds), state


def judge(config: Config, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The verdict: what was claimed before the run against what came out."""
    gan, wide, *mixtures = rows[:-1] if config.latin else rows
    largest, counts = mixtures[-1], sorted({1, *config.components})
    rise = verdicts.trend([gan, *mixtures], np.log(counts), "modes")
    text = f"modes rise with k = {', '.join(map(str, counts))}"
    verdict = [verdicts.claim(text, "slope on log k above 0", *rise)]
    for single in (gan, wide):
        more = verdicts.separated(largest, single, "modes")
        text = f"{largest['method']} captures more modes than {single['method']}"
        verdict.append(verdicts.claim(text, "more than 2 standard errors", *more))
    if config.latin:
        behind = verdicts.at_most_behind(rows[-1], largest, "modes", 0.5)
        text = "Latin pairing, with no more network evaluations, is at most half a mode behind full pairing"
        verdict.append(verdicts.claim(text, "difference <= 0.5", *behind))
    return verdict


def draw(run: harness.Run, states: dict[str, mg.MixGanState], rows: list[dict[str, Any]]) -> dict:
    """The figures, all of seed 0: samples of every method, and the payoffs of the largest mixture."""
    config, key = run.config, jax.random.key(0)
    samples, captions = {}, {}
    for method, row in zip(methods(config), rows, strict=True):
        setup = build(config, method)
        state = harness.seed(states[method.name], 0)
        shape = (method.components, 500, config.latent_size)
        drawn, _ = mg.generate(setup.generator, state.generators, jax.random.normal(key, shape))
        samples[method.name] = np.asarray(drawn)
        captions[method.name] = f"{report.cell(row, 'modes', 2)} modes"
        if method.components == max(config.components) and method.pairing == "full":
            matrix = held_out(setup, key, state).mean(axis=0)
            path = run.folder / "payoffs.png"
            payoffs = report.payoff_figure(matrix, state.generators, state.discriminators, path)
    panels = mg.plots.plot_sample_panels(
        samples,
        log_prob=setup.feed.arrays.log_prob,
        centers=np.asarray(setup.feed.arrays.means),
        captions=captions,
    )
    return {"samples": report.save_figure(run, panels, "samples"), "payoffs": payoffs}


def main(argv: list[str] | None = None) -> None:
    """Trains every method, measures, reports."""
    run = harness.start("mix_gan_ring", __doc__, PRESETS, argv, check)
    rows, states = [], {}
    with session(run) as bar:
        for method in methods(run.config):
            row, states[method.name] = measure(run, method, bar)
            rows.append(row)
        verdict, draws = judge(run.config, rows), partial(draw, run, states, rows)
        kept = {"samples": "samples"}
        results, figures = report.save_results(
            run, rows=rows, verdict=verdict, columns=COLUMNS, figures=draws, kept=kept
        )
    report.show(run, results, figures)


if __name__ == "__main__":
    main()
