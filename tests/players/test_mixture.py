"""Mixtures: weights, sampling by sample, and component strategies of one meaning."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import FEATURES, GENERATOR, LATENT, close, first_quick, same, spread

import mixgan_jax as mg
from mixgan_jax.networks import MLP, DCGANDiscriminator, DCGANGenerator
from mixgan_jax.players.mixture import map_stacked


def make(k: int = 3) -> mg.Mixture:
    return mg.uniform(jax.random.key(0), GENERATOR, k, jnp.zeros((2, LATENT)))


def test_uniform_components_differ_and_weigh_the_same():
    mixture = make(3)
    np.testing.assert_allclose(mixture.weights, np.full(3, 1 / 3), rtol=1e-6)
    first = mixture.params[0]["w"]
    assert not jnp.allclose(first[0], first[1])
    assert not jnp.allclose(first[1], first[2])


def test_one_component_has_log_weight_zero_exactly():
    assert make(1).log_weights.tolist() == [0.0]


@pytest.mark.parametrize(
    ("weights", "nats", "effective"),
    [
        ([0.25] * 4, np.log(4), 4.0),
        ([1.0, 0.0], 0.0, 1.0),
        ([0.5, 0.25, 0.25], 1.5 * np.log(2), 2**1.5),
    ],
)
def test_entropy_and_effective_number_by_hand(weights, nats, effective):
    log_weights = jnp.log(jnp.asarray(weights))
    assert mg.entropy(log_weights) == pytest.approx(nats, abs=1e-6)
    assert mg.effective_components(log_weights) == pytest.approx(effective, rel=1e-6)


def test_sample_draws_a_component_for_each_sample():
    """Frequencies follow the weights within one batch, and each sample is its component's."""
    mixture = spread(make(3))
    latents = jax.random.normal(jax.random.key(1), (6000, LATENT))
    samples, components = mg.sample(jax.random.key(2), GENERATOR, mixture, latents)
    frequencies = np.bincount(components, minlength=3) / 6000
    np.testing.assert_allclose(frequencies, mixture.weights, atol=4 * np.sqrt(0.25 / 6000))
    k = int(components[17])
    params = jax.tree.map(lambda leaf: leaf[k], mixture.params)
    expected, _ = GENERATOR.apply(params, {}, latents[17:18], train=False)
    np.testing.assert_allclose(samples[17], expected[0], rtol=1e-5)


def test_a_component_of_weight_zero_is_never_drawn():
    mixture = make(2)
    mixture = mg.Mixture(mixture.params, mixture.state, jnp.array([0.0, -jnp.inf]))
    _, components = mg.sample(jax.random.key(0), GENERATOR, mixture, jnp.ones((500, LATENT)))
    assert set(np.asarray(components).tolist()) == {0}


