"""Best responses: players of one side, trained against a mixture of opponents that stands still."""

from dataclasses import replace
from typing import Annotated, Literal, TypeAlias

import jax
import optax

from mixgan_jax.checked import checked
from mixgan_jax.checks import check_array, check_count, check_key
from mixgan_jax.losses.core import Loss
from mixgan_jax.optim import exponentiated_gradient
from mixgan_jax.optim.components import Transform
from mixgan_jax.players.mixture import Mixture, Strategy, make_samples, with_uniform_weights
from mixgan_jax.players.player import Discriminator, Generator
from mixgan_jax.solvers.core.game import Game, first_mixtures
from mixgan_jax.solvers.core.gradients import (
    discriminator_gradients,
    generator_gradients,
)
from mixgan_jax.solvers.core.side import MixGanState, Rules, start_side, update_side
from mixgan_jax.solvers.core.turns import draw_latents
from mixgan_jax.solvers.solver import Solver
from mixgan_jax.types import Array, Count, Info, Key, LatentSampler

Responder: TypeAlias = Literal["generator", "discriminator"]
"""The side that responds."""


def _check_candidates(name: str, value: object) -> int | Mixture:
    return value if isinstance(value, Mixture) else check_count(name, value)


FreshOrGiven: TypeAlias = Annotated[int | Mixture, _check_candidates]
"""A number of fresh players, or the players to start from."""


@checked
def best_response(
    responder: Responder,
    generator: Generator,
    discriminator: Discriminator,
    loss: Loss,
    opponents: Mixture,
    candidates: FreshOrGiven,
    *,
    latent_size: Count,
    tx: Transform,
    latent_sampler: LatentSampler = jax.random.normal,
    strategy: Strategy = "auto",
) -> Solver:
    r"""Trains candidates for one side's best response to a mixture of opponents, which is not updated.

    Each of R candidates minimises its own loss, averaged over the opponents' weights, on batches and latents that
    all candidates share. None sees the others. For a discriminator against generators u_i with weights p that is

    .. math:: \max_v \sum_i p_i F(u_i, v),

    the inner problem of the duality gap (Grnarova et al. 2019, arXiv 1811.05512), and the oracle of double oracle
    (McMahan, Gordon and Blum 2003). Gradient steps find a response, not the best one: the best candidate bounds the
    gain of a deviation from below. Choose it and measure its gain on different data.

    Args:
        responder: the candidates' side, ``generator`` or ``discriminator``.
        generator: latents ``[B, Z]`` to samples ``[B, ...]``.
        discriminator: samples ``[B, ...]`` to logits ``[B]``.
        loss: the loss that the responding side minimises.
        opponents: the other side's mixture, held fixed.
        candidates: number R >= 1 of fresh ones, or the players to start from, whose weights are not used.
        latent_size: Z >= 1.
        tx: the optimiser of one candidate; each has a state of its own.
        latent_sampler: ``sampler(key, shape)``, as ``jax.random.normal``.
        strategy: how components are mapped over; see ``mixture.map_components``.

    Returns:
        A :class:`Solver` whose state is a :class:`MixGanState`: the opponents on their side, and the candidates with
        uniform weights ``[R]`` on the responder's. ``step`` takes reals ``[B, ...]``; its info has
        ``<responder>_loss`` ``[]``, the candidates' mean, and ``frozen_generators``, ``frozen_discriminators`` as in
        :func:`mix_gan`. Opponents' batch norm takes each batch's statistics, as in training.
    """
    if isinstance(candidates, Mixture):
        start, count = with_uniform_weights(candidates), candidates.num_components
    else:
        start, count = None, candidates
    sizes = (count, opponents.num_components)
    game = Game(
        generator,
        discriminator,
        loss,
        sizes if responder == "generator" else sizes[::-1],
        latent_size,
        latent_sampler,
        strategy=strategy,
    )
    rules = Rules(tx, exponentiated_gradient(0.0))
    still = Rules(optax.set_to_zero(), exponentiated_gradient(0.0))

    def init(key: Key) -> MixGanState:
        fresh = first_mixtures(game, key)
        mine = fresh[0 if responder == "generator" else 1] if start is None else start
        if responder == "generator":
            return MixGanState(start_side(rules, mine), start_side(still, opponents))
        return MixGanState(start_side(still, opponents), start_side(rules, mine))

    def step(key: Key, state: MixGanState, batch: Array) -> tuple[MixGanState, Info]:
        check_key("key", key)
        real = check_array("batch", batch, floating=True)
        latents = draw_latents(game, key, real.shape[0])
        if responder == "generator":
            up, info = generator_gradients(
                game, state.generators, state.discriminators, real, latents
            )
            state = replace(state, generator_side=update_side(rules, state.generator_side, up))
        else:
            fakes, _ = make_samples(
                game.generator, state.generators, latents, train=True, strategy=game.strategy
            )
            down, info = discriminator_gradients(
                game, key, state.generators.weights, state.discriminators, real, fakes
            )
            state = replace(
                state, discriminator_side=update_side(rules, state.discriminator_side, down)
            )
        return state, {f"{responder}_loss": info[f"{responder}_loss"], **state.frozen_info}

    return Solver(init, step)
