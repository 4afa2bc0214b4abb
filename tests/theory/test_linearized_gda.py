"""Linearised gradient descent-ascent: radii by hand, edges, best steps, the tangent kernel, Wendel's theorem."""

import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mixgan_jax import theory

ORDERS = ("simultaneous", "alternating")
KEY = jax.random.key(0)


@pytest.mark.parametrize(
    ("mu", "expected"),
    [
        (1.0, [0.887, 0.500, 0.707, 0.949, 1.000, 1.049]),
        (0.5, [0.862, 0.791, 0.866, 0.975, 1.000, 1.025]),
    ],
)
def test_contraction_is_the_independent_table(mu, expected) -> None:
    strengths = jnp.array([0.1, 0.25, 0.5, 0.9, 1.0, 1.1])
    np.testing.assert_allclose(theory.gda_contraction(strengths, mu), expected, atol=5.1e-4)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("mu", [0.2, 0.7, 1.0])
def test_contraction_is_the_matrix_spectral_radius(order, mu) -> None:
    with jax.enable_x64(True):
        strengths = jnp.linspace(0.0, 5.0, 41)
        matrices = np.asarray(theory.gda_matrix(strengths, mu, order))
        radii = np.abs(np.linalg.eigvals(matrices)).max(axis=-1)
        got = theory.gda_contraction(strengths, mu, order)
        np.testing.assert_allclose(got, radii, atol=1e-7)  # a double eigenvalue has half the digits


def test_matrix_by_hand() -> None:
    x, mu = jnp.float32(0.5), 0.25
    np.testing.assert_allclose(theory.gda_matrix(x, mu), [[0.75, 0.25], [-0.5, 1.0]])
    # e' = e - x d' with d' = (3 d + e) / 4.
    alternating = theory.gda_matrix(x, mu, "alternating")
    np.testing.assert_allclose(alternating, [[0.75, 0.25], [-0.375, 0.875]])


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("mu", [0.1, 0.5, 1.0])
def test_the_edge_is_where_the_contraction_crosses_one(order, mu) -> None:
    edge = theory.gda_edge(mu, order)
    below, above = theory.gda_contraction(jnp.array([0.99 * edge, 1.01 * edge]), mu, order)
    assert below < 1 < above
    assert edge == (1.0 if order == "simultaneous" else pytest.approx(4 / mu - 2))


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("mu", [0.1, 0.5, 1.0])
def test_no_step_is_better_than_the_best(order, mu) -> None:
    strength, factor = theory.best_gda_step(mu, order)
    with jax.enable_x64(True):
        at_best = theory.gda_contraction(jnp.float64(strength), mu, order)
        others = theory.gda_contraction(jnp.linspace(0, 3, 3001), mu, order)
        assert float(others.min()) >= factor - 1e-7
    np.testing.assert_allclose(at_best, factor, atol=1e-7)
    if order == "simultaneous":
        assert (strength, factor) == (mu / 4, 1 - mu / 2)


def test_an_exact_discriminator_makes_it_gradient_descent() -> None:
    """mu = 1, alternating: e' = (1 - x) e."""
    strengths = jnp.linspace(0.0, 3.0, 13)
    got = theory.gda_contraction(strengths, 1.0, "alternating")
    np.testing.assert_allclose(got, jnp.abs(1 - strengths), atol=1e-6)
    assert theory.gda_edge(1.0, "alternating") == 2.0
    assert theory.best_gda_step(1.0, "alternating") == (1.0, 0.0)


def test_the_kernel_is_the_jacobians() -> None:
    keys = jax.random.split(KEY, 3)
    hidden = jax.random.normal(keys[0], (7, 4))
    output = jax.random.normal(keys[1], (3, 7))
    latents = jax.random.normal(keys[2], (11, 4))

    def mean_output(hidden):
        return jnp.mean(output @ jax.nn.relu(hidden @ latents.T), axis=1)

    jacobian = jax.jacobian(mean_output)(hidden).reshape(3, -1)
    kernel = theory.relu_kernel(hidden, output, latents)
    np.testing.assert_allclose(kernel, jacobian @ jacobian.T, rtol=1e-5, atol=1e-6)


def test_the_kernel_by_hand() -> None:
    """One unit sees both latents (S = (1, 1)), the other the first alone (S = (1, 0))."""
    hidden = jnp.array([[1.0, 1.0], [1.0, -1.0]])
    latents = jnp.array([[2.0, 0.0], [0.0, 2.0]])
    kernel = theory.relu_kernel(hidden, jnp.array([[1.0, 3.0]]), latents)
    np.testing.assert_allclose(kernel, [[1 * 2 + 9 * 1]])


def test_condition_numbers_by_hand() -> None:
    turn = jnp.array([[0.6, -0.8], [0.8, 0.6]])
    matrix = turn @ jnp.diag(jnp.array([8.0, 2.0])) @ turn.T
    np.testing.assert_allclose(theory.condition_number(matrix), 4.0, rtol=1e-5)
    assert theory.condition_number(jnp.ones((3, 3))) == jnp.inf
    assert theory.condition_number(jnp.zeros((2, 2))) == jnp.inf


@pytest.mark.parametrize("dimension", [1, 2, 5])
def test_a_mean_is_reachable_with_wendels_probability(dimension) -> None:
    assert theory.reachable_probability(dimension - 1 or 1, dimension) == (dimension == 1) * 0.5
    assert theory.reachable_probability(dimension, dimension) == 2.0**-dimension
    assert theory.reachable_probability(2 * dimension - 1, dimension) == 0.5
    assert theory.reachable_probability(5000, dimension) == 1.0
    chances = [theory.reachable_probability(k, dimension) for k in range(1, 30)]
    assert all(a <= b for a, b in itertools.pairwise(chances))


def test_wendels_probability_is_that_of_random_cones() -> None:
    from scipy.optimize import nnls

    rng, draws = np.random.default_rng(0), 400
    hits = sum(nnls(rng.normal(size=(3, 6)), rng.normal(size=3))[1] < 1e-9 for _ in range(draws))
    chance = theory.reachable_probability(6, 3)
    assert chance == 1 - (1 + 6 + 15) / 64
    assert abs(hits / draws - chance) < 3 * math.sqrt(chance * (1 - chance) / draws)


def test_bad_arguments_are_named() -> None:
    with pytest.raises(ValueError, match="discriminator_step must be"):
        theory.gda_edge(1.5)
    with pytest.raises(ValueError, match="discriminator_step must be"):
        theory.gda_contraction(jnp.ones(2), 0.0)
    with pytest.raises(ValueError, match=r"order must be one of .*did you mean 'alternating'"):
        theory.gda_edge(1.0, "alternate")
    with pytest.raises(TypeError, match="strength must be floating point"):
        theory.gda_matrix(jnp.arange(3), 1.0)
    with pytest.raises(ValueError, match=r"output must have shape \[D, 2\]"):
        theory.relu_kernel(jnp.ones((2, 3)), jnp.ones((2, 3)), jnp.ones((5, 3)))
    with pytest.raises(ValueError, match=r"matrix must have shape \[D, D\]"):
        theory.condition_number(jnp.ones((2, 3)))
    with pytest.raises(ValueError, match="width must be a whole number >= 1"):
        theory.reachable_probability(0, 3)
