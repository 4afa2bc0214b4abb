"""Populations of generators and discriminators, random or snapshots of training, and the game between them."""

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

import mixgan_jax as mg
from mixgan_jax import losses
from mixgan_jax.data import feed_from_distribution, ring
from mixgan_jax.networks import MLP
from mixgan_jax.types import Array, Key

TARGET = ring(8, 2.0, 0.02)
LOSSES = {
    "bounded log": losses.measuring(losses.phi_bounded_log(0.1)),
    "D in [0, 1]": losses.measuring(losses.phi_identity()),
    "brier": losses.brier(),
}


def one_of(which: Array) -> mg.GanLoss:
    """Picks a loss by its number, int32 ``[]``, which may be traced: one program serves all losses."""

    def pick(term: str) -> Any:
        functions = [getattr(loss, term) for loss in LOSSES.values()]

        def chosen(**logits: Array) -> Array:
            return jnp.stack([function(**logits) for function in functions])[which]

        return chosen

    terms = {term: pick(term) for term in ("value", "discriminator", "generator")}
    return mg.GanLoss("one of several", **terms, zero_sum=True, relativistic=False, neutral=0.0)


class Sides(NamedTuple):
    """Generators and discriminators.

    Attributes:
        generators: I generators.
        discriminators: J discriminators.
    """

    generators: mg.Mixture
    discriminators: mg.Mixture


class Networks(NamedTuple):
    """The networks of a population, and how they are trained.

    Attributes:
        width: number of units in each of two hidden layers.
        latent_size: number Z of latents.
        batch: number of reals in a step, and of samples of each generator.
        learning_rate: learning rate of Adam.
        loss: loss of both players; its ``value`` is the game's payoff.
        gain: variance of the initial kernels, times the number of inputs.
    """

    width: int
    latent_size: int
    batch: int
    learning_rate: float
    loss: mg.GanLoss
    gain: float = 1.0


def players(networks: Networks) -> tuple[mg.Player, mg.Player]:
    """Makes generator and discriminator."""
    kernel_init = jax.nn.initializers.variance_scaling(networks.gain, "fan_in", "normal")
    make = partial(MLP, (networks.width, networks.width), kernel_init=kernel_init)
    return mg.from_linen(make(outputs=2)), mg.from_linen(make())


def random_population(key: Key, networks: Networks, size: int) -> Sides:
    """Initialises ``size`` generators and as many discriminators."""
    generator, discriminator = players(networks)
    keys = jax.random.split(key)
    latents, samples = jnp.zeros((1, networks.latent_size)), jnp.zeros((1, 2))
    return Sides(
        mg.uniform(keys[0], generator, size, latents),
        mg.uniform(keys[1], discriminator, size, samples),
    )


def train(key: Key, networks: Networks, components: int, steps: int, snapshots: int = 1) -> Sides:
    """Trains MIX+GAN of ``components`` (1: a GAN) on the ring; returns ``snapshots`` of it, leaves ``[T, K, ...]``."""
    generator, discriminator = players(networks)
    tx = optax.adam(networks.learning_rate, b1=0.5)
    solver = mg.mix_gan(
        generator,
        discriminator,
        networks.loss,
        num_generators=components,
        num_discriminators=components,
        latent_size=networks.latent_size,
        generator_tx=tx,
        discriminator_tx=tx,
    )
    feed = feed_from_distribution(TARGET, networks.batch)
    length = steps // snapshots

    def chunk(state: mg.MixGanState, start: Array) -> tuple[mg.MixGanState, Sides]:
        state, _ = mg.run_steps(key, solver, feed, feed.arrays, state, start, length)
        return state, Sides(state.generators, state.discriminators)

    starts = length * jnp.arange(snapshots, dtype=jnp.int32)
    return jax.lax.scan(chunk, mg.init_run(key, solver), starts)[1]


