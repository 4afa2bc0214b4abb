"""Rules that give components weight zero: projected gradient and regret matching+.

A weight of zero is kept as the log-weight -80, a weight of 1.8e-35: updates are added to log-weights, and from minus
infinity no finite one leads back. A component that is *given* as minus infinity stays at weight zero, as under every
other rule.
"""

from typing import Any

import jax
import jax.numpy as jnp
import optax

from mixgan_jax.checks import check_number
from mixgan_jax.optim.simplex import check_update, replacing_step, rule_of, scaled_by
from mixgan_jax.types import Array


def projected_gradient(learning_rate: optax.ScalarOrSchedule) -> optax.GradientTransformation:
    """Gradient descent on the weights, projected onto the simplex: ``w <- argmin_v |v - (w - eta * dL/dw)|``.

    The Euclidean counterpart of exponentiated gradient (Zinkevich 2003). A component may lose all its weight and
    get some back later. Each leaf is its own simplex over the last axis; zero weights are kept as log-weights of -80.

    With ``weight_barrier``, whose slope at a weight of zero is ``-1e6 / K`` times its coefficient, this rule throws a
    dropped component back to a weight of 1, unless the step size is tiny.

    Args:
        learning_rate: eta, a finite number >= 0 or an optax schedule.

    Returns:
        A transform with the conventions of :func:`exponentiated_gradient`: fed ``dL/dw``, on log-weights.

    Raises:
        ValueError: a negative or non-finite ``learning_rate``, or ``update`` called without ``params``.
    """
    return rule_of(scaled_by(learning_rate), _projected)


def regret_matching_plus(initial_regret: float = 0.0) -> optax.GradientTransformation:
    """Regret matching+: weights in proportion to the components' cumulative regrets, kept from falling below 0.

    ``Q_i <- max(Q_i + sum_l w_l g_l - g_i, 0)`` and ``w_i = Q_i / sum_l Q_l`` (Tammelin 2014, arXiv 1407.5042, the
    rule of CFR+). It has no step size and does not see the scale of the losses. With two players it wants them to move
    in turns: a player's regrets then count the opponent's newest weights; and its average, not its last iterate, is
    what is known to converge. Where all regrets are zero the weights stay as they are. Zero weights are kept as
    log-weights of -80.

    Departure: ``Q`` may start at ``initial_regret`` times the starting weights instead of 0, so that the first
    losses do not throw the weights to a corner: early on it then moves as projected gradient with step size
    ``1 / initial_regret`` would.

    Args:
        initial_regret: the sum of the regrets at the start, a finite number >= 0, in units of the loss.

    Returns:
        A transform with the conventions of :func:`exponentiated_gradient`; its state holds ``Q``, shaped as the
        log-weights.

    Raises:
        ValueError: a negative or non-finite ``initial_regret``, or ``update`` called without ``params``.
    """
    initial_regret = check_number("initial_regret", initial_regret, minimum=0.0)

    def init(params: Any) -> Any:
        return jax.tree.map(lambda lw: jnp.asarray(initial_regret, lw.dtype) * jnp.exp(lw), params)

    def update(updates: Any, state: Any, params: Any = None) -> tuple[Any, Any]:
        updates = check_update(updates, params)
        regrets = jax.tree.map(_cumulative, updates, state, params)
        return jax.tree.map(_matched, regrets, params), regrets

    return optax.GradientTransformation(init, update)


def _projected(step: Array, log_weights: Array) -> Array:
    """The Euclidean projection, by sorting (Held, Wolfe and Crowder 1974): ``max(v - threshold, 0)`` with sum 1."""
    point = jnp.exp(log_weights) - step
    gone = jnp.isneginf(log_weights)
    # Of the shifted point all that is more than 1 below the largest entry, 0, ends at 0.
    largest = jnp.max(jnp.where(gone, -jnp.inf, point), axis=-1, keepdims=True)
    point = jnp.where(gone, -2.0, point - largest)
    falling = -jnp.sort(-point, axis=-1)
    counts = jnp.arange(1, point.shape[-1] + 1, dtype=point.dtype)
    counts = counts.reshape((1,) * (point.ndim - 1) + (-1,))
    thresholds = (jnp.cumsum(falling, axis=-1) - 1.0) / counts
    support = jnp.sum(falling > thresholds, axis=-1, keepdims=True)
    threshold = jnp.take_along_axis(thresholds, support - 1, axis=-1)
    return replacing_step(jnp.maximum(point - threshold, 0.0), log_weights)


def _cumulative(gradient: Array, regrets: Array, log_weights: Array) -> Array:
    mean = jnp.sum(jnp.exp(log_weights) * gradient, axis=-1, keepdims=True)
    regrets = jnp.maximum(regrets + mean - gradient, 0.0)
    return jnp.where(jnp.isneginf(log_weights), 0.0, regrets)


def _matched(regrets: Array, log_weights: Array) -> Array:
    total = jnp.sum(regrets, axis=-1, keepdims=True)
    weights = regrets / jnp.where(total > 0, total, 1.0)
    step = replacing_step(weights, log_weights)
    return jnp.where(total > 0, step, jnp.zeros_like(step))
