"""Cases: the theorems' constructions and sizes, and supports from duplicates."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from hypothesis import strategies as st
from properties.arguments import array, counts, floats, integers, log_weights
from properties.case import Case
from properties.games_and_losses import (
    GENERATOR,
    GENERATORS,
    LATENT,
    ROWS,
    generator,
    generators,
    is_finite,
    lies_in,
)

from mixgan_jax import losses, metrics, penalties, theory

steps = {"discriminator_step": floats(0.125, 1)}
smooth = st.sampled_from([losses.minimax(), losses.least_squares()])
any_loss = st.sampled_from([losses.wasserstein(), losses.relativistic()])
FOLDED = theory.fold(GENERATOR, GENERATORS, jnp.ones((2, LATENT)))


def folded_is_a_player(given: Any, folded: theory.Folded) -> None:
    latents = jnp.ones((3, given["latents"].shape[1] + 1))
    samples, _ = jax.eval_shape(
        lambda params: folded.player.apply(params, folded.state, latents, train=False),
        folded.params,
    )
    assert samples.shape[0] == 3
    is_finite(given, {name: folded.params[name] for name in ("ramps", "gated", "output")})


def gates_are_weights(given: Any, opened: Any) -> None:
    assert opened.shape == (len(given["seeds"]), ROWS)
    values = np.asarray(opened, np.float64)
    assert np.all(values >= 0)
    np.testing.assert_allclose(values.sum(-1), 1.0, atol=1e-3)


def edges_rise(given: Any, edges: Any) -> None:
    assert np.all(np.diff(np.asarray(edges)) >= 0)
    lies_in(-10, 10)(given, edges)


def mass_is_bounded(given: Any, mass: Any) -> None:
    assert 0 <= mass["exact"] <= mass["bound"] * (1 + 1e-6)


def contracts_inside_the_edge(given: Any, factor: Any) -> None:
    edge = theory.gda_edge(given["discriminator_step"], given["order"])
    strengths = np.asarray(given["strength"], np.float64)
    inside = (strengths > 1e-3) & (strengths < 0.99 * edge)
    values = np.asarray(factor)
    assert np.all(values >= 0)
    assert np.all(values[inside] < 1)
    assert np.all(values[(strengths > 1.01 * edge) | (strengths < -1e-3)] > 1)


def kernel_is_semidefinite(given: Any, kernel: Any) -> None:
    matrix = np.asarray(kernel, np.float64)
    np.testing.assert_allclose(matrix, matrix.T, rtol=1e-2, atol=1e-3 * np.abs(matrix).max())
    assert np.linalg.eigvalsh(matrix)[0] >= -1e-2 * max(1.0, np.abs(matrix).max())


def step_is_the_best(given: Any, result: Any) -> None:
    strength, factor = result
    assert 0 < strength <= 1
    assert 0 <= factor <= 1  # 1 is 1 - mu / 2 of the smallest mu, rounded


def two_losses(players: Any) -> Any:
    """Asserts that what comes out of a function of two players are two finite losses."""

    def holds(given: Any, result: Any) -> None:
        values = result(players)
        assert [value.shape for value in values] == [(), ()]
        is_finite(given, values)

    return holds


def is_positive(given: Any, result: Any) -> None:
    assert 0 < result < np.inf


GAME = theory.interval_game(jnp.asarray((-0.5, 0.5)))
ENDS = np.asarray([-1.0, 0.5], np.float32)
START = theory.interval_start(GAME, ENDS, ENDS, ENDS + np.float32(0.75))
target = {"target": array(2, low=-4, high=4), "box": floats(4, 16)}
played = {"game": st.just(GAME), "state": st.just(START)}
moved = {"game": st.just(GAME), "means": array(2, low=-4, high=4), "points": counts(60, low=40)}


def weights_are_positive(given: Any, made: theory.IntervalGame) -> None:
    assert made.target.shape == made.weights.shape
    assert np.all(np.asarray(made.weights) > 0)


def ends_rise(given: Any, made: theory.IntervalState) -> None:
    ends = np.stack([made.left, made.right], axis=1).reshape(-1, *made.left.shape[1:])
    assert np.all(ends[1:] >= ends[:-1])
    assert np.all(np.abs(np.asarray(made.means)) <= 16)


def intervals_rise(given: Any, found: Any) -> None:
    left, right = (np.asarray(ends) for ends in found)
    assert np.all(left <= right)
    assert np.all(right[:-1] <= left[1:])


def is_a_state(given: Any, found: theory.IntervalState) -> None:
    assert [part.shape[0] for part in found] == [2, 2, 2]


INTERVALS = {
    "theory.interval_game": Case(
        theory.interval_game,
        {**target, "weights": st.sampled_from([None, np.asarray((0.25, 0.75), np.float32)])},
        weights_are_positive,
    ),
    "theory.interval_start": Case(
        theory.interval_start,
        {
            "game": st.just(GAME),
            "means": array(2, low=-4, high=4),
            "left": st.just(ENDS),
            "right": st.just(ENDS + np.float32(0.5)),
            "box": floats(4, 16),
        },
        ends_rise,
    ),
    "theory.interval_payoff": Case(theory.interval_payoff, played, lies_in(-1, 1)),
    "theory.interval_gradients": Case(theory.interval_gradients, played, is_a_state),
    "theory.interval_step": Case(
        theory.interval_step,
        {
            **played,
            "step_size": floats(0.125, 1),
            "mean_step_sizes": st.none() | array(2, low=0.125, high=1),
            "depth": counts(2, low=0),
            "points": moved["points"],
        },
        is_a_state,
    ),
    "theory.optimal_intervals": Case(theory.optimal_intervals, moved, intervals_rise),
    "theory.best_interval": Case(theory.best_interval, moved, intervals_rise),
    "theory.total_variation": Case(theory.total_variation, moved, lies_in(-1e-6, 1 + 1e-6)),
}

one_mixture = {"log_weights": log_weights(4)}
jacobian = {"jacobian": array(3, 2, 2)}
THEORY = {
    **INTERVALS,
    **{
        f"theory.{name}": Case(getattr(theory, name), holds=is_positive)
        for name in (
            "folded_size",
            "sufficient_samples",
            "sufficient_components",
            "sampling_error",
            "mixture_error",
        )
    },
    "theory.fold": Case(
        theory.fold,
        {
            "player": generator,
            "mixture": generators,
            "latents": array(4, LATENT),
            "bound": st.none() | floats(500, 1000),
            "width": floats(0.125, 1),
        },
        folded_is_a_player,
    ),
    "theory.thresholds": Case(theory.thresholds, one_mixture, edges_rise),
    "theory.chosen_component": Case(theory.chosen_component, one_mixture, lies_in(0, 3)),
    "theory.gates": Case(theory.gates, {"params": st.just(FOLDED.params)}, gates_are_weights),
    "theory.ramp_mass": Case(theory.ramp_mass, one_mixture, mass_is_bounded),
    "theory.gda_matrix": Case(theory.gda_matrix, {"strength": array(5), **steps}),
    "theory.gda_contraction": Case(
        theory.gda_contraction, {"strength": array(5), **steps}, contracts_inside_the_edge
    ),
    "theory.gda_edge": Case(theory.gda_edge, steps, lies_in(1, np.inf)),
    "theory.best_gda_step": Case(theory.best_gda_step, steps, step_is_the_best),
    "theory.relu_kernel": Case(
        theory.relu_kernel,
        {"hidden": array(4, 3), "output": array(2, 4), "latents": array(5, 3)},
        kernel_is_semidefinite,
    ),
    "theory.condition_number": Case(
        theory.condition_number,
        {"matrix": array(3, 2).map(lambda a: a @ a.T)},
        lies_in(1, np.inf),
    ),
    "theory.reachable_probability": Case(
        theory.reachable_probability, {"width": counts(9), "dimension": counts(9)}, lies_in(0, 1)
    ),
    "theory.blur_error": Case(theory.blur_error, {"std": floats(0, 1)}, lies_in(0, 32)),
    "theory.gaussian_shift_losses": Case(
        theory.gaussian_shift_losses,
        {"loss": smooth, "mean": array(2)},
        two_losses((jnp.zeros(2), jnp.full(2, 0.1))),
    ),
    "theory.gaussian_shift_jacobian": Case(
        theory.gaussian_shift_jacobian, {"loss": smooth, "variances": array(3, low=0)}, is_finite
    ),
    "theory.dirac_gan_losses": Case(
        theory.dirac_gan_losses,
        {"loss": any_loss, "penalty": st.sampled_from([None, penalties.r1(1.0)])},
    ),
    "theory.dirac_gan_jacobian": Case(theory.dirac_gan_jacobian, {"loss": any_loss}, is_finite),
    "theory.dirac_gan_inward_pull": Case(
        theory.dirac_gan_inward_pull, {"loss": any_loss}, is_finite
    ),
    "theory.adjusted_jacobian": Case(theory.adjusted_jacobian, jacobian, is_finite),
    "theory.linear_descent": Case(
        theory.linear_descent, {**jacobian, "start": array(3, 2)}, is_finite
    ),
}

NODES = np.linspace(0.0, 2.0, 5).astype(np.float32)


def densities(values: np.ndarray) -> np.ndarray:
    """Positive numbers at the nodes as the logarithms of a density there, zeros among them."""
    mass = np.sum(np.diff(NODES) * 0.5 * (values[1:] + values[:-1]))
    with np.errstate(divide="ignore"):
        return np.log(values / mass)


def divergences_are_in_range(given: Any, found: Any) -> None:
    values = {name: float(value) for name, value in found.items()}
    assert not any(np.isnan(value) for value in values.values())
    assert -1e-2 <= values["jensen_shannon"] <= np.log(2.0) + 1e-2
    assert 0 <= values["total_variation"] <= 1.02
    # A mass that is 1 but for .01 may make a divergence as much less than 0.
    assert min(values["kl"], values["reverse_kl"], values["wasserstein"]) >= -2e-2


def is_told_apart(given: Any, found: Any) -> None:
    assert -1e-9 <= found["divergence"] <= np.log(2.0) + 1e-9
    assert found["logits"].shape == (len(given["nodes"]),)
    is_finite(given, found)


def atoms_are_atoms(given: Any, atoms: Any) -> None:
    assert atoms.shape == (given["num_turns"],)
    lies_in(0, ROWS - 1)(given, atoms)


def gaps_are_not_negative(given: Any, gaps: Any) -> None:
    assert gaps.shape == (given["num_turns"],)
    assert np.all(np.asarray(gaps) >= 0)


masses = array(5, low=0, high=1).map(lambda values: densities(values + np.float32(0.125)))
partly = array(5, low=0, high=1).map(lambda values: densities(np.append(values[:4], 1) > 0.5))
line = {
    "log_real": st.one_of(masses, partly),
    "log_fake": st.one_of(masses, partly),
    "nodes": st.just(NODES),
}
rule = st.sampled_from(theory.scoring_rules())
ROW = jnp.full((2, 1), 0.25)
strategy = array(2, low=0.125, high=1).map(
    lambda values: theory.Particles(ROW, values / values.sum())
)
game = st.just(theory.trigonometric_game(jax.random.key(0)))
mixed = {"game": game, "rows": strategy, "columns": strategy}


def payoff_is_a_number(given: Any, made: theory.ContinuousGame) -> None:
    x, y = (jnp.full(size, 0.25) for size in made.dimensions)
    assert np.isfinite(made.payoff(x, y))


def potentials_are_numbers(given: Any, made: Any) -> None:
    for potential in made:
        assert np.isfinite(potential(jnp.zeros(1)))


def players_play(given: Any, made: theory.ParticlePlayers) -> None:
    params, _ = made.generator.init(jax.random.key(0), jnp.zeros((2, 1)))
    assert made.generator.apply(params, {}, jnp.zeros((2, 1)), train=True)[0].shape == (2, 1)


PLAY = {
    "theory.feature_game": Case(
        theory.feature_game,
        {
            "matrix": array(2, 2),
            "row_features": st.just(lambda x: jnp.concatenate([x, x**2])),
            "column_features": st.just(lambda y: jnp.concatenate([y, y**2])),
            "dimensions": st.just((1, 1)),
        },
        payoff_is_a_number,
    ),
    "theory.trigonometric_game": Case(
        theory.trigonometric_game,
        {"frequencies": counts(2), "dimension": counts(2)},
        payoff_is_a_number,
    ),
    "theory.polynomial_game": Case(
        theory.polynomial_game, {"matrix": array(3, 2)}, payoff_is_a_number
    ),
    "theory.point_gan": Case(
        theory.point_gan, {"data": array(4), "frequencies": counts(2)}, payoff_is_a_number
    ),
    "theory.particle_players": Case(theory.particle_players, {"game": game}, players_play),
    "theory.potentials": Case(theory.potentials, mixed, potentials_are_numbers),
    "theory.nikaido_isoda": Case(
        theory.nikaido_isoda,
        {**mixed, "grid": st.just(8), "newton_steps": st.just(1)},
        lies_in(-1e-3, np.inf),
    ),
    "theory.nikaido_isoda_bound": Case(
        theory.nikaido_isoda_bound,
        {**mixed, "grid": st.just(8)},
        lies_in(-1e-3, np.inf),
    ),
    "theory.mixed_equilibrium": Case(
        theory.mixed_equilibrium,
        {"game": game, "grid": st.sampled_from([None, 32]), "tolerance": floats(0.125, 1)},
        lambda given, found: lies_in(0, 1)(given, found.rows.weights),
    ),
    "theory.line_divergences": Case(theory.line_divergences, line, divergences_are_in_range),
    "theory.parallel_segments": Case(
        theory.parallel_segments,
        holds=lambda given, found: lies_in(0, 1)(given, found["total_variation"]),
    ),
    "theory.bayes_risk": Case(
        theory.bayes_risk, {"rule": rule, "probability": array(5, low=0, high=1)}, lies_in(-1e-6, 2)
    ),
    "theory.induced_divergence": Case(
        theory.induced_divergence, {"rule": rule, **line}, lies_in(-0.1, 2.1)
    ),
    "theory.best_polynomial_logit": Case(theory.best_polynomial_logit, line, is_told_apart),
    "theory.atom_play": Case(
        theory.atom_play,
        {
            "weights": array(ROWS, low=0.125, high=1).map(lambda values: values / values.sum()),
            "start": counts(ROWS - 1, low=0),
            "floor": st.sampled_from([0.125, 0.25]),
        },
        atoms_are_atoms,
    ),
    "theory.fictitious_play": Case(theory.fictitious_play, holds=gaps_are_not_negative),
}


def pairs_are_sorted(given: Any, found: Any) -> None:
    distance = np.asarray(found["distance"], np.float64)
    assert np.all(distance[1:] >= distance[:-1])
    assert np.all(distance >= 0)
    known = np.isfinite(distance)
    assert np.all(np.asarray(found["first"])[known] >= 0)
    assert found["duplicates"] >= np.sum(distance <= np.float32(given["threshold"]))


def supports_lie_in_their_intervals(given: Any, found: Any) -> None:
    for name in ("support", "support_by_batches"):
        assert found[f"{name}_low"] <= found[name] <= found[f"{name}_high"]
    assert 0 <= found["detected"] <= 1


def overlap_lies_in_its_interval(given: Any, found: Any) -> None:
    if not np.isnan(found["overlap"]):
        assert 0 <= found["overlap_low"] <= found["overlap"] <= found["overlap_high"]


whole = partial(integers, high=2)
looking = {
    "threshold": floats(0, 2),
    "features": st.sampled_from([None, lambda samples: samples.astype(jnp.float32)]),
}
confidence = {"confidence": floats(0.5, 0.875)}
SUPPORTS = {
    "metrics.closest_pairs": Case(
        metrics.closest_pairs,
        {"samples": array(5, 2) | whole(5, 2), "others": st.none() | array(3, 2), **looking},
        pairs_are_sorted,
    ),
    "metrics.birthday_test": Case(
        metrics.birthday_test,
        {"samples": whole(2, 4, 3), **confidence, **looking},
        supports_lie_in_their_intervals,
    ),
    "metrics.shared_support": Case(
        metrics.shared_support,
        {"first": whole(2, 4, 3), "second": whole(2, 4, 3), **confidence, **looking},
        overlap_lies_in_its_interval,
    ),
    "metrics.support_size": Case(
        metrics.support_size,
        {"duplicates": whole(3), "wedges": st.none() | whole(3), **confidence},
        supports_lie_in_their_intervals,
    ),
    "metrics.duplicate_probability": Case(
        metrics.duplicate_probability, {"support": floats(1, 100)}, lies_in(0, 1)
    ),
    "metrics.detectable_support": Case(metrics.detectable_support, holds=is_positive),
}
