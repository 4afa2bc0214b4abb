"""The exact panels of first_principles agree with their tables to three decimals, and the comparison can fail."""

import math

import numpy as np
import pytest

from experiments.first_principles import first_principles_tables as expected
from experiments.first_principles.first_principles_panels import exact_panels


@pytest.fixture(scope="module")
def panels():
    return exact_panels()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["A1", "A2", "A3", "A4", "A5"])
def test_a_panel_agrees_with_its_table_to_three_decimals(panels, name):
    worst, where, count = expected.deviation(expected.tables(panels)[name])
    assert worst < expected.TOLERANCE, where
    assert count >= 8


@pytest.mark.slow
def test_the_minimum_of_each_fit_is_the_least_of_its_starts(panels):
    for fits in panels["A5"].values():
        for fit in fits.values():
            assert fit["value"] <= min(fit["minima"])[0] + 1e-6
    covering = panels["A5"]["modes at ±2"]["jensen_shannon"]
    assert sorted({round(value, 3) for value, *_ in covering["minima"]}) == [0.201, 0.216]


def test_the_comparison_counts_what_is_known_and_can_fail():
    table = {"same": ([1.0, math.inf], [1.0, math.inf]), "other": ([0.5, 7.0], [0.25, math.nan])}
    assert expected.deviation(table) == (0.25, "other", 3)
    assert expected.deviation({"lost": ([math.nan], [1.0])})[0] == math.inf
    assert expected.deviation({"lost": ([math.inf], [1.0])})[0] == math.inf
    with pytest.raises(ValueError, match="short must have shape"):
        expected.deviation({"short": ([1.0], [1.0, 2.0])})


def test_pulls_in_the_limit():
    """At an excess of eps: eps log(2 / eps) for the proper rules, nearly."""
    for excess in (1e-4, 1e-6):
        pull = expected.pull_at(excess)
        for name in ("logistic", "Brier", "exponential"):
            assert 0.9 < pull[name] / (excess * np.log(2 / excess)) < 1.1
    assert expected.finite_bound(100) == pytest.approx(1.098, abs=5e-4)
