"""Linen layers over the component-friendly convolutions, and the maxout activation."""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, TypeAlias

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.linen.dtypes import promote_dtype

from mixgan_jax.checked import checked
from mixgan_jax.checks import check_array, check_counts, check_function, fail
from mixgan_jax.networks.conv import ImageBatch, Padding, Sizes, conv, conv_transpose
from mixgan_jax.types import Array, Count, NonNegative, Share

Initializer: TypeAlias = Annotated[nn.initializers.Initializer, check_function]
"""``init(key, shape, dtype) -> array``, as those of ``flax.linen.initializers``."""


def check_dtype(name: str, value: Any) -> Any:
    """Returns a floating-point dtype, or None."""
    with contextlib.suppress(Exception):  # NumPy raises several for what is no dtype at all
        if value is None or jnp.issubdtype(value, jnp.floating):
            return value
    raise fail(name, value, "a floating-point dtype or None", TypeError)


ComputeDtype: TypeAlias = Annotated[Any, check_dtype]
"""A floating-point dtype to compute in, as ``jnp.bfloat16``, or None for that of inputs and parameters."""

KernelSize: TypeAlias = Annotated[tuple[int, int], partial(check_counts, length=2)]
"""Height and width of a kernel, whole numbers >= 1."""


class Convolving(nn.Module):
    """Base of :class:`Conv` and :class:`ConvTranspose`, which differ in the function that they apply."""

    features: Count
    kernel_size: KernelSize
    strides: Sizes = 1
    padding: Padding = "SAME"
    use_bias: bool = True
    kernel_init: Initializer = nn.initializers.lecun_normal()
    dtype: ComputeDtype = None

    @nn.nowrap
    def convolve(self, function: Callable[..., Array], x: Array) -> Array:
        """Applies ``conv`` or ``conv_transpose`` and the bias, inside ``__call__``."""
        shape = (*self.kernel_size, x.shape[3], self.features)
        kernel = self.param("kernel", self.kernel_init, shape)
        bias = None
        if self.use_bias:
            bias = self.param("bias", nn.initializers.zeros_init(), (self.features,))
        x, kernel, bias = promote_dtype(x, kernel, bias, dtype=self.dtype)
        y = function(x, kernel, strides=self.strides, padding=self.padding)
        return y if bias is None else y + bias.reshape(1, 1, 1, -1)


@checked
class Conv(Convolving):
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
        dtype: images and parameters are cast to it, and it comes out; None: the wider of theirs.
    """

    @nn.compact
    @checked
    def __call__(self, x: ImageBatch) -> Array:
        """Returns the convolved images ``[B, H', W', features]``."""
        return self.convolve(conv, x)


@checked
class ConvTranspose(Convolving):
    """Transposed convolution with a bias, on :func:`~mixgan_jax.networks.conv_transpose`.

    Maps images ``[B, H, W, C]`` to ``[B, H', W', features]``, with padding "SAME" ``H' = stride * H``. Parameters and
    attributes as in :class:`Conv`; but ``strides`` is the factor by which the image grows, and ``padding`` is as in
    ``lax.conv_transpose``.
    """

    @nn.compact
    @checked
    def __call__(self, x: ImageBatch) -> Array:
        """Returns the grown images ``[B, H', W', features]``."""
        return self.convolve(conv_transpose, x)


class Normalising(nn.Module, kw_only=True):
    """Base of the networks with batch norm; its fields are keyword-only.

    Attributes:
        norm_momentum: weight of the old value in the running averages, in [0, 1].
        norm_epsilon: added to the variance.
        axis_name: mesh or vmap axis over which batch statistics are averaged too, or None.
        dtype: what layers compute in, see :class:`~mixgan_jax.networks.MLP`.
    """

    norm_momentum: Share = 0.9
    norm_epsilon: NonNegative = 1e-5
    axis_name: str | None = None
    dtype: ComputeDtype = None

    @nn.nowrap
    def widened(self, x: Array) -> Array:
        """Casts what layers of another ``dtype`` made to float32, for batch statistics and for results."""
        return x if self.dtype is None else x.astype(jnp.float32)

    @nn.nowrap
    def normalise(self, x: Array, train: bool) -> Array:
        """Normalises a batch, inside ``__call__``."""
        norm = nn.BatchNorm(
            use_running_average=not train,
            momentum=self.norm_momentum,
            epsilon=self.norm_epsilon,
            axis_name=self.axis_name,
        )
        y = norm(self.widened(x))
        return y if self.dtype is None else y.astype(self.dtype)


@jax.custom_jvp
def _largest(pieces: Array) -> Array:
    """Returns the maximum over the last axis but one.

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


@checked
@dataclass(frozen=True, repr=False)
class Maxout:
    """The activation that :func:`maxout` makes; ``pieces`` tells a network how much wider its layer must be."""

    pieces: Count

    def __post_init__(self) -> None:
        """Runs the rules of the fields."""

    def __call__(self, x: Array) -> Array:
        """Returns the largest of each unit's pieces: ``[..., units * pieces]`` to ``[..., units]``."""
        x = check_array("x", x)
        if x.ndim < 1 or x.shape[-1] % self.pieces:
            raise ValueError(
                f"x must have a multiple of {self.pieces} features for maxout, got shape {x.shape}"
            )
        return _largest(x.reshape(*x.shape[:-1], self.pieces, -1))

    def __repr__(self) -> str:
        """Returns the call that makes it."""
        return f"maxout({self.pieces})"


def maxout(pieces: Count) -> Callable[[Array], Array]:
    """Makes the activation maxout over ``pieces`` linear functions per unit: ``h_i = max_l (x W_il + b_il)``.

    Goodfellow et al. (2013, arXiv 1302.4389). Given as ``activation`` to :class:`~mixgan_jax.networks.MLP`, each
    hidden layer gets ``units * pieces`` linear outputs and ``units`` features; piece l of unit i is output
    ``l * units + i``. Where pieces of a unit are equal, each of them has the derivative of the largest.

    Args:
        pieces: linear functions per unit, >= 1.

    Returns:
        An activation from ``[..., units * pieces]`` to ``[..., units]``.
    """
    return Maxout(pieces)
