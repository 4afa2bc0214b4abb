"""The bounds of packing without collapse and augmentation, against random pairs and extreme ones."""

import numpy as np
import pytest

from mixgan_jax import theory
from mixgan_jax.theory.packing import _packed_tv


def most_of_p(p, q, mass):
    """f: the largest mass of P in a set, randomised or not, of that mass under Q; for pairs ``[N, K]``."""
    with np.errstate(divide="ignore", invalid="ignore"):
        order = np.argsort(np.where(p > 0, -p / q, 0.0), axis=1)
        p, q = np.take_along_axis(p, order, 1), np.take_along_axis(q, order, 1)
        before = np.cumsum(q, axis=1) - q
        taken = np.where(q > 0, np.clip((mass - before) / q, 0, 1), before <= mass)
    return np.sum(p * taken, axis=1)


def random_pairs(tv, rng):
    """2,000 pairs of distributions on 2 to 5 atoms, less those nearer than tv; all others are moved to tv."""
    p, q = np.zeros((2, 2000, 5))
    for row in range(2000):
        atoms, spread = rng.integers(2, 6), rng.choice([0.1, 0.5, 2.0])
        p[row, :atoms], q[row, :atoms] = rng.dirichlet(np.full(atoms, spread), 2)
    q[::2, 0] = 0.0  # one side misses an atom
    q /= q.sum(axis=1, keepdims=True)
    distance = 0.5 * np.abs(p - q).sum(axis=1, keepdims=True)
    far = distance[:, 0] >= tv
    step = (p - q)[far] / distance[far]
    start = q[far] + (distance[far] - tv) * rng.random((far.sum(), 1)) * step
    return start + tv * step, start


def extreme_pairs(tv, epsilon, delta, rng):
    """Pairs that touch x + tv at one or two places: triangles, and those below lines through both forbidden points."""
    if epsilon + delta > 1:
        epsilon, delta = 1 - delta, 1 - epsilon
    x = np.linspace(0.0, 1.0 - tv, 2001)
    nothing = np.zeros_like(x)
    triangles = (
        np.stack([x + tv, 1 - x - tv] + [nothing] * 3, 1),
        np.stack([x, 1 - x] + [nothing] * 3, 1),
    )
    a, b = np.sort(rng.uniform(0.0, 1.0 - tv, (20_000, 2)), axis=1).T
    with np.errstate(all="ignore"):
        start = delta - epsilon * (a + tv - delta) / (a - epsilon)
        end = 1 - delta + epsilon * (b - 1 + delta) / (b + tv - 1 + epsilon)
    y = np.stack([0 * a, start, a + tv, b + tv, 1 + 0 * a, 1 + 0 * a], axis=1)
    x = np.stack([0 * a, 0 * a, a, b, end, 1 + 0 * a], axis=1)
    p, q = np.diff(y, axis=1), np.diff(x, axis=1)
    distance = 0.5 * np.abs(p - q).sum(axis=1)
    fits = np.all((p >= 0) & (q >= 0), axis=1) & (np.abs(distance - tv) < 1e-9)
    return np.concatenate([triangles[0], p[fits]]), np.concatenate([triangles[1], q[fits]])


@pytest.mark.parametrize(
    ("regime", "epsilon", "delta", "tv"),
    [
        ("nothing is excluded", 0.1, 0.5, 0.35),
        ("nothing is excluded", 0.3, 0.5, 0.2),
        ("nothing is excluded", 0.0, 0.3, 0.3),
        ("the upper bound stays", 0.3, 0.45, 0.2),
        ("the upper bound stays", 0.35, 0.49, 0.2),
        ("the upper bound stays", 0.1, 0.5, 0.42),
        ("the upper bound stays", 0.55, 0.7, 0.2),
        ("the upper bound falls", 0.1, 0.5, 0.5),
        ("the upper bound falls", 0.05, 0.3, 0.6),
        ("the upper bound falls", 0.8, 0.9, 0.25),
    ],
)
def test_bounds_without_collapse_hold_for_random_pairs_and_are_attained(regime, epsilon, delta, tv):
    """Of 2,000 random pairs those with neither stay within the bounds, and extreme ones come near to both ends."""
    rng = np.random.default_rng(0)
    pairs = random_pairs(tv, rng), extreme_pairs(tv, epsilon, delta, rng)
    p, q = np.concatenate([pair[0] for pair in pairs]), np.concatenate([pair[1] for pair in pairs])
    np.testing.assert_allclose(0.5 * np.abs(p - q).sum(axis=1), tv, atol=1e-9)
    collapse = most_of_p(p, q, epsilon) > delta + 1e-9
    augmentation = most_of_p(p, q, 1 - delta) > 1 - epsilon + 1e-9
    neither = ~collapse & ~augmentation
    assert neither.all() == (regime == "nothing is excluded")
    assert neither[: len(pairs[0][0])].sum() > 100
    for m in (2, 3, 4):
        least, most = theory.packing_bounds_without_collapse(tv, m, epsilon, delta)
        found = _packed_tv(p[neither], q[neither], m)
        assert least - 1e-6 <= found.min() <= least + 2e-3
        assert most - 2e-3 <= found.max() <= most + 1e-6
        assert (most < 1 - (1 - tv) ** m - 1e-6) == (regime == "the upper bound falls")


def test_a_generator_that_misses_a_mode_may_have_no_collapse():
    """P = (0.2, 0.8), Q = (0, 1): f(0.3) = 0.44, f(0.55) = 0.64, so no (0.3, 0.45)-collapse and no augmentation."""
    p, q = np.array([[0.2, 0.8]]), np.array([[0.0, 1.0]])
    assert most_of_p(p, q, 0.3) == pytest.approx(0.44)
    assert most_of_p(p, q, 0.55) == pytest.approx(0.64)
    assert theory.packing_bounds_without_collapse(0.2, 3, 0.3, 0.45)[1] == pytest.approx(0.488)
    assert theory.packing_bounds_without_collapse(0.2, 3, 0.35, 0.49)[1] == pytest.approx(0.488)
    with pytest.raises(ValueError, match=r"tv must be at most 0\.215385 without collapse"):
        theory.packing_bounds_without_collapse(0.22, 3, 0.35, 0.49)
