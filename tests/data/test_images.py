"""Images from TFDS folders, .npz files, arrays and scikit-learn; nothing here needs the network."""

import json
import shutil
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import some_images

from mixgan_jax.data import digits, from_arrays, load_images, load_npz, to_float, to_uint8


def test_tfds_folder_gives_the_images_that_were_written(tfds_dir) -> None:
    """More than one block of records, in order, decoded without loss."""
    images = load_images("tiny_digits", tfds_dir)
    np.testing.assert_array_equal(images.train_images, some_images(1203, 0))
    np.testing.assert_array_equal(images.test_images, some_images(4, 1))
    np.testing.assert_array_equal(images.train_labels, np.arange(1203) % 3)
    assert images.train_labels.dtype == np.int32 and images.train_images.dtype == np.uint8
    assert images.name == "tiny_digits"


def test_data_dir_may_come_from_the_environment(tfds_dir, monkeypatch) -> None:
    monkeypatch.setenv("TFDS_DATA_DIR", str(tfds_dir))
    assert load_images("tiny_digits:1.0.0").train_images.shape == (1203, 5, 6, 1)
    monkeypatch.delenv("TFDS_DATA_DIR")
    with pytest.raises(ValueError, match=r"data_dir must be the folder .* set TFDS_DATA_DIR"):
        load_images("tiny_digits")


def test_reading_needs_no_tensorflow(tfds_dir) -> None:
    """In a process of its own, since another test may import it; tfds itself is imported only on reading."""
    code = (
        "import sys\n"
        "from mixgan_jax.data import load_images\n"
        "assert 'tensorflow_datasets' not in sys.modules and 'sklearn' not in sys.modules\n"
        f"print(load_images('tiny_digits', {str(tfds_dir)!r}).train_images.shape)\n"
        "assert 'tensorflow' not in sys.modules"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0 and done.stdout.strip() == "(1203, 5, 6, 1)", done.stderr


def test_newest_version_is_read_unless_one_is_named(tfds_copy) -> None:
    root, folder = tfds_copy
    newer = folder.parent / "1.0.10"
    shutil.copytree(folder, newer)
    shutil.copytree(folder, folder.parent / "1.0.9")
    (newer / "dataset_info.json").write_text(json.dumps({"fileFormat": "tfrecord"}))
    assert len(load_images("tiny_digits:1.0.9", root).train_images) == 1203
    with pytest.raises(ValueError, match=r"as array_record, got .* with tfrecord"):
        load_images("tiny_digits", root)


def test_missing_folder_or_set_says_what_is_there(tfds_dir, tmp_path) -> None:
    with pytest.raises(FileNotFoundError, match=r"data_dir must be an existing folder.*nothing"):
        load_images("mnist", tmp_path / "nowhere")
    (tmp_path / "file").write_text("")
    with pytest.raises(FileNotFoundError, match=r"data_dir must be an existing folder.*a file"):
        load_images("mnist", tmp_path / "file")
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match=r"data_dir must hold 'mnist'.*which is empty"):
        load_images("mnist", tmp_path / "empty")
    (tmp_path / "empty" / "notes").mkdir()
    with pytest.raises(FileNotFoundError, match="which holds no data set"):
        load_images("mnist", tmp_path / "empty")
    with pytest.raises(FileNotFoundError, match=r"'mnist'.*which holds tiny_digits:1\.0\.0"):
        load_images("mnist", tfds_dir)
    with pytest.raises(FileNotFoundError, match=r"'tiny_digits:2\.0\.0'.*tiny_digits:1\.0\.0"):
        load_images("tiny_digits:2.0.0", tfds_dir)
    with pytest.raises(FileNotFoundError, match=r"must be the folder above .* inside one"):
        load_images("tiny_digits", tfds_dir / "tiny_digits")
    with pytest.raises(ValueError, match="name must be the name of a data set"):
        load_images("", tfds_dir)


