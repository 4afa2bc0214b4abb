"""Back-propagation through a softmax: rules for logits, which normalised log-weights stand for."""

from typing import Annotated, TypeAlias

import jax.numpy as jnp
import optax
from annotated_types import Ge, Lt

from mixgan_jax.checked import checked
from mixgan_jax.optim.simplex import log_simplex_step, rule_of, scaled_by
from mixgan_jax.types import Array, Positive, StepSize

Decay: TypeAlias = Annotated[float, Ge(0), Lt(1)]
"""A decay of Adam's moments, in [0, 1); 1 would divide by zero."""


@checked
def softmax_sgd(learning_rate: StepSize) -> optax.GradientTransformation:
    """Makes gradient descent on softmax logits: ``a <- a - eta * dL/da`` with ``w = softmax(a)``.

    The gradient by back-propagation is ``dL/da_i = w_i (g_i - sum_l w_l g_l)``, exponentiated gradient's times the
    weight. A component of small weight hardly moves, up or down, whatever it would earn. (The natural gradient of
    the same logits is exponentiated gradient.) Normalised log-weights may stand for the logits.

    Args:
        learning_rate: eta, a finite number >= 0 or an optax schedule.

    Returns:
        A transform with the conventions of :func:`exponentiated_gradient`: it takes ``dL/dw`` and log-weights.
    """
    return rule_of(scaled_by(learning_rate), log_simplex_step, _through_softmax)


@checked
def softmax_adam(
    learning_rate: StepSize, b1: Decay = 0.5, b2: Decay = 0.999, eps: Positive = 1e-8
) -> optax.GradientTransformation:
    """Makes the rule of the code released with MIX+GAN in 2017: Adam on softmax logits.

    This is not exponentiated gradient. With ``w = softmax(a)`` the gradient by back-propagation is
    ``dL/da_i = w_i (g_i - sum_l w_l g_l)``, which Adam then normalises. The step's size hardly depends on how much a
    component's loss differs. ``eps`` stands inside the square root, as in that code. Logits and log-weights differ by a
    constant that neither the weights nor the gradient see, so normalised log-weights may stand for the logits.

    Args:
        learning_rate: Adam's learning rate, a finite number >= 0 or an optax schedule.
        b1: decay of the first moment, in [0, 1).
        b2: decay of the second moment, in [0, 1).
        eps: added to the second moment before the square root, > 0; 0 would divide by zero where K = 1.

    Returns:
        A transform with the conventions of :func:`exponentiated_gradient`: it takes ``dL/dw`` and log-weights.
    """
    adam = optax.adam(learning_rate, b1=b1, b2=b2, eps=0.0, eps_root=eps)
    # Adam's step already points downhill; log_simplex_step subtracts.
    return rule_of(adam, lambda step, lw: log_simplex_step(-step, lw), _through_softmax)


def _through_softmax(gradient: Array, log_weights: Array) -> Array:
    weights = jnp.exp(log_weights)
    return weights * (gradient - jnp.sum(weights * gradient, axis=-1, keepdims=True))
