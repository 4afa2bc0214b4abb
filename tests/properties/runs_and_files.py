"""Cases: solvers, runs, what runs write and read, figures."""

import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from helpers import DISCRIMINATOR, GENERATOR, LATENT, batch, feed, solver
from hypothesis import strategies as st
from properties.arguments import any_arrays, array, counts, floats, integers, keys, weights
from properties.case import Case
from properties.games_and_losses import on_the_simplex, pairing, strategy

import mixgan_jax as mg
from mixgan_jax import history, losses, penalties, plots

tx = st.just(optax.sgd(0.01))
players = {
    "generator": st.just(GENERATOR),
    "discriminator": st.just(DISCRIMINATOR),
    "loss": st.just(losses.hinge()),
    "latent_size": st.just(LATENT),
    "generator_tx": tx,
    "discriminator_tx": tx,
    "penalty": st.sampled_from([None, penalties.r1(1.0)]),
    "latent_sampler": st.just(jax.random.normal),
    "discriminator_steps": counts(2),
    "generator_steps": counts(2),
}


turns = {
    **{name: values for name, values in players.items() if not name.endswith("_steps")},
    "num_generators": counts(2),
    "num_discriminators": counts(2),
    "weight_tx": st.sampled_from([None, mg.exponentiated_gradient(0.1)]),
    "weight_barrier": floats(0, 1),
}


def starts_with_uniform_weights(given: Any, result: mg.Solver) -> None:
    state = jax.eval_shape(result.init, jax.random.key(0))
    assert state.generators.num_components >= 1


def keeps_the_weights(given: Any, result: Any) -> None:
    state, _ = result
    on_the_simplex(state.generators.weights)
    on_the_simplex(state.discriminators.weights)


