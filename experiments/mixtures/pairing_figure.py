"""The figure of experiments on pairings: quality over the time of a step."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from experiments.common import harness, plane, report
from mixgan_jax.plots import drawing

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLUMNS = {
    **{name: plane.COLUMNS[name] for name in ("modes", "high_quality", "reverse_kl", "nash_conv")},
    "step_ms": ("ms/step", 2),
}


def measure(run: harness.Run, method: plane.Method, bar: harness.ProgressBar) -> dict[str, Any]:
    """Trains all seeds of a method at once; returns the table's row, with the milliseconds of a step."""
    row, _ = plane.measure(run, method, bar)
    return row | report.measured_once(step_ms=harness.step_milliseconds(run, method.name))


@drawing.styled
def quality_over_time(rows: Sequence[Mapping[str, Any]], target: str) -> "Figure":
    """Draws modes, mean ± standard error, over milliseconds a step; a dotted line marks the data's number of modes."""
    figure = drawing.new_figure(4.6, 2.9)
    axes = figure.add_subplot()
    for row, colour, marker in zip(rows, drawing.COLOURS, drawing.MARKERS, strict=False):
        axes.errorbar(
            row["step_ms_mean"],
            row["modes_mean"],
            yerr=row["modes_stderr"],
            color=colour,
            fmt=marker,
            capsize=3,
            label=row["method"],
        )
    axes.axhline({"ring": 8, "grid": 25}[target], color="0.3", ls=":", lw=1.0, label="all modes")
    axes.set(xlabel=f"milliseconds a step, {rows[0]['n']} seeds at once", ylabel="modes")
    axes.set_xlim(0, 1.08 * max(row["step_ms_mean"] for row in rows))
    figure.legend(loc="outside right center")
    return figure
