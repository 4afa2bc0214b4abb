r"""The Dirac-GAN: the smallest GAN, in which unregularised training circles the equilibrium and never gets there.

The data are the point 0, the generator is a point ``theta``, the discriminator's logit is ``psi x`` (plus the loss's
neutral logit): Mescheder, Geiger and Nowozin (2018, arXiv 1801.04406, section 2). The equilibrium is
``theta = psi = 0``. No expectation is left, so losses and gradients are those of a GAN in the limit of all data.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from mixgan_jax.checked import checked
from mixgan_jax.losses.core import Loss
from mixgan_jax.penalties import Penalty
from mixgan_jax.theory.linear_games import Matrices, fake_slopes
from mixgan_jax.types import Array, NonNegative


@checked
def dirac_gan_losses(
    loss: Loss, penalty: Penalty | None = None
) -> Callable[[tuple[Array, Array]], tuple[Array, Array]]:
    """Makes both players' losses, functions of their two numbers.

    Args:
        loss: of either player.
        penalty: of the discriminator, from ``penalties``. Its gradient in x is psi everywhere. So R1 and R2 are the
            same, ``gamma / 2 psi^2``, and WGAN-GP's is ``coefficient (|psi| - target)^2`` wherever it looks.

    Returns:
        ``losses(players)``, for ``adjustments.gradient_field`` or ``gradient_play``: from ``(theta, psi)``, each
        ``[]``, to the generator's and the discriminator's loss ``[]``.
    """

    def losses(players: tuple[Array, Array]) -> tuple[Array, Array]:
        point, slope = players
        real = jnp.full_like(slope, loss.neutral)
        logits = {"real": real, "fake": real + slope * point}
        discriminator = loss.discriminator(**logits)
        if penalty is not None:
            # The key decides where the penalty looks, which makes no difference to a linear critic.
            places = jnp.zeros((1,), slope.dtype), point.reshape(1)
            terms = penalty(jax.random.key(0), lambda x: slope * x, *places)
            discriminator = discriminator + jnp.sum(terms)
        return loss.generator(**logits), discriminator

    return losses


@checked
def dirac_gan_jacobian(loss: Loss, damping: NonNegative = 0.0) -> Matrices:
    r"""Returns the Jacobian at the equilibrium, ``[[0, -a], [b, damping]]``.

    ``-a`` and ``b`` are the slopes of the players' losses in the fake's logit: 1/2 each for minimax, non-saturating,
    least squares and relativistic, 1 for Wasserstein and hinge. Eigenvalues are
    ``damping / 2 +- sqrt(damping^2 / 4 - a b)``: purely imaginary without damping, whatever the loss.

    Args:
        loss: of either player.
        damping: the penalty's second derivative in psi at 0, finite and >= 0: gamma of R1 or R2. WGAN-GP's has none: it
            pushes psi away from 0, and at theta = 0 with ``|psi| = target`` the generator still moves. So no
            equilibrium is left.

    Returns:
        ``[2, 2]`` float64.
    """
    slope, pull = fake_slopes(loss)
    return np.array([[0.0, slope], [pull, damping]])


@checked
def dirac_gan_inward_pull(loss: Loss) -> float:
    r"""Returns how strongly the unregularised game contracts beyond linear order: k in ``d(r^2)/dt = -(k / 4) r^4``.

    In continuous time ``r^2 = theta^2 + psi^2`` changes by ``-2 f (h_G'(f) + h_D'(f))`` with ``f = theta psi`` and h
    the losses in the fake's logit. Zero-sum losses give 0: orbits close. Others give ``-2 k f^2`` to lowest order with
    ``k = h_G''(0) + h_D''(0)``. Its mean over a turn is ``-(k / 4) r^4``, so r falls as ``t^(-1/2)``. Simultaneous
    steps of size s make ``r^2`` grow by ``s a^2 r^2`` per unit of time. They end on a cycle of radius
    ``2 a sqrt(s / k)``, or leave if k = 0. Alternating steps have no such term (our algebra).

    Args:
        loss: twice differentiable at its neutral logit.

    Returns:
        k, of the loss: 0 if it is zero-sum; 1/2 for non-saturating and relativistic, 2 for least squares.
    """
    with jax.ensure_compile_time_eval():
        neutral = jnp.asarray(loss.neutral, jnp.float32)

        def both(fake: Array) -> Array:
            logits = {"real": neutral, "fake": fake}
            return loss.generator(**logits) + loss.discriminator(**logits)

        return float(jax.grad(jax.grad(both))(neutral))
