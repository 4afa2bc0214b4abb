"""Benchmarks: what they compute from times, what they refuse, and that their parts run; never how long they take."""

import importlib.util
import json
import math
import threading
import time

import pytest
from helpers import slow

from experiments.benchmark import __main__ as benchmark, programs, streaming, tables
from experiments.benchmark.timing import Timing, interleaved, prepare, ratio
from experiments.benchmark.workloads import dcgan_game, flops, ring_game, scanned


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


def test_a_program_that_fails_is_named_and_the_others_go_on():
    late = iter([None])

    def grows():
        raise RuntimeError("CUDA out of memory. Tried to allocate 20.00 GiB")

    def stops():
        next(late)

    calls = {"good": lambda: None, "grows": grows, "stops": stops}
    times = interleaved(calls, dict.fromkeys(calls, 1), rounds=2, go_on=True)
    assert len(times["good"].rounds) == 2
    assert times["grows"].text() == "out of memory"
    assert times["stops"].text().startswith("failed, StopIteration")
    assert math.isnan(ratio(times["good"], times["grows"]))
    with pytest.raises(RuntimeError, match="out of memory"):
        interleaved(calls, dict.fromkeys(calls, 1), rounds=2)


def test_programs_are_prepared_at_once_and_errors_wait():
    together, met = threading.Barrier(2, timeout=60), []

    def meet():
        together.wait()
        met.append(True)

    prepare([meet, lambda: 1 / 0, meet], here=[lambda: 1 / 0, lambda: met.append(True)])
    assert len(met) == 3


@pytest.mark.parametrize(
    "game",
    [
        ring_game(64),
        ring_game(64, 2, "latin"),
        slow(dcgan_game(16, 2, width=32)),
        slow(dcgan_game(16, 2, "latin", 32)),
    ],
)
def test_operations_are_those_that_xla_counts(game):
    """XLA adds element-wise ones, and leaves out products with an image's padding."""
    counted = programs.lowered_step(game, strategy="unroll").cost_analysis()["flops"]
    assert flops(game) == pytest.approx(counted, rel=0.1)


def test_rows_are_saved_as_they_come(tmp_path, monkeypatch, capsys):
    file = tmp_path / "broken.json"

    def broken():
        yield {"ms": 1.0}
        assert len(json.loads(file.read_text())["rows"]) == 1
        yield {"ms": "out of memory", "more": 2}
        raise ArithmeticError("losses of JAX and PyTorch must agree")

    sections = {
        "broken": benchmark.Section("Broken", broken, {}),
        "whole": benchmark.Section("Whole", lambda: iter([[{"ms": 3.0}] * 2, {}]), {}),
    }
    monkeypatch.setattr(benchmark, "SECTIONS", sections)
    far = time.perf_counter() + 600
    assert not benchmark.measure_all(["broken", "whole"], "smoke", tmp_path, far)
    result = json.loads(file.read_text())
    assert "| 1 |  |" in tables.markdown(result)
    assert len(json.loads((tmp_path / "whole.json").read_text())["rows"]) == 3
    assert "ArithmeticError" in capsys.readouterr().err
    assert len(benchmark.run("whole", "smoke", tmp_path, until=0.0)["rows"]) == 2
    assert benchmark.measure_all(["whole"], "smoke", tmp_path, until=0.0)
    assert "no time is left for: whole" in capsys.readouterr().err


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

    assert disagreement(ring_game(8, components, pairing)) < 1e-4
    assert disagreement(dcgan_game(4, components, pairing, width=4)) < 1e-4
    assert 1e-6 < disagreement(dcgan_game(4, components, pairing, width=4, half=True)) < 1e-2


@pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="needs PyTorch")
@pytest.mark.slow
def test_sections_of_the_gpu_run_at_toy_size(tmp_path):
    benchmark.main(
        ["--only", "dcgan", "mlp", "strategies", "--preset", "smoke", "--runs", str(tmp_path)]
    )
    folder = tmp_path / "benchmark" / "smoke"
    rows = {path.stem: json.loads(path.read_text())["rows"] for path in folder.iterdir()}
    assert [row["precision"] for row in rows["dcgan"]] == ["float32", "bfloat16"]
    assert all(0 < row["jax share of peak"] < 1 for row in rows["dcgan"])
    assert {"jax scan", "torch tuned"} <= {row["program"] for row in rows["mlp"]}
    assert len(rows["strategies"]) == 9
    failures = [text for each in rows.values() for row in each for text in row.values()]
    assert not any("failed" in str(text) for text in failures)
