"""Inception score and kernel distance: means over parts of the samples, with their standard errors, in float64."""

import itertools
from collections.abc import Sequence
from typing import Annotated, Any

import jax
import numpy as np

from mixgan_jax.checked import checked
from mixgan_jax.checks import check_on_host, check_weights
from mixgan_jax.metrics.images.features import FeatureRows, check_features, check_widths
from mixgan_jax.metrics.images.scores import Estimate
from mixgan_jax.types import Array, Count, Key


def _check_probabilities(name: str, value: Any) -> Any:
    return check_on_host(
        lambda own, copy: check_weights(own, check_features(own, copy)), name, value
    )


@checked
def inception_score(
    *, fake: Annotated[Array, _check_probabilities], splits: Count = 10
) -> Estimate:
    """Returns the exponent of the information that an image gives about its class, over splits.

    ``IS = exp(E_x KL(p(y | x) | p(y)))`` with ``p(y) = E_x p(y | x)`` (Salimans, Goodfellow, Zaremba, Cheung, Radford
    and Chen 2016, arXiv 1606.03498), over each of several splits of consecutive images; the result is their mean. It
    is 1 where all images get the same probabilities, and C where each gets one class for certain and classes are even.
    A split of n images has a score of n at most, and fewer images have a higher score on average: p(y) is estimated
    from the same images. Only scores of equally many images in equally many splits can be compared.

    Args:
        fake: class probabilities ``[N, C]`` of the images, in random order, N >= 2 splits.
        splits: number of splits.

    Returns:
        The mean, in 1..C, and its standard error: the standard deviation of the splits over the root of their number,
        NaN for one split. Papers state the standard deviation.
    """
    if len(fake) < 2 * splits:
        raise ValueError(f"fake must be {2 * splits} images or more, got {len(fake)}")
    rows = np.asarray(fake, np.float64)
    rows = rows / rows.sum(axis=1, keepdims=True)
    edges = [index * len(rows) // splits for index in range(splits + 1)]
    parts = [rows[low:high] for low, high in itertools.pairwise(edges)]
    return mean_of([float(np.exp(_information(part))) for part in parts])


def _information(rows: np.ndarray) -> float:
    """Returns the mean KL divergence of rows to their mean, in nats."""
    marginal = rows.mean(axis=0, keepdims=True)
    ratio = np.divide(rows, marginal, out=np.ones_like(rows), where=rows > 0)
    return float(np.sum(rows * np.log(ratio), axis=1).mean())


@checked
def kernel_distance(
    key: Key, *, real: FeatureRows, fake: FeatureRows, num_subsets: Count | None = None
) -> Estimate:
    """Estimates the squared maximum mean discrepancy with a cubic kernel, without bias; on Inception features the KID.

    ``k(x, y) = (<x, y> / D + 1)^3`` (Bińkowski, Sutherland, Arbel and Gretton 2018, arXiv 1801.01401). The mean of
    ``k(x, x')`` is over pairs of different reals, and so that of fakes. The estimate is 0 on average if both
    distributions are the same, and then negative about half the time, whatever the numbers of samples.

    Samples are dealt at random into disjoint subsets, so that their estimates are independent: the standard error is
    one. Implementations that draw subsets with overlap state a standard deviation, from which none follows. It is
    computed on the host in float64. Two sets of 50,000 x 2,048 float32 features took 40 s on two shared cores, with a
    peak of 1.2 GB for the whole process, the sets included.

    Args:
        key: consumed: which samples meet in a subset.
        real: features ``[N, D]``.
        fake: features ``[M, D]``. Both need two samples or more for each subset.
        num_subsets: S; None for one in 1000 samples of the smaller set, but for 10 or more where it has 20 samples, and
            2 below.

    Returns:
        The mean of the subsets' estimates and its standard error, NaN for one subset.
    """
    few = min(len(real), len(fake))
    subsets = num_subsets or (max(few // 1000, 10) if few >= 20 else 2)
    check_widths(real, fake)
    for name, rows in (("real", real), ("fake", fake)):
        if len(rows) < 2 * subsets:
            raise ValueError(f"{name} must be {2 * subsets} or more, got {len(rows)}: else biased")
    keys = jax.random.split(key)
    dealt = [
        np.asarray(jax.random.permutation(keys[side], len(rows)))[: len(rows) // subsets * subsets]
        for side, rows in enumerate((real, fake))
    ]
    sides = [np.asarray(real), np.asarray(fake)]
    estimates = []
    for places in zip(*(np.split(order, subsets) for order in dealt), strict=True):
        x, y = (rows[own].astype(np.float64) for rows, own in zip(sides, places, strict=True))
        estimates.append(_within(x) + _within(y) - 2.0 * float(_kernel(x, y).mean()))
    return mean_of(estimates)


def _kernel(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return (x @ y.T / x.shape[1] + 1.0) ** 3


def _within(x: np.ndarray) -> float:
    """Returns the mean kernel of pairs of different rows."""
    kernel = _kernel(x, x)
    return float((kernel.sum() - np.trace(kernel)) / (len(x) * (len(x) - 1)))


def mean_of(parts: Sequence[float] | np.ndarray) -> Estimate:
    """Returns the mean of independent numbers and its standard error, NaN for one, in float64."""
    known = np.asarray(parts, np.float64)
    stderr = known.std(ddof=1) / np.sqrt(len(known)) if len(known) > 1 else np.nan
    return Estimate(float(known.mean()), float(stderr))
