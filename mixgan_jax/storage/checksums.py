"""Checksums of arrays: of the whole array, or, if several processes hold it, of each device's part."""

import zlib
from collections.abc import Iterator
from itertools import chain
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np

from mixgan_jax.processes import gather

Part: TypeAlias = list[Any]
"""``[starts, stops, CRC-32]`` of a block of an array."""

Checksum: TypeAlias = int | list[Part]
"""The CRC-32 of an array's bytes; or those of its parts, each once."""


def checksums(leaves: list[Any]) -> list[Checksum]:
    """Returns the checksum of each leaf. Processes that share an array each compute those of their parts."""
    own = [_checksum(leaf) for leaf in leaves]
    parts = [one for one in own if isinstance(one, list)]
    if not parts:
        return own
    joined = iter(
        [sorted(chain.from_iterable(found)) for found in zip(*gather(parts), strict=True)]
    )
    return [next(joined) if isinstance(one, list) else one for one in own]


def matches(leaf: Any, stored: Checksum) -> bool:
    """Returns whether a leaf has the checksum that was stored. What this process cannot see counts as right.

    Parts are compared if this process holds them whole; an array whose parts it holds is not compared as a whole.
    """
    if isinstance(stored, int):
        return _is_shared(leaf) or _crc(_data(leaf)) == stored
    return all(_crc(part) == crc for *bounds, crc in stored for part in _held(_data(leaf), *bounds))


def _checksum(leaf: Any) -> Checksum:
    data = _data(leaf)
    if not _is_shared(data):
        return _crc(data)
    own = [shard for shard in data.addressable_shards if shard.replica_id == 0]
    return [[*_bounds(shard.index, data.shape), _crc(shard.data)] for shard in own]


def _held(data: Any, starts: list[int], stops: list[int]) -> Iterator[np.ndarray]:
    """Yields a block of an array, unless other processes hold some of it."""
    whole = [[0] * len(starts), list(np.shape(data)), data]
    shards = data.addressable_shards if _is_shared(data) else []
    blocks = [[*_bounds(shard.index, data.shape), shard.data] for shard in shards] or [whole]
    for first, last, block in blocks:
        if np.all(np.less_equal(first, starts)) and np.all(np.less_equal(stops, last)):
            places = zip(starts, stops, first, strict=True)
            yield np.asarray(block)[tuple(slice(a - by, b - by) for a, b, by in places)]
            return


def _is_shared(leaf: Any) -> bool:
    """Returns whether this process holds a part of an array, and others the rest."""
    return isinstance(leaf, jax.Array) and not (
        leaf.is_fully_addressable or leaf.is_fully_replicated
    )


def _data(leaf: Any) -> Any:
    is_key = isinstance(leaf, jax.Array) and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)
    return jax.random.key_data(leaf) if is_key else leaf


def _bounds(index: tuple[slice, ...], shape: tuple[int, ...]) -> Part:
    ends = [axis.indices(size) for axis, size in zip(index, shape, strict=True)]
    return [[start for start, _, _ in ends], [stop for _, stop, _ in ends]]


def _crc(array: Any) -> int:
    return zlib.crc32(np.ascontiguousarray(array).view(np.uint8).data)
