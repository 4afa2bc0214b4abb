"""Image sources: images that stay where they are, on a disk, and are read by their indices."""

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import jax
import numpy as np

from mixgan_jax.checks import check_choice, check_count, describe, to_host

Indices = Sequence[int] | np.ndarray
Channels: TypeAlias = Literal["last", "first"]
"""Where the axis of channels is: ``[N, H, W, C]`` or ``[N, C, H, W]``."""


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


def as_source(images: np.ndarray | ImageSource, *, channels: Channels | None = None) -> ImageSource:
    """A source as it is, or one that reads from an array, for code that takes either.

    Args:
        images: uint8 ``[N, H, W, C]``, or a source.
        channels: where the axis of channels is: ``"last"``, or ``"first"`` for ``[N, C, H, W]``. None for last, unless
            the shape looks as if it were first.

    Raises:
        TypeError: images that are not uint8.
        ValueError: another rank, none at all, or a shape that looks like ``[N, C, H, W]`` without ``channels``.
    """
    images = channels_last("images", images, channels)
    if isinstance(images, ImageSource):
        return images
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


def check_budget(memory_budget: int | None) -> None:
    """A number of MiB, or None for no bound."""
    if memory_budget is not None:
        check_count("memory_budget", memory_budget, minimum=0)


def exceeds(
    memory_budget: int | None, images: jax.ShapeDtypeStruct, channels: Channels | None = None
) -> bool:
    """Whether training images are to stay where they are, told from their shape and dtype alone.

    Args:
        memory_budget: MiB; None for no bound.
        images: shape and dtype of what would be loaded.
        channels: as in :func:`as_source`.

    Raises:
        TypeError, ValueError: with a budget, what :func:`check_images` refuses: it is not loaded to be refused.
    """
    if memory_budget is None:
        return False
    check_images("train_images", images, channels)
    return images.size > memory_budget * 2**20


def channels_last(name: str, images: Any, channels: Channels | None, *, rank: int = 4) -> Any:
    """Checked images ``[N, H, W, C]``, from those or, where ``channels`` says so, from ``[N, C, H, W]``.

    Args:
        name: of the argument that holds the images.
        images: uint8, or a source.
        channels: as in :func:`as_source`.
        rank: 3 if images ``[N, H, W]`` are taken too; they come back with a channel axis.
    """
    if channels is not None:
        check_choice("channels", channels, ("last", "first"))
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
    """A non-empty uint8 array ``[N, H, W]`` or ``[N, H, W, C]``, or an error that names ``name``."""
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
