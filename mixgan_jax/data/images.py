"""Real images as host arrays, without TensorFlow and without a download.

Sources: data sets that TensorFlow Datasets (TFDS) has prepared as ``array_record``, ``.npz`` files, arrays in memory,
and scikit-learn's bundled digits. Images are uint8 ``[N, H, W, C]`` until the moment they are used.
"""

import os
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from mixgan_jax.checks import check_array, check_count, check_path, describe, fail, is_concrete
from mixgan_jax.data._npz import read_npz
from mixgan_jax.data._tfds import find_tfds, read_tfds
from mixgan_jax.data.source import ImageSource, check_images, split_at
from mixgan_jax.types import Array

_KEYS = ("train_images", "train_labels", "test_images", "test_labels")
_ROUNDING = 1e-3  # how far outside [-1, 1] a float image may lie; half a grey level is 0.0039


class Images(NamedTuple):
    """A labelled set of images in two splits, NumPy arrays on the host.

    Attributes:
        train_images: uint8 ``[N, H, W, C]``; an :class:`ImageSource` of that shape where they exceed a memory budget.
        train_labels: int32 ``[N]``, >= 0, or None.
        test_images: uint8 ``[N', H, W, C]``.
        test_labels: int32 ``[N']``, >= 0, or None.
        name: where they come from, for logs and figures.
    """

    train_images: np.ndarray | ImageSource
    train_labels: np.ndarray | None
    test_images: np.ndarray
    test_labels: np.ndarray | None
    name: str


def load_images(
    name: str,
    data_dir: str | os.PathLike[str] | None = None,
    *,
    memory_budget: int | None = None,
) -> Images:
    """A data set from a folder: prepared by TFDS as ``array_record``, or the file ``<name>.npz``.

    Nothing is ever downloaded. The folder is the one that TFDS calls ``data_dir``: it holds
    ``<name>/<version>/dataset_info.json``. Reading needs tensorflow-datasets, array_record and Pillow (or OpenCV),
    but not TensorFlow. A ``<name>.npz`` in the folder goes first and is read by :func:`load_npz`.

    Args:
        name: as in TFDS: ``"mnist"``, ``"emnist/letters"`` (with a configuration) or ``"mnist:3.0.1"`` (with a
            version; without one the newest in the folder is read).
        data_dir: the folder; None for the environment variable ``TFDS_DATA_DIR``.
        memory_budget: MiB, a whole number >= 0, that the training images may take; if they are larger they stay on
            the disk, ``train_images`` is a source, and :func:`feed_or_stream` makes a stream of it. Labels and test
            images are loaded in any case. None for no bound.

    Returns:
        The splits ``train`` and ``test``; without a ``test`` split the last tenth of ``train`` is held out.

    Raises:
        FileNotFoundError: no such folder, or the data set is not in it; the message says what is.
        ValueError: no ``data_dir`` at all, a set that is not ``array_record`` or has no images, or damaged files.
        ImportError: tensorflow-datasets, array_record or Pillow is not installed.
    """
    if not isinstance(name, str) or not name:
        raise fail("name", name, "the name of a data set, such as 'mnist'")
    data_dir = os.environ.get("TFDS_DATA_DIR") or None if data_dir is None else data_dir
    if data_dir is None:
        raise ValueError(
            "data_dir must be the folder that holds the data sets, got none: pass it or set TFDS_DATA_DIR"
        )
    root = check_path("data_dir", data_dir)
    if not root.is_dir():
        kind = "a file" if root.exists() else "nothing there"
        raise FileNotFoundError(f"data_dir must be an existing folder, got {str(root)!r} ({kind})")
    dataset, _, version = name.partition(":")
    if not version and (root / f"{dataset}.npz").is_file():
        return load_npz(root / f"{dataset}.npz", name=name, memory_budget=memory_budget)
    _check_budget(memory_budget)
    arrays = read_tfds(find_tfds(root, dataset, version), memory_budget)
    return from_arrays(*arrays, name=name)


def load_npz(
    path: str | os.PathLike[str], *, name: str | None = None, memory_budget: int | None = None
) -> Images:
    """Images of your own from an ``.npz`` file, as ``numpy.savez`` writes it.

    Args:
        path: a file with ``train_images`` (uint8 ``[N, H, W]`` or ``[N, H, W, C]``) and, optionally,
            ``train_labels``, ``test_images`` and ``test_labels``; other keys are ignored.
        name: for logs; the file's name by default.
        memory_budget: as in :func:`load_images`. Images above it are read in place; compressed ones are first
            unpacked into the cache folder, where the next start finds them (it needs their size on the disk).

    Returns:
        As :func:`from_arrays`: without ``test_images`` the last tenth of the training images is held out.

    Raises:
        FileNotFoundError: no such file.
        ValueError: not an ``.npz`` file, a truncated one, one with pickled objects, or a missing key.
        TypeError: images that are not uint8, or labels that are not whole numbers.
    """
    _check_budget(memory_budget)
    path = check_path("path", path)
    if not path.is_file():
        raise FileNotFoundError(f"path must be an .npz file, got {str(path)!r}: no such file")
    arrays = read_npz(path, _KEYS, memory_budget)
    images, labels, test_images, test_labels = (arrays.get(key) for key in _KEYS)
    return from_arrays(images, labels, test_images, test_labels, name=name or path.stem)


