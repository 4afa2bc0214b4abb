"""Images as people have them: channels first, in [0, 1], MNIST's files, Keras' and MedMNIST's, folders."""

import gzip

import jax.numpy as jnp
import numpy as np
import pytest
from helpers import some_images

from mixgan_jax import data

CHANNELS_FIRST = np.random.RandomState(0).randint(0, 256, (20, 3, 8, 9), np.uint8)
CHANNELS_LAST = np.moveaxis(CHANNELS_FIRST, 1, -1)
DOORS = {
    "from_arrays": lambda images, **kwargs: data.from_arrays(images, **kwargs).train_images,
    "as_source": lambda images, **kwargs: data.as_source(images, **kwargs).read(range(18)),
    "feed_from_images": lambda images, **kwargs: data.feed_from_images(images, 2, **kwargs).arrays[
        :18
    ],
    "stream_from_images": lambda images, **kwargs: data.stream_from_images(
        images, 2, **kwargs
    ).source.read(range(18)),
    "feed_or_stream": lambda images, **kwargs: data.feed_or_stream(images, 2, **kwargs).arrays[:18],
}


@pytest.mark.parametrize("door", DOORS)
def test_channels_first_are_refused_or_moved(door) -> None:
    take = DOORS[door]
    with pytest.raises(
        ValueError, match=r"\(20, 3, 8, 9\).*looks like .*channels='first' or 'last'"
    ):
        take(CHANNELS_FIRST)
    np.testing.assert_array_equal(take(CHANNELS_FIRST, channels="first"), CHANNELS_LAST[:18])
    np.testing.assert_array_equal(take(CHANNELS_FIRST, channels="last"), CHANNELS_FIRST[:18])
    np.testing.assert_array_equal(take(CHANNELS_LAST), CHANNELS_LAST[:18])
    with pytest.raises(ValueError, match="channels must be one of"):
        take(CHANNELS_LAST, channels="frist")


@pytest.mark.parametrize("memory_budget", [None, 0], ids=["loaded", "streamed"])
def test_an_npz_with_channels_first(tmp_path, memory_budget) -> None:
    np.savez(tmp_path / "a.npz", train_images=CHANNELS_FIRST, test_images=CHANNELS_FIRST[:2])
    with pytest.raises(ValueError, match="channels='first' or 'last'"):
        data.load_npz(tmp_path / "a.npz", memory_budget=memory_budget)
    images = data.load_npz(tmp_path / "a.npz", memory_budget=memory_budget, channels="first")
    np.testing.assert_array_equal(data.as_source(images.train_images).read([7]), CHANNELS_LAST[7:8])
    np.testing.assert_array_equal(images.test_images, CHANNELS_LAST[:2])


def test_floats_in_zero_to_one_are_not_taken_for_grey() -> None:
    levels = some_images(6)
    levels[0, 0, :2, 0] = 0, 255
    unit = (levels / 255).astype(np.float32)
    for given in (unit, jnp.asarray(unit), unit.astype(">f8")):
        with pytest.raises(ValueError, match=r"values in \[0, 1\].*value_range=\(0, 1\)"):
            data.to_uint8(given)
        np.testing.assert_array_equal(data.to_uint8(given, (0, 1)), levels)
    np.testing.assert_array_equal(data.to_uint8(unit, (-1, 1)), np.round((unit + 1) * 127.5))
    np.testing.assert_array_equal(data.to_uint8(levels.astype(np.float32), (0, 255)), levels)
    with pytest.raises(ValueError, match=r"must lie in \[-1, 1\].*value_range"):
        data.to_uint8(levels.astype(np.float32))
    np.testing.assert_array_equal(data.to_uint8(np.float32([0.5, 0.9])), [191, 242])
    np.testing.assert_array_equal(data.to_uint8(np.ones(3, np.float32)), 255)
    for bad, error in [((1, 0), ValueError), ((0, 1, 2), TypeError), ((0, np.inf), ValueError)]:
        with pytest.raises(error, match="value_range"):
            data.to_uint8(unit, bad)


def test_a_range_makes_levels_of_arrays() -> None:
    levels = np.concatenate([np.zeros((1, 5, 6, 1)), np.full((1, 5, 6, 1), 255), some_images(18)])
    levels = levels.astype(np.uint8)
    with pytest.raises(TypeError, match=r"train_images must be uint8 in 0..255.*value_range"):
        data.from_arrays(levels / 255)
    for white in (1, 255):
        images = data.from_arrays(levels * (white / 255), value_range=(0, white))
        np.testing.assert_array_equal(images.train_images, levels[:18])
        assert images.train_images.dtype == np.uint8


