"""Finite matrix games between a generator and a discriminator: best responses, NashConv, equilibria.

Conventions, everywhere in this module:
    rows ``I`` are the generator's strategies and columns ``J`` the discriminator's. The discriminator maximises a
    *value* matrix ``V [I, J]``, and the generator minimises it. ``Payoffs`` hold one matrix for each side, which the
    side *maximises*, since many GAN losses are not zero-sum. Mixed strategies are **weights** (non-negative, sum 1
    over the last axis), never log-weights.

Matrices of whole numbers become JAX's default floating-point type, float32 unless ``jax_enable_x64`` is set.

Everything but :func:`zero_sum_equilibrium` is pure ``jax.numpy`` and works under ``jit`` and ``vmap``; leading axes of
payoffs and weights, where a docstring shows them, broadcast.
"""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from mixgan_jax.checked import checked
from mixgan_jax.game import exact, in_graph
from mixgan_jax.game.arguments import Bimatrix, KnownMatrix, Matrices, Matrix, align, align_game
from mixgan_jax.game.exact import (
    Equilibrium as Equilibrium,
    EquilibriumError as EquilibriumError,
)
from mixgan_jax.types import Array, Count, Positive, Weights


class Payoffs(NamedTuple):
    """The payoffs that each side maximises when generator ``i`` meets discriminator ``j``.

    Attributes:
        generator: ``[..., I, J]``.
        discriminator: ``[..., I, J]``; the negative of ``generator`` only where the loss is zero-sum.
    """

    generator: Array
    discriminator: Array


class BestResponse(NamedTuple):
    """One side's best pure strategy against fixed opponent weights.

    Attributes:
        strategy: ``[...]``, int: its index (the first of several equally good ones).
        payoff: ``[...]``: its payoff.
        payoffs: ``[..., I]`` or ``[..., J]``: the payoff of each pure strategy of this side.
    """

    strategy: Array
    payoff: Array
    payoffs: Array


class BestResponses(NamedTuple):
    """The best responses of both sides, each to the other's weights.

    Attributes:
        generator: the generator's best response to the discriminator's weights.
        discriminator: the discriminator's best response to the generator's weights.
    """

    generator: BestResponse
    discriminator: BestResponse


@checked
def zero_sum(value: Matrices) -> Payoffs:
    """Makes the payoffs of a zero-sum loss: the generator earns ``-value``, the discriminator ``value``.

    Args:
        value: ``[..., I, J]``, finite.

    Returns:
        ``Payoffs(-value, value)``.

    Example:
        >>> import mixgan_jax as mg
        >>> payoffs = mg.zero_sum([[1.0, -1.0], [-1.0, 1.0]])  # matching pennies
        >>> payoffs.generator.tolist()
        [[-1.0, 1.0], [1.0, -1.0]]
    """
    matrix = jnp.asarray(value)
    return Payoffs(generator=-matrix, discriminator=matrix)


@checked
def expected_payoff(matrix: Matrices, row_weights: Weights, column_weights: Weights) -> Array:
    """Computes ``p^T A q``, the payoff when both sides draw their strategies independently.

    Args:
        matrix: ``[..., I, J]``.
        row_weights: weights ``[..., I]``, on the simplex.
        column_weights: weights ``[..., J]``, on the simplex.

    Returns:
        ``[...]``.
    """
    matrix, rows, columns = align(
        jnp.asarray(matrix), row_weights=row_weights, column_weights=column_weights
    )
    return _expected(matrix, rows, columns)


def _expected(matrix: Array, rows: Array, columns: Array) -> Array:
    return jnp.sum(rows[..., None] * matrix * columns[..., None, :], axis=(-2, -1))


@checked
def best_responses(
    payoffs: Bimatrix, generator_weights: Weights, discriminator_weights: Weights
) -> BestResponses:
    """Finds each side's best pure strategy against the other side's weights.

    Args:
        payoffs: two matrices ``[..., I, J]``, one that each side maximises; a plain tuple will do.
        generator_weights: weights ``[..., I]``, on the simplex.
        discriminator_weights: weights ``[..., J]``, on the simplex.

    Returns:
        For each side the strategy, its payoff, and the payoffs of all its pure strategies.
    """
    return _respond(*align_game(payoffs, generator_weights, discriminator_weights))


