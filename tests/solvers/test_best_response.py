"""Best responses: opponents stand still, candidates don't see each other, and a game whose gap is known."""

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
    spread,
)

import mixgan_jax as mg

GENERATORS = spread(mg.uniform(jax.random.key(0), GENERATOR, 2, jnp.zeros((1, LATENT))))
DISCRIMINATORS = spread(mg.uniform(jax.random.key(1), DISCRIMINATOR, 3, jnp.zeros((1, FEATURES))))
OPPONENTS = {"generator": DISCRIMINATORS, "discriminator": GENERATORS}
OWN = {"generator": GENERATORS, "discriminator": DISCRIMINATORS}
SIDES = list(OWN)


def respond(responder, candidates, loss=None, **options):
    settings = {"latent_size": LATENT, "tx": optax.adam(1e-2), **options}
    loss = mg.losses.non_saturating() if loss is None else loss
    opponents = OPPONENTS[responder]
    return mg.best_response(
        responder, GENERATOR, DISCRIMINATOR, loss, opponents, candidates, **settings
    )


def train(solver, steps, seed=0):
    state, step = solver.init(jax.random.key(seed)), jax.jit(solver.step)
    for index in range(steps):
        real_key, key = jax.random.split(jax.random.fold_in(jax.random.key(7), index))
        state, info = step(key, state, batch(real_key))
    return state, info


def sides(responder, state):
    pair = {"generator": state.generators, "discriminator": state.discriminators}
    mine = pair.pop(responder)
    return mine, next(iter(pair.values()))


@pytest.mark.parametrize("responder", first_quick(SIDES))
def test_opponents_stand_still_and_candidates_move(responder):
    state, info = train(respond(responder, 4), 3)
    mine, others = sides(responder, state)
    assert same(others, OPPONENTS[responder])
    assert mine.num_components == 4
    np.testing.assert_allclose(mine.weights, 0.25, atol=1e-6)
    start, _ = sides(responder, respond(responder, 4).init(jax.random.key(0)))
    moved = jax.tree.map(lambda a, b: jnp.any(a != b), mine.params, start.params)
    assert all(jax.tree.leaves(moved))
    assert info[f"{responder}_loss"].shape == ()
    assert not np.any(info[f"frozen_{responder}s"])


@pytest.mark.parametrize("responder", first_quick(SIDES))
def test_a_candidate_does_not_depend_on_the_others(responder):
    """One trained alone ends where it ends among several, whatever weights they came with."""
    several, _ = sides(responder, train(respond(responder, OWN[responder]), 5)[0])
    first = jax.tree.map(lambda leaf: leaf[:1], OWN[responder])
    single = mg.Mixture(first.params, first.state, jnp.zeros(1))
    alone, _ = sides(responder, train(respond(responder, single), 5)[0])
    assert close(alone.params, jax.tree.map(lambda leaf: leaf[:1], several.params), 1e-5)


@pytest.mark.parametrize("responder", first_quick(SIDES))
def test_a_response_earns_more_than_where_it_started(responder):
    loss = mg.losses.minimax()
    solver = respond(responder, OWN[responder], loss)
    reals = batch(jax.random.key(5), 2000).reshape(4, 500, FEATURES)

    def earned(state):
        values = mg.held_out_values(
            jax.random.key(6),
            GENERATOR,
            DISCRIMINATOR,
            state.generators,
            state.discriminators,
            loss,
            reals,
            latent_size=LATENT,
        ).mean(0)
        if responder == "generator":
            return -values @ state.discriminators.weights
        return state.generators.weights @ values

    before, after = earned(solver.init(jax.random.key(0))), earned(train(solver, 100)[0])
    assert np.all(after > before + 0.01)


def point_game(mean, radius):
    """A generator of the point u in [-R, R], with noise, and a critic of slope v in [-1, 1]; reals have ``mean``."""

    def clipped(high):
        return lambda key, *example: ({"value": 0.1 * high * jax.random.normal(key, ())}, {})

    def point(params, state, z, *, train):
        return jnp.clip(params["value"], -radius, radius) + 0.1 * z, state

    def slope(params, state, x, *, train):
        return jnp.clip(params["value"], -1.0, 1.0) * x[:, 0], state

    return mg.Player(clipped(radius), point), mg.Player(clipped(1.0), slope)


def test_the_gap_of_a_game_that_is_known():
    """Wasserstein payoff v (mean - u): the best slope earns |mean - E u|, the best point pays v mean - |v| R."""
    mean, radius = 0.5, 2.0
    generator, discriminator = point_game(mean, radius)
    log_weights = jnp.log(jnp.array([0.25, 0.75]))
    points = mg.Mixture({"value": jnp.array([-1.0, 1.0])}, {}, log_weights)
    slopes = mg.Mixture({"value": jnp.array([0.8, -0.4])}, {}, log_weights)
    u, v = 0.5, -0.1  # of the mixtures
    expected = {"discriminator": abs(mean - u), "generator": v * mean - abs(v) * radius}
    for responder, opponents in (("discriminator", points), ("generator", slopes)):
        solver = mg.best_response(
            responder,
            generator,
            discriminator,
            mg.losses.wasserstein(),
            opponents,
            3,
            latent_size=1,
            tx=optax.adam(0.05),
        )

        def body(state, key, solver=solver):
            real_key, key = jax.random.split(key)
            real = mean + 0.1 * jax.random.normal(real_key, (64, 1))
            return solver.step(key, state, real)[0], None

        state, _ = jax.lax.scan(
            body, solver.init(jax.random.key(0)), jax.random.split(jax.random.key(1), 200)
        )
        trained = state.discriminators if responder == "discriminator" else state.generators
        found = jnp.clip(trained.params["value"], -radius, radius)
        value = (
            jnp.clip(found, -1, 1) * (mean - u)
            if responder == "discriminator"
            else v * (mean - found)
        )
        np.testing.assert_allclose(value, expected[responder], atol=1e-6)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"responder": "critic"}, ValueError, "responder must be one of"),
        ({"opponents": 3}, TypeError, "opponents must be a Mixture"),
        ({"candidates": 0}, ValueError, "candidates must be"),
        ({"latent_size": 0}, ValueError, "latent_size must be"),
        ({"tx": None}, TypeError, "tx must be an optax transform"),
    ],
)
def test_bad_arguments_are_named(change, error, message):
    good = {
        "responder": "generator",
        "generator": GENERATOR,
        "discriminator": DISCRIMINATOR,
        "loss": mg.losses.minimax(),
        "opponents": DISCRIMINATORS,
        "candidates": 2,
        "latent_size": LATENT,
        "tx": optax.sgd(0.1),
    }
    with pytest.raises(error, match=message):
        mg.best_response(**{**good, **change})


def test_a_batch_that_is_not_the_generators_kind_is_refused():
    solver = respond("discriminator", 2)
    state = solver.init(jax.random.key(0))
    with pytest.raises(ValueError, match="real must have the shape"):
        solver.step(jax.random.key(0), state, jnp.zeros((BATCH, FEATURES + 1)))
