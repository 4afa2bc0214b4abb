"""Mixed equilibria of continuous games: linear programs on a grid, Newton's method, and a certificate."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np

from mixgan_jax.checked import checked
from mixgan_jax.game import EquilibriumError, zero_sum_equilibrium
from mixgan_jax.theory.continuous_games import ContinuousGame, Domain, Particles
from mixgan_jax.theory.nikaido_isoda import (
    Grid,
    are_inside,
    finer_than_usual,
    grid_points,
    nikaido_isoda,
    peaks_of,
    potentials_of,
)
from mixgan_jax.types import Array, Positive

Payoffs: TypeAlias = Callable[[Any, Any], Any]

_EXCHANGES = 20  # rounds of best responses, at most
_NEWTON = 30  # steps to an equilibrium, at most
_TINY = 1e-8  # a weight of the linear program below this is 0


class MixedEquilibrium(NamedTuple):
    """A mixed equilibrium of a continuous game and how far it is from an exact one.

    Attributes:
        rows: the minimising player's strategy, float64 positions ``[M, D]`` and weights ``[M]``.
        columns: the maximising player's, ``[N, E]`` and ``[N]``.
        value: scalar, ``sum_ij p_i q_j f(x_i, y_j)``.
        gap: scalar, the Nikaido-Isoda error; a bound on how far ``value`` is from the value of the game.
    """

    rows: Particles
    columns: Particles
    value: Any
    gap: Any


@checked
def mixed_equilibrium(
    game: ContinuousGame, *, grid: Grid = None, tolerance: Positive = 1e-9
) -> MixedEquilibrium:
    """Finds a mixed equilibrium of finite support, on the host in float64, with a certificate.

    The game on a grid is solved by :func:`mixgan_jax.zero_sum_equilibrium`, and again with the peaks of both potentials
    as further positions, until these gain next to nothing: an exchange method, double oracle with exact best responses.
    Newton's method then solves for all positions and weights at once: at every atom the potential is the value of the
    game and its slope is 0. The certificate is the Nikaido-Isoda error over all deviations: exact where 256 points
    on an axis, or 64 in two dimensions, resolve the payoff, and a lower bound where they do not. A ``grid`` of more
    points is the certificate's too. A game holds the numbers that it was made of in JAX's precision, float32 unless
    made under ``jax.enable_x64``.

    Args:
        game: a game of one or two dimensions a side.
        grid: points of the first grid on each axis; None for 64 in one dimension and 12 in two.
        tolerance: the largest ``gap`` allowed, as a fraction of the range of the payoffs on the grid.

    Returns:
        The equilibrium; NumPy float64 arrays.

    Raises:
        EquilibriumError: no equilibrium within ``tolerance`` was found.
    """
    count = grid or (64 if max(game.dimensions) == 1 else 12)
    finest = finer_than_usual(game, grid)
    with jax.enable_x64(True):
        points = [
            np.asarray(grid_points(game.domain, dimension, count, float)).reshape(-1, dimension)
            for dimension in game.dimensions
        ]
        payoffs = _payoffs_of(game)
        spread = max(float(np.ptp(payoffs(*points))), np.finfo(np.float64).tiny)
        sides, value = _exchange(game, payoffs, points, spread, finest)
        # Merge what stands for one atom, and drop what Newton's method leaves without weight
        sharp = _polish(game, value, *(_merge(game.domain, side, 0.02, _TINY) for side in sides))
        again = [_merge(game.domain, side, 1e-6, _TINY) for side in sharp]
        if [len(side.weights) for side in again] != [len(side.weights) for side in sharp]:
            sharp = _polish(game, value, *again)
        # Games with many equilibria are singular for Newton's method: there the exchange is the better one
        gap, _, (rows, columns) = min(
            (_gap(game, pair, finest), place, pair) for place, pair in enumerate((sharp, sides))
        )
        value = float(rows.weights @ payoffs(rows.positions, columns.positions) @ columns.weights)
    if not gap <= tolerance * spread:
        raise EquilibriumError(
            f"the certificate, {gap / spread:.3g} of the payoff range, exceeds tolerance {tolerance:.3g}"
        )
    return MixedEquilibrium(rows, columns, value, gap)


def _exchange(
    game: ContinuousGame, payoffs: Payoffs, points: list[Any], spread: float, grid: Grid
) -> tuple[list[Particles], float]:
    """Solves the game on finitely many positions, and adds best responses until they gain next to nothing."""
    peaks = jax.jit(partial(_both_peaks, game, grid))
    for _ in range(_EXCHANGES):
        solved = zero_sum_equilibrium(payoffs(*points))
        sides = [
            Particles(positions[own > 0], own[own > 0])
            for positions, own in zip(points, solved[:2], strict=True)
        ]
        found = peaks(*(_on_device(_padded(side)) for side in sides))
        (rows, losses), (columns, gains) = jax.tree.map(np.asarray, found)
        if gains.max() + losses.max() <= 1e-10 * spread:
            break
        near = 0.05 * spread
        points = [
            np.concatenate([points[0], rows[losses > losses.max() - near]]),
            np.concatenate([points[1], columns[gains > gains.max() - near]]),
        ]
    return sides, solved.value


def _gap(game: ContinuousGame, sides: list[Particles], grid: Grid = None) -> float:
    """Computes the Nikaido-Isoda error; infinite unless both sides are distributions over points of the domain."""
    for side in map(_on_device, sides):
        is_distribution = side.weights.min() >= 0.0 and abs(side.weights.sum() - 1.0) <= 1e-9
        if not (is_distribution and are_inside(game.domain, side)):
            return np.inf
    error = nikaido_isoda(game, *(_on_device(side) for side in sides), grid=grid)
    return max(float(error), 0.0)


def _both_peaks(
    game: ContinuousGame, grid: Grid, rows: Particles, columns: Particles
) -> tuple[tuple[Array, Array], tuple[Array, Array]]:
    of_rows, of_columns = potentials_of(game, rows, columns)
    dtype = rows.positions.dtype
    return (
        peaks_of(lambda x: -of_rows(x), game, 0, dtype, grid, 6),
        peaks_of(of_columns, game, 1, dtype, grid, 6),
    )


def _padded(side: Particles) -> Particles:
    """Adds particles without weight, so that few numbers of particles are compiled for."""
    more = -len(side.weights) % 32
    return Particles(np.pad(side.positions, ((0, more), (0, 0))), np.pad(side.weights, (0, more)))


def _on_device(side: Particles) -> Particles:
    return Particles(*map(jnp.asarray, side))


def _payoffs_of(game: ContinuousGame) -> Payoffs:
    """Returns the function that computes payoffs ``[M, N]`` of positions ``[M, D]`` and ``[N, E]``."""
    every = jax.jit(jax.vmap(jax.vmap(game.payoff, (None, 0)), (0, None)))

    def payoffs(rows: Any, columns: Any) -> Any:
        # Few shapes are compiled for
        sides = [
            jnp.asarray(np.pad(side, ((0, -len(side) % 64), (0, 0)))) for side in (rows, columns)
        ]
        return np.asarray(every(*sides))[: len(rows), : len(columns)]

    return payoffs


def _merge(domain: Domain, side: Particles, radius: float, least: float) -> Particles:
    """Replaces atoms nearer than ``radius`` to a heavier one by their mean, and drops weights up to ``least``."""
    positions, weights = (np.asarray(part) for part in side)
    left, merged = weights > least, []
    for index in np.argsort(-weights):
        if left[index]:
            apart = positions - positions[index]
            if domain == "torus":
                apart -= np.round(apart)
            near = left & (np.abs(apart).max(axis=1) <= radius)
            mass = weights[near].sum()
            moved = weights[near] @ apart[near] / mass
            walls = (domain == "box") & (np.abs(positions[index]) >= 1.0)
            merged.append((positions[index] + np.where(walls, 0.0, moved), mass))
            left &= ~near
    found, masses = (np.array(part) for part in zip(*merged, strict=True))
    return Particles(found % 1.0 if domain == "torus" else found, masses / masses.sum())


def _polish(
    game: ContinuousGame, value: float, rows: Particles, columns: Particles
) -> list[Particles]:
    """Solves for positions and weights by Newton's method: equal potentials, and no slope, at every atom."""
    shapes = [np.shape(part) for part in (*rows, *columns)]
    ends = np.cumsum([int(np.prod(shape)) for shape in shapes])

    # -1 or 1 for a coordinate on that wall, else 0
    walls = {
        level: np.trunc(side.positions) if game.domain == "box" else np.zeros(shape)
        for level, side, shape in zip((-2, -1), (rows, columns), shapes[::2], strict=True)
    }

    def split(unknowns: Array) -> list[Array]:
        parts = jnp.split(unknowns, ends)[:-1]
        return [part.reshape(shape) for part, shape in zip(parts, shapes, strict=True)]

    def residual(unknowns: Array) -> Array:
        x, p, y, q = split(unknowns)
        of_rows, of_columns = potentials_of(game, Particles(x, p), Particles(y, q))
        parts = []
        for potential, points, level in ((of_rows, x, -2), (of_columns, y, -1)):
            heights, slopes = jax.vmap(jax.value_and_grad(potential))(points)
            # An atom on a wall stays there
            slopes = jnp.where(walls[level] != 0.0, points - walls[level], slopes)
            parts += [heights - unknowns[level], slopes.ravel()]
        return jnp.concatenate([*parts, jnp.stack([p.sum() - 1.0, q.sum() - 1.0])])

    parts = [np.ravel(part) for part in (*rows, *columns)]
    unknowns = np.append(np.concatenate(parts), [value, value])
    both = jax.jit(lambda point: (residual(point), jax.jacfwd(residual)(point)))
    for _ in range(_NEWTON):
        error, jacobian = map(np.asarray, both(unknowns))
        if not (np.isfinite(jacobian).all() and np.abs(error).max() > 1e-14):
            break
        # Degenerate games have many solutions: take the nearest
        move = np.linalg.lstsq(jacobian, -error, rcond=1e-7)[0]
        unknowns = unknowns + move
        if np.abs(move).max() < 1e-15:
            break
    x, p, y, q = map(np.asarray, split(jnp.asarray(unknowns)))
    return [Particles(x, p), Particles(y, q)]
