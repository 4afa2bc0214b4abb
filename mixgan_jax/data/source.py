"""Image sources: images that stay where they are, on a disk, and are read by their indices."""

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from mixgan_jax.checks import describe

Indices = Sequence[int] | np.ndarray


@dataclass(frozen=True)
class ImageSource:
    """Images by index, in any order and as often as wanted, without ever being in memory all at once.

    Attributes:
        shape: ``(N, H, W, C)`` of the whole, N >= 1.
        read: ``read(indices [B]) -> [B, H, W, C]``, uint8, a new array at each call; several threads may call it at
            once. Indices lie in ``0 .. N - 1``.
    """

    shape: tuple[int, int, int, int]
    read: Callable[[Indices], np.ndarray]

    def __len__(self) -> int:
        """How many images, N."""
        return self.shape[0]


def as_source(images: np.ndarray | ImageSource) -> ImageSource:
    """A source as it is, or one that reads from an array, for code that takes either.

    Args:
        images: uint8 ``[N, H, W, C]``, or a source.

    Raises:
        TypeError: images that are not uint8.
        ValueError: another rank, or none at all.
    """
    if isinstance(images, ImageSource):
        return images
    check_images("images", images)
    if images.ndim != 4:
        raise ValueError(f"images must have shape [N, H, W, C], got {images.shape}")
    array = np.asarray(images)
    return ImageSource(array.shape, lambda indices: array[np.asarray(indices)])


def split_at(
    images: np.ndarray | ImageSource, cut: int
) -> tuple[np.ndarray | ImageSource, np.ndarray]:
    """The images before ``cut`` as what they are, and those from there on ``[N - cut, H, W, C]``, in memory."""
    if not isinstance(images, ImageSource):
        return images[:cut], images[cut:]
    before = dataclasses.replace(images, shape=(cut, *images.shape[1:]))
    return before, images.read(range(cut, len(images)))


def exceeds(memory_budget: int | None, images: jax.ShapeDtypeStruct) -> bool:
    """Whether training images are to stay where they are, told from their shape and dtype alone.

    Args:
        memory_budget: MiB; None for no bound.
        images: shape and dtype of what would be loaded.

    Raises:
        TypeError, ValueError: with a budget, what :func:`check_images` refuses: it is not loaded to be refused.
    """
    if memory_budget is None:
        return False
    check_images("train_images", images)
    return images.size > memory_budget * 2**20


def check_images(name: str, images: Any) -> None:
    """A non-empty uint8 array ``[N, H, W]`` or ``[N, H, W, C]``, or an error that names ``name``."""
    if not hasattr(images, "shape") or not hasattr(images, "dtype"):
        raise TypeError(f"{name} must be an array, got {describe(images)}")
    if images.dtype != np.uint8:
        raise TypeError(f"{name} must be uint8 in 0..255, got {describe(images)}")
    if images.ndim not in (3, 4) or 0 in images.shape:
        raise ValueError(f"{name} must have shape [N, H, W] or [N, H, W, C], got {images.shape}")
