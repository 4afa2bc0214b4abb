"""Many runs of the interval game at once: their starts, their outcomes, and the outcomes' rates.

The Gaussians have unit variance; see :mod:`mixgan_jax.theory`. Runs are the last axis of every array: long and
contiguous, so that the CPU's vector units are busy. A seed is one draw of all discriminators' starts.

Three programs follow each other, with seeds dealt out to the devices: they draw starts, play, and judge. The first and
the last are the same for many rows of the table, and are compiled once.
"""

from collections.abc import Callable, Mapping
from functools import cache, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

import mixgan_jax as mg
from experiments.common import harness
from mixgan_jax import theory
from mixgan_jax.runs.parallel import map_runs
from mixgan_jax.theory import Dynamics, IntervalGame, IntervalState
from mixgan_jax.types import Array, Key

TOLERANCE = 0.1  # distance of a mean to its target (success), or of two means (merged)
ESCAPED = 3.0  # a mean beyond this has escaped
FATES = (
    "success",
    "not finite",
    "escaped",
    "merged",
    "inverted",
    "other",
)  # a run's fate is the first that is true
MEASURES = ("success", "merged", "inverted", "escaped", "tv")


class Rule(NamedTuple):
    """One row of the table: how both players step.

    Attributes:
        name: the row's name.
        dynamics: argument of :func:`mixgan_jax.theory.interval_step`.
        depth: argument of the same function.
        ordered: argument of the same function.
        per_weight: whether a mean's step is divided by its weight.
    """

    name: str
    dynamics: Dynamics
    depth: int = 1
    ordered: bool = False
    per_weight: bool = False

    def step(self, game: IntervalGame, state: IntervalState, step_size: Any) -> IntervalState:
        """Computes the state after one step."""
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
    """Makes starts ``[2, side (side + 1) / 2]`` with ``mu_1 <= mu_2`` on a grid over [-1, 1]^2, including the diagonal.

    The other half would repeat the same runs: with equal weights, swapping the generator's means swaps them in every
    gradient, and changes nothing else.
    """
    line = np.linspace(-1.0, 1.0, side).astype(np.float32)
    low, high = np.triu_indices(side)
    return np.stack([line[low], line[high]])


def draw_intervals(key: Key, starts: int, intervals: int, reach: float) -> tuple[Array, Array]:
    """Draws ``(left, right)``, each ``[intervals, starts]``: the ends are sorted draws of U(-reach, reach)."""
    ends = jax.random.uniform(key, (2 * intervals, starts), minval=-reach, maxval=reach)
    ends = jnp.sort(ends, axis=0)
    return ends[0::2], ends[1::2]


def grid_starts(key: Key, side: int, discriminators: int, reach: float) -> IntervalState:
    """Draws one seed's starts ``[2, cells * discriminators]``; each run in a cell has intervals of its own."""
    means = jnp.repeat(jnp.asarray(cells(side)), discriminators, axis=1)
    return IntervalState(means, *draw_intervals(key, means.shape[1], 2, reach))


