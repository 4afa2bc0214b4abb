"""The methods that are compared on stacked MNIST, in the two protocols of PacGAN's paper."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

import mixgan_jax as mg
from experiments.common.setup import Latents, Setup
from mixgan_jax.data import Images, feed_from_stacks, fixed_packs, fixed_stacks
from mixgan_jax.networks import (
    DCGANDiscriminator,
    DCGANGenerator,
    MetzDiscriminator,
    MetzGenerator,
)
from mixgan_jax.types import Array

DEPTH = 3  # digits in a stack
FIXED_STACKS = 128_000


class Method(NamedTuple):
    """One row of the table.

    Attributes:
        name: the row's name.
        components: number of generators, and of discriminators.
        packing: number of stacks that a discriminator judges together.
        unroll: number of the discriminators' virtual turns that the generators look ahead.
        relativistic: whether the loss pairs reals and fakes and is regularised on both, as R3GAN's.
    """

    name: str
    components: int = 1
    packing: int = 1
    unroll: int = 0
    relativistic: bool = False


def methods(config: Any) -> list[Method]:
    """Lists the rows in their order: one GAN, packed, mixed, both, unrolled, relativistic."""
    rows = [Method("GAN")]
    rows += [Method(f"PacGAN{m}", packing=m) for m in config.packings]
    rows += [Method(f"MIX+GAN k={k}", components=k) for k in config.components]
    m = config.mixture_packing
    rows += [
        Method(f"MIX+PacGAN{m} k={k}", components=k, packing=m) for k in config.packed_components
    ]
    rows += [Method(f"unrolled {depth}", unroll=depth) for depth in config.depths]
    return rows + ([Method("R3-style", relativistic=True)] if config.relativistic else [])


def pixels(config: Any, images: Images) -> Array:
    """Puts the digits to stack on the device, uint8 ``[N, H, W, 1]``; protocol dcgan takes both splits."""
    both = (np.asarray(images.train_images), images.test_images)
    return jnp.asarray(np.concatenate(both) if config.protocol == "dcgan" else both[0])


def build(config: Any, digits: Array, method: Method) -> Setup:
    """Builds players, loss, optimisers and data of a method.

    Args:
        config: the script's config.
        digits: result of :func:`pixels`.
        method: a row.
    """
    generator, discriminator = players(config, digits.shape[1:3], method)
    loss = mg.losses.relativistic() if method.relativistic else mg.losses.non_saturating()
    adam = _adam(config, method)
    common: dict[str, Any] = {
        "num_generators": method.components,
        "num_discriminators": method.components,
        "latent_size": config.latent_size,
        "latent_sampler": latent_sampler(config),
        "generator_tx": adam(config.generator_rate),
        "discriminator_tx": adam(config.discriminator_rate),
        "penalty": mg.penalties.r1_r2(config.gamma) if method.relativistic else None,
    }
    if method.unroll:
        solver = mg.unrolled_gan(generator, discriminator, loss, depth=method.unroll, **common)
    else:
        solver = mg.mix_gan(
            generator,
            discriminator,
            loss,
            weight_tx=mg.exponentiated_gradient(config.weight_rate),
            weight_barrier=config.weight_barrier,
            generator_steps=config.generator_steps,
            strategy="unroll",
            **common,
        )
    feed = feed_from_stacks(
        digits,
        config.batch * method.packing,
        table=fixed_set(len(digits), method.packing) if config.protocol == "dcgan" else None,
        low=0.0 if config.protocol == "dcgan" else -1.0,
    )
    return Setup(
        generator, discriminator, solver, feed, loss, config.latent_size, latent_sampler(config)
    )


def players(config: Any, size: tuple[int, ...], method: Method) -> tuple[mg.Player, mg.Player]:
    """Makes generator and packed discriminator; those of R3-style have no batch norm, and He's initial kernels."""
    shape = (*size, DEPTH)
    plain: dict[str, Any] = {}
    if method.relativistic:
        plain = {"batch_norm": False, "kernel_init": jax.nn.initializers.he_normal()}
    generator: Any
    discriminator: Any
    if config.protocol == "dcgan":
        plain |= {"stages": 4 if min(size) > 8 else 3, "kernel_size": 5}
        generator = DCGANGenerator(shape, width=config.generator_width, **plain)
        discriminator = DCGANDiscriminator(width=config.discriminator_width, **plain)
    else:
        generator = MetzGenerator(shape, width=config.generator_width, **plain)
        discriminator = MetzDiscriminator(width=config.discriminator_width, **plain)
    return mg.from_linen(generator), mg.pack(mg.from_linen(discriminator), method.packing)


def latent_sampler(config: Any) -> Latents:
    """Returns the sampler of latents: standard normal, or uniform on (-1, 1) in protocol dcgan."""
    return Latents("normal" if config.protocol == "metz" else "uniform")


def fixed_set(num_images: int, packing: int) -> Array:
    """Draws the stacks, or packs of them, of protocol dcgan: the same for all methods and seeds."""
    stacks_key, packs_key = jax.random.split(jax.random.key(0))
    return fixed_packs(
        packs_key, fixed_stacks(stacks_key, num_images, FIXED_STACKS, DEPTH), packing
    )


def _adam(config: Any, method: Method) -> Callable[[float], optax.GradientTransformation]:
    beta1 = 0.0 if method.relativistic else config.beta1
    return partial(optax.adam, b1=beta1, b2=config.beta2)
