"""The figure of theory_small_mixtures."""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from experiments.theorems import few_strategies
from mixgan_jax.plots import drawing

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CONTROL = 7  # index of its colour


@drawing.styled
def curves(
    rows: Sequence[Mapping[str, Any]],
    size: int,
    strategies: Sequence[int],
    components: Sequence[int],
    losses: Sequence[str],
) -> "Figure":
    """Draws NashConv over k, mean and standard error over seeds, for each kind of game; the bound above them.

    Args:
        rows: rows with ``method``, and numbers by seed in ``curves``.
        size: number n of strategies.
        strategies: every k of the curves.
        components: every k of MIX+GAN.
        losses: names of the losses, in the order of the rows of a panel.
    """
    figure = drawing.new_figure(7.2, 3.1)
    panels = figure.subplots(1, 3, sharex=True, sharey=True)
    for axes, origin in zip(panels, ("normal", "random", "trained"), strict=True):
        own = [entry for entry in rows if entry["method"].startswith(origin)]
        axes.plot(
            strategies, few_strategies.bound(size, strategies), color="0.3", ls=":", label="bound"
        )
        for index, entry in enumerate(own):
            look = CONTROL if origin == "normal" else index
            _draw_kind(axes, entry, look, strategies, components)
        title = {"normal": "normal payoffs", "random": "random networks", "trained": "trained GANs"}
        axes.set(
            xscale="log", yscale="log", title=title[origin], xlabel="strategies of each side, k"
        )
        axes.set_xscale("log", base=2)
        axes.set_ylim(3e-5, 4.0)
    panels[0].set_ylabel("NashConv in the whole game / R")
    _legend(figure, losses)
    return figure


def _draw_kind(
    axes: Any,
    entry: Mapping[str, Any],
    index: int,
    strategies: Sequence[int],
    components: Sequence[int],
) -> None:
    colour, marker = drawing.COLOURS[index], drawing.MARKERS[index]
    looks = {
        "sampled": {"ls": "-", "marker": marker},
        "sparse": {"ls": "--", "marker": marker, "mfc": "white"},
        "mix_gan": {"ls": ":", "marker": marker, "mec": "black", "mew": 1.2},
    }
    for name, look in looks.items():
        gaps = np.array(entry["curves"][name])
        if gaps.size:
            k = (components if name == "mix_gan" else strategies)[: gaps.shape[1]]
            mean = np.maximum(gaps.mean(axis=0), 1e-9)  # a 0 would break the line
            error = gaps.std(axis=0, ddof=min(1, len(gaps) - 1)) / math.sqrt(len(gaps))
            # A bar that reaches 0 has no lower end on a logarithmic axis.
            bars = [np.where(error < 0.9 * mean, error, 0.0), error]
            axes.errorbar(k, mean, bars, color=colour, lw=1, ms=4.5, **look)


def _legend(figure: "Figure", losses: Sequence[str]) -> None:
    from matplotlib.lines import Line2D

    looks = [(CONTROL, "normal payoffs"), *enumerate(losses)]
    handles = [
        Line2D([], [], color=drawing.COLOURS[i], marker=drawing.MARKERS[i], ls="", label=name)
        for i, name in looks
    ]
    handles += [
        Line2D([], [], color="0.2", ls="-", label="k sampled, equal weights"),
        Line2D([], [], color="0.2", ls="--", label="k of largest weight, best weights"),
        Line2D([], [], color="0.6", ls=":", marker="o", mec="black", mew=1.2, label="MIX+GAN"),
        Line2D([], [], color="0.3", ls=":", label="R sqrt(2 log n / k)"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=4)
