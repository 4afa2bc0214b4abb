"""Turns: the sides of a game move one after the other, and each responds to the opponents that a method names.

A method *is* its answer to "whom does a player respond to?", the function that :func:`alternating` is given:

==================  =======================================================================
method              opponents
==================  =======================================================================
``mix_gan``         the mixture of the current players of the other side
``duel_gan``        the same; its peers add a term to a discriminator's loss
``unrolled_gan``    for generators, the discriminators after some virtual turns
``fictitious_gan``  the average of the other side's history
==================  =======================================================================
"""

from collections.abc import Callable
from typing import Annotated, Any, Literal, TypeAlias

import jax
import jax.numpy as jnp

from mixgan_jax.checks import check_array, check_count, check_key
from mixgan_jax.players.meetings import Meetings, check_chunks, draw_meetings
from mixgan_jax.players.mesh import COMPONENT, DATA, axis_size, in_dealing_order, place
from mixgan_jax.players.mixture import Mixture, make_samples
from mixgan_jax.players.pairing import fakes_per_generator
from mixgan_jax.solvers.core.game import Game, first_mixtures
from mixgan_jax.solvers.core.gradients import (
    ExtraTerm,
    Reaction,
    discriminator_gradients,
    generator_gradients,
    total_generator_gradients,
)
from mixgan_jax.solvers.core.side import (
    MixGanState,
    Rules,
    Side,
    choose,
    start_side,
    update_side,
)
from mixgan_jax.types import Array, Info, Key

SideName: TypeAlias = Literal["generators", "discriminators"]
"""The side whose turn it is."""

OpponentsOf: TypeAlias = Callable[[SideName, Any, Key, Array], Any]
"""``opponents_of(side, state, key, real)`` returns the mixture that a side responds to, or a ``Reaction``.

``key`` is the parent of the generators' keys: fold 1 into it for random numbers of the opponents."""

Step: TypeAlias = Callable[[Key, Any, Array], tuple[Any, Info]]
"""The ``step`` of a ``Solver``."""

Update: TypeAlias = Literal["alternating", "simultaneous"]
"""Whether the generators answer the updated discriminators, or both sides move from the same point."""


def _check_steps(name: str, value: Any) -> Any:
    return value if callable(value) else check_count(name, value)


GeneratorSteps: TypeAlias = Annotated[int | Callable[[Array], Array], _check_steps]
"""A number of updates, or a function from the discriminators' loss ``[]`` to an int32 ``[]``."""


def first_state(game: Game, rules: tuple[Rules, Rules], key: Key) -> MixGanState:
    """Initialises the players of both sides and their optimisers."""
    generators, discriminators = first_mixtures(game, key)
    return MixGanState(start_side(rules[0], generators), start_side(rules[1], discriminators))


def current_opponents(side: SideName, state: Any, _key: Key, _real: Array) -> Mixture:
    """Returns the current players of the other side: MIX+GAN's answer."""
    return state.generators if side == "discriminators" else state.discriminators


def alternating(
    game: Game,
    rules: tuple[Rules, Rules],
    opponents_of: OpponentsOf = current_opponents,
    *,
    extra_of: Callable[[Any], ExtraTerm | None] = lambda state: None,
    remember: Callable[[SideName, Any], Any] = lambda side, state: state,
    discriminator_steps: int = 1,
    generator_steps: GeneratorSteps = 1,
    skip_discriminator_below: float | None = None,
) -> Step:
    """Makes the step of a solver in which the discriminators move first, and the generators answer on fresh latents.

    Args:
        game: the players, the loss and the options.
        rules: rules of the generators, and of the discriminators.
        opponents_of: names the opponents of a side.
        extra_of: returns the further term of the discriminators' loss at a state, or None.
        remember: ``remember(side, state)`` returns the state after a side has moved, for solvers that keep a history.
        discriminator_steps: turns of the discriminators in each step, each on its own part of the batch.
        generator_steps: turns of the generators in each step, on the last of these parts.
        skip_discriminator_below: the discriminators stand still where their loss is below this; None for never.

    Returns:
        ``step(key, state, batch)``, for states that have ``sides``, ``with_sides`` and ``frozen_info``.
    """

    def down(state: Any, inputs: tuple[Key, Array]) -> tuple[Any, Info]:
        key, real = inputs
        generators, side = opponents_of("discriminators", state, key, real), state.sides[1]
        moved, info = discriminators_turn(
            game, rules[1], key, generators, side, real, extra_of(state)
        )
        if skip_discriminator_below is not None:
            # A loss that is NaN is not below: the update must run, to find which component it spoils.
            moved = choose(~(info["discriminator_loss"] < skip_discriminator_below), moved, side)
        return remember("discriminators", state.with_sides(state.sides[0], moved)), info

    def up(state: Any, parent: Key, index: Array | int, real: Array) -> tuple[Any, Info]:
        opponents, side = opponents_of("generators", state, parent, real), state.sides[0]
        key = jax.random.fold_in(parent, index)
        moved, info = generators_turn(game, rules[0], key, side, opponents, real)
        return remember("generators", state.with_sides(moved, state.sides[1])), info

    def step(key: Key, state: Any, batch: Array) -> tuple[Any, Info]:
        reals = parts_of(key, batch, discriminator_steps)
        keys, parent = turn_keys(key, discriminator_steps)
        if discriminator_steps == 1:
            state, down_info = down(state, (keys[0], reals[0]))
        else:
            state, infos = jax.lax.scan(down, state, (keys, reals))
            down_info = jax.tree.map(lambda leaf: leaf[-1], infos)

        # The first turn stands outside the loop: it gives info its form, and there is always one.
        carry = up(state, parent, 0, reals[-1])
        turns: Any = generator_steps
        if callable(turns):
            turns = turns(down_info["discriminator_loss"])
        if not (isinstance(turns, int) and turns == 1):
            carry = jax.lax.fori_loop(
                1, turns, lambda index, carry: up(carry[0], parent, index, reals[-1]), carry
            )
        state, up_info = carry
        return state, {**down_info, **up_info, **state.frozen_info}

    return step


