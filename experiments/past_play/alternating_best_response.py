"""Two players that take turns: does training each to its best answer converge, and does averaging cure it?

Claim: answering the opponent's *last* player cycles (Nie, Liu and Patel, "GANs from first principles", poster). In the
exact game the generator jumps between two points for ever, with period 2; two networks trained near to their best leave
their mode in at least 80 % of the turns, on 2 modes and on 8. Answering the *average* of the past, fictitious play,
cures it: the average of all generators comes near the data, within a quarter of the total variation of a single mode,
and what the discriminator tells apart from the data falls to a third or less.
Time: 3 minutes on two CPU cores; paper wants a GPU and has not been timed.

    python -m experiments alternating_best_response                  2 and 8 modes, 8 seeds, on two CPU cores
    python -m experiments alternating_best_response --preset paper   wider networks, 200 turns, 20 seeds

Protocol, departures and trials are in experiments/past_play/README.md.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import mixgan_jax as mg
from experiments.common import harness, options, report, verdicts
from experiments.common.session import session
from experiments.past_play import turns_figure
from experiments.past_play.turns import JUDGED, Turns, play
from experiments.past_play.turns_measures import faced_exactly, summary
from mixgan_jax import theory
from mixgan_jax.runs.parallel import map_runs
from mixgan_jax.types import Array, Key

GAMES: Mapping[str, tuple[float, ...]] = {
    "8 atoms": (0.125,) * 8,
    "4 uneven": (0.4, 0.3, 0.2, 0.1),
    "2 atoms": (0.5, 0.5),
}
MEMORIES = {"last": 1, "last 5": 5, "average": None}
MATRICES = {
    "matching pennies": ((1.0, -1.0), (-1.0, 1.0)),
    "rock, paper, scissors": ((0.0, 1.0, -1.0), (-1.0, 0.0, 1.0), (1.0, -1.0, 0.0)),
}
CHANGES, CLOSE, EXACT_CLOSE, SETTLED = 80.0, 0.25, 0.03, 1 / 3
GAP = (1.2, 1.8)  # bounds of the duality gap times sqrt t


@dataclass(frozen=True)
class Config:
    """Everything a run depends on."""

    modes: options.ComponentsToCompare = (2, 8)
    """Numbers M of modes in the networks' data; each >= 2."""
    turns: options.Count = 60
    """Number T of turns that the networks take; 4 or more."""
    steps: options.Count = 300
    """Number of steps of Adam for each answer."""
    opponents: options.Count = 8
    """Number of past players drawn for each step."""
    candidates: options.Count = 4
    """Number of generators trained in each turn, of which the best is kept."""
    batch: options.Count = 64
    """Number of reals in a step, and of fakes of each generator."""
    width: options.Count = 32
    """Number of units in each hidden layer of either network."""
    depth: options.Count = 2
    """Number of hidden layers of either network."""
    latent_size: options.Count = 4
    """Number of standard normal latents."""
    learning_rate: options.Rate = 5e-3
    """Learning rate of Adam, with beta1 0.5; it falls to 0 along a cosine in each answer."""
    std: options.Positive = 0.1
    """Standard deviation of a mode."""
    samples: options.Count = 512
    """Number of a generator's samples in its histogram; a multiple of 16."""
    exact_turns: options.Count = 10_000
    """Number of turns of the exact games; 20 or more."""
    seeds: options.Count = 8
    """Number of runs of the networks, with seeds 0, 1, ..."""


PRESETS = {
    "cpu": Config(),
    "paper": Config(turns=200, steps=1000, batch=256, width=128, seeds=20),
    "smoke": Config(
        modes=(2,),
        turns=4,
        steps=2,
        opponents=1,
        candidates=2,
        batch=8,
        width=8,
        depth=1,
        samples=16,
        exact_turns=20,
        seeds=2,
    ),
}

