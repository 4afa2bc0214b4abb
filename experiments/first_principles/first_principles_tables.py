"""References for the panels of first_principles: closed forms, and the numbers of another program.

That program is in NumPy, with other grids, minimisers and sums. Its numbers have 3 decimals or more, and are NaN where
it has none.
"""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from experiments.first_principles.first_principles_panels import (
    DEGREES,
    EXCESSES,
    OBJECTIVES,
    OFFSETS,
    STDS,
)

NAN = math.nan
LOG_2 = math.log(2.0)
TOLERANCE = 1e-3  # three decimals, since references may be rounded in the third

SMOOTHED_JS = (0.693147, 0.693146, 0.675943, 0.571151, 0.336831, 0.111421, 0.030311)
SMOOTHED_JS_SLOPE = (0.0, 2.2e-5, 0.118, 0.395, 0.450, 0.199, NAN)
BOUNDS = (0.0, 0.0, 0.0, 0.182478, 0.184812, 0.198778, 0.198868)
MATCHED_JS = 0.200986  # JS of two modes at ± 2 and the Gaussian with their moments

# Mean (of two mirror images the left one), std, value; in the order of OBJECTIVES.
FITS: Mapping[str, tuple[tuple[float, float, float], ...]] = {
    "modes at ±2": (
        (0.0, 2.0616, 0.72355),
        (-2.000, 0.5004, 0.69305),
        (0.0, 2.042, 0.20096),
        (-2.0, 0.5002, 0.2616),
        (-1.759, 0.962, 0.4925),
    ),
    "modes at ±2, 0.6 left": (
        (-0.4, 2.0224, 0.7245),
        (-2.0, 0.5003, 0.51075),
        (-2.0, 0.5005, 0.16387),
        (-2.0, 0.5002, 0.1830),
        (-1.848, 0.810, 0.3977),
    ),
    "modes at ±1": (
        (0.0, 1.1180, 0.1720),
        (0.0, 1.0235, 0.2265),
        (0.0, 1.098, 0.0461),
        (0.0, 0.999, 0.1303),
        (0.0, 1.167, 0.2502),
    ),
}

# W1 between two samples of N(0, I/d), by d and number of samples.
FINITE: Mapping[int, Mapping[int, float]] = {
    2: {128: 0.271, 512: 0.142, 1024: 0.112},
    10: {128: 0.791, 512: 0.679, 1024: 0.637},
    50: {128: 1.150, 512: 1.093, 1024: 1.068},
    100: {128: 1.234, 512: 1.194, 1024: 1.178},
    500: {128: 1.333, 512: 1.319, 1024: 1.312},
    1000: {128: 1.358, 512: 1.347, 1024: 1.344},
    3000: {128: 1.382, 512: 1.376},
}


def finite_bound(dimension: int) -> float:
    """Computes the poster's lower bound of W1, ``sqrt 2 - sqrt(10 / d)``; negative for d < 5."""
    return math.sqrt(2.0) - math.sqrt(10.0 / dimension)


def pull_at(excess: float) -> dict[str, float]:
    """Computes the closed forms of A2: the generator's derivative at the logit a / 2 that has the excess."""
    logit = -math.log(math.expm1(0.5 * excess))  # softplus(-logit) = excess / 2
    wrong = math.sqrt(0.5 * excess)  # for Brier: sigmoid(-logit)
    brier = math.log((1.0 - wrong) / wrong)
    return {
        "logistic": 2.0 * logit * -math.expm1(-0.5 * excess),
        "Brier": 4.0 * brier * wrong**2 * (1.0 - wrong),
        "exponential": excess * math.log(2.0 / excess),
        "hinge": 2.0 - excess,
        "non-saturating": 2.0 * logit * math.exp(-0.5 * excess),
        "Wasserstein": 1.0,
    }


def smoothed_total_variation() -> list[float]:
    """Computes the total variation ``2 Phi(1 / 2s) - 1`` of N(0, s^2) and N(1, s^2)."""
    return [math.erf(0.5 / (std * math.sqrt(2.0))) for std in STDS]


