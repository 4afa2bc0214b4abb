"""The figure of a component atlas."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np

from mixgan_jax.checked import checked
from mixgan_jax.checks import check_kind
from mixgan_jax.plots import arguments as check, drawing as draw
from mixgan_jax.types import ArrayLike

if TYPE_CHECKING:
    from matplotlib.figure import Figure
else:
    Figure = Any  # annotations are read without Matplotlib

_ENTRIES = ("coverage", "coverage_alone", "overlap", "frechet_loss")
_LOSSES = {
    "frechet_loss": "Frechet distance without it,\nless that of the mixture",
    "payoff_loss": "best answer's payoff without it,\nless that of the mixture",
}


def _entries(name: str, value: Any) -> dict[str, np.ndarray]:
    """Returns the entries that are drawn, of as many components each; a loss may be NaN."""
    found = check_kind(name, value, Mapping)
    missing = [entry for entry in _ENTRIES if entry not in found]
    if missing:
        raise ValueError(f"{name} must have the entries of component_atlas, got none of {missing}")
    rows = {entry: check.host(f"{name}[{entry!r}]", found[entry], 1) for entry in _ENTRIES[:2]}
    rows["overlap"] = check.host(f"{name}['overlap']", found["overlap"], 2)
    for entry in _LOSSES.keys() & found.keys():
        # Without a component that has all the weight there is no mixture: that loss is NaN.
        loss = np.asarray(found[entry])
        check.host(f"{name}[{entry!r}]", np.nan_to_num(loss), 1)
        rows[entry] = loss.astype(np.float64)
    count = len(rows["coverage"])
    for entry, row in rows.items():
        if set(row.shape) != {count}:
            raise ValueError(
                f"{name}[{entry!r}] must be of {count} components, as its coverage, got {row.shape}"
            )
    return rows


@checked
@draw.styled
def plot_atlas(atlas: Annotated[Mapping[str, ArrayLike], _entries]) -> "Figure":
    """Draws what each component covers, what pairs share, and what the mixture loses without one.

    Args:
        atlas: the result of :func:`~mixgan_jax.metrics.component_atlas`: ``coverage``, ``coverage_alone`` and
            ``frechet_loss`` ``[K]``, ``overlap`` ``[K, K]``; ``payoff_loss`` if there is one.

    Returns:
        A figure with an axes for each: bars of the coverage, of all reals and of those that no other component covers;
        the matrix of overlaps (the colour bar is its child); bars of the Frechet losses, and of those in payoff.
    """
    components = np.arange(np.size(atlas["coverage"]))
    losses = [entry for entry in _LOSSES if entry in atlas]
    fig = draw.new_figure(5.0 + 2.5 * len(losses), 2.6)
    left, middle, *rest = fig.subplots(1, 2 + len(losses))
    left.bar(components, atlas["coverage"], color=draw.COLOURS[5], label="covered")
    left.bar(components, atlas["coverage_alone"], 0.4, color=draw.COLOURS[0], label="by no other")
    left.set(ylabel="share of reals", ylim=(0.0, 1.0))
    left.legend()
    image = draw.heat_map(middle, np.asarray(atlas["overlap"]))
    draw.colour_bar(fig, middle, image, "share of row's samples\nnear column's", 0.06)
    middle.set(xlabel="component", ylabel="component")
    middle.tick_params(labelleft=True)
    for axes, entry in zip(rest, losses, strict=True):
        axes.bar(components, atlas[entry], color=draw.COLOURS[1])
        axes.axhline(0.0, color="0.25", lw=0.7)
        axes.set_ylabel(_LOSSES[entry])
    for axes in (left, *rest):
        axes.set(xlabel="component", xticks=components)
    return fig