def trained_population(
    key: Key, networks: Networks, size: int, steps: int, snapshots: int
) -> Sides:
    """Trains ``size / snapshots`` independent GANs; returns their evenly spaced snapshots."""
    one = partial(train, networks=networks, components=1, steps=steps, snapshots=snapshots)
    sides = jax.vmap(one)(jax.random.split(key, size // snapshots))
    flat = jax.tree.map(lambda leaf: leaf.reshape(size, *leaf.shape[3:]), sides)
    even = jnp.full(size, -jnp.log(jnp.float32(size)))
    return Sides(*(mg.Mixture(side.params, side.state, even) for side in flat))


def join(*several: Sides) -> Sides:
    """Puts mixtures side by side, with uniform weights in place of their own."""

    def beside(*mixtures: mg.Mixture) -> mg.Mixture:
        trees = [(mixture.params, mixture.state) for mixture in mixtures]
        params, state = jax.tree.map(lambda *leaves: jnp.concatenate(leaves), *trees)
        size = sum(mixture.num_components for mixture in mixtures)
        return mg.Mixture(params, state, jnp.full(size, -jnp.log(jnp.float32(size))))

    return Sides(*(beside(*mixtures) for mixtures in zip(*several, strict=True)))


def values(key: Key, networks: Networks, sides: Sides, samples: int) -> Array:
    """Computes the game ``[I, J]`` of all pairs on ``samples`` new reals and as many fakes of each generator."""
    generator, discriminator = players(networks)
    real_key, key = jax.random.split(key)
    reals = TARGET.sample(real_key, samples)[None]
    # One discriminator after the other: all at once would hold I x J x samples activations.
    options: Any = {"latent_size": networks.latent_size, "strategy": "scan"}
    return mg.held_out_values(
        key, generator, discriminator, *sides, networks.loss, reals, **options
    )[0]


def random_game(key: Key, networks: Networks, size: int, samples: int) -> dict[str, Array]:
    """Computes ``values`` ``[n, n]`` of networks as they are initialised."""
    own, matrix_key = jax.random.split(key)
    return {"values": values(matrix_key, networks, random_population(own, networks, size), samples)}


def trained_game(
    key: Key,
    networks: Networks,
    size: int,
    samples: int,
    *,
    steps: int,
    snapshots: int,
    components: Sequence[int],
) -> dict[str, Array]:
    """Trains a population: ``values`` ``[n, n]``, and ``mix_gan``: NashConv of single GANs, then of MIX+GANs."""
    own, matrix_key, *mixture_keys = jax.random.split(key, 2 + len(components))
    sides = trained_population(own, networks, size, steps, snapshots)
    mixtures = [
        jax.tree.map(lambda leaf: leaf[0], train(mixture_key, networks, k, steps))
        for mixture_key, k in zip(mixture_keys, components, strict=True)
    ]
    game = values(matrix_key, networks, join(sides, *mixtures), samples)
    single = pairs(game[:size, :size], snapshots)
    found = jnp.concatenate([single[None], beside(game, size, mixtures)])
    return {"values": game[:size, :size], "mix_gan": found}


def beside(values: Array, size: int, mixtures: Sequence[Sides]) -> Array:
    """Computes NashConv of each mixture, over deviations to a population's strategies and to its own components.

    Args:
        values: the game ``[n + m, n + m]`` of the population, then all mixtures' components.
        size: number n of the population's strategies.
        mixtures: the mixtures, with m components of either side in all.

    Returns:
        ``[mixtures]``, >= 0.
    """
    found, start = [], size
    for mixture in mixtures:
        own = slice(start, start + mixture.generators.num_components)
        start = own.stop
        p, q = mixture.generators.weights, mixture.discriminators.weights
        rows, columns = values[own], values[:, own]
        by_column = jnp.concatenate([p @ rows[:, :size], p @ rows[:, own]])
        by_row = jnp.concatenate([columns[:size] @ q, columns[own] @ q])
        found.append(by_column.max() - by_row.min())
    return jnp.stack(found)


def pairs(values: Array, snapshots: int) -> Array:
    """Averages NashConv ``[]`` over single GANs: the pairs ``(i, i)`` at every last of ``snapshots``."""
    last = slice(snapshots - 1, None, snapshots)
    return jnp.mean(values[last].max(axis=1) - values[:, last].min(axis=0))
