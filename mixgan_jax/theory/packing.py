r"""Mode collapse as seen by a discriminator of m samples at a time (PacGAN).

Lin, Khetan, Fanti and Oh (2018, arXiv 1712.04086). A generator Q has ``(eps, delta)``-mode collapse with respect to
data P if some set S has ``P(S) >= delta`` and ``Q(S) <= eps``; with P and Q exchanged it is mode augmentation. All
such points fill a convex region below a concave curve f from ``(0, f(0))`` to (1, 1). The curve is the ROC curve of a
test between Q and P, and ``TV(P, Q) = max_x f(x) - x``. A discriminator of packs measures ``TV(P^m, Q^m)``. If one
generator's region lies inside another's, the larger region has the larger TV at every m (Blackwell): packing punishes
collapse.

Bounds are over all pairs of distributions with ``TV(P, Q) = tau``. Distributions on at most five atoms attain the
extremes. So the bounds here are exact up to a search over one or two numbers, good to about 1e-6.

Everything is float64 on the host.
"""

import itertools
import math
from collections.abc import Callable
from typing import Annotated, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from mixgan_jax.checked import checked
from mixgan_jax.checks import check_on_host, check_weights
from mixgan_jax.types import ArrayLike, Count, Share

Vector = npt.NDArray[np.float64]

_ROUNDING = 1e-9  # by which conditions on eps, delta and tau may be missed


def check_distribution(name: str, value: Any) -> Vector:
    """Returns weights ``[K]`` in float64."""
    weights = check_on_host(check_weights, name, value)
    if weights.ndim != 1:
        raise ValueError(f"{name} must be one distribution [K], got shape {weights.shape}")
    return weights


Distribution: TypeAlias = Annotated[ArrayLike, check_distribution]
"""Probabilities ``[K]`` of K atoms."""


@checked
def packed_total_variation(p: Distribution, q: Distribution, packing: Count) -> float:
    """Computes ``TV(P^m, Q^m)`` of two distributions on the same K atoms, exactly.

    Half the sum over counts n of the atoms, of sum m, of ``m! / prod n_i! |prod p_i^n_i - prod q_i^n_i|``: there are
    ``(m + K - 1)! / (m! (K - 1)!)`` of them, and at most 1e7 are allowed.

    Args:
        p: ``[K]``, probabilities of the atoms under P.
        q: ``[K]``, under Q.
        packing: m >= 1.

    Returns:
        The total variation distance, in [0, 1].
    """
    p, q = _pair(p, q)
    if math.comb(packing + len(p) - 1, len(p) - 1) > 10**7:
        raise ValueError(f"packing must be small enough for {len(p)} atoms, got {packing}")
    return float(_packed_tv(p, q, packing))


@checked
def mode_collapse_region(p: Distribution, q: Distribution) -> Vector:
    """Returns the upper boundary of the mode-collapse region of Q with respect to P: corners of its concave curve f.

    It adds up the atoms in falling order of P / Q (the Neyman-Pearson lemma).

    Args:
        p: ``[K]``, probabilities of the data on K atoms.
        q: ``[K]``, of the generator.

    Returns:
        Corners ``(eps, delta)``, ``[K + 1, 2]``, from (0, 0) to (1, 1), both rising; between two corners f is linear.
    """
    p, q = _pair(p, q)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(p > 0, p / q, 0.0)  # infinite where Q is 0
    order = np.argsort(-ratio, kind="stable")
    corners = np.zeros((len(p) + 1, 2))
    corners[1:, 0], corners[1:, 1] = np.cumsum(q[order]), np.cumsum(p[order])
    return np.minimum(corners, 1.0)


@checked
def packing_bounds(tv: Share, packing: Count) -> tuple[float, float]:
    r"""Returns the least and the largest ``TV(P^m, Q^m)`` among all pairs with ``TV(P, Q) = tau``.

    The largest is ``1 - (1 - tau)^m``, of a generator that misses a mass of tau altogether. The least is
    ``min_a TV([1 - a, a]^m, [1 - a - tau, a + tau]^m)`` over ``0 <= a <= 1 - tau``. At m = 2
    it is tau itself: without collapse packing need not help.

    Args:
        tv: tau in [0, 1].
        packing: m >= 1.

    Returns:
        Both bounds, in [tau, 1].

    Example:
        >>> import mixgan_jax as mg
        >>> least, largest = mg.theory.packing_bounds(0.5, packing=2)
        >>> round(least, 3), largest
        (0.5, 0.75)
    """
    return _least(_triangle(tv), 0.0, 1.0 - tv, packing), _most(tv, packing)


