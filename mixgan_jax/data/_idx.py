"""Reads the format of MNIST's files, ``idx``: big-endian arrays behind a short head, plain or compressed by gzip."""

import gzip
import re
import zlib
from pathlib import Path

import numpy as np

from mixgan_jax.data.source import Splits

_DTYPES = {8: ">u1", 9: ">i1", 11: ">i2", 12: ">i4", 13: ">f4", 14: ">f8"}
_TRAINING_IMAGES = re.compile(r"train-images[.-]idx3-ubyte(\.gz)?$")


def is_idx(path: Path) -> bool:
    """Returns whether a file begins as idx files do."""
    try:
        head = _content(path, 4)
    except ValueError:
        return False
    return len(head) == 4 and head[:2] == b"\0\0" and head[2] in _DTYPES and head[3] > 0


def find_idx(folder: Path) -> list[Path]:
    """Lists the files of training images in a folder; of a file and its compressed copy, the plain one."""
    files = sorted(folder.iterdir()) if folder.is_dir() else []
    found = [path for path in files if _TRAINING_IMAGES.search(path.name)]
    return [path for path in found if not (path.suffix == ".gz" and path.with_suffix("") in found)]


def read_idx(path: Path) -> Splits:
    """Reads training images and labels, test images and labels, found by their names beside the training images.

    Args:
        path: an existing file of images. Labels and test images (``t10k`` or ``test`` for ``train``) that do not lie
            beside it are None.
    """
    test = _beside(path, train="t10k") or _beside(path, train="test")
    if test is None:
        return _read(path), _labels(path), None, None
    return _read(path), _labels(path), _read(test), _labels(test)


def _labels(images: Path) -> np.ndarray | None:
    path = _beside(images, images="labels", idx3="idx1")
    return None if path is None else _read(path)


def _beside(path: Path, **replacements: str) -> Path | None:
    """Finds another file of the same set; None where there is none."""
    name = path.name.removesuffix(".gz")
    for old, new in replacements.items():
        name = name.replace(old, new)
    both = (path.with_name(name), path.with_name(f"{name}.gz"))
    return next((other for other in both if other != path and other.is_file()), None)


def _read(path: Path) -> np.ndarray:
    content = _content(path)
    if len(content) < 4 or content[:2] != b"\0\0" or content[2] not in _DTYPES:
        raise _damaged(path, "not an idx file")
    start = 4 + 4 * content[3]
    if len(content) < start:
        raise _damaged(path, "it ends within its head")
    shape = np.frombuffer(content[4:start], ">u4").tolist()
    dtype = np.dtype(_DTYPES[content[2]])
    expected = start + dtype.itemsize * int(np.prod(shape, dtype=object))
    if len(content) != expected:
        raise _damaged(path, f"it must have {expected} bytes for shape {shape}, has {len(content)}")
    return (
        np.frombuffer(content, dtype, offset=start).reshape(shape).astype(dtype.newbyteorder("="))
    )


def _content(path: Path, size: int = -1) -> bytes:
    """Reads the first bytes of a file, or all of them, and unpacks what is compressed."""
    try:
        with path.open("rb") as file:
            compressed = file.read(2) == b"\x1f\x8b"
        with gzip.open(path) if compressed else path.open("rb") as file:
            return bytes(file.read(size))
    except (OSError, EOFError, zlib.error) as error:
        raise _damaged(path, error) from error


def _damaged(path: Path, what: object) -> ValueError:
    return ValueError(f"path must be a complete idx file, got {str(path)!r}: {what}")
