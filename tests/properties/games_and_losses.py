"""Cases: matrix games, mixtures, payoffs, losses, penalties, weight rules, metrics."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from helpers import BATCH, DISCRIMINATOR, FEATURES, LATENT, batch, public_names
from hypothesis import strategies as st
from properties.arguments import array, counts, floats, integers, keys, weights
from properties.case import Case

import mixgan_jax as mg
from mixgan_jax import losses
from mixgan_jax.players.mixture import STRATEGIES

ROWS, COLUMNS = 2, 3


def apply_to_any(params: Any, state: Any, x: Any, *, train: bool) -> Any:
    """Takes latents of any shape and dtype: what a player makes of its inputs is its own business."""
    axes = tuple(range(1, x.ndim))
    return jnp.sum(x, axis=axes, dtype=jnp.float32)[:, None] * params["w"][None], state


GENERATOR = mg.Player(lambda key, x: ({"w": jax.random.normal(key, (FEATURES,))}, {}), apply_to_any)
GENERATORS = mg.uniform(jax.random.key(0), GENERATOR, ROWS, jnp.zeros((1, LATENT)))
DISCRIMINATORS = mg.uniform(jax.random.key(1), DISCRIMINATOR, COLUMNS, jnp.zeros((1, FEATURES)))
generators, discriminators = st.just(GENERATORS), st.just(DISCRIMINATORS)
generator = st.just(GENERATOR)
matrix = st.one_of(
    array(ROWS, COLUMNS), array(1, 1), array(3, 3), integers(2, 2, high=2).map(np.float32)
)
profile = {
    "payoffs": st.builds(mg.Payoffs, array(ROWS, COLUMNS), array(ROWS, COLUMNS)),
    "generator_weights": weights(ROWS),
    "discriminator_weights": weights(COLUMNS),
}


def is_finite(given: Any, result: Any) -> None:
    for leaf in jax.tree.leaves(result):
        assert np.all(np.isfinite(np.asarray(leaf, np.float64)))


def is_not_nan(given: Any, result: Any) -> None:
    for leaf in jax.tree.leaves(result):
        assert not np.any(np.isnan(np.asarray(leaf, np.float64)))


def lies_in(low: float, high: float) -> Any:
    def holds(given: Any, result: Any) -> None:
        values = np.asarray(result, np.float64)
        slack = 1e-4 * max(1.0, abs(low))
        assert np.all(values >= low - slack)
        assert np.all(values <= high + slack)

    return holds


def on_the_simplex(points: Any) -> None:
    values = np.asarray(points, np.float64)
    assert np.all(values >= 0)
    np.testing.assert_allclose(values.sum(-1), 1.0, atol=1e-3)


def regrets_are_not_negative(given: Any, result: Any) -> None:
    largest = max(float(np.max(np.abs(np.asarray(part, np.float64)))) for part in given["payoffs"])
    for regret in jax.tree.leaves(result):
        assert np.all(np.asarray(regret, np.float64) >= -1e-3 * largest)


def equilibrium_is_certified(given: Any, result: mg.Equilibrium, exact: bool = True) -> None:
    values = np.asarray(given["value_matrix"], np.float64)
    spread = values.max() - values.min()
    on_the_simplex(result.generator)
    on_the_simplex(result.discriminator)
    gap = (result.generator @ values).max() - (values @ result.discriminator).min()
    if exact:
        assert result.gap <= float(given["tolerance"]) * spread
        assert gap <= result.gap + 1e-12 * np.abs(values).max()
    else:
        assert gap <= result.gap + 1e-3 * np.abs(values).max()


def best_responses_pay_most(given: Any, result: Any) -> None:
    for side in result:
        assert np.all(side.payoff[..., None] >= side.payoffs)


is_nearly_certified = partial(equilibrium_is_certified, exact=False)
GAMES = {
    "zero_sum": Case(mg.zero_sum, {"value": matrix}, is_finite),
    "expected_payoff": Case(
        mg.expected_payoff,
        {
            "matrix": array(ROWS, COLUMNS),
            "row_weights": weights(ROWS),
            "column_weights": weights(COLUMNS),
        },
        is_finite,
    ),
    "best_responses": Case(mg.best_responses, profile, best_responses_pay_most),
    "regrets": Case(mg.regrets, profile, regrets_are_not_negative),
    "nash_conv": Case(mg.nash_conv, profile, regrets_are_not_negative),
    "zero_sum_equilibrium": Case(
        mg.zero_sum_equilibrium,
        {"value_matrix": matrix, "tolerance": st.sampled_from([1e-8, 1e-6])},
        equilibrium_is_certified,
        errors=(mg.EquilibriumError,),
    ),
    "approximate_equilibrium": Case(
        mg.approximate_equilibrium, {"value_matrix": matrix}, is_nearly_certified
    ),
    "simplex_equilibrium": Case(
        mg.simplex_equilibrium, {"value_matrix": matrix}, is_nearly_certified
    ),
}


def samples_come_from_components(given: Any, result: Any) -> None:
    samples, components = result
    assert samples.shape == (len(given["latents"]), FEATURES)
    assert np.all((np.asarray(components) >= 0) & (np.asarray(components) < ROWS))


def is_uniform(given: Any, result: mg.Mixture) -> None:
    on_the_simplex(result.weights)
    assert result.num_components == given["num_components"]


def value_agrees_with_payoffs(given: Any, result: mg.Outcome) -> None:
    np.testing.assert_allclose(result.payoffs.discriminator, result.values, rtol=1e-5)


EXAMPLE = jnp.zeros((1, LATENT))
MIXTURES = {
    "uniform": Case(
        lambda key, player, num_components: mg.uniform(key, player, num_components, EXAMPLE),
        {"key": keys, "player": generator, "num_components": counts(3)},
        is_uniform,
    ),
    "entropy": Case(mg.entropy, holds=lies_in(0.0, np.log(5))),
    "effective_components": Case(mg.effective_components, holds=lies_in(1.0, 5.0)),
    "map_components": Case(
        lambda function, stacked, strategy: mg.map_components(function, stacked, strategy=strategy),
        {
            "function": st.just(jnp.sum),
            "stacked": array(COLUMNS, 2),
            "strategy": st.sampled_from(STRATEGIES),
        },
    ),
    "generate": Case(
        mg.generate,
        {"player": generator, "mixture": generators, "latents": array(ROWS, 4, LATENT)},
    ),
    "sample": Case(
        mg.sample,
        {"player": generator, "mixture": generators, "latents": array(5, LATENT)},
        samples_come_from_components,
    ),
    "fakes_per_generator": Case(
        mg.fakes_per_generator,
        {"batch": st.sampled_from([6, 12])},
        lambda given, result: lies_in(1, given["batch"])(given, result),
    ),
    "meet": Case(
        mg.meet,
        {
            "discriminators": discriminators,
            "real": keys.map(partial(batch, size=BATCH)),
            "fakes": array(ROWS, BATCH, FEATURES),
            "pairing": st.just("full"),
        },
        value_agrees_with_payoffs,
    ),
    "held_out_values": Case(
        mg.held_out_values,
        {
            "generator": generator,
            "generators": generators,
            "discriminators": discriminators,
            "reals": keys.map(lambda key: batch(key, 2 * BATCH).reshape(2, BATCH, FEATURES)),
            "latent_size": st.just(LATENT),
            "latent_sampler": st.sampled_from([jax.random.normal, jax.random.uniform]),
        },
        lambda given, result: (
            is_finite(given, result) if result.shape == (2, ROWS, COLUMNS) else None
        ),
    ),
}


def terms_are_numbers_near_zero(given: Any, result: Any) -> None:
    """Moderate logits give finite terms; ``value`` is minus the discriminator's loss."""
    value, discriminator_loss, generator_loss = result
    np.testing.assert_array_equal(value, -discriminator_loss)
    real, fake = (np.asarray(given[name], np.float64) for name in ("real", "fake"))
    if np.all(np.abs(real) <= 10) and np.all(np.abs(fake) <= 10):
        is_finite(given, (value, generator_loss))


