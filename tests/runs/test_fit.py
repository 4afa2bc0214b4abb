"""fit: loop is scan, restart is the uninterrupted run, seeds are runs of their own, logs and errors."""

import json
import os
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from helpers import GENERATOR, LATENT, Killed, batch, feed, first_quick, kill_at, same, solver

import mixgan_jax as mg
from mixgan_jax.runs.steps import evaluation_key, run_keys

STEPS = 12
KEY = jax.random.key(7)


@pytest.mark.parametrize("log_every", first_quick([1, 4, 5]))
def test_a_loop_of_steps_is_the_scan_bit_for_bit(log_every):
    """A loop of jitted steps, one scan, and chunks of any length (also one that leaves a rest) agree."""
    rule = solver()
    init_key, steps_key, _ = jax.random.split(KEY, 3)
    state = jax.jit(rule.init)(init_key)

    @jax.jit
    def step(state, index):
        batch_key, step_key = jax.random.split(jax.random.fold_in(steps_key, index))
        return rule.step(step_key, state, batch(batch_key))[0]

    for index in range(STEPS):
        state = step(state, jnp.int32(index))
    assert same(mg.fit(KEY, rule, feed(), num_steps=STEPS, log_every=log_every), state)


@pytest.mark.slow
def test_a_whole_run_as_one_program_is_fit():
    run = jax.jit(partial(mg.run, solver=solver(), feed=feed(), num_steps=STEPS, log_every=4))
    state, infos = run(KEY)
    assert same(state, mg.fit(KEY, solver(), feed(), num_steps=STEPS, log_every=4))
    assert infos["values"].shape == (3, 2, 3)


def test_each_seed_of_a_sweep_is_a_run_of_its_own():
    keys = jax.random.split(KEY, 3)
    together = mg.fit(keys, solver(), feed(), num_steps=STEPS, log_every=4)
    alone = mg.fit(keys[1], solver(), feed(), num_steps=STEPS, log_every=4)
    one = jax.tree.map(lambda leaf: leaf[1], together)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-4, atol=2e-5), one, alone)


@pytest.mark.slow
def test_runs_spread_over_devices_are_the_same_runs():
    """Four runs on four of the eight devices, with a data set that all of them share."""
    data = batch(jax.random.key(3), 50)
    held = mg.Feed(data, lambda key, arrays: arrays[jax.random.randint(key, (12,), 0, 50)])
    keys = jax.random.split(KEY, 4)
    spread = mg.spread_over_devices(keys)
    assert len(spread.sharding.device_set) == 4
    options = {"num_steps": STEPS, "log_every": 4}
    apart, together = (mg.fit(k, solver(), held, **options) for k in (spread, keys))
    assert len(jax.tree.leaves(apart)[0].sharding.device_set) == 4
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-4, atol=2e-5), apart, together
    )
    assert len(mg.spread_over_devices(jax.random.split(KEY, 6)).sharding.device_set) == 6
    assert len(mg.spread_over_devices(jax.random.split(KEY, 11)).sharding.device_set) == 1


@pytest.mark.parametrize("runs", first_quick(["one", "two", "two on two devices"]))
def test_a_killed_run_started_again_is_the_uninterrupted_run_bit_for_bit(tmp_path, runs):
    key = KEY if runs == "one" else jax.random.split(KEY, 2)
    key = mg.spread_over_devices(key) if runs == "two on two devices" else key
    options = {"num_steps": STEPS, "log_every": 2, "save_every": 4, "config": {"a": 1}}

    def evaluate(key, state):
        return {"draw": jax.random.normal(key) + jnp.sum(state.generators.log_weights)}

    options |= {"evaluate": evaluate, "evaluate_every": 4}
    whole = mg.fit(key, solver(), feed(), folder=tmp_path / "whole", **options)
    with pytest.raises(Killed):
        mg.fit(key, solver(), feed(), folder=tmp_path / "cut", on_log=kill_at(10), **options)
    seen = []
    resumed = mg.fit(
        key,
        solver(),
        feed(),
        folder=tmp_path / "cut",
        on_log=lambda step, _: seen.append(step),
        **options,
    )
    assert seen == [10, 12], "it went on from the checkpoint at step 8"
    assert same(resumed, whole)
    logs = [(tmp_path / name / "metrics.jsonl").read_text() for name in ("whole", "cut")]
    assert logs[0] == logs[1]
    assert len(logs[0].splitlines()) == STEPS / 2
    again = mg.fit(key, solver(), feed(), folder=tmp_path / "cut", on_log=kill_at(0), **options)
    assert same(again, whole), "a finished run is read, not trained again"


