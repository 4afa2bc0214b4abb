"""The stages of DCGAN and of its relatives, called inside a network's ``__call__`` and made by the network's fields."""

from typing import Any

import flax.linen as nn

from mixgan_jax.checks import check_array
from mixgan_jax.networks.layers import ConvTranspose, normalise
from mixgan_jax.networks.pyramid import growing_pads
from mixgan_jax.types import Array

Size = tuple[int, int]


def smallest_image(net: Any, z: Array, size: Size, channels: int, *, use_bias: bool) -> Array:
    """Latents ``[B, Z]`` through a dense layer to images ``[B, *size, channels]``."""
    z = check_array("z", z, floating=True)
    if z.ndim != 2 or 0 in z.shape:
        raise ValueError(f"z must have shape [B, Z], both >= 1, got {z.shape}")
    dense = nn.Dense(size[0] * size[1] * channels, use_bias=use_bias, kernel_init=net.kernel_init)
    return dense(z).reshape(-1, *size, channels)


def grow(
    net: Any, x: Array, small: Size, large: Size, features: int, kernel: int, *, use_bias: bool
) -> Array:
    """Images of size ``small`` to images ``[B, *large, features]``, by a transposed convolution."""
    layer = ConvTranspose(
        features,
        (kernel, kernel),
        strides=2,
        padding=growing_pads(small, large, kernel),
        use_bias=use_bias,
        kernel_init=net.kernel_init,
    )
    return layer(x)


def rectify(net: Any, x: Array, train: bool) -> Array:
    """Batch norm, if the network has it, and ReLU."""
    return nn.relu(normalise(net, x, train) if net.batch_norm else x)


def one_logit(net: Any, x: Array) -> Array:
    """All features of each example through a dense layer: ``[B]``."""
    return nn.Dense(1, kernel_init=net.kernel_init)(x.reshape(x.shape[0], -1)).reshape(-1)
