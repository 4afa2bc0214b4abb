"""Inception-v3 as the Frechet Inception distance and the Inception score use it."""

import flax.linen as nn
import jax.numpy as jnp
from jax import lax

from mixgan_jax.checked import checked
from mixgan_jax.networks.conv import ImageBatch
from mixgan_jax.types import Array, Count

_EPSILON = 1e-3  # of batch norm
_WIDE, _TALL = (1, 7), (7, 1)


@checked
class InceptionV3(nn.Module):
    """Inception-v3 (Szegedy et al. 2016, arXiv 1512.00567) in the variant that FID was defined with, for inference.

    The variant is the graph of 2015-12-05 with 1,008 outputs. It differs from the network that torchvision has in its
    pooling branches: means do not count the padding, and the last block takes maxima. Modules have torchvision's names,
    such as ``Mixed_5b/branch1x1``. Batch norm uses the running averages; there is no dropout and no auxiliary
    classifier. It computes in float32. A new network has random kernels, and trained ones come from your file through
    :func:`~mixgan_jax.metrics.inception_extractor`.

    Attributes:
        num_classes: number of logits.
    """

    num_classes: Count = 1008

    @nn.compact
    @checked
    def __call__(self, x: ImageBatch, *, features: bool = False) -> Array:
        """Returns logits ``[B, num_classes]``, or the last hidden layer ``[B, 2048]``.

        Args:
            x: images ``[B, H, W, 3]`` with values in -1..1, sides of 75 pixels or more; trained on 299 x 299.
            features: whether to return the last hidden layer instead, the mean over pixels.
        """
        x = x.astype(jnp.float32)
        # Stem.
        x = _Unit(32, (3, 3), 2, name="Conv2d_1a_3x3")(x)
        x = _Unit(32, (3, 3), padding="VALID", name="Conv2d_2a_3x3")(x)
        x = _Unit(64, (3, 3), name="Conv2d_2b_3x3")(x)
        x = _halve(x)
        x = _Unit(80, name="Conv2d_3b_1x1")(x)
        x = _Unit(192, (3, 3), padding="VALID", name="Conv2d_4a_3x3")(x)
        x = _halve(x)
        # Blocks, at 35 x 35, 17 x 17 and 8 x 8 pixels for images of 299 x 299.
        for name, pooled in {"5b": 32, "5c": 64, "5d": 64}.items():
            x = _BlockA(pooled, name=f"Mixed_{name}")(x)
        x = _BlockB(name="Mixed_6a")(x)
        for name, inner in {"6b": 128, "6c": 160, "6d": 160, "6e": 192}.items():
            x = _BlockC(inner, name=f"Mixed_{name}")(x)
        x = _BlockD(name="Mixed_7a")(x)
        x = _BlockE(name="Mixed_7b")(x)
        x = _BlockE(largest=True, name="Mixed_7c")(x)
        x = jnp.mean(x, axis=(1, 2))
        return x if features else nn.Dense(self.num_classes, name="fc")(x)


class _Unit(nn.Module):
    """Convolution, batch norm and ReLU; a stride of 2 goes without padding."""

    features: int
    kernel_size: tuple[int, int] = (1, 1)
    strides: int = 1
    padding: str = "SAME"

    @nn.compact
    def __call__(self, x: Array) -> Array:
        shape = (*self.kernel_size, x.shape[3], self.features)
        kernel = self.param("kernel", nn.initializers.lecun_normal(), shape, jnp.float32)
        padding = self.padding if self.strides == 1 else "VALID"
        x = lax.conv_general_dilated(
            x, kernel, (self.strides,) * 2, padding, dimension_numbers=("NHWC", "HWIO", "NHWC")
        )
        size = (self.features,)
        scale = self.param("scale", nn.initializers.ones_init(), size, jnp.float32)
        bias = self.param("bias", nn.initializers.zeros_init(), size, jnp.float32)
        mean = self.variable("batch_stats", "mean", jnp.zeros, size, jnp.float32).value
        var = self.variable("batch_stats", "var", jnp.ones, size, jnp.float32).value
        gain = scale * lax.rsqrt(var + _EPSILON)
        shift = bias - mean * gain
        return nn.relu(x * gain.reshape(1, 1, 1, -1) + shift.reshape(1, 1, 1, -1))


