"""What theory_low_diversity measures: classes of discriminators, a Gaussian and m of its samples, their distances."""

import functools
import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

import mixgan_jax as mg
from experiments.common import exponents, harness
from mixgan_jax.metrics import empirical_jensen_shannon, exact_wasserstein, neural_net_distance
from mixgan_jax.networks import MLP
from mixgan_jax.runs.parallel import map_runs
from mixgan_jax.types import Array, Key


class Network(NamedTuple):
    """A class of discriminators of points in ``dimension`` coordinates."""

    name: str
    dimension: int
    hidden: tuple[int, ...]
    parameters: int

    def player(self) -> mg.Player:
        """Its inputs are scaled to coordinates of variance 1."""
        plain = mg.from_linen(MLP(self.hidden))
        scale = math.sqrt(self.dimension)

        def apply(params: Any, state: Any, x: Array, *, train: bool) -> tuple[Array, Any]:
            return plain.apply(params, state, scale * x, train=train)

        return mg.Player(plain.init, apply)


def networks(dimension: int, widths: Sequence[int], deep_widths: Sequence[int]) -> list[Network]:
    """All of them, with one hidden layer and with two, from the fewest parameters to the most."""
    found = []
    for layers in [*((width,) for width in widths), *((width, width) for width in deep_widths)]:
        sizes = (dimension, *layers, 1)
        parameters = sum((a + 1) * b for a, b in itertools.pairwise(sizes))
        found.append(Network("+".join(map(str, layers)), dimension, layers, parameters))
    return sorted(found, key=lambda network: network.parameters)


@functools.lru_cache(maxsize=1)
def reals(dimension: int, pool: int, held_out: int) -> tuple[Array, Array]:
    """Draws samples of P to train on ``[pool, d]`` and to measure on: the same for all seeds, with keys of none."""
    keys = jax.random.split(jax.random.key(2**31 - 1))
    return gaussian(keys[0], pool, dimension), gaussian(keys[1], held_out, dimension)


@functools.partial(jax.jit, static_argnums=(1, 2))
def gaussian(key: Key, count: int, dimension: int) -> Array:
    """Draws samples ``[count, d]`` of N(0, I/d)."""
    return jax.random.normal(key, (count, dimension)) / math.sqrt(dimension)


def atoms(key: Key, count: int, dimension: int) -> Array:
    """A seed's m samples that are Q."""
    return gaussian(jax.random.fold_in(key, 0), count, dimension)


def distances(
    run: harness.Run, network: Network, ratio: int, *, steps: int, few_reals: bool = False
) -> dict[str, Array]:
    """Measures the distance of one class and m, ``[S]``: on the training samples, and with reals held out."""
    config, seeds = run.config, run.seeds
    m, player = ratio * network.parameters, network.player()
    bound = config.parameter_size * math.sqrt(network.parameters)

    def measure(key: Key, pool: Array, held_out: Array) -> dict[str, Array]:
        fake = atoms(key, m, config.dimension)
        real = gaussian(jax.random.fold_in(key, 1), m, config.dimension) if few_reals else pool
        result = neural_net_distance(
            jax.random.fold_in(key, 2),
            player,
            mg.losses.phi_identity(),
            real,
            fake,
            held_out,
            fake,
            bound=bound,
            steps=steps,
            restarts=config.restarts,
            learning_rate=config.learning_rate,
            batch=config.batch,
        )
        return {name: result[name] for name in ("value", "held_out", "held_out_values", "norm")}

    keys = mg.spread_over_devices(harness.seed_keys(seeds))
    run_all = jax.jit(map_runs(keys, measure, shared=2))
    return run_all(keys, *reals(config.dimension, config.pool, config.held_out))


def classical(run: harness.Run, m: int) -> dict[str, Any]:
    """W1 and JS between m atoms and as many other samples of P, ``[S]``."""
    config = run.config
    few, found = min(m, config.assignment), []
    for key in harness.seed_keys(run.seeds):
        real = gaussian(jax.random.fold_in(key, 3), m, config.dimension)
        fake = atoms(key, m, config.dimension)
        w1 = exact_wasserstein(real[:few], fake[:few])
        found.append((w1, empirical_jensen_shannon(real, fake)))
    wasserstein, jensen_shannon = np.array(found).T
    return {"wasserstein": wasserstein, "jensen_shannon": jensen_shannon, "samples": few}


def fitted(law: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Fits the exponents in m and in p over all networks in the fitted rows."""
    points = [n for row in law for n in row["networks"]]
    factors = {"m": [n["m"] for n in points], "p": [n["parameters"] for n in points]}
    # A discriminator that found nothing may be worth less than nothing on new reals.
    values = np.maximum([n["held_out"] for n in points], 1e-6)
    return exponents.exponents(factors, values.T)


def slopes(rows: Sequence[Mapping[str, Any]]) -> str:
    """Writes the exponent in m between neighbouring rows, of the mean over networks and seeds."""
    found = []
    for a, b in itertools.pairwise(rows):
        means = [np.mean([n["held_out"] for n in row["networks"]]) for row in (a, b)]
        slope = np.log(max(means[1], 1e-6) / max(means[0], 1e-6)) / np.log(b["ratio"] / a["ratio"])
        found.append(f"{slope:.2f}")
    return ", ".join(found)
