"""Images that stay on the disk: the same as loaded ones, refused for the same reasons, never in memory whole."""

import io
import os
import subprocess
import sys
import threading
import zipfile
from pathlib import Path

import numpy as np
import pytest
from helpers import some_images
from hypothesis import HealthCheck, given, settings, strategies as st

from mixgan_jax.data import (
    Feed,
    Images,
    ImageSource,
    Stream,
    as_source,
    feed_or_stream,
    from_arrays,
    load_images,
    load_npz,
)

SAVERS = {"stored": np.savez, "compressed": np.savez_compressed}


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "mixgan_jax" / "unpacked"


def same_images(streamed: Images, loaded: Images) -> None:
    """All that is loaded is equal, and the source reads what was loaded, in any order, an image twice too."""
    assert isinstance(streamed.train_images, ImageSource)
    assert isinstance(loaded.train_images, np.ndarray)
    assert streamed.train_images.shape == loaded.train_images.shape
    count = len(streamed.train_images)
    indices = np.append(np.random.RandomState(0).permutation(count), [count - 1, 0])
    read = streamed.train_images.read(indices)
    assert read.dtype == np.uint8
    np.testing.assert_array_equal(read, loaded.train_images[indices])
    for name in ("train_labels", "test_images", "test_labels"):
        np.testing.assert_array_equal(getattr(streamed, name), getattr(loaded, name))
    assert streamed.name == loaded.name


@pytest.mark.parametrize("saver", SAVERS)
@pytest.mark.parametrize("channels", ["with", "without"])
@pytest.mark.parametrize("split", ["with", "without"])
def test_an_npz_above_the_budget_is_the_loaded_one(tmp_path, saver, channels, split) -> None:
    """Other members stand before and after the images, so that a wrong place in the file shows."""
    images, test = some_images(41, 0, (4, 3, 2)), some_images(5, 1, (4, 3, 2))
    images, test = (images, test) if channels == "with" else (images[..., 0], test[..., 0])
    arrays = {"a": np.arange(3.0), "train_images": images, "train_labels": np.arange(41)}
    if split == "with":
        arrays |= {"test_images": test, "test_labels": np.arange(5)}
    SAVERS[saver](tmp_path / "own.npz", **arrays, z=np.ones(2))
    same_images(load_images("own", tmp_path, memory_budget=0), load_images("own", tmp_path))


def test_a_tfds_folder_above_the_budget_is_the_loaded_one(tfds_dir) -> None:
    """More than one block of records; decoded by several threads at once."""
    streamed = load_images("tiny_digits", tfds_dir, memory_budget=0)
    loaded = load_images("tiny_digits", tfds_dir)
    same_images(streamed, loaded)
    wrong = []

    def read(seed: int) -> None:
        indices = np.random.RandomState(seed).randint(0, 1203, 300)
        got = streamed.train_images.read(indices)
        wrong.extend([seed] if not np.array_equal(got, loaded.train_images[indices]) else [])

    threads = [threading.Thread(target=read, args=(seed,)) for seed in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_the_budget_decides_between_a_feed_and_a_stream(tmp_path) -> None:
    """In MiB of training images; what is equal to the budget still fits."""
    np.savez(tmp_path / "a.npz", train_images=np.zeros((64, 128, 128), np.uint8))
    np.savez(tmp_path / "b.npz", train_images=np.zeros((65, 128, 128), np.uint8))
    kinds = [
        type(feed_or_stream(load_npz(tmp_path / name, memory_budget=budget).train_images, 4))
        for name, budget in [("a.npz", 1), ("b.npz", 1), ("b.npz", 2), ("b.npz", None)]
    ]
    assert kinds == [Feed, Stream, Feed, Feed]
    for budget, error in [(-1, ValueError), (1.5, TypeError)]:
        with pytest.raises(error, match=r"memory_budget must be a whole number >= 0"):
            load_npz(tmp_path / "a.npz", memory_budget=budget)


def test_a_compressed_npz_is_unpacked_once_and_again_when_it_changes(tmp_path, own_cache) -> None:
    path = tmp_path / "a.npz"

    def unpack(seed: int) -> Path:
        read = load_npz(path, memory_budget=0).train_images.read(range(18))
        np.testing.assert_array_equal(read, some_images(20, seed)[:18])
        (kept,) = own_cache.iterdir()  # no part of a file, nothing of an earlier state
        return kept

    np.savez_compressed(path, train_images=some_images(20, 0))
    kept = unpack(0)
    os.utime(kept, (1, 1))
    assert unpack(0) == kept and kept.stat().st_mtime == 1
    kept.write_bytes(kept.read_bytes()[:-1])
    assert unpack(0) == kept, "a damaged copy is made anew"
    np.savez_compressed(path, train_images=some_images(20, 1))
    assert unpack(1) != kept


def test_a_failed_unpacking_leaves_nothing(tmp_path, own_cache) -> None:
    path = tmp_path / "a.npz"
    np.savez_compressed(path, train_images=some_images(5000))
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 255
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"path must be a complete \.npz file"):
        load_npz(path, memory_budget=0)
    assert not list(own_cache.iterdir())


