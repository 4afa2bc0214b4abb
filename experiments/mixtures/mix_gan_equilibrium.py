"""Where does training end? The duality gap of GAN and MIX+GAN over deviations retrained with a budget.

Claim: with the same compute, the gap over retrained deviations is smaller for MIX+GAN with k = 5 than for one GAN by
more than two standard errors, and falls with k (after Arora et al. 2017, arXiv 1703.00573: approximate equilibria exist
once both players may mix).
Time: ring and grid 7 minutes each on two CPU cores; paper wants a GPU, not timed.

    python -m experiments mix_gan_equilibrium                  8 modes, 6 seeds, on two CPU cores
    python -m experiments mix_gan_equilibrium --preset grid    25 modes
    python -m experiments mix_gan_equilibrium --preset paper   ring, ten times the steps, 10 seeds

Protocol, departures and trials are in experiments/mixtures/README.md.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax
import numpy as np
import optax

import mixgan_jax as mg
from experiments.common import harness, options, plane, report, verdicts
from experiments.common.plane import Method
from experiments.common.session import session
from experiments.common.setup import Setup
from experiments.mixtures import known_gap
from mixgan_jax.plots import drawing
from mixgan_jax.types import Array, Key

if TYPE_CHECKING:
    from matplotlib.figure import Figure

STARTS = ("cold", "warm", "perturbed")


@dataclass(frozen=True)
class Config(plane.Config):
    """Everything a run depends on; ``steps`` are those of k = 1."""

    components: options.ComponentsToCompare = (1, 2, 3, 5, 8)
    """Numbers of generators to compare, rising from 1; there are as many discriminators."""
    seeds: options.Count = 6
    """Number of runs for each number of components, with seeds 0, 1, ..."""
    steps: options.Count = 40_000
    """Number of updates of each player with k = 1; k components have 1/k of them."""
    batch: options.Count = 120
    """Number of reals in a step; every k divides it."""
    budgets: options.Sizes = (10, 100, 1000)
    """Numbers of steps for which a deviation trains."""
    perturbation: options.Rate = 0.1
    """Size of the noise on a perturbed start, as a share of each tensor's root mean square."""


def _preset(name: str, **changes: Any) -> Config:
    """Returns the plane's protocol of that name, with this experiment's sizes."""
    base = dataclasses.asdict(plane.PROTOCOLS[name])
    names = ("components", "seeds", "steps", "batch")
    own = {name: getattr(Config(), name) for name in names}
    return Config(**{**base, **own, **changes})


PRESETS = {
    "cpu": _preset("cpu"),
    "grid": _preset("grid"),
    "paper": _preset(
        "cpu", seeds=10, steps=400_000, log_every=2000, budgets=(10, 100, 1000, 10_000)
    ),
    "smoke": _preset(
        "smoke", components=(1, 2), seeds=2, steps=40, batch=12, log_every=20, budgets=(2, 4)
    ),
}

COLUMNS = {
    "modes": ("modes", 2),
    "gap_0": ("b=0", 3),
    "gap_first": ("least b", 3),
    "gap_last": ("most b", 3),
    "gap_cold": ("cold", 3),
    "gap_warm": ("warm", 3),
    "gap_perturbed": ("pert.", 3),
    "discriminator_gain": ("discr.", 3),
}


def check(config: Config) -> None:
    """Raises ValueError for a config that would fail after hours."""
    for k in config.components:
        if config.batch % k:
            raise ValueError(
                f"--batch must be a multiple of every k, {k} among them, got {config.batch}"
            )
        if config.steps // k < config.log_every:
            raise ValueError(
                f"--steps must be at least k * log_every = {k * config.log_every}, got {config.steps}"
            )


def gaps(
    key: Key, config: Config, setup: Setup, state: mg.MixGanState, reals: Array
) -> dict[str, Array]:
    """Measures one run's gap at every budget, ``[1 + budgets]``, on ``reals [N, B, ...]``."""
    return mg.duality_gap_curve(
        key,
        setup.generator,
        setup.discriminator,
        state.generators,
        state.discriminators,
        setup.loss,
        setup.feed,
        reals,
        budgets=config.budgets,
        latent_size=setup.latent_size,
        tx=optax.adam(config.learning_rate, b1=config.beta1),
        perturbation=config.perturbation,
    )