def test_levels_of_which_one_is_white_need_a_range(tmp_path) -> None:
    binary = (some_images(20) > 127).astype(np.uint8)
    with pytest.raises(ValueError, match=r"train_images .*no level above 1.*value_range"):
        data.from_arrays(binary)
    for given in (binary, binary.astype(bool)):
        images = data.from_arrays(given, value_range=(0, 1))
        np.testing.assert_array_equal(images.train_images, 255 * binary[:18])
    np.savez(tmp_path / "a.npz", train_images=binary)
    streamed = data.load_npz(tmp_path / "a.npz", memory_budget=0, value_range=(0, 1)).train_images
    np.testing.assert_array_equal(streamed.read([3, 1]), 255 * binary[[3, 1]])
    assert data.from_arrays(binary, value_range=(0, 255)).train_images.max() == 1
    assert data.from_arrays(np.zeros_like(binary)).train_images.max() == 0


def test_labels_in_a_column() -> None:
    images = data.from_arrays(some_images(4), np.arange(4)[:, None], some_images(2), [[1], [2]])
    np.testing.assert_array_equal(images.train_labels, np.arange(4))
    np.testing.assert_array_equal(images.test_labels, [1, 2])
    with pytest.raises(ValueError, match=r"train_labels must have shape \(4,\).*argmax\(axis=1\)"):
        data.from_arrays(some_images(4), np.eye(4, dtype=int))


@pytest.mark.parametrize(
    "keys", ["train_images train_labels test_images", "x_train y_train x_test"]
)
@pytest.mark.parametrize("memory_budget", [None, 0], ids=["loaded", "streamed"])
def test_npz_files_of_keras_and_medmnist(tmp_path, keys, memory_budget) -> None:
    arrays = some_images(9)[..., 0], np.arange(9)[:, None], some_images(3, 1)[..., 0]
    np.savez(tmp_path / "a.npz", **dict(zip(keys.split(), arrays, strict=True)), val_images=[1])
    images = data.load_npz(tmp_path / "a.npz", memory_budget=memory_budget)
    np.testing.assert_array_equal(
        data.as_source(images.train_images).read(range(9)), some_images(9)
    )
    np.testing.assert_array_equal(images.train_labels, np.arange(9))
    np.testing.assert_array_equal(images.test_images, some_images(3, 1))


def idx(array: np.ndarray) -> bytes:
    code = {"|u1": 8, ">i4": 12, ">f4": 13}[array.dtype.str]
    return (
        bytes([0, 0, code, array.ndim]) + np.array(array.shape, ">i4").tobytes() + array.tobytes()
    )


@pytest.fixture
def mnist(tmp_path):
    """MNIST's four files, two of them compressed."""
    folder = tmp_path / "mnist"
    folder.mkdir()
    levels = np.arange(10, dtype=np.uint8)
    parts = {
        "train-images-idx3-ubyte": some_images(10)[..., 0],
        "train-labels-idx1-ubyte.gz": levels,
        "t10k-images-idx3-ubyte.gz": some_images(3, 1)[..., 0],
        "t10k-labels-idx1-ubyte": levels[:3],
    }
    for name, array in parts.items():
        content = idx(array)
        (folder / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    return folder


def test_mnists_own_files(mnist) -> None:
    whole = mnist / "train-images-idx3-ubyte"
    (mnist / "train-images-idx3-ubyte.gz").write_bytes(gzip.compress(whole.read_bytes()))
    for images in (
        data.load_idx(mnist),
        data.load_idx(whole),
        data.load_npz(whole),
        data.load_images("mnist", mnist.parent),
    ):
        np.testing.assert_array_equal(images.train_images, some_images(10))
        np.testing.assert_array_equal(images.train_labels, np.arange(10))
        np.testing.assert_array_equal(images.test_images, some_images(3, 1))
        np.testing.assert_array_equal(images.test_labels, np.arange(3))
    for path in mnist.iterdir():
        if path != whole:
            path.unlink()
    alone = data.load_idx(mnist, name="mine")
    assert len(alone.train_images) == 9 and alone.train_labels is None and alone.name == "mine"


def test_idx_files_of_other_types_keep_their_numbers(tmp_path) -> None:
    """Their numbers are big-endian: levels written as int32 are those levels."""
    (tmp_path / "train-images-idx3-ubyte").write_bytes(idx(some_images(4)[..., 0].astype(">i4")))
    images = data.load_npz(tmp_path / "train-images-idx3-ubyte", value_range=(0, 255))
    np.testing.assert_array_equal(images.train_images, some_images(4)[:3])


def test_idx_files_that_cannot_be_read_are_named(mnist) -> None:
    path = mnist / "train-images-idx3-ubyte"
    content = path.read_bytes()
    for damaged in (
        content[:-1],
        content + b"a",
        content[:9],
        gzip.compress(content)[:-9],
        b"\0\0",
        b"abcdef",
    ):
        path.write_bytes(damaged)
        with pytest.raises(
            ValueError, match=r"path must be a complete idx file, got .*train-images"
        ):
            data.load_idx(mnist)
    path.rename(mnist / "a-train-images-idx3-ubyte")
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"path must be one of the files \['a-train"):
        data.load_idx(mnist)
    with pytest.raises(FileNotFoundError, match="path must hold 'train-images-idx3-ubyte'"):
        data.load_idx(mnist.parent)


