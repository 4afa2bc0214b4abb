"""MIX+GAN: gradient descent-ascent between two mixtures whose weights are trained too."""

from functools import partial

import jax
import optax

from mixgan_jax.adjustments import Adjustment
from mixgan_jax.checks import check_choice, check_count, check_function, check_number, fail
from mixgan_jax.losses import GanLoss
from mixgan_jax.penalties import Penalty
from mixgan_jax.players.mixture import Strategy
from mixgan_jax.players.pairing import Pairing
from mixgan_jax.players.player import Player
from mixgan_jax.solvers.core.game import Game, check_game
from mixgan_jax.solvers.core.side import make_rules
from mixgan_jax.solvers.core.simultaneous import simultaneous
from mixgan_jax.solvers.core.turns import (
    GeneratorSteps,
    Update,
    alternating,
    current_opponents,
    first_state,
)
from mixgan_jax.solvers.solver import Solver
from mixgan_jax.types import LatentSampler


def mix_gan(
    generator: Player,
    discriminator: Player,
    loss: GanLoss,
    *,
    num_generators: int,
    num_discriminators: int,
    latent_size: int,
    generator_tx: optax.GradientTransformation,
    discriminator_tx: optax.GradientTransformation,
    weight_tx: optax.GradientTransformation | None = None,
    weight_barrier: float = 0.1,
    penalty: Penalty | None = None,
    latent_sampler: LatentSampler = jax.random.normal,
    shared_latents: bool = False,
    pairing: Pairing = "full",
    update: Update = "alternating",
    adjust: Adjustment | None = None,
    discriminator_steps: int = 1,
    generator_steps: GeneratorSteps = 1,
    skip_discriminator_below: float | None = None,
    strategy: Strategy = "auto",
) -> Solver:
    r"""MIX+GAN (Arora, Ge, Liang, Ma and Zhang 2017, arXiv 1703.00573, section 5).

    I generators u_i with weights w and J discriminators v_j with weights w' play

    .. math:: \min_{u, w} \max_{v, w'} \sum_{ij} w_i w'_j F(u_i, v_j)

    by gradient steps on the components and exponentiated gradient on the weights. Each side minimises its own
    loss, averaged over the opponents' mixture, plus ``weight_barrier * R(w)`` with ``R(w) = -(1/K) sum_k log w_k``,
    which keeps the mixture from collapsing to one component. With I = J = 1 this is ordinary GAN training.

    Departures from the paper: the gradient of component k is multiplied by K, so that under uniform weights every
    component moves as a single GAN would; I and J may differ; pairings other than ``full`` are on offer.

    Args:
        generator: latents ``[B, Z]`` to samples ``[B, ...]``.
        discriminator: samples ``[B, ...]`` to logits ``[B]``.
        loss: both sides' losses, and the value of the game between them.
        num_generators: I >= 1.
        num_discriminators: J >= 1.
        latent_size: Z >= 1.
        generator_tx: optimiser of one generator; each component has a state of its own.
        discriminator_tx: optimiser of one discriminator, likewise.
        weight_tx: optimiser of the log-weights of both sides, fed gradients with respect to the weights; any optax
            transform, since log-weights are normalised after it. ``exponentiated_gradient(1e-3)`` if not given.
        weight_barrier: coefficient >= 0 of R; 0.1 in the released code.
        penalty: a regulariser of each discriminator, added to its loss but not to the payoffs; over the fakes of
            several generators it is averaged with weights w.
        latent_sampler: ``sampler(key, shape)``, as ``jax.random.normal``.
        shared_latents: whether all generators get the same latents, as in the released code.
        pairing: which fakes meet which discriminators; see ``pairing``.
        update: ``alternating`` (the generators answer the updated discriminators, with fresh latents) or
            ``simultaneous`` (both sides' gradients at one point, on the same fakes).
        adjust: of simultaneous gradients, from ``adjustments``: between the components at fixed weights.
        discriminator_steps: updates of the discriminators in each step, each on its own part of the batch.
        generator_steps: updates of the generators in each step, each with fresh latents: a number, or a function
            of the discriminators' loss ``[]`` that gives an int32 ``[]``.
        skip_discriminator_below: the discriminators stand still where their loss is below this; None for never.
        strategy: how components are mapped over; see ``mixture.map_components``.

    Returns:
        A :class:`Solver`. ``init(key)`` gives a :class:`MixGanState`; ``step(key, state, batch)`` takes reals
        ``[discriminator_steps * B, ...]`` and reports what each side saw before it moved: ``generator_loss``,
        ``discriminator_loss`` and ``value`` ``[]``, averaged over both mixtures, ``values`` ``[I, J]``,
        ``generator_weights`` ``[I]`` and ``discriminator_weights`` ``[J]``; and, of the state after it,
        ``frozen_generators`` ``[I]`` and ``frozen_discriminators`` ``[J]``: 1 for a component whose update, or
        the loss that it descends, was not finite (NaN or infinite), which since then plays as it was before that
        update. See ``solvers/core/side.py``.

    Raises:
        TypeError, ValueError: a bad argument, at once; players that do not fit each other, at ``init``; a batch
            that does not fit, when ``step`` is traced.
    """
    game = Game(
        generator,
        discriminator,
        loss,
        num_generators,
        num_discriminators,
        latent_size,
        latent_sampler,
        shared_latents,
        penalty,
        weight_barrier,
        pairing,
        strategy,
    )
    game = check_game(game)
    rules = make_rules(generator_tx, discriminator_tx, weight_tx)
    check_choice("update", update, ("alternating", "simultaneous"))
    if adjust is not None:
        check_function("adjust", adjust)
    check_count("discriminator_steps", discriminator_steps)
    _check_turns(update, adjust, discriminator_steps, generator_steps, skip_discriminator_below)
    if update == "simultaneous":
        step = simultaneous(game, rules, adjust)
    else:
        step = alternating(
            game,
            rules,
            current_opponents,
            discriminator_steps=discriminator_steps,
            generator_steps=generator_steps,
            skip_discriminator_below=skip_discriminator_below,
        )
    return Solver(partial(first_state, game, rules), step)


def _check_turns(
    update: Update,
    adjust: Adjustment | None,
    discriminator_steps: int,
    generator_steps: GeneratorSteps,
    skip_discriminator_below: float | None,
) -> None:
    if not callable(generator_steps):
        check_count("generator_steps", generator_steps)
    if skip_discriminator_below is not None:
        check_number("skip_discriminator_below", skip_discriminator_below)
    options = (discriminator_steps, generator_steps, skip_discriminator_below)
    if update == "simultaneous" and options != (1, 1, None):
        raise fail("update", update, "'alternating' where sides take several steps or skip some")
    if update == "alternating" and adjust is not None:
        raise fail("update", update, "'simultaneous' where gradients are adjusted")
