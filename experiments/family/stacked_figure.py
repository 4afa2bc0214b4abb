"""Figures of stacked MNIST: samples of each method, and its modes and KL beside the paper's numbers."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from mixgan_jax.plots import drawing

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@drawing.styled
def samples(pictures: Mapping[str, np.ndarray], captions: Mapping[str, str]) -> "Figure":
    """Draws a strip of stacks for each row of the table.

    Args:
        pictures: samples in [-1, 1], ``[n, H, W, 3]``, by method.
        captions: text at the right of a strip, by method.
    """
    strips = {
        name: drawing.tile(name, np.clip(x, -1, 1)[None], None, (-1.0, 1.0))[0]
        for name, x in pictures.items()
    }
    height, width = next(iter(strips.values())).shape[:2]
    wide = 5.2
    tall = wide * height / width
    figure = drawing.new_figure(wide + 2.4, (tall + 0.07) * len(strips) + 0.1, layout=None)
    panels = figure.subplots(len(strips), 1, squeeze=False)[:, 0]
    total = figure.get_size_inches()
    figure.subplots_adjust(
        left=1.15 / total[0],
        right=(1.15 + wide) / total[0],
        top=1 - 0.05 / total[1],
        bottom=0.05 / total[1],
        hspace=0.07 / tall,
    )
    for axes, (name, strip) in zip(panels, strips.items(), strict=True):
        drawing.show_picture(axes, strip, name)
        axes.text(1.01, 0.5, captions[name], transform=axes.transAxes, va="center", fontsize=8)
    return figure


@drawing.styled
def bars(
    rows: Sequence[Mapping[str, Any]],
    theirs: Sequence[Mapping[str, Any]],
    reals: Mapping[str, float],
    total: int,
) -> "Figure":
    """Draws modes and KL of every method and each component alone, mean and standard error; diamonds are the paper's.

    Args:
        rows: the table's rows.
        theirs: the paper's rows, for those methods that it has.
        reals: result of ``of_real_stacks``; its KL is a dotted line.
        total: number of modes of the data, a dotted line too.
    """
    figure = drawing.new_figure(6.8, 0.27 * len(rows) + 1.35)
    names = [row["method"] for row in rows]
    place = np.arange(len(rows))
    panels = figure.subplots(1, 2, sharey=True)
    looks = {"modes": ("modes", total), "kl": ("KL to uniform, nats", reals["kl"])}
    for axes, (metric, (label, line)) in zip(panels, looks.items(), strict=True):
        axes.barh(
            place,
            [row[f"{metric}_mean"] for row in rows],
            0.62,
            xerr=[row[f"{metric}_stderr"] or 0.0 for row in rows],
            color=drawing.COLOURS[5],
            error_kw={"lw": 1.0, "capsize": 2},
            label="ours",
        )
        single = [row[f"component_{metric}_mean"] for row in rows]
        axes.plot(single, place, "|", color="0.1", ms=9, mew=1.6, label="ours, of one component")
        if theirs:
            axes.errorbar(
                [row[f"{metric}_mean"] for row in theirs],
                [names.index(row["published"]) for row in theirs],
                xerr=[row[f"{metric}_stderr"] for row in theirs],
                fmt="D",
                color=drawing.COLOURS[1],
                mfc="white",
                capsize=2,
                label="PacGAN's paper",
            )
        axes.axvline(line, color="0.3", ls=":", lw=1.0, label="stacks of real digits")
        axes.set(xlabel=label, yticks=place, yticklabels=names)
        axes.tick_params(axis="y", length=0)
    panels[0].invert_yaxis()
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels))
    return figure
