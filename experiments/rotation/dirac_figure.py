"""The figure of dirac_gan: phase portraits, losses across and penalties down."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from experiments.rotation.phase_portrait import LOSSES, TITLES, row_of
from mixgan_jax.plots import drawing

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SHOWN = {"none": "none", "GP": "WGAN-GP", "R1": "R1", "jare": "JARE"}
"""Penalties in the figure. R2 equals R1 here; consensus and the symplectic adjustment look like JARE."""
LIMIT = 2.2


@drawing.styled
def portraits(found: Mapping[str, Any]) -> "Figure":
    """Draws the first seed's trajectory under every shown penalty and loss.

    Args:
        found: results by row and loss, each with ``path`` ``[T, 2]``.
    """
    figure = drawing.new_figure(7.4, 5.2)
    grid = figure.subplots(len(SHOWN), len(LOSSES), sharex=True, sharey=True)
    looks = {
        "simultaneous": {"color": drawing.COLOURS[1], "lw": 0.8, "ls": "-"},
        "alternating": {"color": drawing.COLOURS[0], "lw": 1.1, "ls": (0, (3, 1.5))},
    }
    for line, penalty in zip(grid, SHOWN, strict=True):
        for axes, loss in zip(line, LOSSES, strict=True):
            for update, look in looks.items():
                cell = found.get(row_of(penalty, update).name)
                if cell is None or (penalty == "jare" and update == "alternating"):
                    continue
                path = np.array(cell[loss]["path"])
                axes.plot(path[:, 0], path[:, 1], label=f"{update} steps", **look)
                axes.plot(*path[0], color="black", marker="o", ms=3)
            axes.plot(0, 0, color="black", marker="+", ms=7, mew=1.2)
            axes.set(xlim=(-LIMIT, LIMIT), ylim=(-LIMIT, LIMIT), aspect="equal")
            axes.set(xticks=(-2, 0, 2), yticks=(-2, 0, 2))
        line[0].set_ylabel(f"{SHOWN[penalty]}\npsi")
    for axes, loss in zip(grid[0], LOSSES, strict=True):
        axes.set_title(TITLES[loss])
    for axes in grid[-1]:
        axes.set_xlabel("theta")
    handles, labels = grid[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2)
    return figure
