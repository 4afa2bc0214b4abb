"""The figures of mix_weights."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from experiments.mixtures.weight_laboratory import BARRIERS, Laboratory
from experiments.mixtures.weight_rules import RESOLVE, RULES
from mixgan_jax.plots import drawing

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@drawing.styled
def curves(laboratory: Laboratory, steps: int, barrier: float) -> "Figure":
    """Draws NashConv over steps of every rule and the oracle: fixed games at once and in turns, drifting games."""
    figure = drawing.new_figure(7.2, 5.0)
    panels = figure.subplots(2, 2, sharex="row", sharey="row")
    kinds = (
        ("fixed, at once", "fixed", 0.0, False),
        ("fixed, in turns", "fixed", 0.0, True),
        ("drifting, in turns", "drifting", 0.0, True),
        (f"drifting, in turns, barrier {barrier:g}", "drifting", barrier, True),
    )
    for axes, (title, kind, weight, in_turns) in zip(panels.flat, kinds, strict=True):
        curve = laboratory.mean(kind, "curve")
        times = steps / curve.shape[1] * np.arange(1, curve.shape[1] + 1)
        for index, rule in enumerate(RULES):
            own = curve[laboratory.chosen(kind, index, weight, in_turns)]
            axes.plot(times, own, label=rule, markevery=(index, 8), ms=4, **_look(index))
        if kind == "drifting" and not weight:
            exact = laboratory.oracle(kind, "tracking").mean()
            label = f"LP, solved every {RESOLVE} steps, mean"
            axes.axhline(exact, color="black", ls=":", lw=1.0, label=label)
        axes.set(title=title, xlabel="steps", ylabel="NashConv", yscale="log")
        if kind == "fixed":
            axes.set_xscale("log")
    handles, labels = panels[1, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4)
    return figure


@drawing.styled
def barriers(laboratory: Laboratory, ring: Mapping[str, Any]) -> "Figure":
    """Draws NashConv and effective number of components over the barrier: drifting games above, MIX+GAN below."""
    figure = drawing.new_figure(7.2, 4.8)
    panels = figure.subplots(2, 2, sharex=True)
    places = np.arange(len(BARRIERS))
    for index, rule in enumerate(RULES):
        games = [laboratory.measures("drifting", index, barrier) for barrier in BARRIERS]
        own = slice(index * len(BARRIERS), (index + 1) * len(BARRIERS))
        for column, name in enumerate(("average", "effective")):
            pairs = (np.array([found[name] for found in games]).T, np.array(ring[name])[:, own])
            for axes, values in zip(panels[:, column], pairs, strict=True):
                seeds = len(values)
                error = values.std(axis=0, ddof=min(1, seeds - 1)) / np.sqrt(seeds)
                shifted = places + 0.06 * (index - 2.5)  # otherwise the bars cover each other
                axes.errorbar(shifted, values.mean(axis=0), error, ms=4, label=rule, **_look(index))
    for row, title in zip(panels, ("drifting games", "MIX+GAN"), strict=True):
        row[0].set(title=title, ylabel="NashConv, mean over time", yscale="log")
        row[1].set(title=title, ylabel="effective components")
    for axes in panels[1]:
        axes.set(
            xlabel="weight barrier, step sizes chosen for each",
            xticks=places,
            xticklabels=[f"{b:g}" for b in BARRIERS],
        )
    handles, labels = panels[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=6)
    return figure


def _look(index: int) -> dict[str, Any]:
    return {
        "color": drawing.COLOURS[index],
        "marker": drawing.MARKERS[index],
        "ls": drawing.LINES[index % len(drawing.LINES)],
        "lw": 1.1,
    }
