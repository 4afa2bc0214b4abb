"""MS-SSIM diversity: against SciPy's filters in float64, and images that are alike or not."""

import jax
import numpy as np
import pytest
from scipy.ndimage import correlate1d

from mixgan_jax.metrics import ms_ssim_diversity

KEY = jax.random.key(0)
EXPONENTS = np.array([0.0448, 0.2856, 0.3001, 0.2363, 0.1333])


def blur(image):
    """Gaussian of 11 pixels, where it fits."""
    window = np.exp(-(np.arange(-5.0, 6.0) ** 2) / 4.5)
    for axis in (0, 1):
        image = correlate1d(image, window / window.sum(), axis=axis)
    return image[5:-5, 5:-5]


def ms_ssim(x, y, span, scales):
    result = 1.0
    exponents = EXPONENTS[:scales] / EXPONENTS[:scales].sum()
    for scale, exponent in enumerate(exponents):
        c1, c2 = (0.01 * span) ** 2, (0.03 * span) ** 2
        mx, my = blur(x), blur(y)
        structure = (2 * (blur(x * y) - mx * my) + c2) / (
            blur(x * x) - mx**2 + blur(y * y) - my**2 + c2
        )
        luminance = (2 * mx * my + c1) / (mx**2 + my**2 + c1)
        term = structure * luminance if scale == scales - 1 else structure
        result *= max(term.mean(), 0.0) ** exponent
        x, y = ((i[0::2, 0::2] + i[1::2, 0::2] + i[0::2, 1::2] + i[1::2, 1::2]) / 4 for i in (x, y))
    return result


@pytest.mark.parametrize(("side", "scales"), [(24, 2), (48, 3)])
def test_two_images_against_filters_of_scipy(side, scales):
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, (side, side, 3))
    x, y = x.astype(np.float32), (0.7 * x + 0.3 * rng.uniform(-1, 1, x.shape)).astype(np.float32)
    value, stderr = ms_ssim_diversity(KEY, fake=np.stack([x, y]), span=2.0, num_pairs=3)
    expected = ms_ssim(x.astype(np.float64), y.astype(np.float64), 2.0, scales)
    assert value == pytest.approx(expected, rel=1e-5)
    assert 0.5 < value < 0.99
    assert stderr == pytest.approx(0.0, abs=1e-6)


def test_alike_is_1_and_pairs_are_of_different_images():
    one = np.random.default_rng(1).uniform(0, 1, (1, 12, 12, 1)).astype(np.float32)
    alike = ms_ssim_diversity(KEY, fake=np.repeat(one, 3, axis=0), span=1.0, num_pairs=5)
    assert alike == pytest.approx((1.0, 0.0), abs=1e-6)
    negative = np.concatenate([one, 1.0 - one])  # its structure is the opposite everywhere
    assert ms_ssim_diversity(KEY, fake=negative, span=1.0, num_pairs=20).value == 0.0


def test_small_images_are_refused():
    with pytest.raises(ValueError, match=r"fake must have shape .* with sides of 11 pixels"):
        ms_ssim_diversity(KEY, fake=np.zeros((3, 8, 12, 1), np.float32), span=2.0)


def test_images_of_a_larger_span_are_refused():
    images = 255.0 * jax.random.uniform(jax.random.key(0), (4, 16, 16, 3))
    with pytest.raises(ValueError, match="span must be that of the images or more, 25"):
        ms_ssim_diversity(jax.random.key(1), fake=images, span=2.0)
