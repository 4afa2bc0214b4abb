"""DuelGAN: the duel by hand, the optimal discriminator that it has, and what it leaves alone."""

import dataclasses
from functools import partial
from itertools import permutations

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from helpers import (
    BATCH,
    DISCRIMINATOR,
    GENERATOR,
    LATENT,
    batch,
    check_protocol,
    close,
    same,
    solver,
    unequal,
)

import mixgan_jax as mg
from mixgan_jax import penalties
from mixgan_jax.players.payoff import Logits
from mixgan_jax.solvers.core.game import Game
from mixgan_jax.solvers.core.gradients import discriminator_gradients
from mixgan_jax.solvers.duel import Duel, duel_loss, duel_term, peer_labels
from mixgan_jax.solvers.duel_gan import scheduled

LOSS = mg.losses.non_saturating()
KEY, REAL = jax.random.key(1), batch(jax.random.key(2))


duel_gan = partial(solver, LOSS, mg.duel_gan, num_steps=4, weight_tx=None)


def cross_entropy(logit, label):
    probability = 1 / (1 + np.exp(-logit))
    return -label * np.log(probability) - (1 - label) * np.log(1 - probability)


def some_logits(seed, *axes):
    real, fake = (
        jax.random.normal(key, (*axes, *shape))
        for key, shape in zip(jax.random.split(jax.random.key(seed)), ((3,), (2, 3)), strict=True)
    )
    return Logits(real, fake)


def test_the_duel_is_the_average_over_all_permutations_of_the_pool():
    """For each of two generators: three reals and its three fakes, and 720 orders of their labels."""
    seen, labels = some_logits(0), Logits(*map(jax.nn.sigmoid, some_logits(1)))
    weights, alpha = jnp.array([0.25, 0.75]), 0.4
    expected = 0.0
    for i in range(2):
        d, y = (np.concatenate([side.real, side.fake[i]]) for side in (seen, labels))
        peer = np.mean([cross_entropy(d, y[list(order)]) for order in permutations(range(6))])
        expected += weights[i] * (np.mean(cross_entropy(d, y)) - alpha * peer)
    assert float(duel_loss(alpha, seen, labels, weights)) == pytest.approx(
        float(expected), abs=1e-6
    )


def test_labels_are_the_peers_probabilities_by_their_weights():
    seen, weights = some_logits(2, 3), jnp.array([1 / 2, 1 / 3, 1 / 6])
    found = peer_labels(seen, jnp.log(weights))
    probabilities = jax.tree.map(jax.nn.sigmoid, seen)
    others = {0: (0, 2 / 3, 1 / 3), 1: (3 / 4, 0, 1 / 4), 2: (3 / 5, 2 / 5, 0)}
    for i, shares in others.items():
        expected = jax.tree.map(
            lambda p, s=shares: sum(s[j] * p[j] for j in range(3)), probabilities
        )
        assert close(jax.tree.map(lambda leaf, i=i: leaf[i], found), expected, 1e-6)


def test_with_three_it_is_the_mean_of_the_pairwise_duels():
    seen, weights = some_logits(3, 3), jnp.array([0.5, 0.5])

    def duel(i, *peers):
        chosen = jax.tree.map(lambda leaf: leaf[jnp.array([i, *peers])], seen)
        labels = peer_labels(chosen, jnp.log(jnp.full(1 + len(peers), 1 / (1 + len(peers)))))
        mine, labels = (jax.tree.map(lambda leaf: leaf[0], tree) for tree in (chosen, labels))
        return float(duel_loss(0.3, mine, labels, weights))

    for i, others in ((0, (1, 2)), (1, (0, 2)), (2, (0, 1))):
        pairwise = np.mean([duel(i, other) for other in others])
        assert duel(i, *others) == pytest.approx(pairwise, abs=1e-6)


def test_labels_carry_no_gradient_to_the_peers():
    def total(seen):
        labels = peer_labels(seen, jnp.log(jnp.array([0.5, 0.5])))
        mine, labels = (jax.tree.map(lambda leaf: leaf[0], tree) for tree in (seen, labels))
        return duel_loss(0.3, mine, labels, jnp.array([0.5, 0.5]))

    gradient = jax.grad(total)(some_logits(4, 2))
    assert all((leaf[0] != 0).all() and (leaf[1] == 0).all() for leaf in gradient)


TABLE = mg.Player(  # a logit for each of four atoms; an atom comes as its one-hot vector
    lambda key, x: (jnp.zeros(4), {}), lambda logits, state, x, *, train: (x @ logits, state)
)
ONE = mg.Player(lambda key, z: ({}, {}), lambda params, state, z, *, train: (z, state))


