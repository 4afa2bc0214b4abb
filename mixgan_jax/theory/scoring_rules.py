"""Which divergence a generator minimises, by the scoring rule that its discriminator is trained with.

A discriminator that reports D = P(real | x) is paid by a scoring rule. Where real and fake are equally frequent, and
``eta = p / (p + q)`` is the true probability, its least expected loss at x is the Bayes risk ``L(eta)``, a concave
function; and a generator that meets the best discriminator minimises, up to a constant, an f-divergence,

    D(p, q) = 2 L(1/2) - integral (p + q) L(eta),        f(u) = 2 L(1/2) - (u + 1) L(u / (u + 1))

(Reid and Williamson 2011; for surrogate losses Nguyen, Wainwright and Jordan 2009):

    rule          best logit       L(eta)                    D(p, q)
    logistic      log p/q          entropy, in nats          2 JS
    Brier         log p/q          eta (1 - eta)             Le Cam / 2
    exponential   log p/q          2 sqrt(eta (1 - eta))     squared Hellinger
    hinge         sign(p - q)      2 min(eta, 1 - eta)       2 TV

Le Cam is ``(1/2) sum (p - q)^2 / (p + q)`` in [0, 1]. The first three are strictly proper. The hinge is not a
proper scoring rule of D: its best logit says which of p and q is larger, and not by how much.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from mixgan_jax.checks import check_array, check_kind, is_concrete
from mixgan_jax.losses import GanLoss, brier, exponential, hinge, logistic
from mixgan_jax.losses.core import check_loss
from mixgan_jax.theory.divergences import check_line, trapezoid
from mixgan_jax.types import Array


class ScoringRule(NamedTuple):
    """A discriminator's loss, and the answer that is best under it.

    Attributes:
        loss: symmetric, ``value = s(r) + s(-f)``; ``loss.name`` is the rule's name.
        best_logit: element-wise, from ``log p/q`` to the logit that earns most there.
    """

    loss: GanLoss
    best_logit: Callable[[Array], Array]


def scoring_rules() -> tuple[ScoringRule, ...]:
    """The four rules of the table above: logistic, Brier, exponential, hinge.

    Returns:
        Four :class:`ScoringRule`.
    """
    strictly_proper = (logistic(), brier(), exponential())
    return (
        *(ScoringRule(loss, lambda log_ratio: log_ratio) for loss in strictly_proper),
        ScoringRule(hinge(), jnp.sign),
    )


def bayes_risk(rule: ScoringRule, probability: Array) -> Array:
    """The least expected loss ``L(eta)`` of a discriminator whose example is real with probability eta.

    Args:
        rule: of :func:`scoring_rules`.
        probability: eta, floating point in [0, 1], of any shape.

    Returns:
        ``L(eta)``, of the same shape ``[...]``; 0 at both ends.

    Raises:
        TypeError, ValueError: a ``rule`` that is none, or (where known) a probability outside [0, 1].
    """
    check_loss("rule.loss", check_kind("rule", rule, ScoringRule).loss)
    eta = check_array("probability", probability, floating=True, finite=True)
    if is_concrete(eta) and not np.all((np.asarray(eta) >= 0) & (np.asarray(eta) <= 1)):
        raise ValueError("probability must lie in [0, 1], got values outside")
    eta = eta.astype(jnp.float32) if eta.dtype.itemsize < 4 else eta
    logits = rule.best_logit(jax.scipy.special.logit(eta))
    return -_earned(rule.loss, logits, eta, 1.0 - eta)


def induced_divergence(rule: ScoringRule, log_real: Array, log_fake: Array, nodes: Array) -> Array:
    """The f-divergence between two densities on a line that a rule makes the generator minimise.

    The payoff of the best discriminator, less that of one which cannot tell: 0 where p = q.

    Args:
        rule: of :func:`scoring_rules`.
        log_real: ``[N]``, log p on the nodes; minus infinity where p is 0.
        log_fake: ``[N]``, log q.
        nodes: ``[N]``, rising, wide enough to hold both densities.

    Returns:
        A scalar >= 0. Its derivative with respect to the fake density is, by the envelope theorem, the generator's
        gradient against the best discriminator, where the loss is zero-sum.

    Raises:
        TypeError, ValueError: a ``rule`` that is none, or what :func:`line_divergences` refuses.
    """
    check_loss("rule.loss", check_kind("rule", rule, ScoringRule).loss)
    log_real, log_fake, nodes = check_line(log_real, log_fake, nodes)
    logits = rule.best_logit(log_real - log_fake)
    earned = _earned(rule.loss, logits, jnp.exp(log_real), jnp.exp(log_fake))
    neutral = jnp.zeros((), earned.dtype)
    return jnp.sum(trapezoid(nodes) * earned) - rule.loss.value(real=neutral, fake=neutral)


def _earned(loss: GanLoss, logits: Array, real: Any, fake: Any) -> Array:
    """``real s(v) + fake s(-v)`` with weights ``real`` and ``fake``; a weight of 0 takes nothing, at any logit."""
    neutral = jnp.zeros_like(logits)
    half = 0.5 * loss.value(real=neutral, fake=neutral)  # s(0)
    total = jnp.zeros_like(logits)
    for weight, terms in (
        (real, lambda v: loss.value(real=v, fake=neutral) - half),
        (fake, lambda v: loss.value(real=neutral, fake=v) - half),
    ):
        there = weight > 0
        total += jnp.where(there, weight * terms(jnp.where(there, logits, neutral)), 0.0)
    return total
