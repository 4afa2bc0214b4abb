"""Cases: packed discriminators, and what packing sees."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from helpers import DISCRIMINATOR, FEATURES
from hypothesis import strategies as st
from properties.arguments import counts, floats, weights
from properties.case import Case

import mixgan_jax as mg
from mixgan_jax import theory


def judges_packs(given: Any, packed: mg.Player) -> None:
    samples = jnp.ones((6, FEATURES))
    params, state = packed.init(jax.random.key(0), samples)
    logits, _ = packed.apply(params, state, samples, train=True)
    assert logits.shape == (6 // packed.packing,)


def is_a_distance(given: Any, result: float) -> None:
    assert -1e-9 <= result <= 1 + 1e-9


def rises_to_one(given: Any, corners: Any) -> None:
    assert np.all(np.diff(corners, axis=0) >= 0)
    np.testing.assert_allclose(corners[-1], 1.0, atol=1e-3)


def is_an_interval(given: Any, bounds: Any) -> None:
    least, most = bounds
    assert given["tv"] - 1e-6 <= least <= most + 1e-6 <= 1 + 2e-6


pair = {"p": weights(3), "q": weights(3)}
degree = counts(3)
PACKING = {
    "pack": Case(mg.pack, {"player": st.just(DISCRIMINATOR), "packing": degree}, judges_packs),
    "theory.packed_total_variation": Case(
        theory.packed_total_variation, {**pair, "packing": degree}, is_a_distance
    ),
    "theory.mode_collapse_region": Case(theory.mode_collapse_region, pair, rises_to_one),
    "theory.packing_bounds": Case(
        theory.packing_bounds, {"tv": floats(0, 1), "packing": degree}, is_an_interval
    ),
    "theory.packing_bounds_with_collapse": Case(
        theory.packing_bounds_with_collapse,
        {
            "tv": floats(0.5, 1),
            "packing": degree,
            "epsilon": floats(0, 0.25),
            "delta": floats(0.375, 0.5),
        },
        is_an_interval,
    ),
    "theory.packing_bounds_without_collapse": Case(
        theory.packing_bounds_without_collapse,
        {
            "tv": floats(0, 0.25),
            "packing": degree,
            "epsilon": floats(0, 0.125),
            "delta": floats(0.25, 0.5),
        },
        is_an_interval,
    ),
}
