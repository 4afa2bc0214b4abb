"""The rules of mix_weights behind one interface, and the matrix games, fixed or drifting, that they play."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

import mixgan_jax as mg
from mixgan_jax import penalties
from mixgan_jax.metrics.equilibrium import effective_number
from mixgan_jax.types import Array, Key

RULES: Mapping[str, Callable[[Any], optax.GradientTransformation]] = {
    "EG": mg.exponentiated_gradient,
    "optimistic EG": mg.optimistic_exponentiated_gradient,
    "softmax SGD": mg.softmax_sgd,
    "softmax Adam": mg.softmax_adam,
    "projection": mg.projected_gradient,
    # It has no step size: the rate is the inverse of its first regrets.
    "RM+": lambda rate: mg.regret_matching_plus(1.0 / rate),
}
RESOLVE = 100  # steps for which the oracle keeps its weights


class Choice(NamedTuple):
    """State of :func:`any_rule`.

    Attributes:
        rule: int32 ``[]``, the played rule's place in ``RULES``.
        rate: ``[]``, its step size.
        states: the states of all rules.
    """

    rule: Array
    rate: Array
    states: tuple[Any, ...]


def choose(rule: Array, rate: Array, log_weights: Any) -> Choice:
    """Returns a rule's first state. Rule and rate may be traced, so that one program serves all of them."""
    return Choice(rule, rate, tuple(make(rate).init(log_weights) for make in RULES.values()))


def any_rule() -> optax.GradientTransformation:
    """Makes a weight rule that its state chooses: all rules are computed, which costs little; one moves the weights."""

    def update(updates: Any, state: Choice, params: Any = None) -> tuple[Any, Choice]:
        results = [
            make(state.rate).update(updates, own, params)
            for make, own in zip(RULES.values(), state.states, strict=True)
        ]
        moves, states = zip(*results, strict=True)
        chosen = jax.tree.map(lambda *each: jnp.stack(each)[state.rule], *moves)
        return chosen, state._replace(states=states)

    first = partial(choose, np.int32(0), np.float32(1.0))
    return optax.GradientTransformation(first, update)


class Drift(NamedTuple):
    """A game whose payoffs move smoothly: ``V(t) = sum_m (C_m cos w_m t + S_m sin w_m t) / sqrt M``.

    At every time the payoffs are standard normal over games, since the coefficients are.

    Attributes:
        cosines: ``[M, I, J]``.
        sines: ``[M, I, J]``.
        speeds: ``[M]``, angular speeds in radians a step; 0 for a game that stands still.
    """

    cosines: Array
    sines: Array
    speeds: Array

    def at(self, step: Array) -> Array:
        """Computes the payoffs ``[..., I, J]`` at steps ``[...]``."""
        angles = jnp.tensordot(step, self.speeds, axes=0)
        waves = jnp.tensordot(jnp.cos(angles), self.cosines, axes=1)
        waves = waves + jnp.tensordot(jnp.sin(angles), self.sines, axes=1)
        return waves / jnp.sqrt(jnp.float32(len(self.speeds)))


def drift(key: Key, size: int, period: float, waves: int = 4) -> Drift:
    """Draws a game ``[size, size]`` of ``waves`` waves; the fastest has ``period`` steps (``inf`` for a fixed game)."""
    keys = jax.random.split(key, 3)
    shape = (waves, size, size)
    speeds = jax.random.uniform(keys[2], (waves,)) * (2 * jnp.pi / period)
    return Drift(jax.random.normal(keys[0], shape), jax.random.normal(keys[1], shape), speeds)


class Setting(NamedTuple):
    """How a game is played: scalars, or vectors for several settings.

    Attributes:
        rule: int32, the rule's place in ``RULES``.
        rate: its step size.
        barrier: coefficient of the weight barrier.
        in_turns: whether the generators answer the discriminators' new weights.
    """

    rule: Any
    rate: Any
    barrier: Any
    in_turns: Any