def duel_field(logits, duel, reals, fakes):
    """The gradient of two discriminators' loss, ``[2, 4]`` logits of atoms, on counts of reals and fakes."""
    game = Game(ONE, TABLE, LOSS, (1, 2), 4, jax.random.normal)
    players = mg.Mixture(logits, {}, jnp.log(jnp.array([0.5, 0.5])))
    real, fake = (jnp.repeat(jnp.eye(4), np.array(counts), axis=0) for counts in (reals, fakes))
    term = duel_term(duel)
    found, _ = discriminator_gradients(game, KEY, jnp.ones(1), players, real, fake[None], term)
    return found.params


def test_the_optimal_discriminator_against_a_fixed_peer():
    """``D1* = [rho + (beta / 2) (y - alpha pi)] / [1 + (beta / 2) (1 - alpha)]``, found by gradient descent."""
    alpha, beta = 0.6, 1.5
    p, q = np.array([4, 3, 2, 3]), np.array([1, 3, 5, 3])  # of 12
    peer = jnp.array([1.0, -0.5, 0.25, 2.0])

    def step(logits, _):
        slopes = duel_field(jnp.stack([logits, peer]), Duel(alpha, beta), p, q)
        return logits - 4.0 * slopes[0], None

    found = jax.nn.sigmoid(jax.lax.scan(step, jnp.zeros(4), length=300)[0])
    rho, y = p / (p + q), np.asarray(jax.nn.sigmoid(peer))
    pi = np.sum(y * (p + q)) / 24
    expected = (rho + beta / 2 * (y - alpha * pi)) / (1 + beta / 2 * (1 - alpha))
    assert ((expected > 0.05) & (expected < 0.95)).all()
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert np.abs(expected - rho).max() > 0.1, "else the duel does nothing here"


@pytest.mark.parametrize("alpha", [0.0, 0.3, 1.0])
def test_at_the_equilibrium_no_alpha_moves_anything(alpha):
    counts = (1, 2, 4, 5)
    slopes = duel_field(jnp.zeros((2, 4)), Duel(alpha, 2.0), counts, counts)
    np.testing.assert_allclose(slopes, 0.0, atol=1e-7)
    assert jnp.abs(duel_field(jnp.ones((2, 4)), Duel(alpha, 2.0), counts, counts)).min() > 0.01


@pytest.mark.parametrize(("count", "share"), [(0, 0.0), (1, 0.75), (2, 1.0), (4, 0.0), (6, 0.0)])
def test_both_coefficients_rise_and_fall(count, share):
    duel = scheduled(Duel(0.3, 0.5), 4, jnp.int32(count))
    assert tuple(map(float, duel)) == pytest.approx((0.3 * share, 0.5 * share))
    constant = scheduled(Duel(0.3, 0.5), None, jnp.int32(count))
    assert tuple(map(float, constant)) == pytest.approx((0.3, 0.5))


def halfway(state):
    """The same state, with unequal weights on both sides, in the middle of a run of 4 steps."""
    return dataclasses.replace(unequal(state), count=jnp.int32(2))


