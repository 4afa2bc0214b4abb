"""Streams: epochs by a seed, batches by a step alone, training with them, restarts in the middle of an epoch."""

import itertools
import threading
import time
from contextlib import nullcontext
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import BATCH, FEATURES, Killed, first_quick, kill_at, same, solver, some_images

import mixgan_jax as mg
from mixgan_jax.data import ImageSource, load_images, stream_from_images, to_float
from mixgan_jax.data.stream import batch_indices, open_stream
from mixgan_jax.runs import advance
from mixgan_jax.runs.parallel import map_runs
from mixgan_jax.runs.steps import run_keys

COUNT = 90  # an epoch is 7.5 batches of 12
STEPS = 12
KEY = jax.random.key(7)
IMAGES = some_images(COUNT, 0, (1, FEATURES, 1))


def points(key, images):
    return to_float(images).reshape(images.shape[0], FEATURES)


def stream(source=IMAGES) -> mg.Stream:
    """Images of two pixels, as the points that the small players of helpers.py take."""
    return stream_from_images(source, BATCH)._replace(sample=points)


def recorded(reads: list[tuple[int, ...]]) -> mg.Stream:
    """The same, and what was read of it."""

    def read(indices):
        reads.append(tuple(int(index) for index in indices))
        return IMAGES[np.asarray(indices)]

    return stream(ImageSource(IMAGES.shape, read))


def seed_of(key) -> int:
    return int(jax.random.bits(run_keys(key).shuffle))


def test_an_epoch_is_every_image_once_and_none_is_like_another() -> None:
    """Batches go on over the end of an epoch: nothing is dropped."""
    order = batch_indices(stream(), seed=3)
    drawn = np.concatenate([order[step] for step in range(30)])  # four epochs
    epochs = drawn.reshape(4, COUNT)
    for epoch in epochs:
        np.testing.assert_array_equal(np.sort(epoch), np.arange(COUNT))
    assert len({tuple(epoch) for epoch in epochs}) == 4
    assert any(np.any(order[step] != batch_indices(stream(), seed=4)[step]) for step in range(3))


def test_the_order_is_the_one_that_checkpoints_were_written_with() -> None:
    """Pinned: a Grain that shuffled otherwise would continue old runs with other batches, and nobody would see it."""
    order = batch_indices(stream_from_images(some_images(30), 4), seed=5)
    assert [order[step].tolist() for step in (0, 7, 8)] == [
        [4, 0, 14, 20],
        [6, 29, 16, 14],
        [24, 20, 12, 25],
    ]
    assert seed_of(jax.random.key(0)) == 1146711402


def test_a_stream_opened_at_a_step_gives_the_batches_of_that_step() -> None:
    """Of two shuffles at once, with threads that finish out of turn."""

    def read(indices):
        time.sleep(0.002 * (indices[0] % 5))
        return IMAGES[np.asarray(indices)]

    slow = stream(ImageSource(IMAGES.shape, read))._replace(threads=5)
    orders = [batch_indices(slow, seed) for seed in (3, 4)]
    for start, ahead in [(0, 5), (8, 5), (8, 1)]:
        with open_stream(slow, [3, 4], start, 20, ahead) as batches:
            got = list(batches)
        assert len(got) == 20 - start
        for step, batch in enumerate(got, start):
            np.testing.assert_array_equal(batch, IMAGES[np.stack([o[step] for o in orders])])


@pytest.mark.slow
@pytest.mark.parametrize(("log_every", "piece"), [(6, 72), (1, 10**6), (4, 10**6), (5, 1)])
def test_training_on_a_stream_is_a_loop_of_steps_bit_for_bit(monkeypatch, log_every, piece) -> None:
    """Also where memory allows fewer steps at once than the log's chunk has: 72 bytes are three batches."""
    monkeypatch.setattr(advance, "_PIECE", piece)
    rule, keys, order = solver(), run_keys(KEY), batch_indices(stream(), seed_of(KEY))
    state = jax.jit(rule.init)(keys.init)

    @jax.jit
    def step(state, index, images):
        batch_key, step_key = jax.random.split(jax.random.fold_in(keys.steps, index))
        return rule.step(step_key, state, points(batch_key, images))

    infos = []
    for index in range(STEPS):
        state, info = step(state, jnp.int32(index), IMAGES[order[index]])
        infos.append(info["value"])
    logs = {}
    options = {"num_steps": STEPS, "log_every": log_every, "on_log": logs.__setitem__}
    assert same(mg.fit(KEY, rule, stream(), **options), state)
    edges = [*range(0, STEPS, log_every), STEPS]
    for start, stop in itertools.pairwise(edges):
        np.testing.assert_allclose(logs[stop]["value"], np.mean(infos[start:stop]), rtol=1e-5)


