"""The methods that family_2d compares: each a choice of opponents, packing and loss around the same two networks."""

from collections.abc import Callable
from functools import partial
from typing import Any, Literal, NamedTuple, TypeAlias

import flax.linen as nn

import mixgan_jax as mg
from mixgan_jax import history, losses, penalties
from mixgan_jax.networks import MLP, pacgan_discriminator, pacgan_generator, widen

Name: TypeAlias = Literal[
    "GAN",
    "GAN, alternating",
    "GAN, 5x parameters",
    "MIX k=2",
    "MIX k=3",
    "MIX k=5",
    "PacGAN2",
    "PacGAN3",
    "PacGAN4",
    "two discriminators",
    "DuelGAN",
    "Fictitious",
    "Unrolled",
    "double oracle",
    "R3-style",
    "PacMIX",
    "fictitious PacMIX",
]
"""The methods, in the order of the table."""

Init: TypeAlias = Literal["pacgan", "lecun"]
"""Initialisers of the kernels."""

TIMES = 5
"""Least ratio of the large GAN's parameters to a small one's."""


class Players(NamedTuple):
    """The players on whom a method is measured.

    Attributes:
        generators: the mixture that is sampled.
        discriminators: its opponents, for NashConv.
    """

    generators: mg.Mixture
    discriminators: mg.Mixture


def last(state: Any) -> Players:
    """Returns the players after the last step."""
    return Players(state.generators, state.discriminators)


def past(state: mg.FictitiousState) -> Players:
    """Returns the average of the players in the histories."""
    return Players(
        history.average(state.generator_history), history.average(state.discriminator_history)
    )


class Method(NamedTuple):
    """One row of the table.

    Attributes:
        name: the row's name.
        solver: makes the solver from generator, discriminator, loss and the keywords that all methods share.
        packing: number of samples that a discriminator judges together.
        times: size of each network, in parameters of the other methods' networks.
        loss: loss of both players.
        players: picks from the state the players that are measured.
    """

    name: Name
    solver: Callable[..., mg.Solver]
    packing: int = 1
    times: int = 1
    loss: Callable[[], mg.GanLoss] = losses.non_saturating
    players: Callable[[Any], Players] = last


class Settings(NamedTuple):
    """Settings of single methods; a config explains them in fields of the same names."""

    steps: int
    weight_rate: float
    weight_barrier: float
    alpha: float
    beta: float
    capacity: int
    record_every: int
    depth: int
    population: int
    response_steps: int
    measure_steps: int
    tolerance: float
    gamma: float


def methods(own: Settings) -> list[Method]:
    """Lists all methods, in the table's order."""
    gan = partial(mg.mix_gan, num_generators=1, num_discriminators=1)
    together = partial(gan, update="simultaneous")
    mixtures = partial(_mixture, own, partial(mg.mix_gan, update="simultaneous"))
    duel = partial(mg.duel_gan, num_steps=own.steps)
    remembering = partial(mg.fictitious_gan, capacity=own.capacity, record_every=own.record_every)
    oracle = partial(
        mg.double_oracle,
        capacity=own.population,
        response_steps=own.response_steps,
        measure_steps=own.measure_steps,
        tolerance=own.tolerance,
    )
    r3 = partial(together, penalty=penalties.r1_r2(own.gamma))
    return [
        Method("GAN", together),
        Method("GAN, alternating", gan),
        Method("GAN, 5x parameters", together, times=TIMES),
        Method("MIX k=2", mixtures(2)),
        Method("MIX k=3", mixtures(3)),
        Method("MIX k=5", mixtures(5)),
        Method("PacGAN2", together, packing=2),
        Method("PacGAN3", together, packing=3),
        Method("PacGAN4", together, packing=4),
        Method("two discriminators", partial(duel, alpha=0.0, beta=0.0)),
        Method("DuelGAN", partial(duel, alpha=own.alpha, beta=own.beta)),
        Method("Fictitious", remembering, players=past),
        Method("Unrolled", partial(mg.unrolled_gan, depth=own.depth)),
        Method("double oracle", oracle),
        Method("R3-style", r3, loss=losses.relativistic),
        Method("PacMIX", mixtures(3), packing=2),
        Method("fictitious PacMIX", _mixture(own, remembering, 2), packing=2, players=past),
    ]


def _mixture(
    own: Settings, solver: Callable[..., mg.Solver], components: int
) -> Callable[..., mg.Solver]:
    return partial(
        solver,
        num_generators=components,
        num_discriminators=components,
        weight_tx=mg.exponentiated_gradient(own.weight_rate),
        weight_barrier=own.weight_barrier,
    )


def networks(width: int, init: Init, latent_size: int, times: int) -> tuple[MLP, MLP]:
    """Makes PacGAN's generator and discriminator, or narrower ones: hidden layers of ``width`` and half as many units.

    Args:
        width: an even number; PacGAN's is 400.
        init: initialiser of the kernels: ``pacgan`` draws from N(0, 0.02^2); the variance of ``lecun`` depends on a
            layer's inputs. At a tenth of PacGAN's width its small kernels keep networks nearly constant for thousands
            of steps.
        latent_size: number Z of latents.
        times: makes wider networks, with at least so many times the parameters.
    """
    full = pacgan_generator().features[0]

    def resized(net: MLP) -> MLP:
        net = net.clone(features=(net.features[0] * width // full,) * len(net.features))
        return net if init == "pacgan" else net.clone(kernel_init=nn.initializers.lecun_normal())

    return (
        widen(resized(pacgan_generator()), times, latent_size),
        widen(resized(pacgan_discriminator()), times, 2),
    )