@pytest.mark.parametrize("strategy", ["vmap", "unroll", "scan"])
def test_strategies_mean_the_same_for_dense_networks(strategy):
    mixture = make(3)
    latents = jax.random.normal(jax.random.key(1), (3, 7, LATENT))
    expected = [
        GENERATOR.apply(
            jax.tree.map(lambda leaf, k=k: leaf[k], mixture.params), {}, latents[k], train=False
        )[0]
        for k in range(3)
    ]
    got, _ = mg.generate(GENERATOR, mixture, latents, strategy=strategy)
    np.testing.assert_allclose(got, jnp.stack(expected), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("strategy", first_quick(["vmap", "unroll", "scan"]))
def test_strategies_mean_the_same_for_convolutional_gradients(strategy):
    player = mg.from_linen(DCGANDiscriminator(width=3))
    images = jax.random.normal(jax.random.key(1), (5, 8, 8, 1))
    mixture = mg.uniform(jax.random.key(0), player, 2, images)

    def loss(params, state):
        logits, new_state = player.apply(params, state, images, train=True)
        return jnp.sum(logits**2), new_state

    gradient = jax.jit(jax.grad(loss, has_aux=True))
    expected = [
        gradient(*jax.tree.map(lambda leaf, k=k: leaf[k], (mixture.params, mixture.state)))
        for k in range(2)
    ]
    expected = jax.tree.map(lambda *leaves: jnp.stack(leaves), *expected)
    got = mg.map_components(gradient, mixture.params, mixture.state, strategy=strategy)
    assert close(got, expected, 2e-4)


def test_generate_in_training_updates_each_component_by_its_own_batch():
    player = mg.from_linen(mg.networks.MLP((4,), outputs=FEATURES, batch_norm=True))
    mixture = mg.uniform(jax.random.key(0), player, 2, jnp.zeros((2, LATENT)))
    latents = jax.random.normal(jax.random.key(1), (2, 7, LATENT))
    _, state = mg.generate(player, mixture, latents, train=True)
    other = latents.at[1].set(0.5)
    _, changed = mg.generate(player, mixture, other, train=True)
    first, second = (jax.tree.map(lambda leaf, k=k: leaf[k], (state, changed)) for k in (0, 1))
    assert same(first[0], first[1])
    assert not same(second[0], second[1])


def test_bad_arguments_are_named():
    mixture = make(3)
    with pytest.raises(ValueError, match="num_components must be a whole number >= 1, got 0"):
        mg.uniform(jax.random.key(0), GENERATOR, 0, jnp.zeros((2, LATENT)))
    with pytest.raises(ValueError, match=r"strategy must be one of .* \(did you mean 'vmap'"):
        mg.generate(GENERATOR, mixture, jnp.zeros((3, 2, LATENT)), strategy="vmapp")
    with pytest.raises(ValueError, match=r"latents must have shape \[K, B, ...\] with K = 3"):
        mg.generate(GENERATOR, mixture, jnp.zeros((2, 2, LATENT)))
    with pytest.raises(ValueError, match=r"latents must have shape \[N, Z\]"):
        mg.sample(jax.random.key(0), GENERATOR, mixture, jnp.zeros(LATENT))
    with pytest.raises(ValueError, match="log_weights must be log-weights with logsumexp 0"):
        mg.entropy(jnp.zeros(3))


def test_a_sweep_is_not_a_mixture():
    """What fit returns for keys [S]: the error says how to take one of them."""
    sweep = jax.tree.map(lambda leaf: jnp.stack([leaf] * 4), make(3))
    with pytest.raises(ValueError, match=r"mixture must be one mixture.*take one"):
        mg.sample(jax.random.key(0), GENERATOR, sweep, jnp.zeros((5, LATENT)))
    one = jax.tree.map(lambda leaf: leaf[2], sweep)
    assert mg.sample(jax.random.key(0), GENERATOR, one, jnp.zeros((5, LATENT)))[0].shape == (
        5,
        FEATURES,
    )


def test_a_known_mixture_may_be_closed_over_in_a_trace():
    """Its weights are checked, and the check must not be recorded."""
    mixture = spread(make(3))
    latents = jnp.ones((4, LATENT))
    eager, _ = mg.sample(jax.random.key(0), GENERATOR, mixture, latents)
    jitted, _ = jax.jit(lambda key: mg.sample(key, GENERATOR, mixture, latents))(jax.random.key(0))
    np.testing.assert_allclose(jitted, eager, rtol=1e-5, atol=1e-6)


def test_auto_loops_over_convolutions_and_batches_dense_layers():
    def equations(params):
        jaxpr = jax.make_jaxpr(lambda p: mg.map_components(lambda q: q["w"] @ q["w"], p))(params)
        return jaxpr.eqns

    def count(equations, primitive):
        return sum(equation.primitive.name == primitive for equation in equations)

    dense = equations({"w": jnp.ones((3, 2, 2))})
    assert (count(dense, "scan"), count(dense, "dot_general")) == (0, 1)
    kernels = equations({"w": jnp.ones((3, 2, 2, 2, 2))})
    assert (count(kernels, "scan"), count(kernels, "dot_general")) == (1, 0)
    (loop,) = (equation for equation in kernels if equation.primitive.name == "scan")
    assert loop.params["length"] == 3
    assert count(loop.params["jaxpr"].eqns, "dot_general") == 1


@pytest.mark.slow
@pytest.mark.parametrize("module", [MLP((512,), outputs=9), DCGANGenerator((8, 8, 1), width=8)])
def test_samples_are_the_same_bit_for_bit_in_blocks_of_any_size(module):
    player = mg.from_linen(module)
    latents = jax.random.normal(jax.random.key(0), (300, 40))
    mixture = spread(mg.uniform(jax.random.key(1), player, 3, latents[:2]))
    whole = mg.sample(jax.random.key(2), player, mixture, latents)
    copies = jnp.broadcast_to(latents[None], (3, *latents.shape))
    by_component = mg.generate(player, mixture, copies)
    for block in (64, 128, 299, 1000):
        assert same(mg.sample(jax.random.key(2), player, mixture, latents, block=block), whole)
        assert same(mg.generate(player, mixture, copies, block=block), by_component)


def test_the_memory_of_sampling_is_that_of_a_block():
    """A hidden layer of 1,000 for 10,000 draws of each of 3 components takes 120 MB, for a block 1 MB."""
    player = mg.from_linen(MLP((1000,), outputs=1))
    mixture = mg.uniform(jax.random.key(0), player, 3, jnp.ones((2, LATENT)))
    latents = jnp.ones((10_000, LATENT))

    def draw(latents):
        return mg.sample(jax.random.key(1), player, mixture, latents, block=100)

    def make(latents):
        copies = jnp.broadcast_to(latents[None], (3, *latents.shape))
        return mg.generate(player, mixture, copies, block=100)[0]

    for function in (draw, make):
        compiled = jax.jit(function).lower(latents).compile()
        assert compiled.memory_analysis().temp_size_in_bytes < 10e6


def test_bad_blocks_are_named():
    mixture = mg.uniform(jax.random.key(0), GENERATOR, 3, jnp.ones((2, LATENT)))
    with pytest.raises(ValueError, match="block must be a whole number >= 64, got 1"):
        mg.sample(jax.random.key(1), GENERATOR, mixture, jnp.ones((5, LATENT)), block=1)
    with pytest.raises(ValueError, match="block must be None in training"):
        mg.generate(GENERATOR, mixture, jnp.ones((3, 5, LATENT)), train=True, block=64)


@pytest.mark.parametrize("count", [8, 9])
def test_a_long_loop_sums_what_only_its_sum_is_wanted_of(count):
    """Whole numbers: exactly. A short loop stacks, as it always did."""
    xs = jnp.round(9 * jax.random.normal(jax.random.key(0), (count, 4, 3)))
    ys = jnp.arange(3.0)

    def function(x, y):
        return x * y[None], x[0]

    summed, own = map_stacked(function, (xs,), (ys,), "scan", sum_first=True)
    assert summed.shape[0] == (count if count == 8 else 1)
    np.testing.assert_array_equal(summed.sum(0), (xs * ys[None, None]).sum(0))
    np.testing.assert_array_equal(own, xs[:, 0])
