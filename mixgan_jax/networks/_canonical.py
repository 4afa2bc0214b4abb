"""The three products behind a convolution: each is the derivative of the others, and has its own rule for ``vmap``.

All are plain convolutions in NHWC/HWIO order, which XLA runs fast anywhere, also inside loops.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
from jax import lax

from mixgan_jax.types import Array

Pair: TypeAlias = tuple[int, int]
Pads: TypeAlias = tuple[Pair, Pair]
Piece: TypeAlias = Callable[[Array, Array], Array]

LAYOUT = ("NHWC", "HWIO", "NHWC")
# Beyond this many kernels a loop keeps the compiled program small; a canonical convolution stays fast inside one.
_MOST_UNROLLED = 64
# Up to this many input channels (those of an image) XLA's weight gradient is slower than writing the windows out. With
# as few output channels the product of the windows is slower, up to ten times.
_FEW_CHANNELS = 8


class Geometry(NamedTuple):
    """The static sizes of one convolution, from ``input`` to ``output`` pixels; all pairs are (height, width)."""

    input: Pair
    kernel: Pair
    output: Pair
    strides: Pair
    padding: Pads
    dilation: Pair


class Pieces(NamedTuple):
    """The three products of image ``x``, kernel ``k`` and output-shaped ``g``, each derived from the other two."""

    forward: Piece  # x, k -> g
    input_gradient: Piece  # g, k -> x
    weight_gradient: Piece  # x, g -> k


@functools.cache  # the same functions for the same geometry, so that JAX's own caches hit
def pieces(geometry: Geometry) -> Pieces:
    """Returns the three products of one geometry; operands must vary over the same mesh axes (:func:`vary_alike`)."""
    # <g, conv(x, k)> is linear in each of x, k and g. Each product leaves one of them out; its gradients with respect
    # to the other two are again such products.
    forward = jax.custom_vjp(_batchable(functools.partial(_forward, geometry)))
    input_gradient = jax.custom_vjp(_batchable(functools.partial(_input_gradient, geometry)))
    weight_gradient = jax.custom_vjp(_batchable(functools.partial(_weight_gradient, geometry)))

    def forward_vjp(saved: tuple[Array, Array], g: Array) -> tuple[Array, Array]:
        x, kernel = saved
        return input_gradient(*vary_alike(g, kernel)), weight_gradient(*vary_alike(x, g))

    def input_gradient_vjp(saved: tuple[Array, Array], x: Array) -> tuple[Array, Array]:
        g, kernel = saved
        return forward(*vary_alike(x, kernel)), weight_gradient(*vary_alike(x, g))

    def weight_gradient_vjp(saved: tuple[Array, Array], kernel: Array) -> tuple[Array, Array]:
        x, g = saved
        return input_gradient(*vary_alike(g, kernel)), forward(*vary_alike(x, kernel))

    forward.defvjp(lambda x, k: (forward(x, k), (x, k)), forward_vjp)
    input_gradient.defvjp(lambda g, k: (input_gradient(g, k), (g, k)), input_gradient_vjp)
    weight_gradient.defvjp(lambda x, g: (weight_gradient(x, g), (x, g)), weight_gradient_vjp)
    return Pieces(forward, input_gradient, weight_gradient)


def _forward(geometry: Geometry, x: Array, kernel: Array) -> Array:
    return lax.conv_general_dilated(
        x,
        kernel,
        geometry.strides,
        geometry.padding,
        rhs_dilation=geometry.dilation,
        dimension_numbers=LAYOUT,
    )


def _input_gradient(geometry: Geometry, g: Array, kernel: Array) -> Array:
    if max(geometry.strides) > 1 and _strides_tile_kernel(geometry):
        return lax.platform_dependent(
            g,
            kernel,
            cpu=functools.partial(_input_gradient_by_matmul, geometry),
            default=functools.partial(_input_gradient_by_convolution, geometry),
        )
    return _input_gradient_by_convolution(geometry, g, kernel)


def _strides_tile_kernel(geometry: Geometry) -> bool:
    taps = zip(geometry.kernel, geometry.strides, strict=True)
    return geometry.dilation == (1, 1) and all(t % s == 0 for t, s in taps)


def _input_gradient_by_matmul(geometry: Geometry, g: Array, kernel: Array) -> Array:
    """Makes all windows by one matrix product, then adds them where they overlap.

    On CPU XLA has only the convolution below, which also multiplies the zeros between the pixels of ``g``: with strides
    of 2, three quarters of its work.
    """
    (h, w), (sh, sw) = geometry.output, geometry.strides
    kh, kw, channels, features = kernel.shape
    rows, columns = kh // sh, kw // sw
    windows = lax.dot_general(
        g.reshape(-1, features), kernel.reshape(-1, features), (((1,), (1,)), ((), ()))
    )
    # Cut windows into blocks of the size of the strides: block (a, b) of window (m, n) is block (m + a, n + b) of the
    # padded image.
    blocks = windows.reshape(-1, h, w, rows, sh, columns, sw, channels)
    parts = [
        jnp.pad(
            blocks[:, :, :, a, :, b],
            ((0, 0), (a, rows - 1 - a), (b, columns - 1 - b), *[(0, 0)] * 3),
        )
        for a in range(rows)
        for b in range(columns)
    ]
    image = functools.reduce(jnp.add, parts)
    # Put the pixels in order, and take the padding off.
    tall, wide = h + rows - 1, w + columns - 1
    image = image.transpose(0, 1, 3, 2, 4, 5).reshape(-1, tall * sh, wide * sw, channels)
    edges = [
        (-before, n + before - length)
        for n, length, (before, _) in zip(
            geometry.input, image.shape[1:3], geometry.padding, strict=True
        )
    ]
    return lax.pad(
        image, jnp.zeros((), image.dtype), ((0, 0, 0), *((*e, 0) for e in edges), (0, 0, 0))
    )


def _input_gradient_by_convolution(geometry: Geometry, g: Array, kernel: Array) -> Array:
    pads = []
    for n, m, t, s, d, (before, _) in _by_axis(geometry):
        reach = (t - 1) * d + 1
        first = reach - 1 - before
        pads.append((first, n + reach - 1 - ((m - 1) * s + 1) - first))
    return lax.conv_general_dilated(
        g,
        adjoint(kernel),
        (1, 1),
        pads,
        lhs_dilation=geometry.strides,
        rhs_dilation=geometry.dilation,
        dimension_numbers=LAYOUT,
    )


def _weight_gradient(geometry: Geometry, x: Array, g: Array) -> Array:
    if x.shape[3] <= _FEW_CHANNELS and g.shape[3] > 2 * _FEW_CHANNELS:
        return lax.platform_dependent(
            x,
            g,
            cpu=functools.partial(_weight_gradient_by_matmul, geometry),
            default=functools.partial(_weight_gradient_by_convolution, geometry),
        )
    return _weight_gradient_by_convolution(geometry, x, g)


def _weight_gradient_by_matmul(geometry: Geometry, x: Array, g: Array) -> Array:
    """Writes out all windows of ``x``, then takes one matrix product: cheap where a window has few channels."""
    starts = [
        [slice(tap * d, tap * d + (m - 1) * s + 1, s) for tap in range(t)]
        for _, m, t, s, d, _ in _by_axis(geometry)
    ]
    pads = [
        (before, (t - 1) * d + (m - 1) * s + 1 - n - before)
        for n, m, t, s, d, (before, _) in _by_axis(geometry)
    ]
    zero = jnp.zeros((), x.dtype)
    x = lax.pad(x, zero, ((0, 0, 0), *((*pad, 0) for pad in pads), (0, 0, 0)))
    windows = jnp.concatenate([x[:, a, b] for a in starts[0] for b in starts[1]], axis=-1)
    rows = windows.reshape(-1, windows.shape[3])
    kernel = lax.dot_general(rows, g.reshape(-1, g.shape[3]), (((0,), (0,)), ((), ())))
    return kernel.reshape(*geometry.kernel, -1, g.shape[3])


def _weight_gradient_by_convolution(geometry: Geometry, x: Array, g: Array) -> Array:
    pads = [
        (before, (t - 1) * d + (m - 1) * s + 1 - n - before)
        for n, m, t, s, d, (before, _) in _by_axis(geometry)
    ]
    kernel = lax.conv_general_dilated(
        x.transpose(3, 1, 2, 0),
        g.transpose(1, 2, 0, 3),
        geometry.dilation,
        pads,
        rhs_dilation=geometry.strides,
        dimension_numbers=LAYOUT,
    )
    return kernel.transpose(1, 2, 0, 3)


def _by_axis(geometry: Geometry) -> list[tuple[Any, ...]]:
    sizes = geometry.input, geometry.output, geometry.kernel, geometry.strides, geometry.dilation
    return list(zip(*sizes, geometry.padding, strict=True))


def adjoint(kernel: Array) -> Array:
    """Turns a kernel by 180 degrees and swaps its channel axes."""
    return kernel[::-1, ::-1].swapaxes(2, 3)


def _batchable(piece: Piece) -> Piece:
    """Gives a product its own rule for ``vmap``: one call per kernel, each of them batchable in turn."""
    batchable = jax.custom_batching.custom_vmap(piece)

    @batchable.def_vmap
    def rule(size: int, batched: Sequence[bool], *operands: Array) -> tuple[Array, bool]:
        def call(n: Array | int) -> Array:
            return batchable(*(a[n] if b else a for a, b in zip(operands, batched, strict=True)))

        if size > _MOST_UNROLLED:
            return lax.map(call, jnp.arange(size)), True
        return jnp.stack([call(n) for n in range(size)]), True

    return batchable


def vary_alike(*operands: Array) -> tuple[Array, ...]:
    """Marks all operands as varying over the same mesh axes, which custom_vjp needs inside ``shard_map``.

    The marking is outside the custom_vjp: its transpose sums the gradients over the axes that it added.
    """
    varying = [_varying_axes(operand) for operand in operands]
    union = frozenset().union(*varying)
    return tuple(
        lax.pcast(operand, tuple(sorted(union - axes)), to="varying") if union - axes else operand
        for operand, axes in zip(operands, varying, strict=True)
    )


def _varying_axes(operand: Array) -> frozenset[str]:
    aval = jax.typeof(operand)
    manual = getattr(aval, "mat", None)  # jax >= 0.10; before, the set is ``vma``
    return manual.varying if manual is not None else getattr(aval, "vma", frozenset())
