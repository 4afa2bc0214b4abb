"""Double oracle: a matrix game in disguise whose answers and equilibrium are known, and the protocol of solvers."""

import itertools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from helpers import (
    BATCH,
    DISCRIMINATOR,
    GENERATOR,
    LATENT,
    Killed,
    batch,
    close,
    kill_at,
    same,
)

import mixgan_jax as mg
from mixgan_jax import penalties

SHARES = np.array([6, 3, 2, 1]) / BATCH
ATOMS = jnp.repeat(jnp.eye(4), jnp.asarray([6, 3, 2, 1]), axis=0)

# A generator is a distribution over four atoms, a discriminator a table of four numbers in [-1, 1]. Under the
# Wasserstein loss the game is (data - generator) . table: tables answer with signs, generators with the atom that is
# believed most, and in every equilibrium the mean of the generators is the data.
MAKER = mg.Player(
    lambda key, x: ({"logits": jax.random.normal(key, (4,))}, {}),
    lambda params, state, x, *, train: (
        jnp.broadcast_to(jax.nn.softmax(params["logits"]), (x.shape[0], 4)),
        state,
    ),
)
TABLE = mg.Player(
    lambda key, x: ({"table": 0.1 * jax.random.normal(key, (4,))}, {}),
    lambda params, state, x, *, train: (x @ jnp.clip(params["table"], -1.0, 1.0), state),
)
RESPONSE, MEASURE = 12, 1
ROUND = RESPONSE + MEASURE


def disguised(**options):
    settings = {
        "capacity": 12,
        "response_steps": RESPONSE,
        "measure_steps": MEASURE,
        "tolerance": 1e-3,
        "latent_size": LATENT,
        "generator_tx": optax.sign_sgd(1.0),
        "discriminator_tx": optax.sign_sgd(0.2),
        "start": "fresh",
    }
    return mg.double_oracle(MAKER, TABLE, mg.losses.wasserstein(), **{**settings, **options})


def play(rounds, seed=0, **options):
    """States at the end of each round, the first after the first players were measured, and the last infos."""
    solver = disguised(**options)

    def step(state, key):
        return solver.step(key, state, ATOMS)

    @jax.jit
    def run(key):
        state, _ = step(solver.init(key), key)

        def one(state, key):
            after, infos = jax.lax.scan(step, state, jax.random.split(key, ROUND))
            return after, (after, jax.tree.map(lambda leaf: leaf[-1], infos))

        _, (states, infos) = jax.lax.scan(one, state, jax.random.split(key, rounds))
        return state, states, infos

    first, states, infos = run(jax.random.key(seed))
    take = lambda tree, index: jax.tree.map(lambda leaf: leaf[index], tree)  # noqa: E731
    return [first] + [take(states, n) for n in range(rounds)], [
        take(infos, n) for n in range(rounds)
    ]


def strategies(state):
    """Generators as distributions ``[C, 4]``, discriminators as tables ``[C, 4]``."""
    made = jax.nn.softmax(state.generators.params["logits"])
    return np.asarray(made), np.clip(state.discriminators.params["table"], -1.0, 1.0)


def known(state):
    """The part of the matrix between slots that are filled."""
    population = state.population
    rows, columns = int(population.num_generators), int(population.num_discriminators)
    return np.asarray(population.matrix)[:rows, :columns]


@pytest.fixture(scope="module")
def played():
    return play(24)


def test_it_reaches_the_known_equilibrium_and_stops(played):
    states, infos = played
    assert infos[-1]["done"] == 1.0
    made, _ = strategies(states[-1])
    np.testing.assert_allclose(states[-1].generators.weights @ made, SHARES, atol=1e-3)
    assert abs(float(infos[-1]["value"])) < 1e-3
    assert float(infos[-1]["equilibrium_gap"]) < 1e-5
    assert infos[-1]["generator_gain"] + infos[-1]["discriminator_gain"] < 1e-3
    assert infos[0]["generator_gain"] + infos[0]["discriminator_gain"] > 0.5


