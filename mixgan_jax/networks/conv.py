"""Convolutions that cost as much under ``jax.vmap`` over components as in separate networks.

``vmap`` over kernels turns XLA's native convolution into a grouped one, and inside ``scan`` its weight gradient
misses the fast path: on CPU both are slower by a factor of five to a hundred. Here the forward pass, the input
gradient and the weight gradient are each one plain convolution in NHWC/HWIO order, and ``vmap`` over kernels becomes
one such convolution per kernel.
"""

from collections.abc import Sequence
from operator import index
from typing import Annotated, Any, TypeAlias, cast

from jax import lax

from mixgan_jax.checked import checked
from mixgan_jax.checks import check_array, check_choice, check_count, check_counts, fail
from mixgan_jax.networks._canonical import (
    LAYOUT,
    Geometry,
    Pads,
    Pair,
    adjoint,
    pieces,
    vary_alike,
)
from mixgan_jax.types import Array


def check_images(name: str, value: Any) -> Array:
    """Returns images ``[B, H, W, C]``, floating point, none of whose sizes is 0."""
    images = check_array(name, value, floating=True)
    if images.ndim != 4 or 0 in images.shape:
        raise ValueError(f"{name} must have shape [B, H, W, C], all >= 1, got {images.shape}")
    return images


def check_kernel(name: str, value: Any) -> Array:
    """Returns a kernel ``[kh, kw, C, O]``, none of whose sizes is 0."""
    kernel = check_array(name, value)
    if kernel.ndim != 4 or 0 in kernel.shape:
        raise ValueError(f"{name} must have shape [kh, kw, C, O], all >= 1, got {kernel.shape}")
    return kernel


def check_pair(name: str, value: int | Sequence[int]) -> Pair:
    """Returns whole numbers >= 1 for height and width, or one for both."""
    if isinstance(value, Sequence):
        return check_counts(name, value, 2)  # type: ignore[return-value]
    both = check_count(name, value)
    return both, both


def check_padding(name: str, value: Any) -> str | Pads:
    """Returns a padding by its name, or whole numbers ``((top, bottom), (left, right))``; negative ones crop."""
    if isinstance(value, str):
        return check_choice(name, value, ("SAME", "VALID"))
    try:
        (top, bottom), (left, right) = value
        return (index(top), index(bottom)), (index(left), index(right))
    except (TypeError, ValueError) as error:
        expected = '"SAME", "VALID" or ((top, bottom), (left, right))'
        raise fail(name, value, expected) from error


ImageBatch: TypeAlias = Annotated[Array, check_images]
"""Images ``[B, H, W, C]``, floating point."""

Kernel: TypeAlias = Annotated[Array, check_kernel]
"""A kernel ``[kh, kw, C, O]``."""

Sizes: TypeAlias = Annotated[int | Sequence[int], check_pair]
"""A whole number >= 1 for height and for width, or one for both."""

Padding: TypeAlias = Annotated[str | Sequence[Sequence[int]], check_padding]
"""``"SAME"``, ``"VALID"`` or ``((top, bottom), (left, right))``."""


@checked
def conv(
    x: ImageBatch,
    kernel: Kernel,
    *,
    strides: Sizes = (1, 1),
    padding: Padding = "SAME",
    dilation: Sizes = (1, 1),
) -> Array:
    """Convolves images (cross-correlation), as ``lax.conv_general_dilated`` does in NHWC/HWIO order.

    Reverse-mode derivatives of every order work, under ``vmap`` (nested too), ``scan`` and ``shard_map``.
    Forward-mode derivatives (``jax.jvp``, ``jax.jacfwd``, hence ``jax.hessian``) do not.

    Args:
        x: images ``[B, H, W, C]``.
        kernel: ``[kh, kw, C, O]``, of the dtype of ``x``.
        strides: step between windows, >= 1: one number, or one for height and one for width.
        padding: "SAME" (``ceil(H / stride)`` rows come out), "VALID", or ``((top, bottom), (left, right))``.
        dilation: distance between the taps of the kernel, >= 1.

    Returns:
        Images ``[B, H', W', O]``.
    """
    _check_operands(x, kernel)
    steps, spread = cast(Pair, strides), cast(Pair, dilation)  # their rule makes pairs of them
    image, taps = _image(x), _taps(kernel)
    reach = tuple((t - 1) * d + 1 for t, d in zip(taps, spread, strict=True))
    pads: Any = padding
    if isinstance(pads, str):
        pads = tuple(lax.padtype_to_pads(image, reach, steps, pads))
    output = tuple(
        (n + sum(pad) - r) // s + 1 for n, pad, r, s in zip(image, pads, reach, steps, strict=True)
    )
    if min(output) < 1:
        raise ValueError(
            f"kernel must fit into the padded image, got kernel {taps} with dilation {spread}, "
            f"image {image} and padding {pads}"
        )
    geometry = Geometry(image, taps, output, steps, pads, spread)
    return pieces(geometry).forward(*vary_alike(x, kernel))


