"""DCGAN networks, by default for images whose sides divide by four."""

from typing import Annotated

import flax.linen as nn
from annotated_types import Ge

from mixgan_jax.checked import checked
from mixgan_jax.networks.conv import ImageBatch
from mixgan_jax.networks.pyramid import pyramid
from mixgan_jax.networks.stages import ImageNetwork, ImageShape, Latents
from mixgan_jax.types import Array, Count


@checked
class DCGANGenerator(ImageNetwork):
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
            4, at least twice. With a number odd sides work as well, and their halves are rounded up.
        kernel_size: height and width of every kernel, >= 2.
        batch_norm: whether hidden layers are batch-normalised; without it they have biases.
        kernel_init: initialiser of all kernels, the dense one's too.
        norm_momentum: weight of the old value in the running averages, in [0, 1].
        norm_epsilon: added to the variance.
        axis_name: mesh or vmap axis over which batch statistics are averaged too, or None.
        dtype: what the layers compute in, see :class:`~mixgan_jax.networks.MLP`.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> import mixgan_jax as mg
        >>> generator, latents = mg.networks.DCGANGenerator((28, 28, 1)), jnp.zeros((5, 100))
        >>> init = lambda key: generator.init_with_output(key, latents, train=False)
        >>> images, variables = jax.eval_shape(init, jax.random.key(0))
        >>> images.shape
        (5, 28, 28, 1)
    """

    shape: ImageShape = (28, 28, 1)
    width: Count = 64
    stages: Count | None = None
    kernel_size: Annotated[int, Ge(2)] = 4

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
        *sizes, last = pyramid(self.shape, self.stages)[::-1]
        channels = self.width * 2 ** (len(sizes) - 1)
        bias, kernel = not self.batch_norm, self.kernel_size
        x = self.grow(z, sizes, channels, kernel, bias=bias, train=train)
        x = self.double(x, sizes[-1], last, self.shape[2], kernel, bias=True)
        return nn.tanh(self.widened(x))


@checked
class DCGANDiscriminator(ImageNetwork):
    """The discriminator of DCGAN: stride-2 convolutions, then a dense layer to one logit.

    Radford, Metz and Chintala (2016, arXiv 1511.06434). Each stage halves height and width and doubles the channels,
    starting with ``width``; leaky ReLU with slope 0.2; batch norm in every stage but the first. Kernels from
    N(0, 0.02^2). The number of stages follows the image as in :class:`DCGANGenerator`, and the departures are the
    same. Packed images, more channels, need no other settings.

    Attributes:
        width: channels of the first stage; doubled with each stage.
        stages: see :class:`DCGANGenerator`; None: from the height and width of the images.
        kernel_size: height and width of every kernel, >= 2.
        batch_norm: whether stages after the first are batch-normalised; without it they have biases.
        kernel_init: initialiser of all kernels, the dense one's too.
        norm_momentum: weight of the old value in the running averages, in [0, 1].
        norm_epsilon: added to the variance.
        axis_name: mesh or vmap axis over which batch statistics are averaged too, or None.
        dtype: what the layers compute in, see :class:`~mixgan_jax.networks.MLP`.
    """

    width: Count = 64
    stages: Count | None = None
    kernel_size: Annotated[int, Ge(2)] = 4

    @nn.compact
    @checked
    def __call__(self, x: ImageBatch, *, train: bool) -> Array:
        """Returns logits ``[B]``.

        Args:
            x: images ``[B, H, W, C]``.
            train: whether batch norm uses the batch's statistics, and updates the averages if they are mutable.
        """
        for stage in range(len(pyramid(x.shape[1:], self.stages)) - 1):
            normalised = self.batch_norm and stage > 0
            x = self.halve(x, self.width * 2**stage, self.kernel_size, bias=not normalised)
            x = nn.leaky_relu(self.normalise(x, train) if normalised else x, 0.2)
        return self.judge(x)
