"""MIX+GAN on a ring whose modes have unequal mass, with any rule for weights and positions, and what it learned."""

from collections.abc import Sequence
from functools import partial
from itertools import groupby
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

import mixgan_jax as mg
from mixgan_jax import losses
from mixgan_jax.data import feed_from_distribution, ring
from mixgan_jax.metrics import mode_coverage
from mixgan_jax.networks import MLP
from mixgan_jax.types import Array, Key

HELD_OUT = 2000  # samples of each component, and reals, behind a measure
REFITS = 500  # steps of expectation maximisation behind the best weights
POINTS = 20  # on a curve
STD = 0.1  # of a mode; the ring has radius 2


class Rule(NamedTuple):
    """How weights and components move.

    Attributes:
        rate: step size of exponentiated gradient; 0 keeps weights uniform.
        barrier: coefficient of the barrier on the weights.
        decays: whether the barrier falls linearly to 0 over the first half of the steps.
        speed: the component speed of ``mix_gan``.
        positions: optimiser of the components.
        mirror_prox: whether both sides look one step ahead, in simultaneous steps.
    """

    rate: float
    barrier: float = 0.0
    decays: bool = False
    speed: Any = "weighted"
    positions: str = "adam"
    mirror_prox: bool = False


class Plan(NamedTuple):
    """What all rules share.

    Attributes:
        masses: masses of the modes, in any scale; there are as many generators and discriminators as modes.
        width: units in each of the two hidden layers of all networks.
        steps: training steps, a multiple of 20.
        batch: reals in a step, a multiple of the number of modes; pairing is Latin.
        adam_rate: learning rate of Adam, with beta1 0.5.
        sgd_rate: learning rate of SGD.
        latent_size: number of latents.
    """

    masses: Sequence[float]
    width: int
    steps: int
    batch: int
    adam_rate: float
    sgd_rate: float
    latent_size: int


def train_all(keys: Key, plan: Plan, rules: dict[str, Rule]) -> dict[str, Any]:
    """Trains the games of all keys ``[S]`` by the rules; returns measures by rule, leaves ``[S, ...]``."""
    found = {}

    def kind(name: str) -> tuple[Any, ...]:
        return rules[name][3:]

    # Rules that differ in numbers alone are one program
    for same, group in groupby(sorted(rules, key=kind), kind):
        names = list(group)
        rates = jnp.asarray([rules[name][:3] for name in names], jnp.float32)
        one = partial(_train, plan, *same)
        each = jax.jit(jax.vmap(jax.vmap(one, (None, 0)), (0, None)))
        measured = jax.device_get(each(keys, rates))
        for place, name in enumerate(names):
            found[name] = jax.tree.map(lambda leaf, at=place: leaf[:, at], measured)
    return {name: found[name] for name in rules}


def _train(
    plan: Plan, speed: Any, positions: str, mirror_prox: bool, key: Key, rates: Array
) -> dict[str, Array]:
    """Trains one game by one rule."""
    rate, barrier, decays = rates
    k = len(plan.masses)
    target = ring(k, 2.0, STD, weights=jnp.asarray(plan.masses, jnp.float32))
    hidden = (plan.width, plan.width)
    players = mg.from_linen(MLP(hidden, outputs=2)), mg.from_linen(MLP(hidden))
    tx = {"adam": optax.adam(plan.adam_rate, b1=0.5), "sgd": optax.sgd(plan.sgd_rate)}[positions]

    def solver_at(step: Array) -> mg.Solver:
        share = 1.0 - decays * jnp.minimum(2.0 * step.astype(jnp.float32) / plan.steps, 1.0)
        solver = mg.mix_gan(
            *players,
            losses.minimax(),
            num_generators=k,
            num_discriminators=k,
            latent_size=plan.latent_size,
            generator_tx=tx,
            discriminator_tx=tx,
            weight_tx=mg.exponentiated_gradient(lambda _: rate),
            weight_barrier=barrier * share,  # type: ignore[arg-type]
            component_speed=speed,
            pairing="latin",
            update="simultaneous" if positions == "sgd" else "alternating",
        )
        return mg.extragradient(solver) if mirror_prox else solver

    feed = feed_from_distribution(target, plan.batch)

    def step(state: Any, index: Array) -> tuple[Any, None]:
        solver = solver_at(index)
        return mg.run_steps(key, solver, feed, feed.arrays, state, index, 1)[0], None

    def some(state: Any, index: Array) -> tuple[Any, dict[str, Array]]:
        length = plan.steps // POINTS
        indices = index * length + jnp.arange(length, dtype=jnp.int32)
        state, _ = jax.lax.scan(step, state, indices)
        return state, measure(evaluation, players, state, target, plan.latent_size)

    evaluation = mg.evaluation_key(key, plan.steps)
    start = mg.init_run(key, solver_at(jnp.int32(0)))
    _, curves = jax.lax.scan(some, start, jnp.arange(POINTS, dtype=jnp.int32))
    return curves


