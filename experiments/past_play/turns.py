"""Two networks that take turns: each is trained to answer the other side's last player, or the average of its past.

The data are M modes on the circle of radius 1, and the generator's samples lie on it too: in the open plane there is no
best answer, since a network that was never trained far out is without bound there. A side's past is a ``Mixture`` with
a slot for every turn, in which slots that are empty, or forgotten, have weight 0. Which past players an answer is
trained against is the only difference between alternating best response (a memory of 1) and fictitious play (a memory
of all turns), so all memories, and all numbers of modes, are one program.
"""

from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import optax

import mixgan_jax as mg
from mixgan_jax.networks import MLP
from mixgan_jax.solvers.best_response import Responder
from mixgan_jax.types import Array, Key, ModelState, Params

JUDGED = 16  # past players drawn for each measurement
LOSS = mg.losses.minimax()


@dataclass(frozen=True)
class Turns:
    """What a run of turns depends on, beside its key and its memory.

    Attributes:
        largest: largest of the numbers of modes.
        turns: number T of turns, in each of which both sides answer once.
        steps: number of Adam's steps for each answer.
        opponents: number of players drawn from the past for each step.
        candidates: number of generators, each from its own first parameters, of which the best is the answer.
        batch: number of reals in a step, and of fakes of each generator.
        width: number of units in each hidden layer of either network.
        depth: number of hidden layers of either network.
        latent_size: number Z of standard normal latents.
        learning_rate: learning rate of Adam, with beta1 0.5, falling to 0 along a cosine in each answer.
        std: standard deviation of a mode, before it is projected to the circle.
        samples: number of a generator's samples in its histogram over the modes, a multiple of 16.
    """

    largest: int
    turns: int
    steps: int
    opponents: int
    candidates: int
    batch: int
    width: int
    depth: int
    latent_size: int
    learning_rate: float
    std: float
    samples: int


def play(key: Key, modes: Array, memory: Array, setup: Turns) -> dict[str, Array]:
    """Plays one run.

    The discriminator's answers go on from its last one. The generator's start anew, since a generator that trains on
    stays on its mode, however bad that has become.

    Args:
        key: the run's key.
        modes: number M of modes, int32 ``[]``, evenly spaced on the circle.
        memory: int32 ``[]``, >= 1: number of the other side's last players that are answered, with equal weights.
        setup: what all runs share.

    Returns:
        ``histograms`` ``[T, largest]``, the shares of each turn's generator nearest to each mode, and ``told_apart``
        ``[T]``, a lower bound of JS in nats between the data and the generators that each turn's discriminator
        answers, on samples that it was not trained on.
    """
    generator, discriminator = players(setup)
    keys = jax.random.split(key, 3)
    # Initialise all generators that start anew at once: every turn's candidates, and the first of all.
    count = setup.turns * setup.candidates
    fresh = mg.uniform(keys[0], generator, count + 1, jnp.zeros((2, setup.latent_size)))
    opening = mg.uniform(keys[1], discriminator, 1, jnp.zeros((2, 2)))
    first, candidates = deal(fresh, setup)

    def turn(carry: Any, given: tuple[Array, Params]) -> tuple[Any, tuple[Array, Array]]:
        generators, discriminators, judge = carry
        number, params = given
        at = jax.random.split(jax.random.fold_in(keys[2], number), 5)
        faced = remember(generators, number, memory)
        judge = answer(at[0], "discriminator", judge, faced, modes, setup)
        discriminators = store(discriminators, judge, number)
        told_apart = bound(at[1], judge, faced, modes, setup)
        faced = remember(discriminators, number, memory)
        makers = answer(at[2], "generator", equal(params), faced, modes, setup)
        maker = best(at[3], makers, faced, setup)
        generators = store(generators, maker, number + 1)
        carry = (generators, discriminators, judge)
        return carry, (shares(at[4], maker, modes, setup), told_apart)

    carry = (slots(first, setup.turns + 1), slots(opening, setup.turns), opening)
    given = (jnp.arange(setup.turns), candidates)
    _, (histograms, told_apart) = jax.lax.scan(turn, carry, given)
    return {"histograms": histograms, "told_apart": told_apart}


def deal(fresh: mg.Mixture, setup: Turns) -> tuple[mg.Mixture, Params]:
    """Splits fresh generators into the one before the first turn and the candidates, ``[T, candidates, ...]``."""

    def by_turn(leaf: Array) -> Array:
        return leaf[1:].reshape(setup.turns, setup.candidates, *leaf.shape[1:])

    first = jax.tree.map(lambda leaf: leaf[:1], fresh.params)
    return equal(first), jax.tree.map(by_turn, fresh.params)


def equal(params: Params) -> mg.Mixture:
    """Makes a mixture of parameters ``[K, ...]`` with equal weights; networks here have no other state."""
    count = jax.tree.leaves(params)[0].shape[0]
    return mg.Mixture(params, {}, jax.nn.log_softmax(jnp.zeros(count)))


def players(setup: Turns) -> tuple[mg.Player, mg.Player]:
    """Makes a generator of points on the circle, and a discriminator of the plane."""
    net = mg.from_linen(MLP((setup.width,) * setup.depth, outputs=2))

    def apply(
        params: Params, state: ModelState, latents: Array, *, train: bool
    ) -> tuple[Array, ModelState]:
        points, state = net.apply(params, state, latents, train=train)
        return on_circle(points), state

    return mg.Player(net.init, apply), mg.from_linen(MLP((setup.width,) * setup.depth))


def on_circle(points: Array) -> Array:
    """Projects points ``[B, 2]`` to the circle; the origin stays where it is."""
    return points * jax.lax.rsqrt(jnp.sum(points**2, axis=-1, keepdims=True) + 1e-6)


