"""JARE: does penalising each player's gradient by the other cure both rotation and bad conditioning?

Claim: on a Gaussian that a linear discriminator drives to its place, JARE (Nie and Patel 2019, arXiv 1806.09235) has
smaller phase and conditioning factors than simultaneous descent, where consensus optimisation trades the one for the
other. At their best steps JARE is faster than simultaneous descent, and that is faster than consensus. Noise-free runs
decay as the linear game says, within 5 %. Networks on a ring of 8 Gaussians make more good samples, more evenly spread,
with JARE than without.
Time: 10 minutes on two CPU cores that had other work; paper wants a GPU and has not been timed.

    python -m experiments jare                  networks cut down to 3 layers of 64 units
    python -m experiments jare --preset paper   the authors' networks, learning rate and number of steps, 10 seeds

Protocol, departures and trials are in experiments/rotation/README.md.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import jax
import numpy as np
import optax

import mixgan_jax as mg
from experiments.common import harness, options, report, verdicts
from experiments.common.session import session
from experiments.common.setup import Latents, Setup
from experiments.rotation import gaussian_shift, jare_figure
from experiments.rotation.gaussian_shift import Method, Toy
from mixgan_jax import losses
from mixgan_jax.data import feed_from_distribution, ring
from mixgan_jax.metrics import mode_coverage
from mixgan_jax.networks import MLP
from mixgan_jax.types import Array, Key

LATENTS = Latents(scale=2.0)


@dataclass(frozen=True)
class Config:
    """Everything a run depends on."""

    gammas: options.Coefficients = (10.0, 1000.0)
    """Coefficients of the penalties: JARE has a row with each, consensus has the first only."""
    toy_std: options.Positive = 0.7
    """Standard deviation s of the toy's data, in each direction."""
    toy_distance: options.Positive = 2.0
    """Distance |v| of the toy's data from the origin."""
    toy_rate: options.Positive = 1e-3
    """Step size of gradient descent on the toy."""
    toy_steps: options.Sizes = (1000, 5000, 15_000)
    """Numbers of steps after which the toy's distance is measured."""
    toy_start: options.Positive = 0.05
    """Distance of each of the toy's coordinates from the equilibrium at the start."""
    std: options.Positive = 0.06
    """Standard deviation of each Gaussian on the ring."""
    seeds: options.Count = 6
    """Number of runs of each method, with seeds 0, 1, ..."""
    steps: options.Count = 10_000
    """Number of simultaneous updates on the ring."""
    batch: options.Count = 128
    """Number of reals in a step, and of fakes; also on the toy."""
    width: options.Count = 64
    """Number of units in each hidden layer of both networks."""
    depth: options.Count = 3
    """Number of hidden layers of both networks."""
    latent_size: options.Count = 16
    """Number of normal latents, of standard deviation 2."""
    learning_rate: options.Positive = 1e-3
    """Learning rate of RMSProp, both networks."""
    log_every: options.Count = 500
    """Number of steps between entries of the log."""


PRESETS = {
    "cpu": Config(),
    "paper": Config(seeds=10, steps=20_000, width=256, depth=4, latent_size=64, learning_rate=1e-4),
    "smoke": Config(
        gammas=(10.0,),
        toy_steps=(10, 20, 40),
        seeds=2,
        steps=20,
        batch=16,
        width=8,
        depth=1,
        latent_size=2,
        log_every=10,
    ),
}

COLUMNS = {
    "phase": ("phase", 2),
    "conditioning": ("conditioning", 1),
    "contraction": ("per step", 4),
    "distance": ("toy distance", 4),
    "high_quality": ("HQ %", 1),
    "reverse_kl": ("reverse KL", 3),
    "modes": ("modes", 2),
}


def check(config: Config) -> None:
    """Raises ValueError for a config that would fail after minutes."""
    if len(set(config.gammas)) < len(config.gammas):
        raise ValueError(f"--gammas must differ from each other, got {config.gammas}")


def methods(config: Config) -> list[Method]:
    """Lists the rows."""
    first = config.gammas[0]
    return [
        Method("simultaneous", "none", 0.0),
        Method(f"consensus, {first:g}", "consensus", first),
        *(Method(f"JARE, {gamma:g}", "jare", gamma) for gamma in config.gammas),
    ]


def toy(config: Config) -> Toy:
    """Makes the Gaussian toy."""
    return Toy(
        std=config.toy_std,
        distance=config.toy_distance,
        learning_rate=config.toy_rate,
        steps=config.toy_steps,
        batch=config.batch,
        start=config.toy_start,
    )


