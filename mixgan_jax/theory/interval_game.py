r"""Mixtures of unit Gaussians against unions of intervals: a GAN whose every integral is known.

The game of Li, Madry, Peebles and Schmidt (2018, arXiv 1706.09884), with any number of components and intervals. The
generator is ``G_mu = sum_j w_j N(mu_j, 1)``, of known weights w and means to be learned; the data are ``G_mu*`` of the
same family; the discriminator is the indicator of the union of intervals ``[l_i, r_i]``. The payoff, which the
discriminator maximises and the generator minimises, is

    L(mu, l, r) = sum_i S(r_i) - S(l_i),    S(x) = int_-inf^x g = sum_j w_j [Phi(x - mu*_j) - Phi(x - mu_j)],

with ``g = G_mu* - G_mu``, phi and Phi the standard normal density and distribution function. Its gradients are

    dL/dr_i = g(r_i),    dL/dl_i = -g(l_i),    dL/dmu_j = w_j sum_i [phi(r_i - mu_j) - phi(l_i - mu_j)].

The paper's objective is ``1 + L``. An interval with ``l > r`` counts negatively, as the formula says: nothing keeps
gradient steps from making one.

Layout: components and intervals are the *first* axis of an array; all axes behind it are independent runs of the game.
So the last axis is long, which is what vectorises; a single run has no further axis.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from mixgan_jax.checks import (
    check_array,
    check_kind,
    check_number,
    check_weights,
    is_concrete,
)
from mixgan_jax.types import Array

BOX = 16.0  # where means may start; beyond it densities underflow in float32


class IntervalGame(NamedTuple):
    """What both sides know of the game; made by :func:`interval_game`.

    Attributes:
        target: ``[K]``, the means mu* of the data.
        weights: ``[K]``, w, of data and generator.
    """

    target: Array
    weights: Array


class IntervalState(NamedTuple):
    """Where both players stand; of a start that is checked, :func:`interval_start` makes it.

    Attributes:
        means: ``[K, ...]``, mu, of the generator.
        left: ``[M, ...]``, l, of the discriminator's intervals.
        right: ``[M, ...]``, r.
    """

    means: Array
    left: Array
    right: Array


def interval_game(target: Array, weights: Array | None = None, *, box: float = BOX) -> IntervalGame:
    """The game whose data have these means.

    Args:
        target: ``[K]``, floating point, each in [-box, box].
        weights: ``[K]``, all > 0 and of sum 1; equal if not given.
        box: > 0, at most 16, in standard deviations.

    Returns:
        :class:`IntervalGame`.

    Raises:
        TypeError, ValueError: an argument is not so.
    """
    target = check_array("target", target, rank=1, floating=True, finite=True)
    if target.size == 0:
        raise ValueError("target must have one mean or more, got none")
    _check_box("target", target, box)
    if weights is None:
        weights = jnp.full_like(target, 1.0 / target.size)
    weights = check_weights("weights", weights, target.size)
    if weights.shape != target.shape:
        raise ValueError(f"weights must have shape {target.shape}, got {weights.shape}")
    if is_concrete(weights) and not np.all(np.asarray(weights) > 0):
        raise ValueError(f"weights must be > 0, got {np.asarray(weights)}")
    return IntervalGame(target, weights.astype(target.dtype))


def interval_start(
    game: IntervalGame, means: Array, left: Array, right: Array, *, box: float = BOX
) -> IntervalState:
    """A state to start from: means in a box, intervals in their order.

    Args:
        game: of K components.
        means: ``[K, ...]``, floating point, each in [-box, box]; the axes behind are runs.
        left: ``[M, ...]``, of the same runs; may be infinite.
        right: ``[M, ...]``, with ``left[0] <= right[0] <= left[1] <= right[1] ...``; may be infinite.
        box: > 0, at most 16, in standard deviations.

    Returns:
        :class:`IntervalState`, in the game's dtype.

    Raises:
        TypeError, ValueError: an argument is not so.
    """
    check_kind("game", game, IntervalGame)
    means = check_array("means", means, floating=True, finite=True)
    left = check_array("left", left, floating=True)
    right = check_array("right", right, floating=True)
    size = game.target.shape[0]
    if means.ndim < 1 or means.shape[0] != size:
        raise ValueError(f"means must have shape [{size}, ...], got {means.shape}")
    if left.ndim < 1 or left.shape[0] < 1 or left.shape[1:] != means.shape[1:]:
        expected = ", ".join(map(str, ("M", *means.shape[1:])))
        raise ValueError(f"left must have shape [{expected}], M >= 1, got {left.shape}")
    if right.shape != left.shape:
        raise ValueError(f"right must have shape {left.shape}, as left, got {right.shape}")
    _check_box("means", means, box)
    _check_order(left, right)
    dtype = game.target.dtype
    return IntervalState(means.astype(dtype), left.astype(dtype), right.astype(dtype))


def interval_payoff(game: IntervalGame, state: IntervalState) -> Array:
    """L, what the discriminator earns; also for crossing and inverted intervals.

    Args:
        game: of K components.
        state: of any number of runs ``[...]``; endpoints may be infinite.

    Returns:
        ``[...]``, at most the total variation of data and generator where the intervals are in order.

    Raises:
        TypeError, ValueError: ``game`` or ``state`` is something else, or their numbers of components differ.
    """
    means, left, right = check_state(game, state)
    return jnp.sum(primitive(game, means, right) - primitive(game, means, left), axis=0)


def interval_gradients(game: IntervalGame, state: IntervalState) -> IntervalState:
    """The gradients of L, in closed form; an infinite endpoint has gradient 0 and contributes 0.

    Args:
        game: of K components.
        state: of any number of runs ``[...]``.

    Returns:
        :class:`IntervalState` of the derivatives by each mean and endpoint, shaped as ``state``.

    Raises:
        TypeError, ValueError: ``game`` or ``state`` is something else, or their numbers of components differ.
    """
    means, left, right = check_state(game, state)
    return IntervalState(
        mean_gradient(game, state), -density_gap(game, means, left), density_gap(game, means, right)
    )


def mean_gradient(game: IntervalGame, state: IntervalState) -> Array:
    """``dL/dmu``, ``[K, ...]``."""
    means, left, right = state
    # A loop over the few components: one array over components would be written to memory, and read again.
    slopes = [
        w * jnp.sum(_density(right - mean[None]) - _density(left - mean[None]), axis=0)
        for w, mean in zip(game.weights, means, strict=True)
    ]
    return jnp.stack(slopes)


def density_gap(game: IntervalGame, means: Array, points: Array) -> Array:
    """``g = G_mu* - G_mu`` at points ``[M, ...]``, for means ``[K, ...]``."""
    gap = jnp.zeros_like(points)
    for w, goal, mean in zip(game.weights, game.target, means, strict=True):
        gap = gap + w * (_density(points - goal) - _density(points - mean[None]))
    return gap


def primitive(game: IntervalGame, means: Array, points: Array) -> Array:
    """``S``, the integral of g up to points ``[M, ...]``, for means ``[K, ...]``."""
    total, below = jnp.zeros_like(points), jax.scipy.special.ndtr
    for w, goal, mean in zip(game.weights, game.target, means, strict=True):
        total = total + w * (below(points - goal) - below(points - mean[None]))
    return total


def check_state(game: Any, state: Any) -> IntervalState:
    """A state of this game, by its kind and number of components."""
    check_kind("game", game, IntervalGame)
    check_kind("state", state, IntervalState)
    if state.means.ndim < 1 or state.means.shape[0] != game.target.shape[0]:
        expected = game.target.shape[0]
        raise ValueError(f"state must have means [{expected}, ...], got shape {state.means.shape}")
    return state


def check_means(game: Any, means: Any) -> Array:
    """Means ``[K, ...]`` of this game, in its dtype; not-a-numbers of diverged runs pass."""
    check_kind("game", game, IntervalGame)
    means = check_array("means", means, floating=True)
    if means.ndim < 1 or means.shape[0] != game.target.shape[0]:
        raise ValueError(f"means must have shape [{game.target.shape[0]}, ...], got {means.shape}")
    return means.astype(game.target.dtype)


def _density(x: Array) -> Array:
    return jnp.exp(-0.5 * x * x) * float(1.0 / np.sqrt(2.0 * np.pi))


def _check_box(name: str, means: Array, box: float) -> None:
    box = check_number("box", box, minimum=0.0, maximum=BOX, strict=True)
    if is_concrete(means) and is_concrete(box) and means.size:
        largest = np.asarray(means).flat[int(np.argmax(np.abs(np.asarray(means))))]
        if abs(largest) > box:
            raise ValueError(f"{name} must lie in [-{box:g}, {box:g}], got {largest:g}")


def _check_order(left: Array, right: Array) -> None:
    if not (is_concrete(left) and is_concrete(right)):
        return
    ends = np.stack([np.asarray(left), np.asarray(right)], axis=1)
    ends = ends.reshape(-1, *left.shape[1:])  # l_1, r_1, l_2, r_2, ...
    wrong = ~(ends[1:] >= ends[:-1]) | np.isnan(ends[:-1])
    if wrong.any():
        place = np.argwhere(wrong)[0]
        pair = ends[(slice(place[0], place[0] + 2), *place[1:])]
        names = [f"{('left', 'right')[i % 2]}[{i // 2}]" for i in (place[0], place[0] + 1)]
        raise ValueError(
            "left and right must be intervals that rise and do not cross, "
            f"got {names[0]} = {pair[0]:g} and {names[1]} = {pair[1]:g}"
        )
