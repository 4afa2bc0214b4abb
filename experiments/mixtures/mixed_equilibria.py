"""Mixed equilibria: do particles find them with moving positions alone, with moving weights alone, or with both?

Claim: on random games on the circle, players of uniform weight stall, weights over players that rest never settle, and
the two together reach the exact mixed equilibrium at an exponential rate (after Domingo-Enrich et al. 2020, arXiv
2002.06277). A barrier on the weights sets a floor; mirror-prox changes little where both move.
Time: 100 seconds on two idle CPU cores.

    python -m experiments mixed_equilibria   two CPU cores

Every rule is mix_gan: protocol, departures and trials are in experiments/mixtures/README.md.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import mixgan_jax as mg
from experiments.common import harness, options, report, verdicts
from experiments.common.session import session
from experiments.mixtures import mixed_equilibria_figures as figures
from experiments.mixtures.particle_play import BARRIER, BASIC, RULES, Plan, decay, play_all

POINTS = 100  # on a curve


@dataclass(frozen=True)
class Config:
    """Everything a run depends on."""

    particles: options.Sizes = (5, 20, 80)
    """Numbers of particles of either side."""
    all_rules_up_to: options.Count = 20
    """Largest number of particles that plays all rules; larger ones play the first four."""
    seeds: options.Count = 8
    """Number of games, with seeds 0, 1, ..."""
    frequencies: options.Count = 3
    """Largest frequency of a game."""
    step_size: options.Positive = 0.02
    """Step size of exponentiated gradient."""
    ratio: options.Positive = 0.02
    """Step size of positions, as a share of that of weights."""
    steps: options.Count = 10_000
    """Number of steps, a multiple of 100."""


PRESETS = {
    "cpu": Config(),
    "smoke": Config(particles=(2, 3), all_rules_up_to=2, seeds=2, steps=100),
}

COLUMNS = {
    "start": ("log10 start", 2),
    "early": ("1/100", 2),
    "middle": ("1/10", 2),
    "last": ("end", 2),
}


def check(config: Config) -> None:
    """Raises ValueError for a config that would fail after minutes."""
    if config.steps % POINTS:
        raise ValueError(f"--steps must be a multiple of {POINTS}, got {config.steps}")
    if len(config.particles) < 2 or config.particles[0] > config.all_rules_up_to:
        raise ValueError(
            f"--particles must be two numbers or more, the first up to all_rules_up_to = "
            f"{config.all_rules_up_to}, got {config.particles}"
        )


def names_of(config: Config, particles: int) -> Sequence[str]:
    """Returns the rules that a number of particles plays."""
    return tuple(RULES) if particles <= config.all_rules_up_to else BASIC


def rows_of(config: Config, parts: Mapping[int, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Lists the table's rows: by number of particles, by rule; errors are log10."""
    rows = []
    for particles, part in parts.items():
        for place, name in enumerate(names_of(config, particles)):
            curves = np.array(part[name])
            logs = np.log10(curves)
            points = {"start": 0, "early": POINTS // 100, "middle": POINTS // 10, "last": POINTS}
            metrics = {column: logs[:, point] for column, point in points.items()}
            fits = [decay(curve, config.steps // POINTS) for curve in curves]
            rows.append(
                report.row(
                    f"{particles}: {name}",
                    metrics,
                    seconds=0.0 if place else part["seconds"],
                    fits={key: [fit[key] for fit in fits] for key in fits[0]},
                )
            )
    return rows


def judge(config: Config, rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Returns the verdict: what was claimed before the run against the results."""
    by_name = {row["method"]: row for row in rows}
    few, *more = config.particles
    verdict = []
    for particles in more:
        verdict += _of_size(by_name, particles)
    compared = [size for size in config.particles if size <= config.all_rules_up_to][-1]
    return [*verdict, *_of_rules(by_name, compared), _enough(by_name, few, more[0])]


def _of_size(by_name: Mapping[str, Any], particles: int) -> list[dict[str, Any]]:
    own, halves = by_name[f"{particles}: both"], []
    verdict = []
    for name in ("positions only", "weights only"):
        half = by_name[f"{particles}: {name}"]
        halves.append(half)
        outcome = verdicts.of_mean(half, "last", ">", -1.0)
        verdict.append(
            verdicts.claim(
                f"{name}, {particles} particles: the error stays above 0.1",
                "mean log10 above -1 by 2 standard errors",
                report.cell(half, "last", 2),
                outcome,
            )
        )
    least = np.min([half["last_by_seed"] for half in halves], axis=0)
    below = np.array(own["last_by_seed"]) < least
    got = f"{below.sum()} of {len(below)} games; worst log10 {max(own['last_by_seed']):.2f}"
    claim = f"both, {particles} particles: a smaller error than either half, in every game"
    verdict.append(verdicts.claim(claim, "all games", got, bool(below.all())))
    rate, error = verdicts.mean_and_error(own["fits"]["rate"])
    got = f"{rate:.2f} decades, standard error {error or 0:.2f}; by game " + ", ".join(
        f"{each:.1f}" for each in own["fits"]["rate"]
    )
    claim = f"both, {particles} particles: the error falls at an exponential rate"
    expected = "decades per 1,000 steps above 0 by 2 standard errors"
    verdict.append(verdicts.claim(claim, expected, got, verdicts.decide(rate, error, ">", 0.0)))
    pairs = zip(own["fits"]["exponential"], own["fits"]["power"], strict=True)
    gain, error = verdicts.mean_and_error([a - b for a, b in pairs])
    got = f"difference of residuals {gain:.3f} decades, standard error {error or 0:.3f}"
    claim = f"both, {particles} particles: an exponential fits better than a power law"
    verdict.append(
        verdicts.claim(claim, verdicts.BELOW, got, verdicts.decide(gain, error, "<", 0.0))
    )
    floor = by_name[f"{particles}: both, barrier {BARRIER:g}"]
    claim = f"barrier {BARRIER:g}, {particles} particles: the error stays above 0.01"
    outcome = verdicts.of_mean(floor, "last", ">", -2.0)
    got = report.cell(floor, "last", 2)
    expected = "mean log10 above -2 by 2 standard errors"
    return [*verdict, verdicts.claim(claim, expected, got, outcome)]


def _of_rules(by_name: Mapping[str, Any], particles: int) -> list[dict[str, Any]]:
    """Judges mirror-prox and the factor of a component's gradient."""
    found = {name: by_name[f"{particles}: {name}"] for name in RULES}
    ahead = (found["weights only, mirror-prox"], found["weights only"])
    text, outcome = verdicts.contrast(*ahead, "last", "<", by_seed=True)
    claim = f"weights only, {particles} particles: a smaller error with mirror-prox than without"
    verdict = [verdicts.claim(claim, verdicts.BELOW, text, outcome)]
    rates = (found["both, mirror-prox"]["fits"]["rate"], found["both"]["fits"]["rate"])
    gain, error = verdicts.mean_and_error([a - b for a, b in zip(*rates, strict=True)])
    claim = f"both, {particles} particles: mirror-prox changes the rate by less than 1 decade"
    got = f"difference {gain:.2f} decades per 1,000 steps, standard error {error or 0:.2f}"
    outcome = verdicts.within(gain, error, -1.0, 1.0)
    verdict.append(verdicts.claim(claim, "within 1, 2 standard errors included", got, outcome))
    pair = (found["both"], found["both, factor K p"])
    text, outcome = verdicts.contrast(*pair, "last", "<", by_seed=True)
    worst = [max(row["last_by_seed"]) for row in pair]
    text += f"; worst games {worst[0]:.2f} and {worst[1]:.2f}"
    claim = f"both, {particles} particles: a smaller error with factor 1 than with factor K p"
    return [*verdict, verdicts.claim(claim, verdicts.BELOW, text, outcome)]


def _enough(by_name: Mapping[str, Any], few: int, more: int) -> dict[str, Any]:
    rows = (by_name[f"{more}: both"], by_name[f"{few}: both"])
    text, outcome = verdicts.contrast(*rows, "last", "<", by_seed=True)
    claim = f"both: a smaller error with {more} particles than with {few}"
    return verdicts.claim(claim, verdicts.BELOW, text, outcome)


def main(argv: list[str] | None = None) -> None:
    """Plays all games by all rules, reports."""
    run = harness.start("mixed_equilibria", __doc__, PRESETS, argv, check)
    config = run.config
    with session(run):
        keys = mg.spread_over_devices(harness.seed_keys(run.seeds))
        plan = Plan(config.frequencies, config.step_size, config.ratio, config.steps, POINTS)
        parts = {
            size: harness.once(
                run,
                f"{size} particles",
                partial(play_all, keys, plan, size, names_of(config, size)),
            )
            for size in config.particles
        }
        rows = rows_of(config, parts)

        def draw() -> dict[str, Path]:
            shown = config.particles[len(config.particles) // 2]
            pictures = {
                "error": figures.three_curves(parts[shown], config.steps, shown),
                "rules": figures.all_rules(parts, config.steps),
            }
            return {name: report.save_figure(run, own, name) for name, own in pictures.items()}

        results, paths = report.save_results(
            run, rows=rows, verdict=judge(config, rows), columns=COLUMNS, figures=draw
        )
    report.show(run, results, paths)


if __name__ == "__main__":
    main()
