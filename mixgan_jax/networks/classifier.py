"""A small convolutional classifier, to count the digits that a generator makes."""

from typing import Annotated

import flax.linen as nn
import jax.numpy as jnp
from annotated_types import Ge

from mixgan_jax.checked import checked
from mixgan_jax.networks.conv import ImageBatch
from mixgan_jax.networks.layers import Conv
from mixgan_jax.types import Array


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


def _pool(x: Array) -> Array:
    """Takes the largest of each 2x2 block, by a reshape: on CPU the gradient of ``nn.max_pool`` is much slower."""
    # Odd sides get a row or column of zeros, which no ReLU output is below.
    x = jnp.pad(x, ((0, 0), (0, x.shape[1] % 2), (0, x.shape[2] % 2), (0, 0)))
    batch, height, width, channels = x.shape
    return jnp.max(x.reshape(batch, height // 2, 2, width // 2, 2, channels), axis=(2, 4))
