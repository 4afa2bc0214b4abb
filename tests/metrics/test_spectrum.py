"""The game Jacobian's spectrum against matrices that are known."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import mixgan_jax as mg
from mixgan_jax import spectrum
from mixgan_jax.adjustments import gradient_field

MATRIX = np.random.RandomState(0).normal(size=(30, 30)) + np.diag(np.linspace(1.0, 20.0, 30))
PLAYERS = (jnp.zeros((2, 5)), {"w": jnp.zeros(20)})


def field(players):
    flat = jnp.concatenate([players[0].ravel(), players[1]["w"]])
    moved = jnp.asarray(MATRIX, jnp.float32) @ flat
    return moved[:10].reshape(2, 5), {"w": moved[10:]}


def test_the_jacobian_of_a_linear_field_is_its_matrix():
    np.testing.assert_allclose(spectrum.jacobian(field, PLAYERS), MATRIX, rtol=1e-6)


def test_all_eigenvalues_and_the_largest_ones_agree_with_numpy():
    expected = np.linalg.eigvals(MATRIX)
    expected = expected[np.argsort(-np.abs(expected))]
    found = spectrum.eigenvalues(field, PLAYERS)
    np.testing.assert_allclose(np.abs(found), np.abs(expected), rtol=1e-5)
    np.testing.assert_allclose(np.sort(found.real), np.sort(expected.real), rtol=1e-4, atol=1e-4)
    # an even number that cuts no conjugate pair in two
    num = next(
        n
        for n in (4, 5, 6)
        if abs(expected[n - 1].imag) < 1e-9 or np.isclose(expected[n - 1], expected[n - 2].conj())
    )
    largest = spectrum.eigenvalues(field, PLAYERS, num)
    np.testing.assert_allclose(np.abs(largest), np.abs(expected[:num]), rtol=1e-4)


def test_the_rotational_share_of_known_games():
    symmetric = gradient_field(lambda p: (p[0] * p[0] + p[0] * p[1], p[1] * p[1] + p[0] * p[1]))
    rotation = gradient_field(lambda p: (p[0] * p[1], -p[0] * p[1]))
    at = (jnp.float32(0.3), jnp.float32(-1.0))
    assert spectrum.rotational_share(symmetric, at) == pytest.approx(0.0, abs=1e-6)
    assert spectrum.rotational_share(rotation, at) == pytest.approx(1.0)
    assert spectrum.rotational_share(rotation, at, jax.random.key(0), 3) == pytest.approx(1.0)
    antisymmetric = 0.5 * (MATRIX - MATRIX.T)
    share = np.sum(antisymmetric**2) / np.sum(MATRIX**2)
    assert spectrum.rotational_share(field, PLAYERS) == pytest.approx(share, rel=1e-5)
    estimate = spectrum.rotational_share(field, PLAYERS, jax.random.key(1), 2000)
    assert estimate == pytest.approx(share, rel=0.1)


def test_stable_steps_by_hand():
    assert spectrum.stable_step([2.0, 0.5]) == pytest.approx(1.0)
    assert spectrum.stable_step([1 + 1j, 1 - 1j]) == pytest.approx(1.0)
    assert spectrum.stable_step([0.1, 1 + 3j]) == pytest.approx(0.2)
    assert spectrum.stable_step([1j, -1j, 1.0]) == 0.0
    assert spectrum.stable_step([-1.0, 1.0]) == 0.0
    assert spectrum.stable_step([0.0]) == float("inf")


def test_the_stable_step_is_where_simultaneous_descent_starts_to_grow():
    """On x^2 - y^2 with coupling 3, by iteration: 1 +- 3i, so 2 / 10."""
    game = gradient_field(
        lambda p: (0.5 * p[0] ** 2 + 3 * p[0] * p[1], 0.5 * p[1] ** 2 - 3 * p[0] * p[1])
    )
    at = (jnp.float32(1.0), jnp.float32(0.0))
    edge = spectrum.stable_step(spectrum.eigenvalues(game, at))
    assert edge == pytest.approx(0.2, rel=1e-5)

    def final(step):
        def body(players, _):
            return jax.tree.map(lambda w, g: w - step * g, players, game(players)), None

        players, _ = jax.lax.scan(body, at, None, length=200)
        return float(jnp.hypot(*players))

    assert final(0.95 * edge) < 0.5
    assert final(1.05 * edge) > 2.0


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match="players must be at most 5000 for a Jacobian written out"):
        spectrum.jacobian(lambda players: players, (jnp.zeros(5001),))
    with pytest.raises(ValueError, match="num must be at most 28"):
        spectrum.eigenvalues(field, PLAYERS, 29)
    with pytest.raises(TypeError, match="players must be a tuple of trees"):
        spectrum.jacobian(lambda players: players, (jnp.zeros(2, int),))
    with pytest.raises(ValueError, match="field must be a function that returns"):
        spectrum.jacobian(lambda players: players[:1], (jnp.zeros(2), jnp.zeros(1)))
    with pytest.raises(ValueError, match="where the field's Jacobian is finite"):
        spectrum.eigenvalues(lambda p: (jnp.log(p[0]) * jnp.nan,), (jnp.zeros(2),))
    assert isinstance(mg.spectrum.stable_step([1.0]), float)
