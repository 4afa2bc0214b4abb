"""The game of theory_equilibrium_exists: Gaussians about samples of the data against discriminators."""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

import mixgan_jax as mg
from mixgan_jax.types import Array, Key

CHUNK = 64  # latents that the folded network maps at once: all T components run on each


def atom_init(key: Key, z: Array) -> tuple[Any, Any]:
    size = z.shape[-1]
    return {"kernel": jnp.eye(size), "bias": jax.random.normal(key, (size,))}, {}


def atom_apply(params: Any, state: Any, z: Array, *, train: bool) -> tuple[Array, Any]:
    return z @ params["kernel"] + params["bias"][None], state


ATOM = mg.Player(atom_init, atom_apply)


def atoms(key: Key, count: int, dimension: int, std: float) -> mg.Mixture:
    """Makes T Gaussians about T samples of P, with equal weights."""
    points = jax.random.normal(key, (count, dimension))
    kernel = jnp.broadcast_to(std * jnp.eye(dimension), (count, dimension, dimension))
    log_weights = jnp.full(count, -math.log(count), jnp.float32)
    return mg.Mixture({"kernel": kernel, "bias": points}, {}, log_weights)


def play(mixture: mg.Mixture, latents: Array) -> Array:
    """Plays the unfolded mixture on latents ``[B, d + 1]``: a latent's seed picks its component."""
    chosen = mg.theory.chosen_component(mixture.log_weights, latents[:, -1])
    params = jax.tree.map(lambda leaf: leaf[chosen], mixture.params)
    return jax.vmap(lambda own, z: atom_apply(own, {}, z[None], train=False)[0][0])(
        params, latents[:, :-1]
    )


class Game(NamedTuple):
    """A mixture, and draws ``[samples, d]`` of P and of the mixture, to train and to judge a discriminator."""

    mixture: mg.Mixture
    real: Array
    fake: Array
    held_out_real: Array
    held_out_fake: Array


def draw_samples(key: Key, *, count: int | None, samples: int, dimension: int, std: float) -> Game:
    """Draws one seed's atoms, the same for every p, and samples; a count of None stands for P blurred."""
    atoms_key, *keys = jax.random.split(jax.random.fold_in(key, count or 0), 5)
    mixture = atoms(atoms_key, count or 1, dimension, std)
    shape = (samples, dimension)

    def fakes(key: Key) -> Array:
        points_key, latents_key = jax.random.split(key)
        latents = jax.random.normal(latents_key, (shape[0], shape[1] + 1))
        if count:
            return play(mixture, latents)
        return jax.random.normal(points_key, shape) + std * latents[:, :-1]

    real, held_out_real = (jax.random.normal(k, shape) for k in keys[:2])
    return Game(mixture, real, fakes(keys[2]), held_out_real, fakes(keys[3]))


def compare_folded(
    key: Key, mixture: mg.Mixture, params: Any, *, player: mg.Player, samples: int, ramp: float
) -> dict[str, Array]:
    """Compares the folded network's mean payoff with the mixture's, on the same latents outside the ramps."""
    dimension = mixture.params["bias"].shape[-1]
    key = jax.random.fold_in(key, samples)
    latents = jax.random.normal(key, (samples, dimension + 1))
    folded = mg.theory.fold(ATOM, mixture, latents[:CHUNK, :-1], width=ramp)

    def differences(latents: Array) -> tuple[Array, Array]:
        one, _ = folded.player.apply(folded.params, folded.state, latents, train=False)
        payoffs = [
            jax.nn.sigmoid(-player.apply(params, {}, fakes, train=False)[0])
            for fakes in (one, play(mixture, latents))
        ]
        gates = mg.theory.gates(folded.params, latents[:, -1])
        chosen = mg.theory.chosen_component(mixture.log_weights, latents[:, -1])
        selected = jnp.take_along_axis(gates, chosen[:, None], axis=1)[:, 0] == 1.0
        return payoffs[0] - payoffs[1], selected

    chunks = latents.reshape(-1, CHUNK, dimension + 1)
    difference, selected = jax.lax.map(differences, chunks)
    total = jnp.sum(jnp.where(selected, difference, 0.0))
    return {
        "folded_difference": jnp.abs(total)
        / jnp.maximum(jnp.sum(selected.astype(jnp.float32)), 1.0),
        "in_ramps": 1.0 - jnp.mean(selected.astype(jnp.float32)),
    }
