"""PacGAN: a packed discriminator in every place that a discriminator has, and what packing sees of mode collapse."""

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
    same,
)

import mixgan_jax as mg
from mixgan_jax import penalties, theory
from mixgan_jax.networks import DCGANDiscriminator

PACKED = mg.pack(DISCRIMINATOR, 3)


def packed_mix_gan(discriminator=PACKED, **options):
    settings = {
        "num_generators": 2,
        "num_discriminators": 2,
        "latent_size": LATENT,
        "generator_tx": optax.sgd(0.1),
        "discriminator_tx": optax.sgd(0.1),
    }
    loss = options.pop("loss", mg.losses.non_saturating())
    return mg.mix_gan(GENERATOR, discriminator, loss, **{**settings, **options})


def test_packing_of_one_is_the_player_itself():
    assert mg.pack(DISCRIMINATOR, 1) is DISCRIMINATOR


def test_a_pack_is_consecutive_samples_joined_along_the_last_axis():
    seen = mg.Player(lambda key, x: ({}, {}), lambda params, state, x, *, train: (x, state))
    samples = jnp.arange(12.0).reshape(6, 2)
    joined, _ = mg.pack(seen, 3).apply({}, {}, samples, train=True)
    np.testing.assert_array_equal(joined, [[0, 1, 2, 3, 4, 5], [6, 7, 8, 9, 10, 11]])
    images = jnp.arange(2 * 2 * 2 * 3.0).reshape(2, 2, 2, 3)
    joined, _ = mg.pack(seen, 2).apply({}, {}, images, train=True)
    np.testing.assert_array_equal(joined[0, 1, 0], [*images[0, 1, 0], *images[1, 1, 0]])


def test_only_the_first_layer_grows():
    params, _ = PACKED.init(jax.random.key(0), jnp.zeros((1, FEATURES)))
    plain, _ = DISCRIMINATOR.init(jax.random.key(0), jnp.zeros((1, FEATURES)))
    shapes, plain_shapes = (jax.tree.map(jnp.shape, tree) for tree in (params, plain))
    assert shapes[0]["w"] == (3 * FEATURES, plain_shapes[0]["w"][1])
    assert shapes[1:] == plain_shapes[1:]
    images = mg.pack(mg.from_linen(DCGANDiscriminator(width=4)), 2)
    params, state = images.init(jax.random.key(0), jnp.zeros((1, 16, 16, 3)))
    logits, _ = images.apply(params, state, jnp.zeros((4, 16, 16, 3)), train=False)
    assert logits.shape == (2,)