@checked
def packing_bounds_with_collapse(
    tv: Share, packing: Count, epsilon: Share, delta: Share
) -> tuple[float, float]:
    """Returns the same bounds among pairs that have ``(eps, delta)``-mode collapse: the lower bound rises.

    For every place x where the region touches ``delta = eps + tau`` the smallest region with collapse is the concave
    hull of (0, 0), ``(x, x + tau)``, ``(eps, delta)`` and (1, 1). The bound is the least TV of these. Departure: the
    paper's two branches are exact for ``tau >= (delta - eps) / (1 - eps)`` only; the hull is for all.

    Args:
        tv: tau in [0, 1].
        packing: m >= 1.
        epsilon: eps, 0 <= eps < delta.
        delta: delta <= eps + tau, else no such pair exists.

    Returns:
        The least and the largest ``TV(P^m, Q^m)``.
    """
    _check_collapse(epsilon, delta)
    if delta - epsilon > tv + _ROUNDING:
        raise ValueError(f"delta must be at most epsilon + tv = {epsilon + tv:g}, got {delta:g}")

    def hull(x: float) -> tuple[Vector, Vector]:
        return _curve(np.array([x, epsilon]), np.array([x + tv, delta]))

    return _least(hull, 0.0, 1.0 - tv, packing), _most(tv, packing)


@checked
def packing_bounds_without_collapse(
    tv: Share, packing: Count, epsilon: Share, delta: Share
) -> tuple[float, float]:
    r"""Returns the same bounds among pairs with neither ``(eps, delta)``-mode collapse nor augmentation.

    Randomised sets are included. A pair has neither if ``f(eps) <= delta`` and ``f(1 - delta) <= 1 - eps``. To put
    ``(1 - delta, 1 - eps)`` for ``(eps, delta)`` only exchanges the two conditions, so take ``eps + delta <= 1``. There
    are three cases:

    - ``tau <= delta - eps`` excludes no pair.
    - Up to ``tau = (delta - eps) / (1 - eps)`` the upper bound stays ``1 - (1 - tau)^m``: ``P = [tau, 1 - tau]`` and
      ``Q = [0, 1]`` have neither.
    - Beyond that, f touches the line ``x + tau`` between eps and 1 - delta only. The largest regions lie below this
      line, a line through ``(eps, delta)`` and one through ``(1 - delta, 1 - eps)``. The upper bound is the largest TV
      over both slopes: a family on five atoms with ``a, b >= eps tau / (delta - eps)`` and ``a + b <= 1 - tau``.

    The smallest region that touches the line at x is the triangle (0, 0), ``(x, x + tau)``, (1, 1). The lower bound is
    the least TV of the triangles that have neither. Departure: the paper takes the least over all x, which no such pair
    need attain once ``tau > delta - eps``.

    Args:
        tv: tau in [0, 1], at most ``(delta - eps) / min(delta + eps, 1 - eps)``, else no such pair exists.
        packing: m >= 1.
        epsilon: eps, 0 <= eps < delta.
        delta: at most 1.

    Returns:
        The least and the largest ``TV(P^m, Q^m)``.
    """
    least, most = packing_bounds(tv, packing)
    _check_collapse(epsilon, delta)
    if delta + epsilon > 1.0:
        epsilon, delta = 1.0 - delta, 1.0 - epsilon
    width = delta - epsilon
    if tv <= width + _ROUNDING:
        return least, most
    # The triangles that have neither: x in [0, left], x in [low, 1 - tau - low], and the mirror image of the first.
    left, low = 1.0 - tv * (1.0 - epsilon) / width, max(epsilon * tv / width, 1e-12)
    places = [(0.0, left), (low, 0.5 * (1.0 - tv))]
    places = [(start, max(start, end)) for start, end in places if end >= start - _ROUNDING]
    if not places:
        limit = width / min(delta + epsilon, 1.0 - epsilon)
        raise ValueError(
            f"tv must be at most {limit:g} without collapse and augmentation, got {tv:g}"
        )
    least = min(_least(_triangle(tv), *place, packing) for place in places)
    if left >= -_ROUNDING:
        return least, most
    return least, max(least, _largest(_widest(tv, packing, epsilon, delta, low)))


