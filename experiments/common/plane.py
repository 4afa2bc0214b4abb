"""Mixtures of generators of points of the plane: the protocol that several experiments share, and its measures.

The benchmark and its measures are those of VEEGAN and PacGAN (Lin et al. 2018, arXiv 1712.04086): 8 Gaussians on a
ring, 25 on a grid; modes captured, the share of high-quality samples, the reverse KL of the modes' histogram.
"""

import dataclasses
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, NamedTuple

import jax
import optax

import mixgan_jax as mg
from experiments.common import harness, options, report
from experiments.common.setup import Setup, num_parameters
from mixgan_jax.data import feed_from_distribution, grid, ring
from mixgan_jax.metrics import component_coverage, mode_coverage
from mixgan_jax.networks import MLP, pacgan_discriminator, pacgan_generator, widen
from mixgan_jax.players.pairing import TrainingPairing
from mixgan_jax.types import Array, Key


@dataclass(frozen=True)
class Config(options.Mixing):
    """Everything a run depends on."""

    target: Literal["ring", "grid"] = "ring"
    """Data: 8 Gaussians on a ring, or 25 on the grid {-4, -2, 0, 2, 4}^2."""
    radius: options.Positive = 2.0
    """Radius of the ring."""
    std: options.Positive = 0.02
    """Standard deviation of each Gaussian."""
    components: options.ComponentsToCompare = (1, 2, 3, 5)
    """Numbers of generators to compare, rising from 1; there are as many discriminators."""
    width: options.Count = 64
    """Number of units in each of the two hidden layers of either network."""
    pacgan_networks: bool = False
    """Whether to use PacGAN's networks: batch norm in the generator, maxout in the discriminator."""
    loss: options.LossName = "non_saturating"
    """Loss of both players, a name in mixgan_jax.losses."""
    learning_rate: options.Rate = 1e-3
    """Learning rate of Adam, both players."""
    cosine_decay: bool = True
    """Whether the learning rate falls to 0 over the run, along a cosine."""
    update: Literal["alternating", "simultaneous"] = "alternating"
    """Whether generators answer the discriminators before (simultaneous) or after their update (alternating)."""


PROTOCOLS = {
    "cpu": Config(),
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
PROTOCOLS["paper_grid"] = dataclasses.replace(PROTOCOLS["paper"], target="grid", std=0.05)

COLUMNS = {
    "modes": ("modes", 2),
    "high_quality": ("HQ %", 1),
    "reverse_kl": ("reverse KL", 3),
    "nash_conv": ("NashConv", 3),
    "effective_components": ("eff. k", 2),
}


class Method(NamedTuple):
    """One row of the table; a batch of None stands for the config's, meetings are the sparse pairing's."""

    name: str
    components: int
    wide: bool = False
    pairing: TrainingPairing = "full"
    batch: int | None = None
    meetings: int = 1


def build(config: Config, method: Method) -> Setup:
    """Builds players, loss, optimisers and data of a method."""
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
        meetings=method.meetings,
        update=config.update,
    )
    feed = feed_from_distribution(target, method.batch or config.batch)
    return Setup(generator, discriminator, solver, feed, loss, config.latent_size)


def players(config: Config, wide: bool) -> tuple[mg.Player, mg.Player]:
    """Makes generator and discriminator; wide ones have at least as many parameters as the whole largest mixture."""
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
    """Takes the table's measures of one run, on 2,500 samples of the mixture and 5,000 new reals."""
    target = setup.feed.arrays  # the distribution of the batches
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
    """Computes payoff matrices ``[10, I, J]`` on new data."""
    real_key, key = jax.random.split(key)
    size = 500 - 500 % setup.discriminator.packing
    reals = setup.feed.arrays.sample(real_key, 10 * size).reshape(10, size, 2)
    return setup.values(key, state, reals)


def measure(
    run: harness.Run, method: Method, bar: harness.ProgressBar
) -> tuple[dict[str, Any], mg.MixGanState]:
    """Trains all seeds of a method at once; returns the table's row, and the state."""
    setup = build(run.config, method)
    look = partial(evaluate, setup)
    state, seconds = harness.train(run, method.name, setup, bar, look)
    metrics = harness.evaluate_seeds(run, look, state)
    parameters = num_parameters(harness.seed(state, 0))
    return report.row(method.name, metrics, parameters=parameters, seconds=seconds), state
