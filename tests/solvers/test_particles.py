"""MIX+GAN whose players are positions is the particle method for mixed equilibria, by programs in NumPy."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from helpers import batch, solver

import mixgan_jax as mg
from mixgan_jax import adjustments, theory

K, L, FREQUENCIES, STEPS = 4, 3, 2, 30  # rows, columns
ETA, SIGMA = 0.05, 0.02
VECTORS = 2 * np.pi * np.arange(1, FREQUENCIES + 1)


class Play(NamedTuple):
    """Positions and log-weights of both sides."""

    x: Any
    log_p: Any
    y: Any
    log_q: Any


def features(x: np.ndarray) -> np.ndarray:
    angles = x[:, None] * VECTORS
    return np.concatenate([np.ones((len(x), 1)), np.cos(angles), np.sin(angles)], axis=1)


def slopes(x: np.ndarray) -> np.ndarray:
    angles = x[:, None] * VECTORS
    parts = [np.zeros((len(x), 1)), -VECTORS * np.sin(angles), VECTORS * np.cos(angles)]
    return np.concatenate(parts, axis=1)


def flow(A: np.ndarray, at: Play, start: Play, *, weighted: bool, barrier: float) -> Play:
    """Moves from ``start`` by the gradients at ``at``: the rule in ten lines."""
    p, q = np.exp(at.log_p), np.exp(at.log_q)
    towards_columns, towards_rows = A @ features(at.y).T @ q, p @ features(at.x) @ A
    F, H = features(at.x) @ towards_columns, features(at.y) @ towards_rows
    up, down = slopes(at.x) @ towards_columns, slopes(at.y) @ towards_rows
    if weighted:
        up, down = len(p) * p * up, len(q) * q * down
    F -= barrier / (len(p) * (p + 1e-6))
    H += barrier / (len(q) * (q + 1e-6))
    x, y = start.x - ETA * SIGMA * up, start.y + ETA * SIGMA * down
    log_p, log_q = start.log_p - ETA * F, start.log_q + ETA * H
    return Play(x, log_p - np.log(np.exp(log_p).sum()), y, log_q - np.log(np.exp(log_q).sum()))


def particle_solver(game: theory.ContinuousGame, **options: Any) -> mg.Solver:
    settings = {"component_speed": "equal", "weight_barrier": 0.0, "update": "simultaneous"}
    return mg.mix_gan(
        *theory.particle_players(game),
        num_generators=K,
        num_discriminators=L,
        latent_size=1,
        generator_tx=optax.sgd(ETA * SIGMA),
        discriminator_tx=optax.sgd(ETA * SIGMA),
        weight_tx=mg.exponentiated_gradient(ETA),
        **(settings | options),
    )


def played(rule: mg.Solver) -> tuple[Play, Play]:
    """Start and end of a run."""

    def seen(state: Any) -> Play:
        rows, columns = state.generators, state.discriminators
        parts = (rows.params[:, 0], rows.log_weights, columns.params[:, 0], columns.log_weights)
        return Play(*map(np.asarray, parts))

    state, step, key = rule.init(jax.random.key(1)), jax.jit(rule.step), jax.random.key(2)
    state = jax.tree.map(
        lambda leaf: leaf.astype(float) if leaf.dtype == "float32" else leaf, state
    )
    first = seen(state)
    for _ in range(STEPS):
        state, _ = step(key, state, jnp.zeros((1, 1)))
    return first, seen(state)


def matrix_of(game: theory.ContinuousGame) -> np.ndarray:
    """A, from payoffs alone: ``phi(x) A phi(y)'`` at as many points as features, solved for A."""
    points = (np.arange(2 * FREQUENCIES + 1) + 0.5) / (2 * FREQUENCIES + 1)
    payoffs = jax.vmap(jax.vmap(game.payoff, (None, 0)), (0, None))(
        jnp.asarray(points[:, None]), jnp.asarray(points[:, None])
    )
    inverse = np.linalg.inv(features(points))
    return inverse @ np.asarray(payoffs) @ inverse.T