def terms_of(make: Any) -> Any:
    def call(real: Any, fake: Any) -> Any:
        made = make()
        terms = [made.value(real=real, fake=fake), made.discriminator(real=real, fake=fake)]
        return (*terms, made.generator(real=real, fake=fake))

    return call


def loss_is_finite_at_neutral(given: Any, result: mg.GanLoss) -> None:
    is_finite(given, losses.equilibrium_values(result))


plain_losses = [
    name
    for name in public_names(losses)
    if name[0].islower()
    and name not in ("equilibrium_values", "measuring", "separable")
    and not name.startswith("phi_")
]
logits = st.one_of(array(3), array(2, 1), array(2, 3), floats(-5.0, 5.0))
LOSSES = {
    **{
        f"losses.{name}": Case(
            terms_of(getattr(losses, name)), {"real": logits, "fake": logits}
        )._replace(holds=terms_are_numbers_near_zero)
        for name in plain_losses
    },
    "losses.least_squares, labels": Case(
        losses.least_squares,
        {"real_label": floats(1, 3), "fake_label": floats(-3, 0), "generator_target": floats()},
        loss_is_finite_at_neutral,
    ),
    "losses.phi_bounded_log": Case(
        losses.phi_bounded_log,
        holds=lambda given, phi: lies_in(-phi.bound, 0.0)(given, phi.at_logit(jnp.zeros(2))),
    ),
    "losses.measuring": Case(
        losses.measuring,
        {"phi": st.sampled_from([losses.phi_log(), losses.phi_identity()])},
        loss_is_finite_at_neutral,
    ),
    "losses.separable": Case(
        losses.separable,
        {"name": st.just("mine"), "real": st.just(jnp.sin), "fake": st.just(jnp.cos)},
    ),
    "losses.equilibrium_values": Case(losses.equilibrium_values, holds=is_finite),
}
