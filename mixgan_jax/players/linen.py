"""Players made of Flax Linen modules."""

import inspect
from collections.abc import Callable, Mapping, Set
from contextlib import nullcontext
from functools import partial
from typing import Annotated, Any

import flax.linen as nn
from flax.errors import InvalidRngError

from mixgan_jax.checked import checked
from mixgan_jax.checks import fail
from mixgan_jax.players.player import Player
from mixgan_jax.types import Array, Key, ModelState, Params


def _check_module(name: str, module: object) -> nn.Module:
    if not isinstance(module, nn.Module):
        raise fail(name, module, "an instance of flax.linen.Module", TypeError)
    return module


@checked
def from_linen(
    module: Annotated[nn.Module, _check_module],
    options: Callable[[bool], Mapping[str, Any]] | None = None,
) -> Player:
    """Makes a player from a Flax Linen module.

    The module's ``__call__`` takes the inputs and, if it behaves differently in training, a keyword that says so:
    ``train``, ``training`` or ``is_training``; or ``deterministic`` or ``use_running_average``, which get the
    opposite. For a switch of another name, say what to hand over::

        from_linen(module, lambda train: {"mode": "train" if train else "eval"})

    The collection ``params`` becomes the player's parameters, all other collections (``batch_stats``) its state.
    Modules that draw random numbers when applied (dropout) are not players: ``apply`` is a pure function of its
    arguments and has no key. Applied with ``train=True`` they raise an error that says so.

    Args:
        module: an unbound Linen module, with a switch if it has state or dropout.
        options: a function from ``train`` to the keywords of ``__call__``; None takes those named above.

    Returns:
        A :class:`Player` whose parameter and state trees are the nested dicts that Linen makes.

    Example:
        >>> import jax
        >>> import mixgan_jax as mg
        >>> critic = mg.from_linen(mg.networks.MLP((16,)))
        >>> params, state = critic.init(jax.random.key(0), jax.numpy.zeros((4, 2)))
        >>> critic.apply(params, state, jax.numpy.zeros((4, 2)), train=False)[0].shape
        (4,)
    """
    known = _SWITCHES.keys() & inspect.signature(type(module).__call__).parameters.keys()
    switched = options is not None or bool(known)
    if options is None:
        options = partial(_known_options, known)

    def init(module: nn.Module, key: Key, *example: Array) -> tuple[Params, ModelState]:
        with nullcontext() if switched else nn.intercept_methods(_refuse_dropout):
            variables = dict(module.init(key, *example, **options(False)))
        params = variables.pop("params", {})
        if variables and not switched:
            raise ValueError(
                f"module must take a keyword 'train' to have state, got {type(module).__name__} with "
                f"{sorted(variables)} and no such keyword: its state could never change; {_REMEDY}"
            )
        return params, variables

    def apply(
        module: nn.Module, params: Params, state: ModelState, *inputs: Array, train: bool
    ) -> tuple[Array, ModelState]:
        variables = {"params": params, **state}
        mutable: Any = list(state) if train and state else False
        try:
            result: Any = module.apply(variables, *inputs, mutable=mutable, **options(train))
        except InvalidRngError as error:
            raise ValueError(
                f"module must draw no random numbers when it is applied, got {type(module).__name__} with "
                f"train={train}: a player's apply has no key, so leave dropout out ({error})"
            ) from error
        if mutable is False:
            return result, state
        outputs, updates = result
        return outputs, {**state, **updates}

    def at_dtype(dtype: Any) -> Player:
        return from_linen(module.clone(dtype=dtype), options)

    return Player(
        partial(init, module),
        partial(apply, module),
        at_dtype=at_dtype if hasattr(module, "dtype") else None,
    )


def module_of(player: Player) -> nn.Module | None:
    """Returns the module that :func:`from_linen` made a player of; None for a player of other functions."""
    bound = getattr(player.apply, "args", ())
    return bound[0] if bound and isinstance(bound[0], nn.Module) else None


# Keywords that tell a module that it trains, and their values then.
_SWITCHES = {
    "train": True,
    "training": True,
    "is_training": True,
    "deterministic": False,
    "use_running_average": False,
}
_REMEDY = "name its switch in from_linen's options"


def _known_options(names: Set[str], train: bool) -> dict[str, bool]:
    return {name: train == _SWITCHES[name] for name in names}


def _refuse_dropout(method: Callable[..., Any], args: Any, kwargs: Any, context: Any) -> Any:
    """Intercepts the methods of Linen modules without a switch."""
    layer = context.module
    if isinstance(layer, nn.Dropout) and context.method_name == "__call__" and layer.rate > 0:
        raise ValueError(
            f"module must take a keyword 'train' to have dropout, got {'/'.join(layer.path)} and no such keyword: "
            f"training could never switch it on; {_REMEDY}"
        )
    return method(*args, **kwargs)
