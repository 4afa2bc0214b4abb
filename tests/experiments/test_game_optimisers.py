"""Optimisers of games: rates on the bilinear game, equivalences, and the solvers around any solver."""

from functools import partial

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from helpers import batch, close, feed, first_quick, same, solver

import mixgan_jax as mg
from mixgan_jax import adjustments
from mixgan_jax.solvers.around import iterate


def bilinear(tx, **options):
    """``min_x max_y x y`` from (1, 1)."""
    return mg.gradient_play(
        lambda key: (jnp.ones(()), jnp.ones(())),
        lambda key, players, batch: (players[0] * players[1], -players[0] * players[1]),
        (tx, tx),
        **options,
    )


def distances(rule, steps):
    """``||(x, y)||`` after each step, from which the orbit's own wobble is averaged out by whoever asks."""

    def body(state, index):
        state, _ = rule.step(jax.random.key(0), state, None)
        return state, jnp.hypot(*state.iterate)

    run = jax.jit(lambda: jax.lax.scan(body, rule.init(jax.random.key(0)), None, length=steps)[1])
    return np.asarray(run())


# Moduli of the largest eigenvalue of the iteration, written down: with z = x + i y a step of size s turns z by
# 1 - i s for simultaneous descent; extragradient has 1 - i s (1 - i s), optimistic descent the larger root of
# m^2 - (1 - 2 i s) m - i s, consensus with gamma = 1 has 1 - s - i s, as JARE and the symplectic adjustment have,
# since the bilinear game is nothing but its off-diagonal and antisymmetric part.
def simultaneous(s):
    return abs(1 - 1j * s)


def extra(s):
    return abs(1 - 1j * s * (1 - 1j * s))


def optimistic(s):
    return max(abs(np.roots([1, -(1 - 2j * s), -1j * s])))


def damped(s):
    return abs(1 - s - 1j * s)


METHODS = {
    "simultaneous": (bilinear, simultaneous),
    "extragradient": (lambda tx: mg.extragradient(bilinear(tx)), extra),
    "past extragradient": (lambda tx: mg.past_extragradient(bilinear(tx)), optimistic),
    "consensus": (lambda tx: bilinear(tx, adjust=adjustments.consensus(1.0)), damped),
    "jare": (lambda tx: bilinear(tx, adjust=adjustments.jare(1.0)), damped),
    "symplectic": (lambda tx: bilinear(tx, adjust=adjustments.symplectic(1.0)), damped),
}
TABLE = {  # per step, at steps of .05, .1, .3, .5, .6
    "simultaneous": (1.00125, 1.00499, 1.04403, 1.11803, 1.16619),
    "extragradient": (0.99875, 0.99504, 0.95818, 0.90139, 0.87727),
    "past extragradient": (0.99875, 0.99494, 0.94868, 0.70711, 1.05736),
    "consensus": (0.95131, 0.90554, 0.76158, 0.70711, 0.72111),
    "jare": (0.95131, 0.90554, 0.76158, 0.70711, 0.72111),
    "symplectic": (0.95131, 0.90554, 0.76158, 0.70711, 0.72111),
}
STEPS = (0.05, 0.1, 0.3, 0.5, 0.6)


@pytest.mark.parametrize("method", METHODS)
def test_rates_on_the_bilinear_game(method):
    """Measured in float64 over 100 steps after 100 against the closed form, and that against the table, to 1e-5.

    Where optimistic descent's two roots meet, at .5, the distance falls like t times the rate's power.
    """
    make, closed_form = METHODS[method]
    for size, tabled in zip(STEPS, TABLE[method], strict=True):
        assert closed_form(size) == pytest.approx(tabled, abs=1e-5)
        with jax.enable_x64(True):
            found = distances(make(optax.sgd(size)), 200)
        double_root = (method, size) == ("past extragradient", 0.5)
        rate = (found[199] / found[99] / (2.0 if double_root else 1.0)) ** 0.01
        assert rate == pytest.approx(closed_form(size), abs=1e-3 if double_root else 1e-5)


