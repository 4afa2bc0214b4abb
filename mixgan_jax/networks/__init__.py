"""Networks as Flax Linen modules, and convolutions that stay fast under ``vmap`` over components.

The only modules of the package, with ``player.from_linen``, that import Flax.
"""

from mixgan_jax.networks.classifier import ConvClassifier
from mixgan_jax.networks.conv import conv, conv_general_dilated, conv_transpose
from mixgan_jax.networks.dcgan import DCGANDiscriminator, DCGANGenerator
from mixgan_jax.networks.layers import Conv, ConvTranspose, maxout
from mixgan_jax.networks.metz import MetzDiscriminator, MetzGenerator
from mixgan_jax.networks.mlp import MLP, pacgan_discriminator, pacgan_generator, widen

__all__ = [
    "Conv",
    "ConvClassifier",
    "ConvTranspose",
    "DCGANDiscriminator",
    "DCGANGenerator",
    "MLP",
    "MetzDiscriminator",
    "MetzGenerator",
    "conv",
    "conv_general_dilated",
    "conv_transpose",
    "maxout",
    "pacgan_discriminator",
    "pacgan_generator",
    "widen",
]