CHILD = """
import sys
import jax
sys.path.insert(0, sys.argv[2])
from helpers import feed, solver
import mixgan_jax as mg
from mixgan_jax.runs.steps import evaluation_key, run_keys
mg.fit(jax.random.key(7), solver(), feed(), num_steps=400, log_every=10, save_every=50,
       folder=sys.argv[1], on_log=lambda step, _: print(step, flush=True))
"""


@pytest.mark.slow
def test_kill_nine_of_a_real_process_loses_no_saved_work(tmp_path):
    here = str(Path(__file__).parents[1])
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(here).parent), here])}
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(tmp_path), here],
        stdout=subprocess.PIPE,
        env=environment,
        text=True,
    )
    for line in child.stdout:
        if int(line) >= 250:
            break
    child.send_signal(signal.SIGKILL)
    child.wait()
    lines = (tmp_path / "metrics.jsonl").read_text().splitlines()
    assert len([json.loads(line) for line in lines]) >= 25
    seen = []
    options = {"num_steps": 400, "log_every": 10}
    state = mg.fit(
        KEY, solver(), feed(), folder=tmp_path, on_log=lambda step, _: seen.append(step), **options
    )
    assert seen[0] >= 160, "started over although checkpoints existed"
    assert same(state, mg.fit(KEY, solver(), feed(), **options))


def test_generators_load_for_sampling_in_one_line(tmp_path):
    state = mg.fit(KEY, solver(), feed(), num_steps=4, log_every=2, folder=tmp_path)
    mixture = mg.load_for_sampling(tmp_path, like=state.generators)
    latents = jax.random.normal(jax.random.key(0), (5, LATENT))
    ours, _ = mg.sample(jax.random.key(1), GENERATOR, state.generators, latents)
    theirs, _ = mg.sample(jax.random.key(1), GENERATOR, mixture, latents)
    np.testing.assert_array_equal(ours, theirs)


def test_another_run_in_the_same_folder_is_refused(tmp_path):
    options = {"num_steps": 4, "log_every": 2, "folder": tmp_path}
    mg.fit(KEY, solver(), feed(), config={"batch": 12}, **options)
    with pytest.raises(ValueError, match=r"batch.*12.*13"):
        mg.fit(KEY, solver(), feed(), config={"batch": 13}, **options)
    with pytest.raises(ValueError, match="key"):
        mg.fit(jax.random.key(8), solver(), feed(), config={"batch": 12}, **options)
    with pytest.raises(ValueError, match="num_steps must be >= 4"):
        mg.fit(KEY, solver(), feed(), config={"batch": 12}, **{**options, "num_steps": 2})


@pytest.mark.slow
def test_a_run_that_is_continued_beyond_its_end_finds_the_grid_again(tmp_path):
    """Five steps are no multiple of log_every; the longer run logs and saves where it always would have."""
    mg.fit(KEY, solver(), feed(), num_steps=5, log_every=2, folder=tmp_path)
    seen = []
    options = {"num_steps": 12, "log_every": 2}
    state = mg.fit(
        KEY, solver(), feed(), folder=tmp_path, on_log=lambda step, _: seen.append(step), **options
    )
    assert seen == [6, 8, 10, 12]
    assert same(state, mg.fit(KEY, solver(), feed(), **options))