@checked
def regrets(
    payoffs: Bimatrix, generator_weights: Weights, discriminator_weights: Weights
) -> tuple[Array, Array]:
    """Computes how much each side would gain by moving to its best response alone.

    The regret is ``sum_i p_i (max_l u_l - u_i)``, with ``u`` the payoffs of the pure strategies. In this form rounding
    cannot make it negative, and it is exactly 0 where only best responses have weight.

    Args:
        payoffs: two matrices ``[..., I, J]``, one that each side maximises; a plain tuple will do.
        generator_weights: weights ``[..., I]``, on the simplex.
        discriminator_weights: weights ``[..., J]``, on the simplex.

    Returns:
        ``(generator, discriminator)``, each ``[...]`` and >= 0.
    """
    return _regrets(*align_game(payoffs, generator_weights, discriminator_weights))


@checked
def nash_conv(
    payoffs: Bimatrix, generator_weights: Weights, discriminator_weights: Weights
) -> Array:
    """Computes NashConv, the sum of both sides' regrets: 0 exactly at a Nash equilibrium.

    NashConv (Lanctot et al. 2017, arXiv 1711.00832) covers deviations to the strategies of the matrix only. In a
    zero-sum game it is the duality gap ``max_j (p^T V)_j - min_i (V q)_i``.

    Args:
        payoffs: two matrices ``[..., I, J]``, one that each side maximises; a plain tuple will do.
        generator_weights: weights ``[..., I]``, on the simplex.
        discriminator_weights: weights ``[..., J]``, on the simplex.

    Returns:
        ``[...]``, >= 0, in units of the payoffs.

    Example:
        >>> import mixgan_jax as mg
        >>> pennies = mg.zero_sum([[1.0, -1.0], [-1.0, 1.0]])
        >>> float(mg.nash_conv(pennies, [0.5, 0.5], [0.75, 0.25]))  # the generator would gain 0.5
        0.5
    """
    generator, discriminator = _regrets(
        *align_game(payoffs, generator_weights, discriminator_weights)
    )
    return generator + discriminator


@checked
def zero_sum_equilibrium(
    value_matrix: KnownMatrix, *, maximum_entropy: bool = False, tolerance: Positive = 1e-8
) -> Equilibrium:
    """Finds an exact equilibrium of a zero-sum game by linear programming, on the host in float64.

    One program, solved by SciPy's HiGHS, gives both strategies: the discriminator's are the duals of the generator's.
    The function then certifies the pair from the matrix alone, and returns it only if the certificate holds.

    Degenerate games, with many equilibria, are usual among trained components (near-copies, equal payoffs).
    ``maximum_entropy`` then chooses for each side the optimal weights of largest Shannon entropy, which are
    unique: identical components get equal weights, and a constant matrix gives uniform weights. It needs the set
    of all optimal strategies, so it fails where differences near 1e-9 of the payoff range decide which are optimal.

    Args:
        value_matrix: ``[I, J]``, finite; the generator (rows) minimises, the discriminator maximises. Any scale
            and offset. Not traced: under ``jit`` use :func:`approximate_equilibrium`.
        maximum_entropy: whether to choose the equilibrium of largest entropy on each side, instead of any.
        tolerance: the largest ``gap`` allowed, > 0, as a fraction of the payoff range ``max V - min V``.

    Returns:
        NumPy float64 weights ``[I]`` and ``[J]``, and floats ``value`` and ``gap``. A constant matrix, where all
        weights are optimal, gives uniform ones in either mode.

    Raises:
        EquilibriumError: the solver failed, or its result is not an equilibrium within ``tolerance``.

    Example:
        >>> import mixgan_jax as mg
        >>> found = mg.zero_sum_equilibrium([[3.0, 0.0], [1.0, 2.0]])
        >>> found.generator.round(6).tolist(), found.discriminator.round(6).tolist()
        ([0.25, 0.75], [0.5, 0.5])
        >>> round(found.value, 6)
        1.5
    """
    matrix = np.asarray(value_matrix)
    return exact.solve(matrix, maximum_entropy=maximum_entropy, tolerance=float(tolerance))


