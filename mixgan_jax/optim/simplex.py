"""The shared part of all rules for log-weights: one ``update``, and steps that stay on the simplex."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import jax
import jax.numpy as jnp
import optax

from mixgan_jax.checks import check_array, check_log_weights, fail
from mixgan_jax.types import Array, StepSize

LOWEST = -80.0
"""The log-weight of a component that a rule has dropped: a weight of 1.8e-35, whose inverse float32 still holds. From
minus infinity no finite update leads back."""


def as_optax_expects() -> AbstractContextManager[Any]:
    """Allows implicit promotion of dtypes, which Adam and schedules in optax need, where JAX is set to refuse it."""
    return jax.numpy_dtype_promotion("standard")


def rule_of(
    tx: optax.GradientTransformation,
    step: Callable[[Array, Array], Array],
    gradient: Callable[[Array, Array], Array] | None = None,
) -> optax.GradientTransformation:
    """Makes a rule for log-weights: ``tx`` scales the gradient, then ``step`` makes an update on the simplex.

    Args:
        tx: turns gradients into steps, of any meaning that ``step`` knows.
        step: ``(step, log_weights)`` to the difference between new and old log-weights.
        gradient: ``(gradient, log_weights)`` to the input of ``tx``; None hands on the gradient by the weights.
    """

    def update(updates: Any, state: Any, params: Any = None) -> tuple[Any, Any]:
        updates = _check_update(updates, params)
        if gradient is not None:
            updates = jax.tree.map(gradient, updates, params)
        with as_optax_expects():
            steps, state = tx.update(updates, state, params)
        return jax.tree.map(step, steps, params), state

    return optax.GradientTransformation(tx.init, update)


def _check_update(updates: Any, params: Any) -> Any:
    """Returns gradients in the dtypes of the log-weights ``params``, whose tree and shapes they must have."""
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


def scaled_by(learning_rate: StepSize) -> optax.GradientTransformation:
    """Multiplies gradients by the learning rate, without optax's change of sign."""
    return optax.scale_by_learning_rate(learning_rate, flip_sign=False)


def update_log_weights(
    tx: optax.GradientTransformation, gradient: Array, state: Any, log_weights: Array
) -> tuple[Array, Any]:
    """Updates log-weights ``[..., K]`` by any optax transform, and normalises them: logsumexp is 0 afterwards.

    Args:
        tx: the transform.
        gradient: gradient with respect to the weights, in their shape.
        state: the transform's state.
        log_weights: log-weights before the update.

    Returns:
        The new log-weights and the transform's new state.
    """
    with as_optax_expects():
        updates, state = tx.update(gradient, state, log_weights)
    return jax.nn.log_softmax(optax.apply_updates(log_weights, updates), axis=-1), state


def log_simplex_step(step: Array, log_weights: Array) -> Array:
    """Returns the update that subtracts ``step`` from log-weights ``[..., K]`` and normalises them."""
    change = jax.nn.log_softmax(log_weights - step, axis=-1) - log_weights
    # A weight that was given as 0 stays 0: minus infinity less minus infinity would be NaN.
    return jnp.where(jnp.isneginf(log_weights), jnp.zeros_like(change), change)


def replacing_step(weights: Array, log_weights: Array) -> Array:
    """Returns the update from ``log_weights`` to ``weights`` ``[..., K]``. Zeros among these become ``LOWEST``.

    A weight that was given as 0 (minus infinity) stays 0.
    """
    positive = weights > jnp.exp(jnp.asarray(LOWEST, weights.dtype))
    logs = jnp.where(positive, jnp.log(jnp.where(positive, weights, 1.0)), LOWEST)
    gone = jnp.isneginf(log_weights)
    return jnp.where(gone, 0.0, logs - jnp.where(gone, 0.0, log_weights))
