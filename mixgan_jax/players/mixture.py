"""Mixtures of players: stacked components and their log-weights."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias

import jax
import jax.numpy as jnp

from mixgan_jax.checks import (
    check_array,
    check_choice,
    check_count,
    check_flag,
    check_function,
    check_key,
    check_kind,
    check_log_weights,
    fail,
)
from mixgan_jax.players.player import Player, apply_player, check_player, start_player
from mixgan_jax.types import Array, Key, ModelState, Params

Strategy: TypeAlias = Literal["auto", "vmap", "unroll", "scan"]
"""How a function is mapped over components; see :func:`map_components`."""

STRATEGIES: tuple[Strategy, ...] = ("auto", "vmap", "unroll", "scan")


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Mixture:
    """``K`` players of one architecture, and how often each is played.

    Attributes:
        params: parameters, every leaf ``[K, ...]``.
        state: model state, every leaf ``[K, ...]``; an empty tree for networks without any.
        log_weights: ``[K]`` float32, natural logarithms of the mixture weights, with logsumexp 0.
    """

    params: Params
    state: ModelState
    log_weights: Array

    @property
    def weights(self) -> Array:
        """The mixture weights ``[K]``: they are >= 0 and sum to 1."""
        return jnp.exp(self.log_weights)

    @property
    def num_components(self) -> int:
        """``K``."""
        return self.log_weights.shape[-1]


def uniform(key: Key, player: Player, num_components: int, *example: Any) -> Mixture:
    """``K`` independently initialised components with equal weights.

    Args:
        key: consumed; split over the components.
        player: what each component is.
        num_components: K >= 1.
        *example: arrays with the shapes and dtypes of the player's inputs, ``[B, ...]``, as ``Player.init`` wants.

    Returns:
        A :class:`Mixture` with log-weights ``[K]`` of ``-log K``.

    Raises:
        TypeError, ValueError: ``num_components`` is not a whole number >= 1, or another argument of the wrong kind.
    """
    check_key("key", key)
    check_count("num_components", num_components)
    return start_components("player", check_player("player", player), key, num_components, *example)


def start_components(
    name: str, player: Player, key: Key, num_components: int, *example: Any
) -> Mixture:
    """As :func:`uniform`, of a player that errors call ``name``."""

    def init(key: Key) -> tuple[Params, ModelState]:
        return start_player(name, player, key, *example)

    params, state = jax.vmap(init)(jax.random.split(key, num_components))
    return Mixture(params, state, jax.nn.log_softmax(jnp.zeros(num_components, jnp.float32)))


def with_uniform_weights(mixture: Mixture) -> Mixture:
    """The same components, each with weight ``1 / K``."""
    return replace(mixture, log_weights=jax.nn.log_softmax(jnp.zeros_like(mixture.log_weights)))


def entropy(log_weights: Array) -> Array:
    """Shannon entropy ``H = -sum_k w_k log w_k`` of mixture weights, in nats.

    Args:
        log_weights: ``[..., K]`` with logsumexp 0; ``-inf`` stands for a weight of 0.

    Returns:
        ``[...]`` in [0, log K].
    """
    log_weights = check_log_weights("log_weights", log_weights)
    finite = jnp.where(jnp.isneginf(log_weights), jnp.zeros_like(log_weights), log_weights)
    return -jnp.sum(jnp.exp(log_weights) * finite, axis=-1)


def effective_components(log_weights: Array) -> Array:
    """Effective number of components ``exp(H)``: K for uniform weights, 1 for a single one.

    Args:
        log_weights: ``[..., K]`` with logsumexp 0.

    Returns:
        ``[...]`` in [1, K].
    """
    return jnp.exp(entropy(log_weights))


def map_components(
    function: Callable[..., Any], *stacked: Any, shared: tuple = (), strategy: Strategy = "auto"
) -> Any:
    """``function`` of each component, stacked: ``[function(x_1, *shared), ..., function(x_K, *shared)]``.

    The strategies mean the same and differ in cost only: ``vmap`` batches the components into one program, ``unroll``
    writes them out one after the other, ``scan`` loops (least memory and compilation). ``auto`` loops over networks
    with convolutions, whose kernels have rank 4, and takes ``vmap`` for all others: dense layers become one batched
    product, but a convolution a grouped one, about five times slower on CPU than K separate ones (those of
    ``mixgan_jax.networks`` are not). Writing K of them out takes K times as long to compile and runs no faster.

    Args:
        function: a function of one component's trees and of the shared ones, in this order.
        *stacked: trees whose every leaf is ``[K, ...]``; the first, the components' parameters, decides for ``auto``.
        shared: trees of arrays that all components see whole; no strategy copies them.
        strategy: ``auto``, ``vmap``, ``unroll`` or ``scan``.

    Returns:
        The function's result, every leaf ``[K, ...]``.

    Raises:
        TypeError, ValueError: an unknown ``strategy``, or trees whose leaves do not share a leading axis.
    """
    check_function("function", function)
    check_choice("strategy", strategy, STRATEGIES)
    num_components = _leading_axis("stacked", stacked)
    if strategy == "auto":
        strategy = "scan" if has_kernels(stacked[0], stacked=True) else "vmap"
    if strategy == "scan" and num_components > 1:
        return jax.lax.map(lambda component: function(*component, *shared), stacked)
    # A mixture of one is never batched: it does the arithmetic of a single network, bit for bit.
    if strategy == "unroll" or num_components == 1:
        each = [jax.tree.map(lambda leaf, k=k: leaf[k], stacked) for k in range(num_components)]
        results = [function(*component, *shared) for component in each]
        return jax.tree.map(lambda *leaves: jnp.stack(leaves), *results)
    axes = (0,) * len(stacked) + (None,) * len(shared)
    return jax.vmap(function, in_axes=axes)(*stacked, *shared)


def has_kernels(params: Params, *, stacked: bool = False) -> bool:
    """Whether parameters, of one component or ``stacked [K, ...]``, have a convolution's kernel, of rank 4 or more."""
    return any(leaf.ndim >= 4 + stacked for leaf in jax.tree.leaves(params))


