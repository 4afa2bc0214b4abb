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

positive = floats(0.125, 4)
output = st.sampled_from(["linear", "relu"])
steepness = {"payoff_bound": positive, "lipschitz": positive, "phi_lipschitz": positive}
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


def two_losses(players: Any) -> Any:
    """Asserts that what comes out of a function of two players are two finite losses."""

    def holds(given: Any, result: Any) -> None:
        values = result(players)
        assert [value.shape for value in values] == [(), ()]
        is_finite(given, values)

    return holds


def is_positive(given: Any, result: Any) -> None:
    assert 0 < result < np.inf


THEORY = {
    "theory.fold": Case(
        theory.fold,
        {
            "player": generator,
            "mixture": generators,
            "latents": array(4, LATENT),
            "output": output,
            "bound": st.one_of(st.none(), floats(500, 1000)),
            "width": floats(0.125, 1),
        },
        folded_is_a_player,
    ),
    "theory.thresholds": Case(theory.thresholds, {"log_weights": log_weights(4)}, edges_rise),
    "theory.chosen_component": Case(
        theory.chosen_component, {"log_weights": log_weights(4), "seeds": array(5)}, lies_in(0, 3)
    ),
    "theory.gates": Case(
        theory.gates, {"params": st.just(FOLDED.params), "seeds": array(5)}, gates_are_weights
    ),
    "theory.ramp_mass": Case(
        theory.ramp_mass, {"log_weights": log_weights(4), "width": positive}, mass_is_bounded
    ),
    "theory.folded_size": Case(
        theory.folded_size,
        {
            "num_components": counts(),
            "component_size": counts(),
            "features": counts(),
            "output": output,
        },
        is_positive,
    ),
    "theory.sufficient_samples": Case(
        theory.sufficient_samples,
        {"error": positive, "num_parameters": counts(), **steepness},
        is_positive,
    ),
    "theory.sufficient_components": Case(
        theory.sufficient_components,
        {"error": positive, "num_parameters": counts(), **steepness},
        is_positive,
    ),
    "theory.sampling_error": Case(
        theory.sampling_error,
        {"num_samples": counts(), "num_parameters": counts(), **steepness},
        is_positive,
    ),
    "theory.mixture_error": Case(
        theory.mixture_error,
        {"num_components": counts(), "num_parameters": counts(), **steepness},
        is_positive,
    ),
    "theory.blur_error": Case(
        theory.blur_error,
        {
            "std": floats(0, 1),
            "dimension": counts(),
            "input_lipschitz": positive,
            "phi_lipschitz": positive,
        },
        lies_in(0, 32),
    ),
    "theory.gaussian_shift_losses": Case(
        theory.gaussian_shift_losses,
        {"loss": smooth, "mean": array(2), "std": positive},
        two_losses((jnp.zeros(2), jnp.full(2, 0.1))),
    ),
    "theory.gaussian_shift_jacobian": Case(
        theory.gaussian_shift_jacobian, {"loss": smooth, "variances": array(3, low=0)}, is_finite
    ),
    "theory.dirac_gan_losses": Case(
        theory.dirac_gan_losses,
        {"loss": any_loss, "penalty": st.sampled_from([None, penalties.r1(1.0)])},
    ),
    "theory.dirac_gan_jacobian": Case(
        theory.dirac_gan_jacobian, {"loss": any_loss, "damping": floats(0, 4)}, is_finite
    ),
    "theory.dirac_gan_inward_pull": Case(
        theory.dirac_gan_inward_pull, {"loss": any_loss}, is_finite
    ),
    "theory.adjusted_jacobian": Case(
        theory.adjusted_jacobian,
        {
            "jacobian": array(3, 2, 2),
            "gamma": floats(0, 10),
            "rule": st.sampled_from(["none", "consensus", "symplectic", "jare", "generator"]),
        },
        is_finite,
    ),
    "theory.linear_descent": Case(
        theory.linear_descent,
        {
            "jacobian": array(3, 2, 2),
            "start": array(3, 2),
            "step_size": floats(0, 1),
            "steps": counts(9, low=0),
        },
        is_finite,
    ),
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
    "features": st.one_of(st.none(), st.just(lambda samples: samples.astype(jnp.float32))),
    "num_pairs": counts(4),
    "block": counts(4),
}
confidence = floats(0.5, 0.875)
SUPPORTS = {
    "metrics.closest_pairs": Case(
        metrics.closest_pairs,
        {
            "samples": st.one_of(array(5, 2), whole(5, 2)),
            "others": st.one_of(st.none(), array(3, 2)),
            **looking,
        },
        pairs_are_sorted,
    ),
    "metrics.birthday_test": Case(
        metrics.birthday_test,
        {"samples": whole(2, 4, 3), "confidence": confidence, **looking},
        supports_lie_in_their_intervals,
    ),
    "metrics.shared_support": Case(
        metrics.shared_support,
        {"first": whole(2, 4, 3), "second": whole(2, 4, 3), "confidence": confidence, **looking},
        overlap_lies_in_its_interval,
    ),
    "metrics.support_size": Case(
        metrics.support_size,
        {"duplicates": whole(3), "batch": counts(6, low=3), "confidence": confidence},
        supports_lie_in_their_intervals,
    ),
    "metrics.duplicate_probability": Case(
        metrics.duplicate_probability,
        {"support": floats(1, 100), "batch": counts(9, low=2), "repeats": counts()},
        lies_in(0, 1),
    ),
    "metrics.detectable_support": Case(
        metrics.detectable_support,
        {"batch": counts(9, low=2), "repeats": counts(), "power": floats(0.125, 0.875)},
        is_positive,
    ),
}
