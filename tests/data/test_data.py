"""Synthetic distributions and feeds."""

import itertools
import math
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from mixgan_jax.data import (
    GaussianMixture,
    feed_from_distribution,
    feed_from_images,
    feed_from_packs,
    gaussian_mixture,
    grid,
    ring,
    spirals,
)

KEY = jax.random.key(0)
UNEQUAL = dict(means=[[0.0, 0.0], [3.0, 1.0], [-2.0, 2.0]], std=[0.1, 0.5, 0.2], weights=[1, 2, 5])


def test_ring_has_distinct_evenly_spaced_modes() -> None:
    """Angles over [0, 2 pi] inclusive, a known fault elsewhere, would make two modes coincide."""
    centers = np.asarray(ring(8, radius=2.0).means)
    np.testing.assert_allclose(np.linalg.norm(centers, axis=-1), 2.0, rtol=1e-6)
    np.testing.assert_allclose(centers[0], [2.0, 0.0], atol=1e-6)
    gaps = np.linalg.norm(centers - np.roll(centers, 1, axis=0), axis=-1)
    np.testing.assert_allclose(gaps, 4 * np.sin(np.pi / 8), rtol=1e-5)


def test_a_ring_can_be_turned_and_weighted() -> None:
    """A quarter turn moves every mode to where its second next was, with its weight; by default nothing changes."""
    weights = np.arange(1.0, 9.0)
    plain, turned = ring(), ring(weights=weights, rotation=np.pi / 2)
    np.testing.assert_allclose(turned.means, np.roll(plain.means, -2, axis=0), atol=1e-6)
    np.testing.assert_allclose(turned.weights, weights / 36, rtol=1e-6)
    np.testing.assert_array_equal(ring(weights=None, rotation=0.0).means, plain.means)
    traced = jax.jit(lambda rotation: ring(rotation=rotation).means)(np.pi / 2)
    np.testing.assert_allclose(traced, turned.means, atol=1e-6)
    with pytest.raises(ValueError, match=r"weights must have shape \(8,\)"):
        ring(weights=[1.0, 2.0])


def test_a_grid_can_be_weighted_column_by_column() -> None:
    mixture = grid(2, weights=[1, 1, 4, 2])
    np.testing.assert_allclose(mixture.weights, [0.125, 0.125, 0.5, 0.25])
    np.testing.assert_allclose(mixture.means[2], [1.0, -1.0])
    np.testing.assert_array_equal(mixture.means, grid(2).means)


def test_grid_has_the_centres_of_the_papers() -> None:
    mixture = grid()
    expected = set(itertools.product([-4.0, -2.0, 0.0, 2.0, 4.0], repeat=2))
    assert {tuple(center) for center in np.asarray(mixture.means).tolist()} == expected
    np.testing.assert_allclose(mixture.std, 0.05)
    np.testing.assert_allclose(mixture.weights, 1 / 25)


def test_mixture_samples_have_its_weights_means_and_widths() -> None:
    means = 10 * np.array(
        UNEQUAL["means"]
    )  # far apart, so that the nearest mode is the one drawn from
    mixture = gaussian_mixture(means, UNEQUAL["std"], UNEQUAL["weights"])
    samples = np.asarray(mixture.sample(KEY, 40_000))
    assert samples.shape == (40_000, 2) and samples.dtype == np.float32
    nearest = np.argmin(np.linalg.norm(samples[:, None] - means[None], axis=-1), axis=1)
    np.testing.assert_allclose(np.bincount(nearest) / 40_000, [0.125, 0.25, 0.625], atol=0.01)
    for mode in range(3):
        of_mode = samples[nearest == mode]
        np.testing.assert_allclose(of_mode.mean(axis=0), means[mode], atol=0.02)
        np.testing.assert_allclose(of_mode.std(axis=0), UNEQUAL["std"][mode], rtol=0.03)


