"""Fictitious GAN with a history of C players: how long must it be, and is its own mixture what was learned?

Claim: in the exact game on equal atoms a short history goes on turning. The *long average* of the generators comes
nearer to the data the longer the history is, while the mixture *in* the history stays far away; on uneven atoms a
bounded history leaves the long average biased. Networks on a ring of 8 Gaussians: the mixture in the history, and the
long average, are nearer to the data with the longest history than with a history of 1 (after Ge, Xia, Chen, Berry and
Wu 2018, arXiv 1803.08647).
Time: 3 minutes on two CPU cores; paper wants a GPU and has not been timed.

    python -m experiments fictitious_history                  exact games and networks, 8 seeds
    python -m experiments fictitious_history --preset paper   wider networks, longer histories, 20 seeds

Protocol, departures and trials are in experiments/past_play/README.md.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

import mixgan_jax as mg
from experiments.common import harness, options, report, verdicts
from experiments.common.session import session
from experiments.past_play.history_figure import blocks, by_capacity
from experiments.past_play.turns_measures import away
from mixgan_jax import theory
from mixgan_jax.data import ring
from mixgan_jax.metrics import mode_histogram
from mixgan_jax.networks import MLP
from mixgan_jax.runs.parallel import map_runs
from mixgan_jax.types import Array, Key

GAMES: Mapping[str, tuple[float, ...]] = {
    "8 atoms": (0.125,) * 8,
    "4 uneven": (0.4, 0.3, 0.2, 0.1),
}
SAMPLES = 500
FAR, NEAR, BIASED = 0.4, 0.03, 0.05  # total variations in the claims on exact games


@dataclass(frozen=True)
class Config:
    """Everything a run depends on."""

    capacities: options.SizesReachingFive = (1, 2, 5, 10, 20, 50)
    """Capacities C of the exact games' histories; an unbounded history is run too."""
    exact_turns: options.Count = 10_000
    """Number of turns of the exact games; 100 or more."""
    network_capacities: options.Sizes = (1, 2, 5, 20)
    """Capacities C of the networks' histories."""
    records: options.Count = 160
    """Number of records that the networks make; 4 or more."""
    record_every: options.Count = 50
    """Number of steps between two records."""
    batch: options.Count = 64
    """Number of reals in a step, and of fakes of each generator."""
    width: options.Count = 64
    """Number of units in each of the two hidden layers of either network."""
    latent_size: options.Count = 16
    """Number of standard normal latents."""
    learning_rate: options.Rate = 1e-3
    """Learning rate of Adam, both players, with beta1 0.5; it does not decay, since all of the past counts."""
    seeds: options.Count = 8
    """Number of runs of the networks, with seeds 0, 1, ..."""


PRESETS = {
    "cpu": Config(),
    "paper": Config(
        capacities=(1, 2, 5, 10, 20, 50, 100, 200),
        exact_turns=100_000,
        network_capacities=(1, 2, 5, 20, 100),
        records=1000,
        width=128,
        batch=256,
        seeds=20,
    ),
    "smoke": Config(
        capacities=(1, 5),
        exact_turns=100,
        network_capacities=(2,),
        records=4,
        record_every=1,
        batch=8,
        width=8,
        seeds=2,
    ),
}

COLUMNS = {
    "average": ("TV, average", 3),
    "history": ("TV, history", 3),
    "single": ("TV, single", 3),
    "modes": ("modes", 1),
    "moves": ("% moves", 0),
}


def check(config: Config) -> None:
    """Raises ValueError for a config that would fail after minutes."""
    if config.records < 4:
        raise ValueError(f"--records must be >= 4, got {config.records}")
    if config.exact_turns < 100:
        raise ValueError(f"--exact-turns must be >= 100, got {config.exact_turns}")


def exact(config: Config) -> dict[str, Any]:
    """Plays the exact games: the generators' atoms ``[T]`` by game and capacity, None for unbounded."""
    games = {}
    for name, weights in GAMES.items():
        for capacity in (*config.capacities, None):
            p = np.asarray(weights, np.float32)
            atoms = theory.atom_play(p, config.exact_turns, memory=capacity)
            games[row_name(f"exact, {name}", capacity)] = atoms
    return games


def networks(run: harness.Run, capacity: int) -> dict[str, Any]:
    """Trains all seeds of one capacity: histograms ``[S, T, 8]`` of the generator at each record."""
    keys = mg.spread_over_devices(harness.seed_keys(run.seeds))
    one = partial(train, run.config, capacity)
    return {"histograms": jax.jit(map_runs(keys, one))(keys)}


def train(config: Config, capacity: int, key: Key) -> Array:
    """Trains one run: shares of the 8 modes among the generator's samples at each record, ``[T, 8]``."""
    target = ring(8)
    generator = mg.from_linen(MLP((config.width, config.width), outputs=2))
    adam = optax.adam(config.learning_rate, b1=0.5)
    solver = mg.fictitious_gan(
        generator,
        mg.from_linen(MLP((config.width, config.width))),
        mg.losses.non_saturating(),
        capacity=capacity,
        record_every=config.record_every,
        latent_size=config.latent_size,
        generator_tx=adam,
        discriminator_tx=adam,
    )
    init_key, run_key, look_key = jax.random.split(key, 3)

    def step(state: Any, index: Array) -> tuple[Any, None]:
        batch_key, step_key = jax.random.split(jax.random.fold_in(run_key, index))
        return solver.step(step_key, state, target.sample(batch_key, config.batch))[0], None

    def record(state: Any, index: Array) -> tuple[Any, Array]:
        steps = index * config.record_every + jnp.arange(config.record_every)
        state, _ = jax.lax.scan(step, state, steps)
        key = jax.random.fold_in(look_key, index)
        latents = jax.random.normal(key, (1, SAMPLES, config.latent_size))
        samples, _ = mg.generate(generator, state.generators, latents)
        # All samples count, however far from their nearest mode.
        counts = mode_histogram(samples[0], target.means, target.std, threshold=1e9)
        return state, counts / SAMPLES

    return jax.lax.scan(record, solver.init(init_key), jnp.arange(config.records))[1]


