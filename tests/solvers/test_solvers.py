"""Solvers: equivalences, the meaning of each option, and errors before any work."""

import dataclasses
import inspect

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from helpers import (
    BATCH,
    DISCRIMINATOR,
    FEATURES,
    GENERATOR,
    LATENT,
    batch,
    close,
    first_quick,
    same,
    slow,
    solver,
    train,
)

import mixgan_jax as mg
from mixgan_jax.networks import MLP
from mixgan_jax.solvers.mix_gan_2017 import generator_steps_2017

LOSSES = [mg.losses.minimax(), mg.losses.non_saturating(), mg.losses.relativistic()]


def plain_gan(loss: mg.GanLoss, update: str, steps: int) -> tuple:
    """A GAN written without this package's mixtures, payoffs or solvers: the oracle for k = 1."""
    generator_tx, discriminator_tx = optax.adam(1e-2), optax.adam(2e-2)
    key = jax.random.key(0)
    generator_key, discriminator_key = jax.random.split(key)
    g, _ = GENERATOR.init(jax.random.split(generator_key, 1)[0], jnp.zeros((2, LATENT)))
    d, _ = DISCRIMINATOR.init(jax.random.split(discriminator_key, 1)[0], jnp.zeros((2, FEATURES)))
    g_opt, d_opt = generator_tx.init(g), discriminator_tx.init(d)

    def judge(d, x):
        return DISCRIMINATOR.apply(d, {}, x, train=True)[0]

    def fakes(g, z):
        return GENERATOR.apply(g, {}, z, train=True)[0]

    def d_loss(d, g, real, z):
        return jnp.mean(loss.discriminator(real=judge(d, real), fake=judge(d, fakes(g, z))))

    def g_loss(g, d, real, z):
        return jnp.mean(loss.generator(fake=judge(d, fakes(g, z)), real=judge(d, real)))

    @jax.jit
    @jax.numpy_dtype_promotion("standard")  # optax's own Adam mixes dtypes
    def step(key, g, d, g_opt, d_opt, real):
        def latents(key):
            return jax.random.normal(key, (1, BATCH, LATENT))[0]

        if update == "simultaneous":
            z_d = z_g = latents(jax.random.split(key)[0])
        else:
            d_key, g_key = jax.random.split(key)
            z_d = latents(jax.random.split(jax.random.split(d_key, 1)[0])[0])
            z_g = latents(jax.random.fold_in(g_key, 0))
        d_grad = jax.grad(d_loss)(d, g, real, z_d)
        d_updates, d_opt = discriminator_tx.update(d_grad, d_opt, d)
        new_d = optax.apply_updates(d, d_updates)
        g_grad = jax.grad(g_loss)(g, d if update == "simultaneous" else new_d, real, z_g)
        g_updates, g_opt = generator_tx.update(g_grad, g_opt, g)
        return optax.apply_updates(g, g_updates), new_d, g_opt, d_opt

    for index in range(steps):
        batch_key, step_key = jax.random.split(jax.random.fold_in(key, index))
        g, d, g_opt, d_opt = step(step_key, g, d, g_opt, d_opt, batch(batch_key))
    return g, d


@pytest.mark.slow
@pytest.mark.parametrize("update", ["alternating", "simultaneous"])
@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: loss.name)
def test_a_mixture_of_one_is_the_plain_gan_bit_for_bit(loss, update):
    """Operation by operation it is the same arithmetic; compiled, XLA may fuse the two programs differently.

    Slow in all cases: with batch norm, in test_gradients, it is a quick test.
    """
    options = {"num_generators": 1, "num_discriminators": 1, "update": update}

    def both(steps):
        state = train(solver(loss, **options), steps)
        players = (state.generators.params, state.discriminators.params)
        return jax.tree.map(lambda leaf: leaf[0], players), plain_gan(loss, update, steps)

    with jax.disable_jit():
        assert same(*both(3))
    assert close(*both(7), 1e-6)