@pytest.mark.parametrize("damage", ["missing", "empty"])
def test_damaged_record_files_are_named(tfds_copy, damage) -> None:
    root, folder = tfds_copy
    (shard,) = folder.glob("*train*")
    shard.unlink() if damage == "missing" else shard.write_bytes(b"")
    with pytest.raises(ValueError, match="data_dir holds a split 'train' that cannot be read"):
        load_images("tiny_digits", root)


def test_tfds_set_without_a_test_split_holds_some_out(tfds_copy) -> None:
    root, folder = tfds_copy
    info = json.loads((folder / "dataset_info.json").read_text())
    info["splits"] = [split for split in info["splits"] if split["name"] == "train"]
    (folder / "dataset_info.json").write_text(json.dumps(info))
    images = load_images("tiny_digits", root)
    assert len(images.train_images) == 1083 and len(images.test_images) == 120


def test_folder_may_hold_an_npz_of_the_name(tmp_path) -> None:
    np.savez(tmp_path / "own.npz", train_images=some_images(20)[..., 0])
    images = load_images("own", tmp_path)
    assert images.train_images.shape == (18, 5, 6, 1) and images.name == "own"
    assert images.train_labels is None and images.test_labels is None


def test_npz_round_trip(tmp_path) -> None:
    arrays = dict(
        train_images=some_images(7, 0, (4, 3, 2)),
        train_labels=np.arange(7, dtype=np.uint8),
        test_images=some_images(5, 1, (4, 3, 2)),
        test_labels=np.arange(5),
    )
    np.savez_compressed(tmp_path / "a.npz", **arrays, more=np.zeros(3))
    images = load_npz(tmp_path / "a.npz")
    for key, expected in arrays.items():
        np.testing.assert_array_equal(getattr(images, key), expected)
    assert images.train_labels.dtype == np.int32 and images.name == "a"


@pytest.mark.parametrize("fraction", [0.2, 0.5, 0.99])
def test_truncated_npz_is_refused(tmp_path, fraction) -> None:
    np.savez(tmp_path / "a.npz", train_images=some_images(50))
    content = (tmp_path / "a.npz").read_bytes()
    (tmp_path / "a.npz").write_bytes(content[: int(fraction * len(content))])
    with pytest.raises(ValueError, match=r"path must be a complete .npz file"):
        load_npz(tmp_path / "a.npz")


def test_npz_with_flipped_bytes_is_refused(tmp_path) -> None:
    np.savez(tmp_path / "a.npz", train_images=some_images(50))
    content = bytearray((tmp_path / "a.npz").read_bytes())
    content[700] ^= 255
    (tmp_path / "a.npz").write_bytes(content)
    with pytest.raises(ValueError, match=r"path must be a complete .npz file.*CRC"):
        load_npz(tmp_path / "a.npz")


def test_bad_npz_files_are_refused(tmp_path) -> None:
    path = tmp_path / "a.npz"
    with pytest.raises(FileNotFoundError, match="no such file"):
        load_npz(path)
    for content in (b"", b"not a zip file"):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"not an \.npz file"):
            load_npz(path)
    np.save(tmp_path / "b.npy", some_images(3))
    with pytest.raises(ValueError, match=r"not an \.npz file"):
        load_npz(tmp_path / "b.npy")
    np.savez(path, images=some_images(3), labels=np.arange(3))
    with pytest.raises(ValueError, match=r"'train_images', got the keys \['images', 'labels'\]"):
        load_npz(path)
    np.savez(path, train_images=np.array([{}, None], dtype=object))
    with pytest.raises(ValueError, match=r"plain arrays.*pickle"):
        load_npz(path)


