"""Stacked images: three digits drawn independently are the three channels of one, so that ten classes become 1,000.

Only the digits lie on the device, as uint8, and once. Stacks are put together batch by batch. They are new each time,
or come from a fixed set, a table of indices: 128,000 stacks take 1.5 MB as three indices each, and 301 MB as pixels.
"""

from functools import partial
from typing import Annotated, Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np

from mixgan_jax.checked import checked
from mixgan_jax.checks import MAX_COUNT, check_array, check_number, fail, on_host
from mixgan_jax.data.feed import Feed
from mixgan_jax.data.source import check_images
from mixgan_jax.types import Array, Count, Key


def check_rows(name: str, value: Any, *, moved: bool = True) -> Array:
    """Returns whole numbers ``[N, ...]`` of rank 2, not empty."""
    rows = _check_whole(name, value, moved=moved)
    if rows.ndim != 2:
        raise ValueError(f"{name} must have shape [N, ...] of rank 2, got {rows.shape}")
    if 0 in rows.shape:
        raise ValueError(f"{name} must not be empty, got {rows.shape}")
    return rows


def check_labels(name: str, value: Any) -> Array:
    """Returns whole numbers ``[..., depth]``."""
    labels = _check_whole(name, value, moved=False)
    if labels.ndim < 1:
        raise ValueError(f"{name} must have shape [..., depth], got {labels.shape}")
    return labels


def _check_whole(name: str, value: Any, *, moved: bool) -> Array:
    array = check_array(name, value, moved=moved)
    if not jnp.issubdtype(array.dtype, jnp.integer):
        raise fail(name, f"dtype {array.dtype}", "whole numbers", TypeError)
    return array


def check_digits(name: str, value: Any) -> Any:
    """Returns images uint8 ``[N, H, W, 1]``."""
    check_images(name, value)
    if value.ndim != 4 or value.shape[3] != 1:
        raise ValueError(f"{name} must have shape [N, H, W, 1] to be stacked, got {value.shape}")
    return value


def check_below_one(name: str, value: Any) -> Any:
    """Returns a finite number below 1."""
    number = check_number(name, value, maximum=1.0)
    if number == 1.0:
        raise fail(name, value, "a number below 1")
    return number


Rows: TypeAlias = Annotated[Array, check_rows]
"""Whole numbers ``[N, ...]`` of rank 2."""


@checked
def fixed_stacks(
    key: Key, num_images: Count, num_stacks: Count = 128_000, depth: Count = 3
) -> Array:
    """Draws a fixed set of stacks: the images of each, uniformly and independently with replacement.

    Args:
        key: consumed.
        num_images: size of the set that is stacked, a whole number >= 1.
        num_stacks: N >= 1; 128,000 in PacGAN's experiments (Lin et al. 2018, arXiv 1712.04086; released code).
        depth: images in a stack, >= 1.

    Returns:
        Indices ``[N, depth]``, int32, for :func:`feed_from_stacks`.
    """
    return jax.random.randint(key, (num_stacks, depth), 0, num_images)


@checked
def fixed_packs(key: Key, stacks: Rows, packing: Count) -> Array:
    """Draws a fixed set of as many packs as there are stacks: each slot of each pack is a stack, with replacement.

    The released code of PacGAN packs its fixed set of stacks in this way (Lin et al. 2018, arXiv 1712.04086).

    Args:
        key: consumed; unused for M = 1.
        stacks: indices ``[N, depth]``, as :func:`fixed_stacks` makes them.
        packing: stacks in a pack, M >= 1; for 1 the stacks themselves are the packs.

    Returns:
        Indices ``[N, M * depth]``, stack by stack, int32.
    """
    if packing == 1:
        return stacks
    slots = jax.random.randint(key, (stacks.shape[0], packing), 0, stacks.shape[0])
    return stacks[slots].reshape(stacks.shape[0], packing * stacks.shape[1])


@checked
def feed_from_stacks(
    images: Annotated[np.ndarray | Array, check_digits],
    batch_size: Count,
    *,
    depth: Count = 3,
    table: Annotated[Array, partial(check_rows, moved=False)] | None = None,
    low: Annotated[float, check_below_one] = -1.0,
) -> Feed:
    """Makes a feed of random batches of stacked images.

    Without a table every image of every stack is drawn anew, uniformly with replacement. With a table its rows are
    drawn, uniformly with replacement: there are no epochs. A row of M stacks is a pack. Its stacks stay together, in
    their order, where :func:`mixgan_jax.pack` looks for them.

    Args:
        images: uint8 ``[N, H, W, 1]``, N >= 1.
        batch_size: stacks in a batch, B >= 1; with a table of packs a multiple of M.
        depth: images in a stack, >= 1: the channels.
        table: indices ``[P, M * depth]`` into ``images``, of a fixed set (:func:`fixed_stacks`, :func:`fixed_packs`);
            None for new stacks in every batch.
        low: the value of level 0, finite and below 1, which is that of level 255: -1 or 0.

    Returns:
        A feed of batches ``[B, H, W, depth]``, float32 in [low, 1]; its arrays are the images and the table.
    """
    rows = batch_size
    if table is not None:
        _check_table(table, images.shape[0], depth)
        packing = table.shape[1] // depth
        if batch_size % packing:
            raise ValueError(
                f"batch_size must be a multiple of the {packing} stacks in a pack, got {batch_size}"
            )
        rows, table = batch_size // packing, jnp.asarray(table)

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


@checked
def stack_labels(labels: Annotated[Array, check_labels], num_classes: Count = 10) -> Array:
    """Returns the class of a stack from those of its images: ``100 a + 10 b + c`` for digits a, b, c.

    Args:
        labels: whole numbers in 0 .. num_classes - 1, ``[..., depth]``, in the order of the channels.
        num_classes: number of classes of a single image, >= 1.

    Returns:
        int32 ``[...]`` in 0 .. num_classes^depth - 1.
    """
    if on_host(labels) and labels.size:
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
        result = result * num_classes + jnp.asarray(labels[..., place], jnp.int32)
    return result


def _check_table(table: Array, num_images: int, depth: int) -> None:
    if table.shape[1] % depth:
        raise ValueError(
            f"table must have shape [P, M * {depth}], stacks of {depth}, got {table.shape}"
        )
    if on_host(table) and (int(table.min()) < 0 or int(table.max()) >= num_images):
        raise ValueError(
            f"table must hold indices 0..{num_images - 1} of the images, got values in "
            f"[{int(table.min())}, {int(table.max())}]"
        )