COLUMNS = {
    "changes": ("% moves", 0),
    "instantaneous": ("TV, turn", 3),
    "average": ("TV, average", 3),
    "told_apart": ("JS found", 3),
}


def check(config: Config) -> None:
    """Raises ValueError for a config that would fail after minutes."""
    if config.modes[0] < 2:
        raise ValueError(f"--modes must each be >= 2, got {config.modes}")
    if config.turns < 4:
        raise ValueError(f"--turns must be >= 4, got {config.turns}")
    if config.samples % JUDGED:
        raise ValueError(f"--samples must be a multiple of {JUDGED}, got {config.samples}")
    if config.exact_turns < 20:
        raise ValueError(f"--exact-turns must be >= 20, got {config.exact_turns}")


def exact_games(config: Config) -> dict[str, Any]:
    """Plays each game with each memory: atoms ``[T]``, JS told apart ``[T]``; and the gaps of fictitious play."""
    games = {}
    for name, p in GAMES.items():
        for memory, length in MEMORIES.items():
            weights = np.asarray(p, np.float32)
            atoms = theory.atom_play(weights, config.exact_turns, memory=length)
            told_apart = faced_exactly(atoms, weights, length)
            games[f"{name}, {memory}"] = {"atoms": atoms, "told_apart": told_apart}
    gaps = {
        name: theory.fictitious_play(jnp.asarray(matrix), config.exact_turns)[-1]
        for name, matrix in MATRICES.items()
    }
    return {"games": games, "gaps": gaps}


def networks(run: harness.Run) -> dict[str, Any]:
    """Trains all networks in one program: ``histograms`` ``[S, M, 2, T, K]``, ``told_apart`` ``[S, M, 2, T]``."""
    config = run.config
    setup = Turns(
        largest=config.modes[-1],
        turns=config.turns,
        steps=config.steps,
        opponents=config.opponents,
        candidates=config.candidates,
        batch=config.batch,
        width=config.width,
        depth=config.depth,
        latent_size=config.latent_size,
        learning_rate=config.learning_rate,
        std=config.std,
        samples=config.samples,
    )
    modes, memories = jnp.asarray(config.modes), jnp.asarray([1, config.turns + 1])

    def one(key: Key) -> dict[str, Array]:
        by_memory = jax.vmap(partial(play, setup=setup), (None, None, 0))
        return jax.vmap(by_memory, (None, 0, None))(key, modes, memories)

    keys = mg.spread_over_devices(harness.seed_keys(run.seeds))
    return jax.jit(map_runs(keys, one))(keys)


