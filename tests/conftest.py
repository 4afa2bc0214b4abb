"""Settings that hold for every test: eight virtual CPU devices, strict types and ranks, no window for figures.

Compiled programs are kept from one run of the tests to the next. And a data set as TFDS writes it, for the tests that
read one.
"""

import io
import os
import shutil
import signal
import threading
import time
from pathlib import Path

# A shell starts what runs in the background with Ctrl-C ignored; the tests of it send it.
signal.signal(signal.SIGINT, signal.default_int_handler)

# Read when JAX starts its backends, hence before anything imports it.
# Programs here are compiled once and run for milliseconds: optimising them would be most of the time.
_FLAGS = {"--xla_force_host_platform_device_count": 8, "--xla_backend_optimization_level": 0}
for _flag, _value in _FLAGS.items():
    if _flag not in os.environ.get("XLA_FLAGS", ""):
        os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {_flag}={_value}".strip()
os.environ.setdefault("JAX_PLATFORMS", "cpu")
# XLA's threads for all devices together. With one for each, devices that wait for each other can take them all.
os.environ.setdefault("NPROC", "32")
os.environ["MPLBACKEND"] = "Agg"

import jax  # noqa: E402
import pytest  # noqa: E402
from helpers import some_images  # noqa: E402
from jax._src.lru_cache import LRUCache  # noqa: E402

# An int that silently widens an array, or a [B] that broadcasts against [B, 1], is an error here.
jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")

from hypothesis import HealthCheck, settings  # noqa: E402

# The same arguments at each start, a few for each function; MIXGAN_EXAMPLES=1000 looks longer, and at other ones.
_examples = os.environ.get("MIXGAN_EXAMPLES")
settings.register_profile(
    "mixgan",
    max_examples=int(_examples or 10),
    derandomize=_examples is None,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
settings.load_profile("mixgan")


# Programs that tests compile. JAX names each by a hash of its code, the versions, the flags and the processor, so that
# an old one is never taken for another. Processes that tests start do not know of the folder.
CACHE = Path(__file__).resolve().parents[1] / ".jax_cache" / "tests"
KEPT_SECONDS = 14 * 24 * 3600


def pytest_configure(config):
    """Removes programs that are two weeks old: the folder stays as small as what is compiled in that time."""
    if not hasattr(config, "workerinput"):  # before the workers start
        for entry in CACHE.glob("*"):
            if time.time() - entry.stat().st_mtime > KEPT_SECONDS:
                entry.unlink()


# Files with a fixture that takes longer than their tests: one process runs the whole file.
TOGETHER = {
    "tests/experiments/test_first_principles.py",
    "tests/runs/test_kills.py",
    "tests/runs/test_processes.py",
    "tests/solvers/test_double_oracle.py",
    "tests/solvers/test_gradients.py",
    "tests/test_types.py",
    "tests/test_wheel.py",
}


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Deals tests out one by one, but the files of ``TOGETHER`` whole (xdist's own groups need pytest < 9.2)."""
    from xdist.scheduler import LoadScopeScheduling

    class Dealing(LoadScopeScheduling):
        def _split_scope(self, nodeid):
            file = nodeid.partition("::")[0]
            return file if file in TOGETHER else nodeid

    return Dealing(config, log)


def pytest_collection_modifyitems(items):
    """A notebook is slow: it starts a process of its own and trains."""
    for item in items:
        if item.path.suffix == ".ipynb":
            item.add_marker(pytest.mark.slow)


def _put_whole(cache, key, value):
    """Replaces JAX's own way to write an entry: another process that reads meanwhile must not see half of it."""
    entry = Path(cache.path) / f"{key}-cache"
    if not entry.exists():
        part = entry.with_name(f"part-{os.getpid()}-{threading.get_ident()}")
        part.write_bytes(value)
        part.replace(entry)


# Programs are kept in MIXGAN_CACHE, by default in the checkout, for all workers and for the next run: from here on,
# since modules of tests compile some as they are imported.
LRUCache.put = _put_whole
jax.config.update("jax_compilation_cache_dir", os.environ.get("MIXGAN_CACHE") or str(CACHE))
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)


@pytest.fixture(scope="session")
def tfds_dir(tmp_path_factory):
    """A folder with a set ``tiny_digits`` of 1,203 + 4 images, written by TFDS itself without TensorFlow."""
    tfds = pytest.importorskip("tensorflow_datasets")
    from PIL import Image

    class TinyDigits(tfds.core.GeneratorBasedBuilder):
        VERSION = tfds.core.Version("1.0.0")

        def _info(self):
            image = tfds.features.Image(shape=(5, 6, 1))
            label = tfds.features.ClassLabel(num_classes=3)
            features = tfds.features.FeaturesDict({"image": image, "label": label})
            return tfds.core.DatasetInfo(
                builder=self, features=features, disable_shuffling=True, description="test"
            )

        def _split_generators(self, dl_manager):
            return {"train": self._examples(1203, 0), "test": self._examples(4, 1)}

        def _examples(self, count, seed):
            for index, image in enumerate(some_images(count, seed)):
                file = io.BytesIO()
                Image.fromarray(image[..., 0]).save(file, "PNG")
                yield index, {"image": io.BytesIO(file.getvalue()), "label": index % 3}

        def _generate_examples(self):
            raise NotImplementedError

    root = tmp_path_factory.mktemp("tfds")
    TinyDigits(data_dir=str(root), file_format="array_record").download_and_prepare()
    return root


@pytest.fixture
def tfds_copy(tfds_dir, tmp_path):
    """A copy that a test may damage: its root and the folder of the version."""
    shutil.copytree(tfds_dir, tmp_path / "copy")
    return tmp_path / "copy", tmp_path / "copy" / "tiny_digits" / "1.0.0"
