"""The Frechet distance between sets of features: between Gaussians with their means and covariances.

Computed on the host in float64. You choose the features: the function contains no network. Only distances in the same
features, from equally many samples, can be compared with each other.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from mixgan_jax.checked import checked
from mixgan_jax.metrics.distances import SeveralSamples, to_float64


@checked
def frechet_distance(real: SeveralSamples, fake: SeveralSamples) -> float:
    """Returns the squared Wasserstein-2 distance between Gaussians with the means and covariances of two sets.

    ``|m - m'|^2 + tr(S + S' - 2 (S S')^(1/2))`` (Dowson and Landau 1982). On features of the Inception network it is
    the FID (Heusel, Ramsauer, Unterthiner, Nessler and Hochreiter 2017, arXiv 1706.08500). Covariances are the
    unbiased ones, over N - 1. The estimate is biased upward, more so with fewer samples.

    The function takes no square root of a matrix. With ``S = A^T A`` and ``S' = B^T B`` the trace of ``(S S')^(1/2)``
    is the sum of the singular values of ``A B^T``, where A and B are triangular factors of the centred samples. The sum
    is real and finite for fewer samples than features and for samples that are all the same; the usual ``sqrtm`` is
    not.

    Args:
        real: ``[N, ...]``, N >= 2; axes after the first are flattened to D features.
        fake: ``[M, ...]``, M >= 2; M may differ from N.

    Returns:
        A number >= 0, in the square of the features' unit.
    """
    x, y = to_float64(real, fake)
    mean, factor = _moments(x)
    other_mean, other_factor = _moments(y)
    shift = float(np.sum((mean - other_mean) ** 2))
    traces = float(np.sum(factor**2) + np.sum(other_factor**2))
    overlap = float(np.linalg.svd(factor @ other_factor.T, compute_uv=False).sum())
    return shift + max(traces - 2.0 * overlap, 0.0)  # rounding may bring it below 0


def _moments(samples: npt.NDArray[np.float64]) -> tuple[Any, Any]:
    """Returns the mean ``[D]`` and a factor ``[min(N, D), D]`` of the covariance."""
    mean = samples.mean(axis=0)
    scaled = (samples - mean) / np.sqrt(len(samples) - 1)
    return mean, np.linalg.qr(scaled, mode="r")
