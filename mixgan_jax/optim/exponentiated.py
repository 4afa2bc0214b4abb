"""Exponentiated gradient: weights multiplied by exponentials, never zero."""

import optax

from mixgan_jax.optim.simplex import log_simplex_step, rule_of, scaled_by


def exponentiated_gradient(learning_rate: optax.ScalarOrSchedule) -> optax.GradientTransformation:
    r"""Exponentiated gradient on log-weights: ``lw <- log_softmax(lw - eta * dL/dw)``.

    In weights this is ``w_i <- w_i exp(-eta g_i) / sum_l w_l exp(-eta g_l)``: mirror descent with the entropic
    mirror map (Kivinen and Warmuth 1997), the rule that Arora et al. (2017, arXiv 1703.00573, section 5) describe
    for the weights of MIX+GAN. Kept in logarithms no weight ever becomes zero, so each can grow back.

    Each leaf is its own simplex over the last axis. Log-weights should be float32 or wider. Outside of a solver, which
    normalises log-weights itself, it must stand *last* in an ``optax.chain``: what follows it takes the result off the
    simplex.

    Args:
        learning_rate: eta, a finite number >= 0 or an optax schedule.

    Returns:
        A transform whose ``update`` needs ``params`` (the log-weights) and returns the difference to the new ones.

    Raises:
        ValueError: a negative or non-finite ``learning_rate``, or ``update`` called without ``params``.
    """
    return rule_of(scaled_by(learning_rate), log_simplex_step)


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
