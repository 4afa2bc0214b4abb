r"""The Nikaido-Isoda error: how far a pair of mixed strategies is from an equilibrium of a continuous game, exactly.

For strategies mu and nu the potentials are ``F(x) = sum_j q_j f(x, y_j)`` and ``H(y) = sum_i p_i f(x_i, y)``. The
Nikaido-Isoda error is what both sides can gain by any deviation,

.. math:: \mathrm{NI}(\mu, \nu) = \max_y H(y) - \min_x F(x) \ge 0,

and it is 0 exactly at a mixed equilibrium. NashConv over components is its restriction to the positions at hand.
"""

from collections.abc import Callable
from typing import Annotated, Any, TypeAlias

import jax
import jax.numpy as jnp
from annotated_types import Ge

from mixgan_jax.checked import checked
from mixgan_jax.checks import check_array, check_kind, check_weights, is_concrete
from mixgan_jax.theory.continuous_games import ContinuousGame, Domain, Particles
from mixgan_jax.types import Array, NonNegative, Whole

Potential: TypeAlias = Callable[[Array], Array]

_STARTS = 16  # peaks of the grid from which Newton's method climbs
_GRIDS = {1: 256, 2: 64}  # points on an axis, by dimension


def check_particles(name: str, value: Any) -> Particles:
    """Returns positions ``[K, D]`` with weights ``[K]``."""
    positions, weights = check_kind(name, value, Particles)
    positions = check_array(f"{name}.positions", positions, rank=2, floating=True, finite=True)
    weights = check_array(f"{name}.weights", check_weights(f"{name}.weights", weights), rank=1)
    if len(weights) != len(positions):
        raise ValueError(f"{name} must have {len(positions)} weights, got {len(weights)}")
    return Particles(positions, weights.astype(positions.dtype))


Strategy: TypeAlias = Annotated[Particles, check_particles]
"""A mixed strategy: positions ``[K, D]`` with weights ``[K]``."""

Grid: TypeAlias = Annotated[int, Ge(3)] | None
"""Points on an axis, >= 3; None for 256 in one dimension and 64 in two."""


@checked
def potentials(
    game: ContinuousGame, rows: Strategy, columns: Strategy
) -> tuple[Potential, Potential]:
    """Returns what a pure strategy is paid against the other side's mixed one: F, of x, and H, of y.

    Args:
        game: the game.
        rows: the minimising player's strategy ``[M, D]``.
        columns: the maximising player's strategy ``[N, E]``.

    Returns:
        Functions of a position ``[D]`` and ``[E]`` that return a scalar.
    """
    _check_fit(game, rows, columns)
    return potentials_of(game, rows, columns)


def potentials_of(
    game: ContinuousGame, rows: Particles, columns: Particles
) -> tuple[Potential, Potential]:
    """Does what :func:`potentials` does, without its checks."""

    def of_rows(x: Array) -> Array:
        return jax.vmap(game.payoff, (None, 0))(x, columns.positions) @ columns.weights

    def of_columns(y: Array) -> Array:
        return rows.weights @ jax.vmap(game.payoff, (0, None))(rows.positions, y)

    return of_rows, of_columns


@checked
def nikaido_isoda(
    game: ContinuousGame,
    rows: Strategy,
    columns: Strategy,
    *,
    grid: Grid = None,
    newton_steps: Whole = 6,
) -> Array:
    """Computes the Nikaido-Isoda error: what both sides together gain by their best pure deviations.

    A grid finds the peaks of the potentials, from the highest 16 of which Newton's method climbs. All points are points
    of the game, so the result is at most the true error. It is exact up to rounding if the grid resolves the payoff. In
    float32 rounding leaves about 1e-6 of the payoffs; compute in float64 (``jax.enable_x64``) for less than 1e-9.

    Args:
        game: the game, of one or two dimensions a side.
        rows: the minimising player's strategy ``[M, D]``.
        columns: the maximising player's strategy ``[N, E]``.
        grid: points of the grid on each axis.
        newton_steps: steps >= 0 of Newton's method.

    Returns:
        Scalar in the dtype of the positions; negative by rounding alone. In traced code NaN where positions or weights
        are not finite, or positions lie outside the box.
    """
    of_rows, of_columns = potentials(game, rows, columns)
    inside = [
        _check_inside(name, game, side) for name, side in (("rows", rows), ("columns", columns))
    ]
    dtype = rows.positions.dtype
    _, losses = peaks_of(lambda x: -of_rows(x), game, 0, dtype, grid, newton_steps)
    _, gains = peaks_of(of_columns, game, 1, dtype, grid, newton_steps)
    return jnp.where(inside[0] & inside[1], jnp.max(gains) + jnp.max(losses), jnp.nan)


@checked
def nikaido_isoda_bound(
    game: ContinuousGame,
    rows: Strategy,
    columns: Strategy,
    *,
    row_curvature: NonNegative,
    column_curvature: NonNegative,
    grid: Grid = None,
) -> Array:
    r"""Bounds the Nikaido-Isoda error from above, by a grid and the curvature of the payoff.

    At the top of a potential the slope is 0 along every axis that no wall stops, and the grid has points on every wall.
    So a grid of spacing h has a point at which the potential is lower by ``curvature D h^2 / 8`` at most. The true
    error lies between :func:`nikaido_isoda` and this bound, however rough the potential is between grid points.

    Args:
        game: the game, of one or two dimensions a side.
        rows: the minimising player's strategy ``[M, D]``.
        columns: the maximising player's strategy ``[N, E]``.
        row_curvature: a bound >= 0 of the eigenvalues, without sign, of the Hessian of f in x, over all x and all atoms
            y of ``columns``.
        column_curvature: the same in y, over all atoms x of ``rows``.
        grid: points of the grid on each axis. The excess over the true error falls as its square.

    Returns:
        Scalar in the dtype of the positions, up to rounding.
    """
    of_rows, of_columns = potentials(game, rows, columns)
    total = jnp.zeros((), rows.positions.dtype)
    for potential, dimension, curvature in (
        (lambda x: -of_rows(x), game.dimensions[0], row_curvature),
        (of_columns, game.dimensions[1], column_curvature),
    ):
        points = _grid_of(game, dimension, grid, total.dtype)
        spacing = 1.0 / len(points) if game.domain == "torus" else 2.0 / (len(points) - 1)
        highest = jnp.max(jax.vmap(potential)(points.reshape(-1, dimension)))
        total = total + highest + curvature * dimension * spacing**2 / 8.0
    return total


