"""The duality gap between two mixtures, over deviations that are retrained with a budget."""

import itertools
from collections.abc import Sequence
from typing import Annotated, Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import optax
from jax.flatten_util import ravel_pytree

from mixgan_jax.checked import checked
from mixgan_jax.checks import check_array, check_count, fail
from mixgan_jax.data.feed import Feed
from mixgan_jax.losses import GanLoss
from mixgan_jax.losses.core import Loss
from mixgan_jax.optim.components import Transform
from mixgan_jax.players.mixture import Mixture, uniform
from mixgan_jax.players.payoff import held_out_values
from mixgan_jax.players.player import Discriminator, Generator, Player
from mixgan_jax.solvers import MixGanState, Solver, best_response
from mixgan_jax.solvers.best_response import Responder
from mixgan_jax.types import Array, Count, Key, LatentSampler, ModelState, NonNegative, Params


def check_halves(name: str, value: Any) -> Array:
    """Returns a floating-point array ``[N, B, ...]`` with N even, so that it has two halves."""
    array = check_array(name, value, floating=True)
    if array.ndim < 3 or array.shape[0] < 2 or array.shape[0] % 2:
        raise fail(name, array, "[N, B, ...] with N >= 2 even")
    return array


def check_budgets(name: str, value: Any) -> tuple[int, ...]:
    """Returns whole numbers >= 1 that rise, one or more."""
    if not isinstance(value, Sequence) or isinstance(value, str | bytes) or not len(value):
        raise fail(name, value, "a sequence of whole numbers", TypeError)
    steps = tuple(check_count(name, entry) for entry in value)
    if any(a >= b for a, b in itertools.pairwise(steps)):
        raise fail(name, value, "whole numbers that rise")
    return steps


Halves: TypeAlias = Annotated[Array, check_halves]
"""Batches ``[N, B, ...]``, N even."""

Budgets: TypeAlias = Annotated[Sequence[int], check_budgets]
"""Numbers of steps that rise."""


class _Game(NamedTuple):
    """The arguments that stay fixed; see :func:`duality_gap_curve`."""

    generator: Player
    discriminator: Player
    loss: GanLoss
    feed: Feed
    reals: Array
    budgets: tuple[int, ...]
    latent_size: int
    latent_sampler: LatentSampler
    tx: optax.GradientTransformation
    num_cold: int
    num_perturbed: int
    perturbation: float


class _Values(NamedTuple):
    """Earnings of one side's players against the other side's mixture.

    Attributes:
        chosen: ``[...]``, on the half of the data that chooses a player.
        paid: ``[...]``, the same players on the other half.
    """

    chosen: Array
    paid: Array


