"""One experiment in two processes that share each game: the rows of one process, written and printed once."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest

import mixgan_jax as mg
from experiments.common.meshes import devices_of_all, job_of
from experiments.common.plane import COLUMNS
from experiments.mixtures import mix_gan_ring

ROOT = Path(__file__).parents[2]
OPTIONS = ["--preset", "smoke", "--components", "2", "--latin", "False", "--steps", "20"]
OPTIONS += ["--log-every", "10", "--mesh", "component=2,data=2"]
MEASURES = [f"{name}_mean" for name in COLUMNS]


def start_both(folder: Path) -> list[tuple[int, str, str]]:
    """Runs the experiment in two processes; returns the status, stdout and stderr of each."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        address = f"localhost:{free.getsockname()[1]}"
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "JAX_PLATFORMS": "cpu",
        "XDG_CACHE_HOME": str(folder / "cache"),
        "XLA_FLAGS": "--xla_backend_optimization_level=0",
    }
    environment.pop("JAX_COMPILATION_CACHE_DIR", None)
    command = [sys.executable, "-m", "experiments", "mix_gan_ring", "--runs", str(folder), *OPTIONS]
    started = [
        subprocess.Popen(
            [*command, "--distributed", f"{address},2,{process}"],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for process in range(2)
    ]
    try:
        printed = [process.communicate(timeout=800) for process in started]
    finally:
        for process in started:
            process.kill()
    return [(process.returncode, *text) for process, text in zip(started, printed, strict=True)]


def run_of(folder: Path) -> Path:
    (found,) = folder.glob("mix_gan_ring/*")
    return found


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_two_processes_give_the_rows_of_one(tmp_path, monkeypatch, capsys):
    ends = start_both(tmp_path / "two")
    assert [status for status, *_ in ends] == [0, 0], ends
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    mix_gan_ring.main(["--runs", str(tmp_path / "one"), *OPTIONS])
    two, one = (run_of(tmp_path / name) for name in ("two", "one"))
    ours, theirs = (json.loads((run / "results.json").read_text()) for run in (two, one))
    assert ours["config"] == theirs["config"]
    for row, expected in zip(ours["rows"], theirs["rows"], strict=True):
        for name in MEASURES:
            np.testing.assert_allclose(row[name], expected[name], rtol=1e-3, atol=1e-4)
    for method in ("GAN", "MIX+GAN_k=2"):
        steps = [[line["step"] for line in mg.read_records(run / method)] for run in (two, one)]
        assert steps == [[10, 20]] * 2
    assert {path.name for path in two.iterdir()} == {path.name for path in one.iterdir()}
    assert "MIX+GAN k=2: 20 steps" in ends[0][1] and str(two) in ends[0][1]
    _, second, errors = ends[1]
    assert not [line for line in second.splitlines() if "[Gloo]" not in line]
    assert errors == "", "process 0 alone speaks"


@pytest.mark.parametrize(
    ("job", "words"),
    [
        (["--distributed"], "--distributed needs --mesh, over devices of all processes"),
        (
            ["--distributed", "10.0.0.1,2,0", "--mesh", "data=2"],
            "like 10.0.0.1:1234,2,0: process 0's address, the number of processes, this one's number, got '10.0.0.1,2,",
        ),
        (
            ["--distributed", "10.0.0.1:1234,2", "--mesh", "data=2"],
            "--distributed must be alone, or like",
        ),
    ],
)
def test_a_job_that_cannot_be_is_refused_in_one_line(job, words, capsys):
    with pytest.raises(SystemExit) as stop:
        mix_gan_ring.main(["--preset", "smoke", *job])
    assert stop.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert words in line


def test_the_job_is_found_or_named():
    assert job_of("auto") == ()
    assert job_of("10.0.0.1:1234,16,3") == ("10.0.0.1:1234", 16, 3)


def test_a_mesh_takes_as_many_devices_of_each_process(monkeypatch):
    monkeypatch.setattr(jax, "process_count", lambda: 2)
    monkeypatch.setattr(jax, "local_devices", lambda owner: [f"{owner}.{n}" for n in range(4)])
    assert devices_of_all(4) == ["0.0", "0.1", "1.0", "1.1"]
    with pytest.raises(ValueError, match="--mesh must take as many devices of each of 2 processes"):
        devices_of_all(3)
