"""The figure of first_principles: one panel for each assumption."""

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from experiments.first_principles.first_principles_panels import (
    DEGREES,
    EXCESSES,
    MODE_STD,
    OBJECTIVES,
    STDS,
    TARGETS,
    moment_std,
)
from mixgan_jax.plots import drawing

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SHOWN, EVEN = "modes at ±2, 0.6 left", "modes at ±2"  # the targets of A5
RULES = ("logistic", "Brier", "exponential", "hinge", "Wasserstein", "non-saturating")
SHORT = {
    "kl": "KL",
    "reverse_kl": "reverse KL",
    "jensen_shannon": "JS",
    "non_saturating": "non-saturating",
    "total_variation": "TV",
}


@drawing.styled
def six_panels(config: Any, panels: Mapping[str, Any], finite: Mapping[str, Any]) -> "Figure":
    """Draws A1 to A3 above, A4 to A6 below."""
    figure = drawing.new_figure(8.6, 5.4)
    axes = figure.subplots(2, 3).reshape(-1)
    degenerate(axes[0], panels["A1"]["gaussians"])
    scoring_rules(axes[1], panels["A2"]["pulls"])
    limited_discriminator(axes[2], panels["A3"])
    limited_generator(axes[3], panels["A4"])
    fits(axes[4], panels["A5"])
    finite_samples(axes[5], config, finite)
    titles = (
        "A1  degenerate density",
        "A2  scoring rule",
        "A3  limited discriminator",
        "A4  limited generator",
        "A5  other objectives",
        "A6  finite samples",
    )
    for panel, title in zip(axes, titles, strict=True):
        panel.set_title(title, loc="left", fontweight="bold")
    return figure


def look(index: int, *, marker: bool = True) -> dict[str, Any]:
    """Returns colour, marker and line style of one of several curves."""
    return {
        "color": drawing.COLOURS[index % len(drawing.COLOURS)],
        "ls": drawing.LINES[index % len(drawing.LINES)],
        **({"marker": drawing.MARKERS[index], "ms": 4} if marker else {}),
    }


def degenerate(axes: "Axes", found: Mapping[str, Any]) -> None:
    """Draws derivatives in the distance of two Gaussians, over their standard deviation."""
    names = {"d_kl": "KL", "d_wasserstein": "$W_1$", "d_jensen_shannon": "JS"}
    for index, (name, label) in enumerate(names.items()):
        axes.plot(STDS, found[name], label=label, **look(index))
    axes.set(xscale="log", yscale="log", ylim=(3e-6, 2e3), xticks=[0.05, 0.1, 0.2, 0.5, 1, 2])
    axes.set_xticklabels(["0.05", "0.1", "0.2", "0.5", "1", "2"])
    axes.minorticks_off()
    axes.set(xlabel="std $s$ of two Gaussians at distance 1", ylabel="derivative in the distance")
    axes.legend(loc="lower right")


def scoring_rules(axes: "Axes", found: Mapping[str, Any]) -> None:
    """Draws the pull on the generator over the discriminator's distance from its best loss."""
    for index, name in enumerate(RULES):
        # Three curves nearly coincide: larger marks show from under smaller ones.
        style = look(index) | {"ms": max(4.0, 8.0 - 2.0 * index)}
        axes.plot(EXCESSES, found[name]["pull"], label=name, **style)
    axes.set(xscale="log", yscale="log", ylim=(5e-4, 3e3))
    axes.invert_xaxis()
    axes.set(xlabel="discriminator's loss above its best", ylabel="pull on the generator")
    axes.legend(ncols=2, loc="upper left", columnspacing=0.8, handlelength=2.4, fontsize=7)


