"""Many runs of the interval game at once: where they start, what becomes of them, and how that is counted.

All are of the data's means given, of unit Gaussians; see :mod:`mixgan_jax.theory`. Runs are the last axis of every
array: long and contiguous, so that the CPU's vector units are busy. A seed is one draw of all discriminators' starts.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from mixgan_jax import theory
from mixgan_jax.theory import Dynamics, IntervalGame, IntervalState
from mixgan_jax.types import Array, Key

TOLERANCE = 0.1  # success: every mean this near to its target; merged: two means this near to each other
ESCAPED = 3.0  # a mean beyond it has left
FATES = ("success", "not finite", "escaped", "merged", "inverted", "other")  # the first that is true
MEASURES = ("success", "merged", "inverted", "escaped", "tv")


class Rule(NamedTuple):
    """One row of the table: how both players step.

    Attributes:
        name: of the row.
        dynamics: of :func:`mixgan_jax.theory.interval_step`.
        depth: of the same.
        ordered: of the same.
        per_weight: whether a mean's step is divided by its weight.
    """

    name: str
    dynamics: Dynamics
    depth: int = 1
    ordered: bool = False
    per_weight: bool = False

    def step(self, game: IntervalGame, state: IntervalState, step_size: Any) -> IntervalState:
        """The state after one step."""
        sizes = step_size / game.weights if self.per_weight else None
        return theory.interval_step(
            game,
            state,
            dynamics=self.dynamics,
            step_size=step_size,
            mean_step_sizes=sizes,
            depth=self.depth,
            ordered=self.ordered,
        )


def cells(side: int) -> np.ndarray:
    """Starts ``[2, side (side + 1) / 2]`` with ``mu_1 <= mu_2`` on a grid over [-1, 1]^2, the diagonal among them.

    The other half would be the same runs again: with equal weights, swapping the generator's means swaps them in every
    gradient, and changes nothing else.
    """
    line = np.linspace(-1.0, 1.0, side).astype(np.float32)
    low, high = np.triu_indices(side)
    return np.stack([line[low], line[high]])


def draw_intervals(key: Key, starts: int, intervals: int, reach: float) -> tuple[Array, Array]:
    """``(left, right)``, each ``[intervals, starts]``: the ends are sorted draws of U(-reach, reach)."""
    ends = jax.random.uniform(key, (2 * intervals, starts), minval=-reach, maxval=reach)
    ends = jnp.sort(ends, axis=0)
    return ends[0::2], ends[1::2]


def play(
    game: IntervalGame, rule: Rule, start: IntervalState, step_size: Any, steps: int
) -> dict[str, Array]:
    """What became of runs ``[N]`` after so many steps: :data:`MEASURES`, and whether an interval ever was inverted."""

    def step(carry: tuple[IntervalState, Array], _: None) -> tuple[Any, None]:
        state = rule.step(game, carry[0], step_size)
        return (state, carry[1] | jnp.any(state.left > state.right, axis=0)), None

    never = jnp.zeros(start.means.shape[1:], bool)
    (end, ever), _ = jax.lax.scan(step, (start, never), None, length=steps)
    return {**outcome(game, end), "ever_inverted": ever}


def outcome(game: IntervalGame, end: IntervalState) -> dict[str, Array]:
    """By run ``[N]``, True or False; ``tv``, 1 for what is not finite; ``fate``, an index into :data:`FATES`.

    With equal weights components have no names: their means are sorted before they are compared with the target.
    """
    means, size = end.means, game.target.shape[0]
    finite = jnp.all(jnp.isfinite(means), axis=0)
    rising = jnp.sort(means, axis=0)
    equal = jnp.all(game.weights == game.weights[0])
    named = jnp.where(equal, rising, means)
    found = {
        "success": jnp.all(jnp.abs(named - game.target[:, None]) < TOLERANCE, axis=0),
        "not finite": ~finite,
        "escaped": ~finite | jnp.any(jnp.abs(means) > ESCAPED, axis=0),
        "merged": jnp.any(jnp.diff(rising, axis=0) < TOLERANCE, axis=0)
        if size > 1
        else jnp.zeros_like(finite),
        "inverted": jnp.any(end.left > end.right, axis=0),
    }
    fate = jnp.argmax(jnp.stack([*found.values(), jnp.ones_like(finite)]), axis=0)
    tv = jnp.where(finite, theory.total_variation(game, jnp.where(finite[None], means, 0.0)), 1.0)
    return {**found, "tv": tv, "fate": fate}


def on_grid(
    key: Key,
    step_size: Array,
    *,
    game: IntervalGame,
    rule: Rule,
    side: int,
    discriminators: int,
    reach: float,
    steps: int,
    at_once: int,
) -> dict[str, Array]:
    """One seed: from every cell of the grid so many runs, each with a discriminator's start of its own.

    Args:
        key: of the seed; the starts do not depend on ``at_once``.
        step_size: ``[]``.
        game: of two components of equal weight.
        rule: how to step.
        side: of the grid.
        discriminators: runs in each cell.
        reach: the discriminators' ends are drawn from [-reach, reach].
        steps: of a run.
        at_once: runs that are played at the same time; they should fit into a core's cache.

    Returns:
        ``map`` and ``map_tv`` ``[cells]``, means over a cell's runs; over the runs off the diagonal :data:`MEASURES`
        (``tv`` is the median), ``ever_inverted``, ``fates`` ``[len(FATES)]``.
    """
    grid = jnp.asarray(cells(side))
    count = grid.shape[1]
    few = max(1, min(count, at_once // discriminators))
    chunks = -(-count // few)
    # The last chunk is filled up with cells that are played again and not counted.
    index = jnp.arange(chunks * few) % count

    def chunk(index: Array) -> dict[str, Array]:
        keys = jax.vmap(lambda cell: jax.random.fold_in(key, cell))(index)
        ends = jax.vmap(lambda own: jnp.stack(draw_intervals(own, discriminators, 2, reach)))(keys)
        left, right = jnp.moveaxis(ends, 0, 2).reshape(2, 2, few * discriminators)
        means = jnp.repeat(grid[:, index], discriminators, axis=1)
        return play(game, rule, IntervalState(means, left, right), step_size, steps)

    found = jax.lax.map(chunk, index.reshape(chunks, few))
    runs = {
        name: value.reshape(-1, discriminators)[:count].astype(jnp.float32)
        for name, value in found.items()
    }
    apart = np.flatnonzero(np.diff(cells(side), axis=0)[0])
    maps = {"map": runs["success"].mean(axis=1), "map_tv": runs["tv"].mean(axis=1)}
    return {**maps, **summary({name: value[apart].reshape(-1) for name, value in runs.items()})}


def summary(runs: Mapping[str, Array]) -> dict[str, Array]:
    """Rates over runs ``[N]`` of one seed; of ``tv`` the median."""
    rates = {
        name: value.astype(jnp.float32).mean()
        for name, value in runs.items()
        if name not in ("tv", "fate")
    }
    fates = jnp.stack([jnp.mean(runs["fate"] == i) for i in range(len(FATES))])
    return {**rates, "tv": jnp.median(runs["tv"]), "fates": fates}


def from_draws(
    key: Key,
    step_size: Array,
    *,
    game: IntervalGame,
    rule: Rule,
    starts: Callable[[Key], Array],
    intervals: int,
    reach: float,
    steps: int,
) -> dict[str, Array]:
    """One seed of another setting: means ``[K, N]`` from ``starts(key)``, ends drawn, all as :func:`on_grid` counts."""
    mean_key, end_key = jax.random.split(key)
    means = starts(mean_key)
    left, right = draw_intervals(end_key, means.shape[1], intervals, reach)
    return summary(play(game, rule, IntervalState(means, left, right), step_size, steps))
