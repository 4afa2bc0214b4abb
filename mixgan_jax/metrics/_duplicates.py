"""Variance of the number of duplicate pairs: pairs that share a sample are not independent of each other.

For C duplicates in R batches of s draws from p, with mean m,

    Var C = m + R s (s - 1) (s - 2) (sum p^3 - (sum p^2)^2) <= m + R s (s - 1) (s - 2) sum p^3.

Twice the number of wedges, pairs of duplicates with a sample in common, has the last term as its mean. Since
``sum p^3 <= (sum p^2)^(3/2)``, that term is at most ``2 sqrt(2 / R) m^(3/2)``. A single frequent sample attains it.
Everything here is float64 on the host.
"""

import math

import numpy as np

from mixgan_jax.checks import fail, to_host
from mixgan_jax.types import ArrayLike


def mean_interval(count: int, wedges: int | None, repeats: int, tail: float) -> tuple[float, float]:
    """Returns an interval for the mean number of duplicates in all batches, with ``tail`` outside at either end.

    The variance is ``m + spread m^(3/2)`` at the mean m, so ``level`` of the number has a variance of about 1.
    """
    from scipy import stats

    spread = _unseen(0 if wedges is None else count, repeats)
    if wedges and count:
        spread += 2.0 * wedges / count**1.5
    width = stats.norm.isf(tail)

    def level(mean: float) -> float:
        return 4.0 * math.sqrt(mean) / (1.0 + math.sqrt(1.0 + spread * math.sqrt(mean)))

    def mean_at(level: float) -> float:
        return (0.5 * level + spread * level**2 / 16.0) ** 2

    next_count = count + 1.0 + spread * math.sqrt(count)
    return mean_at(max(level(count) - width, 0.0)), mean_at(level(next_count) + width)


def _unseen(count: float, repeats: int) -> float:
    """Returns the ``spread`` that one more triple of copies would add, at most that of a single frequent sample."""
    worst = 2.0 * math.sqrt(2.0 / repeats)
    return min(6.0 / count**1.5, worst) if count else worst


def log_ratio_excess(across: np.ndarray, within: np.ndarray, shared: int, alone: int) -> float:
    """Divides the variance of ``log(shared / alone)`` by that of independent pairs; the result is at least 1.

    ``across`` and ``within`` are the neighbours of each sample, ``[2, R, s]``.
    """
    independent = sum(1.0 / count for count in (shared, alone) if count)
    if not independent:
        return 1.0
    # The sum over samples counts each pair's own share twice.
    pulls = np.sum((across / max(shared, 1) - within / max(alone, 1)) ** 2) - independent
    count = 1.0 / independent
    return max(1.0, pulls * count) + _unseen(count, across.shape[1]) * math.sqrt(count)


def check_tallies(name: str, value: ArrayLike, most: int) -> np.ndarray:
    """Returns whole numbers ``[R]`` in 0..most as int64, which JAX may not have."""
    expected = "whole numbers [R], not traced"
    counts = to_host(name, value, expected)
    if not np.issubdtype(counts.dtype, np.integer):
        raise fail(name, value, expected, TypeError)
    if counts.ndim != 1:
        raise ValueError(f"{name} must have rank 1, got shape {counts.shape}")
    if counts.size == 0 or counts.min() < 0 or counts.max() > most:
        raise ValueError(f"{name} must be whole numbers [R] in 0..{most}, R >= 1, got {counts}")
    return counts.astype(np.int64)
