"""The selector: one network that plays a mixture, built of ReLUs."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import DISCRIMINATOR, FEATURES, GENERATOR, LATENT, first_quick
from scipy import stats

import mixgan_jax as mg
from mixgan_jax import theory

WEIGHTS = (0.5, 0.05, 0.25, 0.2)
COUNT = len(WEIGHTS)
LOG_WEIGHTS = jnp.log(jnp.asarray(WEIGHTS))
SIZE = 5 * LATENT + 5 + 5 * FEATURES + FEATURES


def mixture(log_weights=LOG_WEIGHTS):
    made = mg.uniform(jax.random.key(0), GENERATOR, log_weights.shape[0], jnp.zeros((1, LATENT)))
    return mg.Mixture(made.params, made.state, log_weights)


def latents(count=4000, key=1):
    return jax.random.normal(jax.random.key(key), (count, LATENT + 1))


def unfolded(components, inputs, output="linear"):
    """The component that the seed stands for, on the same latents."""
    chosen = theory.chosen_component(components.log_weights, inputs[:, -1])
    copies = jnp.broadcast_to(
        inputs[None, :, :-1], (components.num_components, len(inputs), LATENT)
    )
    samples, _ = mg.generate(GENERATOR, components, copies)
    samples = jax.nn.relu(samples) if output == "relu" else samples
    return samples[chosen, jnp.arange(len(inputs))]


def in_a_ramp(log_weights, seeds, width):
    edges = np.asarray(theory.thresholds(log_weights))
    distance = np.asarray(seeds)[:, None] - edges[None]
    # Rounding of s / width and t / width shifts a ramp by a few units in the last place.
    return np.any((distance > -2e-6) & (distance < width + 2e-6), axis=1)


@pytest.mark.parametrize("output", ["linear", "relu"])
@pytest.mark.parametrize("width", [1e-5, 1e-2])
def test_outside_the_ramps_the_folded_network_is_the_chosen_component(output, width):
    components, inputs = mixture(), latents()
    folded = theory.fold(GENERATOR, components, inputs[:, :-1], output=output, width=width)
    samples, _ = folded.player.apply(folded.params, folded.state, inputs, train=False)
    outside = ~in_a_ramp(LOG_WEIGHTS, inputs[:, -1], width)
    assert outside.mean() > 0.95
    expected = unfolded(components, inputs, output)
    np.testing.assert_allclose(samples[outside], expected[outside], rtol=0, atol=1e-6)
    assert len(np.unique(theory.chosen_component(LOG_WEIGHTS, inputs[:, -1]))) == COUNT


def test_payoffs_of_the_folded_network_are_the_mixtures():
    """Means over the same latents, where the ramps are too narrow to be hit."""
    components, inputs = mixture(), latents(20_000)
    folded = theory.fold(GENERATOR, components, inputs[:, :-1])
    assert theory.ramp_mass(LOG_WEIGHTS, 1e-5)["exact"] < 2e-5
    samples, _ = folded.player.apply(folded.params, folded.state, inputs, train=False)
    params, _ = DISCRIMINATOR.init(jax.random.key(3), samples)
    loss = mg.losses.minimax()

    def payoff(fakes):
        logits, _ = DISCRIMINATOR.apply(params, {}, fakes, train=False)
        return float(jnp.mean(loss.value(real=jnp.zeros_like(logits), fake=logits)))

    assert not np.any(in_a_ramp(LOG_WEIGHTS, inputs[:, -1], 1e-5)), "choose another key"
    assert payoff(samples) == pytest.approx(payoff(unfolded(components, inputs)), abs=1e-5)


@pytest.mark.parametrize("width", [0.01, 0.1])
def test_gates_are_one_hot_but_for_the_ramps_mass(width):
    folded = theory.fold(GENERATOR, mixture(), latents()[:, :-1], width=width)
    count = 200_000
    seeds = jax.random.normal(jax.random.key(4), (count,))
    opened = np.asarray(theory.gates(folded.params, seeds))
    np.testing.assert_allclose(opened.sum(axis=1), 1.0, atol=1e-6)
    assert opened.min() >= 0
    mass = theory.ramp_mass(LOG_WEIGHTS, width)
    edges = stats.norm.ppf(np.cumsum(WEIGHTS)[:-1])
    assert mass["bound"] == pytest.approx((COUNT - 1) * width / np.sqrt(2 * np.pi))
    by_hand = np.sum(stats.norm.cdf(edges + width) - stats.norm.cdf(edges))
    assert mass["exact"] == pytest.approx(by_hand, rel=1e-4)
    assert mass["exact"] <= mass["bound"]
    measured = np.mean(~np.all((opened == 0) | (opened == 1), axis=1))
    error = np.sqrt(mass["exact"] / count)
    assert abs(measured - mass["exact"]) <= 4 * error
    assert measured <= mass["bound"] + 4 * error


def test_ramps_that_overlap_are_counted_once():
    """Three thresholds within 0.03 of each other, ramps of 0.1: a union no longer than 0.13."""
    log_weights = jnp.log(jnp.asarray([0.5, 0.01, 0.01, 0.48]))
    mass = theory.ramp_mass(log_weights, 0.1)
    last = stats.norm.ppf(0.52)
    assert mass["exact"] == pytest.approx(stats.norm.cdf(last + 0.1) - 0.5, rel=1e-4)


def test_unequal_weights_are_selection_frequencies():
    count = 200_000
    seeds = jax.random.normal(jax.random.key(5), (count,))
    chosen = np.bincount(theory.chosen_component(LOG_WEIGHTS, seeds), minlength=COUNT)
    assert stats.chisquare(chosen, np.asarray(WEIGHTS) * count).pvalue > 1e-3
    folded = theory.fold(GENERATOR, mixture(), latents()[:, :-1])
    opened = np.asarray(theory.gates(folded.params, seeds)).sum(axis=0)
    np.testing.assert_allclose(opened, chosen, atol=10)


def test_thresholds_are_normal_quantiles_in_both_tails():
    weights = np.array([1e-9, 0.3, 0.7 - 2e-9, 1e-9])
    expected = [stats.norm.ppf(1e-9), stats.norm.ppf(0.3), stats.norm.isf(1e-9)]
    edges = theory.thresholds(jnp.log(jnp.asarray(weights, jnp.float32)))
    np.testing.assert_allclose(edges, expected, rtol=1e-4)


@pytest.mark.slow
def test_components_of_weight_zero_are_never_selected():
    log_weights = jnp.log(jnp.asarray([0.0, 0.4, 0.0, 0.6, 0.0]))
    components, inputs = mixture(log_weights), latents()
    folded = theory.fold(GENERATOR, components, inputs[:, :-1])
    assert all(np.all(np.isfinite(leaf)) for leaf in jax.tree.leaves(folded.params))
    opened = np.asarray(theory.gates(folded.params, inputs[:, -1]))
    assert np.all(opened[:, [0, 2, 4]] == 0)
    samples, _ = folded.player.apply(folded.params, folded.state, inputs, train=False)
    np.testing.assert_allclose(samples, unfolded(components, inputs), atol=1e-6)


@pytest.mark.parametrize("count", first_quick([7, 1, 2, 40]))
@pytest.mark.parametrize(("output", "copies"), [("linear", 2), ("relu", 1)])
def test_the_parameters_are_those_of_the_components_and_a_few(count, output, copies):
    components = mixture(jax.nn.log_softmax(jnp.zeros(count)))
    folded = theory.fold(GENERATOR, components, latents()[:, :-1], output=output)
    counted = sum(leaf.size for leaf in jax.tree.leaves(folded.params))
    assert counted == theory.folded_size(count, SIZE, FEATURES, output=output)
    assert counted <= count * SIZE + (5 * copies * FEATURES + 4) * count
    fresh, _ = folded.player.init(jax.random.key(9), latents(2))
    assert jax.tree.map(jnp.shape, fresh) == jax.tree.map(jnp.shape, folded.params)


def test_a_mixture_of_one_ignores_the_seed():
    components, inputs = mixture(jnp.zeros(1)), latents(50)
    folded = theory.fold(GENERATOR, components, inputs[:, :-1])
    samples, _ = folded.player.apply(folded.params, folded.state, inputs, train=False)
    np.testing.assert_allclose(samples, unfolded(components, inputs), atol=1e-6)


def test_within_a_ramp_the_output_shrinks_and_no_more():
    """Half open on both sides: with M >= |z| nothing larger than either component comes out."""
    components = mixture()
    edge = theory.thresholds(LOG_WEIGHTS)[2]
    inputs = latents(30).at[:, -1].set(edge + 0.05)
    folded = theory.fold(GENERATOR, components, inputs[:, :-1], width=0.1)
    opened = theory.gates(folded.params, inputs[:, -1])
    np.testing.assert_allclose(opened[0], [0, 0, 0.5, 0.5], atol=1e-4)
    samples, _ = folded.player.apply(folded.params, folded.state, inputs, train=False)
    np.testing.assert_array_equal(samples, 0)  # M / 2 is twice the largest |z|


def test_images_fold_too_and_a_sweep_over_seeds():
    """Outputs of any rank; under jit and vmap, where nothing can be checked."""

    def apply(params, state, z, *, train):
        return jnp.einsum("bz,zhwc->bhwc", z, params), state

    player = mg.Player(lambda key, z: (jax.random.normal(key, (LATENT, 4, 3, 1)), {}), apply)
    inputs = latents(20)

    @jax.jit
    @jax.vmap
    def run(key):
        components = mg.uniform(key, player, COUNT, inputs[:, :-1])
        folded = theory.fold(player, components, inputs[:, :-1])
        samples, _ = folded.player.apply(folded.params, folded.state, inputs, train=False)
        chosen = theory.chosen_component(components.log_weights, inputs[:, -1])
        expected = jnp.einsum("bz,bzhwc->bhwc", inputs[:, :-1], components.params[chosen])
        return samples, expected

    samples, expected = run(jax.random.split(jax.random.key(0), 3))
    assert samples.shape == (3, 20, 4, 3, 1)
    np.testing.assert_allclose(samples, expected, atol=1e-6)


def test_the_components_state_goes_through():
    def apply(params, state, z, *, train):
        new = {"mean": state["mean"] + 1.0} if train else state
        return z @ params, new

    player = mg.Player(
        lambda key, z: (jax.random.normal(key, (LATENT, 2)), {"mean": jnp.zeros(())}), apply
    )
    components = mg.uniform(jax.random.key(0), player, 3, jnp.zeros((1, LATENT)))
    folded = theory.fold(player, components, latents(5)[:, :-1])
    _, state = folded.player.apply(folded.params, folded.state, latents(5), train=True)
    np.testing.assert_array_equal(state["mean"], [1, 1, 1])


def test_a_bound_below_the_preactivations_is_refused():
    with pytest.raises(ValueError, match=r"bound must be at least the largest pre-activation"):
        theory.fold(GENERATOR, mixture(), latents()[:, :-1], bound=0.01)
    broken = mixture()
    nans = jax.tree.map(lambda leaf: leaf * jnp.nan, broken.params)
    with pytest.raises(ValueError, match=r"latents must give finite pre-activations"):
        theory.fold(GENERATOR, mg.Mixture(nans, {}, LOG_WEIGHTS), latents()[:, :-1])


def test_beyond_the_bound_closed_gates_leak_what_exceeds_it():
    """A constant of 3 in each of two components, the bound 1 of smaller examples: 3 + (3 - 1)."""

    def apply(params, state, z, *, train):
        return z * params[None], state

    player = mg.Player(lambda key, z: (jnp.ones(1), {}), apply)
    two = mg.uniform(jax.random.key(0), player, 2, jnp.zeros((1, 1)))
    folded = theory.fold(player, two, jnp.full((1, 1), 0.5), bound=1.0)
    inputs = jnp.asarray([[3.0, 1.0], [0.5, 1.0], [-3.0, 1.0]])
    samples, _ = folded.player.apply(folded.params, folded.state, inputs, train=False)
    np.testing.assert_allclose(samples[:, 0], [5.0, 0.5, -5.0])
