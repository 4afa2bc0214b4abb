"""Rules for mixture weights: values by hand, the simplex, extreme weights, and separate optimisers per component."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from helpers import close

import mixgan_jax as mg
from mixgan_jax import game, optim
from mixgan_jax.solvers.around.iterate import blended
from mixgan_jax.solvers.core.side import Gradients, Rules, start_side, update_side

RATED = {
    "exponentiated": optim.exponentiated_gradient,
    "optimistic": optim.optimistic_exponentiated_gradient,
    "sgd": optim.softmax_sgd,
    "adam": optim.softmax_adam,
    "projected": optim.projected_gradient,
}
# Regret matching+ has no learning rate; what it starts with plays the part of one over it.
RULES = {**RATED, "matching": lambda rate: optim.regret_matching_plus(1.0 / rate)}
rated_rules = pytest.mark.parametrize("rule", RATED.values(), ids=RATED)
rules = pytest.mark.parametrize("rule", RULES.values(), ids=RULES)


def play(tx, log_weights, gradients):
    """Log-weights, or parameters, after one update per gradient."""
    state, update = tx.init(log_weights), jax.jit(tx.update)
    for gradient in gradients:
        updates, state = update(gradient, state, log_weights)
        log_weights = optax.apply_updates(log_weights, updates)
    return log_weights


def play_loosely(tx, params, gradients):
    """The same for an optimiser of optax itself, which mixes dtypes."""
    with jax.numpy_dtype_promotion("standard"):
        return play(tx, params, gradients)


def constant(gradient, steps):
    return [jnp.asarray(gradient, jnp.float32)] * steps


def uniform(*shape):
    return jnp.full(shape, -jnp.log(jnp.float32(shape[-1])))


def test_exponentiated_gradient_by_hand():
    """w_i exp(-.7 g_i) = (.0993, 1.2166, .3523), sum 1.6682."""
    start = jnp.log(jnp.array([0.2, 0.3, 0.5]))
    after = play(optim.exponentiated_gradient(0.7), start, constant([1.0, -2.0, 0.5], 1))
    np.testing.assert_allclose(jnp.exp(after), [0.060, 0.729, 0.211], atol=5e-4)


def test_optimistic_uses_two_gradients_less_the_last():
    first, second = jnp.array([1.0, 0.0, -0.5]), jnp.array([-0.3, 0.4, 0.2])
    after = play(optim.optimistic_exponentiated_gradient(0.5), uniform(3), [first, second])
    expected = jax.nn.softmax(-0.5 * (first + (2.0 * second - first)))
    np.testing.assert_allclose(jnp.exp(after), expected, rtol=1e-5)


def test_softmax_adam_is_adam_through_softmax():
    """Against ``optax.adam`` on logits, whose gradient JAX finds by differentiating the mixture's loss."""
    losses = jax.random.normal(jax.random.key(0), (30, 4))
    adam = optax.adam(0.05, b1=0.5, b2=0.999, eps=0.0, eps_root=1e-8)
    logits = jnp.log(jnp.array([0.1, 0.2, 0.3, 0.4]))
    log_weights = play(optim.softmax_adam(0.05), logits, list(losses))
    state = adam.init(logits)
    for loss in losses:
        gradient = jax.grad(lambda a, g: jnp.sum(jax.nn.softmax(a) * g))(logits, loss)
        with jax.numpy_dtype_promotion("standard"):  # optax's own Adam mixes dtypes
            updates, state = adam.update(gradient, state, logits)
        logits = optax.apply_updates(logits, updates)
    np.testing.assert_allclose(jnp.exp(log_weights), jax.nn.softmax(logits), rtol=1e-4)


def test_softmax_sgd_by_hand():
    """w = (.2, .3, .5), g = (1, -2, .5): mean -.15, dL/da = w (g + .15) = (.23, -.555, .325)."""
    start = jnp.log(jnp.array([0.2, 0.3, 0.5]))
    after = play(optim.softmax_sgd(2.0), start, constant([1.0, -2.0, 0.5], 1))
    expected = np.array([0.2, 0.3, 0.5]) * np.exp(-2.0 * np.array([0.23, -0.555, 0.325]))
    np.testing.assert_allclose(jnp.exp(after), expected / expected.sum(), rtol=1e-5)


