"""A game whose duality gap is known: points against slopes, with the Wasserstein payoff.

A generator is a point u in [-2, 2], with a little noise; a discriminator is a slope v in [-1, 1]; reals have mean
m = 1/2. Between mixtures the payoff is E v (m - E u): the best slope earns |m - E u|, and the best point concedes
m E v - 2 |E v|. The gap is the difference of the two.
"""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import optax

import mixgan_jax as mg
from experiments.common.setup import Setup
from mixgan_jax.types import Array, Key

MEAN, RADIUS = 0.5, 2.0


def game() -> tuple[Setup, mg.MixGanState, float]:
    """Returns the game, two points and two slopes that are no equilibrium, and the gap there."""

    def player(high: float, outputs: Any) -> mg.Player:
        def init(key: Key, *example: Array) -> tuple[Any, Any]:
            return {"value": 0.1 * high * jax.random.normal(key, ())}, {}

        def apply(params: Any, state: Any, x: Array, *, train: bool) -> tuple[Array, Any]:
            return outputs(jnp.clip(params["value"], -high, high), x), state

        return mg.Player(init, apply)

    generator = player(RADIUS, lambda u, z: u + 0.1 * z)
    discriminator = player(1.0, lambda v, x: v * x[:, 0])
    loss, tx = mg.losses.wasserstein(), optax.set_to_zero()
    solver = mg.mix_gan(
        generator,
        discriminator,
        loss,
        num_generators=2,
        num_discriminators=2,
        latent_size=1,
        generator_tx=tx,
        discriminator_tx=tx,
    )
    feed = mg.data.feed_from_distribution(
        lambda key, size: MEAN + 0.1 * jax.random.normal(key, (size, 1)), 120
    )
    state = solver.init(jax.random.key(0))
    places = (
        (state.generator_side, {"value": jnp.array([-1.0, 1.5])}),
        (
            state.discriminator_side,
            {"value": jnp.array([0.8, -0.2])},
        ),
    )
    sides = [
        dataclasses.replace(side, mixture=dataclasses.replace(side.mixture, params=params))
        for side, params in places
    ]
    u, v = 0.25, 0.3
    gap = abs(MEAN - u) - (MEAN * v - RADIUS * abs(v))
    return Setup(generator, discriminator, solver, feed, loss, 1), mg.MixGanState(*sides), gap
