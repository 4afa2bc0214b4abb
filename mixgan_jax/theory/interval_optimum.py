r"""The discriminator that is optimal against a mixture of Gaussians; its payoff is the total variation.

In the game of :mod:`mixgan_jax.theory.interval_game`, ``max over (l, r) of L = TV(G_mu*, G_mu)`` if the intervals are
as many as the components. The reason: ``g = G_mu* - G_mu`` is a signed sum of 2K Gaussians of equal variance and
changes its sign at most 2K - 1 times. So ``{g > 0}`` is a union of at most K intervals, the outermost perhaps infinite.

The signs of g are computed on evenly spaced points, and each change of sign is bisected down to the last digit. A pair
of roots between two neighbouring points, h apart, goes unseen. Since ``|g''| < 1``, it is worth less than
``h^3 / 12``.
"""

from typing import Annotated, TypeAlias

import jax
import jax.numpy as jnp
from annotated_types import Ge

from mixgan_jax.checked import checked
from mixgan_jax.theory.interval_game import (
    IntervalGame,
    IntervalState,
    Means,
    check_means,
    interval_payoff,
    primitive,
)
from mixgan_jax.types import Array

REACH = 7.0  # roots are looked for so far beyond the outermost mean; the mass further out is 1e-12
POINTS = 400

Points: TypeAlias = Annotated[int, Ge(2)]
"""The number of points at which signs are computed."""


@checked
def optimal_intervals(
    game: IntervalGame, means: Means, *, points: Points = POINTS
) -> tuple[Array, Array]:
    """Finds the intervals on which the data are denser than the generator: the best discriminator of all.

    Args:
        game: of K components.
        means: ``[K, ...]``, of the generator.
        points: >= 2, at which signs are computed, from 7 below the least mean to 7 above the largest.

    Returns:
        ``(left, right)``, each ``[K, ...]``, in order. Intervals that are not needed have both ends at ``inf``; if the
        two mixtures are equal, none is needed.
    """
    roots, starts_inside = _roots(game, check_means(game, means), points)
    edge = jnp.full_like(roots[:1], jnp.inf)
    outside_first = jnp.concatenate([roots, edge])
    inside_first = jnp.concatenate([-edge, roots])
    edges = jnp.where(starts_inside[None], inside_first, outside_first)
    return edges[0::2], edges[1::2]


@checked
def best_interval(
    game: IntervalGame, means: Means, *, points: Points = POINTS
) -> tuple[Array, Array]:
    """Finds the best discriminator of a single interval, from one of the optimal left ends to one of the right ones.

    Args:
        game: of K components.
        means: ``[K, ...]``, of the generator.
        points: as in :func:`optimal_intervals`.

    Returns:
        ``(left, right)``, each ``[1, ...]``.
    """
    left, right = optimal_intervals(game, means, points=points)
    before, upto = (primitive(game, check_means(game, means), ends) for ends in (left, right))
    best, start, end = (upto - before)[0], left[0], right[0]
    for i in range(left.shape[0]):
        for j in range(i, left.shape[0]):
            better = upto[j] - before[i] > best
            best = jnp.where(better, upto[j] - before[i], best)
            start = jnp.where(better, left[i], start)
            end = jnp.where(better, right[j], end)
    return start[None], end[None]


@checked
def total_variation(game: IntervalGame, means: Means, *, points: Points = POINTS) -> Array:
    """Returns ``TV(G_mu*, G_mu)``, in [0, 1]: the payoff of the optimal discriminator.

    Args:
        game: of K components.
        means: ``[K, ...]``, of the generator.
        points: as in :func:`optimal_intervals`.

    Returns:
        ``[...]``.
    """
    left, right = optimal_intervals(game, means, points=points)
    return interval_payoff(game, IntervalState(check_means(game, means), left, right))


def _roots(game: IntervalGame, means: Array, points: int) -> tuple[Array, Array]:
    """Returns the roots of g, ``[2K - 1, ...]``, rising, ``inf`` where there are fewer; and ``g(-inf) > 0``."""
    low = jnp.minimum(jnp.min(means, axis=0), jnp.min(game.target)) - REACH
    high = jnp.maximum(jnp.max(means, axis=0), jnp.max(game.target)) + REACH
    # signs on a grid
    spacing = (high - low) / (points - 1)
    shape = (points, *[1] * low.ndim)
    index = jnp.arange(points, dtype=jnp.int32).reshape(shape)
    inside = _is_inside(game, means, low[None] + spacing[None] * index.astype(low.dtype))
    changes = inside[1:] != inside[:-1]
    # brackets of the roots
    place, places = jnp.full(low.shape, -1, jnp.int32), []
    for _ in range(2 * means.shape[0] - 1):
        later = changes & (index[:-1] > place[None])
        place = jnp.min(jnp.where(later, index[:-1], points), axis=0)
        places.append(place)
    found = jnp.stack(places)
    # Signs alternate, so the sign left of the n-th root is known.
    odd = (jnp.arange(len(places)) % 2 == 1).reshape(-1, *shape[1:])
    before = inside[:1] != odd

    def halve(_: int, bracket: tuple[Array, Array]) -> tuple[Array, Array]:
        start, end = bracket
        middle = 0.5 * (start + end)
        same = _is_inside(game, means, middle) == before
        return jnp.where(same, middle, start), jnp.where(same, end, middle)

    # bisect every bracket
    start = low[None] + spacing[None] * found.astype(low.dtype)
    halvings = jnp.finfo(low.dtype).nmant
    start, end = jax.lax.fori_loop(0, halvings, halve, (start, start + spacing[None]))
    return jnp.where(found < points, 0.5 * (start + end), jnp.inf), inside[0]


def _is_inside(game: IntervalGame, means: Array, points: Array) -> Array:
    """Returns whether ``g > 0``. Densities are scaled by the largest, because they may all underflow."""
    goals = [-0.5 * (points - goal) ** 2 for goal in game.target]
    own = [-0.5 * (points - mean[None]) ** 2 for mean in means]
    largest = goals[0]
    for exponent in (*goals[1:], *own):
        largest = jnp.maximum(largest, exponent)
    gap = jnp.zeros_like(points)
    for w, goal, mine in zip(game.weights, goals, own, strict=True):
        gap = gap + w * (jnp.exp(goal - largest) - jnp.exp(mine - largest))
    return gap > 0