def tables(panels: Mapping[str, Any]) -> dict[str, dict[str, tuple[Any, Any]]]:
    """Returns each exact panel's numbers by name: found and reference, of the same shape."""
    gaussians, segments, points = (
        panels["A1"][name] for name in ("gaussians", "segments", "points")
    )
    offsets = panels["A1"]["offsets"]
    pulls, induced = panels["A2"]["pulls"], panels["A2"]["induced"]
    matched, fooled = panels["A3"], panels["A4"]
    variation = smoothed_total_variation()
    apart = [float(offset > 0) for offset in offsets]
    expected_pulls = [pull_at(excess) for excess in EXCESSES]
    at_two = OFFSETS.index(2.0)
    return {
        "A1": {
            "JS": (gaussians["jensen_shannon"], SMOOTHED_JS),
            "slope of JS": (gaussians["d_jensen_shannon"], SMOOTHED_JS_SLOPE),
            "KL": (gaussians["kl"], [0.5 / std**2 for std in STDS]),
            "slope of KL": (gaussians["d_kl"], [1.0 / std**2 for std in STDS]),
            "TV": (gaussians["total_variation"], variation),
            "slope of W1": (gaussians["d_wasserstein"], [1.0] * len(STDS)),
            "KL of segments": (segments["kl"], [math.inf if far else 0.0 for far in apart]),
            "JS of segments": (segments["jensen_shannon"], [LOG_2 * far for far in apart]),
            "TV of segments": (segments["total_variation"], apart),
            "W1 of segments": (segments["wasserstein"], offsets),
            "JS of points": (points["jensen_shannon"], [LOG_2 * far for far in apart]),
            "W1 of points": (points["wasserstein"], offsets),
        },
        "A2": {
            **{
                f"pull, {name}": (found["pull"], [at[name] for at in expected_pulls])
                for name, found in pulls.items()
            },
            "logistic": (induced["logistic"], [2.0 * js for js in SMOOTHED_JS]),
            "exponential": (induced["exponential"], [-2 * math.expm1(-0.125 / s**2) for s in STDS]),
            "hinge": (induced["hinge"], [2.0 * tv for tv in variation]),
        },
        "A3": {
            "bounds": (matched["bounds"], BOUNDS),
            "JS": ([matched["jensen_shannon"]], [MATCHED_JS]),
        },
        "A4": {
            **{
                f"degree {n}": (fooled["fooled"][str(n)], [0.0] * len(OFFSETS))
                for n in DEGREES
                if n <= 3
            },
            "modes at ±2": ([fooled["fooled"][str(n)][at_two] for n in DEGREES], BOUNDS),
            "JS": ([fooled["jensen_shannon"][at_two]], [MATCHED_JS]),
        },
        "A5": {
            name: (
                [
                    [panels["A5"][name][o][key] for key in ("mean", "std", "value")]
                    for o in OBJECTIVES
                ],
                expected,
            )
            for name, expected in FITS.items()
        },
    }


def deviation(table: Mapping[str, tuple[Any, Any]]) -> tuple[float, str, int]:
    """Finds the largest difference in a table and its name; counts the numbers compared."""
    worst, where, count = 0.0, next(iter(table)), 0
    for name, (found, expected) in table.items():
        got, want = np.asarray(found, np.float64), np.asarray(expected, np.float64)
        if got.shape != want.shape:
            raise ValueError(f"{name} must have shape {want.shape}, got {got.shape}")
        known = ~np.isnan(want)
        # Two infinities agree; a NaN in place of a number counts as an infinite difference.
        with np.errstate(invalid="ignore"):
            apart = np.where(got == want, 0.0, np.abs(got - want))[known]
        apart = np.where(np.isnan(apart), np.inf, apart)
        count += int(known.sum())
        if apart.size and apart.max() > worst:
            worst, where = float(apart.max()), name
    return worst, where, count
