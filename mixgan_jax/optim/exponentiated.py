"""Exponentiated gradient: weights multiplied by exponentials, never zero."""

import optax

from mixgan_jax.checked import checked, unchecked
from mixgan_jax.optim.simplex import log_simplex_step, rule_of, scaled_by
from mixgan_jax.types import StepSize


@checked
def exponentiated_gradient(learning_rate: StepSize) -> optax.GradientTransformation:
    r"""Makes exponentiated gradient on log-weights: ``lw <- log_softmax(lw - eta * dL/dw)``.

    In weights this is ``w_i <- w_i exp(-eta g_i) / sum_l w_l exp(-eta g_l)``: mirror descent with the entropic
    mirror map (Kivinen and Warmuth 1997), the rule that Arora et al. (2017, arXiv 1703.00573, section 5) describe
    for the weights of MIX+GAN. In logarithms no weight ever becomes zero, so each can grow back.

    Each leaf is its own simplex over the last axis. Log-weights should be float32 or wider. Solvers normalise
    log-weights themselves. Outside of a solver the rule must stand *last* in an ``optax.chain``, since any transform
    after it takes the result off the simplex.

    Args:
        learning_rate: eta, a finite number >= 0 or an optax schedule.

    Returns:
        A transform whose ``update`` needs ``params`` (the log-weights) and returns the difference to the new ones.

    Example:
        >>> import jax.numpy as jnp
        >>> import mixgan_jax as mg
        >>> tx, log_weights = mg.exponentiated_gradient(1.0), jnp.log(jnp.array([0.5, 0.5]))
        >>> losses = jnp.log(jnp.array([1.0, 3.0]))
        >>> change, _ = tx.update(losses, tx.init(log_weights), log_weights)
        >>> [round(w, 3) for w in jnp.exp(log_weights + change).tolist()]  # 1 to 1/3
        [0.75, 0.25]
    """
    return rule_of(scaled_by(learning_rate), log_simplex_step)


@checked
def optimistic_exponentiated_gradient(learning_rate: StepSize) -> optax.GradientTransformation:
    """Makes exponentiated gradient on the extrapolated gradient ``2 g_t - g_{t-1}``.

    Its last iterate converges in zero-sum matrix games, where plain exponentiated gradient circles the equilibrium
    (Rakhlin and Sridharan 2013; Daskalakis and Panageas 2019, arXiv 1807.04252). The first step, with no gradient
    before it, uses ``g_0`` alone, as ``optax.scale_by_optimistic_gradient`` does.

    Args:
        learning_rate: eta, a finite number >= 0 or an optax schedule.

    Returns:
        The transform ``optax.chain(optax.scale_by_optimistic_gradient(), exponentiated_gradient(eta))``.
    """
    return optax.chain(
        optax.scale_by_optimistic_gradient(), unchecked(exponentiated_gradient)(learning_rate)
    )