def test_log_prob_is_scipys_mixture_density() -> None:
    mixture = gaussian_mixture(**UNEQUAL)
    x = np.random.RandomState(0).uniform(-3, 3, size=(4, 5, 2)).astype(np.float32)
    density = sum(
        weight / 8 * scipy.stats.multivariate_normal(mean, std**2).pdf(x)
        for mean, std, weight in zip(*UNEQUAL.values(), strict=True)
    )
    result = mixture.log_prob(jnp.asarray(x))
    assert result.shape == (4, 5)
    keep = density > 1e-300  # SciPy's density underflows where its logarithm does not
    np.testing.assert_allclose(result[keep], np.log(density[keep]), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(mixture.log_prob(jnp.asarray(x[1, 2])), result[1, 2], rtol=1e-6)


def test_log_prob_keeps_its_digits_far_from_the_origin() -> None:
    """At (4, 4) with std 0.01 an expanded square would be off by about 30 % of a unit."""
    mixture = gaussian_mixture([[4.0, 4.0]], 0.01)
    expected = -0.5 - math.log(2 * math.pi) - 2 * math.log(0.01)
    result = mixture.log_prob(jnp.array([4.0, 4.01]))
    np.testing.assert_allclose(result, expected, atol=1e-3)


def test_mixture_is_a_tree_that_jit_and_vmap_take() -> None:
    stacked = jax.vmap(lambda radius: ring(5, radius, 0.01))(jnp.array([1.0, 2.0, 3.0]))
    assert isinstance(stacked, GaussianMixture) and stacked.means.shape == (3, 5, 2)
    keys = jax.random.split(KEY, 3)
    samples = jax.jit(jax.vmap(lambda m, key: m.sample(key, 7)))(stacked, keys)
    alone = ring(5, 2.0, 0.01).sample(keys[1], 7)
    np.testing.assert_allclose(samples[1], alone, rtol=1e-6, atol=1e-6)
    assert jax.jit(jax.vmap(lambda m, x: m.log_prob(x)))(stacked, samples).shape == (3, 7)


@pytest.mark.parametrize("distribution", [ring(), spirals()])
def test_sampling_is_a_function_of_the_key(distribution) -> None:
    first = distribution.sample(KEY, 6)
    np.testing.assert_array_equal(first, distribution.sample(KEY, 6))
    assert np.all(np.asarray(first) != np.asarray(distribution.sample(jax.random.key(1), 6)))


def test_rare_modes_are_drawn_and_the_last_one_not_beyond() -> None:
    mixture = gaussian_mixture([[0.0], [10.0], [20.0]], 1e-3, [1e-3, 1.0, 1e-6])
    modes = np.rint(np.asarray(mixture.sample(KEY, 20_000))[:, 0] / 10)
    assert set(modes) <= {0.0, 1.0, 2.0}
    assert 5 <= np.sum(modes == 0) <= 45  # 20 expected


def test_noiseless_spirals_lie_on_their_curves() -> None:
    """The angle minus the turns gone through is one of the arms' three starting angles."""
    points = np.asarray(spirals(3, turns=1.25, radius=2.0, std=0.0).sample(KEY, 3000))
    place = np.linalg.norm(points, axis=-1) / 2.0
    assert place.max() <= 1 + 1e-6
    arm = (np.arctan2(points[:, 1], points[:, 0]) / (2 * np.pi) - 1.25 * place) * 3
    np.testing.assert_allclose(arm, np.rint(arm), atol=1e-3)
    shares = np.bincount(np.rint(arm).astype(int) % 3) / 3000
    np.testing.assert_allclose(shares, 1 / 3, atol=0.04)
    np.testing.assert_allclose(np.mean(place**2), 0.5, atol=0.03)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: ring(0), "num_modes must be a whole number >= 1, got 0"),
        (lambda: ring(8, radius=-1.0), "radius must be a finite number > 0, got -1.0"),
        (lambda: ring(8, std=0.0), "std must be finite and > 0, got 0.0 at index 0"),
        (lambda: grid(5, spacing=float("nan")), "spacing must be a finite number"),
        (lambda: gaussian_mixture([0.0, 1.0], 0.1), "means must have rank 2"),
        (lambda: gaussian_mixture([[0.0]], [0.1, 0.2]), r"std must have shape \(1,\)"),
        (lambda: gaussian_mixture([[0.0], [1.0]], 0.1, [1.0, -1.0]), "weights must be finite and"),
        (lambda: gaussian_mixture([[0.0], [1.0]], 0.1, [1.0]), r"weights must have shape \(2,\)"),
        (lambda: ring().sample(KEY, 0), "num_samples must be a whole number >= 1, got 0"),
        (lambda: ring().log_prob(jnp.zeros(3)), r"x must have shape \[..., 2\], got \(3,\)"),
        (lambda: spirals(std=-1.0), "std must be a finite number >= 0"),
    ],
)
def test_bad_distributions_are_refused(call, message) -> None:
    with pytest.raises(ValueError, match=message):
        call()


def test_distribution_feed_draws_from_its_arrays() -> None:
    """The arrays are an argument: the same compiled function serves another ring."""
    feed = feed_from_distribution(ring(std=1e-4), 5)
    draw = jax.jit(feed.sample)
    np.testing.assert_allclose(
        draw(KEY, feed.arrays), ring(std=1e-4).sample(KEY, 5), rtol=1e-5, atol=1e-7
    )
    wide = draw(KEY, ring(radius=7.0, std=1e-4))
    np.testing.assert_allclose(np.linalg.norm(wide, axis=-1), 7.0, rtol=1e-3)
    assert draw._cache_size() == 1


def test_function_feed_has_no_arrays() -> None:
    feed = feed_from_distribution(lambda key, n: jax.random.normal(key, (n, 3)), 4)
    assert feed.arrays == ()
    assert feed.sample(KEY, feed.arrays).shape == (4, 3)