@pytest.mark.slow
def test_each_run_of_a_sweep_has_an_order_of_its_own() -> None:
    reads = []
    keys = jax.random.split(KEY, 3)
    together = mg.fit(keys, solver(), recorded(reads), num_steps=STEPS, log_every=4)
    alone = mg.fit(keys[1], solver(), stream(), num_steps=STEPS, log_every=4)
    one = jax.tree.map(lambda leaf: leaf[1], together)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-4, atol=2e-5), one, alone)
    orders = [batch_indices(stream(), seed_of(key)) for key in keys]
    expected = {tuple(np.concatenate([o[step] for o in orders])) for step in range(STEPS)}
    assert set(reads) == expected


def test_each_device_gets_the_batches_of_its_runs() -> None:
    keys = mg.spread_over_devices(jax.random.split(KEY, 4))
    assert len(keys.sharding.device_set) == 4
    with open_stream(stream(), [1, 2, 3, 4], 0, 6, ahead=2) as batches:
        plan = advance._pieces(0, 6, log_every=6, most=3)
        own = advance._own_part(keys, BATCH)
        assert own == (slice(0, 4), slice(0, BATCH))

        def prepare(piece):
            read = advance._stacked(batches, nullcontext, (4, BATCH, *IMAGES.shape[1:]), piece)
            return advance._placed(keys, own, BATCH, read)

        with advance._ahead(prepare, plan) as pieces:
            got = dict(pieces)
    assert [tuple(piece) for piece in got] == [(0, 3), (3, 6)]
    for piece, arrays in got.items():
        assert arrays.shape == (4, 3, BATCH, *IMAGES.shape[1:]) and arrays.dtype == np.uint8
        for shard, key in zip(arrays.addressable_shards, keys.addressable_shards, strict=True):
            assert shard.device == key.device
            run = shard.index[0].start
            order = batch_indices(stream(), run + 1)
            expected = IMAGES[np.stack([order[step] for step in range(*piece)])]
            np.testing.assert_array_equal(shard.data[0], expected)


@pytest.mark.slow
def test_devices_of_a_mesh_share_the_batches_of_a_stream() -> None:
    options = {"num_steps": 8, "log_every": 4}
    shared = mg.fit(KEY, solver(), stream(), mesh=mg.make_mesh(data=2), **options)
    alone = mg.fit(KEY, solver(), stream(), **options)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-4, atol=2e-5), shared, alone)


@pytest.mark.slow
@pytest.mark.parametrize("runs", ["one", "two", "two on two devices"])
def test_a_run_killed_in_an_epoch_started_again_is_the_uninterrupted_one(tmp_path, runs) -> None:
    """The checkpoint is at step 8, half a batch into the second epoch; the stream goes on from there."""
    key = KEY if runs == "one" else jax.random.split(KEY, 2)
    key = mg.spread_over_devices(key) if runs == "two on two devices" else key
    options = {"num_steps": STEPS, "log_every": 2, "save_every": 4}
    whole, cut, again = [], [], []
    expected = mg.fit(key, solver(), recorded(whole), folder=tmp_path / "whole", **options)
    with pytest.raises(Killed):
        options_cut = {**options, "folder": tmp_path / "cut", "on_log": kill_at(10)}
        mg.fit(key, solver(), recorded(cut), **options_cut)
    resumed = mg.fit(key, solver(), recorded(again), folder=tmp_path / "cut", **options)
    assert same(resumed, expected)
    logs = [(tmp_path / name / "metrics.jsonl").read_text() for name in ("whole", "cut")]
    assert logs[0] == logs[1]
    keys = [key] if runs == "one" else list(jax.device_put(key, jax.devices()[0]))
    orders = [batch_indices(stream(), seed_of(k)) for k in keys]
    steps = [tuple(np.concatenate([o[step] for o in orders])) for step in range(STEPS)]
    assert sorted(whole) == sorted(steps)
    assert sorted(again) == sorted(steps[8:]), "only what is left is read again"


@pytest.mark.slow
def test_a_longer_run_goes_on_where_a_shorter_one_ended_beside_the_grid(tmp_path) -> None:
    mg.fit(KEY, solver(), stream(), num_steps=5, log_every=4, folder=tmp_path)
    options = {"num_steps": STEPS, "log_every": 4}
    longer = mg.fit(KEY, solver(), stream(), folder=tmp_path, **options)
    assert same(longer, mg.fit(KEY, solver(), stream(), **options))


def streaming_threads() -> list[str]:
    names = [thread.name for thread in threading.enumerate()]
    return [name for name in names if name.startswith(("grain", "mixgan"))]


