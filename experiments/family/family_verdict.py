"""The columns and claims of family_2d."""

from collections.abc import Mapping, Sequence
from typing import Any

from experiments.common import verdicts
from experiments.family.pacgan_tables import as_published

MEASURES = {"modes": ("modes", 2), "high_quality": ("HQ %", 1), "reverse_kl": ("reverse KL", 3)}

MORE_MODES = (("PacGAN2", "GAN"), ("MIX k=5", "GAN, 5x parameters"))
"""Pairs of methods: the first is claimed to capture more modes than the second."""

MORE_EVEN = (
    *MORE_MODES,
    ("DuelGAN", "two discriminators"),
    ("Fictitious", "GAN, alternating"),
    ("Unrolled", "GAN, alternating"),
    ("R3-style", "GAN"),
)
"""Pairs of methods: the first is claimed to have a smaller reverse KL than the second."""

PARTS = {"PacMIX": ("PacGAN2", "MIX k=3")}
"""The parts of a combination, which is claimed to be at most half a mode behind each."""


def judge(
    rows: Sequence[Mapping[str, Any]], theirs: Sequence[Mapping[str, Any]], *, is_theirs: bool
) -> list[dict[str, Any]]:
    """Returns the verdict: what was claimed before the run against the results.

    Args:
        rows: rows of the methods that were run.
        theirs: rows of PacGAN's Table 1, for the same methods.
        is_theirs: whether networks and training are the paper's, so that its numbers can be expected.
    """
    by_name = {row["method"]: row for row in rows}
    verdict = [
        _claim(f"{better} captures more modes than {worse}", verdicts.ABOVE, got)
        for better, worse in MORE_MODES
        if {better, worse} <= set(by_name)
        for got in [verdicts.contrast(by_name[better], by_name[worse], "modes")]
    ]
    verdict += [
        _claim(f"{better} has a smaller reverse KL than {worse}", verdicts.BELOW, got)
        for better, worse in MORE_EVEN
        if {better, worse} <= set(by_name)
        for got in [verdicts.contrast(by_name[better], by_name[worse], "reverse_kl", "<")]
    ]
    verdict += [
        _claim(
            f"{whole} captures at least as many modes as {part}, but for half of one",
            "difference - 2 standard errors >= -0.5",
            verdicts.contrast(by_name[whole], by_name[part], "modes", ">=", -0.5),
        )
        for whole, parts in PARTS.items()
        for part in parts
        if {whole, part} <= set(by_name)
    ]
    if is_theirs:
        verdict += [as_published(by_name[row["published"]], row, MEASURES) for row in theirs]
    return verdict


def _claim(text: str, expected: str, got: tuple[str, bool]) -> dict[str, Any]:
    return verdicts.claim(text, expected, *got)
