"""Stacked images: three digits drawn independently are the three channels of one, so that ten classes become 1,000.

Only the digits lie on the device, as uint8, and once. Stacks are put together batch by batch: new ones each time, or
those of a fixed set, which is a table of indices: 128,000 stacks take 1.5 MB as three indices each and 301 as pixels.
"""

import jax
import jax.numpy as jnp
import numpy as np

from mixgan_jax.checks import (
    MAX_COUNT,
    check_array,
    check_count,
    check_key,
    check_number,
    fail,
    is_concrete,
)
from mixgan_jax.data.feed import Feed
from mixgan_jax.data.source import check_images
from mixgan_jax.types import Array, Key


def fixed_stacks(key: Key, num_images: int, num_stacks: int = 128_000, depth: int = 3) -> Array:
    """A fixed set of stacks: which images each is made of, drawn uniformly and independently with replacement.

    Args:
        key: consumed.
        num_images: of the set that is stacked, a whole number >= 1.
        num_stacks: N >= 1; 128,000 in PacGAN's experiments (Lin et al. 2018, arXiv 1712.04086; released code).
        depth: images in a stack, >= 1.

    Returns:
        Indices ``[N, depth]``, int32, for :func:`feed_from_stacks`.

    Raises:
        TypeError, ValueError: a bad argument.
    """
    check_key("key", key)
    for name, value in (("num_images", num_images), ("num_stacks", num_stacks), ("depth", depth)):
        check_count(name, value)
    return jax.random.randint(key, (num_stacks, depth), 0, num_images)


def fixed_packs(key: Key, stacks: Array, packing: int) -> Array:
    """A fixed set of as many packs as there are stacks: each slot of each pack is a stack drawn with replacement.

    So the released code of PacGAN packs its fixed set of stacks (Lin et al. 2018, arXiv 1712.04086).

    Args:
        key: consumed; not looked at for M = 1.
        stacks: indices ``[N, depth]``, as :func:`fixed_stacks` makes them.
        packing: stacks in a pack, M >= 1; for 1 the stacks themselves are the packs.

    Returns:
        Indices ``[N, M * depth]``, stack by stack, int32.

    Raises:
        TypeError, ValueError: a bad argument.
    """
    check_key("key", key)
    stacks = _check_indices("stacks", stacks)
    check_count("packing", packing)
    if packing == 1:
        return stacks
    slots = jax.random.randint(key, (stacks.shape[0], packing), 0, stacks.shape[0])
    return stacks[slots].reshape(stacks.shape[0], packing * stacks.shape[1])


def feed_from_stacks(
    images: np.ndarray | Array,
    batch_size: int,
    *,
    depth: int = 3,
    table: Array | None = None,
    low: float = -1.0,
) -> Feed:
    """Random batches of stacked images.

    Without a table every image of every stack is drawn anew, uniformly with replacement. With one, its rows are drawn,
    uniformly with replacement: there are no epochs. A row of M stacks is a pack: those stay together, in their order,
    as ``pack`` joins them again.

    Args:
        images: uint8 ``[N, H, W, 1]``, N >= 1.
        batch_size: stacks in a batch, B >= 1; with a table of packs a multiple of M.
        depth: images in a stack, >= 1: the channels.
        table: indices ``[P, M * depth]`` into ``images``, of a fixed set (:func:`fixed_stacks`, :func:`fixed_packs`);
            None for new stacks in every batch.
        low: the value of level 0, finite and below 1, which is that of level 255: -1 or 0.

    Returns:
        A feed of batches ``[B, H, W, depth]``, float32 in [low, 1]; its arrays are the images and the table.

    Raises:
        TypeError: images that are not uint8, a table that is not of whole numbers.
        ValueError: images of another shape; a table that does not fit ``depth``, the images or ``batch_size``.
    """
    check_count("batch_size", batch_size)
    check_count("depth", depth)
    check_images("images", images)
    if images.ndim != 4 or images.shape[3] != 1:
        raise ValueError(f"images must have shape [N, H, W, 1] to be stacked, got {images.shape}")
    if check_number("low", low, maximum=1.0) == 1.0:
        raise fail("low", low, "a number below 1")
    rows = batch_size
    if table is not None:
        table = _check_table(table, images.shape[0], depth)
        packing = table.shape[1] // depth
        if batch_size % packing:
            raise ValueError(
                f"batch_size must be a multiple of the {packing} stacks in a pack, got {batch_size}"
            )
        rows = batch_size // packing

    def sample(key: Key, arrays: tuple[Array, Array | None]) -> Array:
        images, table = arrays
        if table is None:
            indices = jax.random.randint(key, (rows, depth), 0, images.shape[0])
        else:
            chosen = jax.random.randint(key, (rows,), 0, table.shape[0])
            indices = jnp.take(table, chosen, axis=0, mode="clip").reshape(-1, depth)
        stacks = jnp.take(images[..., 0], indices, axis=0, mode="clip")
        levels = jnp.moveaxis(stacks, 1, -1).astype(jnp.float32)
        return levels / (255.0 / (1.0 - low)) + low

    return Feed((jnp.asarray(images), table), sample)


def stack_labels(labels: Array, num_classes: int = 10) -> Array:
    """The class of a stack from those of its images: ``100 a + 10 b + c`` for digits a, b, c.

    Args:
        labels: whole numbers in 0 .. num_classes - 1, ``[..., depth]``, in the order of the channels.
        num_classes: of a single image, >= 1.

    Returns:
        int32 ``[...]`` in 0 .. num_classes^depth - 1.

    Raises:
        TypeError: labels that are not whole numbers.
        ValueError: labels without an axis, or out of range where their values are known; more classes than int32 has.
    """
    check_count("num_classes", num_classes)
    labels = _check_indices("labels", labels, rank=None)
    if is_concrete(labels) and labels.size:
        low, high = int(labels.min()), int(labels.max())
        if low < 0 or high >= num_classes:
            raise ValueError(
                f"labels must lie in 0..{num_classes - 1}, got values in [{low}, {high}]"
            )
    depth = labels.shape[-1]
    if num_classes ** min(depth, 32) - 1 > MAX_COUNT:
        raise ValueError(
            f"labels must be of stacks with at most 2^31 classes, got {num_classes}^{depth}"
        )
    result = jnp.zeros(labels.shape[:-1], jnp.int32)
    for place in range(labels.shape[-1]):
        result = result * num_classes + labels[..., place].astype(jnp.int32)
    return result


def _check_table(table: Array, num_images: int, depth: int) -> Array:
    table = _check_indices("table", table)
    if table.shape[1] % depth:
        raise ValueError(
            f"table must have shape [P, M * {depth}], stacks of {depth}, got {table.shape}"
        )
    if is_concrete(table) and (int(table.min()) < 0 or int(table.max()) >= num_images):
        raise ValueError(
            f"table must hold indices 0..{num_images - 1} of the images, got values in "
            f"[{int(table.min())}, {int(table.max())}]"
        )
    return table


def _check_indices(name: str, indices: Array, rank: int | None = 2) -> Array:
    indices = check_array(name, indices)
    if not jnp.issubdtype(indices.dtype, jnp.integer):
        raise fail(name, f"dtype {indices.dtype}", "whole numbers", TypeError)
    if (indices.ndim != rank) if rank else (indices.ndim < 1):
        shape = "[N, ...] of rank 2" if rank else "[..., depth]"
        raise ValueError(f"{name} must have shape {shape}, got {indices.shape}")
    if rank and 0 in indices.shape:
        raise ValueError(f"{name} must not be empty, got {indices.shape}")
    return jnp.asarray(indices)