def limited_discriminator(axes: "Axes", found: Mapping[str, Any]) -> None:
    """Draws how much the best polynomial logit tells apart, in nats, by its degree."""
    axes.plot(DEGREES, found["bounds"], label="best logit of degree $n$", **look(0))
    axes.axhline(found["jensen_shannon"], color="0.2", ls=":", lw=1.1, label="JS, no limit")
    axes.set(xlabel="degree $n$ of the logit", ylabel="told apart / nats", xticks=range(1, 11))
    axes.set_ylim(-0.012, 0.26)
    axes.legend(loc="upper left")


def limited_generator(axes: "Axes", found: Mapping[str, Any]) -> None:
    """Draws the generator's loss over its standard deviation, for discriminators of several degrees."""
    for index, (degree, label) in enumerate((("3", "2 and 3"), ("4", "4"), ("6", "6"))):
        axes.plot(found["stds"], found["curves"][degree], label=label, **look(index, marker=False))
    axes.plot(found["stds"], found["true"], color="0.2", ls=":", lw=1.1, label="no limit")
    std = moment_std(2.0)
    axes.plot([std], [0.0], color=drawing.COLOURS[0], marker="o", ms=5, ls="", clip_on=False)
    axes.annotate("fooled", (std, 0.0), (2.35, 0.075), arrowprops={"arrowstyle": "-", "lw": 0.7})
    axes.set(xlabel="std of the generator's Gaussian", ylabel="generator's loss / nats")
    axes.set_ylim(-0.02, 0.66)
    axes.legend(title="degree", loc="upper right", title_fontsize=8)


def fits(axes: "Axes", found: Mapping[str, Any]) -> None:
    """Draws the target's density, and the best Gaussian under each objective."""
    x = np.linspace(-6.0, 6.0, 601)

    def density(mean: float, std: float) -> np.ndarray:
        return np.exp(-0.5 * ((x - mean) / std) ** 2) / (std * math.sqrt(2.0 * math.pi))

    offset, left = TARGETS[SHOWN]
    target = left * density(-offset, MODE_STD) + (1.0 - left) * density(offset, MODE_STD)
    axes.fill_between(x, target, color="0.85", lw=0, label="data")
    curves: dict[tuple[float, float], str] = {}
    for name in OBJECTIVES:  # coinciding fits are one curve
        best = (round(found[SHOWN][name]["mean"], 1), round(found[SHOWN][name]["std"], 1))
        curves[best] = f"{curves[best]},\n{SHORT[name]}" if best in curves else SHORT[name]
    for index, ((mean, std), label) in enumerate(curves.items()):
        axes.plot(x, density(mean, std), label=label, **look(index, marker=False))
    even = found[EVEN]["jensen_shannon"]
    axes.plot(
        x, density(even["mean"], even["std"]), color="0.2", ls=":", lw=1.1, label="JS, even data"
    )
    axes.set(xlabel="$x$", ylabel="density", ylim=(0, 0.95), xlim=(-6, 6))
    axes.legend(loc="upper right", fontsize=7.5)


def finite_samples(axes: "Axes", config: Any, finite: Mapping[str, Any]) -> None:
    """Draws W1 between two samples over the dimension, mean ± standard error, and the bound."""
    from matplotlib.ticker import NullFormatter

    values = np.asarray(finite["wasserstein"])
    count = values.shape[-1]
    error = values.std(axis=-1, ddof=1) / math.sqrt(count) if count > 1 else 0.0 * values[..., 0]
    for index, m in enumerate(config.sizes):
        axes.errorbar(
            config.dimensions,
            values[:, index].mean(axis=-1),
            yerr=error[:, index],
            label=f"{m} samples",
            lw=1.1,
            **look(index),
        )
    d = np.geomspace(5.0, max(config.dimensions[-1], 10), 100)
    axes.plot(d, math.sqrt(2.0) - np.sqrt(10.0 / d), color="0.2", ls=":", lw=1.1, label="bound")
    axes.set(xscale="log", xlabel="dimension $d$", ylabel="$W_1$ of two samples", ylim=(0, 1.5))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.legend(loc="lower right", title="same distribution", title_fontsize=8)
