r"""One step of training in the game of :mod:`mixgan_jax.theory.interval_game`, of four kinds.

Li, Madry, Peebles and Schmidt (2018, arXiv 1706.09884) compare the optimal discriminator with gradient steps. Metz,
Poole, Pfau and Sohl-Dickstein (2016, arXiv 1611.02163) introduced unrolling. With step size eta:

    optimal         (l, r) = argmax L(mu, ., .);  then  mu' = mu - eta dL/dmu
    simultaneous    mu' = mu - eta dL/dmu,  l' = l + eta dL/dl,  r' = r + eta dL/dr,  all gradients at the old point
    alternating     ``depth`` ascent steps of (l, r), which are kept; then mu' = mu - eta dL/dmu, which sees them
    unrolled        mu' = mu - eta d/dmu L(mu, A^k(l, r; mu)),  A one ascent step and k = ``depth``;  the real (l, r)
                    take one ascent step at the old point

In ``unrolled`` the generator differentiates *through* the k virtual steps, which are thrown away. In ``alternating`` of
depth k it does not. Papers call either "unrolled"; they behave very differently. Unrolling by 0 steps is simultaneous.
"""

from collections.abc import Callable
from typing import Annotated, Any, Literal, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np

from mixgan_jax.checked import checked
from mixgan_jax.checks import check_array, on_host
from mixgan_jax.theory.interval_game import (
    IntervalGame,
    IntervalState,
    check_state,
    density_gap,
    mean_gradient,
)
from mixgan_jax.theory.interval_optimum import POINTS, Points, best_interval, optimal_intervals
from mixgan_jax.types import Array, Positive, Whole

Dynamics: TypeAlias = Literal["optimal", "simultaneous", "alternating", "unrolled"]
"""The kind of step that both players take."""


def check_step_sizes(name: str, value: Any) -> Array:
    """Returns floating-point numbers ``[K]``, all > 0."""
    sizes = check_array(name, value, rank=1, floating=True, finite=True)
    if on_host(value) and not np.all(np.asarray(value) > 0):
        raise ValueError(f"{name} must be > 0, got {np.asarray(value)}")
    return sizes


@checked
def interval_step(
    game: IntervalGame,
    state: IntervalState,
    *,
    dynamics: Dynamics,
    step_size: Positive,
    mean_step_sizes: Annotated[Array, check_step_sizes] | None = None,
    depth: Whole = 1,
    ordered: bool = False,
    points: Points = POINTS,
) -> IntervalState:
    """Takes one step of training.

    Nothing is clipped: a run that diverges goes on, and what is not finite stays so.

    Args:
        game: of K components.
        state: of any number of runs.
        dynamics: one of the four above. ``optimal`` ignores the state's ends but for their number: K, or 1 for the best
            single interval.
        step_size: eta > 0, of both players.
        mean_step_sizes: ``[K]``, > 0, of the generator's means, in place of ``step_size``: ``eta / w_j`` undoes the
            factor ``w_j`` in the gradient by a mean.
        depth: k >= 0, of ``alternating`` and ``unrolled``.
        ordered: whether intervals that gradient steps would invert become empty instead, at their middle: the
            projection on ``l <= r``.
        points: as in :func:`~mixgan_jax.theory.optimal_intervals`.

    Returns:
        :class:`IntervalState`. With ``optimal``, it holds the ends to which the step responded.
    """
    check_state(game, state)
    mean_steps = _mean_steps(state, step_size, mean_step_sizes)

    def ascend(means: Array, left: Array, right: Array) -> tuple[Array, Array]:
        left = left - step_size * density_gap(game, means, left)
        right = right + step_size * density_gap(game, means, right)
        return _in_order(left, right) if ordered else (left, right)

    def ascended(state: IntervalState) -> IntervalState:
        steps, _ = jax.lax.scan(
            lambda ends, _: (ascend(state.means, *ends), None), state[1:], None, length=depth
        )
        return IntervalState(state.means, *steps)

    if dynamics == "unrolled":
        slope = _slope_through(game, ascended, state)
        return IntervalState(state.means - mean_steps * slope, *ascend(*state))
    if dynamics == "simultaneous":
        after = IntervalState(state.means, *ascend(*state))
        return after._replace(means=state.means - mean_steps * mean_gradient(game, state))
    seen = ascended(state) if dynamics == "alternating" else _best_response(game, state, points)
    return seen._replace(means=seen.means - mean_steps * mean_gradient(game, seen))


def _slope_through(
    game: IntervalGame, ascended: Callable[[IntervalState], IntervalState], state: IntervalState
) -> Array:
    """Returns ``d/dmu L(mu, A^k(l, r; mu))``: L's own derivative, plus that through the ends by the chain rule.

    Forward mode, with one tangent for each of the few means, takes half the time of reverse mode, which writes every
    virtual step to memory.
    """
    means = state.means
    size = means.shape[0]
    one_each = jnp.eye(size, dtype=means.dtype).reshape(size, size, *[1] * (means.ndim - 1))
    tangents = jnp.broadcast_to(one_each, (size, *means.shape))

    def along(tangent: Array) -> tuple[IntervalState, IntervalState]:
        return jax.jvp(lambda mu: ascended(state._replace(means=mu)), (means,), (tangent,))

    seen, moved = jax.vmap(along, out_axes=(None, 0))(tangents)
    by_right = density_gap(game, means, seen.right)[None] * moved.right
    by_left = density_gap(game, means, seen.left)[None] * moved.left
    return mean_gradient(game, seen) + jnp.sum(by_right - by_left, axis=1)


def _best_response(game: IntervalGame, state: IntervalState, points: int) -> IntervalState:
    count, size = state.left.shape[0], game.target.shape[0]
    if count not in (1, size):
        raise ValueError(f"state must have 1 or {size} intervals for an optimum, got {count}")
    find = optimal_intervals if count == size else best_interval
    return IntervalState(state.means, *find(game, state.means, points=points))


def _in_order(left: Array, right: Array) -> tuple[Array, Array]:
    middle = 0.5 * (left + right)
    return jnp.minimum(left, middle), jnp.maximum(right, middle)


def _mean_steps(state: IntervalState, step_size: float, sizes: Array | None) -> float | Array:
    """Returns the step of each mean, to be multiplied with a gradient ``[K, ...]``."""
    if sizes is None:
        return step_size
    if sizes.shape != state.means.shape[:1]:
        raise ValueError(
            f"mean_step_sizes must have shape {state.means.shape[:1]}, got {sizes.shape}"
        )
    return sizes.astype(state.means.dtype).reshape(-1, *[1] * (state.means.ndim - 1))
