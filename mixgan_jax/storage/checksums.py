"""Checksums of arrays: of the whole array, or, if devices hold parts of it, of each entry of the axes that they share.

An entry is one component, or one run, or one component of one run. Where another mesh shares the same axes, each entry
is whole in one process, which compares it.
"""

import zlib
from collections.abc import Iterator
from itertools import chain, product
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

    Parts are compared if this process holds them whole. An array of which it holds parts is not compared as a whole.
    """
    if isinstance(stored, int):
        return _is_shared(leaf) or _crc(_data(leaf)) == stored
    return all(_crc(part) == crc for *bounds, crc in stored for part in _held(_data(leaf), *bounds))


def _checksum(leaf: Any) -> Checksum:
    data = _data(leaf)
    if not isinstance(data, jax.Array) or data.is_fully_replicated:
        return _crc(data)
    own = [shard for shard in data.addressable_shards if shard.replica_id == 0]
    return [entry for shard in own for entry in _entries(shard, data.shape)]


def _entries(shard: jax.Shard, shape: tuple[int, ...]) -> Iterator[Part]:
    """Yields the parts of a shard: single entries of the axes that devices share."""
    block, (starts, stops) = np.asarray(shard.data), _bounds(shard.index, shape)
    ranges = [
        [(start, stop)] if stop - start == size else [(at, at + 1) for at in range(start, stop)]
        for start, stop, size in zip(starts, stops, shape, strict=True)
    ]
    for bounds in product(*ranges):
        inside = tuple(slice(a - by, b - by) for (a, b), by in zip(bounds, starts, strict=True))
        yield [[a for a, _ in bounds], [b for _, b in bounds], _crc(block[inside])]


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
