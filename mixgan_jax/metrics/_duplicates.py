"""How much numbers of duplicate pairs vary: pairs with a sample in common are not independent of each other.

For C duplicates in R batches of s draws from p, with mean m,

    Var C = m + R s (s - 1) (s - 2) (sum p^3 - (sum p^2)^2) <= m + R s (s - 1) (s - 2) sum p^3,

and twice the number of wedges, pairs of duplicates with a sample in common, has the last term for its mean. As
``sum p^3 <= (sum p^2)^(3/2)``, that term is at most ``2 sqrt(2 / R) m^(3/2)``: a single frequent sample attains it.
Everything here is float64 on the host.
"""

import math
from typing import Any

import numpy as np

from mixgan_jax.checks import fail, is_concrete


def mean_interval(count: int, wedges: int | None, repeats: int, tail: float) -> tuple[float, float]:
    """An interval for the mean of the number of duplicates in all batches, ``tail`` on either side.

    Its variance is ``m + spread m^(3/2)`` at the mean m, so ``level`` of it has about variance 1.
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
    """The ``spread`` that one triple of copies more would add, at most that of a single frequent sample."""
    worst = 2.0 * math.sqrt(2.0 / repeats)
    return min(6.0 / count**1.5, worst) if count else worst


def log_ratio_excess(across: np.ndarray, within: np.ndarray, shared: int, alone: int) -> float:
    """The variance of ``log(shared / alone)`` over what it would be for independent pairs, at least 1.

    ``across`` and ``within`` are the neighbours of each sample, ``[2, R, s]``.
    """
    independent = sum(1.0 / count for count in (shared, alone) if count)
    if not independent:
        return 1.0
    # The sum over samples holds the share of each pair itself twice.
    pulls = np.sum((across / max(shared, 1) - within / max(alone, 1)) ** 2) - independent
    count = 1.0 / independent
    return max(1.0, pulls * count) + _unseen(count, across.shape[1]) * math.sqrt(count)


def check_tallies(name: str, value: Any, most: int) -> np.ndarray:
    """Whole numbers ``[R]`` in 0..most as int64, whatever integers JAX has."""
    if not is_concrete(value):
        raise fail(name, value, "whole numbers [R], not traced", TypeError)
    try:
        counts = np.asarray(value)
    except (TypeError, ValueError) as error:
        raise fail(name, value, "whole numbers [R], not traced", TypeError) from error
    if not np.issubdtype(counts.dtype, np.integer):
        raise fail(name, value, "whole numbers [R], not traced", TypeError)
    if counts.ndim != 1:
        raise ValueError(f"{name} must have rank 1, got shape {counts.shape}")
    if counts.size == 0 or counts.min() < 0 or counts.max() > most:
        raise ValueError(f"{name} must be whole numbers [R] in 0..{most}, R >= 1, got {counts}")
    return counts.astype(np.int64)
