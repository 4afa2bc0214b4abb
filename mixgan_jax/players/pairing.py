"""Pairings: rules by which fakes meet discriminators.

With ``I`` generators, ``J`` discriminators and ``B`` reals:

==============  ======================  ================================  =====================
pairing         fakes of a generator    each fake is seen by              fakes of a pair (i, j)
==============  ======================  ================================  =====================
``full``        B                       all J discriminators              B
``latin``       B                       exactly one, in a Latin square    B / J
``stratified``  B / I                   all J discriminators              B / I
``sparse``      B                       exactly one, of r at random       B / r, if they meet
==============  ======================  ================================  =====================

For discriminators that judge each example by itself, all four estimate the same matrices without bias, for any
weights. They differ in variance and cost. Drawing the generator from its weights instead would bias the gradient of the
weights.

Batch norm in a discriminator makes the pairing part of the game. Reals and fakes are separate passes. With ``full``
each pair (i, j) sees generator i's batch alone; with ``latin`` and ``stratified`` all fakes of a discriminator form one
pass, which mixes the generators. Measure such a game with the pairing that it was trained with.

``sparse`` is for the training of many players. It does the work of ``latin``, and r divides the batch where J need not;
see :mod:`mixgan_jax.players.meetings`. On a mesh it exchanges more than ``full``. With few meetings samples are worse
than with ``latin`` at the same batch. In one step most pairs do not meet, so a game is never measured by it.
"""

from collections.abc import Callable
from typing import Any, Literal, TypeAlias, get_args

from mixgan_jax.checked import checked
from mixgan_jax.players.meetings import Meetings
from mixgan_jax.players.mesh import collect, deal, undeal
from mixgan_jax.players.mixture import Mixture, Strategy, map_stacked
from mixgan_jax.players.player import Player, check_packs
from mixgan_jax.types import Array, Count

Pairing: TypeAlias = Literal["full", "latin", "stratified"]
"""A rule by which fakes meet discriminators; see the table at the top of this module."""

PAIRINGS: tuple[Pairing, ...] = get_args(Pairing)

TrainingPairing: TypeAlias = Literal["full", "latin", "stratified", "sparse"]
"""A pairing, or the one in which a step lets only some pairs meet."""


@checked
def fakes_per_generator(
    pairing: Pairing, batch: Count, num_generators: Count, num_discriminators: Count
) -> int:
    """Returns how many fakes each generator makes for ``batch`` reals.

    Args:
        pairing: ``full``, ``latin`` or ``stratified``.
        batch: B, the number of reals; J divides it for ``latin``, I for ``stratified``.
        num_generators: I.
        num_discriminators: J.

    Returns:
        B, B and B / I respectively.
    """
    divisor = {"full": 1, "latin": num_discriminators, "stratified": num_generators}[pairing]
    if batch % divisor:
        what = "discriminators" if pairing == "latin" else "generators"
        raise ValueError(
            f"batch must be a multiple of the {divisor} {what} for pairing {pairing!r}, "
            f"got a batch of {batch}"
        )
    return batch // num_generators if pairing == "stratified" else batch


def chunks_of(pairing: TrainingPairing, num_discriminators: int, meetings: int) -> int:
    """Returns the number of chunks in which each generator's fakes are dealt out."""
    return {"latin": num_discriminators, "sparse": meetings}.get(pairing, 1)


def check_batch(
    discriminator: Player,
    pairing: TrainingPairing,
    num_discriminators: int,
    meetings: int,
    real: Array,
    fakes: Array,
) -> None:
    """Checks that reals ``[B, ...]`` and fakes ``[I, F, ...]``, dealt in chunks, fit each other and the packing."""
    chunks = chunks_of(pairing, num_discriminators, meetings)
    if real.ndim < 1 or fakes.ndim != real.ndim + 1 or fakes.shape[2:] != real.shape[1:]:
        dims = ", ".join(map(str, fakes.shape[2:]))
        raise ValueError(
            f"real must have the shape of the generators' samples, [B, {dims}], got {real.shape}"
        )
    for name, size in (("real", real.shape[0]), ("fakes", fakes.shape[1] // chunks)):
        check_packs(name, size, discriminator.packing)


def map_discriminators(
    function: Callable[..., Any],
    discriminators: Mixture,
    *stacked: Any,
    fakes: Array,
    shared: tuple[Any, ...] = (),
    pairing: TrainingPairing = "full",
    met: Meetings | None = None,
    strategy: Strategy = "auto",
    sum_first: bool = False,
) -> Any:
    """Calls ``function(params_j, state_j, q_j, *stacked_j, fakes_j, *shared)`` for each discriminator j.

    Args:
        function: a function of one discriminator; ``fakes_j`` is its share, ``[I, F, ...]`` with F the fakes of a pair
            (i, j); ``[N, F, ...]`` of those that it meets with ``sparse``.
        discriminators: J of them, with weights q; these say how many there are where networks have no parameters.
        *stacked: further trees, leaves ``[J, ...]``.
        fakes: ``[I, ., ...]``, :func:`fakes_per_generator` of each generator.
        shared: trees of arrays that all discriminators see whole.
        pairing: which fakes meet which discriminators.
        met: who meets whom with ``sparse``.
        strategy: how discriminators are mapped over.
        sum_first: whether the function returns a pair whose first part is for :func:`sum_shares` alone.

    Returns:
        The function's result, every leaf ``[J, ...]``; fewer than J partial sums of a first part, where that saves
        memory.
    """
    own = (discriminators.params, discriminators.state, discriminators.weights, *stacked)
    if met is not None:
        own = (*own, met.deal(fakes))
    elif pairing == "latin":
        own = (*own, deal(fakes, discriminators.num_components))
    else:
        shared = (fakes, *shared)
    return map_stacked(function, own, shared, strategy, sum_first)


def sum_shares(shares: Array, pairing: TrainingPairing, met: Meetings | None = None) -> Array:
    """Sums over the discriminators, for each fake: the adjoint of handing the fakes out.

    Args:
        shares: one entry for each fake that each discriminator saw, ``[J, I, F, ...]`` or ``[J, N, F, ...]``; or fewer
            than J partial sums, ``[., I, F, ...]``, of pairings in which all see the same fakes.
        pairing: the rule by which the fakes were handed out.
        met: who meets whom with ``sparse``.

    Returns:
        One entry for each fake of each generator, ``[I, ., ...]``.
    """
    if met is not None:
        return met.undeal(shares)
    return undeal(shares) if pairing == "latin" else collect(shares)
