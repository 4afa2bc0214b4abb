"""Images from the files that people have: MNIST's own, and folders of pictures."""

from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np

from mixgan_jax.checked import checked
from mixgan_jax.data._idx import find_idx, read_idx
from mixgan_jax.data.images import Images, from_arrays
from mixgan_jax.data.source import ImageSource, Indices
from mixgan_jax.types import FilePath, Whole

Mode: TypeAlias = Literal["L", "RGB"]
"""Grey or coloured, by Pillow's names."""

_ENDINGS = (".png", ".jpg", ".jpeg", ".bmp", ".webp")
# Modes without transparency, and the mode that each becomes.
_PLAIN = {"1": "L", "L": "L", "P": "RGB", "RGB": "RGB"}
_SPLITS = {"train", "training", "test", "testing", "val", "valid", "validation"}


@checked
def load_idx(path: FilePath, *, name: str | None = None) -> Images:
    """Loads MNIST's own files, or others of that format (``idx3-ubyte``, ``idx3-ubyte.gz``): Fashion-MNIST, KMNIST.

    The files of EMNIST hold their images transposed, and are read like that.

    Args:
        path: the folder, or the file of the training images in it. Labels and test images are found by their names:
            ``train-images-idx3-ubyte``, ``train-labels-idx1-ubyte``, ``t10k-images-idx3-ubyte`` (or ``test-``) and
            ``t10k-labels-idx1-ubyte``, each with or without ``.gz``.
        name: for logs; the file's name by default.

    Returns:
        Images with a channel axis; without test images the last tenth of the training images is held out.

    Raises:
        FileNotFoundError: nothing at ``path``, or a folder without training images.
    """
    file = Path(path)
    if file.is_dir():
        found = find_idx(file)
        if len(found) > 1:
            names = [one.name for one in found]
            raise ValueError(
                f"path must be one of the files {names} in {str(path)!r}, got the folder"
            )
        file = found[0] if found else file / "train-images-idx3-ubyte"
    if not file.is_file():
        raise FileNotFoundError(f"path must hold {file.name!r}, got {str(path)!r}: no such file")
    return from_arrays(*read_idx(file), name=name or file.name.partition(".")[0])


@checked
def load_folder(
    path: FilePath,
    test_path: FilePath | None = None,
    *,
    mode: Mode | None = None,
    name: str | None = None,
    memory_budget: Whole | None = None,
) -> Images:
    """Loads the pictures in a folder, all of one size: PNG, JPEG, BMP or WebP. It needs Pillow.

    Sub-folders are classes, numbered in the order of their names (2 before 10). Pictures in the folder itself have no
    labels. Other files are ignored.

    Args:
        path: the folder of the training images.
        test_path: a folder of the same classes; None holds out a tenth of the training images, chosen by a fixed
            permutation, which also puts them in another order than their names.
        mode: converts every picture to grey, ``"L"``, or to colours, ``"RGB"``. None converts nothing; the pictures
            must then be all grey or all coloured, none of them transparent.
        name: for logs; the folder's name by default.
        memory_budget: as in :func:`load_images`; training images above it stay in their files.

    Returns:
        Images with a channel axis of 1 or 3, labels as int32 or None.

    Raises:
        FileNotFoundError: no such folder, or no pictures in it.
        ImportError: Pillow is not installed.
    """
    files, labels, classes = _list("path", Path(path))
    name = name or Path(path).resolve().name
    if test_path is None:
        order = np.random.RandomState(0).permutation(len(files))  # frozen across NumPy versions
        files = [files[index] for index in order]
        labels = None if labels is None else labels[order]
        return from_arrays(_pictures(files, mode, memory_budget), labels, name=name)
    test_files, test_labels, test_classes = _list("test_path", Path(test_path))
    if test_classes != classes:
        raise ValueError(f"test_path must have the classes of path, {classes}, got {test_classes}")
    images = _pictures(files, mode, memory_budget)
    test_images = _pictures(test_files, mode, None)
    return from_arrays(images, labels, test_images, test_labels, name=name)


def _list(name: str, folder: Path) -> tuple[list[Path], np.ndarray | None, list[str]]:
    """Lists the pictures of a folder, their labels, and the names of the classes."""
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
    """Loads the pictures; those that take more MiB than the budget stay in their files."""
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
    """Reads one picture as uint8 ``[H, W, C]``."""
    try:
        from PIL import Image
    except ImportError as error:
        raise ImportError("load_folder() needs Pillow: pip install pillow") from error
    try:
        with Image.open(file) as picture:
            known = _PLAIN.get(picture.mode)
            plain = known is not None and "transparency" not in picture.info
            # Pillow would cut off what is beyond 8 bits.
            deep = picture.mode.startswith(("I", "F"))
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