def test_softmax_sgd_hardly_moves_a_small_weight():
    """From weight 1e-6 its logit gains 1e-6 a step; exponentiated gradient's gains 1."""
    start = jax.nn.log_softmax(jnp.log(jnp.array([1.0, 1e-6])))
    for rule, gain in ((optim.softmax_sgd, 1e-6), (optim.exponentiated_gradient, 1.0)):
        after = play(rule(1.0), start, constant([1.0, 0.0], 1))
        assert float(jnp.diff(after)[0] - jnp.diff(start)[0]) == pytest.approx(gain, abs=2e-6)


def test_projected_gradient_by_hand():
    """(.2, .3, .5) - .1 (1, -2, .5) = (.1, .5, .45), sum 1.05: each less .05/3; at .3 the first drops out."""
    start, gradient = jnp.log(jnp.array([0.2, 0.3, 0.5])), constant([1.0, -2.0, 0.5], 1)
    after = play(optim.projected_gradient(0.1), start, gradient)
    np.testing.assert_allclose(jnp.exp(after), np.array([0.1, 0.5, 0.45]) - 0.05 / 3, rtol=1e-5)
    after = play(optim.projected_gradient(0.3), start, gradient)  # (-.1, .9, .35) - .125
    np.testing.assert_allclose(jnp.exp(after), [0.0, 0.775, 0.225], atol=1e-6)
    after = play(optim.projected_gradient(3.0), start, gradient)  # (-2.8, 6.3, -1)
    np.testing.assert_allclose(jnp.exp(after), [0.0, 1.0, 0.0], atol=1e-6)


def test_the_projection_is_the_nearest_point():
    """Against optax's own projection, on random points far and near."""
    gradients = jax.random.normal(jax.random.key(5), (50, 7))
    for scale in (0.1, 1.0, 30.0):
        after = play(optim.projected_gradient(1.0), uniform(50, 7), [scale * gradients])
        with jax.numpy_dtype_promotion("standard"):
            nearest = jax.vmap(optax.projections.projection_simplex)(1.0 / 7.0 - scale * gradients)
        np.testing.assert_allclose(jnp.exp(after), nearest, atol=1e-5)


def test_regret_matching_plus_by_hand():
    """From (.2, .3, .5), g = (1, -2, .5): mean -.15, regrets (-1.15, 1.85, -.65): all on the second component.

    Then g = (0, 1, -1): mean 1, Q = (0, 1.85, 0) + (1, 0, 2), sum 4.85.
    """
    start = jnp.log(jnp.array([0.2, 0.3, 0.5]))
    first, second = jnp.array([1.0, -2.0, 0.5]), jnp.array([0.0, 1.0, -1.0])
    tx = optim.regret_matching_plus()
    np.testing.assert_allclose(jnp.exp(play(tx, start, [first])), [0.0, 1.0, 0.0], atol=1e-6)
    after = jnp.exp(play(tx, start, [first, second]))
    np.testing.assert_allclose(after, np.array([1.0, 1.85, 2.0]) / 4.85, rtol=1e-5)


def test_regret_matching_plus_starts_from_the_given_regret():
    """Q = 10 w = (2, 3, 5), plus regrets (-1.15, 1.85, -.65): (.85, 4.85, 4.35), sum 10.05."""
    start = jnp.log(jnp.array([0.2, 0.3, 0.5]))
    after = play(optim.regret_matching_plus(10.0), start, constant([1.0, -2.0, 0.5], 1))
    np.testing.assert_allclose(jnp.exp(after), np.array([0.85, 4.85, 4.35]) / 10.05, rtol=1e-5)


def test_regret_matching_plus_does_not_see_the_scale():
    gradients = jax.random.normal(jax.random.key(6), (20, 4))
    plain, scaled = (
        play(optim.regret_matching_plus(), uniform(4), list(scale * gradients))
        for scale in (1.0, 8.0)
    )
    np.testing.assert_allclose(jnp.exp(plain), jnp.exp(scaled), rtol=1e-5)


