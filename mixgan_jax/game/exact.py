"""Exact equilibria of zero-sum matrix games on the host: linear programs in float64, then a check of the result.

Conventions are those of :mod:`mixgan_jax.game`: rows minimise, columns maximise. This file shifts and scales payoffs to
``[-1/2, 1/2]``, so tolerances mean fractions of the payoff range. Weights do not change under that scaling. Only
:mod:`mixgan_jax.game` imports this file.
"""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from mixgan_jax.checks import fail, is_concrete, to_host

Matrix = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

_FEASIBILITY = 1e-10  # the tightest that HiGHS accepts
_CLASSIFYING = (1e-7, 1e-4)  # tried in turn by the second program: its unknowns are 0 or >= 1
_CLEAR = 1e-9  # a weight or slack above this is taken for positive without that second program
_RANK = 1e-10  # singular values below this fraction of the largest count as zero
_NEWTON_STEPS = 200


class EquilibriumError(RuntimeError):
    """Raised where no equilibrium within the tolerance was found."""


class Equilibrium(NamedTuple):
    """An equilibrium of a zero-sum game and how far it is from an exact one.

    Attributes:
        generator: weights ``[I]``.
        discriminator: weights ``[J]``.
        value: scalar, ``p^T V q``.
        gap: scalar >= 0, ``max_j (p^T V)_j - min_i (V q)_i`` in units of the payoffs; the NashConv of the pair,
            and a bound on how far ``value`` is from the value of the game.
    """

    generator: Any
    discriminator: Any
    value: Any
    gap: Any


def known_matrix(name: str, value: Any) -> Matrix:
    """Returns a known, finite, non-empty matrix ``[I, J]`` as float64, in any precision of JAX."""
    if not is_concrete(value):
        raise fail(name, value, "known, outside jit and vmap", TypeError)
    matrix = to_host(name, value, "a matrix of real numbers").astype(np.float64)
    if matrix.ndim != 2 or matrix.size == 0:
        raise ValueError(f"{name} must have shape [I, J], I, J >= 1, got {matrix.shape}")
    if not np.isfinite(matrix).all():
        raise ValueError(f"{name} must be finite, got {matrix[~np.isfinite(matrix)][0]}")
    return matrix


def solve(matrix: Matrix, *, maximum_entropy: bool, tolerance: float) -> Equilibrium:
    """Finds the weights of both sides, the value and the certificate for a finite matrix ``[I, J]``.

    Args:
        matrix: payoffs ``[I, J]``, float64 and finite.
        maximum_entropy: whether to choose, for each side, the equilibrium weights of largest entropy.
        tolerance: the largest certificate allowed, as a fraction of the payoff range.

    Returns:
        Float64 weights ``[I]`` and ``[J]``, value and gap as floats in the matrix's own units.

    Raises:
        EquilibriumError: a linear program or Newton's method failed, or the certificate is too large.
    """
    low, high = float(matrix.min()), float(matrix.max())
    unit = 1.0 if np.isfinite(high - low) else 0.5  # half of a range near 1e308 can be represented
    low, spread = unit * low, unit * high - unit * low
    if spread == 0.0:  # every pair of strategies is an equilibrium
        rows, columns = matrix.shape
        uniform = np.full(rows, 1.0 / rows), np.full(columns, 1.0 / columns)
        return Equilibrium(*uniform, value=low, gap=0.0)
    scaled = (unit * matrix - low) / spread - 0.5
    rows, columns = _linear_program(scaled, tolerance)
    if maximum_entropy:
        rows, columns = _most_entropic(scaled, rows, columns)
    gap = certificate(scaled, rows, columns)
    if not gap <= tolerance:
        raise EquilibriumError(
            f"the certificate, {gap:.3g} of the payoff range, exceeds tolerance {tolerance:.3g}"
            + (" after maximising entropy; maximum_entropy=False may do" if maximum_entropy else "")
        )
    value = (low + spread * (float(rows @ scaled @ columns) + 0.5)) / unit
    return Equilibrium(rows, columns, value, spread * gap / unit)


def certificate(matrix: Matrix, rows: Matrix, columns: Matrix) -> float:
    """Computes ``max_j (p^T A)_j - min_i (A q)_i``, within which both strategies are optimal; never negative."""
    return max(float((rows @ matrix).max() - (matrix @ columns).min()), 0.0)


