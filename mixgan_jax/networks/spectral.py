"""The base of networks that may bound the spectral norm of their kernels."""

import flax.linen as nn

from mixgan_jax.networks.stages import ImageNetwork
from mixgan_jax.types import Array


class SpectralNetwork(ImageNetwork, kw_only=True):
    """Base of networks whose every kernel may be divided by an estimate of its largest singular value.

    The estimate is one step of power iteration on the kernel, reshaped to ``[kh kw C, O]`` (Miyato, Kataoka, Koyama and
    Yoshida 2018, arXiv 1802.05957, algorithm 1). Its vector is model state, beside the averages of batch norm: each
    component has its own, a frozen component keeps it, and checkpoints hold it. In training each pass moves it. In
    evaluation each pass takes a step from where it stands, and forgets it.

    Attributes:
        spectral_norm: whether all kernels are divided so, the dense ones' too.
    """

    spectral_norm: bool = True

    @nn.nowrap
    def bounded(self, layer: nn.Module, x: Array, train: bool) -> Array:
        """Applies a layer, with its kernel divided if the network asks for it; inside ``__call__``."""
        if not self.spectral_norm:
            return layer(x)
        return nn.SpectralNorm(layer)(x, update_stats=train)
