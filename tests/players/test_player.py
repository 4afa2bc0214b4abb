"""Any pure (init, apply) pair is a player: plain JAX, Linen with and without state, NNX."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
import pytest
from flax import nnx
from helpers import BATCH, DISCRIMINATOR, FEATURES, GENERATOR, LATENT, batch, same, solver

import mixgan_jax as mg
from mixgan_jax.networks import MLP


def step_with(generator: mg.Player, discriminator: mg.Player) -> mg.MixGanState:
    """One step of a small mixture of these players; raises where they do not fit."""
    rule = solver(generator=generator, discriminator=discriminator)
    state = rule.init(jax.random.key(0))
    return jax.jit(rule.step)(jax.random.key(1), state, batch(jax.random.key(2)))[0]


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


def test_a_plain_tuple_is_taken_wherever_a_player_is():
    plain = (tuple(GENERATOR[:2]), tuple(DISCRIMINATOR[:2]))
    state, same_state = step_with(*plain), step_with(GENERATOR, DISCRIMINATOR)
    assert same(state, same_state)
    latents = jnp.ones((BATCH, LATENT))
    keys = jax.random.split(jax.random.key(0))
    fresh = mg.uniform(keys[0], plain[0], 2, latents)
    assert same(
        mg.sample(keys[1], plain[0], fresh, latents), mg.sample(keys[1], GENERATOR, fresh, latents)
    )
    options = {"latent_size": LATENT}
    reals = batch(keys[0])[None]
    values = [
        mg.held_out_values(
            keys[0],
            *players,
            state.generators,
            state.discriminators,
            mg.losses.minimax(),
            reals,
            **options,
        )
        for players in (plain, (GENERATOR, DISCRIMINATOR))
    ]
    assert same(*values)
    assert mg.pack(plain[1], 2).packing == 2


def test_what_is_no_player_is_named():
    for wrong in (None, (1, 2), (GENERATOR.init,), lambda key: key):
        with pytest.raises(TypeError, match="generator"):
            step_with(wrong, DISCRIMINATOR)
    with pytest.raises(TypeError, match=r"discriminator\.apply must be a function"):
        step_with(GENERATOR, (DISCRIMINATOR.init, 3))


@pytest.mark.parametrize("side", ["generator", "discriminator"])
@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (
            "outputs alone",
            TypeError,
            r"apply must return \((samples|logits), new_state\), got an array",
        ),
        (
            "outputs in a dict",
            TypeError,
            r"apply must return .* with (samples|logits) an array, got a dict",
        ),
        ("parameters alone", TypeError, r"init must return a tuple \(params, state\).* got a dict"),
        (
            "parameters in a list",
            TypeError,
            r"init must return a tuple \(params, state\).* got a list",
        ),
        ("a state that grows", ValueError, r"apply must return a new_state of the state's form"),
    ],
)
def test_players_that_are_almost_players_are_told_what_is_missing(side, change, error, message):
    right = {"generator": GENERATOR, "discriminator": DISCRIMINATOR}
    player = right[side]

    def init(key, x):
        params, state = player.init(key, x)
        two = {"first": params[0], "last": params[1]}
        return {"parameters alone": two, "parameters in a list": params}.get(
            change, (params, state)
        )

    def apply(params, state, x, *, train):
        outputs, state = player.apply(params, state, x, train=train)
        return {
            "outputs alone": outputs,
            "outputs in a dict": ({"out": outputs}, state),
            "a state that grows": (outputs, {**state, "more": jnp.zeros(2)}),
        }.get(change, (outputs, state))

    with pytest.raises(error, match=rf"{side}\.{message}"):
        step_with(**{**right, side: mg.Player(init, apply)})


def test_a_generator_returns_one_floating_sample_per_latent():
    def apply(params, state, z, *, train):
        outputs, state = GENERATOR.apply(params, state, z, train=train)
        return outputs[:1], state

    with pytest.raises(
        ValueError, match=r"generator must return one floating-point sample per latent"
    ):
        step_with(mg.Player(GENERATOR.init, apply), DISCRIMINATOR)


def without_parameters(apply):
    return (lambda key, x: ({}, {})), lambda p, s, x, *, train: (apply(x), s)


@pytest.mark.parametrize("pairing", ["full", "latin"])
@pytest.mark.parametrize("sizes", [(1, 1), (2, 3)])
def test_players_without_parameters_are_no_special_case(sizes, pairing):
    """Their opponents train, their weights too, and Adam has a counter for each of them."""
    nothing = (
        without_parameters(lambda z: z[:, :FEATURES]),
        without_parameters(lambda x: x[:, 0] - x[:, 1]),
    )
    for generator, discriminator in ((nothing[0], DISCRIMINATOR), (GENERATOR, nothing[1]), nothing):
        rule = solver(
            generator=generator,
            discriminator=discriminator,
            num_generators=sizes[0],
            num_discriminators=sizes[1],
            pairing=pairing,
        )
        start = rule.init(jax.random.key(0))
        state, info = jax.jit(rule.step)(jax.random.key(1), start, batch(jax.random.key(2)))
        assert jax.tree.map(jnp.shape, state) == jax.tree.map(jnp.shape, start)
        assert info["values"].shape == sizes
        for side in (state.generator_side, state.discriminator_side):
            assert jnp.all(
                optax.tree.get(side.opt_state, "count") == jnp.ones(side.frozen.shape, jnp.int32)
            )
            assert not side.frozen.any()


class Switched(nn.Module):
    """Batch norm that a word other than ``train`` switches."""

    def normalise(self, x, train):
        return nn.BatchNorm(use_running_average=not train, momentum=0.5)(x)


class Training(Switched):
    @nn.compact
    def __call__(self, x, training: bool = False):
        return self.normalise(x, training)


class Deterministic(Switched):
    @nn.compact
    def __call__(self, x, deterministic: bool = True):
        return self.normalise(x, not deterministic)


class Averages(Switched):
    @nn.compact
    def __call__(self, x, use_running_average: bool = True):
        return self.normalise(x, not use_running_average)


class Mode(Switched):
    @nn.compact
    def __call__(self, x, mode: str = "eval"):
        return self.normalise(x, mode == "train")


@pytest.mark.parametrize("kind", [Training, Deterministic, Averages, Mode])
def test_a_switch_under_another_name_switches(kind):
    options = None if kind is not Mode else lambda train: {"mode": "train" if train else "eval"}
    player = mg.from_linen(kind(), options)
    x = 3.0 + jax.random.normal(jax.random.key(0), (BATCH, LATENT))
    params, state = player.init(jax.random.key(1), x)
    trained, moved = player.apply(params, state, x, train=True)
    evaluated, unmoved = player.apply(params, state, x, train=False)
    assert same(state, unmoved)
    assert not same(state, moved)
    assert jnp.allclose(trained.mean(axis=0), 0.0, atol=1e-5)
    assert not jnp.allclose(evaluated, trained)


def test_a_switch_of_an_unknown_name_is_asked_for():
    with pytest.raises(
        ValueError, match=r"module must take a keyword 'train' .*name its switch in from_linen's"
    ):
        mg.from_linen(Mode()).init(jax.random.key(0), jnp.ones((BATCH, LATENT)))


class Dropping(nn.Module):
    """Dropout, under Flax's own word or one that nobody knows."""

    @nn.compact
    def __call__(self, x, deterministic: bool = True):
        return nn.Dropout(0.9, deterministic=deterministic)(nn.Dense(1)(x))[..., 0]


class DroppingInSilence(nn.Module):
    @nn.compact
    def __call__(self, x, evaluate: bool = True):
        return Dropping()(x, deterministic=evaluate)


def test_dropout_is_refused_and_never_ignored():
    x = jnp.ones((BATCH, FEATURES))
    player = mg.from_linen(Dropping())
    params, state = player.init(jax.random.key(0), x)
    assert player.apply(params, state, x, train=False)[0].shape == (BATCH,)
    with pytest.raises(
        ValueError, match=r"must draw no random numbers .* Dropping with train=True.*dropout"
    ):
        player.apply(params, state, x, train=True)
    silent = DroppingInSilence()
    with pytest.raises(
        ValueError, match="keyword 'train' to have dropout, got Dropping_0/Dropout_0"
    ):
        mg.from_linen(silent).init(jax.random.key(0), x)
    # Who says that nothing is to be switched means it.
    player = mg.from_linen(silent, lambda train: {})
    params, state = player.init(jax.random.key(0), x)
    assert player.apply(params, state, x, train=True)[0].shape == (BATCH,)
