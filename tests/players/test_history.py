"""Histories as mixtures, and Fictitious GAN: its equivalence with MIX+GAN and what it answers."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from helpers import (
    DISCRIMINATOR,
    GENERATOR,
    LATENT,
    batch,
    check_protocol,
    close,
    same,
    solver,
    spread,
)

import mixgan_jax as mg
from mixgan_jax import history, penalties


def entry(value, *weights):
    """A mixture whose players say which entry they are of."""
    players = {"w": value + 0.1 * jnp.arange(float(len(weights)))}
    return mg.Mixture(players, {}, jnp.log(jnp.asarray(weights)))


def recorded(count, capacity=3):
    past = history.start(entry(0.0, 0.25, 0.75), capacity)
    for number in range(1, count):
        past = history.record(past, entry(float(number), 0.25, 0.75))
    return past


def weights_by_player(past, decay=1.0):
    mixture = history.average(past, decay)
    pairs = zip(mixture.params["w"].tolist(), mixture.weights.tolist(), strict=True)
    return {round(player, 1): weight for player, weight in pairs if weight > 0}


def test_the_oldest_entry_is_dropped_and_the_rest_weigh_alike():
    assert recorded(5).capacity == 3
    expected = {n + 0.1 * k: (0.25, 0.75)[k] / 3 for n in (2, 3, 4) for k in (0, 1)}
    assert weights_by_player(recorded(5)) == pytest.approx(expected)


def test_slots_that_were_never_written_have_no_weight():
    expected = {n + 0.1 * k: (0.25, 0.75)[k] / 2 for n in (0, 1) for k in (0, 1)}
    assert weights_by_player(recorded(2)) == pytest.approx(expected)
    assert jnp.isfinite(history.average(recorded(2)).params["w"]).all()


@pytest.mark.parametrize(
    ("decay", "shares"), [(0.5, (1 / 7, 2 / 7, 4 / 7)), (0.0, (0.0, 0.0, 1.0))]
)
def test_recency_weights(decay, shares):
    found = weights_by_player(recorded(5), decay)
    expected = {
        n + 0.1 * k: share * (0.25, 0.75)[k]
        for n, share in zip((2, 3, 4), shares, strict=True)
        for k in (0, 1)
        if share
    }
    assert found == pytest.approx(expected)


def test_recording_can_be_left_out_inside_of_jit():
    past = recorded(2)
    write = jax.jit(lambda when: history.record(past, entry(9.0, 0.5, 0.5), when))
    assert same(write(False), past)
    assert 9.0 in weights_by_player(write(True))


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match="capacity must be a whole number >= 1"):
        history.start(entry(0.0, 1.0), 0)
    with pytest.raises(ValueError, match="mixture must have the shapes of the history's"):
        history.record(recorded(1), entry(0.0, 1.0))
    with pytest.raises(ValueError, match="decay must be"):
        history.average(recorded(1), 1.5)
    with pytest.raises(ValueError, match="capacity must be"):
        fictitious(capacity=0)


def fictitious(**options):
    settings = {
        "capacity": 3,
        "latent_size": LATENT,
        "generator_tx": optax.adam(1e-2),
        "discriminator_tx": optax.adam(2e-2),
        "weight_tx": mg.exponentiated_gradient(0.1),
    }
    return mg.fictitious_gan(
        GENERATOR, DISCRIMINATOR, mg.losses.non_saturating(), **{**settings, **options}
    )


@pytest.mark.slow
@pytest.mark.parametrize("sizes", [(1, 1), (2, 3)])
def test_a_history_of_one_is_mix_gan_bit_for_bit(sizes):
    numbers = dict(zip(("num_generators", "num_discriminators"), sizes, strict=True))
    options = {**numbers, "penalty": penalties.r1(0.5)}
    plain, other = solver(**options), fictitious(capacity=1, **options)
    a, b = plain.init(jax.random.key(0)), other.init(jax.random.key(0))
    for index in range(2):
        key, real = jax.random.key(index), batch(jax.random.key(10 + index))
        a, info = plain.step(key, a, real)
        b, other_info = other.step(key, b, real)
    assert same(a, b.current)
    assert same({name: info[name] for name in other_info}, other_info)


def test_the_discriminator_answers_the_weighted_past_generators():
    """One SGD step written out, with three different past generators and a discriminator with a history of its own."""
    rate = 0.1
    rule = fictitious(discriminator_tx=optax.sgd(rate), generator_tx=optax.sgd(rate), decay=0.5)
    step, state = jax.jit(rule.step), rule.init(jax.random.key(0))
    for index in range(3):
        state, _ = step(jax.random.key(index), state, batch(jax.random.key(index)))
    key, real = jax.random.key(7), batch(jax.random.key(8))
    after, _ = step(key, state, real)
    past = history.average(state.generator_history, 0.5)
    d_key, g_key = jax.random.split(key)
    latents_key = jax.random.split(jax.random.split(d_key, 1)[0])[0]
    latents = jax.random.normal(latents_key, (3, real.shape[0], LATENT))
    fakes, _ = mg.generate(GENERATOR, past, latents, train=True)

    def loss(params):
        players = mg.Mixture(params, {}, jnp.zeros(1))
        payoffs = mg.meet(DISCRIMINATOR, players, real, fakes, mg.losses.non_saturating()).payoffs
        return -(past.weights @ payoffs.discriminator[:, 0])

    before = state.discriminators.params
    expected = jax.tree.map(lambda p, g: p - rate * g, before, jax.jit(jax.grad(loss))(before))
    assert close(after.discriminators.params, expected)
    np.testing.assert_allclose(sorted(past.weights.tolist()), [1 / 7, 2 / 7, 4 / 7], rtol=1e-5)
    own = history.average(after.discriminator_history, 0.5)
    latents = jax.random.normal(jax.random.fold_in(g_key, 0), (1, real.shape[0], LATENT))

    def generator_loss(params):
        made, _ = mg.generate(GENERATOR, mg.Mixture(params, {}, jnp.zeros(1)), latents, train=True)
        payoffs = mg.meet(DISCRIMINATOR, own, real, made, mg.losses.non_saturating()).payoffs
        return -(payoffs.generator[0] @ own.weights)

    before = state.generators.params
    expected = jax.tree.map(
        lambda p, g: p - rate * g, before, jax.jit(jax.grad(generator_loss))(before)
    )
    assert close(after.generators.params, expected)


def test_histories_stand_still_between_records():
    rule = fictitious(record_every=3)
    state = rule.init(jax.random.key(0))
    step = jax.jit(rule.step)
    counts = []
    for index in range(6):
        state, _ = step(jax.random.key(index), state, batch(jax.random.key(index)))
        counts.append(int(state.generator_history.count))
    assert counts == [1, 1, 2, 2, 2, 3]
    newest = jax.tree.map(lambda leaf: leaf[2], state.generator_history.params)
    assert same(newest, state.generators.params)


@pytest.mark.slow
def test_fictitious_mix_gan_with_packs_keeps_the_protocol_and_restarts_bit_for_bit(tmp_path):
    rule = mg.fictitious_gan(
        GENERATOR,
        mg.pack(DISCRIMINATOR, 2),
        mg.losses.non_saturating(),
        capacity=2,
        num_generators=2,
        num_discriminators=2,
        latent_size=LATENT,
        generator_tx=optax.adam(1e-2),
        discriminator_tx=optax.adam(1e-2),
    )
    check_protocol(rule, tmp_path)


def test_averaging_entries_of_unequal_weights_stays_a_mixture():
    mixture = spread(mg.uniform(jax.random.key(0), GENERATOR, 3, jnp.zeros((1, LATENT))))
    average = history.average(history.start(mixture, 4))
    assert jax.nn.logsumexp(average.log_weights) == pytest.approx(0.0, abs=1e-6)
    assert average.num_components == 12
