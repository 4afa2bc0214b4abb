"""Sizes of an image in networks of stride-2 convolutions, on the way up and down."""

from collections.abc import Sequence

from jax import lax


def pyramid(shape: Sequence[int], stages: int | None) -> list[tuple[int, int]]:
    """Returns height and width of an image and of its halves, ``stages`` of them, the largest first.

    Without ``stages`` the sides are halved for as long as they are even and above 4, at least twice.
    """
    height, width = shape[0], shape[1]
    if stages is None:
        if height % 4 or width % 4:
            raise ValueError(
                f"shape must have height and width divisible by 4 unless stages is given, "
                f"got {tuple(shape)}"
            )
        stages = 2
        while min(height, width) >> stages > 4 and not (height | width) >> stages & 1:
            stages += 1
    elif min(height, width) <= 2 ** (stages - 1):
        raise ValueError(
            f"shape must have height and width above {2 ** (stages - 1)} for stages={stages}, "
            f"got {tuple(shape)}"
        )
    sizes = [(height, width)]
    for _ in range(stages):
        height, width = -(-height // 2), -(-width // 2)
        sizes.append((height, width))
    return sizes


def growing_pads(
    small: tuple[int, int], large: tuple[int, int], kernel_size: int
) -> list[tuple[int, int]]:
    """Returns the padding of the adjoint of a stride-2 "SAME" convolution from ``large`` to ``small``."""
    taps = (kernel_size, kernel_size)
    pads = []
    inner = lax.padtype_to_pads(large, taps, (2, 2), "SAME")
    for n, m, (before, _) in zip(small, large, inner, strict=True):
        first = kernel_size - 1 - before
        pads.append((first, m + kernel_size - 1 - (2 * n - 1) - first))
    return pads
