"""Style and pieces that the figures of ``plots`` share."""

import contextlib
import functools
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, ParamSpec

import jax.numpy as jnp
import numpy as np

from mixgan_jax.data.levels import Range, to_levels
from mixgan_jax.plots.arguments import of_length
from mixgan_jax.types import Array, ArrayLike

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

P = ParamSpec("P")

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#5D4A9C", "#555555")
MARKERS = "o^sDvPX<>"
LINES: tuple[Any, ...] = ("-", "--", "-.", (0, (5, 1, 1, 1, 1, 1)))
STYLE: Any = {
    "figure.dpi": 160,
    "savefig.dpi": 200,
    "font.size": 9,
    "axes.titlesize": 9.5,
    "axes.labelsize": 9,
    "axes.linewidth": 0.7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "legend.fontsize": 8,
    "legend.frameon": False,
    "lines.linewidth": 1.4,
}


@contextlib.contextmanager
def own_settings(style: Any) -> Iterator[None]:
    """Sets Matplotlib's defaults, then ``style``; the settings of the caller come back afterwards."""
    import matplotlib

    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(style)
        yield


def styled(function: "Callable[P, Figure]") -> "Callable[P, Figure]":
    """Makes a function draw with our own settings."""

    @functools.wraps(function)
    def draw(*args: P.args, **kwargs: P.kwargs) -> "Figure":
        with own_settings(STYLE):
            return function(*args, **kwargs)

    return draw


def new_figure(width: float, height: float, layout: Any = "constrained") -> "Figure":
    """Makes an empty figure, its size in inches, which pyplot does not know."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout=layout)


def colour_bar(fig: "Figure", axes: "Axes", image: Any, label: str, width: float) -> None:
    """Draws the scale of an image's colours at its right edge; ``width`` is in widths of the axes."""
    bar = fig.colorbar(image, cax=axes.inset_axes((1 + width, 0.0, width, 1.0)))
    bar.set_label(label)
    bar.ax.spines[:].set_visible(False)


def stack(blocks: np.ndarray, *, wide: bool, titled: bool) -> "tuple[Figure, list[Axes]]":
    """Makes a figure of panels below each other, in the shapes of their blocks ``[H, W, 3]``, with room for labels."""
    count, height, width = len(blocks), *blocks.shape[1:3]
    scale = min(6.5 / width, 8.0 / (height * count))  # inches per pixel
    height, width = height * scale, width * scale
    left, right, top, gap = 0.95, 0.05, 0.3 if titled else 0.05, 0.14 if wide else 0.06
    size = (left + width + right, (height + gap) * count + top)
    fig = new_figure(*size, layout=None)
    fig.subplots_adjust(
        left=left / size[0],
        right=1 - right / size[0],
        top=1 - top / size[1],
        bottom=gap / size[1],
        hspace=gap / height,
    )
    return fig, list(fig.subplots(count, 1, squeeze=False)[:, 0])


def show_picture(axes: "Axes", picture: Any, label: str) -> None:
    """Draws one picture that fills its axes, with a label on the left."""
    axes.imshow(picture, interpolation="nearest")
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_visible(False)
    axes.set_ylabel(label, rotation=0, ha="right", va="center", fontsize=8)


def component_labels(
    count: int, weights: ArrayLike | None = None, separator: str = ", "
) -> list[str]:
    """Returns ``component 0, w = 0.25`` and so on; without weights ``component 0``."""
    labels = [f"component {index}" for index in range(count)]
    if weights is None:
        return labels
    values = of_length("weights", weights, count)
    return [f"{label}{separator}w = {w:.2f}" for label, w in zip(labels, values, strict=True)]


def limits_of(
    groups: Sequence[np.ndarray],
    centers: ArrayLike | None,
    limits: tuple[float, float] | None,
) -> tuple[float, float]:
    """Returns limits for both axes: ``limits``, or those around the centers and all but the outermost samples."""
    if limits is not None:
        return limits
    points = np.concatenate([group.reshape(-1, 2) for group in groups])
    # A single stray sample must not shrink the picture.
    extremes = np.quantile(points, [0.002, 0.998], axis=0)
    if centers is not None:
        extremes = np.concatenate([extremes, np.asarray(centers, np.float64)])
    low, high = float(extremes.min()), float(extremes.max())
    margin = 0.12 * (high - low) or 1.0
    return low - margin, high + margin


def shade(
    axes: "Axes",
    log_prob: Callable[[Array], Array],
    limits: tuple[float, float],
    bandwidth: float,
    cells: int = 400,
) -> Any:
    """Draws the density in shades of grey, smoothed by a Gaussian of std ``bandwidth``."""
    from matplotlib.colors import LinearSegmentedColormap, PowerNorm

    line = np.linspace(*limits, cells)
    grid = np.stack(np.meshgrid(line, line), axis=-1).reshape(-1, 2)
    logs = np.asarray(log_prob(jnp.asarray(grid, jnp.float32)))
    if logs.shape != (cells**2,):
        raise ValueError(f"log_prob must map points [M, 2] to [M], got shape {logs.shape}")
    density = np.exp(logs.astype(np.float64)).reshape(cells, cells)
    # Rows of Gaussian weights that sum to 1: the convolution is one product along each axis.
    kernel = np.exp(-0.5 * ((line[:, None] - line[None, :]) / bandwidth) ** 2)
    kernel /= kernel.sum(axis=1, keepdims=True)
    density = kernel @ density @ kernel.T
    greys = LinearSegmentedColormap.from_list("light greys", ["white", "#8c8c8c"])
    # The square root keeps faint modes apart from the background.
    norm = PowerNorm(0.5, vmin=0.0, vmax=float(density.max()))
    extent = (*limits, *limits)
    return axes.imshow(
        density, origin="lower", extent=extent, cmap=greys, norm=norm, interpolation="bilinear"
    )


