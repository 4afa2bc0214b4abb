"""Data: synthetic distributions, real images without TensorFlow, and batches of both.

A :class:`Feed` draws batches from arrays on the device, a :class:`Stream` from images that stay on the disk.
"""

from mixgan_jax.data.augment import (
    augmented as augmented,
    diff_augment as diff_augment,
    random_colour as random_colour,
    random_cutout as random_cutout,
    random_flip as random_flip,
    random_translation as random_translation,
)
from mixgan_jax.data.feed import (
    Feed as Feed,
    feed_from_distribution as feed_from_distribution,
    feed_from_images as feed_from_images,
    feed_from_packs as feed_from_packs,
)
from mixgan_jax.data.files import load_folder as load_folder, load_idx as load_idx
from mixgan_jax.data.images import (
    Images as Images,
    digits as digits,
    from_arrays as from_arrays,
    load_images as load_images,
    load_npz as load_npz,
    to_float as to_float,
    to_uint8 as to_uint8,
)
from mixgan_jax.data.source import ImageSource as ImageSource, as_source as as_source
from mixgan_jax.data.stacked import (
    feed_from_stacks as feed_from_stacks,
    fixed_packs as fixed_packs,
    fixed_stacks as fixed_stacks,
    stack_labels as stack_labels,
)
from mixgan_jax.data.stream import (
    Stream as Stream,
    feed_or_stream as feed_or_stream,
    stream_from_images as stream_from_images,
)
from mixgan_jax.data.synthetic import (
    GaussianMixture as GaussianMixture,
    Spirals as Spirals,
    gaussian_mixture as gaussian_mixture,
    grid as grid,
    ring as ring,
    spirals as spirals,
)