def test_without_regret_weights_stay():
    start = jnp.log(jnp.array([0.25, 0.75]))
    after = play(optim.regret_matching_plus(), start, [jnp.zeros(2)])
    np.testing.assert_array_equal(after, start)


@pytest.mark.parametrize(
    "rule", [RULES["projected"], RULES["matching"]], ids=["projected", "matching"]
)
def test_a_dropped_component_comes_back(rule):
    """It keeps a finite log-weight, from which a finite update leads back."""
    dropped = play(rule(1.0), uniform(3), constant([9.0, 0.0, 0.0], 1))
    np.testing.assert_allclose(jnp.exp(dropped), [0.0, 0.5, 0.5], atol=1e-6)
    assert jnp.isfinite(dropped).all()
    after = play(rule(1.0), dropped, constant([-9.0, 0.0, 0.0], 8))
    np.testing.assert_allclose(jnp.exp(after), [1.0, 0.0, 0.0], atol=1e-6)


@rules
def test_a_weight_given_as_zero_stays_zero(rule):
    start = jnp.log(jnp.array([0.0, 0.4, 0.6]))
    after = play(rule(0.3), start, constant([-5.0, 1.0, 2.0], 3))
    assert jnp.isneginf(after[0])
    assert abs(float(jax.nn.logsumexp(after))) < 1e-5
    alone = play(rule(0.3), start[1:], constant([1.0, 2.0], 3))
    np.testing.assert_allclose(after[1:], alone, rtol=1e-4)


def test_softmax_adam_is_not_exponentiated_gradient():
    """Adam's first step has one size whatever the losses; exponentiated gradient's is proportional to them."""
    for rule, ratio in ((optim.softmax_adam, 1.0), (optim.exponentiated_gradient, 10.0)):
        odds = [
            float(jnp.diff(play(rule(0.01), uniform(2), constant([size, 0.0], 1)))[0])
            for size in (1.0, 10.0)
        ]
        assert odds[1] / odds[0] == pytest.approx(ratio, rel=1e-2)


@rules
def test_weights_move_toward_the_better_component(rule):
    weights = jnp.exp(play(rule(0.1), uniform(3), constant([0.5, -1.0, 2.0], 20)))
    assert weights[1] > 0.6  # Adam hardly tells the other two apart
    assert max(weights[0], weights[2]) < 0.25


@rules
def test_a_single_component_never_moves(rule):
    after = play(rule(0.3), jnp.zeros(1), [jnp.array([g]) for g in (3.0, -1e3, 1e-3, 0.0)])
    assert float(after[0]) == 0.0


@rules
def test_simplex_is_kept(rule):
    gradients = list(10.0 * jax.random.normal(jax.random.key(1), (200, 5)))
    after = play(rule(0.3), uniform(5), gradients)
    assert abs(float(jax.nn.logsumexp(after))) < 1e-5


@rules
def test_permuting_components_permutes_results(rule):
    order = np.array([2, 0, 3, 1])
    gradients = jax.random.normal(jax.random.key(2), (10, 4))
    start = jnp.log(jnp.array([0.1, 0.2, 0.3, 0.4]))
    plain = play(rule(0.2), start, list(gradients))
    permuted = play(rule(0.2), start[order], list(gradients[:, order]))
    np.testing.assert_allclose(permuted, plain[order], rtol=1e-5)


@rules
@pytest.mark.parametrize("low", [np.log(1e-30), -1001.0])
def test_vanishing_weights_are_no_nan(rule, low):
    start = jax.nn.log_softmax(jnp.array([0.0, low, -0.5], jnp.float32))
    after = play(rule(0.5), start, constant([1e3, -1e3, 0.0], 3))
    assert jnp.isfinite(after).all()


@pytest.mark.parametrize("rule", [RULES["exponentiated"], RULES["optimistic"]])
def test_a_vanished_weight_grows_back(rule):
    """From log-weight -1001, where the weight itself is 0 in float32."""
    start = jnp.array([0.0, -1001.0])
    after = play(rule(1.0), start, constant([1.0, -1.0], 520))
    np.testing.assert_allclose(jnp.exp(after), [0.0, 1.0], atol=1e-6)


