"""Inception score and kernel distance: values by hand, sums over all pairs, what they refuse."""

import jax
import numpy as np
import pytest
from scipy.stats import entropy

from mixgan_jax.metrics import inception_score, kernel_distance

KEY = jax.random.key(0)


def test_inception_score_at_its_two_ends():
    """All alike: 1. One class each for certain, all even: C; of half the classes: C / 2."""
    assert inception_score(fake=np.full((40, 4), 0.25)) == pytest.approx((1.0, 0.0))
    certain = np.tile(np.eye(4), (10, 1))
    assert inception_score(fake=certain, splits=5) == pytest.approx((4.0, 0.0))
    assert inception_score(fake=np.repeat(np.eye(4), 10, axis=0), splits=2).value == pytest.approx(
        2.0
    )


def test_inception_score_is_the_exponent_of_mean_kl_in_each_split():
    rows = np.random.default_rng(0).dirichlet(np.ones(5), 23).astype(np.float32)
    scores = []
    for part in np.split(rows.astype(np.float64), [7, 15]):  # 23 i // 3
        scores.append(np.exp(np.mean([entropy(row, part.mean(axis=0)) for row in part])))
    value, stderr = inception_score(fake=rows, splits=3)
    assert value == pytest.approx(np.mean(scores), rel=1e-6)
    assert stderr == pytest.approx(np.std(scores, ddof=1) / np.sqrt(3), rel=1e-5)


def test_inception_score_refuses_what_are_no_probabilities_and_too_few():
    with pytest.raises(ValueError, match="fake must be non-negative and sum to 1 over the last"):
        inception_score(fake=np.ones((40, 4)))
    with pytest.raises(ValueError, match=r"fake must be 20 images or more.* got 19"):
        inception_score(fake=np.full((19, 4), 0.25))


def mean_over_pairs(x, y, *, same):
    """The mean kernel, one pair after the other."""
    kernels = [
        (float(np.dot(a, b)) / len(a) + 1.0) ** 3
        for i, a in enumerate(x)
        for j, b in enumerate(y)
        if not (same and i == j)
    ]
    return np.mean(kernels)


def test_kernel_distance_is_the_sum_over_all_pairs():
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(9, 4)), rng.normal(size=(7, 4)) + 0.5
    x, y = x.astype(np.float32), y.astype(np.float32)
    expected = mean_over_pairs(x, x, same=True) + mean_over_pairs(y, y, same=True)
    expected -= 2 * mean_over_pairs(x, y, same=False)
    value, stderr = kernel_distance(KEY, real=x, fake=y, num_subsets=1)
    assert value == pytest.approx(expected, rel=1e-6)
    assert np.isnan(stderr)


def test_subsets_are_disjoint_and_dealt_by_the_key():
    """In two subsets of two, each sample is in one: the estimate is one of the few that such deals give."""
    x = np.array([[0.0], [1.0], [2.0], [4.0]], np.float32)
    y = np.array([[0.0], [1.0], [3.0], [5.0]], np.float32)

    def of(pairs_x, pairs_y):
        parts = [
            mean_over_pairs(x[list(a)], x[list(a)], same=True)
            + mean_over_pairs(y[list(b)], y[list(b)], same=True)
            - 2 * mean_over_pairs(x[list(a)], y[list(b)], same=False)
            for a, b in zip(pairs_x, pairs_y, strict=True)
        ]
        return np.mean(parts)

    deals = [((0, 1), (2, 3)), ((0, 2), (1, 3)), ((0, 3), (1, 2))]
    possible = [of(a, order) for a in deals for b in deals for order in (b, b[::-1])]
    found = {
        kernel_distance(jax.random.key(seed), real=x, fake=y, num_subsets=2).value
        for seed in range(12)
    }
    assert len(found) > 3
    assert all(np.isclose(possible, value, rtol=1e-6).any() for value in found)


def test_kernel_distance_of_one_distribution_is_0_within_its_standard_errors():
    """Over 60 draws: t-values of mean near 0 and spread near 1 (of 9 degrees of freedom: 1.13)."""
    rng = np.random.default_rng(2)
    scores = []
    for seed in range(60):
        x, y = rng.normal(size=(2, 100, 3)).astype(np.float32)
        value, stderr = kernel_distance(jax.random.key(seed), real=x, fake=y)
        scores.append(value / stderr)
    assert abs(np.mean(scores)) < 0.5
    assert 0.8 < np.std(scores) < 1.6


def test_kernel_distance_refuses_too_few_and_other_widths():
    x = np.ones((4, 2), np.float32)
    with pytest.raises(ValueError, match=r"fake must be 4 or more, got 3: else biased"):
        kernel_distance(KEY, real=x, fake=x[:3])
    with pytest.raises(ValueError, match="fake must have 2 features each, got 1"):
        kernel_distance(KEY, real=x, fake=x[:, :1])
