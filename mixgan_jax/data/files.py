"""Images from the files that people have: MNIST's own, and folders of pictures."""

import os
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np

from mixgan_jax.checks import check_choice, check_path
from mixgan_jax.data._idx import find_idx, read_idx
from mixgan_jax.data.images import Images, from_arrays
from mixgan_jax.data.source import ImageSource, Indices, check_budget

Mode: TypeAlias = Literal["L", "RGB"]
"""Grey or coloured, as Pillow calls it."""

_ENDINGS = (".png", ".jpg", ".jpeg", ".bmp", ".webp")
_PLAIN = {
    "1": "L",
    "L": "L",
    "P": "RGB",
    "RGB": "RGB",
}  # modes without transparency, and what each becomes
_SPLITS = {"train", "training", "test", "testing", "val", "valid", "validation"}


def load_idx(path: str | os.PathLike[str], *, name: str | None = None) -> Images:
    """MNIST's own files, or others of that format (``idx3-ubyte``, ``idx3-ubyte.gz``): Fashion-MNIST, KMNIST.

    EMNIST's own files hold their images transposed; they are read as they are.

    Args:
        path: the folder, or the file of the training images in it. Labels and test images are found by their names:
            ``train-images-idx3-ubyte``, ``train-labels-idx1-ubyte``, ``t10k-images-idx3-ubyte`` (or ``test-``) and
            ``t10k-labels-idx1-ubyte``, each with or without ``.gz``.
        name: for logs; the file's name by default.

    Returns:
        As :func:`from_arrays`: without test images the last tenth of the training images is held out.

    Raises:
        FileNotFoundError: nothing at ``path``, or a folder without training images.
        ValueError: a folder with several sets, or a file that is damaged or of another format.
        TypeError: images that are not uint8.
    """
    name, given = name, check_path("path", path)
    path = given
    if path.is_dir():
        found = find_idx(path)
        if len(found) > 1:
            names = [file.name for file in found]
            raise ValueError(
                f"path must be one of the files {names} in {str(path)!r}, got the folder"
            )
        path = found[0] if found else path / "train-images-idx3-ubyte"
    if not path.is_file():
        raise FileNotFoundError(f"path must hold {path.name!r}, got {str(given)!r}: no such file")
    return from_arrays(*read_idx(path), name=name or path.name.partition(".")[0])


def load_folder(
    path: str | os.PathLike[str],
    test_path: str | os.PathLike[str] | None = None,
    *,
    mode: Mode | None = None,
    name: str | None = None,
    memory_budget: int | None = None,
) -> Images:
    """Pictures in a folder, all of one size: PNG, JPEG, BMP or WebP. It needs Pillow.

    Sub-folders are classes, numbered in the order of their names (2 before 10); pictures in the folder itself have no
    labels. Other files are passed over.

    Args:
        path: the folder of the training images.
        test_path: a folder of the same classes; None holds out a tenth of the training images, chosen by a fixed
            permutation, which also puts them in another order than their names.
        mode: ``"L"`` for grey, ``"RGB"`` for colours: what every picture is turned into. None takes them as they are;
            then they must be all grey or all coloured, none of them transparent.
        name: for logs; the folder's name by default.
        memory_budget: as in :func:`load_images`; training images above it stay in their files.

    Returns:
        Images with a channel axis of 1 or 3, labels as int32 or None.

    Raises:
        FileNotFoundError: no such folder, or no pictures in it.
        ValueError: pictures of several sizes or kinds, beside sub-folders, or damaged; a sub-folder that is named as a
            split; other classes in ``test_path``.
        ImportError: Pillow is not installed.
    """
    check_budget(memory_budget)
    if mode is not None:
        check_choice("mode", mode, tuple(_PLAIN.values()))
    files, labels, classes = _list("path", path)
    name = name or Path(path).resolve().name
    if test_path is None:
        order = np.random.RandomState(0).permutation(len(files))  # frozen across NumPy versions
        files = [files[index] for index in order]
        labels = None if labels is None else labels[order]
        return from_arrays(_pictures(files, mode, memory_budget), labels, name=name)
    test_files, test_labels, test_classes = _list("test_path", test_path)
    if test_classes != classes:
        raise ValueError(f"test_path must have the classes of path, {classes}, got {test_classes}")
    images = _pictures(files, mode, memory_budget)
    test_images = _pictures(test_files, mode, None)
    return from_arrays(images, labels, test_images, test_labels, name=name)


