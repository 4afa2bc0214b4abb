"""Augmentation: random changes of images, pure functions of a key, through which gradients pass.

Each takes ``(key, images)`` and draws numbers of its own for each image. Flips are for a training set, see
:func:`augmented`. The three of DiffAugment are for what a discriminator sees, reals and fakes alike: hand
:func:`diff_augment` to a solver as its ``augment``. There the generator learns the images as they were.
"""

from collections.abc import Callable
from typing import Annotated, Any, TypeAlias, TypeVar

import jax
import jax.numpy as jnp

from mixgan_jax.checked import checked
from mixgan_jax.checks import check_kind
from mixgan_jax.data.feed import Feed
from mixgan_jax.data.stream import Stream
from mixgan_jax.types import Array, ArrayLike, Batch, Key, Shaped, Share

Source = TypeVar("Source", Feed, Stream)


def _check_source(name: str, value: Any) -> Feed | Stream:
    return check_kind(name, value, Feed, Stream)


FloatImages: TypeAlias = Annotated[ArrayLike, Shaped(4, floating=True)]
"""Images ``[B, H, W, C]``, floating point."""


@checked
def augmented(
    source: Annotated[Source, _check_source], augment: Callable[[Key, Batch], Batch]
) -> Source:
    """Makes a feed or stream whose batches are changed at random, on the device, each time they are drawn.

    Args:
        source: a feed or stream of images.
        augment: ``augment(key, batch)``, such as :func:`random_flip`.

    Returns:
        The feed or stream; a step still draws the same batch whenever its key is the same.

    Example:
        >>> import jax, numpy as np
        >>> import mixgan_jax as mg
        >>> feed = mg.data.feed_from_images(np.zeros((100, 8, 8, 3), np.uint8), batch_size=16)
        >>> feed = mg.data.augmented(feed, mg.data.random_flip)
        >>> feed.sample(jax.random.key(0), feed.arrays).shape
        (16, 8, 8, 3)
    """
    draw = source.sample

    def sample(key: Key, images: Array) -> Batch:
        draw_key, augment_key = jax.random.split(key)
        return augment(augment_key, draw(draw_key, images))

    return source._replace(sample=sample)


@checked
def random_flip(key: Key, images: FloatImages) -> Array:
    """Mirrors each image left to right, with probability 1/2.

    Args:
        key: consumed.
        images: ``[B, H, W, C]``, floating point.

    Returns:
        Images ``[B, H, W, C]``.
    """
    images = jnp.asarray(images)
    mirrored = jax.random.bernoulli(key, shape=(images.shape[0], 1, 1, 1))
    return jnp.where(mirrored, images[:, :, ::-1], images)


@checked
def diff_augment(key: Key, images: FloatImages) -> Array:
    """Changes colour, moves, and cuts out: DiffAugment (Zhao, Liu, Lin, Zhu and Han 2020, arXiv 2006.10738).

    It is :func:`random_colour`, :func:`random_translation` and :func:`random_cutout` in this order. The paper's code
    for CIFAR-10 takes two of them: translation and cutout with BigGAN, colour and cutout with StyleGAN2.

    Args:
        key: consumed.
        images: ``[B, H, W, C]`` in [-1, 1], floating point.

    Returns:
        Images ``[B, H, W, C]``.
    """
    keys = jax.random.split(key, 3)
    images = random_translation(keys[1], random_colour(keys[0], images))
    return random_cutout(keys[2], images)


@checked
def random_colour(key: Key, images: FloatImages) -> Array:
    """Changes brightness, saturation and contrast of each image, by the ranges of DiffAugment.

    Adds a number from U[-0.5, 0.5]; then scales the distance of each pixel's channels from their mean by U[0, 2]; then
    the distance of all pixels from their mean by U[0.5, 1.5].

    Args:
        key: consumed.
        images: ``[B, H, W, C]``, floating point.

    Returns:
        Images ``[B, H, W, C]``, which may leave [-1, 1].
    """
    images = jnp.asarray(images)
    uniform = jax.random.uniform(key, (3, images.shape[0], 1, 1, 1), images.dtype)
    images = images + (uniform[0] - 0.5)
    grey = jnp.mean(images, axis=3, keepdims=True)
    images = grey + 2.0 * uniform[1] * (images - grey)
    mean = jnp.mean(images, axis=(1, 2, 3), keepdims=True)
    return mean + (uniform[2] + 0.5) * (images - mean)


@checked
def random_translation(key: Key, images: FloatImages, ratio: Share = 0.125) -> Array:
    """Moves each image by whole pixels, up to a share of its height and width either way, and fills up with 0.

    Args:
        key: consumed.
        images: ``[B, H, W, C]``, floating point.
        ratio: the largest move as a share of height and width, in [0, 1]; 0.125 in DiffAugment.

    Returns:
        Images ``[B, H, W, C]``.
    """
    images = jnp.asarray(images)
    down, right = (_share(side, ratio) for side in images.shape[1:3])
    padded = jnp.pad(images, ((0, 0), (down, down), (right, right), (0, 0)))
    starts = _offsets(key, images.shape[0], 2 * down + 1, 2 * right + 1)

    def cut(image: Array, start: Array) -> Array:
        return jax.lax.dynamic_slice(image, (start[0], start[1], 0), images.shape[1:])

    return jax.vmap(cut)(padded, starts)


@checked
def random_cutout(key: Key, images: FloatImages, ratio: Share = 0.5) -> Array:
    """Sets a rectangle of each image to 0, whose centre lies anywhere in the image.

    Args:
        key: consumed.
        images: ``[B, H, W, C]``, floating point.
        ratio: sides of the rectangle as a share of height and width, in [0, 1]; 0.5 in DiffAugment.

    Returns:
        Images ``[B, H, W, C]``.
    """
    images = jnp.asarray(images)
    count, height, width, _ = images.shape
    tall, wide = _share(height, ratio), _share(width, ratio)
    # An even rectangle has its centre between pixels: one place more.
    centres = _offsets(key, count, height + 1 - tall % 2, width + 1 - wide % 2)
    rows = _between(centres[:, 0] - tall // 2, tall, height)[:, :, None, None]
    columns = _between(centres[:, 1] - wide // 2, wide, width)[:, None, :, None]
    return jnp.where(rows & columns, jnp.zeros((), images.dtype), images)


def _share(side: int, ratio: float) -> int:
    return int(side * ratio + 0.5)


def _offsets(key: Key, count: int, rows: int, columns: int) -> Array:
    """Draws ``[count, 2]`` whole numbers, below ``rows`` and below ``columns``."""
    high = jnp.asarray([[rows, columns]], jnp.int32)
    return jax.random.randint(key, (count, 2), 0, high, jnp.int32)


def _between(start: Array, length: int, side: int) -> Array:
    """Says which of ``side`` places lie in ``start .. start + length - 1``: ``[B]`` to ``[B, side]``."""
    place = jnp.arange(side, dtype=jnp.int32)[None] - start[:, None]
    return (place >= 0) & (place < length)
