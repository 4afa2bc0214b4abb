"""Synthetic distributions in closed form: rings, grids and other mixtures of Gaussians, and spirals.

Every distribution is a frozen dataclass of arrays, and so a JAX tree: you can pass it to ``jit``, stack it under
``vmap`` and compare it leaf by leaf. Sampling is a pure function of a key. Lengths (radius, spacing, ``std``) are in
the units of the data; everything is float32.
"""

import functools
import math
from dataclasses import dataclass
from typing import Annotated, Any

import jax
import jax.numpy as jnp
import numpy as np

from mixgan_jax.checked import checked
from mixgan_jax.checks import check_array, is_concrete, on_host
from mixgan_jax.types import Array, ArrayLike, Count, Key, NonNegative, Number, Positive, Shaped

Points = Annotated[ArrayLike, Shaped(2, finite=True)]
"""Points ``[M, D]``."""


def check_positive(rank: int | tuple[int, ...], name: str, value: Any) -> Array:
    """Returns finite numbers > 0."""
    array = check_array(name, value, rank=rank)
    if on_host(value):
        entries = np.atleast_1d(np.asarray(value))
        bad = ~(np.isfinite(entries) & (entries > 0))
        if bad.any():
            index = int(np.argmax(bad))
            raise ValueError(
                f"{name} must be finite and > 0, got {entries[index]} at index {index}"
            )
    return array


Sizes = Annotated[ArrayLike, functools.partial(check_positive, (0, 1))]
"""A number > 0 for all modes, or one for each: ``[M]``."""

Frequencies = Annotated[ArrayLike, functools.partial(check_positive, 1)]
"""Numbers ``[M]``, > 0, in proportion to the modes' probabilities."""


@functools.partial(
    jax.tree_util.register_dataclass, data_fields=["means", "std", "weights"], meta_fields=[]
)
@dataclass(frozen=True)
class GaussianMixture:
    """A mixture of ``M`` isotropic Gaussians in ``D`` dimensions; build it with :func:`gaussian_mixture`.

    Attributes:
        means: centres of the modes ``[M, D]``.
        std: standard deviation per axis of each mode ``[M]``, > 0.
        weights: probability of each mode ``[M]``, > 0, summing to 1.
    """

    means: Array
    std: Array
    weights: Array

    @checked
    def sample(self, key: Key, num_samples: Count) -> Array:
        """Draws independent samples ``[num_samples, D]``.

        Args:
            key: consumed; one half picks the modes, the other draws the noise.
            num_samples: a whole number >= 1, fixed under ``jit``.
        """
        mode_key, noise_key = jax.random.split(key)
        cumulative = jnp.cumsum(self.weights)
        # Scale by the last entry, so that rounding in the sum cannot point past the last mode.
        uniform = jax.random.uniform(mode_key, (num_samples,)) * cumulative[-1]
        modes = jnp.searchsorted(cumulative, uniform, side="right", method="compare_all")
        noise = jax.random.normal(noise_key, (num_samples, self.means.shape[-1]))
        return self.means[modes] + self.std[modes][:, None] * noise

    @checked
    def log_prob(self, x: Annotated[Array, Shaped()]) -> Array:
        """Returns the log density ``[...]`` of points ``[..., D]``, in nats.

        Differences to the centres are formed before squaring, because the expanded square loses all digits of a narrow
        mode in float32. This takes memory for ``[..., M, D]``.
        """
        x = x.astype(jnp.float32)
        num_modes, dim = self.means.shape
        if x.ndim < 1 or x.shape[-1] != dim:
            raise ValueError(f"x must have shape [..., {dim}], got {x.shape}")
        leading = (1,) * (x.ndim - 1)
        means = self.means.reshape((*leading, num_modes, dim))
        std = self.std.reshape((*leading, num_modes))
        scaled = (x[..., None, :] - means) / std[..., None]
        log_modes = (
            -0.5 * jnp.sum(scaled**2, axis=-1)
            - dim * jnp.log(std)
            - 0.5 * dim * math.log(2 * math.pi)
        )
        log_weights = jnp.log(self.weights).reshape((*leading, num_modes))
        return jax.nn.logsumexp(log_modes + log_weights, axis=-1)