def in_chunks(function: Callable[..., Any], at_once: int, *trees: Any) -> Any:
    """Maps ``function`` over trees of ``[..., N]``, ``at_once`` runs at a time, so that they stay in a core's cache."""
    count = jax.tree.leaves(trees)[0].shape[-1]
    size = min(at_once, count)
    chunks = -(-count // size)

    def cut(leaf: Array) -> Array:
        nothing = [(0, 0)] * (leaf.ndim - 1)
        # The last chunk is filled up with copies of the last run.
        whole = jnp.pad(leaf, [*nothing, (0, chunks * size - count)], mode="edge")
        return jnp.moveaxis(whole.reshape(*leaf.shape[:-1], chunks, size), -2, 0)

    def join(leaf: Array) -> Array:
        whole = jnp.moveaxis(leaf, 0, -2)
        return whole.reshape(*whole.shape[:-2], chunks * size)[..., :count]

    found = jax.lax.map(lambda parts: function(*parts), jax.tree.map(cut, trees))
    return jax.tree.map(join, found)


def play(
    rule: Rule,
    steps: int,
    at_once: int,
    start: IntervalState,
    step_size: Array,
    game: IntervalGame,
) -> dict[str, Array]:
    """Plays ``steps`` of runs ``[N]``: means ``[K, N]``, intervals inverted at the end ``[N]``, and at any time."""

    def step(carry: tuple[IntervalState, Array], _: None) -> tuple[Any, None]:
        state = rule.step(game, carry[0], step_size)
        return (state, carry[1] | jnp.any(state.left > state.right, axis=0)), None

    def whole(start: IntervalState) -> dict[str, Array]:
        never = jnp.zeros(start.means.shape[1:], bool)
        (end, ever), _ = jax.lax.scan(step, (start, never), None, length=steps)
        now = jnp.any(end.left > end.right, axis=0)
        return {"means": end.means, "inverted": now, "ever_inverted": ever}

    return in_chunks(whole, at_once, start)


def judge(at_once: int, end: dict[str, Array], game: IntervalGame) -> dict[str, Array]:
    """Judges runs ``[N]``: each outcome, True or False; ``tv``, 1 for a run that is not finite; ``fate``.

    With equal weights components can be swapped, so their means are sorted before they are compared with the target.
    """
    means = end["means"]
    finite = jnp.all(jnp.isfinite(means), axis=0)
    rising = jnp.sort(means, axis=0)
    named = jnp.where(jnp.all(game.weights == game.weights[0]), rising, means)
    found = {
        "success": jnp.all(jnp.abs(named - game.target[:, None]) < TOLERANCE, axis=0),
        "not finite": ~finite,
        "escaped": ~finite | jnp.any(jnp.abs(means) > ESCAPED, axis=0),
        "merged": jnp.any(jnp.diff(rising, axis=0) < TOLERANCE, axis=0),
        "inverted": end["inverted"],
    }
    fate = jnp.argmax(jnp.stack([*found.values(), jnp.ones_like(finite)]), axis=0)
    known = jnp.where(finite[None], means, 0.0)
    distance = in_chunks(partial(theory.total_variation, game), at_once, known)
    tv = jnp.where(finite, distance, 1.0)
    return {**found, "ever_inverted": end["ever_inverted"], "tv": tv, "fate": fate}


class Sweep(NamedTuple):
    """What all rows share.

    Attributes:
        seeds: number of seeds.
        steps: number of steps of a run.
        reach: discriminators' ends are drawn from [-reach, reach].
        at_once: number of a seed's runs that are played at the same time; the results do not depend on it.
        first_seed: the first seed; the others follow it.
    """

    seeds: int
    steps: int
    reach: float
    at_once: int
    first_seed: int = 0

    def keys(self) -> Key:
        """Spreads the seeds' keys over the devices."""
        seeds = range(self.first_seed, self.first_seed + self.seeds)
        return mg.spread_over_devices(harness.seed_keys(seeds))

    def run(
        self, game: IntervalGame, rule: Rule, starts: IntervalState, step_sizes: Any
    ) -> dict[str, np.ndarray]:
        """Plays and judges runs ``[S, N]`` from starts ``[S, ..., N]``; takes a step size for each seed, or one."""
        step_sizes = np.broadcast_to(step_sizes, (self.seeds,))
        # Rows that differ in name and game alone share a program.
        end = _player(self, rule._replace(name=""))(
            starts, jnp.asarray(step_sizes, jnp.float32), game
        )
        return {name: np.asarray(value) for name, value in _judge(self)(end, game).items()}

    def on_grid(
        self, game: IntervalGame, rule: Rule, side: int, discriminators: int, step_size: float
    ) -> dict[str, np.ndarray]:
        """Plays ``discriminators`` runs in every cell, and takes their :func:`grid_summary`."""
        starts = _grid_starts(self, side, discriminators)(self.keys())
        found = self.run(game, rule, starts, step_size)
        return grid_summary(found, side)

    def draw(self, start: Callable[[Key], IntervalState]) -> IntervalState:
        """Draws ``start(key)`` for every seed, ``[S, ..., N]``."""
        return jax.jit(map_runs(self.keys(), start))(self.keys())


@cache
def _grid_starts(sweep: Sweep, side: int, discriminators: int) -> Callable[[Key], IntervalState]:
    one = partial(grid_starts, side=side, discriminators=discriminators, reach=sweep.reach)
    return jax.jit(map_runs(sweep.keys(), one))


@cache
def _player(sweep: Sweep, rule: Rule) -> Callable[..., dict[str, Array]]:
    one = partial(play, rule, sweep.steps, sweep.at_once)
    return jax.jit(map_runs(sweep.keys(), one, shared=1))


@cache
def _judge(sweep: Sweep) -> Callable[..., dict[str, Array]]:
    return jax.jit(map_runs(sweep.keys(), partial(judge, sweep.at_once), shared=1))


def grid_summary(runs: Mapping[str, np.ndarray], side: int) -> dict[str, np.ndarray]:
    """Takes the :func:`summary` of the runs ``[S, cells * D]`` off the diagonal, and maps over all cells."""
    grid = cells(side)
    by_cell = {name: value.reshape(len(value), grid.shape[1], -1) for name, value in runs.items()}
    maps = {
        name: by_cell[of].mean(axis=(0, 2)).round(4)
        for name, of in (("map", "success"), ("map_tv", "tv"))
    }
    apart = grid[0] < grid[1]
    off = {name: value[:, apart].reshape(len(value), -1) for name, value in by_cell.items()}
    return {**maps, **summary(off)}


def summary(runs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Summarises runs ``[S, N]`` by seed: rates and median ``tv`` ``[S]``, and ``fates`` ``[S, len(FATES)]``."""
    rates = {name: value.mean(axis=1) for name, value in runs.items() if name not in ("tv", "fate")}
    fates = np.stack([(runs["fate"] == i).mean(axis=1) for i in range(len(FATES))], axis=1)
    return {**rates, "tv": np.median(runs["tv"], axis=1), "fates": fates}