def test_gains_are_what_best_responses_earn(played):
    """The duality gap of the weights before the round, over all distributions and all tables."""
    states, infos = played
    for before, info in zip(states, infos, strict=False):
        made, tables = strategies(before)
        error = SHARES - before.generators.weights @ made
        belief = np.asarray(before.discriminators.weights @ tables)
        gap = np.abs(error).sum() + belief.max() - SHARES @ belief
        gains = float(info["generator_gain"] + info["discriminator_gain"])
        assert gains == pytest.approx(gap, abs=2e-3)


def test_the_matrix_holds_what_each_pair_is_worth(played):
    for state in played[0]:
        made, tables = strategies(state)
        rows, columns = known(state).shape
        expected = (SHARES - made[:rows]) @ tables[:columns].T
        np.testing.assert_allclose(known(state), expected, atol=1e-6)


def test_weights_are_an_equilibrium_of_the_matrix(played):
    for state, info in zip(played[0][1:], played[1], strict=True):
        exact = mg.zero_sum_equilibrium(known(state))
        rows, columns = known(state).shape
        weights = (state.generators.weights[:rows], state.discriminators.weights[:columns])
        assert mg.nash_conv(mg.zero_sum(known(state)), *weights) < 1e-5
        assert float(info["value"]) == pytest.approx(float(exact.value), abs=1e-5)
        np.testing.assert_array_equal(info["num_generators"], rows)


def test_empty_slots_weigh_nothing_and_are_never_drawn(played):
    state = played[0][3]
    for mixture, size in (
        (state.generators, state.population.num_generators),
        (state.discriminators, state.population.num_discriminators),
    ):
        assert 1 < size < 12
        np.testing.assert_array_equal(mixture.weights[size:], 0.0)
        np.testing.assert_array_equal(mixture.log_weights[size:], -np.inf)
        assert float(jnp.sum(mixture.weights)) == pytest.approx(1.0, abs=1e-6)
        assert 1.0 <= mg.effective_components(mixture.log_weights) <= float(size) + 1e-4
        assert jnp.isfinite(jax.grad(mg.entropy)(mixture.log_weights)).all()
    latents = jnp.zeros((500, LATENT))
    samples, drawn = mg.sample(jax.random.key(0), MAKER, state.generators, latents)
    assert set(np.unique(drawn)) == set(np.flatnonzero(state.generators.weights > 0.01))
    np.testing.assert_allclose(
        samples.mean(0), state.generators.weights @ strategies(state)[0], atol=0.1
    )


def test_nothing_changes_any_more_when_it_is_done(played):
    states, infos = played
    first = next(n for n, info in enumerate(infos) if info["done"])
    assert first < len(infos) - 1
    assert same(states[first + 1], states[-1])
    assert same(infos[first], infos[-1])


@pytest.mark.slow
def test_a_full_side_drops_who_weighs_least():
    states, _ = play(6, capacity=2, tolerance=0.0)
    replaced = 0
    for before, after in itertools.pairwise(states):
        made, tables = strategies(after)
        np.testing.assert_allclose(after.population.matrix, (SHARES - made) @ tables.T, atol=1e-6)
        changed = np.any(strategies(before)[0] != made, axis=1)
        if changed.any() and before.population.num_generators == 2:
            assert np.flatnonzero(changed) == np.argmin(before.generators.weights)
            replaced += 1
    assert replaced


def small(**options):
    settings = {
        "capacity": 3,
        "response_steps": 3,
        "measure_steps": 2,
        "tolerance": 0.0,
        "latent_size": LATENT,
        "generator_tx": optax.adam(1e-2),
        "discriminator_tx": optax.adam(2e-2),
    }
    return mg.double_oracle(
        GENERATOR,
        mg.pack(DISCRIMINATOR, 2),
        mg.losses.non_saturating(),
        **{**settings, **options},
    )


