"""NashConv, in the whole game, of mixtures of few of its strategies: sampled ones, or those of largest weight."""

import math
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np

import mixgan_jax as mg
from experiments.common import report, verdicts
from experiments.common.exponents import agrees, exponents

SUPPORT = 1e-9  # a weight above this counts
ROUNDING = 1e-12  # a NashConv below this, in units of the range, is 0

Sides: TypeAlias = tuple[np.ndarray, np.ndarray]
"""Weights ``[n]`` of the generators and of the discriminators, of an equilibrium."""


def bound(size: int, strategies: Sequence[int]) -> np.ndarray:
    """Computes ``sqrt(2 log n / k)``, the bound on expected sampled NashConv, in units of the payoffs' range."""
    return np.sqrt(2.0 * math.log(size) / np.array(strategies))


def sampled(
    values: np.ndarray, sides: Sides, strategies: Sequence[int], resamples: int, seed: int
) -> dict[str, np.ndarray]:
    """Averages NashConv ``[k]`` over draws of k strategies of each side, which are played equally often.

    Args:
        values: the game ``[n, n]``, float64.
        sides: weights from which strategies are drawn.
        strategies: every k.
        resamples: number of draws for each k.
        seed: NumPy's seed for the draws.

    Returns:
        ``sampled``, with all deviations, and ``in_support``, with deviations to strategies that have weight.
    """
    random = np.random.default_rng(seed)
    own, other = (weights > SUPPORT for weights in sides)
    means: dict[str, list] = {"sampled": [], "in_support": []}
    for k in strategies:
        rows, columns = (random.multinomial(k, weights, size=resamples) / k for weights in sides)
        by_column, by_row = rows @ values, columns @ values.T
        gaps = by_column.max(axis=-1) - by_row.min(axis=-1)
        inner = by_column[:, other].max(axis=-1) - by_row[:, own].min(axis=-1)
        for name, found in (("sampled", gaps), ("in_support", inner)):
            means[name].append(np.where(found > ROUNDING, found, 0.0).mean())
    return {name: np.array(found) for name, found in means.items()}


def best(
    values: np.ndarray, sides: Sequence[Sides], strategies: Sequence[int], num_steps: int
) -> dict[str, np.ndarray]:
    """Computes NashConv of the k strategies of largest weight on each side, at their best weights.

    A side's best weights on few strategies are its equilibrium weights where the other side keeps all of its own.

    Args:
        values: the games ``[S, n, n]``, float64.
        sides: each game's weights, of which the largest count.
        strategies: every k.
        num_steps: number of steps of optimistic exponentiated gradient.

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


def exponent(strategies: Sequence[int], gaps: np.ndarray) -> dict[str, Any] | None:
    """Fits the exponent in k >= 4 of NashConv ``[S, k]``, over the seeds where it is not 0; None for fewer than two."""
    k = np.array(strategies, float)
    mixed = gaps[np.all(gaps[:, k >= 4] > 0.0, axis=1)]
    return exponents({"k": k[k >= 4]}, mixed[:, k >= 4])["k"] if len(mixed) > 1 else None


def falls(rows: Sequence[Mapping[str, Any]], name: str, text: str) -> dict[str, Any]:
    """Judges the claim that every exponent's interval contains -1/2."""
    got, outcomes = [], []
    for entry in rows:
        found = entry["exponents"][name]
        value = "no exponent"
        if found:
            value = "{exponent:.3f} [{low:.3f}, {high:.3f}]".format(**found)
            outcomes.append(agrees(found, -0.5))
        pure = f" ({entry['pure']} of {entry['n']} equilibria pure)" if entry["pure"] else ""
        got.append(f"{entry['method']}: {value}{pure}")
    expected = "95 % interval of each exponent has -0.5"
    return verdicts.claim(text, expected, "; ".join(got), verdicts.all_of(outcomes))


def excess(curves: Mapping[str, Any]) -> list[tuple[float, float | None]]:
    """Computes by how much the best k-sparse weights do worse than sampled ones: mean and standard error for each k."""
    best = np.asarray(curves["sparse"])
    worse = best - np.asarray(curves["sampled"])[:, : best.shape[1]]
    return [verdicts.mean_and_error(by_seed) for by_seed in worse.T]


def improves(components: Sequence[int], entry: Mapping[str, Any]) -> dict[str, Any]:
    """Judges the claim that MIX+GAN with most components has a smaller NashConv than one GAN."""
    gaps = np.array(entry["curves"]["mix_gan"])
    one, many = (report.row("", {"gap": 100.0 * gaps[:, at]}) for at in (0, -1))
    got, holds = verdicts.contrast(many, one, "gap", "<")
    ks = components
    text = (
        f"{entry['method']}: MIX+GAN with k = {ks[-1]} has a smaller NashConv than with k = {ks[0]}"
    )
    levels = ", ".join(f"{100 * level:.1f}" for level in gaps.mean(axis=0))
    return verdicts.claim(text, verdicts.BELOW, f"{got}; {levels} % of R for k = {ks}", holds)


@partial(jax.jit, static_argnums=2)
def _by_gradient(
    rows: jax.Array, columns: jax.Array, num_steps: int
) -> tuple[jax.Array, jax.Array]:
    """Finds the generators' weights on games ``[S, k, n]``, the discriminators' on ``[S, n, k]``."""
    solve = partial(mg.approximate_equilibrium, num_steps=num_steps)
    return jax.vmap(lambda r, c: (solve(r)[0], solve(c)[1]))(rows, columns)