@pytest.mark.parametrize(
    ("weighted", "barrier"),
    [(False, 0.0), (True, 0.0), (False, 0.1)],
    ids=["flow", "K p", "barrier"],
)
def test_mix_gan_is_wasserstein_fisher_rao_descent_ascent(weighted, barrier):
    """Positions move by the gradient of the potential, times K p_i with weighted speeds, weights by EG."""
    with jax.enable_x64(True):
        game = theory.trigonometric_game(jax.random.key(0), FREQUENCIES)
        speed = "weighted" if weighted else "equal"
        first, last = played(particle_solver(game, component_speed=speed, weight_barrier=barrier))
        A = matrix_of(game)
    ours = first
    for _ in range(STEPS):
        ours = flow(A, ours, ours, weighted=weighted, barrier=barrier)
    for own, found, start in zip(ours, last, first, strict=True):
        np.testing.assert_allclose(found, own, rtol=0, atol=1e-12)
        assert np.abs(found - start).max() > 1e-2, "nothing has moved"


def test_extragradient_around_it_is_mirror_prox():
    """From the start by the gradients one step ahead, positions and weights alike."""
    with jax.enable_x64(True):
        game = theory.trigonometric_game(jax.random.key(0), FREQUENCIES)
        first, last = played(mg.extragradient(particle_solver(game)))
        plain = played(particle_solver(game))[1]
        A = matrix_of(game)
    ours = first
    for _ in range(STEPS):
        ahead = flow(A, ours, ours, weighted=False, barrier=0.0)
        ours = flow(A, ahead, ours, weighted=False, barrier=0.0)
    for own, found, other in zip(ours, last, plain, strict=True):
        np.testing.assert_allclose(found, own, rtol=0, atol=1e-12)
        assert np.abs(found - other).max() > 1e-4, "one step would do"


def test_equal_speeds_are_weighted_ones_divided_by_k_times_the_weight():
    """One step of plain networks: the default is the sum's gradient, the other each component's own."""

    def change(speed: str, pairing: str) -> tuple[Any, Any]:
        made = solver(
            generator_tx=optax.sgd(1.0),
            discriminator_tx=optax.sgd(1.0),
            penalty=mg.penalties.r1(0.5),
            update="simultaneous",
            component_speed=speed,
            pairing=pairing,
        )
        state = made.init(jax.random.key(0))
        uneven = [jnp.log(jnp.asarray(w)) for w in ((0.3, 0.7), (0.2, 0.5, 0.3))]
        mixtures = zip(state.iterate, uneven, strict=True)
        state = state.with_iterate(
            tuple(mg.Mixture(m.params, m.state, logs) for m, logs in mixtures)
        )
        after, info = jax.jit(made.step)(jax.random.key(1), state, batch(jax.random.key(2)))
        moved, start = ([side.params for side in each.iterate] for each in (after, state))
        return jax.tree.map(lambda a, b: np.asarray(a - b), moved, start), info

    for pairing in ("full", "latin", "stratified"):
        (up, down), info = change("weighted", pairing)
        (own_up, own_down), own_info = change("equal", pairing)
        for weighted, equal, factors in (
            (up, own_up, 2 * np.array([0.3, 0.7])),
            (down, own_down, 3 * np.array([0.2, 0.5, 0.3])),
        ):
            pairs = zip(jax.tree.leaves(weighted), jax.tree.leaves(equal), strict=True)
            for one, other in pairs:
                scaled = other * factors.reshape(-1, *[1] * (other.ndim - 1))
                np.testing.assert_allclose(one, scaled, rtol=1e-4, atol=1e-6)
                assert np.abs(one).max() > 0
        jax.tree.map(np.testing.assert_array_equal, dict(info), dict(own_info))


def test_equal_speeds_and_adjusted_gradients_do_not_go_together():
    with pytest.raises(ValueError, match="component_speed must be 'weighted' where gradients"):
        solver(component_speed="equal", update="simultaneous", adjust=adjustments.consensus(0.1))
    with pytest.raises(ValueError, match="component_speed must be one of"):
        solver(component_speed="fast")
