"""mix_gan_mnist killed again and again: it ends with the bits of the uninterrupted run.

``MIXGAN_KILLS=20 python -m pytest -s tests/runs/test_kills.py`` kills more often, and prints what each kill struck.
"""

import collections
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import mixgan_jax as mg

# The uninterrupted run is computed once: where tests are dealt out to processes, these stay together.
pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
KILLS = int(os.environ.get("MIXGAN_KILLS", "6"))
STEPS = 1500
OPTIONS = ["--preset", "smoke", "--steps", str(STEPS), "--log-every", "100", "--samples", "16"]


def start(runs: Path, *options: str) -> subprocess.Popen:
    """A process of its own, with a cache of its own beside the runs, and the machine's devices."""
    environment = {**os.environ, "XDG_CACHE_HOME": str(runs.parent / "cache")}
    environment.pop("XLA_FLAGS", None)
    return subprocess.Popen(
        [
            sys.executable,
            "-m",
            "experiments",
            "mix_gan_mnist",
            *OPTIONS,
            "--runs",
            str(runs),
            *options,
        ],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process: subprocess.Popen) -> str:
    _, errors = process.communicate(timeout=500)
    assert process.returncode == 0, errors
    return errors


def methods(runs: Path) -> dict[str, Path]:
    return {
        path.name: path for path in sorted(runs.glob("mix_gan_mnist/smoke-*/*")) if path.is_dir()
    }


def logged(runs: Path) -> int:
    """How many lines the logs hold; fails where one is not whole."""
    return sum(
        len(mg.read_records(folder))
        for folder in methods(runs).values()
        if (folder / "metrics.jsonl").exists()
    )


def struck(runs: Path) -> str:
    """What a kill struck, from what it left."""
    if list(runs.glob("**/checkpoints/*tmp*")):
        return "saving"
    (lock,) = locks(runs)
    logs = runs.glob("mix_gan_mnist/smoke-*/*/metrics.jsonl")
    newer = [path for path in logs if path.stat().st_mtime > lock.stat().st_mtime]
    return "training" if newer else "loading or measuring"


def assert_same_end(runs: Path, expected: Path) -> None:
    """Checkpoints (by the checksum of every leaf of the state), logs, and all numbers of the results."""
    assert methods(runs).keys() == methods(expected).keys()
    for name, folder in methods(expected).items():
        other = methods(runs)[name]
        layouts = [
            json.loads((path / f"checkpoints/{STEPS}/layout/metadata").read_text())
            for path in (folder, other)
        ]
        assert layouts[0] == layouts[1] and layouts[0]["items"]["state"]
        weights = [mg.load_for_sampling(path).log_weights for path in (folder, other)]
        np.testing.assert_array_equal(*weights)
        logs = [(path / "metrics.jsonl").read_bytes() for path in (folder, other)]
        assert logs[0] == logs[1]
    tables = []
    for path in (runs, expected):
        (file,) = path.glob("mix_gan_mnist/smoke-*/results.json")
        tables.append([{**row, "seconds": None} for row in json.loads(file.read_text())["rows"]])
    assert tables[0] == tables[1]


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    """The uninterrupted run; it also fills the caches."""
    runs = tmp_path_factory.mktemp("kills") / "whole"
    finish(start(runs))
    return runs


def wait_for_work(process: subprocess.Popen, runs: Path) -> None:
    """Returns when the process has taken the run folder: imports are done, nothing is read or compiled yet."""
    while not any(f"process {process.pid} " in path.read_text() for path in locks(runs)):
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.01)


def locks(runs: Path) -> list[Path]:
    return list(runs.glob("mix_gan_mnist/smoke-*/lock"))


@pytest.mark.timeout(1200)
def test_kill_nine_at_random_moments(whole):
    runs, rng = whole.parent / "killed", random.Random(0)
    # Long enough to load, restore and go on, short enough that work is left for the last kill.
    training = sum(float((path / "seconds").read_text()) for path in methods(whole).values())
    longest = 5.0 + training / KILLS
    found = collections.Counter()
    for _ in range(KILLS):
        process = start(runs)
        wait_for_work(process, runs)
        time.sleep(rng.uniform(0.0, longest))
        process.kill()
        process.communicate()
        logged(runs)  # fails where a line is not whole
        found["finished" if process.returncode == 0 else struck(runs)] += 1
    finish(start(runs))
    assert_same_end(runs, whole)
    print(f"{training:.0f} s of training; kills struck {dict(found)}")
    assert found["training"] + found["saving"] >= 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_saves_says_so_and_the_same_command_goes_on(whole, number):
    runs = whole.parent / number.name
    process = start(runs)
    while logged(runs) < 3:
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(
        signal.SIGSTOP
    )  # or it might be done before the second one has imported anything
    with_lock = start(runs)
    _, refused = with_lock.communicate(timeout=100)
    process.send_signal(number)
    process.send_signal(signal.SIGCONT)
    _, errors = process.communicate(timeout=100)
    last = errors.splitlines()[-1]
    assert process.returncode == 128 + number
    assert last.startswith(f"mix_gan_mnist: stopped by {number.name} after step ")
    assert last.endswith("the same command continues there") and "Traceback" not in errors
    step = int(last.split("after step ")[1].split(",")[0])
    assert any(path.name == str(step) for path in runs.glob("**/checkpoints/*"))
    assert with_lock.returncode == 1
    assert f"is in use by process {process.pid} on " in refused.splitlines()[-1]
    finish(start(runs))
    assert_same_end(runs, whole)