@pytest.mark.parametrize("update", first_quick(["alternating", "simultaneous"]))
def test_gda_is_mix_gan_with_one_of_each_bit_for_bit(update):
    options = {
        "latent_size": LATENT,
        "generator_tx": optax.adam(1e-2),
        "discriminator_tx": optax.adam(2e-2),
        "update": update,
    }
    single = mg.gda(GENERATOR, DISCRIMINATOR, mg.losses.hinge(), **options)
    mixture = solver(mg.losses.hinge(), num_generators=1, num_discriminators=1, update=update)
    a, b = train(single, 5), train(mixture, 5)
    assert same(a.generators, b.generators)
    assert same(a.discriminators, b.discriminators)


def test_the_weights_of_a_single_component_never_move():
    state = train(solver(num_generators=1, num_discriminators=1), 5)
    assert state.generators.log_weights.tolist() == [0.0]
    assert state.discriminators.log_weights.tolist() == [0.0]


@pytest.mark.parametrize("update", first_quick(["alternating", "simultaneous"]))
@pytest.mark.parametrize("strategy", first_quick(["scan", "unroll"]))
def test_strategies_train_the_same(strategy, update):
    expected = train(solver(update=update, strategy="vmap"), 4)
    assert close(train(solver(update=update, strategy=strategy), 4), expected, 1e-4)


def test_permuting_the_components_permutes_the_result():
    rule = solver(shared_latents=True)
    state = rule.init(jax.random.key(0))
    order = jnp.array([1, 0])

    def permuted(state):
        side = jax.tree.map(
            lambda leaf: leaf[order] if leaf.ndim and leaf.shape[0] == 2 else leaf,
            state.generator_side,
        )
        return mg.MixGanState(side, state.discriminator_side)

    key, real = jax.random.key(1), batch(jax.random.key(2))
    step = jax.jit(rule.step)
    first, _ = step(key, permuted(state), real)
    second = permuted(step(key, state, real)[0])
    assert close(first.generators, second.generators, 1e-5)


@pytest.mark.slow
def test_mixture_weights_move_toward_the_better_component():
    """A known fault elsewhere: weights rebuilt in each call and never learnt.

    Generators are frozen, one at the data and one far away; discriminators learn. The good one gains weight, and
    without a barrier or learning rate for weights nothing moves.
    """

    def init(key, z):
        # The two components' keys differ; a constant that does not depend on them is set below.
        return {"shift": jnp.zeros(FEATURES)}, {}

    def apply(params, state, z, *, train):
        return z[:, :FEATURES] + params["shift"][None], state

    frozen = mg.Player(init, apply)

    def run(weight_tx):
        rule = solver(
            generator=frozen,
            generator_tx=optax.set_to_zero(),
            weight_tx=weight_tx,
            weight_barrier=0.01,
        )
        state = rule.init(jax.random.key(0))
        shifts = jnp.array([[1.0, 1.0], [-2.0, -2.0]])  # the data have mean 1
        mixture = state.generators
        moved = mg.Mixture({"shift": shifts}, mixture.state, mixture.log_weights)
        side = dataclasses.replace(state.generator_side, mixture=moved)
        state = mg.MixGanState(side, state.discriminator_side)
        step = jax.jit(rule.step)
        for index in range(150):
            key = jax.random.fold_in(jax.random.key(3), index)
            state, _ = step(key, state, batch(jax.random.fold_in(key, 1)))
        return np.asarray(state.generators.weights)

    eg = run(mg.exponentiated_gradient(0.05))
    assert eg[0] > 0.8
    assert eg.sum() == pytest.approx(1.0, abs=1e-5)
    assert run(mg.softmax_adam(0.02))[0] > 0.6
    np.testing.assert_allclose(run(mg.exponentiated_gradient(0.0)), [0.5, 0.5], atol=1e-5)


