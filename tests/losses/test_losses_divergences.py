"""The supremum of each payoff over discriminators is the divergence its docstring states; measuring functions."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mixgan_jax import losses

# Two distributions on seven atoms (equal on the last), and how far apart they are.
P = np.array([0.05, 0.3, 0.1, 0.25, 0.02, 0.18, 0.1])
Q = np.array([0.2, 0.1, 0.15, 0.05, 0.3, 0.1, 0.1])
RATIO = np.log(P / Q)
MIDDLE = (P + Q) / 2
JS = 0.5 * np.sum(P * np.log(P / MIDDLE)) + 0.5 * np.sum(Q * np.log(Q / MIDDLE))
TV = 0.5 * np.sum(np.abs(P - Q))
HELLINGER = np.sum((np.sqrt(P) - np.sqrt(Q)) ** 2)
LE_CAM = 0.5 * np.sum((P - Q) ** 2 / (P + Q))
BOUNDED_D = (P - 0.05 * Q) / (0.95 * (P + Q))
BOUNDED_BEST = np.sum(P * np.log(0.05 + 0.95 * BOUNDED_D) + Q * np.log(1.0 - 0.95 * BOUNDED_D))

SUPREMA = [
    (losses.minimax(), RATIO, 2 * JS - 2 * math.log(2)),
    (losses.jensen_shannon(), RATIO, 2 * JS),
    (losses.kl(), RATIO, np.sum(P * RATIO)),
    (losses.reverse_kl(), RATIO, -np.sum(Q * RATIO)),
    (losses.squared_hellinger(), RATIO, HELLINGER),
    (losses.exponential(), RATIO, HELLINGER - 2),
    (losses.pearson(), RATIO, np.sum((P - Q) ** 2 / Q)),
    (losses.brier(), RATIO, (LE_CAM - 1) / 2),
    (losses.least_squares(), P / (P + Q), -0.5 * np.sum(P * Q / (P + Q))),
    (
        losses.measuring(losses.phi_bounded_log(0.05)),
        np.log(BOUNDED_D / (1 - BOUNDED_D)),
        BOUNDED_BEST,
    ),
]


def _payoff(loss: losses.GanLoss, logits: jax.Array) -> jax.Array:
    """Expected value of a separable loss for the discriminator with these logits on the seven atoms."""
    zero = jnp.zeros_like(logits)
    real = loss.value(real=logits, fake=zero)
    fake = loss.value(real=zero, fake=logits) - loss.value(real=zero, fake=zero)
    return jnp.sum(jnp.asarray(P, real.dtype) * real + jnp.asarray(Q, real.dtype) * fake)


@pytest.mark.parametrize(("loss", "best", "supremum"), SUPREMA, ids=[s[0].name for s in SUPREMA])
def test_supremum_is_the_divergence(
    loss: losses.GanLoss, best: np.ndarray, supremum: float
) -> None:
    """The stated best logit gives the stated value, and, atom by atom, the payoff rises before it and falls after.

    For the strictly proper scores the best logit is the log density ratio, which is what propriety means.
    """

    with jax.enable_x64(True):
        best = jnp.asarray(best)
        np.testing.assert_allclose(_payoff(loss, best), supremum, rtol=1e-10)
        slope = jax.jit(jax.grad(lambda logits: _payoff(loss, logits)))
        np.testing.assert_allclose(slope(best), 0.0, atol=1e-12)
        for distance in np.geomspace(1e-3, 3.0, 12):
            assert np.all(slope(best - distance) > 0)
            assert np.all(slope(best + distance) < 0)


@pytest.mark.parametrize(
    ("loss", "best", "supremum"),
    [
        (losses.total_variation(), 30 * np.sign(P - Q), TV),
        (losses.measuring(losses.phi_identity()), 60 * np.sign(P - Q), 1 + TV),
        (losses.hinge(), np.sign(P - Q), 2 * TV - 2),
    ],
    ids=["total variation", "identity", "hinge"],
)
def test_suprema_at_a_classifier(loss: losses.GanLoss, best: np.ndarray, supremum: float) -> None:
    """Where only the sign of p - q matters: that classifier reaches the supremum and no other logits beat it."""
    payoff = _payoff(loss, jnp.asarray(best, jnp.float32))
    np.testing.assert_allclose(payoff, supremum, rtol=2e-6)
    others = 3 * jax.random.normal(jax.random.key(3), (200, len(P)))
    payoffs = jax.jit(jax.vmap(lambda logits: _payoff(loss, logits)))(others)
    assert np.all(payoffs <= supremum + 1e-6)


@pytest.mark.parametrize(
    "phi",
    [
        losses.phi_log(),
        losses.phi_identity(),
        losses.phi_bounded_log(0.1),
        losses.phi_bounded_log(1e-3),
    ],
    ids=lambda phi: phi.name,
)
def test_measuring_functions(phi: losses.MeasuringFunction) -> None:
    """Logits and probabilities agree; phi is increasing, concave, within its bound and Lipschitz constant."""
    logits = jnp.linspace(-6.0, 6.0, 25)
    np.testing.assert_allclose(
        phi.at_logit(logits), phi.at_probability(jax.nn.sigmoid(logits)), rtol=1e-5, atol=1e-6
    )
    t = jnp.linspace(0.0, 1.0, 101)
    with np.errstate(invalid="ignore"):
        values = np.asarray(phi.at_probability(t), np.float64)
        slopes = np.diff(values) * 100
    assert np.all(slopes > 0)
    assert np.all(np.diff(slopes[1:]) <= 1e-3)
    assert np.max(np.abs(values)) <= phi.bound * (1 + 1e-6)
    assert np.max(slopes) <= phi.lipschitz * (1 + 1e-3)
    if math.isfinite(phi.bound):  # both constants are the least ones
        steepest = float(jax.grad(phi.at_probability)(jnp.float32(0.0)))
        np.testing.assert_allclose(
            [np.max(np.abs(values)), steepest], [phi.bound, phi.lipschitz], rtol=1e-5
        )
