"""Checks of arguments: every error names the argument, its value, and what was expected.

Each function returns what it was given, so that a check reads as an assignment. Values that are being traced
by JAX are unknown: of those only shape and dtype are checked.
"""

import difflib
import math
import numbers
from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np

T = TypeVar("T")


def is_concrete(value: Any) -> bool:
    """Whether ``value`` is known now, that is: not being traced by ``jit``, ``grad`` or ``vmap``."""
    return not isinstance(value, jax.core.Tracer)


def describe(value: Any) -> str:
    """``value`` as an error message shows it: an array by shape and dtype, anything else by its repr."""
    if hasattr(value, "shape") and hasattr(value, "dtype") and getattr(value, "ndim", 0) > 0:
        return f"an array of shape {tuple(value.shape)} and dtype {value.dtype}"
    if isinstance(value, jax.core.Tracer):
        return f"a traced value of dtype {value.dtype}"
    return repr(value)


def fail(name: str, value: Any, expected: str, error: type[Exception] = ValueError) -> Exception:
    """The exception for a bad argument; to be raised by the caller."""
    return error(f"{name} must be {expected}, got {describe(value)}")


def check_count(name: str, value: Any, *, minimum: int = 1) -> int:
    """A whole number of at least ``minimum``."""
    if isinstance(value, bool) or not isinstance(value, numbers.Integral):
        raise fail(name, value, f"a whole number >= {minimum}", TypeError)
    if value < minimum:
        raise fail(name, value, f"a whole number >= {minimum}")
    return int(value)


def check_number(
    name: str,
    value: T,
    *,
    minimum: float = -math.inf,
    maximum: float = math.inf,
    strict: bool = False,
) -> T:
    """A finite real number in ``[minimum, maximum]`` (above ``minimum`` if ``strict``).

    A traced number, or a concrete zero-dimensional array, passes too (the latter if its value does).
    """
    sign = ">" if strict else ">="
    expected = "a finite number"
    if minimum > -math.inf:
        expected += f" {sign} {minimum:g}"
    if maximum < math.inf:
        expected += f"{' and' if minimum > -math.inf else ''} <= {maximum:g}"
    if not is_concrete(value):
        return value
    is_scalar_array = isinstance(value, jax.Array | np.ndarray) and value.ndim == 0
    if isinstance(value, bool) or not (isinstance(value, numbers.Real) or is_scalar_array):
        raise fail(name, value, expected, TypeError)
    number = float(value)  # type: ignore[arg-type]
    below = number <= minimum if strict else number < minimum
    if not math.isfinite(number) or below or number > maximum:
        raise fail(name, value, expected)
    return value


def check_step_size(name: str, value: T) -> T:
    """A step size or coefficient: a finite number >= 0, or an optax schedule (a callable of the step)."""
    return value if callable(value) else check_number(name, value, minimum=0.0)


def check_choice(name: str, value: T, choices: Iterable[T]) -> T:
    """One of ``choices``; where it is none of them the nearest is suggested."""
    options = list(choices)
    if value not in options:
        near = difflib.get_close_matches(str(value), [str(option) for option in options], n=1)
        hint = f" (did you mean {near[0]!r}?)" if near else ""
        raise ValueError(f"{name} must be one of {options}, got {value!r}{hint}")
    return value


def check_array(
    name: str,
    value: Any,
    *,
    rank: int | Sequence[int] | None = None,
    floating: bool = False,
    finite: bool = False,
) -> jax.Array:
    """An array of the given rank (or one of several), optionally floating and, where known, all finite."""
    if not (hasattr(value, "shape") and hasattr(value, "dtype")) and not np.isscalar(value):
        try:
            value = np.asarray(value)
        except ValueError as error:
            raise fail(name, value, "an array", TypeError) from error
        if value.dtype == object:
            raise fail(name, value, "an array of numbers", TypeError)
    array = jnp.asarray(value)
    if rank is not None:
        ranks = [rank] if isinstance(rank, int) else list(rank)
        if array.ndim not in ranks:
            expected = " or ".join(map(str, ranks))
            raise ValueError(f"{name} must have rank {expected}, got shape {array.shape}")
    if floating and not jnp.issubdtype(array.dtype, jnp.floating):
        raise TypeError(f"{name} must be floating point, got dtype {array.dtype}")
    if finite and is_concrete(array):
        bad = ~np.isfinite(np.asarray(array))
        if bad.any():
            first = tuple(int(axis) for axis in np.argwhere(bad)[0])
            raise ValueError(
                f"{name} must be finite, got {np.asarray(array)[first]} at index {first} "
                f"({int(bad.sum())} such of {array.size})"
            )
    return array


def check_log_weights(name: str, value: Any, *, tolerance: float = 1e-3) -> jax.Array:
    """Log-weights ``[K]`` or ``[..., K]`` whose logsumexp over the last axis is 0 within ``tolerance``."""
    array = check_array(name, value, floating=True)
    if array.ndim < 1 or array.shape[-1] < 1:
        raise ValueError(f"{name} must have shape [..., K] with K >= 1, got {array.shape}")
    if is_concrete(array):
        # In NumPy: inside a trace a JAX operation is recorded, also where its operands are known.
        with np.errstate(divide="ignore"):
            total = np.log(np.sum(np.exp(np.asarray(array, np.float64)), axis=-1))
        if not np.all(np.abs(total) <= tolerance):  # also true of NaN
            raise ValueError(
                f"{name} must be log-weights with logsumexp 0 over the last axis, got logsumexp "
                f"{np.array2string(total, precision=4)}; jax.nn.log_softmax normalises them"
            )
    return array


def check_key(name: str, value: Any) -> jax.Array:
    """A typed random key ``[]``, or keys ``[S]``, as ``jax.random.key`` makes them."""
    if not (hasattr(value, "dtype") and jnp.issubdtype(value.dtype, jax.dtypes.prng_key)):
        raise fail(name, value, "a typed random key, from jax.random.key", TypeError)
    if value.ndim > 1:
        raise ValueError(f"{name} must be one key or keys [S], got shape {value.shape}")
    return value


def check_logits(name: str, logits: Any, batch: int) -> Any:
    """One logit per example: an array of shape ``[batch]``."""
    if tuple(logits.shape) != (batch,):
        raise ValueError(
            f"{name} must return one logit per example, shape ({batch},), got shape "
            f"{tuple(logits.shape)}; reduce or squeeze the trailing axes"
        )
    return logits
