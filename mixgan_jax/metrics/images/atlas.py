"""The component atlas: what each component of a mixture covers, shares with the others, and adds to the mixture."""

from collections.abc import Callable
from typing import Annotated

import numpy as np

from mixgan_jax.checked import checked
from mixgan_jax.checks import check_weights
from mixgan_jax.game.arguments import Matrix
from mixgan_jax.metrics.frechet import distance_of_moments, mix_moments, moments
from mixgan_jax.metrics.images.features import FeatureRows
from mixgan_jax.metrics.images.neighbours import (
    are_occupied,
    centre,
    check_sizes,
    count_balls,
    squared_radii,
)
from mixgan_jax.types import Array, Count, Shaped, Weights


@checked
def component_atlas(
    *,
    real: FeatureRows,
    fake: Annotated[Array, Shaped(3, floating=True, finite=True, moved=False)],
    weights: Weights | None = None,
    payoffs: Matrix | None = None,
    neighbours: Count = 5,
) -> dict[str, np.ndarray]:
    """Measures what each component of a mixture covers, what pairs share, and what the mixture loses without one.

    Frechet distances of mixtures are from exact means and covariances of the weighted components,
    ``S = sum_k w_k (S_k + (m_k - m)(m_k - m)^T)``: no samples are drawn again. Without component k the weights of the
    others are divided by ``1 - w_k``. Coverage is that of :func:`~mixgan_jax.metrics.density_coverage`.

    Args:
        real: features ``[N, D]``, N > neighbours.
        fake: features ``[K, M, D]``, M samples of each of K components, M > neighbours, M >= 2.
        weights: of the components ``[K]``; None for equal ones. Coverage and overlap do not depend on them.
        payoffs: what the discriminators earn, ``[K, J]``, as from :func:`~mixgan_jax.held_out_values`, averaged over
            batches; None leaves the entries about payoffs out.
        neighbours: k of the balls.

    Returns:
        Arrays in float64:

        - ``coverage``: ``[K]``, the share of reals with a sample of the component in their ball; ``coverage_alone``:
          ``[K]``, of reals that no other component covers; ``coverage_mixture``: scalar, of reals that any covers.
        - ``overlap``: ``[K, K]``; ``[i, j]`` is the share of samples of i in the ball of a sample of j. 1 for i = j.
        - ``frechet``: ``[K]``, the Frechet distance of each component alone; ``frechet_mixture``: scalar.
        - ``frechet_without``: ``[K]``, of the mixture without the component; ``frechet_loss``: ``[K]``, that less
          ``frechet_mixture``. Negative: the mixture is better without. NaN where no weight is left.
        - ``payoff``, ``payoff_mixture``, ``payoff_without``, ``payoff_loss``: the same of the payoff to the
          discriminator that earns most, ``max_j sum_k w_k F_kj``.
    """
    count = fake.shape[0]
    if payoffs is not None and np.shape(payoffs)[0] != count:
        raise ValueError(f"payoffs must be [{count}, J], got shape {np.shape(payoffs)}")
    if 0 in fake.shape:
        raise ValueError(f"fake must have shape [K, M, D], none of it 0, got {fake.shape}")
    shares = np.full(count, 1.0 / count)
    if weights is not None:
        shares = np.asarray(check_weights("weights", weights, count), np.float64)
        if shares.ndim != 1:
            raise ValueError(f"weights must be [K], got shape {shares.shape}")
    for name, rows in (("real", real), ("fake", fake[0])):
        if len(rows) < 2:
            raise ValueError(f"{name} must be 2 samples or more of each component, got {len(rows)}")
    check_sizes(real, fake[0], neighbours)
    shares /= shares.sum()
    goal, parts = moments(np.asarray(real)), [moments(np.asarray(part)) for part in fake]

    def distance(weights: np.ndarray) -> float:
        return distance_of_moments(goal, mix_moments(weights, parts))

    atlas = _cover(real, fake, neighbours) | _without_each("frechet", distance, shares)
    if payoffs is not None:
        matrix = np.asarray(payoffs, np.float64)
        atlas |= _without_each("payoff", lambda weights: np.max(weights @ matrix), shares)
    return atlas


def _cover(real: Array, fake: Array, neighbours: int) -> dict[str, np.ndarray]:
    """Computes all entries about coverage and overlap."""
    reals, *parts = centre(real, *fake)
    radii = squared_radii(reals, neighbours)
    covered = np.stack([np.asarray(are_occupied(reals, radii, part)) for part in parts])
    overlap = np.eye(len(parts))
    for j in range(len(parts)):
        centres, *others = centre(fake[j], *fake)
        radii = squared_radii(centres, neighbours)
        for i, other in enumerate(others):
            if i != j:
                overlap[i, j] = np.mean(np.asarray(count_balls(other, centres, radii)) > 0)
    return {
        "coverage": covered.mean(axis=1),
        "coverage_alone": (covered & (covered.sum(axis=0) == 1)).mean(axis=1),
        "coverage_mixture": covered.any(axis=0).mean(),
        "overlap": overlap,
    }


def _without_each(
    name: str, measure: Callable[[np.ndarray], float], weights: np.ndarray
) -> dict[str, np.ndarray]:
    """Measures each component alone, the mixture, and the mixture without each component."""
    alone = np.array([measure(own) for own in np.eye(len(weights))])
    without = np.full(len(weights), np.nan)
    for k, own in enumerate(weights):
        if own < 1.0:
            rest = np.where(np.arange(len(weights)) == k, 0.0, weights)
            without[k] = measure(rest / rest.sum())
    mixture = np.array(measure(weights))
    return {
        name: alone,
        f"{name}_mixture": mixture,
        f"{name}_without": without,
        f"{name}_loss": without - mixture,
    }