@pytest.mark.parametrize("pairing", ["full", "latin", "stratified"])
def test_payoffs_are_those_of_packs_written_out(pairing):
    generators = mg.uniform(jax.random.key(0), GENERATOR, 2, jnp.zeros((1, LATENT)))
    discriminators = mg.uniform(jax.random.key(1), PACKED, 2, jnp.zeros((1, FEATURES)))
    real, loss = batch(jax.random.key(2)), mg.losses.minimax()
    count = mg.fakes_per_generator(pairing, BATCH, 2, 2)
    latents = jax.random.normal(jax.random.key(3), (2, count, LATENT))
    fakes, _ = mg.generate(GENERATOR, generators, latents)
    got = mg.meet(PACKED, discriminators, real, fakes, loss, pairing=pairing).values
    shares = count // 2 if pairing == "latin" else count
    for i in range(2):
        for j in range(2):
            own = fakes[i, ((j - i) % 2) * shares :][:shares] if pairing == "latin" else fakes[i]
            params = jax.tree.map(lambda leaf, at=j: leaf[at], discriminators.params)
            on_real, on_fake = (
                DISCRIMINATOR.apply(params, {}, x.reshape(-1, 3 * FEATURES), train=True)[0]
                for x in (real, own)
            )
            expected = jnp.mean(jax.nn.log_sigmoid(on_real)) + jnp.mean(
                jax.nn.log_sigmoid(-on_fake)
            )
            np.testing.assert_allclose(got[i, j], expected, rtol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("update", ["alternating", "simultaneous"])
def test_a_mixture_of_packed_discriminators_trains_and_restarts_bit_for_bit(update, tmp_path):
    rule = packed_mix_gan(update=update, penalty=penalties.gradient_penalty(1.0), pairing="latin")
    feed = mg.Feed((), lambda key, _: batch(key))
    options = {"log_every": 2, "save_every": 2}
    key = jax.random.key(0)
    whole = mg.fit(key, rule, feed, num_steps=4, folder=tmp_path / "a", **options)
    mg.fit(key, rule, feed, num_steps=2, folder=tmp_path / "b", **options)
    assert same(mg.fit(key, rule, feed, num_steps=4, folder=tmp_path / "b", **options), whole)
    assert all(bool(jnp.isfinite(leaf).all()) for leaf in jax.tree.leaves(whole.iterate))


@pytest.mark.slow
def test_a_packed_discriminator_that_adds_up_its_samples_is_the_plain_one():
    """Logits that are means over the pack: for a Wasserstein loss packing then changes nothing at all."""

    def init(key, x):
        return {"w": jnp.array([1.0, -2.0])}, {}

    def linear(params, state, x, *, train):
        return x.reshape(x.shape[0], -1, 2).mean(axis=1) @ params["w"], state

    plain = mg.Player(init, linear)
    loss = mg.losses.wasserstein()
    states = []
    for player in (plain, mg.pack(plain, 2), mg.pack(plain, 4)):
        rule = packed_mix_gan(player, loss=loss)
        states.append(
            rule.step(jax.random.key(1), rule.init(jax.random.key(0)), batch(jax.random.key(2)))[0]
        )
    assert close(states[0].iterate, states[1].iterate)
    assert close(states[0].iterate, states[2].iterate)


def test_a_pack_is_one_example_for_a_penalty():
    """D(pack) = sum of all entries of 3 x 2: squared norm 6, so R1 of gamma 2 is 6 for every pack."""
    total = mg.Player(
        lambda key, x: ({"s": jnp.ones(())}, {}),
        lambda params, state, x, *, train: (params["s"] * x.sum(axis=1), state),
    )
    rule = packed_mix_gan(
        mg.pack(total, 3), loss=mg.losses.wasserstein(), penalty=penalties.r1(2.0)
    )
    plain = packed_mix_gan(mg.pack(total, 3), loss=mg.losses.wasserstein())
    key, real = jax.random.key(1), batch(jax.random.key(2))
    after, other = (
        one.step(key, one.init(jax.random.key(0)), real)[0].discriminators.params["s"]
        for one in (rule, plain)
    )
    np.testing.assert_allclose(
        after - other, -0.1 * 2 * 6.0 * np.ones(2), rtol=1e-4
    )  # d/ds of 6 s^2


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: mg.pack(DISCRIMINATOR, 0), ValueError, "packing must be a whole number >= 1"),
        (
            lambda: mg.pack(PACKED, 2),
            ValueError,
            "player must be a discriminator that is not packed",
        ),
        (
            lambda: packed_mix_gan().step(
                jax.random.key(0), packed_mix_gan().init(jax.random.key(0)), jnp.zeros((4, 2))
            ),
            ValueError,
            "real must hold a multiple of the packing degree 3, got 4 samples",
        ),
        (
            lambda: theory.packed_total_variation([0.5, 0.5], [1.0], 2),
            ValueError,
            "q must have the shape",
        ),
        (
            lambda: theory.packing_bounds_with_collapse(0.1, 2, 0.1, 0.3),
            ValueError,
            "delta must be at most",
        ),
        (
            lambda: theory.packing_bounds_without_collapse(0.9, 2, 0.1, 0.2),
            ValueError,
            "tv must be at most",
        ),
    ],
)
def test_bad_arguments_are_named(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_total_variation_of_packs_against_the_sum_over_all_sequences():
    p, q = np.array([0.2, 0.5, 0.3]), np.array([0.4, 0.1, 0.5])
    joint_p = np.einsum("a,b,c->abc", p, p, p)
    joint_q = np.einsum("a,b,c->abc", q, q, q)
    expected = 0.5 * np.abs(joint_p - joint_q).sum()
    assert theory.packed_total_variation(p, q, 3) == pytest.approx(expected, abs=1e-12)


def test_a_generator_that_misses_a_mode_and_one_that_weighs_modes_wrongly():
    """Both at 0.2 of uniform data; packing tells the former apart faster."""
    missing = [theory.packed_total_variation([0.2, 0.8], [0.0, 1.0], m) for m in range(1, 6)]
    wrong = [theory.packed_total_variation([0.5, 0.5], [0.3, 0.7], m) for m in range(1, 6)]
    np.testing.assert_allclose(missing, [0.2, 0.36, 0.488, 0.5904, 0.6723], atol=5e-5)
    np.testing.assert_allclose(wrong, [0.2, 0.24, 0.284, 0.3392, 0.3407], atol=5e-5)
    corners = theory.mode_collapse_region([0.2, 0.8], [0.0, 1.0])
    np.testing.assert_allclose(corners, [[0, 0], [0, 0.2], [1, 1]], atol=1e-12)
    corners = theory.mode_collapse_region([0.5, 0.5], [0.3, 0.7])
    np.testing.assert_allclose(corners, [[0, 0], [0.3, 0.5], [1, 1]], atol=1e-12)


# (eps, delta, tau), m: least, least with collapse, largest with neither, largest; by a search over random pairs, which
# finds slightly less extreme ones.
BOUNDS = [
    (0.0, 0.1, 0.11, 2, 0.1100, 0.1916, 0.2079, 0.2079),
    (0.0, 0.1, 0.11, 5, 0.1889, 0.4097, 0.4416, 0.4416),
    (0.02, 0.1, 0.11, 2, 0.1100, 0.1625, 0.2062, 0.2079),
    (0.02, 0.1, 0.11, 5, 0.1889, 0.3193, 0.4294, 0.4416),
    (0.05, 0.3, 0.27, 2, 0.2700, 0.4148, 0.4647, 0.4671),
    (0.05, 0.3, 0.27, 5, 0.4491, 0.6058, 0.7839, 0.7927),
    (0.1, 0.5, 0.45, 2, 0.4500, 0.5670, 0.6827, 0.6975),
    (0.1, 0.5, 0.45, 5, 0.6984, 0.7554, 0.9278, 0.9497),
    # tau = delta - eps, in floating point on either side: nothing is excluded yet
    (0.25, 0.5, 0.25, 2, 0.2500, 0.3125, 0.4375, 0.4375),
    (0.1, 0.35, 0.25, 2, 0.2500, 0.3875, 0.4375, 0.4375),
]


@pytest.mark.parametrize(
    ("epsilon", "delta", "tv", "m", "least", "with_", "without", "most"), BOUNDS
)
def test_bounds_against_the_table(epsilon, delta, tv, m, least, with_, without, most):
    assert theory.packing_bounds(tv, m) == pytest.approx((least, most), abs=1.5e-4)
    collapse = theory.packing_bounds_with_collapse(tv, m, epsilon, delta)
    assert collapse == pytest.approx((with_, most), abs=1.1e-4)
    neither = theory.packing_bounds_without_collapse(tv, m, epsilon, delta)
    assert neither == pytest.approx((least, without), abs=3.5e-4)
    assert without - 5e-5 <= neither[1] <= most + 1e-12


def test_bounds_hold_for_random_pairs_and_the_least_at_two_is_tau():
    rng = np.random.RandomState(0)
    for tv in (0.1, 0.2, 0.3, 0.5):
        assert theory.packing_bounds(tv, 2)[0] == pytest.approx(tv, abs=1e-6)
    for _ in range(100):
        p, q = rng.dirichlet(np.full(4, 0.5), 2)
        tv = theory.packed_total_variation(p, q, 1)
        least, most = theory.packing_bounds(tv, 3)
        assert least - 1e-6 <= theory.packed_total_variation(p, q, 3) <= most + 1e-9
        corners = theory.mode_collapse_region(p, q)
        assert np.max(corners[:, 1] - corners[:, 0]) == pytest.approx(tv)
