"""Trains MIX+GAN on the ring with any weight rule and barrier: one program for all rules, rates and barriers."""

import dataclasses
import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

import mixgan_jax as mg
from experiments.mixtures.weight_laboratory import BARRIERS, Laboratory
from experiments.mixtures.weight_rules import RULES, any_rule, choose, measures
from mixgan_jax import losses
from mixgan_jax.data import feed_from_distribution, ring
from mixgan_jax.metrics import mode_coverage
from mixgan_jax.metrics.equilibrium import effective_number
from mixgan_jax.networks import MLP
from mixgan_jax.types import Array, Key

CHECKPOINTS = 10
HELD_OUT = 2000  # reals behind a payoff at a checkpoint


@dataclass(frozen=True)
class Ring:
    """What MIX+GAN is trained with.

    Attributes:
        components: number k of components on either side.
        steps: training steps, a multiple of the checkpoints.
        batch: reals in a step, a multiple of k; pairing is Latin.
        width: units in each of the two hidden layers.
        learning_rate: learning rate of the components' Adam, with beta1 0.5.
        latent_size: number Z of latents.
    """

    components: int
    steps: int
    batch: int
    width: int
    learning_rate: float
    latent_size: int = 16


def train(key: Key, rule: Array, rate: Array, barrier: Array, setup: Ring) -> dict[str, Any]:
    """Trains one run in which both sides have the same rule.

    Args:
        key: the run's key.
        rule: int32 ``[]``, the rule's place in ``RULES``.
        rate: the rule's step size ``[]``.
        barrier: coefficient of the weight barrier ``[]``.
        setup: all that runs share.

    Returns:
        ``values`` ``[T, K, K]`` on held-out data and ``generators``, ``discriminators`` ``[T, K]``, weights, at T
        checkpoints; ``regret``, what the best fixed component would have gained a step, both sides together, on the
        payoffs of the training batches; ``modes`` of the ring at the end.
    """
    target, k = ring(8, 2.0, 0.02), setup.components
    generator = mg.from_linen(MLP((setup.width, setup.width), outputs=2))
    discriminator = mg.from_linen(MLP((setup.width, setup.width)))
    loss, tx = losses.minimax(), optax.adam(setup.learning_rate, b1=0.5)
    solver = mg.mix_gan(
        generator,
        discriminator,
        loss,
        num_generators=k,
        num_discriminators=k,
        latent_size=setup.latent_size,
        generator_tx=tx,
        discriminator_tx=tx,
        weight_tx=any_rule(),
        weight_barrier=barrier,
        pairing="latin",
    )
    feed = feed_from_distribution(target, setup.batch)
    length = setup.steps // CHECKPOINTS
    evaluation_key = mg.evaluation_key(key, setup.steps)

    def step(carry: Any, index: Array) -> tuple[Any, None]:
        state, totals = carry
        state, info = mg.run_steps(key, solver, feed, feed.arrays, state, index, 1)
        p, q, values = info["generator_weights"], info["discriminator_weights"], info["values"]
        new = (values @ q, -(p @ values), p @ (values @ q) - (p @ values) @ q)
        return (state, jax.tree.map(jnp.add, totals, new)), None

    def chunk(carry: Any, index: Array) -> tuple[Any, dict[str, Array]]:
        indices = index * length + jnp.arange(length, dtype=jnp.int32)
        (state, totals), _ = jax.lax.scan(step, carry, indices)
        real_key, latent_key = jax.random.split(jax.random.fold_in(evaluation_key, index))
        values = mg.held_out_values(
            latent_key,
            generator,
            discriminator,
            state.generators,
            state.discriminators,
            loss,
            target.sample(real_key, HELD_OUT)[None],
            latent_size=setup.latent_size,
        )[0]
        weights = (state.generators.weights, state.discriminators.weights)
        names = ("values", "generators", "discriminators")
        return (state, totals), dict(zip(names, (values, *weights), strict=True))

    zeros = jnp.zeros(k)
    start = with_rule(mg.init_run(key, solver), rule, rate)
    carry = (start, (zeros, zeros, jnp.float32(0.0)))
    (state, totals), found = jax.lax.scan(chunk, carry, jnp.arange(CHECKPOINTS, dtype=jnp.int32))
    p_losses, q_losses, paid = totals
    regret = (paid - p_losses.min() - q_losses.min()) / setup.steps
    keys = jax.random.split(jax.random.fold_in(evaluation_key, CHECKPOINTS))
    latents = jax.random.normal(keys[0], (HELD_OUT, setup.latent_size))
    samples, _ = mg.sample(keys[1], generator, state.generators, latents)
    modes = mode_coverage(samples, target.means, target.std)["modes"]
    return {**found, "regret": regret, "modes": modes}