@rules
def test_leaves_and_leading_axes_are_separate_simplices(rule):
    """A leaf ``[S, K]`` holds S simplices, and leaves of one tree do not see each other."""
    gradients = [
        {"generator": g, "discriminator": d}
        for g, d in zip(
            jax.random.normal(jax.random.key(3), (6, 2, 3)),
            jax.random.normal(jax.random.key(4), (6, 4)),
            strict=True,
        )
    ]
    start = {"generator": uniform(2, 3), "discriminator": uniform(4)}
    after = play(rule(0.3), start, gradients)
    for seed in range(2):
        alone = play(rule(0.3), uniform(3), [g["generator"][seed] for g in gradients])
        np.testing.assert_allclose(after["generator"][seed], alone, rtol=1e-5)
    alone = play(rule(0.3), uniform(4), [g["discriminator"] for g in gradients])
    np.testing.assert_allclose(after["discriminator"], alone, rtol=1e-5)


@rated_rules
def test_schedules_are_followed(rule):
    """A rate of 0 from the third step on: nothing moves any more, and before it the constant rule holds."""
    schedule = optax.piecewise_constant_schedule(0.2, {2: 0.0})
    gradients = constant([1.0, 0.0, -1.0], 5)
    after = play(rule(schedule), uniform(3), gradients)
    np.testing.assert_allclose(after, play(rule(0.2), uniform(3), gradients[:2]), rtol=1e-5)
    assert float(jnp.ptp(after)) > 0.1


@rules
def test_rules_run_inside_scan(rule):
    tx = rule(0.1)
    gradient = jnp.array([1.0, -1.0, 0.5])

    def step(carry, _):
        log_weights, state = carry
        updates, state = tx.update(gradient, state, log_weights)
        return (optax.apply_updates(log_weights, updates), state), None

    (after, _), _ = jax.lax.scan(step, (uniform(3), tx.init(uniform(3))), length=7)
    np.testing.assert_allclose(after, play(tx, uniform(3), [gradient] * 7), rtol=1e-5)


def games_without_saddle(count):
    """Random 3 x 3 games in which no pair of pure strategies is an equilibrium."""
    values = np.random.default_rng(0).normal(size=(4 * count, 3, 3)).astype(np.float32)
    lower, upper = values.min(axis=1).max(axis=1), values.max(axis=2).min(axis=1)
    mixed = values[lower < upper - 1e-3]
    assert len(mixed) >= count
    return jnp.asarray(mixed[:count])


def last_iterate_gap(rule, value):
    """NashConv after 5000 simultaneous steps of size .1, both sides starting off the centre."""
    tx = rule(0.1)
    start = (jax.nn.log_softmax(jnp.array([0.5, 0.0, 0.0])), uniform(3))

    def step(carry, _):
        log_weights, state = carry
        rows, columns = map(jnp.exp, log_weights)
        updates, state = tx.update((value @ columns, -(rows @ value)), state, log_weights)
        return (optax.apply_updates(log_weights, updates), state), None

    (log_weights, _), _ = jax.lax.scan(step, (start, tx.init(start)), length=5000)
    return game.nash_conv(game.zero_sum(value), *map(jnp.exp, log_weights))


def test_the_optimistic_last_iterate_converges():
    """Plain exponentiated gradient circles the equilibrium; the optimistic one ends at least 20 times nearer."""
    values = games_without_saddle(40)
    gaps = {
        name: np.asarray(jax.jit(jax.vmap(lambda v, r=RULES[name]: last_iterate_gap(r, v)))(values))
        for name in ("exponentiated", "optimistic")
    }
    assert np.median(gaps["exponentiated"] / np.maximum(gaps["optimistic"], 1e-9)) >= 20.0
    assert np.median(gaps["exponentiated"]) > 0.1


SCHEDULE = optax.warmup_cosine_decay_schedule(0.0, 0.1, 100, 1000, end_value=1e-3)
BY_RATE = (
    *("adabelief", "adadelta", "adafactor", "adagrad", "adam", "adamax", "adamaxw", "adamw"),
    *("adan", "amsgrad", "fromage", "lamb", "lars", "lion", "nadam", "nadamw", "novograd"),
    *("optimistic_gradient_descent", "radam", "rmsprop", "sgd", "sign_sgd", "sm3", "yogi"),
)


