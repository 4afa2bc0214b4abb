"""The figure of jare's toy."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from experiments.rotation import gaussian_shift
from experiments.rotation.gaussian_shift import Method, Toy
from mixgan_jax.plots import drawing

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

RULES = {
    "none": "simultaneous",
    "consensus": "consensus",
    "generator": "one-sided",
    "jare": "JARE",
}
GAMMAS = np.geomspace(0.1, 1000.0, 161)
PANELS = {
    "phase": "phase factor, max |Im / Re|",
    "conditioning": "conditioning factor",
    "iterations": "iterations to 1e-3, best step",
}


@drawing.styled
def toy_figure(rows: Sequence[Mapping[str, Any]], toy: Toy, gamma: float) -> "Figure":
    """Draws both factors and the speed over gamma, for every rule; and the decay of runs against the linear game.

    Args:
        rows: rows of simultaneous descent, consensus and JARE, with the toy's numbers.
        toy: the toy.
        gamma: gamma of the runs, a dotted line in the other panels.
    """
    figure = drawing.new_figure(7.2, 4.9)
    panels = figure.subplots(2, 2).ravel()
    for axes, (name, label) in zip(panels, PANELS.items(), strict=False):
        _draw_factor(axes, name, toy)
        axes.axvline(gamma, color="0.6", ls=":", lw=0.9)
        axes.set(xscale="log", xlabel="gamma", ylabel=label)
    panels[0].set_yscale("symlog", linthresh=0.1)
    panels[0].set_ylim(-0.01, 10.0)
    for axes in panels[1:]:
        axes.set_yscale("log")
    _draw_decay(panels[3], rows, toy, gamma)
    handles, labels = panels[0].get_legend_handles_labels()
    more, names = panels[3].get_legend_handles_labels()
    figure.legend([*handles, *more], [*labels, *names], loc="outside lower center", ncols=4)
    return figure


def _draw_factor(axes: "Axes", name: str, toy: Toy) -> None:
    for index, (rule, label) in enumerate(RULES.items()):
        values = [
            gaussian_shift.factors(toy.std, toy.distance, rule, gamma)[name] for gamma in GAMMAS
        ]
        axes.plot(
            GAMMAS,
            values,
            color=drawing.COLOURS[index],
            marker=drawing.MARKERS[index],
            markevery=(8 * index, 40),
            ms=4,
            label=label,
        )


def _draw_decay(axes: "Axes", rows: Sequence[Mapping[str, Any]], toy: Toy, gamma: float) -> None:
    """Draws lines for the linear game, markers for the exact losses, bars for runs with noise."""
    steps = np.unique(np.linspace(0, toy.steps[-1], 61).astype(int))
    for row, rule in zip(rows, ("none", "consensus", "jare"), strict=True):
        index, found = list(RULES).index(rule), row["toy"]
        method = Method(row["method"], rule, gamma)
        colour, marker = drawing.COLOURS[index], drawing.MARKERS[index]
        line = gaussian_shift.predicted(toy._replace(steps=tuple(steps)), method)
        axes.plot(steps, line, color=colour, lw=1.0)
        axes.plot(toy.steps, found["noise_free"], color=colour, marker=marker, ls="", ms=5)
        noisy = np.array(found["with_noise"])
        error = noisy.std(axis=0, ddof=min(1, len(noisy) - 1)) / np.sqrt(len(noisy))
        look: dict[str, Any] = {"color": colour, "marker": marker, "mfc": "white", "ls": ""}
        axes.errorbar(np.array(toy.steps), noisy.mean(axis=0), error, ms=5, capsize=2, **look)
    for look, label in (
        ({"color": "0.3", "lw": 1.0}, "linear game"),
        ({"color": "0.3", "ls": "", "marker": "o", "ms": 5}, "exact losses"),
        ({"color": "0.3", "ls": "", "marker": "o", "mfc": "white", "ms": 5}, "batches"),
    ):
        axes.plot([], [], label=label, **look)
    axes.set(yscale="log", xlabel="steps", ylabel="distance from the equilibrium")