@checked
def conv_transpose(
    x: ImageBatch,
    kernel: Kernel,
    *,
    strides: Sizes = (1, 1),
    padding: Padding = "SAME",
) -> Array:
    """Convolves images by the transposed rule, as ``lax.conv_transpose`` and Linen's ``nn.ConvTranspose`` do.

    The image gets ``stride - 1`` zeros between its pixels and is padded. It is then correlated with ``kernel``, which
    is not flipped and keeps its channel axes (``transpose_kernel=False``). The result is computed as the input
    gradient of :func:`conv`, and has the same derivatives.

    Args:
        x: images ``[B, H, W, C]``.
        kernel: ``[kh, kw, C, O]``, of the dtype of ``x``.
        strides: factor by which the image grows, >= 1: one number, or one for height and one for width.
        padding: "SAME" (``stride * H`` rows come out), "VALID" (``stride * H + max(kh - stride, 0)``), or
            ``((top, bottom), (left, right))`` zeros around the spread-out image.

    Returns:
        Images ``[B, H', W', O]``.
    """
    _check_operands(x, kernel)
    steps, image, taps = cast(Pair, strides), _image(x), _taps(kernel)
    outer: Any = padding
    if isinstance(outer, str):
        outer = tuple(_transpose_pad(t, s, outer) for t, s in zip(taps, steps, strict=True))
    grown = tuple(
        (n - 1) * s + 2 - t + sum(pad)
        for n, s, t, pad in zip(image, steps, taps, outer, strict=True)
    )
    if min(grown) < 1:
        raise ValueError(
            f"padding must leave at least one pixel, got {outer} with kernel {taps}, strides {steps} "
            f"and image {image}"
        )
    # Padding of the adjoint: the convolution from the large image to the small one.
    pads: Any = tuple(
        (t - 1 - before, (n - 1) * s + t - large - (t - 1 - before))
        for n, s, t, large, (before, _) in zip(image, steps, taps, grown, outer, strict=True)
    )
    geometry = Geometry(grown, taps, image, steps, pads, (1, 1))
    return pieces(geometry).input_gradient(*vary_alike(x, adjoint(kernel)))


def conv_general_dilated(
    lhs: Array,
    rhs: Array,
    window_strides: Sequence[int],
    padding: str | Sequence[tuple[int, int]],
    lhs_dilation: Sequence[int] | None = None,
    rhs_dilation: Sequence[int] | None = None,
    dimension_numbers: Any = None,
    **others: Any,
) -> Array:
    """Calls :func:`conv` by the signature of ``lax.conv_general_dilated``, for ``nn.Conv(conv_general_dilated=...)``.

    Two-dimensional NHWC/HWIO convolutions with one feature group and no ``lhs_dilation`` go to :func:`conv`. All
    else (groups, other layouts or ranks, an explicit ``precision`` or ``preferred_element_type``) goes to ``lax``,
    and stays slow under ``vmap``.

    Args:
        lhs: images ``[B, H, W, C]`` (for the fast path).
        rhs: kernel ``[kh, kw, C, O]`` (for the fast path).
        window_strides: step between windows, one per spatial axis.
        padding: "SAME", "VALID" or a pair per spatial axis.
        lhs_dilation: distance between pixels, None for 1.
        rhs_dilation: distance between taps, None for 1.
        dimension_numbers: as in ``lax``.
        **others: further arguments of ``lax.conv_general_dilated``.

    Returns:
        Images ``[B, H', W', O]`` (for the fast path).
    """
    plain = {key: value for key, value in others.items() if value not in (None, 1)}
    undilated = lhs_dilation is None or all(step == 1 for step in lhs_dilation)
    if lhs.ndim == 4 and undilated and not plain:
        numbers = lax.conv_dimension_numbers(lhs.shape, rhs.shape, dimension_numbers)
        if numbers == lax.conv_dimension_numbers(lhs.shape, rhs.shape, LAYOUT):
            spread = (1, 1) if rhs_dilation is None else rhs_dilation
            return conv(lhs, rhs, strides=window_strides, padding=padding, dilation=spread)
    return lax.conv_general_dilated(
        lhs,
        rhs,
        window_strides,
        padding,
        lhs_dilation=lhs_dilation,
        rhs_dilation=rhs_dilation,
        dimension_numbers=dimension_numbers,
        **others,
    )


def _transpose_pad(taps: int, stride: int, padding: str) -> Pair:
    """Counts the zeros around the spread-out image, by the convention of ``lax.conv_transpose``."""
    if padding == "VALID":
        return taps - 1, taps + stride - 2 + max(taps - stride, 0) - (taps - 1)
    total = taps + stride - 2
    before = taps - 1 if stride > taps - 1 else -(-total // 2)
    return before, total - before


def _check_operands(x: Array, kernel: Array) -> None:
    if x.shape[3] != kernel.shape[2]:
        raise ValueError(
            f"kernel must have as many input channels as x, got kernel {kernel.shape} for x {x.shape}"
        )
    if x.dtype != kernel.dtype:
        raise TypeError(f"kernel must have the dtype of x, got {kernel.dtype} for x {x.dtype}")


def _image(x: Array) -> Pair:
    return x.shape[1], x.shape[2]


def _taps(kernel: Array) -> Pair:
    return kernel.shape[0], kernel.shape[1]
