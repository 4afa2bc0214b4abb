"""A double oracle's candidates: a new player of either side answers the population of the other, and is measured."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp

from mixgan_jax.players.mixture import Mixture, generate
from mixgan_jax.players.payoff import meet
from mixgan_jax.solvers.core.game import Game
from mixgan_jax.solvers.core.gradients import draw_latents
from mixgan_jax.solvers.core.side import MixGanState, Rules, choose, enter
from mixgan_jax.solvers.core.turns import discriminators_turn, generators_turn, turn_keys
from mixgan_jax.solvers.oracle.restricted_game import Meeting, RestrictedGame
from mixgan_jax.types import Array, Key

RulesOfSides = tuple[Rules, Rules]
"""Of the generator, of the discriminator."""


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Candidates:
    """One generator and one discriminator in training.

    Attributes:
        sides: the two, and their optimisers; a frozen one stands still until the next candidate starts.
        losses: ``generator_loss`` and ``discriminator_loss`` ``[]`` of the last update.
        failed: ``frozen_generators`` and ``frozen_discriminators``, bool ``[1]``: whether an update was ever not
            finite, of these or of candidates before them.
    """

    sides: MixGanState
    losses: dict[str, Array]
    failed: dict[str, Array]


def first_candidates(rules: RulesOfSides, generator: Mixture, discriminator: Mixture) -> Candidates:
    """Candidates that start from these players, mixtures of 1."""
    sides = _enter(rules, generator, discriminator)
    losses = {name: jnp.float32(0.0) for name in ("generator_loss", "discriminator_loss")}
    return Candidates(sides, losses, sides.frozen)


def next_candidates(
    rules: RulesOfSides,
    before: Candidates,
    new: tuple[Array, Array],
    generator: Mixture,
    discriminator: Mixture,
) -> Candidates:
    """Candidates of the next round.

    Args:
        rules: how the two are updated.
        before: of the last round.
        new: bool ``[]``, whether the generator starts anew, and whether the discriminator does.
        generator: whom a new one starts from, a mixture of 1.
        discriminator: likewise.

    Returns:
        New candidates where they start anew, and else those before, with their optimisers.
    """
    fresh = _enter(rules, generator, discriminator)
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
    """One update of each candidate, against the other side's mixture; neither sees the other.

    Args:
        game: what stays fixed, with one generator and one discriminator.
        rules: how the two are updated.
        key: consumed, by latents and penalty.
        population: whom they answer.
        candidates: the two.
        real: ``[B, ...]``.

    Returns:
        The candidates after it.
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
    sides = candidates.sides
    several = game._replace(num_generators=population.capacity + 1)
    latents = draw_latents(several, key, real.shape[0])
    mine, _ = generate(game.generator, sides.generators, latents[:1], train=True)
    others, _ = generate(game.generator, population.generators, latents[1:], train=True)
    row = meet(game.discriminator, population.discriminators, real, mine, game.loss).values[0]
    fakes = jnp.concatenate([mine, others])
    column = meet(game.discriminator, sides.discriminators, real, fakes, game.loss).values
    return Meeting(row, column[1:, 0], column[0, 0])


def _enter(rules: RulesOfSides, generator: Mixture, discriminator: Mixture) -> MixGanState:
    return MixGanState(enter(rules[0], generator), enter(rules[1], discriminator))
