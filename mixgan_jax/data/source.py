"""Image sources: images that stay on a disk and are read by their indices."""

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import jax
import numpy as np

from mixgan_jax.checked import checked
from mixgan_jax.checks import describe, to_host

Indices: TypeAlias = Sequence[int] | np.ndarray
"""Which images to read, in this order."""

Channels: TypeAlias = Literal["last", "first"]
"""The place of the axis of channels: ``[N, H, W, C]`` or ``[N, C, H, W]``."""


@dataclass(frozen=True)
class ImageSource:
    """Images by index, in any order and as often as you want, never in memory all at once.

    Attributes:
        shape: ``(N, H, W, C)`` of the whole set, N >= 1.
        read: ``read(indices [B]) -> [B, H, W, C]``, uint8, a new array at each call. Indices lie in ``0 .. N - 1``.
            Several threads may call it at once.
    """

    shape: tuple[int, int, int, int]
    read: Callable[[Indices], np.ndarray]

    def __len__(self) -> int:
        """Returns the number of images, N."""
        return self.shape[0]


Splits: TypeAlias = tuple[
    np.ndarray | ImageSource, np.ndarray | None, np.ndarray | None, np.ndarray | None
]
"""Training images and labels, test images and labels."""


@checked
def as_source(images: np.ndarray | ImageSource, *, channels: Channels | None = None) -> ImageSource:
    """Returns a source as it is, and makes one of an array, for code that takes either.

    Args:
        images: uint8 ``[N, H, W, C]``, or a source.
        channels: the place of the axis of channels: ``"last"``, or ``"first"`` for ``[N, C, H, W]``. None for last;
            a shape that looks as if it were first is then an error.
    """
    images = channels_last("images", images, channels)
    if isinstance(images, ImageSource):
        return images
    array = np.asarray(images)
    return ImageSource(array.shape, lambda indices: array[np.asarray(indices)])


def split_at(
    images: np.ndarray | ImageSource, cut: int
) -> tuple[np.ndarray | ImageSource, np.ndarray]:
    """Splits images in two: those before ``cut`` stay what they are, the others are loaded, ``[N - cut, H, W, C]``."""
    if not isinstance(images, ImageSource):
        return images[:cut], images[cut:]
    before = dataclasses.replace(images, shape=(cut, *images.shape[1:]))
    return before, images.read(range(cut, len(images)))


def exceeds(
    memory_budget: int | None, images: jax.ShapeDtypeStruct, channels: Channels | None = None
) -> bool:
    """Returns whether training images exceed the budget and stay where they are.

    Images that :func:`check_images` refuses are refused here: they are not loaded first.

    Args:
        memory_budget: MiB; None for no bound.
        images: shape and dtype of what would be loaded.
        channels: as in :func:`as_source`.
    """
    if memory_budget is None:
        return False
    check_images("train_images", images, channels)
    return images.size > memory_budget * 2**20


def channels_last(name: str, images: Any, channels: Channels | None, *, rank: int = 4) -> Any:
    """Checks images and returns them as ``[N, H, W, C]``; with ``channels="first"`` they come as ``[N, C, H, W]``.

    Args:
        name: name of the argument that holds the images, for errors.
        images: uint8, or a source.
        channels: as in :func:`as_source`.
        rank: 3 to take images ``[N, H, W]`` too; they come back with a channel axis.
    """
    if isinstance(images, ImageSource):
        if channels != "first":
            return images
        read, (count, depth, height, width) = images.read, images.shape
        return ImageSource(
            (count, height, width, depth), lambda indices: np.moveaxis(read(indices), 1, -1)
        )
    check_images(name, images, channels)
    if images.ndim == 3 and rank == 3:
        return images[..., None]
    if images.ndim != 4:
        raise ValueError(f"{name} must have shape [N, H, W, C], got {images.shape}")
    return images.transpose(0, 2, 3, 1) if channels == "first" else images


def check_images(name: str, images: Any, channels: Channels | None = None) -> None:
    """Returns a uint8 array ``[N, H, W]`` or ``[N, H, W, C]`` that is not empty."""
    if not hasattr(images, "shape") or not hasattr(images, "dtype"):
        raise TypeError(f"{name} must be an array, got {describe(images)}")
    if images.dtype != np.uint8:
        raise TypeError(f"{name} must be uint8 in 0..255, got {describe(images)}")
    if images.ndim not in (3, 4) or 0 in images.shape:
        raise ValueError(f"{name} must have shape [N, H, W] or [N, H, W, C], got {images.shape}")
    if channels is None and images.ndim == 4 and images.shape[1] <= 4 < images.shape[3]:
        raise ValueError(
            f"{name} must have shape [N, H, W, C], got {images.shape}, which looks like [N, C, H, W]: "
            "channels='first' or 'last' says which it is"
        )
    if isinstance(images, np.ndarray):
        to_host(name, images)
