"""The restricted game of a double oracle: the players kept so far, the value of each pair, and an equilibrium.

Shapes are fixed: a side is a mixture of C slots, filled from the first on. Empty slots hold copies of the first player
and have weight 0 (log-weight ``-inf``), so samples of the mixture, and answers to it, never meet them.
"""

from dataclasses import dataclass, replace
from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp

from mixgan_jax.game import (
    approximate_equilibrium,
    expected_payoff,
    nash_conv,
    simplex_equilibrium,
    zero_sum,
)
from mixgan_jax.players.mixture import Mixture
from mixgan_jax.solvers.core.side import choose
from mixgan_jax.types import Array


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class RestrictedGame:
    """Both populations and the game between them.

    Attributes:
        generators: C slots, with the weights of an equilibrium of the game.
        discriminators: C slots, with the weights of an equilibrium of the game.
        matrix: ``[C, C]``, the measured zero-sum ``value`` of each pair; generators (rows) minimise it. An empty slot
            has the values of a copy of the first player, or 0; its weight is 0.
        num_generators: int32 ``[]``, slots filled; 0 until the first player was measured.
        num_discriminators: int32 ``[]``, slots filled; 0 until the first player was measured.
        gap: ``[]``, NashConv of the weights in this game: the error of the equilibrium.
    """

    generators: Mixture
    discriminators: Mixture
    matrix: Array
    num_generators: Array
    num_discriminators: Array
    gap: Array

    @property
    def capacity(self) -> int:
        """Number ``C`` of slots."""
        return self.matrix.shape[-1]

    @property
    def measured(self) -> Array:
        """Whether each side has a measured player, bool ``[]``."""
        return (self.num_generators > 0) & (self.num_discriminators > 0)

    @property
    def value(self) -> Array:
        """Value of the game under the weights, ``[]``."""
        return expected_payoff(self.matrix, self.generators.weights, self.discriminators.weights)


class Meeting(NamedTuple):
    """Values of a pair of new players against those kept so far.

    Attributes:
        row: ``[C]``, the new generator against each discriminator.
        column: ``[C]``, each generator against the new discriminator.
        corner: ``[]``, the two against each other.
    """

    row: Array
    column: Array
    corner: Array


def start(generator: Mixture, discriminator: Mixture, capacity: int) -> RestrictedGame:
    """Starts a game of C slots a side, whose first players, mixtures of 1, are not measured yet."""

    def fill(first: Mixture) -> Mixture:
        params, state = jax.tree.map(
            lambda leaf: jnp.repeat(leaf, capacity, axis=0), (first.params, first.state)
        )
        slots = jnp.arange(capacity, dtype=jnp.int32)
        return Mixture(params, state, jnp.where(slots == 0, jnp.float32(0.0), -jnp.inf))

    none = jnp.int32(0)
    matrix = jnp.zeros((capacity, capacity), jnp.float32)
    return RestrictedGame(
        fill(generator), fill(discriminator), matrix, none, none, jnp.float32(0.0)
    )


def no_meeting(capacity: int) -> Meeting:
    """Starts the sums of a round at 0."""
    none = jnp.zeros(capacity, jnp.float32)
    return Meeting(none, none, jnp.float32(0.0))


def gains(game: RestrictedGame, meeting: Meeting) -> tuple[Array, Array]:
    """Computes both new players' gains over the value of the game, ``[]`` each; 0 without a game."""
    chex.assert_shape((meeting.row, meeting.column), (game.capacity,))
    value = game.value
    of_generator = value - jnp.sum(game.discriminators.weights * meeting.row)
    of_discriminator = jnp.sum(game.generators.weights * meeting.column) - value
    return (
        jnp.where(game.measured, of_generator, 0.0),
        jnp.where(game.measured, of_discriminator, 0.0),
    )


