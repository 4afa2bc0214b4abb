"""Checkpoints: bit-exact, asynchronous, refused in words where they do not fit."""

import dataclasses
import logging
import random
import subprocess
import sys
import time
import warnings
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from helpers import first_quick
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from mixgan_jax.players.mixture import Mixture
from mixgan_jax.storage.checkpoint import Checkpoints, load_for_sampling


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class TrainState:
    generators: Mixture
    opt_state: Any
    empty: Any
    key: jax.Array
    keys: jax.Array
    step: jax.Array


def make_state(seed: int, width: int = 4) -> TrainState:
    """Awkward values: bfloat16, a NaN's payload, -0.0, subnormals, typed keys, empty trees."""
    key = jax.random.key(seed)
    odd = np.array([-0.0, 1e-42, np.inf, 0.1], np.float32)
    odd_nan = np.array([0x7FC12345 + seed], np.uint32).view(np.float32)
    params = {
        "Dense_0": {
            "kernel": jax.random.normal(key, (3, 5, width)).astype(jnp.bfloat16),
            "bias": jnp.asarray(np.concatenate([odd, odd_nan])),
        },
        "none": {},
    }
    return TrainState(
        generators=Mixture(params, {}, jax.nn.log_softmax(jnp.arange(3.0) * 0.3)),
        opt_state=optax.adam(1e-3).init(params),
        empty=(),
        key=key,
        keys=jax.random.split(jax.random.key(seed, impl="rbg"), 2),
        step=jnp.asarray(seed, jnp.int32),
    )


def as_bytes(leaf):
    if isinstance(leaf, jax.Array) and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        return str(leaf.dtype), np.asarray(jax.random.key_data(leaf)).tobytes()
    return type(leaf), leaf.dtype, leaf.shape, np.asarray(leaf).tobytes()


def assert_same_bits(actual, expected):
    assert jax.tree.structure(actual) == jax.tree.structure(expected)
    assert [as_bytes(leaf) for leaf in jax.tree.leaves(actual)] == [
        as_bytes(leaf) for leaf in jax.tree.leaves(expected)
    ]


def damage(directory, step, item):
    for path in (directory / "checkpoints" / str(step) / item).rglob("*"):
        if path.is_file():
            path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


@pytest.mark.parametrize("template", ["concrete", "abstract"])
def test_a_state_comes_back_bit_for_bit_in_a_fresh_manager(tmp_path, template):
    state = make_state(3)
    with Checkpoints(tmp_path / "new" / "run") as checkpoints:
        assert checkpoints.restore_latest(state) is None
        assert checkpoints.save(7, state)
    like = make_state(4) if template == "concrete" else jax.eval_shape(lambda: make_state(4))
    with Checkpoints(tmp_path / "new" / "run") as checkpoints:
        step, restored = checkpoints.restore_latest(like)
    assert step == 7 and type(step) is int
    assert_same_bits(restored, state)


def test_numpy_leaves_keep_type_and_width(tmp_path):
    state = {"wide": np.array([1 / 3]), "scalar": np.float64(1 / 3), "count": 7, "rate": 1 / 3}
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(0, state)
        like = {"wide": np.zeros(1), "scalar": np.float64(0), "count": 0, "rate": 0.0}
        _, restored = checkpoints.restore_latest(like)
    assert_same_bits(restored["wide"], state["wide"])
    for name in ("scalar", "count", "rate"):
        assert restored[name] == state[name] and type(restored[name]) is type(state[name])


def test_a_state_without_any_array_passes(tmp_path):
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(2, {})
        assert checkpoints.restore_latest({}) == (2, {})


def test_the_state_may_be_donated_while_it_is_being_written(tmp_path):
    advance = jax.jit(lambda state: state + 1, donate_argnums=0)
    state = jnp.zeros((1000, 1000), jnp.int32)
    with Checkpoints(tmp_path, max_to_keep=3) as checkpoints:
        for step in range(6):
            checkpoints.save(step, state)
            for _ in range(3):
                state = advance(state)
        assert checkpoints.steps == [3, 4, 5]
        step, restored = checkpoints.restore_latest(state)
    assert step == 5 and np.array_equal(np.unique(restored), [15])


