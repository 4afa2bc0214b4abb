"""Runs of the Dirac-GAN: every loss under every penalty, from random starts, in one program."""

import math
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

import mixgan_jax as mg
from mixgan_jax import adjustments, losses, penalties, theory
from mixgan_jax.adjustments import Adjustment, Players
from mixgan_jax.penalties import Penalty
from mixgan_jax.solvers.game_gradients import Update
from mixgan_jax.types import Array, Key

LOSSES: dict[str, Callable[[], mg.GanLoss]] = {
    "minimax": losses.minimax,
    "wasserstein": losses.wasserstein,
    "hinge": losses.hinge,
    "non_saturating": losses.non_saturating,
    "relativistic": losses.relativistic,
    "least_squares": losses.least_squares,
}
TITLES = {name: make().name for name, make in LOSSES.items()}
DAMPED = ("consensus", "jare", "symplectic")
"""Rows that adjust gradients, by the names of ``theory.adjusted_jacobian``."""


class Row(NamedTuple):
    """A row of the table."""

    name: str
    penalty: str
    update: Update
    of_discriminator: Penalty | None
    adjust: Adjustment | None


def rows(gamma: float, adjustment: float) -> list[Row]:
    """Every penalty, with simultaneous and, where that is defined, alternating steps."""
    of_discriminator = {
        "none": None,
        "R1": penalties.r1(gamma),
        "R2": penalties.r2(gamma),
        "WGAN-GP": penalties.gradient_penalty(gamma),
    }
    updates: tuple[Update, Update] = ("simultaneous", "alternating")
    found = [
        Row(f"{name}, {update}", name, update, penalty, None)
        for name, penalty in of_discriminator.items()
        for update in updates
    ]
    for name in DAMPED:
        rule = getattr(adjustments, name)(adjustment)
        title = "JARE" if name == "jare" else name
        found.append(Row(f"{title}, simultaneous", name, "simultaneous", None, rule))
    return found


def run_all(keys: Key, rows: list[Row], step_size: float, steps: int) -> dict[str, Any]:
    """Measures of every row and loss from the starts ``[S]`` of keys: see :func:`_run`."""
    found: dict[str, Any] = {}
    for row in rows:
        found[row.name] = {}
        for name, make in LOSSES.items():
            game = theory.dirac_gan_losses(make(), row.of_discriminator)
            rule = mg.gradient_play(
                start,
                lambda key, players, batch, game=game: game(players),
                (optax.sgd(step_size),) * 2,
                update=row.update,
                adjust=row.adjust,
            )
            cell = jax.vmap(partial(_run, rule, steps))(keys)
            found[row.name][name] = cell | {"path": cell["path"][0]}
    return found


def start(key: Key) -> Players:
    """A point at a radius uniform in [0.5, 1.5], at any angle."""
    radius_key, angle_key = jax.random.split(key)
    radius = jax.random.uniform(radius_key, minval=0.5, maxval=1.5)
    angle = jax.random.uniform(angle_key, maxval=2 * math.pi)
    return radius * jnp.cos(angle), radius * jnp.sin(angle)


def _run(rule: mg.Solver, steps: int, key: Key) -> dict[str, Array]:
    """One run.

    Args:
        rule: the dynamics.
        steps: of them.
        key: of the start.

    Returns:
        ``ratio``, log10 of the last radius over the first; ``rate``, the slope of log10 radius while the radius is
        below 1e-2 and above 1e-30, 0 where it does not come there; ``turns`` around 0; ``radius``, mean, and
        ``nearest``, least, over the last tenth; ``path`` ``[T, 2]``, of the first two fifths of the run.
    """
    first = rule.init(key)

    def body(state: Any, _: None) -> tuple[Any, Array]:
        state, _ = rule.step(key, state, None)
        return state, jnp.stack(state.iterate)

    _, points = jax.lax.scan(body, first, None, length=steps)
    points = jnp.concatenate([jnp.stack(first.iterate)[None], points])
    # What has come to 0 in float32 has no logarithm: the least number stands for it. Squares would come there sooner.
    radii = jnp.maximum(jnp.hypot(*points.T), jnp.finfo(points.dtype).tiny)
    logs = jnp.log10(radii)
    before, after = points[:-1], points[1:]
    cross = before[:, 0] * after[:, 1] - before[:, 1] * after[:, 0]
    angles = jnp.arctan2(cross, jnp.sum(before * after, axis=1))
    last = radii[-max(1, steps // 10) :]
    return {
        "ratio": logs[-1] - logs[0],
        "rate": _slope(logs, (logs < -2.0) & (logs > -30.0)),
        "turns": jnp.abs(jnp.sum(angles)) / (2 * math.pi),
        "radius": jnp.mean(last),
        "nearest": jnp.min(last),
        "path": points[: 2 * steps // 5 : max(1, steps // 1000)],
    }


def _slope(values: Array, kept: Array) -> Array:
    """Least-squares slope per step of those of ``values`` ``[T]`` that are kept, 0 of none."""
    weights = kept.astype(values.dtype)
    time = jnp.arange(values.shape[0], dtype=values.dtype)
    centred = weights * (time - jnp.vdot(weights, time) / jnp.maximum(weights.sum(), 1.0))
    return jnp.vdot(centred, values) / jnp.maximum(jnp.vdot(centred, centred), 1e-9)
