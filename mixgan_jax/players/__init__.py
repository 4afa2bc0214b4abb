"""Who plays, and who meets whom: players, mixtures of them, pairings, and the payoff matrix.

A payoff matrix is the one place where players meet, and the one that averages over a batch.
"""

from mixgan_jax.players.linen import from_linen as from_linen
from mixgan_jax.players.mixture import (
    Mixture as Mixture,
    effective_components as effective_components,
    entropy as entropy,
    map_components as map_components,
    uniform as uniform,
)
from mixgan_jax.players.pairing import fakes_per_generator as fakes_per_generator
from mixgan_jax.players.payoff import (
    Outcome as Outcome,
    held_out_values as held_out_values,
    meet as meet,
)
from mixgan_jax.players.player import (
    Player as Player,
    pack as pack,
)
from mixgan_jax.players.sampling import generate as generate, sample as sample
