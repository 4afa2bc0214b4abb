"""A disk that fills up while a run saves: one clear error, the last good checkpoint intact, and the same end later.

A small file system in memory where this process may mount one; otherwise these tests are skipped.
"""

import contextlib
import os
import subprocess
import time
from pathlib import Path

import jax
import pytest
from helpers import feed, first_quick, same, solver

import mixgan_jax as mg
from mixgan_jax.storage.checkpoint import FOLDER_NAME

KEY = jax.random.key(7)
OPTIONS = {"num_steps": 12, "log_every": 2}
# Leaves room for two checkpoints of the small game, and not for a third.
FILLER = "filler"


@pytest.fixture
def disk(tmp_path):
    """A file system of 4 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(folder)]
    try:
        subprocess.run(mount, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("may not mount a file system")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(folder: Path, spare: int = 0) -> None:
    """Takes all of the disk but ``spare`` bytes."""
    with (folder / FILLER).open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(512))
    if spare:
        os.truncate(folder / FILLER, (folder / FILLER).stat().st_size - spare)


@pytest.mark.parametrize("spare", first_quick([0, 8192, 65536]))
def test_a_full_disk_stops_the_run_and_space_lets_it_go_on(disk, tmp_path, spare):
    """Full at once, full for checkpoints only, and somewhere between."""
    run = disk / "run"

    def at_six(step, _):
        if step == 6:
            while not (run / FOLDER_NAME / "4").exists():
                time.sleep(0.01)
            fill(disk, spare)

    with pytest.raises(mg.SaveError) as caught:
        mg.fit(KEY, solver(), feed(), folder=run, save_every=4, on_log=at_six, **OPTIONS)
    (whole,) = [path.name for path in (run / FOLDER_NAME).iterdir() if path.name.isdecimal()]
    assert whole == "4"
    assert f"the checkpoint of step 4 is kept in {run}" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert all(record["step"] > 0 for record in mg.read_records(run))
    (disk / FILLER).unlink()
    resumed = mg.fit(KEY, solver(), feed(), folder=run, save_every=4, **OPTIONS)
    other = mg.fit(KEY, solver(), feed(), folder=tmp_path / "whole", save_every=4, **OPTIONS)
    assert same(resumed, other)
    logs = [path / "metrics.jsonl" for path in (run, tmp_path / "whole")]
    assert logs[0].read_bytes() == logs[1].read_bytes()


def test_a_line_of_the_log_is_written_whole_or_not_at_all(disk):
    with mg.Records(disk) as log:
        log.write(1, loss=1.0)
        fill(disk)
        with pytest.raises(OSError, match="No space left"):
            for step in range(2, 1000):
                log.write(step, values=[0.1] * 500)
        (disk / FILLER).unlink()
        log.write(1000, loss=2.0)
    steps = [record["step"] for record in mg.read_records(disk)]
    assert steps[0] == 1 and steps[-1] == 1000
