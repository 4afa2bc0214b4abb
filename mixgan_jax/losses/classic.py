"""The losses in common use: minimax, non-saturating, Wasserstein, hinge, least squares, relativistic.

``r`` and ``f`` are the logits of a real and of a fake, ``D = sigmoid(logit)``, ``softplus(v) = log(1 + e^v)``,
``p`` the real and ``q`` the fake distribution. Logarithms are natural.
"""

from typing import Any

import jax
import jax.numpy as jnp

from mixgan_jax.checks import check_number
from mixgan_jax.losses.core import GanLoss, logits_pair, separable
from mixgan_jax.types import Array


def minimax() -> GanLoss:
    """The original zero-sum game, with the generator loss that saturates.

    ``value = log D(real) + log(1 - D(fake)) = -softplus(-r) - softplus(f)``; the generator minimises
    ``log(1 - D(fake)) = -softplus(f)`` (Goodfellow et al. 2014, arXiv 1406.2661, equation 1). The best discriminator
    is ``log p/q``, where the value is ``2 JS(p, q) - 2 log 2``. The generator's gradient vanishes where the
    discriminator rejects its samples with confidence.

    Returns:
        A zero-sum loss. At D = 1/2: value -2 log 2, discriminator 2 log 2, generator -log 2.
    """
    return separable("minimax", real=jax.nn.log_sigmoid, fake=_log_not)


def non_saturating() -> GanLoss:
    """The loss most GANs train with: the minimax discriminator, and a generator that maximises ``log D(fake)``.

    ``value`` and ``discriminator`` are those of :func:`minimax`; the generator minimises
    ``-log D(fake) = softplus(-f)`` (Goodfellow et al. 2014, arXiv 1406.2661, section 3). Not zero-sum. Against the
    best discriminator its gradient is that of ``KL(q || p) - 2 JS(p, q)`` (Arjovsky and Bottou 2017,
    arXiv 1701.04862, theorem 2.5), so it prefers to drop modes.

    Returns:
        A loss that is not zero-sum. At D = 1/2: value -2 log 2, discriminator 2 log 2, generator log 2.
    """
    return separable(
        "non-saturating",
        real=jax.nn.log_sigmoid,
        fake=_log_not,
        generator=lambda fake: jax.nn.softplus(-fake),
    )


def wasserstein() -> GanLoss:
    """The Wasserstein critic's payoff ``r - f``; the generator minimises ``-f``.

    Over 1-Lipschitz critics the largest mean is the Wasserstein-1 distance (Arjovsky et al. 2017, arXiv 1701.07875).
    The loss itself bounds nothing: the constraint comes from clipping, spectral normalisation or
    :func:`mixgan_jax.penalties.gradient_penalty`. A constant added to the critic changes the generator's curve and
    nothing else, so of these curves only the value's means something.

    Returns:
        A zero-sum loss. At the neutral logit 0: value 0, discriminator 0, generator 0.
    """
    return separable("wasserstein", real=lambda real: real, fake=lambda fake: -fake)


def hinge() -> GanLoss:
    """The hinge discriminator with the linear generator of spectrally normalised GANs.

    ``discriminator = relu(1 - r) + relu(1 + f)``, ``generator = -f`` (Lim and Ye 2017, arXiv 1705.02894; Miyato et
    al. 2018, arXiv 1802.05957). The papers define no zero-sum payoff. We take
    ``value = -discriminator``, whose supremum is ``2 TV(p, q) - 2``, reached at ``sign(p - q)``. As a scoring rule
    the hinge is not proper: it elicits which class is likelier, not the probability.

    Returns:
        A loss that is not zero-sum. At logit 0: value -2, discriminator 2, generator 0. Where ``p = q`` every
        constant logit in [-1, 1] is as good, and the generator's curve then sits at minus that constant.
    """
    return separable(
        "hinge",
        real=lambda real: -jax.nn.relu(1.0 - real),
        fake=lambda fake: -jax.nn.relu(1.0 + fake),
        generator=lambda fake: -fake,
    )


def least_squares(
    real_label: float = 1.0, fake_label: float = 0.0, generator_target: float = 1.0
) -> GanLoss:
    """Least squares on the discriminator's raw output.

    ``discriminator = (r - b)^2 / 2 + (f - a)^2 / 2``, ``generator = (f - c)^2 / 2`` (Mao et al. 2017,
    arXiv 1611.04076) with ``b`` the real label, ``a`` the fake label, ``c`` the generator's target.
    ``value = -discriminator``, at best ``-(b - a)^2 / 2 * sum p q / (p + q)``, at the output ``(b p + a q) / (p + q)``.

    Args:
        real_label: b, finite, different from ``fake_label``.
        fake_label: a, finite.
        generator_target: c, finite; ``b - c = 1, b - a = 2`` makes the generator's objective a Pearson divergence.

    Returns:
        A loss that is not zero-sum, with neutral output ``(a + b) / 2``. There: value ``-(b - a)^2 / 4``,
        discriminator ``(b - a)^2 / 4``, generator ``((a + b) / 2 - c)^2 / 2``; by default -1/4, 1/4, 1/8.

    Raises:
        ValueError: the two labels are equal, or one of the three is not finite.
    """
    real_label = check_number("real_label", real_label)
    fake_label = check_number("fake_label", fake_label)
    generator_target = check_number("generator_target", generator_target)
    if real_label == fake_label:
        raise ValueError(f"real_label must differ from fake_label, got {real_label!r} for both")
    return separable(
        "least squares",
        real=lambda real: -0.5 * jnp.square(real - real_label),
        fake=lambda fake: -0.5 * jnp.square(fake - fake_label),
        generator=lambda fake: 0.5 * jnp.square(fake - generator_target),
        neutral=0.5 * (real_label + fake_label),
    )


def relativistic() -> GanLoss:
    """The relativistic pairing loss: is this real more realistic than this fake?

    ``discriminator = softplus(-(r - f))``, ``generator = softplus(-(f - r))`` (Jolicoeur-Martineau 2018,
    arXiv 1807.00734; with R1 and R2 penalties the loss of R3GAN, Huang et al. 2024, arXiv 2501.05441).
    ``value = -softplus(-(r - f)) = log sigmoid(r - f)``, so the generator's loss is its non-saturating counterpart.

    Terms compare one real with one fake: equal shapes ``[B]`` give the pairs of one batch, as in the papers;
    ``[B, 1]`` against ``[1, B']`` gives all of them. Not separable: only differences of logits matter.

    Returns:
        A relativistic loss that is not zero-sum; its ``generator`` raises a ValueError without ``real``. At equal
        logits: value -log 2, discriminator log 2, generator log 2.
    """

    def value(*, real: Any, fake: Any) -> Array:
        real, fake = logits_pair(real, fake)
        return jax.nn.log_sigmoid(real - fake)

    def discriminator(*, real: Any, fake: Any) -> Array:
        return -value(real=real, fake=fake)

    def generator(*, fake: Any, real: Any = None) -> Array:
        if real is None:
            raise ValueError("real must be the real logits, got None: the loss compares pairs")
        real, fake = logits_pair(real, fake)
        return jax.nn.softplus(real - fake)

    return GanLoss("relativistic", value, discriminator, generator, False, True, 0.0)


def _log_not(logits: Array) -> Array:
    """``log(1 - sigmoid(logits))``, exact far out."""
    return jax.nn.log_sigmoid(-logits)
