"""DCGAN networks, by default for images whose sides divide by four."""

import itertools
from collections.abc import Sequence

import flax.linen as nn

from mixgan_jax.checks import check_count, check_counts
from mixgan_jax.networks.conv import check_images
from mixgan_jax.networks.layers import Conv, Initializer, check_norm, normalise
from mixgan_jax.networks.pyramid import pyramid
from mixgan_jax.networks.stages import grow, one_logit, rectify, smallest_image
from mixgan_jax.types import Array


class DCGANGenerator(nn.Module):
    """The generator of DCGAN: latents through a dense layer, then stride-2 transposed convolutions.

    Radford, Metz and Chintala (2016, arXiv 1511.06434). Dense to the smallest image, then in each stage a transposed
    convolution that doubles height and width and halves the channels, down to ``width`` before the last; batch norm
    and ReLU after all but the last, which ends in tanh. 28x28: 7, 14, 28 with ``2 width, width, C`` channels; 32x32:
    4, 8, 16, 32 with ``4 width, 2 width, width, C``; 8x8: 2, 4, 8. Kernels from N(0, 0.02^2).

    Departures: their images are 64x64, which takes one stage more; here the number of stages follows the image. Batch
    norm starts at scale 1. Kernels are 4x4 by default: with 5x5 the stride does not divide the kernel, so that
    neighbouring pixels come from different numbers of taps.
    ``DCGANGenerator((28, 28, 3), stages=4, kernel_size=5)`` has the layers of PacGAN's network for stacked MNIST
    (Lin et al. 2018, arXiv 1712.04086; released code): 2, 4, 7, 14, 28.

    Attributes:
        shape: of an image, (H, W, C).
        width: channels before the last stage; doubled with each stage towards the latents.
        stages: how often the image doubles. None: halved from ``shape`` for as long as the sides are even and above
            4, at least twice. With a number odd sides work as well, halves being rounded up.
        kernel_size: height and width of every kernel, >= 2.
        batch_norm: whether hidden layers are batch-normalised; if not they have biases.
        kernel_init: initialiser of all kernels, the dense one's too.
        norm_momentum: weight of the old value in the running averages, in [0, 1].
        norm_epsilon: added to the variance.
        axis_name: mesh or vmap axis over which batch statistics are averaged too, or None.

    Raises:
        ValueError: a ``shape`` that is not three whole numbers >= 1, or that ``stages`` cannot make.
    """

    shape: Sequence[int] = (28, 28, 1)
    width: int = 64
    stages: int | None = None
    kernel_size: int = 4
    batch_norm: bool = True
    kernel_init: Initializer = nn.initializers.normal(0.02)
    norm_momentum: float = 0.9
    norm_epsilon: float = 1e-5
    axis_name: str | None = None

    def __post_init__(self) -> None:
        """Checks the sizes."""
        check_counts("shape", self.shape, 3)
        check_norm(self)
        _check_sizes(self.width, self.stages, self.kernel_size)
        pyramid(self.shape, self.stages)
        super().__post_init__()

    @nn.compact
    def __call__(self, z: Array, *, train: bool) -> Array:
        """Images ``[B, H, W, C]`` in [-1, 1].

        Args:
            z: latents ``[B, Z]``.
            train: whether batch norm uses the batch's statistics, and updates the averages if they are mutable.
        """
        sizes = pyramid(self.shape, self.stages)[::-1]
        channels = self.width * 2 ** (len(sizes) - 2)
        bias, kernel = not self.batch_norm, self.kernel_size
        x = smallest_image(self, z, sizes[0], channels, use_bias=bias)
        for small, large in itertools.pairwise(sizes[:-1]):
            channels //= 2
            x = grow(self, rectify(self, x, train), small, large, channels, kernel, use_bias=bias)
        x = rectify(self, x, train)
        return nn.tanh(grow(self, x, sizes[-2], sizes[-1], self.shape[2], kernel, use_bias=True))


class DCGANDiscriminator(nn.Module):
    """The discriminator of DCGAN: stride-2 convolutions, then a dense layer to one logit.

    Radford, Metz and Chintala (2016, arXiv 1511.06434). Each stage halves height and width and doubles the channels,
    starting with ``width``; leaky ReLU with slope 0.2; batch norm in every stage but the first. Kernels from
    N(0, 0.02^2). The number of stages follows the image as in :class:`DCGANGenerator`, and the departures are the
    same. Packed images, more channels, need no other settings.

    Attributes:
        width: channels of the first stage; doubled with each stage.
        stages: see :class:`DCGANGenerator`; None: from the height and width of the images.
        kernel_size: height and width of every kernel, >= 2.
        batch_norm: whether stages after the first are batch-normalised; if not they have biases.
        kernel_init: initialiser of all kernels, the dense one's too.
        norm_momentum: weight of the old value in the running averages, in [0, 1].
        norm_epsilon: added to the variance.
        axis_name: mesh or vmap axis over which batch statistics are averaged too, or None.
    """

    width: int = 64
    stages: int | None = None
    kernel_size: int = 4
    batch_norm: bool = True
    kernel_init: Initializer = nn.initializers.normal(0.02)
    norm_momentum: float = 0.9
    norm_epsilon: float = 1e-5
    axis_name: str | None = None

    def __post_init__(self) -> None:
        """Checks the sizes."""
        check_norm(self)
        _check_sizes(self.width, self.stages, self.kernel_size)
        super().__post_init__()

    @nn.compact
    def __call__(self, x: Array, *, train: bool) -> Array:
        """Logits ``[B]``.

        Args:
            x: images ``[B, H, W, C]``.
            train: whether batch norm uses the batch's statistics, and updates the averages if they are mutable.
        """
        x = check_images("x", x)
        for stage in range(len(pyramid(x.shape[1:], self.stages)) - 1):
            normalised = self.batch_norm and stage > 0
            x = Conv(
                self.width * 2**stage,
                (self.kernel_size, self.kernel_size),
                strides=2,
                use_bias=not normalised,
                kernel_init=self.kernel_init,
            )(x)
            x = nn.leaky_relu(normalise(self, x, train) if normalised else x, 0.2)
        return one_logit(self, x)


def _check_sizes(width: int, stages: int | None, kernel_size: int) -> None:
    check_count("width", width)
    check_count("kernel_size", kernel_size, minimum=2)
    if stages is not None:
        check_count("stages", stages)