@pytest.mark.parametrize("size", [0.3, 0.6])
def test_optimistic_descent_is_optaxs_and_diverges_at_point_six(size):
    """Whose first step is a plain one: it takes the first gradient for the one before it."""
    rule = bilinear(optax.optimistic_gradient_descent(size))
    first, _ = rule.step(jax.random.key(0), rule.init(jax.random.key(0)), None)
    np.testing.assert_allclose(first.iterate, (1 - size, 1 + size), rtol=1e-6)
    with jax.enable_x64(True):
        found = distances(bilinear(optax.optimistic_gradient_descent(size)), 200)
    assert (found[199] / found[99]) ** 0.01 == pytest.approx(optimistic(size), abs=1e-5)
    assert (found[-1] > 100) == (size == 0.6)


def test_alternating_descent_stays_on_an_orbit():
    found = distances(bilinear(optax.sgd(0.1), update="alternating"), 2000)
    assert 0.9 < found.min() < found.max() < 1.1 * np.sqrt(2)


def test_past_extragradients_extrapolated_players_are_those_of_optimistic_descent():
    """``w~ <- w~ - 2 s v_t + s v_(t-1)`` with no gradient before the first, written out."""
    rule = mg.past_extragradient(bilinear(optax.sgd(0.2)))
    state = rule.init(jax.random.key(0))
    point, previous = np.ones(2), np.zeros(2)
    for _ in range(5):
        state, _ = rule.step(jax.random.key(0), state, None)
        gradient = np.array([point[1], -point[0]])
        point, previous = point - 0.2 * (2 * gradient - previous), gradient
        np.testing.assert_allclose(state.kept, point, rtol=1e-5)


def test_optimistic_descent_takes_a_schedule_of_steps():
    """First step plain, then ``2 g_t - g_(t-1)`` at each step's own size."""
    sizes = jnp.asarray([0.1, 0.3, 0.2])
    tx = optax.optimistic_gradient_descent(lambda count: sizes[count])
    state, opt_state, gradients = jnp.zeros(()), tx.init(jnp.zeros(())), (1.0, 2.0, -1.0)
    moves = []
    for gradient in gradients:
        with jax.numpy_dtype_promotion("standard"):
            move, opt_state = tx.update(jnp.float32(gradient), opt_state, state)
        moves.append(float(move))
    np.testing.assert_allclose(moves, [-0.1 * 1.0, -0.3 * 3.0, -0.2 * -4.0], rtol=1e-6)


def test_extragradient_by_hand():
    """From (1, 1) at .5: ahead is (.5, 1.5), whose gradient (1.5, -.5) is taken from (1, 1)."""
    rule = mg.extragradient(bilinear(optax.sgd(0.5)))
    state, _ = rule.step(jax.random.key(0), rule.init(jax.random.key(0)), None)
    np.testing.assert_allclose(state.iterate, (1 - 0.75, 1 + 0.25), rtol=1e-6)


def test_lookahead_by_hand():
    """Every second step, a quarter of the way from (1, 1)."""
    rule = mg.lookahead(bilinear(optax.sgd(1.0)), period=2, rate=0.25)
    state = rule.init(jax.random.key(0))
    state, _ = rule.step(jax.random.key(0), state, None)
    np.testing.assert_allclose(state.iterate, (0.0, 2.0))
    state, _ = rule.step(jax.random.key(0), state, None)  # (-2, 2), a quarter of the way
    np.testing.assert_allclose(state.iterate, (0.25, 1.25))


@pytest.mark.parametrize(("decay", "expected"), [(None, (-1.0, 2.0)), (0.5, (-0.75, 1.75))])
def test_averages_by_hand(decay, expected):
    """(0, 2), then (-2, 2): their mean; and (1, 1) halved towards one after the other."""
    rule = mg.averaged(bilinear(optax.sgd(1.0)), decay)
    state = rule.init(jax.random.key(0))
    for _ in range(2):
        state, _ = rule.step(jax.random.key(0), state, None)
    np.testing.assert_allclose(state.iterate, (-2.0, 2.0))
    np.testing.assert_allclose(state.average.iterate, expected)


SOLVER = solver()
AROUND = {
    "extragradient": mg.extragradient,
    "past_extragradient": mg.past_extragradient,
    "lookahead": partial(mg.lookahead, period=2),
    "averaged": mg.averaged,
}


