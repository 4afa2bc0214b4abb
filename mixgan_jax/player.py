"""A player: a pair of pure functions. Generators and discriminators alike."""

import inspect
from collections.abc import Callable
from typing import Any, NamedTuple

import flax.linen as nn
import jax.numpy as jnp

from mixgan_jax.checks import check_count, check_kind, fail
from mixgan_jax.types import Array, Key, ModelState, Params


class Player(NamedTuple):
    """A network as two pure functions; any pair that keeps these signatures is a player.

    A generator maps latents ``[B, Z]`` to samples ``[B, ...]``; a discriminator maps samples ``[B, ...]`` to one
    logit per example, ``[B]``. Three lines of plain JAX are enough::

        def init(key, x):
            return {"w": 0.1 * jax.random.normal(key, (x.shape[-1],))}, {}

        def apply(params, state, x, *, train):
            return x @ params["w"], state

        linear = Player(init, apply)

    Attributes:
        init: ``init(key, *example) -> (params, state)``; ``example`` gives shapes and dtypes only.
        apply: ``apply(params, state, *inputs, train) -> (outputs, new_state)``; with ``train`` batch statistics
            are used and the state is updated, without it the state's averages are used and returned as they are.
        packing: of a discriminator, how many samples M it judges together: ``[B, ...]`` to ``[B / M]``; see
            :func:`pack`.
    """

    init: Callable[..., tuple[Params, ModelState]]
    apply: Callable[..., tuple[Array, ModelState]]
    packing: int = 1


def pack(player: Player, packing: int) -> Player:
    """PacGAN: a discriminator that judges M samples of one side together (Lin et al. 2018, arXiv 1712.04086).

    Samples ``pM .. pM + M - 1`` of a batch are pack p, joined along their last axis (features, or channels), so only
    the network's first layer grows. A pack has one logit and one term in the loss, and counts as one example for
    gradient penalties: the norm is over all of its samples. Batches are counted in samples, so B of them are ``B / M``
    packs; the paper keeps the number of packs, with M times the samples. Departure: batch norm in a generator is over
    all B samples, in the authors' code over each of the M slots' own.

    Args:
        player: a discriminator whose network takes any number of features or channels.
        packing: the packing degree M >= 1.

    Returns:
        The packed discriminator; for M = 1 ``player`` itself.

    Raises:
        TypeError, ValueError: a bad argument, or a player that is packed already; when it is applied, inputs without
            an axis to join, or a batch that M does not divide.
    """
    check_kind("player", player, Player)
    check_count("packing", packing)
    if player.packing != 1:
        raise fail("player", f"packing {player.packing}", "a discriminator that is not packed yet")
    if packing == 1:
        return player

    def join(samples: Array) -> Array:
        if samples.ndim < 2:
            raise ValueError(
                f"inputs must have shape [B, ..., C] to be packed, got {samples.shape}"
            )
        check_packs("inputs", samples.shape[0], packing)
        packs = samples.reshape(-1, packing, *samples.shape[1:])
        joined = jnp.moveaxis(packs, 1, -2)
        return joined.reshape(*joined.shape[:-2], -1)

    def init(key: Key, *example: Any) -> tuple[Params, ModelState]:
        first, *rest = example
        # Of an example only shape and dtype count, so that any number of samples will do.
        packs = jnp.zeros((2 * packing, *first.shape[1:]), first.dtype)
        return player.init(key, join(packs), *rest)

    def apply(
        params: Params, state: ModelState, samples: Array, *rest: Any, train: bool
    ) -> tuple[Array, ModelState]:
        return player.apply(params, state, join(samples), *rest, train=train)

    return Player(init, apply, packing)


def check_packs(name: str, size: int, packing: int) -> None:
    """A number of samples that the packing degree divides."""
    if size % packing:
        raise ValueError(
            f"{name} must hold a multiple of the packing degree {packing}, got {size} samples"
        )


def from_linen(module: nn.Module) -> Player:
    """The player of a Flax Linen module.

    The module's ``__call__`` takes the inputs and, if it behaves differently in training, a keyword ``train``. The
    collection ``params`` becomes the player's parameters, all other collections (``batch_stats``) its state.
    Modules that draw random numbers when applied (dropout) are not players: ``apply`` is a pure function of its
    arguments and has no key.

    Args:
        module: an unbound Linen module.

    Returns:
        A :class:`Player` whose parameter and state trees are the nested dicts that Linen makes.

    Raises:
        TypeError: ``module`` is not a Linen module (for instance the class instead of an instance of it).
        ValueError: at ``init``, a module with state that takes no ``train``.
    """
    if not isinstance(module, nn.Module):
        raise fail("module", module, "an instance of flax.linen.Module", TypeError)
    takes_train = "train" in inspect.signature(type(module).__call__).parameters

    def options(train: bool) -> dict[str, Any]:
        return {"train": train} if takes_train else {}

    def init(key: Key, *example: Any) -> tuple[Params, ModelState]:
        variables = dict(module.init(key, *example, **options(False)))
        params = variables.pop("params", {})
        if variables and not takes_train:
            raise ValueError(
                f"module must take a keyword 'train' to have state, got {type(module).__name__} with "
                f"{sorted(variables)} and no such keyword: its state could never change"
            )
        return params, variables

    def apply(
        params: Params, state: ModelState, *inputs: Any, train: bool
    ) -> tuple[Array, ModelState]:
        variables = {"params": params, **state}
        if not (train and state):
            outputs: Any = module.apply(variables, *inputs, **options(train))
            return outputs, state
        outputs, updates = module.apply(variables, *inputs, mutable=list(state), **options(train))
        return outputs, {**state, **updates}

    return Player(init, apply)