def test_repeated_and_falling_steps(tmp_path):
    with Checkpoints(tmp_path, max_to_keep=5) as checkpoints:
        for step in (0, 10, 24):
            assert checkpoints.save(step, {"x": jnp.asarray(step)})
        assert not checkpoints.save(24, {"x": jnp.asarray(-1)})
        with pytest.raises(ValueError, match="step must be >= 24"):
            checkpoints.save(20, {"x": jnp.asarray(-1)})
        assert checkpoints.steps == [0, 10, 24]
        step, state = checkpoints.restore_latest({"x": jnp.asarray(0)})
    assert (step, int(state["x"])) == (24, 24)


def test_restored_arrays_take_the_sharding_of_the_template(tmp_path):
    values = jnp.arange(16.0).reshape(8, 2)
    num_devices = len(jax.devices())
    mesh = Mesh(np.array(jax.devices()), ("component",))
    sharding = NamedSharding(mesh, PartitionSpec("component"))
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(1, {"x": values, "key": jax.random.key(0)})
        key = jax.eval_shape(lambda: jax.random.key(1))
        template = {"x": jax.ShapeDtypeStruct((8, 2), jnp.float32, sharding=sharding), "key": key}
        _, split = checkpoints.restore_latest(template)
        _, whole = checkpoints.restore_latest({"x": jnp.zeros((8, 2)), "key": jax.random.key(1)})
    assert split["x"].sharding == sharding and len(split["x"].addressable_shards) == num_devices
    assert np.array_equal(split["x"], values) and np.array_equal(whole["x"], values)
    # Uncommitted leaves may still meet arrays spread over the mesh.
    assert not whole["x"].committed and np.array_equal(split["x"] + whole["x"], 2 * values)
    assert not whole["key"].committed
    assert np.array_equal(jax.random.key_data(whole["key"]), jax.random.key_data(split["key"]))


def test_a_template_that_does_not_fit_is_refused_by_leaf(tmp_path):
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(3, make_state(0))
        with pytest.raises(
            ValueError, match=r"kernel: stored \(3, 5, 4\) bfloat16, given \(3, 5, 6\)"
        ):
            checkpoints.restore_latest(make_state(0, width=6))
        other = dataclasses.replace(make_state(0), empty={"extra": jnp.zeros(2)})
        with pytest.raises(ValueError, match=r"empty/extra: stored nothing, given \(2,\) float32"):
            checkpoints.restore_latest(other)
        wide = dataclasses.replace(make_state(0), step=jnp.asarray(0.0))
        with pytest.raises(ValueError, match=r"step: stored \(\) int32, given \(\) float32"):
            checkpoints.restore_latest(wide)
        with pytest.raises(ValueError, match=r"and \d+ more"):
            checkpoints.restore_latest({})


@pytest.mark.parametrize("item", ["state", "layout"])
def test_a_damaged_newest_checkpoint_falls_back_and_is_said(tmp_path, item):
    like = {"x": jnp.zeros(4, jnp.int32)}
    with Checkpoints(tmp_path) as checkpoints:
        for step in (10, 20):
            checkpoints.save(step, {"x": jnp.full(4, step)})
    damage(tmp_path, 20, item)
    with Checkpoints(tmp_path) as checkpoints:
        with pytest.warns(UserWarning, match="checkpoint at step 20 .* cannot be read"):
            step, state = checkpoints.restore_latest(like)
        assert step == 10 and np.array_equal(state["x"], np.full(4, 10))
        for step in (15, 20):
            assert checkpoints.save(step, {"x": jnp.full(4, step + 1)})
    with Checkpoints(tmp_path) as checkpoints, warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        step, state = checkpoints.restore_latest(like)
        assert step == 20 and np.array_equal(state["x"], np.full(4, 21))
        assert checkpoints.steps == [15, 20]


