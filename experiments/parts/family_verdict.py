"""What family_2d claims, and PacGAN's Table 1 beside its numbers."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from experiments.common import report

MEASURES = {"modes": ("modes", 2), "high_quality": ("HQ %", 1), "reverse_kl": ("reverse KL", 3)}

Numbers = tuple[float, float]
TABLE_1: dict[str, dict[str, tuple[Numbers, Numbers, Numbers]]] = {
    "ring": {
        "GAN": ((6.3, 0.5), (98.2, 0.2), (0.45, 0.09)),
        "PacGAN2": ((7.9, 0.1), (95.6, 2.0), (0.07, 0.03)),
        "PacGAN3": ((7.8, 0.1), (97.7, 0.3), (0.10, 0.02)),
        "PacGAN4": ((7.8, 0.1), (95.9, 1.4), (0.07, 0.02)),
    },
    "grid": {
        "GAN": ((17.3, 0.8), (94.8, 0.7), (0.70, 0.07)),
        "PacGAN2": ((23.8, 0.7), (91.3, 0.8), (0.13, 0.04)),
        "PacGAN3": ((24.6, 0.4), (94.2, 0.4), (0.06, 0.02)),
        "PacGAN4": ((24.8, 0.2), (93.6, 0.6), (0.04, 0.01)),
    },
}
"""Mean and standard error of ten runs: modes, per cent of high quality, reverse KL (Lin et al. 2018, Table 1)."""

MORE_MODES = (("PacGAN2", "GAN"), ("MIX k=5", "GAN, 5x parameters"))
"""Who is claimed to capture more modes than whom."""

MORE_EVEN = (
    *MORE_MODES,
    ("DuelGAN", "two discriminators"),
    ("Fictitious", "GAN, alternating"),
    ("Unrolled", "GAN, alternating"),
    ("R3-style", "GAN"),
)
"""Who is claimed to have a smaller reverse KL than whom."""

PARTS = {"PacMIX": ("PacGAN2", "MIX k=3")}
"""What a combination is made of: it is claimed to be at most half a mode behind each."""


def published(target: Literal["ring", "grid"], methods: Sequence[str]) -> list[dict[str, Any]]:
    """The paper's rows, of those methods that are compared."""
    return [
        {"method": f"{method}, in PacGAN's paper", "published": method}
        | {f"{name}_mean": mean for name, (mean, _) in zip(MEASURES, numbers, strict=True)}
        | {f"{name}_stderr": error for name, (_, error) in zip(MEASURES, numbers, strict=True)}
        for method, numbers in TABLE_1[target].items()
        if method in methods
    ]


def judge(
    rows: Sequence[Mapping[str, Any]], theirs: Sequence[Mapping[str, Any]], *, is_theirs: bool
) -> list[dict[str, Any]]:
    """The verdict: what was claimed before the run against what came out.

    Args:
        rows: of the methods that were run.
        theirs: of :func:`published`.
        is_theirs: whether networks and training are the paper's, so that its numbers can be expected.
    """
    by_name = {row["method"]: row for row in rows}
    verdict = [
        _claim(f"{better} captures more modes than {worse}", "more than 2 standard errors", got)
        for better, worse in MORE_MODES
        if {better, worse} <= set(by_name)
        for got in [report.separated(by_name[better], by_name[worse], "modes")]
    ]
    verdict += [
        _claim(
            f"{better} has a smaller reverse KL than {worse}", "more than 2 standard errors", got
        )
        for better, worse in MORE_EVEN
        if {better, worse} <= set(by_name)
        for got in [report.separated(by_name[worse], by_name[better], "reverse_kl")]
    ]
    verdict += [
        _claim(
            f"{whole} captures at least as many modes as {part}, but for half of one",
            "difference + 2 standard errors <= 0.5",
            report.at_most_behind(by_name[whole], by_name[part], "modes", 0.5),
        )
        for whole, parts in PARTS.items()
        for part in parts
        if {whole, part} <= set(by_name)
    ]
    if not is_theirs:
        return verdict
    return verdict + [
        _claim(
            f"{row['published']}: {heading} as in PacGAN's Table 1, {report.cell(row, metric, digits)}",
            "within 2 standard errors of the difference",
            agree(by_name[row["published"]], row, metric, digits),
        )
        for row in theirs
        for metric, (heading, digits) in MEASURES.items()
    ]


def agree(
    row: Mapping[str, Any], theirs: Mapping[str, Any], metric: str, digits: int
) -> tuple[str, bool]:
    """In words, our number, and whether it differs from theirs by at most 2 standard errors of the difference."""
    error = row[f"{metric}_stderr"]
    difference = row[f"{metric}_mean"] - theirs[f"{metric}_mean"]
    near = error is not None and abs(difference) <= 2 * math.hypot(
        error, theirs[f"{metric}_stderr"]
    )
    return report.cell(row, metric, digits), near


def _claim(text: str, expected: str, got: tuple[str, bool]) -> dict[str, Any]:
    return report.claim(text, expected, *got)
