"""A method's players, solver and data, and the game between its trained players."""

from typing import Any, Literal, NamedTuple

import jax
import numpy as np

import mixgan_jax as mg
from mixgan_jax.data import to_float
from mixgan_jax.players.pairing import Pairing
from mixgan_jax.types import Array, Key


class Latents(NamedTuple):
    """The distribution of a generator's latents, as ``latent_sampler`` of a solver and as two plain values.

    Attributes:
        kind: standard normal, or uniform on (-1, 1).
        scale: what the latents are multiplied by.
    """

    kind: Literal["normal", "uniform"] = "normal"
    scale: float = 1.0

    def __call__(self, key: Key, shape: tuple[int, ...]) -> Array:
        """Draws latents."""
        if self.kind == "normal":
            return self.scale * jax.random.normal(key, shape)
        return jax.random.uniform(key, shape, minval=-self.scale, maxval=self.scale)


class Setup(NamedTuple):
    """What a method trains with.

    Attributes:
        generator: the generators' architecture.
        discriminator: the discriminators' architecture.
        solver: trains the players.
        feed: gives the solver batches; a feed or a stream.
        loss: loss of both players.
        latent_size: number of the generators' latents.
        latents: their distribution, which the solver has too.
    """

    generator: mg.Player
    discriminator: mg.Player
    solver: mg.Solver
    feed: mg.Feed | mg.Stream
    loss: mg.GanLoss
    latent_size: int
    latents: Latents = Latents()

    def values(self, key: Key, state: mg.MixGanState, reals: Array, **options: Any) -> Array:
        """Computes payoff matrices ``[N, I, J]`` on reals ``[N, B, ...]`` that training has not seen."""
        return mg.held_out_values(
            key,
            self.generator,
            self.discriminator,
            state.generators,
            state.discriminators,
            self.loss,
            reals,
            latent_size=self.latent_size,
            **options,
        )

    def image_values(
        self, key: Key, state: mg.MixGanState, images: np.ndarray, batch: int, pairing: Pairing
    ) -> Array:
        """Computes payoff matrices ``[N, I, J]`` on uint8 images, with batch norm and pairing as in training."""
        count = len(images) // batch
        reals = to_float(images[: count * batch])
        batches = reals.reshape(count, batch, *reals.shape[1:])
        return self.values(key, state, batches, pairing=pairing, train=True)


def num_parameters(players: Any) -> int:
    """Counts the parameters of all networks in one run's ``players.generators`` and ``players.discriminators``."""
    networks = (players.generators.params, players.discriminators.params)
    return sum(leaf.size for leaf in jax.tree.leaves(networks))
