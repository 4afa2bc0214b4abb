"""The figure of theory_low_diversity: distances over the number of atoms, and over atoms for each parameter."""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from mixgan_jax.plots import drawing

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SCALE = {"xscale": "log", "yscale": "log"}


@drawing.styled
def curves(rows: Sequence[Mapping[str, Any]]) -> "Figure":
    """Draws a curve for each network: over m on the left, with W1 and JS above, and over m / p on the right."""
    figure = drawing.new_figure(6.9, 3.4)
    left, right = figure.subplots(1, 2, sharey=True)
    ratios = [row["ratio"] for row in rows]
    for index, network in enumerate(rows[0]["networks"]):
        own = [row["networks"][index] for row in rows]
        look = {
            "color": drawing.COLOURS[index % len(drawing.COLOURS)],
            "marker": drawing.MARKERS[index % len(drawing.MARKERS)],
            "ls": drawing.LINES[index % len(drawing.LINES)],
        }
        label = f"p = {network['parameters']} (width {network['name']})"
        over_seeds(left, [n["m"] for n in own], [n["held_out"] for n in own], look, label)
        over_seeds(right, ratios, [n["held_out"] for n in own], look)
    classical(left, rows)
    middle = rows[0]["networks"][len(rows[0]["networks"]) // 2]["parameters"]
    few = {"color": "0.45", "marker": "*", "ls": "-", "mfc": "white"}
    label = f"p = {middle}, m reals only"
    over_seeds(right, ratios, [row["few_reals_by_seed"] for row in rows], few, label)
    last = np.mean([np.mean(n["held_out"]) for n in rows[-1]["networks"]])
    line = [last * math.sqrt(ratios[-1] / ratio) for ratio in ratios]
    kept = [(ratio, level) for ratio, level in zip(ratios, line, strict=True) if level < 1.0]
    right.plot(*zip(*kept, strict=True), color="0.2", ls=":", lw=1.0, label="slope −1/2")
    left.set(xlabel="atoms $m$", ylabel="distance (JS in nats)", **SCALE)
    right.set(xlabel="atoms for each parameter, $m/p$", **SCALE)
    figure.legend(loc="outside lower center", ncols=4)
    return figure


def over_seeds(
    axes: "Axes",
    x: Sequence[float],
    by_seed: Sequence[Any],
    look: Mapping[str, Any],
    label: str = "",
) -> None:
    """Draws mean ± standard error."""
    values = np.asarray(by_seed)
    error = values.std(axis=1, ddof=1) / math.sqrt(values.shape[1]) if values.shape[1] > 1 else None
    axes.errorbar(x, values.mean(axis=1), yerr=error, ms=4, lw=1.1, label=label or None, **look)


def classical(axes: "Axes", rows: Sequence[Mapping[str, Any]]) -> None:
    """Draws JS, and W1 over the number of samples between which it was computed."""
    atoms = [row["networks"][0]["m"] for row in rows]
    samples = [row["w1_samples"] for row in rows]
    whole = sum(a == b for a, b in zip(samples, atoms, strict=True))  # the rest are of fewer atoms
    for name, x, marker in (("wasserstein", samples, "s"), ("jensen_shannon", atoms, "D")):
        means = [row[f"{name}_mean"] for row in rows]
        count = max(whole, 1) if name == "wasserstein" else len(rows)
        label = "$W_1$" if name == "wasserstein" else "JS"
        look = {"color": "0.2", "marker": marker, "ms": 4, "mfc": "white", "lw": 1.0}
        axes.plot(x[:count], means[:count], label=label, **look)
