"""Players, of either side: pairs of pure functions."""

from collections.abc import Callable
from typing import Annotated, Any, NamedTuple, TypeAlias, TypeVar

import jax
import jax.numpy as jnp

from mixgan_jax.checked import checked
from mixgan_jax.checks import check_count, check_function, describe, fail
from mixgan_jax.types import Array, ArrayLike, Count, Key, ModelState, Params

T = TypeVar("T")


class Player(NamedTuple):
    """A network as two pure functions; any pair that keeps these signatures is a player.

    A generator maps latents ``[B, Z]`` to samples ``[B, ...]``; a discriminator maps samples ``[B, ...]`` to one
    logit per example, ``[B]``. You can pass a plain tuple ``(init, apply)`` wherever a Player is wanted. Three lines of
    plain JAX are enough::

        def init(key, x):
            return {"w": 0.1 * jax.random.normal(key, (x.shape[-1],))}, {}

        def apply(params, state, x, *, train):
            return x @ params["w"], state

        linear = Player(init, apply)

    Attributes:
        init: ``init(key, *example) -> (params, state)``; ``example`` gives shapes and dtypes only.
        apply: ``apply(params, state, *inputs, train) -> (outputs, new_state)``. With ``train`` it uses batch statistics
            and updates the state; without it uses the state's averages and returns them as they are.
        packing: number M of samples that a discriminator judges together: ``[B, ...]`` to ``[B / M]``; see
            :func:`pack`.
        at_dtype: ``at_dtype(dtype)`` returns the same player with layers that compute in ``dtype``, whatever they do
            about sensitive parts such as batch norm; None where nobody says how.
    """

    init: Callable[..., tuple[Params, ModelState]]
    apply: Callable[..., tuple[Array, ModelState]]
    packing: int = 1
    at_dtype: Callable[[Any], "Player"] | None = None


def check_player(name: str, value: object) -> Player:
    """Returns a player, also for a plain tuple ``(init, apply)``."""
    if not isinstance(value, tuple) or len(value) not in (2, 3, len(Player._fields)):
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


def start_player(
    name: str, player: Player, key: Key, *example: ArrayLike
) -> tuple[Params, ModelState]:
    """Calls ``player.init`` and checks that it returns a pair; an error names the player."""
    pair = player.init(key, *example)
    if not (isinstance(pair, tuple) and len(pair) == 2):
        raise TypeError(
            f"{name}.init must return a tuple (params, state), with {{}} where there is no state, got "
            f"{_kind_of(pair)}"
        )
    return pair


def apply_player(
    name: str, player: Player, params: Params, state: ModelState, *inputs: Array, train: bool
) -> tuple[Array, ModelState]:
    """Calls ``player.apply`` and checks that it returns outputs and a state like the old one.

    Args:
        name: the player's name in errors: ``generator``, ``discriminator``, ``player``.
        player: the network.
        params: its parameters, without an axis of components.
        state: its model state, without an axis of components.
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
    # No loop of steps takes a state that changes its form, and JAX's message names no player.
    before, after = _form(state), _form(new_state)
    if before[0] == after[0]:
        new_state = in_dtypes_of(state, new_state)
        if _form(new_state) == before:
            return outputs, new_state
    raise ValueError(
        f"{name}.apply must return a new_state of the state's form, {before[0]} of {before[1]}, got {after[0]} of "
        f"{after[1]}"
    )


def in_dtypes_of(old: Any, new: T) -> T:
    """Casts ``new`` to the dtypes of ``old``, float to float and integer to integer.

    Batch statistics and moments come out in float64 under ``jax_enable_x64``, and a loop wants the dtypes it had.
    """

    def cast(old: Any, new: Any) -> Any:
        wanted, given = _dtype(old), _dtype(new)
        of_a_kind = any(
            jnp.issubdtype(wanted, kind) and jnp.issubdtype(given, kind)
            for kind in (jnp.floating, jnp.integer)
        )
        return jnp.asarray(new, wanted) if of_a_kind and wanted != given else new

    return jax.tree.map(cast, old, new)


def _form(tree: Any) -> tuple[Any, list[str]]:
    """Returns the structure of a tree, and its leaves' dtypes and shapes."""
    leaves, structure = jax.tree.flatten(tree)
    return structure, [f"{_dtype(leaf)}[{','.join(map(str, jnp.shape(leaf)))}]" for leaf in leaves]


def _dtype(leaf: Any) -> Any:
    return leaf.dtype if hasattr(leaf, "dtype") else jnp.result_type(leaf)


def _kind_of(value: object) -> str:
    """Describes what a player returned instead of a pair."""
    if isinstance(value, tuple):
        return f"a tuple of {len(value)}"
    return describe(value) if hasattr(value, "shape") else f"a {type(value).__name__}"


@checked
def pack(player: Discriminator, packing: Count) -> Player:
    """Makes a PacGAN discriminator, which judges M samples of one side together (Lin et al. 2018, arXiv 1712.04086).

    Samples ``pM .. pM + M - 1`` of a batch are pack p, joined along their last axis (features, or channels), so only
    the network's first layer grows. A pack has one logit and one term in the loss, and counts as one example for
    gradient penalties: the norm is over all of its samples. Batches are counted in samples, so B of them are ``B / M``
    packs; the paper keeps the number of packs, with M times the samples. Departure: batch norm in a generator is over
    all B samples; in the authors' code it is over each of the M slots separately.

    Args:
        player: a discriminator whose network takes any number of features or channels, not packed yet.
        packing: the packing degree M >= 1.

    Returns:
        The packed discriminator; for M = 1 ``player`` itself. It refuses a batch that M does not divide.

    Example:
        >>> import jax
        >>> import mixgan_jax as mg
        >>> pairs = mg.pack(mg.from_linen(mg.networks.MLP((16,))), 2)
        >>> params, state = pairs.init(jax.random.key(0), jax.numpy.zeros((1, 3)))
        >>> pairs.apply(params, state, jax.numpy.zeros((10, 3)), train=True)[0].shape
        (5,)
    """
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

    def init(key: Key, *example: Array) -> tuple[Params, ModelState]:
        first, *rest = example
        # An example gives shape and dtype only, so any number of samples will do.
        packs = jnp.zeros((2 * packing, *first.shape[1:]), first.dtype)
        return player.init(key, join(packs), *rest)

    def apply(
        params: Params, state: ModelState, samples: Array, *rest: Array, train: bool
    ) -> tuple[Array, ModelState]:
        return player.apply(params, state, join(samples), *rest, train=train)

    inner = player.at_dtype
    return Player(init, apply, packing, inner and (lambda dtype: pack(inner(dtype), packing)))


def check_packs(name: str, size: int, packing: int) -> None:
    """Checks that the packing degree divides a number of samples."""
    if size % packing:
        raise ValueError(
            f"{name} must hold a multiple of the packing degree {packing}, got {size} samples"
        )
