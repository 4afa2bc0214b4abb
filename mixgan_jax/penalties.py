"""Regularisers: gradient penalties of a discriminator, and penalties on mixture weights.

A gradient penalty is a function ``penalty(key, critic, real, fake) -> [B]`` of one discriminator with its parameters
fixed (``critic``: inputs ``[B, ...]`` to logits ``[B]``). It returns one term per example, unreduced. The discriminator
minimises their mean beside its loss. The gradient with respect to the critic's parameters is a second derivative,
reverse over reverse.

Per-example gradients are the gradient of the *sum* of the logits. That is exact, at any batch size, as long as examples
do not interact. With batch normalisation in the critic each gradient would hold the others' influence.
"""

import math
from collections.abc import Callable
from typing import Annotated, Any, TypeAlias

import jax
import jax.numpy as jnp

from mixgan_jax.checked import checked
from mixgan_jax.checks import check_array, check_logits
from mixgan_jax.types import Array, Critic, Key, NonNegative, Weights


def _check_examples(name: str, value: Any) -> Array:
    array = check_array(name, value, floating=True)
    if array.ndim < 1 or array.shape[0] < 1:
        raise ValueError(f"{name} must have shape [B, ...] with B >= 1, got {array.shape}")
    return array


Examples: TypeAlias = Annotated[Array, _check_examples]
"""Floating-point examples ``[B, ...]``, B >= 1."""

Unused: TypeAlias = object
"""An argument that a penalty takes and ignores; None will do."""

Penalty: TypeAlias = Callable[[Key, Critic, Array, Array], Array]
"""``penalty(key, critic, real, fake) -> [B]``, one term per example, >= 0."""


@checked
def gradient_penalty(
    coefficient: NonNegative = 10.0, target: NonNegative = 1.0, one_sided: bool = False
) -> Penalty:
    """Makes the penalty of WGAN-GP: gradients between reals and fakes should have norm ``target``.

    ``coefficient * (||grad_x D(x)|| - target)^2`` at ``x = eps * real + (1 - eps) * fake`` with one ``eps ~ U[0, 1]``
    per example (Gulrajani et al. 2017, arXiv 1704.00028, equation 3). The norm is over all axes of an example. Where
    a gradient is exactly zero, as for a constant critic, the norm has no derivative and we take 0.

    The penalty cuts batches of different size to the first ``min(n_real, n_fake)`` examples of each, and casts ``fake``
    to the dtype of ``real``.

    Args:
        coefficient: lambda, finite and >= 0; 10 in the paper, 0.1 in its code for two-dimensional data.
        target: the wanted norm, finite and >= 0, in logits per unit of the data.
        one_sided: whether to penalise only norms above ``target``.

    Returns:
        The penalty, with terms ``[min(n_real, n_fake)]`` in float32 or wider. It consumes ``key``.
    """

    @checked
    def penalty(key: Key, critic: Critic, real: Examples, fake: Examples) -> Array:
        between = _interpolate(key, real, fake)
        excess = _safe_sqrt(_squared_norms(_input_gradients(critic, between))) - target
        return coefficient * jnp.square(jax.nn.relu(excess) if one_sided else excess)

    return penalty


@checked
def r1(gamma: NonNegative) -> Penalty:
    """Makes the zero-centred penalty on real data: ``gamma / 2 * ||grad_x D(real)||^2``.

    The penalty is that of Mescheder, Geiger and Nowozin (2018, arXiv 1801.04406, section 4.1).

    Args:
        gamma: finite and >= 0; some codes leave out the factor 1/2.

    Returns:
        The penalty, with terms ``[n_real]`` in float32 or wider. It ignores ``key`` and ``fake``.

    Example:
        >>> import jax
        >>> import mixgan_jax as mg
        >>> real, fake = jax.numpy.ones((2, 3)), jax.numpy.zeros((2, 3))
        >>> penalty = mg.penalties.r1(gamma=10.0)
        >>> penalty(jax.random.key(0), lambda x: x[:, 0] ** 2, real, fake).tolist()  # 10 / 2 * 2^2
        [20.0, 20.0]
    """

    @checked
    def penalty(key: Unused, critic: Critic, real: Examples, fake: Unused) -> Array:
        del key, fake
        return _zero_centred(gamma, critic, real)

    return penalty


@checked
def r2(gamma: NonNegative) -> Penalty:
    """Makes the zero-centred penalty on fakes: ``gamma / 2 * ||grad_x D(fake)||^2``.

    The penalty is that of Mescheder, Geiger and Nowozin (2018, arXiv 1801.04406, section 4.1).

    Args:
        gamma: finite and >= 0; some codes leave out the factor 1/2.

    Returns:
        The penalty, with terms ``[n_fake]`` in float32 or wider. It ignores ``key`` and ``real``.
    """

    @checked
    def penalty(key: Unused, critic: Critic, real: Unused, fake: Examples) -> Array:
        del key, real
        return _zero_centred(gamma, critic, fake)

    return penalty


