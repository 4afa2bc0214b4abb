"""Exponents of power laws, with intervals: how fast an error falls with samples, strategies or parameters."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from experiments.common import verdicts

Vector = npt.NDArray[np.float64]


def exponents(
    factors: Mapping[str, Any], values: Any, confidence: float = 0.95
) -> dict[str, dict[str, Any]]:
    """Fits exponents ``a`` of ``values = c * prod_f factors[f] ** a_f``, to logarithms by least squares, seed by seed.

    The interval is Student's for the mean of the seeds' exponents: it holds what seeds differ by, and not that the
    law itself may be wrong; ``residual`` says how far the seeds' mean is from it.

    Args:
        factors: positive numbers ``[N]`` by name, N more than the number of factors.
        values: positive numbers ``[S, N]``.
        confidence: confidence of the intervals, in (0, 1).

    Returns:
        For each factor ``exponent`` with ``low`` and ``high`` (equal to it for one seed), ``by_seed`` ``[S]``, and
        ``residual``: the root mean square of log mean value less its fit, the same for all factors.

    Raises:
        ValueError: a factor or a value is not positive and finite, shapes disagree, or N is too small.
    """
    from scipy import stats

    logs = _logarithms("values", values, 2)
    columns = [_logarithms(name, factor, 1) for name, factor in factors.items()]
    if any(column.shape != logs.shape[1:] for column in columns):
        raise ValueError(f"factors must have shape {logs.shape[1:]}, as values")
    if logs.shape[1] <= len(columns):
        raise ValueError(f"values must be of more than {len(columns)} points, got {logs.shape[1]}")
    design = np.stack([np.ones(logs.shape[1]), *columns], axis=1)
    coefficients = np.linalg.lstsq(design, logs.T, rcond=None)[0]  # [1 + factors, S]
    mean_log = np.log(np.exp(logs).mean(axis=0))
    fit = design @ np.linalg.lstsq(design, mean_log, rcond=None)[0]
    residual = float(np.sqrt(np.mean((mean_log - fit) ** 2)))
    seeds = logs.shape[0]
    quantile = stats.t.ppf(0.5 + 0.5 * confidence, seeds - 1) if seeds > 1 else 0.0
    result = {}
    for name, slopes in zip(factors, coefficients[1:], strict=True):
        mean = float(slopes.mean())
        half = float(quantile * slopes.std(ddof=1) / np.sqrt(seeds)) if seeds > 1 else 0.0
        result[name] = {
            "exponent": mean,
            "low": mean - half,
            "high": mean + half,
            "by_seed": slopes.tolist(),
            "residual": residual,
        }
    return result


def agrees(fit: Mapping[str, Any], value: float, tolerance: float = 0.1) -> verdicts.Outcome:
    """Judges the claim that an exponent is ``value``.

    It fails where the interval excludes the value, and holds where the interval contains the value and nothing farther
    from it than the tolerance. A single seed has no interval.
    """
    if len(fit["by_seed"]) < 2:
        return "undecided"
    if not fit["low"] <= value <= fit["high"]:
        return "fails"
    return verdicts.inside(fit["low"], fit["high"], value - tolerance, value + tolerance)


def in_words(fit: Mapping[str, Any]) -> str:
    """Writes an exponent with its interval: ``-0.52 [-0.55, -0.49]``."""
    return f"{fit['exponent']:.2f} [{fit['low']:.2f}, {fit['high']:.2f}]"


def _logarithms(name: str, values: Any, rank: int) -> Vector:
    array = np.asarray(values, np.float64)
    if array.ndim != rank or not np.all((array > 0) & np.isfinite(array)):
        raise ValueError(f"{name} must be positive finite numbers of rank {rank}, got {array}")
    return np.log(array)
