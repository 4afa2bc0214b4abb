"""Entries of info that are too large for the log: summaries in the log, the whole to the quarantine, exact restarts."""

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import Killed, batch, first_quick, kill_at, plain_mlp, same, solver

import mixgan_jax as mg
from mixgan_jax.runs.quarantine import NonFiniteError
from mixgan_jax.runs.steps import run_steps
from mixgan_jax.runs.summaries import logged_names, summarise

KEY = jax.random.key(7)
K, SAMPLES = 128, 2
FEED = mg.Feed((), lambda key, _: batch(key, SAMPLES))
OPTIONS: dict[str, Any] = {"num_steps": 4, "log_every": 1, "save_every": 2}
ENDINGS = ("mean", "min", "max")


def hundreds() -> mg.Solver:
    """A game of 128 players of two hidden units on each side."""
    sizes = {"num_generators": K, "num_discriminators": K, "latent_size": 1}
    return solver(generator=plain_mlp(2, 2), discriminator=plain_mlp(2, None), **sizes)


def of_infos(make: Any) -> mg.Solver:
    """A solver whose state counts steps and whose info is ``make(step)``."""

    def init(key: Any) -> Any:
        return jnp.int32(0)

    def step(key: Any, state: Any, batch: Any) -> Any:
        return state + 1, make(state)

    return mg.Solver(init, step)


def matrix(step: Any) -> Any:
    return {"values": jax.random.normal(jax.random.fold_in(KEY, step), (K, K))}


RULES = {"infos of 128 players": lambda: of_infos(matrix), "128 players": hundreds}


@pytest.mark.parametrize("rule", first_quick(RULES))
def test_a_log_of_summaries_continues_as_if_never_killed(tmp_path: Path, rule: str) -> None:
    made, cut = RULES[rule](), tmp_path / "cut"
    whole = mg.fit(KEY, made, FEED, folder=tmp_path / "whole", **OPTIONS)
    # The checkpoint of step 2 is there, and its line of the log is not.
    with pytest.raises(Killed):
        mg.fit(KEY, made, FEED, folder=cut, on_log=kill_at(2), **OPTIONS)
    log = cut / "metrics.jsonl"
    log.write_text("".join(log.read_text().splitlines(keepends=True)[:1]))
    seen: list[int] = []

    def note(step: int, entry: Any) -> None:
        seen.append(step)

    assert same(mg.fit(KEY, made, FEED, folder=cut, on_log=note, **OPTIONS), whole)
    assert seen == [2, 3, 4], "the entry of step 2 came from the checkpoint"
    assert log.read_bytes() == (tmp_path / "whole" / "metrics.jsonl").read_bytes()
    assert {"values_mean", "values_min", "values_max"} < set(mg.read_records(log)[0])


def test_summaries_are_those_of_the_matrix(tmp_path: Path) -> None:
    entries: list[Any] = []
    mg.fit(
        KEY, of_infos(matrix), FEED, num_steps=1, on_log=lambda step, entry: entries.append(entry)
    )
    values = entries[0]["values"]
    assert values.shape == (K, K), "without a folder nothing is too large"
    mg.fit(KEY, of_infos(matrix), FEED, num_steps=1, folder=tmp_path)
    (line,) = mg.read_records(tmp_path)
    assert line == {
        "step": 1,
        "values_mean": np.mean(values, dtype=np.float64),
        "values_min": values.min(),
        "values_max": values.max(),
    }


def test_runs_of_a_sweep_are_summarised_apart(tmp_path: Path) -> None:
    """Each run's matrix is small enough; those of three together are not."""

    def info(step: Any) -> Any:
        return {"values": jnp.arange(4900.0).reshape(70, 70), "value": jnp.float32(step)}

    keys = jax.random.split(KEY, 3)
    mg.fit(keys, of_infos(info), FEED, folder=tmp_path, **OPTIONS)
    last = mg.read_records(tmp_path)[-1]
    assert last["values_mean"] == [2449.5] * 3
    assert (last["values_min"], last["values_max"]) == ([0.0] * 3, [4899.0] * 3)
    assert last["value"] == [3.0] * 3
    mg.fit(keys[0], of_infos(info), FEED, folder=tmp_path / "alone", **OPTIONS)
    assert np.shape(mg.read_records(tmp_path / "alone")[-1]["values"]) == (70, 70)


def test_the_quarantine_sees_the_whole(tmp_path: Path) -> None:
    """One entry of 14,400 is not finite at the third step."""

    def info(step: Any) -> Any:
        return {"values": jnp.zeros((120, 120)).at[3, 4].set(jnp.where(step == 2, jnp.inf, 0))}

    with pytest.raises(NonFiniteError, match="values was not finite in steps 3 to 3"):
        mg.fit(KEY, of_infos(info), FEED, folder=tmp_path, **OPTIONS)
    assert mg.read_records(tmp_path)[-1]["values_max"] == np.inf


def test_a_name_of_a_summary_is_taken(tmp_path: Path) -> None:
    large, number = jnp.zeros(20_000), jnp.float32(1.0)
    taken = of_infos(lambda step: {"far": large, "far_max": number})
    with pytest.raises(ValueError, match=r"no summary's name, got .*far_max"):
        mg.fit(KEY, taken, FEED, folder=tmp_path / "a", **OPTIONS)
    rule = of_infos(lambda step: {"far": large})
    options = {"evaluate": lambda key, state: {"far_min": number}, **OPTIONS}
    with pytest.raises(ValueError, match="names of its own, got 'far_min'"):
        mg.fit(KEY, rule, FEED, folder=tmp_path / "b", **options)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_summaries_show_what_is_not_finite(bad: float) -> None:
    values = np.zeros((2, 101, 100), np.float32)
    values[1, 5, 7] = bad
    found = summarise({"far": values, "near": values[0, 0]}, sweep=True)
    assert list(found) == logged_names({"far": values, "near": values[0, 0]}, sweep=True)
    assert list(found) == [*(f"far_{ending}" for ending in ENDINGS), "near"]
    assert np.isfinite([found[f"far_{ending}"][0] for ending in ENDINGS]).all()
    assert not np.isfinite([found[f"far_{ending}"][1] for ending in ENDINGS]).all()
    # Runs are never put together: so many scalars still do not fit.
    assert logged_names({"loss": np.zeros(10_001)}, sweep=True) == ["loss"]


def test_large_infos_are_averaged_without_being_stacked() -> None:
    """Each dtype averages as ``jnp.mean`` does; the program for 100 steps holds one matrix, not 100."""

    def info(step: Any) -> Any:
        far = (step + jnp.arange(K * K)).reshape(K, K).astype(jnp.float32)
        is_even = far % 2 == 0
        found = {"far": far, "half": far.astype(jnp.bfloat16), "count": far.astype(jnp.int32)}
        return {**found, "is_even": is_even, "near": far[0], "near_even": is_even[0]}

    def advance(state: Any, num_steps: int) -> Any:
        return run_steps(KEY, of_infos(info), FEED, (), state, 0, num_steps)

    start = jnp.int32(0)
    _, averages = jax.jit(advance, static_argnums=1)(start, 6)
    every = [info(jnp.int32(step)) for step in range(6)]
    for name, got in averages.items():
        stacked = np.stack([np.asarray(one[name], np.float64) for one in every])
        np.testing.assert_allclose(got, stacked.mean(0), rtol=1e-6, err_msg=name)
    program = jax.jit(advance, static_argnums=1).lower(start, 100).compile()
    assert program.memory_analysis().temp_size_in_bytes < 10 * K * K * 4
