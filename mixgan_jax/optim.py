"""Update rules for mixture weights as optax transforms, and optimisers vmapped over components.

The weights of a mixture are kept as log-weights ``[K]`` (or ``[..., K]``) with logsumexp 0, and every rule here is
fed the gradient with respect to the *weights*, ``dL/dw``, not the log-weights. For a mixture's expected loss
``L = sum_i w_i g_i`` that gradient is simply the vector ``g`` of the components' losses.
"""

import math
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import jax
import jax.numpy as jnp
import optax

from mixgan_jax.checks import check_array, check_log_weights, check_number, check_step_size, fail
from mixgan_jax.types import Array, Params


def exponentiated_gradient(learning_rate: optax.ScalarOrSchedule) -> optax.GradientTransformation:
    r"""Exponentiated gradient on log-weights: ``lw <- log_softmax(lw - eta * dL/dw)``.

    In weights this is ``w_i <- w_i exp(-eta g_i) / sum_l w_l exp(-eta g_l)``: mirror descent with the entropic
    mirror map (Kivinen and Warmuth 1997), the rule that Arora et al. (2017, arXiv 1703.00573, section 5) describe
    for the weights of MIX+GAN. Kept in logarithms no weight ever becomes zero, so each can grow back.

    It must stand *last* in an ``optax.chain``: what follows it would take the result off the simplex. Each leaf is
    its own simplex over the last axis. Log-weights should be float32 or wider.

    Args:
        learning_rate: eta, a finite number >= 0 or an optax schedule.

    Returns:
        A transform whose ``update`` needs ``params`` (the log-weights) and returns the difference to the new ones.

    Raises:
        ValueError: a negative or non-finite ``learning_rate``, or ``update`` called without ``params``.
    """
    learning_rate = check_step_size("learning_rate", learning_rate)
    scale = optax.scale_by_learning_rate(learning_rate, flip_sign=False)

    def update(updates: Any, state: Any, params: Any = None) -> tuple[Any, Any]:
        updates = _check_update(updates, params)
        with _as_optax_expects():
            steps, state = scale.update(updates, state, params)
        return jax.tree.map(_log_simplex_step, steps, params), state

    return optax.GradientTransformation(scale.init, update)


def optimistic_exponentiated_gradient(
    learning_rate: optax.ScalarOrSchedule,
) -> optax.GradientTransformation:
    """Exponentiated gradient on the extrapolated gradient ``2 g_t - g_{t-1}``.

    Its last iterate converges in zero-sum matrix games, where plain exponentiated gradient circles the equilibrium
    (Rakhlin and Sridharan 2013; Daskalakis and Panageas 2019, arXiv 1807.04252). The first step, with no gradient
    before it, uses ``g_0`` alone, as ``optax.scale_by_optimistic_gradient`` does.

    Args:
        learning_rate: eta, a finite number >= 0 or an optax schedule.

    Returns:
        The transform ``optax.chain(optax.scale_by_optimistic_gradient(), exponentiated_gradient(eta))``.
    """
    return optax.chain(optax.scale_by_optimistic_gradient(), exponentiated_gradient(learning_rate))


def softmax_adam(
    learning_rate: optax.ScalarOrSchedule, b1: float = 0.5, b2: float = 0.999, eps: float = 1e-8
) -> optax.GradientTransformation:
    """The rule of the code released with MIX+GAN in 2017: Adam on softmax logits. Not exponentiated gradient.

    With ``w = softmax(a)`` the gradient by back-propagation is ``dL/da_i = w_i (g_i - sum_l w_l g_l)``, which Adam
    then normalises: the step's size hardly depends on how much a component's loss differs. ``eps`` stands inside
    the square root, as in that code. Logits and log-weights differ by a constant that neither the weights nor the
    gradient see, so normalised log-weights may stand for the logits.

    Args:
        learning_rate: Adam's, a finite number >= 0 or an optax schedule.
        b1: decay of the first moment, in [0, 1).
        b2: decay of the second moment, in [0, 1).
        eps: added to the second moment before the square root, > 0.

    Returns:
        A transform with the conventions of :func:`exponentiated_gradient`: fed ``dL/dw``, on log-weights.
    """
    learning_rate = check_step_size("learning_rate", learning_rate)
    below_one = math.nextafter(1.0, 0.0)  # 1 divides by zero
    b1 = check_number("b1", b1, minimum=0.0, maximum=below_one)
    b2 = check_number("b2", b2, minimum=0.0, maximum=below_one)
    eps = check_number("eps", eps, minimum=0.0, strict=True)  # 0 divides by zero where K = 1
    adam = optax.adam(learning_rate, b1=b1, b2=b2, eps=0.0, eps_root=eps)

    def update(updates: Any, state: Any, params: Any = None) -> tuple[Any, Any]:
        updates = _check_update(updates, params)
        logit_gradient = jax.tree.map(_through_softmax, updates, params)
        with _as_optax_expects():
            steps, state = adam.update(logit_gradient, state, params)
        # Adam's step already points downhill; _log_simplex_step subtracts.
        return jax.tree.map(lambda step, lw: _log_simplex_step(-step, lw), steps, params), state

    return optax.GradientTransformation(adam.init, update)


