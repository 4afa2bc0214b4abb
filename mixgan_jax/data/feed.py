"""Feeds: the batch of a training step as a pure function of a key.

With ``key = fold_in(run_key, step)`` the batch of any step can be drawn again after a restart. Sampling works inside
``jit``, ``vmap`` and ``scan``.
"""

from collections.abc import Callable
from typing import Annotated, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from mixgan_jax.checked import checked
from mixgan_jax.checks import describe
from mixgan_jax.data.images import to_float
from mixgan_jax.data.source import Channels, channels_last
from mixgan_jax.types import Array, ArrayLike, Batch, Count, Key, Shaped


class Feed(NamedTuple):
    """Arrays on the device and the function that draws a batch from them.

    Use it as ``feed.sample(key, feed.arrays)``. Hand ``arrays`` to a jitted function as an *argument*: arrays that a
    function only closes over are compiled into it as constants, even a whole data set.

    Attributes:
        arrays: a tree of device arrays, possibly empty.
        sample: ``sample(key, arrays) -> batch``, pure; consumes ``key``; the batch is ``[B, ...]`` float32.
    """

    arrays: Any
    sample: Callable[[Key, Any], Batch]


@checked
def feed_from_distribution(distribution: Any, batch_size: Count) -> Feed:
    """Makes a feed that draws fresh samples of a synthetic distribution at each step.

    Args:
        distribution: a tree with a method ``sample(key, num_samples)``, such as ``ring()``, whose arrays become the
            feed's; or a bare function ``(key, num_samples) -> [num_samples, ...]``, whose feed has no arrays.
        batch_size: B, a whole number >= 1.

    Returns:
        A feed of batches ``[B, ...]``.

    Example:
        >>> import jax
        >>> import mixgan_jax as mg
        >>> feed = mg.data.feed_from_distribution(mg.data.ring(), batch_size=64)
        >>> feed.sample(jax.random.key(0), feed.arrays).shape
        (64, 2)
    """
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


@checked
def feed_from_images(
    images: np.ndarray | Array, batch_size: Count, *, channels: Channels | None = None
) -> Feed:
    """Makes a feed of random batches from a set of images, which lies on the device whole, as uint8.

    Each batch is drawn uniformly *with replacement*, independently of all others: there are no epochs, an image may
    come twice in a batch, and ``batch_size`` may exceed the number of images. The device scales to [-1, 1] after it has
    gathered the images of a batch, so the set takes the memory of its uint8 levels (MNIST's training images 47 MB,
    CIFAR-10's 154 MB).

    Args:
        images: uint8 ``[N, H, W, C]``, N >= 1.
        batch_size: B, a whole number >= 1.
        channels: as in :func:`as_source`: ``"first"`` for images ``[N, C, H, W]``.

    Returns:
        A feed of batches ``[B, H, W, C]``, float32 in [-1, 1]; its arrays are the images. To spread them over
        devices, ``feed._replace(arrays=jax.device_put(feed.arrays, sharding))``.

    Example:
        >>> import jax, numpy as np
        >>> import mixgan_jax as mg
        >>> feed = mg.data.feed_from_images(np.zeros((100, 8, 8, 1), np.uint8), batch_size=16)
        >>> feed.sample(jax.random.key(0), feed.arrays).shape
        (16, 8, 8, 1)
    """
    images = channels_last("images", images, channels)

    def sample(key: Key, arrays: Array) -> Array:
        indices = jax.random.randint(key, (batch_size,), 0, arrays.shape[0])
        return to_float(jnp.take(arrays, indices, axis=0, mode="clip"))

    return Feed(jnp.asarray(images), sample)


@checked
def feed_from_packs(
    key: Key,
    samples: Annotated[ArrayLike, Shaped(floating=True)],
    packing: Count,
    batch_size: Count,
) -> Feed:
    """Makes PacGAN's training set: packs of samples that are put together once and kept.

    From N samples N packs of M are drawn, each slot of each pack uniformly with replacement, as in the code of the
    paper's experiments in two dimensions (Lin et al. 2018, arXiv 1712.04086). Members of a pack follow each other in
    a batch, where :func:`mixgan_jax.pack` looks for them. Departure: the packs of a batch are drawn uniformly with
    replacement, as all feeds draw; their code goes through all packs in epochs.

    Args:
        key: consumed by the packs. One key makes one training set, whatever the batch size.
        samples: ``[N, ...]``, floating point, N >= 1.
        packing: M, a whole number >= 1; with 1 the training set is a bootstrap sample of ``samples``.
        batch_size: B, in samples, a multiple of M.

    Returns:
        A feed of batches ``[B, ...]``, B / M packs in each; its arrays are the packs ``[N, M, ...]``.
    """
    samples = jnp.asarray(samples)
    if samples.ndim < 1 or samples.shape[0] < 1:
        raise ValueError(f"samples must have shape [N, ...] with N >= 1, got {samples.shape}")
    if batch_size % packing:
        raise ValueError(f"batch_size must be a multiple of {packing = }, got {batch_size}")
    members = jax.random.randint(key, (samples.shape[0], packing), 0, samples.shape[0])

    def sample(key: Key, packs: Array) -> Array:
        chosen = jax.random.randint(key, (batch_size // packing,), 0, packs.shape[0])
        return jnp.take(packs, chosen, axis=0, mode="clip").reshape(batch_size, *packs.shape[2:])

    return Feed(jnp.take(samples, members, axis=0, mode="clip"), sample)
