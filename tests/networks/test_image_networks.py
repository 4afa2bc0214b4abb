"""SNGAN and residual networks: published sizes, images of any side, and what spectral norm does to a kernel."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from helpers import first_quick, same

import mixgan_jax as mg
from mixgan_jax.networks import (
    ResidualDiscriminator,
    ResidualGenerator,
    SNGANDiscriminator,
    SNGANGenerator,
)
from mixgan_jax.networks.residual import doubled, halved

KEY = jax.random.key(0)


def outputs_of(module, *shape):
    """Shape of the outputs, and of the variables, nothing computed."""
    example = jnp.zeros(shape)
    start = partial(module.init_with_output, train=False)
    outputs, variables = jax.eval_shape(start, KEY, example)
    return outputs.shape, variables


def count(module, *shape):
    return sum(leaf.size for leaf in jax.tree.leaves(outputs_of(module, *shape)[1]["params"]))


def convolution(kernel, into, out):
    return kernel * kernel * into * out + out


def test_residual_networks_have_the_parameters_of_the_published_ones():
    """Layer by layer, from the tables of SNGAN for CIFAR-10."""
    w = 256
    up = 2 * convolution(3, w, w) + convolution(1, w, w) + 2 * 2 * w
    whole = (128 + 1) * 4 * 4 * w + 3 * up + 2 * w + convolution(3, w, 3)
    assert count(ResidualGenerator(), 2, 128) == whole == 4_276_739
    w = 128
    first = convolution(3, 3, w) + convolution(3, w, w) + convolution(1, 3, w)
    down, same_size = 2 * convolution(3, w, w) + convolution(1, w, w), 2 * convolution(3, w, w)
    whole = first + down + 2 * same_size + w + 1
    assert count(ResidualDiscriminator(), 2, 32, 32, 3) == whole == 1_053_825
    plain = ResidualDiscriminator(spectral_norm=False)
    assert count(plain, 2, 32, 32, 3) == whole
    assert set(outputs_of(plain, 2, 32, 32, 3)[1]) == {"params"}


def test_sngan_has_the_layers_of_the_published_one():
    kernels = {name: layer["kernel"].shape for name, layer in layers(SNGANDiscriminator()).items()}
    assert list(kernels.values()) == [
        (3, 3, 3, 64),
        (4, 4, 64, 64),
        (3, 3, 64, 128),
        (4, 4, 128, 128),
        (3, 3, 128, 256),
        (4, 4, 256, 256),
        (3, 3, 256, 512),
        (4 * 4 * 512, 1),
    ]
    norms = 2 * (512 + 256 + 128 + 64)
    kernels = 16 * (512 * 256 + 256 * 128 + 128 * 64)
    whole = 128 * 16 * 512 + kernels + norms + convolution(3, 64, 3)
    assert count(SNGANGenerator(), 2, 128) == whole


def layers(module):
    return outputs_of(module, 2, 32, 32, 3)[1]["params"]


@pytest.mark.parametrize(
    ("shape", "stages"),
    first_quick(
        [
            ((7, 10, 2), 2),
            ((8, 8, 1), None),
            ((28, 28, 3), 2),
            ((32, 32, 3), None),
            ((64, 64, 3), 4),
        ]
    ),
    ids=str,
)
def test_images_have_any_side_that_the_stages_allow(shape, stages):
    for generator in (SNGANGenerator, ResidualGenerator):
        made, _ = outputs_of(generator(shape, width=3, stages=stages), 5, 7)
        assert made == (5, *shape)
        with pytest.raises(ValueError, match="above 8 for stages=4"):
            generator((8, 8, 1), stages=4)
    assert outputs_of(SNGANDiscriminator(width=3, stages=stages), 5, *shape)[0] == (5,)
    assert outputs_of(ResidualDiscriminator(width=3), 5, *shape)[0] == (5,)
    with pytest.raises(ValueError, match="above 8 for stages=4"):
        outputs_of(ResidualDiscriminator(stages=4), 5, 8, 8, 1)


def test_doubling_and_halving_by_hand():
    x = jnp.array([[1.0, 2.0, 6.0], [3.0, 6.0, 8.0], [5.0, 9.0, 4.0]])[None, :, :, None]
    np.testing.assert_array_equal(jax.jit(halved)(x)[0, :, :, 0], [[3.0, 7.0], [7.0, 4.0]])
    large = np.asarray(jax.jit(partial(doubled, size=(6, 5)))(x))
    np.testing.assert_array_equal(large[0, ::2, ::2], x[0])
    np.testing.assert_array_equal(large[0, 1::2, 1::2, 0], x[0, :, :2, 0])


def normal(seed, *shape):
    return jnp.asarray(np.random.default_rng(seed).standard_normal(shape), jnp.float32)


def divided(params):
    """Kernels divided by their largest singular value, by NumPy."""

    def one(path, leaf):
        if path[-1].key != "kernel":
            return leaf
        matrix = np.asarray(leaf, np.float64).reshape(-1, leaf.shape[-1])
        return jnp.asarray(leaf / np.linalg.svd(matrix, compute_uv=False)[0], jnp.float32)

    return jax.tree_util.tree_map_with_path(one, params)


NETS = [SNGANDiscriminator(width=3, stages=1), ResidualDiscriminator(width=3, stages=1)]


@pytest.mark.slow
@pytest.mark.parametrize("net", NETS, ids=lambda net: type(net).__name__)
def test_spectral_norm_comes_to_one(net):
    """After many passes with fixed weights, kernels are those that NumPy's SVD would divide, and logits too."""
    player, x = mg.from_linen(net), normal(0, 2, 6, 6, 2)
    params, state = jax.jit(player.init)(KEY, x)
    params = jax.tree.map(
        lambda leaf: leaf + 0.5, params
    )  # kernels with one value far above the others
    many = partial(
        jax.lax.scan, lambda state, _: (player.apply(params, state, x, train=True)[1], 0)
    )
    state, _ = jax.jit(partial(many, xs=None, length=30))(state)
    for layer in state["batch_stats"].values():
        (name,) = [key for key in layer if key.endswith("sigma")]
        kernel = np.asarray(params[name.split("/")[0]]["kernel"], np.float64)
        normalised = kernel.reshape(-1, kernel.shape[-1]) / float(layer[name])
        assert np.linalg.svd(normalised, compute_uv=False)[0] == pytest.approx(1.0, abs=1e-3)
    logits, after = player.apply(params, state, x, train=False)
    assert same(after, state)
    plain = net.clone(spectral_norm=False).apply({"params": divided(params)}, x, train=True)
    np.testing.assert_allclose(logits, plain, rtol=1e-3, atol=1e-5)


