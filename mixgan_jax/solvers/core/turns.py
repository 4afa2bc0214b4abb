"""Turns: one side of a game answers the other, which stands still, on latents of its own."""

import jax

from mixgan_jax.players.mixture import Mixture
from mixgan_jax.solvers.core.discriminator_gradients import discriminator_gradients
from mixgan_jax.solvers.core.duel import Duel
from mixgan_jax.solvers.core.game import Game, draw_latents, first_mixtures
from mixgan_jax.solvers.core.generator_gradients import generator_gradients
from mixgan_jax.solvers.core.side import MixGanState, Rules, Side, enter, move
from mixgan_jax.types import Array, Info, Key


def first_state(game: Game, rules: tuple[Rules, Rules], key: Key) -> MixGanState:
    """Fresh players of both sides, the generators' first, and their optimisers."""
    generators, discriminators = first_mixtures(game, key)
    return MixGanState(enter(rules[0], generators), enter(rules[1], discriminators))


def discriminators_turn(
    game: Game,
    rules: Rules,
    key: Key,
    generators: Mixture,
    side: Side,
    real: Array,
    duel: Duel | None = None,
) -> tuple[Side, Info]:
    """One update of the discriminators against a mixture of generators.

    Args:
        game: what stays fixed.
        rules: of the discriminators.
        key: consumed, by latents and penalty.
        generators: I, whom the discriminators answer.
        side: J discriminators and their optimisers.
        real: ``[B, ...]``.
        duel: what each of them makes of its peers.

    Returns:
        The side after the update, and the info of :func:`discriminator_gradients`.
    """
    latents_key, penalty_key = jax.random.split(key)
    latents = draw_latents(game, latents_key, real.shape[0])
    gradients, info = discriminator_gradients(
        game, penalty_key, generators, side.mixture, real, latents, duel
    )
    return move(rules, side, gradients), info


def generators_turn(
    game: Game, rules: Rules, key: Key, side: Side, discriminators: Mixture, real: Array
) -> tuple[Side, Info]:
    """One update of the generators against a mixture of discriminators.

    Args:
        game: what stays fixed.
        rules: of the generators.
        key: consumed, by latents.
        side: I generators and their optimisers.
        discriminators: J, whom the generators answer.
        real: ``[B, ...]``, looked at by relativistic losses only.

    Returns:
        The side after the update, and the info of :func:`generator_gradients`.
    """
    latents = draw_latents(game, key, real.shape[0])
    gradients, info = generator_gradients(game, side.mixture, discriminators, real, latents)
    return move(rules, side, gradients), info


def turn_keys(key: Key, discriminator_steps: int = 1) -> tuple[Key, Key]:
    """Keys of the turns of one step: the discriminators' ``[discriminator_steps]``, and one to fold turns into."""
    discriminator_key, generator_key = jax.random.split(key)
    return jax.random.split(discriminator_key, discriminator_steps), generator_key
