"""The tables of PacGAN's paper (Lin, Khetan, Fanti and Oh 2018, arXiv 1712.04086), as rows to stand beside ours."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from experiments.common import report, verdicts

Numbers: TypeAlias = tuple[float, float]
"""Mean and standard error."""

Table: TypeAlias = Mapping[str, Mapping[str, Numbers]]
"""Numbers by method, by metric."""

Row: TypeAlias = Mapping[str, Any]


def _table(metrics: Sequence[str], rows: Mapping[str, Sequence[Numbers]]) -> Table:
    return {method: dict(zip(metrics, row, strict=True)) for method, row in rows.items()}


_TWO_D = ("modes", "high_quality", "reverse_kl")
TABLE_1 = {
    "ring": _table(
        _TWO_D,
        {
            "GAN": ((6.3, 0.5), (98.2, 0.2), (0.45, 0.09)),
            "PacGAN2": ((7.9, 0.1), (95.6, 2.0), (0.07, 0.03)),
            "PacGAN3": ((7.8, 0.1), (97.7, 0.3), (0.10, 0.02)),
            "PacGAN4": ((7.8, 0.1), (95.9, 1.4), (0.07, 0.02)),
        },
    ),
    "grid": _table(
        _TWO_D,
        {
            "GAN": ((17.3, 0.8), (94.8, 0.7), (0.70, 0.07)),
            "PacGAN2": ((23.8, 0.7), (91.3, 0.8), (0.13, 0.04)),
            "PacGAN3": ((24.6, 0.4), (94.2, 0.4), (0.06, 0.02)),
            "PacGAN4": ((24.8, 0.2), (93.6, 0.6), (0.04, 0.01)),
        },
    ),
}
"""Gaussians on a ring and a grid, ten runs: modes, per cent of high quality, reverse KL."""

_STACKED = ("modes", "kl")
TABLE_2 = _table(
    _STACKED,
    {
        "GAN": ((78.9, 6.46), (4.50, 0.127)),
        "PacGAN2": ((1000.0, 0.0), (0.06, 0.003)),
        "PacGAN3": ((1000.0, 0.0), (0.06, 0.003)),
        "PacGAN4": ((1000.0, 0.0), (0.07, 0.005)),
    },
)
"""Stacked MNIST with DCGAN's networks: modes, and KL to the uniform distribution. The first row, here and below, is
the authors' own run of a GAN."""

TABLE_3 = {
    "quarter": _table(
        _STACKED,
        {
            "GAN": ((78.5, 17.56), (5.21, 0.19)),
            "PacGAN2": ((484.5, 32.99), (2.61, 0.22)),
            "PacGAN3": ((601.3, 32.18), (2.00, 0.17)),
            "PacGAN4": ((667.4, 29.00), (1.81, 0.15)),
            "unrolled 1": ((65.4, 34.75), (5.91, 0.14)),
            "unrolled 5": ((236.4, 63.30), (4.67, 0.43)),
            "unrolled 10": ((327.2, 74.67), (4.66, 0.46)),
        },
    ),
    "half": _table(
        _STACKED,
        {
            "GAN": ((487.7, 34.59), (2.24, 0.15)),
            "PacGAN2": ((840.7, 15.92), (1.00, 0.05)),
            "PacGAN3": ((866.6, 12.10), (0.90, 0.04)),
            "PacGAN4": ((820.2, 25.50), (1.15, 0.14)),
            "unrolled 1": ((523.6, 55.77), (2.44, 0.26)),
            "unrolled 5": ((732.0, 44.98), (1.66, 0.09)),
            "unrolled 10": ((817.4, 37.91), (1.43, 0.12)),
        },
    ),
}
"""Stacked MNIST with the small networks of Metz et al.: discriminators of a quarter, and of half, of the generator.

Unrolled rows are those that Metz et al. report; whether their errors are standard errors is not known to us."""


def published(table: Table, methods: Sequence[str]) -> list[dict[str, Any]]:
    """Picks a table's rows for the compared methods, for ``report.save_results``; ``published`` names the source."""
    return [
        {"method": f"{method}, in PacGAN's paper", "published": method}
        | {f"{metric}_mean": mean for metric, (mean, _) in numbers.items()}
        | {f"{metric}_stderr": error for metric, (_, error) in numbers.items()}
        for method, numbers in table.items()
        if method in methods
    ]


def published_in_the_plane(config: Any) -> list[dict[str, Any]]:
    """Returns the first table's rows of a config's target and methods."""
    return published(TABLE_1[config.target], config.methods)


def as_published(row: Row, theirs: Row, columns: Mapping[str, tuple[str, int]]) -> dict[str, Any]:
    """Claims that a row repeats the paper's: no measure differs by more than 2 standard errors of the difference.

    Args:
        row: our row.
        theirs: the row of :func:`published` for the same method.
        columns: heading and digits of each measure that is compared.
    """

    def cells(entry: Row) -> str:
        parts = (
            f"{report.cell(entry, key, digits)} {head}" for key, (head, digits) in columns.items()
        )
        return ", ".join(parts)

    return verdicts.claim(
        f"{theirs['published']} as in PacGAN's paper",
        f"{cells(theirs)}, each within 2 standard errors of the difference",
        cells(row),
        verdicts.all_of(_agree(row, theirs, metric) for metric in columns),
    )


def _agree(row: Row, theirs: Row, metric: str) -> verdicts.Outcome:
    error = row[f"{metric}_stderr"]
    if error is None:
        return "undecided"
    difference = abs(row[f"{metric}_mean"] - theirs[f"{metric}_mean"])
    near = difference <= 2 * math.hypot(error, theirs[f"{metric}_stderr"])
    return "holds" if near else "fails"
