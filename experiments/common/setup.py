"""What a method trains with, and the game between what it trained."""

from typing import Any, NamedTuple

import jax

import mixgan_jax as mg
from mixgan_jax.types import Array, Key


class Setup(NamedTuple):
    """What a method trains with.

    Attributes:
        generator: the generators' architecture.
        discriminator: the discriminators'.
        solver: trains them.
        feed: gives it batches, or a stream does.
        loss: of both sides.
        latent_size: of the generators.
    """

    generator: mg.Player
    discriminator: mg.Player
    solver: mg.Solver
    feed: mg.Feed | mg.Stream
    loss: mg.GanLoss
    latent_size: int

    def values(self, key: Key, state: mg.MixGanState, reals: Array, **options: Any) -> Array:
        """Payoff matrices ``[N, I, J]`` on reals ``[N, B, ...]`` that training has not seen."""
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


def num_parameters(players: Any) -> int:
    """Of all networks in ``players.generators`` and ``players.discriminators``, of one run."""
    networks = (players.generators.params, players.discriminators.params)
    return sum(leaf.size for leaf in jax.tree.leaves(networks))
