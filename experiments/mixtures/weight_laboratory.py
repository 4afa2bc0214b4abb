"""Plays every weight rule on matrix games of several sizes, at every step size and barrier; chooses step sizes."""

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from experiments.mixtures.weight_rules import RULES, Drift, Setting, drift, oracle, play_all
from mixgan_jax.types import Key

RATES = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0)
BARRIERS = (0.0, 0.01, 0.1, 1.0)
GRID = list(itertools.product(range(len(RULES)), RATES, BARRIERS, (False, True)))
KINDS = ("fixed", "drifting")
MEASURES = ("last", "average", "tracking", "regret", "effective")


class Plan(NamedTuple):
    """How much is played.

    Attributes:
        games: games of each size and kind in a seed; as many others are for tuning.
        period: period of a drifting game's fastest wave, in steps.
        steps: moves of each side.
        points: points on the curves.
    """

    games: int
    period: float
    steps: int
    points: int


def draw_games(keys: Key, plan: Plan, kind: str, size: int, tuning: bool) -> Drift:
    """Draws games ``[S * games]`` from keys ``[S]``; the tuning games differ from the test games."""
    period = plan.period if kind == "drifting" else math.inf
    name = 2 * KINDS.index(kind) + tuning

    def of_seed(key: Any) -> Drift:
        keys = jax.random.split(jax.random.fold_in(key, name), plan.games)
        return jax.vmap(lambda one: drift(one, size, period))(keys)

    games = jax.vmap(of_seed)(keys)
    return jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:]), games)


def play_size(keys: Key, plan: Plan, size: int) -> dict[str, Any]:
    """Plays both kinds of games of one size, for seeds ``[S]``, in all settings of the grid, and the oracle."""
    rule, rate, barrier, in_turns = zip(*GRID, strict=True)
    settings = Setting(
        jnp.int32(rule), jnp.float32(rate), jnp.float32(barrier), jnp.array(in_turns)
    )
    found: dict[str, Any] = {}
    for kind in KINDS:
        games = [draw_games(keys, plan, kind, size, tuning) for tuning in (True, False)]
        tuning, test = (
            jax.device_get(play_all(some, settings, plan.steps, plan.points)) for some in games
        )
        found[kind] = {
            "tuning": tuning["last" if kind == "fixed" else "tracking"].mean(axis=0),
            **{name: _by_seed(plan, test[name]) for name in MEASURES},
            "curve": test["curve"].mean(axis=0),
            "oracle": {
                name: _by_seed(plan, values)
                for name, values in oracle(games[1], plan.steps, plan.points).items()
            },
        }
    return found


def _by_seed(plan: Plan, values: np.ndarray) -> np.ndarray:
    """Averages over a seed's games: ``[S * games, ...]`` to ``[S, ...]``."""
    return values.reshape(-1, plan.games, *values.shape[1:]).mean(axis=1)


class Laboratory:
    """Results on matrix games of all sizes, and the step sizes that the tuning games chose."""

    def __init__(self, parts: Sequence[Mapping[str, Any]]) -> None:
        """Joins the results of :func:`play_size`, one of ``parts`` for each size."""
        self.parts = parts

    def mean(self, kind: str, name: str) -> np.ndarray:
        """Averages a measure of all settings over sizes: ``[S, R]``, or ``[R, points]`` for the curve."""
        return np.mean([part[kind][name] for part in self.parts], axis=0)

    def oracle(self, kind: str, name: str) -> np.ndarray:
        """Averages a measure of the oracle over sizes: ``[S]``, or ``[S, points]``."""
        return np.mean([part[kind]["oracle"][name] for part in self.parts], axis=0)

    def chosen(self, kind: str, rule: int, barrier: float, in_turns: bool = True) -> int:
        """Returns the place in the grid of the setting whose step size was best on the tuning games."""
        tuning = self.mean(kind, "tuning")
        places = [GRID.index((rule, rate, barrier, in_turns)) for rate in RATES]
        return min(places, key=lambda place: tuning[place])

    def rate(self, rule: int, barrier: float) -> float:
        """Returns the step size that MIX+GAN takes: the one chosen on drifting games."""
        return GRID[self.chosen("drifting", rule, barrier)][1]

    def measures(
        self, kind: str, rule: int, barrier: float, in_turns: bool = True
    ) -> dict[str, Any]:
        """Returns the table's measures ``[S]`` at the chosen step size, and that step size."""
        place = self.chosen(kind, rule, barrier, in_turns)
        found = {name: self.mean(kind, name)[:, place] for name in MEASURES}
        return {**as_columns(kind, found), "rate": GRID[place][1]}


def as_columns(kind: str, found: Mapping[str, Any]) -> dict[str, Any]:
    average = found["average" if kind == "fixed" else "tracking"]
    return {**{name: found[name] for name in ("last", "regret", "effective")}, "average": average}
