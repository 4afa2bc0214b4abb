"""Precision, recall, density and coverage: against all distances at once, degenerate generators, memory."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mixgan_jax.metrics import component_atlas, density_coverage, precision_recall
from mixgan_jax.metrics.images import neighbours as module


def sets(real=1030, fake=530, size=6):
    """More than one block each."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(real, size)), 0.8 * rng.normal(size=(fake, size)) + 0.3
    return x.astype(np.float32), y.astype(np.float32)


def all_at_once(real, fake, k):
    real, fake = real.astype(np.float64), fake.astype(np.float64)

    def distances(a, b):
        return np.sqrt(((a[:, None] - b[None]) ** 2).sum(-1))

    real_radii, fake_radii = (np.sort(distances(a, a), axis=1)[:, k] for a in (real, fake))
    across = distances(real, fake)
    return {
        "precision": (across <= real_radii[:, None]).any(axis=0).mean(),
        "recall": (across <= fake_radii[None]).any(axis=1).mean(),
        "density": (across <= real_radii[:, None]).sum() / (k * len(fake)),
        "coverage": (across.min(axis=1) <= real_radii).mean(),
    }


@pytest.mark.parametrize("k", [1, 4])
def test_blockwise_is_all_at_once(k):
    real, fake = sets()
    found = precision_recall(real=real, fake=fake, neighbours=k)
    found |= density_coverage(real=real, fake=fake, neighbours=k)
    expected = all_at_once(real, fake, k)
    assert found == pytest.approx(expected, rel=1e-12)
    assert 0.1 < min(found["precision"], found["recall"]) < 1.0


def test_a_generator_of_one_image_has_precision_1_and_recall_0():
    """Far from the origin, where inner products lose digits."""
    real, _ = sets()
    real += 50.0
    one = np.broadcast_to(real.mean(axis=0), (20, 6)).astype(np.float32)
    assert precision_recall(real=real, fake=one) == {"precision": 1.0, "recall": 0.0}
    # Swapped, it would be the other way round.
    assert precision_recall(real=one, fake=real) == {"precision": 0.0, "recall": 1.0}
    found = density_coverage(real=real, fake=one)
    assert found["density"] > 1
    assert found["coverage"] < 0.2


def test_an_outlier_among_fakes_raises_recall_but_not_coverage():
    real, _ = sets(200)
    tight = 0.001 * np.random.default_rng(1).normal(size=(19, 6)) + 20.0
    outlier = np.concatenate([tight, -30 * np.ones((1, 6))]).astype(np.float32)
    assert precision_recall(real=real, fake=outlier)["recall"] == 1.0
    assert density_coverage(real=real, fake=outlier) == {"density": 0.0, "coverage": 0.0}


def test_means_of_a_perfect_generator():
    """Density 1, coverage 1 - (N - 1) (N - 2) / ((N + M - 1) (N + M - 2)) for k = 2."""
    rng = np.random.default_rng(3)
    found = []
    for _ in range(40):
        x, y = rng.normal(size=(60, 2)), rng.normal(size=(30, 2))
        found.append(density_coverage(real=np.float32(x), fake=np.float32(y), neighbours=2))
    density, coverage = ([one[name] for one in found] for name in ("density", "coverage"))
    expected = 1 - 59 * 58 / (89 * 88)
    for values, mean in ((density, 1.0), (coverage, expected)):
        assert abs(np.mean(values) - mean) < 4 * np.std(values) / np.sqrt(40)
    assert np.std(coverage) / np.sqrt(40) < 0.02


def test_50_000_samples_make_no_matrix_of_all_distances():
    """XLA's own count of temporary memory, without running: two copies of the features at most."""
    rows = jax.ShapeDtypeStruct((50_000, 2048), jnp.float32)
    radii = jax.ShapeDtypeStruct((50_000,), jnp.float32)
    programs = [
        module.squared_radii.lower(rows, 3),
        module.count_balls.lower(rows, rows, radii),
        module.are_occupied.lower(rows, radii, rows),
    ]
    for program in programs:
        held = program.compile().memory_analysis().temp_size_in_bytes
        assert 0 < held < 2.1 * 50_000 * 2048 * 4  # 0.86 GB; the matrix would have 10 GB


def test_too_few_samples_and_other_widths_are_refused():
    x = np.ones((4, 2), np.float32)
    with pytest.raises(ValueError, match="fake must be more than neighbours, 3, got 3 samples"):
        precision_recall(real=x, fake=x[:3])
    with pytest.raises(ValueError, match="real must be more than neighbours, 5, got 4 samples"):
        density_coverage(real=x, fake=x)
    with pytest.raises(ValueError, match="fake must have 2 features each, got 1"):
        density_coverage(real=x, fake=x[:, :1], neighbours=2)


def test_components_that_are_nearly_one_image_do_not_overlap_by_rounding():
    key, other_key, real_key = jax.random.split(jax.random.key(4), 3)
    place = jnp.ones((1, 512))
    near = jnp.zeros((1, 512)).at[0, 0].set(0.03)
    parts = [
        place + offset + 1e-4 * jax.random.normal(own, (32, 512))
        for own, offset in ((key, 0.0), (other_key, near))
    ]
    real = jax.random.normal(real_key, (32, 512))
    atlas = component_atlas(real=real, fake=jnp.stack(parts))
    np.testing.assert_array_equal(atlas["overlap"], np.eye(2))
