"""Gradients of both sides of a game between mixtures, at given players and latents."""

from collections.abc import Callable
from typing import Literal, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp

from mixgan_jax import penalties
from mixgan_jax.checks import check_logits
from mixgan_jax.losses import GanLoss
from mixgan_jax.mixture import Mixture, Strategy, generate, uniform
from mixgan_jax.pairing import Pairing, fakes_per_generator, map_discriminators
from mixgan_jax.payoff import meet
from mixgan_jax.player import Player
from mixgan_jax.solvers.side import Gradients
from mixgan_jax.types import Array, Info, Key, LatentSampler, ModelState, Params

Update: TypeAlias = Literal["alternating", "simultaneous"]
"""Whether the generators answer the updated discriminators, or both sides move from the same point."""

GeneratorSteps: TypeAlias = int | Callable[[Array], Array]
"""A number of updates, or a function from the discriminators' loss ``[]`` to one, an int32 ``[]``."""


class Game(NamedTuple):
    """Everything about a game between two mixtures that training does not change; see ``mix_gan``."""

    generator: Player
    discriminator: Player
    loss: GanLoss
    num_generators: int
    num_discriminators: int
    latent_size: int
    latent_sampler: LatentSampler
    shared_latents: bool
    penalty: penalties.Penalty | None
    weight_barrier: float
    pairing: Pairing
    strategy: Strategy


def first_mixtures(game: Game, key: Key) -> tuple[Mixture, Mixture]:
    """Freshly initialised generators and discriminators, with uniform weights, whose shapes fit together."""
    generator_key, discriminator_key = jax.random.split(key)
    latents = jnp.zeros((2, game.latent_size))
    generators = uniform(generator_key, game.generator, game.num_generators, latents)
    stacked = jnp.zeros((game.num_generators, *latents.shape))
    shape, _ = jax.eval_shape(lambda g: generate(game.generator, g, stacked), generators)
    fakes = jnp.zeros(shape.shape[1:], shape.dtype)
    discriminators = uniform(discriminator_key, game.discriminator, game.num_discriminators, fakes)

    def judge(params: Params, state: ModelState) -> Array:
        result = game.discriminator.apply(params, state, fakes, train=False)
        if not (isinstance(result, tuple) and len(result) == 2):
            raise TypeError(
                f"discriminator.apply must return (logits, new_state), got {type(result).__name__}"
            )
        return result[0]

    logits = jax.eval_shape(jax.vmap(judge), discriminators.params, discriminators.state)
    check_logits("discriminator", jax.ShapeDtypeStruct(logits.shape[1:], logits.dtype), 2)
    return generators, discriminators


def draw_latents(game: Game, key: Key, batch: int) -> Array:
    """Latents ``[I, F, Z]`` for a batch of reals; all generators' own, or one set for all of them."""
    fakes = fakes_per_generator(game.pairing, batch, game.num_generators, game.num_discriminators)
    num_sets = 1 if game.shared_latents else game.num_generators
    latents = game.latent_sampler(key, (num_sets, fakes, game.latent_size))
    return jnp.broadcast_to(latents, (game.num_generators, *latents.shape[1:]))


def discriminator_gradients(
    game: Game,
    key: Key,
    generators: Mixture,
    discriminators: Mixture,
    real: Array,
    latents: Array,
) -> tuple[Gradients, Info]:
    """What moves the discriminators: gradients of J times their loss, so that uniform weights cancel.

    Args:
        game: what stays fixed.
        key: consumed by the penalty.
        generators: I, held fixed.
        discriminators: J, differentiated.
        real: ``[B, ...]``.
        latents: ``[I, F, Z]``.

    Returns:
        The gradients, and ``discriminator_loss`` and ``value`` ``[]``, ``values`` ``[I, J]``,
        ``discriminator_weights`` ``[J]``.
    """
    fakes, _ = generate(game.generator, generators, latents, train=True, strategy=game.strategy)
    weights = discriminators.weights

    def objective(params: Params) -> tuple[Array, tuple]:
        players = Mixture(params, discriminators.state, discriminators.log_weights)
        outcome = meet(
            game.discriminator,
            players,
            real,
            fakes,
            game.loss,
            pairing=game.pairing,
            strategy=game.strategy,
        )
        losses = -(generators.weights @ outcome.payoffs.discriminator)  # [J]
        total = losses
        if game.penalty is not None:
            total = total + _penalties(game, key, players, real, fakes, generators.weights)
        return game.num_discriminators * (weights @ total), (losses, outcome)

    gradients, (losses, outcome) = jax.grad(objective, has_aux=True)(discriminators.params)
    info = {
        "discriminator_loss": weights @ losses,
        "value": generators.weights @ outcome.values @ weights,
        "values": outcome.values,
        "discriminator_weights": weights,
    }
    weight_gradient = losses + _barrier_gradient(game, weights)
    return Gradients(gradients, weight_gradient, outcome.state), info


def generator_gradients(
    game: Game, generators: Mixture, discriminators: Mixture, real: Array, latents: Array
) -> tuple[Gradients, Info]:
    """What moves the generators: gradients of I times their loss, so that uniform weights cancel.

    Args:
        game: what stays fixed.
        generators: I, differentiated.
        discriminators: J, held fixed; the passes' batch statistics are not kept.
        real: ``[B, ...]``, looked at by relativistic losses only.
        latents: ``[I, F, Z]``.

    Returns:
        The gradients, and ``generator_loss`` ``[]``, ``generator_weights`` ``[I]``.
    """
    weights = generators.weights

    def objective(params: Params) -> tuple[Array, tuple]:
        players = Mixture(params, generators.state, generators.log_weights)
        fakes, state = generate(
            game.generator, players, latents, train=True, strategy=game.strategy
        )
        outcome = meet(
            game.discriminator,
            discriminators,
            real,
            fakes,
            game.loss,
            pairing=game.pairing,
            strategy=game.strategy,
        )
        losses = -(outcome.payoffs.generator @ discriminators.weights)  # [I]
        return game.num_generators * (weights @ losses), (losses, state)

    gradients, (losses, state) = jax.grad(objective, has_aux=True)(generators.params)
    info = {"generator_loss": weights @ losses, "generator_weights": weights}
    return Gradients(gradients, losses + _barrier_gradient(game, weights), state), info


def _penalties(
    game: Game, key: Key, discriminators: Mixture, real: Array, fakes: Array, weights: Array
) -> Array:
    """Each discriminator's mean penalty ``[J]``, over its generators' fakes with weights ``[I]``."""
    penalty = game.penalty
    assert penalty is not None

    def one(params: Params, state: ModelState, fakes: Array, key: Key) -> Array:
        def critic(inputs: Array) -> Array:
            return game.discriminator.apply(params, state, inputs, train=True)[0]

        def mean(key: Key, fake: Array) -> Array:
            return jnp.mean(penalty(key, critic, real, fake))

        return weights @ jax.vmap(mean)(jax.random.split(key, fakes.shape[0]), fakes)

    keys = jax.random.split(key, game.num_discriminators)
    return map_discriminators(
        one, discriminators, fakes, keys, pairing=game.pairing, strategy=game.strategy
    )


def _barrier_gradient(game: Game, weights: Array) -> Array:
    return game.weight_barrier * jax.grad(penalties.weight_barrier)(weights)
