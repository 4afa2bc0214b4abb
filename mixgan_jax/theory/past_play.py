"""Exact games played in turns, each player answering the other's past: cycles, and the averages that converge."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from mixgan_jax.checks import check_array, check_count, check_number, check_weights, is_concrete
from mixgan_jax.game import nash_conv, zero_sum
from mixgan_jax.types import Array


class AtomPlay(NamedTuple):
    """A generator's answers in the game on atoms.

    Attributes:
        atoms: ``[T]`` int32, the atom that it puts all mass on, turn by turn.
        total_variation: ``[T]``, between the data and the average of all answers so far, the first generator included.
    """

    atoms: Array
    total_variation: Array


def atom_play(
    weights: Array, num_turns: int, *, memory: int | None = None, start: int = 0, floor: float = 1e-12
) -> AtomPlay:
    r"""The GAN on K atoms, both players without any limit, each answering the average of the other's past.

    The data have probabilities p. A turn: the discriminator answers the average :math:`\bar q` of the last ``memory``
    generators, and the generator puts all its mass on the atom that is best against the sum of the last ``memory``
    discriminators (the first of several),

    .. math:: D_t = p / (p + \bar q), \qquad k_t = \arg\min_k \sum_s \log(1 - D_s(k)).

    With a memory of 1 this is alternating best response: D scores the atom that the generator is on lowest, and all
    others 1, so that the generator jumps, for ever, between the first two atoms. With all the past it is fictitious
    play (Brown 1951), the idea of Fictitious GAN (Ge, Xia, Chen, Berry and Wu 2018, arXiv 1803.08647): the average
    generator converges to p, while each answer is still a single atom.

    Where D is 1 the logarithm is minus infinity, and one such discriminator would outweigh all others for ever: 1 - D
    is not below ``floor``. How fast the average converges at first depends on it.

    Args:
        weights: p ``[K]``, > 0, of sum 1.
        num_turns: T >= 1.
        memory: how many last players are answered, >= 1; None for all.
        start: the atom of the generator before the first turn, in 0..K-1.
        floor: of 1 - D, > 0 and < 1.

    Returns:
        An :class:`AtomPlay`.

    Raises:
        TypeError, ValueError: arguments that are no such numbers.
    """
    weights = check_weights("weights", weights)
    check_array("weights", weights, rank=1)
    if is_concrete(weights) and not np.all(np.asarray(weights) > 0):
        raise ValueError("weights must be > 0, got some that are 0")
    check_count("num_turns", num_turns)
    memory = None if memory is None else check_count("memory", memory)
    if check_count("start", start, minimum=0) >= weights.shape[0]:
        raise ValueError(f"start must be below the number of atoms, {weights.shape[0]}, got {start}")
    floor = check_number("floor", floor, minimum=0.0, maximum=0.5, strict=True)
    return _atom_play(weights, num_turns, memory, start, floor)


def _atom_play(weights: Array, num_turns: int, memory: int | None, start: int, floor: float) -> AtomPlay:
    dtype, size = weights.dtype, weights.shape[0]
    first = jax.nn.one_hot(start, size, dtype=dtype)
    # What is forgotten leaves the sums again; with all the past nothing is.
    kept = 1 if memory is None else memory
    nothing = jnp.zeros((kept, size), dtype)

    def turn(carry: Any, number: Array) -> tuple[Any, tuple[Array, Array]]:
        played, counts, past_plays, past_losses, losses = carry
        average = counts / jnp.sum(counts)
        loss = jnp.log(jnp.maximum(average / (weights + average), floor))
        slot = number % kept
        if memory is None:
            losses = losses + loss
        else:
            past_losses = past_losses.at[slot].set(loss)
            losses = jnp.sum(past_losses, axis=0)
        atom = jnp.argmin(losses)
        play = jax.nn.one_hot(atom, size, dtype=dtype)
        played = played + play
        if memory is None:
            counts = counts + play
        else:
            # The start was the play of turn -1.
            past_plays = past_plays.at[(number + 1) % kept].set(play)
            counts = jnp.sum(past_plays, axis=0)
        away = 0.5 * jnp.sum(jnp.abs(played / jnp.sum(played) - weights))
        return (played, counts, past_plays, past_losses, losses), (atom.astype(jnp.int32), away)

    carry = (first, first, nothing.at[0].set(first), nothing, jnp.zeros_like(first))
    _, (atoms, away) = jax.lax.scan(turn, carry, jnp.arange(num_turns))
    return AtomPlay(atoms, away)


def fictitious_play(value_matrix: Array, num_turns: int) -> Array:
    """The duality gap of the average strategies in fictitious play of a zero-sum matrix game.

    Both sides move at once, each to its best pure strategy against the other's average so far (the first of several;
    in the first turn that is strategy 0), as Brown (1951) has it. The averages converge (Robinson 1951); in practice
    the gap falls as ``t^(-1/2)``.

    Args:
        value_matrix: ``[I, J]``, finite; rows minimise, columns maximise.
        num_turns: T >= 1.

    Returns:
        ``[T]``, NashConv of the averages after each turn, >= 0.

    Raises:
        TypeError, ValueError: what is no such matrix or number.
    """
    matrix = check_array("value_matrix", value_matrix, rank=2, floating=True, finite=True)
    payoffs = zero_sum(matrix)
    matrix = payoffs.discriminator
    check_count("num_turns", num_turns)
    rows, columns = (jnp.zeros(size, matrix.dtype) for size in matrix.shape)

    def turn(counts: tuple[Array, Array], _: None) -> tuple[tuple[Array, Array], Array]:
        rows, columns = counts
        row = jnp.argmin(jnp.sum(matrix * columns[None], axis=1))
        column = jnp.argmax(jnp.sum(matrix * rows[:, None], axis=0))
        rows, columns = rows.at[row].add(1.0), columns.at[column].add(1.0)
        gap = nash_conv(payoffs, rows / jnp.sum(rows), columns / jnp.sum(columns))
        return (rows, columns), gap

    _, gaps = jax.lax.scan(turn, (rows, columns), length=num_turns)
    return gaps
