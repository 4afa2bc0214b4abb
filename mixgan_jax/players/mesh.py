"""One game on many devices: components are split over the mesh axis ``component``, batches over the axis ``data``.

Arrays are *global*: a function sees ``[K, ...]`` and ``[B, ...]`` whatever the mesh, and means the same on any. Three
functions say where components meet: :func:`over_components` gives each device its own components, :func:`deal` and
:func:`collect` move samples between them. The axis ``data`` is left to XLA, which makes of a mean over the batch a mean
over all devices' parts of it, in losses, batch norm and penalties alike.

Which mesh a function is traced for is context, as ``jax.default_device`` is: ``on_mesh`` sets it. Without one, and on a
mesh of one device, all functions here do nothing.
"""

from collections.abc import Callable
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
from jax import lax
from jax.sharding import PartitionSpec as P

from mixgan_jax.arrays import is_concrete
from mixgan_jax.types import Array

T = TypeVar("T")

AXES = RUNS, COMPONENT, DATA = "runs", "component", "data"
"""Names of a mesh's axes: independent runs, a game's components, a batch's examples."""


def axis_size(name: str) -> int:
    """Returns over how many devices an axis is split: 1 without a mesh, and where each device has its own part."""
    mesh = jax.sharding.get_abstract_mesh()
    return mesh.shape[name] if name in mesh.auto_axes else 1


def is_spread() -> bool:
    """Returns whether one game is traced for more than one device."""
    return axis_size(COMPONENT) * axis_size(DATA) > 1


def place(tree: T, *axes: Any) -> T:
    """Says where arrays lie, and changes no number: leading axes are split over mesh axes, others are whole.

    Args:
        tree: arrays.
        *axes: for each leading axis the name of a mesh axis, None for whole, or ``P.UNCONSTRAINED``. An axis that the
            mesh axis does not divide stays whole.

    Returns:
        The same arrays.
    """
    if not is_spread():
        return tree

    def where(size: int, name: Any) -> Any:
        return name if name is P.UNCONSTRAINED or (name and size % axis_size(name) == 0) else None

    def one(leaf: Array) -> Array:
        spec = P(*(where(size, name) for size, name in zip(leaf.shape, axes, strict=False)))
        return lax.with_sharding_constraint(leaf, spec)

    return jax.tree.map(one, tree)


def over_components(
    function: Callable[[tuple, tuple], T], count: int
) -> Callable[[tuple, tuple], T]:
    """Makes each device compute ``function(stacked, shared)`` for its own components.

    Args:
        function: maps over however many components it is given: from ``stacked``, trees with leaves ``[K, ...]``, and
            ``shared``, trees that all components see whole, to a tree with leaves ``[K, ...]``. It sees whole batches,
            and closes over no traced array.
        count: K.

    Returns:
        The same function, on a mesh with one exchange: each device gathers what is shared. Components that the axis
        does not divide, one alone among them, are whole on every device.
    """
    if axis_size(COMPONENT) == 1 or count % axis_size(COMPONENT):
        return function
    return _by_devices(function, (P(COMPONENT), P()), P(COMPONENT), {COMPONENT})