def test_no_two_uses_of_randomness_share_a_key():
    keys = run_keys(KEY)
    used = [keys.init, *(jax.random.fold_in(keys.steps, i) for i in range(5))]
    used += [evaluation_key(KEY, step) for step in range(5)]
    used += [part for key in used for part in jax.random.split(key, 3)]
    data = {tuple(jax.random.key_data(key).tolist()) for key in used}
    assert len(data) == len(used)


def test_what_needs_a_folder_says_so():
    with pytest.raises(ValueError, match="folder must be given for save_every = 4"):
        mg.fit(KEY, solver(), feed(), num_steps=4, log_every=2, save_every=4)


def test_an_old_style_key_is_named():
    with pytest.raises(TypeError, match="key must be a typed random key"):
        mg.fit(jax.random.PRNGKey(0), solver(), feed(), num_steps=4, log_every=2)


def test_feeds_of_arrays_are_arguments_of_the_program():
    """A data set must not become a constant of the compiled program."""
    data = jnp.ones((50, 2))
    held = mg.Feed(data, lambda key, arrays: jax.random.choice(key, arrays, (12,)))
    state = solver().init(KEY)
    jaxpr = jax.make_jaxpr(
        lambda arrays: mg.run_steps(KEY, solver(), held, arrays, state, jnp.int32(0), 2)
    )(data)
    assert all(getattr(constant, "shape", ()) != data.shape for constant in jaxpr.consts)


@pytest.mark.parametrize("name", ["save_every", "evaluate_every"])
def test_intervals_must_be_multiples_of_the_logs(name, tmp_path):
    options = {"num_steps": 8, "log_every": 4, "folder": tmp_path, name: 6}
    with pytest.raises(ValueError, match=f"{name} must be a multiple of log_every = 4, got 6"):
        mg.fit(KEY, solver(), feed(), **options)


def test_bad_counts_are_named():
    with pytest.raises(ValueError, match="num_steps must be a whole number >= 1, got 0"):
        mg.fit(KEY, solver(), feed(), num_steps=0)
    with pytest.raises(ValueError, match="log_every must divide num_steps = 10, got 4"):
        mg.run(KEY, solver(), feed(), num_steps=10, log_every=4)


@pytest.mark.parametrize("impl", ["rbg", "unsafe_rbg"])
def test_a_sweep_over_keys_that_vmap_does_not_keep_apart_is_refused(impl):
    """Runs would all draw from the first key: no seed would be what it is alone."""
    keys = jax.random.split(jax.random.key(0, impl=impl), 3)
    expected = rf"must be keys that vmap keeps apart, got keys \(3,\) of {impl}.*threefry2x32"
    with pytest.raises(ValueError, match=f"key {expected}"):
        mg.fit(keys, solver(), feed(), num_steps=2)
    with pytest.raises(ValueError, match=f"keys {expected}"):
        mg.spread_over_devices(keys)


def test_the_implementation_of_a_key_is_a_part_of_the_run(tmp_path):
    """Keys of rbg and unsafe_rbg are the same four numbers, and give others."""
    keys = [jax.random.key(3, impl=impl) for impl in ("rbg", "unsafe_rbg")]
    assert same(*map(jax.random.key_data, keys))
    options = {"num_steps": 1, "log_every": 1, "folder": tmp_path}
    noise = optax.add_noise(0.1, 0.5, keys[0])  # whose key lies in the state
    rule = solver(generator_tx=optax.chain(noise, optax.sgd(0.1)))
    state = mg.fit(keys[0], rule, feed(), **options)
    assert same(mg.fit(keys[0], rule, feed(), **options).generators, state.generators)
    with pytest.raises(ValueError, match="key_impl"):
        mg.fit(keys[1], rule, feed(), **options)