def rows_of(
    config: Config, exact: Mapping[str, Any], nets: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """Makes the table's rows: exact games, then networks."""
    rows = []
    for name, p in GAMES.items():
        for memory in MEMORIES:
            game = exact["games"][f"{name}, {memory}"]
            histograms = np.eye(len(p))[game["atoms"]][None]
            found = summary(histograms, np.asarray(game["told_apart"])[None], np.asarray(p))
            metrics = {key: np.repeat(value, config.seeds) for key, value in found.items()}
            rows.append(report.row(f"exact, {name}, {memory}", metrics, seconds=0.0))
    rows[0]["seconds"] = exact["seconds"]
    for index, modes in enumerate(config.modes):
        for place, memory in enumerate(("last", "average")):
            histograms = np.asarray(nets["histograms"])[:, index, place, :, :modes]
            told_apart = np.asarray(nets["told_apart"])[:, index, place]
            metrics = summary(histograms, told_apart, np.full(modes, 1 / modes))
            curves = {"histograms": histograms.tolist(), "told_apart": told_apart.tolist()}
            name = f"networks, {modes} modes, {memory}"
            rows.append(report.row(name, metrics, seconds=0.0, curves=curves, modes=modes))
    rows[-1]["seconds"] = nets["seconds"]
    return rows


def judge(
    config: Config, exact: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """Returns the verdict: what was claimed before the run against the results."""
    cycles = [np.asarray(exact["games"][f"{name}, last"]["atoms"]) for name in GAMES]
    periods = [np.all(a[2:] == a[:-2]) and np.all(a[1:] != a[:-1]) for a in cycles]
    got = f"{sum(periods)} of {len(periods)}"
    text = "exact: answering the last player cycles with period 2 in all games"
    verdict = [verdicts.claim(text, f"{len(periods)}", got, all(periods))]
    scaled = [float(gap) * config.exact_turns**0.5 for gap in exact["gaps"].values()]
    text = "fictitious play of " + " and of ".join(exact["gaps"]) + ": gap times sqrt t"
    got = ", ".join(f"{value:.2f}" for value in scaled)
    holds = all(GAP[0] <= value <= GAP[1] for value in scaled)
    verdict.append(verdicts.claim(text, f"in {list(GAP)}", got, holds))
    return [*verdict, *judge_rows(config, rows)]


def judge_rows(config: Config, rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Judges the claims that the table's rows decide."""
    by_name = {row["method"]: row for row in rows}
    worst = max(by_name[f"exact, {name}, average"]["average_mean"] for name in GAMES)
    text, bound = (
        "exact: answering the average, the average generator comes near the data",
        f"TV <= {EXACT_CLOSE:g}",
    )
    verdict = [verdicts.claim(text, bound, f"largest {worst:.4f}", worst <= EXACT_CLOSE)]
    for modes in config.modes:
        pair = [by_name[f"networks, {modes} modes, {memory}"] for memory in ("last", "average")]
        verdict += judge_networks(modes, *pair)
    return verdict


def judge_networks(
    modes: int, last: Mapping[str, Any], average: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """Judges the claims on networks for one number of modes."""
    least, close = 0.8 * (1 - 1 / modes), CLOSE * (1 - 1 / modes)
    leaves = [
        verdicts.of_mean(last, "changes", ">=", CHANGES),
        verdicts.of_mean(last, "instantaneous", ">=", least),
    ]
    ratio = average["told_apart_mean"] / max(last["told_apart_mean"], 1e-9)
    return [
        verdicts.claim(
            f"networks, {modes} modes: answering the last player, the generator sits on one mode and leaves it",
            f">= {CHANGES:g} % of turns, TV of one turn >= {least:.2f}",
            f"{last['changes_mean']:.0f} %, {last['instantaneous_mean']:.2f}",
            verdicts.all_of(leaves),
        ),
        verdicts.claim(
            f"networks, {modes} modes: answering the average, the average generator comes near the data",
            f"TV <= {close:.3f}",
            f"{average['average_mean']:.3f} (one turn {average['instantaneous_mean']:.2f}; answering the last "
            f"player, {last['average_mean']:.3f})",
            verdicts.of_mean(average, "average", "<=", close),
        ),
        verdicts.claim(
            f"networks, {modes} modes: the JS told apart falls where the average is answered",
            f"to {SETTLED:.2f} or less",
            f"{ratio:.2f}",
            verdicts.at_most_times(
                average["told_apart_by_seed"], SETTLED, last["told_apart_by_seed"]
            ),
        ),
    ]


def main(argv: list[str] | None = None) -> None:
    """Plays the exact games, trains the networks, reports."""
    run = harness.start("alternating_best_response", __doc__, PRESETS, argv, check)
    config = run.config
    with session(run):
        exact = harness.once(run, "exact", lambda: exact_games(config))
        nets = harness.once(run, "networks", lambda: networks(run))
        rows = rows_of(config, exact, nets)

        def draw() -> dict[str, Path]:
            picture = turns_figure.over_turns(turns_figure.blocks(GAMES, exact["games"], rows))
            return {"turns": report.save_figure(run, picture, "turns")}

        verdict = judge(config, exact, rows)
        results, figures = report.save_results(
            run, rows=rows, verdict=verdict, columns=COLUMNS, figures=draw
        )
    report.show(run, results, figures)


if __name__ == "__main__":
    main()
