"""The figures of gan_dynamics."""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from experiments.two_gaussians import interval_examples, interval_orders
from experiments.two_gaussians.interval_runs import FATES
from mixgan_jax.plots import drawing

if TYPE_CHECKING:
    from matplotlib.figure import Figure

HATCHES = ("", "", "////", "....", "\\\\\\\\", "")
SHADES = ("#0072B2", "black", "#E69F00", "#CC79A7", "#BBBBBB", "white")


@drawing.styled
def heat_maps(maps: Mapping[str, Mapping[float, Any]], sides: Mapping[str, int]) -> "Figure":
    """Draws the probability of success over the generator's start, by step size (rows) and dynamics (columns).

    Args:
        maps: values ``[cells]`` at ``interval_runs.cells``, by dynamics and step size.
        sides: the grid's side, by dynamics.
    """
    steps = list(next(iter(maps.values())))
    figure = drawing.new_figure(1.62 * len(maps) + 0.7, 1.45 * len(steps) + 0.55)
    panels = figure.subplots(len(steps), len(maps), sharex=True, sharey=True, squeeze=False)
    for column, (name, by_step) in zip(panels.T, maps.items(), strict=True):
        for axes, step in zip(column, steps, strict=True):
            image = axes.pcolormesh(
                *_edges(sides[name]),
                _square(by_step[step], sides[name]),
                cmap="cividis",
                vmin=0.0,
                vmax=1.0,
                rasterized=True,
            )
            for colour, width in (("white", 2.4), ("black", 1.0)):
                axes.plot([-0.5, 0.5], [0.5, -0.5], "x", color=colour, ms=5, mew=width)
            axes.set(aspect="equal", xticks=(-1, 0, 1), yticks=(-1, 0, 1))
            axes.set(xlim=(-1, 1), ylim=(-1, 1))
            axes.spines[:].set_visible(False)
        column[0].set_title(name)
        column[-1].set_xlabel(r"$\mu_1(0)$ [std]")
    for axes, step in zip(panels[:, 0], steps, strict=True):
        axes.set_ylabel(f"step size {step:g}\n" + r"$\mu_2(0)$ [std]")
    figure.colorbar(image, ax=panels, label="success [share of runs]", aspect=28, pad=0.015)
    return figure


