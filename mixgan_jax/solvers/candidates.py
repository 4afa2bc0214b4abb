"""A double oracle's candidates: a new player of either side answers the population of the other, and is measured."""

import jax.numpy as jnp

from mixgan_jax.mixture import generate
from mixgan_jax.payoff import meet
from mixgan_jax.solvers.gan_game import Game, draw_latents
from mixgan_jax.solvers.restricted_game import Meeting, RestrictedGame
from mixgan_jax.solvers.side import MixGanState, Rules
from mixgan_jax.solvers.turns import discriminators_turn, generators_turn, turn_keys
from mixgan_jax.types import Array, Info, Key


def respond(
    game: Game,
    rules: tuple[Rules, Rules],
    key: Key,
    population: RestrictedGame,
    candidates: MixGanState,
    real: Array,
) -> tuple[MixGanState, Info]:
    """One update of each candidate, against the other side's mixture; neither sees the other.

    Args:
        game: what stays fixed, with one generator and one discriminator.
        rules: of the generator, of the discriminator.
        key: consumed, by latents and penalty.
        population: whom they answer.
        candidates: the two, and their optimisers.
        real: ``[B, ...]``.

    Returns:
        The candidates after it, and the info of both turns.
    """
    (discriminator_key,), generator_key = turn_keys(key)
    capacity = population.matrix.shape[0]
    discriminator_side, down = discriminators_turn(
        game._replace(num_generators=capacity),
        rules[1],
        discriminator_key,
        population.generators,
        candidates.discriminator_side,
        real,
    )
    generator_side, up = generators_turn(
        game._replace(num_discriminators=capacity),
        rules[0],
        generator_key,
        candidates.generator_side,
        population.discriminators,
        real,
    )
    return MixGanState(generator_side, discriminator_side), {**down, **up}


def measure(
    game: Game, key: Key, population: RestrictedGame, candidates: MixGanState, real: Array
) -> Meeting:
    """What the candidates are worth on one batch: ``2 C + 1`` pairs, each the zero-sum ``value`` of the loss.

    Args:
        game: what stays fixed.
        key: consumed, by latents, each generator's own.
        population: whom the candidates meet.
        candidates: the two; batch norm takes the batch's statistics, as in training, and keeps none.
        real: ``[B, ...]``.

    Returns:
        A :class:`Meeting`.
    """
    several = game._replace(num_generators=population.matrix.shape[0] + 1)
    latents = draw_latents(several, key, real.shape[0])
    mine, _ = generate(game.generator, candidates.generators, latents[:1], train=True)
    others, _ = generate(game.generator, population.generators, latents[1:], train=True)
    row = meet(game.discriminator, population.discriminators, real, mine, game.loss).values[0]
    fakes = jnp.concatenate([mine, others])
    column = meet(game.discriminator, candidates.discriminators, real, fakes, game.loss).values
    return Meeting(row, column[1:, 0], column[0, 0])
