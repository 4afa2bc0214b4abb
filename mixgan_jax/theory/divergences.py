r"""Divergences between two distributions that are known exactly: densities on a line, by quadrature; two segments.

Densities come as logarithms on nodes, and integrals are sums by the trapezoidal rule. For smooth densities that vanish
at both ends the rule converges faster than any power of the spacing. Total variation and Wasserstein have integrands
with kinks, so their error is of second order. For more than 6 digits let JAX have float64. ``p`` is the real and ``q``
the fake density; logarithms are natural.
"""

import math
from typing import Annotated, Any, TypeAlias

import jax.numpy as jnp
import numpy as np

from mixgan_jax.checked import checked
from mixgan_jax.checks import check_array, on_host
from mixgan_jax.types import Array, Number, Shaped

_MISSING_MASS = 1e-2  # how far a density's integral may be from 1 before it counts as a mistake


def check_nodes(name: str, value: Any) -> Array:
    """Returns floating-point numbers ``[N]``, N >= 2, that rise."""
    nodes = check_array(name, value, rank=1, floating=True, finite=True, moved=False)
    if nodes.shape[0] < 2:
        raise ValueError(f"{name} must be [N] with N >= 2, got shape {nodes.shape}")
    if on_host(value) and not np.all(np.diff(np.asarray(value, np.float64)) > 0):
        raise ValueError(f"{name} must rise strictly, got nodes that do not")
    return nodes


LogDensity: TypeAlias = Annotated[Array, Shaped(1, floating=True, moved=False)]
"""The logarithm of a density on nodes, ``[N]``."""

Nodes: TypeAlias = Annotated[Array, check_nodes]
"""Nodes ``[N]``, N >= 2, rising."""


@checked
def line_divergences(log_real: LogDensity, log_fake: LogDensity, nodes: Nodes) -> dict[str, Array]:
    r"""Computes the divergences that a generator may minimise, for two densities on a line.

    With ``m = (p + q) / 2`` and F, G the distribution functions of p and q:

    - ``kl``, KL(p | q), maximum likelihood, and ``reverse_kl``, KL(q | p);
    - ``jensen_shannon``, (KL(p | m) + KL(q | m)) / 2, in [0, log 2]: minimax training minimises it against the best
      discriminator (Goodfellow et al. 2014, arXiv 1406.2661, theorem 1);
    - ``non_saturating``, KL(q | p) - 2 JS(p, q), which may be negative: the non-saturating loss has its gradient
      against the best discriminator (Arjovsky and Bottou 2017, arXiv 1701.04862, theorem 2.5);
    - ``total_variation``, the integral of ``|p - q| / 2``, in [0, 1];
    - ``wasserstein``, W1, the integral of ``|F - G|``, in units of the nodes.

    Args:
        log_real: ``[N]``, log p; minus infinity where p is 0.
        log_fake: ``[N]``, log q.
        nodes: ``[N]``, N >= 2, rising, wide enough to hold both densities.

    Returns:
        The six by name, scalars; differentiable where the densities are positive.
    """
    log_real, log_fake, nodes = check_line(log_real, log_fake, nodes)
    weights = trapezoid(nodes)
    p, q = jnp.exp(log_real), jnp.exp(log_fake)
    log_middle = jnp.logaddexp(log_real, log_fake) - math.log(2.0)
    kl = _kl(log_real, log_fake, weights)
    reverse_kl = _kl(log_fake, log_real, weights)
    js = 0.5 * (_kl(log_real, log_middle, weights) + _kl(log_fake, log_middle, weights))
    steps = jnp.diff(nodes)
    excess = p - q
    # F - G at the nodes; at the first one it is 0.
    gained = jnp.cumsum(0.5 * steps * (excess[1:] + excess[:-1]))
    ahead = jnp.concatenate([jnp.zeros_like(gained[:1]), gained])
    return {
        "kl": kl,
        "reverse_kl": reverse_kl,
        "jensen_shannon": js,
        "non_saturating": reverse_kl - 2.0 * js,
        "total_variation": 0.5 * _area(excess, steps),
        "wasserstein": _area(ahead, steps),
    }


@checked
def parallel_segments(offset: Number) -> dict[str, float]:
    """Returns the same divergences between the uniform distributions on two parallel segments of length 1.

    The segments are ``{0} x [0, 1]`` and ``{offset} x [0, 1]`` (Arjovsky, Chintala and Bottou 2017, arXiv 1701.07875,
    example 1). They have no point in common unless ``offset`` is 0, however near they are. So all but W1 jump there,
    and have the derivative 0 elsewhere. ``non_saturating`` is infinite because it contains the reverse KL.

    Args:
        offset: theta, any finite number.

    Returns:
        The names of :func:`line_divergences`, as floats.
    """
    apart = offset != 0.0
    infinite = math.inf if apart else 0.0
    return {
        "kl": infinite,
        "reverse_kl": infinite,
        "jensen_shannon": math.log(2.0) if apart else 0.0,
        "non_saturating": infinite,
        "total_variation": float(apart),
        "wasserstein": abs(float(offset)),
    }


def trapezoid(nodes: Array) -> Array:
    """Returns the weights ``[N]`` of the trapezoidal rule on rising nodes ``[N]``."""
    half = 0.5 * jnp.diff(nodes)
    nothing = jnp.zeros_like(half[:1])
    return jnp.concatenate([half, nothing]) + jnp.concatenate([nothing, half])


def check_line(log_real: Array, log_fake: Array, nodes: Array) -> tuple[Array, Array, Array]:
    """Returns two log-densities and their nodes, ``[N]`` each, in one dtype; checks densities that are on the host."""
    for name, value in (("log_real", log_real), ("log_fake", log_fake)):
        if value.shape != nodes.shape:
            raise ValueError(f"{name} must be [N] as nodes, {nodes.shape}, got {value.shape}")
        if on_host(value) and on_host(nodes):
            _check_density(name, np.asarray(value, np.float64), np.asarray(nodes, np.float64))
    arrays = (log_real, log_fake, nodes)
    dtype = max((array.dtype for array in arrays), key=lambda dtype: dtype.itemsize)
    wide = jnp.float32 if dtype.itemsize < 4 else dtype
    log_real, log_fake, nodes = (jnp.asarray(array, wide) for array in arrays)
    return log_real, log_fake, nodes


def _check_density(name: str, values: np.ndarray, nodes: np.ndarray) -> None:
    with np.errstate(over="ignore", invalid="ignore"):
        mass = float(np.trapezoid(np.exp(values), nodes))
    if not abs(mass - 1.0) <= _MISSING_MASS:  # also true of NaN
        raise ValueError(
            f"{name} must be the logarithm of a density that the nodes hold, got one whose integral over "
            f"[{nodes[0]:g}, {nodes[-1]:g}] is {mass:.4g}"
        )


def _area(values: Array, steps: Array) -> Array:
    """Integrates ``|f|``, f linear between its values: exact where f changes its sign between two nodes."""
    left, right = values[:-1], values[1:]
    size = jnp.abs(left) + jnp.abs(right)
    crossing = left * right < 0
    within = jnp.where(crossing, (left**2 + right**2) / jnp.where(crossing, size, 1.0), size)
    return 0.5 * jnp.sum(steps * within)


def _kl(log_p: Array, log_q: Array, weights: Array) -> Array:
    """Returns ``sum w p (log p - log q)``; where p is 0 the term and its derivative are 0."""
    p = jnp.exp(log_p)
    there = p > 0
    difference = jnp.where(there, log_p, 0.0) - jnp.where(there, log_q, 0.0)
    return jnp.sum(weights * jnp.where(there, p * difference, 0.0))
