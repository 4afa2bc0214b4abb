"""Payoffs ``s(D(real)) + s(1 - D(fake))``: Arora's measuring functions and the proper scoring rules.

With ``D = sigmoid(v)`` and ``1 - D = sigmoid(-v)`` both terms are one function of the logit, at ``v = r`` for a real
and at ``v = -f`` for a fake. A scoring rule is *proper* if reporting the true probability ``p / (p + q)`` is best, and
*strictly* proper if nothing else is as good. The best logit is then ``log p/q``.
"""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp

from mixgan_jax.checked import checked
from mixgan_jax.losses.classic import minimax
from mixgan_jax.losses.core import GanLoss, Term, separable, with_slope
from mixgan_jax.losses.divergences import half_exponential
from mixgan_jax.types import Array, Fraction


class MeasuringFunction(NamedTuple):
    """A concave increasing ``phi`` on [0, 1] that turns a discriminator's probability into a payoff.

    Attributes:
        name: its name in tables.
        at_probability: ``phi(t)`` of a probability, element-wise.
        at_logit: ``phi(sigmoid(v))`` of a logit, element-wise, accurate far out.
        bound: the least Delta with ``|phi| <= Delta`` on [0, 1]; infinite for the logarithm.
        lipschitz: the Lipschitz constant on [0, 1]; infinite for the logarithm.
    """

    name: str
    at_probability: Term
    at_logit: Term
    bound: float
    lipschitz: float


def phi_log() -> MeasuringFunction:
    """Makes ``phi(t) = log t``, as in the original GAN. It is neither bounded nor Lipschitz; the theory asks for both.

    Returns:
        The measuring function; ``phi(1/2) = -log 2``.
    """
    return MeasuringFunction("log", jnp.log, jax.nn.log_sigmoid, math.inf, math.inf)


def phi_identity() -> MeasuringFunction:
    """Makes ``phi(t) = t``: the payoff ``D(real) - D(fake) + 1``, Wasserstein's plus 1, for D in [0, 1].

    The payoff's supremum over all D is ``1 + TV(p, q)``. As a scoring rule it is not proper: D = 0 or 1 is best.

    Returns:
        The measuring function; ``phi(1/2) = 1/2``, bound 1, Lipschitz constant 1.
    """
    at_logit = with_slope(jax.nn.sigmoid, lambda v: jax.nn.sigmoid(v) * jax.nn.sigmoid(-v))
    return MeasuringFunction("identity", lambda t: t, at_logit, 1.0, 1.0)


@checked
def phi_bounded_log(delta: Fraction) -> MeasuringFunction:
    """Makes ``phi(t) = log(delta + (1 - delta) t)``, a logarithm that stays in ``[log delta, 0]``.

    It is bounded and Lipschitz, as the theory asks. Its payoff is not a proper scoring rule: the best D is
    ``(p - delta q) / ((1 - delta) (p + q))`` cut to [0, 1], further from 1/2 than ``p / (p + q)``.

    Args:
        delta: in (0, 1). Near 0, phi is the plain logarithm; near 1, it is the identity, scaled and shifted.

    Returns:
        The measuring function; ``phi(1/2) = log((1 + delta) / 2)``, bound ``log(1 / delta)``, Lipschitz constant
        ``(1 - delta) / delta``.
    """
    log_delta, log_rest = math.log(delta), math.log1p(-delta)

    def at_probability(probability: Array) -> Array:
        return jnp.log(delta + (1.0 - delta) * probability)

    def at_logit(logits: Array) -> Array:
        below_one = (1.0 - delta) * jax.nn.sigmoid(-logits)
        log_sum = jnp.logaddexp(
            jnp.full_like(logits, log_delta), log_rest + jax.nn.log_sigmoid(logits)
        )
        return jnp.where(below_one < 0.5, jnp.log1p(-jnp.minimum(below_one, 0.5)), log_sum)

    def slope(logits: Array) -> Array:
        # share = (1 - delta) sigmoid(v) / (delta + (1 - delta) sigmoid(v)), in powers that cannot overflow.
        odds, low = delta / (1.0 - delta), logits < 0
        root = jnp.exp(0.5 * jnp.where(low, logits, 0.0))
        decay = jnp.exp(-jnp.where(low, 0.0, logits))
        share = jnp.where(
            low,
            root / (odds + (1.0 + odds) * root * root) * root,
            1.0 / (1.0 + odds + odds * decay),
        )
        return share * jax.nn.sigmoid(-logits)

    return MeasuringFunction(
        f"bounded log {delta:g}",
        at_probability,
        with_slope(at_logit, slope),
        -log_delta,
        (1.0 - delta) / delta,
    )