def write_pictures(folder, images, first: int = 0) -> None:
    image = pytest.importorskip("PIL.Image")
    folder.mkdir(parents=True, exist_ok=True)
    for index, levels in enumerate(images, first):
        image.fromarray(levels.squeeze()).save(folder / f"{index}.png")


@pytest.mark.parametrize("memory_budget", [None, 0], ids=["loaded", "streamed"])
def test_folders_of_pictures(tmp_path, memory_budget) -> None:
    """Classes in the order of their numbers; nothing is lost or mislabelled when a tenth is held out."""
    pictures = some_images(20, 0, (5, 6, 3))
    for label, name in enumerate(("2", "10")):
        write_pictures(tmp_path / "train" / name, pictures[10 * label : 10 * label + 10])
    (tmp_path / "train" / "notes.txt").write_text("")
    (tmp_path / "train" / "2" / "._0.png").write_text("")
    images = data.load_folder(tmp_path / "train", memory_budget=memory_budget)
    train = data.as_source(images.train_images).read(range(18))
    found = np.concatenate([train, images.test_images])
    labels = np.concatenate([images.train_labels, images.test_labels])
    of_class = {tuple(picture.ravel()): index // 10 for index, picture in enumerate(pictures)}
    assert [of_class[tuple(picture.ravel())] for picture in found] == labels.tolist()
    assert len({picture.tobytes() for picture in found}) == 20 and images.name == "train"
    assert len(set(labels[:10].tolist())) == 2, "classes are mixed"

    for label, name in enumerate(("2", "10")):
        write_pictures(tmp_path / "test" / name, pictures[label : label + 1])
    images = data.load_folder(tmp_path / "train", tmp_path / "test", memory_budget=memory_budget)
    assert data.as_source(images.train_images).shape == (20, 5, 6, 3)
    np.testing.assert_array_equal(images.test_images, pictures[:2])
    np.testing.assert_array_equal(images.test_labels, [0, 1])


def test_pictures_without_classes_and_in_another_mode(tmp_path) -> None:
    write_pictures(tmp_path, some_images(3))
    images = data.load_folder(tmp_path)
    assert images.train_labels is None and images.train_images.shape == (2, 5, 6, 1)
    write_pictures(tmp_path, some_images(1, 0, (5, 6, 4)), first=3)
    with pytest.raises(ValueError, match=r"path must hold pictures.*mode RGBA; mode='L' or 'RGB'"):
        data.load_folder(tmp_path)
    assert data.load_folder(tmp_path, mode="RGB").train_images.shape == (3, 5, 6, 3)
    with pytest.raises(ValueError, match="mode must be one of"):
        data.load_folder(tmp_path, mode="grey")


def test_folders_that_could_be_meant_in_two_ways_are_refused(tmp_path) -> None:
    with pytest.raises(FileNotFoundError, match="path must be an existing folder"):
        data.load_folder(tmp_path / "none")
    with pytest.raises(FileNotFoundError, match="path must hold pictures"):
        data.load_folder(tmp_path)
    for name in ("train", "test"):
        write_pictures(tmp_path / name / "cat", some_images(2))
        write_pictures(tmp_path / name, some_images(1), first=9)
    with pytest.raises(
        ValueError, match=r"the splits \['test', 'train'\]: pass path and test_path"
    ):
        data.load_folder(tmp_path)
    with pytest.raises(ValueError, match=r"either pictures or sub-folders .*'9\.png'"):
        data.load_folder(tmp_path / "train")
    (tmp_path / "train" / "9.png").unlink()
    (tmp_path / "train" / "dog").mkdir()
    with pytest.raises(ValueError, match=r"sub-folders that all have some, got 'dog'"):
        data.load_folder(tmp_path / "train")
    (tmp_path / "test" / "9.png").unlink()
    (tmp_path / "test" / "cat").rename(tmp_path / "test" / "cats")
    (tmp_path / "train" / "dog").rmdir()
    with pytest.raises(ValueError, match=r"test_path must have the classes of path, \['cat'\]"):
        data.load_folder(tmp_path / "train", tmp_path / "test")
    write_pictures(tmp_path / "train" / "cat", some_images(1, 0, (5, 5, 1)), first=7)
    with pytest.raises(ValueError, match=r"one shape, got .*7\.png.*resize them"):
        data.load_folder(tmp_path / "train")
    (tmp_path / "train" / "cat" / "7.png").write_bytes(b"no")
    with pytest.raises(ValueError, match=r"pictures that can be read, got .*7\.png"):
        data.load_folder(tmp_path / "train")
    deep = np.full((5, 6), 40_000, np.uint16)
    write_pictures(tmp_path / "train" / "cat", [deep], first=7)
    with pytest.raises(ValueError, match=r"pictures of 8 bits.*7\.png"):
        data.load_folder(tmp_path / "train", mode="L")
