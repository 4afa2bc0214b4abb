"""What all rules for log-weights share: how gradients are checked, and how a step stays on the simplex."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import jax
import jax.numpy as jnp
import optax

from mixgan_jax.checks import check_array, check_log_weights, check_step_size, fail
from mixgan_jax.types import Array

LOWEST = -80.0
"""The log-weight of a component that a rule has dropped: a weight of 1.8e-35, of which float32 still holds the
inverse. From minus infinity no finite update leads back."""


def as_optax_expects() -> AbstractContextManager[Any]:
    """Implicit promotion of dtypes, which Adam and schedules in optax use, also where JAX is set to refuse it."""
    return jax.numpy_dtype_promotion("standard")


def check_update(updates: Any, params: Any) -> Any:
    """Gradients of log-weights ``params``, leaf by leaf, in the dtype of these."""
    trees: list[Any] = [jax.tree.structure(tree) for tree in (updates, params)]
    if params is None or trees[0] != trees[1]:
        raise fail("params", params, "the log-weights, as a tree like that of the updates")

    def leaf(gradient: Any, log_weights: Any) -> Array:
        log_weights = check_log_weights("params", log_weights)
        gradient = check_array("updates", gradient, floating=True, finite=True)
        if gradient.shape != log_weights.shape:
            raise ValueError(
                f"updates must have the shape of params, {log_weights.shape}, got {gradient.shape}"
            )
        return gradient.astype(log_weights.dtype)

    return jax.tree.map(leaf, updates, params)


def rule_of(
    tx: optax.GradientTransformation,
    step: Callable[[Array, Array], Array],
    gradient: Callable[[Array, Array], Array] | None = None,
) -> optax.GradientTransformation:
    """A rule for log-weights: ``tx`` scales the gradient, and ``step`` turns the result into an update on the simplex.

    Args:
        tx: makes steps, which are subtracted, of gradients.
        step: ``(step, log_weights)`` to the difference between new and old log-weights.
        gradient: ``(gradient, log_weights)`` to what ``tx`` is fed; the gradient by the weights itself if not given.
    """

    def update(updates: Any, state: Any, params: Any = None) -> tuple[Any, Any]:
        updates = check_update(updates, params)
        if gradient is not None:
            updates = jax.tree.map(gradient, updates, params)
        with as_optax_expects():
            steps, state = tx.update(updates, state, params)
        return jax.tree.map(step, steps, params), state

    return optax.GradientTransformation(tx.init, update)


def scaled_by(learning_rate: optax.ScalarOrSchedule) -> optax.GradientTransformation:
    """Gradients times the learning rate, a checked number or a schedule; not turned downhill."""
    learning_rate = check_step_size("learning_rate", learning_rate)
    return optax.scale_by_learning_rate(learning_rate, flip_sign=False)


def update_log_weights(
    tx: optax.GradientTransformation, gradient: Array, state: Any, log_weights: Array
) -> tuple[Array, Any]:
    """Log-weights ``[..., K]`` after one update by any optax transform, and its new state.

    They are normalised, so that logsumexp is 0 whatever the transform does.

    Args:
        tx: the transform.
        gradient: with respect to the weights, shaped as these.
        state: the transform's.
        log_weights: before the update.
    """
    with as_optax_expects():
        updates, state = tx.update(gradient, state, log_weights)
    return jax.nn.log_softmax(optax.apply_updates(log_weights, updates), axis=-1), state


def log_simplex_step(step: Array, log_weights: Array) -> Array:
    """The update that subtracts ``step`` from log-weights ``[..., K]`` and normalises them."""
    change = jax.nn.log_softmax(log_weights - step, axis=-1) - log_weights
    # A weight that was given as 0 stays 0: minus infinity less minus infinity would be NaN.
    return jnp.where(jnp.isneginf(log_weights), jnp.zeros_like(change), change)


def replacing_step(weights: Array, log_weights: Array) -> Array:
    """The update from ``log_weights`` to given weights ``[..., K]``, zeros among them, which become ``LOWEST``.

    A weight that was given as 0 (minus infinity) stays 0.
    """
    positive = weights > jnp.exp(jnp.asarray(LOWEST, weights.dtype))
    logs = jnp.where(positive, jnp.log(jnp.where(positive, weights, 1.0)), LOWEST)
    gone = jnp.isneginf(log_weights)
    return jnp.where(gone, 0.0, logs - jnp.where(gone, 0.0, log_weights))
