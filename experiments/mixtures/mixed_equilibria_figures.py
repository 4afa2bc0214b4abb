"""The figures of mixed_equilibria."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from experiments.mixtures.particle_play import RULES
from mixgan_jax.plots import drawing

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LABELS = {
    "positions only": "positions move, weights uniform",
    "weights only": "weights move, positions rest",
    "both": "both move",
}
COLOURS = {"positions only": "#0072B2", "weights only": "#E69F00", "both": "#D55E00"}


@drawing.styled
def three_curves(part: Mapping[str, Any], steps: int, particles: int) -> "Figure":
    """Draws the error over steps of three rules: every game thin, the median of all games thick."""
    figure = drawing.new_figure(6.4, 3.4)
    axes = figure.subplots()
    for name, label in LABELS.items():
        curves = np.array(part[name])
        times = np.linspace(0, steps, curves.shape[1])
        axes.plot(times, curves.T, color=COLOURS[name], lw=0.6, alpha=0.35)
        middle, above = np.median(curves, axis=0), 3 + (name == "positions only")
        axes.plot(times, middle, color=COLOURS[name], lw=2.2, label=label, zorder=above)
    axes.set(
        xlabel="steps",
        ylabel="Nikaido-Isoda error",
        yscale="log",
        xlim=(0, steps),
        title=f"Random games on the circle, {particles} particles a side",
    )
    axes.legend(loc="lower left")
    return figure


@drawing.styled
def all_rules(parts: Mapping[int, Mapping[str, Any]], steps: int) -> "Figure":
    """Draws the median error over steps of every rule, a panel for each number of particles."""
    figure = drawing.new_figure(7.2, 3.4)
    panels = figure.subplots(1, len(parts), sharey=True, squeeze=False)[0]
    styles = ("-", "-", "-", ":", "--", "--", "-.")
    colours = [COLOURS.get(name.split(",")[0], "black") for name in RULES]
    colours[list(RULES).index("both, factor K p")] = "black"
    for axes, (particles, part) in zip(panels, parts.items(), strict=True):
        for name, style, colour in zip(RULES, styles, colours, strict=True):
            if name in part:
                curves = np.array(part[name])
                times = np.linspace(0, steps, curves.shape[1])
                middle = np.median(curves, axis=0)
                axes.plot(times, middle, ls=style, color=colour, label=name)
        axes.set(title=f"{particles} particles", xlabel="steps", yscale="log")
    panels[0].set_ylabel("Nikaido-Isoda error, median")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4, fontsize="small")
    return figure
