"""Where players meet: generators against discriminators, and the one place that reduces over the batch.

A pairing says which fakes meet which discriminators; see :mod:`mixgan_jax.players.pairing`.
"""

from typing import Annotated, Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp

from mixgan_jax.checked import checked
from mixgan_jax.checks import check_logits
from mixgan_jax.game import Payoffs
from mixgan_jax.losses import GanLoss
from mixgan_jax.losses.core import mean_term
from mixgan_jax.players.mesh import (
    DATA,
    in_dealing_order,
    merge_rows,
    place,
    split_rows,
)
from mixgan_jax.players.mixture import FEW, Mixture, Strategy, has_kernels, map_here
from mixgan_jax.players.pairing import (
    Pairing,
    TrainingPairing,
    check_batch,
    fakes_per_generator,
    map_discriminators,
)
from mixgan_jax.players.player import Discriminator, Generator, Player, apply_player
from mixgan_jax.players.sampling import generate
from mixgan_jax.types import (
    Array,
    ArrayLike,
    Count,
    Key,
    LatentSampler,
    ModelState,
    Params,
    Shaped,
)

Samples: TypeAlias = Annotated[ArrayLike, Shaped(floating=True)]
"""Reals or fakes, floating point."""


class Logits(NamedTuple):
    """Logits of one discriminator on one batch, M samples to a logit.

    Attributes:
        real: ``[B / M]``, on the reals.
        fake: ``[I, F / M]``, on its share of each generator's fakes.
    """

    real: Array
    fake: Array


class Outcome(NamedTuple):
    """The result of one meeting. :func:`meet` fills the whole matrix, ``column`` one column without the J axis.

    Attributes:
        payoffs: payoffs that each side maximises, ``[I, J]`` each: minus its mean loss over the pair's batch.
        values: ``[I, J]``, the loss's zero-sum ``value``, which the generator minimises.
        state: the discriminators' new model state, leaves ``[J, ...]``.
    """

    payoffs: Payoffs
    values: Array
    state: ModelState


@checked
def meet(
    discriminator: Discriminator,
    discriminators: Mixture,
    real: Samples,
    fakes: Samples,
    loss: GanLoss,
    *,
    pairing: Pairing = "full",
    train: bool = True,
    strategy: Strategy = "auto",
) -> Outcome:
    """Fills the payoff matrix: every discriminator judges the reals and its share of the fakes.

    The real-data pass does not depend on the generator: it runs once for each discriminator.

    Args:
        discriminator: the discriminators' architecture.
        discriminators: J of them.
        real: ``[B, ...]``, shared by all discriminators.
        fakes: ``[I, F, ...]`` with F from :func:`fakes_per_generator`.
        loss: element-wise in logits; the means over the batch are taken here.
        pairing: which fakes meet which discriminators.
        train: whether batch statistics are used and the state updated.
        strategy: how discriminators are mapped over.

    Returns:
        An :class:`Outcome`.

    Example:
        >>> import jax
        >>> import mixgan_jax as mg
        >>> critic = mg.from_linen(mg.networks.MLP((16,)))
        >>> real, fakes = jax.numpy.zeros((10, 2)), jax.numpy.ones((4, 10, 2))
        >>> critics = mg.uniform(jax.random.key(0), critic, 3, real)
        >>> mg.meet(critic, critics, real, fakes, mg.losses.minimax()).values.shape
        (4, 3)
    """
    real, fakes = jnp.asarray(real), jnp.asarray(fakes)
    num_discriminators = discriminators.num_components
    check_batch(discriminator, pairing, num_discriminators, 1, real, fakes)
    expected = fakes_per_generator(pairing, real.shape[0], fakes.shape[0], num_discriminators)
    if fakes.shape[1] != expected:
        raise ValueError(
            f"fakes must hold {expected} samples of each generator for pairing {pairing!r}, "
            f"got {fakes.shape[1]}"
        )
    if pairing == "latin":
        fakes = in_dealing_order(
            fakes.reshape(fakes.shape[0], num_discriminators, -1, *fakes.shape[2:]),
            fakes.shape[0],
        )
    return fill_matrix(
        discriminator,
        discriminators,
        real,
        fakes,
        loss,
        pairing=pairing,
        train=train,
        strategy=strategy,
    )


def fill_matrix(
    discriminator: Player,
    discriminators: Mixture,
    real: Array,
    fakes: Array,
    loss: GanLoss,
    *,
    pairing: Pairing = "full",
    train: bool = True,
    strategy: Strategy = "auto",
) -> Outcome:
    """Does what :func:`meet` does, without its checks."""

    def one(params: Params, state: ModelState, _q: Array, fakes: Array, real: Array) -> Outcome:
        part = column(discriminator, params, state, real, fakes, loss, pairing=pairing, train=train)
        return part[0]

    columns = map_discriminators(
        one, discriminators, fakes=fakes, shared=(real,), pairing=pairing, strategy=strategy
    )
    matrices = place((columns.payoffs, columns.values))
    payoffs, values = jax.tree.map(jnp.transpose, matrices)
    return Outcome(payoffs, values, columns.state)


