r"""One step of training in the game of :mod:`mixgan_jax.theory.interval_game`, of four kinds.

Li, Madry, Peebles and Schmidt (2018, arXiv 1706.09884) compare the optimal discriminator with gradient steps; Metz,
Poole, Pfau and Sohl-Dickstein (2016, arXiv 1611.02163) is where unrolling comes from. With step size eta:

    optimal         (l, r) = argmax L(mu, ., .);  then  mu' = mu - eta dL/dmu
    simultaneous    mu' = mu - eta dL/dmu,  l' = l + eta dL/dl,  r' = r + eta dL/dr,  all gradients at the old point
    alternating     ``depth`` ascent steps of (l, r), which are kept; then mu' = mu - eta dL/dmu, which sees them
    unrolled        mu' = mu - eta d/dmu L(mu, A^k(l, r; mu)),  A one ascent step and k = ``depth``;  the real (l, r)
                    take one ascent step at the old point

In ``unrolled`` the generator differentiates *through* the k virtual steps, which are thrown away. In ``alternating`` of
depth k it does not. Papers call either "unrolled"; they behave very differently. Unrolling by 0 steps is simultaneous.
"""

from typing import Any, Literal, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np

from mixgan_jax.checks import (
    check_array,
    check_choice,
    check_count,
    check_flag,
    check_number,
    is_concrete,
)
from mixgan_jax.theory.interval_game import (
    IntervalGame,
    IntervalState,
    check_state,
    density_gap,
    mean_gradient,
)
from mixgan_jax.theory.interval_optimum import POINTS, best_interval, optimal_intervals
from mixgan_jax.types import Array

Dynamics: TypeAlias = Literal["optimal", "simultaneous", "alternating", "unrolled"]
"""Which step both players take."""

DYNAMICS: tuple[Dynamics, ...] = ("optimal", "simultaneous", "alternating", "unrolled")


def interval_step(
    game: IntervalGame,
    state: IntervalState,
    *,
    dynamics: Dynamics,
    step_size: float,
    mean_step_sizes: Array | None = None,
    depth: int = 1,
    ordered: bool = False,
    points: int = POINTS,
) -> IntervalState:
    """The state after one step.

    Nothing is clipped: a run that diverges goes on, and what is not finite stays so.

    Args:
        game: of K components.
        state: of any number of runs.
        dynamics: one of those above. ``optimal`` takes no notice of the state's endpoints but for their number: K, or
            1 for the best single interval.
        step_size: eta > 0, of both players.
        mean_step_sizes: ``[K]``, > 0, of the generator's means, in place of ``step_size``: ``eta / w_j`` undoes the
            factor ``w_j`` in the gradient by a mean.
        depth: k >= 0, of ``alternating`` and ``unrolled``.
        ordered: whether intervals that gradient steps would invert become empty instead, at their middle: the
            projection on ``l <= r``.
        points: as in :func:`~mixgan_jax.theory.optimal_intervals`.

    Returns:
        :class:`IntervalState`. With ``optimal``, its endpoints are those that the step responded to.

    Raises:
        TypeError, ValueError: an argument is not so.
    """
    check_state(game, state)
    check_choice("dynamics", dynamics, DYNAMICS)
    step_size = check_number("step_size", step_size, minimum=0.0, strict=True)
    check_count("depth", depth, minimum=0)
    check_flag("ordered", ordered)
    check_count("points", points, minimum=2)
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


def _slope_through(game: IntervalGame, ascended: Any, state: IntervalState) -> Array:
    """``d/dmu L(mu, A^k(l, r; mu))``: L's own derivative, and by the chain rule what its endpoints add.

    Forward mode, one tangent for each of the few means: half the time of reverse mode, which would write what it needs
    of every virtual step to memory.
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


def _mean_steps(state: IntervalState, step_size: Any, sizes: Any) -> Any:
    """The step of each mean, to be multiplied with a gradient ``[K, ...]``."""
    if sizes is None:
        return step_size
    sizes = check_array("mean_step_sizes", sizes, rank=1, floating=True, finite=True)
    if sizes.shape != state.means.shape[:1]:
        raise ValueError(
            f"mean_step_sizes must have shape {state.means.shape[:1]}, got {sizes.shape}"
        )
    if is_concrete(sizes) and not np.all(np.asarray(sizes) > 0):
        raise ValueError(f"mean_step_sizes must be > 0, got {np.asarray(sizes)}")
    return sizes.astype(state.means.dtype).reshape(-1, *[1] * (state.means.ndim - 1))
