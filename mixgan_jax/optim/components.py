"""Optimisers vmapped over components."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax

from mixgan_jax.checks import fail
from mixgan_jax.optim.simplex import as_optax_expects
from mixgan_jax.types import Params


def per_component(tx: optax.GradientTransformation) -> optax.GradientTransformationExtraArgs:
    """``tx`` vmapped over the leading component axis ``K`` of parameters, gradients and state.

    Transforms that look at a whole tree (clipping by global norm, LAMB, ``apply_if_finite``) would otherwise couple
    the stacked components: a large gradient or a NaN in one would touch the others.

    Args:
        tx: any optax transform, written for a single component.

    Returns:
        The transform on trees whose every leaf has a leading axis ``[K, ...]``; extra keyword arguments of
        ``update`` are handed to every component alike. Of a typed key in the state, as ``optax.add_noise`` keeps one,
        K > 1 components get one each, split from it.
    """
    with_extra = optax.with_extra_args_support(check_transform("tx", tx))

    def init(params: Params) -> Any:
        return jax.tree.map(_own_keys, _map_components(with_extra.init, params))

    def update(updates: Any, state: Any, params: Any = None, **extra: Any) -> tuple[Any, Any]:
        def one(updates: Any, state: Any, *params: Any) -> tuple[Any, Any]:
            return with_extra.update(updates, state, *params, **extra)

        with as_optax_expects():
            return _map_components(one, updates, state, *(() if params is None else (params,)))

    return optax.GradientTransformationExtraArgs(init, update)


def check_transform(name: str, tx: optax.GradientTransformation) -> optax.GradientTransformation:
    """An optax transform, or any pair of functions that passes for one."""
    if not (hasattr(tx, "init") and hasattr(tx, "update")):
        raise fail(name, tx, "an optax transform (init, update)", TypeError)
    return tx


def with_other_keys(tx: optax.GradientTransformation) -> optax.GradientTransformationExtraArgs:
    """The same transform for a second side: a key in its state, as ``optax.add_noise`` keeps one, is another one."""

    def other(leaf: Any) -> Any:
        if not _is_key(leaf):
            return leaf
        # A number that no split reaches: splits of a key are its folds with 0, 1, 2, ...
        fold = jax.vmap(lambda key: jax.random.fold_in(key, 2**31 - 1))
        return fold(leaf.reshape(-1)).reshape(leaf.shape)

    def init(params: Params) -> Any:
        return jax.tree.map(other, tx.init(params))

    return optax.with_extra_args_support(tx)._replace(init=init)


def _is_key(leaf: Any) -> bool:
    return hasattr(leaf, "dtype") and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def _own_keys(leaf: Any) -> Any:
    """A leaf ``[K, ...]`` of the state as it is, but of a key, which is there K times, K different ones."""
    count = leaf.shape[0]
    if count == 1 or not _is_key(leaf):
        return leaf
    keys = [jax.random.split(key, count) for key in leaf[0].reshape(-1)]
    return jnp.stack(keys, axis=1).reshape(leaf.shape)


def _map_components(function: Callable[..., Any], *trees: Any) -> Any:
    """``vmap``, but a single component is never batched: it does a lone optimiser's arithmetic, bit for bit."""
    if jax.tree.leaves(trees)[0].shape[0] > 1:
        return jax.vmap(function)(*trees)
    alone = function(*jax.tree.map(lambda leaf: leaf[0], trees))
    return jax.tree.map(lambda leaf: jnp.asarray(leaf)[None], alone)