def test_image_feed_gathers_and_scales_on_the_device() -> None:
    """Each batch image is one of the set, scaled; batches over scan are those of a loop."""
    images = np.arange(6 * 2 * 3, dtype=np.uint8).reshape(6, 2, 3, 1) * 7
    feed = feed_from_images(images, 11)
    assert feed.arrays.dtype == jnp.uint8 and feed.arrays.shape == images.shape
    keys = jax.random.split(KEY, 4)
    _, batches = jax.jit(
        lambda arrays: jax.lax.scan(lambda _, key: (None, feed.sample(key, arrays)), None, keys)
    )(feed.arrays)
    assert batches.shape == (4, 11, 2, 3, 1) and batches.dtype == jnp.float32
    np.testing.assert_allclose(batches[2], feed.sample(keys[2], feed.arrays), atol=1e-6)
    levels = np.rint((np.asarray(batches) + 1) * 127.5).astype(np.uint8)
    known = {image.tobytes() for image in images}
    assert {image.tobytes() for image in levels.reshape(44, 2, 3, 1)} == known


def test_image_feed_draws_uniformly_with_replacement() -> None:
    images = np.arange(5, dtype=np.uint8).reshape(5, 1, 1, 1)
    feed = feed_from_images(images, 20_000)
    drawn = np.rint((np.asarray(feed.sample(KEY, feed.arrays)) + 1) * 127.5).astype(int).ravel()
    np.testing.assert_allclose(np.bincount(drawn) / 20_000, 0.2, atol=0.015)


def test_image_set_is_no_constant_of_the_compiled_batch() -> None:
    feed = feed_from_images(np.zeros((300, 10, 10, 1), np.uint8), 2)
    jaxpr = jax.make_jaxpr(feed.sample)(KEY, feed.arrays)
    assert all(np.size(constant) < 300 for constant in jaxpr.consts)


def test_packs_are_put_together_once_and_stay_together() -> None:
    samples = np.arange(7, dtype=np.float32)[:, None] * np.ones((1, 2), np.float32)
    feed = feed_from_packs(KEY, samples, 3, 12)
    known = np.asarray(feed.arrays)
    assert known.shape == (7, 3, 2)
    batches = [feed.sample(key, feed.arrays) for key in jax.random.split(KEY, 20)]
    drawn = np.stack(batches).reshape(-1, 3, 2)
    assert {pack.tobytes() for pack in drawn} == {pack.tobytes() for pack in known}
    assert not np.array_equal(known[:, 0], known[:, 1]), "each slot has draws of its own"
    same = feed_from_packs(KEY, samples, 3, 3)
    np.testing.assert_array_equal(same.arrays, known)


def test_packs_hold_every_sample_equally_often_in_every_slot() -> None:
    samples = np.repeat(np.arange(4, dtype=np.float32), 5000)[:, None]
    packs = np.asarray(feed_from_packs(KEY, samples, 2, 2).arrays)[..., 0].astype(int)
    joint = np.bincount(4 * packs[:, 0] + packs[:, 1], minlength=16) / len(packs)
    np.testing.assert_allclose(joint, 1 / 16, atol=0.008)  # slots are independent too


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            partial(feed_from_packs, KEY, np.zeros((3, 2), np.float32), 2, 3),
            ValueError,
            "batch_size must be a multiple of packing = 2, got 3",
        ),
        (
            partial(feed_from_packs, KEY, np.zeros((0, 2), np.float32), 1, 3),
            ValueError,
            r"samples must have shape \[N, ...\] with N >= 1",
        ),
        (
            partial(feed_from_packs, KEY, np.zeros((3, 2), np.int32), 1, 3),
            TypeError,
            "samples must be",
        ),
        (partial(feed_from_distribution, ring(), 0), ValueError, "batch_size must be a whole"),
        (partial(feed_from_distribution, ring(), 2.0), TypeError, "batch_size must be a whole"),
        (partial(feed_from_distribution, 3, 2), TypeError, "distribution must have a method"),
        (
            partial(feed_from_distribution, lambda key, n: jnp.zeros((3, n)), 2),
            ValueError,
            r"distribution must return samples \[2, ...\], got shape \(3, 2\)",
        ),
        (
            partial(feed_from_distribution, type("Odd", (), {"sample": lambda s, k, n: 0})(), 2),
            TypeError,
            "distribution must be a tree of arrays, got Odd",
        ),
        (
            partial(feed_from_images, np.zeros((3, 4, 4, 1), np.float32), 2),
            TypeError,
            "images must be uint8 in 0..255, got an array .* dtype float32",
        ),
        (
            partial(feed_from_images, np.zeros((3, 4, 4), np.uint8), 2),
            ValueError,
            r"images must have shape \[N, H, W, C\], got \(3, 4, 4\)",
        ),
        (partial(feed_from_images, np.zeros((0, 4, 4, 1), np.uint8), 2), ValueError, "images must"),
    ],
)
def test_bad_feeds_are_refused(call, error, message) -> None:
    with pytest.raises(error, match=message):
        call()
