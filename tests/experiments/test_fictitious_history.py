"""What fictitious_history measures of records, by hand."""

import numpy as np
import pytest

from experiments.past_play import fictitious_history


def test_measures_of_four_records_by_hand():
    """A generator on atoms 0, 1, 1, 0 of two equal ones: the last quarter is the last record alone."""
    histograms = np.eye(2)[[0, 1, 1, 0]][None]
    even = np.array([0.5, 0.5])
    single = fictitious_history.measures(histograms, even, 1)
    assert single["average"].tolist() == [0.0]
    assert single["modes"].tolist() == [1.0]
    assert single["history"].tolist() == single["single"].tolist() == [0.5]
    three = fictitious_history.measures(histograms, even, 3)
    assert three["history"] == pytest.approx([1 / 6])
    assert three["modes"].tolist() == [2.0]
    everything = fictitious_history.measures(histograms, even, None)
    assert everything["history"].tolist() == [0.0]
    assert everything["moves"] == pytest.approx([200 / 3])


@pytest.mark.parametrize("capacity", [1, 3, None])
def test_a_history_is_no_longer_than_its_past(capacity):
    """Against the definition: at each late record the mean of the last C, or of all there are."""
    rng = np.random.default_rng(0)
    histograms = rng.dirichlet(np.ones(3), size=(2, 8))
    weights = np.array([0.5, 0.3, 0.2])
    found = fictitious_history.measures(histograms, weights, capacity)
    late = [
        0.5
        * np.abs(histograms[:, max(0, t + 1 - (capacity or 8)) : t + 1].mean(1) - weights).sum(-1)
        for t in (6, 7)
    ]
    np.testing.assert_allclose(found["history"], np.mean(late, axis=0))