def play(game: Drift, setting: Setting, steps: int, points: int) -> dict[str, Array]:
    """Plays a whole game from uniform weights, both sides with the same rule.

    Args:
        game: the game to play.
        setting: one setting, of scalars.
        steps: moves of each side, a multiple of ``points``.
        points: number of points on the curve.

    Returns:
        ``last``, NashConv at the end; ``average``, of the average weights in a fixed game; ``tracking``, the mean of
        the second half's NashConv, each of the game as it stood; ``regret``, what the best fixed component would have
        gained a step, both sides together; ``effective``, number of components at the end, mean of the sides; ``curve``
        ``[points]``, NashConv every ``steps / points`` steps.
    """
    size = game.cosines.shape[-1]
    tx = any_rule()
    start = jnp.full(size, -jnp.log(jnp.float32(size)))
    state = choose(setting.rule, setting.rate, start)

    def step(carry: Any, index: Array) -> tuple[Any, Array]:
        sides, totals = carry
        (p_logs, p_state), (q_logs, q_state) = sides
        values, p, q = game.at(index.astype(jnp.float32)), jnp.exp(p_logs), jnp.exp(q_logs)
        gap = gap_of(values, p, q)
        q_loss = -(p @ values)
        q_move, q_state = tx.update(q_loss + _push(setting, q), q_state, q_logs)
        q_logs = q_logs + q_move
        met = jnp.where(setting.in_turns, jnp.exp(q_logs), q)
        p_loss = values @ met
        p_move, p_state = tx.update(p_loss + _push(setting, p), p_state, p_logs)
        new = (p @ p_loss + q @ q_loss, p_loss, q_loss, p, q)
        totals = jax.tree.map(jnp.add, totals, new)
        return (((p_logs + p_move, p_state), (q_logs, q_state)), totals), gap

    zeros = jnp.zeros(size)
    carry = (((start, state), (start, state)), (jnp.float32(0.0), zeros, zeros, zeros, zeros))
    (sides, totals), gaps = jax.lax.scan(step, carry, jnp.arange(steps, dtype=jnp.int32))
    paid, p_losses, q_losses, p_sum, q_sum = totals
    logs = [side[0] for side in sides]
    end = game.at(jnp.float32(steps - 1))
    return {
        "last": gap_of(end, *map(jnp.exp, logs)),
        "average": gap_of(end, p_sum / steps, q_sum / steps),
        "tracking": gaps[steps // 2 :].mean(),
        "regret": (paid - p_losses.min() - q_losses.min()) / steps,
        "effective": sum(jnp.exp(mg.entropy(log)) for log in logs) / 2.0,
        "curve": gaps[steps // points - 1 :: steps // points],
    }


def gap_of(values: Array, p: Array, q: Array) -> Array:
    """Computes NashConv in a zero-sum game ``[I, J]``; normalises the weights, whose sums are not quite 1."""
    p, q = p / jnp.sum(p), q / jnp.sum(q)
    return mg.nash_conv(mg.zero_sum(values), p, q)


def _push(setting: Setting, weights: Array) -> Array:
    return setting.barrier * jax.grad(penalties.weight_barrier)(weights)


@partial(jax.jit, static_argnums=(2, 3))
def play_all(games: Drift, settings: Setting, steps: int, points: int) -> dict[str, Array]:
    """Plays every game ``[G]`` in every setting ``[R]``: results ``[G, R]``."""
    one = partial(play, steps=steps, points=points)
    return jax.vmap(jax.vmap(one, in_axes=(None, 0)), in_axes=(0, None))(games, settings)


def oracle(games: Drift, steps: int, points: int) -> dict[str, np.ndarray]:
    """Takes the same measures ``[G]`` of exact equilibria, solved anew every 100 steps and kept in between."""
    every = min(RESOLVE, steps)
    times = jnp.arange(steps, dtype=jnp.float32)
    found: list[dict[str, Any]] = []
    for index in range(games.speeds.shape[0]):
        game = jax.tree.map(lambda leaf, at=index: leaf[at], games)
        values = np.asarray(game.at(times), np.float64)
        still = not np.any(np.asarray(game.speeds))
        solved = [
            mg.zero_sum_equilibrium(values[t]) for t in ([0] if still else range(0, steps, every))
        ]
        which = np.minimum(np.arange(steps) // every, len(solved) - 1)
        p = np.stack([pair.generator for pair in solved])[which]
        q = np.stack([pair.discriminator for pair in solved])[which]
        found.append(measures(values, p, q, points))
    return {name: np.stack([one[name] for one in found]) for name in found[0]}


def measures(values: np.ndarray, p: np.ndarray, q: np.ndarray, points: int) -> dict[str, Any]:
    """Takes :func:`play`'s measures, in float64, of weights ``[T, I]`` and ``[T, J]`` on payoffs ``[T, I, J]``."""
    steps = len(values)
    p_loss, q_loss = np.einsum("tij,tj->ti", values, q), -np.einsum("ti,tij->tj", p, values)
    gaps = np.maximum(-q_loss.min(axis=1) - p_loss.min(axis=1), 0.0)
    p_mean, q_mean = p.mean(axis=0), q.mean(axis=0)
    return {
        "last": gaps[-1],
        "average": max((p_mean @ values[-1]).max() - (values[-1] @ q_mean).min(), 0.0),
        "tracking": gaps[steps // 2 :].mean(),
        "regret": -(p_loss.mean(axis=0).min() + q_loss.mean(axis=0).min()),
        "effective": np.mean([effective_number(p[-1]), effective_number(q[-1])]),
        "curve": gaps[steps // points - 1 :: steps // points],
    }
