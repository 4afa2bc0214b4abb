"""Parts of mixed_equilibria: rates by hand, a verdict on made-up curves, and an error below 1e-9."""

import jax
import numpy as np
import pytest

from experiments.mixtures import mixed_equilibria
from experiments.mixtures.particle_play import BASIC, RULES, Plan, decay, play_all

STEPS = np.arange(101) * 100


def test_a_rate_by_hand():
    exponential = decay(10.0 ** (-2 * STEPS / 1000), 100)
    assert exponential["rate"] == pytest.approx(2)
    assert exponential["exponential"] < 1e-9 < 0.01 < exponential["power"]
    power = decay(0.5 * (1 + STEPS) ** -1.0, 100)
    assert power["power"] < power["exponential"]
    floor = decay(np.maximum(10.0 ** (-10 * STEPS / 1000), 1e-15), 100)
    assert floor["rate"] == pytest.approx(10), "points at the floor do not count"
    assert np.isnan(decay(np.full(101, 2.0), 100)["rate"])


def verdict(both: float, factor: float) -> list[str]:
    """Outcomes where the rule "both" and its variants fall by so many decades in 1,000 steps."""
    config, rng = mixed_equilibria.Config(), np.random.default_rng(0)
    parts = {}
    for particles in config.particles:
        parts[particles] = {"seconds": 1.0}
        for name in mixed_equilibria.names_of(config, particles):
            rate = {"both": both, "both, mirror-prox": both, "both, factor K p": factor}.get(
                name, 0
            )
            rate = rate if particles > 5 else 0
            noise = np.exp(0.1 * rng.normal(size=(8, 101)))
            drop = 0.5 if name == "weights only, mirror-prox" else 1.0
            parts[particles][name] = drop * noise * 10.0 ** (-rate * STEPS / 1000)
    rows = mixed_equilibria.rows_of(config, parts)
    return [line["outcome"] for line in mixed_equilibria.judge(config, rows)]


def test_a_verdict_can_hold_and_fail():
    assert set(verdict(both=1.0, factor=0.5)) == {"holds"}
    outcomes = verdict(both=-0.1, factor=1.0)
    assert outcomes.count("fails") >= 4


def test_large_numbers_of_particles_play_the_first_rules():
    config = mixed_equilibria.Config()
    assert mixed_equilibria.names_of(config, 20) == tuple(RULES)
    assert mixed_equilibria.names_of(config, 80) == BASIC
    assert all(not RULES[name].mirror_prox and RULES[name].speed == "equal" for name in BASIC)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--steps", "150"], "--steps must be a multiple of 100, got 150"),
        (["--particles", "5"], "--particles must be two numbers or more"),
    ],
)
def test_a_config_that_could_not_be_judged_is_refused(arguments, message, tmp_path, capsys):
    with pytest.raises(SystemExit):
        mixed_equilibria.main(["--runs", str(tmp_path), *arguments])
    assert message in capsys.readouterr().err


@pytest.mark.slow
def test_twenty_particles_reach_an_error_below_1e_9():
    """In a game that was chosen since it is fast; in float32 the error would stay near 1e-6."""
    keys = jax.vmap(jax.random.key)(np.array([1003]))
    plan = Plan(frequencies=3, step_size=0.02, ratio=0.02, steps=1500, points=2)
    curves = play_all(keys, plan, 20, ("both",))["both"]
    assert curves[0, -1] < 1e-9 < 1 < curves[0, 0]
