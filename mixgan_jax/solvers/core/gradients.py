r"""Gradients of both sides of a game between mixtures: the paper's sum over ij, differentiated.

Generators ``u_i`` with weights ``p`` ``[I]`` and discriminators ``v_j`` with weights ``q`` ``[J]`` play

.. math:: \min_{u, p} \max_{v, q} \sum_{ij} p_i\, q_j\, F(u_i, v_j) = p^\top F q.

Each side descends minus its own payoffs ``F`` ``[I, J]``; the two differ where a loss is not zero-sum:

==============  ===========================  ==================================
side            gradient of its components   gradient of its weights
==============  ===========================  ==================================
discriminators  ``grad_v(-J p'Fq)``          ``-p @ F + barrier'(q)``
generators      ``grad_u(-I p'Fq)``          ``-F @ q + barrier'(p)``
==============  ===========================  ==================================

The factors J and I cancel uniform weights: every component then moves as a single GAN would. With the component speed
``equal`` a component descends its own loss instead, without the factors ``J q_j`` and ``I p_i``.

Both gradients are taken inside the map over discriminators, one column of F at a time. So a backward pass keeps what it
needs for one discriminator at a time: for three discriminators that is a third of the memory.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple, TypeAlias, TypeVar

import chex
import jax
import jax.numpy as jnp

from mixgan_jax import penalties
from mixgan_jax.players.meetings import Meetings
from mixgan_jax.players.mesh import place
from mixgan_jax.players.mixture import Mixture, make_samples
from mixgan_jax.players.pairing import check_batch, map_discriminators, sum_shares
from mixgan_jax.players.payoff import Logits, Outcome, column, fill_matrix
from mixgan_jax.solvers.core.game import Game, augment_fakes, augment_real
from mixgan_jax.solvers.core.side import Gradients
from mixgan_jax.types import Array, Info, Key, ModelState, Params

T = TypeVar("T")

Reaction: TypeAlias = Callable[[Mixture, Array], Mixture]
"""Discriminators that react: a function of the generators, and of their weights ``[I]``, differentiated through."""


class ExtraTerm(NamedTuple):
    """A term that each discriminator minimises beside its loss, and that the payoffs do not contain.

    Attributes:
        prepare: ``prepare(game, discriminators, real, fakes)`` returns a tree with leaves ``[J, ...]``, one part for
            each discriminator's term.
        loss: ``loss(own, shared, logits, p)`` returns the term ``[]`` of one discriminator: ``own`` is its part of the
            tree from ``prepare``, ``logits`` are a :class:`Logits`, ``p`` the generators' weights ``[I]``.
        shared: a tree of arrays that all terms share.
    """

    prepare: Callable[[Game, Mixture, Array, Array], Any]
    loss: Callable[[Any, Any, Logits, Array], Array]
    shared: Any


def discriminator_gradients(
    game: Game,
    key: Key,
    p: Array,
    discriminators: Mixture,
    real: Array,
    fakes: Array,
    extra: ExtraTerm | None = None,
    constant: Array | None = None,
    met: Meetings | None = None,
) -> tuple[Gradients, Info]:
    """Computes the discriminators' gradients, of J times their loss.

    Args:
        game: the players, the loss and the options.
        key: consumed by the penalty, and by the augmentation of a game that has one.
        p: the generators' weights ``[I]``.
        discriminators: J, differentiated, with weights q.
        real: ``[B, ...]``.
        fakes: ``[I, F, ...]``, held fixed.
        extra: a further term of each discriminator's loss.
        constant: bool ``[J]``. No gradient flows through discriminators marked True (needed by ``unrolled_gan``).
        met: who meets whom with the pairing ``sparse``, from ``draw_who_meets``.

    Returns:
        The gradients, and ``discriminator_loss`` and ``value`` ``[]``, ``values`` ``[I, J]``,
        ``discriminator_weights`` ``[J]``.
    """
    chex.assert_equal_shape_prefix((p, fakes), 1)
    num_discriminators, q = discriminators.num_components, discriminators.weights
    check_batch(game.discriminator, game.pairing, q.size, game.meetings, real, fakes)
    if game.augment is not None:
        real, fakes = augment_real(game, key, real), augment_fakes(game, key, fakes)
    own = None if extra is None else extra.prepare(game, discriminators, real, fakes)
    extra_shared = None if extra is None else extra.shared

    def one(
        params: Params,
        state: ModelState,
        q_j: Array,
        key: Key,
        own: Any,
        constant: Array | None,
        p_met: Array | None,
        fakes: Array,
        *shared: Any,
    ) -> tuple[Params, Array, Array, Outcome]:
        real, p, extra_shared = shared
        p = p if p_met is None else p_met
        if constant is not None:
            params, fakes, p, q_j = _held(constant, (params, fakes, p, q_j))

        def objective(params: Params) -> tuple[Array, tuple[Array, Outcome]]:
            F_j, logits = column(
                game.discriminator, params, state, real, fakes, game.loss, pairing=game.pairing
            )
            loss = -(p @ F_j.payoffs.discriminator)  # the sum over i
            total = loss
            if game.penalty is not None:
                total = total + _penalty(game, key, params, state, real, fakes, p)
            if extra is not None:
                total = total + extra.loss(own, extra_shared, logits, p)
            if game.component_speed == "weighted":
                total = num_discriminators * (q_j * total)
            return total, (loss, F_j)

        (total, (loss, F_j)), gradient = jax.value_and_grad(objective, has_aux=True)(params)
        return gradient, total, loss, F_j

    keys = jax.random.split(key, num_discriminators)
    gradients, totals, losses, columns = map_discriminators(
        one,
        discriminators,
        keys,
        own,
        constant,
        None if met is None else met.weights_met(p),
        fakes=fakes,
        shared=(real, p, extra_shared),
        pairing=game.pairing,
        met=met,
        strategy=game.strategy,
    )
    losses, values = place((losses, columns.values))
    values = (values if met is None else met.matrix(values)).T
    info = {
        "discriminator_loss": q @ losses,  # the sum over j
        "value": p @ values @ q,
        "values": values,
        "discriminator_weights": q,
    }
    q_gradient = losses + barrier_gradient(game, q)
    return Gradients(gradients, q_gradient, columns.state, (totals, columns.values)), info


def generator_gradients(
    game: Game,
    generators: Mixture,
    discriminators: Mixture,
    real: Array,
    latents: Array,
    met: Meetings | None = None,
    key: Key | None = None,
) -> tuple[Gradients, Info]:
    """Computes the generators' gradients, of I times their loss.

    Args:
        game: the players, the loss and the options.
        generators: I, differentiated, with weights p.
        discriminators: J, held fixed, with weights q; the passes' batch statistics are not kept.
        real: ``[B, ...]``, looked at by relativistic losses only.
        latents: ``[I, F, Z]``.
        met: who meets whom with the pairing ``sparse``, from ``draw_who_meets``.
        key: consumed by the augmentation, of a game that has one.

    Returns:
        The gradients, and ``generator_loss`` ``[]``, ``generator_weights`` ``[I]``.
    """
    p, q = generators.weights, discriminators.weights
    chex.assert_equal_shape_prefix((p, latents), 1)
    num_generators = generators.num_components
    # With equal speeds every generator moves as under uniform weights
    moving = p if game.component_speed == "weighted" else jnp.full_like(p, 1.0 / num_generators)

    def make(params: Params) -> tuple[Array, ModelState]:
        players = replace(generators, params=params)
        options: Any = {"train": True, "strategy": game.strategy}
        fakes, state = make_samples(game.generator, players, latents, **options)
        return fakes if game.augment is None else augment_fakes(game, key, fakes), state

    def one(
        params: Params,
        state: ModelState,
        q_j: Array,
        p_met: Array | None,
        fakes: Array,
        real: Array,
        p: Array,
    ) -> tuple[Array, Array]:
        p = p if p_met is None else p_met

        def objective(fakes: Array) -> tuple[Array, Array]:
            F_j, _ = column(
                game.discriminator, params, state, real, fakes, game.loss, pairing=game.pairing
            )
            losses = -F_j.payoffs.generator
            return num_generators * (q_j * (p @ losses)), losses  # the sum over i

        return jax.grad(objective, has_aux=True)(fakes)

    # Each discriminator says where its fakes should go; the generators are differentiated once, for the sum over j.
    if game.augment is not None:
        real = augment_real(game, key, real)
    fakes, pull, state = jax.vjp(make, generators.params, has_aux=True)
    check_batch(game.discriminator, game.pairing, q.size, game.meetings, real, fakes)
    by_share, columns = map_discriminators(
        one,
        discriminators,
        None if met is None else met.weights_met(moving),
        fakes=fakes,
        shared=(real, moving),
        pairing=game.pairing,
        met=met,
        strategy=game.strategy,
        sum_first=game.pairing in ("full", "stratified"),
    )
    (gradients,) = pull(sum_shares(by_share, game.pairing, met))
    columns = columns if met is None else met.matrix(columns)
    losses = place(q @ columns)  # [J, I] to [I]
    info = {"generator_loss": p @ losses, "generator_weights": p}
    return Gradients(gradients, losses + barrier_gradient(game, p), state, losses), info


def total_generator_gradients(
    game: Game, generators: Mixture, reaction: Reaction, real: Array, latents: Array
) -> tuple[Gradients, Info]:
    """Computes what :func:`generator_gradients` does, by the total derivative against discriminators that react."""

    def objective(params: Params, p: Array) -> tuple[Array, ModelState]:
        players = replace(generators, params=params)
        opponents = reaction(players, p)
        fakes, state = make_samples(game.generator, players, latents, train=True)
        F = fill_matrix(game.discriminator, opponents, real, fakes, game.loss).payoffs.generator
        return -(p @ F @ opponents.weights), state

    p = generators.weights
    both = jax.value_and_grad(objective, argnums=(0, 1), has_aux=True)
    (loss, state), (gradients, p_gradient) = both(generators.params, p)
    gradients = jax.tree.map(lambda leaf: generators.num_components * leaf, gradients)
    info = {"generator_loss": loss, "generator_weights": p}
    return Gradients(gradients, p_gradient + barrier_gradient(game, p), state, p_gradient), info


def barrier_gradient(game: Game, weights: Array) -> Array:
    """Computes the barrier's part of the gradient of a side's weights ``[K]``."""
    return game.weight_barrier * jax.grad(penalties.weight_barrier)(weights)


def _held(constant: Array, tree: T) -> T:
    """Stops the gradient of a tree where ``constant`` ``[]`` holds; no NaN of a derivative gets past ``where``."""
    return jax.tree.map(lambda leaf: jnp.where(constant, jax.lax.stop_gradient(leaf), leaf), tree)


def _penalty(
    game: Game,
    key: Key,
    params: Params,
    state: ModelState,
    real: Array,
    fakes: Array,
    p: Array,
) -> Array:
    """Averages one discriminator's penalty over the batch, and over the generators with their weights: ``[]``."""
    penalty = game.penalty
    assert penalty is not None
    packing = game.discriminator.packing

    def critic(inputs: Array) -> Array:
        samples = inputs if packing == 1 else inputs.reshape(-1, *inputs.shape[2:])
        return game.discriminator.apply(params, state, samples, train=True)[0]

    def examples(samples: Array) -> Array:
        # An example is a pack, [B / M, M, ...].
        return samples if packing == 1 else samples.reshape(-1, packing, *samples.shape[1:])

    def mean(key: Key, fake: Array) -> Array:
        return jnp.mean(penalty(key, critic, examples(real), examples(fake)))

    return p @ jax.vmap(mean)(jax.random.split(key, fakes.shape[0]), fakes)
