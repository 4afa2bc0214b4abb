"""The exponential average by its half-life in images, whatever the batch, and where it is found."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import solver, train

import mixgan_jax as mg
from mixgan_jax.solvers.around.iterate import Around

HALF_LIFE = 48.0


def jump():
    """A solver whose players are 0 at the start and 1 after every step."""
    return mg.Solver(
        lambda key: mg.GradientPlayState(jnp.zeros(1), ()),
        lambda key, state, batch: (state.with_iterate(jnp.ones(1)), {}),
    )


@pytest.mark.parametrize("batch", [6, 16])
def test_after_each_half_life_of_images_half_is_forgotten(batch):
    rule = mg.averaged(jump(), half_life=HALF_LIFE)
    state = rule.init(jax.random.key(0))
    step = jax.jit(rule.step)
    for index in range(1, int(2 * HALF_LIFE) // batch + 1):
        state, _ = step(jax.random.key(index), state, jnp.zeros((batch, 2)))
        expected = 1 - 0.5 ** (index * batch / HALF_LIFE)
        np.testing.assert_allclose(state.average.iterate, [expected], rtol=1e-5)


def test_the_average_lies_between_the_players_and_is_what_evaluation_may_take():
    state = train(mg.averaged(solver(), half_life=HALF_LIFE), 3)
    assert isinstance(state, Around)
    now, average = (jax.tree.leaves(s.generators.params) for s in (state, state.average))
    assert all(np.abs(a - b).max() > 1e-5 for a, b in zip(now, average, strict=True))
    assert state.average.generators.weights.sum() == pytest.approx(1.0, abs=1e-6)


def test_decay_and_half_life_exclude_each_other():
    with pytest.raises(ValueError, match="decay must be None where half_life is given"):
        mg.averaged(solver(), 0.5, half_life=3.0)
    with pytest.raises(ValueError, match="half_life must be"):
        mg.averaged(solver(), half_life=0.0)
