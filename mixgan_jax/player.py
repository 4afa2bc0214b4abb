"""A player: a pair of pure functions. Generators and discriminators alike."""

import inspect
from collections.abc import Callable
from typing import Any, NamedTuple

import flax.linen as nn

from mixgan_jax.checks import fail
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
    """

    init: Callable[..., tuple[Params, ModelState]]
    apply: Callable[..., tuple[Array, ModelState]]


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
