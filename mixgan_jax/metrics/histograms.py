"""Histograms over modes or classes: how far they are from a reference, and how far they overlap."""

from typing import Annotated, TypeAlias

import jax.numpy as jnp
import numpy as np

from mixgan_jax.checked import checked
from mixgan_jax.checks import on_host
from mixgan_jax.types import Array, ArrayLike, Shaped

Frequencies: TypeAlias = Annotated[ArrayLike, Shaped(1, finite=True, moved=False)]
"""Numbers ``[M]`` in proportion to probabilities."""


@checked
def histogram_reverse_kl(
    histogram: Annotated[Array, Shaped(1)], reference: Frequencies | None = None
) -> Array:
    """Returns the reverse Kullback-Leibler divergence of a histogram to a reference, in nats.

    ``sum_m p_m log(p_m / q_m)``, where ``p`` is the histogram over its sum, ``q`` the reference over its sum, and
    ``0 log 0 = 0``. With the uniform reference this is ``log M - entropy(p)``: 0 for even coverage, ``log M`` for
    collapse to one mode. It is called reverse because the model's histogram stands first, the target second.

    Args:
        histogram: counts ``[M]``. If all are zero the divergence is undefined. The result is then the largest value it
            can take, ``-log min(q)``, that is ``log M`` for the uniform reference: to cover nothing is as bad as
            collapse.
        reference: ``[M]``, >= 0, in any scale; None for uniform. Counts where it is zero make the divergence infinite.

    Returns:
        A scalar >= 0.
    """
    histogram = histogram.astype(jnp.float32)
    if histogram.size == 0:
        raise ValueError("histogram must have shape [M] with M >= 1, got (0,)")
    reference = normalised_reference("reference", reference, histogram.shape[0])
    total = jnp.sum(histogram)
    p = histogram / jnp.maximum(total, 1e-30)
    occupied = p > 0
    log_ratio = jnp.log(jnp.where(occupied, p, 1.0)) - jnp.log(jnp.where(occupied, reference, 1.0))
    divergence = jnp.maximum(jnp.sum(p * log_ratio), 0.0)  # rounding may go a little below 0
    return jnp.where(total > 0, divergence, -jnp.log(jnp.min(reference)))


@checked
def histogram_overlap(histograms: Annotated[Array, Shaped(2)]) -> Array:
    """Returns how much the components' histograms coincide: the mean over pairs of ``1 - total variation``.

    For components ``i < j`` with normalised histograms ``p_i``, ``p_j`` over the modes, ``1 - TV(p_i, p_j) =
    sum_m min(p_i(m), p_j(m))``: 1 if they spread alike, 0 if they share no mode. A component without any count
    overlaps with none. The mean is over the ``K (K - 1) / 2`` unordered pairs; a single component has overlap 0.

    Args:
        histograms: counts ``[K, M]``.

    Returns:
        A scalar in 0..1.
    """
    histograms = histograms.astype(jnp.float32)
    num_components = histograms.shape[0]
    if num_components < 2:
        return jnp.zeros((), jnp.float32)
    total = jnp.sum(histograms, axis=-1, keepdims=True)
    # Sorted by size, the r-th smallest is the minimum in its pairs with the K - 1 - r larger ones: no [K, K, M].
    ordered = jnp.sort(histograms / jnp.maximum(total, 1e-30), axis=0)
    pairs = jnp.arange(num_components - 1, -1, -1, dtype=jnp.float32)
    return jnp.sum(ordered * pairs[:, None]) / (num_components * (num_components - 1) / 2)


def label_histogram(labels: Array, num_bins: int, valid: Array | None = None) -> Array:
    """Counts how often each of ``0..num_bins - 1`` occurs among labels ``[N]``, as float32 ``[num_bins]``.

    Labels outside the range, and those where ``valid`` ``[N]`` is False, are left out.
    """
    inside = (labels >= 0) & (labels < num_bins)
    valid = inside if valid is None else inside & valid
    counts = jnp.zeros(num_bins, jnp.int32).at[jnp.where(valid, labels, num_bins)]
    return counts.add(1, mode="drop").astype(jnp.float32)


def summarise_histogram(histogram: Array, reference: Array) -> dict[str, Array]:
    """Returns ``captured`` bins, ``reverse_kl`` and its floor for counts ``[M]`` and a normalised reference ``[M]``."""
    floor = (histogram.shape[0] - 1) / (2 * jnp.maximum(jnp.sum(histogram), 1.0))
    return {
        "captured": jnp.sum(histogram > 0).astype(jnp.float32),
        "reverse_kl": histogram_reverse_kl(histogram, reference),
        "reverse_kl_floor": jnp.minimum(floor, -jnp.log(jnp.min(reference))),
    }


def compare_histograms(histograms: Array, noun: str) -> dict[str, Array]:
    """Returns ``overlap``, and how many bins (``noun``) of counts ``[K, M]`` are shared and how many covered."""
    captured_by = jnp.sum(histograms > 0, axis=0)
    return {
        "overlap": histogram_overlap(histograms),
        f"{noun}_shared": jnp.sum(captured_by >= 2).astype(jnp.float32),
        f"{noun}_union": jnp.sum(captured_by >= 1).astype(jnp.float32),
    }


def normalised_reference(name: str, reference: ArrayLike | None, num_bins: int) -> Array:
    """Divides a reference histogram ``[num_bins]`` by its sum; None stands for the uniform one."""
    given = np.ones(num_bins) if reference is None else reference
    frequencies = jnp.asarray(given, jnp.float32)
    if frequencies.shape != (num_bins,):
        raise ValueError(f"{name} must have shape ({num_bins},), got {frequencies.shape}")
    if on_host(given):
        entries = np.asarray(given, np.float32)
        if entries.min() < 0 or entries.sum() <= 0:
            raise ValueError(f"{name} must be >= 0 and not all zero, got {entries}")
    return frequencies / jnp.sum(frequencies)
