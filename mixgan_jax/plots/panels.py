"""The public figures; see :mod:`mixgan_jax.plots`."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np

from mixgan_jax.checked import checked
from mixgan_jax.checks import check_number
from mixgan_jax.data.levels import Range
from mixgan_jax.plots import arguments as check, drawing as draw, saving
from mixgan_jax.types import Array, ArrayLike, Count, FilePath, Number, Positive

if TYPE_CHECKING:
    from matplotlib.figure import Figure
else:
    Figure = Any  # annotations are read without Matplotlib


@checked
def save(fig: "Figure", path: FilePath) -> Path:
    """Writes a figure, at 200 dots per inch where the format has dots.

    Args:
        fig: any figure of this module.
        path: its ending names the format (``.png``, ``.pdf``, ``.svg``); folders are created.

    Returns:
        The path written to.
    """
    check.figure("fig", fig)
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    return saving.write(fig, path)


@checked
@draw.styled
def plot_samples(
    samples: check.Samples,
    *,
    log_prob: Callable[[Array], Array] | None = None,
    centers: check.Points | None = None,
    weights: check.Vector | None = None,
    bandwidth: Positive = 0.06,
    limits: check.Limits | None = None,
    title: str | None = None,
    max_points: Count = 2000,
) -> "Figure":
    """Draws samples in the plane, by component, over the density that they should have.

    Args:
        samples: ``[N, 2]``, or ``[K, N, 2]`` by component.
        log_prob: log density of points ``[M, 2]``, as ``[M]``; shaded grey.
        centers: centers of the modes ``[M, 2]``; ringed.
        weights: weights of the components ``[K]``, for the legend.
        bandwidth: standard deviation, in data units, of the Gaussian that smooths the shading. Without it modes of
            std 0.02 would be a few pixels wide. Samples are drawn as they are.
        limits: lowest and highest value of both axes; None fits centers and samples.
        title: title of the figure.
        max_points: the first so many samples of each component are drawn.

    Returns:
        A figure with one square panel, and a colour bar where there is a density.
    """
    points = np.asarray(samples)
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


@checked
@draw.styled
def plot_sample_panels(
    samples: Annotated[Mapping[str, ArrayLike], check.by_method],
    *,
    log_prob: Callable[[Array], Array] | None = None,
    centers: check.Points | None = None,
    captions: Mapping[str, str] | None = None,
    bandwidth: Positive = 0.06,
    limits: check.Limits | None = None,
    max_points: Count = 2000,
) -> "Figure":
    """Draws one panel of samples per method, in a row, on the same axes.

    Args:
        samples: name of the method to samples ``[N, 2]``, or ``[K, N, 2]`` by component.
        log_prob: as in :func:`plot_samples`.
        centers: centers of the modes ``[M, 2]``; ringed.
        captions: a line below the panel of a method, such as its number of modes.
        bandwidth: as in :func:`plot_samples`.
        limits: lowest and highest value of both axes of all panels.
        max_points: the first so many samples of each component are drawn.

    Returns:
        A figure with ``len(samples)`` panels, in the order of the mapping.
    """
    captions = check.names("captions", captions, samples)
    points = {name: np.asarray(groups) for name, groups in samples.items()}
    limits = draw.limits_of(list(points.values()), centers, limits)
    fig = draw.new_figure(1.75 * len(points) + 0.3, 2.4, layout="compressed")
    panels = fig.subplots(1, len(points), sharex=True, sharey=True, squeeze=False)[0]
    for axes, (name, groups) in zip(panels, points.items(), strict=True):
        if log_prob is not None:
            draw.shade(axes, log_prob, limits, bandwidth)
        draw.scatter(axes, groups, centers, limits, max_points)
        axes.set(title=name, xlabel=captions.get(name, ""))
    return fig


@checked
@draw.styled
def plot_payoffs(
    value_matrix: check.Matrix,
    generator_weights: check.Vector,
    discriminator_weights: check.Vector,
    *,
    equilibrium: Annotated[tuple[ArrayLike, ArrayLike], check.two_vectors] | None = None,
    value: Number | None = None,
    nash_conv: Number | None = None,
    label: str = "payoff to the discriminator (nats)",
) -> "Figure":
    """Draws the payoff of each generator against each discriminator, and the weights of both mixtures at its margins.

    Args:
        value_matrix: payoffs ``[I, J]``; written into the cells up to 8 x 8.
        generator_weights: ``[I]``, bars beside the rows.
        discriminator_weights: ``[J]``, bars above the columns.
        equilibrium: the weights ``[I]`` and ``[J]`` of an equilibrium of the matrix game, drawn beside the others.
        value: value of the game, for the title.
        nash_conv: sum of the regrets of both sides, in the units of the payoff, for the title.
        label: name of the payoff, with its unit.

    Returns:
        A figure with three axes: the matrix (the colour bar is its child), the bars of the generators, and those of
        the discriminators.

    Example:
        >>> import mixgan_jax as mg
        >>> figure = mg.plots.plot_payoffs([[0.2, -0.1], [0.0, 0.3]], [0.5, 0.5], [0.4, 0.6])
        >>> len(figure.axes)
        3
    """
    matrix = np.asarray(value_matrix)
    rows, columns = matrix.shape
    generators = [check.of_length("generator_weights", generator_weights, rows)]
    discriminators = [check.of_length("discriminator_weights", discriminator_weights, columns)]
    if equilibrium is not None:
        generators.append(check.of_length("equilibrium[0]", equilibrium[0], rows))
        discriminators.append(check.of_length("equilibrium[1]", equilibrium[1], columns))
    # Lay out the axes.
    cell = min(0.55, 4.0 / max(rows, columns))
    width, height = max(cell * columns, 1.8), max(cell * rows, 2.1)
    fig = draw.new_figure(width + 2.2, height + 1.6)
    grid = fig.add_gridspec(2, 2, width_ratios=(0.9, width), height_ratios=(0.75, height))
    axes = fig.add_subplot(grid[1, 1])
    left, top = fig.add_subplot(grid[1, 0], sharey=axes), fig.add_subplot(grid[0, 1], sharex=axes)
    # Draw the matrix and its margins.
    draw.colour_bar(fig, axes, draw.heat_map(axes, matrix), label, 0.1 / width)
    draw.weight_bars(left, generators, horizontal=True)
    draw.weight_bars(top, discriminators, horizontal=False)
    if equilibrium is not None:
        fig.legend(*top.get_legend_handles_labels(), loc="upper left", handlelength=1.2)
    parts = [] if value is None else [f"value {value:.4g}"]
    parts += [] if nash_conv is None else [f"NashConv {nash_conv:.3g}"]
    top.set_title(", ".join(parts))
    return fig


@checked
@draw.styled
def plot_curves(
    records: Annotated[Sequence[Any], check.runs],
    names: Annotated[Sequence[str], check.strings],
    *,
    equilibrium: Mapping[str, float] | None = None,
    ylabel: str = "loss (nats)",
    title: str | None = None,
) -> "Figure":
    """Draws logged numbers over steps: the mean over seeds, and one standard error of that mean to each side.

    Args:
        records: the result of ``read_records``, or a list of them, one per seed. A value is a number, or a list over
            seeds ``[S]``. The mean at a step is over the seeds that logged it.
        names: names of the values to draw; records without one of them are skipped.
        equilibrium: name to the level of its curve at the equilibrium of the game, such as ``2 log 2``.
        ylabel: name of the values, with their unit.
        title: title of the figure.

    Returns:
        A figure with one panel, and one line per name (a second, dotted, for its equilibrium).
    """
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
    axes.set(xlabel="step", ylabel=ylabel, title=title or "")
    if levels:
        axes.plot([], [], color="0.3", ls=":", lw=1.0, label="equilibrium")
    axes.legend()
    return fig


@checked
@draw.styled
def plot_weights(
    steps: check.Vector,
    weights: Annotated[ArrayLike, check.rows_on_the_simplex],
    *,
    title: str | None = None,
) -> "Figure":
    """Draws mixture weights over steps, one line per component, with the uniform weight for comparison.

    Args:
        steps: ``[T]``.
        weights: ``[T, K]``, in [0, 1]; each row sums to 1.
        title: title of the figure.

    Returns:
        A figure with one panel; its lines are the components, in order, then the uniform weight.
    """
    values = np.asarray(weights)
    times = check.of_length("steps", steps, len(values))
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


@checked
@draw.styled
def image_grid(
    images: Annotated[ArrayLike, check.image_blocks],
    *,
    weights: check.Vector | None = None,
    columns: Count | None = None,
    title: str | None = None,
    value_range: Range | None = None,
) -> "Figure":
    """Draws images by component: a block of tiles for each, labelled with its number and weight.

    Args:
        images: ``[K, n, H, W, C]`` with C of 1 or 3; uint8, or floating point in [-1, 1].
        weights: weights of the components ``[K]``, for the labels.
        columns: images per row of a block, >= 1; None puts all n in one row.
        title: title of the figure.
        value_range: the values of black and white, as in :func:`mixgan_jax.data.to_uint8`.

    Returns:
        A figure with one panel per component; each panel holds one picture of all its images.
    """
    blocks = draw.tile("images", images, columns, value_range)
    labels = draw.component_labels(len(blocks), weights, separator="\n")
    fig, panels = draw.stack(blocks, wide=columns is not None, titled=title is not None)
    for axes, block, label in zip(panels, blocks, labels, strict=True):
        draw.show_picture(axes, block, label)
    panels[0].set_title(title or "")
    return fig
