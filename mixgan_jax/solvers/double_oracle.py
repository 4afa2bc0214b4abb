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
from mixgan_jax.mixture import Mixture, generate
from mixgan_jax.optim import check_transform, exponentiated_gradient
from mixgan_jax.payoff import meet
from mixgan_jax.penalties import Penalty
from mixgan_jax.player import Player
from mixgan_jax.solvers import restricted_game
from mixgan_jax.solvers.gan_game import Game, check_game, draw_latents, first_mixtures
from mixgan_jax.solvers.restricted_game import Meeting, RestrictedGame
from mixgan_jax.solvers.side import MixGanState, Rules, enter
from mixgan_jax.solvers.solver import Solver
from mixgan_jax.solvers.turns import discriminators_turn, generators_turn, turn_keys
from mixgan_jax.types import Array, Info, Key, LatentSampler

T = TypeVar("T")

Start: TypeAlias = Literal["warm", "fresh"]
"""Where a candidate starts from: the player of largest weight on its side, or newly initialised."""

STARTS: tuple[Start, ...] = ("warm", "fresh")


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

    rules: tuple[Rules, Rules]
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
    """TODO.

    Returns:
        A :class:`Solver`.
    """
    plan = _Plan(
        (
            Rules(check_transform("generator_tx", generator_tx), exponentiated_gradient(0.0)),
            Rules(
                check_transform("discriminator_tx", discriminator_tx), exponentiated_gradient(0.0)
            ),
        ),
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


def _init(game: Game, plan: _Plan, key: Key) -> DoubleOracleState:
    first = first_mixtures(game, key)
    candidates = _enter(plan, first)
    return DoubleOracleState(
        restricted_game.start(*first, plan.capacity),
        candidates,
        _nothing(plan),
        {name: jnp.float32(0.0) for name in _REPORT},
        candidates.frozen,
        count=jnp.int32(0),
        done=jnp.asarray(False),
    )


_REPORT = ("generator_loss", "discriminator_loss", "generator_gain", "discriminator_gain")


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
    state = _when(going & ~responds, partial(_measure, game, plan, key, real), state)
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
    """One update of each candidate, against the other side's population."""
    (discriminator_key,), generator_key = turn_keys(key)
    population, candidates = state.population, state.candidates
    discriminator_side, down = discriminators_turn(
        game._replace(num_generators=plan.capacity),
        plan.rules[1],
        discriminator_key,
        population.generators,
        candidates.discriminator_side,
        real,
    )
    generator_side, up = generators_turn(
        game._replace(num_discriminators=plan.capacity),
        plan.rules[0],
        generator_key,
        candidates.generator_side,
        population.discriminators,
        real,
    )
    moved = MixGanState(generator_side, discriminator_side)
    failed = {name: state.failed[name] | now for name, now in moved.frozen.items()}
    losses = {name: (up | down)[name] for name in ("generator_loss", "discriminator_loss")}
    return replace(state, candidates=moved, failed=failed, report={**state.report, **losses})


def _measure(
    game: Game, plan: _Plan, key: Key, real: Array, state: DoubleOracleState
) -> DoubleOracleState:
    """One more batch on which the candidates meet the populations, and each other."""
    population, candidates = state.population, state.candidates
    several = game._replace(num_generators=plan.capacity + 1)
    latents = draw_latents(several, key, real.shape[0])
    mine, _ = generate(game.generator, candidates.generators, latents[:1], train=True)
    others, _ = generate(game.generator, population.generators, latents[1:], train=True)
    fakes = jnp.concatenate([mine, others])
    row = meet(game.discriminator, population.discriminators, real, mine, game.loss).values[0]
    column = meet(game.discriminator, candidates.discriminators, real, fakes, game.loss).values
    new = Meeting(row, column[1:, 0], column[0, 0])
    return replace(state, measured=jax.tree.map(jnp.add, state.measured, new))


def _settle(game: Game, plan: _Plan, key: Key, state: DoubleOracleState) -> DoubleOracleState:
    """The end of a round: who enters, the new equilibrium, and the next candidates."""
    steps = jnp.float32(plan.measure_steps)
    meeting = jax.tree.map(lambda total: total / steps, state.measured)
    population, candidates = state.population, state.candidates
    gains = restricted_game.gains(population, meeting)
    first = (population.num_generators == 0, population.num_discriminators == 0)
    known = [
        ~frozen[0] & jnp.isfinite(gain) & jnp.all(jnp.isfinite(values))
        for frozen, gain, values in zip(
            candidates.frozen.values(), gains, (meeting.row, meeting.column), strict=True
        )
    ]
    done = known[0] & known[1] & ~(first[0] | first[1]) & (gains[0] + gains[1] < plan.tolerance)
    enters = [
        ~done & known & (new | (gain > 0))
        for known, new, gain in zip(known, first, gains, strict=True)
    ]
    both = jnp.isfinite(meeting.corner)
    population = restricted_game.admit(
        population,
        candidates.generators,
        candidates.discriminators,
        meeting,
        (enters[0] & both, enters[1] & both),
    )
    del both
    named = dict(zip(("generator_gain", "discriminator_gain"), gains, strict=True))
    return replace(
        state,
        population=population,
        candidates=_next_candidates(game, plan, key, population),
        measured=_nothing(plan),
        report={**state.report, **named},
        done=done,
    )


def _next_candidates(game: Game, plan: _Plan, key: Key, population: RestrictedGame) -> MixGanState:
    if plan.start == "fresh":
        return _enter(plan, first_mixtures(game, key))
    return _enter(plan, (_heaviest(population.generators), _heaviest(population.discriminators)))


def _heaviest(mixture: Mixture) -> Mixture:
    slot = jnp.argmax(mixture.log_weights)
    params, state = jax.tree.map(lambda leaf: leaf[slot][None], (mixture.params, mixture.state))
    return Mixture(params, state, jnp.zeros(1, jnp.float32))


def _enter(plan: _Plan, players: tuple[Mixture, Mixture]) -> MixGanState:
    return MixGanState(enter(plan.rules[0], players[0]), enter(plan.rules[1], players[1]))


def _nothing(plan: _Plan) -> Meeting:
    none = jnp.zeros(plan.capacity, jnp.float32)
    return Meeting(none, none, jnp.float32(0.0))


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
