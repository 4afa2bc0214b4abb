"""Networks as Flax Linen modules, and convolutions that stay fast under ``vmap`` over components.

The only modules of the package, with ``player.from_linen``, that import Flax.
"""

from mixgan_jax.networks.classifier import (
    ConvClassifier as ConvClassifier,
    ResidualClassifier as ResidualClassifier,
)
from mixgan_jax.networks.conv import (
    conv as conv,
    conv_general_dilated as conv_general_dilated,
    conv_transpose as conv_transpose,
)
from mixgan_jax.networks.dcgan import (
    DCGANDiscriminator as DCGANDiscriminator,
    DCGANGenerator as DCGANGenerator,
)
from mixgan_jax.networks.inception import InceptionV3 as InceptionV3
from mixgan_jax.networks.layers import (
    Conv as Conv,
    ConvTranspose as ConvTranspose,
    maxout as maxout,
)
from mixgan_jax.networks.metz import (
    MetzDiscriminator as MetzDiscriminator,
    MetzGenerator as MetzGenerator,
)
from mixgan_jax.networks.mlp import (
    MLP as MLP,
    pacgan_discriminator as pacgan_discriminator,
    pacgan_generator as pacgan_generator,
    widen as widen,
)
from mixgan_jax.networks.residual import (
    ResidualDiscriminator as ResidualDiscriminator,
    ResidualGenerator as ResidualGenerator,
)
from mixgan_jax.networks.sngan import (
    SNGANDiscriminator as SNGANDiscriminator,
    SNGANGenerator as SNGANGenerator,
)