@pytest.mark.parametrize("name", BY_RATE)
def test_any_optimiser_of_optax_keeps_both_sides_on_the_simplex(name):
    """1,000 steps of a game without a saddle point, by a schedule that starts at 0."""
    rate = 0.05 if name in {"fromage", "sm3"} else SCHEDULE  # those take no schedule
    rules = Rules(optax.sgd(0.1), getattr(optax, name)(rate))
    value = jnp.array([[1.0, -2.0, 0.5], [-1.0, 2.0, 0.3], [0.5, 0.0, -1.0]])
    params = {"w": jnp.zeros((3, 1))}
    logs = jax.nn.log_softmax(jnp.array([0.5, 0.0, -0.5]))
    start = [start_side(rules, mg.Mixture(params, {}, logs)) for _ in range(2)]

    def step(sides, _):
        p, q = (side.mixture.weights for side in sides)
        losses = (value @ q, -(p @ value))
        moved = [
            update_side(rules, side, Gradients(params, loss, {}))
            for side, loss in zip(sides, losses, strict=True)
        ]
        return moved, None

    end, _ = jax.jit(lambda sides: jax.lax.scan(step, sides, length=1000))(start)
    for side in end:
        assert float(side.mixture.weights.sum()) == pytest.approx(1.0, abs=1e-6)
        assert not close(side.mixture.log_weights, logs, 1e-2)


def test_an_average_of_weights_stays_on_the_simplex():
    """20,000 steps of an exponential average: rounding alone took the sum 5e-6 away from 1."""

    def mixture(logits):
        return mg.Mixture({"w": jnp.zeros((10, 1))}, {}, jax.nn.log_softmax(logits))

    def step(average, turn):
        now = mixture(jnp.sin(0.37 * turn + 2.0 * jnp.arange(10.0)))
        return blended(average, now, 1e-3), None

    turns = jnp.arange(20_000.0)
    end, _ = jax.jit(lambda start: jax.lax.scan(step, start, turns))(mixture(jnp.zeros(10)))
    assert float(end.weights.sum()) == pytest.approx(1.0, abs=1e-6)


def test_a_component_given_weight_zero_does_not_stop_the_others():
    rules = Rules(optax.sgd(0.1), optim.exponentiated_gradient(0.1))
    params = {"w": jnp.zeros((3, 1))}
    side = start_side(rules, mg.Mixture(params, {}, jnp.log(jnp.array([0.0, 0.5, 0.5]))))
    weights = update_side(
        rules, side, Gradients(params, jnp.array([0.0, 1.0, 0.0]), {})
    ).mixture.weights
    assert float(weights[0]) == 0.0
    assert float(weights[1]) < float(weights[2])


# Optimisers vmapped over components ------------------------------------------------------------------------------


def stacked(seed, scale=1.0):
    keys = jax.random.split(jax.random.key(seed), 2)
    return {
        "kernel": scale * jax.random.normal(keys[0], (3, 4, 2)),
        "bias": scale * jax.random.normal(keys[1], (3, 2)),
    }


def component(tree, k):
    return jax.tree.map(lambda leaf: leaf[k], tree)


CLIPPED = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(1e-2))


def test_per_component_equals_separate_optimisers():
    params, tx = stacked(0), optim.per_component(CLIPPED)
    gradients = [stacked(seed, scale=3.0) for seed in range(1, 5)]
    together = play(tx, params, gradients)
    for k in range(3):
        alone = play_loosely(CLIPPED, component(params, k), [component(g, k) for g in gradients])
        jax.tree.map(
            lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-7),
            component(together, k),
            alone,
        )


