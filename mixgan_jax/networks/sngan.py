"""The convolutional networks of SNGAN, by default for images whose sides divide by four."""

from dataclasses import field

import flax.linen as nn

from mixgan_jax.checked import checked
from mixgan_jax.networks.conv import ImageBatch
from mixgan_jax.networks.layers import Conv
from mixgan_jax.networks.pyramid import pyramid
from mixgan_jax.networks.spectral import SpectralNetwork
from mixgan_jax.networks.stages import ImageNetwork, ImageShape, Latents
from mixgan_jax.types import Array, Count


@checked
class SNGANGenerator(ImageNetwork):
    """The generator of SNGAN: a dense layer, stride-2 transposed convolutions, then one convolution more.

    Miyato, Kataoka, Koyama and Yoshida (2018, arXiv 1802.05957, table 3a). Dense to the smallest image, then in each
    stage a 4x4 transposed convolution that doubles height and width and halves the channels, down to ``width``; batch
    norm and ReLU after all of these; a 3x3 convolution to the image and tanh. 32x32: 4, 8, 16, 32 with
    ``8 width, 4 width, 2 width, width`` channels. Kernels from N(0, 0.02^2).

    Attributes:
        shape: of an image, (H, W, C).
        width: channels after the last stage; doubled with each stage towards the latents.
        stages: how often the image doubles; see :class:`DCGANGenerator`.
        batch_norm: whether hidden layers are batch-normalised; without it they have biases.
        kernel_init: initialiser of all kernels, the dense one's too.
        norm_momentum: weight of the old value in the running averages, in [0, 1].
        norm_epsilon: added to the variance.
        axis_name: mesh or vmap axis over which batch statistics are averaged too, or None.
        dtype: what the layers compute in, see :class:`~mixgan_jax.networks.MLP`.
    """

    shape: ImageShape = (32, 32, 3)
    width: Count = 64
    stages: Count | None = None

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
        channels = self.width * 2 ** (len(sizes) - 1)
        x = self.grow(z, sizes, channels, 4, bias=not self.batch_norm, train=train)
        return nn.tanh(self.widened(self.convolution(Conv, self.shape[2], 3)(x)))


@checked
class SNGANDiscriminator(SpectralNetwork):
    """The discriminator of SNGAN: pairs of convolutions under spectral norm, then a dense layer to one logit.

    Miyato, Kataoka, Koyama and Yoshida (2018, arXiv 1802.05957, table 3b). Each stage is a 3x3 convolution and a 4x4
    one with stride 2, of the same channels: ``width`` in the first stage, doubled with each. A last 3x3 convolution
    doubles them once more. Leaky ReLU with slope 0.1, no batch norm. Kernels from N(0, 0.02^2), which spectral norm
    scales away. Train it with ``losses.hinge()``.

    Attributes:
        width: channels of the first stage; doubled with each stage.
        stages: how often the image is halved; see :class:`DCGANGenerator`; None: from the sides of the images.
        spectral_norm: whether each kernel is divided by its largest singular value; False for the same layers without.
        batch_norm: whether layers after the first are batch-normalised.
        kernel_init: initialiser of all kernels, the dense one's too.
        norm_momentum: weight of the old value in the running averages, in [0, 1].
        norm_epsilon: added to the variance.
        axis_name: mesh or vmap axis over which batch statistics are averaged too, or None.
        dtype: what the layers compute in, see :class:`~mixgan_jax.networks.MLP`.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> import mixgan_jax as mg
        >>> critic = mg.from_linen(mg.networks.SNGANDiscriminator(width=8))
        >>> params, state = jax.eval_shape(critic.init, jax.random.key(0), jnp.zeros((1, 32, 32, 3)))
        >>> state["batch_stats"]["SpectralNorm_0"]["Conv_0/kernel/u"].shape
        (1, 8)
    """

    width: Count = 64
    stages: Count | None = None
    batch_norm: bool = field(default=False, kw_only=True)

    @nn.compact
    @checked
    def __call__(self, x: ImageBatch, *, train: bool) -> Array:
        """Returns logits ``[B]``.

        Args:
            x: images ``[B, H, W, C]``.
            train: whether each kernel's vector takes a step that is kept, if the state is mutable.
        """
        stages = len(pyramid(x.shape[1:], self.stages)) - 1
        for stage in range(stages):
            x = self._layer(x, stage, 3, 1, train)
            x = self._layer(x, stage, 4, 2, train)
        x = self._layer(x, stages, 3, 1, train)
        logits = self.bounded(self.dense(1), x.reshape(x.shape[0], -1), train)
        return self.widened(logits.reshape(-1))

    @nn.nowrap
    def _layer(self, x: Array, stage: int, kernel: int, strides: int, train: bool) -> Array:
        """Convolves, normalises if the network has batch norm and the layer is not the first, and rectifies."""
        normalised = self.batch_norm and (stage, strides) != (0, 1)
        layer = self.convolution(
            Conv, self.width * 2**stage, kernel, strides=strides, use_bias=not normalised
        )
        x = self.bounded(layer, x, train)
        return nn.leaky_relu(self.normalise(x, train) if normalised else x, 0.1)
