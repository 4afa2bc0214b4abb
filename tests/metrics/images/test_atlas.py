"""The component atlas: Frechet distances of pooled samples, components far apart, equal and without weight."""

import numpy as np
import pytest

from mixgan_jax.metrics import component_atlas, density_coverage, frechet_distance, precision_recall


def clouds(*centres, count=40, spread=0.3, seed=0):
    rng = np.random.default_rng(seed)
    return (spread * rng.normal(size=(len(centres), count, 2)) + np.array(centres)[:, None]).astype(
        np.float32
    )


def test_a_lost_component_costs_what_it_alone_covers():
    real = np.concatenate(clouds((0, 0), (10, 0), (0, 10)))
    fake = clouds((0, 0), (10, 0), (10, 0), (50, 50), seed=1)
    atlas = component_atlas(real=real, fake=fake, neighbours=3)
    assert atlas["coverage"][3] == atlas["coverage_alone"][3] == 0.0
    assert 0.2 < atlas["coverage_alone"][0] == atlas["coverage"][0] <= 1 / 3
    assert atlas["coverage_alone"][1] < 0.1 < atlas["coverage"][1]
    union = density_coverage(real=real, fake=np.concatenate(fake), neighbours=3)["coverage"]
    assert atlas["coverage_mixture"] == union
    # 1 and 2 share their place; the rest share nothing
    overlap = atlas["overlap"]
    np.testing.assert_array_equal(np.diag(overlap), 1.0)
    assert min(overlap[1, 2], overlap[2, 1]) > 0.5
    assert overlap[0, 1:].max() == overlap[1:, 0].max() == 0.0
    expected = precision_recall(real=fake[2], fake=fake[1], neighbours=3)
    assert (overlap[1, 2], overlap[2, 1]) == (expected["precision"], expected["recall"])
    # the mixture is better without the last, and worse without the first
    assert atlas["frechet_loss"][3] < 0 < atlas["frechet_loss"][0]


def test_weights_of_whole_numbers_are_repeated_components():
    """Weights 1/2, 1/3, 1/6 pool 3, 2 and 1 copies; the unbiased factor differs, and goes with their number."""
    real = clouds((0, 0), count=500, spread=2.0)[0]
    fake = clouds((0, 0), (3, 0), (0, 2), count=400, seed=1)
    atlas = component_atlas(real=real, fake=fake, weights=[1 / 2, 1 / 3, 1 / 6])

    def pooled(*copies):
        parts = [np.repeat(part, times, axis=0) for part, times in zip(fake, copies, strict=True)]
        return frechet_distance(real, np.concatenate(parts))

    assert atlas["frechet_mixture"] == pytest.approx(pooled(3, 2, 1), rel=3e-3)
    expected = [pooled(0, 2, 1), pooled(3, 0, 1), pooled(3, 2, 0)]
    np.testing.assert_allclose(atlas["frechet_without"], expected, rtol=3e-3)
    np.testing.assert_allclose(
        atlas["frechet"], [frechet_distance(real, part) for part in fake], rtol=1e-9
    )
    np.testing.assert_allclose(
        atlas["frechet_loss"], atlas["frechet_without"] - atlas["frechet_mixture"]
    )


def test_all_weight_on_one_component_leaves_nothing_without_it():
    real, *fake = clouds((0, 0), (0, 0), (9, 9))
    atlas = component_atlas(real=real, fake=np.stack(fake), weights=[1.0, 0.0])
    assert atlas["frechet_mixture"] == pytest.approx(atlas["frechet"][0], rel=1e-9)
    assert np.isnan(atlas["frechet_without"][0])
    assert atlas["frechet_loss"][1] == pytest.approx(0.0, abs=1e-9)


def test_a_component_without_which_a_discriminator_earns_more_is_a_loss():
    """Matching pennies: without either side of the coin the discriminator knows what comes."""
    real, *fake = clouds((0, 0), (0, 0), (9, 9), (0, 0))
    pennies = [[1.0, -1.0], [-1.0, 1.0], [0.25, 0.25]]
    atlas = component_atlas(
        real=real, fake=np.stack(fake), weights=[0.4, 0.4, 0.2], payoffs=pennies
    )
    np.testing.assert_allclose(atlas["payoff"], [1.0, 1.0, 0.25])
    assert atlas["payoff_mixture"] == pytest.approx(0.05)
    np.testing.assert_allclose(atlas["payoff_without"], [0.75, 0.75, 0.0], atol=1e-12)
    np.testing.assert_allclose(atlas["payoff_loss"], [0.7, 0.7, -0.05])
    with pytest.raises(ValueError, match=r"payoffs must be \[3, J\], got shape \(2, 2\)"):
        component_atlas(real=real, fake=np.stack(fake), payoffs=np.eye(2))


def test_bad_weights_and_widths_are_refused():
    real, *fake = clouds((0, 0), (0, 0), (9, 9))
    with pytest.raises(ValueError, match=r"weights must have shape \[\.\.\., 2\]"):
        component_atlas(real=real, fake=np.stack(fake), weights=[0.5, 0.25, 0.25])
    with pytest.raises(ValueError, match="fake must have 2 features each, got 1"):
        component_atlas(real=real, fake=np.stack(fake)[:, :, :1])
    with pytest.raises(ValueError, match="fake must be more than neighbours, 5, got 5 samples"):
        component_atlas(real=real, fake=np.stack(fake)[:, :5])
