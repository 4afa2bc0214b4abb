"""Discriminators that are linear in fixed features of points in the plane, and the game of a generator against one."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from experiments.width import mean_matching
from experiments.width.mean_matching import ErrorOf, Problem
from mixgan_jax.data import GaussianMixture
from mixgan_jax.types import Array, Key

Features = Callable[[Array], Array]
"""Maps points ``[N, 2]`` to features ``[N, P]``."""


class Game(NamedTuple):
    """One seed's game.

    Attributes:
        problem: the generator; its target is not used.
        reals: the data, ``[N, 2]``.
        error: the error that the discriminator sees: mean features of the data less the generator's, ``[P]``.
    """

    problem: Problem
    reals: Array
    error: ErrorOf


def fourier(key: Key, count: int, bandwidth: float) -> Features:
    """Makes features ``sqrt(2 / P) cos(<w_j, x> + b_j)``, whose inner products are a Gaussian kernel on average.

    Rahimi and Recht (2007): ``w_j ~ N(0, I / bandwidth^2)``, ``b_j`` uniform on a circle.
    """
    frequency_key, phase_key = jax.random.split(key)
    frequencies = jax.random.normal(frequency_key, (2, count)) / bandwidth
    phases = 2 * jnp.pi * jax.random.uniform(phase_key, (1, count))
    return lambda points: np.sqrt(2.0 / count) * jnp.cos(points @ frequencies + phases)


def outputs(problem: Problem, hidden: Array, latents: Array) -> Array:
    """Computes the generator's points, ``[N, 2]``."""
    return jax.nn.relu(latents @ hidden.T) @ problem.output.T


def draw(
    key: Key,
    target: GaussianMixture,
    count: int | None,
    *,
    bandwidth: float,
    width: int,
    latent_size: int,
    num_latents: int,
    num_reals: int,
) -> Game:
    """Draws a game with ``count`` features, or with the points themselves; the rest does not depend on ``count``."""
    keys = jax.random.split(key, 3)
    problem = mean_matching.draw(keys[0], width, latent_size, 2, num_latents)
    reals = target.sample(keys[1], num_reals)
    features = (lambda points: points) if count is None else fourier(keys[2], count, bandwidth)
    seen = jnp.mean(features(reals), axis=0)

    def error(hidden: Array) -> Array:
        return seen - jnp.mean(features(outputs(problem, hidden, problem.latents)), axis=0)

    return Game(problem, reals, error)


def kernel(game: Game) -> Array:
    """Computes the tangent kernel ``J J^T`` at the start, ``[P, P]``."""
    jacobian = jax.jacrev(game.error)(game.problem.hidden)
    rows = jacobian.reshape(jacobian.shape[0], -1)
    return rows @ rows.T
