"""Images in ``.npz`` files: loaded, or read in place where they are too large for that.

An ``.npz`` file is a zip archive of ``.npy`` files. A member that is stored as it is (``numpy.savez``) is read at its
place in the archive. A compressed one (``numpy.savez_compressed``) is unpacked into the cache folder once. Either way
its bytes are first read through and compared with the checksum of the archive, as loading does.
"""

import contextlib
import hashlib
import os
import struct
import weakref
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np
from numpy.lib import format as npy

from mixgan_jax.data.cache import cache_folder
from mixgan_jax.data.source import Channels, ImageSource, Indices, Splits, exceeds
from mixgan_jax.files import replacing

_AT_ONCE = 2**20  # bytes in memory while a member is read through


class _Header(NamedTuple):
    """The head of an ``.npy`` file: the array it describes, and its own size in bytes."""

    array: jax.ShapeDtypeStruct
    fortran_order: bool
    size: int


def read_npz(
    path: Path,
    namings: Sequence[tuple[str, ...]],
    memory_budget: int | None,
    channels: Channels | None = None,
) -> Splits:
    """Reads the arrays of an ``.npz`` file; the first one stays there if it exceeds the budget.

    Args:
        path: an existing file.
        namings: keys of training images and labels, test images and labels. The file must hold the first of them; the
            others may be missing. Of several namings the one counts whose first key is in the file.
        memory_budget: MiB that the first array may take; None for no bound.
        channels: as in :func:`as_source`, for the check of images that stay.

    Returns:
        The arrays in the order of the keys, None for those that are missing.
    """
    with _whole(path), np.load(path, allow_pickle=False) as file:
        found = list(file.files)
        keys = next((keys for keys in namings if keys[0] in found), namings[0])
        images = keys[0]
        header = _header(file.zip, f"{images}.npy") if memory_budget is not None else None
    if images not in found:
        others = "".join(f"; {keys[0]!r} will do too" for keys in namings[1:])
        raise ValueError(
            f"{str(path)!r} must hold the key {images!r}, got the keys {found}{others}"
        )
    stays = header is not None and exceeds(memory_budget, header.array, channels)
    with _whole(path), np.load(path, allow_pickle=False) as file:
        loaded = {key: file[key] for key in keys[stays:] if key in found}
    labels, test_images, test_labels = map(loaded.get, keys[1:])
    if header is not None and stays:
        return _open_member(path, f"{images}.npy", header), labels, test_images, test_labels
    return loaded[images], labels, test_images, test_labels


@contextlib.contextmanager
def _whole(path: Path) -> Iterator[None]:
    """Turns all errors of a damaged file into a ValueError that names it."""
    try:
        # A truncated zip file has lost its table of contents, but still begins as one.
        with path.open("rb") as file:
            if file.read(2) != b"PK":
                raise ValueError("not an .npz file")
        yield
    except (
        OSError,
        EOFError,
        ValueError,
        NotImplementedError,
        RuntimeError,
        zlib.error,
        zipfile.BadZipFile,
    ) as error:
        raise ValueError(
            f"path must be a complete .npz file of plain arrays, got {str(path)!r}: {error}"
        ) from error


def _header(archive: zipfile.ZipFile, member: str) -> _Header | None:
    if member not in archive.namelist():
        return None
    with archive.open(member) as file:
        read = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
        version = npy.read_magic(file)
        if version not in read:
            raise ValueError(f"{member} has format version {version}, of structured arrays")
        shape, fortran_order, dtype = read[version](file)
        size = file.tell()
    if dtype.hasobject:
        raise ValueError(f"{member} holds pickled objects")
    expected = size + dtype.itemsize * int(np.prod(shape, dtype=object))
    if archive.getinfo(member).file_size != expected:
        got = archive.getinfo(member).file_size
        raise ValueError(f"{member} must have {expected} bytes for shape {shape}, got {got}")
    return _Header(jax.ShapeDtypeStruct(shape, dtype), fortran_order, size)


def _open_member(path: Path, member: str, header: _Header) -> ImageSource:
    if header.fortran_order:
        raise ValueError(f"{str(path)!r} must hold {member} in C order to be streamed, got Fortran")
    shape = header.array.shape
    shape = (*shape, 1) if len(shape) == 3 else shape
    with zipfile.ZipFile(path) as archive:
        info = archive.getinfo(member)
        chunks = _chunks(archive, info, path)
        if info.compress_type != zipfile.ZIP_STORED:
            return _rows(_unpacked(chunks, info, path), header.size, shape)
        for _ in chunks:  # the checksum is compared at the end
            pass
        return _rows(path, _place(path, info) + header.size, shape)


def _chunks(archive: zipfile.ZipFile, info: zipfile.ZipInfo, path: Path) -> Iterator[bytes]:
    with _whole(path), archive.open(info) as file:
        while chunk := file.read(_AT_ONCE):
            yield chunk


def _place(path: Path, info: zipfile.ZipInfo) -> int:
    """Finds where the bytes of a stored member begin: after its local header, its name and its extra field."""
    with path.open("rb") as file:
        file.seek(info.header_offset)
        name, extra = struct.unpack("<26x2H", file.read(30))
    return info.header_offset + 30 + name + extra


def _unpacked(chunks: Iterator[bytes], info: zipfile.ZipInfo, path: Path) -> Path:
    """Unpacks a member into the cache folder, and deletes what an earlier state of the archive left there."""
    folder = cache_folder() / "unpacked"
    folder.mkdir(parents=True, exist_ok=True)
    state = path.stat()
    whose = f"{path.stem}-{_digest(path.resolve())}"
    kept = folder / f"{whose}-{_digest(state.st_size, state.st_mtime_ns, info.CRC)}.npy"
    if kept.is_file() and kept.stat().st_size == info.file_size:
        return kept
    with replacing(kept) as file:
        file.writelines(chunks)
        for old in folder.glob(f"{whose}-*.npy"):
            old.unlink(missing_ok=True)
    return kept


def _digest(*parts: object) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:12]


def _rows(path: Path, start: int, shape: tuple[int, int, int, int]) -> ImageSource:
    """Makes a source of images that lie one after the other in a file.

    It reads by ``pread``: of a mapped file that someone truncates, a read would kill the process.
    """
    handle = os.open(path, os.O_RDONLY)
    size = shape[1] * shape[2] * shape[3]

    def read(indices: Indices) -> np.ndarray:
        rows = np.empty((len(indices), size), np.uint8)
        for row, index in zip(rows, indices, strict=True):
            content = os.pread(handle, size, start + int(index) * size)
            if len(content) != size:
                raise ValueError(f"{str(path)!r} ended at image {index}: was it truncated?")
            row[:] = np.frombuffer(content, np.uint8)
        return rows.reshape(len(indices), *shape[1:])

    weakref.finalize(read, os.close, handle)
    return ImageSource(shape, read)