def reals(key: Key, count: int, modes: Array, std: float) -> Array:
    """Draws reals ``[count, 2]``: the ring of Gaussians, projected to the circle; ``modes`` may be traced."""
    noise = jax.random.normal(key, (count, 3))
    number = modes.astype(jnp.float32)
    mode = jnp.minimum(jnp.floor(number * jax.scipy.special.ndtr(noise[:, 2])), number - 1.0)
    angle = 2.0 * jnp.pi * mode / number
    centres = jnp.stack([jnp.cos(angle), jnp.sin(angle)], axis=-1)
    return on_circle(centres + std * noise[:, :2])


def slots(player: mg.Mixture, count: int) -> mg.Mixture:
    """Makes a past of ``count`` slots, with one player in the first."""
    return jax.tree.map(lambda leaf: jnp.repeat(leaf, count, axis=0), player)


def store(past: mg.Mixture, player: mg.Mixture, slot: Array) -> mg.Mixture:
    """Stores a player in that slot of the past."""
    return jax.tree.map(lambda leaf, new: leaf.at[slot].set(new[0]), past, player)


def remember(past: mg.Mixture, last: Array, memory: Array) -> mg.Mixture:
    """Sets equal weights on the ``memory`` slots of the past up to ``last``, and none on others."""
    slot = jnp.arange(past.num_components)
    known = (slot <= last) & (slot > last - memory)
    log_weights = jax.nn.log_softmax(jnp.where(known, 0.0, -jnp.inf))
    return mg.Mixture(past.params, past.state, log_weights)


def draw(key: Key, past: mg.Mixture, count: int) -> mg.Mixture:
    """Draws players from the past by its weights; returns a mixture with equal weights."""
    chosen = jax.random.categorical(key, past.log_weights, shape=(count,))
    return equal(jax.tree.map(lambda leaf: leaf[chosen], past.params))


def answer(
    key: Key, side: Responder, own: mg.Mixture, past: mg.Mixture, modes: Array, setup: Turns
) -> mg.Mixture:
    """Trains one side's players from ``own`` against the other side's past; each step meets new draws from it."""
    solver = mg.best_response(
        side,
        *players(setup),
        LOSS,
        draw(key, past, setup.opponents),
        own,
        latent_size=setup.latent_size,
        tx=optax.adam(optax.cosine_decay_schedule(setup.learning_rate, setup.steps), b1=0.5),
    )
    other = "generator_side" if side == "discriminator" else "discriminator_side"

    def step(state: mg.MixGanState, key: Key) -> tuple[mg.MixGanState, None]:
        keys = jax.random.split(key, 3)
        seats = replace(getattr(state, other), mixture=draw(keys[0], past, setup.opponents))
        batch = reals(keys[2], setup.batch, modes, setup.std)
        return solver.step(keys[1], replace(state, **{other: seats}), batch)[0], None

    start_key, steps_key = jax.random.split(key)
    keys = jax.random.split(steps_key, setup.steps)
    state, _ = jax.lax.scan(step, solver.init(start_key), keys)
    return state.discriminators if side == "discriminator" else state.generators


def judged(judges: mg.Mixture, points: Array, setup: Turns) -> Array:
    """Computes logits ``[J, B]`` of points ``[B, 2]``."""
    _, discriminator = players(setup)

    def one(params: Params, state: ModelState) -> Array:
        return discriminator.apply(params, state, points, train=False)[0]

    return mg.map_components(one, judges.params, judges.state)


def made(key: Key, makers: mg.Mixture, count: int, setup: Turns) -> Array:
    """Draws samples ``[I, count, 2]`` of each generator."""
    latents = jax.random.normal(key, (makers.num_components, count, setup.latent_size))
    return mg.generate(players(setup)[0], makers, latents)[0]


def bound(key: Key, judge: mg.Mixture, faced: mg.Mixture, modes: Array, setup: Turns) -> Array:
    """Computes ``log 2 + value / 2``, a lower bound of the JS of the data and the generators faced."""
    keys = jax.random.split(key, 3)
    drawn = draw(keys[0], faced, JUDGED)
    fakes = made(keys[1], drawn, setup.samples // JUDGED, setup).reshape(-1, 2)
    real = judged(judge, reals(keys[2], fakes.shape[0], modes, setup.std), setup)
    return jnp.log(2.0) + 0.5 * jnp.mean(LOSS.value(real=real, fake=judged(judge, fakes, setup)))


def best(key: Key, makers: mg.Mixture, faced: mg.Mixture, setup: Turns) -> mg.Mixture:
    """Picks the candidate that loses least to the discriminators faced, on samples that it was not trained on."""
    keys = jax.random.split(key)
    drawn = draw(keys[0], faced, JUDGED)
    fakes = made(keys[1], makers, setup.samples // JUDGED, setup)
    logits = judged(drawn, fakes.reshape(-1, 2), setup)
    losses = LOSS.generator(fake=logits).reshape(JUDGED, *fakes.shape[:2])
    chosen = jnp.argmin(jnp.mean(losses, axis=(0, 2)))
    return equal(jax.tree.map(lambda leaf: leaf[chosen][None], makers.params))


def shares(key: Key, maker: mg.Mixture, modes: Array, setup: Turns) -> Array:
    """Computes the shares of a generator's samples nearest to each mode, ``[largest]``."""
    x, y = made(key, maker, setup.samples, setup)[0].T
    turn = jnp.arctan2(y, x) / (2.0 * jnp.pi)
    nearest = jnp.round(turn * modes.astype(jnp.float32)).astype(jnp.int32) % modes
    return jnp.mean(jax.nn.one_hot(nearest, setup.largest), axis=0)
