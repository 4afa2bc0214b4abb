"""Cases: solvers, runs, what runs write and read, figures."""

import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import LATENT, batch, feed, solver
from hypothesis import strategies as st
from properties.arguments import any_arrays, array, counts, floats, integers, keys, weights
from properties.case import Case
from properties.games_and_losses import on_the_simplex
from properties.strategies import OF_TYPES

import mixgan_jax as mg
from mixgan_jax import history, penalties, plots


def starts_with_uniform_weights(given: Any, result: mg.Solver) -> None:
    state = jax.eval_shape(result.init, jax.random.key(0))
    assert state.generators.num_components >= 1


def keeps_the_weights(given: Any, result: Any) -> None:
    state, _ = result
    on_the_simplex(state.generators.weights)
    on_the_simplex(state.discriminators.weights)


SOLVER, FEED = solver(), feed()
STATE = SOLVER.init(jax.random.key(0))
past = {"history": st.just(history.start(STATE.generators, 2))}
OF_TYPES |= {mg.Mixture: st.just(STATE.generators), mg.Solver: st.just(SOLVER)}
measured = {"budgets": (1,), "num_cold": 1, "num_perturbed": 1, "latent_size": LATENT}
SOLVERS = {
    "mix_gan": Case(
        mg.mix_gan,
        {"penalty": st.sampled_from([None, penalties.r1(1.0)])},
        starts_with_uniform_weights,
    ),
    "gda": Case(mg.gda, holds=starts_with_uniform_weights),
    "fictitious_gan": Case(mg.fictitious_gan, holds=starts_with_uniform_weights),
    "unrolled_gan": Case(mg.unrolled_gan, holds=starts_with_uniform_weights),
    "duel_gan": Case(
        mg.duel_gan, {"num_discriminators": counts(3, low=2)}, starts_with_uniform_weights
    ),
    "double_oracle": Case(mg.double_oracle, holds=starts_with_uniform_weights),
    "mix_gan_2017": Case(mg.mix_gan_2017, holds=starts_with_uniform_weights),
    "best_response": Case(
        mg.best_response,
        {
            "responder": st.just("generator"),
            "opponents": st.just(STATE.discriminators),
            "candidates": counts(3) | st.just(STATE.generators),
            "latent_size": st.just(LATENT),
        },
        starts_with_uniform_weights,
    ),
    "duality_gap_curve": Case(
        mg.duality_gap_curve,
        {
            **{name: st.just(value) for name, value in measured.items()},
            "discriminators": st.just(STATE.discriminators),
            "feed": st.just(FEED),
            "reals": st.just(jnp.stack([batch(jax.random.key(seed)) for seed in range(2)])),
        },
        lambda given, result: np.testing.assert_array_equal(result["gap"].shape, (2,)),
    ),
    "history.record": Case(history.record, past),
    "history.average": Case(
        history.average, past, lambda given, result: on_the_simplex(result.weights)
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
    "fit": Case(
        mg.fit, {**trains, "log_every": st.just(1), "save_every": st.none()}, all_steps_are_done
    ),
    "run": Case(mg.run, trains, all_steps_are_done),
    "run_steps": Case(
        partial(mg.run_steps, arrays=(), state=jnp.zeros(())), {**trains, "start": counts(low=0)}
    ),
    "distributed": Case(mg.distributed, errors=(RuntimeError,)),  # since JAX has started
    "on_mesh": Case(mg.on_mesh, {"solver": st.just(SOLVER), "mesh": st.just(mg.make_mesh())}),
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
    "centers": st.none() | array(3, 2),
    "bandwidth": floats(0.5, 1),
    "limits": st.sampled_from([None, (-1.0, 1.0)]),
}
FIGURES = {
    "plots.plot_samples": Case(
        plots.plot_samples,
        {"samples": array(5, 2) | array(2, 3, 2), **clouds, **texts},
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
            "equilibrium": st.none() | st.tuples(weights(2), weights(3)),
        },
        is_a_figure,
    ),
    "plots.plot_curves": Case(
        plots.plot_curves,
        {
            "records": st.sampled_from([[{"step": 1, "a": 1.0}], [[{"step": 2, "a": [1.0, 2.0]}]]]),
            "names": st.just(["a"]),
            "equilibrium": st.sampled_from([None, {"a": 0.5}]),
            **texts,
        },
        is_a_figure,
    ),
    "plots.plot_atlas": Case(
        plots.plot_atlas,
        {
            "atlas": st.fixed_dictionaries(
                {
                    "coverage": weights(3),
                    "coverage_alone": weights(3),
                    "overlap": array(3, 3),
                    "frechet_loss": array(3),
                }
            )
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
            "weights": st.none() | weights(2),
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
