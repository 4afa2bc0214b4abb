"""Gradient descent-ascent: one generator against one discriminator."""

import jax

from mixgan_jax.adjustments import Adjustment
from mixgan_jax.checked import checked, unchecked
from mixgan_jax.losses.core import Loss
from mixgan_jax.optim.components import Transform
from mixgan_jax.players.player import Discriminator, Generator
from mixgan_jax.players.precision import Precision
from mixgan_jax.solvers.core.game import Augment, DiscriminatorPenalty
from mixgan_jax.solvers.core.turns import GeneratorSteps, Update
from mixgan_jax.solvers.mix_gan import mix_gan
from mixgan_jax.solvers.solver import Solver
from mixgan_jax.types import Count, LatentSampler


@checked
def gda(
    generator: Generator,
    discriminator: Discriminator,
    loss: Loss,
    *,
    latent_size: Count,
    generator_tx: Transform,
    discriminator_tx: Transform,
    penalty: DiscriminatorPenalty | None = None,
    augment: Augment | None = None,
    latent_sampler: LatentSampler = jax.random.normal,
    update: Update = "alternating",
    adjust: Adjustment | None = None,
    discriminator_steps: Count = 1,
    generator_steps: GeneratorSteps = 1,
    precision: Precision | None = None,
) -> Solver:
    """Plain GAN training (Goodfellow et al. 2014, arXiv 1406.2661, algorithm 1): MIX+GAN with one player a side.

    The mixture of a single component has weight 1, which no update moves. State and info are ``mix_gan``'s, with
    leading axes ``[1, ...]``, so code that reads a mixture reads a plain GAN too.

    Args:
        generator: latents ``[B, Z]`` to samples ``[B, ...]``.
        discriminator: samples ``[B, ...]`` to logits ``[B]``.
        loss: both players' losses, and the value of the game between them.
        latent_size: Z >= 1.
        generator_tx: the generator's optimiser.
        discriminator_tx: the discriminator's optimiser.
        penalty: a regulariser of the discriminator.
        augment: a random change of all samples that the discriminator sees, as in :func:`mix_gan`.
        latent_sampler: ``sampler(key, shape)``, as ``jax.random.normal``.
        update: ``alternating`` (the generator answers the updated discriminator, with fresh latents) or
            ``simultaneous`` (both gradients at one point, on the same fakes).
        adjust: a function of simultaneous gradients, from ``adjustments``.
        discriminator_steps: updates of the discriminator in each step, each on its own part of the batch.
        generator_steps: updates of the generator in each step, each with fresh latents; a number, or a function of the
            discriminator's loss, as in :func:`mix_gan`.
        precision: ``"bfloat16"`` for layers that compute in it, as in :func:`mix_gan`.

    Returns:
        A :class:`Solver`; see :func:`mix_gan`.

    Example:
        >>> import jax
        >>> import mixgan_jax as mg
        >>> import optax
        >>> generator = mg.from_linen(mg.networks.MLP((16,), outputs=2))
        >>> discriminator = mg.from_linen(mg.networks.MLP((16,)))
        >>> solver = mg.gda(
        ...     generator, discriminator, mg.losses.non_saturating(), latent_size=8,
        ...     generator_tx=optax.adam(1e-3), discriminator_tx=optax.adam(1e-3),
        ... )
        >>> solver.init(jax.random.key(0)).generators.weights.tolist()
        [1.0]
    """
    return unchecked(mix_gan)(
        generator,
        discriminator,
        loss,
        num_generators=1,
        num_discriminators=1,
        latent_size=latent_size,
        generator_tx=generator_tx,
        discriminator_tx=discriminator_tx,
        penalty=penalty,
        augment=augment,
        latent_sampler=latent_sampler,
        update=update,
        adjust=adjust,
        discriminator_steps=discriminator_steps,
        generator_steps=generator_steps,
        precision=precision,
    )