def per_component(tx: optax.GradientTransformation) -> optax.GradientTransformationExtraArgs:
    """``tx`` vmapped over the leading component axis ``K`` of parameters, gradients and state.

    Transforms that look at a whole tree (clipping by global norm, LAMB, ``apply_if_finite``) would otherwise couple
    the stacked components: a large gradient or a NaN in one would touch the others.

    Args:
        tx: any optax transform, written for a single component.

    Returns:
        The transform on trees whose every leaf has a leading axis ``[K, ...]``; extra keyword arguments of
        ``update`` are handed to every component alike.
    """
    with_extra = optax.with_extra_args_support(check_transform("tx", tx))

    def init(params: Params) -> Any:
        return _map_components(with_extra.init, params)

    def update(updates: Any, state: Any, params: Any = None, **extra: Any) -> tuple[Any, Any]:
        def one(updates: Any, state: Any, *params: Any) -> tuple[Any, Any]:
            return with_extra.update(updates, state, *params, **extra)

        with _as_optax_expects():
            return _map_components(one, updates, state, *(() if params is None else (params,)))

    return optax.GradientTransformationExtraArgs(init, update)


def check_transform(name: str, tx: optax.GradientTransformation) -> optax.GradientTransformation:
    """An optax transform, or any pair of functions that passes for one."""
    if not (hasattr(tx, "init") and hasattr(tx, "update")):
        raise fail(name, tx, "an optax transform (init, update)", TypeError)
    return tx


def check_weight_rule(name: str, tx: optax.GradientTransformation) -> None:
    """Raises ValueError, naming the argument, where ``tx`` takes log-weights off the simplex."""
    # A solver may be made inside a trace; what the rule does must be known all the same.
    with jax.ensure_compile_time_eval():
        log_weights = jax.nn.log_softmax(jnp.array([0.0, 1.0]))
        updates, _ = tx.update(jnp.array([0.5, 0.25]), tx.init(log_weights), log_weights)
        total = float(jax.nn.logsumexp(log_weights + updates))
    if not abs(total) < 1e-3:
        raise ValueError(
            f"{name} must keep log-weights on the simplex (logsumexp 0), as exponentiated_gradient does as the "
            f"last of its chain, got logsumexp {total:.4g} after one update"
        )


def _map_components(function: Callable[..., Any], *trees: Any) -> Any:
    """``vmap``, but a single component is never batched: it does a lone optimiser's arithmetic, bit for bit."""
    if jax.tree.leaves(trees)[0].shape[0] > 1:
        return jax.vmap(function)(*trees)
    alone = function(*jax.tree.map(lambda leaf: leaf[0], trees))
    return jax.tree.map(lambda leaf: jnp.asarray(leaf)[None], alone)


def _as_optax_expects() -> AbstractContextManager[Any]:
    """Implicit promotion of dtypes, which Adam and schedules in optax use, also where JAX is set to refuse it."""
    return jax.numpy_dtype_promotion("standard")


def _check_update(updates: Any, params: Any) -> Any:
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


def _log_simplex_step(step: Array, log_weights: Array) -> Array:
    change = jax.nn.log_softmax(log_weights - step, axis=-1) - log_weights
    # A weight that was given as 0 stays 0: minus infinity less minus infinity would be NaN.
    return jnp.where(jnp.isneginf(log_weights), jnp.zeros_like(change), change)


def _through_softmax(gradient: Array, log_weights: Array) -> Array:
    weights = jnp.exp(log_weights)
    return weights * (gradient - jnp.sum(weights * gradient, axis=-1, keepdims=True))