@checked
def measuring(phi: MeasuringFunction) -> GanLoss:
    """Makes the loss of a measuring function: ``value = phi(D(real)) + phi(1 - D(fake))``.

    Arora et al. (2017, arXiv 1703.00573, section 2) state generalisation, equilibria and MIX+GAN in this family. The
    generator minimises ``phi(1 - D(fake))``. With ``phi_log()`` the loss is :func:`mixgan_jax.losses.minimax`.

    Args:
        phi: a measuring function, as ``phi_bounded_log(0.1)``.

    Returns:
        A zero-sum loss. At D = 1/2: value ``2 phi(1/2)``, discriminator ``-2 phi(1/2)``, generator ``phi(1/2)``.
    """
    return _symmetric(f"measuring ({phi.name})", phi.at_logit)


def logistic() -> GanLoss:
    """Makes the logarithmic score, which is strictly proper: :func:`mixgan_jax.losses.minimax` by another name.

    Returns:
        The minimax loss, named ``"logistic"``. At D = 1/2: value -2 log 2, discriminator 2 log 2, generator -log 2.
    """
    return minimax()._replace(name="logistic")


def brier() -> GanLoss:
    """Makes the quadratic score of Brier (1950): ``value = -(1 - D(real))^2 - D(fake)^2``.

    It is strictly proper and bounded. In logits it is ``-sigmoid(-r)^2 - sigmoid(f)^2``, the measuring function
    ``phi(t) = -(1 - t)^2``. Its supremum is ``(LC(p, q) - 1) / 2`` with the Le Cam divergence
    ``LC = (1/2) sum (p - q)^2 / (p + q)`` in [0, 1]. The generator minimises ``-D(fake)^2``, whose gradient in the
    logit vanishes at both ends.

    Returns:
        A zero-sum loss. At D = 1/2: value -1/2, discriminator 1/2, generator -1/4.
    """
    score = with_slope(
        lambda v: -jnp.square(jax.nn.sigmoid(-v)),
        lambda v: 2.0 * jax.nn.sigmoid(-v) * jax.nn.sigmoid(-v) * jax.nn.sigmoid(v),
    )
    return _symmetric("brier", score)


def exponential() -> GanLoss:
    """Makes the exponential score of boosting: ``value = -exp(-r / 2) - exp(f / 2)``.

    It is strictly proper: with F half the logit it is AdaBoost's ``exp(-y F)`` (Friedman, Hastie and Tibshirani 2000;
    as a scoring rule, Buja, Stuetzle and Shen 2005). Its supremum is ``H^2(p, q) - 2``, with the squared Hellinger
    distance ``H^2 = sum (sqrt p - sqrt q)^2``. The generator minimises ``-exp(f / 2)``, which has no lower bound.

    It clips nothing: in float32 a term is infinite for ``r < -177.4`` or ``f > 177.4``, its gradient from 178.8 on.

    Returns:
        A zero-sum loss. At D = 1/2: value -2, discriminator 2, generator -1.
    """
    return _symmetric("exponential", with_slope(lambda v: -jnp.exp(-0.5 * v), half_exponential))


def _symmetric(name: str, score: Term) -> GanLoss:
    """Makes the zero-sum loss ``score(r) + score(-f)``; ``score`` takes the logit of the right class."""
    return separable(name, real=score, fake=lambda fake: score(-fake))
