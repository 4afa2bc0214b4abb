"""The game of a solver: one mixture of generators against one of discriminators."""

import inspect
from collections.abc import Callable
from typing import Annotated, Any, Literal, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp

from mixgan_jax.checks import check_logits, fail
from mixgan_jax.losses import GanLoss
from mixgan_jax.penalties import Penalty
from mixgan_jax.players.mesh import COMPONENT, DATA, place
from mixgan_jax.players.mixture import Mixture, Strategy, start_components
from mixgan_jax.players.pairing import TrainingPairing
from mixgan_jax.players.player import Player, apply_player
from mixgan_jax.types import Array, Key, LatentSampler, ModelState, Params


def _check_penalty(name: str, penalty: object) -> Penalty:
    """Checks that four arguments fit; ``penalties.r1`` without its parentheses fails."""
    expected = "a function (key, critic, real, fake), such as penalties.r1(1.0)"
    # inspect.signature would write out what is no function, and Python refuses to for very long numbers.
    if not callable(penalty):
        raise fail(name, penalty, expected, TypeError)
    try:
        inspect.signature(penalty).bind(None, None, None, None)
    except TypeError as error:
        raise fail(name, penalty, expected, TypeError) from error
    return penalty


DiscriminatorPenalty: TypeAlias = Annotated[Penalty, _check_penalty]
"""A regulariser of each discriminator, added to its loss but not to the payoffs."""


ComponentSpeed: TypeAlias = Literal["weighted", "equal"]
"""Whether a component's gradient has the factor ``K w_k``, K times its weight, or 1."""


Augment: TypeAlias = Callable[[Key, Array], Array]
"""``augment(key, samples)`` changes samples ``[B, ...]`` at random, as ``data.diff_augment``; gradients pass."""


class Game(NamedTuple):
    """Everything about a game between two mixtures that training does not change; see ``mix_gan``.

    Attributes:
        sizes: numbers I of generators and J of discriminators.
        meetings: discriminators that a generator meets in a step, for the pairing ``sparse``.
        component_speed: factor of a component's gradient.
        augment: a change of all samples that a discriminator sees, or None.
    """

    generator: Player
    discriminator: Player
    loss: GanLoss
    sizes: tuple[int, int]
    latent_size: int
    latent_sampler: LatentSampler
    penalty: Penalty | None = None
    weight_barrier: float = 0.0
    shared_latents: bool = False
    pairing: TrainingPairing = "full"
    strategy: Strategy = "auto"
    meetings: int = 1
    component_speed: ComponentSpeed = "weighted"
    augment: Augment | None = None


def first_mixtures(game: Game, key: Key) -> tuple[Mixture, Mixture]:
    """Initialises both sides with uniform weights, and checks that the players fit each other in evaluation.

    In training a player may need more than the two examples seen here, or the axes of a mesh. So what it returns there
    is checked where a step is traced.
    """
    generator_key, discriminator_key = jax.random.split(key)
    num_generators, num_discriminators = game.sizes

    latents = jnp.zeros((2, game.latent_size))
    generators, samples = _start_mixture(
        "generator", game.generator, generator_key, num_generators, latents
    )
    if samples.shape[:1] != (2,) or not jnp.issubdtype(samples.dtype, jnp.floating):
        raise ValueError(
            "generator must return one floating-point sample per latent, shape (2, ...) for latents of shape "
            f"{latents.shape}, got shape {samples.shape} and dtype {samples.dtype}"
        )
    fakes = jnp.zeros((2 * game.discriminator.packing, *samples.shape[1:]), samples.dtype)
    discriminators, logits = _start_mixture(
        "discriminator", game.discriminator, discriminator_key, num_discriminators, fakes
    )
    check_logits("discriminator", logits, 2)
    return generators, discriminators


def augment_real(game: Game, key: Any, real: Array) -> Array:
    """Augments the reals ``[B, ...]`` of a game that does so."""
    assert game.augment is not None
    return place(game.augment(jax.random.fold_in(key, _REAL), real), DATA)


def augment_fakes(game: Game, key: Any, fakes: Array) -> Array:
    """Augments the fakes ``[I, F, ...]`` of a game that does so, those of each generator by numbers of their own."""
    assert game.augment is not None
    keys = jax.random.split(jax.random.fold_in(key, _FAKE), fakes.shape[0])
    return place(jax.vmap(game.augment)(keys, fakes), COMPONENT, DATA)


# Far from the small numbers by which the same keys are split.
_REAL, _FAKE = 2**31 - 1, 2**31 - 2


def _start_mixture(
    name: str, player: Player, key: Key, num_components: int, example: Array
) -> tuple[Mixture, jax.ShapeDtypeStruct]:
    """Initialises one side; returns it with the form of its outputs."""
    mixture = start_components(name, player, key, num_components, example)

    def apply(params: Params, state: ModelState) -> Array:
        own = jax.tree.map(lambda leaf: leaf[0], (params, state))
        return apply_player(name, player, *own, example, train=False)[0]

    return mixture, jax.eval_shape(apply, mixture.params, mixture.state)