def parts_of(key: Key, batch: Array, parts: int = 1) -> Array:
    """Splits the batch into ``[parts, B, ...]``, and checks it and the key, once for the whole step."""
    check_key("key", key)
    batch = check_array("batch", batch, floating=True)
    if batch.ndim < 1 or batch.shape[0] < parts or batch.shape[0] % parts:
        raise ValueError(
            f"batch must hold a multiple of discriminator_steps = {parts} reals, got shape {batch.shape}"
        )
    if batch.shape[0] // parts % axis_size(DATA):
        raise ValueError(
            f"batch must hold a multiple of discriminator_steps = {parts} times the mesh's {DATA} axis of "
            f"{axis_size(DATA)}, got {batch.shape[0]} reals"
        )
    return batch.reshape(parts, -1, *batch.shape[1:])


def discriminators_turn(
    game: Game,
    rules: Rules,
    key: Key,
    generators: Mixture,
    side: Side,
    real: Array,
    extra: ExtraTerm | None = None,
) -> tuple[Side, Info]:
    """Updates the discriminators once, against a mixture of generators.

    Args:
        game: the players, the loss and the options; its number of generators may differ.
        rules: rules of the discriminators.
        key: consumed by latents and penalty.
        generators: the opponents, I of them.
        side: J discriminators and their optimisers.
        real: ``[B, ...]``.
        extra: a further term of each discriminator's loss.

    Returns:
        The side after the update, and the info of :func:`discriminator_gradients`.
    """
    game = game._replace(sizes=(generators.num_components, side.mixture.num_components))
    latents_key, penalty_key = jax.random.split(key)
    latents = draw_latents(game, latents_key, real.shape[0])
    fakes, _ = make_samples(game.generator, generators, latents, train=True, strategy=game.strategy)
    met = draw_who_meets(game, latents_key)
    gradients, info = discriminator_gradients(
        game, penalty_key, generators.weights, side.mixture, real, fakes, extra, met=met
    )
    return update_side(rules, side, gradients), info


def generators_turn(
    game: Game, rules: Rules, key: Key, side: Side, opponents: Mixture | Reaction, real: Array
) -> tuple[Side, Info]:
    """Updates the generators once, against a mixture of discriminators or against some that react to the update.

    Args:
        game: the players, the loss and the options; its number of discriminators may differ.
        rules: rules of the generators.
        key: consumed by latents, and by the augmentation of a game that has one.
        side: I generators and their optimisers.
        opponents: the discriminators, or their reaction.
        real: ``[B, ...]``, read by relativistic losses only.

    Returns:
        The side after the update, and the info of :func:`generator_gradients`.
    """
    if isinstance(opponents, Mixture):
        game = game._replace(sizes=(side.mixture.num_components, opponents.num_components))
        latents = draw_latents(game, key, real.shape[0])
        met = draw_who_meets(game, key)
        gradients, info = generator_gradients(
            game, side.mixture, opponents, real, latents, met, key
        )
    else:
        latents = draw_latents(game, key, real.shape[0])
        gradients, info = total_generator_gradients(game, side.mixture, opponents, real, latents)
    return update_side(rules, side, gradients), info


def draw_latents(game: Game, key: Key, batch: int) -> Array:
    """Draws latents ``[I, F, Z]`` for a batch of reals: each generator's own, or one set for all of them."""
    num_generators, num_discriminators = game.sizes
    if game.pairing == "sparse":
        check_chunks(batch, game.meetings)
        key, fakes = jax.random.split(key)[0], batch
    else:
        fakes = fakes_per_generator(game.pairing, batch, num_generators, num_discriminators)
    num_sets = 1 if game.shared_latents else num_generators
    if game.pairing == "latin" and axis_size(DATA) > 1:
        # The same numbers, drawn in chunks, so that no latent has to move.
        shape = (num_sets, num_discriminators, fakes // num_discriminators, game.latent_size)
        latents = in_dealing_order(game.latent_sampler(key, shape), num_generators)
    else:
        latents = game.latent_sampler(key, (num_sets, fakes, game.latent_size))
    latents = jnp.broadcast_to(latents, (num_generators, *latents.shape[1:]))
    return place(latents, COMPONENT, DATA)


def draw_who_meets(game: Game, key: Key) -> Meetings | None:
    """Draws who meets whom with the pairing ``sparse``, from the key of ``draw_latents``; None with others."""
    if game.pairing != "sparse":
        return None
    return draw_meetings(jax.random.split(key)[1], *game.sizes, game.meetings)


def turn_keys(key: Key, discriminator_steps: int = 1) -> tuple[Key, Key]:
    """Splits a step's key: the discriminators' keys ``[discriminator_steps]``, and the parent of the generators'."""
    discriminator_key, generator_key = jax.random.split(key)
    return jax.random.split(discriminator_key, discriminator_steps), generator_key
