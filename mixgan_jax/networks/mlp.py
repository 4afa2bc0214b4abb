"""Multi-layer perceptrons, among them the networks of PacGAN's two-dimensional experiments."""

import bisect
import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Annotated, Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from mixgan_jax.checked import checked
from mixgan_jax.checks import check_array, check_counts
from mixgan_jax.networks.layers import Initializer, Normalising, maxout
from mixgan_jax.types import Array, Count


def _check_inputs(name: str, value: Any) -> Array:
    x = check_array(name, value, floating=True)
    if x.ndim < 2 or 0 in x.shape:
        raise ValueError(
            f"{name} must have shape [B, ...] of rank 2 or more, none of it 0, got {x.shape}"
        )
    return x


@checked
class MLP(Normalising):
    """A multi-layer perceptron: a generator if ``outputs`` is a number, a discriminator if it is None.

    Hidden layers are dense, then batch norm if asked for, then the activation; the last layer is dense alone, with
    a bias. Axes after the first are flattened. A hidden layer followed by batch norm has no bias, which the norm
    would cancel. Parameters are float32; biases start at zero.

    Attributes:
        features: units of each hidden layer; may be empty (a linear map).
        outputs: features that come out, or None for one logit per example, of shape ``[B]``.
        activation: applied element by element, or :func:`~mixgan_jax.networks.maxout`.
        batch_norm: whether hidden layers are batch-normalised.
        kernel_init: initialiser of all dense kernels.
        norm_momentum: weight of the old value in the running averages, in [0, 1].
        norm_epsilon: added to the variance.
        axis_name: mesh or vmap axis over which batch statistics are averaged too, or None.
        dtype: what the layers compute in, as ``jnp.bfloat16``: parameters stay float32, and so do batch statistics and
            the result. None: the wider of the inputs' dtype and float32.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> import mixgan_jax as mg
        >>> discriminator, points = mg.networks.MLP((64, 64)), jnp.zeros((5, 2))
        >>> init = lambda key: discriminator.init_with_output(key, points, train=False)
        >>> logits, variables = jax.eval_shape(init, jax.random.key(0))
        >>> logits.shape
        (5,)
    """

    features: Annotated[Sequence[int], check_counts] = (128, 128)
    outputs: Count | None = None
    activation: Callable[[Array], Array] = nn.relu
    batch_norm: bool = False
    kernel_init: Initializer = nn.initializers.lecun_normal()

    @nn.compact
    @checked
    def __call__(self, x: Annotated[Array, _check_inputs], *, train: bool) -> Array:
        """Returns outputs ``[B, outputs]``, or logits ``[B]``.

        Args:
            x: inputs ``[B, ...]``, floating point.
            train: whether batch norm uses the batch's statistics, and updates the averages if they are mutable.
        """
        x = x.reshape(x.shape[0], -1)
        pieces = getattr(self.activation, "pieces", 1)
        dense = partial(nn.Dense, kernel_init=self.kernel_init, dtype=self.dtype)
        # Hidden layers.
        for units in self.features:
            x = dense(units * pieces, use_bias=not self.batch_norm)(x)
            x = self.activation(self.normalise(x, train) if self.batch_norm else x)
        # Last layer.
        x = self.widened(dense(1 if self.outputs is None else self.outputs)(x))
        return x.reshape(-1) if self.outputs is None else x


@checked
def pacgan_generator(axis_name: str | None = None) -> MLP:
    """Makes the generator of PacGAN's two-dimensional experiments (Lin et al. 2018, arXiv 1712.04086; released code).

    Four hidden layers of 400 ReLU units with batch norm, two outputs; kernels from N(0, 0.02^2); the running
    averages keep 0.95 of the old value. 484,802 parameters for two latents, including the 3,200 scales and shifts of
    the batch norm. The epsilon of the batch norm is Flax's, 1e-5.

    Args:
        axis_name: see :class:`MLP`.

    Returns:
        A module from latents ``[B, 2]`` (standard normal in their code) to points ``[B, 2]``.
    """
    return MLP(
        features=(400, 400, 400, 400),
        outputs=2,
        batch_norm=True,
        kernel_init=nn.initializers.normal(0.02),
        norm_momentum=0.95,
        axis_name=axis_name,
    )


def pacgan_discriminator() -> MLP:
    """Makes the discriminator of PacGAN's 2D experiments (Lin et al. 2018, arXiv 1712.04086; released code).

    Three hidden layers of 200 maxout units with five pieces each, one logit; kernels from N(0, 0.02^2); neither
    batch norm nor dropout. 405,201 parameters for points, 2,000 more for each further point in a pack.

    Returns:
        A module from points ``[B, 2]``, or packs ``[B, 2 m]``, to logits ``[B]``.
    """
    return MLP(
        features=(200, 200, 200),
        activation=maxout(5),
        kernel_init=nn.initializers.normal(0.02),
    )


@checked
def widen(net: MLP, times: Count, inputs: Count) -> MLP:
    """Makes the narrowest copy with at least ``times`` as many parameters: one network as large as a mixture.

    Args:
        net: all its hidden layers have the same width.
        times: a whole number >= 1; for 1 the copy is ``net`` itself.
        inputs: features of an input, Z or D, on which the first layer's size depends.

    Returns:
        A module with hidden layers of one width.
    """
    if len(set(net.features)) != 1:
        raise ValueError(f"net must have hidden layers of one width, got features {net.features}")

    def of_width(width: int) -> MLP:
        return net.clone(features=(width,) * len(net.features))

    def size(width: int) -> int:
        variables = jax.eval_shape(
            lambda: of_width(width).init(jax.random.key(0), jnp.zeros((2, inputs)), train=False)
        )
        return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(variables["params"]))

    width = net.features[0]
    widths = range(width, times * width + 1)  # the size grows at least in proportion to the width
    return of_width(widths[bisect.bisect_left(widths, times * size(width), key=size)])
