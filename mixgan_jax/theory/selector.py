r"""The multi-way selector, which folds a mixture of T generators into ONE network: ReLU layers with their own weights.

The selector takes mixed equilibria to pure ones (Arora et al. 2017, arXiv 1703.00573, "multi-way selector"; we
reconstructed the layers below ourselves). One more latent, the seed ``s ~ N(0, 1)``, chooses the component:

    thresholds  t_i = Phi^-1(w_1 + ... + w_i),                      i = 1..T-1
    ramps       r_i = 1 - ReLU(1 - ReLU((s - t_i) / width)),        r_0 = 1, r_T = 0
    gates       g_i = r_{i-1} - r_i,    >= 0 and of sum 1
    output      y = sum_i ReLU(z_i - M (1 - g_i)),                  z_i the pre-activation of generator i, M >= |z_i|

A gate stands *inside* the last ReLU: an open one (``g_i = 1``) leaves ``ReLU(z_i)``, a closed one 0. Signed outputs
need two copies, ``y = sum_i ReLU(z_i - M (1 - g_i)) - ReLU(-z_i - M (1 - g_i))``. The gates are one-hot unless the
seed falls into a ramp, ``t_i < s < t_i + width`` for some i. The probability of that is at most
``(T - 1) width / sqrt(2 pi)``, and the output is then 0 or between 0 and a pre-activation.

Departure: the ramp is usually written ``ReLU(x) - ReLU(x - 1)``, the same function of real numbers. Its float32 value
beyond the ramp is 1 up to the rounding of x, which M multiplies. Ours is exactly 1, since the inner ReLU saturates the
outer one. So an open gate passes its generator's output unchanged, whatever M is.
"""

from typing import Annotated, Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np

from mixgan_jax.checked import checked
from mixgan_jax.checks import check_log_weights
from mixgan_jax.types import Array, Params, Positive, Shaped


def check_one_mixture(name: str, value: Any) -> Array:
    """Returns log-weights ``[T]`` with logsumexp 0."""
    array = check_log_weights(name, value)
    if array.ndim != 1:
        raise ValueError(f"{name} must be of one mixture, shape [T], got {array.shape}")
    return array


def check_folded(name: str, value: Any) -> Params:
    """Returns parameters that have ramps."""
    if not (isinstance(value, dict) and isinstance(value.get("ramps"), dict)):
        raise ValueError(f"{name} must be those of a folded network, got {type(value).__name__}")
    return value


OneMixture: TypeAlias = Annotated[Array, check_one_mixture]
"""Log-weights ``[T]`` with logsumexp 0."""

Seeds: TypeAlias = Annotated[Array, Shaped(1, floating=True, finite=True)]
"""Draws of N(0, 1), ``[N]``."""

_OUTERMOST = 10.0  # |s| beyond it has probability 2e-23: no draw in float32 comes near


@checked
def thresholds(log_weights: OneMixture) -> Array:
    """Returns the seeds at which the component changes, ``t_i = Phi^-1(w_1 + ... + w_i)``.

    So ``P(t_{i-1} < s < t_i) = w_i``.

    Args:
        log_weights: ``[T]`` with logsumexp 0; weights of 0 make equal thresholds.

    Returns:
        ``[T - 1]`` float32, rising, in [-10, 10].
    """
    weights = jnp.exp(log_weights.astype(jnp.float32))
    below = jnp.cumsum(weights)[:-1]
    above = jnp.cumsum(weights[::-1])[::-1][1:]
    # Use the smaller tail: float32 cannot hold 1 - w for the smallest w.
    quantile = jax.scipy.special.ndtri(jnp.clip(jnp.minimum(below, above), 0.0, 0.5))
    signed = jnp.where(below < above, quantile, -quantile)
    # Rounding of the two sums must not make neighbours fall.
    return jax.lax.cummax(jnp.clip(signed, -_OUTERMOST, _OUTERMOST))


@checked
def chosen_component(log_weights: OneMixture, seeds: Seeds) -> Array:
    """Returns the component that a seed chooses: the number of thresholds below it.

    Args:
        log_weights: ``[T]`` with logsumexp 0.
        seeds: ``[N]``, floating point, draws of N(0, 1).

    Returns:
        ``[N]`` int32 in 0..T-1, each i with probability ``w_i``.
    """
    edges = thresholds(log_weights)
    return jnp.searchsorted(edges, seeds.astype(jnp.float32)).astype(jnp.int32)


@checked
def gates(params: Annotated[Params, check_folded], seeds: Seeds) -> Array:
    """Computes the gates ``g_i`` of a folded network with its own ReLU units.

    Args:
        params: of :class:`Folded`.
        seeds: ``[N]``, floating point.

    Returns:
        ``[N, T]`` float32, >= 0 and of sum 1; one-hot if the seed is in no ramp.
    """
    missing = ramps_missing(params["ramps"], seeds)
    count = missing.shape[0]
    edge = jnp.ones((count, 1), jnp.float32)
    ramps = jnp.concatenate([edge, 1.0 - missing, 1.0 - edge], axis=1)
    return ramps[:, :-1] - ramps[:, 1:]


@checked
def ramp_mass(log_weights: OneMixture, width: Positive) -> dict[str, float]:
    """Returns the probability that the seed falls into a ramp, so that the gates are not one-hot.

    Args:
        log_weights: ``[T]`` with logsumexp 0, not traced.
        width: of a ramp, > 0.

    Returns:
        ``exact``, the mass of the union of the T - 1 ramps under N(0, 1), in float64; and ``bound``, the density's
        maximum times their length, ``(T - 1) width / sqrt(2 pi)``.
    """
    from scipy.special import ndtr

    edges = np.asarray(thresholds(log_weights), np.float64)
    ends = np.minimum(edges + width, np.append(edges[1:], np.inf))
    # In the upper tail Phi would lose digits, 1 - Phi does not.
    flip = edges > 0
    mass = np.where(flip, ndtr(-edges) - ndtr(-ends), ndtr(ends) - ndtr(edges))
    return {"exact": float(mass.sum()), "bound": edges.size * width / float(np.sqrt(2.0 * np.pi))}


def ramps_missing(ramps: Params, seeds: Array) -> Array:
    """Returns ``1 - r_i``, ``[B, T - 1]``, by two layers of ReLUs: exactly 1 below the ramp and exactly 0 above it."""
    seeds = seeds.astype(jnp.float32)[:, None]
    rising = jax.nn.relu(seeds * ramps["kernel"][None] + ramps["bias"][None])
    return jax.nn.relu(rising * ramps["clamp_kernel"][None] + ramps["clamp_bias"][None])
