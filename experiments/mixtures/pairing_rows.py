"""What experiments on pairings share: checks, rows, claims, and the figure of quality over the time of a step."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experiments.common import harness, options, plane, report, verdicts
from mixgan_jax.plots import drawing

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLUMNS = {
    **{name: plane.COLUMNS[name] for name in ("modes", "high_quality", "reverse_kl", "nash_conv")},
    "step_ms": ("ms/step", 2),
}


def check_one(config: plane.Config) -> None:
    """Refuses a config that does not have one number of components."""
    if len(config.components) != 1:
        raise ValueError(f"--components must be one number, got {config.components}")


def check_multiple(config: plane.Config) -> None:
    """Refuses a batch that the components do not divide, and a config that cannot be timed."""
    (k,) = config.components
    if config.batch % k:
        raise ValueError(f"--batch must be a multiple of k = {k}, got {config.batch}")
    options.check_timed(config)


def measure(run: harness.Run, method: plane.Method, bar: harness.ProgressBar) -> dict[str, Any]:
    """Trains all seeds of a method at once; returns the table's row, with the milliseconds of a step."""
    row, _ = plane.measure(run, method, bar)
    return row | report.measured_once(step_ms=harness.step_milliseconds(run, method.name))


def not_worse(row: Mapping[str, Any], other: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Claims that a row is at most half a mode and 0.05 nats of reverse KL behind another, by seed."""
    pair = f"{row['method']} than {other['method']}"
    modes, as_many = verdicts.contrast(row, other, "modes", ">=", -0.5, by_seed=True)
    kl, as_even = verdicts.contrast(row, other, "reverse_kl", "<=", 0.05, by_seed=True, digits=3)
    return [
        verdicts.claim(
            f"at most half a mode fewer with {pair}, by seed",
            "mean difference by seed - 2 standard errors >= -0.5",
            modes,
            as_many,
        ),
        verdicts.claim(
            f"at most 0.05 nats more reverse KL with {pair}, by seed",
            "mean difference by seed + 2 standard errors <= 0.05",
            kl,
            as_even,
        ),
    ]


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


def draw(run: harness.Run, rows: Sequence[Mapping[str, Any]]) -> dict[str, Path]:
    """Draws the figure; returns its path by the name under which it is kept."""
    figure = quality_over_time(rows, run.config.target)
    return {"quality": report.save_figure(run, figure, "quality")}
