"""Rules for what is drawn: each returns a NumPy array or a container that the figure can use, or names the argument."""

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Annotated, Any, TypeAlias

import jax.numpy as jnp
import numpy as np

from mixgan_jax.checks import check_array, check_kind, check_on_host, fail
from mixgan_jax.types import ArrayLike, Shaped


def host(name: str, value: Any, rank: int | Sequence[int]) -> np.ndarray:
    """Returns a finite array, not empty, of the given rank; as float64 on the host."""
    array = check_on_host(Shaped(rank, finite=True, moved=False), name, value)
    if 0 in array.shape:
        raise ValueError(f"{name} must not be empty, got shape {array.shape}")
    return array


def of_length(name: str, value: ArrayLike, length: int) -> np.ndarray:
    """Returns an array with a first axis of this length."""
    array = np.asarray(value)
    if len(array) != length:
        raise ValueError(f"{name} must have length {length}, got shape {array.shape}")
    return array


def by_component(name: str, value: Any) -> np.ndarray:
    """Returns samples ``[K, N, 2]``, or ``[N, 2]`` of one component."""
    points = host(name, value, (2, 3))
    if points.shape[-1] != 2:
        raise ValueError(f"{name} must have shape [N, 2] or [K, N, 2], got {points.shape}")
    return points if points.ndim == 3 else points[None]


def by_method(name: str, value: Any) -> dict[str, np.ndarray]:
    """Returns a mapping, not empty, from names of methods to samples."""
    if not isinstance(value, Mapping) or not value:
        raise fail(name, value, "a mapping that is not empty", TypeError)
    return {method: by_component(f"{name}[{method!r}]", given) for method, given in value.items()}


def in_the_plane(name: str, value: Any) -> np.ndarray:
    """Returns points ``[M, 2]``."""
    points = host(name, value, 2)
    if points.shape[1] != 2:
        raise ValueError(f"{name} must have shape [M, 2], got {points.shape}")
    return points


def rising(name: str, value: Any) -> tuple[float, float]:
    """Returns a lowest and a highest value."""
    low, high = of_length(name, host(name, value, 1), 2).tolist()
    if not low < high:
        raise ValueError(f"{name} must rise, got {value}")
    return low, high


def two_vectors(name: str, value: Any) -> tuple[np.ndarray, np.ndarray]:
    """Returns a pair of arrays of rank 1."""
    if not isinstance(value, Sequence) or isinstance(value, str) or len(value) != 2:
        raise fail(name, value, "a pair", TypeError)
    return host(f"{name}[0]", value[0], 1), host(f"{name}[1]", value[1], 1)


def rows_on_the_simplex(name: str, value: Any) -> np.ndarray:
    """Returns weights ``[T, K]``; each row sums to 1."""
    weights = host(name, value, 2)
    if not np.allclose(weights.sum(axis=1), 1.0, atol=1e-3):
        raise ValueError(f"{name} must sum to 1 in every row; exponentiate log-weights")
    return weights


def image_blocks(name: str, value: Any) -> np.ndarray:
    """Returns images ``[K, n, H, W, C]`` with C of 1 or 3, uint8 or floating point."""
    array = np.asarray(check_array(name, value, rank=5))
    if array.shape[-1] not in (1, 3) or 0 in array.shape:
        raise ValueError(f"{name} must have shape [K, n, H, W, 1 or 3], got {array.shape}")
    if array.dtype != np.uint8 and not jnp.issubdtype(array.dtype, jnp.floating):
        raise TypeError(f"{name} must be uint8 or floating point, got dtype {array.dtype}")
    return array


def strings(name: str, value: Any) -> Sequence[str]:
    """Returns a sequence of strings, not empty."""
    if not isinstance(value, Sequence) or not value or not all(isinstance(v, str) for v in value):
        raise fail(name, value, "a sequence of names, not empty", TypeError)
    return value


def runs(name: str, value: Any) -> Sequence[Sequence[Mapping[str, Any]]]:
    """Returns records of several seeds, or those of one."""
    check_kind(name, value, Sequence)
    found = [value] if not value or isinstance(value[0], Mapping) else value
    if not all(
        isinstance(run, Sequence)
        and all(isinstance(record, Mapping) and "step" in record for record in run)
        for run in found
    ):
        raise fail(name, value, "a list of records, each with a step, or a list of such", TypeError)
    return found


def names(name: str, given: Mapping[str, Any] | None, known: Iterable[str]) -> dict[str, Any]:
    """Returns a mapping with all its names among ``known``; empty for None."""
    found = {} if given is None else dict(check_kind(name, given, Mapping))
    if set(found) - set(known):
        raise fail(name, given, f"a mapping that names only {sorted(known)}")
    return found


def figure(name: str, value: Any) -> Any:
    """Returns a figure of Matplotlib's."""
    from matplotlib.figure import Figure

    return check_kind(name, value, Figure)


Samples: TypeAlias = Annotated[ArrayLike, by_component]
"""Samples ``[K, N, 2]``, or ``[N, 2]`` of one component."""

Points: TypeAlias = Annotated[ArrayLike, in_the_plane]
"""Points ``[M, 2]``."""

Vector: TypeAlias = Annotated[ArrayLike, partial(host, rank=1)]
"""A finite array of rank 1."""

Matrix: TypeAlias = Annotated[ArrayLike, partial(host, rank=2)]
"""A finite array of rank 2."""

Limits: TypeAlias = Annotated[tuple[float, float], rising]
"""The lowest and the highest value of both axes."""
