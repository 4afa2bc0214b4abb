"""The penalty of R3GAN, for the rows that have its loss."""

from mixgan_jax import penalties
from mixgan_jax.types import Array, Critic, Key


def r1_and_r2(gamma: float) -> penalties.Penalty:
    """Makes R1 and R2, ``gamma / 2`` times the squared gradients at reals and at fakes.

    The penalty is R3GAN's (Huang et al. 2024, arXiv 2501.05441). Reals and fakes must be equally many, as with full
    pairing.
    """
    on_reals, on_fakes = penalties.r1(gamma), penalties.r2(gamma)

    def penalty(key: Key, critic: Critic, real: Array, fake: Array) -> Array:
        return on_reals(key, critic, real, fake) + on_fakes(key, critic, real, fake)

    return penalty