def _widest(
    tv: float, packing: int, epsilon: float, delta: float, low: float
) -> Callable[[Vector], Vector]:
    """Makes the packed TV of the five-atom family with ``a, b >= low``, a function on the unit square.

    Shares ``[..., 2]`` are ``s`` and ``t`` in ``a = low + room s t`` and ``b = low + room s (1 - t)``.
    """
    room = max(0.0, 1.0 - tv - 2.0 * low)

    def packed(shares: Vector) -> Vector:
        a = low + room * shares[..., 0] * shares[..., 1]
        b = low + room * shares[..., 0] * (1.0 - shares[..., 1])
        middle = 1.0 - tv - a - b
        zero = np.zeros_like(a)
        alone = [(x * (delta - epsilon) - epsilon * tv) / (x - epsilon) for x in (a, b)]
        beside = [x * (x + tv - delta) / (x - epsilon) for x in (a, b)]
        p = np.stack([alone[0], beside[0], middle, b, zero], axis=-1)
        q = np.stack([zero, a, middle, beside[1], alone[1]], axis=-1)
        return _packed_tv(np.maximum(p, 0.0), np.maximum(q, 0.0), packing)

    return packed


def _pair(p: ArrayLike, q: ArrayLike) -> tuple[Vector, Vector]:
    """Returns both in float64, divided by their sums."""
    p, q = np.asarray(p), np.asarray(q)
    if q.shape != p.shape:
        raise ValueError(f"q must have the shape of p, {p.shape}, got {q.shape}")
    return p / p.sum(), q / q.sum()


def _check_collapse(epsilon: float, delta: float) -> None:
    if not epsilon < delta:
        raise ValueError(f"delta must be more than epsilon = {epsilon:g}, got {delta:g}")


def _packed_tv(p: Vector, q: Vector, packing: int) -> Any:
    """Returns ``TV(P^m, Q^m)`` for distributions ``[..., K]``: ``[...]``."""
    total = np.zeros(p.shape[:-1])
    for atoms in itertools.combinations_with_replacement(range(p.shape[-1]), packing):
        ways = math.factorial(packing)
        for atom in set(atoms):
            ways //= math.factorial(atoms.count(atom))
        chosen = list(atoms)
        total += ways * np.abs(p[..., chosen].prod(axis=-1) - q[..., chosen].prod(axis=-1))
    return 0.5 * total


def _most(tv: float, packing: int) -> float:
    return 1.0 - (1.0 - tv) ** packing


def _triangle(tv: float) -> Callable[[float], tuple[Vector, Vector]]:
    """Returns a function of x: the pair with the smallest region that reaches ``(x, x + tau)``."""
    return lambda x: _curve(np.array([x]), np.array([x + tv]))


def _curve(x: Vector, y: Vector) -> tuple[Vector, Vector]:
    """Returns P and Q whose region has the concave hull of (0, 0), the points and (1, 1): its edges are atoms."""
    points = sorted({(0.0, 0.0), (1.0, 1.0), *zip(x.tolist(), y.tolist(), strict=True)})
    hull: list[tuple[float, float]] = []
    for point in points:
        while len(hull) > 1 and _turns_left(hull[-2], hull[-1], point):
            hull.pop()
        hull.append(point)
    edges = np.diff(np.array(hull), axis=0)
    padded = np.zeros((4, 2))
    padded[: len(edges)] = np.maximum(edges, 0.0)
    return padded[:, 1], padded[:, 0]


def _turns_left(a: tuple[float, float], b: tuple[float, float], c: tuple[float, float]) -> bool:
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0]) >= 0


def _least(
    curve: Callable[[float], tuple[Vector, Vector]], low: float, high: float, packing: int
) -> float:
    """Minimises the packed TV of a family of pairs over ``low <= x <= high``, by grids around the best so far."""
    best = math.inf
    for _ in range(6):
        places = np.linspace(low, high, 201)
        pairs = [curve(x) for x in places]
        values = _packed_tv(
            np.stack([p for p, _ in pairs]), np.stack([q for _, q in pairs]), packing
        )
        at = int(np.argmin(values))
        best = min(best, float(values[at]))
        low, high = places[max(at - 2, 0)], places[min(at + 2, 200)]
    return best


def _largest(function: Callable[[Vector], Vector]) -> float:
    """Maximises a function over the unit square, by grids around the best so far."""
    centre, reach = np.array([0.5, 0.5]), 0.5
    best = -math.inf
    for _ in range(8):
        axes = [np.clip(np.linspace(c - reach, c + reach, 41), 0.0, 1.0) for c in centre]
        square = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)
        values = function(square)
        at = np.unravel_index(np.argmax(values), values.shape)
        best, centre, reach = max(best, float(values[at])), square[at], reach / 5.0
    return best