def harmed(kind, content, rng):
    """The content truncated, shortened, emptied, or with one bit flipped; None for a deleted file."""
    if kind == "flipped" and content:
        flipped = bytearray(content)
        flipped[rng.randrange(len(flipped))] ^= 1 << rng.randrange(8)
        return bytes(flipped)
    return {"halved": content[: len(content) // 2], "shortened": content[:-1], "emptied": b""}.get(
        kind
    )


@pytest.mark.parametrize(
    "kind", first_quick(["deleted", "halved", "shortened", "emptied", "flipped"])
)
def test_damage_to_any_file_of_the_newest_checkpoint_is_never_read_as_a_state(tmp_path, kind):
    """Either the file does not matter, or the checkpoint before is taken and that is said."""
    states = {step: make_state(step) for step in (10, 20)}
    with Checkpoints(tmp_path / "run") as checkpoints:
        for step, state in states.items():
            checkpoints.save(step, state, generators=state.generators)
    newest = tmp_path / "run" / "checkpoints" / "20"
    passed_over, rng = 0, random.Random(0)
    for path in sorted(path for path in newest.rglob("*") if path.is_file()):
        for _ in range(4 if kind == "flipped" else 1):
            content = path.read_bytes()
            harm = harmed(kind, content, rng)
            path.unlink() if harm is None else path.write_bytes(harm)
            with (
                Checkpoints(tmp_path / "run") as checkpoints,
                warnings.catch_warnings(record=True) as seen,
            ):
                warnings.simplefilter("always")
                step, state = checkpoints.restore_latest(make_state(0))
            path.write_bytes(content)
            assert_same_bits(state, states[step])
            said = [str(warning.message) for warning in seen]
            assert any("checkpoint at step 20" in text for text in said) == (step == 10)
            passed_over += step == 10
    assert passed_over >= 3


def test_all_checkpoints_damaged_is_an_error_not_a_fresh_start(tmp_path):
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(10, {"x": jnp.zeros(4)})
    damage(tmp_path, 10, "state")
    with (
        Checkpoints(tmp_path) as checkpoints,
        pytest.warns(UserWarning, match="step 10"),
        pytest.raises(ValueError, match=r"no checkpoint of .* can be read"),
    ):
        checkpoints.restore_latest({"x": jnp.zeros(4)})


def test_a_kill_while_writing_leaves_a_whole_checkpoint(tmp_path):
    program = (
        "import itertools, sys, jax.numpy as jnp\n"
        "from mixgan_jax.storage.checkpoint import Checkpoints\n"
        "checkpoints = Checkpoints(sys.argv[1])\n"
        "for step in itertools.count():\n"
        "    checkpoints.save(step, {'x': jnp.full((300, 300), step)})\n"
    )
    process = subprocess.Popen([sys.executable, "-c", program, str(tmp_path)])
    try:
        deadline = time.monotonic() + 30
        while not (tmp_path / "checkpoints" / "3").exists():
            assert time.monotonic() < deadline and process.poll() is None
            time.sleep(0.01)
    finally:
        process.kill()
        process.wait()
    with Checkpoints(tmp_path) as checkpoints:
        step, state = checkpoints.restore_latest({"x": jnp.zeros((300, 300), jnp.int32)})
    assert step >= 2 and np.array_equal(np.unique(state["x"]), [step])


def test_another_config_is_refused_field_by_field(tmp_path):
    config = {"name": "ring", "steps": 10, "adam": {"b1": np.float32(0.5), "shape": (2, 3)}}
    Checkpoints(tmp_path, config).close()
    Checkpoints(tmp_path, config | {"adam": {"b1": 0.5, "shape": [2, 3]}}).close()
    Checkpoints(tmp_path).close()
    other = {"name": "ring", "seed": 1, "adam": {"b1": 0.9, "shape": (2, 3)}}
    with pytest.raises(ValueError) as caught:
        Checkpoints(tmp_path, other)
    assert "adam.b1: stored 0.5, given 0.9" in str(caught.value)
    assert "steps: stored 10, given nothing" in str(caught.value)
    assert "seed: stored nothing, given 1" in str(caught.value)
    assert "name" not in str(caught.value).split("differ in")[1]
    assert not list(tmp_path.glob("*.tmp"))
    with pytest.raises(TypeError, match="config must be a dict of JSON"):
        Checkpoints(tmp_path, {"function": print})


@pytest.mark.parametrize("seeds", [0, 2])
def test_generators_load_in_one_line_without_a_template(tmp_path, seeds):
    mixture = make_state(5).generators
    if seeds:
        mixture = jax.tree.map(lambda leaf: jnp.stack([leaf] * seeds), mixture)
    stats = {"BatchNorm_0": {"mean": jnp.arange(3.0)}}
    later = {"params": mixture.params, "state": stats, "log_weights": mixture.log_weights}
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(1, {"unrelated": jnp.zeros(3)}, generators=mixture)
        checkpoints.save(2, {"unrelated": jnp.zeros(3)}, generators=later)
        checkpoints.wait()
        newest = load_for_sampling(tmp_path)  # while the run holds the directory open
    first = load_for_sampling(str(tmp_path), step=1)
    assert isinstance(first, Mixture)
    assert_same_bits(first, mixture)
    assert_same_bits(newest, Mixture(**later))
    assert_same_bits(load_for_sampling(tmp_path, step=1, like=mixture), mixture)


def test_generators_of_other_trees_need_a_template(tmp_path):
    mixture = Mixture(optax.ScaleByAdamState(jnp.zeros(2), {}, (jnp.ones(2),)), (), jnp.zeros(2))
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(1, {}, generators=mixture)
    assert_same_bits(load_for_sampling(tmp_path, like=jax.eval_shape(lambda: mixture)), mixture)
    with pytest.raises(ValueError, match=r"log_weights: stored \(2,\) float32, given \(5,\)"):
        load_for_sampling(tmp_path, like=dataclasses.replace(mixture, log_weights=jnp.zeros(5)))


def test_generators_of_classes_say_what_to_pass(tmp_path):
    """Linen's trees and lists come back as they were, without a warning; classes come back as dicts, with one."""
    heard = []
    listener = logging.Handler()
    listener.emit = heard.append
    logging.getLogger("absl").addHandler(listener)
    weights = jax.nn.log_softmax(jnp.zeros(2))
    plain = Mixture({"w": [jnp.ones((2, 3)), None]}, {}, weights)
    own = Mixture({"w": optax.ScaleByAdamState(jnp.ones(2), {}, jnp.ones(2))}, {}, weights)
    for name, mixture in {"plain": plain, "own": own}.items():
        with Checkpoints(tmp_path / name) as checkpoints:
            checkpoints.save(1, {"x": weights}, generators=mixture)
    heard.clear()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert_same_bits(load_for_sampling(tmp_path / "plain"), plain)
            assert_same_bits(load_for_sampling(tmp_path / "own", like=own), own)
        with pytest.warns(
            UserWarning, match=r"class ScaleByAdamState, .* pass like=jax\.eval_shape"
        ):
            assert isinstance(load_for_sampling(tmp_path / "own").params["w"], dict)
    finally:
        logging.getLogger("absl").removeHandler(listener)
    assert not heard


def test_loading_for_sampling_falls_back_and_says_what_is_missing(tmp_path):
    with pytest.raises(FileNotFoundError, match="directory must hold a run with checkpoints"):
        load_for_sampling(tmp_path / "nowhere")
    assert not (tmp_path / "nowhere").exists()
    mixture = make_state(0).generators
    with Checkpoints(tmp_path / "run", max_to_keep=3) as checkpoints:
        checkpoints.save(1, {}, generators=mixture)
        checkpoints.save(2, {}, generators=make_state(1).generators)
    damage(tmp_path / "run", 2, "generators")
    with pytest.warns(UserWarning, match="step 2"):
        assert_same_bits(load_for_sampling(tmp_path / "run"), mixture)
    with pytest.raises(ValueError, match=r"step must be one of the saved steps \[1, 2\]"):
        load_for_sampling(tmp_path / "run", step=3)
    with Checkpoints(tmp_path / "bare") as checkpoints:
        checkpoints.save(1, {"x": jnp.zeros(2)})
        with pytest.raises(ValueError, match="generators must be a Mixture or a dict"):
            checkpoints.save(2, {}, generators={"params": {}})
    with pytest.raises(ValueError, match="no 'generators'"):
        load_for_sampling(tmp_path / "bare")


def test_keeping_no_checkpoint_is_refused(tmp_path):
    with pytest.raises(ValueError, match="max_to_keep must be"):
        Checkpoints(tmp_path, max_to_keep=0)


def test_the_import_is_light():
    program = (
        "import sys, mixgan_jax.storage.checkpoint\n"
        "heavy = {'orbax', 'tensorstore', 'matplotlib', 'tensorboardX'} & set(sys.modules)\n"
        "sys.exit(repr(sorted(heavy)) if heavy else 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
