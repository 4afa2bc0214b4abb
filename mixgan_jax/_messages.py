"""The wording of error messages: how a value is described, and which name may have been meant."""

import difflib
import sys
from collections.abc import Callable, Iterable, Sized
from typing import Any, NoReturn

import jax

_LONGEST = 200  # characters of a value in a message


def describe(value: Any) -> str:
    """``value`` as an error message shows it: an array by shape and dtype, an object of a long repr by its type."""
    if hasattr(value, "shape") and hasattr(value, "dtype") and getattr(value, "ndim", 0) > 0:
        return f"an array of shape {tuple(value.shape)} and dtype {value.dtype}"
    if isinstance(value, jax.core.Tracer):
        return f"a traced value of dtype {value.dtype}"
    # Python refuses to write out very long ones.
    if isinstance(value, int) and value.bit_length() > 100:
        return f"a whole number of {value.bit_length()} bits"
    text = repr(value)
    if len(text) <= _LONGEST and "\n" not in text:
        return text
    if isinstance(value, str | bytes):
        return f"{text[:_LONGEST]}..."
    kind = type(value)
    name = kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__name__}"
    size = f" of length {len(value)}" if isinstance(value, Sized) else ""
    return f"an object of type {name}{size}"


def fail(name: str, value: Any, expected: str, error: type[Exception] = ValueError) -> Exception:
    """The exception for a bad argument; to be raised by the caller."""
    return error(f"{name} must be {expected}, got {describe(value)}")


def suggest(value: Any, options: Iterable[Any]) -> str:
    """Advice for the end of a message: which of ``options`` may have been meant; empty where none is near."""
    names = [str(option) for option in options]
    near = difflib.get_close_matches(value, names, n=1) if isinstance(value, str) else []
    return f" (did you mean {near[0]!r}?)" if near else ""


def suggest_names(module: str) -> Callable[[str], NoReturn]:
    """The ``__getattr__`` of a module: its error suggests the nearest of the module's public names.

    A module assigns it out of a type checker's sight, which would take any name for one that exists otherwise.
    """

    def __getattr__(name: str) -> NoReturn:
        known = vars(sys.modules[module])
        public = known.get("__all__") or [key for key in known if not key.startswith("_")]
        raise AttributeError(f"{module} has no {name!r}{suggest(name, public)}")

    return __getattr__