@pytest.mark.parametrize("bad", [1e6, jnp.nan])
def test_per_component_isolates_a_bad_gradient(bad):
    """A huge or NaN gradient in component 1 leaves 0 and 2 as they were; without ``per_component`` it does not."""
    params, good = stacked(0), stacked(1, scale=0.1)
    spoilt = jax.tree.map(lambda leaf: leaf.at[1].set(bad), good)

    def change(tx, k):
        before, after = (play_loosely(tx, params, [g, good]) for g in (good, spoilt))
        pairs = zip(
            jax.tree.leaves(component(before, k)),
            jax.tree.leaves(component(after, k)),
            strict=True,
        )
        return any(not np.array_equal(a, b) for a, b in pairs)

    separate = optim.per_component(CLIPPED)
    assert not change(separate, 0)
    assert not change(separate, 2)
    assert change(separate, 1)
    assert change(CLIPPED, 0)


def test_per_component_skips_updates_one_by_one():
    tx = optim.per_component(optax.apply_if_finite(optax.sgd(0.1), 5))
    params = jnp.ones((3, 2))
    gradient = jnp.ones((3, 2)).at[1, 0].set(jnp.nan)
    np.testing.assert_allclose(play(tx, params, [gradient]), [[0.9] * 2, [1.0] * 2, [0.9] * 2])


def test_per_component_passes_extra_arguments_and_needs_no_params():
    def update(updates, state, params=None, *, factor):
        del params
        return jax.tree.map(lambda u: factor * u, updates), state

    scaled = optax.GradientTransformationExtraArgs(lambda _: optax.EmptyState(), update)
    tx = optim.per_component(scaled)
    updates, _ = tx.update(jnp.ones((3, 2)), tx.init(jnp.ones((3, 2))), factor=jnp.float32(4.0))
    np.testing.assert_allclose(updates, jnp.full((3, 2), 4.0))


@pytest.mark.parametrize("impl", ["threefry2x32", "rbg"])
def test_per_component_gives_each_its_own_key(impl):
    """Noise from one key for all would be the same noise; a single component has the optimiser's own."""
    noise = optax.add_noise(1.0, 0.0, jax.random.key(0, impl=impl))
    tx, zeros = optim.per_component(noise), jnp.zeros((3, 4))
    state = tx.init(zeros)
    for _ in range(2):
        updates, state = jax.jit(tx.update)(zeros, state)
        correlations = np.corrcoef(updates)
        assert np.abs(correlations[np.triu_indices(3, 1)]).max() < 0.99
    with jax.numpy_dtype_promotion("standard"):
        alone, _ = noise.update(zeros[0], noise.init(zeros[0]))
    np.testing.assert_array_equal(tx.update(zeros[:1], tx.init(zeros[:1]))[0][0], alone)


@rated_rules
@pytest.mark.parametrize("rate", [-0.1, float("nan"), float("inf"), "fast"])
def test_bad_learning_rates_are_named(rule, rate):
    with pytest.raises((ValueError, TypeError), match="learning_rate"):
        rule(rate)


@rules
def test_update_without_params_says_so(rule):
    tx = rule(0.1)
    with pytest.raises(ValueError, match="params must be the log-weights"):
        tx.update(jnp.ones(2), tx.init(jnp.zeros(2)))


@pytest.mark.parametrize("bad", [-1.0, float("nan"), "much"])
def test_a_bad_initial_regret_is_named(bad):
    with pytest.raises((ValueError, TypeError), match="initial_regret must be"):
        optim.regret_matching_plus(bad)


@pytest.mark.parametrize("bad", [{"b1": 1.0}, {"b2": 1.0}, {"b1": -0.1}, {"eps": 0.0}])
def test_bad_adam_constants_are_named(bad):
    with pytest.raises(ValueError, match=next(iter(bad))):
        optim.softmax_adam(0.1, **bad)


@pytest.mark.parametrize("count", [1, 3])
def test_per_component_of_nothing_has_a_state_for_each_component(count):
    """Parameters without leaves do not show how many components there are; who knows says it."""
    tx = optim.per_component(optax.adam(0.1), count)
    state = tx.init({})
    assert optax.tree.get(state, "count").shape == (count,)
    updates, state = tx.update({}, state, {})
    assert updates == {}
    assert jnp.array_equal(optax.tree.get(state, "count"), jnp.ones(count, jnp.int32))
    with pytest.raises(ValueError, match=r"params must be a tree with leaves \[K, ...\]"):
        optim.per_component(optax.adam(0.1)).init({})
