"""Losses far out and near 0: in float32 each term and its derivative are right wherever float32 holds them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mixgan_jax import losses

LOGITS = np.concatenate(
    [np.linspace(-200, 200, 2001), np.linspace(-5, 5, 501), np.logspace(-30, 1, 100)]
).astype(np.float32)
LOGITS = np.concatenate([LOGITS, -LOGITS])
V = LOGITS.astype(np.float64)
MOST, LEAST = np.finfo(np.float32).max, 4 * np.finfo(np.float32).tiny


def sigmoid(v):
    decay = np.exp(-np.abs(v))
    return np.where(v >= 0, 1.0, decay) / (1.0 + decay)


def log_twice(v):
    """``log(2 sigmoid(v))``."""
    near = np.log1p(np.tanh(0.5 * np.maximum(v, -1.0)))
    return np.where(v > -1.0, near, np.log(2.0) - np.logaddexp(0.0, -v))


with np.errstate(over="ignore"):
    # The term of the reals with its derivative, then those of the fakes, in float64; None where there is no limit.
    EXACT = {
        "kl": (1 + V, 1 + 0 * V, -np.exp(V), -np.exp(V)),
        "reverse_kl": (-np.exp(-V), np.exp(-V), 1 - V, -1 + 0 * V),
        "jensen_shannon": (log_twice(V), sigmoid(-V), log_twice(-V), -sigmoid(V)),
        "squared_hellinger": (
            *(-np.expm1(-V / 2), np.exp(-V / 2) / 2),
            *(-np.expm1(V / 2), -np.exp(V / 2) / 2),
        ),
        "exponential": (
            *(-np.exp(-V / 2), np.exp(-V / 2) / 2),
            *(-np.exp(V / 2), -np.exp(V / 2) / 2),
        ),
        "pearson": (2 * np.expm1(V), 2 * np.exp(V), -np.expm1(2 * V), -2 * np.exp(2 * V)),
        "total_variation": (
            *(np.tanh(V) / 2, 0.5 / np.cosh(V) ** 2),
            *(-np.tanh(V) / 2, -0.5 / np.cosh(V) ** 2),
        ),
        "minimax": (
            *(-np.logaddexp(0, -V), sigmoid(-V)),
            *(-np.logaddexp(0, V), -sigmoid(V)),
        ),
        "brier": (
            *(-(sigmoid(-V) ** 2), 2 * sigmoid(-V) ** 2 * sigmoid(V)),
            *(-(sigmoid(V) ** 2), -2 * sigmoid(V) ** 2 * sigmoid(-V)),
        ),
        "identity": (
            *(sigmoid(V), sigmoid(V) * sigmoid(-V)),
            *(sigmoid(-V), -sigmoid(V) * sigmoid(-V)),
        ),
        "bounded_log": (
            *(np.log1p(-0.9 * sigmoid(-V)),),
            0.9 * sigmoid(V) * sigmoid(-V) / (0.1 + 0.9 * sigmoid(V)),
            *(np.log1p(-0.9 * sigmoid(V)),),
            -0.9 * sigmoid(V) * sigmoid(-V) / (0.1 + 0.9 * sigmoid(-V)),
        ),
    }
MAKERS = {
    "identity": lambda: losses.measuring(losses.phi_identity()),
    "bounded_log": lambda: losses.measuring(losses.phi_bounded_log(0.1)),
}


def agree(got, exact):
    """To 1e-6 relative where float32 holds the number, and infinite with its sign where it is too large."""
    got = np.asarray(got, np.float64)
    held = (np.abs(exact) <= MOST * (1 - 1e-6)) & (np.abs(exact) >= LEAST)
    np.testing.assert_allclose(got[held], exact[held], rtol=1e-6)
    too_large = np.abs(exact) > MOST * (1 + 1e-6)
    np.testing.assert_array_equal(got[too_large], np.sign(exact[too_large]) * np.inf)
    assert not np.isnan(got).any()


@pytest.mark.parametrize("name", EXACT)
def test_terms_and_slopes_are_right_wherever_float32_holds_them(name):
    loss = MAKERS.get(name, getattr(losses, name, None))()
    real, real_slope, fake, fake_slope = EXACT[name]
    zero = jnp.zeros_like(LOGITS)

    def value(real, fake):
        return jnp.sum(loss.value(real=real, fake=fake))

    agree(jax.grad(value, 0)(LOGITS, zero), real_slope)
    agree(jax.grad(value, 1)(zero, LOGITS), fake_slope)
    agree(jax.jit(lambda v: loss.generator(fake=v))(LOGITS), fake)
    at_zero = float(loss.generator(fake=jnp.zeros(())))
    if at_zero == 0:  # else the sum with the other term rounds
        agree(loss.value(real=LOGITS, fake=zero), real)
    else:
        exact = real + at_zero
        clear = np.abs(exact) > 0.1
        agree(loss.value(real=LOGITS, fake=zero)[clear], exact[clear])


@pytest.mark.parametrize("name", EXACT)
def test_slopes_have_slopes(name):
    """Penalties of the game's gradient differentiate once more: against differences in float64."""
    loss = MAKERS.get(name, getattr(losses, name, None))()
    slope = jax.grad(lambda v: loss.generator(fake=v))
    at = jnp.asarray([-3.0, -0.5, 0.0, 0.5, 3.0])
    exact = np.interp(np.asarray(at) + 0.01, np.sort(V), EXACT[name][3][np.argsort(V)])
    exact -= np.interp(np.asarray(at) - 0.01, np.sort(V), EXACT[name][3][np.argsort(V)])
    np.testing.assert_allclose(jax.vmap(jax.grad(slope))(at), exact / 0.02, rtol=0.02, atol=1e-3)


@pytest.mark.parametrize(("real", "fake", "sign"), [(100.0, 50.1, 1), (100.0, 60.0, -1)])
def test_pearson_is_infinite_where_both_terms_are(real, fake, sign):
    """2 e^100 is more than e^100.2, and less than e^120."""
    loss = losses.pearson()
    real, fake = jnp.asarray(real), jnp.asarray(fake)
    assert loss.value(real=real, fake=fake) == sign * np.inf
    assert loss.discriminator(real=real, fake=fake) == -sign * np.inf
    slopes = jax.grad(lambda r, f: loss.value(real=r, fake=f), (0, 1))(real, fake)
    assert slopes == (np.inf, -np.inf)
