r"""A mixture of T generators folded into ONE network: the multi-way selector, as ReLU layers with weights of their own.

The step from mixed to pure equilibria (Arora et al. 2017, arXiv 1703.00573, "multi-way selector"; the layers below are
our own reconstruction). One further latent, the seed ``s ~ N(0, 1)``, chooses the component:

    thresholds  t_i = Phi^-1(w_1 + ... + w_i),                      i = 1..T-1
    ramps       r_i = 1 - ReLU(1 - ReLU((s - t_i) / width)),        r_0 = 1, r_T = 0
    gates       g_i = r_{i-1} - r_i,    >= 0 and of sum 1
    output      y = sum_i ReLU(z_i - M (1 - g_i)),                  z_i the pre-activation of generator i, M >= |z_i|

A gate stands *inside* the last ReLU: an open one (``g_i = 1``) leaves ``ReLU(z_i)``, a closed one 0. Signed outputs
need two copies, ``y = sum_i ReLU(z_i - M (1 - g_i)) - ReLU(-z_i - M (1 - g_i))``. The gates are one-hot unless the
seed falls into a ramp, ``t_i < s < t_i + width`` for some i, which has probability at most
``(T - 1) width / sqrt(2 pi)``; there the output is 0 or between 0 and a pre-activation.

Departure: the ramp is usually written ``ReLU(x) - ReLU(x - 1)``, the same function of real numbers. Its float32 value
beyond the ramp is 1 up to the rounding of x, which M multiplies; ours is 1 exactly, since the inner ReLU saturates the
outer one. So an open gate passes its generator's output unchanged, whatever M is.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from mixgan_jax.checks import check_array, check_log_weights, check_number
from mixgan_jax.types import Array, Params

_OUTERMOST = 10.0  # |s| beyond it has probability 2e-23: no draw in float32 comes near


def thresholds(log_weights: Array) -> Array:
    """Where the component changes: ``t_i = Phi^-1(w_1 + ... + w_i)``, so that ``P(t_{i-1} < s < t_i) = w_i``.

    Args:
        log_weights: ``[T]`` with logsumexp 0; weights of 0 make equal thresholds.

    Returns:
        ``[T - 1]`` float32, rising, in [-10, 10].

    Raises:
        TypeError, ValueError: ``log_weights`` is not ``[T]`` or does not normalise.
    """
    weights = jnp.exp(_one_mixture(log_weights).astype(jnp.float32))
    below = jnp.cumsum(weights)[:-1]
    above = jnp.cumsum(weights[::-1])[::-1][1:]
    # The smaller tail decides: 1 - w is no number of float32 for the smallest w.
    quantile = jax.scipy.special.ndtri(jnp.clip(jnp.minimum(below, above), 0.0, 0.5))
    signed = jnp.where(below < above, quantile, -quantile)
    # Rounding of the two sums must not make neighbours fall.
    return jax.lax.cummax(jnp.clip(signed, -_OUTERMOST, _OUTERMOST))


def chosen_component(log_weights: Array, seeds: Array) -> Array:
    """The component that a seed stands for: the number of thresholds below it.

    Args:
        log_weights: ``[T]`` with logsumexp 0.
        seeds: ``[N]``, floating point, draws of N(0, 1).

    Returns:
        ``[N]`` int32 in 0..T-1, each i with probability ``w_i``.

    Raises:
        TypeError, ValueError: arguments of other shapes or kinds.
    """
    edges = thresholds(log_weights)
    seeds = check_array("seeds", seeds, rank=1, floating=True, finite=True)
    return jnp.searchsorted(edges, seeds.astype(jnp.float32)).astype(jnp.int32)


def gates(params: Params, seeds: Array) -> Array:
    """The gates ``g_i`` of a folded network, from its own ReLU units.

    Args:
        params: of :class:`Folded`.
        seeds: ``[N]``, floating point.

    Returns:
        ``[N, T]`` float32, >= 0 and of sum 1; one-hot where the seed is in no ramp.

    Raises:
        TypeError, ValueError: ``params`` has no ramps, or ``seeds`` is not ``[N]``.
    """
    if not (isinstance(params, dict) and isinstance(params.get("ramps"), dict)):
        raise ValueError(f"params must be those of a folded network, got {type(params).__name__}")
    seeds = check_array("seeds", seeds, rank=1, floating=True, finite=True)
    missing = ramps_missing(params["ramps"], seeds)
    count = missing.shape[0]
    edge = jnp.ones((count, 1), jnp.float32)
    ramps = jnp.concatenate([edge, 1.0 - missing, 1.0 - edge], axis=1)
    return ramps[:, :-1] - ramps[:, 1:]


def ramp_mass(log_weights: Array, width: float) -> dict[str, float]:
    """The probability that the gates are not one-hot: that the seed falls into a ramp.

    Args:
        log_weights: ``[T]`` with logsumexp 0, not traced.
        width: of a ramp, > 0.

    Returns:
        ``exact``, the mass of the union of the T - 1 ramps under N(0, 1), in float64; and ``bound``, the density's
        maximum times their length, ``(T - 1) width / sqrt(2 pi)``.

    Raises:
        TypeError, ValueError: ``log_weights`` is not ``[T]`` or does not normalise, or ``width`` is not positive.
    """
    from scipy.special import ndtr

    edges = np.asarray(thresholds(log_weights), np.float64)
    width = check_number("width", width, minimum=0.0, strict=True)
    ends = np.minimum(edges + width, np.append(edges[1:], np.inf))
    # In the upper tail 1 - Phi loses no digits, and Phi would.
    flip = edges > 0
    mass = np.where(flip, ndtr(-edges) - ndtr(-ends), ndtr(ends) - ndtr(edges))
    return {"exact": float(mass.sum()), "bound": edges.size * width / float(np.sqrt(2.0 * np.pi))}


def ramps_missing(ramps: Params, seeds: Array) -> Array:
    """``1 - r_i``, ``[B, T - 1]``: two layers of ReLUs, exactly 1 below the ramp and exactly 0 above it."""
    seeds = seeds.astype(jnp.float32)[:, None]
    rising = jax.nn.relu(seeds * ramps["kernel"][None] + ramps["bias"][None])
    return jax.nn.relu(rising * ramps["clamp_kernel"][None] + ramps["clamp_bias"][None])


def _one_mixture(log_weights: Any) -> Array:
    array = check_log_weights("log_weights", log_weights)
    if array.ndim != 1:
        raise ValueError(f"log_weights must be of one mixture, shape [T], got {array.shape}")
    return array
