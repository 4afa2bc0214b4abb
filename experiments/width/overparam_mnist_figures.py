"""The figures of overparam_mnist: distances over the width, and images of each width."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

import mixgan_jax as mg
from mixgan_jax.plots import drawing
from mixgan_jax.types import Array

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@drawing.styled
def over_width(widths: Sequence[int], rows: Sequence[Mapping[str, Any]]) -> "Figure":
    """Draws over the width the distances (left) and the gap (right): mean ± standard error, real digits as lines."""
    figure = drawing.new_figure(6.4, 2.8)
    left, right = figure.subplots(1, 2)
    *trained, real = rows
    looks = {"train": ("training images", left), "held_out": ("held-out images", left)}
    looks["gap"] = ("generated", right)
    for index, (name, (label, axes)) in enumerate(looks.items()):
        axes.errorbar(
            widths,
            [row[f"{name}_mean"] for row in trained],
            yerr=[row[f"{name}_stderr"] or 0.0 for row in trained],
            color=drawing.COLOURS[index],
            marker=drawing.MARKERS[index],
            ls=drawing.LINES[index],
            ms=4,
            capsize=2,
            label=label,
        )
    left.axhline(real["held_out_mean"], color="0.3", ls=":", lw=1.0, label="real, to held-out")
    right.axhline(real["gap_mean"], color="0.3", ls=":", lw=1.0, label="real")
    left.set(yscale="log", ylabel="Frechet distance (features²)")
    right.set(ylabel="held-out less training (features²)")
    for axes in (left, right):
        axes.set_xscale("log", base=2)
        axes.set_xticks(widths, [str(width) for width in widths])
        axes.set_xlabel("width (channels of the narrowest layer)")
        axes.legend()
    return figure


def images_by_width(widths: Sequence[int], images: Sequence[Array]) -> "Figure":
    """Draws images ``[n, H, W, C]`` of each width, in a row."""
    figure = mg.plots.image_grid(np.stack(images), value_range=(-1.0, 1.0))
    for axes, width in zip(figure.axes, widths, strict=True):
        axes.yaxis.label.set_text(f"width {width}")
    return figure
