"""A player: a pair of pure functions. Generators and discriminators alike."""

import inspect
from collections.abc import Callable, Mapping, Set
from contextlib import nullcontext
from functools import partial
from typing import Annotated, Any, NamedTuple, TypeAlias, TypeVar

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.errors import InvalidRngError

from mixgan_jax.checks import check_count, check_function, describe, fail
from mixgan_jax.types import Array, Key, ModelState, Params

T = TypeVar("T")


class Player(NamedTuple):
    """A network as two pure functions; any pair that keeps these signatures is a player.

    A generator maps latents ``[B, Z]`` to samples ``[B, ...]``; a discriminator maps samples ``[B, ...]`` to one
    logit per example, ``[B]``. A plain tuple ``(init, apply)`` is taken wherever a Player is. Three lines of plain JAX
    are enough::

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


def check_player(name: str, value: Any) -> Player:
    """A player, or the player of a plain tuple ``(init, apply)``."""
    if not isinstance(value, tuple) or len(value) not in (2, 3):
        raise fail(name, value, "a Player, or a tuple (init, apply)", TypeError)
    player = value if isinstance(value, Player) else Player(*value)
    check_function(f"{name}.init", player.init)
    check_function(f"{name}.apply", player.apply)
    check_count(f"{name}.packing", player.packing)
    return player


AnyPlayer: TypeAlias = Annotated[Player, check_player]
"""A network of either side."""

Generator: TypeAlias = Annotated[Player, check_player]
"""A network that maps latents ``[B, Z]`` to samples ``[B, ...]``."""

Discriminator: TypeAlias = Annotated[Player, check_player]
"""A network that maps samples ``[B, ...]`` to logits ``[B]``."""


def start_player(name: str, player: Player, key: Key, *example: Any) -> tuple[Params, ModelState]:
    """Calls ``player.init`` and checks that a pair comes back; an error names the player."""
    pair = player.init(key, *example)
    if not (isinstance(pair, tuple) and len(pair) == 2):
        raise TypeError(
            f"{name}.init must return a tuple (params, state), with {{}} where there is no state, got "
            f"{_kind_of(pair)}"
        )
    return pair


def apply_player(
    name: str, player: Player, params: Params, state: ModelState, *inputs: Any, train: bool
) -> tuple[Array, ModelState]:
    """Calls ``player.apply`` and checks that outputs and a state like the old one come back; an error names the player.

    Args:
        name: ``generator``, ``discriminator`` or what else the caller knows the player as.
        player: which is called.
        params: its parameters, without an axis of components.
        state: its model state, likewise.
        *inputs: ``[B, ...]``.
        train: whether batch statistics are used and the state updated.
    """
    outputs_name = {"generator": "samples", "discriminator": "logits"}.get(name, "outputs")
    pair = player.apply(params, state, *inputs, train=train)
    if not (isinstance(pair, tuple) and len(pair) == 2):
        raise TypeError(
            f"{name}.apply must return ({outputs_name}, new_state), got {_kind_of(pair)}"
        )
    outputs, new_state = pair
    if not hasattr(outputs, "shape"):
        raise TypeError(
            f"{name}.apply must return ({outputs_name}, new_state) with {outputs_name} an array, got "
            f"{_kind_of(outputs)}"
        )
    # A state that changes its form goes through no loop of steps, and JAX's message names no player.
    before, after = _form(state), _form(new_state)
    if before[0] == after[0]:
        # Batch statistics come out in float64 under jax_enable_x64.
        new_state = in_dtypes_of(state, new_state)
        if _form(new_state) == before:
            return outputs, new_state
    raise ValueError(
        f"{name}.apply must return a new_state of the state's form, {before[0]} of {before[1]}, got {after[0]} of "
        f"{after[1]}"
    )


def in_dtypes_of(old: Any, new: T) -> T:
    """The tree ``new``, its floating-point and its whole numbers as wide as those of ``old``."""

    def cast(old: Any, new: Any) -> Any:
        wanted, given = _dtype(old), _dtype(new)
        of_a_kind = any(
            jnp.issubdtype(wanted, kind) and jnp.issubdtype(given, kind)
            for kind in (jnp.floating, jnp.integer)
        )
        return jnp.asarray(new, wanted) if of_a_kind and wanted != given else new

    return jax.tree.map(cast, old, new)


def _form(tree: Any) -> tuple[Any, list[str]]:
    """The structure of a tree, and its leaves' dtypes and shapes."""
    leaves, structure = jax.tree.flatten(tree)
    return structure, [f"{_dtype(leaf)}[{','.join(map(str, jnp.shape(leaf)))}]" for leaf in leaves]


