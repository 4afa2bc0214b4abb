"""Candidates of a double oracle: a new player of each side answers the other side's population, and is measured."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp

from mixgan_jax.players.mixture import Mixture, make_samples
from mixgan_jax.players.payoff import fill_matrix
from mixgan_jax.solvers.core.game import Game
from mixgan_jax.solvers.core.side import MixGanState, Rules, choose, start_side
from mixgan_jax.solvers.core.turns import (
    discriminators_turn,
    draw_latents,
    generators_turn,
    turn_keys,
)
from mixgan_jax.solvers.oracle.restricted_game import Meeting, RestrictedGame
from mixgan_jax.types import Array, Key

RulesOfSides = tuple[Rules, Rules]
"""Rules of the generator and of the discriminator."""


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Candidates:
    """One generator and one discriminator in training.

    Attributes:
        sides: the two, and their optimisers; a frozen one stands still until the next candidate starts.
        losses: ``generator_loss`` and ``discriminator_loss`` ``[]`` of the last update.
        failed: ``frozen_generators`` and ``frozen_discriminators``, bool ``[1]``: whether an update of these or earlier
            candidates was not finite.
    """

    sides: MixGanState
    losses: dict[str, Array]
    failed: dict[str, Array]


def first_candidates(rules: RulesOfSides, generator: Mixture, discriminator: Mixture) -> Candidates:
    """Starts candidates from these players, mixtures of 1."""
    sides = _start_sides(rules, generator, discriminator)
    losses = {name: jnp.float32(0.0) for name in ("generator_loss", "discriminator_loss")}
    return Candidates(sides, losses, sides.frozen)


def next_candidates(
    rules: RulesOfSides,
    before: Candidates,
    new: tuple[Array, Array],
    generator: Mixture,
    discriminator: Mixture,
) -> Candidates:
    """Starts the candidates of the next round.

    Args:
        rules: rules of both sides.
        before: candidates of the last round.
        new: bool ``[]``, whether the generator starts anew, and whether the discriminator does.
        generator: start of a new generator, a mixture of 1.
        discriminator: start of a new discriminator, a mixture of 1.

    Returns:
        New candidates where they start anew, else those before, with their optimisers.
    """
    fresh = _start_sides(rules, generator, discriminator)
    sides = MixGanState(
        choose(new[0], fresh.generator_side, before.sides.generator_side),
        choose(new[1], fresh.discriminator_side, before.sides.discriminator_side),
    )
    return Candidates(sides, before.losses, before.failed)


def respond(
    game: Game,
    rules: RulesOfSides,
    key: Key,
    population: RestrictedGame,
    candidates: Candidates,
    real: Array,
) -> Candidates:
    """Updates each candidate once, against the other side's mixture; neither sees the other.

    Args:
        game: the players, the loss and the options, with one generator and one discriminator.
        rules: rules of both sides.
        key: consumed by latents and penalty.
        population: the opponents.
        candidates: the two.
        real: ``[B, ...]``.

    Returns:
        The candidates after the update.
    """
    (discriminator_key,), generator_key = turn_keys(key)
    discriminator_side, down = discriminators_turn(
        game,
        rules[1],
        discriminator_key,
        population.generators,
        candidates.sides.discriminator_side,
        real,
    )
    generator_side, up = generators_turn(
        game,
        rules[0],
        generator_key,
        candidates.sides.generator_side,
        population.discriminators,
        real,
    )
    sides, info = MixGanState(generator_side, discriminator_side), {**down, **up}
    return Candidates(
        sides,
        {name: info[name] for name in candidates.losses},
        {name: known | sides.frozen[name] for name, known in candidates.failed.items()},
    )


def measure(
    game: Game, key: Key, population: RestrictedGame, candidates: Candidates, real: Array
) -> Meeting:
    """Measures the candidates on one batch: ``2 C + 1`` pairs, each the zero-sum ``value`` of the loss.

    Args:
        game: the players, the loss and the options.
        key: consumed by latents, each generator's own.
        population: the opponents.
        candidates: the two; batch norm takes the batch's statistics, as in training, and keeps none.
        real: ``[B, ...]``.

    Returns:
        A :class:`Meeting`.
    """
    sides = candidates.sides
    several = game._replace(sizes=(population.capacity + 1, 1))
    latents = draw_latents(several, key, real.shape[0])
    mine, _ = make_samples(game.generator, sides.generators, latents[:1], train=True)
    others, _ = make_samples(game.generator, population.generators, latents[1:], train=True)
    row = fill_matrix(game.discriminator, population.discriminators, real, mine, game.loss).values[
        0
    ]
    fakes = jnp.concatenate([mine, others])
    column = fill_matrix(game.discriminator, sides.discriminators, real, fakes, game.loss).values
    return Meeting(row, column[1:, 0], column[0, 0])


def _start_sides(rules: RulesOfSides, generator: Mixture, discriminator: Mixture) -> MixGanState:
    return MixGanState(start_side(rules[0], generator), start_side(rules[1], discriminator))
