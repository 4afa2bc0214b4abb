r"""Mixtures of unit Gaussians against unions of intervals: a GAN whose every integral is known.

The game of Li, Madry, Peebles and Schmidt (2018, arXiv 1706.09884), with any number of components and intervals. The
generator is ``G_mu = sum_j w_j N(mu_j, 1)``, with known weights w and means to be learned. The data are ``G_mu*`` of
the same family. The discriminator is the indicator of the union of intervals ``[l_i, r_i]``. The payoff, which the
discriminator maximises and the generator minimises, is

    L(mu, l, r) = sum_i S(r_i) - S(l_i),    S(x) = int_-inf^x g = sum_j w_j [Phi(x - mu*_j) - Phi(x - mu_j)],

with ``g = G_mu* - G_mu``, phi and Phi the standard normal density and distribution function. Its gradients are

    dL/dr_i = g(r_i),    dL/dl_i = -g(l_i),    dL/dmu_j = w_j sum_i [phi(r_i - mu_j) - phi(l_i - mu_j)].

The paper's objective is ``1 + L``. An interval with ``l > r`` counts negatively, as the formula says: nothing keeps
gradient steps from making one.

Layout: components and intervals are the *first* axis of an array; all axes behind it are independent runs of the game.
So the last axis is long, which vectorises well. A single run has no further axis.
"""

from typing import Annotated, Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from annotated_types import Gt, Le

from mixgan_jax.checked import checked
from mixgan_jax.checks import check_array, check_weights, on_host
from mixgan_jax.types import Array, Shaped

BOX = 16.0  # means start within it; beyond it densities underflow in float32


class IntervalGame(NamedTuple):
    """The numbers that both sides know; made by :func:`interval_game`.

    Attributes:
        target: ``[K]``, the means mu* of the data.
        weights: ``[K]``, w, of data and generator.
    """

    target: Array
    weights: Array


class IntervalState(NamedTuple):
    """Both players' parameters; :func:`interval_start` makes and checks a start.

    Attributes:
        means: ``[K, ...]``, mu, of the generator.
        left: ``[M, ...]``, l, of the discriminator's intervals.
        right: ``[M, ...]``, r.
    """

    means: Array
    left: Array
    right: Array


def check_target(name: str, value: Any) -> Array:
    """Returns finite floating-point numbers ``[K]``, K >= 1."""
    target = check_array(name, value, rank=1, floating=True, finite=True, moved=False)
    if target.size == 0:
        raise ValueError(f"{name} must have one mean or more, got none")
    return target


def check_positive_weights(name: str, value: Any) -> Array:
    """Returns weights ``[..., K]``, all > 0."""
    weights = check_weights(name, value)
    if on_host(value) and not np.all(np.asarray(value) > 0):
        raise ValueError(f"{name} must be > 0, got {np.asarray(value)}")
    return weights


Box: TypeAlias = Annotated[float, Gt(0), Le(BOX)]
"""The largest size of a mean, in standard deviations, in (0, 16]."""

Means: TypeAlias = Annotated[Array, Shaped(floating=True)]
"""Means ``[K, ...]``; NaN of diverged runs passes."""

Ends: TypeAlias = Annotated[Array, Shaped(floating=True, moved=False)]
"""Left or right ends of intervals ``[M, ...]``; may be infinite."""


@checked
def interval_game(
    target: Annotated[Array, check_target],
    weights: Annotated[Array, check_positive_weights] | None = None,
    *,
    box: Box = BOX,
) -> IntervalGame:
    """Makes the game whose data have these means.

    Args:
        target: ``[K]``, floating point, each in [-box, box].
        weights: ``[K]``, all > 0 and of sum 1; equal if not given.
        box: > 0, at most 16, in standard deviations.

    Returns:
        :class:`IntervalGame`.
    """
    _check_box("target", target, box)
    if weights is None:
        weights = jnp.full_like(target, 1.0 / target.size)
    if weights.shape != target.shape:
        raise ValueError(f"weights must have shape {target.shape}, got {weights.shape}")
    return IntervalGame(jnp.asarray(target), weights.astype(target.dtype))


