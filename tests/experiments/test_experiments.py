"""Experiments: smoke presets, form of the results, command lines that fail with advice, the README's code."""

import json
import os
import re
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import same, slow

from experiments import __main__ as overview
from experiments.common import (
    catalogue,
    harness,
    image_classifier,
    image_data,
    plane,
    progress,
    report,
)
from experiments.common.session import session
from experiments.images import mix_gan_mnist
from experiments.mixtures import mix_gan_ring, pairing, sparse_pairing
from mixgan_jax.data import digits

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = {name: catalogue.load(name) for name in catalogue.scripts()}


# Scripts that compile for less than 5 CPU seconds. In the quick tier tests of their parts stand for the other rooms.
QUICK = ("theory_packing",)
PARTS_ARE_QUICK = {
    "past_play": "test_fictitious_history.py",
    "rotation": "test_game_optimisers.py",
    "first_principles": "test_first_principles.py",
    "images": "test_image_methods.py",
    "mixtures": "test_weight_laboratory.py",
    "theorems": "test_few_strategies.py",
    "two_gaussians": "test_gan_dynamics.py",
    "width": "test_mean_matching.py",
}


def test_every_room_is_in_the_quick_tier():
    rooms = {catalogue.scripts()[name].room for name in QUICK} | set(PARTS_ARE_QUICK)
    assert rooms == set(catalogue.rooms())
    assert all(Path(__file__).with_name(name).exists() for name in PARTS_ARE_QUICK.values())


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    """Caches go to the test's folder, but for compiled programs, see conftest.py."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(harness, "use_caches", lambda: None)


@pytest.mark.parametrize("name", [name if name in QUICK else slow(name) for name in SCRIPTS])
def test_smoke_preset_runs_and_a_second_start_reads_the_same_numbers(name, tmp_path, capsys):
    arguments = ["--preset", "smoke", "--runs", str(tmp_path)]
    SCRIPTS[name].main([*arguments, "--tensorboard", "--profile"])
    printed = capsys.readouterr().out
    (path,) = tmp_path.glob(f"{name}/smoke-*/results.json")
    results = json.loads(path.read_text())
    assert {
        "experiment",
        "preset",
        "config",
        "commit",
        "versions",
        "hardware",
        "seeds",
        "seconds",
        "rows",
        "verdict",
    } <= set(results)
    for row in results["rows"]:
        assert row["n"] == len(results["seeds"]) == 2
        shown = [metric for metric in results["columns"] if f"{metric}_mean" in row]
        assert len(shown) == len(results["columns"]) or row["method"] == "training images"
        for metric in shown:
            assert np.isfinite(row[f"{metric}_mean"])
            measured_once = metric in {"step_ms", "parameters", "evaluations"}
            assert measured_once or np.isfinite(row[f"{metric}_stderr"])
        assert row["method"] in printed
    assert all(set(line) == {"claim", "expected", "got", "outcome"} for line in results["verdict"])
    saved = re.findall(r"^[\w=+, ]+: (/\S.*)$", printed, re.MULTILINE)
    assert len(saved) >= 3
    assert all(Path(file).exists() for file in saved), "what the summary names must be there"
    for method in (folder for folder in path.parent.iterdir() if folder.is_dir()):
        assert (method / "part.json").exists() or list(method.glob("events.out.tfevents.*"))
        assert list(method.glob("profile/**/*.xplane.pb"))
    SCRIPTS[name].main(arguments)
    again = json.loads(path.read_text())
    assert again["rows"] == results["rows"]
    assert again["seconds"] == results["seconds"]


@pytest.mark.slow
def test_a_method_is_trained_once_with_its_profile_and_its_events(tmp_path):
    arguments = ["--preset", "smoke", "--tensorboard", "--profile", "--runs", str(tmp_path)]
    run = harness.start("mix_gan_ring", "doc", mix_gan_ring.PRESETS, arguments)
    setup = plane.build(run.config, mix_gan_ring.methods(run.config)[0])
    with session(run) as bar:
        trained, seconds = harness.train(run, "GAN", setup, bar)
        again, same_seconds = harness.train(run, "GAN", setup, bar)
    assert same(again, trained)
    assert same_seconds == seconds
    assert list(run.folder.rglob("events.out.tfevents.*"))
    assert list(run.folder.rglob("profile/**/*.xplane.pb"))


def test_a_part_is_computed_once_and_a_kill_in_it_leaves_nothing_half_done(tmp_path, capsys):
    run = harness.start(
        "pairing", "doc", pairing.PRESETS, ["--preset", "smoke", "--runs", str(tmp_path)]
    )
    calls = []

    def compute():
        calls.append(1)
        if len(calls) == 1:
            raise KeyboardInterrupt
        return {"values": jnp.arange(3.0) / 3.0, "count": np.int64(2), "name": "one"}

    with pytest.raises(KeyboardInterrupt):
        harness.once(run, "a part", compute)
    first = harness.once(run, "a part", compute)
    assert harness.once(run, "a part", compute) == first
    assert len(calls) == 2
    np.testing.assert_array_equal(np.float32(first["values"]), jnp.arange(3.0) / 3.0)
    assert (first["count"], first["name"]) == (2, "one")
    assert first["seconds"] >= 0


def test_overrides_go_to_a_folder_of_their_own(tmp_path):
    presets = mix_gan_ring.PRESETS
    plain = harness.start("mix_gan_ring", "doc", presets, ["--runs", str(tmp_path)])
    other = harness.start("mix_gan_ring", "doc", presets, ["--runs", str(tmp_path), "--steps", "7"])
    assert plain.is_preset
    assert not other.is_preset
    assert plain.folder != other.folder
    assert other.config.steps == 7


def test_where_the_data_are_does_not_make_another_run(tmp_path):
    def start(*arguments):
        return harness.start(
            "mix_gan_mnist",
            "doc",
            mix_gan_mnist.PRESETS,
            ["--runs", str(tmp_path), *arguments],
            unhashed=("data_dir",),
        )

    here, there = start("--data-dir", "here"), start("--data-dir", "there")
    assert here.is_preset
    assert here.folder == there.folder
    assert here.config.data_dir == "here"
    assert here.protocol.data_dir is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--stepz", "3"], "--steps"),
        (["--preset", "papper"], "did you mean 'paper'"),
        (["--steps", "many"], "many"),
        (["--target", "rings"], "ring"),
        (["--components", "3", "1"], "--components must be >= 1, rise, and reach 2, got (3, 1)"),
        (["--components", "1"], "--components must be >= 1, rise, and reach 2, got (1,)"),
    ],
)
def test_a_bad_command_line_fails_with_a_suggestion_and_no_traceback(arguments, message, capsys):
    with pytest.raises(SystemExit) as stop:
        mix_gan_ring.main(arguments)
    assert stop.value.code == 2
    captured = capsys.readouterr()
    assert message in captured.out + captured.err
    assert "Traceback" not in captured.out + captured.err


def test_without_data_two_lines_say_how_to_get_some(tmp_path, capsys):
    with pytest.raises(SystemExit) as stop:
        mix_gan_mnist.main(["--runs", str(tmp_path), "--data-dir", str(tmp_path / "nothing")])
    assert stop.value.code == 2
    text = capsys.readouterr().err
    assert "nothing" in text
    assert "--dataset digits" in text
    assert len(image_data.NO_DATA.splitlines()) == 2


@pytest.fixture
def own_digits(tmp_path):
    """Scikit-learn's digits as a file of one's own."""
    names = ("train_images", "train_labels", "test_images", "test_labels")
    np.savez_compressed(tmp_path / "own.npz", **dict(zip(names, digits()[:4], strict=True)))
    return tmp_path


@pytest.mark.slow
def test_digits_above_the_memory_budget_are_streamed(own_digits, monkeypatch):
    """The classifier is trained from the source, and its second start finds it; results are of another run folder."""
    monkeypatch.setattr(image_classifier, "UPDATES", 28)
    arguments = ["--preset", "smoke", "--components", "2", "--steps", "10", "--dataset", "own"]
    arguments += ["--data-dir", str(own_digits), "--runs", str(own_digits)]
    for more in ([], ["--memory-budget", "0"]):
        mix_gan_mnist.main([*arguments, *more])
    loaded, streamed = (
        json.loads(path.read_text())
        for path in sorted(
            own_digits.glob("mix_gan_mnist/smoke-*/results.json"), key=os.path.getmtime
        )
    )
    assert (loaded["config"]["memory_budget"], streamed["config"]["memory_budget"]) == (None, 0)
    assert np.isfinite(streamed["rows"][0]["classes_mean"])
    assert len(list((own_digits / "cache").rglob("classifiers/own-*.npz"))) == 1
    with pytest.raises(SystemExit):
        mix_gan_mnist.main([*arguments, "--memory-budget", "-1"])


def test_rows_hold_means_and_standard_errors_by_hand():
    row = report.row("a", {"modes": [2.0, 4.0, 6.0]})
    assert row["modes_mean"] == 4.0
    assert row["modes_stderr"] == pytest.approx(2.0 / np.sqrt(3))
    assert row["modes_by_seed"] == [2.0, 4.0, 6.0]
    assert report.row("a", {"modes": [2.0]})["modes_stderr"] is None
    with pytest.raises(ValueError, match="one value for each seed"):
        report.row("a", {"modes": [2.0], "kl": [1.0, 2.0]})


def test_a_steps_time_is_the_median_without_what_compiles(tmp_path, monkeypatch):
    now = 0.0
    monkeypatch.setattr(progress.time, "perf_counter", lambda: now)
    stopwatch = progress.Stopwatch(tmp_path)
    assert np.isnan(stopwatch.step_seconds)
    for now, step in ((60.0, 10), (70.0, 20), (72.0, 30), (75.0, 40)):  # noqa: B007
        stopwatch.lap(step)
    assert stopwatch.step_seconds == pytest.approx(0.3)  # of 1.0, 0.2, 0.3
    again = progress.Stopwatch(tmp_path)
    assert (again.seconds, again.step_seconds) == (75.0, stopwatch.step_seconds)


def test_the_pairings_differ_in_nothing_but_pairing_and_batch():
    config = pairing.PRESETS["cpu"]
    rows = pairing.methods(config)
    assert [(row.pairing, row.batch) for row in rows] == [
        ("full", 60),
        ("latin", 60),
        ("latin", 120),
        ("stratified", 60),
    ]
    assert {row.components for row in rows} == {5}
    for row in rows:
        feed = plane.build(config, row).feed
        assert feed.sample(jax.random.key(0), feed.arrays).shape == (row.batch, 2)


@pytest.mark.parametrize("preset", ["cpu", "grid_32"])
def test_pairings_of_many_components_do_the_same_work(preset):
    config = sparse_pairing.PRESETS[preset]
    rows = sparse_pairing.methods(config)
    (k,) = config.components
    counts = [sparse_pairing.evaluations(k, row.batch, row.pairing) for row in rows]
    assert counts[1:] == 3 * [k * 64 * 5]  # draw twice, judge twice, reals once
    assert counts[0] == pytest.approx(counts[1], rel=0.05)
    # One fake more or fewer of each generator would be further away.
    assert abs(counts[0] - counts[1]) <= sparse_pairing.evaluations(k, 1, "full") / 2
    assert [row.meetings for row in rows] == [1, 1, 4, 1]


@pytest.mark.parametrize("preset", ["cpu", "paper"])
def test_the_wide_gan_has_at_least_the_mixtures_parameters_and_hardly_more(preset):
    config = mix_gan_ring.PRESETS[preset]

    def sizes(wide):
        for player, inputs in zip(
            plane.players(config, wide), (config.latent_size, 2), strict=True
        ):
            example = jnp.zeros((2, inputs))
            params = jax.eval_shape(player.init, jax.random.key(0), example)[0]
            yield sum(leaf.size for leaf in jax.tree.leaves(params))

    for wide, narrow in zip(sizes(True), sizes(False), strict=True):
        assert 5.0 <= wide / narrow < 5.1


def test_the_latin_row_makes_no_more_network_evaluations():
    config = mix_gan_ring.PRESETS["cpu"]
    batch = mix_gan_ring.latin_batch(config)
    full = config.batch * (2 * (5 + 25) + 5)
    assert batch % 5 == 0
    assert 0.97 * full <= batch * (2 * (5 + 5) + 5) <= full


def test_the_overview_lists_every_script_in_its_room(capsys):
    overview.main([])
    lines = capsys.readouterr().out.splitlines()
    assert {"mix_gan_ring", "mix_gan_mnist", "pairing"} <= set(SCRIPTS)
    for name, script in catalogue.scripts().items():
        (place,) = (i for i, line in enumerate(lines) if line.split()[:1] == [name])
        room = [line for line in lines[:place] if line and line[0] != " "][-1]
        assert room.startswith(f"{script.room}: ")
        assert script.doc.splitlines()[0] in lines[place]


def test_a_docstring_says_claim_time_and_commands():
    for name, script in catalogue.scripts().items():
        for part in ("Claim:", "Time:", f"    python -m experiments {name} "):
            assert part in f"{script.doc} ", (name, part)
        assert len(script.doc.splitlines()) <= 15, f"{name}: the rest belongs in the room's README"
        notes = (ROOT / "experiments" / script.room / "README.md").read_text(encoding="utf-8")
        (section,) = re.findall(rf"^## {name}\n(.*?)(?=^## |\Z)", notes, re.DOTALL | re.MULTILINE)
        headings = re.findall("^### (.*)", section, re.MULTILINE)
        assert headings == ["Protocol", "Departures", "Trials and changes"], name


def test_the_overview_runs_a_script(tmp_path):
    overview.main(["theory_packing", "--preset", "smoke", "--runs", str(tmp_path)])
    assert list(tmp_path.glob("theory_packing/smoke-*/results.json"))


@pytest.mark.slow
def test_the_readmes_example_runs(monkeypatch):
    """The code blocks as they stand, but for the number of steps."""
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    code = "\n".join(blocks)
    assert "num_steps=2000" in code
    scope = {}
    exec(code.replace("num_steps=2000", "num_steps=200"), scope)
    assert scope["samples"].shape == (1000, 2)
    assert scope["report"]["equilibrium_gap"] <= 1e-8
    assert scope["mine"].generators.params.shape == (1, 16, 2)
