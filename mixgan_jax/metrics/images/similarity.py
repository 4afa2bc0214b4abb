"""Diversity of images by their structural similarity at several scales."""

from functools import partial
from typing import Annotated, Any

import jax
import jax.numpy as jnp
import numpy as np

from mixgan_jax.checked import checked
from mixgan_jax.checks import check_array
from mixgan_jax.metrics.images.estimates import mean_of
from mixgan_jax.metrics.images.scores import Estimate
from mixgan_jax.types import Array, Count, Key, Positive

_EXPONENTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
_SIDE = 11  # pixels of the window, whose weights are Gaussian with this standard deviation
_SPREAD = 1.5
_PAIRS_AT_ONCE = 32


def _check_images(name: str, value: Any) -> Array:
    array = check_array(name, value, rank=4, floating=True, finite=True)
    if array.shape[0] < 2 or array.shape[3] < 1 or min(array.shape[1:3]) < _SIDE:
        raise ValueError(
            f"{name} must have shape [N, H, W, C], N >= 2, with sides of {_SIDE} pixels or more, got {array.shape}"
        )
    return array


@checked
def ms_ssim_diversity(
    key: Key,
    *,
    fake: Annotated[Array, _check_images],
    span: Positive,
    num_pairs: Count = 1000,
) -> Estimate:
    """Returns the mean structural similarity of pairs of images at several scales: low if images are diverse.

    ``MS-SSIM = m_S^(a_S) prod_{s < S} m_s^(a_s)``, where m_s is the mean over pixels of the contrast and structure of
    scale s, for the coarsest, S, times the luminance (Wang, Simoncelli and Bovik 2003), with means over 2 x 2 pixels
    between the scales.
    The windows are Gaussian, of 11 pixels and standard deviation 1.5. Odena, Olah and Shlens 2017 (arXiv 1610.09585)
    use it as a measure of collapse. There are five scales where the shorter side has 176 pixels or more; smaller
    images have as many as fit, with the first exponents scaled to a sum of 1. A negative mean counts as 0. It compares
    pixels: noise is diverse. Only images of one size can be compared.

    Args:
        key: consumed: which images meet.
        fake: images ``[N, H, W, C]``, N >= 2, sides of 11 pixels or more.
        span: of an image's values, highest minus lowest: 2 for -1..1.
        num_pairs: P pairs of different images, drawn with replacement.

    Returns:
        The mean over pairs, in 0..1, and its standard error; NaN for one pair. The error is of the draw of pairs, for
        the N images given.
    """
    used = float(jnp.max(fake) - jnp.min(fake))
    if used > span * (1 + 1e-6):
        raise ValueError(f"span must be that of the images or more, {used:g}, got {span}")
    return mean_of(np.asarray(_similarity_of_pairs(key, fake, span, num_pairs)))


@partial(jax.jit, static_argnames="num_pairs")
def _similarity_of_pairs(key: Key, images: Array, span: Array, num_pairs: int) -> Array:
    """Returns MS-SSIM ``[P]`` of random pairs of different images."""
    one, gap = jax.random.split(key)
    count = images.shape[0]
    first = jax.random.randint(one, (num_pairs,), 0, count)
    second = (first + jax.random.randint(gap, (num_pairs,), 1, count)) % count

    def of_pair(places: tuple[Array, Array]) -> Array:
        return _ms_ssim(images[places[0]], images[places[1]], span)

    return jax.lax.map(of_pair, (first, second), batch_size=_PAIRS_AT_ONCE)


def _ms_ssim(x: Array, y: Array, span: Array) -> Array:
    """Compares two images ``[H, W, C]``."""
    x, y = (image.astype(jnp.float32) for image in (x, y))
    scales = _scales(min(x.shape[:2]))
    exponents = np.asarray(_EXPONENTS[:scales]) / sum(_EXPONENTS[:scales])
    result = jnp.ones((), jnp.float32)
    for scale, exponent in enumerate(exponents):
        luminance, structure = _ssim(x, y, span)
        term = luminance * structure if scale == scales - 1 else structure
        result *= jnp.maximum(jnp.mean(term), 0.0) ** float(exponent)
        x, y = _halve(x), _halve(y)
    return result


def _scales(side: int) -> int:
    """Returns how many scales fit: the window must fit into the coarsest."""
    return next(
        scales for scales in range(len(_EXPONENTS), 0, -1) if side // 2 ** (scales - 1) >= _SIDE
    )


def _ssim(x: Array, y: Array, span: Array) -> tuple[Array, Array]:
    """Returns luminance, and contrast times structure, at each pixel whose window fits."""
    c1, c2 = (0.01 * span) ** 2, (0.03 * span) ** 2
    mean_x, mean_y = _blur(x), _blur(y)
    variances = _blur(x**2) + _blur(y**2) - mean_x**2 - mean_y**2
    covariance = _blur(x * y) - mean_x * mean_y
    luminance = (2.0 * mean_x * mean_y + c1) / (mean_x**2 + mean_y**2 + c1)
    return luminance, (2.0 * covariance + c2) / (variances + c2)


def _blur(image: Array) -> Array:
    """Averages over the windows that fit: one axis after the other."""
    offsets = np.arange(_SIDE) - _SIDE // 2
    window = np.exp(-(offsets**2) / (2.0 * _SPREAD**2))
    weights = jnp.asarray(window / window.sum(), jnp.float32)
    for axis in (0, 1):
        length = image.shape[axis] - _SIDE + 1
        image = sum(  # type: ignore[assignment]
            weights[i] * jax.lax.slice_in_dim(image, i, i + length, axis=axis) for i in range(_SIDE)
        )
    return image


def _halve(image: Array) -> Array:
    """Averages over 2 x 2 pixels; an odd row or column at the end is left out."""
    height, width = (size // 2 for size in image.shape[:2])
    cut = image[: 2 * height, : 2 * width]
    return jnp.mean(cut.reshape(height, 2, width, 2, -1), axis=(1, 3))
