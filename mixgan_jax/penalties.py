"""Regularisers: gradient penalties of a discriminator, and penalties on mixture weights.

A gradient penalty is a function ``penalty(key, critic, real, fake) -> [B]`` of one discriminator with its parameters
fixed (``critic``: inputs ``[B, ...]`` to logits ``[B]``). It returns one term per example, unreduced, to be averaged
and added to what the discriminator minimises. Differentiated with respect to the critic's parameters it is a second
derivative, reverse over reverse.

Per-example gradients are taken as the gradient of the *sum* of the logits. That is exact, at any batch size, as long
as examples do not interact: with batch normalisation in the critic each gradient would hold the others' influence.
"""

import math
from collections.abc import Callable
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp

from mixgan_jax.checks import (
    check_array,
    check_flag,
    check_function,
    check_key,
    check_logits,
    check_number,
    check_weights,
)
from mixgan_jax.types import Array, Critic, Key

Penalty: TypeAlias = Callable[[Key, Critic, Array, Array], Array]
"""``penalty(key, critic, real, fake) -> [B]``, one term per example, >= 0."""


def gradient_penalty(
    coefficient: float = 10.0, target: float = 1.0, one_sided: bool = False
) -> Penalty:
    """The penalty of WGAN-GP: gradients between reals and fakes should have norm ``target``.

    ``coefficient * (||grad_x D(x)|| - target)^2`` at ``x = eps * real + (1 - eps) * fake`` with one ``eps ~ U[0, 1]``
    per example (Gulrajani et al. 2017, arXiv 1704.00028, equation 3). The norm is over all axes of an example. Where
    a gradient is exactly zero, as of a constant critic, the norm has no derivative and we take 0.

    Batches of different size are cut to the first ``min(n_real, n_fake)`` examples of each; ``fake`` is cast to the
    dtype of ``real``.

    Args:
        coefficient: lambda, finite and >= 0; 10 in the paper, 0.1 in its code for two-dimensional data.
        target: the norm asked for, finite and >= 0, in logits per unit of the data.
        one_sided: penalise only norms above ``target``.

    Returns:
        The penalty, with terms ``[min(n_real, n_fake)]`` in float32 or wider. It consumes ``key``.

    Raises:
        ValueError: a negative or non-finite argument; from the penalty also examples of different shapes.
    """
    coefficient = check_number("coefficient", coefficient, minimum=0.0)
    target = check_number("target", target, minimum=0.0)
    check_flag("one_sided", one_sided)

    def penalty(key: Key, critic: Critic, real: Array, fake: Array) -> Array:
        between = _interpolate(key, real, fake)
        excess = _safe_sqrt(_squared_norms(_input_gradients(critic, between))) - target
        return coefficient * jnp.square(jax.nn.relu(excess) if one_sided else excess)

    return penalty


def r1(gamma: float) -> Penalty:
    """The zero-centred penalty on real data: ``gamma / 2 * ||grad_x D(real)||^2``.

    (Mescheder, Geiger and Nowozin 2018, arXiv 1801.04406, section 4.1.)

    Args:
        gamma: finite and >= 0; some codes leave out the factor 1/2.

    Returns:
        The penalty, with terms ``[n_real]`` in float32 or wider. ``key`` and ``fake`` are not used.

    Raises:
        ValueError: ``gamma`` negative or not finite.
    """
    gamma = check_number("gamma", gamma, minimum=0.0)

    def penalty(key: Key, critic: Critic, real: Array, fake: Array) -> Array:
        del key, fake
        return 0.5 * gamma * _squared_norms(_input_gradients(critic, _examples("real", real)))

    return penalty


def r2(gamma: float) -> Penalty:
    """The zero-centred penalty on fakes: ``gamma / 2 * ||grad_x D(fake)||^2``.

    (Mescheder, Geiger and Nowozin 2018, arXiv 1801.04406, section 4.1.)

    Args:
        gamma: finite and >= 0; some codes leave out the factor 1/2.

    Returns:
        The penalty, with terms ``[n_fake]`` in float32 or wider. ``key`` and ``real`` are not used.

    Raises:
        ValueError: ``gamma`` negative or not finite.
    """
    gamma = check_number("gamma", gamma, minimum=0.0)

    def penalty(key: Key, critic: Critic, real: Array, fake: Array) -> Array:
        del key, real
        return 0.5 * gamma * _squared_norms(_input_gradients(critic, _examples("fake", fake)))

    return penalty


def r1_r2(gamma: float) -> Penalty:
    """The zero-centred penalties on real data and on fakes together: the sum of :func:`r1` and :func:`r2`.

    ``gamma / 2 * (||grad_x D(real_b)||^2 + ||grad_x D(fake_b)||^2)`` for each b: the regulariser of R3GAN, beside its
    relativistic loss (Huang, Gokaslan, Kuleshov and Tompkin 2024, arXiv 2501.05441).

    Args:
        gamma: of both, finite and >= 0.

    Returns:
        The penalty, with terms ``[B]`` in float32 or wider; it needs as many fakes as reals. ``key`` is not used.

    Raises:
        ValueError: ``gamma`` negative or not finite; from the penalty also batches of different size.
    """
    on_reals, on_fakes = r1(gamma), r2(gamma)

    def penalty(key: Key, critic: Critic, real: Array, fake: Array) -> Array:
        if _examples("real", real).shape[0] != _examples("fake", fake).shape[0]:
            raise ValueError(
                "real and fake must hold as many examples, "
                f"got real {real.shape} and fake {fake.shape}"
            )
        return on_reals(key, critic, real, fake) + on_fakes(key, critic, real, fake)

    return penalty


