"""Sample sizes of the theorems: values by hand, inverses, rates."""

import math

import pytest

from mixgan_jax import theory


def test_samples_by_hand():
    """p = 10, eps = 0.1, all constants 1: 3200 (10 log 161 + 10 + log 4)."""
    expected = 3200 * (10 * math.log(161) + 10 + math.log(4))
    assert theory.sufficient_samples(0.1, 10) == math.ceil(expected) == 199042


def test_components_by_hand():
    """p = 10, eps = 0.1, Delta = 2, L = 3, L_phi = 5: 3200 (10 log 1201 + 10)."""
    expected = math.ceil(3200 * (10 * math.log(1201) + 10))
    options = {"payoff_bound": 2.0, "lipschitz": 3.0, "phi_lipschitz": 5.0}
    assert theory.sufficient_components(0.1, 10, **options) == expected
    swapped = {**options, "lipschitz": 5.0, "phi_lipschitz": 3.0}
    assert theory.sufficient_components(0.1, 10, **swapped) == expected


@pytest.mark.parametrize(
    ("size", "error"),
    [
        (theory.sufficient_samples, theory.sampling_error),
        (theory.sufficient_components, theory.mixture_error),
    ],
)
@pytest.mark.parametrize("count", [1, 50, 10**6])
@pytest.mark.parametrize("p", [1, 1000])
def test_the_error_is_the_inverse(size, error, count, p):
    options = {"payoff_bound": 0.5, "lipschitz": 7.0, "phi_lipschitz": 2.0}
    eps = error(count, p, **options)
    assert size(eps * (1 + 1e-9), p, **options) <= count
    assert size(eps * (1 - 1e-6), p, **options) >= count


def test_the_rate_is_one_half_up_to_the_logarithm():
    slopes = [
        math.log(error(100 * m, 50) / error(m, 50)) / math.log(100)
        for error in (theory.sampling_error, theory.mixture_error)
        for m in (10**4, 10**6)
    ]
    assert all(-0.5 < slope < -0.4 for slope in slopes)


def test_only_one_side_is_sampled_for_a_mixture():
    """A quarter of the factor, half the fineness of the net."""
    assert 4 < theory.sufficient_samples(0.1, 100) / theory.sufficient_components(0.1, 100) < 5


def test_the_blur_of_narrow_gaussians():
    assert theory.blur_error(0.1, 4, input_lipschitz=3.0, phi_lipschitz=2.0) == pytest.approx(1.2)
    assert theory.blur_error(0.0, 4) == 0.0


def test_an_error_of_zero_is_refused():
    with pytest.raises(ValueError, match=r"error must be a finite number > 0, got 0"):
        theory.sufficient_components(0, 3)
