"""Two networks that take turns: each is trained to answer the other side's last player, or the average of its past.

A side's past is a ``Mixture`` of the capacity that the run needs, in which empty slots have weight 0. Which past
players an answer is trained against is the only difference between alternating best response (memory 1) and
fictitious play (memory of all turns), so that all memories are one program.
"""

from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import optax

import mixgan_jax as mg
from mixgan_jax.data import ring
from mixgan_jax.networks import MLP
from mixgan_jax.solvers import MixGanState
from mixgan_jax.solvers.best_response import Responder
from mixgan_jax.types import Array, Key

RADIUS, STD = 2.0, 0.2


@dataclass(frozen=True)
class Turns:
    """What a run of turns depends on, beside its key and its memory.

    Attributes:
        modes: M, of the ring of Gaussians that is the data.
        turns: T, after each of which both sides have answered once.
        steps: of Adam, for each answer.
        opponents: drawn from the past for each step.
        batch: reals in a step, and fakes of each generator.
        width: of the two hidden layers of either network.
        latent_size: Z, standard normal.
        learning_rate: of Adam, beta1 .5, with fresh moments for each answer.
        samples: of a generator, behind its histogram over the modes.
    """

    modes: int
    turns: int
    steps: int
    opponents: int
    batch: int
    width: int
    latent_size: int
    learning_rate: float
    samples: int
    loss: str = "minimax"
    fresh: bool = False
    decay: float = 0.0


def play(key: Key, memory: Array, setup: Turns) -> dict[str, Array]:
    """One run of alternating answers.

    Args:
        key: of the run.
        memory: int32 ``[]``, so many last players of the other side an answer is trained against, all alike.
        setup: what all runs share.

    Returns:
        ``histograms`` ``[T, M]``, the share of each generator's samples that is nearest to each mode.
    """
    generator, discriminator = players(setup)
    start_key, turns_key = jax.random.split(key)
    past = first_past(start_key, generator, discriminator, setup)

    def turn(past: Any, number: Array) -> tuple[Any, Array]:
        keys = jax.random.split(jax.random.fold_in(turns_key, number), 5)
        generators, discriminators = past
        own = newest(discriminators, number) 
        if setup.fresh and False:
            own = mg.uniform(keys[3], discriminator, 1, jnp.zeros((2,2)))
        answer = respond(keys[0], "discriminator", own, remember(generators, number, memory), setup)
        discriminators = store(discriminators, answer, number)
        own = newest(generators, number)
        if setup.fresh:
            own = mg.uniform(keys[4], generator, 1, jnp.zeros((2,setup.latent_size)))
        answer = respond(keys[1], "generator", own, remember(discriminators, number, memory), setup)
        generators = store(generators, answer, number + 1)
        latents = jax.random.normal(keys[2], (1, setup.samples, setup.latent_size))
        samples, _ = mg.generate(generator, answer, latents)
        return (generators, discriminators), (nearest_mode(samples[0], setup.modes), samples[0,:64])

    _, (histograms, samples) = jax.lax.scan(turn, past, jnp.arange(setup.turns))
    return {"histograms": histograms, "samples": samples}


def players(setup):
    net = mg.from_linen(MLP((setup.width,) * 2, outputs=2))

    def apply(params, state, latents, *, train):
        outputs, state = net.apply(params, state, latents, train=train)
        return on_circle(outputs), state

    return mg.Player(net.init, apply), mg.from_linen(MLP((setup.width,) * 2))


def on_circle(points):
    return RADIUS * points * jax.lax.rsqrt(jnp.sum(points**2, axis=-1, keepdims=True) + 1e-6)


def first_past(key, generator, discriminator, setup):
    """Both sides' pasts before the first turn: a generator as it is initialised, and no discriminator."""
    keys = jax.random.split(key)
    generators = mg.uniform(keys[0], generator, 1, jnp.zeros((2, setup.latent_size)))
    discriminators = mg.uniform(keys[1], discriminator, 1, jnp.zeros((2, 2)))
    copies = lambda m, n: jax.tree.map(lambda leaf: jnp.repeat(leaf, n, axis=0), m)
    return copies(generators, setup.turns + 1), copies(discriminators, setup.turns)


def newest(past, number):
    one = jax.tree.map(lambda leaf: leaf[jnp.maximum(number, 0)][None], (past.params, past.state))
    return mg.Mixture(*one, jnp.zeros(1))


def store(past, answer, number):
    params = jax.tree.map(lambda leaf, new: leaf.at[number].set(new[0]), past.params, answer.params)
    # the next answer starts here, too
    cap = past.log_weights.shape[0]
    params = jax.tree.map(lambda leaf, new: leaf.at[jnp.minimum(number + 1, cap-1)].set(new[0]), params, answer.params)
    return mg.Mixture(params, past.state, past.log_weights)


def remember(past, number, memory):
    slot = jnp.arange(past.log_weights.shape[0])
    known = (slot <= number) & (slot > number - memory)
    return mg.Mixture(past.params, past.state, jax.nn.log_softmax(jnp.where(known, 0.0, -jnp.inf)))


def respond(key, side: Responder, own, past, setup):
    data = ring(setup.modes, RADIUS, STD)
    generator, discriminator = players(setup)

    def draw(key):
        chosen = jax.random.categorical(key, past.log_weights, shape=(setup.opponents,))
        params, state = jax.tree.map(lambda leaf: leaf[chosen], (past.params, past.state))
        return mg.Mixture(params, state, jax.nn.log_softmax(jnp.zeros(setup.opponents)))

    solver = mg.best_response(
        side, generator, discriminator, getattr(mg.losses, setup.loss)(), draw(key), own,
        latent_size=setup.latent_size,
        tx=optax.adamw(optax.cosine_decay_schedule(setup.learning_rate, setup.steps), b1=0.5, weight_decay=setup.decay))
    other = "generator_side" if side == "discriminator" else "discriminator_side"

    def step(state: MixGanState, key):
        keys = jax.random.split(key, 3)
        seats = replace(getattr(state, other), mixture=draw(keys[0]))
        state = replace(state, **{other: seats})
        state, _ = solver.step(keys[1], state, on_circle(data.sample(keys[2], setup.batch)))
        return state, None

    state, _ = jax.lax.scan(step, solver.init(key), jax.random.split(key, setup.steps))
    return getattr(state, side + "s")


def nearest_mode(samples, modes):
    data = ring(modes, RADIUS, STD)
    distance = jnp.sum((samples[:, None] - data.means[None]) ** 2, axis=-1)
    return jnp.mean(jax.nn.one_hot(jnp.argmin(distance, axis=-1), modes), axis=0)
