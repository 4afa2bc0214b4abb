"""The methods that are compared on images: X, X with k times the parameters or the steps, and the mixture MIX+X."""

import bisect
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

import mixgan_jax as mg
from experiments.common.setup import Setup
from mixgan_jax.data import Images, feed_or_stream
from mixgan_jax.networks import (
    DCGANDiscriminator,
    DCGANGenerator,
    SNGANDiscriminator,
    SNGANGenerator,
)
from mixgan_jax.penalties import Penalty
from mixgan_jax.players.pairing import Pairing

WITHOUT_NORM = {"batch_norm": False, "kernel_init": jax.nn.initializers.he_normal()}


class Family(NamedTuple):
    """What X is.

    Attributes:
        title: its name in the table.
        loss: loss of both players.
        generator: makes the generator's module.
        discriminator: makes the discriminator's module.
        for_generator: options of the generator.
        for_discriminator: options of the discriminator.
        penalty: penalty of the discriminator.
        adam: decays of Adam; Adam's beta1 is the config's where nothing is said.
    """

    title: str
    loss: mg.GanLoss
    generator: Callable[..., Any] = DCGANGenerator
    discriminator: Callable[..., Any] = DCGANDiscriminator
    for_generator: Mapping[str, Any] = {}
    for_discriminator: Mapping[str, Any] = {}
    penalty: Penalty | None = None
    adam: Mapping[str, float] = {}


FAMILIES = {
    "dcgan": Family("DCGAN", mg.losses.non_saturating()),
    "wgan_gp": Family(
        "WGAN-GP",
        mg.losses.wasserstein(),
        for_discriminator=WITHOUT_NORM,
        penalty=mg.penalties.gradient_penalty(),
        adam={"b1": 0.0, "b2": 0.9},
    ),
    "sngan": Family("SNGAN", mg.losses.hinge(), SNGANGenerator, SNGANDiscriminator),
    "r3": Family(
        "R3-style",
        mg.losses.relativistic(),
        for_generator=WITHOUT_NORM,
        for_discriminator=WITHOUT_NORM,
        penalty=mg.penalties.r1_r2(1.0),
        adam={"b1": 0.0, "b2": 0.99},
    ),
}


class Method(NamedTuple):
    """One row of the table.

    Attributes:
        family: which X, a key of ``FAMILIES``.
        components: number of generators, and of discriminators.
        larger: the factor by which both networks have more parameters than the family's.
        longer: the factor by which training is longer.
        pairing: which fakes meet which discriminators, ``full`` or ``latin``.
    """

    family: str
    components: int = 1
    larger: int = 1
    longer: int = 1
    pairing: Pairing = "full"

    @property
    def name(self) -> str:
        """The row's name."""
        title = FAMILIES[self.family].title
        if self.components > 1:
            latin = ", Latin" if self.pairing == "latin" else ""
            return f"MIX+{title} k={self.components}{latin}"
        if self.larger > 1:
            return f"{title}, {self.larger} times the parameters"
        return title if self.longer == 1 else f"{title}, {self.longer} times the steps"

    def steps(self, config: Any) -> int:
        """Returns the number of the generators' updates."""
        return config.steps * self.longer


def methods(config: Any) -> list[Method]:
    """Lists the rows, family by family: X, its two larger rivals, and a mixture for each pairing."""
    k = config.components
    return [
        method
        for family in config.families
        for method in (
            Method(family),
            Method(family, larger=k),
            Method(family, longer=k),
            *(Method(family, components=k, pairing=pairing) for pairing in config.pairings),
        )
    ]


def build(config: Any, images: Images, method: Method) -> Setup:
    """Builds players, loss, optimisers and data of a row.

    A WGAN's critic may take several steps for each of the generator's, which may have a learning rate of its own.
    """
    family, is_wgan = FAMILIES[method.family], method.family == "wgan_gp"
    generator, discriminator = players(config, images, method)
    discriminator_steps = config.critic_steps if is_wgan else 1

    def tx(rate: float, updates: int) -> optax.GradientTransformation:
        schedule = optax.cosine_decay_schedule(rate, updates)
        return optax.adam(schedule, **{"b1": config.beta1, **family.adam})

    steps = method.steps(config)
    solver = mg.mix_gan(
        generator,
        discriminator,
        family.loss,
        num_generators=method.components,
        num_discriminators=method.components,
        latent_size=config.latent_size,
        generator_tx=tx(config.wgan_generator_rate if is_wgan else config.learning_rate, steps),
        discriminator_tx=tx(config.learning_rate, steps * discriminator_steps),
        weight_tx=mg.exponentiated_gradient(config.weight_rate),
        weight_barrier=config.weight_barrier,
        penalty=family.penalty,
        discriminator_steps=discriminator_steps,
        pairing=method.pairing,
        precision=None if config.precision == "float32" else config.precision,
    )
    feed = feed_or_stream(images.train_images, config.batch)
    return Setup(generator, discriminator, solver, feed, family.loss, config.latent_size)


def players(config: Any, images: Images, method: Method) -> tuple[mg.Player, mg.Player]:
    """Makes the players, with the widths at which their parameters are nearest to ``method.larger`` times as many."""
    shape, family = images.train_images.shape[1:], FAMILIES[method.family]

    def make_generator(width: int) -> mg.Player:
        return mg.from_linen(family.generator(shape, width=width, **family.for_generator))

    def make_discriminator(width: int) -> mg.Player:
        return mg.from_linen(family.discriminator(width=width, **family.for_discriminator))

    latents, pixels = jnp.zeros((1, config.latent_size)), jnp.zeros((1, *shape))
    return (
        make_generator(wider(make_generator, latents, config.width, method.larger)),
        make_discriminator(wider(make_discriminator, pixels, config.width, method.larger)),
    )


def wider(make: Callable[[int], mg.Player], example: Any, width: int, factor: int) -> int:
    """Returns the width at which a player has nearest to ``factor`` times as many parameters as at ``width``."""

    def count(width: int) -> int:
        params, _ = jax.eval_shape(make(width).init, jax.random.key(0), example)
        return sum(leaf.size for leaf in jax.tree.leaves(params))

    goal = factor * count(width)
    above = bisect.bisect_left(range(width, width * factor), goal, key=count) + width
    return min(max(above - 1, width), above, key=lambda wide: abs(count(wide) - goal))


def evaluations(config: Any, method: Method) -> float:
    """Counts the images that go through networks in training, forward, in millions: each pass of one network is one.

    A discriminators' turn makes k batches of fakes, and each discriminator judges a batch of reals and its fakes; with
    WGAN-GP's penalty also points between them, with R3's the same images again. A generators' turn makes k batches,
    which are judged; R3's loss compares them with reals.
    """
    k, turns = method.components, 1
    met = k if method.pairing == "full" else 1  # batches of fakes that one discriminator meets
    judged = k * (1 + met)
    if method.family == "wgan_gp":
        judged, turns = judged + k * met, config.critic_steps
    batches = turns * (k + judged) + k + k * met
    if method.family == "r3":
        batches += k * (1 + met) + k
    return method.steps(config) * config.batch * batches / 1e6
