"""Mixed precision: networks compute in bfloat16, and everything that training keeps stays in float32."""

from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from helpers import DISCRIMINATOR, first_quick, solver, train

import mixgan_jax as mg
from mixgan_jax.players.precision import in_precision

KEY, FLOAT32 = jax.random.key(0), {jnp.dtype("float32")}


def dtypes(tree):
    return {
        leaf.dtype for leaf in jax.tree.leaves(tree) if jnp.issubdtype(leaf.dtype, jnp.floating)
    }


class Bare(nn.Module):
    """A module that says nothing of dtypes."""

    @nn.compact
    def __call__(self, x, *, train):
        return nn.Dense(1)(x)[:, 0]


@pytest.mark.parametrize(
    "player",
    first_quick(
        [
            pytest.param(DISCRIMINATOR, id="plain"),
            pytest.param(mg.from_linen(Bare()), id="bare"),
            pytest.param(mg.pack(mg.from_linen(mg.networks.MLP((4,))), 2), id="packed"),
        ]
    ),
)
def test_products_are_in_bfloat16_and_what_comes_out_is_float32(player):
    x = jnp.linspace(-1.0, 1.0, 24).reshape(12, 2)
    params, state = player.init(KEY, x)
    half = in_precision(player, "bfloat16")

    def total(player, params):
        return jnp.sum(player.apply(params, state, x, train=True)[0])

    program = str(jax.make_jaxpr(jax.grad(partial(total, half)))(params))
    products = [line for line in program.splitlines() if "dot_general" in line]
    assert products and all(":bf16[" in line.split("=")[0] for line in products)
    assert "bf16" not in str(jax.make_jaxpr(jax.grad(partial(total, player)))(params))
    gradients = jax.jit(jax.grad(partial(total, half)))(params)
    assert dtypes(gradients) == dtypes(half.apply(params, state, x, train=True)[0]) == FLOAT32
    assert in_precision(player, None) is player


def test_a_game_in_bfloat16_keeps_float32():
    """All that a step returns; and it is near the step in float32, and not the same."""
    options = {"penalty": mg.penalties.gradient_penalty(10.0), "generator_tx": optax.sgd(0.1)}
    half = train(solver(precision="bfloat16", **options), 1)
    whole = train(solver(**options), 1)
    assert dtypes(half) == FLOAT32
    for a, b in zip(*(jax.tree.leaves(s.generators.params) for s in (half, whole)), strict=True):
        assert 0 < np.abs(a - b).max() < 0.02


def waves():
    """Images of 8x8 pixels: products of a wave down and a wave across."""
    rng, place = np.random.default_rng(0), np.arange(8)
    speed, phase = rng.uniform(0.3, 2.0, (2, 200, 1)), rng.uniform(0.0, 6.0, (200, 1))
    down, across = np.sin(speed[0] * place + phase), np.cos(speed[1] * place)
    levels = 127.5 * (1 + down[:, :, None] * across[:, None, :])
    return mg.data.feed_from_images(levels.astype(np.uint8)[..., None], 32)


@pytest.mark.slow
def test_losses_of_a_small_dcgan_stay_within_one_percent_of_those_in_float32():
    """Over 200 steps, on average over the steps, both sides'; the state keeps float32, batch statistics too."""
    adam = optax.adam(2e-4, 0.5)
    rule = partial(
        mg.mix_gan,
        mg.from_linen(mg.networks.DCGANGenerator((8, 8, 1), width=8)),
        mg.from_linen(mg.networks.DCGANDiscriminator(width=8)),
        mg.losses.non_saturating(),
        num_generators=2,
        num_discriminators=2,
        latent_size=8,
        generator_tx=adam,
        discriminator_tx=adam,
        pairing="latin",
    )

    def losses(precision):
        run = partial(mg.run, solver=rule(precision=precision), feed=waves(), num_steps=200)
        state, info = jax.jit(partial(run, log_every=1))(KEY)
        assert dtypes(state) == FLOAT32
        return np.stack([info["generator_loss"], info["discriminator_loss"]])

    half, whole = losses("bfloat16"), losses(None)
    assert np.ptp(whole, axis=1).min() > 0.3  # it has gone somewhere
    assert 0 < np.mean(np.abs(half - whole) / whole, axis=1).max() < 0.01