def _dtype(leaf: Any) -> Any:
    return leaf.dtype if hasattr(leaf, "dtype") else jnp.result_type(leaf)


def _kind_of(value: Any) -> str:
    """What came back instead of a pair, in words."""
    if isinstance(value, tuple):
        return f"a tuple of {len(value)}"
    return describe(value) if hasattr(value, "shape") else f"a {type(value).__name__}"


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
    player = check_player("player", player)
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


def from_linen(
    module: nn.Module, options: Callable[[bool], Mapping[str, Any]] | None = None
) -> Player:
    """The player of a Flax Linen module.

    The module's ``__call__`` takes the inputs and, if it behaves differently in training, a keyword that says so:
    ``train``, ``training`` or ``is_training``; or ``deterministic`` or ``use_running_average``, which are handed the
    opposite. For a switch of another name say what to hand over::

        from_linen(module, lambda train: {"mode": "train" if train else "eval"})

    The collection ``params`` becomes the player's parameters, all other collections (``batch_stats``) its state.
    Modules that draw random numbers when applied (dropout) are not players: ``apply`` is a pure function of its
    arguments and has no key. Applied with ``train=True`` they raise an error that says so.

    Args:
        module: an unbound Linen module.
        options: from ``train`` to the keywords of ``__call__``; None takes those named above.

    Returns:
        A :class:`Player` whose parameter and state trees are the nested dicts that Linen makes.

    Raises:
        TypeError: ``module`` is not a Linen module (for instance the class instead of an instance of it).
        ValueError: at ``init``, a module with state or dropout and without a switch; when it is applied, one that
            draws random numbers.
    """
    if not isinstance(module, nn.Module):
        raise fail("module", module, "an instance of flax.linen.Module", TypeError)
    known = _SWITCHES.keys() & inspect.signature(type(module).__call__).parameters.keys()
    switched = options is not None or bool(known)
    if options is None:
        options = partial(_known_options, known)
    check_function("options", options)

    def init(key: Key, *example: Any) -> tuple[Params, ModelState]:
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
        params: Params, state: ModelState, *inputs: Any, train: bool
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

    return Player(init, apply)


# The words by which a module may be told that it trains, and what they then say.
_SWITCHES = {
    "train": True,
    "training": True,
    "is_training": True,
    "deterministic": False,
    "use_running_average": False,
}
_REMEDY = "name its switch in from_linen's options"


def _known_options(names: Set[str], train: bool) -> dict[str, bool]:
    """The keywords of a module whose switches have these names, all in ``_SWITCHES``."""
    return {name: train == _SWITCHES[name] for name in names}


def _refuse_dropout(method: Callable[..., Any], args: Any, kwargs: Any, context: Any) -> Any:
    """An interceptor of Linen methods, for modules without a switch."""
    layer = context.module
    if isinstance(layer, nn.Dropout) and context.method_name == "__call__" and layer.rate > 0:
        raise ValueError(
            f"module must take a keyword 'train' to have dropout, got {'/'.join(layer.path)} and no such keyword: "
            f"training could never switch it on; {_REMEDY}"
        )
    return method(*args, **kwargs)
