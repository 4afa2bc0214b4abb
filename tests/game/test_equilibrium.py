"""The report on trained weights: numbers by hand, the bootstrap's honesty, errors."""

import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mixgan_jax import game
from mixgan_jax.metrics.equilibrium import equilibrium_report

# As in test_game: at these weights the regrets are 1.125 and 1.825.
VALUE = np.array([[1.0, 2.0, 3.0], [4.0, 0.0, 6.0]])
ROWS, COLUMNS = jnp.log(jnp.array([0.25, 0.75])), jnp.log(jnp.array([0.2, 0.3, 0.5]))


def blocks(matrix, count, noise, seed=0):
    random = np.random.default_rng(seed)
    return matrix + noise * random.normal(size=(count, *np.shape(matrix)))


def test_numbers_by_hand():
    """Values without noise, so the interval has no width."""
    report = equilibrium_report(np.stack([VALUE] * 4), ROWS, COLUMNS)
    expected = {
        "value": 3.425,
        "nash_conv": 2.95,
        "nash_conv_low": 2.95,
        "nash_conv_high": 2.95,
        "nash_conv_bias": 0.0,
        "nash_conv_cross_fitted": 2.95,
        "generator_regret": 1.125,
        "discriminator_regret": 1.825,
        # uniform: p^T V = (2.5, 1, 4.5), V q = (2, 10/3)
        "nash_conv_uniform": 2.5,
        # row 0 and column 2 are a saddle point: 3 is largest in its row and smallest in its column
        "equilibrium_value": 3.0,
        "equilibrium_gap": 0.0,
        "generator_distance": 0.75,
        "discriminator_distance": 0.5,
        "generator_effective": np.exp(-0.25 * np.log(0.25) - 0.75 * np.log(0.75)),
        "discriminator_effective": np.exp(-np.sum([w * np.log(w) for w in (0.2, 0.3, 0.5)])),
    }
    for name, value in expected.items():
        assert report[name] == pytest.approx(value, abs=1e-5), name
    np.testing.assert_allclose(report["equilibrium_generator"], [1, 0], atol=1e-8)
    np.testing.assert_allclose(report["equilibrium_discriminator"], [0, 0, 1], atol=1e-8)
    assert report["equilibrium_is_maximum_entropy"] is True


def test_agrees_with_the_game_module():
    values = blocks(VALUE, 50, 1.0)
    report = equilibrium_report(values, ROWS, COLUMNS)
    payoffs = game.zero_sum(jnp.asarray(values.mean(axis=0), jnp.float32))
    nash_conv = game.nash_conv(payoffs, jnp.exp(ROWS), jnp.exp(COLUMNS))
    assert report["nash_conv"] == pytest.approx(float(nash_conv), rel=1e-5)


def test_all_is_plain_and_documented():
    report = equilibrium_report(blocks(VALUE, 9, 0.1), ROWS, COLUMNS)
    for name, value in report.items():
        assert f"``{name}``" in inspect.getdoc(equilibrium_report)
        assert isinstance(value, float | bool | np.ndarray), name
        assert np.isfinite(value).all(), name


def test_equal_components_have_uniform_equilibrium():
    report = equilibrium_report(
        np.ones((3, 4, 2)), jnp.log(jnp.full(4, 0.25)), jnp.zeros(2) - np.log(2)
    )
    assert report["nash_conv"] == pytest.approx(0.0, abs=1e-6)
    assert report["generator_distance"] == pytest.approx(0.0, abs=1e-6)
    assert report["generator_effective"] == pytest.approx(4.0, rel=1e-5)


def test_bootstrap_is_reproducible_and_seeded():
    values = blocks(VALUE, 30, 2.0)
    first, again, other = (equilibrium_report(values, ROWS, COLUMNS, seed=s) for s in (3, 3, 4))
    assert first["nash_conv_low"] == again["nash_conv_low"]
    assert first["nash_conv_low"] != other["nash_conv_low"]
    assert first["nash_conv_low"] < first["nash_conv"] < first["nash_conv_high"]


