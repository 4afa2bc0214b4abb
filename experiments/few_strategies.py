"""NashConv, in the whole game, of mixtures of few of its strategies: sampled, best, or trained beside it."""

from collections.abc import Sequence
from functools import partial
from typing import TypeAlias

import jax
import jax.numpy as jnp
import numpy as np

import mixgan_jax as mg
from experiments import populations

Sides: TypeAlias = tuple[np.ndarray, np.ndarray]
"""Weights ``[n]`` of the generators and of the discriminators, of an equilibrium."""


def sampled(
    values: np.ndarray, sides: Sides, strategies: Sequence[int], resamples: int
) -> np.ndarray:
    """Mean NashConv ``[k]`` over draws of k strategies of each side, which are then played equally often.

    Args:
        values: the game ``[n, n]``, float64.
        sides: what is drawn from.
        strategies: every k.
        resamples: draws for each k, always the same ones (NumPy, seed 0).
    """
    random = np.random.default_rng(0)
    means = []
    for k in strategies:
        rows, columns = (random.multinomial(k, weights, size=resamples) / k for weights in sides)
        gaps = (rows @ values).max(axis=-1) - (columns @ values.T).min(axis=-1)
        means.append(np.maximum(gaps, 0.0).mean())  # below 0 only by rounding
    return np.array(means)


def best(
    values: np.ndarray, sides: Sequence[Sides], strategies: Sequence[int], num_steps: int
) -> dict[str, np.ndarray]:
    """NashConv of the k strategies of largest weight on each side, at their best weights.

    A side's best weights on few strategies are its equilibrium weights where the other side keeps all of its own.

    Args:
        values: the games ``[S, n, n]``, float64.
        sides: of each game, what "largest weight" refers to.
        strategies: every k.
        num_steps: of optimistic exponentiated gradient.

    Returns:
        ``[S, k]`` each: ``sparse``, weights by exponentiated gradient, and ``sparse_exact``, by linear programming.
    """
    found: dict[str, list] = {"sparse": [], "sparse_exact": []}
    for k in strategies:
        kept = [[np.argsort(-weights, kind="stable")[:k] for weights in pair] for pair in sides]
        rows = np.stack([game[own] for game, (own, _) in zip(values, kept, strict=True)])
        columns = np.stack([game[:, own] for game, (_, own) in zip(values, kept, strict=True)])
        exact = (
            [mg.zero_sum_equilibrium(part).generator for part in rows],
            [mg.zero_sum_equilibrium(part).discriminator for part in columns],
        )
        by_gradient = jax.device_get(
            _by_gradient(jnp.float32(rows), jnp.float32(columns), num_steps)
        )
        for name, pair in (("sparse", by_gradient), ("sparse_exact", exact)):
            # In float64 the sum of float32 weights is not quite 1.
            p, q = (
                np.asarray(w, np.float64) / np.sum(w, -1, np.float64, keepdims=True) for w in pair
            )
            most = np.einsum("sk,skn->sn", p, rows).max(axis=-1)
            least = np.einsum("snk,sk->sn", columns, q).min(axis=-1)
            found[name].append(np.maximum(most - least, 0.0))
    return {name: np.stack(gaps, axis=1) for name, gaps in found.items()}


def beside(values: jax.Array, size: int, mixtures: Sequence[populations.Sides]) -> jax.Array:
    """NashConv of each mixture, over deviations to a population's strategies and to its own components.

    Args:
        values: the game ``[n + m, n + m]`` between the population, then all mixtures' components.
        size: n.
        mixtures: m components of either side in all.

    Returns:
        ``[mixtures]``, >= 0.
    """
    found, start = [], size
    for mixture in mixtures:
        own = slice(start, start + mixture.generators.num_components)
        start = own.stop
        p, q = mixture.generators.weights, mixture.discriminators.weights
        rows, columns = values[own], values[:, own]
        by_column = jnp.concatenate([p @ rows[:, :size], p @ rows[:, own]])
        by_row = jnp.concatenate([columns[:size] @ q, columns[own] @ q])
        found.append(by_column.max() - by_row.min())
    return jnp.stack(found)


def pairs(values: jax.Array, snapshots: int) -> jax.Array:
    """Mean NashConv ``[]`` of the pairs ``(i, i)`` at every last of ``snapshots``: single GANs of the population."""
    last = slice(snapshots - 1, None, snapshots)
    return jnp.mean(values[last].max(axis=1) - values[:, last].min(axis=0))


@partial(jax.jit, static_argnums=2)
def _by_gradient(
    rows: jax.Array, columns: jax.Array, num_steps: int
) -> tuple[jax.Array, jax.Array]:
    """The generators' weights on games ``[S, k, n]``, the discriminators' on ``[S, n, k]``."""
    solve = partial(mg.approximate_equilibrium, num_steps=num_steps)
    return jax.vmap(lambda r, c: (solve(r)[0], solve(c)[1]))(rows, columns)
