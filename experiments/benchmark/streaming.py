"""What streaming costs: a DCGAN step with images from the disk against one with images on the device.

Rounds of both alternate, so that a change of the machine's speed meets both; ratios are medians over rounds of the
ratio within a round. The pipeline's own throughput is measured without training, for decoded and for plain images.
"""

import contextlib
import io
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import jax
import numpy as np

import mixgan_jax as mg
from experiments.benchmark.workloads import dcgan_game
from mixgan_jax.data import ImageSource, feed_from_images, load_images, load_npz, stream_from_images
from mixgan_jax.data.stream import open_stream
from mixgan_jax.runs.advance import advancing
from mixgan_jax.runs.steps import init_run

SHAPE = (32, 32, 3)
BATCH = 64


def measure(
    *,
    widths: tuple[int, ...] = (64, 32),
    steps: int = 8,
    rounds: int = 7,
    images: int = 5_000,
    threads: int = 2,
) -> dict[str, Any]:
    """Measures times and ratios on this machine.

    Args:
        widths: widths of the DCGAN: one generator and one discriminator, batches of 64 images 32x32x3.
        steps: number of steps of a round, one entry of the log.
        rounds: number of rounds of each kind, interleaved, after one that compiles.
        images: number of images in the set; they are noise, whose PNG files are the largest and slowest of their size.
        threads: number of reading threads.

    Returns:
        ``images_per_second`` by kind of source; and for each width ``resident_ms``, the median time of a step with
        resident images, and for each kind of source ``<kind>_ms`` and ``<kind>_ratio``, of streamed to resident.
    """
    data = np.random.RandomState(0).randint(0, 256, (images, *SHAPE)).astype(np.uint8)
    result: dict[str, Any] = {"device": jax.devices()[0].device_kind, "threads": threads}
    with _sources(data) as sources:
        streams = {
            kind: stream_from_images(source, BATCH, threads=threads)
            for kind, source in sources.items()
        }
        result["images_per_second"] = {
            kind: _throughput(stream) for kind, stream in streams.items()
        }
        for width in widths:
            feeds = {"resident": feed_from_images(data, BATCH), **streams}
            times = _times(dcgan_game(BATCH, width=width).solver(), feeds, steps, rounds)
            result[f"width {width}"] = _summary(times)
    return result


def table(**sizes: Any) -> list[dict[str, Any]]:
    """Makes rows of :func:`measure`'s results: a source's own throughput, and a step's cost with it at each width."""
    result = measure(**sizes)
    return [
        {
            "images": kind,
            "images / s alone": result["images_per_second"].get(kind, "-"),
            **{
                f"{name}: {unit}": widths.get(f"{kind}_{unit}", "-")
                for name, widths in result.items()
                if name.startswith("width")
                for unit in ("ms", "ratio")
            },
        }
        for kind in ("resident", *result["images_per_second"])
    ]


def _summary(times: dict[str, list[float]]) -> dict[str, float]:
    """Computes medians in milliseconds, and the ratios to the resident time of the same round."""
    summary = {f"{kind}_ms": 1000 * statistics.median(each) for kind, each in times.items()}
    for kind in times.keys() - {"resident"}:
        ratios = [a / b for a, b in zip(times[kind], times["resident"], strict=True)]
        summary[f"{kind}_ratio"] = statistics.median(ratios)
    return {name: round(value, 4) for name, value in sorted(summary.items())}


def _times(
    solver: mg.Solver, feeds: dict[str, mg.Feed | mg.Stream], steps: int, rounds: int
) -> dict[str, list[float]]:
    """Measures seconds a step for each kind and round."""
    key, last = jax.random.key(0), steps * (rounds + 1)
    times: dict[str, list[float]] = {kind: [] for kind in feeds}
    with ExitStack() as stack:
        runs = {}
        for kind, feed in feeds.items():
            advance = stack.enter_context(advancing(key, solver, feed, 0, last, steps))
            runs[kind] = (advance, init_run(key, solver))
        for start in range(0, last, steps):
            for kind, (advance, state) in runs.items():
                seconds, state = _timed(advance, state, start, start + steps)
                runs[kind] = (advance, state)
                if start:  # the first round compiles
                    times[kind].append(seconds / steps)
    return times


def _timed(advance: Callable, state: Any, start: int, stop: int) -> tuple[float, Any]:
    began = time.perf_counter()
    state, _ = jax.block_until_ready(advance(state, start, stop))
    return time.perf_counter() - began, state


def _throughput(stream: mg.Stream, seconds: float = 3.0) -> int:
    """Measures the images per second that arrive on the host, when nothing else is done."""
    with open_stream(stream, [0], 0, 10**9, ahead=32) as batches:
        next(batches)
        began, count = time.perf_counter(), 0
        while time.perf_counter() - began < seconds:
            count += next(batches).shape[1]
        return round(count / (time.perf_counter() - began))


@contextmanager
def _sources(data: np.ndarray) -> Iterator[dict[str, ImageSource | np.ndarray]]:
    """Writes the same images to .npz, and as PNG files to array_record, in a folder that is deleted afterwards."""
    with tempfile.TemporaryDirectory() as folder:
        test = data[:4]
        np.savez(Path(folder) / "noise.npz", train_images=data, test_images=test)
        _write_tfds(data, test, folder)
        npz = load_npz(Path(folder) / "noise.npz", memory_budget=0)
        tfds = load_images("noise_images", folder, memory_budget=0)
        yield {"npz": npz.train_images, "tfds": tfds.train_images}


def _write_tfds(train: np.ndarray, test: np.ndarray, folder: str) -> None:
    import tensorflow_datasets as tfds
    from PIL import Image

    class NoiseImages(tfds.core.GeneratorBasedBuilder):
        # Of a class inside a package, TFDS looks for the file with a library that it does not install.
        __module__ = "__main__"
        VERSION = tfds.core.Version("1.0.0")

        def _info(self) -> Any:
            features = tfds.features.FeaturesDict({"image": tfds.features.Image(shape=SHAPE)})
            return tfds.core.DatasetInfo(
                builder=self, features=features, disable_shuffling=True, description="noise"
            )

        def _split_generators(self, dl_manager: Any) -> Any:
            return {"train": self._generate_examples(train), "test": self._generate_examples(test)}

        def _generate_examples(self, images: np.ndarray) -> Any:
            for index, image in enumerate(images):
                file = io.BytesIO()
                Image.fromarray(image).save(file, "PNG")
                yield index, {"image": io.BytesIO(file.getvalue())}

    tfds.disable_progress_bar()
    with contextlib.redirect_stdout(io.StringIO()):  # it says "downloading", which it does not do
        NoiseImages(data_dir=folder, file_format="array_record").download_and_prepare()