def heaviest(mixture: Mixture) -> Mixture:
    """Takes the component of largest weight, the first of several, as a mixture of 1."""
    slot = jnp.argmax(mixture.log_weights)
    params, state = jax.tree.map(lambda leaf: leaf[slot][None], (mixture.params, mixture.state))
    return Mixture(params, state, jnp.zeros(1, jnp.float32))


def admit(
    game: RestrictedGame,
    generator: Mixture,
    discriminator: Mixture,
    meeting: Meeting,
    new_row: Array,
    new_column: Array,
) -> RestrictedGame:
    """Admits the new players that enter, and solves the game.

    A player goes into the next empty slot; where all are full, into the one of least weight, whose player is dropped.

    Args:
        game: the game so far.
        generator: a mixture of 1.
        discriminator: a mixture of 1.
        meeting: the values of the two.
        new_row: bool ``[]``, whether the generator enters.
        new_column: bool ``[]``, whether the discriminator enters.

    Returns:
        The new game.
    """
    row = _slot(game.generators, game.num_generators)
    column = _slot(game.discriminators, game.num_discriminators)
    matrix = game.matrix
    matrix = matrix.at[:, column].set(jnp.where(new_column, meeting.column, matrix[:, column]))
    matrix = matrix.at[row].set(jnp.where(new_row, meeting.row, matrix[row]))
    corner = jnp.where(new_row & new_column, meeting.corner, matrix[row, column])
    return _solved(
        RestrictedGame(
            _written(game.generators, generator, row, new_row),
            _written(game.discriminators, discriminator, column, new_column),
            matrix.at[row, column].set(corner),
            jnp.minimum(game.num_generators + new_row.astype(jnp.int32), game.capacity),
            jnp.minimum(game.num_discriminators + new_column.astype(jnp.int32), game.capacity),
            game.gap,
        )
    )


def _slot(mixture: Mixture, size: Array) -> Array:
    """Returns the next empty slot, or else the slot of least weight, the first of several."""
    slots = jnp.arange(mixture.num_components, dtype=jnp.int32)
    return jnp.argmin(jnp.where(slots < size, mixture.weights, -1.0))


def _written(mixture: Mixture, player: Mixture, slot: Array, when: Array) -> Mixture:
    def write(leaf: Array, new: Array) -> Array:
        return leaf.at[slot].set(jnp.where(when, new[0], leaf[slot]))

    params, state = jax.tree.map(
        write, (mixture.params, mixture.state), (player.params, player.state)
    )
    return Mixture(params, state, mixture.log_weights)


def _solved(game: RestrictedGame) -> RestrictedGame:
    """Sets the weights to an equilibrium of the game; empty slots get exactly 0."""
    slots = jnp.arange(game.capacity, dtype=jnp.int32)
    filled = (
        slots < jnp.maximum(game.num_generators, 1),
        slots < jnp.maximum(game.num_discriminators, 1),
    )
    # An empty slot plays as the first one, which changes neither the game's value nor its certificate. Its weight goes
    # to the first one.
    rows, columns = (jnp.where(known, slots, 0) for known in filled)
    matrix = game.matrix[rows][:, columns]
    vertex, played = simplex_equilibrium(matrix), approximate_equilibrium(matrix)
    equilibrium = choose(vertex.gap <= played.gap, vertex, played)

    def log_weights(weights: Array, known: Array) -> Array:
        extra = jnp.sum(jnp.where(known, 0.0, weights))
        merged = jnp.where(known, weights, 0.0).at[0].add(extra)
        return jax.nn.log_softmax(jnp.log(merged))

    generators = replace(game.generators, log_weights=log_weights(equilibrium.generator, filled[0]))
    discriminators = replace(
        game.discriminators, log_weights=log_weights(equilibrium.discriminator, filled[1])
    )
    gap = nash_conv(zero_sum(matrix), generators.weights, discriminators.weights)
    return replace(game, generators=generators, discriminators=discriminators, gap=gap)
