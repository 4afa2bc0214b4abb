"""The figures of overparam_gda: over the width, over the steps, and over the step size."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import jax.numpy as jnp
import numpy as np

from experiments.width.stability_edge import CASES
from mixgan_jax.plots import drawing
from mixgan_jax.theory import gda_contraction, reachable_probability

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LARGEST = 2.6  # eta s^2 in the figure of the edge
METHODS = {"converged": ("GDA", "steps"), "max_converged": ("GDmax", "max_steps")}


@drawing.styled
def widths(rows: Sequence[Mapping[str, Any]], dimension: int) -> "Figure":
    """Draws, over the width, the share of runs that converge, their steps, and the kernel's condition number."""
    figure = drawing.new_figure(7.4, 2.9)
    shares, steps, conditions = figure.subplots(1, 3)
    k = np.array([row["width"] for row in rows])
    chances = [100 * reachable_probability(int(width), dimension) for width in k]
    shares.plot(k, chances, color="0.3", ls=":", label="reachable (Wendel)")
    for index, (name, (label, count)) in enumerate(METHODS.items()):
        look: dict[str, Any] = {
            "color": drawing.COLOURS[index],
            "marker": drawing.MARKERS[index],
            "ls": "none" if index else "-",
            "ms": 4 + 3 * index,
            "mfc": "none" if index else drawing.COLOURS[index],
        }
        shares.plot(k, [row[f"{name}_mean"] for row in rows], label=label, **look)
        over_seeds(
            steps,
            [row for row in rows if row[f"{name}_mean"] == 100],
            lambda row, count=count: row[f"{count}_by_seed"],
            {**look, "ls": "--" if index else "-"},
        )
    regular = [row for row in rows if row["width"] >= dimension]
    look = {"color": drawing.COLOURS[2], "marker": drawing.MARKERS[2], "ms": 4, "ls": "-"}
    over_seeds(
        conditions, regular, lambda row: 10 ** np.asarray(row["log_condition_by_seed"]), look
    )
    shares.axvline(dimension, color="0.7", lw=0.8)
    shares.annotate(
        "k = D", (dimension, 100), (-3, -8), textcoords="offset points", ha="right", fontsize=8
    )
    shares.set(ylabel="runs that converge (%)", ylim=(-4, 104))
    steps.set(ylabel="steps (median, 10–90 %)", yscale="log")
    conditions.set(ylabel="cond K (median, 10–90 %)", yscale="log")
    for axes in (shares, steps, conditions):
        axes.set(xscale="log", xlabel="width $k$")
    figure.legend(loc="outside lower center", ncols=3)
    return figure


def over_seeds(axes: "Axes", rows: Sequence[Any], values: Any, look: Mapping[str, Any]) -> None:
    """Draws medians, and bars from the first to the ninth decile of the seeds."""
    if rows:
        low, middle, high = np.quantile([values(row) for row in rows], (0.1, 0.5, 0.9), axis=1)
        bars = middle - low, high - middle
        axes.errorbar([row["width"] for row in rows], middle, yerr=bars, capsize=2, **look)


@drawing.styled
def decay(rows: Sequence[Mapping[str, Any]]) -> "Figure":
    """Draws the error over the steps at some widths, and that of the game linearised at the start."""
    figure = drawing.new_figure(4.8, 3.0)
    axes = figure.add_subplot()
    wide = [row for row in rows if row["converged_mean"] == 100]
    shown = wide[:: max(1, len(wide) // 4)][-4:]
    for index, row in enumerate(shown):
        colour, marker = drawing.COLOURS[index], drawing.MARKERS[index]
        net, linear = (cut(row[f"{name}_curve"]) for name in ("net", "linear"))
        axes.plot(net, color=colour, marker=marker, ms=3.5, markevery=0.12, label=row["method"])
        axes.plot(linear, color=colour, ls=":", lw=1.1)
    axes.plot([], [], color="0.3", ls=":", label="linearised at the start")
    axes.set(yscale="log", xlabel="step", ylabel="error, over the first (median of seeds)")
    figure.legend(loc="outside right center")
    return figure


def cut(curve: Sequence[float]) -> np.ndarray:
    """Cuts a curve where it falls below what float32 resolves."""
    values = np.asarray(curve)
    below = np.flatnonzero(~(values > 1e-6))
    return values[: below[0]] if len(below) else values


@drawing.styled
def edge(edges: Mapping[str, Mapping[str, Any]]) -> "Figure":
    """Draws factors a step over eta s^2, as predicted and as measured; right, the ends of runs from the start."""
    figure = drawing.new_figure(7.2, 3.1)
    left, right = figure.subplots(1, 2, width_ratios=(1.6, 1))
    for index, (name, (order, mu)) in enumerate(CASES.items()):
        own = edges[name]
        look: dict[str, Any] = {
            "color": drawing.COLOURS[index],
            "marker": drawing.MARKERS[index],
            "ls": drawing.LINES[index],
            "ms": 4.5,
        }
        ratios, scale = np.asarray(own["ratios"]), own["edge"]
        line = np.linspace(0.01, min(ratios.max() * scale, LARGEST), 400)
        predicted = gda_contraction(jnp.float32(line), mu, order)
        left.plot(line, predicted, **{**look, "marker": ""}, lw=1.1)
        measured = np.asarray(own["near_factor"], np.float64)
        known = np.isfinite(measured).all(axis=1) & (scale * ratios < LARGEST)
        at = scale * ratios[known], np.median(measured[known], axis=1)
        left.plot(*at, **{**look, "ls": "none"}, mfc="none")
        # A run that has diverged, or whose units are all off, has no place.
        ends = np.asarray(own["sharpness"], np.float64)
        settled = (np.asarray(own["left"], np.float64) < 1) & (ends > 0)
        most = settled.mean(axis=1) > 0.5
        middle = [np.median(e[s]) for e, s in zip(ends[most], settled[most], strict=True)]
        label = name if name == "GDmax" else f"GDA, $\\mu$ = {mu:g}"
        right.plot(ratios[most], middle, **look, mfc="none", label=label)
    left.axhline(1.0, color="0.3", ls=":", lw=1.0)
    left.set(
        xlabel=r"$\eta s^2$, of the largest eigenvalue", ylabel="factor a step, near a solution"
    )
    right.axhline(1.0, color="0.3", ls=":", lw=1.0)
    right.axline((0, 0), slope=1, color="0.7", lw=0.8)
    right.set(
        xlabel=r"$\eta s^2$ at the start, over the edge",
        ylabel=r"$\eta s^2$ at the end, over the edge",
        xlim=(0, None),
        ylim=(0, None),
    )
    figure.legend(loc="outside lower center", ncols=4)
    return figure
