"""The Frechet distance: closed forms, degenerate sets, SciPy's square root, invariances."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mixgan_jax.metrics import frechet, frechet_distance

KEY = jax.random.key(0)


def whitened(key: jax.Array, count: int, size: int) -> np.ndarray:
    """Samples of mean 0 and covariance I, exactly."""
    samples = np.asarray(jax.random.normal(key, (count, size)), np.float64)
    samples -= samples.mean(axis=0)
    q, _ = np.linalg.qr(samples)
    return q * np.sqrt(count - 1)


def test_numbers_on_a_line_by_hand() -> None:
    """Means 1 and 5, standard deviations sqrt 2 and sqrt 8: 16 + 2."""
    got = frechet_distance(jnp.array([[0.0], [2.0]]), jnp.array([[3.0], [7.0]]))
    assert got == pytest.approx(18.0, abs=1e-12)


def test_the_closed_form_of_gaussians_whose_covariances_commute() -> None:
    """|m - m'|^2 + sum (s - s')^2 in a turned basis."""
    turn = np.linalg.qr(np.asarray(jax.random.normal(KEY, (3, 3))))[0]
    stds = np.array([1.0, 2.0, 0.5]), np.array([3.0, 2.0, 0.0])
    means = np.array([0.0, 1.0, -1.0]), np.array([2.0, 1.0, 0.0])
    real, fake = (
        jnp.float32((whitened(jax.random.key(i), 40 + 10 * i, 3) * stds[i]) @ turn.T + means[i])
        for i in range(2)
    )
    expected = ((means[0] - means[1]) ** 2).sum() + ((stds[0] - stds[1]) ** 2).sum()
    assert frechet_distance(real, fake) == pytest.approx(expected, rel=1e-5)


def test_it_agrees_with_a_square_root_of_the_product_of_covariances() -> None:
    from scipy.linalg import sqrtm

    real = jax.random.normal(KEY, (50, 4)) @ jax.random.normal(jax.random.key(1), (4, 4))
    fake = jax.random.normal(jax.random.key(2), (30, 4)) + jnp.arange(4.0)[None]
    a, b = (np.cov(np.asarray(x, np.float64), rowvar=False) for x in (real, fake))
    shift = np.asarray(real, np.float64).mean(0) - np.asarray(fake, np.float64).mean(0)
    expected = shift @ shift + np.trace(a + b - 2 * sqrtm(a @ b).real)
    assert frechet_distance(real, fake) == pytest.approx(expected, rel=1e-9)


def test_a_set_is_at_no_distance_from_itself_in_any_order() -> None:
    for count, size in ((100, 5), (4, 30)):
        samples = 1000 * jax.random.normal(KEY, (count, size))
        assert frechet_distance(samples, samples) == pytest.approx(0.0, abs=1e-5)
        assert frechet_distance(samples, samples[::-1]) == pytest.approx(0.0, abs=1e-5)


def test_fewer_samples_than_features_and_a_constant_generator() -> None:
    """Against a point the overlap is 0: the trace of the covariance and the squared distance of the means remain."""
    real = jax.random.normal(KEY, (5, 64))
    variance = np.asarray(real, np.float64).var(axis=0, ddof=1).sum()
    constant = jnp.broadcast_to(jnp.mean(real, axis=0) + 1.0, (7, 64))
    assert frechet_distance(real, constant) == pytest.approx(variance + 64.0, rel=1e-5)
    assert frechet_distance(constant, constant) == 0.0
    few = frechet_distance(real, jax.random.normal(jax.random.key(1), (3, 64)))
    assert 0 < few < np.inf


def test_axes_after_the_first_are_features_and_the_order_of_sets_does_not_matter() -> None:
    x, y = jax.random.normal(KEY, (2, 9, 3, 2))
    flat = frechet_distance(x.reshape(9, 6), y.reshape(9, 6))
    assert frechet_distance(x, y) == flat
    assert frechet_distance(y, x) == pytest.approx(flat, rel=1e-12)


def test_samples_that_enter_block_by_block(monkeypatch: pytest.MonkeyPatch) -> None:
    real, fake = jax.random.normal(KEY, (40, 6)), 2.0 * jax.random.normal(KEY, (33, 6)) + 1.0
    whole = frechet_distance(real, fake)
    for rows in (1, 7, 33):
        monkeypatch.setattr(frechet, "_ROWS_AT_ONCE", rows)
        assert frechet_distance(real, fake) == pytest.approx(whole, rel=1e-12)


def test_one_sample_has_no_covariance() -> None:
    with pytest.raises(ValueError, match=r"fake must have shape \[N, ...\] with N >= 2"):
        frechet_distance(jnp.ones((4, 2)), jnp.ones((1, 2)))


def test_a_large_offset_in_float64_and_features_in_bfloat16() -> None:
    x, y = (np.random.default_rng(seed).normal(size=(50, 3)) for seed in range(2))
    expected = frechet_distance(x, y)
    assert frechet_distance(x + 1e8, y + 1e8) == pytest.approx(expected, rel=1e-5)
    rounded = [jnp.asarray(rows, jnp.bfloat16) for rows in (x, y)]
    assert frechet_distance(*rounded) == pytest.approx(expected, rel=0.05)