@checked
def interval_start(
    game: IntervalGame,
    means: Annotated[Array, Shaped(floating=True, finite=True, moved=False)],
    left: Ends,
    right: Ends,
    *,
    box: Box = BOX,
) -> IntervalState:
    """Makes a state to start from: means in a box, intervals in their order.

    Args:
        game: of K components.
        means: ``[K, ...]``, floating point, each in [-box, box]; the axes behind are runs.
        left: ``[M, ...]``, of the same runs; may be infinite.
        right: ``[M, ...]``, with ``left[0] <= right[0] <= left[1] <= right[1] ...``; may be infinite.
        box: > 0, at most 16, in standard deviations.

    Returns:
        :class:`IntervalState`, in the game's dtype.
    """
    means = check_means(game, means)
    if left.ndim < 1 or left.shape[0] < 1 or left.shape[1:] != means.shape[1:]:
        expected = ", ".join(map(str, ("M", *means.shape[1:])))
        raise ValueError(f"left must have shape [{expected}], M >= 1, got {left.shape}")
    if right.shape != left.shape:
        raise ValueError(f"right must have shape {left.shape}, as left, got {right.shape}")
    _check_box("means", means, box)
    _check_order(left, right)
    arrays = (jnp.asarray(array, game.target.dtype) for array in (means, left, right))
    return IntervalState(*arrays)


@checked
def interval_payoff(game: IntervalGame, state: IntervalState) -> Array:
    """Returns L, the discriminator's payoff; works for crossing and inverted intervals too.

    Args:
        game: of K components.
        state: of any number of runs ``[...]``; ends may be infinite.

    Returns:
        ``[...]``, at most the total variation of data and generator if the intervals are in order.
    """
    means, left, right = check_state(game, state)
    return jnp.sum(primitive(game, means, right) - primitive(game, means, left), axis=0)


@checked
def interval_gradients(game: IntervalGame, state: IntervalState) -> IntervalState:
    """Returns the gradients of L, in closed form; an infinite end has gradient 0 and contributes 0.

    Args:
        game: of K components.
        state: of any number of runs ``[...]``.

    Returns:
        :class:`IntervalState` of the derivatives by each mean and end, shaped as ``state``.
    """
    means, left, right = check_state(game, state)
    return IntervalState(
        mean_gradient(game, state), -density_gap(game, means, left), density_gap(game, means, right)
    )


def mean_gradient(game: IntervalGame, state: IntervalState) -> Array:
    """Returns ``dL/dmu``, ``[K, ...]``."""
    means, left, right = state
    # A loop over the few components, because one array over components would go through memory.
    slopes = [
        w * jnp.sum(_density(right - mean[None]) - _density(left - mean[None]), axis=0)
        for w, mean in zip(game.weights, means, strict=True)
    ]
    return jnp.stack(slopes)


def density_gap(game: IntervalGame, means: Array, points: Array) -> Array:
    """Returns ``g = G_mu* - G_mu`` at points ``[M, ...]``, for means ``[K, ...]``."""
    gap = jnp.zeros_like(points)
    for w, goal, mean in zip(game.weights, game.target, means, strict=True):
        gap = gap + w * (_density(points - goal) - _density(points - mean[None]))
    return gap


def primitive(game: IntervalGame, means: Array, points: Array) -> Array:
    """Returns ``S``, the integral of g up to points ``[M, ...]``, for means ``[K, ...]``."""
    total, below = jnp.zeros_like(points), jax.scipy.special.ndtr
    for w, goal, mean in zip(game.weights, game.target, means, strict=True):
        total = total + w * (below(points - goal) - below(points - mean[None]))
    return total


def check_state(game: IntervalGame, state: IntervalState) -> IntervalState:
    """Returns a state with this game's number of components."""
    expected = game.target.shape[0]
    if state.means.ndim < 1 or state.means.shape[0] != expected:
        raise ValueError(f"state must have means [{expected}, ...], got shape {state.means.shape}")
    return state


def check_means(game: IntervalGame, means: Array) -> Array:
    """Returns means ``[K, ...]`` of this game, in its dtype."""
    if means.ndim < 1 or means.shape[0] != game.target.shape[0]:
        raise ValueError(f"means must have shape [{game.target.shape[0]}, ...], got {means.shape}")
    return means.astype(game.target.dtype)


def _density(x: Array) -> Array:
    return jnp.exp(-0.5 * x * x) * float(1.0 / np.sqrt(2.0 * np.pi))


def _check_box(name: str, means: Array, box: float) -> None:
    if on_host(means) and on_host(box) and means.size:
        largest = np.asarray(means).flat[int(np.argmax(np.abs(np.asarray(means))))]
        if abs(largest) > box:
            raise ValueError(f"{name} must lie in [-{box:g}, {box:g}], got {largest:g}")


def _check_order(left: Array, right: Array) -> None:
    if not (on_host(left) and on_host(right)):
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
