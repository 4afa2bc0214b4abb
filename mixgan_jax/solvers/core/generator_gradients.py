"""Gradients of both sides of a game between mixtures, at given players and latents."""

from collections.abc import Callable
from dataclasses import replace
from typing import Literal, TypeAlias

import jax
import jax.numpy as jnp

from mixgan_jax.adjustments import Adjustment
from mixgan_jax.players.mixture import Mixture, generate
from mixgan_jax.players.pairing import map_discriminators, sum_shares
from mixgan_jax.players.payoff import judge
from mixgan_jax.solvers.core.discriminator_gradients import discriminator_gradients
from mixgan_jax.solvers.core.game import Game, barrier_gradient, draw_latents
from mixgan_jax.solvers.core.side import Gradients
from mixgan_jax.types import Array, Info, Key, ModelState, Params

Update: TypeAlias = Literal["alternating", "simultaneous"]
"""Whether the generators answer the updated discriminators, or both sides move from the same point."""

GeneratorSteps: TypeAlias = int | Callable[[Array], Array]
"""A number of updates, or a function from the discriminators' loss ``[]`` to one, an int32 ``[]``."""


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

    def make(params: Params) -> tuple[Array, ModelState]:
        players = Mixture(params, generators.state, generators.log_weights)
        return generate(game.generator, players, latents, train=True, strategy=game.strategy)

    def one(params: Params, state: ModelState, fakes: Array, weight: Array) -> tuple[Array, Array]:
        def objective(fakes: Array) -> tuple[Array, Array]:
            column = judge(
                game.discriminator, params, state, real, fakes, game.loss, pairing=game.pairing
            )
            losses = -column.payoffs.generator
            return game.num_generators * (weight * (weights @ losses)), losses

        return jax.grad(objective, has_aux=True)(fakes)

    fakes, pull, state = jax.vjp(make, generators.params, has_aux=True)
    by_share, losses = map_discriminators(
        one,
        discriminators,
        fakes,
        discriminators.weights,
        pairing=game.pairing,
        strategy=game.strategy,
    )
    (gradients,) = pull(sum_shares(by_share, game.pairing))
    losses = discriminators.weights @ losses  # [J, I] to [I]
    info = {"generator_loss": weights @ losses, "generator_weights": weights}
    weight_gradient = losses + barrier_gradient(game, weights)
    return Gradients(gradients, weight_gradient, state, losses), info


def simultaneous_gradients(
    game: Game,
    key: Key,
    generators: Mixture,
    discriminators: Mixture,
    real: Array,
    adjust: Adjustment | None = None,
) -> tuple[Gradients, Gradients, Info]:
    """Both sides' gradients at one point and on the same fakes; XLA shares the forward passes.

    Args:
        game: what stays fixed.
        key: consumed, by latents and penalty.
        generators: I.
        discriminators: J.
        real: ``[B, ...]``.
        adjust: of the components' gradients at fixed weights; those of the weights stay as they are.

    Returns:
        The generators' gradients, the discriminators', and the info of both.
    """
    latents_key, penalty_key = jax.random.split(key)
    latents = draw_latents(game, latents_key, real.shape[0])

    def at(generators: Mixture, discriminators: Mixture) -> tuple[Gradients, Gradients, Info]:
        down, discriminator_info = discriminator_gradients(
            game, penalty_key, generators, discriminators, real, latents
        )
        up, generator_info = generator_gradients(game, generators, discriminators, real, latents)
        return up, down, {**discriminator_info, **generator_info}

    up, down, info = at(generators, discriminators)
    if adjust is None:
        return up, down, info

    # Gradients of component k are K times those of the game, whose Jacobian's symmetry adjustments rely on. It is the
    # same game in parameters divided by sqrt(K), and there the factor is sqrt(K) on either side.
    roots = (game.num_generators**0.5, game.num_discriminators**0.5)

    def field(scaled: tuple[Params, Params]) -> tuple[Params, Params]:
        params = _times(scaled, roots)
        up, down, _ = at(
            replace(generators, params=params[0]), replace(discriminators, params=params[1])
        )
        return _divided((up.params, down.params), roots)

    scaled = adjust(field, _divided((generators.params, discriminators.params), roots))
    of_generators, of_discriminators = _times(scaled, roots)
    return up._replace(params=of_generators), down._replace(params=of_discriminators), info


def _times(sides: tuple[Params, Params], factors: tuple[float, float]) -> tuple[Params, Params]:
    first, second = (
        jax.tree.map(lambda leaf, by=by: leaf * jnp.asarray(by, leaf.dtype), side)
        for side, by in zip(sides, factors, strict=True)
    )
    return first, second


def _divided(sides: tuple[Params, Params], factors: tuple[float, float]) -> tuple[Params, Params]:
    return _times(sides, (1.0 / factors[0], 1.0 / factors[1]))
