"""Optimisers vmapped over components."""

from collections.abc import Callable
from typing import Annotated, Any, TypeAlias

import jax
import jax.numpy as jnp
import optax

from mixgan_jax.checked import checked
from mixgan_jax.checks import fail
from mixgan_jax.optim.simplex import as_optax_expects
from mixgan_jax.types import Count, Params


def check_transform(name: str, tx: optax.GradientTransformation) -> optax.GradientTransformation:
    """Returns an optax transform, or any pair of functions that passes for one."""
    if not (hasattr(tx, "init") and hasattr(tx, "update")):
        raise fail(name, tx, "an optax transform (init, update)", TypeError)
    return tx


Transform: TypeAlias = Annotated[optax.GradientTransformation, check_transform]
"""An optax transform, or any pair ``init``, ``update`` that passes for one."""


@checked
def per_component(
    tx: Transform, num_components: Count | None = None
) -> optax.GradientTransformationExtraArgs:
    """Maps ``tx`` over the leading component axis ``K`` of parameters, gradients and state.

    Transforms that look at a whole tree (clipping by global norm, LAMB, ``apply_if_finite``) would otherwise couple
    the stacked components: a large gradient or a NaN in one would touch the others.

    Args:
        tx: any optax transform, written for a single component.
        num_components: K, which a tree without leaves does not show; None reads it from the leaves.

    Returns:
        The transform on trees whose every leaf has a leading axis ``[K, ...]``. Every component gets the same extra
        keyword arguments of ``update``. A typed key in the state, as in ``optax.add_noise``, is split for K > 1
        components.

    Example:
        >>> import jax.numpy as jnp
        >>> import mixgan_jax as mg
        >>> import optax
        >>> tx = mg.per_component(optax.clip_by_global_norm(1.0))
        >>> gradients = jnp.array([[3.0, 4.0], [0.3, 0.4]])  # two components
        >>> updates, _ = tx.update(gradients, tx.init(gradients))
        >>> [round(norm, 3) for norm in jnp.linalg.norm(updates, axis=1).tolist()]
        [1.0, 0.5]
    """
    with_extra = optax.with_extra_args_support(tx)

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


def with_other_keys(tx: optax.GradientTransformation) -> optax.GradientTransformationExtraArgs:
    """Makes the transform of a second side: a key in its state, as in ``optax.add_noise``, is another one."""

    def other(leaf: Any) -> Any:
        if not _is_key(leaf):
            return leaf
        # No split reaches this number: splits of a key are its folds with 0, 1, 2, ...
        fold = jax.vmap(lambda key: jax.random.fold_in(key, 2**31 - 1))
        return fold(leaf.reshape(-1)).reshape(leaf.shape)

    def init(params: Params) -> Any:
        return jax.tree.map(other, tx.init(params))

    return optax.with_extra_args_support(tx)._replace(init=init)


def _is_key(leaf: Any) -> bool:
    return hasattr(leaf, "dtype") and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def _own_keys(leaf: Any) -> Any:
    """Replaces the K copies of a key in a leaf ``[K, ...]`` of the state by K different keys."""
    count = leaf.shape[0]
    if count == 1 or not _is_key(leaf):
        return leaf
    keys = [jax.random.split(key, count) for key in leaf[0].reshape(-1)]
    return jnp.stack(keys, axis=1).reshape(leaf.shape)


def _map_components(function: Callable[..., Any], count: int | None, *trees: Any) -> Any:
    """Maps a function over components. A single one is not batched: its bits are those of an optimiser alone."""
    leaves = jax.tree.leaves(trees)
    size = leaves[0].shape[0] if leaves else count
    if size is None:  # neither parameters nor state: components cannot differ
        return function(*trees)
    if size > 1:
        return jax.vmap(function, axis_size=size)(*trees)
    alone = function(*jax.tree.map(lambda leaf: leaf[0], trees))
    return jax.tree.map(lambda leaf: jnp.asarray(leaf)[None], alone)
