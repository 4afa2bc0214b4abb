"""The log of a run: exact values, valid after a kill, exact after a restart."""

import json
import math
import os
import signal
import subprocess
import sys
import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mixgan_jax.storage.records import MAX_VALUES, Records, read_records


def test_values_of_every_kind_read_back_exactly(tmp_path):
    third = np.float32(1) / np.float32(3)
    with Records(tmp_path / "new" / "run") as log:
        log.write(0, loss=jnp.asarray(third), modes=np.int64(8), done=np.bool_(True))
        log.write(
            5,
            weights=jnp.array([0.25, 0.75], jnp.bfloat16),
            payoffs=np.arange(6.0).reshape(2, 3),
            listed=[1, 2],
            empty=np.zeros(0),
            **{"loss/generator": 0.1},
        )
    assert read_records(tmp_path / "new" / "run" / "metrics.jsonl") == [
        {"step": 0, "loss": float(third), "modes": 8, "done": True},
        {
            "step": 5,
            "weights": [0.25, 0.75],
            "payoffs": [[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]],
            "listed": [1, 2],
            "empty": [],
            "loss/generator": 0.1,
        },
    ]


def test_non_finite_numbers_stay_apart_and_the_file_is_strict_json(tmp_path):
    with Records(tmp_path) as log:
        log.write(1, a=jnp.nan, b=[jnp.inf, -jnp.inf, 1.0])

    def refuse(name):
        raise AssertionError(f"{name} is not JSON")

    line = (tmp_path / "metrics.jsonl").read_text()
    assert json.loads(line, parse_constant=refuse)["b"] == ["Infinity", "-Infinity", 1.0]
    (record,) = read_records(tmp_path)
    assert math.isnan(record["a"]) and record["b"] == [math.inf, -math.inf, 1.0]


def test_a_line_is_on_disk_before_close(tmp_path):
    log = Records(tmp_path)
    log.write(3, loss=1.0)
    assert read_records(tmp_path) == [{"step": 3, "loss": 1.0}]
    log.close()
    log.close()
    with pytest.raises(ValueError, match="closed"):
        log.write(4, loss=1.0)


@pytest.mark.parametrize("tail", [b'{"step": 3, "lo', b'{"step": 3, "loss": 2.0}', b"\xff\x00"])
def test_an_incomplete_last_line_is_dropped(tmp_path, tail):
    with Records(tmp_path) as log:
        log.write(1, loss=1.0)
    with (tmp_path / "metrics.jsonl").open("ab") as file:
        file.write(tail)
    assert read_records(tmp_path) == [{"step": 1, "loss": 1.0}]
    with Records(tmp_path) as log:
        log.write(3, loss=9.0)
    assert read_records(tmp_path) == [{"step": 1, "loss": 1.0}, {"step": 3, "loss": 9.0}]


def test_the_log_of_a_resumed_run_is_that_of_an_uninterrupted_one(tmp_path):
    def train(log, steps):
        for step in steps:
            log.write(step, loss=1.0 / (step + 1), weights=np.array([0.5, step]))

    with Records(tmp_path / "whole") as log:
        train(log, range(0, 10))
    with Records(tmp_path / "cut") as log:
        train(log, range(0, 7))
    with (tmp_path / "cut" / "metrics.jsonl").open("ab") as file:
        file.write(b'{"step": 7, ')
    with Records(tmp_path / "cut", resume_step=4) as log:
        train(log, range(5, 10))
    Records(tmp_path / "cut").close()
    whole, cut = (tmp_path / name / "metrics.jsonl" for name in ("whole", "cut"))
    assert cut.read_bytes() == whole.read_bytes()
    assert not list((tmp_path / "cut").glob("*.tmp"))
    Records(tmp_path / "cut", resume_step=-1).close()
    assert read_records(tmp_path / "cut") == []


def test_lines_survive_a_kill(tmp_path):
    program = (
        "import sys, itertools\n"
        "from mixgan_jax.storage.records import Records\n"
        "log = Records(sys.argv[1])\n"
        "for step in itertools.count():\n"
        "    log.write(step, loss=0.5, weights=[0.1] * 500)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", program, str(tmp_path)])
    path = tmp_path / "metrics.jsonl"
    try:
        deadline = time.monotonic() + 30
        while not (path.exists() and path.stat().st_size > 50_000):
            assert time.monotonic() < deadline and process.poll() is None
            time.sleep(0.01)
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    steps = [record["step"] for record in read_records(tmp_path)]
    assert len(steps) > 5 and steps == list(range(len(steps)))


def test_a_corrupt_complete_line_is_named(tmp_path):
    (tmp_path / "metrics.jsonl").write_text('{"step": 1}\n{"step": \n{"step": 3}\n')
    with pytest.raises(ValueError, match="line 2"):
        read_records(tmp_path)
    with pytest.raises(ValueError, match="line 2"):
        Records(tmp_path, resume_step=1)


@pytest.mark.parametrize(
    ("value", "error"),
    [
        ("text", TypeError),
        (1j, TypeError),
        (None, TypeError),
        (jax.random.key(0), TypeError),
        ([[1.0], [1.0, 2.0]], ValueError),
        (np.zeros(MAX_VALUES + 1), ValueError),
    ],
)
def test_what_is_no_small_array_is_refused_by_name_and_not_written(tmp_path, value, error):
    with Records(tmp_path) as log, pytest.raises(error, match="metric must be"):
        log.write(1, fine=1.0, metric=value)
    assert read_records(tmp_path) == []


@pytest.mark.parametrize(("bad", "error"), [(-2, ValueError), (1.5, TypeError), (True, TypeError)])
def test_bad_steps_are_refused(tmp_path, bad, error):
    with pytest.raises(error, match="resume_step must be"):
        Records(tmp_path, resume_step=bad)
    with Records(tmp_path) as log, pytest.raises(error, match="step must be"):
        log.write(bad, loss=1.0)


def test_tensorboard_gets_every_number(tmp_path, monkeypatch):
    board = pytest.importorskip("tensorboardX")
    seen, made = [], []

    class Writer(board.SummaryWriter):
        def __init__(self, *args, **kwargs):
            made.append(kwargs)
            super().__init__(*args, **kwargs)

        def add_scalar(self, tag, value, step):
            seen.append((tag, float(value), step))
            super().add_scalar(tag, value, step)

    monkeypatch.setattr(board, "SummaryWriter", Writer)
    with Records(tmp_path, resume_step=6, tensorboard=True) as log:
        log.write(7, loss=0.5, weights=[0.25, 0.75])
    assert seen == [("loss", 0.5, 7), ("weights/0", 0.25, 7), ("weights/1", 0.75, 7)]
    assert made == [{"purge_step": 7}]
    assert list(tmp_path.glob("events.out.tfevents.*"))


def test_missing_tensorboardx_says_how_to_install_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    with pytest.raises(ImportError, match="pip install tensorboardX"):
        Records(tmp_path, tensorboard=True)