def deal(fakes: Array, num_discriminators: int) -> Array:
    """Deals the fakes out in a Latin square: discriminator j gets chunk (j - i) mod J of generator i.

    On a mesh the generators' devices hand each chunk to its discriminator's, by one all-to-all. Each device of the data
    axis deals what it has, so the fakes must be :func:`in_dealing_order`.

    Args:
        fakes: ``[I, B, ...]`` with B a multiple of J.
        num_discriminators: J.

    Returns:
        ``[J, I, B / J, ...]``, every fake exactly once.
    """

    def local(fakes: Array, first: Array | int = 0) -> Array:
        chunks = fakes.reshape(fakes.shape[0], num_discriminators, -1, *fakes.shape[2:])
        return _dealt(chunks, first)

    def exchanged(fakes: Array) -> Array:
        dealt = local(fakes, lax.axis_index(COMPONENT) * fakes.shape[0])
        return lax.all_to_all(dealt, COMPONENT, 0, 1, tiled=True)

    if not _both_split(fakes.shape[0], num_discriminators):
        return local(fakes)
    data = _data_axis(fakes.shape[1] // num_discriminators)
    return _exchange(exchanged, fakes, P(COMPONENT, data), P(COMPONENT, None, data))


def undeal(shares: Array) -> Array:
    """Hands what discriminators have to say of each fake back to its generator: the inverse of :func:`deal`.

    Args:
        shares: ``[J, I, B / J, ...]``.

    Returns:
        ``[I, B, ...]``.
    """

    def local(shares: Array, first: Array | int = 0) -> Array:
        chunks = _undealt(shares, first)
        return chunks.reshape(chunks.shape[0], -1, *chunks.shape[3:])

    def exchanged(shares: Array) -> Array:
        returned = lax.all_to_all(shares, COMPONENT, 1, 0, tiled=True)
        return local(returned, lax.axis_index(COMPONENT) * returned.shape[1])

    if not _both_split(*shares.shape[:2]):
        return local(shares)
    data = _data_axis(shares.shape[2])
    return _exchange(exchanged, shares, P(COMPONENT, None, data), P(COMPONENT, data))


def collect(shares: Array) -> Array:
    """Sums over the discriminators, ``[J, I, F, ...]`` to ``[I, F, ...]``: on a mesh by one reduce-scatter."""

    def exchanged(shares: Array) -> Array:
        return lax.psum_scatter(jnp.sum(shares, axis=0), COMPONENT, scatter_dimension=0, tiled=True)

    if not _both_split(*shares.shape[:2]):
        return jnp.sum(shares, axis=0)
    data = _data_axis(shares.shape[2])
    return _exchange(exchanged, shares, P(COMPONENT, None, data), P(COMPONENT, data))


def in_dealing_order(chunks: Array, num_generators: int) -> Array:
    """Orders ``[I, J, F, ...]`` so that each device of the data axis finds its part of every chunk; merges the chunks.

    On one device, and where devices do not deal, chunks follow each other. On D devices the first F / D of every chunk
    come first: :func:`deal` then hands out the same fakes as on one device.

    Args:
        chunks: ``[I, J, F, ...]``, or ``[1, J, F, ...]`` for all generators.
        num_generators: I.

    Returns:
        ``[I, J F, ...]``, or ``[1, J F, ...]``.
    """
    parts = chunks[:, None]
    if _both_split(num_generators, chunks.shape[1]):
        parts = jnp.moveaxis(_by_device(chunks, 2), 0, 1)
    return parts.reshape(chunks.shape[0], -1, *chunks.shape[3:])


def merge_rows(rows: Array, unit: int) -> Array:
    """Merges ``[I, F, ...]`` to ``[I F, ...]``, in an order that leaves each device's rows where they are.

    Args:
        rows: F of each of I.
        unit: rows that must stay together, a divisor of F.
    """
    if axis_size(DATA) == 1:
        return rows.reshape(-1, *rows.shape[2:])
    units = rows.reshape(rows.shape[0], -1, unit, *rows.shape[2:])
    return _by_device(units, 1).reshape(-1, *rows.shape[2:])


def split_rows(merged: Array, count: int) -> Array:
    """Splits ``[I F]`` to ``[I, F]``, I = ``count``: the inverse of :func:`merge_rows` with one row to a unit."""
    each = merged.shape[0] // count
    size = _data_parts(each)
    if size == 1:
        return merged.reshape(count, -1)
    return merged.reshape(size, count, -1).swapaxes(0, 1).reshape(count, -1)


def _by_device(array: Array, axis: int) -> Array:
    """Splits an axis F into D devices' parts, ``[D, ..., F / D, ...]``; D = 1 where the data axis does not divide F."""
    size = _data_parts(array.shape[axis])
    shape = (*array.shape[:axis], size, array.shape[axis] // size, *array.shape[axis + 1 :])
    parts = jnp.moveaxis(array.reshape(shape), axis, 0)
    return place(parts, DATA, *[P.UNCONSTRAINED] * (parts.ndim - 1)) if size > 1 else parts


def _dealt(chunks: Array, first: Array | int) -> Array:
    """Reorders ``[I, J, ...]`` to ``[J, I, ...]``: entry (j, i) is chunk (j - i) mod J of i, counted from ``first``."""
    j, i = (jnp.arange(size, dtype=jnp.int32) for size in chunks.shape[1::-1])
    return chunks[i[None], (j[:, None] - i[None] - first) % chunks.shape[1]]


def _undealt(shares: Array, first: Array | int) -> Array:
    """Reorders ``[J, I, ...]`` to ``[I, J, ...]``: entry (i, c) is what (c + i) mod J has of i."""
    c, i = (jnp.arange(size, dtype=jnp.int32) for size in shares.shape[:2])
    return shares[(c[None] + i[:, None] + first) % shares.shape[0], i[:, None]]


def _both_split(*counts: int) -> bool:
    """Returns whether generators and discriminators are both split over devices, or batches are."""
    return is_spread() and all(count % axis_size(COMPONENT) == 0 for count in counts)


def _data_parts(size: int) -> int:
    """Returns over how many devices of the data axis so many rows are split."""
    return axis_size(DATA) if size % axis_size(DATA) == 0 else 1


def _data_axis(size: int) -> str | None:
    return DATA if size % axis_size(DATA) == 0 else None


def _exchange(local: Callable[[Array], Array], array: Array, before: P, after: P) -> Array:
    """Applies ``local`` to each device's part. The data axis is manual too: XLA would gather what it splits."""
    return _by_devices(local, (before,), after, {COMPONENT, DATA})(array)


def _by_devices(
    function: Callable[..., T], before: tuple[P, ...], after: P, axes: set[str]
) -> Callable[..., T]:
    """Makes each device compute the function for its part along ``axes``."""
    # check_vma would sum the gradient of what is shared over components, each of which has an objective of its own; it
    # refuses networks whose scans start from zeros, and jax 0.10 cannot differentiate it inside of map_runs.
    mapped = jax.shard_map(
        function, in_specs=before, out_specs=after, axis_names=axes, check_vma=False
    )

    def call(*arguments: Any) -> T:
        # Outside of jit, JAX cannot leave the other axes to XLA.
        known = all(map(is_concrete, jax.tree.leaves(arguments)))
        return jax.jit(mapped)(*arguments) if known else mapped(*arguments)

    return call
