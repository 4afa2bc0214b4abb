"""Reports how close trained mixtures are to an equilibrium of the game between their own components."""

from typing import Annotated, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from mixgan_jax.checked import checked
from mixgan_jax.checks import check_on_host
from mixgan_jax.game import EquilibriumError, zero_sum_equilibrium
from mixgan_jax.types import ArrayLike, Count, Fraction, LogWeights, Shaped, Whole

Vector = npt.NDArray[np.float64]


def check_values(name: str, value: Any) -> Vector:
    """Returns finite numbers ``[N, I, J]``, N >= 2, in float64 on the host."""
    array = check_on_host(Shaped(3, finite=True, moved=False), name, value)
    if array.shape[0] < 2 or 0 in array.shape:
        raise ValueError(f"{name} must have shape [N, I, J], N >= 2, I, J >= 1, got {array.shape}")
    return array


Values: TypeAlias = Annotated[ArrayLike, check_values]
"""N >= 2 estimates of the value of every pair, ``[N, I, J]``."""

_DRAWS_AT_ONCE = 2_000_000  # numbers that one chunk of the bootstrap holds: 16 MB


@checked
def equilibrium_report(
    values: Values,
    generator_log_weights: LogWeights,
    discriminator_log_weights: LogWeights,
    *,
    seed: Whole = 0,
    num_bootstrap: Count = 1000,
    confidence: Fraction = 0.95,
) -> dict[str, Any]:
    r"""Computes NashConv of the learned weights on held-out payoffs, beside an exact equilibrium of the same game.

    The game is the mean ``V [I, J]`` of ``values`` over ``N``; generators (rows) minimise, discriminators maximise.
    NashConv is the sum of both regrets, ``max_j (p^T V)_j - min_i (V q)_i`` at the learned weights ``p``, ``q``.

    What the numbers do not say:
        NashConv over *components* covers deviations to the trained components only. It can be 0 while a newly
        trained generator or discriminator would gain much.

        It is biased upward: a maximum of noisy means exceeds the maximum of the true means on average. The
        bootstrap adds noise once more, so its interval lies too high as well, and at a true equilibrium excludes
        0. ``nash_conv_bias`` estimates the bias. ``nash_conv_cross_fitted`` picks best responses on one half of
        ``values`` and pays them on the other (both ways, averaged): it is biased *downward*, and may be negative.
        The truth is likely between the two.

        The distances are to the equilibrium of largest entropy of the *estimated* game, one of possibly many:
        weights far from it can still have NashConv 0.

    Args:
        values: ``[N, I, J]``, N >= 2: independent held-out estimates of the value of every pair, per example or
            per block of examples. An interval from a few blocks (N below about 20) is too narrow.
        generator_log_weights: ``[I]``, learned, logsumexp 0.
        discriminator_log_weights: ``[J]``, learned, logsumexp 0.
        seed: of the bootstrap (NumPy), >= 0.
        num_bootstrap: resamples of the N estimates, >= 1.
        confidence: of the percentile interval, in (0, 1).

    Returns:
        Scalars, in units of ``values`` unless said otherwise:

        - ``value``: under the learned weights.
        - ``nash_conv``, with ``nash_conv_low``, ``nash_conv_high`` (percentiles of the bootstrap) and
          ``nash_conv_bias``; ``nash_conv_cross_fitted``; ``nash_conv_uniform``, of uniform weights.
        - ``generator_regret``, ``discriminator_regret``.
        - ``equilibrium_value``; ``equilibrium_gap``, its certificate; ``equilibrium_is_maximum_entropy``, False if
          only some equilibrium was found.
        - ``generator_distance``, ``discriminator_distance``: total variation to the equilibrium, in [0, 1].
        - ``generator_effective``, ``discriminator_effective``: effective numbers of components, ``exp`` of the
          weights' entropy, in [1, I] and [1, J].

        Arrays: ``matrix`` ``[I, J]``, the mean of ``values``; ``equilibrium_generator`` ``[I]`` and
        ``equilibrium_discriminator`` ``[J]``, weights.

    Raises:
        EquilibriumError: no equilibrium of the mean matrix could be certified.

    Example:
        >>> import numpy as np, mixgan_jax as mg
        >>> pennies = np.tile([[1.0, -1.0], [-1.0, 1.0]], (20, 1, 1))  # the same game in 20 estimates
        >>> even, biased = np.log([0.5, 0.5]), np.log([0.75, 0.25])
        >>> report = mg.metrics.equilibrium_report(pennies, biased, even)
        >>> round(report["nash_conv"], 3), round(report["generator_distance"], 3)
        (0.5, 0.25)
    """
    samples = np.asarray(values)
    p = _weights("generator_log_weights", generator_log_weights, samples.shape[1])
    q = _weights("discriminator_log_weights", discriminator_log_weights, samples.shape[2])

    # regrets on the mean game
    mean = samples.mean(axis=0)
    regrets = _regrets(mean, p, q)
    uniform = np.full(p.size, 1.0 / p.size), np.full(q.size, 1.0 / q.size)
    report: dict[str, Any] = {
        "matrix": mean,
        "value": float(p @ mean @ q),
        "nash_conv": float(sum(regrets)),
        "nash_conv_cross_fitted": _cross_fitted(samples, p, q),
        "nash_conv_uniform": float(sum(_regrets(mean, *uniform))),
        "generator_regret": float(regrets[0]),
        "discriminator_regret": float(regrets[1]),
        "generator_effective": effective_number(p),
        "discriminator_effective": effective_number(q),
    }

    # interval by bootstrap
    resampled = _bootstrap(samples, p, q, seed, num_bootstrap)
    tail = 0.5 * (1.0 - confidence)
    low, high = np.quantile(resampled, [tail, 1.0 - tail])
    bias = float(resampled.mean()) - report["nash_conv"]
    report |= {"nash_conv_low": float(low), "nash_conv_high": float(high), "nash_conv_bias": bias}
    return report | _beside_equilibrium(mean, p, q)


