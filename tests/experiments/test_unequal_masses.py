"""Parts of unequal_masses: weights and shares by hand, a verdict on made-up curves, and a barrier that decays."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments.mixtures import unequal_masses
from experiments.mixtures.unequal_training import (
    POINTS,
    Plan,
    Rule,
    best_weights,
    distance,
    mode_shares,
    refit,
    train_all,
)
from mixgan_jax.data import ring

MASSES = jnp.array([0.5, 0.3, 0.2])


def test_weights_of_components_on_one_mode_each_are_the_masses():
    shares = jnp.eye(3)[jnp.array([2, 0, 1])]
    for found in (refit(shares, MASSES, jnp.full(3, 1 / 3)), best_weights(shares, MASSES)):
        np.testing.assert_allclose(found, [0.2, 0.5, 0.3], rtol=1e-5)


def test_weights_by_hand_where_components_share_a_mode():
    """Both are on the first mode, the second alone on the second; nobody is on the third, whose mass is left out."""
    shares = jnp.array([[1.0, 0.0, 0.0], [0.5, 0.5, 0.0]])
    once = refit(shares, MASSES, jnp.array([0.5, 0.5]))
    np.testing.assert_allclose(once, np.array([0.5 * 2 / 3, 0.5 / 3 + 0.3]) / 0.8, rtol=1e-5)
    best = best_weights(shares, MASSES)  # 0.3 / 0.8 of all is on the second mode
    np.testing.assert_allclose(best, [0.25, 0.75], rtol=1e-4)
    np.testing.assert_allclose(best @ shares, [0.625, 0.375, 0.0], rtol=1e-4)
    assert float(distance(best @ shares, MASSES)) == pytest.approx(0.2, abs=1e-4)


def test_samples_count_at_their_nearest_mode():
    target = ring(3, 2.0, 0.1)
    samples = jnp.stack(
        [target.means[jnp.array([0, 0, 1, 2])] * 1.5, target.means[jnp.array([1, 1, 1, 1])]]
    )
    np.testing.assert_allclose(mode_shares(samples, target), [[0.5, 0.25, 0.25], [0, 1, 0]])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--steps", "150"], "--steps must be a multiple of 20, got 150"),
        (["--batch", "12"], "--batch must be a multiple of 8, got 12"),
    ],
)
def test_a_config_that_could_not_run_is_refused(arguments, message, tmp_path, capsys):
    with pytest.raises(SystemExit):
        unequal_masses.main(["--runs", str(tmp_path), *arguments])
    assert message in capsys.readouterr().err


def outcomes(trained: float, spoilt: float) -> list[str]:
    """Verdict where rules without a barrier and with small rates end at one total variation, all others at another."""
    config, rng = unequal_masses.Config(), np.random.default_rng(0)
    good = {
        name for name in unequal_masses.RULES if "EG 0.0" in name and "0.01, barrier" not in name
    }
    parts = {}
    for modes in config.modes:
        parts[modes] = {"seconds": 1.0}
        for name in unequal_masses.names_of(config, modes):
            level = trained if name in good else spoilt
            curves = {key: np.ones((8, POINTS)) for key in unequal_masses.COLUMNS}
            curves["tv"] = level + 0.01 * rng.normal(size=(8, POINTS))
            parts[modes][name] = curves
    verdict = unequal_masses.judge(config, unequal_masses.rows_of(parts))
    return [line["outcome"] for line in verdict]


def test_a_verdict_can_hold_and_fail():
    assert set(outcomes(trained=0.02, spoilt=0.2)) == {"holds"}
    assert outcomes(trained=0.2, spoilt=0.02).count("fails") == 8


@pytest.mark.slow
def test_rules_do_what_they_say():
    """Rate 0 leaves weights uniform; a huge barrier holds them there, until it has decayed."""
    plan = Plan((3, 1), 4, 2 * POINTS, 4, 1e-3, 0.05, 2)
    rules = {"none": Rule(0.0), "trained": Rule(0.5), "held": Rule(0.02, 10.0)}
    rules |= {"let go": Rule(0.02, 10.0, decays=True), "free": Rule(0.02)}
    found = train_all(jax.vmap(jax.random.key)(np.arange(2)), plan, rules)
    weights = {name: np.array(curves["generators"]) for name, curves in found.items()}
    assert tuple(found) == tuple(rules)
    np.testing.assert_array_equal(weights["none"], 0.5)
    np.testing.assert_allclose(found["none"]["tv"], found["none"]["tv_uniform"], atol=1e-6)
    away = {name: np.abs(own - 0.5).max() for name, own in weights.items()}
    assert away["trained"] > away["free"] > 2 * away["held"] > 0
    middle = POINTS // 2
    moved = np.abs(weights["let go"][:, -1] - weights["let go"][:, middle]).max()
    assert moved > 2 * np.abs(weights["held"][:, -1] - weights["held"][:, middle]).max()
