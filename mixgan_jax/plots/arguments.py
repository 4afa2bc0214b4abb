"""Checks of what is drawn, for :mod:`mixgan_jax.plots` alone."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from mixgan_jax.checks import check_array, check_kind, fail


def host(name: str, value: Any, rank: int | Sequence[int], length: int | None = None) -> np.ndarray:
    """A finite array on the host, as float64, of the given rank and first axis."""
    array = np.asarray(check_array(name, value, rank=rank, finite=True)).astype(np.float64)
    if 0 in array.shape or (length is not None and len(array) != length):
        expected = "not be empty" if length is None else f"have length {length}"
        raise ValueError(f"{name} must {expected}, got shape {array.shape}")
    return array


def by_component(name: str, samples: Any) -> np.ndarray:
    """Samples ``[K, N, 2]``, from those or from ``[N, 2]``."""
    points = host(name, samples, (2, 3))
    if points.shape[-1] != 2:
        raise ValueError(f"{name} must have shape [N, 2] or [K, N, 2], got {points.shape}")
    return points if points.ndim == 3 else points[None]


def names(name: str, given: Mapping[str, Any] | None, known: Iterable[str]) -> dict[str, Any]:
    """A mapping with all its names among ``known``; empty for None."""
    found = {} if given is None else dict(check_kind(name, given, Mapping))
    if set(found) - set(known):
        raise fail(name, given, f"a mapping that names only {sorted(known)}")
    return found


def pair(name: str, value: Any) -> None:
    """A sequence of two."""
    if not isinstance(value, Sequence) or isinstance(value, str) or len(value) != 2:
        raise fail(name, value, "a pair", TypeError)


def mapping(name: str, value: Any) -> Mapping[str, Any]:
    """A mapping that is not empty."""
    if not isinstance(value, Mapping) or not value:
        raise fail(name, value, "a mapping that is not empty", TypeError)
    return value


def strings(name: str, value: Any) -> None:
    """Strings in a sequence that is not empty."""
    if not isinstance(value, Sequence) or not value or not all(isinstance(v, str) for v in value):
        raise fail(name, value, "a sequence of names, not empty", TypeError)


def records(name: str, value: Any) -> Sequence[Sequence[Mapping[str, Any]]]:
    """Records of several seeds, from those or from the records of one."""
    check_kind(name, value, Sequence)
    runs = [value] if not value or isinstance(value[0], Mapping) else value
    if not all(
        isinstance(run, Sequence)
        and all(isinstance(record, Mapping) and "step" in record for record in run)
        for run in runs
    ):
        raise fail(name, value, "a list of records, each with a step, or a list of such", TypeError)
    return runs


def figure(name: str, value: Any) -> Any:
    """A figure of Matplotlib's."""
    from matplotlib.figure import Figure

    return check_kind(name, value, Figure)
