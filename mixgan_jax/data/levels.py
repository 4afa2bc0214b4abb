"""Grey levels of images: which floating-point values are black and white."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from mixgan_jax.checks import check_number, fail, is_concrete

Range = tuple[float, float]

_ROUNDING = 5e-4  # how far outside its range an image may lie, in widths of the range; half a level is 0.002


def to_levels(name: str, images: Any, value_range: Range | None) -> Any:
    """Images as uint8 0..255, a NumPy array as one and a JAX array as one; values are rounded to the nearest level.

    Args:
        name: of the argument that holds the images.
        images: real numbers ``[...]``.
        value_range: the values of black and white; None for [-1, 1], unless the images look as if it were [0, 1].

    Raises:
        ValueError: where values are known: images out of range, or without a range images that fill [0, 1].
    """
    low, high = (-1.0, 1.0) if value_range is None else _checked(value_range)
    if is_concrete(images) and images.size:
        least, most = float(images.min()), float(images.max())
        room = _ROUNDING * (high - low)
        got = f"{name} must lie in [{low:g}, {high:g}], got values in [{least:g}, {most:g}]"
        if not (least >= low - room and most <= high + room):  # also true of NaN
            raise ValueError(f"{got}; value_range=(black, white) names another range")
        # Images in [-1, 1] have values below 0; images in [0, 1] reach from near 0 to near 1.
        if value_range is None and 0.0 <= least <= 0.05 and most >= 0.95:
            raise ValueError(
                f"{got}, all of [0, 1]: value_range=(0, 1) or (-1, 1) says which it is"
            )
    module = jnp if isinstance(images, jax.Array) else np
    levels = module.round((images.astype(np.float32) - low) * (255.0 / (high - low)))
    return module.clip(levels, 0.0, 255.0).astype(np.uint8)


def _checked(value_range: Any) -> Range:
    """The values of black and white, black below white."""
    if not isinstance(value_range, tuple | list) or len(value_range) != 2:
        raise fail("value_range", value_range, "a pair, the values of black and white", TypeError)
    low, high = (check_number(f"value_range[{i}]", value) for i, value in enumerate(value_range))
    if not low < high:
        raise fail("value_range", value_range, "a pair that rises, the values of black and white")
    return low, high