def _linear_program(matrix: Matrix, tolerance: float) -> tuple[Matrix, Matrix]:
    """Solves ``min w s.t. A^T p <= w, sum p = 1, p >= 0`` for both strategies: ``q`` is that program's dual."""
    rows, columns = matrix.shape
    program = {
        "c": np.append(np.zeros(rows), 1.0),
        "A_ub": np.column_stack([matrix.T, -np.ones(columns)]),
        "b_ub": np.zeros(columns),
        "A_eq": np.append(np.ones(rows), 0.0)[None, :],
        "b_eq": [1.0],
        "bounds": [(0.0, None)] * rows + [(None, None)],
    }
    best, reason = None, ""
    for method in ("highs-ds", "highs-ipm"):  # the second only where the first falls short
        result = _highs(program, method, _FEASIBILITY)
        if not result.success:
            reason = reason or result.message
            continue
        pair = _clean(result.x[:-1]), _clean(-result.ineqlin.marginals)
        gap = certificate(matrix, *pair)
        if best is None or gap < best[0]:
            best = (gap, pair)
        if gap <= 0.1 * tolerance:
            break
    if best is None:
        raise EquilibriumError(f"the linear program was not solved: {reason}")
    return best[1]


def _highs(program: dict[str, Any], method: str, feasibility: float) -> Any:
    from scipy.optimize import linprog

    options = {
        "primal_feasibility_tolerance": feasibility,
        "dual_feasibility_tolerance": feasibility,
    }
    return linprog(**program, method=method, options=options)


def _clean(weights: Matrix) -> Matrix:
    """Sets tiny negative weights, left by rounding, to zero, and the sum to 1."""
    positive = np.maximum(weights, 0.0)
    total = positive.sum()
    if not (np.isfinite(total) and total > 0.0):
        raise EquilibriumError(f"the solver returned weights that sum to {total}")
    return positive / total


def _most_entropic(matrix: Matrix, rows: Matrix, columns: Matrix) -> tuple[Matrix, Matrix]:
    """Finds the equilibrium of largest Shannon entropy, starting from any equilibrium.

    An equilibrium is strictly complementary if each row has either positive weight or positive slack
    ``(A q)_i - value``, and so has each column. Its supports are then the largest of all equilibria. They describe the
    sets of optimal strategies by equalities and inequalities of which it is an interior point (Goldman and Tucker
    1956). Newton's method maximises the entropy over each set.
    """
    if not _is_strict(matrix, rows, columns):
        rows, columns = _strictly_complementary(matrix)
    value = float(rows @ matrix @ columns)
    row_support = rows > matrix @ columns - value
    column_support = columns > value - rows @ matrix
    try:
        with np.errstate(all="ignore"):  # a step that overflows ends in the error below
            return (
                _spread_over_face(matrix, rows, row_support, column_support),
                _spread_over_face(-matrix.T, columns, column_support, row_support),
            )
    except np.linalg.LinAlgError as error:
        raise EquilibriumError(f"the entropy was not maximised: {error}") from error


def _is_strict(matrix: Matrix, rows: Matrix, columns: Matrix) -> bool:
    value = float(rows @ matrix @ columns)
    by_row = np.maximum(rows, matrix @ columns - value)
    by_column = np.maximum(columns, value - rows @ matrix)
    clear = _CLEAR + 100.0 * certificate(matrix, rows, columns)  # above what rounding leaves
    return bool(min(by_row.min(), by_column.min()) > clear)


