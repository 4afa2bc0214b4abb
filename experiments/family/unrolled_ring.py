"""Unrolled GAN on a ring: how far should generators look ahead, and how long may a discriminator's steps be then?

Claim: where discriminators learn at a tenth of the generators' rate, unrolling by 5 or more finds more modes than a
GAN, by more than two standard errors. Where they learn as fast as the generators, unrolling by 5 finds fewer modes than
where they are slow, and fewer than a GAN there (after Metz, Poole, Pfau and Sohl-Dickstein 2016, arXiv 1611.02163).
Time: 14 minutes on two CPU cores, large_batch 10; paper wants a GPU and has not been timed.

    python -m experiments unrolled_ring                        on two CPU cores
    python -m experiments unrolled_ring --preset large_batch   batches of the authors' demonstration, 3,000 steps
    python -m experiments unrolled_ring --preset paper         its batches, latents and steps

Protocol, departures and trials are in experiments/family/README.md.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import optax

import mixgan_jax as mg
from experiments.common import harness, options, plane, report, verdicts
from experiments.common.session import session
from experiments.common.setup import Setup
from mixgan_jax.data import feed_from_distribution, ring
from mixgan_jax.networks import MLP
from mixgan_jax.plots import drawing

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Config(options.Training):
    """Everything a run depends on."""

    depths: options.SizesReachingFive = (1, 5, 10)
    """Numbers of virtual turns of the discriminator; depth 0, a GAN's alternating play, is run too."""
    slow_rate: options.Rate = 1e-4
    """Learning rate of the discriminators' Adam, in the rows with slow ones."""
    fast_rate: options.Rate = 1e-3
    """Learning rate of the discriminators' Adam, in the rows with fast ones."""
    generator_rate: options.Rate = 1e-3
    """Learning rate of the generators' Adam."""
    batch: options.Count = 128
    """Number of reals in a step, and of fakes."""
    width: options.Count = 128
    """Number of units in each of the two hidden layers of either network."""
    steps: options.Count = 5000
    seeds: options.Count = 6
    log_every: options.Count = 250


PRESETS = {
    "cpu": Config(),
    "large_batch": Config(depths=(5,), batch=512, steps=3000),
    "paper": Config(batch=512, latent_size=256, steps=25_000, seeds=20, log_every=500),
    "smoke": Config(depths=(5,), batch=8, width=8, steps=20, seeds=2, log_every=10),
}

COLUMNS = {
    "modes": ("modes", 2),
    "high_quality": ("HQ %", 1),
    "reverse_kl": ("reverse KL", 3),
    "step_ms": ("ms/step", 2),
}
DEEP = 5  # the least depth that is claimed to help
PANELS = {"modes": "modes", "reverse_kl": "reverse KL (nats)"}


def check(config: Config) -> None:
    """Raises ValueError for a config that would fail after minutes."""
    options.check_timed(config)


class Method(NamedTuple):
    """One row of the table.

    Attributes:
        speed: the discriminators' speed, ``slow`` or ``fast``.
        rate: the discriminators' learning rate.
        depth: number of virtual turns.
    """

    speed: str
    rate: float
    depth: int

    @property
    def name(self) -> str:
        """The row's name."""
        return f"{self.speed} D, depth {self.depth}"


def methods(config: Config) -> list[Method]:
    """Lists the rows: all depths against slow discriminators, then against fast ones."""
    speeds = {"slow": config.slow_rate, "fast": config.fast_rate}
    return [Method(*speed, depth) for speed in speeds.items() for depth in (0, *config.depths)]


def build(config: Config, method: Method) -> Setup:
    """Builds players, loss, optimisers and data of a row."""
    hidden = (config.width, config.width)
    generator, discriminator = map(mg.from_linen, (MLP(hidden, outputs=2), MLP(hidden)))
    loss = mg.losses.minimax()
    solver = mg.unrolled_gan(
        generator,
        discriminator,
        loss,
        depth=method.depth,
        latent_size=config.latent_size,
        generator_tx=optax.adam(config.generator_rate, b1=config.beta1),
        discriminator_tx=optax.adam(method.rate, b1=config.beta1),
    )
    feed = feed_from_distribution(ring(8), config.batch)
    return Setup(generator, discriminator, solver, feed, loss, config.latent_size)


def measure(run: harness.Run, method: Method, bar: harness.ProgressBar) -> dict[str, Any]:
    """Trains all seeds of a row at once; returns the table's row."""
    setup = build(run.config, method)
    look = partial(plane.evaluate, setup)
    state, seconds = harness.train(run, method.name, setup, bar, look)
    metrics = harness.evaluate_seeds(run, look, state)
    entries = {**method._asdict(), "seconds": seconds}
    once = report.measured_once(step_ms=harness.step_milliseconds(run, method.name))
    return report.row(method.name, metrics, **entries, **once)


def judge(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Returns the verdict: what was claimed before the run against the results."""
    by_name = {row["method"]: row for row in rows}
    deep = sorted({row["depth"] for row in rows if row["depth"] >= DEEP})
    pairs = [(f"slow D, depth {depth}", "slow D, depth 0") for depth in deep]
    pairs.append((f"slow D, depth {deep[0]}", f"fast D, depth {deep[0]}"))
    pairs.append(("fast D, depth 0", f"fast D, depth {deep[0]}"))
    verdict = []
    for more, fewer in pairs:
        got, holds = verdicts.contrast(by_name[more], by_name[fewer], "modes")
        text = f"more modes: {more} than {fewer}"
        verdict.append(verdicts.claim(text, verdicts.ABOVE, got, holds))
    return verdict


@drawing.styled
def over_depth(rows: Sequence[Mapping[str, Any]]) -> "Figure":
    """Draws modes and reverse KL, mean ± standard error, over the depth, for slow and for fast discriminators."""
    figure = drawing.new_figure(6.4, 2.8)
    panels = figure.subplots(1, len(PANELS))
    for axes, (metric, label) in zip(panels, PANELS.items(), strict=True):
        for index, speed in enumerate(("slow", "fast")):
            own = [row for row in rows if row["speed"] == speed]
            axes.errorbar(
                [row["depth"] for row in own],
                [row[f"{metric}_mean"] for row in own],
                [row[f"{metric}_stderr"] or 0.0 for row in own],
                marker=drawing.MARKERS[index],
                color=drawing.COLOURS[index],
                capsize=3,
                label=f"discriminators at {own[0]['rate']:g}",
            )
        axes.set(xlabel="depth of unrolling", ylabel=label)
        axes.set_xticks([row["depth"] for row in own])
    panels[0].axhline(8, color="0.3", ls=":", lw=1.0, label="all modes")
    for axes in panels:
        axes.set_ylim(bottom=0)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3)
    return figure


def main(argv: list[str] | None = None) -> None:
    """Trains at every depth, measures, reports."""
    run = harness.start("unrolled_ring", __doc__, PRESETS, argv, check, by_train=True)
    with session(run) as bar:
        rows = [measure(run, method, bar) for method in methods(run.config)]
        results, figures = report.save_results(
            run,
            rows=rows,
            verdict=judge(rows),
            columns=COLUMNS,
            figures=lambda: {"depth": report.save_figure(run, over_depth(rows), "depth")},
        )
    report.show(run, results, figures)


if __name__ == "__main__":
    main()
