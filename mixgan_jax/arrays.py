"""Converts arguments to arrays, on the host or as JAX's, and refuses numbers that a conversion would change."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from mixgan_jax.messages import fail


def is_concrete(value: object) -> bool:
    """Returns whether ``value`` is known now, that is: not being traced by ``jit``, ``grad`` or ``vmap``."""
    return not isinstance(value, jax.core.Tracer)


def on_host(value: object) -> bool:
    """Returns whether a check can read ``value`` without a transfer: it is not traced and on no accelerator."""
    if not isinstance(value, jax.Array):
        return True
    return is_concrete(value) and all(device.platform == "cpu" for device in value.devices())


def is_real(dtype: Any) -> bool:
    """Returns whether a dtype is of truth values, whole or real numbers."""
    return any(jnp.issubdtype(dtype, kind) for kind in (np.bool_, np.integer, np.floating))


def check_array(
    name: str,
    value: Any,
    *,
    rank: int | Sequence[int] | None = None,
    floating: bool = False,
    finite: bool = False,
    moved: bool = True,
) -> Any:
    """Returns an array of real numbers, of one of the given ranks; ``finite`` looks at values on the host only.

    It is a JAX array. Unless ``moved``, what came from NumPy stays there, for a check of its values to come.
    """
    known = value if isinstance(value, jax.Array) else to_host(name, value)
    if not is_real(known.dtype):
        raise fail(name, value, "an array of real numbers", TypeError)
    array = known if isinstance(known, jax.Array) else _in_jax_precision(name, known, moved)
    if rank is not None:
        ranks = [rank] if isinstance(rank, int) else list(rank)
        if array.ndim not in ranks:
            expected = " or ".join(map(str, ranks))
            raise ValueError(f"{name} must have rank {expected}, got shape {array.shape}")
    if floating and not jnp.issubdtype(array.dtype, jnp.floating):
        raise TypeError(f"{name} must be floating point, got dtype {array.dtype}")
    if finite and on_host(value):  # before it was moved to a device
        bad = ~np.isfinite(np.asarray(known))
        if bad.any():
            first = tuple(int(axis) for axis in np.argwhere(bad)[0])
            raise ValueError(
                f"{name} must be finite, got {np.asarray(known)[first]} at index {first} "
                f"({int(bad.sum())} such of {array.size})"
            )
    return array


def check_on_host(rule: Callable[[str, Any], Any], name: str, value: Any) -> np.ndarray:
    """Copies a value to the host, runs a rule on it there, and returns it in float64: not in JAX's precision."""
    copied = np.asarray(value) if isinstance(value, jax.Array) and is_concrete(value) else value
    rule(name, copied)
    return np.asarray(copied, np.float64)


def to_host(
    name: str, value: Any, expected: str = "an array of real numbers", *, complex_too: bool = False
) -> np.ndarray:
    """Returns ``value`` as a NumPy array that JAX can take: the one way in for arrays from elsewhere.

    Files bring other byte orders (FITS, HDF5, idx) and long doubles; these become this machine's order and float64.
    NumPy would drop a mask's hidden entries and imaginary parts in silence; here they are refused.
    """
    if any(map(np.ma.is_masked, [value, *(value if isinstance(value, list | tuple) else ())])):
        remedy = "without masked entries (numpy.ma.filled fills them)"
        raise fail(name, value, f"{expected} {remedy}", TypeError)
    try:
        array = np.asarray(value)
    except (TypeError, ValueError, RuntimeError) as error:  # RuntimeError: PyTorch's, of gradients
        raise fail(name, value, expected, TypeError) from error
    allowed = complex_too and jnp.issubdtype(array.dtype, np.complexfloating)
    if not (allowed or is_real(array.dtype)):
        raise fail(name, value, expected, TypeError)
    if array.dtype.kind == "f" and array.dtype.itemsize > 8:
        return _fitted(name, array, np.dtype(np.float64))
    return array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("="))


def _in_jax_precision(name: str, known: np.ndarray, moved: bool) -> Any:
    dtype = jax.dtypes.canonicalize_dtype(known.dtype)
    if known.dtype == dtype and not moved:
        return known  # features of many images are not copied
    fitted = _fitted(name, known, dtype)
    return jnp.asarray(fitted) if moved else fitted


def _fitted(name: str, known: np.ndarray, dtype: Any) -> np.ndarray:
    """Returns the same numbers as ``dtype``, and refuses those that a cast would wrap around."""
    with np.errstate(over="ignore"):
        narrow = known.astype(dtype)
    floating = jnp.issubdtype(dtype, np.floating)
    lost = np.isinf(narrow) & ~np.isinf(known) if floating else narrow != known
    if lost.any():
        raise ValueError(f"{name} must fit into {dtype}, got {known[lost].flat[0]!s}")
    return narrow