@pytest.mark.parametrize("name", first_quick(AROUND))
def test_around_a_mixture_it_obeys_the_protocol_and_traces_once(name):
    rule = AROUND[name](SOLVER)
    state = rule.init(jax.random.key(0))
    chex.clear_trace_counter()
    step = jax.jit(chex.assert_max_traces(lambda *arguments: rule.step(*arguments), n=1))
    after = state
    for index in range(4):
        after, info = step(jax.random.key(index), after, batch(jax.random.key(index)))
    chex.assert_trees_all_equal_shapes_and_dtypes(state, after)
    assert info["values"].shape == (2, 3)
    for mixture in (after.generators, after.discriminators):
        assert jax.nn.logsumexp(mixture.log_weights) == pytest.approx(0.0, abs=1e-6)
        assert all(bool(jnp.isfinite(leaf).all()) for leaf in jax.tree.leaves(mixture))
    assert set(after.frozen) == {"frozen_generators", "frozen_discriminators"}


@pytest.mark.slow
@pytest.mark.parametrize("name", AROUND)
def test_around_a_mixture_seeds_are_swept_and_a_run_goes_on_where_it_stopped(name, tmp_path):
    rule, keys = AROUND[name](SOLVER), jax.vmap(jax.random.key)(np.arange(2))
    options = {"log_every": 2, "save_every": 2}
    whole = mg.fit(keys, rule, feed(), num_steps=4, folder=tmp_path / "a", **options)
    mg.fit(keys, rule, feed(), num_steps=2, folder=tmp_path / "b", **options)
    assert same(mg.fit(keys, rule, feed(), num_steps=4, folder=tmp_path / "b", **options), whole)


@pytest.mark.slow
def test_what_a_lookahead_of_rate_1_and_an_average_do_to_training_is_nothing():
    key = jax.random.key(3)
    plain, _ = mg.run(key, solver(), feed(), num_steps=4, log_every=2)
    watched, _ = mg.run(key, mg.averaged(solver(), 0.9), feed(), num_steps=4, log_every=2)
    assert same(watched.inner, plain)
    back, _ = mg.run(key, mg.lookahead(solver(), 2, 1.0), feed(), num_steps=4, log_every=2)
    assert close(back.iterate, plain.iterate, 1e-5)


def test_weights_of_zero_stay_weights():
    """Of a rule that leaves the simplex's inside: log-weights of minus infinity have no difference."""

    def mixture(*weights):
        return mg.Mixture({"w": jnp.ones(3)}, {}, jnp.log(jnp.asarray(weights)))

    here, there, back = mixture(0.5, 0.5, 0.0), mixture(1.0, 0.0, 0.0), mixture(0.2, 0.8, 0.0)
    for nodes in ((here, here, there), (here, there, back), (there, back, here)):
        weights = iterate.shifted(*nodes).weights
        np.testing.assert_allclose(weights.sum(), 1.0, rtol=1e-6)
    np.testing.assert_allclose(
        iterate.blended(here, there, 0.5).weights, (0.75, 0.25, 0.0), rtol=1e-6
    )
    np.testing.assert_allclose(  # each factor as it changed: .5 * .2 / .5 and .5 * .8 / .5
        iterate.shifted(here, here, back).weights, (0.2, 0.8, 0.0), rtol=1e-6
    )


def test_a_component_that_is_not_finite_is_frozen_through_the_outer_solver():
    rule = mg.extragradient(SOLVER)
    state = rule.init(jax.random.key(0))
    spoilt = batch(jax.random.key(1)).at[0].set(jnp.nan)
    after, _ = jax.jit(rule.step)(jax.random.key(0), state, spoilt)
    assert after.frozen["frozen_discriminators"].all()
    assert same(after.discriminators.params, state.discriminators.params)


def test_gradient_play_moves_in_turns_and_reports_losses_before_the_move():
    rule = bilinear(optax.sgd(0.5), update="alternating")
    state, info = rule.step(jax.random.key(0), rule.init(jax.random.key(0)), None)
    np.testing.assert_allclose(state.iterate, (0.5, 1.25))
    np.testing.assert_allclose(info["losses"], (1.0, -0.5))
    np.testing.assert_allclose(info["gradient_norms"], (1.0, 0.5))


def test_what_has_no_iterate_is_refused_at_the_start():
    counter = mg.Solver(lambda key: jnp.zeros(()), lambda key, state, batch: (state, {}))
    for around in AROUND.values():
        with pytest.raises(TypeError, match="solver must have states with iterate"):
            around(counter).init(jax.random.key(0))
    with pytest.raises(TypeError, match="init must return a tuple of 2 players"):
        mg.gradient_play(lambda key: (1.0,), lambda *_: (), (optax.sgd(0.1),) * 2).init(
            jax.random.key(0)
        )
