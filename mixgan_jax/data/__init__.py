"""Data: synthetic distributions, real images without TensorFlow, and feeds that make batches of both."""

from mixgan_jax.data.feed import Feed, feed_from_distribution, feed_from_images
from mixgan_jax.data.images import (
    Images,
    digits,
    from_arrays,
    load_images,
    load_npz,
    to_float,
    to_uint8,
)
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
    "Images",
    "Spirals",
    "digits",
    "feed_from_distribution",
    "feed_from_images",
    "from_arrays",
    "gaussian_mixture",
    "grid",
    "load_images",
    "load_npz",
    "ring",
    "spirals",
    "to_float",
    "to_uint8",
]
