"""Weights of networks in safetensors files: the length of a header, the header as JSON, then the numbers.

Reading such a file runs no code. The format is simple, and a file's names, shapes and hash are checked here anyway, so
it needs no library.
"""

import hashlib
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mixgan_jax.files import replacing

_LENGTH = 8  # bytes that say how long the header is
_LONGEST = 2**20  # bytes of a header: that of Inception-v3 has about 50,000
# PyTorch counts batches in training; inference does not read the count.
_UNUSED = ("__metadata__", "num_batches_tracked")

Shapes = Mapping[str, tuple[int, ...]]


def write_tensors(path: Path, tensors: Mapping[str, np.ndarray]) -> str:
    """Writes float32 tensors in the order of their names: equal tensors make equal files.

    Returns:
        The sha256 of the file.
    """
    entries: dict[str, Any] = {}
    names, end = sorted(tensors), 0
    for name in names:
        start, end = end, end + 4 * tensors[name].size
        entries[name] = {
            "dtype": "F32",
            "shape": list(tensors[name].shape),
            "data_offsets": [start, end],
        }
    header = json.dumps(entries, separators=(",", ":")).encode()
    header += b" " * (-len(header) % _LENGTH)
    numbers = (np.ascontiguousarray(tensors[name], "<f4").tobytes() for name in names)
    digest = hashlib.sha256()
    with replacing(path) as file:
        for part in (len(header).to_bytes(_LENGTH, "little"), header, *numbers):
            digest.update(part)
            file.write(part)
    return digest.hexdigest()


def read_tensors(
    path: Path, shapes: Shapes, sha256: str | None = None
) -> tuple[dict[str, np.ndarray], str]:
    """Reads float32 tensors whose names and shapes are known.

    Args:
        path: the file.
        shapes: of what it must hold, and nothing else.
        sha256: what the file's hash must be; None accepts any.

    Returns:
        The tensors by name, and the file's sha256.

    Raises:
        FileNotFoundError: no such file.
        ValueError: not such a file; the message says what differs first.
    """
    with path.open("rb") as file:
        size = path.stat().st_size
        length = int.from_bytes(file.read(_LENGTH), "little")
        entries: Any = (
            _parse(file.read(min(length, _LONGEST))) if length <= size - _LENGTH else None
        )
        start = _LENGTH + length
        problem = find_difference(entries, shapes) or _find_damage(entries, shapes, size - start)
        if problem is not None:
            raise ValueError(f"path must hold the network's weights, got {str(path)!r}: {problem}")
        file.seek(0)
        content = file.read(size)
    found = hashlib.sha256(content).hexdigest()
    if sha256 is not None and found != sha256.lower():
        raise ValueError(f"path must be the file of sha256 {sha256}, got {str(path)!r} of {found}")
    return {
        name: np.frombuffer(
            content, "<f4", math.prod(shape), start + entries[name]["data_offsets"][0]
        ).reshape(shape)
        for name, shape in shapes.items()
    }, found


def _parse(header: bytes) -> Any:
    """Returns the entries of the tensors that are read; None for what is no header."""
    try:
        entries = json.loads(header)
        return {name: dict(one) for name, one in entries.items() if not name.endswith(_UNUSED)}
    except (ValueError, TypeError, AttributeError, RecursionError):
        return None


def find_difference(entries: Any, shapes: Shapes) -> str | None:
    """Says how the dtypes and shapes of tensors by name differ from those of a network's; None if they do not."""
    if entries is None:
        return "it is no safetensors file; python -m mixgan_jax.metrics.inception convert makes one of a .pth"
    lacking, further = (
        sorted(shapes.keys() - entries.keys()),
        sorted(entries.keys() - shapes.keys()),
    )
    if lacking or further:
        parts = (
            f"{verb} {names[0]!r}" + (f" and {len(names) - 1} more" if names[1:] else "")
            for verb, names in (("it lacks", lacking), ("it has", further))
            if names
        )
        return ", ".join(parts)
    for name, shape in shapes.items():
        expected = {"dtype": "F32", "shape": list(shape)}
        found = {part: entries[name].get(part) for part in expected}
        if found != expected:
            return f"{name!r} must be {_describe(expected)}, and is {_describe(found)}"
    return None


def _describe(entry: Mapping[str, Any]) -> str:
    return f"{entry['dtype']} of shape {entry['shape']}"


def _find_damage(entries: Any, shapes: Shapes, room: int) -> str | None:
    """Says what is wrong with the places of the numbers, of which the file has ``room`` bytes; None if nothing is."""
    for name, shape in shapes.items():
        match entries[name].get("data_offsets"):
            case [int(start), int(stop)] if start >= 0 and stop - start == 4 * math.prod(shape):
                if stop > room:
                    return f"it is cut off: {name!r} ends at byte {stop} of its {room} bytes of numbers"
            case other:
                return (
                    f"{name!r} must have {4 * math.prod(shape)} bytes, and has the offsets {other}"
                )
    return None