def test_bootstrap_in_chunks_is_the_same(monkeypatch):
    from mixgan_jax.metrics import equilibrium

    values = blocks(VALUE, 30, 2.0)
    whole = equilibrium_report(values, ROWS, COLUMNS)
    monkeypatch.setattr(equilibrium, "_DRAWS_AT_ONCE", 30 * 7)
    parts = equilibrium_report(values, ROWS, COLUMNS)
    for name in ("nash_conv_low", "nash_conv_high", "nash_conv_bias"):
        assert parts[name] == pytest.approx(whole[name], rel=1e-9), name


def test_interval_narrows_with_more_blocks_and_less_confidence():
    width = {}
    for count, confidence in ((25, 0.95), (400, 0.95), (400, 0.5)):
        report = equilibrium_report(blocks(VALUE, count, 2.0), ROWS, COLUMNS, confidence=confidence)
        width[count, confidence] = report["nash_conv_high"] - report["nash_conv_low"]
    assert width[25, 0.95] / width[400, 0.95] == pytest.approx(4.0, rel=0.4)
    # the normal distribution's quantiles: 0.674 / 1.96
    assert width[400, 0.5] / width[400, 0.95] == pytest.approx(0.344, rel=0.15)


def test_interval_covers_where_best_responses_are_clear():
    """Where one response is clearly best NashConv is linear in the payoffs, and the interval is right."""
    hits = 0
    for seed in range(100):
        report = equilibrium_report(blocks(VALUE, 60, 1.0, seed), ROWS, COLUMNS, num_bootstrap=300)
        hits += report["nash_conv_low"] <= 2.95 <= report["nash_conv_high"]
    assert 85 <= hits <= 100


def test_the_truth_lies_between_the_two_estimates_at_an_equilibrium():
    """NashConv is 0 there: the plain estimate is above it on average, the cross-fitted one is not."""
    pennies = np.array([[1.0, -1.0], [-1.0, 1.0]])
    half = jnp.log(jnp.array([0.5, 0.5]))
    reports = [
        equilibrium_report(blocks(pennies, 40, 1.0, seed), half, half, num_bootstrap=100)
        for seed in range(60)
    ]
    mean = {name: np.mean([r[name] for r in reports]) for name in reports[0] if "nash" in name}
    error = np.std([r["nash_conv_cross_fitted"] for r in reports]) / np.sqrt(60)
    assert mean["nash_conv"] > 0.1
    assert mean["nash_conv_cross_fitted"] < 3.0 * error
    assert mean["nash_conv_bias"] > 0.03
    assert mean["nash_conv_low"] > 0.0  # as the docstring warns: 0 is left out


def test_falls_back_where_entropy_cannot_be_maximised(monkeypatch):
    from mixgan_jax.game import exact

    def refuse(*_):
        raise game.EquilibriumError("too thin")

    monkeypatch.setattr(exact, "_most_entropic", refuse)
    report = equilibrium_report(blocks(VALUE, 5, 0.1), ROWS, COLUMNS)
    assert report["equilibrium_is_maximum_entropy"] is False
    assert report["equilibrium_gap"] < 1e-7


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"values": VALUE}, "values must have rank 3"),
        ({"values": VALUE[None]}, "N >= 2"),
        ({"values": np.full((3, 2, 3), np.nan)}, "values must be finite"),
        ({"generator_log_weights": COLUMNS}, r"generator_log_weights must have shape \(2,\)"),
        ({"discriminator_log_weights": jnp.exp(COLUMNS)}, "discriminator_log_weights must be log"),
        ({"confidence": 1.5}, "confidence"),
        ({"confidence": 1.0}, "confidence"),
        ({"num_bootstrap": 0}, "num_bootstrap"),
        ({"seed": -1}, "seed"),
    ],
)
def test_bad_arguments_are_named(change, message):
    arguments = {
        "values": np.stack([VALUE, VALUE]),
        "generator_log_weights": ROWS,
        "discriminator_log_weights": COLUMNS,
    }
    with pytest.raises(ValueError, match=message):
        equilibrium_report(**(arguments | change))


def test_takes_device_arrays():
    values = jax.random.normal(jax.random.key(0), (20, 2, 3))
    assert np.isfinite(equilibrium_report(values, ROWS, COLUMNS)["nash_conv"])
