"""Scores from nearest neighbours: precision and recall, density and coverage, without a matrix of all distances.

A set of features is described by balls: around each sample one that reaches to its k-th nearest neighbour in the set.
"""

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from mixgan_jax.checked import checked
from mixgan_jax.metrics.images.features import FeatureRows, check_widths
from mixgan_jax.types import Array, Count

_ROWS_AT_ONCE = 512  # of a matrix of distances


@checked
def precision_recall(
    *, real: FeatureRows, fake: FeatureRows, neighbours: Count = 3
) -> dict[str, float]:
    """Returns which share of fakes looks real, and which share of reals the generator could have made.

    ``precision`` is the share of fakes in the ball of at least one real, ``recall`` that of reals in the ball of at
    least one fake (Kynkäänniemi, Karras, Laine, Lehtinen and Aila 2019, arXiv 1904.06991). A
    generator of one real image has precision 1 and recall 0. One outlier with a large ball raises either. Both depend
    on the numbers of samples: compare scores of equally many.

    Distances are Euclidean, from float32 inner products of features, less the mean of those with the balls. Two that
    differ by less than rounding are in no defined order. They are computed block by block: two sets of 10,000 x 2,048
    features took 13 s on two shared cores, with a peak of 0.8 GB for the whole process, the sets included.

    Args:
        real: features ``[N, D]``, N > neighbours.
        fake: features ``[M, D]``, M > neighbours.
        neighbours: k.

    Returns:
        ``precision`` and ``recall``, scalars in 0..1.
    """
    check_sizes(real, fake, neighbours)
    centres, points = centre(real, fake)
    near_reals = count_balls(points, centres, squared_radii(centres, neighbours))
    centres, points = centre(fake, real)
    near_fakes = count_balls(points, centres, squared_radii(centres, neighbours))
    return {"precision": _share(near_reals > 0), "recall": _share(near_fakes > 0)}


@checked
def density_coverage(
    *, real: FeatureRows, fake: FeatureRows, neighbours: Count = 5
) -> dict[str, float]:
    """Returns how densely fakes lie where reals do, and which share of reals has a fake nearby.

    ``density = sum over fakes of the number of reals' balls that contain it, over k M``. ``coverage`` is the share of
    reals with at least one fake in their ball (Naeem, Oh, Uh, Choi and Yoo 2020, arXiv 2002.09797). Both
    use the balls of reals alone, so that an outlier among fakes does no harm. If both sets come from one distribution,
    density is 1 on average, and coverage ``1 - (N - 1) ... (N - k) / ((N + M - 1) ... (N + M - k))``. For N = M that is
    near ``1 - 2^-k``.

    Args:
        real: features ``[N, D]``, N > neighbours.
        fake: features ``[M, D]``.
        neighbours: k.

    Returns:
        ``density``, a scalar >= 0 that may exceed 1, and ``coverage``, a scalar in 0..1.
    """
    check_sizes(real, fake, neighbours, fakes_too=False)
    real, fake = centre(real, fake)
    radii = squared_radii(real, neighbours)
    return {
        "density": _share(count_balls(fake, real, radii)) / neighbours,
        "coverage": _share(are_occupied(real, radii, fake)),
    }


def _share(numbers: Array) -> float:
    """Returns the mean in float64: float32 does not hold the sum of many counts."""
    return float(np.mean(np.asarray(numbers), dtype=np.float64))


def check_sizes(real: Array, fake: Array, neighbours: int, *, fakes_too: bool = True) -> None:
    """Refuses sets that are too small for their k-th neighbours, or of different widths."""
    check_widths(real, fake)
    for name, rows in (("real", real), ("fake", fake))[: 2 if fakes_too else 1]:
        if len(rows) <= neighbours:
            raise ValueError(
                f"{name} must be more than neighbours, {neighbours}, got {len(rows)} samples"
            )


def centre(owner: Array, *others: Array) -> list[Array]:
    """Subtracts the mean of the balls' owner from all sets, in float32.

    Squared distances by inner products lose the digits that norms have in common. Around a set of samples that are
    nearly alike, distances would be rounding alone if another mean were subtracted.
    """
    sets = [jnp.asarray(rows, jnp.float32) for rows in (owner, *others)]
    mean = jnp.mean(sets[0], axis=0, keepdims=True)
    return [rows - mean for rows in sets]


@partial(jax.jit, static_argnames="neighbours")
def squared_radii(rows: Array, neighbours: int) -> Array:
    """Returns the squared distance ``[N]`` of each row to its k-th nearest neighbour among the others."""
    places = jnp.arange(len(rows), dtype=jnp.int32)
    squares_to_rows = _squares_to(rows)

    def of_row(own: tuple[Array, Array]) -> Array:
        row, place = own
        squares = jnp.where(places == place, jnp.inf, squares_to_rows(row))

        # Faster than a sort for few neighbours.
        def drop_nearest(_: int, left: Array) -> Array:
            return jnp.where(places == jnp.argmin(left), jnp.inf, left)

        return jnp.min(jax.lax.fori_loop(0, neighbours - 1, drop_nearest, squares))

    return jax.lax.map(of_row, (rows, places), batch_size=_ROWS_AT_ONCE)


@jax.jit
def count_balls(points: Array, centres: Array, radii: Array) -> Array:
    """Returns the number ``[P]`` of balls that contain each point, int32; ``radii`` are squared."""
    squares_to_centres = _squares_to(centres)

    def of_point(point: Array) -> Array:
        return jnp.sum(squares_to_centres(point) <= radii, dtype=jnp.int32)

    return jax.lax.map(of_point, points, batch_size=_ROWS_AT_ONCE)


@jax.jit
def are_occupied(centres: Array, radii: Array, points: Array) -> Array:
    """Returns for each ball whether a point lies in it, bool ``[N]``; ``radii`` are squared."""
    squares_to_points = _squares_to(points)

    def of_ball(ball: tuple[Array, Array]) -> Array:
        own, radius = ball
        return jnp.min(squares_to_points(own)) <= radius

    return jax.lax.map(of_ball, (centres, radii), batch_size=_ROWS_AT_ONCE)


def _squares_to(columns: Array) -> Callable[[Array], Array]:
    """Returns a function of one row: its squared distances ``[M]`` to all columns, by an inner product."""
    norms = jnp.sum(columns**2, axis=1)

    def squares(row: Array) -> Array:
        products = jnp.matmul(columns, row, precision=jax.lax.Precision.HIGHEST)
        return jnp.maximum(norms + jnp.sum(row**2) - 2.0 * products, 0.0)

    return squares
