"""The figure of unequal_masses."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from mixgan_jax.plots import drawing

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@drawing.styled
def distances(parts: Mapping[int, Mapping[str, Any]], names: Sequence[str], steps: int) -> "Figure":
    """Draws the total variation over steps, mean ± standard error of the seeds, a panel for each number of modes."""
    figure = drawing.new_figure(7.2, 3.2)
    panels = figure.subplots(1, len(parts), squeeze=False)[0]
    for axes, (modes, part) in zip(panels, parts.items(), strict=True):
        for name, colour, marker in zip(names, drawing.COLOURS, drawing.MARKERS, strict=False):
            if name not in part:
                continue
            curves = np.array(part[name]["tv"])
            times = steps * np.arange(1, curves.shape[1] + 1) / curves.shape[1]
            middle = curves.mean(axis=0)
            error = curves.std(axis=0, ddof=1) / np.sqrt(len(curves))
            axes.plot(times, middle, color=colour, marker=marker, ms=3, label=name)
            axes.fill_between(times, middle - error, middle + error, color=colour, alpha=0.2, lw=0)
        axes.set(title=f"{modes} modes of unequal mass", xlabel="steps", xlim=(0, steps))
        axes.set_ylim(bottom=0)
    panels[0].set_ylabel("total variation from the masses")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4, fontsize="small")
    return figure
