"""Distances between sets of samples that need no training, to compare the neural net distance with.

:func:`maximum_mean_discrepancy` and :func:`sliced_wasserstein` are array programs, for ``jit`` and ``vmap``.
:func:`exact_wasserstein` and :func:`empirical_jensen_shannon` run on the host, in double precision. The last two
compare *empirical* measures. Between samples of one continuous distribution they are not near 0, at no number of
samples that one could have (Arora, Ge, Liang, Ma and Zhang 2017, arXiv 1703.00573).
"""

from functools import partial
from typing import Annotated, Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt

from mixgan_jax.checked import checked
from mixgan_jax.checks import check_array, check_on_host
from mixgan_jax.types import Array, Count, Key, Positive, Shaped


def check_samples(at_least: int, name: str, value: Any, *, moved: bool = True) -> Array:
    """Returns a finite floating-point array ``[N, ...]``, N >= ``at_least``; unless ``moved``, NumPy's stays there."""
    array = check_array(name, value, floating=True, finite=True, moved=moved)
    if array.ndim < 2 or 0 in array.shape or array.shape[0] < at_least:
        raise ValueError(
            f"{name} must have shape [N, ...] with N >= {at_least}, none of it 0, got {array.shape}"
        )
    return array


Samples: TypeAlias = Annotated[Array, partial(check_samples, 1)]
"""Samples ``[N, ...]``, N >= 1."""

SeveralSamples: TypeAlias = Annotated[Array, partial(check_samples, 2)]
"""Samples ``[N, ...]``, N >= 2."""

_ROWS_AT_ONCE = 1024  # of a kernel matrix


@checked
def maximum_mean_discrepancy(
    real: SeveralSamples, fake: SeveralSamples, *, bandwidth: Positive
) -> Array:
    """Estimates the squared maximum mean discrepancy with a Gaussian kernel, without bias.

    ``MMD^2 = E k(x, x') + E k(y, y') - 2 E k(x, y)`` with ``k(x, y) = exp(-|x - y|^2 / (2 bandwidth^2))``. The first
    two means are over pairs of *different* samples (Gretton, Borgwardt, Rasch, Schoelkopf and Smola 2012). So the
    estimate is 0 on average, and negative about half the time, if both distributions are the same.

    Args:
        real: ``[N, ...]``, N >= 2; axes after the first are flattened.
        fake: ``[M, ...]``, M >= 2.
        bandwidth: of the kernel, > 0, in the samples' unit.

    Returns:
        A scalar in -2..2, an estimate of ``MMD^2`` (not of its root, which would be biased).
    """
    return _mmd(*_flattened(real, fake), jnp.asarray(bandwidth, jnp.float32))


@checked
def sliced_wasserstein(
    key: Key, real: Samples, fake: Samples, *, num_projections: Count = 128
) -> Array:
    """Returns the sliced Wasserstein-1 distance: the mean of exact one-dimensional distances along random directions.

    ``SW1 = E_theta W1(<theta, x>, <theta, y>)``, theta uniform on the sphere (Rabin, Peyre, Delon and Bernot 2011, for
    W2). In one dimension ``W1 = integral |F - G|``, which is exact for any two numbers of samples. SW1 is at most W1.
    For two distributions that differ by a shift mu it is ``|mu| E|theta_1|``, which falls as
    ``|mu| sqrt(2 / (pi D))``.

    Args:
        key: consumed: the directions.
        real: ``[N, ...]``; axes after the first are flattened to D features.
        fake: ``[M, ...]``; M may differ from N.
        num_projections: directions over which the mean is taken.

    Returns:
        A scalar >= 0, in the samples' unit.

    Example:
        >>> import jax, jax.numpy as jnp, mixgan_jax as mg
        >>> real, fake = jnp.zeros((3, 1)), jnp.full((5, 1), 2.0)
        >>> float(mg.metrics.sliced_wasserstein(jax.random.key(0), real, fake))
        2.0
    """
    return _sliced(key, *_flattened(real, fake), num_projections)