def measure(run: harness.Run, k: int, bar: harness.ProgressBar) -> dict[str, Any]:
    """Trains all seeds of one number of components at once, and then their deviations; the table's row."""
    config = dataclasses.replace(run.config, steps=run.config.steps // k)
    method = Method("GAN" if k == 1 else f"MIX+GAN k={k}", k, pairing="latin", batch=config.batch)
    setup = plane.build(config, method)
    state, seconds = harness.train(run._replace(config=config), method.name, setup, bar)

    def one(key: Key, state: mg.MixGanState) -> dict[str, Array]:
        quality_key, real_key, key = jax.random.split(key, 3)
        reals = setup.feed.arrays.sample(real_key, 10_000).reshape(20, 500, 2)
        quality = plane.evaluate(setup, quality_key, state)
        return {"modes": quality["modes"], **gaps(key, config, setup, state, reals)}

    keys = mg.evaluation_key(harness.seed_keys(run.seeds), config.steps)
    curves = harness.once(run, f"{method.name} gaps", lambda: jax.jit(jax.vmap(one))(keys, state))
    every = np.asarray(curves["gap"])
    metrics = {
        "modes": curves["modes"],
        "gap_0": every[:, 0],
        "gap_first": every[:, 1],
        "gap_last": every[:, -1],
        "beyond": every[:, -1] - every[:, 0],
        **{f"gap_{name}": np.asarray(curves[f"gap_{name}"])[:, -1] for name in STARTS},
        "discriminator_gain": np.asarray(curves["discriminator_gain"])[:, -1],
    }
    kept = {name: curves[name] for name in curves if "ga" in name}
    return report.row(
        method.name, metrics, components=k, curves=kept, seconds=seconds + curves["seconds"]
    )


def control(run: harness.Run) -> dict[str, Any]:
    """Measures the curve of the control game for all seeds, beside its true gap."""
    setup, state, gap = known_gap.game()
    # Steps that cross the players' whole range within the largest budget.
    config = dataclasses.replace(
        run.config, learning_rate=10.0 * known_gap.RADIUS / max(run.config.budgets)
    )

    def one(key: Key) -> Array:
        real_key, key = jax.random.split(key)
        batches = jax.vmap(lambda key: setup.feed.sample(key, setup.feed.arrays))
        return gaps(key, config, setup, state, batches(jax.random.split(real_key, 20)))["gap"]

    curve = harness.once(
        run,
        "control",
        lambda: {"gap": jax.jit(jax.vmap(one))(harness.seed_keys(run.seeds))},
    )
    return {"curve": curve["gap"], "gap": gap, "seconds": curve["seconds"]}


def judge(
    config: Config, rows: Sequence[Mapping[str, Any]], known: Mapping[str, Any]
) -> list[dict]:
    """Returns the verdict: what was claimed before the run against the results."""
    reached, error = verdicts.mean_and_error(np.asarray(known["curve"])[:, -1])
    control = verdicts.claim(
        "the control's curve reaches its known gap",
        f"{known['gap']:.3f} within 0.02",
        f"{reached:.3f}",
        verdicts.within(reached - known["gap"], error, -0.02, 0.02),
    )
    return [*judge_rows(config, rows), control]


def judge_rows(config: Config, rows: Sequence[Mapping[str, Any]]) -> list[dict]:
    """Judges the claims that the table's rows decide."""
    gan = rows[0]
    middle = next((row for row in rows if row["components"] == 5), rows[-1])
    largest = rows[-1]
    last = f"gap after {max(config.budgets)} steps"
    got, holds = verdicts.contrast(middle, gan, "gap_last", "<")
    text = f"{last} is smaller for {middle['method']} than for GAN"
    verdict = [verdicts.claim(text, verdicts.BELOW, got, holds)]
    falling = verdicts.trend(rows, np.log(config.components), "gap_last", "<")
    verdict.append(
        verdicts.claim(
            f"{last} falls with k = {', '.join(map(str, config.components))}",
            "slope on log k below 0",
            *falling,
        )
    )
    got, holds = report.cell(largest, "beyond", 3), verdicts.of_mean(largest, "beyond", ">", 0.0)
    text = f"retrained deviations gain more than components do, for {largest['method']}"
    verdict.append(verdicts.claim(text, verdicts.ABOVE, got, holds))
    return verdict


@drawing.styled
def gap_curves(config: Config, rows: Sequence[Mapping[str, Any]]) -> "Figure":
    """Draws the gap against the budget for each k, and against k for each start; mean ± standard error."""
    figure = drawing.new_figure(7.2, 2.9)
    left, right = figure.subplots(1, 2)
    places = np.arange(1 + len(config.budgets))
    looks = list(zip(drawing.COLOURS, drawing.MARKERS, strict=False))
    for row, (colour, marker) in zip(rows, looks, strict=False):
        curve = np.asarray(row["curves"]["gap"])
        error = curve.std(axis=0, ddof=1) / np.sqrt(len(curve)) if len(curve) > 1 else None
        left.errorbar(
            places,
            curve.mean(0),
            yerr=error,
            color=colour,
            marker=marker,
            capsize=2,
            label=row["method"],
        )
    left.set_xticks(places, ["0\n(components)", *map(str, config.budgets)])
    left.set(xlabel="steps that a deviation trains", ylabel="duality gap (nats)")
    left.set_yscale("symlog", linthresh=0.01, linscale=0.5)
    left.set_ylim(bottom=-0.002)
    left.legend(fontsize="small", loc="lower right", bbox_to_anchor=(1.0, 0.22))
    names = {"gap_0": "components", **{f"gap_{name}": name for name in STARTS}}
    ks = [row["components"] for row in rows]
    for (metric, name), (colour, marker) in zip(names.items(), looks, strict=False):
        right.errorbar(
            ks,
            [row[f"{metric}_mean"] for row in rows],
            yerr=[row[f"{metric}_stderr"] or 0.0 for row in rows],
            color=colour,
            marker=marker,
            capsize=2,
            label=name,
        )
    right.set_xticks(ks)
    right.set(xlabel="components k", ylabel=f"duality gap after {max(config.budgets)} steps (nats)")
    right.set_yscale("symlog", linthresh=0.01, linscale=0.5)
    right.set_ylim(bottom=-0.002)
    right.legend(title="deviations", fontsize="small")
    return figure


def draw(run: harness.Run, rows: Sequence[Mapping[str, Any]]) -> dict[str, Path]:
    """Draws the figure; returns its path by the name under which it is kept."""
    return {"gaps": report.save_figure(run, gap_curves(run.config, rows), "gaps")}


def main(argv: list[str] | None = None) -> None:
    """Trains with every number of components, then the deviations; reports."""
    run = harness.start("mix_gan_equilibrium", __doc__, PRESETS, argv, check, by_train=True)
    with session(run) as bar:
        known = control(run)
        rows = [measure(run, k, bar) for k in run.config.components]
        verdict = judge(run.config, rows, known)
        results, figures = report.save_results(
            run, rows=rows, verdict=verdict, columns=COLUMNS, figures=lambda: draw(run, rows)
        )
    report.show(run, results, figures)


if __name__ == "__main__":
    main()
