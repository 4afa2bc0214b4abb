"""The birthday test: how many distinct samples does a generator have? Duplicates among s draws give it away.

Arora and Zhang (2017, arXiv 1706.08224). If a generator is uniform over N distinct samples, s draws contain

    E pairs = s (s - 1) / (2 N)    duplicate pairs,    and some with probability  P = 1 - exp(-s (s - 1) / (2 N)).

P holds to first order. The exact ``1 - prod_i (1 - i / N)`` is a little larger, so the power quoted is never too large.
For a distribution p that is not uniform, N is ``1 / sum p^2``: the size of the uniform support with as many duplicates.
No support is smaller than N, so N bounds the support from below. The test cannot see many rare samples beside a few
frequent ones. Frequent samples also come in three and four copies. These make the number of pairs vary more than a
Poisson number does, and the intervals allow for it.

Duplicates are near-duplicates: pairs closer than a threshold in a feature space. You choose both, and the test is as
good as the two. Look at the closest pairs before you believe a threshold, as the paper does.
"""

import math
from collections.abc import Callable
from typing import Annotated, Any, TypeAlias

import numpy as np
from annotated_types import Ge

from mixgan_jax.checked import checked
from mixgan_jax.checks import check_array, is_concrete
from mixgan_jax.metrics._duplicates import check_tallies, log_ratio_excess, mean_interval
from mixgan_jax.metrics.pairs import closest_pairs
from mixgan_jax.types import Array, ArrayLike, Count, Fraction, NonNegative


def check_batches(name: str, value: Any) -> Array:
    """Returns an array of shape ``[R, s, ...]``, s >= 2, whose values are known."""
    array = check_array(name, value, finite=True)
    if not is_concrete(array):
        raise TypeError(f"{name} must not be traced: the intervals are computed on the host")
    if array.ndim < 2 or array.shape[1] < 2 or 0 in array.shape:
        raise ValueError(f"{name} must have shape [R, s, ...], s >= 2, got {array.shape}")
    return array


Batches: TypeAlias = Annotated[Array, check_batches]
"""R independent batches of s >= 2 independent samples, ``[R, s, ...]``, not traced."""

Draws: TypeAlias = Annotated[int, Ge(2)]
"""The number s of samples in a batch."""