def test_arrays_without_a_test_split_hold_out_the_last_tenth() -> None:
    data = some_images(25)
    images = from_arrays(data, np.arange(25))
    np.testing.assert_array_equal(images.train_images, data[:23])
    np.testing.assert_array_equal(images.test_images, data[23:])
    np.testing.assert_array_equal(images.test_labels, [23, 24])


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ([np.zeros((3, 4, 4), np.float32)], TypeError, "train_images must be uint8 in 0..255, got"),
        ([np.zeros((3, 4, 4), np.int64)], TypeError, "train_images must be uint8"),
        ([np.zeros((3, 16), np.uint8)], ValueError, r"train_images must have shape .*\(3, 16\)"),
        ([np.zeros((3, 0, 4), np.uint8)], ValueError, "train_images must have shape"),
        (["mnist"], TypeError, "train_images must be an array, got 'mnist'"),
        ([some_images(1)], ValueError, "train_images must hold two images or more"),
        ([some_images(3), [0.0, 1.0, 2.0]], TypeError, "train_labels must be whole numbers"),
        ([some_images(3), [0, 1]], ValueError, r"train_labels must have shape \(3,\)"),
        ([some_images(3), [0, 1, -1]], ValueError, "train_labels must be >= 0, got -1"),
        ([some_images(3), None, None, [1]], ValueError, "test_labels must be None without"),
        (
            [some_images(3), None, some_images(3, shape=(4, 4, 1))],
            ValueError,
            r"test_images must be \(5, 6, 1\) each",
        ),
    ],
)
def test_bad_arrays_are_refused(arguments, error, message) -> None:
    with pytest.raises(error, match=message):
        from_arrays(*arguments)


def test_digits_are_split_the_same_way_each_time() -> None:
    """All 1,797 images once, on the scale 0..255, all classes in both splits."""
    datasets = pytest.importorskip("sklearn.datasets")
    first, second = digits(), digits()
    np.testing.assert_array_equal(first.train_images, second.train_images)
    assert first.train_images.shape == (1437, 8, 8, 1) and first.test_images.shape == (360, 8, 8, 1)
    assert set(np.unique(first.train_images)) == set(np.rint(np.arange(17) * 255 / 16))
    assert np.bincount(first.test_labels).min() >= 25
    images = np.concatenate([first.train_images, first.test_images])
    labels = np.concatenate([first.train_labels, first.test_labels])
    original = datasets.load_digits()
    ours = sorted(
        (image.tobytes(), int(label)) for image, label in zip(images, labels, strict=True)
    )
    scaled = np.rint(original.images * 255 / 16).astype(np.uint8)
    theirs = (
        (image.tobytes(), int(label)) for image, label in zip(scaled, original.target, strict=True)
    )
    assert ours == sorted(theirs)


def test_digits_without_scikit_learn_say_how_to_get_it(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(ImportError, match="pip install scikit-learn"):
        digits()


def test_tfds_without_the_library_says_how_to_get_it(tfds_dir, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", None)
    with pytest.raises(ImportError, match="pip install tensorflow-datasets array_record pillow"):
        load_images("tiny_digits", tfds_dir)


def test_floats_and_levels_are_inverse() -> None:
    levels = np.arange(256, dtype=np.uint8)
    floats = to_float(levels)
    assert floats.dtype == jnp.float32
    np.testing.assert_allclose(floats[jnp.array([0, 51, 255])], [-1.0, -0.6, 1.0], atol=1e-6)
    np.testing.assert_array_equal(to_uint8(floats), levels)
    np.testing.assert_array_equal(jax.jit(lambda x: to_uint8(to_float(x)))(levels), levels)


def test_float_images_out_of_range_are_refused() -> None:
    """Rounding error passes and is clipped; under jit, where values are unknown, all is clipped."""
    near = jnp.array([-1.0005, 1.0005])
    np.testing.assert_array_equal(to_uint8(near), [0, 255])
    np.testing.assert_array_equal(jax.jit(to_uint8)(jnp.array([-3.0, 2.0])), [0, 255])
    np.testing.assert_array_equal(to_uint8(near.astype(jnp.bfloat16)), [0, 255])
    for bad in ([0.0, 1.01], [-2.0, 0.0], [0.0, float("nan")]):
        with pytest.raises(ValueError, match=r"images must lie in \[-1, 1\], got values"):
            to_uint8(jnp.array(bad))
    with pytest.raises(TypeError, match="images must be floating point"):
        to_uint8(np.arange(3, dtype=np.uint8))
    with pytest.raises(TypeError, match="images must be uint8, got an array"):
        to_float(np.zeros((2, 2), np.float32))
