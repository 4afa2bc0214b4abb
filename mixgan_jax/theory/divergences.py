r"""Divergences between two distributions that are known exactly: densities on a line, by quadrature; two segments.

Densities come as logarithms on nodes, and integrals are sums by the trapezoidal rule, which for smooth densities that
vanish at both ends converges faster than any power of the spacing; for total variation and Wasserstein, whose
integrands have kinks, its error is of the second order. For more than 6 digits let JAX have float64. ``p`` is the real
and ``q`` the fake density, logarithms are natural.
"""

import math
from typing import Any

import jax.numpy as jnp
import numpy as np

from mixgan_jax.checks import check_array, check_number, is_concrete
from mixgan_jax.types import Array

_MISSING_MASS = (
    1e-2  # a density whose integral over the nodes is further from 1 is taken for a mistake
)


def line_divergences(log_real: Array, log_fake: Array, nodes: Array) -> dict[str, Array]:
    r"""What a generator may minimise, of two densities on a line.

    With ``m = (p + q) / 2`` and F, G the distribution functions of p and q:

    - ``kl``, KL(p | q), maximum likelihood, and ``reverse_kl``, KL(q | p);
    - ``jensen_shannon``, (KL(p | m) + KL(q | m)) / 2: what minimax training minimises against the best discriminator
      (Goodfellow et al. 2014, arXiv 1406.2661, theorem 1), in [0, log 2];
    - ``non_saturating``, KL(q | p) - 2 JS(p, q): what the non-saturating loss's gradient is that of, against the best
      discriminator (Arjovsky and Bottou 2017, arXiv 1701.04862, theorem 2.5); it may be negative;
    - ``total_variation``, the integral of ``|p - q| / 2``, in [0, 1];
    - ``wasserstein``, W1, the integral of ``|F - G|``, in units of the nodes.

    Args:
        log_real: ``[N]``, log p; minus infinity where p is 0.
        log_fake: ``[N]``, log q.
        nodes: ``[N]``, N >= 2, rising, wide enough to hold both densities.

    Returns:
        The six by name, scalars; differentiable where the densities are positive.

    Raises:
        TypeError, ValueError: shapes that differ, nodes that do not rise, or (where known) what is no density.
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


def parallel_segments(offset: float) -> dict[str, float]:
    """The same divergences between the uniform distributions on two parallel segments of length 1, ``offset`` apart.

    ``{0} x [0, 1]`` and ``{offset} x [0, 1]`` (Arjovsky, Chintala and Bottou 2017, arXiv 1701.07875, example 1): they
    have no point in common unless ``offset`` is 0, however near they are, so that all but W1 jump there, and have the
    derivative 0 elsewhere. ``non_saturating`` is as infinite as the reverse KL that it holds.

    Args:
        offset: theta, any finite number.

    Returns:
        The names of :func:`line_divergences`, as floats.

    Raises:
        TypeError, ValueError: ``offset`` is no finite number.
    """
    offset = float(check_number("offset", offset))
    apart = offset != 0.0
    infinite = math.inf if apart else 0.0
    return {
        "kl": infinite,
        "reverse_kl": infinite,
        "jensen_shannon": math.log(2.0) if apart else 0.0,
        "non_saturating": infinite,
        "total_variation": float(apart),
        "wasserstein": abs(offset),
    }


def trapezoid(nodes: Array) -> Array:
    """The weights ``[N]`` of the trapezoidal rule on rising nodes ``[N]``."""
    half = 0.5 * jnp.diff(nodes)
    nothing = jnp.zeros_like(half[:1])
    return jnp.concatenate([half, nothing]) + jnp.concatenate([nothing, half])


def check_line(log_real: Any, log_fake: Any, nodes: Any) -> tuple[Array, Array, Array]:
    """Two log-densities and their nodes, ``[N]`` each, in one dtype; as far as they are known, those of densities."""
    nodes = check_array("nodes", nodes, rank=1, floating=True, finite=True)
    if nodes.shape[0] < 2:
        raise ValueError(f"nodes must be [N] with N >= 2, got shape {nodes.shape}")
    if is_concrete(nodes) and not np.all(np.diff(np.asarray(nodes, np.float64)) > 0):
        raise ValueError("nodes must rise strictly, got nodes that do not")
    arrays = []
    for name, value in (("log_real", log_real), ("log_fake", log_fake)):
        array = check_array(name, value, rank=1, floating=True)
        if array.shape != nodes.shape:
            raise ValueError(f"{name} must be [N] as nodes, {nodes.shape}, got {array.shape}")
        if is_concrete(array) and is_concrete(nodes):
            _check_density(name, np.asarray(array, np.float64), np.asarray(nodes, np.float64))
        arrays.append(array)
    arrays.append(nodes)
    dtype = max((array.dtype for array in arrays), key=lambda dtype: dtype.itemsize)
    wide = jnp.float32 if dtype.itemsize < 4 else dtype
    log_real, log_fake, nodes = (array.astype(wide) for array in arrays)
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
    """The integral of ``|f|``, f linear between its values: exact where f changes its sign between two nodes."""
    left, right = values[:-1], values[1:]
    size = jnp.abs(left) + jnp.abs(right)
    crossing = left * right < 0
    within = jnp.where(crossing, (left**2 + right**2) / jnp.where(crossing, size, 1.0), size)
    return 0.5 * jnp.sum(steps * within)


def _kl(log_p: Array, log_q: Array, weights: Array) -> Array:
    """``sum w p (log p - log q)``; where p is 0 there is nothing, also for a derivative."""
    p = jnp.exp(log_p)
    there = p > 0
    difference = jnp.where(there, log_p, 0.0) - jnp.where(there, log_q, 0.0)
    return jnp.sum(weights * jnp.where(there, p * difference, 0.0))