def measure(key: Key, players: Any, state: Any, target: Any, latent_size: int) -> dict[str, Array]:
    """Measures one trained game."""
    generator, discriminator = players
    generators, discriminators = state.iterate
    k = generators.num_components
    latent_key, sample_key, real_key, value_key = jax.random.split(key, 4)
    latents = jax.random.normal(latent_key, (k, HELD_OUT, latent_size))

    def of_one(params: Any, inner: Any, z: Array) -> Array:
        return generator.apply(params, inner, z, train=False)[0]

    samples = jax.vmap(of_one)(generators.params, generators.state, latents)
    shares = mode_shares(samples, target)
    p = generators.weights
    best = best_weights(shares, target.weights)
    mixed, _ = mg.sample(sample_key, generator, generators, latents[0])
    coverage = mode_coverage(mixed, target.means, target.std)
    values = mg.held_out_values(
        value_key,
        generator,
        discriminator,
        generators,
        discriminators,
        losses.minimax(),
        target.sample(real_key, HELD_OUT)[None],
        latent_size=latent_size,
    )[0]
    return {
        "tv": distance(p @ shares, target.weights),
        "tv_uniform": distance(jnp.mean(shares, axis=0), target.weights),
        "tv_best": distance(best @ shares, target.weights),
        "weight_error": distance(p, refit(shares, target.weights, p)),
        "kl": jnp.sum(jax.scipy.special.rel_entr(p @ shares, target.weights)),
        "modes": coverage["modes"],
        "high_quality": coverage["high_quality"],
        "nash_conv": mg.nash_conv(mg.zero_sum(values), p, discriminators.weights),
        "generators": p,
        "discriminators": discriminators.weights,
        "shares": shares,
    }


def distance(p: Array, q: Array) -> Array:
    """Computes the total variation between two distributions ``[M]``."""
    return 0.5 * jnp.sum(jnp.abs(p - q))


def mode_shares(samples: Array, target: Any) -> Array:
    """Counts the samples ``[K, N, 2]`` of each component by the nearest mode: shares ``[K, M]``."""
    apart = jnp.linalg.norm(samples[:, :, None] - target.means[None, None], axis=-1)
    nearest = jnp.argmin(apart, axis=-1)
    return jnp.mean(jax.nn.one_hot(nearest, len(target.means)), axis=1)


def refit(shares: Array, masses: Array, weights: Array) -> Array:
    """Returns the masses of what each component covers: one step of expectation maximisation from ``weights``.

    A mode's mass is shared among the components as their samples in it are. The mass of modes without a sample is left
    out. Weights that this leaves in place have the greatest likelihood.
    """
    joint = weights[:, None] * shares
    total = jnp.sum(joint, axis=0)
    covered = jnp.where(total > 0.0, masses / jnp.where(total > 0.0, total, 1.0), 0.0)
    new = joint @ covered
    return new / jnp.sum(new)


def best_weights(shares: Array, masses: Array) -> Array:
    """Returns weights of greatest likelihood for components that stay as they are."""
    uniform = jnp.full(len(shares), 1.0 / len(shares))
    return jax.lax.fori_loop(0, REFITS, lambda _, p: refit(shares, masses, p), uniform)
