"""Reads data sets that TensorFlow Datasets (TFDS) has prepared as ``array_record``, without TensorFlow.

The folder is checked first: TFDS answers a wrong one with a download or with a misleading error.
"""

import contextlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np

from mixgan_jax.data.source import ImageSource, Indices, Splits, exceeds

_READ_AT_ONCE = 1000  # records per call: the fastest way to read array_record files


def find_tfds(root: Path, dataset: str, version: str) -> Path:
    """Finds the folder of one version of a data set, and checks that it is ``array_record``.

    Args:
        root: an existing folder, which TFDS calls ``data_dir``.
        dataset: its name, with ``/configuration`` where it has one.
        version: such as ``"3.0.1"``; empty for the newest in the folder.

    Raises:
        FileNotFoundError: the data set is not there; the message lists what is.
    """
    if (root / "dataset_info.json").is_file() or any(root.glob("[0-9]*/dataset_info.json")):
        raise FileNotFoundError(
            f"data_dir must be the folder above the data sets, got {str(root)!r}, which is inside one"
        )
    versions = {
        path.parent.name: path.parent for path in (root / dataset).glob("*/dataset_info.json")
    }
    if not versions or (version and version not in versions):
        wanted = f"{dataset}:{version}" if version else dataset
        infos = [*root.glob("*/*/dataset_info.json"), *root.glob("*/*/*/dataset_info.json")]
        found = sorted(
            f"{info.parent.parent.relative_to(root).as_posix()}:{info.parent.name}"
            for info in infos
        ) + sorted(path.name for path in root.glob("*.npz"))
        holds = f"holds {', '.join(found)}" if found else "holds no data set"
        holds = holds if any(root.iterdir()) else "is empty"
        raise FileNotFoundError(
            f"data_dir must hold {wanted!r}, prepared by TFDS as array_record, or the file "
            f"'{dataset}.npz'; got {str(root)!r}, which {holds}"
        )
    chosen = version or max(versions, key=_version_order)
    description = versions[chosen] / "dataset_info.json"
    try:
        file_format = json.loads(description.read_text()).get("fileFormat")
    except (AttributeError, ValueError) as error:
        raise ValueError(
            f"data_dir must hold a description of {dataset!r} that can be read, got {str(description)!r}: {error}"
        ) from error
    if file_format != "array_record":
        raise ValueError(
            f"data_dir must hold {dataset!r} as array_record, got {str(root)!r} with {file_format}: "
            "prepare it with file_format='array_record'"
        )
    return versions[chosen]


def _version_order(version: str) -> tuple[int, ...]:
    return tuple(int(part) if part.isdigit() else -1 for part in version.split("."))


def read_tfds(folder: Path, memory_budget: int | None = None) -> Splits:
    """Reads training images and labels, test images and labels; those that the data set lacks are None.

    Args:
        folder: folder of one version of a data set, from :func:`find_tfds`.
        memory_budget: MiB that the training images may take. Above it they stay on the disk, and are decoded when they
            are read. None for no bound.

    Raises:
        ImportError: tensorflow-datasets, array_record or Pillow is not installed.
    """
    try:
        import tensorflow_datasets as tfds
    except ImportError as error:
        raise ImportError(
            f"reading {str(folder)!r} needs tensorflow-datasets: "
            "pip install tensorflow-datasets array_record pillow"
        ) from error
    # Read-only, from the folder's own description: nothing that could start a download.
    builder = tfds.builder_from_directory(str(folder))
    splits, features = list(builder.info.splits), list(builder.info.features)
    if "train" not in splits:
        raise ValueError(f"{str(folder)!r} must have a split 'train', got {splits}")
    if "image" not in features:
        raise ValueError(f"{str(folder)!r} must have the feature 'image', got {features}")
    stays = memory_budget is not None and exceeds(memory_budget, _train_images(builder, folder))
    read_train: Callable[..., tuple[Any, np.ndarray | None]] = _open_split if stays else _read_split
    images, labels = read_train(builder, "train", folder)
    if "test" not in splits:
        return images, labels, None, None
    return images, labels, *_read_split(builder, "test", folder)


def _train_images(builder: Any, folder: Path) -> jax.ShapeDtypeStruct:
    """Reads shape and dtype of the training images from the description in the folder."""
    feature = builder.info.features["image"]
    if None in feature.shape:
        raise ValueError(
            f"{str(folder)!r} must have images of one shape, got the shape {feature.shape}"
        )
    count = builder.info.splits["train"].num_examples
    return jax.ShapeDtypeStruct((count, *feature.shape), np.dtype(feature.np_dtype))


def _read_split(builder: Any, split: str, folder: Path) -> tuple[np.ndarray, np.ndarray | None]:
    images: list[np.ndarray] = []
    labels: list[int] = []
    with _reading(split, folder):
        for rows in _blocks(builder.as_data_source(split=split)):
            images.append(np.stack([row["image"] for row in rows]))
            labels.extend(row["label"] for row in rows if "label" in row)
        return np.concatenate(images), np.asarray(labels) if labels else None


def _open_split(builder: Any, split: str, folder: Path) -> tuple[ImageSource, np.ndarray | None]:
    """Leaves the images on the disk and reads the labels: every record is read, no image decoded."""
    from tensorflow_datasets import decode

    labels: list[int] = []
    with _reading(split, folder):
        bare = builder.as_data_source(split=split, decoders={"image": decode.SkipDecoding()})
        for rows in _blocks(bare):
            labels.extend(row["label"] for row in rows if "label" in row)
        source = builder.as_data_source(split=split)
    shape = _train_images(builder, folder).shape

    def read(indices: Indices) -> np.ndarray:
        images = np.empty((len(indices), *shape[1:]), np.uint8)
        with _reading(split, folder):
            for start, rows in enumerate(_blocks(source, indices)):
                at = start * _READ_AT_ONCE
                images[at : at + len(rows)] = np.stack([row["image"] for row in rows])
        return images

    return ImageSource(shape, read), np.asarray(labels) if labels else None


def _blocks(source: Any, indices: Indices | None = None) -> Iterator[list[dict[str, Any]]]:
    """Reads the records of a data source in blocks: all of them, or those at ``indices``."""
    wanted = range(len(source)) if indices is None else indices
    for start in range(0, len(wanted), _READ_AT_ONCE):
        block = wanted[start : start + _READ_AT_ONCE]
        yield source.__getitems__([int(index) for index in block])


@contextlib.contextmanager
def _reading(split: str, folder: Path) -> Iterator[None]:
    """Turns what reading raises into errors that name the folder."""
    try:
        yield
    except ImportError as error:
        raise ImportError(
            f"reading {str(folder)!r} needs array_record and Pillow (or OpenCV): "
            f"pip install array_record pillow ({error})"
        ) from error
    except Exception as error:  # what a damaged file raises depends on where it is damaged
        raise ValueError(
            f"data_dir holds a split {split!r} that cannot be read, in {str(folder)!r}: {error}"
        ) from error
