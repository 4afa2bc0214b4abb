"""Residual networks for images, as SNGAN and WGAN-GP train them on CIFAR-10."""

from dataclasses import field

import flax.linen as nn
import jax.numpy as jnp

from mixgan_jax.checked import checked
from mixgan_jax.networks.conv import ImageBatch
from mixgan_jax.networks.layers import Conv, Initializer
from mixgan_jax.networks.pyramid import pyramid
from mixgan_jax.networks.spectral import SpectralNetwork
from mixgan_jax.networks.stages import ImageShape, Latents, Size
from mixgan_jax.types import Array, Count

HE_UNIFORM: Initializer = nn.initializers.variance_scaling(2.0, "fan_avg", "uniform")
"""The papers' initialiser of kernels between ReLUs."""


class ResidualNetwork(SpectralNetwork, kw_only=True):
    """Base of the residual networks: their initialiser, layers and the common part of their blocks."""

    kernel_init: Initializer = HE_UNIFORM

    @nn.nowrap
    def layer(self, x: Array, features: int, kernel: int, train: bool) -> Array:
        """Convolves images, which keep their size."""
        return self.bounded(self.convolution(Conv, features, kernel), x, train)

    @nn.nowrap
    def active(self, x: Array, train: bool) -> Array:
        """Normalises images if the network has batch norm, and rectifies them."""
        return nn.relu(self.normalise(x, train) if self.batch_norm else x)


@checked
class ResidualGenerator(ResidualNetwork):
    """The residual generator of SNGAN and WGAN-GP: a dense layer, blocks that double the image, one more convolution.

    Miyato, Kataoka, Koyama and Yoshida (2018, arXiv 1802.05957, table 4), after Gulrajani et al. (2017, arXiv
    1704.00028). Dense to the smallest image, then a block in each stage: batch norm, ReLU, nearest-neighbour doubling,
    a 3x3 convolution, batch norm, ReLU, a 3x3 convolution. Beside it run a doubling and a 1x1 convolution. Batch norm,
    ReLU, a 3x3 convolution to the image, and tanh follow. All hidden layers have ``width`` channels: 256 in SNGAN, with
    4,276,739 parameters for 128 latents and 32x32x3; 128 in WGAN-GP.

    Departures: dense and 1x1 kernels are initialised like the 3x3 ones. The 1x1 convolution runs before the doubling,
    which gives the same image for a quarter of the work.

    Attributes:
        shape: of an image, (H, W, C).
        width: channels of all hidden layers.
        stages: how often the image doubles; see :class:`DCGANGenerator`.
        batch_norm: whether the inputs of convolutions are batch-normalised.
        spectral_norm: whether each kernel is divided by its largest singular value.
        kernel_init: initialiser of all kernels, the dense one's too.
        norm_momentum: weight of the old value in the running averages, in [0, 1].
        norm_epsilon: added to the variance.
        axis_name: mesh or vmap axis over which batch statistics are averaged too, or None.
        dtype: what the layers compute in, see :class:`~mixgan_jax.networks.MLP`.
    """

    shape: ImageShape = (32, 32, 3)
    width: Count = 256
    stages: Count | None = None
    spectral_norm: bool = field(default=False, kw_only=True)

    def __post_init__(self) -> None:
        """Refuses a shape that the stages cannot make."""
        pyramid(self.shape, self.stages)
        super().__post_init__()

    @nn.compact
    @checked
    def __call__(self, z: Latents, *, train: bool) -> Array:
        """Returns images ``[B, H, W, C]`` in [-1, 1].

        Args:
            z: latents ``[B, Z]``.
            train: whether batch norm uses the batch's statistics, and updates the averages if they are mutable.
        """
        (height, width), *sizes = pyramid(self.shape, self.stages)[::-1]
        x = self.bounded(self.dense(height * width * self.width), z, train)
        x = x.reshape(-1, height, width, self.width)
        for size in sizes:
            inner = doubled(self.active(x, train), size)
            inner = self.active(self.layer(inner, self.width, 3, train), train)
            inner = self.layer(inner, self.width, 3, train)
            x = doubled(self.layer(x, self.width, 1, train), size) + inner
        x = self.layer(self.active(x, train), self.shape[2], 3, train)
        return nn.tanh(self.widened(x))


@checked
class ResidualDiscriminator(ResidualNetwork):
    """The residual discriminator of SNGAN and WGAN-GP: blocks, the sum over all pixels, a dense layer to one logit.

    Miyato, Kataoka, Koyama and Yoshida (2018, arXiv 1802.05957, table 4), after Gulrajani et al. (2017, arXiv
    1704.00028). A block is ReLU, a 3x3 convolution, ReLU, a 3x3 convolution, and the identity beside them. The first
    ``stages`` blocks halve the image by the mean of 2x2 pixels, and have a 1x1 convolution for the identity. The very
    first has no ReLU in front. Two blocks that keep the size and a ReLU follow. All hidden layers have ``width``
    channels: 128 in both papers, with 1,053,825 parameters for 32x32x3.

    With spectral norm train it with ``losses.hinge()``; without, with ``losses.wasserstein()`` and
    ``penalties.gradient_penalty()``. Departures: those of :class:`ResidualGenerator`; and WGAN-GP takes the mean over
    pixels.

    Attributes:
        width: channels of all hidden layers.
        stages: how often the image is halved, 2 in the papers; halves of odd sides are rounded up.
        spectral_norm: whether each kernel is divided by its largest singular value.
        batch_norm: whether the inputs of convolutions after the first are batch-normalised.
        kernel_init: initialiser of all kernels, the dense one's too.
        norm_momentum: weight of the old value in the running averages, in [0, 1].
        norm_epsilon: added to the variance.
        axis_name: mesh or vmap axis over which batch statistics are averaged too, or None.
        dtype: what the layers compute in, see :class:`~mixgan_jax.networks.MLP`.
    """

    width: Count = 128
    stages: Count = 2
    batch_norm: bool = field(default=False, kw_only=True)

    @nn.compact
    @checked
    def __call__(self, x: ImageBatch, *, train: bool) -> Array:
        """Returns logits ``[B]``.

        Args:
            x: images ``[B, H, W, C]``.
            train: whether batch norm uses the batch's statistics, and the state moves if it is mutable.
        """
        pyramid(x.shape[1:], self.stages)
        for block in range(self.stages + 2):
            inner = self.active(x, train) if block else x
            inner = self.active(self.layer(inner, self.width, 3, train), train)
            inner = self.layer(inner, self.width, 3, train)
            if block < self.stages:
                inner, x = halved(inner), self.layer(halved(x), self.width, 1, train)
            x = x + inner
        x = jnp.sum(self.widened(self.active(x, train)), axis=(1, 2))
        return self.widened(self.bounded(self.dense(1), x, train).reshape(-1))


def doubled(x: Array, size: Size) -> Array:
    """Repeats each pixel twice either way, and cuts ``[B, H, W, C]`` to ``size``."""
    x = jnp.repeat(jnp.repeat(x, 2, axis=1), 2, axis=2)
    return x[:, : size[0], : size[1]]


def halved(x: Array) -> Array:
    """Takes the mean of each 2x2 block; at an odd side the last row or column is alone."""
    batch, height, width, channels = x.shape
    x = jnp.pad(x, ((0, 0), (0, height % 2), (0, width % 2), (0, 0)), mode="edge")
    return jnp.mean(x.reshape(batch, -(-height // 2), 2, -(-width // 2), 2, channels), axis=(2, 4))