def _weights(name: str, log_weights: ArrayLike, size: int) -> Vector:
    """Returns the weights ``[size]`` in float64."""
    logarithms = np.asarray(log_weights, np.float64)
    if logarithms.shape != (size,):
        raise ValueError(f"{name} must have shape ({size},), as values, got {logarithms.shape}")
    probabilities = np.exp(logarithms)
    return probabilities / probabilities.sum()


def _regrets(matrix: Vector, p: Vector, q: Vector) -> tuple[Vector, Vector]:
    """Returns the regrets of the generator and of the discriminator, for matrices ``[..., I, J]``."""
    by_row, by_column = matrix @ q, p @ matrix
    value = by_row @ p
    return value - by_row.min(axis=-1), by_column.max(axis=-1) - value


def _bootstrap(samples: Vector, p: Vector, q: Vector, seed: int, num_bootstrap: int) -> Vector:
    """Returns NashConv ``[num_bootstrap]`` of the learned weights under means of N draws with replacement."""
    random = np.random.default_rng(seed)
    count = samples.shape[0]
    flat = samples.reshape(count, -1)
    even = np.full(count, 1.0 / count)
    chunk = max(1, _DRAWS_AT_ONCE // count)
    parts = []
    for start in range(0, num_bootstrap, chunk):
        size = min(chunk, num_bootstrap - start)
        means = random.multinomial(count, even, size=size) @ flat / count
        parts.append(sum(_regrets(means.reshape(size, *samples.shape[1:]), p, q)))
    return np.concatenate(parts)


def _cross_fitted(samples: Vector, p: Vector, q: Vector) -> float:
    """Returns NashConv with best responses chosen on every other estimate and paid on the rest, both ways."""
    halves = samples[0::2].mean(axis=0), samples[1::2].mean(axis=0)
    gaps = []
    for chosen, paid in (halves, halves[::-1]):
        best_row = int(np.argmin(chosen @ q))
        best_column = int(np.argmax(p @ chosen))
        gaps.append((p @ paid)[best_column] - (paid @ q)[best_row])
    return float(np.mean(gaps))


def _beside_equilibrium(mean: Vector, p: Vector, q: Vector) -> dict[str, Any]:
    try:
        equilibrium, most_entropic = zero_sum_equilibrium(mean, maximum_entropy=True), True
    except EquilibriumError:  # near-ties at the limit of double precision
        equilibrium, most_entropic = zero_sum_equilibrium(mean), False
    return {
        "equilibrium_value": equilibrium.value,
        "equilibrium_gap": equilibrium.gap,
        "equilibrium_is_maximum_entropy": most_entropic,
        "equilibrium_generator": equilibrium.generator,
        "equilibrium_discriminator": equilibrium.discriminator,
        "generator_distance": float(0.5 * np.abs(p - equilibrium.generator).sum()),
        "discriminator_distance": float(0.5 * np.abs(q - equilibrium.discriminator).sum()),
    }


def effective_number(weights: Vector) -> float:
    """Returns ``exp(entropy)`` of weights ``[K]``, the effective number of components, in float64 on the host."""
    # ``effective_components`` would round to float32.
    positive = weights[weights > 0.0]
    return float(np.exp(-np.sum(positive * np.log(positive))))
