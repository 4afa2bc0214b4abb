"""Exponents of power laws: exact laws, noise, and what cannot be fitted."""

import numpy as np
import pytest

from experiments.common.exponents import exponents, in_words

M = np.array([16.0, 64.0, 256.0, 1024.0, 16.0, 64.0])
P = np.array([10.0, 10.0, 10.0, 10.0, 90.0, 90.0])


def test_the_exponents_of_an_exact_law_are_found():
    values = np.stack([scale * M**-0.5 * P**0.25 for scale in (1.0, 2.0, 7.0)])
    fit = exponents({"m": M, "p": P}, values)
    for name, expected in (("m", -0.5), ("p", 0.25)):
        assert fit[name]["exponent"] == pytest.approx(expected)
        assert fit[name]["low"] == pytest.approx(expected)
        assert fit[name]["residual"] == pytest.approx(0.0, abs=1e-12)
    assert in_words(fit["m"]) == "-0.50 [-0.50, -0.50]"


def test_the_interval_is_students_over_seeds():
    slopes = np.array([-0.4, -0.5, -0.6])
    values = M[None] ** slopes[:, None]
    fit = exponents({"m": M}, values)["m"]
    half = 4.30265 * 0.1 / np.sqrt(3)  # Student's t with 2 degrees of freedom, 97.5 %
    assert fit["exponent"] == pytest.approx(-0.5)
    assert (fit["low"], fit["high"]) == pytest.approx((-0.5 - half, -0.5 + half), abs=1e-4)
    one = exponents({"m": M}, values[:1])["m"]
    assert one["low"] == one["high"] == pytest.approx(-0.4)


def test_a_law_that_does_not_hold_shows_in_the_residual():
    assert exponents({"m": M}, (1.0 + 1.0 / M)[None])["m"]["residual"] > 1e-3


@pytest.mark.parametrize(
    "values", [np.zeros((2, 6)), np.full((2, 6), np.nan), np.ones((2, 5)), np.ones(6)]
)
def test_what_has_no_logarithm_is_refused(values):
    with pytest.raises(ValueError, match="must"):
        exponents({"m": M}, values)


def test_too_few_points_are_refused():
    with pytest.raises(ValueError, match="more than 2 points"):
        exponents({"m": M[:2], "p": P[:2]}, np.ones((3, 2)))