@pytest.mark.slow
def test_the_protocol_is_kept_and_a_step_is_traced_once():
    rule = small(penalty=penalties.r1(0.1))
    state = rule.init(jax.random.key(0))
    chex.clear_trace_counter()
    step = jax.jit(chex.assert_max_traces(lambda *arguments: rule.step(*arguments), n=1))
    after, infos = state, []
    for index in range(13):
        key = jax.random.key(index)
        after, info = step(key, after, batch(key))
        infos.append(info)
        if index == 1:  # the first round measures; the second's candidates go on from there
            assert same(after.candidates, state.candidates)
    chex.assert_trees_all_equal_shapes_and_dtypes(state, after)
    assert {leaf.dtype for leaf in jax.tree.leaves(infos)} == {jnp.dtype("float32")}
    assert infos[0]["generator_weights"].shape == (3,)
    assert infos[0]["frozen_generators"].shape == (1,)
    moved = [
        bool(jnp.any(i["discriminator_weights"] != j["discriminator_weights"]))
        for i, j in itertools.pairwise(infos)
    ]
    assert set(np.flatnonzero(moved)) <= {5, 10}  # in the last step of a round and in no other
    assert infos[6]["num_discriminators"] == 2.0


@pytest.mark.slow
def test_it_restarts_inside_a_round_bit_for_bit(tmp_path):
    """Two seeds on two devices, stopped after the first of two measurements."""
    rule = disguised(response_steps=3, measure_steps=2, discriminator_tx=optax.adam(0.1))
    atoms = mg.Feed((), lambda key, _: jax.random.permutation(key, ATOMS)[:10])
    keys = mg.spread_over_devices(jax.vmap(jax.random.key)(np.arange(2)))
    options = {"log_every": 2, "save_every": 2}
    whole = mg.fit(keys, rule, atoms, num_steps=10, folder=tmp_path / "a", **options)
    with pytest.raises(Killed):
        mg.fit(keys, rule, atoms, num_steps=10, folder=tmp_path / "b", on_log=kill_at(6), **options)
    again = mg.fit(keys, rule, atoms, num_steps=10, folder=tmp_path / "b", **options)
    assert same(again, whole)
    assert whole.population.num_discriminators.tolist() == [2, 2]
    alone, _ = jax.jit(lambda key: mg.run(key, rule, atoms, num_steps=10, log_every=10))(
        jax.random.key(1)
    )
    assert close(alone, jax.tree.map(lambda leaf: leaf[1], whole), 1e-4)


def test_a_candidate_that_fails_never_enters():
    """Reals that are not finite: none of a round's values is known, or its discriminator is frozen."""
    rule = disguised(
        response_steps=3, measure_steps=2, tolerance=1e3
    )  # the first sound round ends it
    step, first = jax.jit(rule.step), rule.init(jax.random.key(0))
    state, infos = first, []
    for index in range(17):
        real = jnp.where(index in (6, 8), jnp.nan, ATOMS)
        state, info = step(jax.random.key(index), state, real)
        infos.append(info)
        if index == 1:  # fresh candidates after the first round, which moves none
            assert not same(state.candidates.sides.iterate, first.candidates.sides.iterate)
        assert jnp.isfinite(state.population.matrix).all()
        assert jnp.isfinite(info["value"])
    assert [info["done"] for info in infos].index(1.0) == 16
    for index in (6, 11):  # ends of the spoiled rounds
        assert infos[index]["num_discriminators"] == 1.0
    np.testing.assert_array_equal(infos[7]["frozen_discriminators"], 0.0)
    np.testing.assert_array_equal(infos[16]["frozen_discriminators"], 1.0)
    np.testing.assert_array_equal(infos[16]["frozen_generators"], 0.0)
    assert not np.any(state.candidates.sides.discriminator_side.frozen)


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("capacity", 0, "a whole number >= 1"),
        ("response_steps", 0, "a whole number >= 1"),
        ("measure_steps", 0, "a whole number >= 1"),
        ("tolerance", -0.1, "a finite number >= 0"),
        ("start", "cold", "one of"),
        ("latent_size", 0, "a whole number >= 1"),
    ],
)
def test_bad_arguments_are_named(name, value, expected):
    with pytest.raises(ValueError, match=f"{name} must be {expected}.*got"):
        small(**{name: value})