@checked
def r1_r2(gamma: NonNegative) -> Penalty:
    """Makes the zero-centred penalty on real data and on fakes together: the sum of :func:`r1` and :func:`r2`.

    ``gamma / 2 * (||grad_x D(real_b)||^2 + ||grad_x D(fake_b)||^2)`` for each b: the regulariser of R3GAN, beside its
    relativistic loss (Huang, Gokaslan, Kuleshov and Tompkin 2024, arXiv 2501.05441).

    Args:
        gamma: coefficient of both, finite and >= 0.

    Returns:
        The penalty, with terms ``[B]`` in float32 or wider. It needs as many fakes as reals, and ignores ``key``.
    """

    @checked
    def penalty(key: Unused, critic: Critic, real: Examples, fake: Examples) -> Array:
        del key
        if real.shape[0] != fake.shape[0]:
            raise ValueError(
                "real and fake must hold as many examples, "
                f"got real {real.shape} and fake {fake.shape}"
            )
        return _zero_centred(gamma, critic, real) + _zero_centred(gamma, critic, fake)

    return penalty


@checked
def weight_barrier(weights: Weights, epsilon: NonNegative = 1e-6) -> Array:
    """Computes MIX+GAN's regulariser of mixture weights: ``R(w) = -(1/k) sum_i log(w_i + epsilon)``.

    With ``epsilon = 0`` it is ``KL(uniform || w) + log k``. It is least, ``log k``, at uniform weights, and grows
    without bound as a weight goes to 0. It is a barrier with gradient ``-1 / (k w_i)``, *not* the Shannon entropy,
    whose push on a small weight is weaker (:func:`weight_entropy`). Both players add it, times a coefficient, to the
    loss that they minimise (Arora et al. 2017, arXiv 1703.00573). The code released in 2017 has coefficient 0.1 and
    ``epsilon = 1e-6``. For fixed component losses g the weights that minimise ``sum_i w_i g_i + lambda R(w)`` are
    ``w_i = lambda / (k (g_i + nu))``, with nu such that they sum to 1.

    Args:
        weights: ``[..., K]``, non-negative, summing to 1 over the last axis.
        epsilon: finite and >= 0; with 0, a weight of 0 gives infinity.

    Returns:
        ``[...]``, in nats.
    """
    weights = _at_least_float32(jnp.asarray(weights))
    return -jnp.mean(jnp.log(weights + epsilon), axis=-1)


@checked
def weight_entropy(weights: Weights) -> Array:
    """Computes the Shannon entropy of mixture weights, ``-sum_i w_i log w_i``, with ``0 log 0 = 0``.

    A player that wants its mixture spread *maximises* it. Its exponential is an effective number of components.

    Args:
        weights: ``[..., K]``, non-negative, summing to 1 over the last axis.

    Returns:
        ``[...]``, in nats, in ``[0, log K]``. The derivative is ``-log w_i - 1``. At a weight of exactly 0, where that
        is infinite, the derivative is 0, so the weight stays there.
    """
    # ``entropy`` of their logarithms has no derivative with respect to a weight of 0.
    weights = _at_least_float32(jnp.asarray(weights))
    positive = weights > 0
    # The inner where keeps the logarithm's gradient finite.
    logs = jnp.log(jnp.where(positive, weights, 1.0))
    return -jnp.sum(jnp.where(positive, weights * logs, 0.0), axis=-1)


def _interpolate(key: Key, real: Array, fake: Array) -> Array:
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


def _zero_centred(gamma: float, critic: Critic, inputs: Array) -> Array:
    return 0.5 * gamma * _squared_norms(_input_gradients(critic, inputs))


def _input_gradients(critic: Critic, inputs: Array) -> Array:
    """Computes the gradient ``[B, ...]`` of each example's logit with respect to that example."""

    def total(inputs: Array) -> Array:
        return jnp.sum(check_logits("critic", critic(inputs), inputs.shape[0]))

    return jax.grad(total)(inputs)


def _at_least_float32(array: Array) -> Array:
    return array.astype(jnp.float32) if array.dtype.itemsize < 4 else array


def _squared_norms(gradients: Array) -> Array:
    """Computes squared Euclidean norms ``[B]``, in float32 or wider."""
    gradients = _at_least_float32(gradients)
    size = math.prod(gradients.shape[1:])
    return jnp.sum(jnp.square(gradients.reshape(gradients.shape[0], size)), axis=1)


def _safe_sqrt(squares: Array) -> Array:
    """Computes square roots whose derivative at 0 is 0, not infinity."""
    positive = squares > 0
    return jnp.where(positive, jnp.sqrt(jnp.where(positive, squares, 1.0)), 0.0)
