"""Checks of arguments: every error names the argument, its value, and what was expected.

Each function returns the value, converted where that helps, so that a check reads as an assignment. JAX traces some
values, and some lie on an accelerator: checks then look only at shape and dtype.
"""

import math
import numbers
import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np

from mixgan_jax.arrays import (
    check_array as check_array,
    check_on_host as check_on_host,
    is_concrete as is_concrete,
    is_real,
    on_host as on_host,
    to_host as to_host,
)
from mixgan_jax.messages import describe as describe, fail as fail, suggest as suggest

T = TypeVar("T")

MAX_COUNT = 2**31 - 1
"""The largest count, which int32 holds."""

_SMALLEST, _LARGEST = float(np.finfo(np.float32).tiny), float(np.finfo(np.float32).max)


def check_kind(name: str, value: T, *kinds: type) -> T:
    """Checks that a value is an instance of one of ``kinds``."""
    if not isinstance(value, kinds):
        names = (kind.__name__ for kind in kinds)
        expected = " or ".join(f"{'an' if name[0] in 'AEIOU' else 'a'} {name}" for name in names)
        raise fail(name, value, expected, TypeError)
    return value


def check_function(name: str, value: T) -> T:
    """Checks that a value can be called."""
    if not callable(value):
        raise fail(name, value, "a function", TypeError)
    return value


def check_flag(name: str, value: T) -> T:
    """Checks that a value is True or False; a traced one passes too."""
    if is_concrete(value) and not isinstance(value, bool | np.bool_):
        raise fail(name, value, "True or False", TypeError)
    return value


def check_path(name: str, value: object) -> Path:
    """Returns a local path, with a leading ``~`` replaced by the home folder."""
    if not isinstance(value, str | os.PathLike):
        raise fail(name, value, "a path", TypeError)
    if not os.fspath(value) or "\0" in os.fsdecode(value):
        raise fail(name, value, "a path, not empty and without null characters")
    text = os.fsdecode(value)
    # Path("s3://bucket") keeps one slash; a single letter is a drive of Windows.
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]+:(/|$)", text):
        raise fail(
            name, value, "a local path (for a bucket or another URL: copy it, or mount it first)"
        )
    expanded = os.path.expanduser(text)
    if expanded.startswith("~"):
        raise fail(name, value, "a path whose ~ stands for a known home folder (./~ is a name)")
    return Path(expanded)


def check_count(name: str, value: object, *, minimum: int = 1) -> int:
    """Returns a whole number of at least ``minimum`` that JAX's int32 indices and counters can hold."""
    if isinstance(value, bool) or not isinstance(value, numbers.Integral):
        raise fail(name, value, f"a whole number >= {minimum}", TypeError)
    count = int(value)
    if count < minimum:
        raise fail(name, value, f"a whole number >= {minimum}")
    if count > MAX_COUNT:
        raise fail(name, value, f"at most {MAX_COUNT}")
    return count


def check_counts(name: str, value: Any, length: int | None = None) -> tuple[int, ...]:
    """Returns whole numbers >= 1 as a tuple, of the given length if there is one."""
    if not isinstance(value, Sequence) or isinstance(value, str | bytes):
        raise fail(name, value, "a sequence of whole numbers", TypeError)
    if length is not None and len(value) != length:
        raise fail(name, value, f"a sequence of {length} whole numbers")
    return tuple(check_count(f"{name}[{index}]", entry) for index, entry in enumerate(value))


def check_number(
    name: str,
    value: Any,
    *,
    minimum: float = -math.inf,
    maximum: float = math.inf,
    strict: bool = False,
    strict_maximum: bool = False,
) -> Any:
    """Returns a finite real number from ``minimum`` (``strict``: above it) to ``maximum`` (``strict_maximum``: below).

    The result is a float, which JAX's strict promotion of dtypes accepts. A number that is traced or on an accelerator
    passes as it is.
    """
    if type(value) is float and minimum < value < maximum and _SMALLEST <= abs(value) <= _LARGEST:
        return value
    low = f" {'>' if strict else '>='} {minimum:g}" if minimum > -math.inf else ""
    high = f" {'<' if strict_maximum else '<='} {maximum:g}" if maximum < math.inf else ""
    expected = f"a finite number{low}{' and' if low and high else ''}{high}"
    if isinstance(value, jax.Array | np.ndarray | np.generic):
        is_number = value.ndim == 0 and is_real(value.dtype) and value.dtype != np.bool_
    else:
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number:
        raise fail(name, value, expected, TypeError)
    if not on_host(value):
        return value
    try:
        number = float(value)
    except OverflowError:  # a whole number of more than 300 digits
        raise fail(name, value, expected) from None
    if 0 < abs(number) < _SMALLEST or _LARGEST < abs(number) < math.inf:
        raise fail(name, value, f"of a size that float32 holds, {_SMALLEST:.2g} to {_LARGEST:.2g}")
    below = number <= minimum if strict else number < minimum
    above = number >= maximum if strict_maximum else number > maximum
    if not math.isfinite(number) or below or above:
        raise fail(name, value, expected)
    return number


