"""Best responses: players of one side, trained against a mixture of opponents that stands still."""

from dataclasses import replace
from typing import Literal, TypeAlias

import jax
import optax

from mixgan_jax.checks import (
    check_array,
    check_choice,
    check_count,
    check_key,
    check_kind,
)
from mixgan_jax.losses import GanLoss
from mixgan_jax.optim import check_transform, exponentiated_gradient
from mixgan_jax.players.mixture import Mixture, Strategy, generate, with_uniform_weights
from mixgan_jax.players.player import Player
from mixgan_jax.solvers.core.game import Game, check_game, first_mixtures
from mixgan_jax.solvers.core.gradients import (
    discriminator_gradients,
    draw_latents,
    generator_gradients,
)
from mixgan_jax.solvers.core.side import MixGanState, Rules, enter, move
from mixgan_jax.solvers.solver import Solver
from mixgan_jax.types import Array, Info, Key, LatentSampler

Responder: TypeAlias = Literal["generator", "discriminator"]
"""The side that responds."""


def best_response(
    responder: Responder,
    generator: Player,
    discriminator: Player,
    loss: GanLoss,
    opponents: Mixture,
    candidates: int | Mixture,
    *,
    latent_size: int,
    tx: optax.GradientTransformation,
    latent_sampler: LatentSampler = jax.random.normal,
    strategy: Strategy = "auto",
) -> Solver:
    r"""Candidates for one side's best response to a mixture of opponents, which is not updated.

    Each of R candidates minimises its own loss, averaged over the opponents' weights, on batches and latents that
    all candidates share; none sees the others. For a discriminator against generators u_i with weights w that is

    .. math:: \max_v \sum_i w_i F(u_i, v),

    the inner problem of the duality gap (Grnarova et al. 2019, arXiv 1811.05512), and the oracle of double oracle
    (McMahan, Gordon and Blum 2003). Gradient steps find a response, not the best one: the best candidate bounds what
    a deviation earns from below, and should be chosen and paid on different data.

    Args:
        responder: which side the candidates are of: ``generator`` or ``discriminator``.
        generator: latents ``[B, Z]`` to samples ``[B, ...]``.
        discriminator: samples ``[B, ...]`` to logits ``[B]``.
        loss: what the responding side minimises.
        opponents: the other side's mixture, held fixed.
        candidates: R >= 1, for fresh ones, or the players to start from, whose weights are not used.
        latent_size: Z >= 1.
        tx: the optimiser of one candidate; each has a state of its own.
        latent_sampler: ``sampler(key, shape)``, as ``jax.random.normal``.
        strategy: how components are mapped over; see ``mixture.map_components``.

    Returns:
        A :class:`Solver` whose state is a :class:`MixGanState`: the opponents on their side, and on the responder's
        the candidates, with uniform weights ``[R]``. ``step`` takes reals ``[B, ...]``; its info has
        ``<responder>_loss`` ``[]``, the candidates' mean, and ``frozen_generators``, ``frozen_discriminators`` as
        :func:`mix_gan`'s. Opponents' batch norm takes each batch's statistics, as in training.

    Raises:
        TypeError, ValueError: a bad argument, at once; players that do not fit each other, at ``init``.
    """
    check_choice("responder", responder, ("generator", "discriminator"))
    check_kind("opponents", opponents, Mixture)
    if isinstance(candidates, Mixture):
        start, count = with_uniform_weights(candidates), candidates.num_components
    else:
        start, count = None, check_count("candidates", candidates)
    sizes = (count, opponents.num_components)
    num_generators, num_discriminators = sizes if responder == "generator" else sizes[::-1]
    game = Game(
        generator,
        discriminator,
        loss,
        num_generators,
        num_discriminators,
        latent_size,
        latent_sampler,
        strategy=strategy,
    )
    game = check_game(game)
    rules = Rules(check_transform("tx", tx), exponentiated_gradient(0.0))
    still = Rules(optax.set_to_zero(), exponentiated_gradient(0.0))

    def init(key: Key) -> MixGanState:
        fresh = first_mixtures(game, key)
        mine = fresh[0 if responder == "generator" else 1] if start is None else start
        if responder == "generator":
            return MixGanState(enter(rules, mine), enter(still, opponents))
        return MixGanState(enter(still, opponents), enter(rules, mine))

    def step(key: Key, state: MixGanState, batch: Array) -> tuple[MixGanState, Info]:
        check_key("key", key)
        real = check_array("batch", batch, floating=True)
        latents = draw_latents(game, key, real.shape[0])
        if responder == "generator":
            up, info = generator_gradients(
                game, state.generators, state.discriminators, real, latents
            )
            state = replace(state, generator_side=move(rules, state.generator_side, up))
        else:
            fakes, _ = generate(
                game.generator, state.generators, latents, train=True, strategy=game.strategy
            )
            down, info = discriminator_gradients(
                game, key, state.generators.weights, state.discriminators, real, fakes
            )
            state = replace(state, discriminator_side=move(rules, state.discriminator_side, down))
        return state, {f"{responder}_loss": info[f"{responder}_loss"], **state.frozen_info}

    return Solver(init, step)