def _list(name: str, path: Any) -> tuple[list[Path], np.ndarray | None, list[str]]:
    """The pictures of a folder, their labels, and the names of the classes."""
    folder = check_path(name, path)
    if not folder.is_dir():
        kind = "a file" if folder.exists() else "nothing there"
        raise FileNotFoundError(f"{name} must be an existing folder, got {str(folder)!r} ({kind})")
    classes = [
        part
        for part in folder.iterdir()
        if part.is_dir() and part.name[0] != "." and part.name != "__MACOSX"
    ]
    classes.sort(
        key=lambda part: (int(part.name), "") if part.name.isdecimal() else (-1, part.name)
    )
    here, inside = _files(folder), [_files(part) for part in classes]
    if not here and not any(inside):
        raise FileNotFoundError(f"{name} must hold pictures {_ENDINGS}, got {str(folder)!r}")
    if not any(inside):
        return here, None, []
    names = [part.name for part in classes]
    if {part.lower() for part in names} <= _SPLITS:
        raise ValueError(
            f"{name} must hold classes, got the splits {names}: pass path and test_path"
        )
    if here or not all(inside):
        odd = here[0].name if here else names[[bool(part) for part in inside].index(False)]
        raise ValueError(
            f"{name} must hold either pictures or sub-folders that all have some, got {odd!r} in {str(folder)!r}"
        )
    labels = np.repeat(np.arange(len(inside)), [len(part) for part in inside])
    return [file for part in inside for file in part], labels, names


def _files(folder: Path) -> list[Path]:
    files = (file for file in folder.iterdir() if file.suffix.lower() in _ENDINGS)
    return sorted(file for file in files if not file.name.startswith("."))


def _pictures(
    files: list[Path], mode: str | None, memory_budget: int | None
) -> np.ndarray | ImageSource:
    """The pictures in memory, or, where they take more MiB than the budget, where they are."""
    shape = _decode(files[0], mode).shape

    def read(indices: Indices) -> np.ndarray:
        images = np.empty((len(indices), *shape), np.uint8)
        for image, index in zip(images, indices, strict=True):
            picture = _decode(files[int(index)], mode)
            if picture.shape != shape:
                raise ValueError(
                    f"path must hold pictures of one shape, got {shape} in {files[0].name!r} and {picture.shape} in "
                    f"{str(files[int(index)])!r}: resize them, or pass mode='L' or 'RGB' where channels differ"
                )
            image[:] = picture
        return images

    source = ImageSource((len(files), *shape), read)
    large = memory_budget is not None and len(files) * int(np.prod(shape)) > memory_budget * 2**20
    return source if large else read(range(len(files)))


def _decode(file: Path, mode: str | None) -> np.ndarray:
    """One picture as uint8 ``[H, W, C]``."""
    try:
        from PIL import Image
    except ImportError as error:
        raise ImportError("load_folder() needs Pillow: pip install pillow") from error
    try:
        with Image.open(file) as picture:
            known = _PLAIN.get(picture.mode)
            plain = known is not None and "transparency" not in picture.info
            deep = picture.mode.startswith(
                ("I", "F")
            )  # more than 8 bits: Pillow would cut them off
            if deep or not (plain or mode):
                remedy = "" if deep else "; mode='L' or 'RGB' converts them"
                raise ValueError(
                    "path must hold pictures of 8 bits in grey or colours without transparency, got "
                    f"{str(file)!r} of Pillow's mode {picture.mode}{remedy}"
                )
            array = np.asarray(picture.convert(mode or known))
    except (OSError, SyntaxError) as error:
        raise ValueError(
            f"path must hold pictures that can be read, got {str(file)!r}: {error}"
        ) from error
    return array[..., None] if array.ndim == 2 else array