def _strictly_complementary(matrix: Matrix) -> tuple[Matrix, Matrix]:
    r"""Finds a strictly complementary equilibrium by one linear program, without the value of the game.

    ``min t`` subject to ``A^T x <= w <= A y``, ``x + (A y - w) >= 1``, ``y + (w - A^T x) >= 1`` and
    ``sum x = sum y = t``, with ``x, y >= 0``. The first constraints make ``x / t``, ``y / t`` an equilibrium of
    value ``w / t``; the next make it strictly complementary, which by scaling is always possible.
    """
    rows, columns = matrix.shape
    x, y = np.eye(rows, rows + columns + 1), np.eye(columns, rows + columns + 1, rows)
    x_pays = np.column_stack([matrix.T, np.zeros((columns, columns)), -np.ones(columns)])
    y_pays = np.column_stack([np.zeros((rows, rows)), -matrix, np.ones(rows)])
    program = {
        "c": x.sum(axis=0),
        "A_ub": np.vstack([x_pays, y_pays, y_pays - x, x_pays - y]),
        "b_ub": np.append(np.zeros(rows + columns), -np.ones(rows + columns)),
        "A_eq": (x.sum(axis=0) - y.sum(axis=0))[None, :],
        "b_eq": [0.0],
        "bounds": [(0.0, None)] * (rows + columns) + [(None, None)],
    }
    reason = ""
    for feasibility in _CLASSIFYING:
        result = _highs(program, "highs-ds", feasibility)
        if result.success:
            return _clean(result.x[:rows]), _clean(result.x[rows:-1])
        reason = reason or result.message
    raise EquilibriumError(
        "the sets of optimal strategies could not be told apart at double precision "
        f"({reason}); maximum_entropy=False needs no such step"
    )


def _spread_over_face(matrix: Matrix, start: Matrix, own: Mask, other: Mask) -> Matrix:
    """Finds the strategy of largest entropy among the row player's optimal ones, from an interior one.

    A strategy on the rows ``own`` is optimal if it pays the same on every column of ``other`` and no more on the rest.
    Payoffs are relative to the mean over ``other``, so the function needs no value of the game.
    """
    tight = matrix[own][:, other]
    reference = tight.mean(axis=1, keepdims=True)
    equal = np.vstack([(tight - reference).T, np.ones(own.sum())])
    below = (matrix[own][:, ~other] - reference).T
    _, singular, transposed = np.linalg.svd(equal, full_matrices=True)
    free = transposed[int((singular > _RANK * singular[0]).sum()) :].T
    target = np.append(np.zeros(tight.shape[1]), 1.0)
    inner = start[own] / start[own].sum()
    inner = inner + np.linalg.lstsq(equal, target - equal @ inner, rcond=_RANK)[0]
    slack = -below @ inner
    if not (inner.min() > 0.0 and slack.min(initial=1.0) > 0.0):
        raise EquilibriumError(
            "the set of optimal strategies is too thin for double precision: no interior point was "
            "found; maximum_entropy=False needs none"
        )
    weights = np.zeros(own.size)
    weights[own] = _maximise_entropy(inner, slack, free, below) if free.size else inner
    return _clean(weights)


def _maximise_entropy(x: Matrix, slack: Matrix, free: Matrix, below: Matrix) -> Matrix:
    """Minimises ``sum x log x`` over ``x + free y``, ``below x <= 0``, ``x > 0`` by a primal-dual interior point."""
    price = 0.1 / slack
    for _ in range(_NEWTON_STEPS):
        gradient = np.log(x) + 1.0
        complementarity = float(price @ slack)
        residual = np.abs(free.T @ (gradient + below.T @ price)).max()
        if residual <= 1e-9 and complementarity <= 1e-12:
            return x
        # Do not aim far below the goal: smaller slacks only make the system singular.
        centre = max(0.1 * complementarity, 1e-13) / max(slack.size, 1)
        pull = below @ free
        hessian = free.T @ (free / x[:, None]) + pull.T @ (pull * (price / slack)[:, None])
        move = np.linalg.solve(hessian, -free.T @ (gradient + below.T @ (centre / slack)))
        along, slack_along = free @ move, -pull @ move
        price_along = centre / slack - price - price / slack * slack_along
        step = min(_room(x, along), _room(slack, slack_along), _room(price, price_along))
        x, slack, price = x + step * along, slack + step * slack_along, price + step * price_along
    raise EquilibriumError(f"the entropy was not maximised within {_NEWTON_STEPS} Newton steps")


def _room(point: Matrix, direction: Matrix) -> float:
    """Returns the longest step, at most 1, that stays clear of zero: at most 0.99 of the way there."""
    ratio = np.max(-direction / point, initial=0.0)
    return 1.0 if ratio <= 0.99 else 0.99 / float(ratio)