def build(config: Config, method: Method) -> Setup:
    """Builds players, loss, optimisers and data on the ring."""
    hidden = (config.width,) * config.depth
    generator, discriminator = mg.from_linen(MLP(hidden, outputs=2)), mg.from_linen(MLP(hidden))
    loss, tx = losses.minimax(), optax.rmsprop(config.learning_rate)
    solver = mg.gda(
        generator,
        discriminator,
        loss,
        latent_size=config.latent_size,
        generator_tx=tx,
        discriminator_tx=tx,
        latent_sampler=LATENTS,
        update="simultaneous",
        adjust=method.adjustment,
    )
    feed = feed_from_distribution(ring(8, 2.0, config.std), config.batch)
    return Setup(generator, discriminator, solver, feed, loss, config.latent_size, LATENTS)


def evaluate(setup: Setup, key: Key, state: mg.MixGanState) -> dict[str, Array]:
    """Measures the coverage of the ring by 2,500 samples."""
    target, (latents_key, key) = setup.feed.arrays, jax.random.split(key)
    latents = LATENTS(latents_key, (2500, setup.latent_size))
    samples, _ = mg.sample(key, setup.generator, state.generators, latents)
    found = mode_coverage(samples, target.means, target.std)
    return {
        "modes": found["modes"],
        "high_quality": 100.0 * found["high_quality"],
        "reverse_kl": found["reverse_kl"],
    }


def measure(
    run: harness.Run, method: Method, found: Mapping[str, Any], bar: harness.ProgressBar
) -> tuple[dict[str, Any], mg.MixGanState]:
    """Trains all seeds of a method on the ring; returns its row, with the toy's numbers, and the state."""
    setup, config = build(run.config, method), run.config
    look = partial(evaluate, setup)
    state, seconds = harness.train(run, method.name, setup, bar, look)
    on_ring = harness.evaluate_seeds(run, look, state)
    closed_form = {
        name: [found["factors"][name]] * config.seeds
        for name in ("phase", "conditioning", "contraction")
    }
    distance = np.array(found["with_noise"])[:, -1]
    metrics = {**closed_form, "distance": distance, **on_ring}
    return report.row(method.name, metrics, toy=found, seconds=seconds), state


def judge(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Returns the verdict: what was claimed before the run against the results."""
    plain, consensus, jare, *_ = rows
    return [*gaussian_shift.claims(rows), *_on_the_ring(plain, consensus, jare)]


def _on_the_ring(
    plain: Mapping[str, Any], consensus: Mapping[str, Any], jare: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """Judges the claims about networks."""
    verdict = []
    for other, metric, direction, text in (
        (plain, "high_quality", ">", "more good samples"),
        (plain, "reverse_kl", "<", "a smaller reverse KL"),
        (consensus, "high_quality", ">", "more good samples"),
    ):
        got, holds = verdicts.contrast(jare, other, metric, direction)
        verdict.append(
            verdicts.claim(
                f"{jare['method']} has {text} on the ring than {other['method']}",
                verdicts.ABOVE if direction == ">" else verdicts.BELOW,
                got,
                holds,
            )
        )
    return verdict


def draw(
    run: harness.Run, rows: Sequence[Mapping[str, Any]], states: Mapping[str, mg.MixGanState]
) -> dict[str, Path]:
    """Draws the toy's figure, and samples of seed 0 on the ring."""
    config = run.config
    samples, captions = {}, {}
    for method, row in zip(methods(config), rows, strict=True):
        setup = build(config, method)
        latents = LATENTS(jax.random.key(0), (1, 1000, config.latent_size))
        drawn, _ = mg.generate(
            setup.generator, harness.seed(states[method.name], 0).generators, latents
        )
        samples[method.name] = np.asarray(drawn)
        captions[method.name] = f"{report.cell(row, 'high_quality', 1)} % good"
    target = ring(8, 2.0, config.std)
    panels = mg.plots.plot_sample_panels(
        samples, log_prob=target.log_prob, centers=np.asarray(target.means), captions=captions
    )
    picture = jare_figure.toy_figure(rows[:3], toy(config), config.gammas[0])
    return {
        "toy": report.save_figure(run, picture, "toy"),
        "samples": report.save_figure(run, panels, "samples"),
    }


def main(argv: list[str] | None = None) -> None:
    """Solves the toy, trains every method on the ring, reports."""
    run = harness.start("jare", __doc__, PRESETS, argv, check, by_train=True)
    config, states, rows = run.config, {}, []
    with session(run) as bar:
        found = harness.once(
            run,
            "toy",
            lambda: gaussian_shift.measure(
                toy(config), methods(config), harness.seed_keys(run.seeds)
            ),
        )
        for method in methods(config):
            row, states[method.name] = measure(run, method, found[method.name], bar)
            rows.append(row)
        results, figures = report.save_results(
            run,
            rows=rows,
            verdict=judge(rows),
            columns=COLUMNS,
            figures=lambda: draw(run, rows, states),
        )
    report.show(run, results, figures)


if __name__ == "__main__":
    main()
