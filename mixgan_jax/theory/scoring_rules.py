"""The divergence that a generator minimises, given the scoring rule that its discriminator is trained with.

A discriminator that reports D = P(real | x) is paid by a scoring rule. Let real and fake be equally frequent, and let
``eta = p / (p + q)`` be the true probability. The discriminator's least expected loss at x is the Bayes risk
``L(eta)``, a concave function. A generator that meets the best discriminator minimises, up to a constant, an
f-divergence,

    D(p, q) = 2 L(1/2) - integral (p + q) L(eta),        f(u) = 2 L(1/2) - (u + 1) L(u / (u + 1))

(Reid and Williamson 2011; for surrogate losses Nguyen, Wainwright and Jordan 2009):

    rule          best logit       L(eta)                    D(p, q)
    logistic      log p/q          entropy, in nats          2 JS
    Brier         log p/q          eta (1 - eta)             Le Cam / 2
    exponential   log p/q          2 sqrt(eta (1 - eta))     squared Hellinger
    hinge         sign(p - q)      2 min(eta, 1 - eta)       2 TV

Le Cam is ``(1/2) sum (p - q)^2 / (p + q)`` in [0, 1]. The first three are strictly proper. The hinge is not a
proper scoring rule of D: its best logit says which of p and q is larger, but not by how much.
"""

from collections.abc import Callable
from typing import Annotated, Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np

from mixgan_jax.checked import checked
from mixgan_jax.checks import check_array, check_kind, on_host
from mixgan_jax.losses import GanLoss, brier, exponential, hinge, logistic
from mixgan_jax.losses.core import check_loss
from mixgan_jax.theory.divergences import LogDensity, Nodes, check_line, trapezoid
from mixgan_jax.types import Array


class ScoringRule(NamedTuple):
    """A discriminator's loss and its best logit.

    Attributes:
        loss: symmetric, ``value = s(r) + s(-f)``; ``loss.name`` is the rule's name.
        best_logit: element-wise, from ``log p/q`` to the logit that earns most there.
    """

    loss: GanLoss
    best_logit: Callable[[Array], Array]


def check_rule(name: str, value: Any) -> ScoringRule:
    """Returns a scoring rule whose loss is one."""
    rule = check_kind(name, value, ScoringRule)
    check_loss(f"{name}.loss", rule.loss)
    return rule


def check_probability(name: str, value: Any) -> Array:
    """Returns floating-point numbers in [0, 1]."""
    array = check_array(name, value, floating=True, finite=True)
    if on_host(value) and not np.all((np.asarray(value) >= 0) & (np.asarray(value) <= 1)):
        raise ValueError(f"{name} must lie in [0, 1], got values outside")
    return array


AnyRule: TypeAlias = Annotated[ScoringRule, check_rule]
"""One of :func:`scoring_rules`, or another."""


def scoring_rules() -> tuple[ScoringRule, ...]:
    """Returns the four rules of the table above: logistic, Brier, exponential, hinge.

    Returns:
        Four :class:`ScoringRule`.
    """
    strictly_proper = (logistic(), brier(), exponential())
    return (
        *(ScoringRule(loss, lambda log_ratio: log_ratio) for loss in strictly_proper),
        ScoringRule(hinge(), jnp.sign),
    )


@checked
def bayes_risk(rule: AnyRule, probability: Annotated[Array, check_probability]) -> Array:
    """Returns the least expected loss ``L(eta)`` of a discriminator whose example is real with probability eta.

    Args:
        rule: of :func:`scoring_rules`.
        probability: eta, floating point in [0, 1], of any shape.

    Returns:
        ``L(eta)``, of the same shape ``[...]``; 0 at both ends.
    """
    eta = probability.astype(jnp.float32) if probability.dtype.itemsize < 4 else probability
    logits = rule.best_logit(jax.scipy.special.logit(eta))
    return -_earned(rule.loss, logits, eta, 1.0 - eta)


@checked
def induced_divergence(
    rule: AnyRule, log_real: LogDensity, log_fake: LogDensity, nodes: Nodes
) -> Array:
    """Returns the f-divergence between two densities on a line that a rule makes the generator minimise.

    It is the payoff of the best discriminator, less that of one which cannot tell: 0 if p = q.

    Args:
        rule: of :func:`scoring_rules`.
        log_real: ``[N]``, log p on the nodes; minus infinity where p is 0.
        log_fake: ``[N]``, log q.
        nodes: ``[N]``, rising, wide enough to hold both densities.

    Returns:
        A scalar >= 0. If the loss is zero-sum, its derivative with respect to the fake density is the generator's
        gradient against the best discriminator (envelope theorem).
    """
    log_real, log_fake, nodes = check_line(log_real, log_fake, nodes)
    logits = rule.best_logit(log_real - log_fake)
    earned = _earned(rule.loss, logits, jnp.exp(log_real), jnp.exp(log_fake))
    neutral = jnp.zeros((), earned.dtype)
    return jnp.sum(trapezoid(nodes) * earned) - rule.loss.value(real=neutral, fake=neutral)


def _earned(loss: GanLoss, logits: Array, real: Array, fake: Array) -> Array:
    """Returns ``real s(v) + fake s(-v)`` with weights ``real`` and ``fake``; a weight of 0 adds 0 at any logit."""
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
