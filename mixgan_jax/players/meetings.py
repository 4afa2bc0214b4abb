"""The sparse pairing: in each step, a few random discriminators meet each generator.

The B fakes of a generator are r chunks. Chunk c of generator i meets discriminator

    j = (i + offset + c J / r) mod J,

with an offset that each step draws from 0 .. J - 1. So a discriminator meets N = I r / J generators, on B / r fakes of
each, and a pair (i, j) meets with probability r / J. What a pair that meets says of payoffs and gradients has the
weight J / r, and other pairs count as 0: means over steps are those of the full pairing. With r = J and an offset of 0
it is the Latin square.

On a mesh XLA gathers all fakes for the indices that an offset gives. Where I = J, 1 + log2(P) permutations of a
device's own fakes would do on P devices, since an offset moves all of them by as much: fewer bytes from P = 4 on. They
are not built, since samples are better with the Latin square at the same batch.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from mixgan_jax.checks import fail
from mixgan_jax.players.mesh import COMPONENT, DATA, place
from mixgan_jax.types import Array, Key


class Meetings(NamedTuple):
    """Who meets whom in one step.

    Attributes:
        offset: int32 ``[]``, drawn from 0 .. J - 1.
        sizes: I and J.
        chunks: r, the chunks of a generator's fakes, and the discriminators that it meets.
    """

    offset: Array
    sizes: tuple[int, int]
    chunks: int

    @property
    def stride(self) -> int:
        """Returns J / r: discriminators between those of two chunks, and the weight of a pair that meets."""
        return self.sizes[1] // self.chunks

    @property
    def generators(self) -> Array:
        """Returns the generators that each discriminator meets, int32 ``[J, N]``."""
        return self._shifted[:, None] % self.stride + self.stride * self._slots

    def deal(self, fakes: Array) -> Array:
        """Deals the fakes ``[I, B, ...]`` out to those who meet them, ``[J, N, B / r, ...]``."""
        chunks = fakes.reshape(fakes.shape[0], self.chunks, -1, *fakes.shape[2:])
        chunk = (self._shifted[:, None] // self.stride - self._slots) % self.chunks
        return place(chunks[self.generators, chunk], COMPONENT, None, DATA)

    def undeal(self, shares: Array) -> Array:
        """Hands what discriminators say of each fake back, ``[J, N, B / r, ...]`` to ``[I, B, ...]``."""
        i = jnp.arange(self.sizes[0], dtype=jnp.int32)[:, None]
        c = jnp.arange(self.chunks, dtype=jnp.int32)[None]
        j = (i + self.offset + c * self.stride) % self.sizes[1]
        chunks = shares[j, i // self.stride]
        return place(chunks.reshape(self.sizes[0], -1, *shares.shape[3:]), COMPONENT, DATA)

    def weights_met(self, p: Array) -> Array:
        """Returns the weights, times J / r, of the generators that each discriminator meets: ``[I]`` to ``[J, N]``."""
        return self.stride * p[self.generators]

    def matrix(self, columns: Array) -> Array:
        """Estimates the matrix: J / r times the pairs that met, 0 for the others; ``[J, N]`` to ``[J, I]``."""
        rows = jnp.arange(self.sizes[1], dtype=jnp.int32)[:, None]
        empty = jnp.zeros(self.sizes[::-1], columns.dtype)
        return empty.at[rows, self.generators].set(self.stride * columns)

    @property
    def _shifted(self) -> Array:
        """Returns the discriminators, counted from the first chunk of generator 0: ``[J]``."""
        j = jnp.arange(self.sizes[1], dtype=jnp.int32)
        return (j - self.offset) % self.sizes[1]

    @property
    def _slots(self) -> Array:
        """Returns the numbers 0 .. N - 1, ``[1, N]``."""
        return jnp.arange(self.sizes[0] // self.stride, dtype=jnp.int32)[None]


def draw_meetings(key: Key, num_generators: int, num_discriminators: int, chunks: int) -> Meetings:
    """Draws the offset of one step."""
    offset = jax.random.randint(key, (), 0, num_discriminators, jnp.int32)
    return Meetings(offset, (num_generators, num_discriminators), chunks)


def check_chunks(batch: int, meetings: int) -> None:
    """Checks that a batch can be dealt out in chunks of one size."""
    if batch % meetings:
        raise ValueError(
            f"batch must be a multiple of meetings = {meetings} for pairing 'sparse', got a batch of {batch}"
        )


def check_meetings(meetings: int, num_generators: int, num_discriminators: int) -> None:
    """Checks that each discriminator meets equally many generators, whatever the offset."""
    if num_discriminators % meetings or num_generators % (num_discriminators // meetings):
        expected = (
            f"a divisor r of the {num_discriminators} discriminators such that {num_discriminators} / r divides the "
            f"{num_generators} generators"
        )
        raise fail("meetings", meetings, expected)
