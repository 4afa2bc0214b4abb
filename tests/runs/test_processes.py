"""Two processes train one game: the numbers, files and errors of one process, and no process waits for a lost one."""

import json
import os
import socket
import subprocess
import sys
import warnings
from pathlib import Path

import jax
import numpy as np
import one_of_two
import pytest

import mixgan_jax as mg
from mixgan_jax.storage.lock import lock_folder

PROGRAM = Path(one_of_two.__file__)
ROOT = PROGRAM.parents[2]
STEPS = 12


def start_both(root, *plan):
    """Starts both processes. Each plans the same."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "JAX_PLATFORMS": "cpu",
        "JAX_COMPILATION_CACHE_DIR": str(root / "cache"),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "XLA_FLAGS": "--xla_backend_optimization_level=0",
    }
    return [
        subprocess.Popen(
            [sys.executable, str(PROGRAM), str(port), str(process), ",".join(plan), str(root)],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for process in range(2)
    ]


def finish(processes, timeout=400):
    """Waits for both, and returns what they printed."""
    try:
        return [process.communicate(timeout=timeout)[0] for process in processes]
    finally:
        for process in processes:
            process.kill()


def found(root, name):
    """What both processes wrote down."""
    return [json.loads((root / f"{name}.{process}.json").read_text()) for process in range(2)]


def assert_same_log(folder, expected):
    """To the order of sums."""
    ours, theirs = mg.read_records(folder), mg.read_records(expected)
    assert [line["step"] for line in ours] == [line["step"] for line in theirs]
    for one, other in zip(ours, theirs, strict=True):
        assert one.keys() == other.keys()
        for name in one:
            np.testing.assert_allclose(one[name], other[name], rtol=1e-4, atol=1e-5)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """All that two processes do together, and, beside it, what one process does alone."""
    root = tmp_path_factory.mktemp("processes")
    one_of_two.train(root / "continued", component=4, data=2, num_steps=6)
    with lock_folder(root / "locked"):
        plan = ("full", "latin", "locked", "other_config", "log_on_a_full_disk", "failing_callback")
        processes = start_both(root, *plan, "stopped", "killed")
        printed = finish(processes)
    assert processes[1].returncode == -9, printed
    assert processes[0].returncode != 0, printed
    (root / "printed").write_text(printed[0])
    for pairing, name in (("full", "one"), ("latin", "one_latin")):
        one_of_two.train(root / name, pairing=pairing, component=1, data=1)
    return root


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_two_processes_train_as_one(root):
    assert_same_log(root / "full", root / "one")
    assert_same_log(root / "latin", root / "one_latin")
    assert found(root, "full") == [list(range(2, STEPS + 1, 2)), []], "process 0 alone calls on_log"
    saved = [mg.load_for_sampling(root / name).log_weights for name in ("full", "one")]
    np.testing.assert_allclose(*saved, rtol=1e-5)


@pytest.mark.slow
def test_each_process_reads_its_rows_of_a_stream(root):
    read = []
    one_of_two.train(root / "whole", pairing="latin", read=read, component=1, data=1)
    ours = found(root, "latin")
    assert [len(part) for part in ours] == [STEPS * one_of_two.BATCH // 2] * 2
    assert sorted(ours[0] + ours[1]) == sorted(read)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "kind", "words"),
    [
        ("locked", "FolderInUseError", f"is in use by process {os.getpid()} on"),
        ("other_config", "ValueError", "config.rate: process 0 has 0.1, process 1 has 0.2"),
        ("log_on_a_full_disk", "SaveError", "cannot write the log"),
        ("failing_callback", "KeyError", "2"),
        ("stopped", "Interrupted", "stopped by SIGTERM after step 8"),
    ],
)
def test_one_process_stops_both_for_the_same_reason(root, name, kind, words):
    ours = found(root, name)
    for reason, text, seconds, *_ in ours:
        assert reason == kind and words in text
        assert seconds < 30 or name == "stopped"
    assert ours[0][:2] == ours[1][:2]


@pytest.mark.slow
def test_a_run_that_was_stopped_goes_on_with_the_same_numbers(root):
    assert_same_log(root / "stopped", root / "full")


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_killed_process_ends_the_other_and_the_run_continues_on_any_mesh(root):
    """Process 0 says so; one process trains on from what is saved, and two from what one saved."""
    assert mg.load_for_sampling(root / "killed").num_components == 4
    one_of_two.train(root / "killed", component=1, data=1, num_steps=10)
    processes = start_both(root, "continued")
    printed = finish(processes)
    assert [process.returncode for process in processes] == [0, 0], printed
    for name in ("killed", "continued"):
        assert_same_log(root / name, root / "one")


def test_joining_after_the_start_of_jax_is_refused():
    jax.devices()
    with pytest.raises(RuntimeError, match="distributed must be called before anything"):
        mg.distributed("localhost:1", 2, 0)
    with warnings.catch_warnings(), pytest.raises(ValueError, match="num_processes must be"):
        mg.distributed("localhost:1", 0, 0)
