"""Cases: penalties, weight rules, metrics."""

from functools import partial
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

examples = {
    "key": keys,
    "critic": st.just(lambda x: jnp.sum(jnp.sin(x).reshape(x.shape[0], -1), axis=1)),
    "real": array(3, 2),
    "fake": st.one_of(array(3, 2), array(2, 2)),
}
PENALTIES = {
    "penalties.gradient_penalty, applied": Case(penalties.gradient_penalty(), examples),
    "penalties.r1, applied": Case(penalties.r1(1.0), examples),
    "penalties.r2, applied": Case(penalties.r2(1.0), examples),
    "penalties.r1_r2, applied": Case(penalties.r1_r2(1.0), {**examples, "fake": array(3, 2)}),
    "penalties.weight_barrier": Case(penalties.weight_barrier, holds=is_not_nan),
    "penalties.weight_entropy": Case(penalties.weight_entropy, holds=lies_in(0.0, np.log(5))),
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


one_update = {"updates": array(3), "params": log_weights(3)}
RULES = {
    **{
        name: Case(getattr(mg, name), holds=rule_keeps_the_simplex)
        for name in (
            "exponentiated_gradient",
            "optimistic_exponentiated_gradient",
            "softmax_adam",
            "softmax_sgd",
            "projected_gradient",
            "regret_matching_plus",
        )
    },
    **{
        f"{name}, update": Case(updated(rule), one_update, update_keeps_the_simplex)
        for name, rule in {
            "exponentiated_gradient": mg.exponentiated_gradient(0.1),
            "softmax_sgd": mg.softmax_sgd(0.1),
            "projected_gradient": mg.projected_gradient(0.1),
            "regret_matching_plus": mg.regret_matching_plus(1.0),
            "softmax_adam": mg.softmax_adam(0.1),
        }.items()
    },
}


def coverage_is_in_range(given: Any, result: Any) -> None:
    for name, values in result.items():
        lies_in(0.0, 1.0 if name in ("high_quality", "overlap") else np.inf)(given, values)


def report_is_in_range(given: Any, result: Any) -> None:
    assert result["nash_conv"] >= -1e-6 * np.abs(result["matrix"]).max()
    assert result["nash_conv_low"] <= result["nash_conv_high"]
    assert 0 <= result["generator_distance"] <= 1 + 1e-6
    assert 0 <= result["discriminator_distance"] <= 1 + 1e-6


positive = partial(array, low=0.5, high=4)
modes = {"std": floats(0.5, 2) | positive(3), "weights": st.none() | positive(3)}
classes = {"num_classes": st.just(3), "reference": st.none() | positive(3)}
longer = {"real": array(4, 2)}  # than fake
learning = {
    **longer,
    "player": st.just(mg.from_linen(networks.MLP(()))),
    "phi": st.sampled_from([losses.phi_identity(), losses.phi_bounded_log(0.5)]),
    "steps": counts(2),
    "restarts": counts(2),
    "learning_rate": floats(0.125, 1),
}


def distance_is_in_range(given: Any, result: Any) -> None:
    """Of either phi no payoff is above its supremum, and the parameters stay in their ball."""
    phi = given["phi"]
    highest = 2 * float(phi.at_probability(1.0) - phi.at_probability(0.5))
    for name in ("value", "held_out", "values", "held_out_values"):
        lies_in(-4 * phi.bound, highest + 1e-5)(given, result[name])
    lies_in(0.0, float(given["bound"]) * (1 + 1e-5))(given, result["norm"])


def entries_lie_in_0_to_1(given: Any, result: Any) -> None:
    for values in result.values():
        lies_in(0.0, 1.0)(given, values)


def is_not_negative(given: Any, result: Any) -> None:
    signed = ("frechet_loss", "payoff")
    assert all(
        np.all(np.isnan(v) | (v >= 0)) for n, v in result.items() if not n.startswith(signed)
    )


def scores() -> st.SearchStrategy[metrics.Score]:
    source = metrics.Provenance("pixels", None, None, None, "float32", 4, 4, 0)
    return floats().map(lambda value: metrics.Score("m", value, None, source))


pixels = metrics.Extractor(lambda images: images, "pixels")
features = array(4, 2).map(lambda rows: metrics.Features(rows, pixels))
IMAGES = {
    "metrics.Extractor": Case(metrics.Extractor, {"function": st.just(abs), "name": st.just("a")}),
    "metrics.Features": Case(metrics.Features, {"extractor": st.just(pixels)}),
    "metrics.extract": Case(
        metrics.extract, {"extractor": st.just(pixels), "images": array(3, 2)}, names=("extractor",)
    ),
    "metrics.inception_extractor": Case(
        metrics.inception_extractor, {"path": st.just("no such file")}, errors=(FileNotFoundError,)
    ),
    "metrics.hash_weights": Case(metrics.hash_weights, {"weights": array(2)}),
    "metrics.score": Case(
        metrics.score,
        {"metric": st.just(metrics.frechet_distance), "real": features, "fake": features},
        lambda given, result: lies_in(0, np.inf)(given, result.value),
    ),
    "metrics.compare": Case(metrics.compare, {"a": scores(), "b": scores()}),
    "metrics.inception_score": Case(
        metrics.inception_score,
        {"fake": st.tuples(*[weights(3)] * 4).map(np.stack), "splits": counts(2)},
        lambda given, result: lies_in(1 - 1e-9, 3 + 1e-9)(given, result.value),
    ),
    "metrics.kernel_distance": Case(
        metrics.kernel_distance,
        {"real": array(4, 2), "fake": array(4, 2), "num_subsets": counts(2)},
    ),
    "metrics.precision_recall": Case(
        metrics.precision_recall,
        {"real": array(4, 2), "fake": array(3, 2), "neighbours": counts(2)},
        entries_lie_in_0_to_1,
    ),
    "metrics.density_coverage": Case(
        metrics.density_coverage,
        {"real": array(4, 2), "fake": array(3, 2), "neighbours": counts(3)},
        is_not_negative,
    ),
    "metrics.component_atlas": Case(
        metrics.component_atlas,
        {"real": array(4, 2), "fake": array(3, 3, 2), "neighbours": counts(2)},
        is_not_negative,
    ),
    "metrics.birthday_support": Case(
        metrics.birthday_support, {"fake": array(4, 2), "batch": counts(3, low=2)}, is_not_negative
    ),
    "metrics.ms_ssim_diversity": Case(
        metrics.ms_ssim_diversity,
        {"fake": array(2, 11, 11, 1), "span": floats(1, 4), "num_pairs": counts(3)},
        lambda given, result: lies_in(0.0, 1.0 + 1e-5)(given, result.value),
    ),
}
METRICS = IMAGES | {
    "metrics.neural_net_distance": Case(
        metrics.neural_net_distance, learning, distance_is_in_range
    ),
    "metrics.best_discriminator": Case(
        metrics.best_discriminator,
        learning,
        lambda given, result: distance_is_in_range(given, result[1]),
    ),
    "metrics.maximum_mean_discrepancy": Case(
        metrics.maximum_mean_discrepancy, longer, lies_in(-2, 2)
    ),
    "metrics.sliced_wasserstein": Case(metrics.sliced_wasserstein, longer, lies_in(0, np.inf)),
    "metrics.exact_wasserstein": Case(metrics.exact_wasserstein, holds=lies_in(0, np.inf)),
    "metrics.frechet_distance": Case(metrics.frechet_distance, longer, lies_in(0, np.inf)),
    "metrics.empirical_jensen_shannon": Case(
        metrics.empirical_jensen_shannon, longer, lies_in(0, np.log(2) + 1e-9)
    ),
    "metrics.mode_coverage": Case(metrics.mode_coverage, modes, coverage_is_in_range),
    "metrics.component_coverage": Case(metrics.component_coverage, modes, coverage_is_in_range),
    "metrics.mode_histogram": Case(metrics.mode_histogram, {"std": modes["std"]}, lies_in(0, 5)),
    "metrics.class_coverage": Case(
        metrics.class_coverage,
        {"predictions": integers(5, high=2) | array(5, 3), **classes},
        coverage_is_in_range,
    ),
    "metrics.component_class_coverage": Case(
        metrics.component_class_coverage,
        {"predictions": integers(2, 5, high=2) | array(2, 5, 3), **classes},
        coverage_is_in_range,
    ),
    "metrics.histogram_overlap": Case(
        metrics.histogram_overlap, {"histograms": array(3, 2, low=0)}, lies_in(0, 1)
    ),
    "metrics.histogram_reverse_kl": Case(
        metrics.histogram_reverse_kl,
        {"histogram": array(3, low=0), "reference": st.none() | positive(3)},
        lies_in(0, np.inf),
    ),
    "metrics.equilibrium_report": Case(
        metrics.equilibrium_report,
        {
            "values": array(4, 2, 3),
            "generator_log_weights": log_weights(2),
            "num_bootstrap": counts(20, low=10),
            "confidence": floats(0.5, 0.875),
        },
        report_is_in_range,
        errors=(mg.EquilibriumError,),
    ),
}
