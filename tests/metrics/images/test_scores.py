"""Scores with their provenance: extraction, what is recorded, what is refused."""

import dataclasses
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mixgan_jax import metrics

PIXELS = metrics.Extractor(lambda images: images, "pixels", value_range=(-4.0, 4.0))


def made(seed, count=12, extractor=PIXELS, size=3):
    images = np.random.default_rng(seed).uniform(-1, 1, (count, size)).astype(np.float32)
    return metrics.extract(extractor, images, block=5, seed=seed)


def test_extraction_in_blocks_is_the_function_on_all_and_traces_once():
    traces = []

    def double(images):
        traces.append(images.shape)
        return 2.0 * images.reshape(len(images), -1)

    images = np.arange(13 * 2 * 3 * 1, dtype=np.float32).reshape(13, 2, 3, 1)
    twice = metrics.Extractor(double, "double")
    whole = metrics.extract(twice, images, block=4)
    np.testing.assert_array_equal(whole.array, 2.0 * images.reshape(13, 6))
    assert traces == [(4, 2, 3, 1)]
    batches = metrics.extract(twice, iter([images[:1], images[1:11], images[11:]]), block=4)
    np.testing.assert_array_equal(batches.array, whole.array)


def test_devices_share_a_block():
    devices = jax.devices()[:4]
    images = np.random.default_rng(0).normal(size=(11, 3)).astype(np.float32)
    kernel = jnp.arange(6.0).reshape(3, 2)
    shards = []

    def network(images):
        jax.debug.inspect_array_sharding(images, callback=shards.append)
        return images @ kernel

    layer = metrics.Extractor(network, "layer")
    spread = metrics.extract(layer, images, block=8, devices=devices)
    np.testing.assert_allclose(spread.array, images @ np.asarray(kernel), rtol=1e-5, atol=1e-6)
    assert shards[0].shard_shape((8, 3)) == (2, 3)
    with pytest.raises(ValueError, match="block must be a multiple of the 4 devices, got 6"):
        metrics.extract(PIXELS, images, block=6, devices=devices)


def test_images_out_of_range_and_of_mixed_shapes_are_refused():
    with pytest.raises(ValueError, match=r"images must lie in \(-4.0, 4.0\), got 0 to 255"):
        metrics.extract(PIXELS, np.array([[0.0, 255.0]], np.float32))
    with pytest.raises(ValueError, match=r"images must all be float32 of shape \(3,\)"):
        metrics.extract(PIXELS, [np.zeros((2, 3), np.float32), np.zeros((2, 4), np.float32)])
    with pytest.raises(ValueError, match="images must have one image or more, got none"):
        metrics.extract(PIXELS, [])
    broken = metrics.Extractor(lambda images: jnp.log(images), "log")
    with pytest.raises(ValueError, match="extractor must return finite features"):
        metrics.extract(broken, -np.ones((2, 3), np.float32))


def test_a_score_records_where_it_came_from():
    real, fake = made(0, 15), made(1)
    fid = metrics.score(metrics.frechet_distance, real=real, fake=fake)
    assert fid.value == metrics.frechet_distance(real.array, fake.array)
    assert fid.stderr is None
    assert fid.provenance == metrics.Provenance(
        extractor="pixels",
        weights_sha256=None,
        resize=None,
        value_range=(-4.0, 4.0),
        dtype="float32",
        num_real=15,
        num_fake=12,
        seed=1,
        real_sha256=metrics.hash_weights(real.array),
        options=(),
    )


def test_reals_that_differ_give_scores_that_are_not_compared():
    fake = made(2)
    train, test = (
        metrics.score(metrics.frechet_distance, real=made(seed), fake=fake) for seed in (0, 1)
    )
    with pytest.raises(ValueError, match="b must have a's real_sha256, "):
        metrics.compare(train, test)


def test_reals_are_hashed_once_for_all_scores(monkeypatch):
    hashed = []
    known = metrics.images.features.hash_weights
    monkeypatch.setattr(
        metrics.images.features, "hash_weights", lambda rows: hashed.append(rows) or known(rows)
    )
    pixels = metrics.Extractor(lambda images: images, "pixels")
    rows = np.random.default_rng(0).normal(size=(2, 8, 3)).astype(np.float32)
    real, fake = (metrics.Features(array, pixels) for array in rows)
    found = [
        metrics.score(metric, real=real, fake=fake)
        for metric in (metrics.frechet_distance, metrics.frechet_distance)
    ]
    assert len(hashed) == 1
    assert found[0].provenance.real_sha256 == found[1].provenance.real_sha256 == known(rows[0])


def test_options_that_differ_in_one_entry_of_an_array_are_not_compared():
    def weighted(*, fake, weights):
        return fake.mean() * weights.sum()

    weights = np.zeros(3000)
    changed = weights.copy()
    changed[1500] = 1e-12
    a, b, c = (
        metrics.score(weighted, fake=made(0), weights=one)
        for one in (weights, changed, weights.copy())
    )
    assert metrics.compare(a, c).value == 0.0
    with pytest.raises(ValueError, match="b must have a's options, "):
        metrics.compare(a, b)
    one, other = (
        metrics.score(metrics.precision_recall, real=made(0), fake=made(1), neighbours=k)
        for k in (2, np.int64(2))
    )
    assert metrics.compare(one["recall"], other["recall"]).value == 0.0
    with pytest.raises(ValueError, match="metric must be a function with a name, got "):
        metrics.score(lambda fake: fake.mean(), fake=made(0))


