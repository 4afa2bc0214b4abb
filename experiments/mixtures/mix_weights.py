"""Weight rules: which one should move a mixture's weights, in games that stand still, that drift, and in MIX+GAN?

Claim: optimistic exponentiated gradient (EG) has the smallest last-iterate NashConv on fixed games and the smallest
mean NashConv on drifting ones; regret matching+ is better where the players move in turns than where they move at once;
inside MIX+GAN (Arora et al. 2017, arXiv 1703.00573) with the usual barrier, optimistic EG is not worse than EG; and the
barrier spreads the weights.
Time: 7 minutes on two CPU cores; paper wants a GPU and has not been timed.

    python -m experiments mix_weights                  two CPU cores
    python -m experiments mix_weights --preset paper   more games, longer, 20 seeds

Protocol, departures and trials are in experiments/mixtures/README.md.
"""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import mixgan_jax as mg
from experiments.common import harness, options, report, verdicts
from experiments.common.session import session
from experiments.mixtures import mix_weights_figures, weight_ring
from experiments.mixtures.weight_laboratory import (
    BARRIERS,
    MEASURES,
    Laboratory,
    Plan,
    as_columns,
    play_size,
)
from experiments.mixtures.weight_rules import RULES

USUAL = 0.1  # the barrier of the released code


@dataclass(frozen=True)
class Config:
    """Everything a run depends on."""

    sizes: options.Components = (3, 5, 10)
    """Numbers of strategies of either side."""
    games: options.Count = 4
    """Number of games of each size and kind in a seed; as many others are for tuning."""
    seeds: options.Count = 8
    """Number of seeds: 0, 1, ..."""
    steps: options.Count = 2000
    """Number of moves of each side; a multiple of points."""
    points: options.Count = 50
    """Number of points on the curves."""
    period: options.Positive = 1000.0
    """Period of the fastest possible wave of a drifting game, in steps."""
    components: options.Count = 5
    """Number k of MIX+GAN's components."""
    training: options.Count = 2000
    """Number of steps of MIX+GAN; a multiple of its 10 checkpoints."""
    batch: options.Count = 60
    """Number of reals in a step of MIX+GAN; a multiple of k."""
    width: options.Count = 32
    """Number of units in each of the two hidden layers of MIX+GAN's networks."""
    learning_rate: options.Rate = 1e-3
    """Learning rate of the Adam that trains MIX+GAN's components, with beta1 0.5."""


PRESETS = {
    "cpu": Config(),
    "paper": Config(
        sizes=(3, 5, 10, 30), games=16, seeds=20, steps=10_000, training=20_000, width=128
    ),
    "smoke": Config(
        sizes=(2,),
        games=1,
        seeds=2,
        steps=20,
        points=5,
        training=10,
        batch=6,
        width=4,
        components=2,
    ),
}

COLUMNS = {
    "last": ("last NashConv", 4),
    "average": ("mean NashConv", 4),
    "regret": ("regret", 3),
    "effective": ("eff. k", 2),
}


def check(config: Config) -> None:
    """Raises ValueError for a config that would fail after minutes."""
    for name, value, part in (
        ("steps", config.steps, config.points),
        ("training", config.training, weight_ring.CHECKPOINTS),
        ("batch", config.batch, config.components),
    ):
        if value % part:
            raise ValueError(f"--{name} must be a multiple of {part}, got {value}")


