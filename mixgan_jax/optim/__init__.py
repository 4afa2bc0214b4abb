"""Update rules for mixture weights as optax transforms, and optimisers vmapped over components.

A mixture keeps its weights as log-weights ``[K]`` (or ``[..., K]``) with logsumexp 0. Every rule here takes the
gradient with respect to the *weights*, ``dL/dw``, not the log-weights. For a mixture's expected loss
``L = sum_i w_i g_i`` that gradient is simply the vector ``g`` of the components' losses.

Solvers normalise the log-weights after every update, so any optax transform keeps them on the simplex. Given ``dL/dw``,
``optax.sgd`` is then exponentiated gradient, and ``optax.adam`` replaces the gradient there by Adam's step.
"""

from mixgan_jax.optim.components import (
    check_transform as check_transform,
    per_component as per_component,
    with_other_keys as with_other_keys,
)
from mixgan_jax.optim.exponentiated import (
    exponentiated_gradient as exponentiated_gradient,
    optimistic_exponentiated_gradient as optimistic_exponentiated_gradient,
)
from mixgan_jax.optim.simplex import update_log_weights as update_log_weights
from mixgan_jax.optim.softmax import softmax_adam as softmax_adam, softmax_sgd as softmax_sgd
from mixgan_jax.optim.sparse import (
    projected_gradient as projected_gradient,
    regret_matching_plus as regret_matching_plus,
)
