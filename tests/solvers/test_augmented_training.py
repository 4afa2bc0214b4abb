"""Solvers that augment what discriminators see: both sides, both updates, and nothing where nothing changes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import DISCRIMINATOR, GENERATOR, close, first_quick, same, solver, train

import mixgan_jax as mg
from mixgan_jax.solvers.core.game import Game, augment_fakes, augment_real

SHIFT = 0.7


def moved(key, samples):
    """The same change of all samples, which a discriminator could make too."""
    return 2.0 * samples + SHIFT


def sees_moved():
    """The discriminator that makes this change itself."""

    def apply(params, state, x, *, train):
        return DISCRIMINATOR.apply(params, state, moved(None, x), train=train)

    return mg.Player(DISCRIMINATOR.init, apply)


CASES = {
    "latin": {"pairing": "latin"},
    "relativistic": {"loss": mg.losses.relativistic()},
    "simultaneous": {"update": "simultaneous"},
    "consensus": {"update": "simultaneous", "adjust": mg.adjustments.consensus(1.0)},
    "stratified": {"discriminator_steps": 2, "generator_steps": 2, "pairing": "stratified"},
}


@pytest.mark.parametrize("name", first_quick(CASES))
def test_a_change_of_the_samples_is_one_inside_the_discriminators(name):
    options = CASES[name]
    outside = train(solver(augment=moved, **options), 3)
    inside = train(solver(discriminator=sees_moved(), **options), 3)
    assert close(outside.iterate, inside.iterate)
    plain = train(solver(**options), 3)
    assert not close(outside.generators.params, plain.generators.params, 1e-3)


@pytest.mark.slow
def test_no_change_is_no_augmentation_bit_for_bit():
    assert same(train(solver(augment=lambda key, x: x), 2), train(solver(), 2))


@pytest.mark.slow
def test_penalties_see_the_changed_samples():
    """R1 of a discriminator that looks at 2 x + c is 4 times R1 of the discriminator at 2 x + c."""
    outside = solver(augment=moved, penalty=mg.penalties.r1(4.0))
    inside = solver(discriminator=sees_moved(), penalty=mg.penalties.r1(1.0))
    assert close(train(outside, 2).iterate, train(inside, 2).iterate)


def test_reals_and_the_fakes_of_each_generator_get_numbers_of_their_own():
    def noise(key, samples):
        return samples + jax.random.normal(key, samples.shape)

    game = Game(GENERATOR, DISCRIMINATOR, mg.losses.minimax(), (3, 2), 4, jax.random.normal)
    game = game._replace(augment=noise)
    zeros, key = jnp.zeros((3, 5, 2)), jax.random.key(1)
    drawn = np.concatenate(
        [augment_fakes(game, key, zeros), augment_real(game, key, zeros[0])[None]]
    )
    assert np.unique(drawn).size == drawn.size
    np.testing.assert_array_equal(augment_fakes(game, key, zeros), drawn[:3])
    assert not np.any(drawn[:3] == augment_fakes(game, jax.random.key(2), zeros))


@pytest.mark.slow
def test_images_are_augmented_in_training():
    """DiffAugment before small convolutional networks: steps are finite and repeat by their keys."""
    nets = mg.networks.DCGANGenerator((8, 8, 1), width=2), mg.networks.DCGANDiscriminator(width=2)
    rule = solver(
        generator=mg.from_linen(nets[0]),
        discriminator=mg.from_linen(nets[1]),
        augment=mg.data.diff_augment,
    )
    images = jax.random.uniform(jax.random.key(2), (6, 8, 8, 1), minval=-1.0)
    state, step = jax.jit(rule.init)(jax.random.key(0)), jax.jit(rule.step)
    once, twice, other = (step(jax.random.key(k), state, images)[0] for k in (3, 3, 4))
    assert same(once, twice) and not same(once, other)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(once.iterate))