@pytest.mark.slow
def test_a_step_written_out():
    """Two generators, three discriminators that move from one point, unequal weights: all pairs of each pool."""
    rate, eta, alpha, beta = 0.3, 0.5, 0.4, 2.0
    rule = duel_gan(
        generator_tx=optax.sgd(rate),
        discriminator_tx=optax.sgd(rate),
        weight_tx=mg.exponentiated_gradient(eta),
        weight_barrier=0.0,
        alpha=alpha,
        beta=beta,
    )
    before = halfway(rule.init(jax.random.key(0)))
    after, info = jax.jit(rule.step)(KEY, before, REAL)
    assert (float(info["alpha"]), float(info["beta"])) == pytest.approx((alpha, beta))
    d_key, g_key = jax.random.split(KEY)
    latents_key = jax.random.split(jax.random.split(d_key, 1)[0])[0]
    latents = jax.random.normal(latents_key, (2, BATCH, LATENT))
    fakes, _ = mg.generate(GENERATOR, before.generators, latents, train=True)
    w, shares = before.generators.weights, np.asarray(before.discriminators.weights)

    def logits(params, x):
        return DISCRIMINATOR.apply(params, {}, x, train=True)[0]

    players = [
        jax.tree.map(lambda leaf, j=j: leaf[j], before.discriminators.params) for j in range(3)
    ]
    pools = [jnp.concatenate([REAL, fakes[i]]) for i in range(2)]
    judged = [[jax.nn.sigmoid(logits(params, pool)) for params in players] for pool in pools]

    def vanilla(params, i):
        real, fake = logits(params, REAL), logits(params, fakes[i])
        return jnp.mean(jax.nn.softplus(-real)) + jnp.mean(jax.nn.softplus(fake))

    def total(params, j):
        value = 0.0
        for i in range(2):
            y = sum(shares[k] * judged[i][k] for k in range(3) if k != j) / (1 - shares[j])
            d = logits(params, pools[i])
            pairs = jax.nn.softplus(d)[:, None] - d[:, None] * y[None]
            duel = jnp.mean(jnp.diagonal(pairs)) - alpha * jnp.mean(pairs)
            value = value + w[i] * (vanilla(params, i) + beta * duel)
        return value

    for j, params in enumerate(players):
        slopes = jax.grad(total)(params, j)
        moved = jax.tree.map(lambda p, g, j=j: p - rate * 3 * shares[j] * g, params, slopes)
        assert close(jax.tree.map(lambda leaf, j=j: leaf[j], after.discriminators.params), moved)
    losses = jnp.stack([sum(w[i] * vanilla(params, i) for i in range(2)) for params in players])
    logs = jax.nn.log_softmax(before.discriminators.log_weights - eta * losses)
    assert close(after.discriminators.log_weights, logs), "the duel is no payoff"

    own = jax.random.normal(jax.random.fold_in(g_key, 0), (2, BATCH, LATENT))

    def generators_loss(params):
        made, _ = mg.generate(GENERATOR, mg.Mixture(params, {}, jnp.log(w)), own, train=True)
        met = mg.meet(DISCRIMINATOR, after.discriminators, REAL, made, LOSS)
        return -(w @ met.payoffs.generator @ after.discriminators.weights)

    start = before.generators.params
    slopes = jax.grad(generators_loss)(start)
    assert close(
        after.generators.params, jax.tree.map(lambda p, g: p - rate * 2 * g, start, slopes)
    )


@pytest.mark.slow
def test_without_a_duel_it_is_mix_gan_bit_for_bit_with_weights_that_stay():
    options = {"num_generators": 1, "num_discriminators": 2, "penalty": penalties.r1(0.5)}
    plain = solver(weight_tx=mg.exponentiated_gradient(0.0), **options)
    other = duel_gan(alpha=0.0, beta=0.0, **options)
    state = other.init(jax.random.key(0))
    assert same(plain.init(jax.random.key(0)), state.current)
    expected, _ = jax.jit(plain.step)(KEY, state.current, REAL)
    after, _ = jax.jit(other.step)(KEY, state, REAL)
    assert same(after.current, expected)
    assert int(after.count) == 1
    np.testing.assert_allclose(after.discriminators.weights, 0.5, atol=1e-6)


def test_permuting_the_discriminators_permutes_the_result():
    rule = duel_gan(beta=2.0)
    step, state = jax.jit(rule.step), halfway(rule.init(jax.random.key(0)))
    order = jnp.array([2, 0, 1])

    def permuted(state):
        side = jax.tree.map(
            lambda leaf: leaf[order] if leaf.ndim and leaf.shape[0] == 3 else leaf,
            state.current.discriminator_side,
        )
        current = dataclasses.replace(state.current, discriminator_side=side)
        return dataclasses.replace(state, current=current)

    first, _ = step(KEY, permuted(state), REAL)
    second = permuted(step(KEY, state, REAL)[0])
    assert close(first.discriminators, second.discriminators)
    assert close(first.generators, second.generators)


@pytest.mark.slow
def test_duelling_mixtures_with_packs_keep_the_protocol(tmp_path):
    """In a solver around it, which sees its state."""
    rule = duel_gan(
        discriminator=mg.pack(DISCRIMINATOR, 2), weight_tx=mg.exponentiated_gradient(0.1)
    )
    check_protocol(mg.averaged(rule), tmp_path)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"num_discriminators": 1},
            "num_discriminators must be at least 2: a duel needs a peer, got 1",
        ),
        ({"alpha": 1.1}, r"alpha must be a finite number >= 0 and <= 1, got 1\.1"),
        ({"alpha": -0.1}, r"alpha must be a finite number >= 0 and <= 1, got -0\.1"),
        ({"beta": -1.0}, r"beta must be a finite number >= 0, got -1\.0"),
        ({"num_steps": 0}, "num_steps must be a whole number >= 1, got 0"),
    ],
)
def test_bad_options_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        duel_gan(**options)
