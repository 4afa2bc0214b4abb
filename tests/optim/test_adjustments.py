"""Adjusted gradients against the products they are made of, in toys and in networks."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from helpers import DISCRIMINATOR, GENERATOR, LATENT, batch, close, solver

import mixgan_jax as mg
from mixgan_jax import adjustments, penalties

# A general quadratic game v = J w of players with 2, 1 and 3 parameters: the Jacobian is what we say it is.
SIZES = (2, 1, 3)
JACOBIAN = jnp.asarray(np.random.RandomState(0).normal(size=(6, 6)), jnp.float32)
POINT = jnp.asarray(np.random.RandomState(1).normal(size=6), jnp.float32)


def split(vector):
    first, second, third = jnp.split(vector, np.cumsum(SIZES)[:-1])
    return {"a": first}, second, [third]


def flat(players):
    return jnp.concatenate(jax.tree.leaves(players))


def field(players):
    return split(JACOBIAN @ flat(players))


def adjusted(adjustment):
    return flat(jax.jit(lambda players: adjustment(field, players))(split(POINT)))


V = JACOBIAN @ POINT


def test_the_gradient_field_of_a_game_is_each_players_own_gradient():
    def losses(players):
        x, y = players
        return x * x * y, -x * y**3

    field = adjustments.gradient_field(losses)
    assert field((2.0, 3.0)) == (12.0, -54.0)  # 2 x y, -3 x y^2
    with pytest.raises(ValueError, match="losses must give one for each of 3 players, got 2"):
        adjustments.gradient_field(lambda players: (players[0], players[1]))((1.0, 2.0, 3.0))


def test_consensus_adds_the_gradient_of_the_squared_norm():
    np.testing.assert_allclose(
        adjusted(adjustments.consensus(0.3)), V + 0.3 * JACOBIAN.T @ V, rtol=1e-5
    )


def test_jare_takes_the_others_gradients_only():
    owner = np.repeat(np.arange(3), SIZES)
    off_diagonal = jnp.where(jnp.asarray(owner[:, None] != owner[None, :]), JACOBIAN, 0.0)
    push = off_diagonal.T @ V
    np.testing.assert_allclose(adjusted(adjustments.jare(0.3)), V + 0.3 * push, rtol=1e-5)
    one_sided = jnp.where(jnp.asarray(owner == 2), V + 0.3 * push, V)
    np.testing.assert_allclose(adjusted(adjustments.jare(0.3, (2,))), one_sided, rtol=1e-5)
    with pytest.raises(ValueError, match="players must be indices below 3"):
        adjusted(adjustments.jare(1.0, (0, 3)))


@pytest.mark.parametrize("align", [True, False])
def test_the_symplectic_adjustment_is_the_antisymmetric_part(align):
    turn = 0.5 * (JACOBIAN.T @ V - JACOBIAN @ V)
    sign = np.sign((V @ JACOBIAN.T @ V) * (turn @ JACOBIAN.T @ V) / 6 + 0.1) if align else 1.0
    got = adjusted(adjustments.symplectic(0.7, align))
    np.testing.assert_allclose(got, V + 0.7 * sign * turn, rtol=1e-4, atol=1e-5)


def test_a_potential_game_has_no_symplectic_adjustment():
    def potential(players):
        return split((JACOBIAN + JACOBIAN.T) @ flat(players))

    got = flat(adjustments.symplectic(5.0)(potential, split(POINT)))
    np.testing.assert_allclose(got, (JACOBIAN + JACOBIAN.T) @ POINT, rtol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize(
    "adjustment", [adjustments.consensus(0.0), adjustments.jare(0.0), adjustments.symplectic(0.0)]
)
def test_a_coefficient_of_zero_changes_no_training(adjustment):
    options = {"update": "simultaneous", "penalty": penalties.r1(0.1)}
    key, real = jax.random.key(1), batch(jax.random.key(2))
    plain, other = solver(**options), solver(**options, adjust=adjustment)
    state = plain.init(jax.random.key(0))
    (after, info), (adjusted_after, adjusted_info) = (
        jax.jit(rule.step)(key, state, real) for rule in (plain, other)
    )
    assert close(after, adjusted_after, 1e-6)
    assert close(info, adjusted_info, 1e-6)


def single_game(key, real):
    """The game of one generator and one discriminator as losses of their parameters."""
    loss = mg.losses.minimax()
    latents = jax.random.normal(jax.random.split(key)[0], (1, real.shape[0], LATENT))[0]

    def losses(players):
        generator, discriminator = players
        fake, _ = GENERATOR.apply(generator, {}, latents, train=True)
        on_fake, on_real = (
            DISCRIMINATOR.apply(discriminator, {}, x, train=True)[0] for x in (fake, real)
        )
        return (
            jnp.mean(loss.generator(fake=on_fake, real=on_real)),
            jnp.mean(loss.discriminator(fake=on_fake, real=on_real)),
        )

    return losses


@pytest.mark.slow
@pytest.mark.parametrize("copies", [(2, 3), (1, 1)])
@pytest.mark.parametrize(
    "adjustment",
    [adjustments.consensus(2.0), adjustments.jare(2.0), adjustments.symplectic(2.0)],
)
def test_networks_are_adjusted_as_their_losses_say(adjustment, copies):
    """Also where a player stands there several times: copies move as the single one does."""
    rule = solver(
        mg.losses.minimax(),
        num_generators=copies[0],
        num_discriminators=copies[1],
        update="simultaneous",
        shared_latents=True,
        generator_tx=optax.sgd(1.0),
        discriminator_tx=optax.sgd(1.0),
        adjust=adjustment,
    )
    state = rule.init(jax.random.key(0))
    first = jax.tree.map(lambda leaf: jnp.repeat(leaf[:1], leaf.shape[0], axis=0), state.iterate)
    state = state.with_iterate(first)
    key, real = jax.random.key(1), batch(jax.random.key(2))
    after, _ = jax.jit(rule.step)(key, state, real)
    players = tuple(jax.tree.map(lambda leaf: leaf[0], side.params) for side in first)
    gradients = adjustment(adjustments.gradient_field(single_game(key, real)), players)
    for side, player, gradient in zip(after.iterate, players, gradients, strict=True):
        for index in range(side.num_components):
            moved = jax.tree.map(lambda leaf, at=index: leaf[at], side.params)
            assert close(moved, jax.tree.map(jnp.subtract, player, gradient), 1e-4)


def test_adjusted_gradients_are_of_simultaneous_updates():
    with pytest.raises(ValueError, match="update must be 'simultaneous' where gradients are"):
        solver(adjust=adjustments.consensus(1.0))
    with pytest.raises(TypeError, match="adjust must be"):
        solver(update="simultaneous", adjust="consensus")
