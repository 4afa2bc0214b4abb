"""An experiment that does not reach its end: one line on stderr, a status, no traceback; keeping what did."""

import argparse
import dataclasses
import errno
import json
import os
import signal
import subprocess
import sys
import warnings
from pathlib import Path

import jax
import numpy as np
import pytest
from helpers import solver
from PIL import Image

import mixgan_jax as mg
from experiments import __main__ as overview
from experiments.common import harness, report
from experiments.common.meshes import where
from experiments.common.session import session
from experiments.mixtures import mix_gan_ring
from mixgan_jax.storage.lock import lock_folder


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(harness, "use_caches", lambda: None)
    arguments = ["--preset", "smoke", "--runs", str(tmp_path)]
    return harness.start("mix_gan_ring", "doc", mix_gan_ring.PRESETS, arguments)


def throw(error):
    raise error


NAN = mg.NonFiniteError((mg.Frozen("generator", 1, 2, 37),), "the checkpoint of step 20 is kept")
ENDS = {
    "Ctrl-C": (KeyboardInterrupt(), 130, "stopped by SIGINT; what was saved is in "),
    "signal in fit": (
        mg.Interrupted(signal.SIGTERM, 40, "there"),
        143,
        "stopped by SIGTERM after step 40, which is saved in there; the same command continues",
    ),
    "NaN": (
        NAN,
        1,
        "generator 1 of seed 2 had a non-finite update at step 37; the checkpoint of step 20 is kept; --on-nan freeze",
    ),
    "full disk": (OSError(errno.ENOSPC, "No space left on device"), 1, "cannot write ("),
    "failed save": (mg.SaveError("cannot save in there"), 1, "cannot save in there; once that"),
}


@pytest.mark.parametrize("end", ENDS)
def test_whatever_stops_a_run_is_one_line_and_a_status(run, capsys, end):
    error, status, text = ENDS[end]
    with pytest.raises(SystemExit) as stop, session(run):
        throw(error)
    assert stop.value.code == status
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"mix_gan_ring: {text}")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1])
def test_a_signal_outside_of_training_ends_it_too(run, capsys, number):
    before = signal.signal(number, lambda *_: None)
    mine = signal.getsignal(number)
    try:
        with pytest.raises(SystemExit) as stop, session(run):
            os.kill(os.getpid(), number)
        assert signal.getsignal(number) is mine
    finally:
        signal.signal(number, before)
    assert stop.value.code == 128 + number
    assert f"stopped by {number.name}; what was saved is in" in capsys.readouterr().err


def test_a_second_start_in_the_run_folder_is_refused(run, capsys):
    with lock_folder(run.folder), pytest.raises(SystemExit) as stop, session(run):
        pass
    assert stop.value.code == 1
    assert f"is in use by process {os.getpid()} on" in capsys.readouterr().err


def test_a_bug_keeps_its_traceback(run):
    with pytest.raises(FileNotFoundError), session(run):
        throw(FileNotFoundError("no such file"))


def test_a_warning_takes_one_line(run, capsys):
    with session(run), warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn("the checkpoint at step 3 cannot be read", stacklevel=1)
    assert capsys.readouterr().err == "mix_gan_ring: the checkpoint at step 3 cannot be read\n"


def test_a_figure_that_cannot_be_drawn_costs_no_results(run):
    def draw():
        raise RuntimeError("latex could not be found")

    parts = {"rows": [{**report.row("GAN", {"modes": [1.0]}), "seconds": 1.0}], "verdict": []}
    with pytest.raises(RuntimeError, match="latex"):
        report.save_results(run, columns={"modes": ("modes", 1)}, figures=draw, **parts)
    assert json.loads((run.folder / "results.json").read_text())["rows"] == parts["rows"]
    drawn = {"samples": run.folder / "s.png", "more": run.folder / "m.png"}
    results, files = report.save_results(
        run, columns={}, figures=lambda: drawn, kept={"pictures": "samples"}, **parts
    )
    assert files is drawn and results["figures"] == {"pictures": "s.png"}
    assert json.loads((run.folder / "results.json").read_text())["figures"] == results["figures"]


def test_jupyters_backend_and_a_terminal_of_few_characters_stop_nothing(tmp_path):
    program = (
        "import sys\n"
        "from experiments.mixtures import pairing\n"
        "from experiments.common import harness\n"
        "harness.start('pairing', 'doc', pairing.PRESETS, ['--runs', sys.argv[1]])\n"
        "import matplotlib.figure\n"
        "matplotlib.figure.Figure().savefig(sys.argv[1] + '/a.png')\n"
        "print('1.0 \u00b1 0.5')\n"
    )
    environment = {
        **os.environ,
        "MPLBACKEND": "module://of_a_notebook.backend_inline",
        "PYTHONIOENCODING": "ascii",
        "XDG_CACHE_HOME": str(tmp_path),
    }
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)],
        cwd=Path(__file__).parents[2],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "1.0 ? 0.5\n", done.stderr


@dataclasses.dataclass(frozen=True)
class Config:
    """Of a script in its first version."""

    steps: int
    width: int = 8
    seeds: int = 1


@dataclasses.dataclass(frozen=True)
class Longer(Config):
    """With a field that came later."""

    depth: tuple[int, ...] = dataclasses.field(default_factory=lambda: (1, 2))


@dataclasses.dataclass(frozen=True)
class Wider(Config):
    """With another default."""

    width: int = 16


