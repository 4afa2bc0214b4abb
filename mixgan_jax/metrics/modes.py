"""Mode coverage of samples against known modes, for a mixture as a whole and for each of its components.

Definitions as in VEEGAN (Srivastava et al. 2017, arXiv 1705.07761) and PacGAN (Lin et al. 2018, arXiv 1712.04086):
a sample is *high quality* if it lies within 3 standard deviations (Euclidean) of its nearest mode, and a mode is
*captured* if at least one high-quality sample is nearest to it. All sums are over the ``N`` samples given; results
are float32. To judge a mixture, pass samples drawn from the mixture, each from component ``k`` with the probability
that the weights give it; :func:`component_coverage` looks at the components one by one, whatever their weights.

Everything works under ``jit`` and ``vmap``, for example over seeds.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from mixgan_jax.checks import check_array, check_count, check_number, is_concrete
from mixgan_jax.types import Array


def mode_coverage(
    samples: Array, centers: Array, std: Any, *, threshold: float = 3.0, weights: Any = None
) -> dict[str, Array]:
    """Modes captured, share of high-quality samples, and reverse KL of the modes' histogram.

    Ceilings, for samples of the target itself: with isotropic Gaussians in 2 dimensions ``high_quality`` is
    ``1 - exp(-threshold^2 / 2)`` = 98.9 % at 3 (not the 99.7 % of one dimension; 99.46 % belongs to the looser rule
    per axis), so that a higher value means modes that are too narrow. ``reverse_kl`` does not reach 0 with finitely
    many samples but comes to ``reverse_kl_floor`` on average: 0.0014 for 8 modes and 0.0048 for 25 at 2,500 samples.

    Args:
        samples: ``[N, D]``, N >= 1. One that is not finite counts as not of high quality.
        centers: centres of the modes ``[M, D]``.
        std: standard deviation per axis, > 0: a number or ``[M]``. With unequal ones the nearest mode is the one
            that is fewest of its own standard deviations away.
        threshold: how many standard deviations are still high quality, > 0.
        weights: the modes' true probabilities ``[M]``, in any scale; None for equal ones.

    Returns:
        Scalars:

        - ``modes``: number of modes captured, 0..M. A single sample is enough.
        - ``high_quality``: fraction of all samples, 0..1.
        - ``reverse_kl``: see :func:`histogram_reverse_kl`; over the high-quality samples only, in nats, 0..log M for
          equal weights.
        - ``reverse_kl_floor``: what it is on average for a perfect sampler with as many high-quality samples ``n``:
          ``(M - 1) / (2 n)`` to first order, which wants ``n`` well above M; never more than the largest value.

    Raises:
        ValueError: shapes that do not agree, or numbers out of range.
        TypeError: samples or centres that are not numbers.
    """
    modes = _checked_modes(centers, std, threshold)
    reference = check_reference("weights", weights, len(modes[0]))
    return _coverage(_checked_samples(samples, modes[0], rank=2), *modes, reference)


def component_coverage(
    samples: Array, centers: Array, std: Any, *, threshold: float = 3.0, weights: Any = None
) -> dict[str, Array]:
    """Coverage of each component alone, and how far the components sit on the same modes.

    Args:
        samples: ``[K, N, D]``, N samples of each component, without the mixture's weights.
        centers: centres of the modes ``[M, D]``.
        std: standard deviation per axis, > 0: a number or ``[M]``.
        threshold: how many standard deviations are still high quality, > 0.
        weights: the modes' true probabilities ``[M]``, in any scale; None for equal ones.

    Returns:
        - ``modes``, ``high_quality``, ``reverse_kl``, ``reverse_kl_floor``: ``[K]`` each, as :func:`mode_coverage`.
        - ``histogram``: high-quality samples of each component at each mode ``[K, M]``.
        - ``overlap``: scalar, 0..1, see :func:`histogram_overlap`.
        - ``modes_shared``: scalar, number of modes that two or more components capture.
        - ``modes_union``: scalar, number of modes that any component captures.

    Raises:
        ValueError: shapes that do not agree, or numbers out of range.
    """
    modes = _checked_modes(centers, std, threshold)
    reference = check_reference("weights", weights, len(modes[0]))
    return _component_coverage(_checked_samples(samples, modes[0], rank=3), *modes, reference)


def mode_histogram(samples: Array, centers: Array, std: Any, *, threshold: float = 3.0) -> Array:
    """Number of high-quality samples nearest to each mode.

    Modes are gone through one after the other, so memory is ``[N, D]`` however many there are. Differences are
    formed before squaring: the expanded square loses all digits of a narrow mode in float32.

    Args:
        samples: ``[N, D]``, N >= 1. One that is not finite counts for no mode.
        centers: centres of the modes ``[M, D]``.
        std: standard deviation per axis, > 0: a number or ``[M]``.
        threshold: how many standard deviations are still high quality, > 0.

    Returns:
        Counts ``[M]``, float32: exact up to 2^24, rounded above.
    """
    modes = _checked_modes(centers, std, threshold)
    return _mode_histogram(_checked_samples(samples, modes[0], rank=2), *modes)


def label_histogram(labels: Array, num_bins: int, valid: Array | None = None) -> Array:
    """How often each of ``0..num_bins - 1`` occurs among labels ``[N]``, as float32 ``[num_bins]``.

    Labels outside the range, and those where ``valid`` ``[N]`` is False, are left out.
    """
    inside = (labels >= 0) & (labels < num_bins)
    valid = inside if valid is None else inside & valid
    counts = jnp.zeros(num_bins, jnp.int32).at[jnp.where(valid, labels, num_bins)]
    return counts.add(1, mode="drop").astype(jnp.float32)


def histogram_reverse_kl(histogram: Array, reference: Any = None) -> Array:
    """Reverse Kullback-Leibler divergence of a histogram to a reference: ``sum_m p_m log(p_m / q_m)``, in nats.

    ``p`` is the histogram over its sum, ``q`` the reference over its sum, ``0 log 0 = 0``. With the uniform reference
    this is ``log M - entropy(p)``: 0 for even coverage, ``log M`` for collapse to one mode. "Reverse" because the
    model's histogram stands first, the target second.

    Args:
        histogram: counts ``[M]``. If all are zero the divergence is undefined; we return the largest value it can
            take, ``-log min(q)``, that is ``log M`` for the uniform reference: nothing covered is as bad as collapse.
        reference: ``[M]``, >= 0, in any scale; None for uniform. Counts where it is zero make the divergence infinite.

    Returns:
        A scalar >= 0.
    """
    histogram = check_array("histogram", histogram, rank=1).astype(jnp.float32)
    if histogram.size == 0:
        raise ValueError("histogram must have shape [M] with M >= 1, got (0,)")
    reference = check_reference("reference", reference, histogram.shape[0])
    total = jnp.sum(histogram)
    p = histogram / jnp.maximum(total, 1e-30)
    occupied = p > 0
    log_ratio = jnp.log(jnp.where(occupied, p, 1.0)) - jnp.log(jnp.where(occupied, reference, 1.0))
    divergence = jnp.maximum(jnp.sum(p * log_ratio), 0.0)  # rounding may go a little below 0
    return jnp.where(total > 0, divergence, -jnp.log(jnp.min(reference)))


def histogram_overlap(histograms: Array) -> Array:
    """How much the components' histograms coincide: the mean over pairs of ``1 - total variation``.

    For components ``i < j`` with normalised histograms ``p_i``, ``p_j`` over the modes, ``1 - TV(p_i, p_j) =
    sum_m min(p_i(m), p_j(m))``: 1 if they spread alike, 0 if they share no mode. A component without any count
    overlaps with none. The mean is over the ``K (K - 1) / 2`` unordered pairs; a single component has overlap 0.

    Args:
        histograms: counts ``[K, M]``.

    Returns:
        A scalar in 0..1.
    """
    histograms = check_array("histograms", histograms, rank=2).astype(jnp.float32)
    num_components = histograms.shape[0]
    if num_components < 2:
        return jnp.zeros((), jnp.float32)
    total = jnp.sum(histograms, axis=-1, keepdims=True)
    # Sorted by size, the r-th smallest is the minimum in its pairs with the K - 1 - r larger ones: no [K, K, M].
    ordered = jnp.sort(histograms / jnp.maximum(total, 1e-30), axis=0)
    pairs = jnp.arange(num_components - 1, -1, -1, dtype=jnp.float32)
    return jnp.sum(ordered * pairs[:, None]) / (num_components * (num_components - 1) / 2)


def summarise_histogram(histogram: Array, reference: Array) -> dict[str, Array]:
    """Bins ``captured``, ``reverse_kl`` and ``reverse_kl_floor`` of counts ``[M]`` (normalised reference ``[M]``)."""
    floor = (histogram.shape[0] - 1) / (2 * jnp.maximum(jnp.sum(histogram), 1.0))
    return {
        "captured": jnp.sum(histogram > 0).astype(jnp.float32),
        "reverse_kl": histogram_reverse_kl(histogram, reference),
        "reverse_kl_floor": jnp.minimum(floor, -jnp.log(jnp.min(reference))),
    }


def compare_histograms(histograms: Array, noun: str) -> dict[str, Array]:
    """``overlap``, and of the bins (``noun``) how many are shared and how many covered, of counts ``[K, M]``."""
    captured_by = jnp.sum(histograms > 0, axis=0)
    return {
        "overlap": histogram_overlap(histograms),
        f"{noun}_shared": jnp.sum(captured_by >= 2).astype(jnp.float32),
        f"{noun}_union": jnp.sum(captured_by >= 1).astype(jnp.float32),
    }


def check_reference(name: str, reference: Any, num_bins: int) -> Array:
    """A reference histogram ``[num_bins]``, divided by its sum; uniform for None."""
    check_count("num_bins", num_bins)
    reference = jnp.ones(num_bins) if reference is None else reference
    reference = check_array(name, reference, rank=1, finite=True).astype(jnp.float32)
    if reference.shape != (num_bins,):
        raise ValueError(f"{name} must have shape ({num_bins},), got {reference.shape}")
    if is_concrete(reference):
        entries = np.asarray(reference)
        if entries.min() < 0 or entries.sum() <= 0:
            raise ValueError(f"{name} must be >= 0 and not all zero, got {entries}")
    return reference / jnp.sum(reference)


# The metrics proper are compiled even where the caller does not: op by op, each call would compile its loop anew.


@jax.jit
def _coverage(
    samples: Array, centers: Array, std: Array, threshold: Array, reference: Array
) -> dict[str, Array]:
    histogram = _mode_histogram(samples, centers, std, threshold)
    summary = summarise_histogram(histogram, reference)
    high_quality = jnp.sum(histogram) / samples.shape[0]
    return {"modes": summary.pop("captured"), "high_quality": high_quality, **summary}


@jax.jit
def _component_coverage(
    samples: Array, centers: Array, std: Array, threshold: Array, reference: Array
) -> dict[str, Array]:
    histogram = jax.vmap(lambda own: _mode_histogram(own, centers, std, threshold))(samples)
    summary = jax.vmap(lambda counts: summarise_histogram(counts, reference))(histogram)
    return {
        "modes": summary.pop("captured"),
        "high_quality": jnp.sum(histogram, axis=-1) / samples.shape[1],
        **summary,
        "histogram": histogram,
        **compare_histograms(histogram, "modes"),
    }


@jax.jit
def _mode_histogram(samples: Array, centers: Array, std: Array, threshold: Array) -> Array:
    def closer(carry: tuple[Array, Array], mode: tuple[Array, Array, Array]) -> tuple[Any, None]:
        nearest, distance = carry
        index, center, width = mode
        candidate = jnp.sqrt(jnp.sum(((samples - center[None]) / width) ** 2, axis=-1))
        better = candidate < distance
        return (jnp.where(better, index, nearest), jnp.minimum(candidate, distance)), None

    num_modes = centers.shape[0]
    # Made from the samples, so that under shard_map the carry varies over the axes that they vary over.
    start = (
        jnp.full_like(samples[:, 0], 0, dtype=jnp.int32),
        jnp.full_like(samples[:, 0], jnp.inf),
    )
    modes = (jnp.arange(num_modes, dtype=jnp.int32), centers, std)
    (nearest, distance), _ = jax.lax.scan(closer, start, modes)
    return label_histogram(nearest, num_modes, distance <= threshold)


def _checked_samples(samples: Any, centers: Array, rank: int) -> Array:
    samples = check_array("samples", samples, rank=rank).astype(jnp.float32)
    dim = centers.shape[-1]
    if 0 in samples.shape or samples.shape[-1] != dim:
        axes = "N" if rank == 2 else "K, N"
        raise ValueError(
            f"samples must be [{axes}, {dim}] with {axes} >= 1, for centers {centers.shape}, "
            f"got {samples.shape}"
        )
    return samples


def _checked_modes(centers: Any, std: Any, threshold: Any) -> tuple[Array, Array, Array]:
    centers = check_array("centers", centers, rank=2, finite=True).astype(jnp.float32)
    if 0 in centers.shape:
        raise ValueError(f"centers must be [M, D] with M, D >= 1, got {centers.shape}")
    num_modes = centers.shape[0]
    std = check_array("std", std, rank=(0, 1), finite=True).astype(jnp.float32)
    if std.ndim == 1 and std.shape != (num_modes,):
        raise ValueError(f"std must be a number or have shape ({num_modes},), got {std.shape}")
    if is_concrete(std) and float(np.min(np.asarray(std))) <= 0:
        raise ValueError(f"std must be > 0, got {np.asarray(std)}")
    std = jnp.broadcast_to(std, (num_modes,)) if std.ndim == 0 else std
    check_number("threshold", threshold, minimum=0.0, strict=True)
    return centers, std, jnp.asarray(threshold, jnp.float32)
