"""Divergences on a line, what scoring rules induce, and logits that are polynomials: by hand and by theorem."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.scipy.stats import norm

from mixgan_jax import losses, theory

LOG_2 = math.log(2.0)


@pytest.fixture(autouse=True)
def double():
    with jax.enable_x64(True):
        yield


def nodes(low=-14.0, high=14.0, count=2801):
    return jnp.linspace(low, high, count)


def gaussian(mean, std, at=None):
    return norm.logpdf(nodes() if at is None else at, mean, std)


def test_divergences_of_two_gaussians_by_their_formulas():
    found = theory.line_divergences(gaussian(0.0, 1.0), gaussian(0.5, 2.0), nodes())
    kl = LOG_2 + (1 + 0.25) / 8 - 0.5
    reverse_kl = -LOG_2 + (4 + 0.25) / 2 - 0.5
    np.testing.assert_allclose(found["kl"], kl, atol=1e-9)
    np.testing.assert_allclose(found["reverse_kl"], reverse_kl, atol=1e-9)
    np.testing.assert_allclose(
        found["non_saturating"], reverse_kl - 2 * found["jensen_shannon"], atol=1e-12
    )
    shifted = theory.line_divergences(gaussian(0.0, 1.0), gaussian(0.75, 1.0), nodes())
    np.testing.assert_allclose(shifted["wasserstein"], 0.75, atol=1e-6)
    np.testing.assert_allclose(
        shifted["total_variation"], math.erf(0.375 / math.sqrt(2)), atol=1e-5
    )
    centred = theory.line_divergences(gaussian(0.0, 1.0), gaussian(0.0, 2.0), nodes())
    # W1 of two quantile functions that differ by the factor 2: E|x|. F - G changes its sign at 0.
    np.testing.assert_allclose(centred["wasserstein"], math.sqrt(2 / math.pi), atol=1e-5)
    np.testing.assert_allclose(centred["jensen_shannon"], 0.092733, atol=1e-6)


def test_equal_densities_have_no_divergence_and_disjoint_ones_the_most():
    same = theory.line_divergences(gaussian(0.0, 1.0), gaussian(0.0, 1.0), nodes())
    for name, value in same.items():
        assert abs(float(value)) < 1e-14, name
    at = nodes(-1.0, 4.0, 501)

    def uniform(low):  # half of a step at each end, as the trapezoid rule wants it
        inside = jnp.abs(at - low - 0.5) < 0.4999
        ends = jnp.abs(jnp.abs(at - low - 0.5) - 0.5) < 1e-9
        return jnp.where(inside, 0.0, jnp.where(ends, -LOG_2, -jnp.inf))

    apart = theory.line_divergences(uniform(0.0), uniform(2.0), at)
    assert apart["kl"] == apart["reverse_kl"] == apart["non_saturating"] == math.inf
    np.testing.assert_allclose(apart["jensen_shannon"], LOG_2, atol=1e-12)
    np.testing.assert_allclose(apart["total_variation"], 1.0, atol=1e-12)
    np.testing.assert_allclose(apart["wasserstein"], 2.0, atol=1e-4)
    segments = theory.parallel_segments(-2.0)
    for name, value in segments.items():
        np.testing.assert_allclose(value, apart[name], atol=1e-4, err_msg=name)
    assert set(theory.parallel_segments(0.0).values()) == {0.0}


def test_derivatives_are_those_of_the_formulas_and_survive_jit():
    @jax.jit
    def divergences(mean):
        return theory.line_divergences(gaussian(0.0, 0.5), gaussian(mean, 0.5), nodes())

    slopes = jax.jacfwd(divergences)(1.0)
    np.testing.assert_allclose(slopes["kl"], 4.0, atol=1e-8)
    np.testing.assert_allclose(slopes["wasserstein"], 1.0, atol=1e-4)
    np.testing.assert_allclose(slopes["jensen_shannon"], 0.449600, atol=1e-6)
    near, far = divergences(1.0 - 1e-4), divergences(1.0 + 1e-4)
    for name, slope in slopes.items():
        np.testing.assert_allclose(slope, (far[name] - near[name]) / 2e-4, atol=1e-4, err_msg=name)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((jnp.zeros(3), jnp.zeros(3), jnp.array([0.0, 1.0, 1.0])), "nodes must rise"),
        ((jnp.zeros(3), jnp.zeros(3), jnp.linspace(0.0, 2.0, 3)), "log_real must be the log"),
        ((jnp.zeros(2), jnp.zeros(3), jnp.linspace(0.0, 1.0, 3)), "log_real must be"),
        ((jnp.zeros(3), jnp.full(3, jnp.nan), jnp.linspace(0.0, 1.0, 3)), "log_fake must be"),
    ],
)
def test_what_is_no_density_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        theory.line_divergences(*arguments)


def test_each_scoring_rule_induces_its_divergence():
    real, fake = gaussian(0.0, 1.0), gaussian(1.0, 1.5)
    p, q = np.exp(real), np.exp(fake)
    found = {
        rule.loss.name: float(theory.induced_divergence(rule, real, fake, nodes()))
        for rule in theory.scoring_rules()
    }
    step = float(nodes()[1] - nodes()[0])
    direct = theory.line_divergences(real, fake, nodes())
    expected = {
        "logistic": 2 * direct["jensen_shannon"],
        "brier": 0.25 * np.sum((p - q) ** 2 / (p + q)) * step,
        "exponential": np.sum((np.sqrt(p) - np.sqrt(q)) ** 2) * step,
        "hinge": 2 * direct["total_variation"],
    }
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, atol=1e-5, err_msg=name)


def test_bayes_risks_by_hand_and_no_other_logit_earns_more():
    eta = jnp.array([0.0, 0.1, 0.5, 0.8, 1.0])
    expected = {
        "logistic": -jax.scipy.special.xlogy(eta, eta) - jax.scipy.special.xlogy(1 - eta, 1 - eta),
        "brier": eta * (1 - eta),
        "exponential": 2 * jnp.sqrt(eta * (1 - eta)),
        "hinge": 2 * jnp.minimum(eta, 1 - eta),
    }
    logits = jnp.linspace(-6.0, 6.0, 1201)
    for rule in theory.scoring_rules():
        risk = theory.bayes_risk(rule, eta)
        np.testing.assert_allclose(risk, expected[rule.loss.name], atol=1e-12)
        pay = rule.loss.value
        neutral = jnp.zeros_like(logits)
        real = pay(real=logits, fake=neutral) - pay(real=neutral, fake=neutral) / 2
        fake = pay(real=neutral, fake=logits) - pay(real=neutral, fake=neutral) / 2
        for index in (1, 2, 3):
            least = float(jnp.min(-eta[index] * real - (1 - eta[index]) * fake))
            assert float(risk[index]) <= least + 1e-12
            np.testing.assert_allclose(risk[index], least, atol=1e-4)
    with pytest.raises(ValueError, match="probability must lie in"):
        theory.bayes_risk(theory.scoring_rules()[0], jnp.array([1.5]))
    with pytest.raises(TypeError, match="rule must be a ScoringRule"):
        theory.bayes_risk(losses.brier(), eta)


def test_a_logit_of_the_true_degree_is_found_exactly():
    """log p/q of two Gaussians is a polynomial: of degree 1 with equal widths, else of degree 2."""
    at = nodes()
    same = theory.best_polynomial_logit(gaussian(-1.0, 1.0), gaussian(1.0, 1.0), at, 1)
    np.testing.assert_allclose(same["divergence"], 0.336831, atol=1e-6)
    np.testing.assert_allclose(same["logits"], -2.0 * at, atol=1e-6)
    real, fake = gaussian(0.0, 1.0), gaussian(0.0, 2.0)
    np.testing.assert_allclose(
        theory.best_polynomial_logit(real, fake, at, 1)["divergence"], 0.0, atol=1e-12
    )
    two = theory.best_polynomial_logit(real, fake, at, 2)
    np.testing.assert_allclose(two["logits"], real - fake, atol=1e-5)
    js = theory.line_divergences(real, fake, at)["jensen_shannon"]
    np.testing.assert_allclose(two["divergence"], js, atol=1e-9)


def test_bounds_rise_with_the_degree_to_js_and_separated_densities_give_log_2():
    at = nodes()
    real = jnp.logaddexp(gaussian(-1.5, 0.5), gaussian(1.5, 0.5)) - LOG_2
    fake = gaussian(0.2, 1.4)
    js = float(theory.line_divergences(real, fake, at)["jensen_shannon"])
    found = [theory.best_polynomial_logit(real, fake, at, degree) for degree in range(1, 8)]
    bounds = [entry["divergence"] for entry in found]
    assert all(entry["gradient"] < 1e-9 for entry in found)
    assert 0 < bounds[0] < bounds[1]
    assert all(b >= a - 1e-9 for a, b in zip(bounds, [*bounds[1:], js], strict=True))
    apart = theory.best_polynomial_logit(gaussian(-5.0, 0.2), gaussian(5.0, 0.2), at, 1)
    np.testing.assert_allclose(apart["divergence"], LOG_2, atol=1e-6)
    with pytest.raises(ValueError, match="degree must be below"):
        theory.best_polynomial_logit(real, fake, at, 2801)