def ended() -> bool:
    """Whether the reading threads end, which they may do a moment later."""
    deadline = time.monotonic() + 10
    while streaming_threads() and time.monotonic() < deadline:
        time.sleep(0.01)
    return not streaming_threads()


def test_threads_end_with_the_run_and_with_its_failure() -> None:
    seen = []
    options = {"num_steps": STEPS, "log_every": 2}
    mg.fit(KEY, solver(), stream(), on_log=lambda *_: seen.extend(streaming_threads()), **options)
    assert seen, "there are none to look for"
    assert ended()
    with pytest.raises(Killed):
        mg.fit(KEY, solver(), stream(), on_log=kill_at(4), **options)
    assert ended()


def test_an_error_while_reading_ends_the_run() -> None:
    bad = int(batch_indices(stream(), seed_of(KEY))[7][0])

    def read(indices):
        if bad in indices:
            raise ValueError(f"image {bad} cannot be read")
        return IMAGES[np.asarray(indices)]

    broken = stream(ImageSource(IMAGES.shape, read))
    with pytest.raises(ValueError, match=f"image {bad} cannot be read"):
        mg.fit(KEY, solver(), broken, num_steps=STEPS, log_every=2)
    assert ended()


@pytest.mark.parametrize("log_every", [1, 7, 60, 97])
@pytest.mark.parametrize("most", [1, 8, 1000])
def test_pieces_cover_every_step_and_share_a_chunks_length(log_every, most) -> None:
    pieces = [tuple(piece) for piece in advance._pieces(5, 200, log_every, most)]
    assert [start for start, _ in pieces[1:]] == [stop for _, stop in pieces[:-1]]
    assert (pieces[0][0], pieces[-1][1]) == (5, 200)
    lengths = {}
    for start, stop in pieces:
        lengths.setdefault(start // log_every, set()).add(stop - start)
    assert all(len(each) == 1 and max(each) <= most for each in lengths.values())


def test_chunks_must_be_asked_for_in_turn() -> None:
    state = solver().init(run_keys(KEY).init)
    with (
        advance.advancing(KEY, solver(), stream(), 4, STEPS, 4) as go_on,
        pytest.raises(ValueError, match="start must be 4, where the last chunk ended, got 8"),
    ):
        go_on(state, 8, STEPS)


def test_what_a_stream_is_made_of_is_checked(tfds_dir: Path) -> None:
    with pytest.raises(ValueError, match="batch_size must be a whole number >= 1, got 0"):
        stream_from_images(IMAGES, 0)
    with pytest.raises(ValueError, match="threads must be a whole number >= 1, got 0"):
        stream_from_images(IMAGES, 4, threads=0)
    with pytest.raises(TypeError, match="images must be uint8"):
        stream_from_images(to_float(IMAGES), 4)
    with pytest.raises(TypeError, match="feed must be a Feed"):
        mg.run(KEY, solver(), stream(), num_steps=4, log_every=2)
    source = load_images("tiny_digits", tfds_dir, memory_budget=0).train_images
    batch = stream_from_images(source, 4).sample(KEY, source.read([0, 1, 2, 3]))
    np.testing.assert_array_equal(batch, to_float(some_images(1203)[:4]))


def test_a_batch_may_be_larger_than_the_set() -> None:
    order = batch_indices(stream_from_images(some_images(5), 12), seed=0)
    drawn = np.concatenate([order[step] for step in range(5)])
    np.testing.assert_array_equal(np.sort(drawn.reshape(12, 5)), np.tile(np.arange(5), (12, 1)))


@pytest.mark.parametrize("runs", first_quick(["one", "two", "two on two devices"]))
def test_a_step_is_compiled_once(runs) -> None:
    """By the first of three chunks, each of one piece: what the second gets is placed as what the first got."""
    key = KEY if runs == "one" else jax.random.split(KEY, 2)
    key = mg.spread_over_devices(key) if runs == "two on two devices" else key
    state = jax.jit(map_runs(key, partial(mg.init_run, solver=solver())))(key)
    compiled: list[str] = []

    def listen(name: str, *_, **__) -> None:
        compiled.extend([name] if "backend_compile" in name else [])

    jax.monitoring.register_event_duration_secs_listener(listen)
    counts = []
    with advance.advancing(key, solver(), stream(), 0, STEPS, 4) as go_on:
        for start in range(0, STEPS, 4):
            state, _ = go_on(state, start, start + 4)
            counts.append(len(compiled))
    jax.monitoring.unregister_event_duration_listener(listen)
    assert counts[0] > 0
    assert counts == [counts[0]] * 3, "compiled again"