def damaged(kind: str, path: Path) -> None:
    """Writes a file with a fault."""
    good = some_images(40)
    arrays = {
        "floats": good.astype(np.float32),
        "flat": good.reshape(40, -1),
        "none": good[:0],
        "pickled": np.array([{}, None], dtype=object),
        "structured": np.zeros(3, [("\u00e9", np.uint8)]),
    }
    if kind == "missing key":
        np.savez(path, images=good)
        return
    np.savez(path, train_images=arrays.get(kind, good))
    content = bytearray(path.read_bytes())
    if kind == "truncated":
        path.write_bytes(content[: len(content) // 2])
    elif kind == "flipped byte":
        content[700] ^= 255
        path.write_bytes(content)
    elif kind == "not a zip":
        path.write_bytes(b"no")
    elif kind == "too short":
        file = io.BytesIO()
        np.save(file, good)
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("train_images.npy", file.getvalue()[:-30])


FAULTS = {
    "floats": (TypeError, "train_images must be uint8"),
    "flat": (ValueError, r"train_images must have shape \[N, H, W\]"),
    "none": (ValueError, r"train_images must have shape \[N, H, W\]"),
    "pickled": (ValueError, r"path must be a complete \.npz file of plain arrays"),
    "structured": ((TypeError, ValueError), r"must be (uint8|a complete \.npz)"),
    "missing key": (ValueError, r"must hold the key 'train_images', got the keys \['images'\]"),
    "truncated": (ValueError, r"path must be a complete \.npz file"),
    "flipped byte": (ValueError, r"path must be a complete \.npz file.*CRC"),
    "not a zip": (ValueError, r"not an \.npz file"),
    "too short": (ValueError, r"path must be a complete \.npz file"),
}


@pytest.mark.parametrize("kind", FAULTS)
@pytest.mark.parametrize("memory_budget", [None, 0, 1], ids=["loaded", "streamed", "within"])
def test_damaged_npz_files_are_refused_alike(tmp_path, kind, memory_budget) -> None:
    error, message = FAULTS[kind]
    damaged(kind, tmp_path / "a.npz")
    with pytest.raises(error, match=message):
        load_npz(tmp_path / "a.npz", memory_budget=memory_budget)


def test_columns_first_cannot_be_read_in_place(tmp_path) -> None:
    np.savez(tmp_path / "a.npz", train_images=np.asfortranarray(some_images(20)))
    with pytest.raises(ValueError, match="in C order to be streamed, got Fortran"):
        load_npz(tmp_path / "a.npz", memory_budget=0)


@given(data=st.data())
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_no_damage_makes_a_stream_of_other_images(tmp_path, data) -> None:
    """Any bytes changed and cut: a ValueError or TypeError as from loading, or the images that were written."""
    path = tmp_path / "fuzzed.npz"
    saver = data.draw(st.sampled_from(sorted(SAVERS)))
    SAVERS[saver](path, train_images=some_images(30), test_images=some_images(2, 1))
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(0, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content[: len(content) - data.draw(st.integers(0, 40))])
    try:
        images = load_npz(path, memory_budget=0)
    except (ValueError, TypeError) as error:
        assert "npz" in str(error) or "images" in str(error), error
    else:
        np.testing.assert_array_equal(images.train_images.read(range(30)), some_images(30))


@pytest.mark.parametrize("damage", ["missing", "empty", "cut"])
def test_damaged_tfds_files_are_refused(tfds_copy, damage) -> None:
    root, folder = tfds_copy
    (shard,) = folder.glob("*train*")
    content = shard.read_bytes()
    shard.unlink()
    if damage != "missing":
        shard.write_bytes(b"" if damage == "empty" else content[: len(content) // 2])
    with pytest.raises(ValueError, match="data_dir holds a split 'train' that cannot be read"):
        load_images("tiny_digits", root, memory_budget=0)


def test_a_folder_of_another_set_is_refused(tfds_dir) -> None:
    with pytest.raises(FileNotFoundError, match=r"'mnist'.*which holds tiny_digits:1\.0\.0"):
        load_images("mnist", tfds_dir, memory_budget=0)


def test_tfds_images_of_many_shapes_or_types_are_refused(tfds_copy) -> None:
    root, folder = tfds_copy
    description = (folder / "features.json").read_text()
    for old, new, error, message in [
        ('"5"', '"-1"', ValueError, r"must have images of one shape, got the shape \(None, 6, 1\)"),
        ('"uint8"', '"uint16"', TypeError, "train_images must be uint8"),
    ]:
        assert old in description
        (folder / "features.json").write_text(description.replace(old, new))
        with pytest.raises(error, match=message):
            load_images("tiny_digits", root, memory_budget=0)


def test_a_file_cut_while_it_is_read_says_so(tmp_path) -> None:
    np.savez(tmp_path / "a.npz", train_images=some_images(500))
    images = load_npz(tmp_path / "a.npz", memory_budget=0).train_images
    os.truncate(tmp_path / "a.npz", 2000)
    with pytest.raises(ValueError, match=r"a\.npz' ended at image 400: was it truncated\?"):
        images.read([3, 400])


def test_a_source_closes_its_file(tmp_path) -> None:
    np.savez(tmp_path / "a.npz", train_images=some_images(20))
    before = len(os.listdir("/proc/self/fd")) if Path("/proc/self/fd").exists() else None
    if before is None:
        pytest.skip("counts open files in /proc")
    for _ in range(3):
        load_npz(tmp_path / "a.npz", memory_budget=0)
    assert len(os.listdir("/proc/self/fd")) == before


def test_arrays_are_sources_too() -> None:
    data = some_images(7)
    source = as_source(data)
    assert as_source(source) is source
    np.testing.assert_array_equal(source.read([6, 0, 6]), data[[6, 0, 6]])
    source.read([0])[:] = 0
    np.testing.assert_array_equal(data, some_images(7))  # what was read is a copy
    held = from_arrays(source)
    assert held.train_images.shape == (6, 5, 6, 1)
    np.testing.assert_array_equal(held.test_images, data[6:])
    with pytest.raises(ValueError, match=r"images must have shape \[N, H, W, C\]"):
        as_source(data[..., 0])
    with pytest.raises(TypeError, match="images must be uint8"):
        as_source(data.astype(np.float32))


MEMORY = """
import re, sys
import numpy as np
import mixgan_jax.data
from mixgan_jax.data import feed_or_stream, load_npz
from mixgan_jax.data.stream import open_stream
import grain

def anonymous():
    status = open("/proc/self/status").read()
    return int(re.search(r"RssAnon:\\s*(\\d+) kB", status)[1]) / 1024

path, budget = sys.argv[1], None if sys.argv[2] == "None" else int(sys.argv[2])
before, peak = anonymous(), 0
images = load_npz(path, memory_budget=budget).train_images
peak = anonymous()
if budget is not None:
    with open_stream(feed_or_stream(images, 1000), [1, 2], 0, 90, ahead=3) as batches:
        seen = 0
        for batch in batches:
            peak, seen = max(peak, anonymous()), seen + batch.shape[0] * batch.shape[1]
    assert seen == 180_000
print(peak - before)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads /proc/self/status")
@pytest.mark.slow
@pytest.mark.parametrize("saver", SAVERS)
def test_a_set_above_the_budget_is_never_in_memory_whole(tmp_path, saver) -> None:
    """150 MB of images: three epochs of two runs' batches in less than 64 MB, while loading takes all 150."""
    block = np.random.RandomState(0).randint(0, 256, (500, 50, 50), np.uint8)
    images = np.broadcast_to(block, (120, *block.shape)).reshape(60_000, 50, 50)
    with zipfile.ZipFile(tmp_path / "a.npz", "w", **COMPRESSION[saver]) as archive:
        for name, array in {"train_images": images, "test_images": block[:10]}.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as file:
                np.lib.format.write_array(file, array)

    def growth(budget: int | None) -> float:
        command = [sys.executable, "-c", MEMORY, str(tmp_path / "a.npz"), str(budget)]
        environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, check=False, timeout=120
        )
        assert done.returncode == 0, done.stderr
        return float(done.stdout)

    assert growth(64) < 64
    assert growth(None) > 140


COMPRESSION = {
    "stored": {"compression": zipfile.ZIP_STORED},
    "compressed": {"compression": zipfile.ZIP_DEFLATED, "compresslevel": 1},
}
