"""Replaces files as a whole: after a kill or a power cut, a file has the old content or the new one."""

import contextlib
import json
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """Opens a file to write to. It takes the place of ``path`` when the context ends without an error."""
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        with part.open("wb") as file:
            yield file
            file.flush()
            # Without fsync, a power cut may keep the new name and lose the content.
            os.fsync(file.fileno())
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
    _sync_folder(path.parent)


def write_json(
    path: Path,
    value: object,
    *,
    indent: int | None = 1,
    default: Callable[[Any], Any] | None = None,
) -> None:
    """Replaces a file by ``value`` as JSON. A list of numbers takes one line, however long it is."""
    text = json.dumps(value, indent=indent, default=default)
    text = re.sub(r'\[\n([^\[\]{}"]+)\n *\]', lambda found: f"[{' '.join(found[1].split())}]", text)
    with replacing(path) as file:
        file.write(text.encode() + b"\n")


def read_json(path: Path, remedy: str) -> Any:
    """Reads a JSON file.

    Raises:
        ValueError: it holds no JSON; the message names the file and ends with ``remedy``.
    """
    try:
        return json.loads(path.read_bytes())
    except ValueError as error:  # bad JSON and bad UTF-8 alike
        size = path.stat().st_size
        raise ValueError(f"{path} ({size} bytes) must hold JSON ({error}); {remedy}") from error


def _sync_folder(folder: Path) -> None:
    """Writes a new name to disk, if the system can do that for folders."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
