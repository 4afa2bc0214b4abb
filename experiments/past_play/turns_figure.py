"""The figure of alternating_best_response: the generators' modes over the turns, and the effect of averaging."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from experiments.past_play.turns_measures import away, running_average
from mixgan_jax.plots import drawing

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SHOWN = "8 atoms"
SHOWN_TURNS = 60
LABELS = ("answers the last player", "answers the average")


class Block(NamedTuple):
    """One row of panels.

    Attributes:
        title: the game's title.
        place: what a histogram counts, "atom" or "mode".
        histograms: histograms ``[S, T, K]`` for either memory.
        told_apart: JS told apart ``[S, T]`` for either memory.
    """

    title: str
    place: str
    histograms: Sequence[Any]
    told_apart: Sequence[Any]


def blocks(
    games: Mapping[str, Sequence[float]],
    exact: Mapping[str, Any],
    rows: Sequence[Mapping[str, Any]],
) -> list[Block]:
    """Lists the rows of panels: the exact game on equal atoms, and the networks on each number of modes."""
    size = len(games[SHOWN])
    found = [exact[f"{SHOWN}, {memory}"] for memory in ("last", "average")]
    atoms = [np.eye(size)[one["atoms"]][None] for one in found]
    apart = [np.asarray(one["told_apart"])[None] for one in found]
    made = [Block(f"exact, {size} atoms", "atom", atoms, apart)]
    trained = [row for row in rows if "curves" in row]
    for last, average in zip(trained[::2], trained[1::2], strict=True):
        pair = [row["curves"] for row in (last, average)]
        histograms, apart = ([one[key] for one in pair] for key in ("histograms", "told_apart"))
        made.append(Block(f"networks, {last['modes']} modes", "mode", histograms, apart))
    return made


@drawing.styled
def over_turns(rows: Sequence[Block]) -> "Figure":
    """Draws for each game: seed 0's histograms by turn with either memory, TV of the average, and JS told apart."""
    figure = drawing.new_figure(9.0, 1.75 * len(rows) + 0.5)
    panels = figure.subplots(len(rows), 4, squeeze=False, width_ratios=(1.25, 1.25, 1.0, 1.0))
    for block, axes in zip(rows, panels, strict=True):
        for index in range(2):
            raster(axes[index], np.asarray(block.histograms[index])[0])
        axes[0].set_ylabel(f"{block.title}\n{block.place}")
        size = np.shape(block.histograms[0])[-1]
        distances = [away(running_average(own), 1 / size) for own in block.histograms]
        curves(axes[2], distances)
        curves(axes[3], block.told_apart)
        axes[2].set_ylim(bottom=0.0)
        axes[3].set_ylim(bottom=min(0.0, axes[3].get_ylim()[0]))
        axes[2].set_ylabel("TV of the average")
        axes[3].set_ylabel("JS told apart / nats")
    for axes, title in zip(panels[0, :2], LABELS, strict=True):
        axes.set_title(title, loc="left")
    for axes in panels[-1]:
        axes.set_xlabel("turn")
    handles, labels = panels[0, 2].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper right", ncols=2)
    return figure


def raster(axes: "Axes", histogram: np.ndarray) -> None:
    """Draws a generator's shares by turn and mode, in grey."""
    shown = histogram[:SHOWN_TURNS]
    axes.imshow(
        shown.T,
        cmap="Greys",
        vmin=0.0,
        vmax=1.0,
        aspect="auto",
        origin="lower",
        interpolation="nearest",
        extent=(0.5, len(shown) + 0.5, -0.5, shown.shape[1] - 0.5),
    )
    axes.set_yticks([0, shown.shape[1] - 1])
    axes.grid(False)


def curves(axes: "Axes", by_memory: Sequence[Any]) -> None:
    """Draws the mean over seeds by turn, with its standard error as a band; the axis of many turns is logarithmic."""
    for index, values in enumerate(by_memory):
        values = np.asarray(values)
        turns = np.arange(1, values.shape[1] + 1)
        if len(turns) > 1000:
            kept = np.unique(np.geomspace(1, len(turns), 300).astype(int)) - 1
            turns, values = turns[kept], values[:, kept]
            axes.set_xscale("log")
        mean, count = values.mean(axis=0), len(values)
        look = {"color": drawing.COLOURS[index], "ls": drawing.LINES[index]}
        axes.plot(turns, mean, label=LABELS[index], **look)
        if count > 1:
            error = values.std(axis=0, ddof=1) / np.sqrt(count)
            axes.fill_between(
                turns, mean - error, mean + error, color=look["color"], alpha=0.2, lw=0
            )
