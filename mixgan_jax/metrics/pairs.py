"""The closest pairs among samples, found block by block: no matrix of all distances is ever held."""

import math
from collections.abc import Callable
from functools import partial
from typing import Annotated, Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np

from mixgan_jax.checked import checked
from mixgan_jax.checks import MAX_COUNT, check_array, is_concrete
from mixgan_jax.types import Array, Count, NonNegative


def check_rows(name: str, value: Any) -> Array:
    """Returns a finite array of shape ``[N, ...]``, N >= 1."""
    array = check_array(name, value, finite=True)
    if array.ndim < 1 or 0 in array.shape:
        raise ValueError(f"{name} must have shape [N, ...], none of it 0, got {array.shape}")
    return array


Rows: TypeAlias = Annotated[Array, check_rows]
"""Samples ``[N, ...]``, N >= 1."""

_Closest: TypeAlias = tuple[Array, Array, Array]  # distances, indices of both
_Found: TypeAlias = tuple[_Closest, tuple[Array, Array]]  # and neighbours of rows and of columns


@checked
def closest_pairs(
    samples: Rows,
    others: Rows | None = None,
    *,
    features: Callable[[Array], Array] | None = None,
    threshold: NonNegative = 0.0,
    num_pairs: Count = 20,
    block: Count = 256,
) -> dict[str, Array]:
    """Finds the closest pairs of samples and counts duplicates, without a matrix of all distances.

    Distances are Euclidean, between features. They are computed block by block from differences, not from inner
    products, so the distance of equal samples is exactly 0. Each unordered pair of two different samples counts once.
    Can be jitted (with functions and whole numbers constant) and vmapped.

    Args:
        samples: ``[N, ...]``, N >= 2.
        others: ``[M, ...]``, M >= 1. Pairs are then of one from ``samples`` with one from these. None for pairs
            within ``samples``.
        features: maps ``[N, ...]`` to features ``[N, ...]``, floating point, one row each; None for the samples
            themselves, as numbers.
        threshold: a pair at this distance or less is a duplicate, >= 0.
        num_pairs: P, how many of the closest pairs to return; all, if there are fewer.
        block: rows that are compared with as many rows at once.

    Returns:
        - ``distance``: ``[P]``, rising. Equal distances come in no defined order.
        - ``first``, ``second``: ``[P]`` int32, indices into ``samples``, first < second; or into ``samples`` and
          ``others``. They are -1 where the distance is beyond float32, inf.
        - ``duplicates``: scalar, pairs at most ``threshold`` apart; int32, or NumPy's int64 where there are more than
          2^31 - 1 pairs (above 65,536 samples). Under ``jit`` so many pairs are an error.
        - ``neighbours``: ``[N]`` int32, how many samples (with ``others``: how many of these) are at most ``threshold``
          apart from each of ``samples``; with ``others`` also ``neighbours_of_others``, ``[M]``.
    """
    rows = _features("samples", samples, features)
    columns = rows if others is None else _features("others", others, features)
    if others is None and len(rows) < 2:
        raise ValueError(f"samples must be 2 or more, got {len(rows)}")
    if rows.shape[1] != columns.shape[1]:
        raise ValueError(
            f"others must have {rows.shape[1]} features each, as samples, got {columns.shape[1]}"
        )
    counts = len(rows), len(columns)
    pairs = math.comb(counts[0], 2) if others is None else math.prod(counts)
    if pairs > MAX_COUNT and not all(map(is_concrete, (rows, columns, threshold))):
        raise ValueError(f"samples must have at most {MAX_COUNT} pairs under jit, got {pairs}")
    limit = jnp.asarray(threshold, jnp.float32)
    within, keep = others is None, min(num_pairs, pairs)
    found = _closest(rows, columns, limit, within=within, keep=keep, block=min(block, max(counts)))
    sides = 2 if within else 1  # each pair is counted at both of its samples, or at one
    if pairs > MAX_COUNT:
        total = np.sum(np.asarray(found["neighbours"]), dtype=np.int64) // sides
    else:  # uint32 holds both counts of every pair
        twice = jnp.sum(found["neighbours"].astype(jnp.uint32), dtype=jnp.uint32)
        total = (twice // jnp.uint32(sides)).astype(jnp.int32)
    return {**found, "duplicates": total}


def _features(name: str, array: Array, features: Callable[[Array], Array] | None) -> Array:
    """Returns one row of float32 features for each sample, ``[N, D]``."""
    if features is not None:
        count = len(array)
        array = check_array("features", features(array), finite=True)
        if array.ndim < 1 or len(array) != count or 0 in array.shape:
            raise ValueError(
                f"features must give {count} rows, one for each of {name}, got shape {array.shape}"
            )
    return array.reshape(len(array), -1).astype(jnp.float32)


@partial(jax.jit, static_argnames=("within", "keep", "block"))
def _closest(
    rows: Array, columns: Array, threshold: Array, *, within: bool, keep: int, block: int
) -> dict[str, Array]:
    """Finds the ``keep`` closest pairs of rows ``[N, D]`` and columns ``[M, D]``, and counts neighbours.

    With ``within`` rows and columns are the same, and only pairs ``row < column`` count.
    """
    sizes = rows.shape[0], columns.shape[0]
    padded = [_pad(array, block) for array in (rows, columns)]
    places = np.stack(np.meshgrid(*(range(len(p) // block) for p in padded), indexing="ij"), -1)
    places = places.reshape(-1, 2) * block
    if within:  # blocks below the diagonal hold the same pairs again
        places = places[places[:, 0] <= places[:, 1]]
    offsets = np.arange(block, dtype=np.int32)

    def scan_block(found: _Found, place: Array) -> tuple[_Found, None]:
        closest, neighbours = found
        left, right = (
            jax.lax.dynamic_slice_in_dim(array, place[side], block)
            for side, array in enumerate(padded)
        )
        squares = jnp.sum(jnp.square(left[:, None] - right[None]), axis=-1)
        i = jnp.broadcast_to((place[0] + offsets)[:, None], squares.shape)
        j = jnp.broadcast_to((place[1] + offsets)[None], squares.shape)
        counts = (i < sizes[0]) & (j < sizes[1]) & ((i < j) | (not within))
        distances = jnp.where(counts, jnp.sqrt(squares), jnp.inf)
        least = jnp.min(distances)
        # Most blocks have neither neighbours nor close pairs, and skip the two costly parts.
        neighbours = jax.lax.cond(
            least <= threshold,
            lambda: tuple(
                total.at[place[side] + offsets].add(
                    jnp.sum(distances <= threshold, axis=1 - side, dtype=jnp.int32)
                )
                for side, total in enumerate(neighbours)
            ),
            lambda: neighbours,
        )
        closest = jax.lax.cond(
            least < closest[0][-1],
            lambda: _merge(keep, closest, (distances, i, j)),
            lambda: closest,
        )
        return (closest, neighbours), None

    nothing = jnp.full(keep, -1, jnp.int32)
    none = jnp.zeros(len(padded[0]), jnp.int32), jnp.zeros(len(padded[1]), jnp.int32)
    start: _Found = (jnp.full(keep, jnp.inf, jnp.float32), nothing, nothing), none
    found, _ = jax.lax.scan(scan_block, start, jnp.asarray(places, jnp.int32))
    (distance, first, second), (of_rows, of_columns) = found
    closest = {"distance": distance, "first": first, "second": second}
    if within:
        return {**closest, "neighbours": (of_rows + of_columns)[: sizes[0]]}
    of_rows, of_columns = of_rows[: sizes[0]], of_columns[: sizes[1]]
    return {**closest, "neighbours": of_rows, "neighbours_of_others": of_columns}


def _merge(keep: int, found: _Closest, new: _Closest) -> _Closest:
    distances, i, j = (
        jnp.concatenate([old, fresh.reshape(-1)]) for old, fresh in zip(found, new, strict=True)
    )
    _, order = jax.lax.top_k(-distances, keep)
    return distances[order], i[order], j[order]


def _pad(array: Array, block: int) -> Array:
    return jnp.pad(array, ((0, -array.shape[0] % block), (0, 0)))
