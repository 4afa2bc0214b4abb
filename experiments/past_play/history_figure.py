"""The figure of fictitious_history: distances to the data against the length of the history."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mixgan_jax.plots import drawing

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def blocks(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[Mapping[str, Any]]]:
    """Groups rows by game, in order of C."""
    found: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        found.setdefault(row["method"].rpartition(", ")[0], []).append(row)
    return found


@drawing.styled
def by_capacity(rows: Sequence[Mapping[str, Any]]) -> "Figure":
    """Draws total variation against C, for exact games and networks; unbounded histories are dotted lines."""
    found = blocks(rows)
    figure = drawing.new_figure(7.2, 2.7)
    panels = figure.subplots(1, len(found), sharey=True)
    for axes, (name, block) in zip(panels, found.items(), strict=True):
        draw_block(axes, block)
        axes.set(title=name, xlabel="history C", ylim=(0.0, None))
    panels[0].set_ylabel("total variation to the data")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4)
    return figure


def draw_block(axes: "Axes", block: Sequence[Mapping[str, Any]]) -> None:
    """Draws one game's panel."""
    bounded = [row for row in block if row["capacity"] is not None]
    capacities = [row["capacity"] for row in bounded]
    for index, (metric, label) in enumerate(
        (("average", "long average"), ("history", "mixture in history"), ("single", "single"))
    ):
        means = [row[f"{metric}_mean"] for row in bounded]
        errors = [row[f"{metric}_stderr"] or 0.0 for row in bounded]
        look: dict[str, Any] = {"color": drawing.COLOURS[index], "marker": drawing.MARKERS[index]}
        axes.errorbar(capacities, means, errors, capsize=2, ms=4, lw=1.0, label=label, **look)
    axes.set_xscale("log")
    axes.set_xticks(capacities, [str(capacity) for capacity in capacities])
    axes.minorticks_off()
    if len(bounded) < len(block):
        all_of_it = block[-1]["average_mean"]
        axes.axhline(all_of_it, color="0.3", ls=":", lw=1.0, label="all of the past")