def with_rule(state: mg.MixGanState, rule: Array, rate: Array) -> mg.MixGanState:
    """Returns the first state of a run in which the given rule moves both sides' weights."""
    sides = [
        dataclasses.replace(side, weight_opt_state=choose(rule, rate, side.mixture.log_weights))
        for side in (state.generator_side, state.discriminator_side)
    ]
    return mg.MixGanState(*sides)


def summary(found: Mapping[str, Any]) -> dict[str, float]:
    """Computes one run's measures for the table; NashConv and effective number of components are on held-out data."""
    values, p, q = (
        np.asarray(found[name], np.float64) for name in ("values", "generators", "discriminators")
    )
    p, q = (weights / weights.sum(axis=1, keepdims=True) for weights in (p, q))
    result = measures(values, p, q, CHECKPOINTS)
    return {
        "last": result["last"],
        "average": result["tracking"],
        "regret": float(found["regret"]),
        "effective": result["effective"],
        "modes": float(found["modes"]),
    }


def oracle(found: Mapping[str, Any]) -> dict[str, float]:
    """Measures exact equilibria of a run's own payoffs, each solved at a checkpoint and played at the next."""
    values = np.asarray(found["values"], np.float64)
    solved = [mg.zero_sum_equilibrium(matrix) for matrix in values]
    p, q = (
        np.stack([getattr(pair, side) for pair in solved[:-1]])
        for side in ("generator", "discriminator")
    )
    late = measures(values[1:], p, q, 1)
    last = solved[-1]
    return {
        "last": last.gap,
        "average": late["tracking"],
        "regret": late["regret"],
        "effective": float(
            np.mean([effective_number(last.generator), effective_number(last.discriminator)])
        ),
    }


def sweep(keys: Key, setup: Ring, laboratory: Laboratory, usual: float) -> dict[str, Any]:
    """Trains every rule and barrier on seeds ``[S]`` at once: measures ``[S, rules * barriers]``, and the oracle's.

    Args:
        keys: the seeds' keys.
        setup: what is trained.
        laboratory: gives the step sizes, those chosen on drifting games.
        usual: the barrier of the run of EG whose payoffs the oracle solves.
    """
    rule, barrier = zip(*itertools.product(range(len(RULES)), BARRIERS), strict=True)
    rate = [laboratory.rate(*pair) for pair in zip(rule, barrier, strict=True)]
    one = jax.vmap(partial(train, setup=setup), in_axes=(None, 0, 0, 0))
    program = jax.jit(jax.vmap(one, in_axes=(0, None, None, None)))
    results = program(keys, jnp.int32(rule), jnp.float32(rate), jnp.float32(barrier))
    results = jax.device_get(results)
    runs = [
        [jax.tree.map(lambda leaf, at=(s, r): leaf[at], results) for r in range(len(rule))]
        for s in range(keys.shape[0])
    ]
    summaries = [[summary(run) for run in of_seed] for of_seed in runs]
    place = list(zip(rule, barrier, strict=True)).index((0, usual))
    exact = [oracle(of_seed[place]) for of_seed in runs]
    measured = {
        name: np.array([[one[name] for one in of_seed] for of_seed in summaries])
        for name in summaries[0][0]
    }
    solved = {name: np.array([one[name] for one in exact]) for name in exact[0]}
    return {"rate": rate, **measured, "oracle": solved}
