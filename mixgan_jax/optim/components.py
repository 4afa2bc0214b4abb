"""Optimisers vmapped over components."""

from collections.abc import Callable
from typing import Annotated, Any, TypeAlias

import jax
import jax.numpy as jnp
import optax

from mixgan_jax.checks import check_count, fail
from mixgan_jax.optim.simplex import as_optax_expects
from mixgan_jax.types import Params


def per_component(
    tx: optax.GradientTransformation, num_components: int | None = None
) -> optax.GradientTransformationExtraArgs:
    """``tx`` vmapped over the leading component axis ``K`` of parameters, gradients and state.

    Transforms that look at a whole tree (clipping by global norm, LAMB, ``apply_if_finite``) would otherwise couple
    the stacked components: a large gradient or a NaN in one would touch the others.

    Args:
        tx: any optax transform, written for a single component.
        num_components: K, which a tree without leaves does not show; None reads it from the leaves.

    Returns:
        The transform on trees whose every leaf has a leading axis ``[K, ...]``; extra keyword arguments of
        ``update`` are handed to every component alike. Of a typed key in the state, as ``optax.add_noise`` keeps one,
        K > 1 components get one each, split from it.

    Raises:
        TypeError, ValueError: an argument of the wrong kind; at ``init``, parameters without leaves where
            ``num_components`` is None.
    """
    if num_components is not None:
        check_count("num_components", num_components)
    with_extra = optax.with_extra_args_support(check_transform("tx", tx))

    def init(params: Params) -> Any:
        if num_components is None and not jax.tree.leaves(params):
            raise fail("params", params, "a tree with leaves [K, ...], or num_components be given")
        state = _map_components(with_extra.init, num_components, params)
        return jax.tree.map(_own_keys, state)

    def update(updates: Any, state: Any, params: Any = None, **extra: Any) -> tuple[Any, Any]:
        def one(updates: Any, state: Any, *params: Any) -> tuple[Any, Any]:
            return with_extra.update(updates, state, *params, **extra)

        with as_optax_expects():
            trees = (updates, state, *(() if params is None else (params,)))
            return _map_components(one, num_components, *trees)

    return optax.GradientTransformationExtraArgs(init, update)


def check_transform(name: str, tx: optax.GradientTransformation) -> optax.GradientTransformation:
    """An optax transform, or any pair of functions that passes for one."""
    if not (hasattr(tx, "init") and hasattr(tx, "update")):
        raise fail(name, tx, "an optax transform (init, update)", TypeError)
    return tx


Transform: TypeAlias = Annotated[optax.GradientTransformation, check_transform]
"""An optax transform, or any pair ``init``, ``update`` that passes for one."""


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


def _map_components(function: Callable[..., Any], count: int | None, *trees: Any) -> Any:
    """``vmap``, but a single component is never batched: it does a lone optimiser's arithmetic, bit for bit."""
    leaves = jax.tree.leaves(trees)
    size = leaves[0].shape[0] if leaves else count
    if size is None:  # neither parameters nor state: nothing that could differ between components
        return function(*trees)
    if size > 1:
        return jax.vmap(function, axis_size=size)(*trees)
    alone = function(*jax.tree.map(lambda leaf: leaf[0], trees))
    return jax.tree.map(lambda leaf: jnp.asarray(leaf)[None], alone)
