"""Grey levels of images: which floating-point values are black and white."""

from typing import Annotated, Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np

from mixgan_jax.checks import check_number, fail, on_host

_ROUNDING = 5e-4  # how far outside its range an image may lie, in widths of the range; half a level is 0.002


def check_range(name: str, value: Any) -> tuple[float, float]:
    """Returns the values of black and white, black below white."""
    if not isinstance(value, tuple | list) or len(value) != 2:
        raise fail(name, value, "a pair, the values of black and white", TypeError)
    low, high = (check_number(f"{name}[{i}]", end) for i, end in enumerate(value))
    if not low < high:
        raise fail(name, value, "a pair that rises, the values of black and white")
    return low, high


Range: TypeAlias = Annotated[tuple[float, float], check_range]
"""The values of black and white, such as (0, 1), (-1, 1) or (0, 255)."""


def to_levels(name: str, images: Any, value_range: Range | None) -> Any:
    """Rounds images to the nearest levels, uint8 0..255; a NumPy array stays one, and so does a JAX array.

    Args:
        name: name of the argument that holds the images, for errors.
        images: real numbers ``[...]``.
        value_range: the values of black and white; None for [-1, 1], unless the images look as if it were [0, 1].
    """
    low, high = (-1.0, 1.0) if value_range is None else value_range
    if on_host(images) and images.size:
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
