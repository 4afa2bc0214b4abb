"""Benchmarks: what they compute from times, what they refuse, and that their parts run; never how long they take."""

import importlib.util
import json

import pytest

from experiments.benchmark import __main__ as benchmark, programs, streaming, tables
from experiments.benchmark.timing import Timing, interleaved, ratio
from experiments.benchmark.workloads import ring_game, scanned


def test_ratios_are_taken_within_rounds():
    """A machine that slows down threefold from round to round changes no ratio."""
    a, b = Timing([2.0, 6.0, 18.0]), Timing([1.0, 3.0, 9.0])
    assert ratio(a, b) == 2.0
    assert a.median == 6.0
    assert a.text(1e3, 0) == "6000 (2000-18000)"


def test_programs_take_turns_after_a_warm_up():
    calls = []
    programs = {name: lambda name=name: calls.append(name) for name in "ab"}
    times = interleaved(programs, {"a": 1, "b": 10}, rounds=2)
    assert calls == list("ababab")
    assert all(len(timing.rounds) == 2 for timing in times.values())


def test_a_scanned_program_goes_on_training():
    program = scanned(ring_game(8, width=4), steps=2)
    first, second = (program().generators.params["Dense_0"]["kernel"] + 0 for _ in range(2))
    assert (first != second).any()


@pytest.mark.slow
def test_tables_are_written_and_shown(tmp_path, capsys):
    benchmark.main(["--only", "batch", "seeds", "--preset", "smoke", "--runs", str(tmp_path)])
    assert "B=32" in capsys.readouterr().out
    result = json.loads((tmp_path / "benchmark" / "smoke" / "batch.json").read_text())
    assert {"commit", "versions", "hardware", "rows"} <= set(result)
    assert tables.markdown(result).count("\n| ") == 3  # the head and two rows


def test_bad_command_lines_say_what_is_missing(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    for arguments, message in (
        (["--only", "mlp"], "pip install -e '.[bench]'"),
        (["--only", "speed"], "invalid choice"),
        (["--keep"], "needs tables"),
    ):
        with pytest.raises(SystemExit) as stop:
            benchmark.main([*arguments, "--runs", str(tmp_path)])
        assert stop.value.code == 2
        assert message in capsys.readouterr().err


def test_peak_memory_is_this_programs():
    before = programs.peak_resident()
    block = bytearray(64 * 2**20)
    block[:: 2**10] = b"x" * len(block[:: 2**10])
    assert programs.peak_resident() >= before
    assert 10 * 2**20 < before < 64 * 2**30


@pytest.mark.slow
def test_streaming_is_measured_against_resident_images():
    rows = streaming.table(widths=(4,), steps=1, rounds=1, images=70, threads=1)
    assert [row["images"] for row in rows] == ["resident", "npz", "tfds"]
    assert all(row["width 4: ms"] > 0 for row in rows)


@pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="needs PyTorch")
@pytest.mark.slow
@pytest.mark.parametrize(("components", "pairing"), [(1, "full"), (2, "full"), (2, "latin")])
def test_pytorch_does_the_same_work(components, pairing):
    from experiments.benchmark.against_torch import disagreement
    from experiments.benchmark.workloads import dcgan_game

    assert disagreement(ring_game(8, components, pairing)) < 1e-4
    assert disagreement(dcgan_game(4, components, pairing, width=4)) < 1e-4
