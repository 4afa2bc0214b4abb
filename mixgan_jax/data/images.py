"""Real images as host arrays, without TensorFlow and without a download.

They come from data sets that TensorFlow Datasets (TFDS) has prepared as ``array_record``, from ``.npz`` files, from
arrays in memory, and from the digits of scikit-learn. Images stay uint8 ``[N, H, W, C]`` until they are used.
"""

import os
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from mixgan_jax.checked import checked
from mixgan_jax.checks import check_array, check_path, describe, fail, to_host
from mixgan_jax.data._arrays import as_labels, as_levels
from mixgan_jax.data._idx import find_idx, is_idx, read_idx
from mixgan_jax.data._npz import read_npz
from mixgan_jax.data._tfds import find_tfds, read_tfds
from mixgan_jax.data.levels import Range, to_levels
from mixgan_jax.data.source import Channels, ImageSource, Splits, split_at
from mixgan_jax.types import Array, ArrayLike, FilePath, Whole

_KEYS = (
    ("train_images", "train_labels", "test_images", "test_labels"),
    ("x_train", "y_train", "x_test", "y_test"),  # Keras
)


class Images(NamedTuple):
    """A labelled set of images in two splits, NumPy arrays on the host.

    Attributes:
        train_images: uint8 ``[N, H, W, C]``; an :class:`ImageSource` of that shape if they exceed a memory budget.
        train_labels: int32 ``[N]``, >= 0, or None.
        test_images: uint8 ``[N', H, W, C]``.
        test_labels: int32 ``[N']``, >= 0, or None.
        name: name of the set, for logs and figures.
    """

    train_images: np.ndarray | ImageSource
    train_labels: np.ndarray | None
    test_images: np.ndarray
    test_labels: np.ndarray | None
    name: str


def check_name(name: str, value: Any) -> str:
    """Returns the name of a data set."""
    if not isinstance(value, str) or not value:
        raise fail(name, value, "the name of a data set, such as 'mnist'")
    return value


def check_uint8(name: str, value: Any) -> Array:
    """Returns an array of levels 0..255."""
    if not hasattr(value, "dtype") or value.dtype != np.uint8:
        raise TypeError(f"{name} must be uint8, got {describe(value)}")
    return check_array(name, value)


def check_floating(name: str, value: Any) -> Any:
    """Returns an array of floating-point numbers; one of NumPy's stays on the host."""
    if not hasattr(value, "dtype") or not jnp.issubdtype(value.dtype, jnp.floating):
        raise TypeError(f"{name} must be floating point in [-1, 1], got {describe(value)}")
    return value if isinstance(value, jax.Array) else to_host(name, value)


@checked
def load_images(
    name: Annotated[str, check_name],
    data_dir: FilePath | None = None,
    *,
    memory_budget: Whole | None = None,
) -> Images:
    """Loads a data set from a folder: prepared by TFDS as ``array_record``, or the file ``<name>.npz``.

    Nothing is ever downloaded. The folder is the one that TFDS calls ``data_dir``: it holds
    ``<name>/<version>/dataset_info.json``. Reading needs tensorflow-datasets, array_record and Pillow (or OpenCV),
    but not TensorFlow. A ``<name>.npz`` in the folder goes first and is read by :func:`load_npz`. Next comes a folder
    ``<name>`` with MNIST's own files, read as by :func:`load_idx`. For images that need ``channels`` or a
    ``value_range`` call :func:`load_npz` yourself.

    Args:
        name: as in TFDS: ``"mnist"``, ``"emnist/letters"`` (with a configuration) or ``"mnist:3.0.1"`` (with a
            version; without one the newest in the folder is read).
        data_dir: the folder; None for the environment variable ``TFDS_DATA_DIR``.
        memory_budget: MiB, a whole number >= 0, that the training images may take. Larger ones stay on the disk:
            ``train_images`` is a source, and :func:`feed_or_stream` makes a stream of it. Labels and test images are
            loaded in any case. None for no bound.

    Returns:
        The splits ``train`` and ``test``; without a ``test`` split the last tenth of ``train`` is held out.

    Raises:
        FileNotFoundError: no such folder, or the data set is not in it; the message lists what is.
        ImportError: tensorflow-datasets, array_record or Pillow is not installed.
    """
    folder = data_dir or os.environ.get("TFDS_DATA_DIR")
    if not folder:
        raise ValueError(
            "data_dir must be the folder that holds the data sets, got none: pass it or set TFDS_DATA_DIR"
        )
    root = check_path("data_dir", folder)
    if not root.is_dir():
        kind = "a file" if root.exists() else "nothing there"
        raise FileNotFoundError(f"data_dir must be an existing folder, got {str(root)!r} ({kind})")
    dataset, _, version = name.partition(":")
    if not version and (root / f"{dataset}.npz").is_file():
        return load_npz(root / f"{dataset}.npz", name=name, memory_budget=memory_budget)
    if not version and len(idx := find_idx(root / dataset)) == 1:
        return from_arrays(*read_idx(idx[0]), name=name)
    arrays = read_tfds(find_tfds(root, dataset, version), memory_budget)
    return from_arrays(*arrays, name=name)


