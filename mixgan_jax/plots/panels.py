"""Figures: samples over a density, payoff matrices with both mixtures, curves over steps, image grids.

Each function returns a ``matplotlib.figure.Figure`` that belongs to nobody else: pyplot and its global state are never
touched, so nothing needs closing and no window opens. Settings are Matplotlib's defaults and ours, never the caller's.
Colours are those of Okabe and Ito, told apart by colour-blind readers; markers and line styles differ too, so that a
print in grey still reads. Components are numbered from 0.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mixgan_jax.checks import check_number, check_path
from mixgan_jax.plots import arguments as check, drawing as draw, saving
from mixgan_jax.types import Array

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def save(fig: "Figure", path: str | os.PathLike[str]) -> Path:
    """Writes a figure, at 200 dots per inch where the format has dots.

    Args:
        fig: any figure of this module.
        path: its ending names the format (``.png``, ``.pdf``, ``.svg``); folders are created.

    Returns:
        The path written to.
    """
    path = check_path("path", path)
    path.parent.mkdir(parents=True, exist_ok=True)
    return saving.write(check.figure("fig", fig), path)


@draw.styled
def plot_samples(
    samples: Any,
    *,
    log_prob: Callable[[Array], Array] | None = None,
    centers: Any = None,
    weights: Any = None,
    bandwidth: float = 0.06,
    limits: tuple[float, float] | None = None,
    title: str | None = None,
    max_points: int = 2000,
) -> "Figure":
    """Samples in the plane, by component, over the density they should have.

    Args:
        samples: ``[N, 2]``, or ``[K, N, 2]`` by component.
        log_prob: log density of points ``[M, 2]``, as ``[M]``; shaded grey.
        centers: of the density's modes ``[M, 2]``; ringed.
        weights: of the components ``[K]``, for the legend.
        bandwidth: standard deviation, in data units, of the Gaussian that the shading is smoothed
            by: modes of std 0.02 would be a few pixels wide without. Only the shading is smoothed.
        limits: lowest and highest value of both axes; None fits density centers and samples.
        title: of the figure.
        max_points: drawn per component; the first ones.

    Returns:
        A figure with one square panel, and a colour bar where there is a density.

    Raises:
        TypeError, ValueError: an argument of another rank or size.
    """
    points = check.by_component("samples", samples)
    labels = draw.component_labels(len(points), weights)
    fig = draw.new_figure(4.5 if log_prob is not None else 3.9, 3.8, layout="compressed")
    axes = fig.add_subplot()
    limits = draw.limits_of([points], centers, limits)
    if log_prob is not None:
        image = draw.shade(axes, log_prob, limits, bandwidth)
        unit = f"target density per unit area\n(smoothed by a Gaussian of std {bandwidth:g})"
        draw.colour_bar(fig, axes, image, unit, 0.04)
    collections = draw.scatter(axes, points, centers, limits, max_points)
    if len(points) > 1:
        columns = 2 if weights is not None else 3
        fig.legend(collections, labels, loc="outside lower center", ncols=columns, markerscale=2.5)
    axes.set(xlabel="$x_1$", ylabel="$x_2$", title=title or "")
    return fig


@draw.styled
def plot_sample_panels(
    samples: Mapping[str, Any],
    *,
    log_prob: Callable[[Array], Array] | None = None,
    centers: Any = None,
    captions: Mapping[str, str] | None = None,
    bandwidth: float = 0.06,
    limits: tuple[float, float] | None = None,
    max_points: int = 2000,
) -> "Figure":
    """One panel of samples per method, in a row, on the same axes.

    Args:
        samples: name of the method to samples ``[N, 2]``, or ``[K, N, 2]`` by component.
        log_prob: as in :func:`plot_samples`.
        centers: as there, ``[M, 2]``.
        captions: a line below a method's panel, such as its number of modes.
        bandwidth: as there.
        limits: as there, for all panels.
        max_points: as there.

    Returns:
        A figure with ``len(samples)`` panels, in the order of the mapping.

    Raises:
        TypeError, ValueError: no samples, or an argument of another rank or size.
    """
    check.mapping("samples", samples)
    captions = check.names("captions", captions, samples)
    points = {
        name: check.by_component(f"samples[{name!r}]", value) for name, value in samples.items()
    }
    limits = draw.limits_of(list(points.values()), centers, limits)
    fig = draw.new_figure(1.75 * len(points) + 0.3, 2.4, layout="compressed")
    panels = fig.subplots(1, len(points), sharex=True, sharey=True, squeeze=False)[0]
    for axes, (name, groups) in zip(panels, points.items(), strict=True):
        if log_prob is not None:
            draw.shade(axes, log_prob, limits, bandwidth)
        draw.scatter(axes, groups, centers, limits, max_points)
        axes.set(title=name, xlabel=captions.get(name, ""))
    return fig


@draw.styled
def plot_payoffs(
    value_matrix: Any,
    generator_weights: Any,
    discriminator_weights: Any,
    *,
    equilibrium: tuple[Any, Any] | None = None,
    value: float | None = None,
    nash_conv: float | None = None,
    label: str = "payoff to the discriminator (nats)",
) -> "Figure":
    """The payoff of each generator against each discriminator, between the two mixtures' weights.

    Args:
        value_matrix: ``[I, J]``; written into the cells up to 8 x 8.
        generator_weights: ``[I]``, bars beside the rows.
        discriminator_weights: ``[J]``, bars above the columns.
        equilibrium: the weights ``[I]`` and ``[J]`` of an equilibrium of the matrix game, drawn beside the others.
        value: of the game, for the title.
        nash_conv: sum of both sides' regrets, in the units of the payoff, for the title.
        label: what the matrix holds, with its unit.

    Returns:
        A figure whose axes are, in order: matrix (and, as its child, colour bar), generators' bars, discriminators'.

    Raises:
        TypeError, ValueError: an argument of another rank or size.
    """
    matrix = check.host("value_matrix", value_matrix, 2)
    rows, columns = matrix.shape
    generators = [check.host("generator_weights", generator_weights, 1, rows)]
    discriminators = [check.host("discriminator_weights", discriminator_weights, 1, columns)]
    if equilibrium is not None:
        check.pair("equilibrium", equilibrium)
        generators.append(check.host("equilibrium[0]", equilibrium[0], 1, rows))
        discriminators.append(check.host("equilibrium[1]", equilibrium[1], 1, columns))
    cell = min(0.55, 4.0 / max(rows, columns))
    width, height = max(cell * columns, 1.8), max(cell * rows, 2.1)
    fig = draw.new_figure(width + 2.2, height + 1.6)
    grid = fig.add_gridspec(2, 2, width_ratios=(0.9, width), height_ratios=(0.75, height))
    axes = fig.add_subplot(grid[1, 1])
    left, top = fig.add_subplot(grid[1, 0], sharey=axes), fig.add_subplot(grid[0, 1], sharex=axes)
    draw.colour_bar(fig, axes, draw.heat_map(axes, matrix), label or "", 0.1 / width)
    draw.weight_bars(left, generators, horizontal=True)
    draw.weight_bars(top, discriminators, horizontal=False)
    if equilibrium is not None:
        fig.legend(*top.get_legend_handles_labels(), loc="upper left", handlelength=1.2)
    parts = [] if value is None else [f"value {check_number('value', value):.4g}"]
    parts += [] if nash_conv is None else [f"NashConv {check_number('nash_conv', nash_conv):.3g}"]
    top.set_title(", ".join(parts))
    return fig


@draw.styled
def plot_curves(
    records: Sequence[Any],
    names: Sequence[str],
    *,
    equilibrium: Mapping[str, float] | None = None,
    ylabel: str = "loss (nats)",
    title: str | None = None,
) -> "Figure":
    """Logged numbers over steps: the mean over seeds, and one standard error of that mean to each side.

    Args:
        records: what ``read_records`` returns; or a list of such lists, one per seed. A value is a number, or a list
            over seeds ``[S]``; a step's mean is over the seeds that logged it.
        names: which values to draw; lines without one are passed over.
        equilibrium: name to the level of its curve at the game's equilibrium, such as ``2 log 2``.
        ylabel: what the values are, with their unit.
        title: of the figure.

    Returns:
        A figure with one panel, and one line per name (a second, dotted, for its equilibrium).

    Raises:
        ValueError: a name that no record holds, or a value of rank above 1.
    """
    check.strings("names", names)
    levels = check.names("equilibrium", equilibrium, names)
    fig = draw.new_figure(4.6, 2.9)
    axes = fig.add_subplot()
    for index, name in enumerate(names):
        steps, mean, error = draw.over_seeds(records, name)
        colour = draw.COLOURS[index % len(draw.COLOURS)]
        axes.plot(steps, mean, color=colour, ls=draw.LINES[index % len(draw.LINES)], label=name)
        if np.any(error > 0):
            axes.fill_between(steps, mean - error, mean + error, color=colour, alpha=0.22, lw=0)
        if name in levels:
            level = float(check_number(f"equilibrium[{name!r}]", levels[name]))
            draw.annotate_level(axes, level, colour)
    axes.set(xlabel="step", ylabel=ylabel or "", title=title or "")
    if levels:
        axes.plot([], [], color="0.3", ls=":", lw=1.0, label="equilibrium")
    axes.legend()
    return fig


@draw.styled
def plot_weights(steps: Any, weights: Any, *, title: str | None = None) -> "Figure":
    """Mixture weights over steps, one line per component, with the uniform weight for comparison.

    Args:
        steps: ``[T]``.
        weights: ``[T, K]``, in [0, 1]; each row sums to 1.
        title: of the figure.

    Returns:
        A figure with one panel; its lines are the components, in order, then the uniform weight.

    Raises:
        TypeError, ValueError: an argument of another rank or size, or rows that do not sum to 1.
    """
    values = check.host("weights", weights, 2)
    times = check.host("steps", steps, 1, len(values))
    if not np.allclose(values.sum(axis=1), 1.0, atol=1e-3):
        raise ValueError("weights must sum to 1 in every row; exponentiate log-weights")
    fig = draw.new_figure(4.6, 2.7)
    axes = fig.add_subplot()
    num_components = values.shape[1]
    for index, label in enumerate(draw.component_labels(num_components)):
        axes.plot(
            times,
            values[:, index],
            color=draw.COLOURS[index % len(draw.COLOURS)],
            marker=draw.MARKERS[index % len(draw.MARKERS)],
            markevery=(0.03 + 0.1 * index / num_components, 0.14),
            ms=4,
            label=label,
        )
    axes.axhline(1 / num_components, color="0.3", ls=":", lw=1.0, label="uniform")
    axes.set(xlabel="step", ylabel="mixture weight", title=title or "")
    axes.set_ylim(0, max(1.05 * float(values.max()), 1.2 / num_components))
    fig.legend(loc="outside right center")
    return fig


@draw.styled
def image_grid(
    images: Any,
    *,
    weights: Any = None,
    columns: int | None = None,
    title: str | None = None,
    value_range: tuple[float, float] | None = None,
) -> "Figure":
    """Images by component: a block of tiles for each, labelled with its number and weight.

    Args:
        images: ``[K, n, H, W, C]`` with C of 1 or 3; uint8, or floating point in [-1, 1].
        weights: of the components ``[K]``, for the labels.
        columns: images per row of a block, >= 1; None puts all n in one row.
        title: of the figure.
        value_range: the values of black and white, as in :func:`mixgan_jax.data.to_uint8`.

    Returns:
        A figure with one panel per component, each holding one picture of all its images.

    Raises:
        TypeError, ValueError: images of another rank, dtype or range.
    """
    blocks = draw.tile("images", images, columns, value_range)
    labels = draw.component_labels(len(blocks), weights, separator="\n")
    fig, panels = draw.stack(blocks, wide=columns is not None, titled=title is not None)
    for axes, block, label in zip(panels, blocks, labels, strict=True):
        draw.show_picture(axes, block, label)
    panels[0].set_title(title or "")
    return fig
