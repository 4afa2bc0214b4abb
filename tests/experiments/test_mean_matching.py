"""The over-parameterised game: it is the library's GDA on these players, and its parts measure what they say."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import mixgan_jax as mg
from experiments.width import (
    mean_matching,
    overparam_gda,
    overparam_verdict,
    random_features,
    stability_edge,
)
from mixgan_jax.data import ring

PROBLEM = mean_matching.draw(jax.random.key(3), 16, 4, 3, 20)
ERROR = partial(mean_matching.mean_error, PROBLEM)


@pytest.mark.parametrize("order", ["simultaneous", "alternating"])
def test_a_step_is_that_of_the_librarys_solver(order) -> None:
    """R1 of a linear critic is |d|^2 / 2, and the batch's mean is the target: SGD on both sides."""
    generator = mg.Player(
        lambda key, z: (PROBLEM.hidden, {}),
        lambda w, state, z, train: (jax.nn.relu(z @ w.T) @ PROBLEM.output.T, state),
    )
    critic = mg.Player(lambda key, x: (jnp.zeros(3), {}), lambda d, state, x, train: (x @ d, state))
    eta, mu = 0.4, 0.7
    solver = mg.gda(
        generator,
        critic,
        mg.losses.wasserstein(),
        latent_size=4,
        generator_tx=optax.sgd(eta),
        discriminator_tx=optax.sgd(mu),
        penalty=mg.penalties.r1(1.0),
        latent_sampler=lambda key, shape: jnp.broadcast_to(PROBLEM.latents, shape),
        update=order,
    )
    state = solver.init(jax.random.key(0))
    reals = jnp.broadcast_to(PROBLEM.target, (20, 3))
    hidden, d = PROBLEM.hidden, jnp.zeros(3)
    step = jax.jit(solver.step)
    for index in range(5):
        state, _ = step(jax.random.key(index), state, reals)
        hidden, d = mean_matching.step(ERROR, hidden, d, jnp.float32(eta), jnp.float32(mu), order)
    np.testing.assert_allclose(state.generators.params[0], hidden, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(state.discriminators.params[0], d, rtol=1e-5, atol=1e-6)


def test_play_stops_at_the_tolerance_or_after_the_most_steps() -> None:
    size = jnp.float32(0.25 / stability_edge.largest(np.float64(mean_matching.kernel(PROBLEM))))
    play = partial(mean_matching.play, ERROR, PROBLEM.hidden, size, "simultaneous")
    done = play(tolerance=1e-3, most=5000)
    assert done["error"] <= 1e-3
    before = play(tolerance=1e-3, most=int(done["steps"]) - 1)
    assert before["steps"] == done["steps"] - 1
    assert before["error"] > 1e-3
    first, last = (jnp.linalg.norm(ERROR(w)) for w in (PROBLEM.hidden, done["hidden"]))
    np.testing.assert_allclose(done["error"], last / first, rtol=1e-2)


def test_a_run_that_leaves_the_numbers_ends_and_is_no_success() -> None:
    done = mean_matching.play(
        lambda w: w[0] ** 3, jnp.full((1, 2), 9.0), jnp.float32(10.0), "alternating",
        tolerance=1e-3, most=100,
    )  # fmt: skip
    assert not done["error"] <= 1e-3
    assert done["steps"] < 100


@pytest.mark.parametrize(("sign", "inside"), [(1.0, True), (-1.0, False)])
def test_only_the_cone_of_the_output_layer_is_reachable(sign, inside) -> None:
    output = jnp.array([[1.0, 0.0], [1.0, 2.0]])
    target = output @ jnp.array([0.5, sign * 0.3])
    problem = mean_matching.Problem(jnp.ones((2, 4)), output, PROBLEM.latents, target)
    assert mean_matching.reachable(problem) is inside


def test_decay_is_fitted_between_the_bounds() -> None:
    steps = np.arange(200)
    assert mean_matching.decay(0.9**steps, 1e-4, 2.0) == pytest.approx(0.9, rel=1e-9)
    assert mean_matching.decay(np.maximum(0.9**steps, 1e-5), 1e-4, 2.0) == pytest.approx(0.9)
    assert mean_matching.decay(1.1**steps, 0.1, 50.0) == pytest.approx(1.1, rel=1e-9)
    assert np.isnan(mean_matching.decay(10.0**steps, 0.1, 50.0))
    assert np.isnan(mean_matching.decay(np.full(200, np.nan), 0.1, 50.0))


def test_factors_on_either_side_of_the_edge_are_the_predicted_ones() -> None:
    problems = jax.tree.map(
        lambda *leaves: jnp.stack(leaves),
        *(mean_matching.draw(jax.random.key(s), 64, 4, 2, 20) for s in (0, 1)),
    )
    sizes = 0.25 / stability_edge.largest(stability_edge.kernels(problems, problems.hidden))

    def solve(problem, size):
        error = partial(mean_matching.mean_error, problem)
        play = mean_matching.play(
            error, problem.hidden, size, "simultaneous", tolerance=1e-5, most=2000
        )
        return play["hidden"]

    solutions = jax.vmap(solve)(problems, jnp.float32(sizes))
    found = stability_edge.measure(problems, solutions, "mu = 0.5", (0.9, 1.1), 150)
    np.testing.assert_allclose(
        found["linearised_factor"], found["predicted"][:, None] * np.ones((1, 2)), atol=5e-3
    )
    np.testing.assert_allclose(
        found["near_factor"], found["predicted"][:, None] * np.ones((1, 2)), atol=1e-2
    )
    assert found["predicted"][0] < 1 < found["predicted"][1]


@pytest.mark.slow
def test_the_kernel_of_features_is_that_of_the_mean_where_they_are_the_points() -> None:
    game = random_features.draw(
        jax.random.key(0), ring(), None,
        bandwidth=1.0, width=6, latent_size=3, num_latents=10, num_reals=20,
    )  # fmt: skip
    np.testing.assert_allclose(
        random_features.kernel(game), mean_matching.kernel(game.problem), rtol=1e-4, atol=1e-6
    )
    fakes = random_features.outputs(game.problem, game.problem.hidden, game.problem.latents)
    np.testing.assert_allclose(
        game.error(game.problem.hidden), game.reals.mean(0) - fakes.mean(0), atol=1e-5
    )


def test_inner_products_of_random_features_are_the_gaussian_kernel() -> None:
    points = jnp.array([[0.0, 0.0], [0.3, 0.4], [2.0, 0.0]])
    found = random_features.fourier(jax.random.key(0), 40_000, 0.5)(points)
    distances = np.array([[0, 0.5, 2], [0.5, 0, np.hypot(1.7, 0.4)], [2, np.hypot(1.7, 0.4), 0]])
    np.testing.assert_allclose(found @ found.T, np.exp(-(distances**2) / (2 * 0.25)), atol=0.03)


def test_verdict_counts_exceptions_to_reachability() -> None:
    config = overparam_gda.PRESETS["smoke"]

    def row(width, converged, reachable):
        return {"width": width, "n": 2, "converged_by_seed": converged, "reachable": reachable}

    good = [row(3, [0.0, 0.0], [False, False]), row(32, [100.0, 100.0], [True, True])]
    assert overparam_verdict.reached(config, good)["outcome"] == "holds"
    impossible = [*good, row(5, [0.0, 100.0], [False, False])]
    assert overparam_verdict.reached(config, impossible)["outcome"] == "fails"
    missed = overparam_verdict.reached(config, [*good, row(5, [0.0, 0.0], [True, False])])
    assert missed["outcome"] == "fails"
    assert "0 out of reach, 66.7 % of 3 in reach, all but 1" in missed["got"]
