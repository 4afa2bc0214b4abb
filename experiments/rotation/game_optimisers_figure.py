"""The figure of game_optimisers."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from experiments.rotation.small_gan import FACTORS
from mixgan_jax.plots import drawing

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SHOWN = ("simultaneous", "alternating", "extragradient", "optimistic", "consensus")
STYLES = (":", "--", "-", "-.", (0, (4, 1, 1, 1, 1, 1)))


@drawing.styled
def dynamics(toy: Mapping[str, Any], small: Mapping[str, Any]) -> "Figure":
    """Draws distances on the bilinear game, a small GAN's eigenvalues, and predicted against observed rates."""
    figure = drawing.new_figure(9.0, 2.9)
    left, middle, right = figure.subplots(1, 3)
    _distances(left, toy)
    solved = np.asarray(small["residual"]) < 1e-9
    _eigenvalues(middle, small, solved)
    _rates(right, small, solved)
    return figure


def _distances(axes: "Axes", toy: Mapping[str, Any]) -> None:
    for name, colour, style in zip(SHOWN, drawing.COLOURS, STYLES, strict=False):
        lengths = np.linalg.norm(toy[name]["path"], axis=1)[:101]
        axes.plot(lengths / lengths[0], color=colour, ls=style, lw=1.2, label=name)
    axes.set(
        title="min max xy, step 0.3",
        xlabel="steps",
        ylabel="distance / first distance",
        yscale="log",
        ylim=(1e-9, 1e3),
    )
    axes.legend(fontsize=7, loc="lower left")


def _eigenvalues(axes: "Axes", small: Mapping[str, Any], solved: np.ndarray) -> None:
    """Draws the eigenvalues of the first seed whose equilibrium attracts; a stable step's circle contains them all."""
    axes.set(title="eigenvalues of a small GAN", xlabel="real part", ylabel="imaginary part")
    steps = np.asarray(small["stable_step"])
    found = np.flatnonzero(solved & (steps > 0))
    if not found.size:
        axes.text(0.5, 0.5, "no equilibrium that attracts", ha="center", transform=axes.transAxes)
        return
    seed = found[0]
    values = np.asarray(small["eigenvalues"])[seed]
    angles = np.linspace(0, 2 * np.pi, 400)
    for factor, style in ((1.0, "-"), (2.0, "--")):
        radius = 1.0 / (factor * steps[seed])
        axes.plot(
            radius * (1 + np.cos(angles)),
            radius * np.sin(angles),
            color="0.4",
            ls=style,
            lw=1.0,
            label=f"|1 - ηλ| = 1, η = {factor * steps[seed]:.2f}",
        )
    axes.plot(values[:, 0], values[:, 1], "o", ms=4, color=drawing.COLOURS[0], mfc="none")
    axes.axvline(0, color="0.8", lw=0.8, zorder=0)
    axes.set_aspect("equal")
    top = 1.0 / steps[seed]
    axes.set_ylim(-1.1 * top, 1.75 * top)
    axes.legend(fontsize=7, loc="upper center")


def _rates(axes: "Axes", small: Mapping[str, Any], solved: np.ndarray) -> None:
    predicted, observed = (np.asarray(small[name])[solved] for name in ("predicted", "observed"))
    pairs = zip(FACTORS, drawing.COLOURS, drawing.MARKERS, strict=False)
    for index, (factor, colour, marker) in enumerate(pairs):
        axes.plot(
            predicted[:, index] - 1,
            observed[:, index] - 1,
            marker,
            ms=4,
            color=colour,
            mfc="none",
            label=f"{factor:g} η*",
        )
    axes.axline((0, 0), slope=1, color="0.6", lw=0.8, zorder=0)
    for line in (axes.axvline, axes.axhline):
        line(0, color="0.8", lw=0.8, zorder=0)
    axes.set_xscale("symlog", linthresh=1e-3)
    axes.set_yscale("symlog", linthresh=1e-3)
    axes.set_xticks([-1e-2, 0, 1e-2, 1])
    axes.set(
        title="steps around the stable one η*",
        xlabel="predicted factor a step - 1",
        ylabel="observed factor a step - 1",
    )
    axes.legend(fontsize=7, loc="upper left")
