"""Judging a claim: it holds, it fails, or the seeds leave it undecided.

A claim about means over seeds is judged by an interval, the estimate ± 2 standard errors. If the claim is true of the
whole interval it holds; if it is true of no point of it, it fails; else it is undecided, and so is what was measured
with a single seed. The interval covers 95 % for many seeds, 91 % for eight and 86 % for four (Student's t). A claim
about exact numbers has no error: it holds or it fails.
"""

import math
import operator
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, TypeAlias

import numpy as np

Outcome: TypeAlias = Literal["holds", "fails", "undecided"]
Direction: TypeAlias = Literal[">", ">=", "<", "<="]

ABOVE = "above 0 by more than 2 standard errors"
BELOW = "below 0 by more than 2 standard errors"
"""What is expected of a difference, in words."""

_COMPARE = {">": operator.gt, ">=": operator.ge, "<": operator.lt, "<=": operator.le}


def decide(estimate: float, error: float | None, direction: Direction, threshold: float) -> Outcome:
    """Judges the claim ``estimate > threshold``, or another direction, by the estimate ± 2 standard errors.

    Args:
        estimate: estimate of a mean or a difference of means.
        error: its standard error; 0 for an exact number, None for a single seed.
        direction: ``>``, ``>=``, ``<`` or ``<=``.
        threshold: the number with which it is compared.

    Returns:
        ``holds``, ``fails`` or ``undecided``; the last also for an estimate or an error that is not finite.
    """
    if error is None or not (math.isfinite(estimate) and math.isfinite(error)):
        return "undecided"
    compare = _COMPARE[direction]
    low, high = (compare(end, threshold) for end in (estimate - 2 * error, estimate + 2 * error))
    if low != high:
        return "undecided"
    return "holds" if low else "fails"


def inside(low: float, high: float, least: float, most: float) -> Outcome:
    """Judges the claim ``least <= value <= most`` by the interval ``[low, high]`` of the value."""
    if math.isnan(low) or math.isnan(high):
        return "undecided"
    if high < least or low > most:
        return "fails"
    return "holds" if least <= low and high <= most else "undecided"


def within(estimate: float, error: float | None, least: float, most: float) -> Outcome:
    """Judges the claim ``least <= estimate <= most`` by the estimate ± 2 standard errors."""
    return all_of([decide(estimate, error, ">=", least), decide(estimate, error, "<=", most)])


def all_of(outcomes: Iterable[Outcome]) -> Outcome:
    """Judges a claim with several parts: it fails if one part fails, and holds if all hold."""
    found = set(outcomes)
    if "fails" in found:
        return "fails"
    return "undecided" if "undecided" in found else "holds"


def claim(text: str, expected: str, got: str, outcome: Outcome | bool | np.bool_) -> dict[str, Any]:
    """Makes one line of a verdict; True and False are the outcomes of an exact claim."""
    if not isinstance(outcome, str):
        outcome = "holds" if outcome else "fails"
    return {"claim": text, "expected": expected, "got": got, "outcome": outcome}


def outcome_of(line: Mapping[str, Any]) -> Outcome:
    """Returns the outcome of a verdict's line. Old lines say ``holds``, true or false, in place of an outcome."""
    if "outcome" in line:
        return line["outcome"]
    return "holds" if line["holds"] else "fails"


def count(verdict: Sequence[Mapping[str, Any]]) -> str:
    """Counts the claims of each outcome, in words: ``7 of 10 claims hold, 1 fails, 2 undecided``."""
    outcomes = [outcome_of(line) for line in verdict]
    text = f"{outcomes.count('holds')} of {len(outcomes)} claims hold"
    if failed := outcomes.count("fails"):
        text += f", {failed} fail{'s' if failed == 1 else ''}"
    if undecided := outcomes.count("undecided"):
        text += f", {undecided} undecided"
    return text


def of_mean(row: Mapping[str, Any], metric: str, direction: Direction, threshold: float) -> Outcome:
    """Judges a row's mean against a threshold."""
    return decide(row[f"{metric}_mean"], row[f"{metric}_stderr"], direction, threshold)


def contrast(
    row: Mapping[str, Any],
    other: Mapping[str, Any],
    metric: str,
    direction: Direction = ">",
    threshold: float = 0.0,
    *,
    by_seed: bool = False,
    digits: int = 2,
) -> tuple[str, Outcome]:
    """Judges ``row - other > threshold``, or another direction.

    A difference has one sign everywhere: the row that the claim is about, which it names first, minus the other one.

    Args:
        row: the row that the claim is about.
        other: the row that it is compared with.
        metric: name of the metric.
        direction: ``>``, ``>=``, ``<`` or ``<=``.
        threshold: the number with which the difference is compared.
        by_seed: whether the difference is the mean of those by seed, since both rows are of the same seeds, in place of
            the difference of independent means.
        digits: decimals in the text.

    Returns:
        The difference and its standard error, in words; and the outcome.
    """
    if by_seed:
        pairs = zip(row[f"{metric}_by_seed"], other[f"{metric}_by_seed"], strict=True)
        difference, error = mean_and_error([a - b for a, b in pairs])
    else:
        difference = row[f"{metric}_mean"] - other[f"{metric}_mean"]
        errors = (row[f"{metric}_stderr"], other[f"{metric}_stderr"])
        error = None if None in errors else math.hypot(*errors)
    spread = "one seed: no standard error"
    if error is not None:
        spread = f"standard error {error:.{digits}f}"
    text = f"difference {difference:.{digits}f}, {spread}"
    return text, decide(difference, error, direction, threshold)


def at_most_times(values: Sequence[float], factor: float, others: Sequence[float]) -> Outcome:
    """Judges ``mean(values) <= factor * mean(others)`` by the differences by seed."""
    excess = [a - factor * b for a, b in zip(values, others, strict=True)]
    return decide(*mean_and_error(excess), "<=", 0.0)


def trend(
    rows: Sequence[Mapping[str, Any]],
    places: Sequence[float],
    metric: str,
    direction: Direction = ">",
) -> tuple[str, Outcome]:
    """Judges whether a mean rises, or falls, along the rows.

    The slope is that of the least-squares line through the rows' means. Its standard error comes from the rows' own,
    which are taken to be independent.

    Args:
        rows: one method's rows at two or more places.
        places: the numbers on which the metric is regressed, such as log k, one for each row.
        metric: name of the metric.
        direction: ``>`` if the claim is that it rises, ``<`` if it falls.

    Returns:
        The slope with its standard error and the means, in words; and the outcome.
    """
    if len(rows) < 2:
        return "one place: no slope", "undecided"
    centred = np.asarray(places, np.float64) - np.mean(places)
    shares = centred / np.sum(centred**2)
    means = np.array([row[f"{metric}_mean"] for row in rows])
    slope = float(shares @ means)
    errors = [row[f"{metric}_stderr"] for row in rows]
    error = None if None in errors else float(np.linalg.norm(shares * np.array(errors)))
    spread = "one seed: no standard error" if error is None else f"standard error {error:.2g}"
    listed = ", ".join(f"{mean:.3g}" for mean in means)
    return f"slope {slope:.3g}, {spread}; {listed}", decide(slope, error, direction, 0.0)


def mean_and_error(values: Sequence[float]) -> tuple[float, float | None]:
    """Computes the mean, and its standard error: sample standard deviation / sqrt n; None for a single value."""
    array = np.asarray(values, np.float64)
    error = float(array.std(ddof=1) / math.sqrt(len(array))) if len(array) > 1 else None
    return float(array.mean()), error