def rows_of(
    config: Config, laboratory: Laboratory, ring: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """Lists the table's rows: fixed games, drifting ones without and with the usual barrier, MIX+GAN with it."""
    rows = []
    for kind, barrier in (("fixed", 0.0), ("drifting", 0.0), ("drifting", USUAL)):
        name = f"drift {barrier:g}" if barrier else {"fixed": "fixed", "drifting": "drift"}[kind]
        for index, rule in enumerate(RULES):
            found = laboratory.measures(kind, index, barrier)
            rows.append(_row(f"{name}: {rule}", found, seconds=0.0))
        if not barrier:
            exact = {key: laboratory.oracle(kind, key) for key in MEASURES}
            rows.append(_row(f"{name}: LP oracle", as_columns(kind, exact), seconds=0.0))
    rows[0]["seconds"] = sum(part["seconds"] for part in laboratory.parts)
    for index, rule in enumerate(RULES):
        rows.append(_row(f"MIX+GAN: {rule}", ring_measures(ring, index, USUAL), seconds=0.0))
    rows.append(_row("MIX+GAN: LP oracle", ring["oracle"], seconds=ring["seconds"]))
    return rows


def _row(name: str, found: Mapping[str, Any], seconds: float) -> dict[str, Any]:
    metrics = {column: found[column] for column in COLUMNS}
    return report.row(name, metrics, rate=found.get("rate"), seconds=seconds)


def ring_measures(ring: Mapping[str, Any], rule: int, barrier: float) -> dict[str, Any]:
    """Returns MIX+GAN's measures ``[S]`` with one rule and barrier, and the step size."""
    place = rule * len(BARRIERS) + BARRIERS.index(barrier)
    found = {name: np.array(ring[name])[:, place] for name in (*COLUMNS, "modes")}
    return {**found, "rate": ring["rate"][place]}


def judge(
    laboratory: Laboratory, ring: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """Returns the verdict: what was claimed before the run against the results, and a recommendation."""
    at_once = [
        _row(rule, laboratory.measures("fixed", index, 0.0, in_turns=False), 0.0)
        for index, rule in enumerate(RULES)
    ]
    by_name = {row["method"]: row for row in rows}
    groups = {
        "fixed games at once": (at_once, "last"),
        "fixed games": (_group(rows, "fixed: "), "last"),
        "drifting games": (_group(rows, "drift: "), "average"),
        f"drifting games, barrier {USUAL:g}": (
            _group(rows, f"drift {USUAL:g}: "),
            "average",
        ),
        "MIX+GAN": (_group(rows, "MIX+GAN: "), "average"),
    }
    verdict = [_smallest("optimistic EG", *groups[name], name) for name in list(groups)[:3]]
    matching = by_name["fixed: RM+"], at_once[list(RULES).index("RM+")]
    for metric in ("last", "average"):
        text, holds = verdicts.contrast(*matching, metric, "<=", by_seed=True, digits=4)
        claim = f"RM+ on fixed games: smaller NashConv, {metric}, in turns than at once"
        verdict.append(verdicts.claim(claim, "by seed, 2 standard errors", text, holds))
    text, holds = verdicts.contrast(
        *(by_name[f"MIX+GAN: {rule}"] for rule in ("optimistic EG", "EG")),
        "average",
        "<=",
        0.02,
        by_seed=True,
        digits=3,
    )
    claim = "in MIX+GAN the NashConv of optimistic EG exceeds that of EG by at most 0.02"
    verdict.append(verdicts.claim(claim, "by seed, 2 standard errors included", text, holds))
    runs = [ring_measures(ring, 0, barrier) for barrier in BARRIERS]
    spread = [report.row("", {"effective": run["effective"]}) for run in runs]
    rates = ", ".join(f"{run['rate']:g}" for run in runs)
    got, outcome = verdicts.trend(spread, range(len(runs)), "effective")
    got += f", at step sizes {rates}"
    claim = "in MIX+GAN with EG the effective number of components rises with the barrier"
    claim += f", {BARRIERS}"
    verdict.append(verdicts.claim(claim, "slope on the barrier's rank above 0", got, outcome))
    return [*verdict, _recommendation(groups), _combination(laboratory, ring)]


def _group(rows: Sequence[Mapping[str, Any]], prefix: str) -> list[Mapping[str, Any]]:
    """Returns the rows of the six rules in one kind of game, by the rule's name."""
    found = [row for row in rows if row["method"].startswith(prefix)]
    return [
        {**row, "method": row["method"].removeprefix(prefix)}
        for row in found
        if "LP" not in row["method"]
    ]


def _smallest(
    name: str, rows: Sequence[Mapping[str, Any]], metric: str, where: str
) -> dict[str, Any]:
    own = next(row for row in rows if row["method"] == name)
    others = [row for row in rows if row is not own]
    outcome = verdicts.all_of(
        verdicts.contrast(own, row, metric, "<=", by_seed=True)[1] for row in others
    )
    best = min(others, key=lambda row: row[f"{metric}_mean"])
    got = (
        f"{report.cell(own, metric, 4)}; the next, {best['method']}: {report.cell(best, metric, 4)}"
    )
    text = f"{where}: {name} has a smaller NashConv, {metric}, than any other rule"
    return verdicts.claim(text, "by seed, 2 standard errors", got, outcome)


def _recommendation(
    groups: Mapping[str, tuple[Sequence[Mapping[str, Any]], str]],
) -> dict[str, Any]:
    """Recommends the rules that are nowhere worse than the best, if there are any."""
    good = {where: _not_worse(rows, metric) for where, (rows, metric) in groups.items()}
    everywhere = [rule for rule in RULES if all(rule in rules for rules in good.values())]
    got = "; ".join(f"{where}: {', '.join(rules)}" for where, rules in good.items())
    text = "recommendation: one rule is everywhere the best or within two standard errors of it"
    return verdicts.claim(
        text, "a rule", f"{', '.join(everywhere) or 'none'} ({got})", bool(everywhere)
    )


def _not_worse(rows: Sequence[Mapping[str, Any]], metric: str) -> list[str]:
    """Returns the row of smallest mean, and the rows that it does not beat by two standard errors.

    A row whose mean is more than twice the smallest is left out: if it fails by much on few seeds, its large standard
    error would excuse it otherwise.
    """
    mean = f"{metric}_mean"
    best = min(rows, key=lambda row: row[mean])
    near = [row for row in rows if row[mean] <= 2.0 * best[mean]]
    return [
        row["method"]
        for row in near
        if row is best or verdicts.contrast(best, row, metric, "<=", by_seed=True)[1] != "holds"
    ]


def _combination(laboratory: Laboratory, ring: Mapping[str, Any]) -> dict[str, Any]:
    """Judges which pairs of rule and barrier are good both on drifting games and in MIX+GAN."""
    games, mixtures = [], []
    for (index, rule), barrier in itertools.product(enumerate(RULES), BARRIERS):
        name = f"{rule} with {barrier:g}"
        games.append(_row(name, laboratory.measures("drifting", index, barrier), 0.0))
        mixtures.append(_row(name, ring_measures(ring, index, barrier), 0.0))
    good = [_not_worse(rows, "average") for rows in (games, mixtures)]
    both = [name for name in good[0] if name in good[1]]
    got = f"{', '.join(both) or 'none'} (drifting games: {', '.join(good[0])}; MIX+GAN: {', '.join(good[1])})"
    text = "recommendation: a rule with its barrier is so on drifting games and in MIX+GAN"
    return verdicts.claim(text, "a rule and a barrier", got, bool(both))


def main(argv: list[str] | None = None) -> None:
    """Plays all games, trains all mixtures, reports."""
    run = harness.start("mix_weights", __doc__, PRESETS, argv, check)
    config = run.config
    with session(run):
        keys = mg.spread_over_devices(harness.seed_keys(run.seeds))
        plan = Plan(config.games, config.period, config.steps, config.points)
        play = partial(play_size, keys, plan)
        parts = [harness.once(run, f"size {n}", partial(play, n)) for n in config.sizes]
        laboratory = Laboratory(parts)
        setup = weight_ring.Ring(
            config.components, config.training, config.batch, config.width, config.learning_rate
        )
        ring = harness.once(
            run, "MIX+GAN", partial(weight_ring.sweep, keys, setup, laboratory, USUAL)
        )
        rows = rows_of(config, laboratory, ring)

        def draw() -> dict[str, Path]:
            curves = mix_weights_figures.curves(laboratory, config.steps, USUAL)
            barriers = mix_weights_figures.barriers(laboratory, ring)
            pictures = [(curves, "nash_conv"), (barriers, "barriers")]
            return {name: report.save_figure(run, own, name) for own, name in pictures}

        verdict = judge(laboratory, ring, rows)
        results, paths = report.save_results(
            run, rows=rows, verdict=verdict, columns=COLUMNS, figures=draw
        )
    report.show(run, results, paths)


if __name__ == "__main__":
    main()
