"""Multi-layer perceptrons, among them the networks of PacGAN's two-dimensional experiments."""

import bisect
import math
from collections.abc import Callable, Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp

from mixgan_jax.checks import check_array, check_count, check_counts, check_function, check_kind
from mixgan_jax.networks.layers import Initializer, check_norm, maxout, normalise
from mixgan_jax.types import Array


class MLP(nn.Module):
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
    """

    features: Sequence[int] = (128, 128)
    outputs: int | None = None
    activation: Callable[[Array], Array] = nn.relu
    batch_norm: bool = False
    kernel_init: Initializer = nn.initializers.lecun_normal()
    norm_momentum: float = 0.9
    norm_epsilon: float = 1e-5
    axis_name: str | None = None

    def __post_init__(self) -> None:
        """Checks the sizes."""
        check_counts("features", self.features)
        check_function("activation", self.activation)
        check_norm(self)
        if self.outputs is not None:
            check_count("outputs", self.outputs)
        super().__post_init__()

    @nn.compact
    def __call__(self, x: Array, *, train: bool) -> Array:
        """Outputs ``[B, outputs]``, or logits ``[B]``.

        Args:
            x: inputs ``[B, ...]``, floating point.
            train: whether batch norm uses the batch's statistics, and updates the averages if they are mutable.
        """
        x = check_array("x", x, floating=True)
        if x.ndim < 2 or 0 in x.shape:
            raise ValueError(
                f"x must have shape [B, ...] of rank 2 or more, none of it 0, got {x.shape}"
            )
        x = x.reshape(x.shape[0], -1)
        pieces = getattr(self.activation, "pieces", 1)
        for units in self.features:
            x = nn.Dense(
                units * pieces, use_bias=not self.batch_norm, kernel_init=self.kernel_init
            )(x)
            if self.batch_norm:
                x = normalise(self, x, train)
            x = self.activation(x)
        x = nn.Dense(1 if self.outputs is None else self.outputs, kernel_init=self.kernel_init)(x)
        return x.reshape(-1) if self.outputs is None else x


def pacgan_generator(axis_name: str | None = None) -> MLP:
    """The generator of PacGAN's two-dimensional experiments (Lin et al. 2018, arXiv 1712.04086; released code).

    Four hidden layers of 400 ReLU units with batch norm, two outputs; kernels from N(0, 0.02^2); the running
    averages keep 0.95 of the old value. 484,802 parameters for two latents, the 3,200 scales and shifts of the batch
    norm among them. The epsilon of the batch norm is Flax's, 1e-5.

    Args:
        axis_name: see :class:`MLP`.

    Returns:
        A module from latents ``[B, 2]`` (theirs are standard normal) to points ``[B, 2]``.
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
    """The discriminator of PacGAN's two-dimensional experiments (Lin et al. 2018, arXiv 1712.04086; released code).

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


def widen(net: MLP, times: int, inputs: int) -> MLP:
    """The narrowest copy with at least ``times`` as many parameters: a single network as large as a mixture of them.

    Args:
        net: all its hidden layers have the same width.
        times: a whole number >= 1; for 1 the copy is ``net`` itself.
        inputs: features of an input, Z or D, on which the first layer's size depends.

    Returns:
        A module with hidden layers of one width.

    Raises:
        TypeError, ValueError: hidden layers of different widths, or none; an argument of the wrong kind.
    """
    check_kind("net", net, MLP)
    check_count("times", times)
    check_count("inputs", inputs)
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
