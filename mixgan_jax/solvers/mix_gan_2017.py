"""MIX+GAN as the code released in 2017 trains it, as far as that needs no labels."""

from functools import partial

import jax
import jax.numpy as jnp
import optax

from mixgan_jax.checked import checked, unchecked
from mixgan_jax.losses import GanLoss, minimax
from mixgan_jax.optim import softmax_adam
from mixgan_jax.players.player import Discriminator, Generator
from mixgan_jax.solvers.mix_gan import mix_gan
from mixgan_jax.solvers.solver import Solver
from mixgan_jax.types import Array, Count, StepSize


@checked
def mix_gan_2017(
    generator: Generator,
    discriminator: Discriminator,
    *,
    num_components: Count = 5,
    latent_size: Count = 50,
    learning_rate: StepSize = 1e-4,
) -> Solver:
    """Makes the training rule of the code released with Arora et al. (2017, arXiv 1703.00573).

    The paper describes exponentiated gradient; the code trains softmax logits with Adam instead
    (:func:`mixgan_jax.softmax_adam`). The code also has the saturating minimax loss, whole for the generators and
    halved for the discriminators, and the same uniform latents for all generators. It skips the discriminators' update
    where the mixture's (halved) loss is low, and takes more generator updates the lower that loss is:

    ==================  ======================  =================
    discriminator loss  discriminators updated  generator updates
    ==================  ======================  =================
    above 0.65          yes                     1
    (0.5, 0.65]         yes                     3
    (0.3, 0.5]          yes                     5
    0.3 and below       no (at 0.3: yes)        7
    ==================  ======================  =================

    Departures: the class and latent reconstruction losses, the additive noise and the dropout in the discriminator are
    left out, because they need class labels or a network that Player does not describe. As in :func:`mix_gan`, a
    component's gradient is multiplied by the number of components. Adam is invariant to that scale only where gradients
    are large beside the root of its epsilon, 1e-4.

    Args:
        generator: latents ``[B, Z]``, uniform on [0, 1], to samples ``[B, ...]``.
        discriminator: samples ``[B, ...]`` to logits ``[B]``.
        num_components: number of generators, and of discriminators; the code's weights need as many of both.
        latent_size: Z >= 1.
        learning_rate: learning rate of Adam for networks and weights, a number or a schedule. Its beta1 is 0.5, its
            epsilon 1e-8 inside the square root.

    Returns:
        A :class:`Solver`; see :func:`mix_gan`.
    """
    adam = partial(optax.adam, learning_rate, b1=0.5, b2=0.999, eps=0.0, eps_root=1e-8)
    return unchecked(mix_gan)(
        generator,
        discriminator,
        _halved(minimax()),
        num_generators=num_components,
        num_discriminators=num_components,
        latent_size=latent_size,
        generator_tx=adam(),
        discriminator_tx=adam(),
        weight_tx=softmax_adam(learning_rate),
        weight_barrier=0.1,
        latent_sampler=jax.random.uniform,
        shared_latents=True,
        skip_discriminator_below=0.3,
        generator_steps=generator_steps_2017,
    )


def generator_steps_2017(discriminator_loss: Array) -> Array:
    """Returns the generator updates for a discriminator loss: 1, 3, 5 or 7, more for better discriminators.

    Args:
        discriminator_loss: ``[]``, half the sum of the real and the fake term (log 2 at the equilibrium).

    Returns:
        int32 ``[]``.
    """
    passed = jnp.stack([discriminator_loss <= bound for bound in (0.65, 0.5, 0.3)])
    return 1 + 2 * jnp.sum(passed, dtype=jnp.int32)


def _halved(loss: GanLoss) -> GanLoss:
    """Halves the discriminator's loss, which doubles the weight barrier's share for that side."""

    def discriminator(*, real: Array, fake: Array) -> Array:
        return 0.5 * loss.discriminator(real=real, fake=fake)

    return loss._replace(discriminator=discriminator, zero_sum=False)