class _BlockA(nn.Module):
    pooled: int

    @nn.compact
    def __call__(self, x: Array) -> Array:
        one = _Unit(64, name="branch1x1")(x)
        five = _Unit(48, name="branch5x5_1")(x)
        five = _Unit(64, (5, 5), name="branch5x5_2")(five)
        three = _Unit(64, name="branch3x3dbl_1")(x)
        three = _Unit(96, (3, 3), name="branch3x3dbl_2")(three)
        three = _Unit(96, (3, 3), name="branch3x3dbl_3")(three)
        pooled = _Unit(self.pooled, name="branch_pool")(_average(x))
        return _join(one, five, three, pooled)


class _BlockB(nn.Module):
    @nn.compact
    def __call__(self, x: Array) -> Array:
        three = _Unit(384, (3, 3), 2, name="branch3x3")(x)
        double = _Unit(64, name="branch3x3dbl_1")(x)
        double = _Unit(96, (3, 3), name="branch3x3dbl_2")(double)
        double = _Unit(96, (3, 3), 2, name="branch3x3dbl_3")(double)
        return _join(three, double, _halve(x))


class _BlockC(nn.Module):
    inner: int

    @nn.compact
    def __call__(self, x: Array) -> Array:
        one = _Unit(192, name="branch1x1")(x)
        seven = _Unit(self.inner, name="branch7x7_1")(x)
        seven = _Unit(self.inner, _WIDE, name="branch7x7_2")(seven)
        seven = _Unit(192, _TALL, name="branch7x7_3")(seven)
        double = _Unit(self.inner, name="branch7x7dbl_1")(x)
        double = _Unit(self.inner, _TALL, name="branch7x7dbl_2")(double)
        double = _Unit(self.inner, _WIDE, name="branch7x7dbl_3")(double)
        double = _Unit(self.inner, _TALL, name="branch7x7dbl_4")(double)
        double = _Unit(192, _WIDE, name="branch7x7dbl_5")(double)
        pooled = _Unit(192, name="branch_pool")(_average(x))
        return _join(one, seven, double, pooled)


class _BlockD(nn.Module):
    @nn.compact
    def __call__(self, x: Array) -> Array:
        three = _Unit(192, name="branch3x3_1")(x)
        three = _Unit(320, (3, 3), 2, name="branch3x3_2")(three)
        seven = _Unit(192, name="branch7x7x3_1")(x)
        seven = _Unit(192, _WIDE, name="branch7x7x3_2")(seven)
        seven = _Unit(192, _TALL, name="branch7x7x3_3")(seven)
        seven = _Unit(192, (3, 3), 2, name="branch7x7x3_4")(seven)
        return _join(three, seven, _halve(x))


class _BlockE(nn.Module):
    largest: bool = False

    @nn.compact
    def __call__(self, x: Array) -> Array:
        one = _Unit(320, name="branch1x1")(x)
        three = _Unit(384, name="branch3x3_1")(x)
        across = _Unit(384, (1, 3), name="branch3x3_2a")(three)
        down = _Unit(384, (3, 1), name="branch3x3_2b")(three)
        double = _Unit(448, name="branch3x3dbl_1")(x)
        double = _Unit(384, (3, 3), name="branch3x3dbl_2")(double)
        double_across = _Unit(384, (1, 3), name="branch3x3dbl_3a")(double)
        double_down = _Unit(384, (3, 1), name="branch3x3dbl_3b")(double)
        pooled = nn.max_pool(x, (3, 3), padding="SAME") if self.largest else _average(x)
        pooled = _Unit(192, name="branch_pool")(pooled)
        return _join(one, across, down, double_across, double_down, pooled)


def _join(*branches: Array) -> Array:
    return jnp.concatenate(branches, axis=-1)


def _average(x: Array) -> Array:
    """Averages over 3 x 3 pixels, at the border over those that there are."""
    return nn.avg_pool(x, (3, 3), padding="SAME", count_include_pad=False)


def _halve(x: Array) -> Array:
    """Takes the largest of 3 x 3 pixels, at every other place."""
    return nn.max_pool(x, (3, 3), strides=(2, 2))