def row_name(name: str, capacity: int | None) -> str:
    """Names a row."""
    return f"{name}, C={'all' if capacity is None else capacity}"


def measures(histograms: Any, weights: Any, capacity: int | None) -> dict[str, Any]:
    """Computes the table's numbers by seed from histograms ``[S, T, K]`` at each record."""
    histograms = np.asarray(histograms, np.float64)
    leading = histograms.argmax(axis=-1)
    total = np.cumsum(histograms, axis=1)
    late = np.arange(3 * histograms.shape[1] // 4, histograms.shape[1])
    length = late + 1 if capacity is None else np.minimum(late + 1, capacity)
    before = late - length
    earlier = np.where((before >= 0)[:, None], total[:, np.maximum(before, 0)], 0.0)
    mixtures = (total[:, late] - earlier) / length[:, None]
    return {
        "average": away(histograms.mean(axis=1), weights),
        "history": away(mixtures, weights).mean(axis=1),
        "single": away(histograms[:, late], weights).mean(axis=1),
        "modes": (mixtures > 1e-9).sum(axis=-1).mean(axis=1),
        "moves": 100.0 * (leading[:, 1:] != leading[:, :-1]).mean(axis=1),
    }


def rows_of(
    config: Config, games: Mapping[str, Any], nets: Mapping[int, Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """Makes the table's rows: exact games, then networks."""
    rows = []
    for name, p in GAMES.items():
        for capacity in (*config.capacities, None):
            title = row_name(f"exact, {name}", capacity)
            found = measures(np.eye(len(p))[games[title]][None], np.asarray(p), capacity)
            metrics = {key: np.repeat(value, config.seeds) for key, value in found.items()}
            rows.append(report.row(title, metrics, seconds=0.0, capacity=capacity))
    rows[0]["seconds"] = games["seconds"]
    for capacity, net in nets.items():
        metrics = measures(net["histograms"], np.full(8, 0.125), capacity)
        title = row_name("networks", capacity)
        rows.append(report.row(title, metrics, seconds=net["seconds"], capacity=capacity))
    return rows


def judge(config: Config, rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Returns the verdict: what was claimed before the run against the results."""
    even, uneven, nets = blocks(rows).values()
    bounded = [row["average_mean"] for row in even[:-1]]
    rank = all(np.diff(bounded) < 0)
    got = ", ".join(f"{value:.3f}" for value in bounded)
    text = "exact, 8 atoms: the long average comes nearer to the data with every larger C"
    verdict = [verdicts.claim(text, "TV falls", got, rank)]
    least = min(row["history_mean"] for row in even[:-1])
    text = "exact, 8 atoms: the mixture in a bounded history stays far from the data"
    verdict.append(verdicts.claim(text, f"TV >= {FAR:g}", f"least {least:.3f}", least >= FAR))
    biased = [row["average_mean"] for row in uneven[:-1] if row["capacity"] >= 5]
    text = "exact, 4 uneven: a bounded history of 5 or more leaves the long average biased"
    got = f"least {min(biased):.3f}"
    verdict.append(verdicts.claim(text, f"TV >= {BIASED:g}", got, min(biased) >= BIASED))
    worst = max(rows[-1]["average_mean"] for rows in (even, uneven))
    text = "exact: against all of the past the average comes near the data"
    verdict.append(verdicts.claim(text, f"TV <= {NEAR:g}", f"largest {worst:.4f}", worst <= NEAR))
    if len(nets) == 1:
        return verdict
    lengths = f"C = {nets[-1]['capacity']} than with {nets[0]['capacity']}"
    for metric, what in (("history", "mixture in the history"), ("average", "long average")):
        got, holds = verdicts.contrast(nets[-1], nets[0], metric, "<")
        text = f"networks: the {what} is nearer to the data with {lengths}"
        verdict.append(verdicts.claim(text, verdicts.BELOW, got, holds))
    return verdict


def main(argv: list[str] | None = None) -> None:
    """Plays the exact games, trains the networks, reports."""
    run = harness.start("fictitious_history", __doc__, PRESETS, argv, check)
    config = run.config
    with session(run):
        games = harness.once(run, "exact", lambda: exact(config))
        nets = {
            capacity: harness.once(
                run, row_name("networks", capacity), partial(networks, run, capacity)
            )
            for capacity in config.network_capacities
        }
        rows = rows_of(config, games, nets)
        results, figures = report.save_results(
            run,
            rows=rows,
            verdict=judge(config, rows),
            columns=COLUMNS,
            figures=lambda: {"capacity": report.save_figure(run, by_capacity(rows), "capacity")},
        )
    report.show(run, results, figures)


if __name__ == "__main__":
    main()
