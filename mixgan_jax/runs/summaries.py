"""Summaries of arrays that are too large for the log: payoffs of hundreds of players, and of sweeps over many seeds."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from mixgan_jax.storage.records import MAX_VALUES

SUMMARIES: dict[str, Callable[..., Any]] = {"mean": np.mean, "min": np.min, "max": np.max}
"""What the log holds of an array that is too large for it, by the ending of the name."""


def is_summarised(value: Any, sweep: bool) -> bool:
    """Returns whether the log holds summaries of an array; its shape is enough.

    Args:
        value: ``[...]``, or ``[S, ...]`` in a sweep.
        sweep: whether the leading axis is one of runs. Their numbers stay apart, so ``[S]`` is never summarised.
    """
    return value.size > MAX_VALUES and value.ndim > sweep


def summary_names(name: str) -> tuple[str, ...]:
    """Returns the names of an array's summaries: ``values_mean``, ``values_min`` and ``values_max``."""
    return tuple(f"{name}_{ending}" for ending in SUMMARIES)


def logged_names(info: Mapping[str, Any], sweep: bool) -> list[str]:
    """Returns the names that :func:`summarise` gives an entry; shapes are enough."""
    every = (
        summary_names(name) if is_summarised(value, sweep) else (name,)
        for name, value in info.items()
    )
    return [name for names in every for name in names]


def summarise(info: Mapping[str, np.ndarray], sweep: bool) -> dict[str, np.ndarray]:
    """Replaces arrays that are too large for the log by their summaries.

    Args:
        info: arrays by name, ``[...]``, or ``[S, ...]`` in a sweep.
        sweep: whether there is a leading axis of runs.

    Returns:
        The same entry, with mean, minimum and maximum, ``[]`` or ``[S]`` in double precision, instead of each large
        array. A number that is not finite shows in at least one of them.
    """
    found: dict[str, np.ndarray] = {}
    for name, value in info.items():
        if is_summarised(value, sweep):
            flat = value.reshape(*value.shape[:sweep], -1).astype(np.float64)
            numbers = (np.asarray(reduce(flat, axis=-1)) for reduce in SUMMARIES.values())
            found |= zip(summary_names(name), numbers, strict=True)
        else:
            found[name] = value
    return found