@checked
def approximate_equilibrium(
    value_matrix: Matrix, *, num_steps: Count = 2000, step_size: Positive = 2.0
) -> Equilibrium:
    """Finds an approximate equilibrium of a zero-sum game in pure JAX, also under ``jit`` and ``vmap``.

    Both sides run optimistic exponentiated gradient (:mod:`mixgan_jax.optim`) from uniform weights, at the same
    time, on payoffs divided by their range. The result is the last iterate or the average of all iterates, whichever
    has the smaller gap. Identical components keep equal weights. In float32 gaps below about 1e-6 of the payoff range
    are rounding.

    Args:
        value_matrix: ``[I, J]``, finite; the generator (rows) minimises.
        num_steps: iterations, >= 1.
        step_size: step size of the exponentiated gradient, > 0, for payoffs of range 1. On 1,000 normal random games of
            each size, the default left gaps of at most 7.6e-4 of the range at 4 by 4, 9.9e-4 at 8 by 8 and 1.08e-3 at
            16 by 16 (above 1e-3 in 4 of them). Above 3 the last iterate no longer settles.

    Returns:
        Weights ``[I]`` and ``[J]``, and scalars ``value`` and ``gap``, in the matrix's dtype. Read the ``gap``: a
        large one raises no error.

    Example:
        >>> import jax
        >>> import mixgan_jax as mg
        >>> solve = jax.jit(mg.approximate_equilibrium)
        >>> found = solve(jax.numpy.array([[3.0, 0.0], [1.0, 2.0]]))
        >>> [round(w, 2) for w in found.generator.tolist()], round(float(found.value), 2)
        ([0.25, 0.75], 1.5)
    """
    scaled, units = in_graph.scale(jnp.asarray(value_matrix))
    return _least_gap(scaled, units, *in_graph.optimistic_play(scaled, num_steps, step_size))


@checked
def simplex_equilibrium(value_matrix: Matrix) -> Equilibrium:
    """Finds an equilibrium of a zero-sum game by linear programming in pure JAX, also under ``jit`` and ``vmap``.

    It runs the simplex method in the matrix's precision. The weights are at a vertex: few are positive, the rest are
    exactly 0, and one of several identical components has all their weight. In float32, no game up to 16 by 16 (1,000
    each of several kinds, with ties, copies and outliers) had a gap above 3e-5 of the range, in a twentieth of the time
    of :func:`approximate_equilibrium`. Near-copies are harder: differences of 1e-3 left gaps up to 5e-4. Differences of
    1e-5, which are near rounding, left gaps up to a tenth.

    Args:
        value_matrix: ``[I, J]``, finite; the generator (rows) minimises.

    Returns:
        Weights ``[I]`` and ``[J]``, and scalars ``value`` and ``gap``, in the matrix's dtype. Read the ``gap``: a
        large one raises no error.
    """
    scaled, units = in_graph.scale(jnp.asarray(value_matrix))
    return _least_gap(scaled, units, in_graph.simplex(scaled))


def _least_gap(
    scaled: Array, units: tuple[Array, Array, Array], *pairs: tuple[Array, Array]
) -> Equilibrium:
    """Returns the pair of weights with the smallest gap, the first of several, in the units of the payoffs."""
    rows, columns = map(jnp.stack, zip(*pairs, strict=True))
    games = scaled[None]
    gaps = jnp.add(*_regrets(-games, games, rows, columns))
    best = jnp.argmin(gaps)
    low, spread, unit = units
    value = (low + spread * _expected(scaled, rows[best], columns[best])) / unit
    return Equilibrium(rows[best], columns[best], value, spread * gaps[best] / unit)


def _respond(generator: Array, discriminator: Array, rows: Array, columns: Array) -> BestResponses:
    by_row, by_column = in_graph.pure_payoffs(generator, discriminator, rows, columns)
    return BestResponses(
        BestResponse(jnp.argmax(by_row, axis=-1), jnp.max(by_row, axis=-1), by_row),
        BestResponse(jnp.argmax(by_column, axis=-1), jnp.max(by_column, axis=-1), by_column),
    )


def _regrets(
    generator: Array, discriminator: Array, rows: Array, columns: Array
) -> tuple[Array, Array]:
    by_row, by_column = _respond(generator, discriminator, rows, columns)
    return (
        jnp.sum(rows * (by_row.payoff[..., None] - by_row.payoffs), axis=-1),
        jnp.sum(columns * (by_column.payoff[..., None] - by_column.payoffs), axis=-1),
    )
