"""Discriminators that are linear in fixed random features, on a ring of Gaussians: what their saddle does match."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments.parts import mean_matching
from experiments.parts.mean_matching import Problem
from mixgan_jax.data import ring
from mixgan_jax.metrics import maximum_mean_discrepancy, sliced_wasserstein
from mixgan_jax.types import Array, Key

Features = Callable[[Array], Array]
"""Points ``[N, 2]`` to features ``[N, P]``."""

MODES, RADIUS, STD = 8, 1.0, 0.1
BANDWIDTH = 0.5  # of the kernel that the features stand for, and of the discrepancy that is reported


def random_features(key: Key, count: int) -> Features:
    """``sqrt(2 / P) cos(<w_j, x> + b_j)``, whose inner products are a Gaussian kernel on average (Rahimi and Recht 2007)."""
    keys = jax.random.split(key)
    frequencies = jax.random.normal(keys[0], (2, count)) / BANDWIDTH
    phases = 2 * jnp.pi * jax.random.uniform(keys[1], (1, count))
    return lambda points: np.sqrt(2.0 / count) * jnp.cos(points @ frequencies + phases)


def outputs(problem: Problem, hidden: Array, latents: Array) -> Array:
    """The generator's points ``[N, D]``."""
    return jax.nn.relu(latents @ hidden.T) @ problem.output.T
