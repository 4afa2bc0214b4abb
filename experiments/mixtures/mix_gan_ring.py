"""MIX+GAN on rings and grids of Gaussians: do mixtures cover more modes than one GAN, and than one larger GAN?

Claim: modes captured rise with the number of components k, and k = 5 beats both one GAN and one GAN with at least five
times the parameters by more than two standard errors (after Arora, Ge, Liang, Ma and Zhang 2017, arXiv 1703.00573).
Time: ring 3, grid 4 minutes on two CPU cores; paper and paper_grid want a GPU and have not been timed.

    python -m experiments mix_gan_ring                       8 modes on two CPU cores (make demo)
    python -m experiments mix_gan_ring --preset grid         25 modes
    python -m experiments mix_gan_ring --preset paper        PacGAN's networks, ring and number of steps, 10 seeds
    python -m experiments mix_gan_ring --preset paper_grid   the same on the grid

Protocol, departures and trials are in experiments/mixtures/README.md.
"""

import dataclasses
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import numpy as np

import mixgan_jax as mg
from experiments.common import harness, plane, report, verdicts
from experiments.common.plane import Method
from experiments.common.session import session


@dataclass(frozen=True)
class Config(plane.Config):
    """Everything a run depends on."""

    latin: bool = True
    """Whether the largest mixture is trained with Latin pairing too, on a larger batch of the same cost."""


def _with_latin(name: str) -> Config:
    return Config(**dataclasses.asdict(plane.PROTOCOLS[name]))


PRESETS = {
    "cpu": Config(components=(1, 2, 5), seeds=12, steps=5000, latin=False),
    **{name: _with_latin(name) for name in ("grid", "paper", "smoke", "paper_grid")},
}


def check(config: Config) -> None:
    """Raises ValueError for a config that would fail after hours."""
    if config.latin and latin_batch(config) < 1:
        k = max(config.components)
        raise ValueError(f"--batch must be larger for k = {k}, got {config.batch}")


def methods(config: Config) -> list[Method]:
    """Lists the rows: one GAN, one wide GAN, mixtures, and on demand the largest mixture with Latin pairing."""
    largest = max(config.components)
    found = [Method("GAN", 1), Method(f"GAN, {largest}x parameters", 1, wide=True)]
    found += [Method(f"MIX+GAN k={k}", k) for k in config.components if k > 1]
    if config.latin:
        name, batch = f"MIX+GAN k={largest}, Latin", latin_batch(config)
        found.append(Method(name, largest, pairing="latin", batch=batch))
    return found


def latin_batch(config: Config) -> int:
    """Returns the largest batch with which Latin pairing makes no more network evaluations a step than full pairing.

    Reals, fakes and fakes judged are 2 k + k^2 evaluations of a batch with full pairing, 3 k with Latin; alternating
    updates make and judge fakes twice.
    """
    k, twice = max(config.components), config.update == "alternating"
    full, latin = (2 * k + 3, 5) if twice else (k + 2, 3)
    return config.batch * full // latin // k * k


def judge(config: Config, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Returns the verdict: what was claimed before the run against the results."""
    gan, wide, *mixtures = rows[:-1] if config.latin else rows
    largest, counts = mixtures[-1], sorted({1, *config.components})
    rise = verdicts.trend([gan, *mixtures], np.log(counts), "modes")
    text = f"modes rise with k = {', '.join(map(str, counts))}"
    verdict = [verdicts.claim(text, "slope on log k above 0", *rise)]
    for single in (gan, wide):
        more = verdicts.contrast(largest, single, "modes")
        text = f"{largest['method']} captures more modes than {single['method']}"
        verdict.append(verdicts.claim(text, verdicts.ABOVE, *more))
    if config.latin:
        behind = verdicts.contrast(rows[-1], largest, "modes", ">=", -0.5)
        text = "Latin pairing, with no more network evaluations, is at most half a mode behind full pairing"
        verdict.append(verdicts.claim(text, "difference - 2 standard errors >= -0.5", *behind))
    return verdict


def draw(run: harness.Run, states: dict[str, mg.MixGanState], rows: list[dict[str, Any]]) -> dict:
    """Draws figures of seed 0: samples of every method, and the payoffs of the largest mixture."""
    config, key = run.config, jax.random.key(0)
    samples, captions = {}, {}
    for method, row in zip(methods(config), rows, strict=True):
        setup = plane.build(config, method)
        state = harness.seed(states[method.name], 0)
        shape = (method.components, 500, config.latent_size)
        drawn, _ = mg.generate(setup.generator, state.generators, jax.random.normal(key, shape))
        samples[method.name] = np.asarray(drawn)
        captions[method.name] = f"{report.cell(row, 'modes', 2)} modes"
        if method.components == max(config.components) and method.pairing == "full":
            matrix = plane.held_out(setup, key, state).mean(axis=0)
            path = run.folder / "payoffs.png"
            payoffs = report.payoff_figure(matrix, state.generators, state.discriminators, path)
    panels = mg.plots.plot_sample_panels(
        samples,
        log_prob=setup.feed.arrays.log_prob,
        centers=np.asarray(setup.feed.arrays.means),
        captions=captions,
    )
    return {"samples": report.save_figure(run, panels, "samples"), "payoffs": payoffs}


def main(argv: list[str] | None = None) -> None:
    """Trains every method, measures, reports."""
    run = harness.start("mix_gan_ring", __doc__, PRESETS, argv, check, by_train=True)
    rows, states = [], {}
    with session(run) as bar:
        for method in methods(run.config):
            row, states[method.name] = plane.measure(run, method, bar)
            rows.append(row)
        verdict, draws = judge(run.config, rows), partial(draw, run, states, rows)
        results, figures = report.save_results(
            run, rows=rows, verdict=verdict, columns=plane.COLUMNS, figures=draws
        )
    report.show(run, results, figures)


if __name__ == "__main__":
    main()