def _edges(side: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns the borders of a grid's cells, for both axes."""
    half = 1.0 / (side - 1)
    line = np.linspace(-1.0 - half, 1.0 + half, side + 1)
    return line, line


def _square(values: Any, side: int) -> np.ndarray:
    """Mirrors a half grid ``[cells]`` to the whole ``[side, side]``."""
    square = np.zeros((side, side))
    low, high = np.triu_indices(side)
    square[low, high] = square[high, low] = np.asarray(values)
    return square


@drawing.styled
def trajectories(paths: Mapping[str, Any]) -> "Figure":
    """Draws a column for each example: the means over steps, and below them the intervals."""
    figure = drawing.new_figure(7.2, 3.7)
    panels = figure.subplots(2, len(paths), sharex=True, sharey="row")
    for (above, below), name in zip(panels.T, interval_examples.EXAMPLES, strict=True):
        every = max(1, len(paths[name]["means"]) // 600)  # more points only make the file large
        means, left, right = (
            np.asarray(paths[name][key])[::every] for key in ("means", "left", "right")
        )
        times = every * np.arange(len(means))
        for index in range(2):
            colour, line = drawing.COLOURS[index], drawing.LINES[index]
            above.plot(times, means[:, index], color=colour, ls=line, label=rf"$\mu_{index + 1}$")
            for ends in (left, right):
                below.plot(times, ends[:, index], color=colour, ls=line, lw=0.8)
            low, high, label = left[:, index], right[:, index], f"interval {index + 1}"
            shown = {"color": colour, "alpha": 0.25, "lw": 0, "rasterized": True}
            below.fill_between(times, low, high, where=low <= high, label=label, **shown)
            inverted = {"facecolor": "none", "edgecolor": "0.35", "hatch": "xxxx", "lw": 0}
            below.fill_between(
                times, low, high, where=low > high, label="inverted" if index else None, **inverted
            )
        for goal in interval_examples.TARGET:
            above.axhline(goal, color="0.4", ls=":", lw=0.9)
        step_size = interval_examples.EXAMPLES[name][0]
        above.set(title=rf"{name}, $\eta = {step_size:g}$", ylim=(-1.7, 1.7))
        below.set(xlabel="step", ylim=(-3.5, 3.5))
        above.locator_params(axis="x", nbins=4)
    panels[0, 0].set_ylabel("means [std]")
    panels[1, 0].set_ylabel("intervals' ends [std]")
    handles = [*panels[0, 0].get_legend_handles_labels()[0]]
    labels = [*panels[0, 0].get_legend_handles_labels()[1]]
    for handle, label in zip(*panels[1, -1].get_legend_handles_labels(), strict=True):
        handles.append(handle)
        labels.append(label)
    figure.legend(handles, labels, loc="outside lower center", ncols=5)
    return figure


@drawing.styled
def fates(rows: Sequence[Mapping[str, Any]], steps: Sequence[float]) -> "Figure":
    """Draws the fates of all runs off the diagonal: a stacked bar for each dynamics, a panel for each step size."""
    figure = drawing.new_figure(7.2, 0.21 * len(rows) + 1.2)
    panels = figure.subplots(1, len(steps), sharey=True, squeeze=False)[0]
    for axes, step in zip(panels, steps, strict=True):
        start = np.zeros(len(rows))
        for index, fate in enumerate(FATES):
            share = 100.0 * np.array([np.mean(row["fates"][f"{step:g}"], 0)[index] for row in rows])
            look = {"color": SHADES[index], "hatch": HATCHES[index], "edgecolor": "0.2", "lw": 0.5}
            axes.barh(range(len(rows)), share, left=start, height=0.75, label=fate, **look)
            start += share
        axes.set(title=f"step size {step:g}", xlabel="runs [%]", xlim=(0, 100))
        axes.set(yticks=range(len(rows)), yticklabels=[row["method"] for row in rows])
        axes.tick_params(axis="y", length=0)
    panels[0].invert_yaxis()
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=6)
    return figure


@drawing.styled
def collapse(found: Mapping[str, Any]) -> "Figure":
    """Draws an interval under ascent against a frozen generator, and the means from far out with unequal weights."""
    figure = drawing.new_figure(7.2, 2.6)
    left, middle, right = figure.subplots(1, 3)
    own = found["collapse"]
    times = np.arange(len(own["left"]))
    for index, (name, label) in enumerate((("left", "left end"), ("right", "right end"))):
        colour, line = drawing.COLOURS[index], drawing.LINES[index]
        left.plot(times, own[name], color=colour, ls=line, label=label)
    left.axvline(own["inverts"], color="0.4", ls=":", lw=1.0)
    text = f"inverts at {own['inverts']}"
    left.text(own["inverts"], 1.1, text, ha="center", fontsize=8, backgroundcolor="white")
    left.set(xlabel="discriminator's step", ylabel="ends [std]", title="generator frozen")
    left.legend(loc="lower center")
    target, weights = interval_examples.FAR[1:]
    for axes, (name, path) in zip((middle, right), found["far"].items(), strict=True):
        path = np.asarray(path)
        for index in range(2):
            label = rf"$w_{index + 1} = {weights[index]:g}$"
            colour, line = drawing.COLOURS[index], drawing.LINES[index]
            times = np.arange(1, len(path) + 1)
            axes.plot(times, path[:, index], color=colour, ls=line, label=label)
            axes.axhline(target[index], color=colour, ls=":", lw=0.9)
        title = "step size 0.1" if name == "eta" else r"step size $0.1 / w_j$"
        axes.set(xscale="log", xlabel="step + 1", ylabel="means [std]", title=title)
        axes.legend(loc="center right")
    return figure


@drawing.styled
def orders(found: Mapping[str, Any], fits: Mapping[str, Any]) -> "Figure":
    """Draws steps until TV <= delta over what each series varies, and the fitted order; over separation also a line."""
    from matplotlib.ticker import NullFormatter

    figure = drawing.new_figure(7.2, 2.6)
    panels = figure.subplots(1, 3)
    labels = {"delta": r"$1 / \delta$", "separation": r"1 / separation", "box": r"$e^{C^2}$"}
    for axes, (series, (_, factor)) in zip(panels, interval_orders.SERIES.items(), strict=True):
        values = np.maximum(np.asarray(found[series], np.float64), 1.0)
        axes.set(xscale="log", yscale="log", xlabel=labels[series])
        axes.set_ylim(0.7 * values.min(), 3.0 * values.max())
        mean, error = values.mean(axis=0), values.std(axis=0) / math.sqrt(len(values))
        axes.errorbar(factor, mean, error, fmt="o", ms=4, color=drawing.COLOURS[0], label="runs")
        x, a = np.asarray(factor), fits[series]["exponent"]
        scale = np.exp(np.mean(np.log(mean) - a * np.log(x)))
        axes.plot(x, scale * x**a, color="0.3", ls="--", lw=1.0, label=f"order {a:.2f}")
        if series == "separation":
            slope, level = np.polyfit(np.log(x), mean, 1)
            label = f"{level:.0f} + {slope:.0f} log(1/s)"
            fine = np.geomspace(x[0], x[-1], 100)
            axes.plot(fine, level + slope * np.log(fine), color=drawing.COLOURS[1], label=label)
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_minor_formatter(NullFormatter())
        axes.legend(loc="upper left")
    panels[0].set_ylabel(r"steps until TV $\leq \delta$")
    return figure