@checked
def duality_gap_curve(
    key: Key,
    generator: Generator,
    discriminator: Discriminator,
    generators: Mixture,
    discriminators: Mixture,
    loss: Loss,
    feed: Feed,
    reals: Halves,
    *,
    budgets: Budgets,
    latent_size: Count,
    tx: Transform,
    num_cold: Count = 2,
    num_perturbed: Count = 2,
    perturbation: NonNegative = 0.1,
    latent_sampler: LatentSampler = jax.random.normal,
) -> dict[str, Array]:
    r"""Measures what both sides gain by leaving their mixtures for the best single player found within a budget.

    .. math:: \max_v \sum_i p_i F(u_i, v) - \min_u \sum_j q_j F(u, v_j)

    (Grnarova et al. 2019, arXiv 1811.05512), F the loss's ``value``. With budget 0 a side may take one of its own
    components: NashConv over components. With budget b it may also take a player trained for at most b steps
    (:func:`best_response`) from one of three starts: *cold*, fresh networks; *warm*, its best component; *perturbed*,
    noisy copies of its best component, since a warm start does not move from a stationary point that is no
    equilibrium. Training finds some deviation and not the best one, so each number bounds the gap over this
    architecture from below: read the curve, not a point of it.

    Deviations are chosen on the first half of ``reals`` and paid on the second, each half with its own latents. So
    noise does not count as a gain, and a gap may come out a little below 0.

    Args:
        key: consumed by starts, batches and latents.
        generator: the generators' architecture.
        discriminator: the discriminators'.
        generators: I generators, with weights p.
        discriminators: J discriminators, with weights q.
        loss: deviations minimise it; its ``value`` judges them.
        feed: batches ``[B, ...]`` that deviations train on.
        reals: ``[N, B, ...]``, N >= 2 and even, seen by no training.
        budgets: numbers of steps, rising.
        latent_size: Z.
        tx: the optimiser of one deviation.
        num_cold: fresh networks for each side, >= 1.
        num_perturbed: perturbed copies for each side, >= 1.
        perturbation: standard deviation of the noise, in root mean squares of the tensor it is added to, >= 0.
        latent_sampler: ``sampler(key, shape)``.

    Returns:
        Arrays ``[1 + len(budgets)]``, the first entry for budget 0, in the units of ``value``: ``gap``, its two parts
        ``generator_gain`` and ``discriminator_gain``, and ``gap_cold``, ``gap_warm``, ``gap_perturbed``, with
        components and deviations of one start alone.
    """
    game = _Game(
        generator=generator,
        discriminator=discriminator,
        loss=loss,
        feed=feed,
        reals=reals,
        budgets=tuple(budgets),
        latent_size=latent_size,
        latent_sampler=latent_sampler,
        tx=tx,
        num_cold=num_cold,
        num_perturbed=num_perturbed,
        perturbation=perturbation,
    )
    value_key, generator_key, discriminator_key = jax.random.split(key, 3)
    # NashConv over components
    values = _halves(game, value_key, generators, discriminators)
    now = generators.weights @ values[1] @ discriminators.weights
    # train both sides' deviations
    sides = (
        _deviate(game, generator_key, "generator", generators, discriminators, values),
        _deviate(game, discriminator_key, "discriminator", generators, discriminators, values),
    )

    def gains(part: slice) -> tuple[Array, Array]:
        first, second = (
            _best_so_far(components, jax.tree.map(lambda leaf: leaf[:, part], trained))
            for components, trained in sides
        )
        return first + now, second - now  # the generators earn minus the value

    # gains by start
    first, second = gains(slice(None))
    result = {"gap": first + second, "generator_gain": first, "discriminator_gain": second}
    warm = slice(num_cold, num_cold + 1)
    for name, part in {
        "cold": slice(num_cold),
        "warm": warm,
        "perturbed": slice(num_cold + 1, None),
    }.items():
        first, second = gains(part)
        result[f"gap_{name}"] = first + second
    return result


def _halves(game: _Game, key: Key, generators: Mixture, discriminators: Mixture) -> Array:
    """Returns values ``[2, I, J]``: on the half of the data that chooses, and on the half that pays."""
    values = held_out_values(
        key,
        game.generator,
        game.discriminator,
        generators,
        discriminators,
        game.loss,
        game.reals,
        latent_size=game.latent_size,
        latent_sampler=game.latent_sampler,
    )
    return values.reshape(2, -1, *values.shape[1:]).mean(axis=1)


def _earned(
    responder: Responder, generators: Mixture, discriminators: Mixture, values: Array
) -> _Values:
    """Returns what each player of the responding side earns against the other side's mixture."""
    if responder == "discriminator":
        return _Values(*jnp.einsum("i,hij->hj", generators.weights, values))
    return _Values(*-jnp.einsum("hij,j->hi", values, discriminators.weights))


