"""f-divergences as zero-sum games: the variational bound of f-GAN in the logit ``v``, an estimate of ``log p/q``.

For a convex ``f`` with ``f(1) = 0`` and conjugate ``f*``, and any function T of the data,

    D_f(p || q) = sum q f(p / q) >= E_p[T] - E_q[f*(T)],    with equality at T = f'(p / q)

(Nguyen, Wainwright and Jordan 2010; Nowozin, Cseke and Tomioka 2016, arXiv 1606.00709, equation 4). For the smooth
ones we write ``T(v) = f'(e^v)``. Then ``v = log p/q`` is best, 0 is the neutral logit, and the value there is 0. This
departs from Nowozin's output activations, which reach the same T by other maps. ``value`` is ``T(r) - f*(T(f))``. The
generator minimises the second term alone, as in the paper's saddle point. ``p`` is the real and ``q`` the fake
distribution; logarithms are natural.

Several terms hold ``e^v``. They clip nothing, and each docstring says where float32 overflows. Each term and its
derivative are right to 1e-6 relative wherever float32 holds them.
"""

import math

import jax
import jax.numpy as jnp

from mixgan_jax.losses.core import GanLoss, logits_pair, separable, with_slope
from mixgan_jax.types import Array, ArrayLike


def kl() -> GanLoss:
    """Makes the loss of the forward Kullback-Leibler divergence ``KL(p || q) = sum p log(p / q)``.

    ``f(u) = u log u``, ``T = 1 + v``, ``f*(T) = e^v``: ``value = 1 + r - e^f``. The term ``e^f`` is infinite in
    float32 for ``f > 88.7``, as is its gradient.

    Returns:
        A zero-sum loss. At logit 0: value 0, discriminator 0, generator -1 (it minimises ``-e^f``).
    """
    return separable("kl", real=lambda real: 1.0 + real, fake=lambda fake: -jnp.exp(fake))


def reverse_kl() -> GanLoss:
    """Makes the loss of the reverse Kullback-Leibler divergence ``KL(q || p) = sum q log(q / p)``.

    ``f(u) = -log u``, ``T = -e^-v``, ``f*(T) = v - 1``: ``value = -e^-r + 1 - f``. The term ``e^-r`` is infinite in
    float32 for ``r < -88.7``, as is its gradient.

    Returns:
        A zero-sum loss. At logit 0: value 0, discriminator 0, generator 1 (it minimises ``1 - f``).
    """
    return separable("reverse kl", real=lambda real: -jnp.exp(-real), fake=lambda fake: 1.0 - fake)


def jensen_shannon() -> GanLoss:
    """Makes the loss of twice the Jensen-Shannon divergence: the minimax payoff, shifted to be 0 at the equilibrium.

    ``f(u) = u log u - (u + 1) log((u + 1) / 2)``, ``T = log 2 - softplus(-v)``, ``f*(T) = softplus(v) - log 2``:
    ``value = 2 log 2 - softplus(-r) - softplus(f)``. Its supremum is ``2 JS(p, q)`` in [0, 2 log 2], where
    ``JS = KL(p || m) / 2 + KL(q || m) / 2`` and ``m = (p + q) / 2``: the factor 2 comes with Nowozin's ``f``.

    Returns:
        A zero-sum loss. At logit 0: value 0, discriminator 0, generator 0.
    """
    return separable(
        "jensen-shannon",
        real=_log_twice,
        fake=lambda fake: _log_twice(-fake),
    )


def squared_hellinger() -> GanLoss:
    """Makes the loss of the squared Hellinger distance ``sum (sqrt p - sqrt q)^2``, in [0, 2].

    ``f(u) = (sqrt u - 1)^2``, without the factor 1/2 of some texts; ``T = 1 - e^(-v/2)``, ``f*(T) = e^(v/2) - 1``:
    ``value = 2 - e^(-r/2) - e^(f/2)``, the payoff of :func:`mixgan_jax.losses.exponential` plus 2. In float32 the value
    is infinite for ``r < -177.4`` or ``f > 177.4``, and the gradient from 178.8 on.

    Returns:
        A zero-sum loss. At logit 0: value 0, discriminator 0, generator 0.
    """
    term = with_slope(lambda v: -jnp.expm1(-0.5 * v), half_exponential)
    return separable("squared hellinger", real=term, fake=lambda fake: term(-fake))


