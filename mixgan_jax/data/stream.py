"""Streams: the batch of a training step as a pure function of a seed and the step, read while the device computes.

A stream has no position of its own. A run that starts at step t, first or after a restart, opens it at step t, in the
middle of an epoch too; so the step that a checkpoint holds is all that has to be saved of it.
"""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from mixgan_jax.checks import check_count
from mixgan_jax.data.feed import Feed, feed_from_images
from mixgan_jax.data.images import to_float
from mixgan_jax.data.source import Channels, ImageSource, as_source
from mixgan_jax.types import Array, Batch, Key


class Stream(NamedTuple):
    """Images that are read a batch at a time, and what the device makes of a batch.

    An epoch is every image once, in an order that depends on the seed and the epoch. Batches go on from one epoch to
    the next: nothing is dropped, and a batch may hold the end of an epoch and the beginning of the next.

    Attributes:
        source: the images.
        batch_size: B.
        sample: ``sample(key, images) -> batch``, pure, on the device: from uint8 ``[B, H, W, C]`` to float32
            ``[B, ...]``; the place for random flips and the like. May consume ``key``, which is the step's own.
        threads: how many read.
    """

    source: ImageSource
    batch_size: int
    sample: Callable[[Key, Any], Batch]
    threads: int


def stream_from_images(
    images: ImageSource | np.ndarray,
    batch_size: int,
    *,
    threads: int = 2,
    channels: Channels | None = None,
) -> Stream:
    """Batches of shuffled epochs, scaled to [-1, 1] on the device.

    Args:
        images: a source; or uint8 ``[N, H, W, C]``, which stay in the host's memory.
        batch_size: B, a whole number >= 1; it may exceed the number of images.
        threads: that read and decode, a whole number >= 1. More help where images are decoded (TFDS) and cores are
            free.
        channels: as in :func:`as_source`.

    Returns:
        A stream of batches ``[B, H, W, C]``, float32 in [-1, 1].

    Raises:
        TypeError: images that are not uint8.
        ValueError: another rank, or none at all.
    """
    check_count("batch_size", batch_size)
    check_count("threads", threads)
    source = as_source(images, channels=channels)
    return Stream(source, batch_size, lambda key, batch: to_float(batch), threads)


def feed_or_stream(
    images: ImageSource | np.ndarray | Array, batch_size: int, *, channels: Channels | None = None
) -> Feed | Stream:
    """What fits the images of :func:`load_images`: a stream of a source, a feed of an array.

    The two draw differently: a feed with replacement, a stream in epochs.

    Args:
        images: a source, or uint8 ``[N, H, W, C]``.
        batch_size: B, a whole number >= 1.
        channels: as in :func:`as_source`.

    Returns:
        As :func:`stream_from_images` or as :func:`feed_from_images`.
    """
    if isinstance(images, ImageSource):
        return stream_from_images(images, batch_size, channels=channels)
    return feed_from_images(images, batch_size, channels=channels)


def batch_indices(stream: Stream, seed: int) -> Any:
    """The images of every batch, as Grain's random access data set: entry t is those of step t, int64 ``[B]``.

    Args:
        stream: whose.
        seed: of the shuffle, in ``0 .. 2**32 - 1``; epoch e is shuffled with ``seed + e``.
    """
    import grain

    epochs = grain.MapDataset.range(len(stream.source)).shuffle(seed=int(seed)).repeat()
    return epochs.batch(stream.batch_size, batch_fn=np.asarray)


@contextlib.contextmanager
def open_stream(
    stream: Stream, seeds: Sequence[int], start: int, stop: int, ahead: int
) -> Iterator[Iterator[np.ndarray]]:
    """The batches of steps ``start .. stop - 1``, read by threads before they are asked for.

    Args:
        stream: what to read.
        seeds: of S shuffles.
        start: the first step.
        stop: the step after the last one.
        ahead: how many steps to read ahead.

    Yields:
        An iterator over uint8 arrays ``[S, B, H, W, C]``, one for each step; an error of a thread arises from it.
        Threads end with the context.
    """
    import grain

    orders = [batch_indices(stream, seed) for seed in seeds]
    shape = (len(orders), stream.batch_size, *stream.source.shape[1:])

    def read(step: int) -> np.ndarray:
        # One call for all shuffles: sources read many images at once faster than few.
        return stream.source.read(np.concatenate([order[step] for order in orders])).reshape(shape)

    options = grain.ReadOptions(
        num_threads=min(stream.threads, ahead), prefetch_buffer_size=max(1, ahead)
    )
    steps = grain.MapDataset.range(start, stop).map(read)
    with contextlib.closing(iter(steps.to_iter_dataset(options))) as batches:
        yield batches
