"""MIX+GAN: gradient descent-ascent between two mixtures whose weights are trained too."""

from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import jax
import optax

from mixgan_jax.adjustments import Adjustment
from mixgan_jax.checks import (
    check_array,
    check_choice,
    check_count,
    check_function,
    check_key,
    check_number,
    fail,
)
from mixgan_jax.losses import GanLoss
from mixgan_jax.penalties import Penalty
from mixgan_jax.players.mixture import Strategy
from mixgan_jax.players.pairing import Pairing
from mixgan_jax.players.player import Player
from mixgan_jax.solvers.core.game import Game, check_game
from mixgan_jax.solvers.core.generator_gradients import (
    GeneratorSteps,
    Update,
    simultaneous_gradients,
)
from mixgan_jax.solvers.core.side import MixGanState, Rules, choose, make_rules, move
from mixgan_jax.solvers.core.turns import (
    discriminators_turn,
    first_state,
    generators_turn,
    turn_keys,
)
from mixgan_jax.solvers.solver import Solver
from mixgan_jax.types import Array, Info, Key, LatentSampler


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
        update. See ``solvers/side.py``.

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
    plan = _Plan(
        *make_rules(generator_tx, discriminator_tx, weight_tx),
        check_choice("update", update, ("alternating", "simultaneous")),
        adjust if adjust is None else check_function("adjust", adjust),
        check_count("discriminator_steps", discriminator_steps),
        generator_steps,
        skip_discriminator_below,
    )
    _check_plan(plan)
    rules = (plan.generator_rules, plan.discriminator_rules)
    return Solver(partial(first_state, game, rules), partial(_step, game, plan))


@dataclass(frozen=True)
class _Plan:
    """Who moves when, and how."""

    generator_rules: Rules
    discriminator_rules: Rules
    update: Update
    adjust: Adjustment | None
    discriminator_steps: int
    generator_steps: GeneratorSteps
    skip_discriminator_below: float | None


def _step(
    game: Game, plan: _Plan, key: Key, state: MixGanState, batch: Array
) -> tuple[MixGanState, Info]:
    check_key("key", key)
    batch = check_array("batch", batch, floating=True)
    steps = plan.discriminator_steps
    if batch.ndim < 1 or batch.shape[0] < steps or batch.shape[0] % steps:
        raise ValueError(
            f"batch must hold a multiple of discriminator_steps = {steps} reals, got shape {batch.shape}"
        )
    reals = batch.reshape(steps, -1, *batch.shape[1:])
    if plan.update == "simultaneous":
        state, info = _simultaneous(game, plan, key, state, reals[0])
    else:
        state, info = _alternating(game, plan, key, state, reals)
    return state, {**info, **state.frozen_info}


def _simultaneous(
    game: Game, plan: _Plan, key: Key, state: MixGanState, real: Array
) -> tuple[MixGanState, Info]:
    up, down, info = simultaneous_gradients(
        game, key, state.generators, state.discriminators, real, plan.adjust
    )
    moved = MixGanState(
        move(plan.generator_rules, state.generator_side, up),
        move(plan.discriminator_rules, state.discriminator_side, down),
    )
    return moved, info


def _alternating(
    game: Game, plan: _Plan, key: Key, state: MixGanState, reals: Array
) -> tuple[MixGanState, Info]:
    keys, generator_key = turn_keys(key, plan.discriminator_steps)

    def down(state: MixGanState, inputs: tuple[Key, Array]) -> tuple[MixGanState, Info]:
        return _discriminators_turn(game, plan, inputs[0], state, inputs[1])

    def up(index: Array | int, carry: tuple[MixGanState, Info]) -> tuple[MixGanState, Info]:
        state, key = carry[0], jax.random.fold_in(generator_key, index)
        side, info = generators_turn(
            game, plan.generator_rules, key, state.generator_side, state.discriminators, reals[-1]
        )
        return replace(state, generator_side=side), info

    if plan.discriminator_steps == 1:
        state, discriminator_info = down(state, (keys[0], reals[0]))
    else:
        state, infos = jax.lax.scan(down, state, (keys, reals))
        discriminator_info = jax.tree.map(lambda leaf: leaf[-1], infos)
    num_steps: Any = plan.generator_steps
    if callable(num_steps):
        num_steps = num_steps(discriminator_info["discriminator_loss"])
    # The first turn stands outside the loop: it says what info looks like, and there is always one.
    carry = up(0, (state, {}))
    if not (isinstance(num_steps, int) and num_steps == 1):
        carry = jax.lax.fori_loop(1, num_steps, up, carry)
    state, generator_info = carry
    return state, {**discriminator_info, **generator_info}


def _discriminators_turn(
    game: Game, plan: _Plan, key: Key, state: MixGanState, real: Array
) -> tuple[MixGanState, Info]:
    side, info = discriminators_turn(
        game, plan.discriminator_rules, key, state.generators, state.discriminator_side, real
    )
    if plan.skip_discriminator_below is not None:
        # A loss that is NaN is not below: whose update it spoils is to be found out.
        awake = ~(info["discriminator_loss"] < plan.skip_discriminator_below)
        side = choose(awake, side, state.discriminator_side)
    return replace(state, discriminator_side=side), info


def _check_plan(plan: _Plan) -> None:
    if not callable(plan.generator_steps):
        check_count("generator_steps", plan.generator_steps)
    if plan.skip_discriminator_below is not None:
        check_number("skip_discriminator_below", plan.skip_discriminator_below)
    options = (plan.discriminator_steps, plan.generator_steps, plan.skip_discriminator_below)
    if plan.update == "simultaneous" and options != (1, 1, None):
        raise fail(
            "update", plan.update, "'alternating' where sides take several steps or skip some"
        )
    if plan.update == "alternating" and plan.adjust is not None:
        raise fail("update", plan.update, "'simultaneous' where gradients are adjusted")