def test_the_barrier_pulls_unequal_weights_together():
    rule = solver(weight_barrier=100.0, weight_tx=mg.exponentiated_gradient(1e-3))
    state = rule.init(jax.random.key(0))
    spread = jax.nn.log_softmax(jnp.array([0.0, 2.0]))
    side = state.generator_side
    mixture = mg.Mixture(side.mixture.params, side.mixture.state, spread)
    state = mg.MixGanState(dataclasses.replace(side, mixture=mixture), state.discriminator_side)
    before = mg.entropy(state.generators.log_weights)
    step = jax.jit(rule.step)
    for index in range(20):
        state, _ = step(jax.random.key(index), state, batch(jax.random.key(100 + index)))
    assert mg.entropy(state.generators.log_weights) > before + 0.1


def test_a_components_gradient_is_k_times_its_weighted_gradient():
    """With SGD the first update can be written down: -lr * K * d/du of the mixture's loss."""
    rate = 0.1
    rule = solver(generator_tx=optax.sgd(rate), discriminator_tx=optax.sgd(rate))
    state = rule.init(jax.random.key(0))
    key, real = jax.random.key(1), batch(jax.random.key(2))
    after, _ = jax.jit(rule.step)(key, state, real)
    d_key, _ = jax.random.split(key)
    latents = jax.random.normal(
        jax.random.split(jax.random.split(d_key, 1)[0])[0], (2, BATCH, LATENT)
    )
    fakes, _ = mg.generate(GENERATOR, state.generators, latents, train=True)

    def mixture_loss(params):
        players = mg.Mixture(params, {}, state.discriminators.log_weights)
        outcome = mg.meet(DISCRIMINATOR, players, real, fakes, mg.losses.non_saturating())
        return -(state.generators.weights @ outcome.payoffs.discriminator @ players.weights)

    gradient = jax.jit(jax.grad(mixture_loss))(state.discriminators.params)
    expected = jax.tree.map(lambda p, g: p - rate * 3.0 * g, state.discriminators.params, gradient)
    assert close(after.discriminators.params, expected, 1e-5)


@pytest.mark.slow
def test_latents_are_shared_only_when_asked_for():
    def init(key, z):
        return {"zero": jnp.zeros(())}, {}

    def apply(params, state, z, *, train):
        return z[:, :FEATURES] + params["zero"], state

    echo = mg.Player(init, apply)
    values = {}
    for shared in (False, True):
        rule = solver(mg.losses.minimax(), generator=echo, shared_latents=shared)
        state = rule.init(jax.random.key(0))
        _, info = jax.jit(rule.step)(jax.random.key(1), state, batch(jax.random.key(2)))
        values[shared] = info["values"]
    np.testing.assert_array_equal(values[True][0], values[True][1])
    assert not np.allclose(values[False][0], values[False][1])


def test_more_discriminator_steps_are_more_updates_on_fresh_parts_of_the_batch():
    rule = solver(discriminator_steps=3, discriminator_tx=optax.adam(2e-2))
    state = rule.init(jax.random.key(0))
    after, _ = jax.jit(rule.step)(jax.random.key(1), state, batch(jax.random.key(2), 3 * BATCH))
    counts = [s.count for s in after.discriminator_side.opt_state if hasattr(s, "count")]
    assert np.all(np.asarray(counts[0]) == 3)
    with pytest.raises(ValueError, match="batch must hold a multiple of discriminator_steps = 3"):
        rule.step(jax.random.key(1), state, batch(jax.random.key(2), 3 * BATCH + 1))


@pytest.mark.parametrize("steps", first_quick([lambda loss: jnp.where(loss > 1e6, 1, 3), 3]))
def test_more_generator_steps_are_more_updates(steps):
    rule = solver(generator_steps=steps)
    state = rule.init(jax.random.key(0))
    after, _ = jax.jit(rule.step)(jax.random.key(1), state, batch(jax.random.key(2)))
    counts = [s.count for s in after.generator_side.opt_state if hasattr(s, "count")]
    assert np.all(np.asarray(counts[0]) == 3)


