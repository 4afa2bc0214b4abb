"""Double oracle: either side answers the Nash mixture of all that the other has kept, and what earns more is kept."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal, NamedTuple, TypeAlias, TypeVar

import jax
import jax.numpy as jnp
import optax

from mixgan_jax.checks import check_array, check_choice, check_count, check_key, check_number
from mixgan_jax.losses import GanLoss
from mixgan_jax.mixture import Mixture
from mixgan_jax.optim import check_transform, exponentiated_gradient
from mixgan_jax.penalties import Penalty
from mixgan_jax.player import Player
from mixgan_jax.solvers import restricted_game
from mixgan_jax.solvers.candidates import measure, respond
from mixgan_jax.solvers.gan_game import Game, check_game, first_mixtures
from mixgan_jax.solvers.restricted_game import Meeting, RestrictedGame, heaviest
from mixgan_jax.solvers.side import MixGanState, Rules, enter
from mixgan_jax.solvers.solver import Solver
from mixgan_jax.types import Array, Info, Key, LatentSampler

T = TypeVar("T")

Start: TypeAlias = Literal["warm", "fresh"]
"""Where a candidate starts from: the player of largest weight on its side, or newly initialised."""

STARTS: tuple[Start, ...] = ("warm", "fresh")

_LOSSES = ("generator_loss", "discriminator_loss")
_GAINS = ("generator_gain", "discriminator_gain")


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class DoubleOracleState:
    """What the next step needs.

    Attributes:
        population: the players kept so far, and the game between them.
        candidates: one generator and one discriminator in training, and their optimisers.
        measured: sums over this round's measuring steps of what the candidates are worth.
        report: what ``info`` says of the candidates, as of the last step that found it out: their losses and gains.
        failed: ``frozen_generators`` and ``frozen_discriminators``, bool ``[1]``: whether an update of a candidate
            was ever not finite.
        count: int32 ``[]``, of steps.
        done: bool ``[]``, whether a round's gains were below the tolerance; nothing changes any more.
    """

    population: RestrictedGame
    candidates: MixGanState
    measured: Meeting
    report: dict[str, Array]
    failed: dict[str, Array]
    count: Array
    done: Array

    @property
    def generators(self) -> Mixture:
        """The generators kept so far, C slots, with equilibrium weights; empty slots have weight 0."""
        return self.population.generators

    @property
    def discriminators(self) -> Mixture:
        """The discriminators kept so far, likewise."""
        return self.population.discriminators

    @property
    def frozen(self) -> dict[str, Array]:
        """Whether an update of a candidate was ever not finite, as ``info`` says it."""
        return self.failed


class _Plan(NamedTuple):
    """What stays fixed beside the game."""

    generator_rules: Rules
    discriminator_rules: Rules
    capacity: int
    response_steps: int
    measure_steps: int
    tolerance: float
    start: Start


def double_oracle(
    generator: Player,
    discriminator: Player,
    loss: GanLoss,
    *,
    capacity: int,
    response_steps: int,
    measure_steps: int,
    tolerance: float,
    latent_size: int,
    generator_tx: optax.GradientTransformation,
    discriminator_tx: optax.GradientTransformation,
    start: Start = "warm",
    penalty: Penalty | None = None,
    latent_sampler: LatentSampler = jax.random.normal,
) -> Solver:
    r"""Double oracle: mixtures that grow by best responses to each other (McMahan, Gordon and Blum 2003).

    Of each side there is a population, and weights that are an equilibrium of the game between the populations. A
    round trains one candidate a side against the other side's mixture, and measures what it is worth. With
    equilibrium weights p and q of a game of value ``p^T V q``, the candidates u and v earn

    .. math:: p^T V q - \sum_j q_j V(u, v_j) \quad\text{and}\quad \sum_i p_i V(u_i, v) - p^T V q

    more than the players kept so far. If the sum is below the tolerance, nothing changes any more; else the candidates
    that gain enter, and the game is solved again. For GANs this is DO-GAN (Aung et al. 2022, arXiv 2102.08577).

    With *best* responses the sum is the duality gap of the mixtures in the game of all networks. Candidates are what
    gradient steps find, so it is a lower bound: unbiased for these candidates, as they are measured on data that
    neither they nor the weights have seen, and only as good as the responses are long. ``equilibrium_gap`` is exact
    but knows deviations to the players kept alone.

    V is the zero-sum ``value`` of the loss, while candidates minimise their own side of it: of a loss that is not
    zero-sum (non-saturating) the generator's gain may be negative, however long it trains.

    The clock is the same for all seeds: ``measure_steps`` steps measure the first players, then each round is
    ``response_steps`` steps of training, which cost about what a mixture of C discriminators, or C generators, costs a
    single opponent, and ``measure_steps`` steps that judge ``2 C + 1`` pairs without gradients. The equilibrium is
    solved in the last step of a round only, also under ``vmap``. MEASURED

    Departures: the players to drop, where a side is full, are those of least weight, one at a time; a game whose
    players are dropped need not converge. The restricted game's exact equilibrium is solved in float32, in the graph.

    Args:
        generator: latents ``[B, Z]`` to samples ``[B, ...]``.
        discriminator: samples ``[B, ...]`` to logits ``[B]``.
        loss: what candidates minimise, and the ``value`` that they are measured by.
        capacity: C >= 1, players kept of each side.
        response_steps: >= 1, updates of a candidate.
        measure_steps: >= 1, batches that the new row and column of the matrix are averaged over.
        tolerance: >= 0, in units of ``value``: a round that gains less is the last.
        latent_size: Z >= 1.
        generator_tx: the optimiser of a generator; it starts anew with each candidate.
        discriminator_tx: the optimiser of a discriminator, likewise.
        start: where candidates start from: ``warm``, the player of largest weight on their side, or ``fresh``, newly
            initialised.
        penalty: a regulariser of the discriminator in training; it is no part of the value.
        latent_sampler: ``sampler(key, shape)``, as ``jax.random.normal``.

    Returns:
        A :class:`Solver` with state :class:`DoubleOracleState`; ``step`` takes reals ``[B, ...]``. Its info, float32,
        is of the state after the step: ``value`` and ``equilibrium_gap`` (NashConv of the weights on the measured
        matrix) of the game between those kept, ``num_generators`` and ``num_discriminators``,
        ``generator_weights`` and ``discriminator_weights`` ``[C]``, ``done``; of the last round
        ``generator_gain`` and ``discriminator_gain``, 0 before there was one; of the last update
        ``generator_loss`` and ``discriminator_loss``; and ``frozen_generators`` and ``frozen_discriminators``
        ``[1]``, 1 once an update of a candidate was not finite. Such a candidate stands still for the rest of its
        round and does not enter; the next one starts anew. Batch norm takes each batch's statistics, as in training,
        also where values are measured.

    Raises:
        TypeError, ValueError: a bad argument, at once; players that do not fit each other, at ``init``; a batch that
            does not fit, when ``step`` is traced.
    """
    plan = _Plan(
        _rules("generator_tx", generator_tx),
        _rules("discriminator_tx", discriminator_tx),
        check_count("capacity", capacity),
        check_count("response_steps", response_steps),
        check_count("measure_steps", measure_steps),
        check_number("tolerance", tolerance, minimum=0.0),
        check_choice("start", start, STARTS),
    )
    game = Game(
        generator,
        discriminator,
        loss,
        num_generators=1,
        num_discriminators=1,
        latent_size=latent_size,
        latent_sampler=latent_sampler,
        penalty=penalty,
    )
    game = check_game(game)
    return Solver(partial(_init, game, plan), partial(_step, game, plan))


def _rules(name: str, tx: optax.GradientTransformation) -> Rules:
    """Of a candidate, which is alone on its side: its weight of 1 stays."""
    return Rules(check_transform(name, tx), exponentiated_gradient(0.0))


def _init(game: Game, plan: _Plan, key: Key) -> DoubleOracleState:
    first = first_mixtures(game, key)
    candidates = _enter(plan, *first)
    return DoubleOracleState(
        restricted_game.start(*first, plan.capacity),
        candidates,
        restricted_game.no_meeting(plan.capacity),
        {name: jnp.float32(0.0) for name in _LOSSES + _GAINS},
        candidates.frozen,
        count=jnp.int32(0),
        done=jnp.asarray(False),
    )


def _step(
    game: Game, plan: _Plan, key: Key, state: DoubleOracleState, batch: Array
) -> tuple[DoubleOracleState, Info]:
    check_key("key", key)
    real = check_array("batch", batch, floating=True)
    # The first players are measured before anyone answers them.
    turn = (state.count + plan.response_steps) % (plan.response_steps + plan.measure_steps)
    responds = turn < plan.response_steps
    last = turn == plan.response_steps + plan.measure_steps - 1
    going = ~state.done
    state = _when(going & responds, partial(_respond, game, plan, key, real), state)
    state = _when(going & ~responds, partial(_measure, game, key, real), state)
    state = _when(going & last, partial(_settle, game, plan, key), state)
    state = replace(state, count=state.count + going.astype(jnp.int32))
    return state, _info(state)


def _when(condition: Array, function: Callable[[T], T], operand: T) -> T:
    """``function`` of the operand where the condition holds, else the operand.

    It is a loop of one turn or none. Under ``vmap`` that is left out where no run needs it, while both branches of
    ``lax.cond`` would be computed at every step.
    """
    return jax.lax.fori_loop(
        0, condition.astype(jnp.int32), lambda _, kept: function(kept), operand
    )


def _respond(
    game: Game, plan: _Plan, key: Key, real: Array, state: DoubleOracleState
) -> DoubleOracleState:
    moved, info = respond(
        game,
        (plan.generator_rules, plan.discriminator_rules),
        key,
        state.population,
        state.candidates,
        real,
    )
    failed = {name: state.failed[name] | now for name, now in moved.frozen.items()}
    report = {**state.report, **{name: info[name] for name in _LOSSES}}
    return replace(state, candidates=moved, failed=failed, report=report)


def _measure(game: Game, key: Key, real: Array, state: DoubleOracleState) -> DoubleOracleState:
    new = measure(game, key, state.population, state.candidates, real)
    return replace(state, measured=jax.tree.map(jnp.add, state.measured, new))


def _settle(game: Game, plan: _Plan, key: Key, state: DoubleOracleState) -> DoubleOracleState:
    """The end of a round: who enters, the game's new equilibrium, and the next candidates."""
    steps = jnp.float32(plan.measure_steps)
    meeting = jax.tree.map(lambda total: total / steps, state.measured)
    population, candidates = state.population, state.candidates
    gains = restricted_game.gains(population, meeting)
    sound = [
        ~frozen[0] & jnp.all(jnp.isfinite(values)) & jnp.isfinite(meeting.corner)
        for frozen, values in (
            (candidates.generator_side.frozen, meeting.row),
            (candidates.discriminator_side.frozen, meeting.column),
        )
    ]
    # A round whose candidates came to nothing shows nothing; nor does the first, which has no game to gain in.
    done = sound[0] & sound[1] & population.measured & (gains[0] + gains[1] < plan.tolerance)
    enters = [
        fit & ~done & (~population.measured | (gain > 0))
        for fit, gain in zip(sound, gains, strict=True)
    ]
    population = restricted_game.admit(
        population, candidates.generators, candidates.discriminators, meeting, *enters
    )
    if plan.start == "fresh":
        following = first_mixtures(game, key)
    else:
        following = heaviest(population.generators), heaviest(population.discriminators)
    return replace(
        state,
        population=population,
        candidates=_enter(plan, *following),
        measured=restricted_game.no_meeting(plan.capacity),
        report={**state.report, **dict(zip(_GAINS, gains, strict=True))},
        done=done,
    )


def _enter(plan: _Plan, generators: Mixture, discriminators: Mixture) -> MixGanState:
    return MixGanState(
        enter(plan.generator_rules, generators), enter(plan.discriminator_rules, discriminators)
    )


def _info(state: DoubleOracleState) -> Info:
    population = state.population
    flags = {
        "num_generators": population.num_generators,
        "num_discriminators": population.num_discriminators,
        "done": state.done,
        **state.failed,
    }
    return {
        **state.report,
        "value": population.value,
        "equilibrium_gap": population.gap,
        "generator_weights": population.generators.weights,
        "discriminator_weights": population.discriminators.weights,
        **{name: flag.astype(jnp.float32) for name, flag in flags.items()},
    }
