"""Where players meet: generators against discriminators, and the one place that reduces over the batch.

Which fakes meet which discriminators is said by the pairing; see :mod:`mixgan_jax.players.pairing`.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from mixgan_jax.checks import (
    check_array,
    check_count,
    check_flag,
    check_function,
    check_key,
    check_kind,
    check_logits,
)
from mixgan_jax.game import Payoffs
from mixgan_jax.losses import GanLoss
from mixgan_jax.losses.core import mean_term
from mixgan_jax.players.mixture import Mixture, Strategy, generate, has_kernels, map_components
from mixgan_jax.players.pairing import Pairing, fakes_per_generator, map_discriminators
from mixgan_jax.players.player import Player, apply_player, check_packs, check_player
from mixgan_jax.types import Array, Key, LatentSampler, ModelState, Params


class Logits(NamedTuple):
    """What one discriminator says of one batch, M samples to a logit.

    Attributes:
        real: ``[B / M]``, of the reals.
        fake: ``[I, F / M]``, of its share of each generator's fakes.
    """

    real: Array
    fake: Array


class Outcome(NamedTuple):
    """The result of one meeting. :func:`meet` fills the whole matrix; ``column`` one discriminator's, without J.

    Attributes:
        payoffs: what each side maximises, ``[I, J]`` each: minus its mean loss over the pair's batch.
        values: ``[I, J]``, the loss's zero-sum ``value``, which the generator minimises.
        state: the discriminators' new model state, leaves ``[J, ...]``.
    """

    payoffs: Payoffs
    values: Array
    state: ModelState


def meet(
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
    """Every discriminator looks at the reals and at its share of the fakes.

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

    Raises:
        TypeError: reals or fakes that are not floating point, or an argument of the wrong kind.
        ValueError: a discriminator that does not return one logit per example, fakes whose shape is not the reals',
            or a batch that the pairing cannot divide.
    """
    discriminator = check_player("discriminator", discriminator)
    check_kind("discriminators", discriminators, Mixture)
    check_kind("loss", loss, GanLoss)
    check_flag("train", train)
    real = check_array("real", real, floating=True)
    fakes = check_array("fakes", fakes, floating=True)
    check_reals(real, fakes)
    num_generators, num_discriminators = fakes.shape[0], discriminators.num_components
    expected = fakes_per_generator(pairing, real.shape[0], num_generators, num_discriminators)
    if fakes.shape[1] != expected:
        raise ValueError(
            f"fakes must hold {expected} samples of each generator for pairing {pairing!r}, "
            f"got {fakes.shape[1]}"
        )

    def one(params: Params, state: ModelState, _q: Array, fakes: Array, real: Array) -> Outcome:
        part = column(discriminator, params, state, real, fakes, loss, pairing=pairing, train=train)
        return part[0]

    columns = map_discriminators(
        one, discriminators, fakes=fakes, shared=(real,), pairing=pairing, strategy=strategy
    )
    payoffs, values = jax.tree.map(jnp.transpose, (columns.payoffs, columns.values))
    return Outcome(payoffs, values, columns.state)


def column(
    discriminator: Player,
    params: Params,
    state: ModelState,
    real: Array,
    fakes: Array,
    loss: GanLoss,
    *,
    pairing: Pairing = "full",
    train: bool = True,
) -> tuple[Outcome, Logits]:
    """One discriminator looks at the reals and at its share of the fakes: one column of the matrices.

    Args:
        discriminator: its architecture.
        params: its parameters, without an axis of components.
        state: its model state, without an axis of components.
        real: ``[B, ...]``; a packed discriminator's packing divides B and F.
        fakes: its share of each generator's, ``[I, F, ...]``.
        loss: element-wise in logits; the means over the batch are taken here.
        pairing: whether the generators' fakes are separate passes (``full``) or one.
        train: whether batch statistics are used and the state updated.

    Returns:
        An :class:`Outcome` of vectors ``[I]``, its state without an axis of components, and the :class:`Logits`.
    """
    packing = discriminator.packing
    for name, size in (("real", real.shape[0]), ("fakes", fakes.shape[1])):
        check_packs(name, size, packing)

    def apply(inputs: Array) -> tuple[Array, ModelState]:
        logits, new_state = apply_player(
            "discriminator", discriminator, params, state, inputs, train=train
        )
        return check_logits("discriminator", logits, inputs.shape[0] // packing), new_state

    # One pass over the reals, and one over the fakes of each generator or of all together.
    real_logits, real_state = apply(real)
    if pairing == "full":
        # Convolutions of several batches gain nothing from being one program, and lose the cache between operations.
        passes: Strategy = "unroll" if has_kernels(params) else "vmap"
        fake_logits, fake_states = map_components(apply, fakes, strategy=passes)
        fake_state = jax.tree.map(_mean_state, fake_states)
    else:
        merged, fake_state = apply(fakes.reshape(-1, *fakes.shape[2:]))
        fake_logits = merged.reshape(fakes.shape[0], -1)
    new_state = jax.tree.map(_average_states, real_state, fake_state)
    seen = Logits(real_logits, fake_logits)

    # Means over the batch. Every fake meets B / F reals. For losses that are a real term plus a fake term this changes
    # nothing; for relativistic ones, which compare pairs, it uses all reals.
    each = fake_logits.shape[1]
    if real_logits.shape[0] % each:
        raise ValueError(
            f"fakes of a pair must divide the batch of reals, got {each} fakes and {real_logits.shape[0]} reals"
        )
    pairs = real_logits.reshape(1, -1, each), fake_logits[:, None, :]
    generator_loss = mean_term(loss, "generator", *pairs)
    discriminator_loss = mean_term(loss, "discriminator", *pairs)
    payoffs = Payoffs(generator=-generator_loss, discriminator=-discriminator_loss)
    return Outcome(payoffs, mean_term(loss, "value", *pairs), new_state), seen


def held_out_values(
    key: Key,
    generator: Player,
    discriminator: Player,
    generators: Mixture,
    discriminators: Mixture,
    loss: GanLoss,
    reals: Array,
    *,
    latent_size: int,
    latent_sampler: LatentSampler = jax.random.normal,
    pairing: Pairing = "full",
    train: bool = False,
    strategy: Strategy = "auto",
) -> Array:
    """Payoff matrices on batches that training has not seen, for equilibrium reports.

    Each batch has fresh latents, of their own for each generator.

    Args:
        key: consumed by the latents.
        generator: the generators' architecture.
        discriminator: the discriminators' architecture.
        generators: I of them.
        discriminators: J of them.
        loss: its ``value`` is what is averaged.
        reals: ``[N, B, ...]``, N batches.
        latent_size: Z.
        latent_sampler: ``sampler(key, shape)``.
        pairing: which fakes meet which discriminators; with batch norm in the discriminators, training's.
        train: whether batch norm uses each batch's statistics, as in training, or its running averages.
        strategy: how components are mapped over.

    Returns:
        ``[N, I, J]``; the mean over N estimates the matrix of the game between the components.

    Raises:
        TypeError, ValueError: reals that are not floating ``[N, B, ...]``, or as :func:`meet`.
    """
    check_key("key", key)
    generator = check_player("generator", generator)
    discriminator = check_player("discriminator", discriminator)
    check_kind("generators", generators, Mixture)
    check_kind("discriminators", discriminators, Mixture)
    check_function("latent_sampler", latent_sampler)
    reals = check_array("reals", reals, floating=True)
    check_count("latent_size", latent_size)
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


def check_reals(real: Array, fakes: Array) -> None:
    """Reals ``[B, ...]`` and fakes ``[I, F, ...]`` of one shape, or an error that names ``real``."""
    if real.ndim < 1 or fakes.ndim != real.ndim + 1 or fakes.shape[2:] != real.shape[1:]:
        dims = ", ".join(map(str, fakes.shape[2:]))
        raise ValueError(
            f"real must have the shape of the generators' samples, [B, {dims}], got {real.shape}"
        )


def _mean_state(leaf: Array) -> Array:
    """Running averages are linear in the batch's statistics, so passes may be averaged afterwards."""
    return jnp.mean(leaf, axis=0) if jnp.issubdtype(leaf.dtype, jnp.floating) else leaf[0]


def _average_states(real: Array, fake: Array) -> Array:
    return _mean_state(jnp.stack([real, fake]))
