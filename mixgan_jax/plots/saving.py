"""Writes figures to files."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mixgan_jax.plots.drawing import STYLE, own_settings

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Axes with more points become an image in vector formats, where each point would take 50 bytes or more.
MANY_POINTS = 2000


def write(fig: "Figure", path: Path) -> Path:
    """Saves a figure. The same figure gives the same SVG: it has no date, and names of our own."""
    rasterise_crowds(fig)
    metadata = {"Date": None} if path.suffix == ".svg" else None
    with own_settings({"svg.hashsalt": "mixgan_jax"}):  # part of a figure is made only now
        fig.savefig(path, dpi=STYLE["savefig.dpi"], metadata=metadata)
    return path


def rasterise_crowds(fig: "Figure") -> None:
    """Makes the lines and points of crowded axes an image in vector formats; text and axes stay vectors."""
    for axes in fig.axes:
        points = [len(np.asarray(line.get_xydata())) for line in axes.lines]
        for collection in axes.collections:
            points += [len(np.asarray(collection.get_offsets())), *map(len, collection.get_paths())]
        if sum(points) > MANY_POINTS:
            for artist in (*axes.lines, *axes.collections):
                artist.set_rasterized(True)
