"""Two processes train one game: the numbers, files and errors of one process, and no process waits for a lost one."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import one_of_two
import pytest

import mixgan_jax as mg
from mixgan_jax import processes
from mixgan_jax.storage import layout
from mixgan_jax.storage.lock import lock_folder

PROGRAM = Path(one_of_two.__file__)
ROOT = PROGRAM.parents[2]
STEPS = 12

pytestmark = pytest.mark.timeout(900)


def start_both(root, *plan):
    """Starts both processes. Each plans the same."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "JAX_PLATFORMS": "cpu",
        "NPROC": "16",  # threads for four devices that wait for each other
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


def finish(processes, timeout=800):
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
    one_of_two.train(root / "continued", component=4, data=2, num_steps=4)
    with lock_folder(root / "locked"):
        quick = ("locked", "other_config", "folder_of_each", "log_on_a_full_disk")
        quick += ("unreadable_stream", "sweep", "part_over_a_quota", "no_new_folder")
        quick += ("unreadable_part",)
        processes = start_both(root, "full", "latin", *quick, "stopped", "continued", "killed")
        printed = finish(processes)
    assert processes[1].returncode == -9, printed
    assert processes[0].returncode != 0, printed
    (root / "printed").write_text(printed[0])
    one_of_two.train(root / "one", mesh=None)
    one_of_two.train(root / "one_latin", mesh=None, pairing="latin")
    one_of_two.train(root / "one_sweep", mesh=None, key=jax.random.split(jax.random.key(0), 4))
    return root


@pytest.mark.slow
def test_two_processes_train_as_one(root):
    assert_same_log(root / "full", root / "one")
    assert_same_log(root / "latin", root / "one_latin")
    assert_same_log(root / "sweep", root / "one_sweep")
    assert found(root, "full") == [list(range(2, STEPS + 1, 2)), []], "process 0 alone calls on_log"
    saved = [mg.load_for_sampling(root / name).log_weights for name in ("full", "one")]
    np.testing.assert_allclose(*saved, rtol=1e-5)


@pytest.mark.slow
def test_each_process_reads_its_rows_of_a_stream(root):
    read = []
    one_of_two.train(root / "whole", pairing="latin", read=read, mesh=None)
    ours = found(root, "latin")
    assert [len(part) for part in ours] == [STEPS * one_of_two.BATCH // 2] * 2
    assert sorted(ours[0] + ours[1]) == sorted(read)
    assert found(root, "sweep") == [2 * STEPS * one_of_two.BATCH] * 2, "two runs of four each"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "kind", "words"),
    [
        ("locked", "FolderInUseError", "is in use by process"),
        ("other_config", "ValueError", "config.rate: process 0 has 0.1, process 1 has 0.2"),
        ("folder_of_each", "ValueError", "folder must be one that all processes see"),
        ("log_on_a_full_disk", "SaveError", "cannot write the log"),
        ("unreadable_stream", "OSError", "Input/output error"),
        ("part_over_a_quota", "SaveError", "quota (process 1: "),
        ("no_new_folder", "SaveError", "(process 0: OSError: [Errno 28] No space left on device)"),
        ("unreadable_part", "ValueError", "full/checkpoints can be read: [8, 12]"),
        ("stopped", "Interrupted", "stopped by SIGTERM after step 8"),
    ],
)
def test_one_process_stops_both_for_the_same_reason(root, name, kind, words):
    ours = found(root, name)
    for reason, text, *_ in ours:
        assert reason == kind and words in text
    assert name != "locked" or f"process {os.getpid()} on" in ours[0][1]
    assert ours[0][:2] == ours[1][:2]
    assert abs(ours[0][2] - ours[1][2]) < 30, "one of them waited"
    assert max(ours[0][2], ours[1][2]) < 200, "both waited"


@pytest.mark.slow
def test_steps_without_their_images_are_not_logged(root):
    """Process 1 cannot read the images of step 7. The newest checkpoint is that of step 4."""
    assert [line["step"] for line in mg.read_records(root / "unreadable")] == [2, 4]


@pytest.mark.slow
def test_runs_change_their_mesh_and_number_of_processes(root):
    """From two processes to one, and from one to two."""
    saved = sorted(path.name for path in (root / "stopped" / "checkpoints").iterdir())
    assert saved == ["4", "8"]
    one_of_two.train(root / "stopped", component=2, data=2)
    for name in ("stopped", "continued"):
        assert_same_log(root / name, root / "one")


@pytest.mark.slow
def test_parts_of_arrays_have_checksums(root):
    """Two processes hold parts each; one process, which reads them, finds damage in any."""
    stored = json.loads((root / "full/checkpoints/12/layout/metadata").read_text())["items"][
        "state"
    ]
    shared = [entry for entry in stored if isinstance(entry[3], list)]
    assert shared and all(isinstance(entry[3], int) for entry in stored if entry not in shared)
    like = jax.eval_shape(one_of_two.game().init, jax.random.key(0))
    with mg.Checkpoints(root / "full") as checkpoints:
        _, state = checkpoints.restore_latest(like)
    layout.verify(stored, state)
    name, (components, *_), *_ = shared[0]
    for component in range(components):

        def damaged(path, leaf, component=component):
            is_meant = jax.tree_util.keystr(path, simple=True, separator="/") == name
            return leaf.at[component].add(1.0) if is_meant else leaf

        with pytest.raises(ValueError, match=f"{name} is not what was stored"):
            layout.verify(stored, jax.tree_util.tree_map_with_path(damaged, state))


@pytest.mark.slow
def test_a_killed_process_ends_the_other_and_the_same_command_goes_on(root):
    printed = (root / "printed").read_text()
    assert "unhealthy" in printed, "JAX names the lost process"
    assert printed.splitlines()[-1].startswith("mixgan_jax: process ")
    assert printed.endswith("checkpoints are whole, and the same command continues\n")
    assert mg.load_for_sampling(root / "killed").num_components == 4
    processes = start_both(root, "again")
    printed = finish(processes)
    assert [process.returncode for process in processes] == [0, 0], printed
    assert_same_log(root / "killed", root / "one")


def test_joining_after_the_start_of_jax_is_refused():
    jax.devices()
    with pytest.raises(RuntimeError, match="distributed must be called before anything"):
        mg.distributed("localhost:1", 2, 0)
    with pytest.raises(ValueError, match="num_processes must be"):
        mg.distributed("localhost:1", 0, 0)


def test_an_error_of_another_process_has_its_class_and_words():
    def sent(error):
        return processes._rebuilt(*processes._described(error))

    kept = sent(mg.SaveError("full"))
    assert isinstance(kept, mg.SaveError) and str(kept) == "full"
    found = sent(FileNotFoundError(2, "No such file", "a.txt"))
    assert isinstance(found, FileNotFoundError) and "No such file" in str(found)
    # Its class writes other words around them.
    assert repr(sent(KeyError("a"))) == repr(RuntimeError("KeyError: 'a'"))
    assert processes._rebuilt("NowhereError", "lost").args == ("NowhereError: lost",)


def test_each_field_that_differs_is_named(monkeypatch):
    calls = [{"key": "[0, 1]", "config.rate": "0.1"}, {"key": "[0, 1]", "code": "b"}]
    monkeypatch.setattr(processes, "gather", lambda message: calls)
    with pytest.raises(ValueError) as caught:
        processes.check_same({})
    assert str(caught.value).splitlines()[1:] == [
        "  config.rate: process 0 has 0.1, process 1 has nothing",
        "  code: process 0 has nothing, process 1 has b",
    ]