def column(
    discriminator: Player,
    params: Params,
    state: ModelState,
    real: Array,
    fakes: Array,
    loss: GanLoss,
    *,
    pairing: TrainingPairing = "full",
    train: bool = True,
) -> tuple[Outcome, Logits]:
    """Fills one column of the matrices: one discriminator judges the reals and its share of the fakes.

    Args:
        discriminator: the architecture, checked with this batch by :func:`check_batch`.
        params: its parameters, without an axis of components.
        state: its model state, without an axis of components.
        real: ``[B, ...]``.
        fakes: its share of each generator's fakes, ``[I, F, ...]``; F divides B, and the packing divides F.
        loss: element-wise in logits; the means over the batch are taken here.
        pairing: whether the generators' fakes are separate passes (``full``) or one.
        train: whether batch statistics are used and the state updated.

    Returns:
        An :class:`Outcome` of vectors ``[I]``, its state without an axis of components, and the :class:`Logits`.
    """

    def apply(inputs: Array) -> tuple[Array, ModelState]:
        logits, new_state = apply_player(
            "discriminator", discriminator, params, state, inputs, train=train
        )
        check_logits("discriminator", logits, inputs.shape[0] // discriminator.packing)
        return logits, new_state

    # Judge the batch: one pass over the reals, one over the fakes of each generator or of all together.
    real_logits, real_state = apply(real)
    if pairing == "full":
        fake_logits, fake_states = map_here(apply, _passes(params, fakes.shape[0]), (fakes,))
        fake_state = jax.tree.map(_mean_state, fake_states)
    else:
        merged, fake_state = apply(merge_rows(fakes, discriminator.packing))
        fake_logits = split_rows(merged, fakes.shape[0])
    new_state = jax.tree.map(_average_states, real_state, fake_state)
    seen = Logits(real_logits, fake_logits)

    # Average over the batch. Every fake meets B / F reals. A loss that is a real term plus a fake term does not notice;
    # a relativistic one, which compares pairs, uses all reals.
    each = fake_logits.shape[1]
    pairs = place(real_logits.reshape(1, -1, each), None, None, DATA), fake_logits[:, None, :]
    generator_loss = mean_term(loss, "generator", *pairs)
    discriminator_loss = mean_term(loss, "discriminator", *pairs)
    payoffs = Payoffs(generator=-generator_loss, discriminator=-discriminator_loss)
    return Outcome(payoffs, mean_term(loss, "value", *pairs), new_state), seen


@checked
def held_out_values(
    key: Key,
    generator: Generator,
    discriminator: Discriminator,
    generators: Mixture,
    discriminators: Mixture,
    loss: GanLoss,
    reals: Samples,
    *,
    latent_size: Count,
    latent_sampler: LatentSampler = jax.random.normal,
    pairing: Pairing = "full",
    train: bool = False,
    strategy: Strategy = "auto",
) -> Array:
    """Measures payoff matrices on batches that training has not seen, for equilibrium reports.

    Each batch has fresh latents, and each generator latents of its own.

    Args:
        key: consumed by the latents.
        generator: the generators' architecture.
        discriminator: the discriminators' architecture.
        generators: I of them.
        discriminators: J of them.
        loss: the loss whose ``value`` is averaged.
        reals: ``[N, B, ...]``, N batches.
        latent_size: Z.
        latent_sampler: ``sampler(key, shape)``.
        pairing: which fakes meet which discriminators. With batch norm in the discriminators, take training's.
        train: whether batch norm uses each batch's statistics, as in training, or its running averages.
        strategy: how components are mapped over.

    Returns:
        ``[N, I, J]``; the mean over N estimates the matrix of the game between the components.
    """
    reals = jnp.asarray(reals)
    if reals.ndim < 3 or reals.shape[0] < 1:
        raise ValueError(f"reals must have shape [N, B, ...] with N >= 1, got {reals.shape}")
    num_generators = generators.num_components
    fakes_each = fakes_per_generator(
        pairing, reals.shape[1], num_generators, discriminators.num_components
    )

    def one(inputs: tuple[Key, Array]) -> Array:
        key, real = inputs
        latents = latent_sampler(key, (num_generators, fakes_each, latent_size))
        fakes, _ = generate(generator, generators, latents, train=train, strategy=strategy)
        options: Any = {"pairing": pairing, "train": train, "strategy": strategy}
        return meet(discriminator, discriminators, real, fakes, loss, **options).values

    return jax.lax.map(one, (jax.random.split(key, reals.shape[0]), reals))


def _passes(params: Params, num_generators: int) -> Strategy:
    """Says how one discriminator passes over the fakes of each generator."""
    if not has_kernels(params):
        return "vmap"
    # Batched convolutions gain nothing from being one program, and lose the cache between operations. A loop computes
    # what passes written out do: 32 of a DCGAN compile in 5 s rather than 30.
    return "unroll" if num_generators <= FEW else "scan"


def _mean_state(leaf: Array) -> Array:
    # Running averages are linear in the batch's statistics, so passes may be averaged afterwards.
    return jnp.mean(leaf, axis=0) if jnp.issubdtype(leaf.dtype, jnp.floating) else leaf[0]


def _average_states(real: Array, fake: Array) -> Array:
    return _mean_state(jnp.stack([real, fake]))