SOLVER, FEED = solver(), feed()
STATE = SOLVER.init(jax.random.key(0))
PAST = history.start(STATE.generators, 2)
SOLVERS = {
    "mix_gan": Case(
        mg.mix_gan,
        {
            **players,
            "num_generators": counts(3),
            "num_discriminators": counts(3),
            "weight_tx": st.sampled_from([None, mg.exponentiated_gradient(0.1)]),
            "weight_barrier": floats(0, 1),
            "shared_latents": st.booleans(),
            "pairing": pairing,
            "update": st.just("alternating"),
            "adjust": st.none(),
            "skip_discriminator_below": st.one_of(st.none(), floats(0, 1)),
            "strategy": strategy,
        },
        starts_with_uniform_weights,
    ),
    "best_response": Case(
        partial(
            mg.best_response,
            generator=GENERATOR,
            discriminator=DISCRIMINATOR,
            loss=losses.non_saturating(),
            tx=optax.sgd(0.1),
        ),
        {
            "responder": st.just("generator"),
            "opponents": st.just(STATE.discriminators),
            "candidates": st.one_of(counts(3), st.just(STATE.generators)),
            "latent_size": st.just(LATENT),
            "latent_sampler": st.just(jax.random.normal),
            "strategy": strategy,
        },
        starts_with_uniform_weights,
    ),
    "duality_gap_curve": Case(
        partial(
            mg.duality_gap_curve,
            jax.random.key(0),
            generator=GENERATOR,
            discriminator=DISCRIMINATOR,
            loss=losses.minimax(),
            tx=optax.sgd(0.1),
            latent_size=LATENT,
            budgets=(1,),
            num_cold=1,
            num_perturbed=1,
        ),
        {
            "generators": st.just(STATE.generators),
            "discriminators": st.just(STATE.discriminators),
            "feed": st.just(FEED),
            "reals": st.just(jnp.stack([batch(jax.random.key(seed)) for seed in range(2)])),
            "perturbation": floats(0, 1),
        },
        lambda given, result: np.testing.assert_array_equal(result["gap"].shape, (2,)),
    ),
    "gda": Case(
        mg.gda,
        {**players, "update": st.just("alternating"), "adjust": st.none()},
        starts_with_uniform_weights,
    ),
    "fictitious_gan": Case(
        mg.fictitious_gan,
        {
            **turns,
            "capacity": counts(3),
            "record_every": counts(3),
            "decay": floats(0, 1),
        },
        starts_with_uniform_weights,
    ),
    "unrolled_gan": Case(
        mg.unrolled_gan, {**turns, "depth": counts(3)}, starts_with_uniform_weights
    ),
    "duel_gan": Case(
        mg.duel_gan,
        {
            **turns,
            "num_steps": st.one_of(st.none(), counts(3)),
            "num_discriminators": st.sampled_from([2, 3]),
            "alpha": floats(0, 1),
            "beta": floats(0, 2),
        },
        starts_with_uniform_weights,
    ),
    "double_oracle": Case(
        mg.double_oracle,
        {
            **{n: s for n, s in players.items() if not n.endswith("_steps")},
            "capacity": counts(3),
            "response_steps": counts(3),
            "measure_steps": counts(3),
            "tolerance": floats(0, 1),
            "start": st.sampled_from(["warm", "fresh"]),
        },
        starts_with_uniform_weights,
    ),
    "history.start": Case(
        history.start, {"mixture": st.just(STATE.generators), "capacity": counts(3)}
    ),
    "history.record": Case(
        history.record,
        {"history": st.just(PAST), "mixture": st.just(STATE.generators), "when": st.booleans()},
    ),
    "history.average": Case(
        history.average,
        {"history": st.just(PAST), "decay": floats(0, 1)},
        lambda given, result: on_the_simplex(result.weights),
    ),
    "mix_gan_2017": Case(
        mg.mix_gan_2017,
        {
            "generator": st.just(GENERATOR),
            "discriminator": st.just(DISCRIMINATOR),
            "num_components": counts(3),
            "latent_size": st.just(LATENT),
            "learning_rate": floats(0, 1),
        },
        starts_with_uniform_weights,
    ),
    "mix_gan, step": Case(
        jax.jit(SOLVER.step)  # compiled once
        and (lambda key, batch: SOLVER.step(key, STATE, batch)),
        {"key": keys, "batch": keys.map(batch)},
        keeps_the_weights,
    ),
}
# Counts its steps: what is fuzzed here is the loop, not the training.
COUNTER = mg.Solver(
    lambda key: jnp.zeros(()), lambda key, state, batch: (state + 1.0, {"count": state})
)


def all_steps_are_done(given: Any, result: Any) -> None:
    state = result[0] if isinstance(result, tuple) else result
    assert float(state) == given["num_steps"]


trains = {"solver": st.just(COUNTER), "feed": st.just(FEED)}
RUNS = {
    "fit": Case(mg.fit, {**trains, "log_every": st.just(1), "save_every": st.none()}),
    "run": Case(mg.run, trains),
    "run_steps": Case(
        partial(mg.run_steps, arrays=(), state=jnp.zeros(())), {**trains, "start": counts(low=0)}
    ),
    "init_run": Case(mg.init_run, {"solver": st.just(SOLVER)}),
    "evaluation_key": Case(mg.evaluation_key),
    "spread_over_devices": Case(
        mg.spread_over_devices, {"keys": st.just(jax.random.split(jax.random.key(0), 3))}
    ),
}

FOLDER = Path(tempfile.mkdtemp(prefix="mixgan_properties"))


def written(step: Any, value: Any) -> Any:
    path = FOLDER / "metrics.jsonl"
    path.unlink(missing_ok=True)
    with mg.Records(FOLDER) as records:
        records.write(step, value=value)
    return mg.read_records(path)


def lines_read_back_equal(given: Any, lines: Any) -> None:
    (line,) = lines
    assert line["step"] == given["step"]
    value = np.asarray(given["value"])
    if value.dtype.kind in "biuf":
        exact = value if value.dtype.kind in "biu" else value.astype(np.float64)
        np.testing.assert_array_equal(np.asarray(line["value"]).reshape(exact.shape), exact)


def is_closed(given: Any, opened: mg.Records | mg.Checkpoints) -> None:
    opened.close()