def _grid_of(game: ContinuousGame, dimension: int, grid: Grid, dtype: Any) -> Array:
    if dimension not in _GRIDS:
        raise ValueError(f"game must have 1 or 2 dimensions a side for a grid, got {dimension}")
    return grid_points(game.domain, dimension, grid or _GRIDS[dimension], dtype)


def peaks_of(
    potential: Potential, game: ContinuousGame, side: int, dtype: Any, grid: Grid, steps: int
) -> tuple[Array, Array]:
    """Finds the highest peaks ``[16, D]`` of a potential over a player's domain, and how high they are ``[16]``.

    Where there are fewer than 16, heights of the others are minus infinity.
    """
    dimension = game.dimensions[side]
    points = _grid_of(game, dimension, grid, dtype)
    values = jax.vmap(potential)(points.reshape(-1, dimension)).reshape(points.shape[:-1])

    # Climb the highest peaks
    peaks = jnp.where(_is_peak(values, game.domain), values, -jnp.inf).ravel()
    best, places = jax.lax.top_k(peaks, min(_STARTS, peaks.size))
    starts = points.reshape(-1, dimension)[places]
    found, heights = jax.vmap(lambda point: _climb(potential, game.domain, point, steps))(starts)
    return found, jnp.where(best > -jnp.inf, heights, -jnp.inf)


def finer_than_usual(game: ContinuousGame, grid: Grid) -> Grid:
    """Returns the grid if it has more points than the one that None stands for, else None."""
    usual = max(_GRIDS.get(dimension, 0) for dimension in game.dimensions)
    return grid if grid and grid > usual else None


def grid_points(domain: Domain, dimension: int, count: int, dtype: Any) -> Array:
    """Returns the points of a grid, ``[count, ..., count, D]``."""
    axis = jnp.arange(count, dtype=dtype) / count
    if domain == "box":
        axis = jnp.linspace(-1.0, 1.0, count, dtype=dtype)
    return jnp.stack(jnp.meshgrid(*[axis] * dimension, indexing="ij"), axis=-1)


def _is_peak(values: Array, domain: Domain) -> Array:
    """Returns which points of a grid are at least as high as their neighbours along the axes."""
    mode, peak = {"torus": "wrap", "box": "edge"}[domain], jnp.ones(values.shape, bool)
    for axis in range(values.ndim):
        padded = jnp.pad(values, [(int(a == axis),) * 2 for a in range(values.ndim)], mode=mode)
        for start in (0, 2):
            neighbour = jax.lax.slice_in_dim(padded, start, start + values.shape[axis], axis=axis)
            peak &= values >= neighbour
    return peak


def _climb(potential: Potential, domain: Domain, point: Array, steps: int) -> tuple[Array, Array]:
    """Returns the highest point on the way of Newton's method from a point, and how high it is."""
    gradient, hessian = jax.grad(potential), jax.hessian(potential)

    def step(_: int, carry: tuple[Array, Array]) -> tuple[Array, Array]:
        point, value = carry
        slope, curvature = gradient(point), hessian(point)
        if domain == "box":
            # A coordinate that the slope presses against a wall stays there
            free = (jnp.abs(point) < 1.0) | (slope * point < 0.0)
            slope = jnp.where(free, slope, 0.0)
            both = free[:, None] & free[None, :]
            curvature = jnp.where(both, curvature, -jnp.eye(len(point), dtype=point.dtype))
        moved = point - jnp.linalg.solve(curvature, slope)
        moved = jnp.clip(moved, -1.0, 1.0) if domain == "box" else moved
        height = potential(moved)
        higher = height > value  # False also of NaN, where the potential is flat
        return jnp.where(higher, moved, point), jnp.where(higher, height, value)

    return jax.lax.fori_loop(0, steps, step, (point, potential(point)))


def are_inside(domain: Domain, side: Particles) -> Array:
    """Returns whether all positions are finite points of the domain, and all weights are finite."""
    positions, weights = side
    furthest = 1.0 if domain == "box" else jnp.inf
    inside = jnp.isfinite(positions) & (jnp.abs(positions) <= furthest)
    return jnp.all(inside) & jnp.all(jnp.isfinite(weights))


def _check_inside(name: str, game: ContinuousGame, side: Particles) -> Array:
    inside = are_inside(game.domain, side)
    if is_concrete(inside) and not inside:
        raise ValueError(f"{name} must have positions in the {game.domain}, got {side.positions}")
    return inside


def _check_fit(game: ContinuousGame, rows: Particles, columns: Particles) -> None:
    for name, side, dimension in zip(
        ("rows", "columns"), (rows, columns), game.dimensions, strict=True
    ):
        if side.positions.shape[1] != dimension:
            raise ValueError(
                f"{name}.positions must have shape [K, {dimension}] in this game, got {side.positions.shape}"
            )