@checked
def gaussian_mixture(
    means: Points, std: Sizes, weights: Frequencies | None = None
) -> GaussianMixture:
    """Makes a mixture of isotropic Gaussians from centres, widths and weights.

    Args:
        means: centres ``[M, D]``, M >= 1, finite.
        std: standard deviation per axis, > 0, for all modes (a number) or for each (``[M]``).
        weights: positive numbers ``[M]``, in proportion to the modes' probabilities; None for equal ones. They are
            divided by their sum.

    Returns:
        The mixture, all of it float32.

    Example:
        >>> import mixgan_jax as mg
        >>> mixture = mg.data.gaussian_mixture([[-1.0], [1.0]], std=0.5, weights=[1, 3])
        >>> mixture.weights.tolist()
        [0.25, 0.75]
    """
    means = jnp.asarray(means, jnp.float32)
    num_modes, dim = means.shape
    if num_modes < 1 or dim < 1:
        raise ValueError(f"means must have shape [M, D] with M, D >= 1, got {means.shape}")
    std = jnp.asarray(std, jnp.float32)
    std = jnp.broadcast_to(std, (num_modes,)) if std.ndim == 0 else std
    weights = jnp.asarray(jnp.ones(num_modes) if weights is None else weights, jnp.float32)
    for name, value in (("std", std), ("weights", weights)):
        if value.shape != (num_modes,):
            raise ValueError(f"{name} must have shape ({num_modes},), got {value.shape}")
    return GaussianMixture(means, std, weights / jnp.sum(weights))


@checked
def ring(
    num_modes: Count = 8,
    radius: Positive = 2.0,
    std: Sizes = 0.02,
    *,
    weights: ArrayLike | None = None,
    rotation: Number = 0.0,
) -> GaussianMixture:
    """Makes a ring: Gaussians evenly spaced on a circle about the origin.

    Papers differ, and so does the difficulty. VEEGAN (Srivastava et al. 2017, arXiv 1705.07761) and PacGAN (Lin et
    al. 2018, arXiv 1712.04086) use 8 modes, radius 1 and std 0.01. The default here, radius 2 and std 0.02, is the
    setting usually ascribed to Unrolled GAN (Metz et al. 2016, arXiv 1611.02163). The notebook released with
    Unrolled GAN spaces 8 angles over [0, 2 pi] inclusive, so that two modes coincide and 7 remain, one of double
    weight. Here angle ``m`` is ``2 pi m / num_modes + rotation``, and all modes are distinct.

    Args:
        num_modes: M, a whole number >= 1.
        radius: radius of the circle, > 0.
        std: standard deviation per axis of each mode, > 0.
        weights: as in :func:`gaussian_mixture`, ``[M]``, in the order of the angles; None for equal ones.
        rotation: angle of the first mode, in radians, counter-clockwise.

    Returns:
        A mixture in 2 dimensions.

    Example:
        >>> import mixgan_jax as mg
        >>> mg.data.ring(4).means.round(2).tolist()
        [[2.0, 0.0], [0.0, 2.0], [-2.0, 0.0], [-0.0, -2.0]]
    """
    module: Any = np if is_concrete(rotation) else jnp
    angles = 2 * np.pi * np.arange(num_modes) / num_modes + rotation
    circle = module.stack([module.cos(angles), module.sin(angles)], axis=-1).astype(np.float32)
    return gaussian_mixture(jnp.asarray(radius, jnp.float32) * circle, std, weights)