def test_a_skipped_discriminator_update_freezes_everything_of_it():
    """Parameters, moments, step count and weights; the generators move on."""
    rule = solver(skip_discriminator_below=1e6)
    state = rule.init(jax.random.key(0))
    after, _ = jax.jit(rule.step)(jax.random.key(1), state, batch(jax.random.key(2)))
    assert same(after.discriminator_side, state.discriminator_side)
    assert not same(after.generators.params, state.generators.params)
    awake = solver(skip_discriminator_below=-1.0)
    moved, _ = jax.jit(awake.step)(jax.random.key(1), state, batch(jax.random.key(2)))
    assert not same(moved.discriminators.params, state.discriminators.params)


def test_the_2017_schedule_by_hand():
    losses = [1.0, 0.66, 0.65, 0.64, 0.51, 0.5, 0.49, 0.31, 0.3, 0.29, 0.0]
    steps = [int(generator_steps_2017(jnp.float32(loss))) for loss in losses]
    assert steps == [1, 1, 3, 3, 3, 5, 5, 5, 7, 7, 7]


def test_the_2017_preset_trains_with_equal_numbers_of_both():
    rule = mg.mix_gan_2017(GENERATOR, DISCRIMINATOR, num_components=3, latent_size=LATENT)
    start = rule.init(jax.random.key(0))
    _, info = jax.jit(rule.step)(jax.random.key(1), start, batch(jax.random.key(2)))
    assert float(info["discriminator_loss"]) == pytest.approx(-float(info["value"]) / 2, rel=1e-5)
    state = train(rule, 10)
    assert state.generators.num_components == state.discriminators.num_components == 3
    assert all(bool(jnp.all(jnp.isfinite(leaf))) for leaf in jax.tree.leaves(state))


@pytest.mark.parametrize("pairing", first_quick(["full", "latin", "stratified"]))
def test_a_penalty_reaches_every_discriminator(pairing):
    penalty = mg.penalties.gradient_penalty(10.0)
    options = {"pairing": pairing, "update": "simultaneous", "discriminator_tx": optax.sgd(0.1)}
    without = train(solver(**options), 1)
    penalised = train(solver(**options, penalty=penalty), 1)
    difference = jax.tree.map(
        lambda a, b: jnp.abs(a - b).reshape(3, -1).max(axis=1),
        without.discriminators.params,
        penalised.discriminators.params,
    )
    assert np.all(np.asarray(difference[0]["w"]) > 0)
    assert same(without.generators.params, penalised.generators.params)


@pytest.mark.parametrize("pairing", first_quick(["latin", "full", "stratified", "sparse"]))
def test_a_step_is_traced_once_and_reports_what_it_says(pairing):
    rule = solver(pairing=pairing, meetings=3 if pairing == "sparse" else 1)
    chex.clear_trace_counter()
    step = jax.jit(chex.assert_max_traces(lambda *arguments: rule.step(*arguments), n=1))
    state = rule.init(jax.random.key(0))
    for index in range(3):
        state, info = step(jax.random.key(index), state, batch(jax.random.key(index)))
    shapes = {name: value.shape for name, value in info.items()}
    assert shapes == {
        "discriminator_loss": (),
        "generator_loss": (),
        "value": (),
        "values": (2, 3),
        "generator_weights": (2,),
        "discriminator_weights": (3,),
        "frozen_generators": (2,),
        "frozen_discriminators": (3,),
    }


@pytest.mark.parametrize("make", first_quick([mg.gda, mg.mix_gan, mg.mix_gan_2017]))
def test_every_solver_keeps_the_protocol(make):
    options = {"latent_size": LATENT}
    required = {
        "generator_tx": optax.sgd(0.1),
        "discriminator_tx": optax.sgd(0.1),
        "num_generators": 2,
        "num_discriminators": 3,
        "loss": mg.losses.minimax(),
    }
    wanted = inspect.signature(make).parameters
    options |= {name: value for name, value in required.items() if name in wanted}
    rule = make(GENERATOR, DISCRIMINATOR, **options)
    assert isinstance(rule, mg.Solver)
    state = rule.init(jax.random.key(0))

    def step():
        """Trace the step anew: what a first trace left behind would show."""
        traced = jax.jit(lambda *given: rule.step(*given))
        return traced(jax.random.key(1), state, batch(jax.random.key(2)))

    after, info = step()
    chex.assert_trees_all_equal_shapes_and_dtypes(state, after)
    assert {"generator_loss", "discriminator_loss", "value"} <= set(info)
    again, _ = step()
    assert same(after, again), "a step must depend on its arguments alone"


