"""Cases: penalties, weight rules, metrics."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from hypothesis import strategies as st
from properties.arguments import array, counts, floats, integers, keys, log_weights, weights
from properties.case import Case
from properties.games_and_losses import is_not_nan, lies_in, on_the_simplex

import mixgan_jax as mg
from mixgan_jax import losses, metrics, networks, penalties


def terms_are_not_negative(given: Any, result: Any) -> None:
    assert np.all(np.asarray(result) >= 0)


def penalised(make: Any) -> Any:
    """A penalty made and applied to a linear critic."""

    def call(key: Any, critic: Any, real: Any, fake: Any) -> Any:
        return make(key, critic, real, fake)

    return call


examples = {
    "key": keys,
    "critic": st.just(lambda x: jnp.sum(jnp.sin(x).reshape(x.shape[0], -1), axis=1)),
    "real": array(3, 2),
    "fake": st.one_of(array(3, 2), array(2, 2)),
}
PENALTIES = {
    "penalties.gradient_penalty": Case(
        penalties.gradient_penalty,
        {"coefficient": floats(0, 10), "target": floats(0, 2), "one_sided": st.booleans()},
    ),
    "penalties.r1": Case(penalties.r1, {"gamma": floats(0, 10)}),
    "penalties.r2": Case(penalties.r2, {"gamma": floats(0, 10)}),
    "penalties.r1_r2": Case(penalties.r1_r2, {"gamma": floats(0, 10)}),
    "penalties.gradient_penalty, applied": Case(penalised(penalties.gradient_penalty()), examples),
    "penalties.r1, applied": Case(penalised(penalties.r1(1.0)), examples),
    "penalties.r2, applied": Case(penalised(penalties.r2(1.0)), examples),
    "penalties.r1_r2, applied": Case(
        penalised(penalties.r1_r2(1.0)), {**examples, "fake": array(3, 2)}
    ),
    "penalties.weight_barrier": Case(
        penalties.weight_barrier, {"weights": weights(3), "epsilon": floats(0.125, 1)}, is_not_nan
    ),
    "penalties.weight_entropy": Case(
        penalties.weight_entropy, {"weights": weights(3)}, lies_in(0.0, np.log(5))
    ),
}


def rule_keeps_the_simplex(given: Any, rule: optax.GradientTransformation) -> None:
    start = jax.nn.log_softmax(jnp.array([0.0, 1.0, -1.0]))
    updates, _ = rule.update(jnp.array([0.5, -0.25, 1.0]), rule.init(start), start)
    on_the_simplex(jnp.exp(start + updates))


def updated(rule: optax.GradientTransformation) -> Any:
    def call(updates: Any, params: Any) -> Any:
        state = rule.init(params if isinstance(params, dict) else jnp.zeros(3))
        return rule.update(updates, state, params)[0]

    return call


def update_keeps_the_simplex(given: Any, result: Any) -> None:
    if not isinstance(given["params"], dict):
        on_the_simplex(jnp.exp(jnp.asarray(given["params"], jnp.float32) + result))


rate = st.one_of(floats(0, 1), st.just(optax.constant_schedule(0.1)))
one_update = {"updates": array(3), "params": log_weights(3)}
RULES = {
    "exponentiated_gradient": Case(
        mg.exponentiated_gradient, {"learning_rate": rate}, rule_keeps_the_simplex
    ),
    "optimistic_exponentiated_gradient": Case(
        mg.optimistic_exponentiated_gradient, {"learning_rate": rate}, rule_keeps_the_simplex
    ),
    "softmax_adam": Case(
        mg.softmax_adam,
        {
            "learning_rate": rate,
            "b1": floats(0, 0.75),
            "b2": floats(0, 0.75),
            "eps": floats(0.125, 1),
        },
        rule_keeps_the_simplex,
    ),
    "softmax_sgd": Case(mg.softmax_sgd, {"learning_rate": rate}, rule_keeps_the_simplex),
    "projected_gradient": Case(
        mg.projected_gradient, {"learning_rate": rate}, rule_keeps_the_simplex
    ),
    "regret_matching_plus": Case(
        mg.regret_matching_plus, {"initial_regret": floats(0, 10)}, rule_keeps_the_simplex
    ),
    "per_component": Case(
        mg.per_component,
        {"tx": st.just(optax.sgd(0.1)), "num_components": st.sampled_from([None, 3])},
    ),
    "exponentiated_gradient, update": Case(
        updated(mg.exponentiated_gradient(0.1)), one_update, update_keeps_the_simplex
    ),
    "softmax_sgd, update": Case(updated(mg.softmax_sgd(0.1)), one_update, update_keeps_the_simplex),
    "projected_gradient, update": Case(
        updated(mg.projected_gradient(0.1)), one_update, update_keeps_the_simplex
    ),
    "regret_matching_plus, update": Case(
        updated(mg.regret_matching_plus(1.0)), one_update, update_keeps_the_simplex
    ),
    "softmax_adam, update": Case(
        updated(mg.softmax_adam(0.1)), one_update, update_keeps_the_simplex
    ),
}


def coverage_is_in_range(given: Any, result: Any) -> None:
    ranges = {
        "modes": np.inf,
        "classes": np.inf,
        "effective_classes": np.inf,
        "high_quality": 1.0,
        "reverse_kl": np.inf,
        "reverse_kl_floor": np.inf,
        "histogram": np.inf,
        "overlap": 1.0,
    }
    for name, values in result.items():
        lies_in(0.0, ranges.get(name, np.inf))(given, values)


def report_is_in_range(given: Any, result: Any) -> None:
    assert result["nash_conv"] >= -1e-6 * np.abs(result["matrix"]).max()
    assert result["nash_conv_low"] <= result["nash_conv_high"]
    assert 0 <= result["generator_distance"] <= 1 + 1e-6
    assert 0 <= result["discriminator_distance"] <= 1 + 1e-6


modes = {
    "centers": array(2, 2),
    "std": st.one_of(floats(0.5, 2), array(2, low=0.5, high=2)),
    "threshold": floats(0.5, 4),
}
classes = {
    "num_classes": st.just(3),
    "reference": st.one_of(st.none(), array(3, low=0.5, high=4)),
    "min_fraction": floats(0, 1),
}
mode_weights = st.one_of(st.none(), array(2, low=0.5, high=4))
two_samples = {"real": array(4, 2), "fake": array(3, 2)}
learning = {
    "key": keys,
    "player": st.just(mg.from_linen(networks.MLP(()))),
    "phi": st.sampled_from([losses.phi_identity(), losses.phi_bounded_log(0.5)]),
    **two_samples,
    "held_out_real": array(2, 2),
    "held_out_fake": array(2, 2),
    "bound": floats(0.125, 4),
    "steps": counts(2),
    "restarts": counts(2),
    "learning_rate": floats(0.125, 1),
    "batch": st.one_of(st.none(), counts(3)),
}


def distance_is_in_range(given: Any, result: Any) -> None:
    """Of either phi no payoff is above its supremum, and the parameters stay in their ball."""
    phi = given["phi"]
    highest = 2 * float(phi.at_probability(1.0) - phi.at_probability(0.5))
    for name in ("value", "held_out", "values", "held_out_values"):
        lies_in(-4 * phi.bound, highest + 1e-5)(given, result[name])
    lies_in(0.0, float(given["bound"]) * (1 + 1e-5))(given, result["norm"])


METRICS = {
    "metrics.neural_net_distance": Case(
        metrics.neural_net_distance, learning, distance_is_in_range
    ),
    "metrics.best_discriminator": Case(
        metrics.best_discriminator,
        learning,
        lambda given, result: distance_is_in_range(given, result[1]),
    ),
    "metrics.maximum_mean_discrepancy": Case(
        metrics.maximum_mean_discrepancy,
        {**two_samples, "bandwidth": floats(0.125, 4)},
        lies_in(-2, 2),
    ),
    "metrics.sliced_wasserstein": Case(
        metrics.sliced_wasserstein,
        {"key": keys, **two_samples, "num_projections": counts(3)},
        lies_in(0, np.inf),
    ),
    "metrics.exact_wasserstein": Case(
        metrics.exact_wasserstein,
        {"real": array(3, 2), "fake": array(3, 2)},
        lies_in(0, np.inf),
    ),
    "metrics.frechet_distance": Case(
        metrics.frechet_distance,
        {"real": array(4, 2), "fake": array(3, 2)},
        lies_in(0, np.inf),
    ),
    "metrics.empirical_jensen_shannon": Case(
        metrics.empirical_jensen_shannon, two_samples, lies_in(0, np.log(2) + 1e-9)
    ),
    "metrics.mode_coverage": Case(
        metrics.mode_coverage,
        {"samples": array(5, 2), "weights": mode_weights, **modes},
        coverage_is_in_range,
    ),
    "metrics.component_coverage": Case(
        metrics.component_coverage,
        {"samples": array(2, 3, 2), "weights": mode_weights, **modes},
        coverage_is_in_range,
    ),
    "metrics.mode_histogram": Case(
        metrics.mode_histogram, {"samples": array(5, 2), **modes}, lies_in(0, 5)
    ),
    "metrics.class_coverage": Case(
        metrics.class_coverage,
        {"predictions": st.one_of(integers(5, high=2), array(5, 3)), **classes},
        coverage_is_in_range,
    ),
    "metrics.component_class_coverage": Case(
        metrics.component_class_coverage,
        {"predictions": st.one_of(integers(2, 5, high=2), array(2, 5, 3)), **classes},
        coverage_is_in_range,
    ),
    "metrics.histogram_overlap": Case(
        metrics.histogram_overlap, {"histograms": array(3, 2, low=0)}, lies_in(0, 1)
    ),
    "metrics.histogram_reverse_kl": Case(
        metrics.histogram_reverse_kl,
        {"histogram": array(2, low=0), "reference": mode_weights},
        lies_in(0, np.inf),
    ),
    "metrics.equilibrium_report": Case(
        metrics.equilibrium_report,
        {
            "values": array(4, 2, 3),
            "generator_log_weights": log_weights(2),
            "discriminator_log_weights": log_weights(3),
            "seed": counts(3),
            "num_bootstrap": counts(20, low=10),
            "confidence": floats(0.5, 0.875),
        },
        report_is_in_range,
        errors=(mg.EquilibriumError,),
    ),
}
