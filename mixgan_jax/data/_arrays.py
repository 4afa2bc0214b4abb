"""Images and labels as people have them, turned into those that :class:`Images` holds."""

from typing import Any

import jax.numpy as jnp
import numpy as np

from mixgan_jax.checks import check_array, describe, to_host
from mixgan_jax.data.levels import Range, to_levels
from mixgan_jax.data.source import Channels, ImageSource, channels_last


def as_levels(
    name: str, images: Any, value_range: Range | None, channels: Channels | None
) -> np.ndarray | ImageSource:
    """Turns images into uint8 0..255 ``[N, H, W, C]``."""
    if isinstance(images, ImageSource):
        images = channels_last(name, images, channels)
        if value_range is None:
            return images
        read = images.read
        return ImageSource(images.shape, lambda at: to_levels(name, read(at), value_range))
    if value_range is not None:
        images = to_levels(name, to_host(name, images), value_range)
    elif jnp.issubdtype(getattr(images, "dtype", np.uint8), np.floating):
        raise TypeError(
            f"{name} must be uint8 in 0..255, got {describe(images)}; value_range=(0, 1) or (-1, 1) "
            "says which floating-point values are black and white"
        )
    images = np.ascontiguousarray(channels_last(name, images, channels, rank=3))
    if value_range is None and images.max() == 1:
        raise ValueError(
            f"{name} must be uint8 in 0..255, got no level above 1: value_range=(0, 1) or (0, 255) "
            "says which level is white"
        )
    return images


def as_labels(name: str, labels: Any, count: int) -> np.ndarray | None:
    """Turns labels into int32 ``[count]``; None stays None."""
    if labels is None:
        return None
    labels = np.asarray(check_array(name, labels))
    if not np.issubdtype(labels.dtype, np.integer):
        raise TypeError(f"{name} must be whole numbers, got {describe(labels)}")
    labels = labels[:, 0] if labels.shape == (count, 1) else labels
    if labels.shape != (count,):
        hint = "; argmax(axis=1) makes them of one-hot rows" if labels.ndim == 2 else ""
        raise ValueError(
            f"{name} must have shape ({count},), one per image, got {labels.shape}{hint}"
        )
    if labels.min() < 0:
        raise ValueError(f"{name} must be >= 0, got {labels.min()}")
    return labels.astype(np.int32)