@pytest.mark.slow
def test_only_training_moves_the_vector():
    player, x = mg.from_linen(NETS[0]), normal(0, 2, 6, 6, 2)
    params, state = jax.jit(player.init)(KEY, x)
    still = jax.jit(partial(player.apply, train=False))(params, state, x)[1]
    moved = jax.jit(partial(player.apply, train=True))(params, state, x)[1]
    assert same(still, state)
    for before, after in zip(*map(jax.tree.leaves, (state, moved)), strict=True):
        assert before.size == 1 or np.abs(before - after).max() > 1e-3


def game(generator, discriminator):
    return mg.mix_gan(
        mg.from_linen(generator),
        mg.from_linen(discriminator),
        mg.losses.hinge(),
        num_generators=2,
        num_discriminators=3,
        latent_size=4,
        generator_tx=optax.adam(1e-3),
        discriminator_tx=optax.adam(1e-3),
        pairing="latin",
    )


FAMILIES = [
    (SNGANGenerator((8, 8, 1), width=2, stages=1), SNGANDiscriminator(width=2, stages=1)),
    (ResidualGenerator((8, 8, 1), width=2, stages=1), ResidualDiscriminator(width=2, stages=1)),
]


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES, ids=["sngan", "residual"])
def test_a_restart_takes_the_vectors_up_where_they_were(family, tmp_path):
    """Bit for bit, and all that training moved is finite."""
    rule = game(*family)
    feed = mg.data.feed_from_images(np.arange(20 * 64, dtype=np.uint8).reshape(20, 8, 8, 1), 6)
    options = {"log_every": 2}
    whole = mg.fit(KEY, rule, feed, num_steps=6, **options)
    for num_steps in (2, 6):
        end = mg.fit(KEY, rule, feed, num_steps=num_steps, folder=tmp_path / "run", **options)
    assert same(end, whole)
    start = jax.jit(rule.init)(jax.random.split(KEY, 3)[0])
    for before, after in zip(*(jax.tree.leaves(s.iterate) for s in (start, end)), strict=True):
        assert np.isfinite(after).all()
        assert not np.array_equal(before, after) or before.shape[1:] in ((), (1, 1))


@pytest.mark.slow
@pytest.mark.parametrize("batch_norm", [False, True])
@pytest.mark.parametrize("spectral_norm", [False, True])
def test_gradients_of_residual_networks_are_finite_and_reach_every_layer(batch_norm, spectral_norm):
    options = {"width": 4, "batch_norm": batch_norm, "spectral_norm": spectral_norm}
    for net, shape in (
        (ResidualGenerator((8, 8, 1), **options), (6, 5)),
        (ResidualDiscriminator(**options), (6, 8, 8, 1)),
    ):
        player, x = mg.from_linen(net), normal(0, *shape)
        params, state = jax.jit(player.init)(KEY, x)

        def total(params, player=player, state=state, x=x):
            return jnp.sum(jnp.sin(player.apply(params, state, x, train=True)[0]))

        for leaf in jax.tree.leaves(jax.jit(jax.grad(total))(params)):
            assert np.isfinite(leaf).all()
            assert np.any(leaf)