def weight_barrier(weights: Array, epsilon: float = 1e-6) -> Array:
    """MIX+GAN's regulariser of mixture weights: ``R(w) = -(1/k) sum_i log(w_i + epsilon)``.

    With ``epsilon = 0`` it is ``KL(uniform || w) + log k``: least, ``log k``, at uniform weights, and growing without
    bound as a weight goes to 0. It is a barrier with gradient ``-1 / (k w_i)``, *not* the Shannon entropy, whose push
    on a small weight is weaker (:func:`weight_entropy`). Both players add it, times a coefficient, to what they
    minimise (Arora et al. 2017, arXiv 1703.00573); the code released in 2017 has coefficient 0.1 and
    ``epsilon = 1e-6``. For fixed component losses g the weights that minimise ``sum_i w_i g_i + lambda R(w)`` are
    ``w_i = lambda / (k (g_i + nu))``, with nu such that they sum to 1.

    Args:
        weights: ``[..., K]``, non-negative, summing to 1 over the last axis.
        epsilon: finite and >= 0; with 0, a weight of 0 gives infinity.

    Returns:
        ``[...]``, in nats.

    Raises:
        TypeError: ``weights`` not floating point.
        ValueError: weights off the simplex (where their values are known), or a negative ``epsilon``.
    """
    epsilon = check_number("epsilon", epsilon, minimum=0.0)
    weights = _at_least_float32(check_weights("weights", weights))
    return -jnp.mean(jnp.log(weights + epsilon), axis=-1)


def weight_entropy(weights: Array) -> Array:
    """The Shannon entropy of mixture weights, ``-sum_i w_i log w_i``, with ``0 log 0 = 0``.

    A player that wants its mixture spread *maximises* it. ``exp`` of it is an effective number of components.

    Args:
        weights: ``[..., K]``, non-negative, summing to 1 over the last axis.

    Returns:
        ``[...]``, in nats, in ``[0, log K]``. The derivative is ``-log w_i - 1``; at a weight of exactly 0, where that
        is infinite, it is set to 0, so a weight that is 0 stays there.

    Raises:
        TypeError: ``weights`` not floating point.
        ValueError: weights off the simplex (where their values are known).
    """
    weights = _at_least_float32(check_weights("weights", weights))
    positive = weights > 0
    logs = jnp.log(jnp.where(positive, weights, 1.0))  # where before log: its gradient stays finite
    return -jnp.sum(jnp.where(positive, weights * logs, 0.0), axis=-1)


def _examples(name: str, value: Any) -> Array:
    array = check_array(name, value, floating=True)
    if array.ndim < 1 or array.shape[0] < 1:
        raise ValueError(f"{name} must have shape [B, ...] with B >= 1, got {array.shape}")
    return array


def _interpolate(key: Key, real: Any, fake: Any) -> Array:
    check_key("key", key)
    real, fake = _examples("real", real), _examples("fake", fake)
    if real.shape[1:] != fake.shape[1:]:
        raise ValueError(
            "real and fake must hold examples of one shape, "
            f"got real {real.shape} and fake {fake.shape}"
        )
    count = min(real.shape[0], fake.shape[0])
    real, fake = real[:count], fake[:count].astype(real.dtype)
    shape = (count,) + (1,) * (real.ndim - 1)
    epsilon = jax.random.uniform(key, shape, real.dtype)
    return epsilon * real + (1.0 - epsilon) * fake


def _input_gradients(critic: Critic, inputs: Array) -> Array:
    """The gradient ``[B, ...]`` of each example's logit with respect to that example."""
    check_function("critic", critic)

    def total(inputs: Array) -> Array:
        return jnp.sum(check_logits("critic", critic(inputs), inputs.shape[0]))

    return jax.grad(total)(inputs)


def _at_least_float32(array: Array) -> Array:
    return array.astype(jnp.float32) if array.dtype.itemsize < 4 else array


def _squared_norms(gradients: Array) -> Array:
    """Squared Euclidean norms ``[B]``, in float32 or wider."""
    gradients = _at_least_float32(gradients)
    size = math.prod(gradients.shape[1:])
    return jnp.sum(jnp.square(gradients.reshape(gradients.shape[0], size)), axis=1)


def _safe_sqrt(squares: Array) -> Array:
    """The square root with derivative 0, not infinity, at 0."""
    positive = squares > 0
    return jnp.where(positive, jnp.sqrt(jnp.where(positive, squares, 1.0)), 0.0)
