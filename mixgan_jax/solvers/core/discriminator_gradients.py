"""Gradients of the discriminators of a game between mixtures, at given players and fakes."""

from typing import Any, TypeVar

import jax
import jax.numpy as jnp

from mixgan_jax.players.mixture import Mixture, generate
from mixgan_jax.players.pairing import map_discriminators
from mixgan_jax.players.payoff import Logits, Outcome, check_reals, look, reckon
from mixgan_jax.players.player import apply_player
from mixgan_jax.solvers.core.duel import Duel, duel_loss, peer_labels
from mixgan_jax.solvers.core.game import Game, barrier_gradient
from mixgan_jax.solvers.core.side import Gradients
from mixgan_jax.types import Array, Info, Key, ModelState, Params

T = TypeVar("T")


def discriminator_gradients(
    game: Game,
    key: Key,
    generators: Mixture,
    discriminators: Mixture,
    real: Array,
    latents: Array,
    duel: Duel | None = None,
) -> tuple[Gradients, Info]:
    """What moves the discriminators: gradients of J times their loss, so that uniform weights cancel.

    Args:
        game: what stays fixed.
        key: consumed by the penalty.
        generators: I, held fixed.
        discriminators: J, differentiated.
        real: ``[B, ...]``.
        latents: ``[I, F, Z]``.
        duel: what each discriminator makes of its peers, added to its loss but not to the payoffs; for ``full``
            pairing only.

    Returns:
        The gradients, and ``discriminator_loss`` and ``value`` ``[]``, ``values`` ``[I, J]``,
        ``discriminator_weights`` ``[J]``.
    """
    fakes, _ = generate(game.generator, generators, latents, train=True, strategy=game.strategy)
    return gradients_on_fakes(game, key, generators.weights, discriminators, real, fakes, duel)


def gradients_on_fakes(
    game: Game,
    key: Key,
    generator_weights: Array,
    discriminators: Mixture,
    real: Array,
    fakes: Array,
    duel: Duel | None = None,
    constant: Array | None = None,
) -> tuple[Gradients, Info]:
    """As :func:`discriminator_gradients`, of fakes that are there already.

    Args:
        game: what stays fixed.
        key: consumed by the penalty.
        generator_weights: ``[I]``.
        discriminators: J, differentiated.
        real: ``[B, ...]``.
        fakes: ``[I, F, ...]``.
        duel: as of :func:`discriminator_gradients`.
        constant: bool ``[J]``, for who differentiates the result: of these discriminators it is a constant.
    """
    check_reals(real, fakes)
    weights = discriminators.weights
    labels = None if duel is None else _labels(game, discriminators, real, fakes)

    # The gradient is taken inside the map over discriminators: what its backward pass needs is kept for one of them
    # at a time.
    def one(
        params: Params,
        state: ModelState,
        fakes: Array,
        weight: Array,
        key: Key,
        labels: Any,
        constant: Array | None,
    ) -> tuple[Params, Array, tuple[Array, Outcome]]:
        faces = (params, fakes, generator_weights, weight)
        if constant is not None:
            faces = _held(constant, faces)
        params, *others = faces

        def objective(params: Params) -> tuple[Array, tuple[Array, Outcome]]:
            return _objective(game, key, params, state, real, tuple(others), duel, labels)

        (total, aux), gradients = jax.value_and_grad(objective, has_aux=True)(params)
        return gradients, total, aux

    keys = jax.random.split(key, game.num_discriminators)
    gradients, totals, (losses, columns) = map_discriminators(
        one,
        discriminators,
        fakes,
        weights,
        keys,
        labels,
        constant,
        pairing=game.pairing,
        strategy=game.strategy,
    )
    values = columns.values.T
    info = {
        "discriminator_loss": weights @ losses,
        "value": generator_weights @ values @ weights,
        "values": values,
        "discriminator_weights": weights,
    }
    weight_gradient = losses + barrier_gradient(game, weights)
    return Gradients(gradients, weight_gradient, columns.state, (totals, columns.values)), info


def _objective(
    game: Game,
    key: Key,
    params: Params,
    state: ModelState,
    real: Array,
    faces: tuple[Array, ...],
    duel: Duel | None,
    labels: Logits | None,
) -> tuple[Array, tuple[Array, Outcome]]:
    """What one discriminator minimises; its loss alone ``[]``, and its column of the matrices."""
    fakes, generator_weights, weight = faces
    seen, new_state = look(game.discriminator, params, state, real, fakes, pairing=game.pairing)
    column = reckon(game.loss, seen, new_state)
    loss = -(generator_weights @ column.payoffs.discriminator)
    total = loss
    if game.penalty is not None:
        total = total + _penalty(game, key, params, state, real, fakes, generator_weights)
    if duel is not None:
        assert labels is not None
        total = total + duel.beta * duel_loss(duel.alpha, seen, labels, generator_weights)
    return game.num_discriminators * (weight * total), (loss, column)


def _held(constant: Array, tree: T) -> T:
    """The tree; a constant where ``constant`` ``[]`` holds. No NaN of a derivative gets past ``where``."""
    return jax.tree.map(lambda leaf: jnp.where(constant, jax.lax.stop_gradient(leaf), leaf), tree)


def _labels(game: Game, discriminators: Mixture, real: Array, fakes: Array) -> Logits:
    """What each discriminator's peers say of the batch that it is about to see, leaves ``[J, ...]``."""
    if game.pairing != "full":
        raise ValueError(f"pairing must be 'full' for a duel, got {game.pairing!r}")

    def logits(params: Params, state: ModelState, fakes: Array) -> Logits:
        return look(game.discriminator, params, state, real, fakes)[0]

    seen = map_discriminators(logits, discriminators, fakes, strategy=game.strategy)
    return peer_labels(seen, discriminators.log_weights)


def _penalty(
    game: Game,
    key: Key,
    params: Params,
    state: ModelState,
    real: Array,
    fakes: Array,
    weights: Array,
) -> Array:
    """One discriminator's mean penalty ``[]``, over its generators' fakes with weights ``[I]``."""
    penalty = game.penalty
    assert penalty is not None

    packing = game.discriminator.packing

    def critic(inputs: Array) -> Array:
        samples = inputs if packing == 1 else inputs.reshape(-1, *inputs.shape[2:])
        player = game.discriminator
        return apply_player("discriminator", player, params, state, samples, train=True)[0]

    def examples(samples: Array) -> Array:
        """Packs ``[B / M, M, ...]`` where the discriminator judges those."""
        return samples if packing == 1 else samples.reshape(-1, packing, *samples.shape[1:])

    def mean(key: Key, fake: Array) -> Array:
        return jnp.mean(penalty(key, critic, examples(real), examples(fake)))

    return weights @ jax.vmap(mean)(jax.random.split(key, fakes.shape[0]), fakes)
