"""Data: synthetic distributions, real images without TensorFlow, and what makes batches of them.

A :class:`Feed` draws batches from what lies on the device, a :class:`Stream` from images that stay on the disk.
"""

from mixgan_jax.data.feed import (
    Feed,
    feed_from_distribution,
    feed_from_images,
    feed_from_packs,
)
from mixgan_jax.data.files import load_folder, load_idx
from mixgan_jax.data.images import (
    Images,
    digits,
    from_arrays,
    load_images,
    load_npz,
    to_float,
    to_uint8,
)
from mixgan_jax.data.source import ImageSource, as_source
from mixgan_jax.data.stacked import feed_from_stacks, fixed_packs, fixed_stacks, stack_labels
from mixgan_jax.data.stream import Stream, feed_or_stream, stream_from_images
from mixgan_jax.data.synthetic import (
    GaussianMixture,
    Spirals,
    gaussian_mixture,
    grid,
    ring,
    spirals,
)

__all__ = [
    "Feed",
    "GaussianMixture",
    "ImageSource",
    "Images",
    "Spirals",
    "Stream",
    "as_source",
    "digits",
    "feed_from_stacks",
    "fixed_packs",
    "fixed_stacks",
    "feed_from_distribution",
    "feed_from_images",
    "feed_from_packs",
    "feed_or_stream",
    "from_arrays",
    "gaussian_mixture",
    "grid",
    "load_folder",
    "load_idx",
    "load_images",
    "load_npz",
    "ring",
    "spirals",
    "stack_labels",
    "stream_from_images",
    "to_float",
    "to_uint8",
]