def test_a_new_field_at_its_default_does_not_orphan_the_runs_before_it(tmp_path, monkeypatch):
    monkeypatch.setattr(harness, "use_caches", lambda: None)

    def start(config, *options):
        presets = {"cpu": config}
        return harness.start("x", "doc", presets, ["--runs", str(tmp_path), *options])

    first, later = start(Config(5)), start(Longer(5))
    assert later.folder == first.folder and later.stored == first.stored == {
        "steps": 5,
        "width": 8,
        "seeds": 1,
    }
    others = [start(Longer(5), "--depth", "3"), start(Longer(5, 9)), start(Config(6))]
    folders = {run.folder for run in [first, *others]}
    assert len(folders) == 4, "what is not at its default tells runs apart"
    with pytest.raises(SystemExit):  # the same name, and other numbers
        start(Wider(5))


def test_cores_become_devices_before_anything_can_start_jax(tmp_path, monkeypatch):
    """A first start on one device and a second on two would differ in their last bits."""
    calls = []
    stored = harness.store_config_of
    monkeypatch.setattr(harness, "use_caches", lambda: calls.append("caches"))
    monkeypatch.setattr(harness, "use_all_cores", lambda least: calls.append(f"cores, {least}"))
    monkeypatch.setattr(harness, "store_config_of", lambda *a: calls.append("config") or stored(*a))
    monkeypatch.setattr(mg, "distributed", lambda *job: calls.append(f"job {job}"))
    argv = ["--runs", str(tmp_path), "--mesh", "component=4,data=2", "--distributed"]
    harness.start("x", "doc", {"cpu": Config(5)}, argv, by_train=True)
    assert calls == ["cores, 8", "job ()", "caches", "config"]


@pytest.mark.parametrize(
    ("mesh", "by_train", "words"),
    [
        ("components=2", True, "--mesh must be like component=4,data=2, with the axes runs, comp"),
        ("component=2,component=4", True, "--mesh must be like component=4,data=2"),
        ("component=0", True, "component in --mesh must be a whole number >= 1, got 0"),
        ("component=2", False, "--mesh is not for x, which deals out its seeds to devices"),
    ],
)
def test_a_mesh_that_cannot_be_is_refused_in_one_line(mesh, by_train, words, tmp_path, capsys):
    argv = ["--runs", str(tmp_path), "--mesh", mesh]
    with pytest.raises(SystemExit):
        harness.start("x", "doc", {"cpu": Config(5)}, argv, by_train=by_train)
    assert words in capsys.readouterr().err


def test_a_mesh_that_does_not_divide_the_components_is_refused_in_one_line(capsys):
    options = argparse.Namespace(mesh={"component": 2})
    with pytest.raises(SystemExit), harness.refusing("x"):
        where(options, jax.random.split(jax.random.key(0), 2), solver())
    assert (
        "components must be a multiple of the mesh's component axis of 2, got 3"
        in capsys.readouterr().err
    )


def test_a_damaged_part_is_named_with_what_to_do(run):
    harness.once(run, "a part", lambda: {"value": 1.0})
    path = harness.method_folder(run, "a part") / "part.json"
    path.write_bytes(b"")
    with pytest.raises(ValueError, match=r"part.json \(0 bytes\) must hold JSON.*computed again"):
        harness.once(run, "a part", lambda: {"value": 1.0})


def test_on_nan_is_stop_or_freeze(capsys):
    with pytest.raises(SystemExit) as stop:
        mix_gan_ring.main(["--preset", "smoke", "--on-nan", "frezee"])
    assert stop.value.code == 2
    assert "--on-nan must be one of ['stop', 'freeze'], got 'frezee'" in capsys.readouterr().err


@pytest.fixture
def finished(tmp_path, monkeypatch):
    """The run folder of a finished preset, and where results are kept."""
    monkeypatch.setattr(report, "RESULTS", tmp_path / "kept")
    folder = tmp_path / "run"
    folder.mkdir()
    picture = np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8)
    Image.fromarray(picture).save(folder / "samples.png")
    (folder / "samples.svg").write_text("the same picture")
    results = {
        "experiment": "mix_gan_ring",
        "preset": "cpu",
        "config": dataclasses.asdict(mix_gan_ring.PRESETS["cpu"]),
        "seeds": list(range(mix_gan_ring.PRESETS["cpu"].seeds)),
        "figures": {"samples": "samples.png"},
    }
    (folder / "results.json").write_text(json.dumps(results))
    return folder


def test_keep_copies_results_and_figures(finished, capsys):
    overview.main(["--keep", str(finished)])
    kept = report.RESULTS
    assert {path.name for path in kept.iterdir()} == {
        "mix_gan_ring.cpu.json",
        "mix_gan_ring.cpu.samples.png",
    }
    results = (finished / "results.json").read_text()
    assert json.loads((kept / "mix_gan_ring.cpu.json").read_text()) == json.loads(results)
    with Image.open(kept / "mix_gan_ring.cpu.samples.png") as picture:
        assert picture.size == (40, 40) and len(picture.convert("RGB").getcolors()) <= 256
    assert str(kept / "mix_gan_ring.cpu.json") in capsys.readouterr().out


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (None, "must hold results.json"),
        ({"preset": "smoke"}, "must be the run of another preset than smoke"),
        ({"preset": "grid"}, "must be a run of the preset grid as it stands"),
        ({"config": {"seeds": 1}}, "must be a run of the preset cpu as it stands"),
        ({"seeds": [100, 101]}, "must be a run with --seed-offset 0, got seeds from 100 on"),
    ],
)
def test_keep_refuses_what_is_no_finished_preset(finished, capsys, change, message):
    path = finished / "results.json"
    if change is None:
        path.unlink()
    else:
        path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(SystemExit) as stop:
        overview.main(["--keep", str(finished)])
    assert stop.value.code == 2
    assert message in capsys.readouterr().err
    assert not report.RESULTS.exists()
