"""Theorem 4.1 of Li et al. (2018) measured: how many steps the optimal discriminator takes until TV <= delta."""

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments.common import exponents
from mixgan_jax import theory
from mixgan_jax.theory import IntervalGame, IntervalState
from mixgan_jax.types import Array

DELTAS = (0.1, 0.05, 0.025, 0.0125, 0.00625)
SEPARATIONS = (0.4, 0.2, 0.1, 0.05, 0.025, 0.0125)
BOXES = (1.0, 1.5, 2.0, 2.5, 3.0)
SERIES = {
    "delta": (r"1 / delta", [1.0 / delta for delta in DELTAS]),
    "separation": (r"1 / separation", [1.0 / gap for gap in SEPARATIONS]),
    "box": (r"e^(C^2)", [float(np.exp(box**2)) for box in BOXES]),
}
"""What T is measured against: name and values; T should be polynomial in the values."""


def starts(series: str, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Draws one seed's starts ``[N, 2]`` of a series, and their delta ``[N]``, which is the step size too.

    The data's means are -1/2 and 1/2. A seed draws one midpoint for its whole series.
    """
    draw = np.random.RandomState(seed).uniform(-0.25, 0.25)
    if series == "delta":
        midpoints, gaps, deltas = [2.0 + draw] * len(DELTAS), [0.5] * len(DELTAS), DELTAS
    elif series == "separation":
        midpoints, gaps, deltas = [draw] * len(SEPARATIONS), SEPARATIONS, [0.02] * len(SEPARATIONS)
    else:
        # Data in [-C, -C + 1] and start in [C - 1, C]: moving both moves the whole run.
        midpoints = [2.0 * box - 1.0 + draw for box in BOXES]
        gaps, deltas = [0.5] * len(BOXES), [0.1] * len(BOXES)
    half = 0.5 * np.asarray(gaps)
    means = np.stack([np.asarray(midpoints) - half, np.asarray(midpoints) + half], axis=1)
    return means.astype(np.float32), np.asarray(deltas, np.float32)


def measure(seeds: Sequence[int], limit: int) -> dict[str, Any]:
    """Measures steps until ``TV <= delta``, ``[S, N]`` by series; ``limit`` where it was not reached by then."""
    found = {}
    game = theory.interval_game(jnp.asarray((-0.5, 0.5)))
    program = jax.jit(lambda means, deltas: steps_until(game, means, deltas, limit))
    for series in SERIES:
        pairs = [starts(series, seed) for seed in seeds]
        means, deltas = (np.concatenate(part) for part in zip(*pairs, strict=True))
        found[series] = np.asarray(program(means, deltas)).reshape(len(seeds), -1)
    return found


def steps_until(game: IntervalGame, means: Array, deltas: Array, limit: int) -> Array:
    """Finds the first step ``[N]`` at which a run's total variation is at most its delta; at most ``limit``."""

    def one(mean: Array, delta: Array) -> tuple[Array, Array]:
        ends = jnp.zeros_like(mean)
        after = theory.interval_step(
            game, IntervalState(mean, ends, ends), dynamics="optimal", step_size=delta
        )
        # The new state's intervals are the best response to the old means.
        return theory.interval_payoff(game, after._replace(means=mean)), after.means

    def going(carry: tuple[Array, Array, Array]) -> Array:
        return (carry[0] < limit) & jnp.any(carry[2] == limit)

    def step(carry: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        count, mean, hits = carry
        distance, moved = jax.vmap(one)(mean, deltas)
        first = (distance <= deltas) & (hits == limit)
        return count + 1, moved, jnp.where(first, count, hits)

    never = jnp.full(deltas.shape, limit, jnp.int32)
    return jax.lax.while_loop(going, step, (jnp.int32(0), means, never))[2]


def orders(found: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Fits the exponent of T in what each series varies, with its interval."""
    return {
        series: exponents.exponents({series: factor}, np.maximum(found[series], 1))[series]
        for series, (_, factor) in SERIES.items()
    }
