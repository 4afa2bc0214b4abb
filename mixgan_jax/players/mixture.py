"""Mixtures of players: stacked components and their log-weights."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal, TypeAlias, get_args

import jax
import jax.numpy as jnp

from mixgan_jax.checked import checked
from mixgan_jax.checks import check_array
from mixgan_jax.players.mesh import over_components
from mixgan_jax.players.player import (
    AnyPlayer,
    Player,
    apply_player,
    start_player,
)
from mixgan_jax.types import Array, ArrayLike, Count, Key, LogWeights, ModelState, Params

Strategy: TypeAlias = Literal["auto", "vmap", "unroll", "scan"]
"""A way to map a function over components; see :func:`map_components`."""

STRATEGIES: tuple[Strategy, ...] = get_args(Strategy)

FEW = 8
"""Where more than so many players meet, convolutions are looped over rather than written out, and loops sum on the way.

Games of up to eight players keep the order of sums, and so the bits, that they always had.
"""


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Mixture:
    """``K`` players of one architecture, with the weight of each.

    Attributes:
        params: parameters, every leaf ``[K, ...]``.
        state: model state, every leaf ``[K, ...]``; an empty tree for networks without state.
        log_weights: ``[K]`` float32, natural logarithms of the mixture weights, with logsumexp 0.
    """

    params: Params
    state: ModelState
    log_weights: Array

    @property
    def weights(self) -> Array:
        """Weights of the components, ``[K]``, >= 0 and summing to 1."""
        return jnp.exp(self.log_weights)

    @property
    def num_components(self) -> int:
        """Number ``K`` of components."""
        return self.log_weights.shape[-1]


@checked
def uniform(key: Key, player: AnyPlayer, num_components: Count, *example: ArrayLike) -> Mixture:
    """Makes a mixture of ``K`` independently initialised components with equal weights.

    Args:
        key: consumed; split over the components.
        player: the architecture of each component.
        num_components: K >= 1.
        *example: arrays with the shapes and dtypes of the player's inputs, ``[B, ...]``, as ``Player.init`` wants.

    Returns:
        A :class:`Mixture` with log-weights ``[K]`` of ``-log K``.

    Example:
        >>> import jax
        >>> import mixgan_jax as mg
        >>> generator = mg.from_linen(mg.networks.MLP((16,), outputs=2))
        >>> mixture = mg.uniform(jax.random.key(0), generator, 4, jax.numpy.zeros((1, 3)))
        >>> mixture.num_components, mixture.weights.shape
        (4, (4,))
    """
    return start_components("player", player, key, num_components, *example)


def start_components(
    name: str, player: Player, key: Key, num_components: int, *example: ArrayLike
) -> Mixture:
    """Makes the mixture of :func:`uniform`; errors call the player ``name``."""

    def init(key: Key) -> tuple[Params, ModelState]:
        return start_player(name, player, key, *example)

    params, state = jax.vmap(init)(jax.random.split(key, num_components))
    return Mixture(params, state, jax.nn.log_softmax(jnp.zeros(num_components, jnp.float32)))


def with_uniform_weights(mixture: Mixture) -> Mixture:
    """Gives each component the weight ``1 / K``."""
    return replace(mixture, log_weights=jax.nn.log_softmax(jnp.zeros_like(mixture.log_weights)))


@checked
def entropy(log_weights: LogWeights) -> Array:
    """Computes the Shannon entropy ``H = -sum_k w_k log w_k`` of mixture weights, in nats.

    Args:
        log_weights: ``[..., K]`` with logsumexp 0; ``-inf`` stands for a weight of 0.

    Returns:
        ``[...]`` in [0, log K].
    """
    log_weights = jnp.asarray(log_weights)
    finite = jnp.where(jnp.isneginf(log_weights), jnp.zeros_like(log_weights), log_weights)
    return -jnp.sum(jnp.exp(log_weights) * finite, axis=-1)


def effective_components(log_weights: LogWeights) -> Array:
    """Computes the effective number of components ``exp(H)``: K for uniform weights, 1 for a single one.

    Args:
        log_weights: ``[..., K]`` with logsumexp 0.

    Returns:
        ``[...]`` in [1, K].
    """
    return jnp.exp(entropy(log_weights))


@checked
def map_components(
    function: Callable[..., Any], *stacked: Any, shared: tuple = (), strategy: Strategy = "auto"
) -> Any:
    """Applies a function to each component: ``[function(x_1, *shared), ..., function(x_K, *shared)]``, stacked.

    The strategies mean the same and differ in cost only: ``vmap`` batches the components into one program, ``unroll``
    writes them out one after the other, ``scan`` loops (least memory and compilation). ``auto`` loops over networks
    with convolutions, whose kernels have rank 4, and takes ``vmap`` for all others. The reason: batched dense layers
    are one product, but batched convolutions are a grouped one, about five times slower on CPU than K separate ones
    (those of ``mixgan_jax.networks`` are not). Writing K of them out takes K times as long to compile and runs no
    faster.

    Args:
        function: a function of one component's trees and of the shared ones, in this order. On a mesh of several
            devices it closes over no traced array.
        *stacked: trees whose every leaf is ``[K, ...]``; the first, the components' parameters, decides for ``auto``.
        shared: trees of arrays that all components see whole; no strategy copies them.
        strategy: ``auto``, ``vmap``, ``unroll`` or ``scan``.

    Returns:
        The function's result, every leaf ``[K, ...]``.
    """
    return map_stacked(function, stacked, shared, strategy)


def map_stacked(
    function: Callable[..., Any],
    stacked: tuple,
    shared: tuple,
    strategy: Strategy,
    sum_first: bool = False,
) -> Any:
    """Does what :func:`map_components` does, for functions that may return a pair of which a sum is wanted.

    Args:
        function: as in :func:`map_components`.
        stacked: a tuple of its trees.
        shared: its shared trees.
        strategy: how components are mapped over.
        sum_first: whether only the sum over components of the first part of the function's pair is of interest. A loop
            over more than ``FEW`` of them then sums on the way: that part has fewer than K leading entries.

    Returns:
        The function's result.
    """
    num_components = _leading_axis("stacked", stacked)
    if strategy == "auto":
        strategy = "scan" if has_kernels(stacked[0], stacked=True) else "vmap"
    here = partial(map_here, function, strategy, sum_first=sum_first)
    return over_components(here, num_components)(stacked, shared)


def map_here(
    function: Callable[..., Any],
    strategy: Strategy,
    stacked: tuple,
    shared: tuple = (),
    sum_first: bool = False,
) -> Any:
    """Does what :func:`map_components` does on one device, by a strategy other than ``auto``."""
    num_components = jax.tree.leaves(stacked)[0].shape[0]
    if strategy == "scan" and num_components > 1:
        if sum_first and num_components > FEW:
            return _scan_summed(function, stacked, shared)
        return jax.lax.map(lambda component: function(*component, *shared), stacked)
    # A mixture of one is never batched: it does the arithmetic of a single network, bit for bit.
    if strategy == "unroll" or num_components == 1:
        each = [jax.tree.map(lambda leaf, k=k: leaf[k], stacked) for k in range(num_components)]
        results = [function(*component, *shared) for component in each]
        return jax.tree.map(lambda *leaves: jnp.stack(leaves), *results)
    axes = (0,) * len(stacked) + (None,) * len(shared)
    return jax.vmap(function, in_axes=axes)(*stacked, *shared)


def _scan_summed(function: Callable[..., Any], stacked: tuple, shared: tuple) -> Any:
    """Loops over components whose function returns a pair; sums its first part, ``[1, ...]``, and stacks the second."""
    one = jax.jit(lambda component: function(*component, *shared), inline=True)
    form, _ = jax.eval_shape(one, jax.tree.map(lambda leaf: leaf[0], stacked))

    def body(total: Any, component: tuple) -> tuple[Any, Any]:
        part, own = one(component)
        return jax.tree.map(jnp.add, total, part), own

    total, own = jax.lax.scan(body, jax.tree.map(jnp.zeros_like, form), stacked)
    return jax.tree.map(lambda leaf: leaf[None], total), own


def has_kernels(params: Params, *, stacked: bool = False) -> bool:
    """Returns whether parameters, of one component or ``stacked [K, ...]``, hold a kernel of a convolution (rank 4)."""
    return any(leaf.ndim >= 4 + stacked for leaf in jax.tree.leaves(params))


def make_samples(
    player: Player,
    mixture: Mixture,
    latents: Array,
    *,
    train: bool,
    strategy: Strategy = "auto",
    name: str = "generator",
) -> tuple[Array, ModelState]:
    """Does what :func:`~mixgan_jax.generate` does, for the steps of solvers; ``name`` is the player's in errors."""

    def apply(params: Params, state: ModelState, inputs: Array) -> tuple[Array, ModelState]:
        return apply_player(name, player, params, state, inputs, train=train)

    return map_components(apply, mixture.params, mixture.state, latents, strategy=strategy)


def _leading_axis(name: str, trees: Any) -> int:
    """Returns the size K >= 1 of the leading axis that all leaves share."""
    leaves = [
        leaf if isinstance(leaf, jax.Array) else check_array(name, leaf)
        for leaf in jax.tree.leaves(trees)
    ]
    sizes = {leaf.shape[:1] for leaf in leaves}
    if len(sizes) != 1 or sizes <= {(), (0,)}:
        raise ValueError(
            f"{name} must be trees of arrays [K, ...] with one K >= 1, got leading axes {sorted(sizes)}"
        )
    return leaves[0].shape[0]