def test_batch_norm_networks_train_on_both_sides():
    rule = solver(
        generator=mg.from_linen(MLP((4,), outputs=FEATURES, batch_norm=True)),
        discriminator=mg.from_linen(MLP((4,), batch_norm=True)),
    )
    before = rule.init(jax.random.key(0))
    after = train(rule, 2)
    assert not same(before.generators.state, after.generators.state)
    assert not same(before.discriminators.state, after.discriminators.state)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_generators": 0}, "num_generators must be a whole number >= 1, got 0"),
        ({"num_discriminators": -2}, "num_discriminators must be a whole number >= 1, got -2"),
        ({"latent_size": 0}, "latent_size must be a whole number >= 1, got 0"),
        ({"weight_barrier": -0.1}, "weight_barrier must be a finite number >= 0, got -0.1"),
        ({"weight_barrier": float("nan")}, "weight_barrier must be a finite number >= 0, got nan"),
        ({"pairing": "ful"}, r"pairing must be one of .* got 'ful' \(did you mean 'full'\?\)"),
        ({"update": "alternate"}, r"update must be one of .* .did you mean 'alternating'"),
        ({"strategy": "loop"}, "strategy must be one of"),
        ({"discriminator_steps": 0}, "discriminator_steps must be a whole number >= 1, got 0"),
        ({"generator_steps": 0}, "generator_steps must be a whole number >= 1, got 0"),
        ({"update": "simultaneous", "generator_steps": 2}, "update must be 'alternating'"),
        ({"skip_discriminator_below": float("inf")}, "skip_discriminator_below must be a finite"),
    ],
)
def test_bad_options_raise_when_the_solver_is_made(options, message):
    with pytest.raises(ValueError, match=message):
        solver(**options)


def test_arguments_of_the_wrong_kind_are_named():
    with pytest.raises(TypeError, match="generator_tx must be an optax transform"):
        solver(generator_tx=0.001)
    with pytest.raises(TypeError, match="loss must be a GanLoss"):
        solver(loss=mg.losses.minimax)
    with pytest.raises(TypeError, match=r"num_generators must be a whole number >= 1, got 2\.0"):
        solver(num_generators=2.0)


KEY_OF_NOISE = jax.random.key(5)
WARM_UP = optax.linear_schedule(0.0, 1e-2, 100)


@pytest.mark.parametrize(
    "weight_tx",
    [
        optax.chain(mg.exponentiated_gradient(0.1), optax.scale(2.0)),
        slow(optax.adam(1e-3)),
        slow(optax.adam(WARM_UP)),
    ],
)
def test_whatever_moves_the_weights_they_stay_on_the_simplex(weight_tx):
    state = train(solver(weight_tx=weight_tx), steps=300)
    for side in (state.generators, state.discriminators):
        assert float(side.weights.sum()) == pytest.approx(1.0, abs=1e-6)
        assert float(jnp.ptp(side.weights)) > 1e-3
    mg.sample(jax.random.key(0), GENERATOR, state.generators, jnp.zeros((4, LATENT)))


@pytest.mark.slow
def test_noise_on_the_weights_of_both_sides_is_not_the_same_noise():
    """One transform with one key moves both; weights would rise and fall together."""
    noise = optax.chain(optax.add_noise(100.0, 0.0, KEY_OF_NOISE), optax.scale(-0.01))
    state = train(solver(weight_tx=noise, num_generators=6, num_discriminators=6), steps=1)
    moved = (state.generators.log_weights, state.discriminators.log_weights)
    assert abs(np.corrcoef(*moved)[0, 1]) < 0.9


