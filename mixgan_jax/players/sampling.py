"""Samples of a mixture: of every component, or of one that is drawn for each sample."""

from collections.abc import Callable
from functools import partial
from typing import Annotated, TypeAlias

import jax
import jax.numpy as jnp
from annotated_types import Ge

from mixgan_jax.checked import checked
from mixgan_jax.checks import check_kind, check_log_weights, fail
from mixgan_jax.players.mixture import Mixture, Strategy, make_samples
from mixgan_jax.players.player import Generator
from mixgan_jax.types import Array, ArrayLike, Key, ModelState, Shaped


def _check_single(name: str, mixture: Mixture) -> Mixture:
    """Checks that a mixture is one with normalised weights, not a sweep over seeds ``[S, K]``."""
    check_kind(name, mixture, Mixture)
    check_log_weights(f"{name}.log_weights", mixture.log_weights)
    if mixture.log_weights.ndim != 1:
        raise ValueError(
            f"{name} must be one mixture, log_weights [K], got shape {mixture.log_weights.shape}: of a sweep "
            "over seeds take one, jax.tree.map(lambda leaf: leaf[seed], mixture)"
        )
    return mixture


OneMixture: TypeAlias = Annotated[Mixture, _check_single]
"""A mixture with weights ``[K]``, not a sweep of several."""

Block: TypeAlias = Annotated[int, Ge(64)]
"""Number of latents in one pass."""

Latents: TypeAlias = Annotated[ArrayLike, Shaped()]
"""Latents; the function says of which axes."""


@checked
def generate(
    player: Generator,
    mixture: OneMixture,
    latents: Latents,
    *,
    train: bool = False,
    strategy: Strategy = "auto",
    block: Block | None = None,
) -> tuple[Array, ModelState]:
    """Applies each generator to a batch of latents of its own.

    Args:
        player: the generators' architecture.
        mixture: K generators.
        latents: ``[K, B, Z]``, one batch for each component.
        train: whether batch statistics are used and the state updated.
        strategy: how components are mapped over.
        block: >= 64, latents of each component in one pass, as in :func:`sample`, without ``train``; None for all.

    Returns:
        Samples ``[K, B, ...]`` and the new state, leaves ``[K, ...]``.

    Example:
        >>> import jax
        >>> import mixgan_jax as mg
        >>> generator = mg.from_linen(mg.networks.MLP((16,), outputs=2))
        >>> latents = jax.random.normal(jax.random.key(0), (4, 10, 3))
        >>> mixture = mg.uniform(jax.random.key(1), generator, 4, latents[0])
        >>> mg.generate(generator, mixture, latents)[0].shape
        (4, 10, 2)
    """
    latents = jnp.asarray(latents)
    if latents.ndim < 2 or latents.shape[0] != mixture.num_components:
        raise ValueError(
            f"latents must have shape [K, B, ...] with K = {mixture.num_components}, "
            f"got {latents.shape}"
        )
    make = partial(make_samples, player, mixture, strategy=strategy, name="player")
    if block is None:
        return make(latents, train=train)
    if train:
        raise fail("block", block, "None in training: batch statistics are those of a whole batch")

    def by_sample(latents: Array) -> Array:
        samples, _ = make(jnp.swapaxes(latents, 0, 1), train=False)
        return jnp.swapaxes(samples, 0, 1)

    samples = _in_blocks(by_sample, block, jnp.swapaxes(latents, 0, 1))
    return jnp.swapaxes(samples, 0, 1), mixture.state


@checked
def sample(
    key: Key,
    player: Generator,
    mixture: OneMixture,
    latents: Latents,
    *,
    strategy: Strategy = "auto",
    block: Block = 4096,
) -> tuple[Array, Array]:
    """Draws from the mixture distribution: a component for *each sample*, not for each batch.

    ``x_n = G_{c_n}(z_n)`` with ``c_n ~ Categorical(w)``. All components run on all latents and one result is
    chosen: N draws cost K N passes and need no dynamic shapes. Memory is for ``block`` draws at a time and the N
    results. (The code released with MIX+GAN in 2017 draws one component for each ten images, which makes samples
    within a batch dependent.)

    Args:
        key: consumed by the choice of components.
        player: the generators' architecture; it runs with ``train=False``.
        mixture: K generators.
        latents: ``[N, Z]``.
        strategy: how components are mapped over.
        block: >= 64, latents in one pass. Samples are the same for every block, on a CPU bit for bit.

    Returns:
        Samples ``[N, ...]`` and the component that made each, ``[N]`` int32.

    Example:
        >>> import jax
        >>> import mixgan_jax as mg
        >>> generator = mg.from_linen(mg.networks.MLP((16,), outputs=2))
        >>> latents = jax.random.normal(jax.random.key(0), (10, 3))
        >>> mixture = mg.uniform(jax.random.key(1), generator, 4, latents)
        >>> samples, components = mg.sample(jax.random.key(2), generator, mixture, latents)
        >>> samples.shape, components.shape
        ((10, 2), (10,))
    """
    latents = jnp.asarray(latents)
    if latents.ndim < 2:
        raise ValueError(f"latents must have shape [N, Z], got {latents.shape}")
    components = jax.random.categorical(key, mixture.log_weights, shape=latents.shape[:1])

    def draw(latents: Array, components: Array) -> Array:
        copies = jnp.broadcast_to(latents[None], (mixture.num_components, *latents.shape))
        outputs, _ = make_samples(
            player, mixture, copies, train=False, strategy=strategy, name="player"
        )
        return outputs[components, jnp.arange(latents.shape[0])]

    return _in_blocks(draw, block, latents, components), components


def _in_blocks(function: Callable[..., Array], block: int, *arrays: Array) -> Array:
    """Applies a function of rows to arrays ``[N, ...]``, at most ``block`` rows at a time."""
    rows = arrays[0].shape[0]
    if rows <= block:
        return function(*arrays)

    # The last block is filled up, so that all are one program.
    def cut(array: Array) -> Array:
        filler = jnp.zeros((-rows % block, *array.shape[1:]), array.dtype)
        return jnp.concatenate([array, filler]).reshape(-1, block, *array.shape[1:])

    results = jax.lax.map(lambda part: function(*part), tuple(map(cut, arrays)))
    return results.reshape(-1, *results.shape[2:])[:rows]