@pytest.mark.parametrize(
    "rows", [lambda images: jnp.concatenate([images] * 2), lambda images: images[:-1]]
)
def test_an_extractor_returns_one_row_for_each_image(rows):
    images = np.zeros((3, 2), np.float32)
    with pytest.raises(ValueError, match="extractor must return one row for each image"):
        metrics.extract(metrics.Extractor(rows, "patches"), images, block=4)


def test_scores_of_several_entries_and_with_standard_errors():
    real, fake = made(0), made(1)
    both = metrics.score(metrics.precision_recall, real=real, fake=fake, neighbours=2)
    assert set(both) == {"precision", "recall"}
    assert both["recall"].metric == "precision_recall.recall"
    assert both["recall"].provenance.options == (("neighbours", "2"),)
    key = jax.random.key(0)
    kid = metrics.score(metrics.kernel_distance, real=real, fake=fake, key=key)
    expected = metrics.kernel_distance(key, real=real.array, fake=fake.array)
    assert (kid.value, kid.stderr) == expected
    assert kid.provenance.options == (("num_subsets", "None"),)  # the key is no option


def test_old_metrics_and_a_metric_of_fakes_alone():
    real, fake = made(0), made(1)
    key = jax.random.key(3)
    sliced = metrics.score(metrics.sliced_wasserstein, real=real, fake=fake, key=key)
    expected = metrics.sliced_wasserstein(key, real.array, fake.array)
    assert sliced.value == pytest.approx(float(expected), rel=1e-6)
    uniform = metrics.Features(np.full((20, 4), 0.25, np.float32), PIXELS)
    score = metrics.score(metrics.inception_score, fake=uniform)
    assert (score.value, score.provenance.num_real) == (pytest.approx(1.0), 0)
    chosen = metrics.score(partial(metrics.inception_score, splits=2), fake=uniform)
    assert chosen.metric == "inception_score"
    assert chosen.provenance.options == (("splits", "2"),)


CHANGES = {
    "extractor": "other",
    "weights_sha256": "0" * 64,
    "resize": "bicubic 299",
    "value_range": (0.0, 1.0),
    "dtype": "bfloat16",
    "num_real": 5,
    "num_fake": 5,
    "seed": 7,
    "real_sha256": "0" * 64,
    "options": (("neighbours", "9"),),
}


def test_every_field_is_tried():
    assert set(CHANGES) == {field.name for field in dataclasses.fields(metrics.Provenance)}


@pytest.mark.parametrize("name", CHANGES)
def test_scores_of_different_provenance_are_not_compared(name):
    source = metrics.Provenance("pixels", None, None, None, "float32", 10, 10, 0)
    other = dataclasses.replace(source, **{name: CHANGES[name]})
    a, b = (
        metrics.Score("m", 3.0, 0.3, source),
        metrics.Score("m", 1.0, 0.4, other),
    )
    with pytest.raises(ValueError, match=f"b must have a's {name}, "):
        metrics.compare(a, b)
    difference = metrics.compare(a, b, ignore=[name])
    assert difference == pytest.approx((2.0, 0.5))


def test_scores_of_different_metrics_are_not_compared():
    source = metrics.Provenance("pixels", None, None, None, "float32", 10, 10, 0)
    a, b = (metrics.Score(name, 1.0, None, source) for name in ("precision", "recall"))
    with pytest.raises(ValueError, match="b must be of a's metric, precision, got recall"):
        metrics.compare(a, b)
    value, stderr = metrics.compare(a, a)
    assert (value, np.isnan(stderr)) == (0.0, True)
    with pytest.raises(ValueError, match=r"ignore must be one of .* \(did you mean 'seed'\?\)"):
        metrics.compare(a, a, ignore=["seeds"])


def test_reals_and_fakes_must_come_from_one_extractor_and_cannot_be_swapped():
    real = made(0)
    other = made(1, extractor=dataclasses.replace(PIXELS, resize="bilinear 8"))
    with pytest.raises(ValueError, match="fake must have the resize of real, None"):
        metrics.score(metrics.frechet_distance, real=real, fake=other)
    with pytest.raises(ValueError, match="fake must have 3 features each, got 4"):
        metrics.score(metrics.frechet_distance, real=real, fake=made(1, size=4))
    with pytest.raises(TypeError, match="positional"):
        metrics.score(metrics.frechet_distance, real, real)
    for metric in (metrics.precision_recall, metrics.density_coverage):
        with pytest.raises(TypeError, match="positional"):
            metric(real.array, real.array)


def test_features_reach_a_metric_by_score_alone():
    """Without it their provenance would be lost."""
    with pytest.raises(TypeError, match=r"real must be an array of real numbers, got Features\("):
        metrics.frechet_distance(real=made(0), fake=made(1))


def test_the_hash_of_weights_sees_names_shapes_dtypes_and_values():
    weights = {"kernel": np.ones((2, 3), np.float32), "bias": np.zeros(3, np.float32)}
    known = metrics.hash_weights(weights)
    assert len(known) == 64
    assert metrics.hash_weights(jax.tree.map(jnp.asarray, weights)) == known
    changed = [
        weights | {"bias": np.array([0, 0, 1], np.float32)},
        weights | {"kernel": np.ones((3, 2), np.float32)},
        weights | {"bias": np.zeros(3, np.int32)},
        {"kernel": weights["kernel"], "offset": weights["bias"]},
    ]
    assert len({known, *map(metrics.hash_weights, changed)}) == 5
