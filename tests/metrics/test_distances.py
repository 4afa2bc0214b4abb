"""Distances without training: values by hand, closed forms, the reference table of exact W1, invariances."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mixgan_jax.metrics import (
    empirical_jensen_shannon,
    exact_wasserstein,
    maximum_mean_discrepancy,
    sliced_wasserstein,
)

KEY = jax.random.key(0)


def column(*values: float) -> jax.Array:
    return jnp.asarray(values, jnp.float32)[:, None]


def test_mmd_by_hand() -> None:
    """Points 0, 1 against 0, 2, 3; k(r) = exp(-r^2 / 2)."""
    k = [math.exp(-0.5 * r**2) for r in range(4)]
    across = (k[0] + k[2] + k[3] + k[1] + k[1] + k[2]) / 6
    expected = k[1] + (k[2] + k[3] + k[1]) / 3 - 2 * across
    got = maximum_mean_discrepancy(column(0, 1), column(0, 2, 3), bandwidth=1.0)
    assert got.shape == ()
    np.testing.assert_allclose(got, expected, rtol=1e-5)


def test_mmd_of_gaussians_is_the_closed_form_on_average() -> None:
    """N(0, I) and N(mu, I): 2 (h^2 / (h^2 + 2))^(D/2) (1 - exp(-|mu|^2 / (2 (h^2 + 2))))."""
    h, mu = 1.5, jnp.array([1.0, -0.5, 0.0])

    def one(key):
        x, y = jax.random.normal(key, (2, 200, 3))
        same = maximum_mean_discrepancy(x, y, bandwidth=h)
        return same, maximum_mean_discrepancy(x, y + mu[None], bandwidth=h)

    same, shifted = jax.jit(jax.vmap(one))(jax.random.split(KEY, 60))
    spread = h**2 + 2
    expected = 2 * (h**2 / spread) ** 1.5 * (1 - math.exp(-1.25 / (2 * spread)))
    for values, mean in ((same, 0.0), (shifted, expected)):
        error = float(jnp.std(values, ddof=1)) / math.sqrt(60)
        assert abs(float(values.mean()) - mean) < 3 * error
        assert error < 0.01
    assert jnp.any(same < 0)  # unbiased at 0 means negative at times


def test_mmd_is_the_same_however_the_rows_are_cut() -> None:
    x, y = jax.random.normal(KEY, (2, 1030, 2))  # more than are taken at once
    both = np.concatenate([x, y])
    kernel = np.exp(-0.5 * ((both[:, None] - both[None]) ** 2).sum(-1))
    n = len(x)
    within = [(block.sum() - n) / (n * (n - 1)) for block in (kernel[:n, :n], kernel[n:, n:])]
    expected = sum(within) - 2 * kernel[:n, n:].mean()
    got = maximum_mean_discrepancy(x, y, bandwidth=1.0)
    np.testing.assert_allclose(got, expected, atol=2e-6)


@pytest.mark.parametrize(
    ("real", "fake", "expected"),
    [
        ((0, 1), (2, 3), 2.0),
        ((3, 0), (0, 3), 0.0),
        ((0,), (1, 2, 6), 3.0),  # the mean distance to the single point
        ((0, 1), (0, 0, 1, 1, 1, 1), 1 / 6),  # a sixth of the mass moves by 1
    ],
)
def test_sliced_wasserstein_in_one_dimension_is_exact(real, fake, expected) -> None:
    got = sliced_wasserstein(KEY, column(*real), column(*fake), num_projections=3)
    np.testing.assert_allclose(got, expected, atol=1e-6)


@pytest.mark.slow
def test_sliced_wasserstein_of_a_shift_is_the_closed_form() -> None:
    """|mu| E|theta_1|, which is 2 / pi in the plane and 1/2 in space; other samples with equal quantiles cancel."""
    for mu, mean in (((3.0, 4.0), 2 / math.pi), ((0.0, 3.0, 4.0), 0.5)):
        x = jax.random.normal(KEY, (50, len(mu)))
        shifted = (x + jnp.array(mu)[None])[::-1]
        got = sliced_wasserstein(jax.random.key(1), x, shifted, num_projections=20_000)
        np.testing.assert_allclose(got, 5 * mean, rtol=0.01)
        assert got <= exact_wasserstein(x, shifted) + 1e-5


def test_sliced_wasserstein_agrees_with_scipy_along_one_direction() -> None:
    from scipy.stats import wasserstein_distance

    x, y = jax.random.normal(KEY, (37, 1)), 2 * jax.random.normal(jax.random.key(1), (23, 1))
    got = sliced_wasserstein(KEY, x, y, num_projections=1)
    np.testing.assert_allclose(got, wasserstein_distance(x[:, 0], y[:, 0]), rtol=1e-5)


def test_exact_wasserstein_by_hand() -> None:
    """The cheap-looking first match is not the best: 0 -> 1 forces 2 -> 5; a shift costs its length."""
    assert exact_wasserstein(column(0, 2), column(1, 5)) == pytest.approx(2.0)
    x = jax.random.normal(KEY, (20, 3))
    assert exact_wasserstein(x, x[::-1]) == 0.0
    assert exact_wasserstein(x, x + jnp.array([[0.0, 3.0, 4.0]])) == pytest.approx(5.0, rel=1e-6)
    images = x.reshape(20, 3, 1)
    assert exact_wasserstein(images, 2 * images) == exact_wasserstein(x, 2 * x)


@pytest.mark.parametrize(
    ("d", "m", "expected", "tolerance"),
    [
        (2, 128, 0.271, 0.02),
        (10, 128, 0.791, 0.01),
        (100, 128, 1.234, 0.005),
        (100, 512, 1.194, 0.004),
    ],
)
def test_two_samples_of_one_gaussian_are_as_far_apart_as_computed_independently(
    d, m, expected, tolerance
) -> None:
    """N(0, I/d) against itself: population W1 is 0, that of samples goes to sqrt 2 with d; means of 6 pairs."""
    samples = jax.random.normal(KEY, (6, 2, m, d)) / math.sqrt(d)
    distances = [exact_wasserstein(x, y) for x, y in samples]
    # Three standard deviations of a mean of 6; that of one pair is 0.02 at d = 2.
    assert np.mean(distances) == pytest.approx(
        expected, abs=max(tolerance, 3 * 0.02 / 6**0.5 * (d == 2))
    )
    assert math.sqrt(2) - math.sqrt(10 / d) <= np.mean(distances) <= math.sqrt(2)


def test_jensen_shannon_by_hand() -> None:
    x = jax.random.normal(KEY, (7, 3))
    assert empirical_jensen_shannon(x, x[:3]) < math.log(2)
    assert empirical_jensen_shannon(x, jnp.concatenate([x, x])) == pytest.approx(0.0, abs=1e-15)
    assert empirical_jensen_shannon(x, x + 1.0) == math.log(2)
    assert empirical_jensen_shannon(column(-0.0), column(0.0, 0.0)) == 0.0
    # p = (1/2, 1/2, 0), q = (0, 1/2, 1/2): half the mass of each is apart.
    half = empirical_jensen_shannon(column(1, 2), column(2, 3))
    assert half == pytest.approx(0.5 * math.log(2), rel=1e-12)
    # p = (3/4, 1/4), q = (1/4, 3/4) on two points.
    got = empirical_jensen_shannon(column(0, 0, 0, 1), column(0, 1, 1, 1))
    expected = 0.75 * math.log(0.75 / 0.5) + 0.25 * math.log(0.25 / 0.5)
    assert got == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    "measure",
    [
        lambda x, y: maximum_mean_discrepancy(x, y, bandwidth=1.0),
        lambda x, y: sliced_wasserstein(KEY, x, y),
        exact_wasserstein,
        empirical_jensen_shannon,
    ],
)
def test_samples_that_do_not_match_are_named(measure) -> None:
    x = jnp.ones((4, 2))
    with pytest.raises(ValueError, match="fake must be of samples like real's"):
        measure(x, jnp.ones((4, 3)))
    with pytest.raises(ValueError, match=r"real must have shape \[N, ...\]"):
        measure(jnp.ones((0, 2)), x)
    with pytest.raises(ValueError, match="fake must be finite"):
        measure(x, x.at[0, 0].set(jnp.nan))
    with pytest.raises(TypeError, match="real must be floating point"):
        measure(jnp.ones((4, 2), jnp.int32), x)


def test_an_assignment_needs_as_many_of_either() -> None:
    with pytest.raises(ValueError, match="fake must be as many samples as real, 4, got 3"):
        exact_wasserstein(jnp.ones((4, 2)), jnp.ones((3, 2)))