def generate(
    player: Player,
    mixture: Mixture,
    latents: Array,
    *,
    train: bool = False,
    strategy: Strategy = "auto",
    block: int | None = None,
) -> tuple[Array, ModelState]:
    """Every component applied to its own inputs.

    Args:
        player: the generator.
        mixture: K generators.
        latents: ``[K, B, Z]``, one batch for each component.
        train: whether batch statistics are used and the state updated.
        strategy: how components are mapped over.
        block: >= 64, latents of each component in one pass, as in :func:`sample`, without ``train``; None for all.

    Returns:
        Samples ``[K, B, ...]`` and the new state, leaves ``[K, ...]``.

    Raises:
        TypeError, ValueError: ``latents`` has no leading axis of K, ``mixture`` is a sweep of several, blocks in
            training, or an argument is of the wrong kind.
    """
    player = check_player("player", player)
    check_flag("train", train)
    _check_single("mixture", mixture)
    latents = check_array("latents", latents)
    if latents.ndim < 2 or latents.shape[0] != mixture.num_components:
        raise ValueError(
            f"latents must have shape [K, B, ...] with K = {mixture.num_components}, "
            f"got {latents.shape}"
        )

    def apply(params: Params, state: ModelState, inputs: Array) -> tuple[Array, ModelState]:
        return apply_player("player", player, params, state, inputs, train=train)

    if block is None:
        return map_components(apply, mixture.params, mixture.state, latents, strategy=strategy)
    if train:
        raise fail("block", block, "None in training: batch statistics are those of a whole batch")

    def by_sample(latents: Array) -> Array:
        own = (mixture.params, mixture.state, jnp.swapaxes(latents, 0, 1))
        return jnp.swapaxes(map_components(apply, *own, strategy=strategy)[0], 0, 1)

    samples = _in_blocks(by_sample, block, jnp.swapaxes(latents, 0, 1))
    return jnp.swapaxes(samples, 0, 1), mixture.state


def sample(
    key: Key,
    player: Player,
    mixture: Mixture,
    latents: Array,
    *,
    strategy: Strategy = "auto",
    block: int = 4096,
) -> tuple[Array, Array]:
    """Draws from the mixture distribution: a component for *each sample*, not for each batch.

    ``x_n = G_{c_n}(z_n)`` with ``c_n ~ Categorical(w)``. All components run on all latents and one result is
    chosen: N draws cost K N passes and need no dynamic shapes. Memory is for ``block`` draws at a time and the N
    results. (The code released with MIX+GAN in 2017 draws one component for each ten images, which makes samples
    within a batch dependent.)

    Args:
        key: consumed by the choice of components.
        player: the generator; it runs with ``train=False``.
        mixture: K generators.
        latents: ``[N, Z]``.
        strategy: how components are mapped over.
        block: >= 64, latents in one pass. Samples are the same for every block, on a CPU bit for bit.

    Returns:
        Samples ``[N, ...]`` and the component that made each, ``[N]`` int32.

    Raises:
        TypeError, ValueError: ``latents`` is not of rank >= 2, ``mixture`` is a sweep of several, or an argument is
            of the wrong kind.
    """
    check_key("key", key)
    _check_single("mixture", mixture)
    latents = check_array("latents", latents)
    if latents.ndim < 2:
        raise ValueError(f"latents must have shape [N, Z], got {latents.shape}")
    components = jax.random.categorical(key, mixture.log_weights, shape=latents.shape[:1])

    def draw(latents: Array, components: Array) -> Array:
        copies = jnp.broadcast_to(latents[None], (mixture.num_components, *latents.shape))
        outputs, _ = generate(player, mixture, copies, strategy=strategy)
        return outputs[components, jnp.arange(latents.shape[0])]

    return _in_blocks(draw, block, latents, components), components


def _in_blocks(function: Callable[..., Array], block: int, *arrays: Array) -> Array:
    """``function`` of arrays ``[N, ...]``, row by row, on at most ``block`` rows at a time."""
    check_count("block", block, minimum=64)
    rows = arrays[0].shape[0]
    if rows <= block:
        return function(*arrays)

    # The last block is filled up, so that all are one program.
    def cut(array: Array) -> Array:
        filler = jnp.zeros((-rows % block, *array.shape[1:]), array.dtype)
        return jnp.concatenate([array, filler]).reshape(-1, block, *array.shape[1:])

    results = jax.lax.map(lambda part: function(*part), tuple(map(cut, arrays)))
    return results.reshape(-1, *results.shape[2:])[:rows]


def _check_single(name: str, mixture: Mixture) -> None:
    """One mixture with normalised weights, not a sweep over seeds ``[S, K]``."""
    check_kind(name, mixture, Mixture)
    check_log_weights(f"{name}.log_weights", mixture.log_weights)
    if mixture.log_weights.ndim != 1:
        raise ValueError(
            f"{name} must be one mixture, log_weights [K], got shape {mixture.log_weights.shape}: of a sweep "
            "over seeds take one, jax.tree.map(lambda leaf: leaf[seed], mixture)"
        )


def _leading_axis(name: str, trees: Any) -> int:
    """The size K >= 1 of the leading axis that all leaves share."""
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
