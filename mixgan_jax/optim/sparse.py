"""Rules that give components weight zero: projected gradient and regret matching+.

These rules keep a weight of zero as the log-weight -80, a weight of 1.8e-35. Updates add to log-weights, and from minus
infinity no finite one leads back. A component that is *given* as minus infinity stays at weight zero, as under every
other rule.
"""

from typing import Any

import jax
import jax.numpy as jnp
import optax

from mixgan_jax.checked import checked
from mixgan_jax.optim.simplex import replacing_step, rule_of, scaled_by
from mixgan_jax.types import Array, NonNegative, StepSize


@checked
def projected_gradient(learning_rate: StepSize) -> optax.GradientTransformation:
    """Makes gradient descent on the weights, projected onto the simplex: ``w <- argmin_v |v - (w - eta * dL/dw)|``.

    This is the Euclidean counterpart of exponentiated gradient (Zinkevich 2003). A component may lose all its weight
    and get some back later. Each leaf is its own simplex over the last axis. Zero weights are log-weights of -80.

    With ``weight_barrier``, whose slope at a weight of zero is ``-1e6 / K`` times its coefficient, this rule throws a
    dropped component back to a weight of 1, unless the step size is tiny.

    Args:
        learning_rate: eta, a finite number >= 0 or an optax schedule.

    Returns:
        A transform with the conventions of :func:`exponentiated_gradient`: it takes ``dL/dw`` and log-weights.
    """
    return rule_of(scaled_by(learning_rate), _projected)


@checked
def regret_matching_plus(initial_regret: NonNegative = 0.0) -> optax.GradientTransformation:
    """Makes regret matching+: weights in proportion to the components' cumulative regrets, which never fall below 0.

    ``Q_i <- max(Q_i + sum_l w_l g_l - g_i, 0)`` and ``w_i = Q_i / sum_l Q_l`` (Tammelin 2014, arXiv 1407.5042, the
    rule of CFR+). It has no step size and does not see the scale of the losses. Two players should move in turns, so
    that a player's regrets count the opponent's newest weights. Convergence is known for the average, not for the last
    iterate. Where all regrets are zero, the weights stay as they are. Zero weights are log-weights of -80.

    Departure: ``Q`` may start at ``initial_regret`` times the starting weights instead of 0. The first losses then do
    not throw the weights to a corner: early on the rule moves as projected gradient with step size
    ``1 / initial_regret`` would.

    Args:
        initial_regret: sum of the regrets at the start, a finite number >= 0, in units of the loss.

    Returns:
        A transform with the conventions of :func:`exponentiated_gradient`. Its state holds ``Q``, in the shape of the
        log-weights.
    """

    def init(params: Any) -> Any:
        return jax.tree.map(lambda lw: jnp.asarray(initial_regret, lw.dtype) * jnp.exp(lw), params)

    def accumulate(updates: Any, state: Any, params: Any = None) -> tuple[Any, Any]:
        regrets = jax.tree.map(_cumulative, updates, state, params)
        return regrets, regrets

    return rule_of(optax.GradientTransformation(init, accumulate), _matched)


def _projected(step: Array, log_weights: Array) -> Array:
    """Projects by sorting (Held, Wolfe and Crowder 1974): ``max(v - threshold, 0)`` with sum 1."""
    point = jnp.exp(log_weights) - step
    gone = jnp.isneginf(log_weights)
    # Shift the largest entry to 0: entries below -1 then end at 0.
    largest = jnp.max(jnp.where(gone, -jnp.inf, point), axis=-1, keepdims=True)
    point = jnp.where(gone, -2.0, point - largest)
    # Find the threshold.
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