def scatter(
    axes: "Axes",
    groups: np.ndarray,
    centers: ArrayLike | None,
    limits: tuple[float, float],
    max_points: int,
) -> list[Any]:
    """Draws samples ``[K, N, 2]``, one collection per component, then rings around the centers."""
    drawn = []
    for index, points in enumerate(groups[:, :max_points]):
        colour, marker = COLOURS[index % len(COLOURS)], MARKERS[index % len(MARKERS)]
        look: dict[str, Any] = {"s": 4, "alpha": 0.6, "lw": 0, "rasterized": True}
        drawn.append(axes.scatter(points[:, 0], points[:, 1], c=colour, marker=marker, **look))
    if centers is not None:
        rings = np.asarray(centers, np.float64)
        axes.scatter(rings[:, 0], rings[:, 1], s=90, facecolors="none", edgecolors="0.25", lw=0.7)
    axes.set(xlim=limits, ylim=limits, aspect="equal")
    axes.locator_params(nbins=5)
    return drawn


def heat_map(axes: "Axes", matrix: np.ndarray) -> Any:
    """Draws a matrix ``[I, J]`` in colours; up to 8 x 8 with its numbers."""
    image: Any = axes.imshow(matrix, cmap="cividis", aspect="auto")
    rows, columns = matrix.shape
    if max(rows, columns) <= 8:
        for (row, column), entry in np.ndenumerate(matrix):
            dark = float(image.norm(entry)) < 0.55
            colour = "white" if dark else "black"
            text = f"{entry:.2f}"
            axes.text(column, row, text, ha="center", va="center", color=colour, fontsize=7.5)
        axes.set(xticks=range(columns), yticks=range(rows))
    else:
        axes.locator_params(integer=True)
    axes.set(xlabel="discriminator")
    axes.tick_params(length=0, labelleft=False)
    axes.spines[:].set_visible(False)
    return image


def weight_bars(axes: "Axes", weights: Sequence[np.ndarray], *, horizontal: bool) -> None:
    """Draws bars of the learned weights along a margin, and beside them those of an equilibrium."""
    looks = (
        {"color": "#0072B2"},
        {"color": "#E3E3E3", "edgecolor": "0.25", "hatch": "////", "lw": 0.6},
    )
    labels = ("learned", "equilibrium")
    thickness = 0.72 / len(weights)
    for index, side in enumerate(weights):
        place = np.arange(len(side)) + (index - (len(weights) - 1) / 2) * thickness
        draw = axes.barh if horizontal else axes.bar
        draw(place, side, thickness, label=labels[index], **looks[index])
    axes.spines["left"].set_visible(False)
    axes.spines["right"].set_visible(True)
    limit = 1.08 * max(float(side.max()) for side in weights)
    if horizontal:
        axes.set(xlim=(limit, 0), xlabel="weight", ylabel="generator")
        axes.tick_params(axis="y", length=0)
        axes.locator_params(axis="x", nbins=3)
    else:
        # A scale on the left would push the bars of the generators off the matrix.
        axes.yaxis.tick_right()
        axes.yaxis.set_label_position("right")
        axes.set(ylim=(0, limit), ylabel="weight")
        axes.tick_params(axis="x", length=0, labelbottom=False)
        axes.locator_params(axis="y", nbins=3)


def annotate_level(axes: "Axes", level: float, colour: str) -> None:
    """Draws a dotted line across the axes, and writes its level at the right end."""
    axes.axhline(level, color=colour, ls=":", lw=1.0)
    axes.annotate(
        f"{level:.3g}",
        (1.01, level),
        xycoords=("axes fraction", "data"),
        color=colour,
        va="center",
        fontsize=8,
    )


def over_seeds(
    runs: Sequence[Sequence[Any]], name: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns steps ``[T]``, mean and standard error of the mean ``[T]`` of one logged value."""
    values: dict[int, list[np.ndarray]] = {}
    for record in (record for run in runs for record in run if name in record):
        entry = np.asarray(record[name], np.float64)
        if entry.ndim > 1:
            raise ValueError(f"records[{name!r}] must be numbers or lists [S], got {entry.shape}")
        values.setdefault(record["step"], []).append(np.atleast_1d(entry))
    if not values:
        known = sorted({key for run in runs for record in run for key in record} - {"step"})
        raise ValueError(f"names must be among those recorded, {known}, got {name!r}")
    steps = np.array(sorted(values))
    seeds = [np.concatenate(values[step]) for step in steps]
    mean = np.array([s.mean() for s in seeds])
    error = np.array([s.std(ddof=1) / np.sqrt(s.size) if s.size > 1 else 0.0 for s in seeds])
    return steps, mean, error


def tile(
    name: str, images: ArrayLike, columns: int | None, value_range: Range | None = None
) -> np.ndarray:
    """Lays out images ``[K, n, H, W, C]`` as one RGB picture uint8 per component, with white lines between."""
    array = np.asarray(images)
    if array.dtype != np.uint8 or value_range is not None:
        array = to_levels(name, array.astype(np.float32), value_range)
    components, count, height, width, _ = array.shape
    columns = count if columns is None else min(columns, count)
    rows = -(-count // columns)
    gap = max(1, width // 14)
    shape = (components, rows * (height + gap) - gap, columns * (width + gap) - gap, 3)
    picture = np.full(shape, 255, np.uint8)
    for index in range(count):
        top, left = (index // columns) * (height + gap), (index % columns) * (width + gap)
        picture[:, top : top + height, left : left + width] = array[:, index]
    return picture