def _deviate(
    game: _Game,
    key: Key,
    responder: Responder,
    generators: Mixture,
    discriminators: Mixture,
    values: Array,
) -> tuple[_Values, _Values]:
    """Returns the earnings of a side's components ``[K]`` and of its deviations ``[budgets, deviations]``."""
    value_key, start_key, train_key = jax.random.split(key, 3)
    components = _earned(responder, generators, discriminators, values)
    mine, opponents, player = generators, discriminators, game.generator
    example = jnp.zeros((2, game.latent_size))
    if responder == "discriminator":
        mine, opponents, player = discriminators, generators, game.discriminator
        example = game.reals[0, :2]
    index = jnp.argmax(components.chosen)
    best = jax.tree.map(lambda leaf: leaf[index], (mine.params, mine.state))
    solver = best_response(
        responder,
        game.generator,
        game.discriminator,
        game.loss,
        opponents,
        _starts(game, start_key, player, example, best),
        latent_size=game.latent_size,
        tx=game.tx,
        latent_sampler=game.latent_sampler,
    )
    return components, _train(game, train_key, value_key, responder, solver)


def _starts(
    game: _Game, key: Key, player: Player, example: Array, best: tuple[Params, ModelState]
) -> Mixture:
    """Makes the deviations to train: cold ones, a copy of ``best`` (its params and state), perturbed copies."""
    cold_key, noise_key = jax.random.split(key)
    cold = uniform(cold_key, player, game.num_cold, example)
    params, model_state = best
    flat, unravel = ravel_pytree(params)
    # One long draw, because each call of the generator takes long to compile and networks have many tensors.
    noise = jax.vmap(unravel)(
        jax.random.normal(noise_key, (game.num_perturbed, flat.size), flat.dtype)
    )

    def perturb(leaf: Array, noise: Array) -> Array:
        size = game.perturbation * jnp.sqrt(jnp.mean(leaf**2))
        return jnp.concatenate([leaf[None], leaf[None] + size * noise])

    def join(a: Array, b: Array) -> Array:
        return jnp.concatenate([a, b])

    copies = jax.tree.map(perturb, params, noise)
    count = 1 + game.num_perturbed
    states = jax.tree.map(lambda leaf: jnp.stack([leaf] * count), model_state)
    log_weights = jax.nn.log_softmax(jnp.zeros(game.num_cold + count))
    return Mixture(
        jax.tree.map(join, cold.params, copies), jax.tree.map(join, cold.state, states), log_weights
    )


def _train(game: _Game, key: Key, value_key: Key, responder: Responder, solver: Solver) -> _Values:
    """Trains the deviations; returns their earnings after each budget, ``[budgets, deviations]``."""
    init_key, steps_key = jax.random.split(key)

    def step(index: Array, state: MixGanState) -> MixGanState:
        batch_key, step_key = jax.random.split(jax.random.fold_in(steps_key, index))
        return solver.step(step_key, state, game.feed.sample(batch_key, game.feed.arrays))[0]

    # The loops' lengths are known at run time only, so one training step and one evaluation serve all budgets.
    def stage(state: MixGanState, ends: tuple[Array, Array]) -> tuple[MixGanState, _Values]:
        state = jax.lax.fori_loop(*ends, step, state)
        players = (state.generators, state.discriminators)
        return state, _earned(responder, *players, _halves(game, value_key, *players))

    steps = jnp.asarray((0, *game.budgets), jnp.int32)
    return jax.lax.scan(stage, solver.init(init_key), (steps[:-1], steps[1:]))[1]


def _best_so_far(components: _Values, trained: _Values) -> Array:
    """Returns what the player chosen within each budget is paid, ``[1 + budgets]``."""
    budgets, count = trained.chosen.shape
    chosen = jnp.concatenate([components.chosen, trained.chosen.ravel()])
    paid = jnp.concatenate([components.paid, trained.paid.ravel()])
    own = jnp.zeros(components.chosen.shape, jnp.int32)
    born = jnp.concatenate([own, jnp.repeat(jnp.arange(1, budgets + 1), count)])
    allowed = born[None] <= jnp.arange(budgets + 1)[:, None]
    return paid[jnp.argmax(jnp.where(allowed, chosen[None], -jnp.inf), axis=1)]
