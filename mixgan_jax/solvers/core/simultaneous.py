"""Simultaneous steps: both sides' gradients at one point, adjusted to the rotation of the game."""

from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp

from mixgan_jax.adjustments import Adjustment
from mixgan_jax.players.mixture import Mixture, make_samples
from mixgan_jax.solvers.core.game import Game
from mixgan_jax.solvers.core.gradients import (
    discriminator_gradients,
    generator_gradients,
)
from mixgan_jax.solvers.core.side import Gradients, Rules, update_side
from mixgan_jax.solvers.core.turns import Step, draw_latents, draw_who_meets, parts_of
from mixgan_jax.types import Array, Info, Key, Params


def simultaneous(game: Game, rules: tuple[Rules, Rules], adjust: Adjustment | None) -> Step:
    """Makes the step of a solver in which both sides move from one point, on the same fakes.

    Args:
        game: the players, the loss and the options.
        rules: rules of the generators, and of the discriminators.
        adjust: a function of the components' gradients, or None.

    Returns:
        ``step(key, state, batch)``, for states that have ``sides``, ``with_sides`` and ``frozen_info``.
    """

    def step(key: Key, state: Any, batch: Array) -> tuple[Any, Info]:
        (real,) = parts_of(key, batch)
        up, down, info = simultaneous_gradients(
            game, key, state.generators, state.discriminators, real, adjust
        )
        gradients = zip(rules, state.sides, (up, down), strict=True)
        state = state.with_sides(*(update_side(*one) for one in gradients))
        return state, {**info, **state.frozen_info}

    return step


def simultaneous_gradients(
    game: Game,
    key: Key,
    generators: Mixture,
    discriminators: Mixture,
    real: Array,
    adjust: Adjustment | None = None,
) -> tuple[Gradients, Gradients, Info]:
    """Computes both sides' gradients at one point and on the same fakes; XLA shares the forward passes.

    Args:
        game: the players, the loss and the options.
        key: consumed by latents and penalty.
        generators: I of them.
        discriminators: J of them.
        real: ``[B, ...]``.
        adjust: a function of the components' gradients at fixed weights; gradients of the weights stay as they are.

    Returns:
        The gradients of the generators and of the discriminators, and the info of both.
    """
    latents_key, penalty_key = jax.random.split(key)
    latents = draw_latents(game, latents_key, real.shape[0])
    met = draw_who_meets(game, latents_key)

    def at(generators: Mixture, discriminators: Mixture) -> tuple[Gradients, Gradients, Info]:
        fakes, _ = make_samples(
            game.generator, generators, latents, train=True, strategy=game.strategy
        )
        down, discriminator_info = discriminator_gradients(
            game, penalty_key, generators.weights, discriminators, real, fakes, met=met
        )
        up, generator_info = generator_gradients(
            game, generators, discriminators, real, latents, met, penalty_key
        )
        return up, down, {**discriminator_info, **generator_info}

    up, down, info = at(generators, discriminators)
    if adjust is None:
        return up, down, info

    # Gradients of component k are K times those of the game, but adjustments rely on the symmetry of the game's
    # Jacobian. In parameters divided by sqrt(K) it is the same game, and the factor is sqrt(K) on either side.
    roots = (generators.num_components**0.5, discriminators.num_components**0.5)

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
