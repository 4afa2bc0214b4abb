"""The experiment on GAN dynamics: its grid, how runs are counted, and known rates of a small sample."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments.two_gaussians import gan_dynamics as script, interval_orders, interval_runs
from experiments.two_gaussians.interval_runs import Rule, Sweep
from mixgan_jax import theory

GAME = theory.interval_game(jnp.asarray((-0.5, 0.5)))
SIMULTANEOUS = Rule("simultaneous", "simultaneous")


def test_the_grid_holds_every_pair_once():
    grid = interval_runs.cells(4)
    assert grid.shape == (2, 10)
    assert np.all(grid[0] <= grid[1])
    assert np.unique(grid, axis=1).shape == grid.shape
    assert (grid.min(), grid.max()) == (-1.0, 1.0)


def test_starts_are_in_order_and_of_every_cell():
    start = interval_runs.grid_starts(script.harness.seed_keys([0])[0], 4, 3, 2.0)
    assert start.means.shape == (2, 30)
    np.testing.assert_array_equal(start.means[:, ::3], interval_runs.cells(4))
    theory.interval_start(GAME, *start)


def test_runs_in_chunks_are_the_same_runs():
    start = interval_runs.grid_starts(script.harness.seed_keys([0])[0], 4, 3, 2.0)
    whole, parts = (
        interval_runs.play(SIMULTANEOUS, 5, at_once, start, jnp.float32(0.1), GAME)
        for at_once in (100, 7)
    )
    for name, value in whole.items():
        np.testing.assert_allclose(value, parts[name], atol=1e-6)


def test_fates_by_hand():
    means = np.array(
        [(0.45, -0.55), (np.nan, 0.0), (0.0, 3.5), (0.2, 0.25), (0.0, 0.8), (0.0, 0.8)], np.float32
    ).T
    inverted = np.array([True, False, True, False, True, False])
    end = {"means": means, "inverted": inverted, "ever_inverted": inverted}
    found = interval_runs.judge(4, {k: jnp.asarray(v) for k, v in end.items()}, GAME)
    assert [interval_runs.FATES[i] for i in found["fate"]] == list(interval_runs.FATES)
    np.testing.assert_array_equal(found["success"], [True] + [False] * 5)
    np.testing.assert_array_equal(found["escaped"], [False, True, True, False, False, False])
    assert float(found["tv"][1]) == 1.0
    # With unequal weights the means have names.
    named = theory.interval_game(GAME.target, jnp.asarray((0.1, 0.9)))
    assert not interval_runs.judge(4, {k: jnp.asarray(v) for k, v in end.items()}, named)[
        "success"
    ][0]


def test_a_summary_leaves_the_diagonal_out():
    side, seeds, each = 3, 2, 2
    success = np.ones((seeds, 6, each), bool)
    diagonal = np.diff(interval_runs.cells(side), axis=0)[0] == 0
    success[:, diagonal] = False
    flat = success.reshape(seeds, -1)
    runs = {"success": flat, "tv": 1.0 - flat, "fate": np.where(flat, 0, 5)}
    found = interval_runs.grid_summary(runs, side)
    np.testing.assert_array_equal(found["success"], [1.0, 1.0])
    np.testing.assert_array_equal(found["map"], ~diagonal)
    np.testing.assert_array_equal(found["fates"][:, 0], [1.0, 1.0])


@pytest.mark.slow
def test_rates_of_a_small_sample_are_the_known_ones():
    """11 x 11 grid, 0.1 / 0.3: simultaneous 0.110 / 0.053, of 440 runs; unrolled by 5 at 0.3 0.94."""
    sweep = Sweep(seeds=2, steps=3000, reach=2.0, at_once=1000)
    rate = sweep.on_grid(GAME, SIMULTANEOUS, 11, 8, 0.1)["success"].mean()
    assert 0.06 <= rate <= 0.16
    unrolled = Rule("unrolled", "unrolled", 5)
    assert sweep.on_grid(GAME, unrolled, 6, 3, 0.3)["success"].mean() >= 0.8


def test_the_optimum_takes_the_known_numbers_of_steps():
    """Step size 0.1, from (-1, 1): 19, 27, 31 steps until TV is at most 0.05, 0.02, 0.01."""

    @jax.jit
    def step(means):
        own = theory.IntervalState(means, jnp.zeros(2), jnp.zeros(2))
        after = theory.interval_step(GAME, own, dynamics="optimal", step_size=0.1)
        return theory.interval_payoff(GAME, after._replace(means=means)), after.means

    means, path = jnp.asarray((-1.0, 1.0)), []
    for _ in range(40):
        distance, means = step(means)
        path.append(float(distance))
    assert [next(i for i, tv in enumerate(path) if tv <= d) for d in (0.05, 0.02, 0.01)] == [
        *(19, 27, 31)
    ]
    starts = jnp.asarray([(-1.0, 1.0), (-1.0, 1.0)])
    found = interval_orders.steps_until(GAME, starts, jnp.asarray((0.1, 0.02)), 40)
    assert found[0] == next(i for i, tv in enumerate(path) if tv <= 0.1)
    assert found[1] == 40


def test_orders_of_exact_laws_are_found():
    hits = {
        series: np.round(1e6 * np.asarray(factor)[None] ** order) * np.ones((3, 1))
        for order, (series, (_, factor)) in zip(
            (1.0, 0.5, 0.4), interval_orders.SERIES.items(), strict=True
        )
    }
    found = interval_orders.orders(hits)
    assert [round(found[s]["exponent"], 3) for s in hits] == [1.0, 0.5, 0.4]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--depths", "2", "3"], "--depths must hold 5, got (2, 3)"),
        (["--discriminator-steps", "2"], "--discriminator-steps must hold 5"),
        (["--step-size", "0.3"], "--large-step-size must be another than step_size"),
        (["--step-size", "0"], "--step-size must be a finite number > 0"),
    ],
)
def test_what_could_not_be_judged_is_refused(arguments, message, capsys, tmp_path):
    with pytest.raises(SystemExit) as stop:
        script.main([*arguments, "--runs", str(tmp_path)])
    assert stop.value.code == 2
    assert message in capsys.readouterr().err
