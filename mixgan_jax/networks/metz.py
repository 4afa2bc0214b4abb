"""The small networks in which Metz et al. count the modes of stacked MNIST."""

import flax.linen as nn

from mixgan_jax.checked import checked
from mixgan_jax.networks.conv import ImageBatch
from mixgan_jax.networks.layers import Conv
from mixgan_jax.networks.pyramid import pyramid
from mixgan_jax.networks.stages import ImageNetwork, ImageShape, Latents
from mixgan_jax.types import Array, Count

KERNEL = 3


@checked
class MetzGenerator(ImageNetwork):
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
        dtype: what the layers compute in, see :class:`~mixgan_jax.networks.MLP`.
    """

    shape: ImageShape = (28, 28, 3)
    width: Count = 8
    stages: Count = 3

    def __post_init__(self) -> None:
        """Refuses a shape that the stages cannot make."""
        pyramid(self.shape, self.stages)
        super().__post_init__()

    @nn.compact
    @checked
    def __call__(self, z: Latents, *, train: bool) -> Array:
        """Returns images ``[B, H, W, C]`` in [-1, 1].

        Args:
            z: latents ``[B, Z]``.
            train: whether batch norm uses the batch's statistics, and updates the averages if they are mutable.
        """
        sizes = pyramid(self.shape, self.stages)[::-1]
        channels = self.width * 2**self.stages
        x = self.grow(z, sizes, channels, KERNEL, bias=True, train=train)
        x = self.convolution(Conv, self.shape[2], KERNEL)(x)
        return nn.tanh(self.widened(x))


@checked
class MetzDiscriminator(ImageNetwork):
    """The discriminator of Metz et al.'s stacked MNIST: stride-2 3x3 convolutions, then a dense layer to one logit.

    The sources are those of :class:`MetzGenerator`. Each stage halves height and width and doubles the channels,
    starting with ``width``; batch norm in every stage, the first too, and leaky ReLU with slope 0.3. Every layer has
    a bias. ``width=4``, the papers' "D = 1/2 G": 1,889 parameters for 28x28x3, 108 more for each further image in a
    pack; ``width=2``, their "D = 1/4 G": 585 and 54. (The fractions are of the channels.)

    Attributes:
        width: channels of the first stage; doubled with each stage.
        stages: how often the image is halved; halves of odd sides are rounded up.
        batch_norm: whether stages are batch-normalised.
        kernel_init: initialiser of all kernels, the dense one's too.
        norm_momentum: weight of the old value in the running averages, in [0, 1].
        norm_epsilon: added to the variance.
        axis_name: mesh or vmap axis over which batch statistics are averaged too, or None.
        dtype: what the layers compute in, see :class:`~mixgan_jax.networks.MLP`.
    """

    width: Count = 2
    stages: Count = 3

    @nn.compact
    @checked
    def __call__(self, x: ImageBatch, *, train: bool) -> Array:
        """Returns logits ``[B]``.

        Args:
            x: images ``[B, H, W, C]``.
            train: whether batch norm uses the batch's statistics, and updates the averages if they are mutable.
        """
        pyramid(x.shape[1:], self.stages)
        for stage in range(self.stages):
            x = self.halve(x, self.width * 2**stage, KERNEL, bias=True)
            x = nn.leaky_relu(self.normalise(x, train) if self.batch_norm else x, 0.3)
        return self.judge(x)