@checked
def exact_wasserstein(real: Samples, fake: Samples) -> float:
    """Returns Wasserstein-1 between two empirical measures of equally many points, exactly: an assignment problem.

    ``W1 = min over permutations s of (1/N) sum_i |x_i - y_s(i)|``, with the Euclidean norm. SciPy solves it on the
    host, in double precision. Time grows as N^3 at worst (4,000 points take seconds), memory as N^2.

    Args:
        real: ``[N, ...]``; axes after the first are flattened.
        fake: ``[N, ...]``, as many.

    Returns:
        A number >= 0, in the samples' unit.
    """
    from scipy.optimize import linear_sum_assignment
    from scipy.spatial.distance import cdist

    x, y = to_float64(real, fake)
    if len(x) != len(y):
        raise ValueError(f"fake must be as many samples as real, {len(x)}, got {len(y)}")
    cost = cdist(x, y)
    return float(cost[linear_sum_assignment(cost)].mean())


@checked
def empirical_jensen_shannon(real: Samples, fake: Samples) -> float:
    """Returns the Jensen-Shannon divergence of two empirical measures, exactly: finds and counts equal points.

    ``JS = KL(p | (p + q) / 2) / 2 + KL(q | (p + q) / 2) / 2`` with the frequencies p and q of all points that occur.
    It is ``log 2``, to the last digit, if the two have no point in common, as samples of continuous distributions have
    none. Points are equal if all their coordinates are.

    Args:
        real: ``[N, ...]``; axes after the first are flattened.
        fake: ``[M, ...]``; M may differ from N.

    Returns:
        A number in 0..log 2, in nats.
    """
    x, y = to_float64(real, fake)
    # Adding 0 turns -0 into 0.
    _, point = np.unique(np.concatenate([x, y]) + 0.0, axis=0, return_inverse=True)
    point = point.reshape(-1)
    p = np.bincount(point[: len(x)], minlength=point.max() + 1) / len(x)
    q = np.bincount(point[len(x) :], minlength=point.max() + 1) / len(y)
    # With t = p / (p + q): KL(p | (p + q) / 2) = log 2 + sum p log t. Where all t are 0 or 1 only log 2 is left.
    total = sum(_entropy_term(own, own / (p + q)) for own in (p, q))
    return float(max(np.log(2.0) + 0.5 * total, 0.0))


def _entropy_term(weights: npt.NDArray[np.float64], share: npt.NDArray[np.float64]) -> float:
    return float(np.sum(weights * np.log(np.where(share > 0, share, 1.0))))


@jax.jit
def _mmd(real: Array, fake: Array, bandwidth: Array) -> Array:
    def kernel_sum(rows: Array, columns: Array) -> Array:
        def row_sum(row: Array) -> Array:
            # Differences are squared, not the square expanded: that loses all digits of near points in float32.
            squares = jnp.sum((columns - row[None]) ** 2, axis=-1)
            return jnp.sum(jnp.exp(-0.5 * squares / bandwidth**2))

        return jnp.sum(jax.lax.map(row_sum, rows, batch_size=_ROWS_AT_ONCE))

    n, m = real.shape[0], fake.shape[0]
    within = [(kernel_sum(own, own) / k - 1.0) / (k - 1) for own, k in ((real, n), (fake, m))]
    return within[0] + within[1] - 2.0 * kernel_sum(real, fake) / (n * m)


def _sliced(key: Key, real: Array, fake: Array, num_projections: int) -> Array:
    directions = jax.random.normal(key, (num_projections, real.shape[1]))
    directions /= jnp.linalg.norm(directions, axis=-1, keepdims=True)
    n, m = real.shape[0], fake.shape[0]
    steps = jnp.concatenate([jnp.full(n, 1.0 / n), jnp.full(m, -1.0 / m)])

    def along(direction: Array) -> Array:
        places, steps_there = jax.lax.sort_key_val(
            jnp.concatenate([real @ direction, fake @ direction]), steps
        )
        return jnp.sum(jnp.abs(jnp.cumsum(steps_there)[:-1]) * jnp.diff(places))

    return jnp.mean(jax.lax.map(along, directions))


def _flattened(real: Array, fake: Array) -> tuple[Array, Array]:
    """Returns both as float32, ``[N, D]`` and ``[M, D]``."""
    if real.shape[1:] != fake.shape[1:]:
        raise ValueError(f"fake must be of samples like real's {real.shape}, got {fake.shape}")
    real, fake = real.astype(jnp.float32), fake.astype(jnp.float32)
    return real.reshape(real.shape[0], -1), fake.reshape(fake.shape[0], -1)


def to_float64(real: Array, fake: Array) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Returns both sets of samples on the host, flattened: ``[N, D]`` and ``[M, D]``."""
    finite = Shaped(finite=True, moved=False)
    x, y = _flattened(real, fake)
    return check_on_host(finite, "real", x), check_on_host(finite, "fake", y)