def saved(step: Any) -> bool:
    with mg.Checkpoints(FOLDER / "saved") as checkpoints:
        return checkpoints.save(step, {"step": step})


FILES = {
    "Records": Case(mg.Records, {"run_directory": st.just(FOLDER / "a")}, is_closed),
    "Records, write": Case(
        written,
        {"step": counts(), "value": st.one_of(floats(), any_arrays(), st.booleans())},
        lines_read_back_equal,
    ),
    "read_records": Case(
        mg.read_records, {"path": st.just(FOLDER / "none")}, errors=(FileNotFoundError,)
    ),
    "Checkpoints": Case(
        mg.Checkpoints,
        {"directory": st.just(FOLDER / "run"), "config": st.sampled_from([None, {"a": 1}])},
        is_closed,
    ),
    "Checkpoints, save": Case(saved, {"step": counts(low=0)}),
    "load_for_sampling": Case(
        mg.load_for_sampling, {"directory": st.just(FOLDER / "none")}, errors=(FileNotFoundError,)
    ),
}


def is_a_figure(given: Any, result: Any) -> None:
    from matplotlib.figure import Figure

    assert isinstance(result, Figure)


texts = {"title": st.sampled_from([None, "a title"])}
clouds = {
    "log_prob": st.none(),
    "centers": st.one_of(st.none(), array(3, 2)),
    "bandwidth": floats(0.5, 1),
    "limits": st.sampled_from([None, (-1.0, 1.0)]),
    "max_points": counts(),
}
FIGURES = {
    "plots.plot_samples": Case(
        plots.plot_samples,
        {
            "samples": st.one_of(array(5, 2), array(2, 3, 2)),
            "weights": st.none(),
            **clouds,
            **texts,
        },
        is_a_figure,
    ),
    "plots.plot_sample_panels": Case(
        plots.plot_sample_panels,
        {
            "samples": st.fixed_dictionaries({"GAN": array(5, 2), "MIX": array(2, 3, 2)}),
            "captions": st.sampled_from([None, {"GAN": "8 modes"}]),
            **clouds,
        },
        is_a_figure,
    ),
    "plots.plot_payoffs": Case(
        plots.plot_payoffs,
        {
            "value_matrix": array(2, 3),
            "generator_weights": weights(2),
            "discriminator_weights": weights(3),
            "equilibrium": st.one_of(st.none(), st.tuples(weights(2), weights(3))),
            "value": st.one_of(st.none(), floats()),
            "nash_conv": st.one_of(st.none(), floats()),
            "label": st.just("payoff"),
        },
        is_a_figure,
    ),
    "plots.plot_curves": Case(
        plots.plot_curves,
        {
            "records": st.sampled_from([[{"step": 1, "a": 1.0}], [[{"step": 2, "a": [1.0, 2.0]}]]]),
            "names": st.just(["a"]),
            "equilibrium": st.sampled_from([None, {"a": 0.5}]),
            "ylabel": st.just("loss"),
            **texts,
        },
        is_a_figure,
    ),
    "plots.plot_weights": Case(
        plots.plot_weights,
        {"steps": array(1), "weights": weights(3).map(lambda w: w[None]), **texts},
        is_a_figure,
    ),
    "plots.image_grid": Case(
        plots.image_grid,
        {
            "images": integers(2, 3, 2, 2, 1, high=255, dtype=np.uint8),
            "weights": st.one_of(st.none(), weights(2)),
            "columns": st.one_of(st.none(), counts()),
            "value_range": st.sampled_from([None, (0, 255), (-1.0, 256.0)]),
            **texts,
        },
        is_a_figure,
    ),
    "plots.save": Case(
        plots.save,
        {
            "fig": st.just(plots.plot_weights([1.0], [[0.5, 0.5]])),
            "path": st.sampled_from([FOLDER / "figure.png", FOLDER / "new" / "figure.svg"]),
        },
        lambda given, path: None if path.exists() else pytest.fail("not written"),
    ),
}
