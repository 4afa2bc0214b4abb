"""The base of the DCGAN and Metz networks: their shared fields, and the stages that they are made of."""

import itertools
from collections.abc import Sequence
from functools import partial
from typing import Annotated, Any, TypeAlias

import flax.linen as nn

from mixgan_jax.checks import check_array, check_counts
from mixgan_jax.networks.layers import Conv, ConvTranspose, Initializer, Normalising
from mixgan_jax.networks.pyramid import growing_pads
from mixgan_jax.types import Array

Size: TypeAlias = tuple[int, int]

ImageShape: TypeAlias = Annotated[Sequence[int], partial(check_counts, length=3)]
"""Height, width and channels of an image, whole numbers >= 1."""


def check_latents(name: str, value: Any) -> Array:
    """Returns latents ``[B, Z]``, floating point, neither size 0."""
    z = check_array(name, value, floating=True)
    if z.ndim != 2 or 0 in z.shape:
        raise ValueError(f"{name} must have shape [B, Z], both >= 1, got {z.shape}")
    return z


Latents: TypeAlias = Annotated[Array, check_latents]
"""Latents ``[B, Z]``, floating point."""


class ImageNetwork(Normalising, kw_only=True):
    """Base of networks whose stages each double or halve an image; its fields are keyword-only.

    Attributes:
        batch_norm: whether stages are batch-normalised.
        kernel_init: initialiser of all kernels, the dense one's too.
    """

    batch_norm: bool = True
    kernel_init: Initializer = nn.initializers.normal(0.02)

    @nn.nowrap
    def dense(self, features: int, **options: Any) -> nn.Dense:
        """Makes a dense layer of this network's initialiser and dtype."""
        return nn.Dense(features, kernel_init=self.kernel_init, dtype=self.dtype, **options)

    @nn.nowrap
    def convolution(self, kind: Any, features: int, kernel: int, **options: Any) -> Any:
        """Makes a layer of class ``kind``, of this network's initialiser and dtype."""
        return kind(
            features, (kernel, kernel), kernel_init=self.kernel_init, dtype=self.dtype, **options
        )

    @nn.nowrap
    def grow(
        self,
        z: Array,
        sizes: Sequence[Size],
        channels: int,
        kernel: int,
        *,
        bias: bool,
        train: bool,
    ) -> Array:
        """Grows latents ``[B, Z]`` to images of the last of ``sizes``, through a layer for each size.

        The first layer is dense, with ``channels``. The others are transposed convolutions, each with half as many.
        Each ends in batch norm, if the network has it, and ReLU.
        """
        height, width = sizes[0]
        dense = self.dense(height * width * channels, use_bias=bias)
        x = self._rectify(dense(z).reshape(-1, height, width, channels), train)
        for small, large in itertools.pairwise(sizes):
            channels //= 2
            x = self._rectify(self.double(x, small, large, channels, kernel, bias=bias), train)
        return x

    @nn.nowrap
    def double(
        self, x: Array, small: Size, large: Size, features: int, kernel: int, *, bias: bool
    ) -> Array:
        """Grows images of size ``small`` to ``[B, *large, features]``, by a transposed convolution."""
        padding = growing_pads(small, large, kernel)
        layer = self.convolution(
            ConvTranspose, features, kernel, strides=2, padding=padding, use_bias=bias
        )
        return layer(x)

    @nn.nowrap
    def _rectify(self, x: Array, train: bool) -> Array:
        return nn.relu(self.normalise(x, train) if self.batch_norm else x)

    @nn.nowrap
    def halve(self, x: Array, features: int, kernel: int, *, bias: bool) -> Array:
        """Shrinks images to half their height and width, by a convolution."""
        return self.convolution(Conv, features, kernel, strides=2, use_bias=bias)(x)

    @nn.nowrap
    def judge(self, x: Array) -> Array:
        """Maps all features of each example to one logit, ``[B]``, by a dense layer."""
        logits = self.dense(1)(x.reshape(x.shape[0], -1)).reshape(-1)
        return self.widened(logits)
