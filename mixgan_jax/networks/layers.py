"""Linen layers over the component-friendly convolutions, and the maxout activation."""

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.linen.dtypes import promote_dtype

from mixgan_jax.checks import (
    check_array,
    check_count,
    check_counts,
    check_flag,
    check_function,
    check_number,
    fail,
)
from mixgan_jax.networks.conv import check_images, check_padding, check_pair, conv, conv_transpose
from mixgan_jax.types import Array

Initializer: TypeAlias = nn.initializers.Initializer
Padding: TypeAlias = str | Sequence[Sequence[int]]


class Conv(nn.Module):
    """Convolution with a bias, on :func:`~mixgan_jax.networks.conv`.

    Maps images ``[B, H, W, C]`` to ``[B, H', W', features]``. Parameters, float32: ``kernel``
    ``[kh, kw, C, features]`` and, with ``use_bias``, ``bias`` ``[features]``, zero at first.

    Attributes:
        features: output channels.
        kernel_size: height and width of the kernel.
        strides: step between windows, one number or (height, width).
        padding: "SAME", "VALID" or ``((top, bottom), (left, right))``.
        use_bias: whether a bias is added.
        kernel_init: initialiser of the kernel.
    """

    features: int
    kernel_size: tuple[int, int]
    strides: int | tuple[int, int] = 1
    padding: Padding = "SAME"
    use_bias: bool = True
    kernel_init: Initializer = nn.initializers.lecun_normal()

    def __post_init__(self) -> None:
        """Checks the sizes."""
        _check_layer(self)
        super().__post_init__()

    @nn.compact
    def __call__(self, x: Array) -> Array:
        """The convolved images ``[B, H', W', features]``."""
        x, kernel, bias = _parameters(self, x)
        y = conv(x, kernel, strides=self.strides, padding=self.padding)
        return y if bias is None else y + bias.reshape(1, 1, 1, -1)


class ConvTranspose(nn.Module):
    """Transposed convolution with a bias, on :func:`~mixgan_jax.networks.conv_transpose`.

    Maps images ``[B, H, W, C]`` to ``[B, H', W', features]``, with padding "SAME" ``H' = stride * H``. Parameters as
    in :class:`Conv`.

    Attributes:
        features: output channels.
        kernel_size: height and width of the kernel.
        strides: factor by which the image grows, one number or (height, width).
        padding: "SAME", "VALID" or ``((top, bottom), (left, right))``, as in ``lax.conv_transpose``.
        use_bias: whether a bias is added.
        kernel_init: initialiser of the kernel.
    """

    features: int
    kernel_size: tuple[int, int]
    strides: int | tuple[int, int] = 1
    padding: Padding = "SAME"
    use_bias: bool = True
    kernel_init: Initializer = nn.initializers.lecun_normal()

    def __post_init__(self) -> None:
        """Checks the sizes."""
        _check_layer(self)
        super().__post_init__()

    @nn.compact
    def __call__(self, x: Array) -> Array:
        """The grown images ``[B, H', W', features]``."""
        x, kernel, bias = _parameters(self, x)
        y = conv_transpose(x, kernel, strides=self.strides, padding=self.padding)
        return y if bias is None else y + bias.reshape(1, 1, 1, -1)


def check_norm(net: Any) -> None:
    """The fields with which a network says how it normalises and starts."""
    check_flag("batch_norm", net.batch_norm)
    check_function("kernel_init", net.kernel_init)
    check_number("norm_momentum", net.norm_momentum, minimum=0.0, maximum=1.0)
    check_number("norm_epsilon", net.norm_epsilon, minimum=0.0)
    if not isinstance(net.axis_name, str | None):
        raise fail("axis_name", net.axis_name, "the name of an axis, or None", TypeError)


def normalise(net: Any, x: Array, train: bool) -> Array:
    """Batch norm by the fields of ``net``, inside its ``__call__``."""
    norm = nn.BatchNorm(
        use_running_average=not train,
        momentum=float(net.norm_momentum),
        epsilon=float(net.norm_epsilon),
        axis_name=net.axis_name,
    )
    return norm(x)


@jax.custom_jvp
def _largest(pieces: Array) -> Array:
    """The maximum over the last axis but one.

    Its derivative selects. That of ``jnp.max`` counts ties and divides by their number, which took two thirds of the
    time of a dense layer with five pieces and its gradient.
    """
    return jnp.max(pieces, axis=-2)


@_largest.defjvp
def _largest_jvp(primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    (pieces,), (tangent,) = primals, tangents
    out = _largest(pieces)
    zero = jnp.zeros((), tangent.dtype)
    return out, jnp.sum(jnp.where(pieces == out[..., None, :], tangent, zero), axis=-2)


def _check_layer(layer: Conv | ConvTranspose) -> None:
    check_count("features", layer.features)
    check_counts("kernel_size", layer.kernel_size, 2)
    check_pair("strides", layer.strides)
    check_padding("padding", layer.padding)
    check_flag("use_bias", layer.use_bias)
    check_function("kernel_init", layer.kernel_init)


def _parameters(layer: Conv | ConvTranspose, x: Array) -> tuple[Array, Array, Array | None]:
    x = check_images("x", x)
    shape = (*layer.kernel_size, x.shape[3], layer.features)
    kernel = layer.param("kernel", layer.kernel_init, shape)
    bias = None
    if layer.use_bias:
        bias = layer.param("bias", nn.initializers.zeros_init(), (layer.features,))
    x, kernel, bias = promote_dtype(x, kernel, bias, dtype=None)
    return x, kernel, bias


class Maxout:
    """The activation made by :func:`maxout`; ``pieces`` tells a network how much wider its layer must be."""

    def __init__(self, pieces: int) -> None:
        """See :func:`maxout`."""
        self.pieces = check_count("pieces", pieces)

    def __call__(self, x: Array) -> Array:
        """The largest of each unit's pieces: ``[..., units * pieces]`` to ``[..., units]``."""
        x = check_array("x", x)
        if x.ndim < 1 or x.shape[-1] % self.pieces:
            raise ValueError(
                f"x must have a multiple of {self.pieces} features for maxout, got shape {x.shape}"
            )
        return _largest(x.reshape(*x.shape[:-1], self.pieces, -1))

    def __eq__(self, other: object) -> bool:
        """Equal to a maxout of as many pieces."""
        return isinstance(other, Maxout) and other.pieces == self.pieces

    def __hash__(self) -> int:
        """Of the number of pieces."""
        return hash((Maxout, self.pieces))

    def __repr__(self) -> str:
        """As it is made."""
        return f"maxout({self.pieces})"


def maxout(pieces: int) -> Callable[[Array], Array]:
    """Maxout over ``pieces`` linear functions per unit: ``h_i = max_l (x W_il + b_il)``.

    Goodfellow et al. (2013, arXiv 1302.4389). Given as ``activation`` to :class:`~mixgan_jax.networks.MLP`, each
    hidden layer gets ``units * pieces`` linear outputs and ``units`` features; piece l of unit i is output
    ``l * units + i``. Where pieces of a unit are equal, each of them has the derivative of the largest.

    Args:
        pieces: linear functions per unit, >= 1.

    Returns:
        An activation from ``[..., units * pieces]`` to ``[..., units]``.

    Raises:
        ValueError: ``pieces`` < 1.
        TypeError: ``pieces`` is not a whole number.
    """
    return Maxout(pieces)
