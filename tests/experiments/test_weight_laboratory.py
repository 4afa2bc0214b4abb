"""What mix_weights is made of: one transform for all rules, drifting games, measures by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import mixgan_jax as mg
from experiments.mixtures import weight_laboratory, weight_ring, weight_rules
from experiments.mixtures.weight_laboratory import BARRIERS, GRID, MEASURES, RATES, Laboratory, Plan
from experiments.mixtures.weight_rules import RULES, Drift, Setting

PENNIES = jnp.array([[1.0, -1.0], [-1.0, 1.0]])


def still(values):
    """A game that does not move: one wave of speed 0."""
    return Drift(values[None], jnp.zeros_like(values)[None], jnp.zeros(1))


def setting(rule, rate, barrier=0.0, in_turns=True):
    index = jnp.int32(list(RULES).index(rule))
    return Setting(index, jnp.float32(rate), jnp.float32(barrier), jnp.array(in_turns))


@pytest.mark.parametrize("name", RULES)
def test_any_rule_is_the_rule_that_was_chosen(name):
    start = jnp.log(jnp.array([0.2, 0.3, 0.5]))
    gradients = jax.random.normal(jax.random.key(0), (5, 3))
    own, both = RULES[name](0.3), weight_rules.any_rule()
    state = own.init(start)
    chosen = weight_rules.choose(jnp.int32(list(RULES).index(name)), jnp.float32(0.3), start)
    weights = other = start
    for gradient in gradients:
        updates, state = own.update(gradient, state, weights)
        weights = optax.apply_updates(weights, updates)
        updates, chosen = both.update(gradient, chosen, other)
        other = optax.apply_updates(other, updates)
    np.testing.assert_allclose(jnp.exp(other), jnp.exp(weights), rtol=1e-4, atol=1e-7)


def test_a_drifting_game_moves_and_comes_back_and_a_fixed_one_does_not():
    game = weight_rules.drift(jax.random.key(0), 3, 40.0)
    start, later = game.at(jnp.float32(0.0)), game.at(jnp.array([1.0, 500.0]))
    np.testing.assert_allclose(start, game.cosines.sum(0) / 2.0, rtol=1e-5)  # of four waves
    assert (
        0.0 < float(jnp.abs(later[0] - start).max()) < 0.5 < float(jnp.abs(later[1] - start).max())
    )
    assert float(game.speeds.max()) <= 2 * np.pi / 40.0
    fixed = weight_rules.drift(jax.random.key(0), 3, np.inf)
    np.testing.assert_array_equal(fixed.at(jnp.float32(77.0)), fixed.at(jnp.float32(0.0)))


def test_one_step_of_play_by_hand():
    """EG, rate 0.5, on V = [[1, 0], [0, 0]]: q sees p V = (0.5, 0), so w' goes to softmax(0.25, 0) = (0.562, 0.438).

    At once p sees V q = (0.5, 0); in turns (0.562, 0).
    """
    game = still(jnp.array([[1.0, 0.0], [0.0, 0.0]]))
    q = np.exp(0.25) / (1 + np.exp(0.25))
    for in_turns, seen in ((False, 0.5), (True, q)):
        p = 1 / (1 + np.exp(0.5 * seen))  # generators flee the payoff
        found = weight_rules.play(game, setting("EG", 0.5, in_turns=in_turns), 1, 1)
        # The discriminator would take the first column, p; the generator the second row, 0.
        assert float(found["last"]) == pytest.approx(p, rel=1e-5)
        assert float(found["curve"][0]) == pytest.approx(0.5)
        assert float(found["average"]) == pytest.approx(0.5)
        # Paid: p 0.5 seen, best 0; q -0.25, best -0.5.
        assert float(found["regret"]) == pytest.approx(0.5 * seen + 0.25, rel=1e-5)


def test_the_barrier_keeps_weights_apart():
    game = still(jnp.array([[2.0, 1.0], [0.0, -1.0]]))  # a saddle in pure strategies
    free, held = (
        weight_rules.play(game, setting("EG", 0.1, barrier), 300, 3)["effective"]
        for barrier in (0.0, 1.0)
    )
    assert float(free) < 1.05
    assert float(held) > 1.5


def test_optimistic_play_finds_the_equilibrium_and_plain_play_at_once_does_not():
    game = still(PENNIES + jnp.array([[0.5, 0.0], [0.0, 0.0]]))
    for rule, holds in (("optimistic EG", True), ("EG", False)):
        found = weight_rules.play(game, setting(rule, 0.3, in_turns=False), 1000, 5)
        assert (float(found["last"]) < 1e-2) == holds


def test_measures_by_hand():
    """Pennies, both sides always the first face, two steps; then half and half."""
    values, first = np.stack([np.asarray(PENNIES)] * 2), np.array([[1.0, 0.0]] * 2)
    found = weight_rules.measures(values, first, first, 1)
    assert (found["last"], found["average"], found["tracking"]) == (2.0, 2.0, 2.0)
    assert found["regret"] == 2.0  # the generator could have lost 1 less than it did, twice
    assert found["effective"] == 1.0
    switching = np.array([[1.0, 0.0], [0.0, 1.0]])
    found = weight_rules.measures(values, switching, switching, 1)
    assert (found["last"], found["average"]) == (2.0, 0.0)
    even = np.full((2, 2), 0.5)
    assert weight_rules.measures(values, even, even, 1)["effective"] == pytest.approx(2.0)


def test_the_oracle_is_exact_on_fixed_games_and_stale_on_drifting_ones():
    def oracle(period):
        games = jax.vmap(lambda key: weight_rules.drift(key, 3, period))(
            jax.vmap(jax.random.key)(np.arange(2))
        )
        return weight_rules.oracle(games, 250, 5)

    fixed, moving = oracle(np.inf), oracle(200.0)
    assert np.all(fixed["last"] < 1e-6)
    assert moving["tracking"].mean() > 0.05
    assert moving["curve"].shape == (2, 5)


def test_step_sizes_are_chosen_on_the_tuning_games():
    """A part in which the third rate is best on tuning games and the first on the others."""
    place = GRID.index((1, RATES[2], BARRIERS[0], True))
    tuning, test = np.ones(len(GRID)), np.ones((2, len(GRID)))
    tuning[place] = 0.5
    test[:, GRID.index((1, RATES[0], BARRIERS[0], True))] = 0.1
    kind = {"tuning": tuning, **dict.fromkeys(MEASURES, test)}
    laboratory = Laboratory([{"fixed": kind, "drifting": kind}])
    assert laboratory.chosen("fixed", 1, BARRIERS[0]) == place
    assert laboratory.rate(1, BARRIERS[0]) == RATES[2]
    np.testing.assert_array_equal(laboratory.measures("fixed", 1, BARRIERS[0])["last"], [1.0, 1.0])


def test_tuning_games_are_others_than_those_of_the_table():
    keys = jax.vmap(jax.random.key)(np.arange(2))
    plan = Plan(3, 100.0, 10, 5)
    drawn = [
        weight_laboratory.draw_games(keys, plan, kind, 2, tuning).cosines
        for kind in weight_laboratory.KINDS
        for tuning in (True, False)
    ]
    assert drawn[0].shape == (6, 4, 2, 2)
    entries = np.concatenate([np.ravel(part) for part in drawn])
    assert len(np.unique(entries)) == entries.size


def test_the_rings_oracle_plays_what_it_solved_at_the_checkpoint_before():
    """At the second checkpoint both sides are at the saddle of the first game: NashConv of that."""
    first = np.array([[0.0, -1.0], [1.0, 2.0]])  # row 0, column 0
    found = weight_ring.oracle({"values": np.stack([first, np.asarray(PENNIES)])})
    assert found["average"] == pytest.approx(2.0)
    assert found["effective"] == pytest.approx(2.0)  # of the last game, pennies


def test_the_summary_of_a_ring_is_of_its_last_checkpoints():
    even, pure = np.full((10, 2), 0.5), np.array([[1.0, 0.0]] * 10)
    mixed = np.concatenate([pure[:9], even[:1]])
    found = {
        "values": np.stack([np.asarray(PENNIES)] * 10),
        "generators": mixed,
        "discriminators": mixed,
        "regret": 0.25,
        "modes": 3,
    }
    result = weight_ring.summary(found)
    assert (result["last"], result["regret"], result["modes"]) == (0.0, 0.25, 3.0)
    assert result["average"] == pytest.approx(4 / 5 * 2.0)


@pytest.mark.slow
def test_a_ring_starts_with_the_given_rule():
    """Its first step of the weights is that rule's: projection and EG differ from the first step on."""
    setup = weight_ring.Ring(components=2, steps=10, batch=4, width=4, learning_rate=1e-2)
    run = jax.jit(jax.vmap(lambda rule: weight_ring.train(
        jax.random.key(0), rule, jnp.float32(0.5), jnp.float32(0.0), setup)))  # fmt: skip
    found = run(jnp.array([0, list(RULES).index("projection")], jnp.int32))
    assert found["values"].shape == (2, 10, 2, 2)
    assert np.all(np.isfinite(found["values"]))
    np.testing.assert_allclose(found["generators"].sum(-1), 1.0, atol=1e-4)
    assert np.any(np.abs(found["generators"][0] - found["generators"][1]) > 1e-4)


def test_nash_conv_of_sums_is_of_normalised_weights():
    gap = weight_rules.gap_of(PENNIES, jnp.array([2.0, 2.0]), jnp.array([3.0, 0.0]))
    assert float(gap) == pytest.approx(1.0)
    assert float(mg.nash_conv(mg.zero_sum(PENNIES), jnp.ones(2) / 2, jnp.array([1.0, 0.0]))) == 1.0
