"""Streams: the batch of a training step as a pure function of a seed and the step, read while the device computes.

A stream has no position of its own. A run that starts at step t, first or after a restart, opens it at step t, also in
the middle of an epoch. So a checkpoint needs to save only the step.
"""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from mixgan_jax.checked import checked
from mixgan_jax.data.feed import Feed, feed_from_images
from mixgan_jax.data.images import to_float
from mixgan_jax.data.source import Channels, ImageSource, as_source
from mixgan_jax.types import Array, Batch, Count, Key


class Stream(NamedTuple):
    """Images that are read a batch at a time, and the function that finishes a batch on the device.

    An epoch is every image once, in an order that depends on the seed and the epoch. Nothing is dropped between
    epochs: a batch may hold the end of one and the beginning of the next.

    Attributes:
        source: the images.
        batch_size: B.
        sample: ``sample(key, images) -> batch``, pure, on the device: from uint8 ``[B, H, W, C]`` to float32
            ``[B, ...]``; the place for random flips and the like. It may consume ``key``, which belongs to the step.
        threads: number of threads that read.
    """

    source: ImageSource
    batch_size: int
    sample: Callable[[Key, Any], Batch]
    threads: int


@checked
def stream_from_images(
    images: ImageSource | np.ndarray,
    batch_size: Count,
    *,
    threads: Count = 2,
    channels: Channels | None = None,
) -> Stream:
    """Makes a stream of batches from shuffled epochs, scaled to [-1, 1] on the device.

    Args:
        images: a source; or uint8 ``[N, H, W, C]``, which stay in the host's memory.
        batch_size: B, a whole number >= 1; it may exceed the number of images.
        threads: number of threads that read and decode, >= 1. More help where images are decoded (TFDS) and cores
            are free.
        channels: as in :func:`as_source`.

    Returns:
        A stream of batches ``[B, H, W, C]``, float32 in [-1, 1].
    """
    source = as_source(images, channels=channels)
    return Stream(source, batch_size, lambda key, batch: to_float(batch), threads)


@checked
def feed_or_stream(
    images: ImageSource | np.ndarray | Array, batch_size: Count, *, channels: Channels | None = None
) -> Feed | Stream:
    """Makes what fits the images of :func:`load_images`: a stream of a source, a feed of an array.

    The two draw differently: a feed with replacement, a stream in epochs.

    Args:
        images: a source, or uint8 ``[N, H, W, C]``.
        batch_size: B, a whole number >= 1.
        channels: as in :func:`as_source`.

    Returns:
        The result of :func:`stream_from_images` or of :func:`feed_from_images`.
    """
    if isinstance(images, ImageSource):
        return stream_from_images(images, batch_size, channels=channels)
    return feed_from_images(images, batch_size, channels=channels)


def batch_indices(stream: Stream, seed: int) -> Any:
    """Returns the indices of every batch, a random-access data set of Grain: entry t is int64 ``[B]``, for step t.

    Args:
        stream: the stream.
        seed: seed of the shuffle, in ``0 .. 2**32 - 1``; epoch e is shuffled with ``seed + e``.
    """
    import grain

    epochs = grain.MapDataset.range(len(stream.source)).shuffle(seed=int(seed)).repeat()
    return epochs.batch(stream.batch_size, batch_fn=np.asarray)


@contextlib.contextmanager
def open_stream(
    stream: Stream,
    seeds: Sequence[int],
    start: int,
    stop: int,
    ahead: int,
    rows: slice | None = None,
) -> Iterator[Iterator[np.ndarray]]:
    """Reads the batches of steps ``start .. stop - 1`` in threads, ahead of their use.

    Args:
        stream: the stream.
        seeds: seeds of S shuffles.
        start: the first step.
        stop: the step after the last one.
        ahead: number of steps to read ahead.
        rows: the part of each batch to read, with a start and a stop; None reads all.

    Yields:
        An iterator over uint8 arrays ``[S, B, H, W, C]`` (of ``rows``, where given), one for each step. It raises the
        errors of the threads, which end with the context.
    """
    import grain

    orders = [batch_indices(stream, seed) for seed in seeds]
    rows = rows or slice(0, stream.batch_size)
    shape = (len(orders), rows.stop - rows.start, *stream.source.shape[1:])

    def read(step: int) -> np.ndarray:
        # One call for all shuffles: sources read many images at once faster than few.
        indices = np.concatenate([order[step][rows] for order in orders])
        return stream.source.read(indices).reshape(shape)

    options = grain.ReadOptions(
        num_threads=min(stream.threads, ahead), prefetch_buffer_size=max(1, ahead)
    )
    steps = grain.MapDataset.range(start, stop).map(read)
    with contextlib.closing(iter(steps.to_iter_dataset(options))) as batches:
        yield batches
