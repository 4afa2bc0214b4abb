"""Continuous games: payoffs by hand, errors by the roots of polynomials, equilibria by their certificates."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import first_quick
from scipy.optimize import linprog

import mixgan_jax as mg
from mixgan_jax import theory
from mixgan_jax.theory.continuous_games import trigonometric_features
from mixgan_jax.theory.mixed_equilibria import _gap

FREQUENCIES = 3


def payoffs(game, rows, columns):
    return np.asarray(
        jax.vmap(jax.vmap(game.payoff, (None, 0)), (0, None))(
            jnp.asarray(rows), jnp.asarray(columns)
        )
    )


def particles(key, count, dimension=1):
    first, second = jax.random.split(jax.random.key(key))
    weights = jax.random.dirichlet(first, jnp.ones(count))
    return theory.Particles(jax.random.uniform(second, (count, dimension)), weights)


def highest(values):
    """Exact maximum of a trigonometric polynomial from its values at equidistant points: roots of its derivative."""
    count = len(values)
    coefficients = np.fft.fftshift(np.fft.fft(values)) / count
    orders = np.arange(count) - count // 2
    angles = np.angle(np.roots((coefficients * orders)[::-1]))
    waves = np.exp(1j * angles[:, None] * orders)
    return float((waves @ coefficients).real.max())


def exact_error(game, rows, columns):
    """The Nikaido-Isoda error on the circle by :func:`highest`."""
    points = np.arange(2 * FREQUENCIES + 1)[:, None] / (2 * FREQUENCIES + 1)
    of_rows = payoffs(game, points, columns.positions) @ np.asarray(columns.weights)
    of_columns = np.asarray(rows.weights) @ payoffs(game, rows.positions, points)
    return highest(of_columns) + highest(-of_rows)


@pytest.mark.parametrize("key", first_quick(range(3)))
def test_the_error_is_exact_on_the_circle(key):
    with jax.enable_x64(True):
        game = theory.trigonometric_game(jax.random.key(key), FREQUENCIES)
        rows, columns = particles(key, 4), particles(key + 10, 5)
        found = jax.jit(lambda *sides: theory.nikaido_isoda(game, *sides))(rows, columns)
        coarse = theory.nikaido_isoda(game, rows, columns, newton_steps=0)
        expected = exact_error(game, rows, columns)
    assert float(found) == pytest.approx(expected, abs=1e-12)
    assert float(coarse) < expected - 1e-9, "the grid alone would do"


@pytest.mark.slow
def test_the_error_on_the_torus_is_that_of_a_fine_grid():
    game = theory.trigonometric_game(jax.random.key(0), 2, 2)
    rows, columns = particles(0, 3, 2), particles(1, 4, 2)
    found = float(theory.nikaido_isoda(game, rows, columns))
    axis = np.arange(150) / 150
    points = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2).astype(np.float32)
    of_rows = payoffs(game, points, columns.positions) @ np.asarray(columns.weights)
    of_columns = np.asarray(rows.weights) @ payoffs(game, rows.positions, points)
    grid = of_columns.max() - of_rows.min()
    assert grid - 1e-4 <= found <= grid + 0.05
    assert found > 1


def test_payoffs_and_numbers_of_features_by_hand():
    features = trigonometric_features(2, 1)(jnp.asarray([0.125]))
    half = np.sqrt(0.5)
    np.testing.assert_allclose(features, [1, half, 0, half, 1], atol=1e-6)
    for frequencies, dimension, size in ((3, 1, 7), (1, 8, 17), (2, 2, 13)):
        example = jnp.zeros(dimension)
        assert trigonometric_features(frequencies, dimension)(example).shape == (size,)
    game = theory.feature_game(
        jnp.asarray([[2.0, 0.0], [0.0, 3.0]]),
        lambda x: jnp.concatenate([x, x**2]),
        lambda y: jnp.concatenate([y, y**3]),
        domain="box",
    )
    assert float(game.payoff(jnp.asarray([2.0]), jnp.asarray([0.5]))) == pytest.approx(2 + 1.5)


@pytest.mark.parametrize("key", first_quick(range(6)))
def test_an_equilibrium_leaves_nothing_to_gain(key):
    """The certificate is exact by roots, and the value is that of a linear program on a fine grid."""
    game = theory.trigonometric_game(jax.random.key(key), FREQUENCIES)
    found = theory.mixed_equilibrium(game)
    with jax.enable_x64(True):
        assert exact_error(game, found.rows, found.columns) < 1e-12
        points = (np.arange(100) / 100)[:, None]
        matrix = payoffs(game, points, points)
    assert 0 <= found.gap < 1e-12
    for side in (found.rows, found.columns):
        assert side.weights.dtype == np.float64
        assert side.weights.sum() == pytest.approx(1, abs=1e-12)
        assert side.weights.min() > 1e-6
        assert len(side.weights) <= 2 * FREQUENCIES + 2
    program = linprog(
        np.append(np.zeros(100), 1.0),
        A_ub=np.column_stack([matrix.T, -np.ones(100)]),
        b_ub=np.zeros(100),
        A_eq=[[*np.ones(100), 0.0]],
        b_eq=[1.0],
        bounds=[(0, None)] * 100 + [(None, None)],
    )
    assert found.value == pytest.approx(program.fun, abs=0.05)


@pytest.mark.slow
@pytest.mark.parametrize("key", range(2))
def test_an_equilibrium_on_the_torus_is_certified(key):
    game = theory.trigonometric_game(jax.random.key(key), 2, 2)
    found = theory.mixed_equilibrium(game)
    assert found.gap < 1e-12
    with jax.enable_x64(True):
        points = np.random.default_rng(key).uniform(size=(20_000, 2))
        losses = payoffs(game, points, found.columns.positions) @ found.columns.weights
        gains = found.rows.weights @ payoffs(game, found.rows.positions, points)
    assert losses.min() >= found.value - 1e-9
    assert gains.max() <= found.value + 1e-9


@pytest.mark.slow
def test_equilibria_known_by_hand():
    """A pure saddle point on the circle; a pure one in the middle of a box; a game with many equilibria, of value 0."""

    def waves(x):
        return jnp.concatenate(
            [jnp.ones(1, x.dtype), jnp.cos(2 * jnp.pi * x), jnp.sin(2 * jnp.pi * x)]
        )

    saddle = theory.feature_game(jnp.asarray([[0.0, -1, 0], [1, 0, 0], [0, 0, 0]]), waves, waves)
    found = theory.mixed_equilibrium(saddle)  # cos x - cos y
    np.testing.assert_allclose(found.rows.positions, [[0.5]], atol=1e-9)
    np.testing.assert_allclose(found.columns.positions, [[0.5]], atol=1e-9)
    assert found.value == pytest.approx(0, abs=1e-9)

    def powers(x):
        return jnp.concatenate([jnp.ones(1, x.dtype), x, x**2])

    matrix = jnp.asarray([[0.0, 0, -1], [-0.5, 1, 0], [1, 0, 0]])
    bowl = theory.feature_game(matrix, powers, powers, domain="box")  # x^2 - x / 2 + x y - y^2
    found = theory.mixed_equilibrium(bowl)  # 2 x + y = 1/2 and x = 2 y
    np.testing.assert_allclose(found.rows.positions, [[0.2]], atol=1e-9)
    np.testing.assert_allclose(found.columns.positions, [[0.1]], atol=1e-9)

    pennies = theory.feature_game(jnp.diag(jnp.asarray([0.0, 1, 1])), waves, waves)
    found = theory.mixed_equilibrium(pennies)  # cos 2 pi (x - y)
    assert found.value == pytest.approx(0, abs=1e-9)
    for side in (found.rows, found.columns):
        moment = side.weights @ np.exp(2j * np.pi * side.positions[:, 0])
        assert abs(moment) < 1e-9


def test_the_error_of_a_saddle_point_on_the_wall_of_a_box():
    """f = x + y on the box: both sides gain all the way to their walls, from the middle 1 each."""
    ones = jnp.ones(1)
    game = theory.ContinuousGame(lambda x, y: x[0] + y[0], (1, 1), "box")
    middle = theory.Particles(jnp.zeros((1, 1)), ones)
    assert float(theory.nikaido_isoda(game, middle, middle)) == pytest.approx(2)
    low, high = (theory.Particles(jnp.full((1, 1), end), ones) for end in (-1.0, 1.0))
    assert float(theory.nikaido_isoda(game, low, high)) == pytest.approx(0)


def test_bounds_from_both_sides_enclose_the_exact_error():
    """On the circle the excess is that of the formula; on a grid of 8 points only the bound from above is near."""
    game = theory.trigonometric_game(jax.random.key(0), FREQUENCIES)
    rows, columns = particles(0, 4), particles(10, 5)
    true = exact_error(game, rows, columns)
    hessians = [jax.hessian(game.payoff, side) for side in (0, 1)]
    axis = jnp.linspace(0, 1, 500)[:, None]
    first, second = (
        1.05 * float(jnp.abs(jax.vmap(jax.vmap(own, (None, 0)), (0, None))(*pair)).max())
        for own, pair in zip(
            hessians, ((axis, columns.positions), (rows.positions, axis)), strict=True
        )
    )
    for grid in (8, 64, 256):
        bound = theory.nikaido_isoda_bound(
            game, rows, columns, row_curvature=first, column_curvature=second, grid=grid
        )
        assert true < float(bound) <= true + (first + second) / (8 * grid**2) + 1e-4
    flat = theory.nikaido_isoda_bound(
        game, rows, columns, row_curvature=0.0, column_curvature=0.0, grid=8
    )
    assert float(flat) < true, "the grid alone is no bound"


def test_a_bound_on_the_box_holds_between_the_points_of_the_grid():
    """f = 3 (x - 1/2)^2 / 2 + y on 3 points an axis: x is best at 1/2, in the middle between two, where f is 3/8 less.

    That is the worst case, so the bound is the error itself.
    """

    def payoff(x, y):
        return 1.5 * (x[0] - 0.5) ** 2 + y[0]

    game = theory.ContinuousGame(payoff, (1, 1), "box")
    corner = theory.Particles(-jnp.ones((1, 1)), jnp.ones(1))
    true = (1.5**3 + 1.0) - (0.0 - 1.0)
    curvatures = {"row_curvature": 3.0, "column_curvature": 0.0}
    found = theory.nikaido_isoda_bound(game, corner, corner, **curvatures, grid=3)
    assert float(found) == pytest.approx(true)


def test_a_finer_grid_is_the_certificates_too():
    """f = cos 512 pi x is 1 at all 256 points of the usual grid, so x = 0 seems the best of all."""
    game = theory.ContinuousGame(lambda x, y: jnp.cos(512 * jnp.pi * x[0]) + 0 * y[0])
    pure = theory.Particles(np.zeros((1, 1)), np.ones(1))
    with jax.enable_x64(True):
        assert _gap(game, [pure, pure]) == pytest.approx(0, abs=1e-9)
        assert _gap(game, [pure, pure], grid=1000) == pytest.approx(2)
    assert theory.mixed_equilibrium(game, grid=1000).value == pytest.approx(-1)


def test_bad_input_is_refused():
    game, good = theory.trigonometric_game(jax.random.key(0)), particles(0, 3)
    features = trigonometric_features(3, 1)
    with pytest.raises(
        ValueError, match=r"row_features must return 4 features, as the matrix \(4, 7\)"
    ):
        theory.feature_game(jnp.ones((4, 7)), features, features)
    with pytest.raises(ValueError, match="rows must have 2 weights, got 3"):
        theory.nikaido_isoda(game, theory.Particles(good.positions[:2], good.weights), good)
    with pytest.raises(
        ValueError, match=r"columns\.positions must have shape \[K, 1\] in this game"
    ):
        theory.nikaido_isoda(game, good, particles(0, 3, 2))
    with pytest.raises(ValueError, match=r"rows\.weights must"):
        theory.nikaido_isoda(game, theory.Particles(good.positions, 2 * good.weights), good)
    with pytest.raises(
        ValueError, match="game must have 1 or 2 dimensions a side for a grid, got 3"
    ):
        three = theory.trigonometric_game(jax.random.key(0), 1, 3)
        theory.nikaido_isoda(three, particles(0, 3, 3), particles(0, 3, 3))
    with pytest.raises(ValueError, match="domain must be one of"):
        theory.feature_game(jnp.ones((7, 7)), features, features, domain="sphere")


@pytest.mark.slow
def test_a_polynomial_game_with_atoms_on_the_walls():
    """(x - y)^2: the middle against both walls, half the time each; value 1."""
    game = theory.polynomial_game(jnp.asarray([[0.0, 0, 1], [0, -2, 0], [1, 0, 0]]))
    found = theory.mixed_equilibrium(game)
    np.testing.assert_allclose(found.rows.positions, [[0.0]], atol=1e-9)
    order = np.argsort(found.columns.positions[:, 0])
    np.testing.assert_allclose(found.columns.positions[order], [[-1.0], [1.0]])
    np.testing.assert_allclose(found.columns.weights, [0.5, 0.5], atol=1e-9)
    assert found.value == pytest.approx(1, abs=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("key", range(3))
def test_random_polynomial_games_are_certified(key):
    matrix = np.random.default_rng(key).normal(size=(5, 4)).astype(np.float32)
    game = theory.polynomial_game(jnp.asarray(matrix))
    found = theory.mixed_equilibrium(game)
    points = np.linspace(-1, 1, 20_001)
    column_moments = np.vander(found.columns.positions[:, 0], 4, increasing=True).T
    row_moments = np.vander(found.rows.positions[:, 0], 5, increasing=True).T
    losses = np.vander(points, 5, increasing=True) @ matrix @ column_moments @ found.columns.weights
    gains = found.rows.weights @ row_moments.T @ matrix @ np.vander(points, 4, increasing=True).T
    assert losses.min() >= found.value - 1e-9
    assert gains.max() <= found.value + 1e-9


@pytest.mark.slow
def test_points_match_the_moments_of_data():
    """Three modes of unequal mass: as many Fourier coefficients as the discriminator sees are those of the data."""
    data = np.repeat(np.float32([0.1, 0.4, 0.7]), [5, 3, 2])
    found = theory.mixed_equilibrium(theory.point_gan(jnp.asarray(data), 3))
    assert found.value == pytest.approx(0, abs=1e-7)
    for k in (1, 2, 3):
        moment = found.rows.weights @ np.exp(2j * np.pi * k * found.rows.positions[:, 0])
        assert abs(moment - np.exp(2j * np.pi * k * data).mean()) < 1e-6


def test_no_certificate_no_equilibrium():
    """No equilibrium in float64 is exact to 1e-30."""
    game = theory.trigonometric_game(jax.random.key(1))
    with pytest.raises(mg.EquilibriumError, match=r"the certificate, .* exceeds tolerance 1e-30"):
        theory.mixed_equilibrium(game, tolerance=1e-30)


def test_strategies_that_are_nowhere_or_outside_have_no_error():
    game = theory.polynomial_game(jnp.ones((2, 2)))
    half = jnp.full((2,), 0.5)
    good = theory.Particles(jnp.zeros((2, 1)), half)
    for positions, words in (
        (jnp.nan, "rows.positions must be finite"),
        (-3.0, "rows must have positions in the box"),
    ):
        bad = theory.Particles(jnp.full((2, 1), positions), half)
        with pytest.raises(ValueError, match=words):
            theory.nikaido_isoda(game, bad, good)
        assert jnp.isnan(jax.jit(lambda rows: theory.nikaido_isoda(game, rows, good))(bad))
        with jax.enable_x64(True):
            sides = [theory.Particles(*map(np.asarray, side)) for side in (bad, good)]
            assert _gap(game, sides) == np.inf
