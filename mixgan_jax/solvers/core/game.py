"""What is played: a game between a mixture of generators and one of discriminators, as a solver is given it."""

import inspect
from typing import NamedTuple

import jax
import jax.numpy as jnp

from mixgan_jax.checks import (
    check_choice,
    check_count,
    check_flag,
    check_function,
    check_logits,
    check_number,
    fail,
)
from mixgan_jax.losses import GanLoss
from mixgan_jax.losses.core import check_loss
from mixgan_jax.penalties import Penalty
from mixgan_jax.players.mixture import STRATEGIES, Mixture, Strategy, start_components
from mixgan_jax.players.pairing import PAIRINGS, Pairing
from mixgan_jax.players.player import Player, apply_player, check_player
from mixgan_jax.types import Array, Key, LatentSampler, ModelState, Params


class Game(NamedTuple):
    """Everything about a game between two mixtures that training does not change; see ``mix_gan``."""

    generator: Player
    discriminator: Player
    loss: GanLoss
    num_generators: int
    num_discriminators: int
    latent_size: int
    latent_sampler: LatentSampler
    shared_latents: bool = False
    penalty: Penalty | None = None
    weight_barrier: float = 0.0
    pairing: Pairing = "full"
    strategy: Strategy = "auto"


def check_game(game: Game) -> Game:
    """The same game with each field checked; an error names the field."""
    check_loss("loss", game.loss)
    check_function("latent_sampler", game.latent_sampler)
    check_flag("shared_latents", game.shared_latents)
    check_choice("pairing", game.pairing, PAIRINGS)
    check_choice("strategy", game.strategy, STRATEGIES)
    _check_penalty(game.penalty)
    return game._replace(
        generator=check_player("generator", game.generator),
        discriminator=check_player("discriminator", game.discriminator),
        num_generators=check_count("num_generators", game.num_generators),
        num_discriminators=check_count("num_discriminators", game.num_discriminators),
        latent_size=check_count("latent_size", game.latent_size),
        weight_barrier=check_number("weight_barrier", game.weight_barrier, minimum=0.0),
    )


def _check_penalty(penalty: Penalty | None) -> None:
    """A penalty can be called with four arguments; ``penalties.r1`` without its parentheses can not."""
    if penalty is None:
        return
    expected = "a function (key, critic, real, fake), such as penalties.r1(1.0)"
    # inspect.signature would write out what is no function, and Python refuses to for very long numbers
    if not callable(penalty):
        raise fail("penalty", penalty, expected, TypeError)
    try:
        inspect.signature(penalty).bind(None, None, None, None)
    except TypeError as error:
        raise fail("penalty", penalty, expected, TypeError) from error


def first_mixtures(game: Game, key: Key) -> tuple[Mixture, Mixture]:
    """Freshly initialised generators and discriminators, with uniform weights, whose shapes fit together."""
    generator_key, discriminator_key = jax.random.split(key)
    latents = jnp.zeros((2, game.latent_size))
    generators, samples = _start_side(
        "generator", game.generator, generator_key, game.num_generators, latents
    )
    if samples.shape[:1] != (2,) or not jnp.issubdtype(samples.dtype, jnp.floating):
        raise ValueError(
            "generator must return one floating-point sample per latent, shape (2, ...) for latents of shape "
            f"{latents.shape}, got shape {samples.shape} and dtype {samples.dtype}"
        )
    packs = (2 * game.discriminator.packing, *samples.shape[1:])
    discriminators, logits = _start_side(
        "discriminator",
        game.discriminator,
        discriminator_key,
        game.num_discriminators,
        jnp.zeros(packs, samples.dtype),
    )
    check_logits("discriminator", logits, 2)
    return generators, discriminators


def _start_side(
    name: str, player: Player, key: Key, num_components: int, example: Array
) -> tuple[Mixture, jax.ShapeDtypeStruct]:
    """Fresh components with uniform weights, and the shape of what one of them makes of ``example``."""
    mixture = start_components(name, player, key, num_components, example)

    def apply(params: Params, state: ModelState) -> Array:
        own = jax.tree.map(lambda leaf: leaf[0], (params, state))
        return apply_player(name, player, *own, example, train=False)[0]

    return mixture, jax.eval_shape(apply, mixture.params, mixture.state)
