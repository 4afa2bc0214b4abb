"""Samples from a run folder alone: in another process, from another working directory, after a move."""

import os
import subprocess
import sys
from pathlib import Path

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from matplotlib.image import imread

import mixgan_jax as mg
from experiments import sample
from experiments.common import pictures, recipe
from experiments.common.setup import Latents, Setup
from mixgan_jax.networks import MLP, DCGANGenerator, maxout

ROOT = Path(__file__).resolve().parents[2]


NORMAL = Latents()


def row_folder(folder, row, network, components=3, seeds=2, latents=NORMAL):
    """A row of a run as training leaves it: checkpoints of a sweep over seeds, and the recipe."""
    folder = folder / row.replace(" ", "_")
    player = network if isinstance(network, mg.Player) else mg.from_linen(network)
    example = jnp.zeros((2, 5))
    mixtures = [
        mg.uniform(jax.random.key(seed), player, components, example) for seed in range(seeds)
    ]
    sweep = jax.tree.map(lambda *leaves: jnp.stack(leaves), *mixtures)
    with mg.Checkpoints(folder) as checkpoints:
        checkpoints.save(10, sweep, generators=sweep)
    setup = Setup(player, player, None, None, None, 5, latents)
    recipe.store_recipe(folder, row, setup, range(seeds))
    return player, mixtures


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run of two rows of points and of one of images."""
    folder = tmp_path_factory.mktemp("run")
    points = row_folder(folder, "MIX+GAN k=3", MLP((4,), outputs=2, activation=maxout(2)))
    row_folder(folder, "GAN", DCGANGenerator((8, 8, 1), width=2, stages=1), components=1)
    return folder, *points


def test_samples_are_those_of_the_trained_generators(run):
    folder, player, mixtures = run
    drawn = sample.draw(folder, 300, row="MIX+GAN k=3", seed=7, seed_index=1)
    keys = jax.random.split(jax.random.key(7), 3)
    latents = jax.random.normal(keys[0], (300, 5))
    expected, components = mg.sample(keys[1], player, mixtures[1], latents)
    np.testing.assert_array_equal(drawn.samples, expected)
    np.testing.assert_array_equal(drawn.components, components)
    np.testing.assert_allclose(drawn.weights, [1 / 3] * 3, rtol=1e-6)
    assert set(drawn.components) == {0, 1, 2}
    assert (drawn.row, drawn.training_seed) == ("MIX+GAN k=3", 1)


def test_one_component(run):
    folder, player, mixtures = run
    drawn = sample.draw(folder / "MIX+GAN_k=3", 50, component=2)
    latents = jax.random.normal(jax.random.split(jax.random.key(0), 3)[0], (50, 5))
    by_component, _ = mg.generate(player, mixtures[0], jnp.stack([latents] * 3))
    np.testing.assert_allclose(drawn.samples, by_component[2], rtol=1e-5, atol=1e-6)
    assert set(drawn.components) == {2}
    assert drawn.by_component.shape == (3, 200, 2)


@pytest.mark.parametrize("row", ["GAN", "MIX+GAN k=3"])
def test_files(run, tmp_path, capsys, row):
    to, grid = tmp_path / "new" / "samples.npz", tmp_path / "grid.png"
    arguments = [str(run[0]), "--n", "20", "--row", row, "--to", str(to), "--grid", str(grid)]
    sample.main(arguments)
    with np.load(to) as found:
        assert set(found) == {"samples", "components", "weights"}
        assert found["samples"].shape == ((20, 8, 8, 1) if row == "GAN" else (20, 2))
        assert found["components"].shape == (20,)
    assert imread(grid).std() > 0
    assert f"20 samples of {row}, seed 0\n{to}\n{grid}\n" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, r"row must be one of \['GAN', 'MIX\+GAN k=3'\], got none"),
        ({"row": "MIX"}, "row must be one of"),
        ({"row": "GAN", "component": 1}, r"component must be one of \[0\], got 1"),
        ({"row": "GAN", "seed_index": 2}, r"seed_index must be one of \[0, 1\], got 2"),
        ({"row": "GAN", "n": 0}, "n must be"),
        ({"row": "GAN", "seed": -1}, "seed must be"),
    ],
)
def test_arguments_that_do_not_fit(run, options, message):
    with pytest.raises(ValueError, match=message):
        sample.draw(run[0], **options)


def test_folders_that_cannot_be_drawn_from(tmp_path, capsys):
    with pytest.raises(FileNotFoundError, match="RUN_FOLDER must be an existing folder"):
        sample.draw(tmp_path / "none")
    with pytest.raises(ValueError, match="RUN_FOLDER must hold checkpoints of generators"):
        sample.draw(tmp_path)
    network = MLP((4,), outputs=2)
    row_folder(tmp_path, "old", network)
    (tmp_path / "old" / recipe.FILE_NAME).unlink()
    with pytest.raises(ValueError, match="which older runs lack: the command that trained the run"):
        sample.draw(tmp_path)
    row_folder(tmp_path, "bent", network.copy(activation=lambda x: x))
    with pytest.raises(ValueError, match=r"bent cannot be sampled .* activation is no plain value"):
        sample.draw(tmp_path, row="bent")
    plain = mg.from_linen(network)
    row_folder(tmp_path, "plain", mg.Player(plain.init, lambda *args, **kwargs: None))
    with pytest.raises(ValueError, match=r"its generator is no network of mixgan_jax\.networks"):
        sample.draw(tmp_path, row="plain")
    with pytest.raises(SystemExit) as ended:
        sample.main([str(tmp_path), "--row", "plain", "--to", str(tmp_path / "samples.npz")])
    assert ended.value.code == 2
    assert "its generator is no network" in capsys.readouterr().err


@pytest.mark.slow
def test_grids_of_other_shapes_are_refused(tmp_path):
    row_folder(tmp_path, "line", MLP((4,), outputs=3))
    drawn = sample.draw(tmp_path, 10)
    with pytest.raises(ValueError, match="--grid draws images or points of the plane, got samples"):
        sample.draw_grid(drawn, tmp_path / "grid.png")


@pytest.mark.parametrize(
    "latents", [NORMAL, Latents(scale=2.0), Latents("uniform")], ids=lambda one: str(one)
)
def test_a_recipe_comes_back(tmp_path, latents):
    network = MLP((4, 3), outputs=2, activation=nn.tanh, dtype=jnp.bfloat16)
    row_folder(tmp_path, "row", network, latents=latents)
    found = recipe.read_recipe(tmp_path / "row")
    assert recipe.module_of(found.generator) == network
    assert found.latents == latents
    key = jax.random.key(0)
    values = found.latents(key, (1000,))
    assert float(jnp.std(values)) == pytest.approx(
        {"normal": latents.scale, "uniform": 1 / np.sqrt(3)}[latents.kind], rel=0.1
    )


@pytest.mark.slow
def test_a_picture_for_each_evaluation(tmp_path, capsys):
    """None before the first checkpoint, none of points, and one for each further multiple of ``every``."""
    network = DCGANGenerator((8, 8, 1), width=2, stages=1)
    steps, folder = [], tmp_path / "GAN"

    def look(network, *log):
        setup = Setup(mg.from_linen(network), None, None, None, None, 5)
        on_log = pictures.picturing(folder, "GAN", setup, 10, lambda step, info: steps.append(step))
        for step in log:
            on_log(step, {})
        return capsys.readouterr().out

    folder.mkdir()
    assert look(network, 10) == ""
    row_folder(tmp_path, "GAN", network)
    assert look(MLP((4,), outputs=2), 10) == ""
    assert not (folder / "images.png").exists()
    printed = look(network, 5, 10)
    assert printed.count("GAN: images of the newest checkpoint in") == 1
    assert "images.png" in printed.replace("\n", "")
    assert imread(folder / "images.png").std() > 0
    assert steps == [10, 10, 5, 10]


@pytest.mark.slow
def test_a_smoke_run_is_sampled_elsewhere(tmp_path):
    """The run moves, and another process samples it from another working directory."""
    from experiments.mixtures import mix_gan_ring

    mix_gan_ring.main(["--preset", "smoke", "--runs", str(tmp_path / "runs")])
    (folder,) = (tmp_path / "runs").glob("mix_gan_ring/smoke-*")
    moved, elsewhere = tmp_path / "moved", tmp_path / "elsewhere"
    folder.rename(moved)
    elsewhere.mkdir()
    command = [sys.executable, "-m", "experiments.sample", str(moved), "--row", "MIX+GAN k=3"]
    command += ["--n", "64", "--to", "samples.npz", "--grid", "grid.png", "--component", "2"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run(command, cwd=elsewhere, env=environment, check=True)
    with np.load(elsewhere / "samples.npz") as found:
        assert found["samples"].shape == (64, 2)
        assert set(found["components"]) == {2}
    assert imread(elsewhere / "grid.png").std() > 0