@checked
def birthday_test(
    samples: Batches,
    *,
    threshold: NonNegative,
    features: Callable[[Array], Array] | None = None,
    confidence: Fraction = 0.95,
    num_pairs: Count = 20,
    block: Count = 256,
) -> dict[str, Any]:
    """Estimates the support size of a generator from the duplicates in several batches of its samples.

    Args:
        samples: ``[R, s, ...]``, R independent batches of s >= 2 independent samples. Not traced.
        threshold: a pair at this distance or less is a duplicate, >= 0.
        features: maps ``[s, ...]`` to features ``[s, ...]``; None for the samples themselves.
        confidence: of the intervals, in (0, 1).
        num_pairs: P, how many closest pairs of each batch to return.
        block: rows that are compared with as many rows at once.

    Returns:
        The entries of :func:`support_size`, and for each batch those of :func:`closest_pairs`: ``distance``,
        ``first``, ``second`` ``[R, P]``, ``duplicates`` ``[R]``, ``neighbours`` ``[R, s]``.

    Example:
        >>> import jax, mixgan_jax as mg
        >>> samples = jax.random.randint(jax.random.key(0), (30, 100, 1), 0, 1000)
        >>> round(mg.metrics.birthday_test(samples, threshold=0.0)["support"], -2)
        1000.0
    """
    pairs = _closest_pairs_by_batch(samples, None, features, threshold, num_pairs, block)
    near = np.asarray(pairs["neighbours"], np.int64)
    return pairs | support_size(
        pairs["duplicates"],
        samples.shape[1],
        wedges=np.sum(near * (near - 1) // 2, axis=1),
        confidence=confidence,
    )


@checked
def support_size(
    duplicates: ArrayLike,
    batch: Draws,
    *,
    wedges: ArrayLike | None = None,
    confidence: Fraction = 0.95,
) -> dict[str, float | np.ndarray]:
    """Estimates the size of a support from the numbers of duplicate pairs in batches, in two ways.

    ``support`` estimates ``1 / sum p^2``. The number C of duplicates in all R batches has the mean
    ``R s (s - 1) / 2 sum p^2``. Its variance is that mean plus ``R s (s - 1) (s - 2) sum p^3``, which twice the number
    of wedges estimates: C is a Poisson number only where p is flat. The interval transforms C to constant variance. It
    allows for one more triple of copies than was seen. Without ``wedges`` it allows for the worst p, a single frequent
    sample. In simulations (uniform, Zipf, one frequent sample) the 95 % interval covered at least 96 % of the time.

    ``support_by_batches`` estimates the uniform support for which a batch is as likely to have a duplicate. It needs
    only that probability. This is Arora and Zhang's test, with the exact (Clopper-Pearson) interval. It depends on s.

    Both equal the size of the support if p is uniform, and bound it from below if not. The second is then the larger
    one, up to chance and to first order in s / N: if their intervals do not meet, p is not uniform.

    Args:
        duplicates: ``[R]`` whole numbers >= 0, R >= 1: the duplicate pairs of each batch.
        batch: s >= 2.
        wedges: ``[R]`` whole numbers >= 0: in each batch, the pairs of duplicates that have a sample in common, three
            for each triple of copies. None if they are not known.
        confidence: of the intervals, in (0, 1).

    Returns:
        Scalars:

        - ``support``, ``support_low``, ``support_high``: from the counts. Without any duplicate the support and its
          upper end are infinite.
        - ``detected``: the fraction of batches with a duplicate.
        - ``support_by_batches``, ``support_by_batches_low``, ``support_by_batches_high``: from that fraction.
        - ``support_seen``: the largest support that shows a duplicate in one or more of the batches with probability
          ``confidence``.

        No support is below 1.
    """
    from scipy import stats

    counts = check_tallies("duplicates", duplicates, math.comb(batch, 2))
    if wedges is not None:
        wedges = check_tallies("wedges", wedges, batch * math.comb(batch - 1, 2))
        if wedges.shape != counts.shape:
            raise ValueError(f"wedges must be [R] as duplicates, got shape {wedges.shape}")
    tail = 0.5 * (1.0 - confidence)
    pairs = 0.5 * batch * (batch - 1)
    hits, repeats = int((counts > 0).sum()), counts.size
    low, high = mean_interval(
        int(counts.sum()), None if wedges is None else int(wedges.sum()), repeats, tail
    )
    few = stats.beta.ppf(tail, hits, repeats - hits + 1) if hits else 0.0
    many = stats.beta.ppf(1 - tail, hits + 1, repeats - hits) if hits < repeats else 1.0
    return {
        "support": _ratio(repeats * pairs, int(counts.sum())),
        "support_low": max(1.0, _ratio(repeats * pairs, high)),
        "support_high": _ratio(repeats * pairs, low),
        "detected": hits / repeats,
        "support_by_batches": max(1.0, _ratio(pairs, _poisson_mean(hits / repeats))),
        "support_by_batches_low": max(1.0, _ratio(pairs, _poisson_mean(many))),
        "support_by_batches_high": max(1.0, _ratio(pairs, _poisson_mean(few))),
        "support_seen": detectable_support(batch, repeats=repeats, power=1.0 - 2.0 * tail),
    }


@checked
def duplicate_probability(
    support: Annotated[float, Ge(1)], batch: Draws, *, repeats: Count = 1
) -> float:
    """Returns the power of the test: the chance that a uniform support of this size shows a duplicate.

    ``1 - exp(-R s (s - 1) / (2 N))``. For one batch it is 0.393 at ``s = sqrt N`` and one half at s = 1.18 sqrt N.

    Args:
        support: N >= 1.
        batch: s >= 2.
        repeats: R >= 1, the number of batches. One with a duplicate is enough.

    Returns:
        The probability to first order in s / N, which is not larger than the exact one.
    """
    return -math.expm1(-0.5 * batch * (batch - 1) * repeats / support)


@checked
def detectable_support(batch: Draws, *, repeats: Count = 1, power: Fraction = 0.5) -> float:
    """Returns the support that shows a duplicate with this probability; inverts :func:`duplicate_probability`.

    ``N = R s (s - 1) / (-2 log(1 - power))``. For one batch and one half it is 115,127 at s = 400 and 720,626 at
    s = 1000.

    Args:
        batch: s >= 2.
        repeats: R >= 1, the number of batches.
        power: in (0, 1).

    Returns:
        N; less than 1 where even a single point would not reach the power.
    """
    return 0.5 * batch * (batch - 1) * repeats / _poisson_mean(power)


@checked
def shared_support(
    first: Batches,
    second: Batches,
    *,
    threshold: NonNegative,
    features: Callable[[Array], Array] | None = None,
    confidence: Fraction = 0.95,
    num_pairs: Count = 20,
    block: Count = 256,
) -> dict[str, Any]:
    r"""Tests whether two generators share samples: compares duplicates across with those within.

    With p and q for their distributions, a pair across is a duplicate with probability ``sum p q``, pairs within with
    ``sum p^2`` and ``sum q^2``. Their ratio is Morisita's (1959) overlap, as simplified by Horn (1966),

        overlap = 2 sum p q / (sum p^2 + sum q^2),    1 if p = q, 0 if they share nothing.

    If all pairs were independent, the duplicates across would be binomial, given the total. The interval is Clopper
    and Pearson's. Pairs with a sample in common are not independent, so both counts are first divided by how much more
    their log-ratio varies. The upper end may exceed 1.

    Args:
        first: ``[R, s, ...]``, R batches of s >= 2 independent samples of one generator. Not traced.
        second: ``[R, s, ...]``, of the other.
        threshold: a pair at this distance or less is a duplicate, >= 0.
        features: maps ``[s, ...]`` to features ``[s, ...]``; None for the samples themselves.
        confidence: of the interval, in (0, 1).
        num_pairs: P, how many closest pairs across to return for each batch.
        block: rows that are compared with as many rows at once.

    Returns:
        - ``overlap``, ``overlap_low``, ``overlap_high``: scalars; with no duplicate at all nan, 0 and inf.
        - ``duplicates_within_first``, ``duplicates_within_second``, ``duplicates_across``: ``[R]``.
        - ``distance``, ``first``, ``second``: ``[R, P]``, the closest pairs across.
    """
    from scipy import stats

    if first.shape != second.shape:
        raise ValueError(f"second must have the shape of first, {first.shape}, got {second.shape}")
    across = _closest_pairs_by_batch(first, second, features, threshold, num_pairs, block)
    within = [
        _closest_pairs_by_batch(side, None, features, threshold, 1, block)
        for side in (first, second)
    ]
    shared = int(across["duplicates"].sum())
    alone = int(within[0]["duplicates"].sum() + within[1]["duplicates"].sum())
    batch, tail = first.shape[1], 0.5 * (1.0 - confidence)
    # allow for dependence
    excess = log_ratio_excess(
        np.stack([across.pop("neighbours"), across.pop("neighbours_of_others")]),
        np.stack([side["neighbours"] for side in within]),
        shared,
        alone,
    )

    def overlap(share: float) -> float:
        """Returns the overlap at a share of duplicates across: s^2 pairs are across, s (s - 1) within."""
        return (batch - 1) / batch * _ratio(share, 1.0 - share)

    total = shared + alone
    low = stats.beta.ppf(tail, shared / excess, alone / excess + 1) if shared else 0.0
    high = stats.beta.ppf(1 - tail, shared / excess + 1, alone / excess) if alone else 1.0
    return {
        "overlap": overlap(shared / total) if total else math.nan,
        "overlap_low": overlap(float(low)),
        "overlap_high": overlap(float(high)),
        "duplicates_within_first": within[0]["duplicates"],
        "duplicates_within_second": within[1]["duplicates"],
        "duplicates_across": across.pop("duplicates"),
        **across,
    }


def _closest_pairs_by_batch(
    batches: Array,
    others: Array | None,
    features: Callable[[Array], Array] | None,
    threshold: float,
    num_pairs: int,
    block: int,
) -> dict[str, np.ndarray]:
    """Finds the closest pairs of one batch after the other, as NumPy arrays ``[R, ...]``."""
    found = [
        closest_pairs(
            batch,
            None if others is None else others[index],
            features=features,
            threshold=threshold,
            num_pairs=num_pairs,
            block=block,
        )
        for index, batch in enumerate(batches)
    ]
    return {name: np.stack([np.asarray(pairs[name]) for pairs in found]) for name in found[0]}


def _poisson_mean(probability: float) -> float:
    """Returns the mean of a Poisson number that is positive with this probability."""
    return math.inf if probability >= 1.0 else -math.log1p(-float(probability))


def _ratio(a: float, b: float) -> float:
    return float(a) / float(b) if b else math.inf