@checked
def load_npz(
    path: FilePath,
    *,
    name: str | None = None,
    memory_budget: Whole | None = None,
    channels: Channels | None = None,
    value_range: Range | None = None,
) -> Images:
    """Loads images of your own from an ``.npz`` file, as ``numpy.savez`` writes it.

    Args:
        path: a file with ``train_images`` (uint8 ``[N, H, W]`` or ``[N, H, W, C]``) and, optionally,
            ``train_labels``, ``test_images`` and ``test_labels``, as MedMNIST names them; or with ``x_train``,
            ``y_train``, ``x_test`` and ``y_test``, as Keras does. Other keys are ignored. A file of MNIST's own format
            is read as by :func:`load_idx`.
        name: for logs; the file's name by default.
        memory_budget: as in :func:`load_images`. Images above it are read in place. Compressed ones are first unpacked
            into the cache folder, which needs room for them; the next start finds them there. Files of MNIST's format
            are always loaded.
        channels: as in :func:`from_arrays`.
        value_range: as in :func:`from_arrays`.

    Returns:
        Images with a channel axis; without ``test_images`` the last tenth of the training images is held out.

    Raises:
        FileNotFoundError: no such file.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"path must be an .npz file, got {str(path)!r}: no such file")
    idx = is_idx(path)
    arrays: Splits = read_idx(path) if idx else read_npz(path, _KEYS, memory_budget, channels)
    name = name or (path.name.partition(".")[0] if idx else path.stem)
    return from_arrays(*arrays, name=name, channels=channels, value_range=value_range)


@checked
def from_arrays(
    images: ArrayLike | ImageSource,
    labels: ArrayLike | None = None,
    test_images: ArrayLike | ImageSource | None = None,
    test_labels: ArrayLike | None = None,
    *,
    name: str = "arrays",
    channels: Channels | None = None,
    value_range: Range | None = None,
) -> Images:
    """Makes a set of images from arrays in memory.

    Without ``test_images`` the *last tenth* of the images (at least one), with their labels, becomes the test split.
    Nothing is shuffled here: shuffle sorted images first.

    Args:
        images: uint8 ``[N, H, W]`` or ``[N, H, W, C]``, or with a ``value_range`` of any real dtype. Or an
            :class:`ImageSource`, which stays one.
        labels: whole numbers >= 0, ``[N]`` or ``[N, 1]``, or None.
        test_images: as ``images``, of the same height, width and channels, or None.
        test_labels: whole numbers >= 0, ``[N']`` or ``[N', 1]``, or None.
        name: for logs.
        channels: the place of the axis of channels: ``"last"``, or ``"first"`` for ``[N, C, H, W]``. None for last;
            a shape that looks as if it were first is then an error.
        value_range: the values of black and white, such as (0, 1), (-1, 1) or (0, 255). None for uint8 levels 0..255;
            levels that look as if white were 1 are then an error.

    Returns:
        Images with a channel axis, labels as int32.
    """
    train = as_levels("train_images", images, value_range, channels)
    classes = as_labels("train_labels", labels, len(train))
    if test_images is None:
        if test_labels is not None:
            raise ValueError("test_labels must be None without test_images, got labels")
        return _hold_out(train, classes, name)
    test: Any = as_levels("test_images", test_images, value_range, channels)
    if test.shape[1:] != train.shape[1:]:
        raise ValueError(
            f"test_images must be {train.shape[1:]} each, as train_images, got {test.shape[1:]}"
        )
    return Images(train, classes, test, as_labels("test_labels", test_labels, len(test)), name)


def _hold_out(images: np.ndarray | ImageSource, labels: np.ndarray | None, name: str) -> Images:
    """Makes the last tenth of the images the test split."""
    if len(images) < 2:
        raise ValueError("train_images must hold two images or more, to hold some out, got 1")
    cut = len(images) - max(1, len(images) // 10)
    train, test = split_at(images, cut)
    if labels is None:
        return Images(train, None, test, None, name)
    return Images(train, labels[:cut], test, labels[cut:], name)


def digits() -> Images:
    """Loads the 1,797 hand-written digits of 8x8 pixels that come with scikit-learn, for quick runs with no download.

    Their 17 grey levels 0..16 become ``round(255 / 16 * level)``. A fixed permutation puts 1,437 in the training
    split and 360 in the test split (80/20): the file is ordered by writer, so its end is not like its start.

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


@checked
def to_float(images: Annotated[np.ndarray | Array, check_uint8]) -> Array:
    """Turns levels 0..255 into float32 in [-1, 1]: ``x / 127.5 - 1``.

    Args:
        images: uint8 ``[...]``, of any shape.

    Returns:
        float32 of the same shape ``[...]``, a JAX array.
    """
    return jnp.asarray(images).astype(jnp.float32) / 127.5 - 1.0


@checked
def to_uint8(
    images: Annotated[np.ndarray | Array, check_floating], value_range: Range | None = None
) -> Array:
    """Turns images in [-1, 1], or another range, into levels 0..255: the inverse of :func:`to_float`.

    Values are rounded to the nearest level. Up to 1e-3 beyond [-1, 1] counts as rounding error and is clipped. Values
    that are traced or on an accelerator are not looked at: all of them are clipped.

    Args:
        images: floating point ``[...]``, of any shape.
        value_range: the values of black and white. None for (-1, 1), unless the images fill [0, 1] and have nothing
            below 0: then the range must be named.

    Returns:
        uint8 of the same shape ``[...]``, a JAX array.
    """
    return jnp.asarray(to_levels("images", images, value_range))