@checked
def grid(
    side: Count = 5, spacing: Positive = 2.0, std: Sizes = 0.05, *, weights: ArrayLike | None = None
) -> GaussianMixture:
    """Makes a square grid of Gaussians about the origin.

    The default has 25 centres {-4, -2, 0, 2, 4}^2 and std 0.05, as in VEEGAN (Srivastava et al. 2017, arXiv
    1705.07761) and PacGAN (Lin et al. 2018, arXiv 1712.04086).

    Args:
        side: number of modes along each axis, a whole number >= 1; the mixture has ``side**2`` modes.
        spacing: distance of neighbouring centres, > 0.
        std: standard deviation per axis of each mode, > 0.
        weights: as in :func:`gaussian_mixture`, ``[side**2]``, column by column; None for equal ones.

    Returns:
        A mixture in 2 dimensions; mode ``side * i + j`` lies at column ``i``, row ``j``.

    Example:
        >>> import mixgan_jax as mg
        >>> mg.data.grid(2).means.tolist()
        [[-1.0, -1.0], [-1.0, 1.0], [1.0, -1.0], [1.0, 1.0]]
    """
    axis = np.arange(side) - (side - 1) / 2
    centers = np.stack(np.meshgrid(axis, axis, indexing="ij"), axis=-1).reshape(-1, 2)
    means = jnp.asarray(spacing, jnp.float32) * centers.astype(np.float32)
    return gaussian_mixture(means, std, weights)


@functools.partial(
    jax.tree_util.register_dataclass,
    data_fields=["turns", "radius", "std"],
    meta_fields=["num_arms"],
)
@dataclass(frozen=True)
class Spirals:
    """Archimedean spirals from the origin, turned copies of each other, with Gaussian noise; made by :func:`spirals`.

    Attributes:
        num_arms: number of arms, each equally likely.
        turns: full turns of each arm, scalar.
        radius: distance of an arm's end from the origin, scalar.
        std: standard deviation per axis of the noise, scalar; 0 for points on the curves.
    """

    num_arms: int
    turns: Array
    radius: Array
    std: Array

    @checked
    def sample(self, key: Key, num_samples: Count) -> Array:
        """Draws independent samples ``[num_samples, 2]``.

        Args:
            key: consumed; split into arms, places along the arm, and noise.
            num_samples: a whole number >= 1, fixed under ``jit``.
        """
        arm_key, place_key, noise_key = jax.random.split(key, 3)
        arms = jax.random.randint(arm_key, (num_samples,), 0, self.num_arms)
        # Arc length grows about as the square of the angle, so the root spreads the points evenly along the arm.
        place = jnp.sqrt(jax.random.uniform(place_key, (num_samples,)))
        angle = 2 * math.pi * (self.turns * place + arms.astype(jnp.float32) / self.num_arms)
        direction = jnp.stack([jnp.cos(angle), jnp.sin(angle)], axis=-1)
        noise = jax.random.normal(noise_key, (num_samples, 2))
        return (self.radius * place)[:, None] * direction + self.std * noise


@checked
def spirals(
    num_arms: Count = 2, turns: Positive = 1.5, radius: Positive = 2.0, std: NonNegative = 0.05
) -> Spirals:
    """Makes a distribution on spirals: ``r = radius * s``, ``angle = 2 pi (turns * s + arm / num_arms)``.

    ``s`` is the root of a uniform variable, which makes points about evenly dense along each arm. The mass lies on
    connected curves, not in separate modes. The sizes are our choice and follow no paper.

    Args:
        num_arms: number of spirals, a whole number >= 1.
        turns: full turns from the origin to the end of an arm, > 0.
        radius: distance of the ends of the arms from the origin, > 0.
        std: standard deviation per axis of the added Gaussian noise, >= 0.

    Returns:
        A distribution in 2 dimensions with ``sample(key, num_samples)``; it has no density in closed form.
    """
    as_float = functools.partial(jnp.asarray, dtype=jnp.float32)
    return Spirals(num_arms, as_float(turns), as_float(radius), as_float(std))
