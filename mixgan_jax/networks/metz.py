"""The small networks in which Metz et al. count the modes of stacked MNIST."""

import itertools
from collections.abc import Sequence

import flax.linen as nn

from mixgan_jax.checks import check_count, check_counts
from mixgan_jax.networks.conv import check_images
from mixgan_jax.networks.layers import Conv, Initializer, check_norm, normalise
from mixgan_jax.networks.pyramid import pyramid
from mixgan_jax.networks.stages import grow, one_logit, rectify, smallest_image
from mixgan_jax.types import Array

KERNEL = (3, 3)


class MetzGenerator(nn.Module):
    """The generator of Metz et al.'s stacked MNIST: DCGAN with 3x3 kernels, few channels, and one convolution more.

    Metz, Poole, Pfau and Sohl-Dickstein (2016, arXiv 1611.02163), as PacGAN's released code has it (Lin et al. 2018,
    arXiv 1712.04086): dense to 4x4x64, stride-2 transposed convolutions to 7x7x32, 14x14x16 and 28x28x8, each
    followed by batch norm and ReLU, then a convolution of stride 1 to the image's channels, and tanh. Every layer has
    a bias, also those whose batch norm cancels it: 287,875 parameters for 256 latents and 28x28x3.

    Departure: kernels are all from N(0, 0.02^2); in the released code those of plain convolutions are truncated at two
    standard deviations.

    Attributes:
        shape: of an image, (H, W, C).
        width: channels of the last hidden layer; doubled with each stage towards the latents.
        stages: how often the image doubles; halves of odd sides are rounded up.
        batch_norm: whether hidden layers are batch-normalised.
        kernel_init: initialiser of all kernels, the dense one's too.
        norm_momentum: weight of the old value in the running averages, in [0, 1].
        norm_epsilon: added to the variance.
        axis_name: mesh or vmap axis over which batch statistics are averaged too, or None.

    Raises:
        ValueError: a ``shape`` that is not three whole numbers >= 1, or that ``stages`` cannot make.
    """

    shape: Sequence[int] = (28, 28, 3)
    width: int = 8
    stages: int = 3
    batch_norm: bool = True
    kernel_init: Initializer = nn.initializers.normal(0.02)
    norm_momentum: float = 0.9
    norm_epsilon: float = 1e-5
    axis_name: str | None = None

    def __post_init__(self) -> None:
        """Checks the sizes."""
        check_counts("shape", self.shape, 3)
        check_norm(self)
        check_count("width", self.width)
        check_count("stages", self.stages)
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
        channels = self.width * 2**self.stages
        x = rectify(self, smallest_image(self, z, sizes[0], channels, use_bias=True), train)
        for small, large in itertools.pairwise(sizes):
            channels //= 2
            x = grow(self, x, small, large, channels, KERNEL[0], use_bias=True)
            x = rectify(self, x, train)
        return nn.tanh(Conv(self.shape[2], KERNEL, kernel_init=self.kernel_init)(x))


class MetzDiscriminator(nn.Module):
    """The discriminator of Metz et al.'s stacked MNIST: stride-2 3x3 convolutions, then a dense layer to one logit.

    Sources as of :class:`MetzGenerator`. Each stage halves height and width and doubles the channels, starting with
    ``width``; batch norm in every stage, the first too, and leaky ReLU with slope 0.3. Every layer has a bias.
    ``width=4``, the papers' "D = 1/2 G": 1,889 parameters for 28x28x3, 108 more for each further image in a pack;
    ``width=2``, their "D = 1/4 G": 585 and 54. (The fractions are of the channels.)

    Attributes:
        width: channels of the first stage; doubled with each stage.
        stages: how often the image is halved; halves of odd sides are rounded up.
        batch_norm: whether stages are batch-normalised.
        kernel_init: initialiser of all kernels, the dense one's too.
        norm_momentum: weight of the old value in the running averages, in [0, 1].
        norm_epsilon: added to the variance.
        axis_name: mesh or vmap axis over which batch statistics are averaged too, or None.
    """

    width: int = 2
    stages: int = 3
    batch_norm: bool = True
    kernel_init: Initializer = nn.initializers.normal(0.02)
    norm_momentum: float = 0.9
    norm_epsilon: float = 1e-5
    axis_name: str | None = None

    def __post_init__(self) -> None:
        """Checks the sizes."""
        check_norm(self)
        check_count("width", self.width)
        check_count("stages", self.stages)
        super().__post_init__()

    @nn.compact
    def __call__(self, x: Array, *, train: bool) -> Array:
        """Logits ``[B]``.

        Args:
            x: images ``[B, H, W, C]``.
            train: whether batch norm uses the batch's statistics, and updates the averages if they are mutable.
        """
        x = check_images("x", x)
        pyramid(x.shape[1:], self.stages)
        for stage in range(self.stages):
            halve = Conv(self.width * 2**stage, KERNEL, strides=2, kernel_init=self.kernel_init)
            x = halve(x)
            x = nn.leaky_relu(normalise(self, x, train) if self.batch_norm else x, 0.3)
        return one_logit(self, x)