def pearson() -> GanLoss:
    """Makes the loss of the Pearson chi-squared divergence ``sum (p - q)^2 / q``.

    ``f(u) = (u - 1)^2``, ``T = 2 (e^v - 1)``, ``f*(T) = e^(2v) - 1``: ``value = 2 (e^r - 1) - (e^(2f) - 1)``.
    In float32 the term of a real and its gradient are infinite for ``r > 88.0``. The term of a fake is infinite for
    ``f > 44.3``, and its gradient from 44.0 on. Where both terms are infinite, the value has the sign of the larger
    one. Far from the equilibrium the gradients of reals and fakes differ in scale by ``e^v``.

    Returns:
        A zero-sum loss. At logit 0: value 0, discriminator 0, generator 0.
    """
    gain = with_slope(lambda v: 2.0 * jnp.expm1(v), lambda v: _scaled_square(2.0, jnp.exp(0.5 * v)))
    cost = with_slope(lambda v: -jnp.expm1(2.0 * v), lambda v: _scaled_square(-2.0, jnp.exp(v)))

    def value(*, real: ArrayLike, fake: ArrayLike) -> Array:
        real, fake = logits_pair(real, fake)
        return _sum(gain(real), cost(fake), real + math.log(2.0) - 2.0 * fake)

    def discriminator(*, real: ArrayLike, fake: ArrayLike) -> Array:
        return -value(real=real, fake=fake)

    loss = separable("pearson", real=gain, fake=cost)
    return loss._replace(value=value, discriminator=discriminator)


def total_variation() -> GanLoss:
    """Makes the loss of the total variation distance ``TV = (1/2) sum |p - q|``, in [0, 1].

    ``f(u) = |u - 1| / 2``, ``f*(T) = T`` for ``|T| <= 1/2``, and ``T = tanh(v) / 2`` (Nowozin et al. 2016):
    ``value = (tanh r - tanh f) / 2``. Here v is not a log density ratio: the supremum is approached as v goes to
    plus infinity where ``p > q`` and to minus infinity where ``p < q``.

    Returns:
        A zero-sum loss. At logit 0: value 0, discriminator 0, generator 0.
    """
    term = with_slope(lambda v: 0.5 * jnp.tanh(v), lambda v: _scaled_square(0.5, _sech(v)))
    return separable("total variation", real=term, fake=lambda fake: term(-fake))


def half_exponential(logits: Array) -> Array:
    """Computes ``e^(-v/2) / 2``, the derivative of ``-e^(-v/2)``."""
    return _scaled_square(0.5, jnp.exp(-0.25 * logits))


def _scaled_square(factor: float, root: Array) -> Array:
    """Computes ``factor root^2``, also where float32 holds this but not ``root^2``."""
    return factor * root * root


def _sech(logits: Array) -> Array:
    decay = jnp.exp(-jnp.abs(logits))
    return 2.0 * decay / (1.0 + decay * decay)


def _log_twice_at(logits: Array) -> Array:
    """Computes ``log(2 sigmoid(v))`` without cancellation near 0."""
    near = logits > -1.0
    small = jnp.log1p(jnp.tanh(0.5 * jnp.where(near, logits, 0.0)))
    return jnp.where(near, small, math.log(2.0) - jax.nn.softplus(-logits))


_log_twice = with_slope(_log_twice_at, lambda v: jax.nn.sigmoid(-v))


@jax.custom_jvp
def _sum(gain: Array, cost: Array, lead: Array) -> Array:
    """Adds ``gain`` and ``cost``. Where they are inf and -inf, the sum is infinite with the sign of ``lead``."""
    undecided = jnp.isposinf(gain) & jnp.isneginf(cost)
    return jnp.where(undecided, jnp.copysign(jnp.inf, lead), gain + cost)


@_sum.defjvp
def _sum_jvp(
    primals: tuple[Array, Array, Array], tangents: tuple[Array, Array, Array]
) -> tuple[Array, Array]:
    return _sum(*primals), tangents[0] + tangents[1]
