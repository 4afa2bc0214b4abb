"""Any pure (init, apply) pair is a player: plain JAX, Linen with and without state, NNX."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
import pytest
from flax import nnx
from helpers import BATCH, FEATURES, LATENT, batch, same

import mixgan_jax as mg
from mixgan_jax.networks import MLP


def step_with(generator: mg.Player, discriminator: mg.Player) -> mg.MixGanState:
    """One step of a small mixture of these players; raises where they do not fit."""
    solver = mg.mix_gan(
        generator,
        discriminator,
        mg.losses.non_saturating(),
        num_generators=2,
        num_discriminators=3,
        latent_size=LATENT,
        generator_tx=optax.sgd(0.1),
        discriminator_tx=optax.sgd(0.1),
    )
    state = solver.init(jax.random.key(0))
    return jax.jit(solver.step)(jax.random.key(1), state, batch(jax.random.key(2)))[0]


def test_three_lines_of_plain_jax_are_a_player():
    def init(key, x):
        return {"w": 0.1 * jax.random.normal(key, (x.shape[-1],))}, {}

    def apply(params, state, x, *, train):
        return x @ params["w"], state

    linear = mg.Player(init, apply)
    state = step_with(mg.from_linen(MLP((4,), outputs=FEATURES)), linear)
    assert state.discriminators.params["w"].shape == (3, FEATURES)
    assert not jnp.allclose(
        state.discriminators.params["w"][0], state.discriminators.params["w"][1]
    )


def test_an_nnx_module_is_a_player_by_split_and_merge():
    class Net(nnx.Module):
        def __init__(self, outputs, rngs):
            self.hidden = nnx.Linear(LATENT, 4, rngs=rngs)
            self.norm = nnx.BatchNorm(4, rngs=rngs)
            self.out = nnx.Linear(4, outputs, rngs=rngs)

        def __call__(self, x):
            return self.out(nnx.relu(self.norm(self.hidden(x))))

    graph, *_ = nnx.split(Net(FEATURES, nnx.Rngs(0)), nnx.Param, ...)

    def init(key, x):
        _, params, state = nnx.split(Net(FEATURES, nnx.Rngs(params=key)), nnx.Param, ...)
        return nnx.to_pure_dict(params), nnx.to_pure_dict(state)

    def apply(params, state, x, *, train):
        net = nnx.merge(graph, nnx.State(params), nnx.State(state), copy=True)
        net.train() if train else net.eval()
        out = net(x)
        return out, nnx.to_pure_dict(nnx.split(net, nnx.Param, ...)[2])

    state = step_with(mg.Player(init, apply), mg.from_linen(MLP((4,))))
    means = state.generators.state["norm"]["mean"]
    assert means.shape == (2, 4)
    assert jnp.all(jnp.abs(means) > 0), "the running averages of the generators did not move"


def test_linen_state_moves_in_training_only():
    player = mg.from_linen(MLP((4,), outputs=FEATURES, batch_norm=True))
    x = 3.0 + jax.random.normal(jax.random.key(0), (BATCH, LATENT))
    params, state = player.init(jax.random.key(1), x)
    evaluated, unmoved = player.apply(params, state, x, train=False)
    trained, moved = player.apply(params, state, x, train=True)
    assert same(state, unmoved)
    assert not same(state, moved)
    assert jax.tree.structure(state) == jax.tree.structure(moved)
    assert not jnp.allclose(evaluated, trained)


def test_a_linen_module_needs_no_train_argument():
    player = mg.from_linen(nn.Dense(FEATURES))
    params, state = player.init(jax.random.key(0), jnp.ones((BATCH, LATENT)))
    out, _ = player.apply(params, state, jnp.ones((BATCH, LATENT)), train=True)
    assert out.shape == (BATCH, FEATURES)
    assert state == {}


def test_from_linen_wants_an_instance():
    with pytest.raises(TypeError, match=r"module must be an instance .* got <class"):
        mg.from_linen(nn.Dense)


def test_state_without_a_train_argument_is_refused():
    class Net(nn.Module):
        @nn.compact
        def __call__(self, x):
            return nn.BatchNorm(use_running_average=True)(x)

    with pytest.raises(ValueError, match=r"module must take a keyword 'train' .*batch_stats"):
        mg.from_linen(Net()).init(jax.random.key(0), jnp.ones((BATCH, LATENT)))