def from_arrays(
    images: Any,
    labels: Any = None,
    test_images: Any = None,
    test_labels: Any = None,
    *,
    name: str = "arrays",
) -> Images:
    """Images from arrays in memory.

    Without ``test_images`` the *last tenth* of the images (at least one), with their labels, becomes the test split.
    They are not shuffled: do that first if they are sorted.

    Args:
        images: uint8 ``[N, H, W]`` or ``[N, H, W, C]``; :func:`to_uint8` makes them from floats in [-1, 1]. Or an
            :class:`ImageSource`, which stays one.
        labels: whole numbers >= 0 ``[N]``, or None.
        test_images: uint8 of the same height, width and channels, or None.
        test_labels: whole numbers >= 0 ``[N']``, or None.
        name: for logs.

    Returns:
        Images with a channel axis, labels as int32.

    Raises:
        TypeError: images that are not uint8, or labels that are not whole numbers.
        ValueError: shapes that do not agree, or too few images.
    """
    images = _with_channels("train_images", images)
    labels = _check_labels("train_labels", labels, len(images))
    if test_images is None:
        if test_labels is not None:
            raise ValueError("test_labels must be None without test_images, got labels")
        if len(images) < 2:
            raise ValueError("train_images must hold two images or more, to hold some out, got 1")
        cut = len(images) - max(1, len(images) // 10)
        test_labels = None if labels is None else labels[cut:]
        labels = None if labels is None else labels[:cut]
        train_images, test_images = split_at(images, cut)
        return Images(train_images, labels, test_images, test_labels, name)
    test_images = _with_channels("test_images", test_images)
    if test_images.shape[1:] != images.shape[1:]:
        raise ValueError(
            f"test_images must be {images.shape[1:]} each, as train_images, got {test_images.shape[1:]}"
        )
    test_labels = _check_labels("test_labels", test_labels, len(test_images))
    return Images(images, labels, test_images, test_labels, name)


def digits() -> Images:
    """The 1,797 hand-written digits of 8x8 pixels that come with scikit-learn, for quick runs with no download.

    Their 17 grey levels 0..16 become ``round(255 / 16 * level)``. A fixed permutation puts 1,437 in the training
    split and 360 in the test split (80/20): the file's own order goes by writer, so its end is not like its start.

    Returns:
        Images of shape ``[N, 8, 8, 1]`` with labels 0..9.

    Raises:
        ImportError: scikit-learn is not installed.
    """
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise ImportError("digits() needs scikit-learn: pip install scikit-learn") from error
    bunch = load_digits()
    # RandomState's stream is frozen across NumPy versions, default_rng's is not.
    order = np.random.RandomState(0).permutation(len(bunch.target))
    images = np.rint(bunch.images * (255 / 16)).astype(np.uint8)[order]
    labels, cut = bunch.target[order], len(order) * 4 // 5
    return from_arrays(images[:cut], labels[:cut], images[cut:], labels[cut:], name="digits")


def to_float(images: np.ndarray | Array) -> Array:
    """Images 0..255 as float32 in [-1, 1]: ``x / 127.5 - 1``.

    Args:
        images: uint8 ``[...]``, of any shape.

    Returns:
        float32 of the same shape ``[...]``; a JAX array, also of a NumPy one.

    Raises:
        TypeError: images that are not uint8.
    """
    if not hasattr(images, "dtype") or images.dtype != np.uint8:
        raise TypeError(f"images must be uint8, got {describe(images)}")
    return jnp.asarray(images).astype(jnp.float32) / 127.5 - 1.0


def to_uint8(images: np.ndarray | Array) -> Array:
    """Images in [-1, 1] as uint8 0..255: the inverse of :func:`to_float`.

    Values are rounded to the nearest level. Up to 1e-3 beyond the range counts as rounding error and is clipped; so
    is everything while JAX traces, when values are not known.

    Args:
        images: floating point ``[...]``, of any shape.

    Returns:
        uint8 of the same shape ``[...]``; a JAX array, also of a NumPy one.

    Raises:
        TypeError: images that are not floating point.
        ValueError: images out of range, or NaN, where their values are known.
    """
    if not hasattr(images, "dtype") or not jnp.issubdtype(images.dtype, jnp.floating):
        raise TypeError(f"images must be floating point in [-1, 1], got {describe(images)}")
    if is_concrete(images) and images.size:
        low, high = float(images.min()), float(images.max())
        if not (low >= -1 - _ROUNDING and high <= 1 + _ROUNDING):  # also true of NaN
            raise ValueError(f"images must lie in [-1, 1], got values in [{low:g}, {high:g}]")
    levels = jnp.round((jnp.asarray(images).astype(jnp.float32) + 1.0) * 127.5)
    return jnp.clip(levels, 0.0, 255.0).astype(jnp.uint8)


def _check_budget(memory_budget: int | None) -> None:
    if memory_budget is not None:
        check_count("memory_budget", memory_budget, minimum=0)


def _with_channels(name: str, images: Any) -> Any:
    if isinstance(images, ImageSource):
        return images
    check_images(name, images)
    images = np.ascontiguousarray(images)
    return images[..., None] if images.ndim == 3 else images


def _check_labels(name: str, labels: Any, count: int) -> np.ndarray | None:
    if labels is None:
        return None
    labels = np.asarray(check_array(name, labels))
    if not np.issubdtype(labels.dtype, np.integer):
        raise TypeError(f"{name} must be whole numbers, got {describe(labels)}")
    if labels.shape != (count,):
        raise ValueError(f"{name} must have shape ({count},), one per image, got {labels.shape}")
    if labels.min() < 0:
        raise ValueError(f"{name} must be >= 0, got {labels.min()}")
    return labels.astype(np.int32)
