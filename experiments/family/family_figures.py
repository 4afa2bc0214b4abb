"""The figures of family_2d."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from experiments.common import report
from mixgan_jax.data import GaussianMixture
from mixgan_jax.plots import drawing

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLUMNS = 6
PANELS = {"modes": "modes captured", "reverse_kl": "reverse KL (nats)"}


@drawing.styled
def samples(
    points: Mapping[str, np.ndarray], target: GaussianMixture, captions: Mapping[str, str]
) -> "Figure":
    """Draws samples of every method, and the modes of the data as rings.

    Args:
        points: samples ``[K, N, 2]`` of each component, by method; NaN where a draw fell to another component.
        target: distribution of the data.
        captions: a line below each panel.
    """
    centers = np.asarray(target.means)
    limits = drawing.limits_of([centers], centers, None)
    rows = -(-len(points) // COLUMNS)
    figure = drawing.new_figure(1.6 * COLUMNS + 0.3, 2.0 * rows + 0.1, layout="compressed")
    panels = figure.subplots(rows, COLUMNS, sharex=True, sharey=True, squeeze=False).ravel()
    for axes, (name, groups) in zip(panels, points.items(), strict=False):
        drawing.scatter(axes, groups, centers, limits, max_points=groups.shape[1])
        axes.locator_params(nbins=3)
        axes.set_title(name, fontsize=8.5)
        axes.set_xlabel(captions[name])
        axes.tick_params(labelbottom=True)
    for axes in panels[len(points) :]:
        axes.remove()
    return figure


@drawing.styled
def measures(
    rows: Sequence[Mapping[str, Any]], theirs: Sequence[Mapping[str, Any]], num_modes: int
) -> "Figure":
    """Draws modes and reverse KL of every method with standard errors, and the paper's.

    Args:
        rows: the table's rows.
        theirs: the paper's rows.
        num_modes: number of modes of the data.
    """
    figure = drawing.new_figure(7.2, 0.24 * len(rows) + 0.9)
    panels = figure.subplots(1, 2, sharey=True)
    names = [row["method"] for row in rows]
    for axes, (metric, label) in zip(panels, PANELS.items(), strict=True):
        places = [names.index(row["published"]) for row in theirs]
        _bars(axes, theirs, metric, np.asarray(places) + 0.22, 1, "PacGAN's Table 1")
        _bars(axes, rows, metric, np.arange(len(rows)), 0, "this run")
        axes.set(xlabel=label, yticks=range(len(rows)), yticklabels=names)
        axes.grid(axis="y", color="0.93", lw=0.6)
        axes.set_axisbelow(True)
        axes.tick_params(axis="y", length=0)
    panels[0].invert_yaxis()
    panels[0].axvline(num_modes, color="0.6", ls=":", lw=0.9)
    panels[1].set_xlim(left=0.0)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles[::-1], labels[::-1], loc="outside upper center", ncols=2)
    return figure


def _bars(
    axes: "Axes",
    rows: Sequence[Mapping[str, Any]],
    metric: str,
    places: np.ndarray,
    look: int,
    label: str,
) -> None:
    if not rows:
        return
    errors = [row[f"{metric}_stderr"] or 0.0 for row in rows]
    axes.errorbar(
        [row[f"{metric}_mean"] for row in rows],
        places,
        xerr=errors,
        fmt=("o", "D")[look],
        ms=(4.5, 4)[look],
        mfc=(drawing.COLOURS[0], "white")[look],
        color=drawing.COLOURS[look],
        lw=1.1,
        capsize=2.5,
        label=label,
    )


def caption(row: Mapping[str, Any]) -> str:
    """Writes the caption below a method's samples."""
    return f"{report.cell(row, 'modes', 2)} modes"
