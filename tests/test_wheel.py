"""What a user without a checkout gets: a wheel, made from the sdist, that trains, saves and loads."""

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

import mixgan_jax as mg
from mixgan_jax.__main__ import EXPERIMENTS

ROOT = Path(__file__).resolve().parents[1]
SOURCES = (
    "mixgan_jax",
    "experiments",
    "tests",
    "setup.cfg",
    "pyproject.toml",
    "README.md",
    "LICENSE",
)

TRAIN = """
import sys
import jax, optax
import mixgan_jax as mg
from mixgan_jax.data import feed_from_distribution, ring
from mixgan_jax.networks import MLP

assert mg.__file__.startswith(sys.argv[1]), mg.__file__
player, tx = mg.from_linen(MLP((8,), outputs=2)), optax.adam(1e-3)
critic = mg.from_linen(MLP((8,)))
solver = mg.mix_gan(
    player,
    critic,
    mg.losses.non_saturating(),
    num_generators=2,
    num_discriminators=2,
    latent_size=4,
    generator_tx=tx,
    discriminator_tx=tx,
)
feed = feed_from_distribution(ring(), batch_size=16)
state = mg.fit(jax.random.key(0), solver, feed, num_steps=10, folder="run")
loaded = mg.load_for_sampling("run")
assert (loaded.weights == state.generators.weights).all()
print(mg.sample(jax.random.key(2), player, loaded, jax.numpy.ones((5, 4)))[0].shape)
"""


def hook(name: str, source: Path, target: Path) -> Path:
    """What setuptools builds: ``build_sdist`` or ``build_wheel``, without a network."""
    code = f"import sys; from setuptools import build_meta; build_meta.{name}(sys.argv[1])"
    build = [sys.executable, "-c", code, target]
    done = subprocess.run(build, cwd=source, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (built,) = target.iterdir()
    return built


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    setuptools = pytest.importorskip(
        "setuptools", "70.1", reason="older ones need wheel beside them"
    )
    assert setuptools
    folder = tmp_path_factory.mktemp("build")
    for name in ("checkout", "sdist", "unpacked", "wheel"):
        (folder / name).mkdir()
    for name in SOURCES:
        source, target = ROOT / name, folder / "checkout" / name
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__", "results"))
        else:
            shutil.copy(source, target)
    sdist = hook("build_sdist", folder / "checkout", folder / "sdist")
    with tarfile.open(sdist) as archive:
        archive.extractall(folder / "unpacked", filter="data")
    (source,) = (folder / "unpacked").iterdir()
    return hook("build_wheel", source, folder / "wheel")


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """Runs Python outside of the checkout, with the wheel before everything else."""
    folder = tmp_path_factory.mktemp("installed")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index"]
    done = subprocess.run(
        [*pip, "--target", folder, wheel], capture_output=True, text=True, check=False
    )
    if "No module named pip" in done.stderr:
        pytest.skip("this environment has no pip")
    assert done.returncode == 0, done.stderr

    def run(*arguments):
        return subprocess.run(
            [sys.executable, *arguments],
            cwd=tmp_path_factory.mktemp("elsewhere"),
            env=os.environ | {"PYTHONPATH": str(folder)},
            capture_output=True,
            text=True,
            check=False,
        )

    return folder, run


@pytest.mark.slow
def test_the_wheel_has_the_package_and_its_types_and_nothing_else(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.split("/")[0] for name in names}
    assert tops == {"mixgan_jax", f"mixgan_jax-{mg.__version__}.dist-info"}
    assert "mixgan_jax/py.typed" in names
    here = {str(path.relative_to(ROOT)) for path in (ROOT / "mixgan_jax").rglob("*.py")}
    assert here <= set(names)


@pytest.mark.slow
def test_an_installed_wheel_trains_saves_and_loads(installed):
    folder, run = installed
    done = run("-c", TRAIN, str(folder))
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "(5, 2)"


@pytest.mark.slow
def test_an_installed_wheel_says_where_the_experiments_are(installed):
    done = installed[1]("-m", "mixgan_jax")
    assert done.returncode == 0, done.stderr
    first, devices, last = done.stdout.splitlines()
    assert first.startswith(f"mixgan_jax {mg.__version__}, jax ")
    assert devices.startswith("devices: ") and last == EXPERIMENTS
