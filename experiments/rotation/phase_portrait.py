"""Runs of the Dirac-GAN: every loss under every penalty, from random starts, in one program."""

import math
from collections.abc import Callable
from functools import partial, reduce
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

import mixgan_jax as mg
from mixgan_jax import adjustments, losses, penalties, theory
from mixgan_jax.adjustments import Players
from mixgan_jax.penalties import Penalty
from mixgan_jax.solvers.core.turns import Update
from mixgan_jax.types import Array, Key

LOSSES: dict[str, Callable[[], mg.GanLoss]] = {
    "minimax": losses.minimax,
    "wasserstein": losses.wasserstein,
    "hinge": losses.hinge,
    "non_saturating": losses.non_saturating,
    "relativistic": losses.relativistic,
    "least_squares": losses.least_squares,
}
UPDATES: tuple[Update, Update] = ("simultaneous", "alternating")
TITLES = {name: make().name for name, make in LOSSES.items()}
DAMPED = ("consensus", "jare", "symplectic")
"""Rows that adjust gradients, by the names of ``theory.adjusted_jacobian``."""


PENALTIES = {
    "none": None,
    "R1": penalties.r1,
    "R2": penalties.r2,
    "GP": penalties.gradient_penalty,
}


class Row(NamedTuple):
    """A row of the table."""

    name: str
    penalty: str
    update: Update


def row_of(penalty: str, update: Update) -> Row:
    """Makes a row from its parts, with a short name."""
    if penalty in DAMPED:
        return Row("JARE" if penalty == "jare" else penalty, penalty, update)
    return Row(f"{penalty} {update[:3]}.", penalty, update)


ROWS = [
    *(row_of(penalty, update) for penalty in PENALTIES for update in UPDATES),
    *(row_of(name, "simultaneous") for name in DAMPED),
]


def run_all(
    keys: Key, gamma: float, adjustment: float, step_size: float, steps: int
) -> dict[str, Any]:
    """Runs every row and loss from the keys' starts ``[S]``; takes the measures of :func:`_run`, and the first path.

    Penalties of the discriminator differ in their coefficients alone, so that one program runs all of them.
    """
    found: dict[str, Any] = {row.name: {} for row in ROWS}
    # Coefficients of the penalties; "none" has only zeros.
    coefficients = gamma * jnp.eye(len(PENALTIES))[:, 1:]

    def over_starts(rule: mg.Solver) -> Any:
        return jax.vmap(partial(_run, rule, steps))(keys)

    for loss, make in LOSSES.items():
        for update in UPDATES:

            def of_row(weights: Array, make: Any = make, update: Update = update) -> Any:
                rule = _solver(make(), _weighted(weights), step_size, update=update)
                return over_starts(rule)

            cells = jax.vmap(of_row)(coefficients)
            for index, penalty in enumerate(PENALTIES):
                cell = jax.tree.map(lambda leaf, at=index: leaf[at], cells)
                found[row_of(penalty, update).name][loss] = cell
        for name in DAMPED:
            adjust = getattr(adjustments, name)(adjustment)
            rule = _solver(make(), None, step_size, adjust=adjust)
            found[row_of(name, "simultaneous").name][loss] = over_starts(rule)
    return {
        name: {loss: cell | {"path": cell["path"][0]} for loss, cell in cells.items()}
        for name, cells in found.items()
    }


def _weighted(weights: Array) -> Penalty:
    """Sums all penalties of the discriminator with coefficients ``[3]``."""
    made = [make(weights[index]) for index, make in enumerate(filter(None, PENALTIES.values()))]

    def penalty(*arguments: Any) -> Array:
        return reduce(jnp.add, [term(*arguments) for term in made])

    return penalty


def _solver(loss: mg.GanLoss, penalty: Penalty | None, step_size: float, **options: Any) -> Any:
    game = theory.dirac_gan_losses(loss, penalty)
    txs = (optax.sgd(step_size),) * 2
    return mg.gradient_play(start, lambda key, players, batch: game(players), txs, **options)


def start(key: Key) -> Players:
    """Draws a point at a radius uniform in [0.5, 1.5], at any angle."""
    radius_key, angle_key = jax.random.split(key)
    radius = jax.random.uniform(radius_key, minval=0.5, maxval=1.5)
    angle = jax.random.uniform(angle_key, maxval=2 * math.pi)
    return radius * jnp.cos(angle), radius * jnp.sin(angle)


def _run(rule: mg.Solver, steps: int, key: Key) -> dict[str, Array]:
    """Runs the dynamics from one start.

    Args:
        rule: the dynamics.
        steps: number of steps.
        key: key of the start.

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
    # A 0 in float32 has no logarithm: the least number stands for it. Squares would underflow sooner.
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
    """Computes the least-squares slope per step of the kept ``values`` ``[T]``; 0 if none is kept."""
    weights = kept.astype(values.dtype)
    time = jnp.arange(values.shape[0], dtype=values.dtype)
    centred = weights * (time - jnp.vdot(weights, time) / jnp.maximum(weights.sum(), 1.0))
    return jnp.vdot(centred, values) / jnp.maximum(jnp.vdot(centred, centred), 1e-9)
