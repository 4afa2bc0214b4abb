"""The interval game beyond the grid: known unequal weights, three components, a discriminator of one interval."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from experiments.two_gaussians.interval_runs import Rule, draw_intervals
from mixgan_jax import theory
from mixgan_jax.theory import IntervalGame, IntervalState
from mixgan_jax.types import Array, Key

TARGET = (-0.5, 0.5)
WEIGHTS = (0.1, 0.9)
THREE = (-1.5, 0.0, 1.5)


class Setting(NamedTuple):
    """One row of the table.

    Attributes:
        rule: how both players step; its name is the row's.
        target: the data's means.
        weights: the components' weights, known to both players; equal if None.
        starts: draws means ``[K, N]`` from a key and a number N.
        intervals: number of the discriminator's intervals.
    """

    rule: Rule
    target: tuple[float, ...]
    weights: tuple[float, ...] | None
    starts: Callable[[Key, int], Array]
    intervals: int

    def game(self) -> IntervalGame:
        """Returns the game."""
        weights = None if self.weights is None else jnp.asarray(self.weights)
        return theory.interval_game(jnp.asarray(self.target), weights)

    def draw(self, key: Key, count: int, reach: float) -> IntervalState:
        """Draws one seed's starts ``[K, count]``."""
        mean_key, end_key = jax.random.split(key)
        ends = draw_intervals(end_key, count, self.intervals, reach)
        return IntervalState(self.starts(mean_key, count), *ends)


def in_box(size: int, reach: float, order: int = 0) -> Callable[[Key, int], Array]:
    """Samples starts uniform in ``[-reach, reach]^size``: rising for order 1, falling for -1, as drawn for 0."""

    def draw(key: Key, count: int) -> Array:
        means = jax.random.uniform(key, (size, count), minval=-reach, maxval=reach)
        return jnp.sort(means, axis=0)[::order] if order else means

    return draw


def settings() -> list[Setting]:
    """Lists the rows, in their order."""
    rows = [
        Setting(
            Rule(f"unequal, {start}, {step}", "optimal", per_weight=step == "eta/w"),
            TARGET,
            WEIGHTS,
            in_box(2, 2.0, order),
            2,
        )
        for step in ("eta", "eta/w")
        for start, order in (("in order", 1), ("swapped", -1))
    ]
    kinds = (("optimal", 1), ("simultaneous", 1), ("unrolled", 5))
    rows += [
        Setting(Rule(f"three, {named(kind, k)}", kind, k), THREE, None, in_box(3, 2.5), 3)
        for kind, k in kinds
    ]
    return rows + [
        Setting(Rule(f"single, {named(kind, k)}", kind, k), TARGET, None, in_box(2, 1.0), 1)
        for kind, k in kinds
    ]


def named(kind: str, depth: int) -> str:
    """Names the dynamics as a row does."""
    return f"unrolled by {depth}" if kind == "unrolled" else kind
