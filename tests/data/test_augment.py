"""Augmentation: what each change does to an image, keys, gradients, and feeds that change their batches."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import first_quick

import mixgan_jax as mg
from mixgan_jax.data import (
    augmented,
    diff_augment,
    random_colour,
    random_cutout,
    random_flip,
    random_translation,
)

KEY = jax.random.key(3)
IMAGES = np.random.default_rng(0).uniform(-1, 1, (64, 6, 9, 3)).astype(np.float32)
ALL = [random_translation, random_flip, random_colour, random_cutout, diff_augment]


def changed(function, **options):
    return np.asarray(jax.jit(partial(function, **options))(KEY, IMAGES))


def test_flips_mirror_about_half_of_the_images():
    once = changed(random_flip)
    twice = np.asarray(jax.jit(random_flip)(KEY, once))
    np.testing.assert_array_equal(twice, IMAGES)
    mirrored = [np.array_equal(a, b[:, ::-1]) for a, b in zip(once, IMAGES, strict=True)]
    kept = [np.array_equal(a, b) for a, b in zip(once, IMAGES, strict=True)]
    assert sum(mirrored) + sum(kept) == 64 and 16 < sum(mirrored) < 48


def moved(image, down, right):
    """NumPy's copy of an image moved by whole pixels, with zeros where nothing was."""
    result = np.zeros_like(image)
    h, w = image.shape[:2]
    result[max(down, 0) : h + min(down, 0), max(right, 0) : w + min(right, 0)] = image[
        max(-down, 0) : h + min(-down, 0), max(-right, 0) : w + min(-right, 0)
    ]
    return result


def test_translations_are_those_of_numpy_and_each_occurs():
    """A third of 6 and of 9 pixels, rounded: up to 2 down and 3 right."""
    found = set()
    for image, result in zip(IMAGES, changed(random_translation, ratio=0.3), strict=True):
        moves = [(d, r) for d in range(-2, 3) for r in range(-3, 4)]
        (match,) = [move for move in moves if np.array_equal(moved(image, *move), result)]
        found.add(match)
    assert {d for d, _ in found} == set(range(-2, 3))
    assert {r for _, r in found} == set(range(-3, 4))
    np.testing.assert_array_equal(changed(random_translation, ratio=0.0), IMAGES)


@pytest.mark.parametrize("ratio", [0.5, 1 / 3])
def test_cutouts_are_rectangles_of_zeros_that_may_leave_the_image(ratio):
    """Nothing else changes; sides are at most the share, and the whole of it where the image has room."""
    tall, wide = int(6 * ratio + 0.5), int(9 * ratio + 0.5)
    sizes = set()
    for image, result in zip(IMAGES, changed(random_cutout, ratio=ratio), strict=True):
        gone = np.all(result == 0, axis=-1)
        np.testing.assert_array_equal(result[~gone], image[~gone])
        rows, columns = gone.any(1), gone.any(0)
        np.testing.assert_array_equal(gone, rows[:, None] & columns[None])
        for line in (rows, columns):
            assert np.all(np.diff(np.flatnonzero(line)) == 1)
        sizes.add((rows.sum(), columns.sum()))
    assert max(sizes) == (tall, wide) and min(sizes)[0] >= tall // 2


def test_colours_keep_what_they_should():
    """Grey stays grey; about its mean an image only shrinks or grows; brightness moves the mean by up to 0.5."""
    results = changed(random_colour)
    shift = results.mean((1, 2, 3)) - IMAGES.mean((1, 2, 3))
    assert np.abs(shift).max() < 0.5 and shift.std() == pytest.approx(1 / np.sqrt(12), rel=0.25)
    grey, old = (x.mean(3) - x.mean((1, 2, 3))[:, None, None] for x in (results, IMAGES))
    contrast = (grey * old).sum((1, 2)) / (old * old).sum((1, 2))
    np.testing.assert_allclose(grey, contrast[:, None, None] * old, atol=1e-5)
    assert 0.5 <= contrast.min() < 0.6 and 1.4 < contrast.max() <= 1.5
    colour, before = (x - x.mean(3, keepdims=True) for x in (results, IMAGES))
    scale = (colour * before).sum((1, 2, 3)) / (before * before).sum((1, 2, 3)) / contrast
    np.testing.assert_allclose(colour, (scale * contrast)[:, None, None, None] * before, atol=1e-5)
    assert 0 <= scale.min() < 0.2 and 1.8 < scale.max() <= 2


def test_the_three_come_one_after_the_other():
    def one_by_one(key, images):
        keys = jax.random.split(key, 3)
        images = random_colour(keys[0], images)
        return random_cutout(keys[2], random_translation(keys[1], images))

    np.testing.assert_allclose(changed(diff_augment), changed(one_by_one), atol=1e-6)


@pytest.mark.parametrize("function", first_quick(ALL), ids=lambda function: function.__name__)
def test_changes_are_linear_or_affine_and_gradients_pass(function):
    """By a key they are fixed affine maps: a derivative in a direction is the difference along it."""
    direction = np.random.default_rng(1).standard_normal(IMAGES.shape).astype(np.float32)
    apply = jax.jit(partial(function, KEY))
    difference = np.asarray(apply(IMAGES + direction)) - np.asarray(apply(IMAGES))
    seed = np.random.default_rng(2).standard_normal(IMAGES.shape).astype(np.float32)
    pulled = jax.jit(jax.grad(lambda images: jnp.sum(seed * apply(images))))(IMAGES)
    np.testing.assert_allclose(np.sum(pulled * direction), np.sum(seed * difference), rtol=2e-3)
    assert np.any(pulled)


@pytest.mark.parametrize("function", first_quick(ALL), ids=lambda function: function.__name__)
def test_a_key_makes_a_change_and_another_key_another(function):
    apply = jax.jit(function)
    first = np.asarray(apply(KEY, IMAGES))
    np.testing.assert_array_equal(apply(KEY, IMAGES), first)
    assert not np.array_equal(apply(jax.random.key(4), IMAGES), first)
    assert first.shape == IMAGES.shape and first.dtype == np.float32


def test_feeds_and_streams_change_their_batches():
    """The images of a batch are some of the set or their mirror images; the key says which."""
    images = np.arange(20 * 3 * 4, dtype=np.uint8).reshape(20, 3, 4, 1)
    both = {x.tobytes() for x in images} | {x[:, ::-1].tobytes() for x in images}
    feed = augmented(mg.data.feed_from_images(images, 16), random_flip)
    stream = augmented(mg.data.stream_from_images(images, 16), random_flip)
    for source, arrays in ((feed, feed.arrays), (stream, jnp.asarray(images[:16]))):
        sample = jax.jit(source.sample)
        batch = mg.data.to_uint8(sample(KEY, arrays))
        found = [x.tobytes() for x in batch]
        assert set(found) <= both
        assert len(set(found) - {x.tobytes() for x in images}) > 0
        np.testing.assert_array_equal(sample(KEY, arrays), sample(KEY, arrays))
    assert type(stream) is mg.Stream and stream.batch_size == 16


def test_images_must_be_images_in_floating_point():
    with pytest.raises(TypeError, match="images must"):
        random_flip(KEY, np.zeros((2, 3, 3, 1), np.uint8))
    with pytest.raises(ValueError, match="images must"):
        random_cutout(KEY, np.zeros((3, 3, 1), np.float32))
    with pytest.raises(ValueError, match="ratio must"):
        random_translation(KEY, IMAGES, ratio=1.5)
