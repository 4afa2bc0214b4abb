"""Puts the arrays of a restored checkpoint on the devices of the template's leaves."""

import jax
import jax.numpy as jnp
import numpy as np


def target(leaf: object) -> object:
    """Returns a template's leaf as Orbax wants it: JAX arrays abstract, with a sharding."""
    if not isinstance(leaf, jax.Array | jax.ShapeDtypeStruct):
        return leaf
    default = jax.sharding.SingleDeviceSharding(jax.local_devices()[0])
    sharding = leaf.sharding if _is_placed(leaf) else default
    return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding)


def place(restored: object, like: object) -> object:
    """Frees an array from the one device that Orbax put it on, unless the template wants it there."""
    # A committed array could not enter a computation over a mesh of several devices.
    if not isinstance(restored, jax.Array) or _is_placed(like):
        return restored
    if jnp.issubdtype(restored.dtype, jax.dtypes.prng_key):
        data = jnp.array(np.asarray(jax.random.key_data(restored)))
        return jax.random.wrap_key_data(data, impl=jax.random.key_impl(restored))
    return jnp.array(np.asarray(restored))


def _is_placed(leaf: object) -> bool:
    """Returns whether a template's leaf says where the array belongs."""
    if isinstance(leaf, jax.Array):
        return leaf.committed
    return isinstance(leaf, jax.ShapeDtypeStruct) and leaf.sharding is not None
