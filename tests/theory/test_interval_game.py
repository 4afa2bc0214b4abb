"""Gaussians against intervals: values by hand, integrals by SciPy, gradients by JAX, and runs known step by step."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import slow
from scipy import integrate, stats

from experiments.two_gaussians import interval_examples
from mixgan_jax import theory

GAME = theory.interval_game(jnp.asarray((-0.5, 0.5)))
UNEVEN = theory.interval_game(jnp.asarray((-1.0, 0.2, 1.5)), jnp.asarray((0.2, 0.5, 0.3)))
MEANS = np.array([(-1.0, 1.0), (0.3, 0.9), (-4.0, 4.0), (6.0, 7.0), (0.0, 0.0)], np.float32).T


best_of = jax.jit(theory.optimal_intervals)
worth_of = jax.jit(theory.total_variation)


def state(means=(-1.0, 1.0), left=(-0.75, 0.0), right=(-0.25, 0.75), game=GAME):
    return theory.interval_start(game, *(jnp.asarray(part) for part in (means, left, right)))


def starts(runs=7, intervals=2, size=2, seed=0):
    """Random means and ordered ends, ``[..., runs]``."""
    random = np.random.RandomState(seed)
    ends = np.sort(random.uniform(-2, 2, (2 * intervals, runs)), axis=0).astype(np.float32)
    means = random.uniform(-1, 1, (size, runs)).astype(np.float32)
    return theory.IntervalState(*(jnp.asarray(part) for part in (means, ends[0::2], ends[1::2])))


def gap(game, means, x):
    def density(centres):
        return np.sum(np.asarray(game.weights) * stats.norm.pdf(x, np.asarray(centres)))

    return density(game.target) - density(means)


def test_the_payoff_is_the_integral_over_the_intervals():
    means, left, right = np.array([-0.3, 0.1, 0.9]), (-np.inf, 0.1, 1.0), (-1.0, 0.7, np.inf)
    expected = sum(
        integrate.quad(lambda x: gap(UNEVEN, means, x), a, b)[0]
        for a, b in zip(left, right, strict=True)
    )
    own = state(means, left, right, UNEVEN)
    assert float(theory.interval_payoff(UNEVEN, own)) == pytest.approx(expected, abs=1e-6)
    turned = own._replace(left=own.right, right=own.left)
    assert float(theory.interval_payoff(UNEVEN, turned)) == pytest.approx(-expected, abs=1e-6)


def test_the_gradients_are_those_of_the_payoff():
    own = starts(intervals=3, size=3)
    found = theory.interval_gradients(UNEVEN, own)
    expected = jax.grad(lambda s: jnp.sum(theory.interval_payoff(UNEVEN, s)))(own)
    for mine, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(mine, other, atol=1e-6)
    infinite = state(left=(-np.inf, 0.0), right=(-0.25, np.inf))
    slopes = theory.interval_gradients(GAME, infinite)
    assert (float(slopes.left[0]), float(slopes.right[1])) == (0.0, 0.0)
    assert np.all(np.isfinite(slopes.means))


@pytest.mark.parametrize("means", MEANS.T)
def test_the_optimum_earns_half_the_integral_of_the_absolute_gap(means):
    expected = integrate.quad(lambda x: 0.5 * abs(gap(GAME, means, x)), -12, 16, limit=500)[0]
    assert float(worth_of(GAME, jnp.asarray(means))) == pytest.approx(expected, abs=2e-6)


def test_no_other_intervals_earn_more_and_at_the_optimum_the_gap_is_zero():
    many = starts(runs=300, intervals=3, size=3)
    best = worth_of(UNEVEN, many.means)
    assert np.all(theory.interval_payoff(UNEVEN, many) <= best + 1e-6)
    one = jax.jit(theory.best_interval)(UNEVEN, many.means)
    worth = theory.interval_payoff(UNEVEN, theory.IntervalState(many.means, *one))
    single = starts(runs=300, intervals=1, size=3)
    assert np.all(theory.interval_payoff(UNEVEN, single._replace(means=many.means)) <= worth + 1e-6)
    assert np.all(worth <= best + 1e-6)
    assert np.mean(worth < best - 1e-4) > 0.1, "else one interval is as good"
    left, right = best_of(UNEVEN, many.means)
    slopes = theory.interval_gradients(UNEVEN, theory.IntervalState(many.means, left, right))
    assert max(np.abs(slopes.left).max(), np.abs(slopes.right).max()) < 1e-6


def test_known_total_variations_and_slopes():
    with jax.enable_x64(True):
        game = theory.interval_game(jnp.asarray((-0.5, 0.5)))
        means = jnp.asarray(MEANS, jnp.float64)[:, jnp.array([0, 2, 4])]
        left, right = best_of(game, means)
        slopes = theory.interval_gradients(game, theory.IntervalState(means, left, right))
        np.testing.assert_allclose(
            slopes.means[:, :2],
            np.array([(-0.17680743, 0.17680743), (-0.04527796, 0.04527796)]).T,
            atol=1e-7,
        )
        distance = worth_of(game, means)
        np.testing.assert_allclose(
            distance[jnp.array([0, 2])], [0.149005, 0.0581], rtol=0, atol=5e-5
        )


def test_equal_mixtures_need_no_interval_and_far_ones_are_told_apart():
    left, right = best_of(GAME, GAME.target)
    assert np.all(np.isinf(left)) and np.all(left == right)
    assert float(worth_of(GAME, GAME.target)) == 0.0
    assert float(worth_of(GAME, jnp.asarray((12.0, 15.0)))) == pytest.approx(1.0)


def test_one_step_agrees_with_known_values_in_float64():
    assert interval_examples.one_step_error() < 1e-7


@pytest.mark.parametrize(
    "dynamics", [*("simultaneous", "alternating", "unrolled"), slow("optimal")]
)
def test_a_step_of_many_runs_is_that_of_each(dynamics):
    """Under jit and vmap, and for runs as the last axis."""
    many = starts()

    def step(own):
        return theory.interval_step(GAME, own, dynamics=dynamics, step_size=0.1, depth=3)

    together = jax.jit(step)(many)
    each = jax.vmap(step, in_axes=1, out_axes=1)(many)
    for mine, other in zip(together, each, strict=True):
        np.testing.assert_allclose(mine, other, atol=1e-5)


@pytest.mark.slow
def test_unrolling_is_the_derivative_through_virtual_steps():
    own, k = starts(), 3

    def seen(means):
        after = own._replace(means=means)
        for _ in range(k):
            slope = theory.interval_gradients(GAME, after)
            after = after._replace(
                left=after.left + 0.2 * slope.left, right=after.right + 0.2 * slope.right
            )
        return jnp.sum(theory.interval_payoff(GAME, after))

    after = theory.interval_step(GAME, own, dynamics="unrolled", depth=k, step_size=0.2)
    np.testing.assert_allclose(after.means, own.means - 0.2 * jax.grad(seen)(own.means), atol=1e-6)
    once = theory.interval_step(GAME, own, dynamics="simultaneous", step_size=0.2)
    np.testing.assert_allclose(after.left, once.left, atol=1e-7)
    nothing = theory.interval_step(GAME, own, dynamics="unrolled", depth=0, step_size=0.2)
    np.testing.assert_allclose(nothing.means, once.means, atol=1e-7)
    assert np.abs(after.means - once.means).max() > 1e-4


def test_alternating_means_see_the_new_intervals():
    own = starts()
    slope = theory.interval_gradients(GAME, own)
    moved = own._replace(left=own.left + 0.3 * slope.left, right=own.right + 0.3 * slope.right)
    expected = own.means - 0.3 * theory.interval_gradients(GAME, moved).means
    after = theory.interval_step(GAME, own, dynamics="alternating", step_size=0.3)
    np.testing.assert_allclose(after.means, expected, atol=1e-6)
    np.testing.assert_allclose(after.right, moved.right, atol=1e-6)


@pytest.mark.parametrize("dynamics", ["simultaneous", "alternating", "unrolled", "optimal"])
def test_swapping_the_means_swaps_them_and_nothing_else(dynamics):
    """So half of the grid is enough; and equal means stay equal."""

    def step(own):
        return theory.interval_step(GAME, own, dynamics=dynamics, step_size=0.1, depth=2)

    own = starts()
    after, swapped = step(own), step(own._replace(means=own.means[::-1]))
    np.testing.assert_allclose(after.means, swapped.means[::-1], atol=1e-6)
    np.testing.assert_allclose(after.left, swapped.left, atol=1e-5)
    equal = step(own._replace(means=jnp.stack([own.means[0]] * 2)))
    np.testing.assert_array_equal(equal.means[0], equal.means[1])


def test_intervals_kept_in_order_become_empty_where_they_would_invert():
    own = state((0.2, 0.6), (0.5, 1.0), (0.51, 1.5))
    free = theory.interval_step(GAME, own, dynamics="simultaneous", step_size=1.0)
    kept = theory.interval_step(GAME, own, dynamics="simultaneous", step_size=1.0, ordered=True)
    assert free.left[0] > free.right[0]
    assert kept.left[0] == kept.right[0] == pytest.approx(0.5 * (free.left[0] + free.right[0]))
    assert kept.left[1] == free.left[1]


def test_a_step_for_each_mean_undoes_its_weight():
    own, weights = starts(size=3), UNEVEN.weights
    slope = theory.interval_gradients(UNEVEN, own).means
    after = theory.interval_step(
        UNEVEN, own, dynamics="simultaneous", step_size=0.1, mean_step_sizes=0.1 / weights
    )
    np.testing.assert_allclose(after.means, own.means - 0.1 * slope / weights[:, None], atol=1e-6)


def test_what_diverged_stays_so_and_touches_no_other_run():
    own = starts()
    broken = own._replace(means=own.means.at[0, 2].set(jnp.nan))
    for dynamics in ("simultaneous", "optimal"):
        after, good = (
            theory.interval_step(GAME, s, dynamics=dynamics, step_size=0.1) for s in (broken, own)
        )
        assert np.isnan(after.means[0, 2])
        np.testing.assert_array_equal(after.means[:, 3:], good.means[:, 3:])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"means": (-1.0, 17.0)}, r"means must lie in \[-16, 16\], got 17"),
        ({"means": (-1.0, np.nan)}, "means must be finite"),
        ({"means": (1.0,)}, r"means must have shape \[2, ...\]"),
        (
            {"left": (0.0, -0.75), "right": (0.75, -0.25)},
            r"right\[0\] = 0.75 and left\[1\] = -0.75",
        ),
        ({"right": (0.25, 0.75)}, r"must be intervals that rise and do not cross"),
        ({"left": (-0.2, 0.0)}, r"left\[0\] = -0.2 and right\[0\] = -0.25"),
        ({"left": (np.nan, 0.0)}, "must be intervals that rise"),
        ({"left": (0.0,)}, r"right must have shape \(1,\)"),
    ],
)
def test_a_bad_start_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        state(**change)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"step_size": 0.0}, "step_size must be a finite number > 0"),
        ({"step_size": -0.1}, "step_size must be"),
        ({"dynamics": "simultanous"}, "did you mean 'simultaneous'"),
        ({"depth": -1}, "depth must be a whole number >= 0"),
        ({"mean_step_sizes": jnp.asarray((0.1, 0.0))}, "mean_step_sizes must be > 0"),
        ({"mean_step_sizes": jnp.ones(3)}, r"mean_step_sizes must have shape \(2,\)"),
    ],
)
def test_a_bad_step_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        theory.interval_step(
            GAME, state(), **{"dynamics": "simultaneous", "step_size": 0.1, **change}
        )


def test_an_optimum_of_another_number_of_intervals_is_refused():
    with pytest.raises(ValueError, match="state must have 1 or 3 intervals for an optimum, got 2"):
        own = starts(size=3)
        theory.interval_step(UNEVEN, own, dynamics="optimal", step_size=0.1)


@pytest.mark.parametrize(
    ("target", "weights", "message"),
    [
        ((20.0, 0.0), None, r"target must lie in \[-16, 16\], got 20"),
        ((), None, "target must have one mean or more"),
        ((0.0, 1.0), (1.0, 0.0), "weights must be > 0"),
        ((0.0, 1.0), (0.7, 0.7), "weights must be non-negative and sum to 1"),
    ],
)
def test_a_bad_game_is_refused(target, weights, message):
    weights = None if weights is None else jnp.asarray(weights)
    with pytest.raises(ValueError, match=message):
        theory.interval_game(jnp.asarray(target), weights)
