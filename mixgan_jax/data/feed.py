"""Feeds: the batch of a training step as a pure function of a key.

With ``key = fold_in(run_key, step)`` the batch of any step can be drawn again after a restart, and sampling may
stand inside ``jit``, ``vmap`` and ``scan``.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from mixgan_jax.checks import check_array, check_count, check_key, describe
from mixgan_jax.data.images import to_float
from mixgan_jax.data.source import Channels, channels_last
from mixgan_jax.types import Array, Batch, Key


class Feed(NamedTuple):
    """Arrays on the device and the function that draws a batch from them.

    Use it as ``feed.sample(key, feed.arrays)``. Hand ``arrays`` to a jitted function as an *argument*: arrays that a
    function only closes over are compiled into it as constants, a whole data set included.

    Attributes:
        arrays: a tree of device arrays, possibly empty.
        sample: ``sample(key, arrays) -> batch``, pure; consumes ``key``; the batch is ``[B, ...]`` float32.
    """

    arrays: Any
    sample: Callable[[Key, Any], Batch]


def feed_from_distribution(distribution: Any, batch_size: int) -> Feed:
    """Fresh samples of a synthetic distribution at each step.

    Args:
        distribution: a tree with a method ``sample(key, num_samples)``, such as ``ring()``, whose arrays become the
            feed's; or a bare function ``(key, num_samples) -> [num_samples, ...]``, whose feed has no arrays.
        batch_size: B, a whole number >= 1.

    Returns:
        A feed of batches ``[B, ...]``.

    Raises:
        TypeError: ``distribution`` is neither.
        ValueError: its samples do not have the leading axis ``B``.
    """
    check_count("batch_size", batch_size)
    method = getattr(distribution, "sample", None)
    feed: Feed
    if callable(method):
        if any(not hasattr(leaf, "dtype") for leaf in jax.tree.leaves(distribution)):
            raise TypeError(
                f"distribution must be a tree of arrays, got {type(distribution).__name__}: register "
                "its class with jax.tree_util, or pass its sample method as a function"
            )
        feed = Feed(distribution, lambda key, arrays: arrays.sample(key, batch_size))
    elif callable(distribution):
        feed = Feed((), lambda key, arrays: distribution(key, batch_size))
    else:
        raise TypeError(
            "distribution must have a method sample(key, num_samples) or be such a function, got "
            f"{describe(distribution)}"
        )
    batch = jax.eval_shape(feed.sample, jax.random.key(0), feed.arrays)
    for leaf in jax.tree.leaves(batch):
        if leaf.ndim < 1 or leaf.shape[0] != batch_size:
            raise ValueError(
                f"distribution must return samples [{batch_size}, ...], got shape {leaf.shape}"
            )
    return feed


def feed_from_images(
    images: np.ndarray | Array, batch_size: int, *, channels: Channels | None = None
) -> Feed:
    """Random batches of a set of images that lies on the device whole, as uint8.

    Each batch is drawn uniformly *with replacement*, independently of all others: there are no epochs, an image may
    come twice in a batch, and ``batch_size`` may exceed the number of images. The scaling to [-1, 1] happens on the
    device, after the images of the batch are gathered, so memory is that of the uint8 set (MNIST's training images
    47 MB, CIFAR-10's 154 MB).

    Args:
        images: uint8 ``[N, H, W, C]``, N >= 1.
        batch_size: B, a whole number >= 1.
        channels: as in :func:`as_source`: ``"first"`` for images ``[N, C, H, W]``.

    Returns:
        A feed of batches ``[B, H, W, C]``, float32 in [-1, 1]; its arrays are the images. To spread them over
        devices, ``feed._replace(arrays=jax.device_put(feed.arrays, sharding))``.

    Raises:
        TypeError: images that are not uint8.
        ValueError: another rank, or none at all.
    """
    check_count("batch_size", batch_size)
    images = channels_last("images", images, channels)

    def sample(key: Key, arrays: Array) -> Array:
        indices = jax.random.randint(key, (batch_size,), 0, arrays.shape[0])
        return to_float(jnp.take(arrays, indices, axis=0, mode="clip"))

    return Feed(jnp.asarray(images), sample)


def feed_from_packs(key: Key, samples: Any, packing: int, batch_size: int) -> Feed:
    """PacGAN's training set: packs of samples that are put together once and used all along.

    From N samples N packs of M are drawn, each slot of each pack uniformly with replacement, as in the code of the
    paper's experiments in two dimensions (Lin et al. 2018, arXiv 1712.04086). Members of a pack follow each other in
    a batch, where :func:`mixgan_jax.pack` looks for them. Departure: a batch's packs are drawn uniformly with
    replacement, as all feeds draw; their code goes through all packs in epochs.

    Args:
        key: consumed by the packs. One key makes one training set, whatever the batch size.
        samples: ``[N, ...]``, floating point, N >= 1.
        packing: M, a whole number >= 1; with 1 the training set is a bootstrap sample of ``samples``.
        batch_size: B, in samples, a multiple of M.

    Returns:
        A feed of batches ``[B, ...]``, B / M packs in each; its arrays are the packs ``[N, M, ...]``.

    Raises:
        TypeError, ValueError: samples that are not floating point or none at all, or a batch that M does not divide.
    """
    check_key("key", key)
    samples = check_array("samples", samples, floating=True)
    check_count("packing", packing)
    check_count("batch_size", batch_size)
    if samples.ndim < 1 or samples.shape[0] < 1:
        raise ValueError(f"samples must have shape [N, ...] with N >= 1, got {samples.shape}")
    if batch_size % packing:
        raise ValueError(f"batch_size must be a multiple of {packing = }, got {batch_size}")
    members = jax.random.randint(key, (samples.shape[0], packing), 0, samples.shape[0])

    def sample(key: Key, packs: Array) -> Array:
        chosen = jax.random.randint(key, (batch_size // packing,), 0, packs.shape[0])
        return jnp.take(packs, chosen, axis=0, mode="clip").reshape(batch_size, *packs.shape[2:])

    return Feed(jnp.take(samples, members, axis=0, mode="clip"), sample)
