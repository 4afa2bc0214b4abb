"""Words error messages: describes a value, and suggests the name that may have been meant."""

import difflib
import sys
from collections.abc import Iterable
from functools import partial
from types import ModuleType
from typing import NoReturn

import jax

_LONGEST = 200  # characters of a value in a message


def describe(value: object) -> str:
    """Describes a value for an error message: an array by shape and dtype, an object with a long repr by its type."""
    if hasattr(value, "shape") and hasattr(value, "dtype") and getattr(value, "ndim", 0) > 0:
        return f"an array of shape {tuple(value.shape)} and dtype {value.dtype}"
    if isinstance(value, jax.core.Tracer):
        return f"a traced value of dtype {value.dtype}"
    # Python refuses to write out very long integers.
    if isinstance(value, int) and value.bit_length() > 100:
        return f"a whole number of {value.bit_length()} bits"
    text = repr(value)
    if len(text) <= _LONGEST and "\n" not in text:
        return text
    if isinstance(value, str | bytes):
        return f"{text[:_LONGEST]}..."
    kind = type(value)
    if isinstance(value, list | tuple | dict | set):
        return f"a {kind.__name__} of {len(value)} entries"
    if isinstance(value, jax.Array):  # a random key, of rank 0
        return f"a {kind.__name__} of dtype {value.dtype}"
    return f"an object of type {kind.__module__}.{kind.__qualname__}"


def fail(name: str, value: object, expected: str, error: type[Exception] = ValueError) -> Exception:
    """Makes the exception for a bad argument; the caller raises it."""
    return error(f"{name} must be {expected}, got {describe(value)}")


def reason(error: BaseException) -> str:
    """Shortens an error to one line."""
    return f"{type(error).__name__}: {' '.join(str(error).split())[:_LONGEST]}"


def suggest(value: object, options: Iterable[object]) -> str:
    """Suggests, for the end of a message, which of ``options`` was meant; returns no text where none is near."""
    names = [str(option) for option in options]
    near = difflib.get_close_matches(value, names, n=1) if isinstance(value, str) else []
    return f" (did you mean {near[0]!r}?)" if near else ""


def suggest_names(package: str) -> None:
    """Makes the error for a wrong name in a package, or in a module of it, suggest the nearest public name.

    It sets ``__getattr__`` from outside: if a type checker saw it in a module, it would accept every name.
    """
    top = sys.modules[package]
    inside = [part for part in vars(top).values() if isinstance(part, ModuleType)]
    for module in (top, *(part for part in inside if part.__name__.startswith(f"{package}."))):
        names, own = vars(module), module.__name__
        public = [
            name
            for name, value in names.items()
            if getattr(value, "__module__", own).startswith(own) and value is not suggest_names
        ]
        names["__getattr__"] = partial(_no_such_name, own, public)


def _no_such_name(module: str, public: Iterable[str], name: str) -> NoReturn:
    hint = "" if name.startswith("_") else suggest(name, public)
    raise AttributeError(f"{module} has no {name!r}{hint}")
