"""The Frechet distance between sets of features: between Gaussians with their means and covariances.

Computed on the host in float64. You choose the features: the function contains no network. Only distances in the same
features, from equally many samples, can be compared with each other.
"""

from collections.abc import Sequence
from typing import Annotated, Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from mixgan_jax.checked import checked
from mixgan_jax.checks import is_concrete
from mixgan_jax.metrics.distances import check_samples
from mixgan_jax.types import Array, Shaped


def _check_samples(name: str, value: Any) -> Any:
    """Returns samples as :func:`check_samples` does, but NumPy's float64 as it is."""
    checked_samples = check_samples(2, name, value, moved=False)
    is_float64 = isinstance(value, np.ndarray) and value.dtype == np.float64
    return value if is_float64 else checked_samples


_Samples: TypeAlias = Annotated[Array, _check_samples]

_ROWS_AT_ONCE = 4096  # in float64


@checked
def frechet_distance(real: _Samples, fake: _Samples) -> float:
    """Returns the squared Wasserstein-2 distance between Gaussians with the means and covariances of two sets.

    ``|m - m'|^2 + tr(S + S' - 2 (S S')^(1/2))`` (Dowson and Landau 1982). On features of the Inception network it is
    the FID (Heusel, Ramsauer, Unterthiner, Nessler and Hochreiter 2017, arXiv 1706.08500). Covariances are the
    unbiased ones, over N - 1. The estimate is biased upward, more so with fewer samples.

    The function takes no square root of a matrix. With ``S = A^T A`` and ``S' = B^T B`` the trace of ``(S S')^(1/2)``
    is the sum of the singular values of ``A B^T``, where A and B are triangular factors of the centred samples. The sum
    is real and finite for fewer samples than features and for samples that are all the same; the usual ``sqrtm`` is
    not. Samples enter the factors block by block. Two sets of 50,000 x 2,048 float32 features took 86 s on two shared
    cores, with a peak of 1.4 GB for the whole process, the sets included.

    Args:
        real: ``[N, ...]``, N >= 2; axes after the first are flattened to D features.
        fake: ``[M, ...]``, M >= 2; M may differ from N.

    Returns:
        A number >= 0, in the square of the features' unit.
    """
    x, y = _on_host(real, fake)
    return distance_of_moments(moments(x), moments(y))


class Moments(NamedTuple):
    """Mean ``[D]`` and a factor ``[R, D]`` of the covariance, ``factor^T factor``, in float64."""

    mean: npt.NDArray[np.float64]
    factor: npt.NDArray[np.float64]


def distance_of_moments(real: Moments, fake: Moments) -> float:
    """Returns the distance of two Gaussians from their means and the factors of their covariances."""
    shift = float(np.sum((real.mean - fake.mean) ** 2))
    traces = float(np.sum(real.factor**2) + np.sum(fake.factor**2))
    overlap = float(np.linalg.svd(real.factor @ fake.factor.T, compute_uv=False).sum())
    return shift + max(traces - 2.0 * overlap, 0.0)  # rounding may bring it below 0


def moments(samples: np.ndarray) -> Moments:
    """Returns the moments of samples ``[N, D]``; the factor is ``[min(N, D), D]``.

    It needs no copy of all samples in float64: rows enter the factor a block at a time. The factor R of a QR
    decomposition of R and further rows is that of all rows together.
    """
    blocks = [
        samples[start : start + _ROWS_AT_ONCE] for start in range(0, len(samples), _ROWS_AT_ONCE)
    ]
    sums = [np.asarray(block, np.float64).sum(axis=0) for block in blocks]
    mean = np.sum(sums, axis=0) / len(samples)
    factor = np.zeros((0, samples.shape[1]))
    for block in blocks:
        centred = np.asarray(block, np.float64) - mean
        centred /= np.sqrt(len(samples) - 1)
        factor = _triangle(np.concatenate([factor, centred]))
    return Moments(mean, factor)


def mix_moments(weights: npt.NDArray[np.float64], parts: Sequence[Moments]) -> Moments:
    """Returns the moments of a mixture of distributions: covariances within, and of the means.

    ``S = sum_k w_k (S_k + (m_k - m)(m_k - m)^T)`` with ``m = sum_k w_k m_k``.
    """
    mean = np.sum([w * part.mean for w, part in zip(weights, parts, strict=True)], axis=0)
    factor = np.zeros((0, len(mean)))
    for weight, part in zip(weights, parts, strict=True):
        rows = np.concatenate([part.factor, (part.mean - mean)[None]])
        factor = _triangle(np.concatenate([factor, np.sqrt(weight) * rows]))
    return Moments(mean, factor)


def _triangle(rows: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Returns R ``[min(N, D), D]`` with ``R^T R = rows^T rows``."""
    return np.asarray(np.linalg.qr(rows, mode="r"))


def _on_host(real: Array, fake: Array) -> tuple[np.ndarray, np.ndarray]:
    """Returns both sets on the host, ``[N, D]`` and ``[M, D]``; :func:`moments` makes float64 of a block at a time."""
    if real.shape[1:] != fake.shape[1:]:
        raise ValueError(f"fake must be of samples like real's {real.shape}, got {fake.shape}")
    sides = []
    for name, side in (("real", real), ("fake", fake)):
        known = np.asarray(side) if is_concrete(side) else side
        Shaped(finite=True, moved=False)(name, known)
        sides.append(np.asarray(known).reshape(len(known), -1))
    return sides[0], sides[1]
