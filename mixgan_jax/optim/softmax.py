"""Back-propagation through a softmax: rules for logits, which normalised log-weights stand for."""

import math

import jax.numpy as jnp
import optax

from mixgan_jax.checks import check_number, check_step_size
from mixgan_jax.optim.simplex import log_simplex_step, rule_of, scaled_by
from mixgan_jax.types import Array


def softmax_sgd(learning_rate: optax.ScalarOrSchedule) -> optax.GradientTransformation:
    """Gradient descent on softmax logits: ``a <- a - eta * dL/da`` with ``w = softmax(a)``.

    The gradient by back-propagation is ``dL/da_i = w_i (g_i - sum_l w_l g_l)``, exponentiated gradient's times the
    weight: a component of small weight hardly moves, up or down, whatever it would earn. (The natural gradient of
    the same logits is exponentiated gradient.) Normalised log-weights may stand for the logits.

    Args:
        learning_rate: eta, a finite number >= 0 or an optax schedule.

    Returns:
        A transform with the conventions of :func:`exponentiated_gradient`: fed ``dL/dw``, on log-weights.

    Raises:
        ValueError: a negative or non-finite ``learning_rate``, or ``update`` called without ``params``.
    """
    return rule_of(scaled_by(learning_rate), log_simplex_step, _through_softmax)


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
    # Adam's step already points downhill; log_simplex_step subtracts.
    return rule_of(adam, lambda step, lw: log_simplex_step(-step, lw), _through_softmax)


def _through_softmax(gradient: Array, log_weights: Array) -> Array:
    weights = jnp.exp(log_weights)
    return weights * (gradient - jnp.sum(weights * gradient, axis=-1, keepdims=True))
