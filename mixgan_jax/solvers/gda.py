"""Gradient descent-ascent: one generator against one discriminator."""

import jax
import optax

from mixgan_jax.adjustments import Adjustment
from mixgan_jax.losses import GanLoss
from mixgan_jax.penalties import Penalty
from mixgan_jax.players.player import Player
from mixgan_jax.solvers.core.turns import Update
from mixgan_jax.solvers.mix_gan import mix_gan
from mixgan_jax.solvers.solver import Solver
from mixgan_jax.types import LatentSampler


def gda(
    generator: Player,
    discriminator: Player,
    loss: GanLoss,
    *,
    latent_size: int,
    generator_tx: optax.GradientTransformation,
    discriminator_tx: optax.GradientTransformation,
    penalty: Penalty | None = None,
    latent_sampler: LatentSampler = jax.random.normal,
    update: Update = "alternating",
    adjust: Adjustment | None = None,
    discriminator_steps: int = 1,
    generator_steps: int = 1,
) -> Solver:
    """Plain GAN training (Goodfellow et al. 2014, arXiv 1406.2661, algorithm 1): MIX+GAN with one of each.

    The mixture of a single component has weight 1, which no update moves; state and info are ``mix_gan``'s, with
    leading axes ``[1, ...]``, so whatever reads a mixture reads a plain GAN too.

    Args:
        generator: latents ``[B, Z]`` to samples ``[B, ...]``.
        discriminator: samples ``[B, ...]`` to logits ``[B]``.
        loss: both players' losses, and the value of the game between them.
        latent_size: Z >= 1.
        generator_tx: the generator's optimiser.
        discriminator_tx: the discriminator's optimiser.
        penalty: a regulariser of the discriminator.
        latent_sampler: ``sampler(key, shape)``, as ``jax.random.normal``.
        update: ``alternating`` (the generator answers the updated discriminator, with fresh latents) or
            ``simultaneous`` (both gradients at one point, on the same fakes).
        adjust: of simultaneous gradients, from ``adjustments``.
        discriminator_steps: updates of the discriminator in each step, each on its own part of the batch.
        generator_steps: updates of the generator in each step, each with fresh latents.

    Returns:
        A :class:`Solver`; see :func:`mix_gan`.

    Raises:
        TypeError, ValueError: as :func:`mix_gan`.
    """
    return mix_gan(
        generator,
        discriminator,
        loss,
        num_generators=1,
        num_discriminators=1,
        latent_size=latent_size,
        generator_tx=generator_tx,
        discriminator_tx=discriminator_tx,
        penalty=penalty,
        latent_sampler=latent_sampler,
        update=update,
        adjust=adjust,
        discriminator_steps=discriminator_steps,
        generator_steps=generator_steps,
    )
