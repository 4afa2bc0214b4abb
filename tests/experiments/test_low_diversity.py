"""The experiment on low diversity: what it counts, what it shows to whom, what its verdict can say."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments.theorems import low_diversity, theory_low_diversity as script

CPU = script.PRESETS["cpu"]


def test_parameters_are_counted_as_the_networks_have_them():
    found = script.networks(CPU)
    assert [n.parameters for n in found] == [67, 133, 265, 285, 529]
    for network in found:
        example = jnp.zeros((2, CPU.dimension))
        params, _ = jax.eval_shape(network.player().init, jax.random.key(0), example)
        assert sum(leaf.size for leaf in jax.tree.leaves(params)) == network.parameters


def test_a_seeds_atoms_are_its_own_and_of_variance_one_over_d():
    one, again, other = (
        low_diversity.atoms(jax.random.key(s), 400, CPU.dimension) for s in (0, 0, 1)
    )
    np.testing.assert_array_equal(one, again)
    assert not np.any(np.asarray(one) == np.asarray(other))
    np.testing.assert_allclose(jnp.var(one) * CPU.dimension, 1.0, atol=0.03)


def rows(exponent=-0.5, unequal=0.0, noise=0.01, js=0.0, w1=1.2, few=1.0):
    """What the script would measure if the law held, seeds scattered about it."""
    random, found = np.random.default_rng(0), []
    for ratio in CPU.ratios:
        networks = [
            {
                "m": ratio * n.parameters,
                "parameters": n.parameters,
                "held_out": ratio**exponent
                * n.parameters**unequal
                * np.exp(noise * random.normal(size=6)),
            }
            for n in script.networks(CPU)
        ]
        middle = np.mean(networks[2]["held_out"])
        row = {"ratio": ratio, "networks": networks, "middle_mean": middle}
        row |= {"few_reals_mean": few * middle / math.sqrt(2), "wasserstein_mean": w1}
        row |= {"middle_by_seed": networks[2]["held_out"], "wasserstein_stderr": 0.0}
        row |= {"few_reals_by_seed": few / math.sqrt(2) * networks[2]["held_out"]}
        found.append(row | {"jensen_shannon_by_seed": [math.log(2) - js] * 6})
    return found


@pytest.mark.parametrize(
    ("change", "twice", "failing"),
    [
        ({}, 1.0, []),
        ({"exponent": -0.4, "unequal": 0.0}, 1.0, [0, 2]),
        ({"exponent": -0.4, "unequal": 0.15}, 1.0, [0, 2, 4]),
        ({"exponent": -0.3}, 1.0, [0, 1, 2]),
        ({"unequal": 1.0}, 1.0, [2, 3, 4]),
        ({"w1": 1.0}, 1.0, [5]),
        ({"js": 1e-3}, 1.0, [6]),
        ({"few": 0.5}, 1.0, [7]),
        ({}, 1.2, [8]),
    ],
)
def test_the_verdict_holds_for_the_law_and_fails_without(change, twice, failing):
    found = rows(**change)
    longer = [twice * value for value in found[-1]["networks"][-1]["held_out"]]
    verdict = script.judge(CPU, found, longer)
    assert [i for i, line in enumerate(verdict) if line["outcome"] != "holds"] == failing
    assert "-0.50" in script.judge(CPU, rows(), longer)[0]["got"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--pool", "100"], "--pool must be as many as the most atoms, 33856, got 100"),
        (["--fit-from", "64"], "--ratios must have two or more >= fit_from = 64"),
    ],
)
def test_too_little_data_and_too_short_a_range_are_refused(arguments, message, capsys, tmp_path):
    with pytest.raises(SystemExit) as stop:
        script.main([*arguments, "--runs", str(tmp_path)])
    assert stop.value.code == 2
    assert message in capsys.readouterr().err
