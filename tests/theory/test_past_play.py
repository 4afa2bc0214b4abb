"""Exact games in turns: cycles of period 2, averages that converge, and a plain loop beside them."""

import jax.numpy as jnp
import numpy as np
import pytest

from experiments.past_play import turns_measures
from mixgan_jax import theory

GAMES = ((0.125,) * 8, (0.4, 0.3, 0.2, 0.1), (0.5, 0.5))


def plain(weights, num_turns, memory, floor, start=0):
    """The same game, with lists."""
    weights = np.asarray(weights, np.float64)
    plays, losses, found = [np.eye(len(weights))[start]], [], []
    for _ in range(num_turns):
        average = np.mean(plays[-memory:], axis=0)
        losses.append(np.log(np.maximum(average / (weights + average), floor)))
        found.append(int(np.argmin(np.sum(losses[-memory:], axis=0))))
        plays.append(np.eye(len(weights))[found[-1]])
    return found


def away(atoms, weights):
    share = np.bincount(atoms, minlength=len(weights)) / len(atoms)
    return 0.5 * np.abs(share - weights).sum()


@pytest.mark.parametrize("weights", GAMES)
def test_answering_the_last_player_cycles_with_period_two(weights):
    atoms = np.asarray(theory.atom_play(jnp.asarray(weights), 20, memory=1))
    np.testing.assert_array_equal(atoms, [1, 0] * 10)


@pytest.mark.parametrize("memory", [1, 2, 5, None])
def test_a_plain_loop_plays_alike(memory):
    weights = (0.37, 0.26, 0.21, 0.16)  # no ties beyond the first turns
    found = theory.atom_play(jnp.asarray(weights), 40, memory=memory, start=2, floor=1e-3)
    expected = plain(weights, 40, 41 if memory is None else memory, 1e-3, start=2)
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("weights", GAMES)
def test_the_average_of_fictitious_play_converges(weights):
    atoms = np.asarray(theory.atom_play(jnp.asarray(weights), 10_000))
    assert away(atoms, weights) < 0.02
    assert away(atoms, weights) < away(atoms[:100], weights)


def test_a_longer_memory_than_the_game_is_all():
    weights = jnp.asarray(GAMES[1])
    np.testing.assert_array_equal(
        theory.atom_play(weights, 30, memory=31), theory.atom_play(weights, 30)
    )
    two = np.asarray(theory.atom_play(jnp.asarray(GAMES[0]), 2000, memory=2))
    assert away(two, GAMES[0]) == pytest.approx(0.5, abs=0.01)  # four of eight atoms, for ever


@pytest.mark.parametrize(
    "matrix", [((1.0, -1.0), (-1.0, 1.0)), ((0.0, 1, -1), (-1, 0, 1), (1, -1, 0))]
)
def test_the_gap_of_fictitious_play_falls_as_one_over_root_t(matrix):
    gaps = np.asarray(theory.fictitious_play(jnp.asarray(matrix), 10_000))
    assert gaps.shape == (10_000,)
    assert gaps[0] == 2.0  # both pure, and each side would gain 1
    assert 1.2 <= gaps[-1] * 100 <= 1.8


def test_bad_arguments_are_named():
    weights = jnp.asarray(GAMES[2])
    for arguments, message in (
        ({"weights": jnp.array([1.0, 0.0]), "num_turns": 3}, "weights must be > 0"),
        ({"weights": weights, "num_turns": 3, "start": 2}, "start must be below 2"),
        ({"weights": weights, "num_turns": 3, "memory": 0}, "memory must be"),
        ({"weights": weights, "num_turns": 3, "floor": 0.0}, "floor must be"),
    ):
        with pytest.raises(ValueError, match=message):
            theory.atom_play(**arguments)


def test_measures_by_hand():
    weights = np.array([0.5, 0.25, 0.25])
    histograms = np.eye(3)[[[1, 0, 0, 2]]]
    found = turns_measures.summary(histograms, np.array([[1.0, 2.0, 3.0, 5.0]]), weights)
    assert found["changes"][0] == pytest.approx(200 / 3)
    assert found["instantaneous"][0] == pytest.approx((0.75 + 0.5 + 0.5 + 0.75) / 4)
    assert found["average"][0] == pytest.approx(0.0)
    assert found["told_apart"][0] == 5.0
    faced = turns_measures.faced_exactly([1, 0, 0, 2], weights, memory=1)
    # Atom 0 of weight 1/2: KL(p|m) = log(2/3)/2 + log(2)/2, KL(q|m) = log(4/3).
    by_hand = 0.5 * (0.5 * np.log(2 / 3) + 0.5 * np.log(2) + np.log(4 / 3))
    np.testing.assert_allclose(faced[[0, 2, 3]], by_hand, atol=1e-6)
    settled = turns_measures.faced_exactly([1, 0, 2, 1], weights, memory=None)
    np.testing.assert_allclose(settled[3], 0.0, atol=1e-6)  # 0, 1, 0, 2 are the weights