def check_step_size(name: str, value: Any) -> Any:
    """Returns a step size or coefficient: a finite number >= 0, or an optax schedule (a function of the step)."""
    return value if callable(value) else check_number(name, value, minimum=0.0)


def check_choice(name: str, value: T, choices: Iterable[T]) -> T:
    """Checks that a value is one of ``choices``; the error suggests the nearest."""
    options = list(choices)
    if not (isinstance(value, str) and value in options):
        hint = suggest(value, options)
        raise ValueError(f"{name} must be one of {options}, got {describe(value)}{hint}")
    return value


def check_log_weights(name: str, value: Any, *, tolerance: float = 1e-3) -> jax.Array:
    """Returns log-weights ``[..., K]`` whose logsumexp over the last axis is 0 within ``tolerance``."""
    array = check_array(name, value, floating=True)
    if array.ndim < 1 or array.shape[-1] < 1:
        raise ValueError(f"{name} must have shape [..., K] with K >= 1, got {array.shape}")
    if on_host(value):
        # In NumPy, since a trace records every JAX operation, even on known values.
        with np.errstate(divide="ignore", over="ignore"):
            total = np.log(np.sum(np.exp(np.asarray(value, np.float64)), axis=-1))
        if not np.all(np.abs(total) <= tolerance):  # also true of NaN
            raise ValueError(
                f"{name} must be log-weights with logsumexp 0 over the last axis, got logsumexp "
                f"{np.array2string(total, precision=4)}; jax.nn.log_softmax normalises them"
            )
    return array


def check_weights(
    name: str, value: Any, size: int | None = None, *, tolerance: float = 1e-3
) -> jax.Array:
    """Returns weights ``[..., K]``: >= 0, with sum 1 within ``tolerance``. K is ``size`` if that is given."""
    array = check_array(name, value, floating=True)
    if array.ndim < 1 or array.shape[-1] < 1 or size not in (None, array.shape[-1]):
        shape = "[..., K] with K >= 1" if size is None else f"[..., {size}], as the payoffs"
        raise ValueError(f"{name} must have shape {shape}, got {array.shape}")
    if on_host(value):
        known = np.asarray(value, np.float64)
        error = np.abs(known.sum(axis=-1) - 1.0).max(initial=0.0)
        low = known.min(initial=0.0)
        if not (low >= 0.0 and error <= tolerance):  # also of NaN
            check_array(name, value, finite=True)
            raise ValueError(
                f"{name} must be non-negative and sum to 1 over the last axis (weights, not log-weights), "
                f"got minimum {low:.4g} and a sum {error:.4g} away from 1"
            )
    return array


def check_key(name: str, value: Any, *, sweep: bool = False) -> jax.Array:
    """Returns a typed random key ``[]``, as ``jax.random.key`` makes them; with ``sweep`` keys ``[S]``, S >= 1, too.

    A sweep vmaps its keys, and under ``vmap`` keys of XLA's own generator (``rbg``) all draw from the first of them.
    """
    if not (hasattr(value, "dtype") and jnp.issubdtype(value.dtype, jax.dtypes.prng_key)):
        raise fail(name, value, "a typed random key, from jax.random.key", TypeError)
    if value.ndim > (1 if sweep else 0) or value.size == 0:
        expected = "one key or keys [S]" if sweep else "one key"
        raise ValueError(f"{name} must be {expected}, got shape {value.shape}")
    if value.ndim and "rbg" in str(jax.random.key_impl(value)):
        raise ValueError(
            f"{name} must be keys that vmap keeps apart, got keys {value.shape} of {jax.random.key_impl(value)}, "
            "which all draw from the first; for a sweep make them with jax.random.key(seed, impl='threefry2x32')"
        )
    return value


def check_logits(name: str, logits: Any, batch: int) -> Any:
    """Checks that there is one logit per example, ``[batch]``."""
    if tuple(logits.shape) != (batch,):
        raise ValueError(
            f"{name} must return one logit per example, shape ({batch},), got shape "
            f"{tuple(logits.shape)}; reduce or squeeze the trailing axes"
        )
    return logits
