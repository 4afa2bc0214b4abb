"""The experiment on training-set size: what it counts, and what its verdict can say."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import mixgan_jax as mg
from experiments.theorems import theory_training_set_size as script
from mixgan_jax.networks import MLP

CPU = script.PRESETS["cpu"]


@pytest.mark.parametrize("width", CPU.widths)
def test_parameters_are_counted_as_the_network_has_them(width):
    discriminator = mg.from_linen(MLP((width, width)))
    params, _ = jax.eval_shape(discriminator.init, jax.random.key(0), jnp.zeros((2, 2)))
    assert sum(leaf.size for leaf in jax.tree.leaves(params)) == script.parameters(width)


def rows(exponent=-0.5, floor=0.1, scale=1.0, sliced=-0.5):
    """What the script would measure if the law held, seeds scattered about it."""
    scatter, found = 0.01 * np.array([-2.0, -1.0, 0.0, 0.0, 1.0, 2.0]), []
    for width in CPU.widths:
        p = script.parameters(width)
        for n in CPU.sizes:
            by_seed = math.sqrt(p) * n ** (exponent + scatter)
            row = {"parameters": p, "data": n, "gap_by_seed": by_seed}
            row |= {"population_mean": floor + scale * by_seed.mean()}
            found.append(row | {"sliced_mean": float(n) ** sliced, "sliced_stderr": 0.001})
    return found


def test_enough_is_the_least_size_from_which_all_are_within_the_tolerance():
    found = [
        {"data": n, "population_mean": mean}
        for n, mean in ((64, 0.5), (128, 0.21), (256, 0.35), (512, 0.22), (1024, 0.2))
    ]
    assert [script.enough(found, eps) for eps in (0.01, 0.1, 0.2, 0.4)] == [1024, 512, 128, 64]


@pytest.mark.parametrize(
    ("change", "failing"),
    [
        ({}, []),
        ({"exponent": -0.7}, [0, 3]),
        ({"scale": 100.0}, [1, 4]),
        ({"sliced": 0.0}, [2, 5]),
    ],
)
def test_the_verdict_holds_for_the_law_and_fails_without(change, failing):
    verdict = script.judge(CPU, rows(**change))
    assert [i for i, line in enumerate(verdict) if line["outcome"] != "holds"] == failing


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--sizes", "64"], "--sizes must be two or more"),
        (["--steps", "3"], "--steps must be even, got 3"),
        (["--delta", "1"], "--delta must be below 1, got 1"),
    ],
)
def test_what_could_not_be_judged_is_refused(arguments, message, capsys, tmp_path):
    with pytest.raises(SystemExit) as stop:
        script.main([*arguments, "--runs", str(tmp_path)])
    assert stop.value.code == 2
    assert message in capsys.readouterr().err
