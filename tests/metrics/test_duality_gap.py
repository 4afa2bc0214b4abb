"""The duality gap over retrained deviations: a gap that is known, starts that go nowhere, bad arguments."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from helpers import DISCRIMINATOR, FEATURES, GENERATOR, LATENT, batch, feed, spread

import mixgan_jax as mg
from experiments.mixtures import known_gap

GENERATORS = spread(mg.uniform(jax.random.key(0), GENERATOR, 2, jnp.zeros((1, LATENT))))
DISCRIMINATORS = spread(mg.uniform(jax.random.key(1), DISCRIMINATOR, 3, jnp.zeros((1, FEATURES))))
REALS = batch(jax.random.key(2), 400).reshape(4, 100, FEATURES)
GOOD = {
    "key": jax.random.key(3),
    "generator": GENERATOR,
    "discriminator": DISCRIMINATOR,
    "generators": GENERATORS,
    "discriminators": DISCRIMINATORS,
    "loss": mg.losses.minimax(),
    "feed": feed(),
    "reals": REALS,
    "budgets": (1, 4),
    "latent_size": LATENT,
    "tx": optax.adam(1e-2),
}


@pytest.mark.slow
def test_a_known_gap_is_reached_and_never_overstated():
    setup, state, gap = known_gap.game()
    keys = jax.random.split(jax.random.key(1), 40)
    reals = jax.vmap(lambda key: setup.feed.sample(key, setup.feed.arrays))(keys)
    curve = mg.duality_gap_curve(
        jax.random.key(0),
        setup.generator,
        setup.discriminator,
        state.generators,
        state.discriminators,
        setup.loss,
        setup.feed,
        reals,
        budgets=(5, 20, 300),
        latent_size=1,
        tx=optax.adam(0.02),
    )
    # By hand, at u = 1/4 and v = 3/10: components reach u = 1.5 and v = 0.8.
    components = 0.8 * (0.5 - 0.25) - 0.3 * (0.5 - 1.5)
    assert gap == pytest.approx(0.7)
    assert curve["gap"][0] == pytest.approx(components, abs=0.02)
    assert curve["gap"][-1] == pytest.approx(gap, abs=0.02)
    assert curve["discriminator_gain"][-1] == pytest.approx(0.25 - 0.3 * 0.25, abs=0.02)
    for name in ("gap", "gap_cold", "gap_warm", "gap_perturbed"):
        assert np.all(np.diff(curve[name]) >= -1e-6)
        assert np.all(curve[name] <= gap + 0.02)


@pytest.mark.slow
def test_a_single_pair_has_no_gap_at_budget_0_and_deviations_that_stand_still_add_none():
    one = jax.tree.map(lambda leaf: leaf[:1], (GENERATORS, DISCRIMINATORS))
    generators, discriminators = (mg.Mixture(m.params, m.state, jnp.zeros(1)) for m in one)
    still = {"tx": optax.sgd(0.0), "generators": generators, "discriminators": discriminators}
    curve = mg.duality_gap_curve(**{**GOOD, **still, "perturbation": 0.0})
    assert curve["gap"][0] == 0.0
    # Latents are drawn anew for the deviations: a copy of the only component may look a little better or worse.
    np.testing.assert_allclose(curve["gap_warm"], 0.0, atol=0.15)
    np.testing.assert_array_equal(curve["gap_warm"][1:], curve["gap_warm"][1])


@pytest.mark.slow
def test_at_budget_0_it_is_nash_conv_of_the_components_on_the_half_that_pays():
    """With one half's data in both halves, choosing and paying agree."""
    reals = jnp.concatenate([REALS[:2], REALS[:2]])
    generator = _without_latents()
    game = {"generator": generator, "discriminator": DISCRIMINATOR, "reals": reals}
    curve = mg.duality_gap_curve(**{**GOOD, **game})
    values = mg.held_out_values(
        jax.random.key(0),
        generator,
        DISCRIMINATOR,
        GENERATORS,
        DISCRIMINATORS,
        GOOD["loss"],
        reals,
        latent_size=LATENT,
    ).mean(axis=0)
    expected = mg.nash_conv(mg.zero_sum(values), GENERATORS.weights, DISCRIMINATORS.weights)
    np.testing.assert_allclose(curve["gap"][0], expected, atol=1e-5)
    total = curve["generator_gain"] + curve["discriminator_gain"]
    np.testing.assert_allclose(curve["gap"], total, atol=1e-6)


def _without_latents():
    """Generators of one point: two evaluations agree whatever latents they draw."""

    def apply(params, state, z, *, train):
        return GENERATOR.apply(params, state, jnp.ones_like(z), train=train)

    return mg.Player(GENERATOR.init, apply)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"budgets": ()}, TypeError, "budgets must be"),
        ({"budgets": (4, 4)}, ValueError, "budgets must be whole numbers that rise"),
        ({"budgets": (0,)}, ValueError, "budgets must be a whole number >= 1"),
        ({"reals": REALS[:3]}, ValueError, "reals must be .* N >= 2 even"),
        ({"reals": REALS[0]}, ValueError, "reals must be"),
        ({"perturbation": -1.0}, ValueError, "perturbation must be"),
        ({"num_cold": 0}, ValueError, "num_cold must be"),
        ({"feed": None}, TypeError, "feed must be a Feed"),
        ({"generators": None}, TypeError, "generators must be a Mixture"),
    ],
)
def test_bad_arguments_are_named(change, error, message):
    with pytest.raises(error, match=message):
        mg.duality_gap_curve(**{**GOOD, **change})
