"""What theory_small_mixtures is made of: sampled and best small mixtures, single and mixed GANs in a larger game."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import mixgan_jax as mg
from experiments.theorems import few_strategies, populations
from experiments.theorems.populations import LOSSES, Networks, Sides

PENNIES = np.array([[1.0, -1.0], [-1.0, 1.0]])
EVEN = (np.full(2, 0.5), np.full(2, 0.5))


def test_sampled_pennies_by_hand():
    """One coin face each: whoever the opponent catches loses 1, both ways, so 2; of two faces half the pairs differ."""
    found = few_strategies.sampled(PENNIES, EVEN, (1, 2), 4000, seed=0)
    np.testing.assert_allclose(found["sampled"], [2.0, 1.0], atol=0.05)
    np.testing.assert_array_equal(found["sampled"], found["in_support"])
    assert np.all(found["sampled"] <= 2.0 * few_strategies.bound(2, (1, 2)))
    other = few_strategies.sampled(PENNIES, EVEN, (2,), 100, seed=1)
    assert other["sampled"] != few_strategies.sampled(PENNIES, EVEN, (2,), 100, seed=2)["sampled"]


def test_a_pure_equilibrium_has_no_sampling_error_and_no_exponent():
    game, sides = np.array([[0.0, -1.0], [1.0, 2.0]]), (np.array([1.0, 0.0]), np.array([1.0, 0.0]))
    found = few_strategies.sampled(game, sides, (4, 8, 16), 10, seed=0)["sampled"]
    np.testing.assert_array_equal(found, np.zeros(3))
    assert few_strategies.exponent((4, 8, 16), np.stack([found, found])) is None


def test_deviations_outside_the_support_count_in_the_whole_game_only():
    """The third column earns -.5 at the equilibrium, and 1 where both sampled rows are the first."""
    game = np.column_stack([PENNIES, [1.0, -2.0]])
    sides = (np.full(2, 0.5), np.array([0.5, 0.5, 0.0]))
    found = few_strategies.sampled(2.0 * game, sides, (64,), 200, seed=0)
    assert found["sampled"] == found["in_support"]  # by then the third column is out of the race
    game[:, 2] = [1.5, -1.6]
    found = few_strategies.sampled(game, sides, (1,), 200, seed=0)
    assert found["sampled"] > found["in_support"] + 0.1


def test_the_best_k_strategies_are_exact_from_the_support_on():
    random = np.random.default_rng(0)
    games = np.stack([np.block([[PENNIES, random.uniform(-4, -2, (2, 3))], [random.uniform(2, 4, (3, 5))]])
                      for _ in range(2)])  # fmt: skip
    sides = [(pair.generator, pair.discriminator) for pair in map(mg.zero_sum_equilibrium, games)]
    assert all((weights > 1e-9).sum() == 2 for pair in sides for weights in pair)
    found = few_strategies.best(games, sides, (1, 2, 3), num_steps=400)
    np.testing.assert_allclose(found["sparse_exact"], [[2.0, 0.0, 0.0]] * 2, atol=1e-9)
    np.testing.assert_allclose(found["sparse"], found["sparse_exact"], atol=5e-3)


def test_exponents_are_of_the_seeds_that_have_one():
    k = np.array([1.0, 4.0, 16.0, 64.0])
    gaps = np.stack([3.0 * k**-0.5, k**-0.5, np.zeros(4)])
    found = few_strategies.exponent(k, gaps)
    assert found["exponent"] == pytest.approx(-0.5)
    assert len(found["by_seed"]) == 2


def mixture(*weights):
    return mg.Mixture({}, {}, jnp.log(jnp.array(weights)))


def test_a_mixture_beside_a_population_by_hand():
    """Population of 2, a mixture of 1 and one of 2: row and column 2, rows and columns 3 and 4."""
    values = jax.random.normal(jax.random.key(0), (5, 5))
    one, two = mixture(1.0), mixture(0.25, 0.75)
    found = populations.beside(values, 2, [Sides(one, one), Sides(two, two)])
    v = np.asarray(values)
    expected = v[2, [0, 1, 2]].max() - v[[0, 1, 2], 2].min()
    assert float(found[0]) == pytest.approx(expected, rel=1e-5)
    row, column = 0.25 * v[3] + 0.75 * v[4], 0.25 * v[:, 3] + 0.75 * v[:, 4]
    expected = row[[0, 1, 3, 4]].max() - column[[0, 1, 3, 4]].min()
    assert float(found[1]) == pytest.approx(expected, rel=1e-5)


def test_single_gans_are_the_last_snapshots():
    values = jnp.arange(16.0).reshape(4, 4)  # two GANs of two snapshots: strategies 1 and 3
    assert float(populations.pairs(values, 2)) == pytest.approx(((7 - 1) + (15 - 3)) / 2)


@pytest.mark.parametrize("name", LOSSES)
def test_a_numbered_loss_is_that_loss(name):
    real, fake = jnp.array([0.3, -2.0]), jnp.array([1.0, 0.5])
    chosen = jax.jit(lambda which: populations.one_of(which).value(real=real, fake=fake))
    expected = LOSSES[name].value(real=real, fake=fake)
    np.testing.assert_allclose(chosen(jnp.int32(list(LOSSES).index(name))), expected, rtol=1e-6)


@pytest.mark.slow
def test_a_trained_population_has_all_snapshots_of_all_gans():
    """The first snapshots, after one step, are other networks than the last ones; the game is as large as both."""
    networks = Networks(4, 3, 6, 1e-2, LOSSES["brier"])
    sides = populations.trained_population(jax.random.key(0), networks, 6, 3, 3)
    assert sides.generators.num_components == sides.discriminators.num_components == 6
    kernel = jax.tree.leaves(sides.generators.params)[-1]
    assert all(jnp.any(kernel[i] != kernel[j]) for i in range(6) for j in range(i))
    joined = populations.join(sides, sides)
    values = populations.values(jax.random.key(1), networks, joined, 8)
    assert values.shape == (12, 12)
