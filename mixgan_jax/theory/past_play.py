"""Exact games played in turns, in which each player answers the other's past: cycles, and averages that converge."""

from functools import partial
from typing import Annotated, Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from annotated_types import Gt, Le

from mixgan_jax.checked import checked
from mixgan_jax.checks import check_array, check_weights, on_host
from mixgan_jax.game import nash_conv, zero_sum
from mixgan_jax.types import Array, Count, Shaped, Whole


def check_atoms(name: str, value: Any) -> Array:
    """Returns positive weights ``[K]``."""
    weights = check_array(name, check_weights(name, value), rank=1)
    if on_host(value) and not np.all(np.asarray(value) > 0):
        raise ValueError(f"{name} must be > 0, got some that are 0")
    return weights


Atoms: TypeAlias = Annotated[Array, check_atoms]
"""Probabilities of K atoms, all > 0, ``[K]``."""


@checked
def atom_play(
    weights: Atoms,
    num_turns: Count,
    *,
    memory: Count | None = None,
    start: Whole = 0,
    floor: Annotated[float, Gt(0), Le(0.5)] = 1e-6,
) -> Array:
    r"""Plays the GAN on K atoms: both players are unlimited, and each answers the average of the other's past.

    The data have probabilities p. In each turn the discriminator answers the average :math:`\bar q` of the last
    ``memory`` generators. Then the generator puts all its mass on the atom that is best against the sum of the last
    ``memory`` discriminators (the first of several),

    .. math:: D_t = p / (p + \bar q), \qquad k_t = \arg\min_k \sum_s \log(1 - D_s(k)).

    With a memory of 1 this is alternating best response. D scores the atom that the generator is on lowest and all
    others 1, so the generator jumps between the first two atoms for ever. With all the past it is fictitious play
    (Brown 1951), the idea of Fictitious GAN (Ge, Xia, Chen, Berry and Wu 2018, arXiv 1803.08647). The average generator
    converges to p, while each answer is still a single atom.

    Where D is 1 the logarithm is minus infinity, and one such discriminator would outweigh all others for ever. So
    1 - D is at least ``floor``. How fast the average converges at first depends on it.

    Args:
        weights: p ``[K]``, > 0, of sum 1.
        num_turns: T >= 1.
        memory: how many last players are answered, >= 1; None for all.
        start: the atom of the generator before the first turn, in 0..K-1.
        floor: of 1 - D, > 0 and <= 1/2.

    Returns:
        ``[T]`` int32, the atom that the generator is on after each turn.
    """
    weights = weights.astype(jnp.float32) if weights.dtype.itemsize < 4 else weights
    if start >= weights.shape[0]:
        raise ValueError(
            f"start must be below {weights.shape[0]}, the number of atoms, got {start}"
        )
    # A longer memory than the game is a memory of all.
    kept = num_turns + 1 if memory is None else memory
    play = _all_remembered if kept > num_turns else partial(_some_remembered, memory=kept)
    return play(weights, num_turns, start=start, floor=floor)


@partial(jax.jit, static_argnames=("num_turns", "start", "floor"))
def _all_remembered(weights: Array, num_turns: int, *, start: int, floor: float) -> Array:
    def turn(carry: tuple[Array, Array], _: None) -> tuple[tuple[Array, Array], Array]:
        counts, losses = carry
        losses = losses + _loss(weights, counts.astype(weights.dtype), floor)
        atom = jnp.argmin(losses)
        return (counts.at[atom].add(1), losses), atom.astype(jnp.int32)

    # Whole numbers, because float32 stops growing by 1 at 2^24.
    counts = jnp.zeros(weights.shape, jnp.int32).at[start].set(1)
    carry = (counts, jnp.zeros_like(weights))
    return jax.lax.scan(turn, carry, length=num_turns)[1]


@partial(jax.jit, static_argnames=("num_turns", "start", "floor", "memory"))
def _some_remembered(
    weights: Array, num_turns: int, *, start: int, floor: float, memory: int
) -> Array:
    """Does the same with ring buffers of the last plays and of the last losses, ``[memory, K]``."""

    def turn(carry: tuple[Array, Array], number: Array) -> tuple[tuple[Array, Array], Array]:
        plays, losses = carry
        loss = _loss(weights, jnp.sum(plays, axis=0), floor)
        losses = losses.at[number % memory].set(loss)
        atom = jnp.argmin(jnp.sum(losses, axis=0))
        # The start is the play before turn 0.
        plays = plays.at[(number + 1) % memory].set(_one_hot(atom, weights))
        return (plays, losses), atom.astype(jnp.int32)

    nothing = jnp.zeros((memory, weights.shape[0]), weights.dtype)
    carry = (nothing.at[0].set(_one_hot(start, weights)), nothing)
    return jax.lax.scan(turn, carry, jnp.arange(num_turns))[1]


def _loss(weights: Array, counts: Array, floor: float) -> Array:
    """Returns ``log(1 - D)`` by atom, for the best answer to generators that were on each atom ``counts`` times."""
    average = counts / jnp.sum(counts)
    return jnp.log(jnp.maximum(average / (weights + average), floor))


def _one_hot(atom: Any, weights: Array) -> Array:
    return jax.nn.one_hot(atom, weights.shape[0], dtype=weights.dtype)


@checked
def fictitious_play(
    value_matrix: Annotated[Array, Shaped(2, finite=True)], num_turns: Count
) -> Array:
    """Returns the duality gap of the average strategies in fictitious play of a zero-sum matrix game.

    Both sides move at once, each to its best pure strategy against the other's average so far (the first of several;
    in the first turn that is strategy 0), as Brown (1951) has it. The averages converge (Robinson 1951); in practice
    the gap falls as ``t^(-1/2)``.

    Args:
        value_matrix: ``[I, J]``, finite; rows minimise, columns maximise.
        num_turns: T >= 1.

    Returns:
        ``[T]``, NashConv of the averages after each turn, >= 0.
    """
    matrix = zero_sum(value_matrix).discriminator
    matrix = matrix.astype(jnp.float32) if matrix.dtype.itemsize < 4 else matrix
    return _fictitious_play(matrix, num_turns)


@partial(jax.jit, static_argnames="num_turns")
def _fictitious_play(matrix: Array, num_turns: int) -> Array:
    payoffs = zero_sum(matrix)
    rows, columns = (jnp.zeros(size, jnp.int32) for size in matrix.shape)

    def turn(counts: tuple[Array, Array], _: None) -> tuple[tuple[Array, Array], Array]:
        rows, columns = (count.astype(matrix.dtype) for count in counts)
        row = jnp.argmin(jnp.sum(matrix * columns[None], axis=1))
        column = jnp.argmax(jnp.sum(matrix * rows[:, None], axis=0))
        counts = counts[0].at[row].add(1), counts[1].at[column].add(1)
        rows, columns = (count.astype(matrix.dtype) for count in counts)
        gap = nash_conv(payoffs, rows / jnp.sum(rows), columns / jnp.sum(columns))
        return counts, gap

    _, gaps = jax.lax.scan(turn, (rows, columns), length=num_turns)
    return gaps
