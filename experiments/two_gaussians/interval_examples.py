"""Single runs of the interval game that are known step by step, in float64; four that are drawn; a collapse."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from mixgan_jax import theory
from mixgan_jax.theory import IntervalState

TARGET = (-0.5, 0.5)
EXAMPLES = {
    "converges": (0.3, (-1.0, 1.0), (-1.0, 0.2), (-0.2, 1.0)),
    "oscillates": (0.1, (-1.0, 1.0), (-1.0, 0.2), (-0.2, 1.0)),
    "collapses": (0.1, (-1.0, 1.0), (-0.75, 0.0), (-0.25, 0.75)),
    "diverges": (0.1, (-0.8, 0.6), (-0.2, 1.7), (1.2, 1.8)),
}
"""Step size, means, left and right ends of first-order runs."""

# After one step of 0.1: start, then means, left and right ends; and the means when unrolled by 5. From an
# implementation in NumPy that shares no code with this one.
ONE_STEP = (
    (
        ((-1.0, 1.0), (-0.75, 0.0), (-0.25, 0.75)),
        ((-0.98793880, 0.98794654), (-0.75481859, -0.01100946), (-0.23979905, 0.75481859)),
        (-0.98486672, 0.98486465),
    ),
    (
        ((0.3, 0.9), (-1.5, -0.2), (-0.5, 0.6)),
        ((0.28799681, 0.88545657), (-1.50973085, -0.20618621), (-0.48992530, 0.59260145)),
        None,
    ),
)
FROZEN = ((0.2, 0.6), 0.3, 1.2)  # the generator's means and the interval of the collapse
FAR = ((4.0, 4.1), (0.0, 0.5), (0.1, 0.9))  # start, target and weights of the bad local minimum
COLLAPSE_STEPS = 120


def one_step_error() -> float:
    """Computes the largest deviation from :data:`ONE_STEP`."""
    errors = []
    with jax.enable_x64(True):
        game = theory.interval_game(jnp.asarray(TARGET))
        for start, expected, unrolled in ONE_STEP:
            state = theory.interval_start(game, *(jnp.asarray(part) for part in start))
            after = theory.interval_step(game, state, dynamics="simultaneous", step_size=0.1)
            errors.append(np.abs(np.asarray(after) - np.asarray(expected)).max())
            if unrolled is not None:
                after = theory.interval_step(
                    game, state, dynamics="unrolled", depth=5, step_size=0.1
                )
                errors.append(np.abs(np.asarray(after.means) - np.asarray(unrolled)).max())
    return float(max(errors))


def examples(steps: int, far_steps: int) -> dict[str, Any]:
    """Plays the figures' runs: paths ``[steps + 1, 2]`` of means and ends by example; the collapse; the far start."""
    with jax.enable_x64(True):
        game = theory.interval_game(jnp.asarray(TARGET))
        paths = {
            name: _path(game, start, steps, dynamics="simultaneous", step_size=step_size)
            for name, (step_size, *start) in EXAMPLES.items()
        }
        return {"paths": paths, "collapse": _collapse(game), "far": _far(far_steps)}


def _path(game: theory.IntervalGame, start: Any, steps: int, **step: Any) -> dict[str, Any]:
    state = theory.interval_start(game, *(jnp.asarray(part) for part in start))

    def advance(state: IntervalState, _: None) -> tuple[IntervalState, IntervalState]:
        return theory.interval_step(game, state, **step), state

    last, path = jax.jit(lambda first: jax.lax.scan(advance, first, None, length=steps))(state)
    whole = jax.tree.map(lambda a, b: np.concatenate([a, b[None]]), path, last)
    return jax.device_get(whole._asdict())


def _collapse(game: theory.IntervalGame) -> dict[str, Any]:
    """Plays one interval under ascent while the generator stands still: alternating steps, the generator's being 0."""
    means, left, right = FROZEN
    state = IntervalState(jnp.asarray(means), jnp.asarray([left]), jnp.asarray([right]))

    def ascend(state: IntervalState, _: None) -> tuple[IntervalState, Any]:
        slope = theory.interval_gradients(game, state)
        after = state._replace(
            left=state.left + 0.1 * slope.left, right=state.right + 0.1 * slope.right
        )
        return after, (state.left[0], state.right[0], theory.interval_payoff(game, state))

    ends = jax.jit(lambda first: jax.lax.scan(ascend, first, None, length=COLLAPSE_STEPS)[1])(state)
    left, right, payoff = jax.device_get(ends)
    return {"left": left, "right": right, "payoff": payoff, "inverts": int(np.argmax(left > right))}


def _far(steps: int) -> dict[str, Any]:
    """Plays the means from far out with unequal weights and the optimal discriminator: plain steps, and eta / w."""
    start, target, weights = (jnp.asarray(part) for part in FAR)
    game = theory.interval_game(target, weights)
    nothing = (jnp.zeros(2), jnp.zeros(2))
    state = theory.interval_start(game, start, *nothing)
    sizes = {"eta": jnp.full(2, 0.1), "eta / w": 0.1 / weights}

    def path(own: Any) -> Any:
        step = {"dynamics": "optimal", "step_size": 0.1, "mean_step_sizes": own}

        def advance(state: IntervalState, _: None) -> tuple[IntervalState, Any]:
            return theory.interval_step(game, state, **step), state.means

        return jax.lax.scan(advance, state, None, length=steps + 1)[1]

    both = jax.device_get(jax.jit(jax.vmap(path))(jnp.stack([*sizes.values()])))
    return dict(zip(sizes, both, strict=True))
