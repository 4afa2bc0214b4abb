"""Real images as host arrays, without TensorFlow and without a download.

Sources: data sets that TensorFlow Datasets (TFDS) has prepared as ``array_record``, ``.npz`` files, arrays in memory,
and scikit-learn's bundled digits. Images are uint8 ``[N, H, W, C]`` until the moment they are used.
"""

import os
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from mixgan_jax.checks import check_array, check_path, describe, fail
from mixgan_jax.data._arrays import as_labels, as_levels
from mixgan_jax.data._idx import find_idx, is_idx, read_idx
from mixgan_jax.data._npz import read_npz
from mixgan_jax.data._tfds import find_tfds, read_tfds
from mixgan_jax.data.levels import Range, to_levels
from mixgan_jax.data.source import Channels, ImageSource, check_budget, split_at
from mixgan_jax.types import Array

_KEYS = (
    ("train_images", "train_labels", "test_images", "test_labels"),
    ("x_train", "y_train", "x_test", "y_test"),  # Keras
)


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
    but not TensorFlow. A ``<name>.npz`` in the folder goes first and is read by :func:`load_npz`; then a folder
    ``<name>`` with MNIST's own files, as by :func:`load_idx`. Images that need ``channels`` or a ``value_range`` are
    for :func:`load_npz` itself.

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
    check_budget(memory_budget)
    if not version and len(idx := find_idx(root / dataset)) == 1:
        return from_arrays(*read_idx(idx[0]), name=name)
    arrays = read_tfds(find_tfds(root, dataset, version), memory_budget)
    return from_arrays(*arrays, name=name)


def load_npz(
    path: str | os.PathLike[str],
    *,
    name: str | None = None,
    memory_budget: int | None = None,
    channels: Channels | None = None,
    value_range: Range | None = None,
) -> Images:
    """Images of your own from an ``.npz`` file, as ``numpy.savez`` writes it.

    Args:
        path: a file with ``train_images`` (uint8 ``[N, H, W]`` or ``[N, H, W, C]``) and, optionally,
            ``train_labels``, ``test_images`` and ``test_labels``, as MedMNIST names them; or with ``x_train``,
            ``y_train``, ``x_test`` and ``y_test``, as Keras does. Other keys are ignored. One of MNIST's own files is
            read as by :func:`load_idx`.
        name: for logs; the file's name by default.
        memory_budget: as in :func:`load_images`. Images above it are read in place; compressed ones are first
            unpacked into the cache folder, where the next start finds them (it needs their size on the disk). Files
            of MNIST's format are always loaded.
        channels: as in :func:`from_arrays`.
        value_range: as there.

    Returns:
        As :func:`from_arrays`: without ``test_images`` the last tenth of the training images is held out.

    Raises:
        FileNotFoundError: no such file.
        ValueError: not an ``.npz`` file, a truncated one, one with pickled objects, or a missing key.
        TypeError: images that are not uint8, or labels that are not whole numbers.
    """
    check_budget(memory_budget)
    path = check_path("path", path)
    if not path.is_file():
        raise FileNotFoundError(f"path must be an .npz file, got {str(path)!r}: no such file")
    idx = is_idx(path)
    arrays = read_idx(path) if idx else read_npz(path, _KEYS, memory_budget, channels)
    name = name or (path.name.partition(".")[0] if idx else path.stem)
    return from_arrays(*arrays, name=name, channels=channels, value_range=value_range)


def from_arrays(
    images: Any,
    labels: Any = None,
    test_images: Any = None,
    test_labels: Any = None,
    *,
    name: str = "arrays",
    channels: Channels | None = None,
    value_range: Range | None = None,
) -> Images:
    """Images from arrays in memory.

    Without ``test_images`` the *last tenth* of the images (at least one), with their labels, becomes the test split.
    They are not shuffled: do that first if they are sorted.

    Args:
        images: uint8 ``[N, H, W]`` or ``[N, H, W, C]``, or with a ``value_range`` of any real dtype. Or an
            :class:`ImageSource`, which stays one.
        labels: whole numbers >= 0, ``[N]`` or ``[N, 1]``, or None.
        test_images: as ``images``, of the same height, width and channels, or None.
        test_labels: whole numbers >= 0, ``[N']`` or ``[N', 1]``, or None.
        name: for logs.
        channels: where the axis of channels is: ``"last"``, or ``"first"`` for ``[N, C, H, W]``. None for last, unless
            the shape looks as if it were first.
        value_range: the values of black and white, such as (0, 1), (-1, 1) or (0, 255). None for uint8 levels 0..255,
            unless they look as if white were 1.

    Returns:
        Images with a channel axis, labels as int32.

    Raises:
        TypeError: images that are not uint8, without a ``value_range``; labels that are not whole numbers.
        ValueError: shapes that do not agree, too few images, or images that could be meant in two ways: the message
            names the argument that says which.
    """
    images = as_levels("train_images", images, value_range, channels)
    labels = as_labels("train_labels", labels, len(images))
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
    test_images = as_levels("test_images", test_images, value_range, channels)
    if test_images.shape[1:] != images.shape[1:]:
        raise ValueError(
            f"test_images must be {images.shape[1:]} each, as train_images, got {test_images.shape[1:]}"
        )
    test_labels = as_labels("test_labels", test_labels, len(test_images))
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
    return check_array("images", images).astype(jnp.float32) / 127.5 - 1.0


def to_uint8(images: np.ndarray | Array, value_range: Range | None = None) -> Array:
    """Images in [-1, 1], or another range, as uint8 0..255: the inverse of :func:`to_float`.

    Values are rounded to the nearest level. Up to 1e-3 beyond [-1, 1] counts as rounding error and is clipped; so
    is everything while JAX traces, when values are not known.

    Args:
        images: floating point ``[...]``, of any shape.
        value_range: the values of black and white. None for (-1, 1), unless the images fill [0, 1] and have nothing
            below 0: then the range must be named.

    Returns:
        uint8 of the same shape ``[...]``; a JAX array, also of a NumPy one.

    Raises:
        TypeError: images that are not floating point.
        ValueError: where values are known: images out of range, NaN, or images that fill [0, 1] without a range.
    """
    if not hasattr(images, "dtype") or not jnp.issubdtype(images.dtype, jnp.floating):
        raise TypeError(f"images must be floating point in [-1, 1], got {describe(images)}")
    return to_levels("images", check_array("images", images), value_range)