def test_gradient_descent_on_log_weights_is_exponentiated_gradient():
    """Fed gradients of the weights, and normalised: lw - eta dL/dw, less its logsumexp."""
    plain, rule = (
        train(solver(weight_tx=tx), 20) for tx in (optax.sgd(0.1), mg.exponentiated_gradient(0.1))
    )
    assert close(plain.generators, rule.generators)
    assert close(plain.discriminators, rule.discriminators)


@pytest.mark.parametrize("penalty", [mg.penalties.r1, 0.5])
def test_a_penalty_without_its_parentheses_is_named(penalty):
    with pytest.raises(TypeError, match=r"penalty must be a function \(key, critic, real, fake\)"):
        solver(penalty=penalty)


def test_an_apply_that_returns_logits_alone_is_named():
    alone = mg.Player(
        DISCRIMINATOR.init, lambda p, s, x, *, train: DISCRIMINATOR.apply(p, s, x, train=train)[0]
    )
    options = {
        "latent_size": LATENT,
        "generator_tx": optax.sgd(0.1),
        "discriminator_tx": optax.sgd(0.1),
    }
    rule = mg.gda(GENERATOR, alone, mg.losses.minimax(), **options)
    with pytest.raises(TypeError, match=r"apply must return \(logits, new_state\)"):
        rule.init(jax.random.key(0))


def test_a_discriminator_without_one_logit_per_example_raises_at_init():
    rule = solver(discriminator=GENERATOR)  # gives [B, 2]
    with pytest.raises(ValueError, match=r"discriminator must return one logit per example"):
        rule.init(jax.random.key(0))


def test_logits_are_counted_in_every_batch():
    def two(params, state, x, *, train):
        logits, state = DISCRIMINATOR.apply(params, state, x, train=train)
        return logits[:2], state  # right for the two examples of init

    rule = solver(discriminator=mg.Player(DISCRIMINATOR.init, two))
    state = rule.init(jax.random.key(0))
    with pytest.raises(ValueError, match=r"must return one logit per example, shape \(12,\)"):
        rule.step(jax.random.key(1), state, batch(jax.random.key(2)))


@pytest.mark.slow
def test_players_may_need_an_axis_or_many_examples_in_training():
    net = mg.networks.MLP((8,), batch_norm=True, axis_name="data")
    critic = mg.from_linen(net)

    def by_fours(params, state, x, *, train):
        if train:
            x = x.reshape(-1, 4, x.shape[-1]).reshape(x.shape)
        return critic.apply(params, state, x, train=train)

    rule = solver(discriminator=mg.Player(critic.init, by_fours))
    state = rule.init(jax.random.key(0))
    reals = jnp.stack([batch(jax.random.key(index)) for index in range(2)])
    step = jax.jit(jax.vmap(rule.step, in_axes=(None, None, 0), axis_name="data"))
    after, _ = step(jax.random.key(1), state, reals)
    mean = after.discriminators.state["batch_stats"]["BatchNorm_0"]["mean"]
    np.testing.assert_array_equal(mean[0], mean[1])  # averaged over the axis
    assert not np.allclose(mean[0], 0.0)


def test_a_batch_that_does_not_fit_is_named():
    rule = solver(pairing="latin")
    state = rule.init(jax.random.key(0))
    with pytest.raises(ValueError, match=r"real must have the shape .* got \(12, 5\)"):
        rule.step(jax.random.key(1), state, jnp.zeros((BATCH, 5)))
    with pytest.raises(TypeError, match="batch must be floating point, got dtype uint8"):
        rule.step(jax.random.key(1), state, jnp.zeros((BATCH, FEATURES), jnp.uint8))
    with pytest.raises(ValueError, match="multiple of the 3 discriminators"):
        rule.step(jax.random.key(1), state, jnp.zeros((10, FEATURES)))
