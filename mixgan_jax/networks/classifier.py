"""Small convolutional classifiers, to count the classes that a generator makes and to compare its images."""

from typing import Annotated

import flax.linen as nn
import jax.numpy as jnp
from annotated_types import Ge

from mixgan_jax.checked import checked
from mixgan_jax.networks.conv import ImageBatch
from mixgan_jax.networks.layers import Conv, Normalising
from mixgan_jax.types import Array, Count


@checked
class ConvClassifier(nn.Module):
    """Two 3x3 convolutions (32 and 64 channels), each with 2x2 max-pooling, 128 dense units, logits.

    Smaller than the classifiers of the stacked-MNIST literature, and without dropout, so that it needs no key. For
    images of about 8 to 32 pixels.

    Attributes:
        num_classes: number of classes, >= 2.
    """

    num_classes: Annotated[int, Ge(2)] = 10

    @nn.compact
    @checked
    def __call__(self, x: ImageBatch, *, train: bool = False, features: bool = False) -> Array:
        """Returns logits ``[B, num_classes]``, or the last hidden layer ``[B, 128]``.

        Args:
            x: images ``[B, H, W, C]``, in the range that it was trained on.
            train: without effect: nothing here behaves differently in training.
            features: whether to return the last hidden layer instead, for distances between sets of images.
        """
        del train
        x = _pool(nn.relu(Conv(32, (3, 3))(x)))
        x = _pool(nn.relu(Conv(64, (3, 3))(x)))
        x = nn.relu(nn.Dense(128)(x.reshape(x.shape[0], -1)))
        return x if features else nn.Dense(self.num_classes)(x)


@checked
class ResidualClassifier(Normalising):
    """A small residual network for colour images of about 32 pixels, with batch norm.

    A 3x3 convolution with ``width`` channels, then three stages. Each halves height and width and doubles the channels
    by a convolution with stride 2, and adds a residual block of two convolutions (He, Zhang, Ren and Sun 2016, arXiv
    1512.03385). Batch norm and ReLU follow every convolution. The mean over pixels is the last hidden layer; a dense
    layer makes logits.

    Attributes:
        num_classes: number of classes, >= 2.
        width: channels of the first convolution; the last stage has eight times as many.
        norm_momentum: weight of the old value in the running averages, in [0, 1].
        norm_epsilon: added to the variance.
        axis_name: mesh or vmap axis over which batch statistics are averaged too, or None.
        dtype: what the layers compute in, see :class:`~mixgan_jax.networks.MLP`.
    """

    num_classes: Annotated[int, Ge(2)] = 10
    width: Count = 16

    @nn.compact
    @checked
    def __call__(self, x: ImageBatch, *, train: bool, features: bool = False) -> Array:
        """Returns logits ``[B, num_classes]``, or the last hidden layer ``[B, 8 width]``.

        Args:
            x: images ``[B, H, W, C]``, in the range that it was trained on.
            train: whether batch norm uses the batch's statistics, and updates the averages if they are mutable.
            features: whether to return the last hidden layer instead, for distances between sets of images.
        """
        x = nn.relu(self._convolve(x, self.width, train))
        for stage in range(1, 4):
            channels = self.width * 2**stage
            x = nn.relu(self._convolve(x, channels, train, strides=2))
            inner = nn.relu(self._convolve(x, channels, train))
            x = nn.relu(x + self._convolve(inner, channels, train))
        x = self.widened(jnp.mean(x, axis=(1, 2)))
        return x if features else nn.Dense(self.num_classes)(x)

    @nn.nowrap
    def _convolve(self, x: Array, channels: int, train: bool, strides: int = 1) -> Array:
        """Convolves and normalises."""
        layer = Conv(
            channels,
            (3, 3),
            strides=strides,
            use_bias=False,
            kernel_init=nn.initializers.he_normal(),
            dtype=self.dtype,
        )
        return self.normalise(layer(x), train)


def _pool(x: Array) -> Array:
    """Takes the largest of each 2x2 block, by a reshape: on CPU the gradient of ``nn.max_pool`` is much slower."""
    # Odd sides get a row or column of zeros, which no ReLU output is below.
    x = jnp.pad(x, ((0, 0), (0, x.shape[1] % 2), (0, x.shape[2] % 2), (0, 0)))
    batch, height, width, channels = x.shape
    return jnp.max(x.reshape(batch, height // 2, 2, width // 2, 2, channels), axis=(2, 4))
