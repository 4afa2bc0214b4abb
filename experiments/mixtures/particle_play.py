"""Particles that play random games on the circle by rules of mix_gan, and how far from equilibrium they are."""

from collections.abc import Sequence
from functools import partial
from itertools import groupby
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

import mixgan_jax as mg
from mixgan_jax import theory
from mixgan_jax.types import Array, Key

BARRIER = 0.1  # of the released code
FLOOR = 1e-15  # errors below are rounding


class Rule(NamedTuple):
    """What moves, and how.

    Attributes:
        weights: whether weights move.
        positions: whether positions move.
        barrier: coefficient of the barrier.
        mirror_prox: whether both sides look one step ahead.
        speed: the component speed of ``mix_gan``.
    """

    weights: bool
    positions: bool
    barrier: float = 0.0
    mirror_prox: bool = False
    speed: Any = "equal"


RULES = {
    "positions only": Rule(False, True),
    "weights only": Rule(True, False),
    "both": Rule(True, True),
    f"both, barrier {BARRIER:g}": Rule(True, True, BARRIER),
    "weights only, mirror-prox": Rule(True, False, mirror_prox=True),
    "both, mirror-prox": Rule(True, True, mirror_prox=True),
    "both, factor K p": Rule(True, True, speed="weighted"),
}

BASIC = tuple(RULES)[:4]
"""The rules that the largest numbers of particles play too: no rule that takes a program of its own."""


class Plan(NamedTuple):
    """What all rules share.

    Attributes:
        frequencies: the largest frequency of a game.
        step_size: of exponentiated gradient.
        ratio: step size of positions as a share of that.
        steps: number of steps.
        points: number of points on a curve.
    """

    frequencies: int
    step_size: float
    ratio: float
    steps: int
    points: int


def play_all(keys: Key, plan: Plan, particles: int, names: Sequence[str]) -> dict[str, Any]:
    """Plays the games of all keys ``[S]`` by the rules named; returns errors ``[S, 1 + points]`` by rule."""
    found = {}
    with jax.enable_x64(True):
        # Rules that differ in numbers alone are one program
        for kind, same in groupby(names, lambda name: (RULES[name].mirror_prox, RULES[name].speed)):
            group = list(same)
            rules = [RULES[name] for name in group]
            rates = jnp.asarray([(r.weights, r.positions, r.barrier) for r in rules], float)
            one = partial(_play, plan, particles, *kind)
            each = jax.vmap(jax.vmap(one, (None, 0)), (0, None))
            curves = np.asarray(jax.jit(each)(keys, rates))
            found |= {name: curves[:, place] for place, name in enumerate(group)}
    return found


def _play(
    plan: Plan, particles: int, mirror_prox: bool, speed: Any, key: Key, rates: Array
) -> Array:
    """Plays one game by one rule; returns the Nikaido-Isoda errors ``[1 + points]``."""
    game_key, start_key = jax.random.split(key)
    game = theory.trigonometric_game(game_key, plan.frequencies)
    positions_tx = optax.sgd(plan.step_size * plan.ratio * rates[1])
    solver = mg.mix_gan(
        *theory.particle_players(game),
        num_generators=particles,
        num_discriminators=particles,
        latent_size=1,
        generator_tx=positions_tx,
        discriminator_tx=positions_tx,
        weight_tx=mg.exponentiated_gradient(lambda _: plan.step_size * rates[0]),
        weight_barrier=rates[2],  # type: ignore[arg-type]
        component_speed=speed,
        update="simultaneous",
        latent_sampler=lambda key, shape: jnp.zeros(shape),
    )
    solver = mg.extragradient(solver) if mirror_prox else solver
    # Weights start in float32
    state = jax.tree.map(
        lambda leaf: leaf.astype(float) if leaf.dtype == jnp.float32 else leaf,
        solver.init(start_key),
    )

    def error(state: Any) -> Array:
        sides = (theory.Particles(side.params, side.weights) for side in state.iterate)
        return theory.nikaido_isoda(game, *sides)

    def some(state: Any, _: None) -> tuple[Any, Array]:
        real = jnp.zeros((1, 1))
        every = plan.steps // plan.points
        state = jax.lax.fori_loop(
            0, every, lambda _, state: solver.step(start_key, state, real)[0], state
        )
        return state, error(state)

    first = error(state)
    _, curve = jax.lax.scan(some, state, length=plan.points)
    return jnp.maximum(jnp.concatenate([first[None], curve]), FLOOR)


def decay(curve: Any, every: int) -> dict[str, float]:
    """Fits the decay of one curve, between its first point below 0.1 and its first below 1e-12.

    Returns:
        ``rate``, decades of the error per 1,000 steps; and the root mean square residuals, in decades, of the
        exponential law and of a power law: ``exponential`` and ``power``. NaN where fewer than 5 points are left.
    """
    logs = np.log10(np.asarray(curve))
    start = int(np.argmax(logs < -1)) if (logs < -1).any() else len(logs)
    end = int(np.argmax(logs < -12)) if (logs < -12).any() else len(logs)
    start = max(start, 1)
    if end - start < 5:
        return dict.fromkeys(("rate", "exponential", "power"), float("nan"))
    steps, logs = every * np.arange(len(logs))[start:end], logs[start:end]
    exponential, power = np.polyfit(steps, logs, 1), np.polyfit(np.log(steps), logs, 1)
    return {
        "rate": float(-1000.0 * exponential[0]),
        "exponential": float(np.std(logs - np.polyval(exponential, steps))),
        "power": float(np.std(logs - np.polyval(power, np.log(steps)))),
    }
