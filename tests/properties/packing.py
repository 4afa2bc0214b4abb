"""Cases: packed discriminators, and what packing sees."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from helpers import FEATURES
from properties.arguments import floats, weights
from properties.case import Case

import mixgan_jax as mg
from mixgan_jax import theory


def judges_packs(given: Any, packed: mg.Player) -> None:
    samples = jnp.ones((12, FEATURES))
    params, state = packed.init(jax.random.key(0), samples)
    logits, _ = packed.apply(params, state, samples, train=True)
    assert logits.shape == (12 // packed.packing,)


def is_a_distance(given: Any, result: float) -> None:
    assert -1e-9 <= result <= 1 + 1e-9


def rises_to_one(given: Any, corners: Any) -> None:
    assert np.all(np.diff(corners, axis=0) >= 0)
    np.testing.assert_allclose(corners[-1], 1.0, atol=1e-3)


def is_an_interval(given: Any, bounds: Any) -> None:
    least, most = bounds
    assert given["tv"] - 1e-6 <= least <= most + 1e-6 <= 1 + 2e-6


pair = {"p": weights(3), "q": weights(3)}
PACKING = {
    "pack": Case(mg.pack, holds=judges_packs),
    "theory.packed_total_variation": Case(theory.packed_total_variation, pair, is_a_distance),
    "theory.mode_collapse_region": Case(theory.mode_collapse_region, pair, rises_to_one),
    "theory.packing_bounds": Case(theory.packing_bounds, holds=is_an_interval),
    "theory.packing_bounds_with_collapse": Case(
        theory.packing_bounds_with_collapse,
        {"tv": floats(0.5, 1), "epsilon": floats(0, 0.25), "delta": floats(0.375, 0.5)},
        is_an_interval,
    ),
    "theory.packing_bounds_without_collapse": Case(
        theory.packing_bounds_without_collapse,
        {"tv": floats(0, 0.25), "epsilon": floats(0, 0.125), "delta": floats(0.25, 0.5)},
        is_an_interval,
    ),
}
