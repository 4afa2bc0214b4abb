"""The losses in common use: minimax, non-saturating, Wasserstein, hinge, least squares, relativistic.

``r`` and ``f`` are the logits of a real and of a fake, ``D = sigmoid(logit)``, ``softplus(v) = log(1 + e^v)``,
``p`` the real and ``q`` the fake distribution. Logarithms are natural.
"""

import jax
import jax.numpy as jnp

from mixgan_jax.checked import checked
from mixgan_jax.losses.core import GanLoss, logits_pair, separable
from mixgan_jax.types import Array, ArrayLike, Number


def minimax() -> GanLoss:
    """Makes the loss of the original zero-sum game, whose generator loss saturates.

    ``value = log D(real) + log(1 - D(fake)) = -softplus(-r) - softplus(f)``; the generator minimises
    ``log(1 - D(fake)) = -softplus(f)`` (Goodfellow et al. 2014, arXiv 1406.2661, equation 1). The best discriminator
    is ``log p/q``, where the value is ``2 JS(p, q) - 2 log 2``. The generator's gradient vanishes where the
    discriminator rejects its samples with confidence.

    Returns:
        A zero-sum loss. At D = 1/2: value -2 log 2, discriminator 2 log 2, generator -log 2.

    Example:
        >>> import mixgan_jax as mg
        >>> loss = mg.losses.minimax()
        >>> round(float(loss.value(real=0.0, fake=0.0)), 4)  # -2 log 2
        -1.3863
    """
    return separable("minimax", real=jax.nn.log_sigmoid, fake=_log_not)


def non_saturating() -> GanLoss:
    """Makes the loss of most GANs: the minimax discriminator, and a generator that maximises ``log D(fake)``.

    ``value`` and ``discriminator`` are those of :func:`minimax`; the generator minimises
    ``-log D(fake) = softplus(-f)`` (Goodfellow et al. 2014, arXiv 1406.2661, section 3). Against the best
    discriminator its gradient is that of ``KL(q || p) - 2 JS(p, q)`` (Arjovsky and Bottou 2017, arXiv 1701.04862,
    theorem 2.5), so the generator prefers to drop modes.

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
    """Makes the Wasserstein loss: the critic maximises ``r - f``, and the generator minimises ``-f``.

    Over 1-Lipschitz critics the largest mean is the Wasserstein-1 distance (Arjovsky et al. 2017, arXiv 1701.07875).
    The loss itself bounds nothing: the constraint comes from clipping, spectral normalisation or
    :func:`mixgan_jax.penalties.gradient_penalty`. A constant added to the critic shifts the generator's curve and
    nothing else. Read the curve of the value, not the generator's.

    Returns:
        A zero-sum loss. At the neutral logit 0: value 0, discriminator 0, generator 0.

    Example:
        >>> import mixgan_jax as mg
        >>> loss = mg.losses.wasserstein()
        >>> float(loss.value(real=3.0, fake=1.0)), float(loss.generator(fake=1.0))
        (2.0, -1.0)
    """
    return separable("wasserstein", real=lambda real: real, fake=lambda fake: -fake)


def hinge() -> GanLoss:
    """Makes the hinge loss: a hinge for the discriminator, and the linear generator of spectrally normalised GANs.

    ``discriminator = relu(1 - r) + relu(1 + f)``, ``generator = -f`` (Lim and Ye 2017, arXiv 1705.02894; Miyato et
    al. 2018, arXiv 1802.05957). The papers define no zero-sum payoff. We take ``value = -discriminator``. Its supremum
    is ``2 TV(p, q) - 2``, reached at ``sign(p - q)``. As a scoring rule the hinge is not proper: it elicits which class
    is likelier, not the probability.

    Returns:
        A loss that is not zero-sum. At logit 0: value -2, discriminator 2, generator 0. Where ``p = q``, every
        constant logit in [-1, 1] is as good. The generator's curve then sits at minus that constant.
    """
    return separable(
        "hinge",
        real=lambda real: -jax.nn.relu(1.0 - real),
        fake=lambda fake: -jax.nn.relu(1.0 + fake),
        generator=lambda fake: -fake,
    )


@checked
def least_squares(
    real_label: Number = 1.0, fake_label: Number = 0.0, generator_target: Number = 1.0
) -> GanLoss:
    """Makes the loss of least squares on the discriminator's raw output.

    ``discriminator = (r - b)^2 / 2 + (f - a)^2 / 2``, ``generator = (f - c)^2 / 2`` (Mao et al. 2017,
    arXiv 1611.04076) with ``b`` the real label, ``a`` the fake label, ``c`` the generator's target.
    ``value = -discriminator`` is at best ``-(b - a)^2 / 2 * sum p q / (p + q)``, where the output is
    ``(b p + a q) / (p + q)``.

    Args:
        real_label: b, finite, different from ``fake_label``.
        fake_label: a, finite.
        generator_target: c, finite; ``b - c = 1, b - a = 2`` makes the generator's objective a Pearson divergence.

    Returns:
        A loss that is not zero-sum, with neutral output ``(a + b) / 2``. There: value ``-(b - a)^2 / 4``,
        discriminator ``(b - a)^2 / 4``, generator ``((a + b) / 2 - c)^2 / 2``; by default -1/4, 1/4, 1/8.
    """
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
    """Makes the relativistic pairing loss, which asks whether this real is more realistic than this fake.

    ``discriminator = softplus(-(r - f))``, ``generator = softplus(-(f - r))`` (Jolicoeur-Martineau 2018,
    arXiv 1807.00734; with R1 and R2 penalties the loss of R3GAN, Huang et al. 2024, arXiv 2501.05441).
    ``value = -softplus(-(r - f)) = log sigmoid(r - f)``, so the generator's loss is its non-saturating counterpart.

    A term compares one real with one fake. Equal shapes ``[B]`` give the pairs of one batch, as in the papers;
    ``[B, 1]`` against ``[1, B']`` gives all pairs. The loss is not separable: only differences of logits matter.

    Returns:
        A relativistic loss that is not zero-sum; its ``generator`` raises a ValueError without ``real``. At equal
        logits: value -log 2, discriminator log 2, generator log 2.
    """

    def value(*, real: ArrayLike, fake: ArrayLike) -> Array:
        real, fake = logits_pair(real, fake)
        return jax.nn.log_sigmoid(real - fake)

    def discriminator(*, real: ArrayLike, fake: ArrayLike) -> Array:
        return -value(real=real, fake=fake)

    def generator(*, fake: ArrayLike, real: ArrayLike | None = None) -> Array:
        if real is None:
            raise ValueError("real must be the real logits, got None: the loss compares pairs")
        real, fake = logits_pair(real, fake)
        return jax.nn.softplus(real - fake)

    return GanLoss("relativistic", value, discriminator, generator, False, True, 0.0)


def _log_not(logits: Array) -> Array:
    """Computes ``log(1 - sigmoid(logits))``, exactly far out."""
    return jax.nn.log_sigmoid(-logits)
