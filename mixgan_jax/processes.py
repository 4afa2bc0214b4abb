"""What several processes that train one run tell one another, besides arrays."""

import hashlib
import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import jax
import numpy as np

T = TypeVar("T")

# Messages are padded to whole blocks, so that few shapes are compiled.
_BLOCK = 4096


def gather(message: Any) -> list[Any]:
    """Returns the messages, JSON values, of all processes, in their order. Every process must call it, and waits."""
    if jax.process_count() == 1:
        return [message]
    from jax.experimental.multihost_utils import process_allgather

    own = np.frombuffer(json.dumps(message).encode(), np.uint8)
    sizes = np.ravel(process_allgather(np.int32(own.size)))
    padded = np.zeros(-(-int(sizes.max()) // _BLOCK) * _BLOCK, np.uint8)
    padded[: own.size] = own
    rows = np.reshape(process_allgather(padded), (len(sizes), -1))
    return [json.loads(row[:size].tobytes()) for row, size in zip(rows, sizes, strict=True)]


def share_error(error: Exception | None) -> None:
    """Raises in every process the error of the first process that has one. Every process must call it."""
    if jax.process_count() == 1:
        if error is not None:
            raise error
        return
    errors = gather(_described(error))
    first = next((number for number, one in enumerate(errors) if one is not None), None)
    if first is None:
        return
    found = (
        error if error is not None and first == jax.process_index() else _rebuilt(*errors[first])
    )
    found.add_note(f"It comes from process {first} of {jax.process_count()}.")
    raise found


def on_first(function: Callable[[], T]) -> T:
    """Calls a function on process 0, and returns its result, or raises its error, in every process."""
    result, error = None, None
    if jax.process_index() == 0:
        try:
            result = function()
        except Exception as caught:
            if jax.process_count() == 1:
                raise
            error = caught
    share_error(error)
    return gather(result)[0]


def check_same(fields: Mapping[str, Any]) -> None:
    """Raises in every process a ValueError that names the fields that differ from those of process 0.

    Args:
        fields: text by name; the values are compared as they are printed.
    """
    first, *others = gather({name: str(value) for name, value in fields.items()})
    lines = [
        f"{name}: process 0 has {first.get(name, 'nothing')}, process {number} has {other.get(name, 'nothing')}"
        for number, other in enumerate(others, start=1)
        for name in first | other
        if first.get(name) != other.get(name)
    ]
    if lines:
        more = [f"and {len(lines) - 8} more"] if len(lines) > 8 else []
        raise ValueError(
            "all processes must make the same call of fit; they differ in\n  "
            + "\n  ".join([*lines[:8], *more])
        )


def code_versions() -> dict[str, str]:
    """Returns checksums of the package's source and of the script that runs, and JAX's version, by name."""
    package = Path(__file__).parent
    script = getattr(sys.modules["__main__"], "__file__", None)
    return {
        "mixgan_jax": _checksum(sorted(package.rglob("*.py"))),
        "script": _checksum([Path(script)]) if script else "none",
        "jax": jax.__version__,
    }


def _checksum(paths: list[Path]) -> str:
    digest = hashlib.sha256()
    for path in paths:
        try:
            digest.update(path.name.encode() + path.read_bytes())
        except OSError:  # a script inside of an archive, or moved since
            return "unreadable"
    return digest.hexdigest()[:12]


def _described(error: Exception | None) -> list[str] | None:
    """Returns the name of an error's class, and its words."""
    return None if error is None else [type(error).__name__, str(error)]


def _rebuilt(name: str, text: str) -> Exception:
    """Returns an error of the class of that name, or a RuntimeError that has its words."""
    kind = _known_errors().get(name)
    if kind is not None:
        error = kind.__new__(kind)
        error.args = (text,)
        if str(error) == text:
            return error
    return RuntimeError(f"{name}: {text}")


def _known_errors() -> dict[str, type[Exception]]:
    found: dict[str, type[Exception]] = {}
    waiting: list[type[Exception]] = [Exception]
    while waiting:
        kind = waiting.pop()
        found[kind.__name__] = kind
        waiting += kind.__subclasses__()
    return found
