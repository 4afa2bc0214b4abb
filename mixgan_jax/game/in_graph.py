"""Equilibria of zero-sum matrix games in pure JAX: optimistic play, and the simplex method.

Conventions are those of :mod:`mixgan_jax.game`: rows minimise, columns maximise. This file shifts and scales payoffs to
``[0, 1]``, which does not change weights. Only :mod:`mixgan_jax.game` imports this file.
"""

from typing import Any

import jax
import jax.numpy as jnp

from mixgan_jax.optim import optimistic_exponentiated_gradient
from mixgan_jax.types import Array

Weights = tuple[Array, Array]


def pure_payoffs(
    generator: Array, discriminator: Array, rows: Array, columns: Array
) -> tuple[Array, Array]:
    """Computes the payoff of each pure strategy of both sides, ``[..., I]`` and ``[..., J]``."""
    # Products and sums, not jnp.dot: on accelerators dot rounds its float32 inputs by default.
    by_row = jnp.sum(generator * columns[..., None, :], axis=-1)
    by_column = jnp.sum(discriminator * rows[..., None], axis=-2)
    return by_row, by_column


def scale(matrix: Array) -> tuple[Array, tuple[Array, Array, Array]]:
    """Scales payoffs to [0, 1], or to 0 where all are alike.

    Returns:
        The scaled payoffs, and ``(low, spread, unit)``: the least payoff and the range, both times ``unit``.
    """
    low, high, one = jnp.min(matrix), jnp.max(matrix), jnp.ones((), matrix.dtype)
    # The dtype holds neither a range near its largest number nor the reciprocal.
    vast = 0.5 * high - 0.5 * low > jnp.finfo(matrix.dtype).max / 16
    unit = jnp.where(vast, one / 16, one)
    low, spread = unit * low, unit * high - unit * low
    scaled = (unit * matrix - low) / jnp.where(spread > 0, spread, one)
    return scaled, (low, spread, unit)


def optimistic_play(matrix: Array, num_steps: int, step_size: float) -> tuple[Weights, Weights]:
    """Plays optimistic exponentiated gradient. Returns the last and the average weights of both sides."""
    tx = optimistic_exponentiated_gradient(step_size)
    start = tuple(
        jnp.full(size, -jnp.log(jnp.asarray(size, matrix.dtype))) for size in matrix.shape
    )

    def step(carry: Any, _: None) -> tuple[Any, None]:
        log_weights, state, total = carry
        weights = jax.tree.map(jnp.exp, log_weights)
        losses = jax.tree.map(jnp.negative, pure_payoffs(-matrix, matrix, *weights))
        updates, state = tx.update(losses, state, log_weights)
        log_weights = jax.tree.map(jnp.add, log_weights, updates)
        return (log_weights, state, jax.tree.map(jnp.add, total, weights)), None

    carry = (start, tx.init(start), jax.tree.map(jnp.zeros_like, start))
    (log_weights, _, total), _ = jax.lax.scan(step, carry, length=num_steps)
    average = jax.tree.map(lambda weights: weights / jnp.sum(weights), total)
    return jax.tree.map(jnp.exp, log_weights), average


def simplex(matrix: Array) -> Weights:
    """Finds weights of both sides at a vertex of the optimal ones, by the simplex method on a dense tableau.

    With payoffs ``A > 0`` the generator's program is ``max sum_i u_i`` over ``u >= 0`` with ``A^T u <= 1``. The value
    is ``1 / sum u``. Normalised, ``u`` are the generator's weights and the dual variables the discriminator's. The
    slack basis is feasible, so there is no first phase. The largest reduced cost enters. Games among copies tie in the
    ratio test all the time, and would cycle. Generic amounts therefore perturb the right-hand side. Among tied rows
    the one with the least perturbation leaves (Charnes 1952).
    """
    rows, columns = matrix.shape
    dtype, rounding = matrix.dtype, 10 * float(jnp.finfo(matrix.dtype).eps)
    slack = jnp.eye(columns, dtype=dtype)
    generic = 1 + jnp.arange(1, columns + 1, dtype=dtype) * 0.6180339887 % 1
    limits = jnp.stack([generic, jnp.ones(columns, dtype)], axis=1)
    # Payoffs must be positive; among several shifts 0.3 left the smallest gaps.
    body = jnp.concatenate([matrix.T + jnp.asarray(0.3, dtype), slack, limits], axis=1)
    costs = jnp.zeros(body.shape[1], dtype).at[:rows].set(1)
    tableau = jnp.concatenate([body, costs[None]])

    def improves(carry: tuple[Array, Array, Array]) -> Array:
        tableau, _, pivots = carry
        return (pivots < 8 * (rows + columns)) & (jnp.max(tableau[-1, :-2]) > rounding)

    def pivot(carry: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        tableau, basis, pivots = carry
        enters = jnp.argmax(tableau[-1, :-2])
        leaves = _leaving(tableau[:-1, enters], tableau[:-1, -2:], rounding)
        row = tableau[leaves] / tableau[leaves, enters]
        tableau = (tableau - tableau[:, enters][:, None] * row[None]).at[leaves].set(row)
        return tableau, basis.at[leaves].set(enters), pivots + 1

    basis = rows + jnp.arange(columns)
    tableau, basis, _ = jax.lax.while_loop(improves, pivot, (tableau, basis, jnp.int32(0)))
    primal = jnp.zeros(rows + columns, dtype).at[basis].set(jnp.maximum(tableau[:-1, -1], 0))[:rows]
    dual = jnp.maximum(-tableau[-1, rows:-2], 0)
    return primal / jnp.sum(primal), dual / jnp.sum(dual)


def _leaving(column: Array, limits: Array, rounding: float) -> Array:
    """Returns the row that the ratio test picks; ``limits`` ``[J, 2]`` are perturbation and right-hand side."""
    usable = column > 10 * rounding
    moved, ratios = (limits / jnp.where(usable, column, 1)[:, None]).T
    ratios = jnp.where(usable, jnp.maximum(ratios, 0), jnp.inf)
    ties = ratios <= jnp.min(ratios) * (1 + rounding)
    return jnp.argmin(jnp.where(ties & usable, moved, jnp.inf))
