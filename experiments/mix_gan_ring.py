"""MIX+GAN on rings and grids of Gaussians: do mixtures cover more modes than one GAN, and than one larger GAN?

Paper: Arora, Ge, Liang, Ma and Zhang 2017, arXiv 1703.00573 (MIX+GAN); the benchmark and its measures are those of
VEEGAN and PacGAN (Lin et al. 2018, arXiv 1712.04086). Claim: modes captured rise with the number of components k, and
k = 5 beats both a single GAN and a single GAN with five times the parameters by more than two standard errors.

    python -m experiments.mix_gan_ring                       8 modes on two CPU cores (make demo)
    python -m experiments.mix_gan_ring --preset grid         25 modes
    python -m experiments.mix_gan_ring --preset paper        PacGAN's networks, ring and steps, 10 seeds; wants a GPU
    python -m experiments.mix_gan_ring --preset paper_grid   the same on the grid

Protocol, fixed before the runs: seeds are the first ones, all trained at once in one compiled program; the last iterate
is measured, on samples and real data that training has not seen; no seed and no checkpoint is chosen. The Latin row
spends as many network evaluations a step as the full pairing above it. Reference from elsewhere: PacGAN's table gives
one GAN with its networks 6.3 +- 0.5 of 8 and 17.3 +- 0.8 of 25 modes.
"""

import dataclasses
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, NamedTuple

import jax
import numpy as np
import optax

import mixgan_jax as mg
from experiments import harness, report
from mixgan_jax.data import GaussianMixture, feed_from_distribution, grid, ring
from mixgan_jax.metrics import component_coverage, mode_coverage
from mixgan_jax.networks import MLP, maxout, pacgan_discriminator, pacgan_generator
from mixgan_jax.payoff import Pairing
from mixgan_jax.types import Array, Key


@dataclass(frozen=True)
class Config:
    """Everything a run depends on."""

    target: Literal["ring", "grid"] = "ring"
    """8 Gaussians on a ring, or 25 on the grid {-4, -2, 0, 2, 4}^2."""
    radius: float = 2.0
    """Of the ring."""
    std: float = 0.02
    """Of each Gaussian."""
    components: tuple[int, ...] = (1, 2, 3, 5)
    """Numbers of generators, and of discriminators, from 1 up."""
    seeds: int = 4
    """Runs of each method, seeds 0, 1, ..."""
    steps: int = 10_000
    """Updates of either side."""
    batch: int = 128
    """Reals in a step, and fakes of each generator."""
    latin_batch: int = 300
    """The same for the Latin row: as many network evaluations a step as the full pairing."""
    latent_size: int = 16
    """Standard normal latents."""
    width: int = 64
    """Of the two hidden layers of either network."""
    wide: int = 143
    """The same for one GAN with as many parameters as the largest mixture."""
    pacgan_networks: bool = False
    """PacGAN's networks instead: batch norm in the generator, maxout in the discriminator."""
    learning_rate: float = 1e-3
    """Of Adam, both sides."""
    beta1: float = 0.5
    """Of Adam."""
    update: Literal["alternating", "simultaneous"] = "alternating"
    """Whether generators answer updated discriminators."""
    weight_rate: float = 1e-3
    """Step size of exponentiated gradient."""
    weight_barrier: float = 0.1
    """Coefficient of -(1/k) sum log w."""
    log_every: int = 500
    """Steps between entries of the log."""


PRESETS = {
    "cpu": Config(),
    "grid": Config(target="grid", std=0.05, steps=20_000),
    "paper": Config(
        radius=1.0,
        std=0.01,
        seeds=10,
        steps=400_000,
        batch=100,
        latin_batch=235,
        latent_size=2,
        pacgan_networks=True,
        learning_rate=1e-4,
        beta1=0.8,
        update="simultaneous",
        log_every=2000,
    ),
    "smoke": Config(components=(1, 3), seeds=2, steps=40, batch=24, latin_batch=30, log_every=20),
}
PRESETS["paper_grid"] = dataclasses.replace(PRESETS["paper"], target="grid", std=0.05)

COLUMNS = {
    "modes": ("modes", 2),
    "high_quality": ("high quality %", 1),
    "reverse_kl": ("reverse KL", 3),
    "nash_conv": ("NashConv", 4),
    "effective_components": ("eff. components", 2),
    "overlap": ("overlap", 2),
}


class Method(NamedTuple):
    """One row of the table."""

    name: str
    components: int
    wide: bool = False
    pairing: Pairing = "full"


def methods(config: Config) -> list[Method]:
    """The rows: one GAN, one wide GAN, mixtures, and the largest mixture with Latin pairing."""
    largest = max(config.components)
    mixtures = [Method(f"MIX+GAN k={k}", k) for k in config.components if k > 1]
    latin = Method(f"MIX+GAN k={largest}, Latin", largest, pairing="latin")
    return [Method("GAN", 1), Method(f"GAN, {largest}x parameters", 1, wide=True), *mixtures, latin]


class Build(NamedTuple):
    """What a method trains with."""

    generator: mg.Player
    discriminator: mg.Player
    solver: mg.Solver
    feed: mg.Feed
    target: GaussianMixture


def build(config: Config, method: Method) -> Build:
    """Players, loss, optimisers and data of a method."""
    ring_or_grid = (
        ring(8, config.radius, config.std) if config.target == "ring" else grid(5, 2.0, config.std)
    )
    generator, discriminator = players(config, method.wide)
    tx = optax.adam(config.learning_rate, b1=config.beta1)
    solver = mg.mix_gan(
        generator,
        discriminator,
        mg.losses.non_saturating(),
        num_generators=method.components,
        num_discriminators=method.components,
        latent_size=config.latent_size,
        generator_tx=tx,
        discriminator_tx=tx,
        weight_tx=mg.exponentiated_gradient(config.weight_rate),
        weight_barrier=config.weight_barrier,
        pairing=method.pairing,
        update=config.update,
    )
    batch = config.latin_batch if method.pairing == "latin" else config.batch
    feed = feed_from_distribution(ring_or_grid, batch)
    return Build(generator, discriminator, solver, feed, ring_or_grid)


def players(config: Config, wide: bool) -> tuple[mg.Player, mg.Player]:
    """Generator and discriminator, plain or with as many parameters as the largest mixture."""
    if config.pacgan_networks:
        generator, discriminator = pacgan_generator(), pacgan_discriminator()
        if wide:
            generator = generator.clone(features=(897,) * 4)
            discriminator = discriminator.clone(features=(449,) * 3, activation=maxout(5))
    else:
        hidden = (config.wide if wide else config.width,) * 2
        generator, discriminator = MLP(hidden, outputs=2), MLP(hidden)
    return mg.from_linen(generator), mg.from_linen(discriminator)


def evaluate(setup: Build, latent_size: int, key: Key, state: mg.MixGanState) -> dict[str, Array]:
    """The table's measures of one run, on 2,500 samples of the mixture and 5,000 new reals."""
    keys = jax.random.split(key, 5)
    latents = jax.random.normal(keys[0], (2500, latent_size))
    samples, _ = mg.sample(keys[1], setup.generator, state.generators, latents)
    coverage = mode_coverage(samples, setup.target.means, setup.target.std)
    shape = (state.generators.num_components, 1000, latent_size)
    by_component, _ = mg.generate(
        setup.generator, state.generators, jax.random.normal(keys[2], shape)
    )
    overlap = component_coverage(by_component, setup.target.means, setup.target.std)["overlap"]
    values = held_out(setup, latent_size, keys[3], state).mean(axis=0)
    weights = (state.generators.weights, state.discriminators.weights)
    return {
        "modes": coverage["modes"],
        "high_quality": 100.0 * coverage["high_quality"],
        "reverse_kl": coverage["reverse_kl"],
        "nash_conv": mg.nash_conv(mg.zero_sum(values), *weights),
        "effective_components": mg.effective_components(state.generators.log_weights),
        "overlap": overlap,
    }


def held_out(setup: Build, latent_size: int, key: Key, state: mg.MixGanState) -> Array:
    """Payoff matrices ``[10, I, J]`` on new data."""
    real_key, key = jax.random.split(key)
    reals = setup.target.sample(real_key, 5000).reshape(10, 500, 2)
    return mg.held_out_values(
        key,
        setup.generator,
        setup.discriminator,
        state.generators,
        state.discriminators,
        mg.losses.non_saturating(),
        reals,
        latent_size=latent_size,
    )


def train(
    run: harness.Run, method: Method, bar: harness.ProgressBar
) -> tuple[dict[str, Any], mg.MixGanState]:
    """Trains all seeds of a method at once, or goes on where an earlier start ended; the table's row."""
    config = run.config
    setup = build(config, method)
    look = partial(evaluate, setup, config.latent_size)
    keys = jax.vmap(jax.random.key)(np.arange(config.seeds))
    folder = run.folder / method.name.replace(" ", "_").replace(",", "")
    stopwatch = harness.Stopwatch(folder)
    state = mg.fit(
        keys,
        setup.solver,
        setup.feed,
        num_steps=config.steps,
        log_every=config.log_every,
        save_every=4 * config.log_every,
        evaluate=look,
        evaluate_every=2 * config.log_every,
        folder=folder,
        config=dataclasses.asdict(config),
        on_log=bar.method(method.name, config.steps, stopwatch),
    )
    metrics = jax.device_get(jax.jit(jax.vmap(look))(keys, state))
    sizes = [jax.tree.leaves(side.params) for side in (state.generators, state.discriminators)]
    row = report.row(
        method.name,
        metrics,
        parameters=sum(leaf[0].size for leaves in sizes for leaf in leaves),
        seconds=stopwatch.seconds,
    )
    return row, state


def judge(config: Config, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The verdict: what was claimed before the run against what came out."""
    gan, wide, *mixtures, latin = rows
    modes = [gan["modes_mean"], *(row["modes_mean"] for row in mixtures)]
    rising = all(np.diff(modes) > 0)
    total = 8 if config.target == "ring" else 25
    verdict = [
        report.claim(
            f"modes rise with k = {', '.join(map(str, config.components))}",
            "each more than the one before",
            ", ".join(f"{mean:.2f}" for mean in modes) + f" of {total}",
            rising,
        )
    ]
    for single in (gan, wide):
        got, holds = report.separated(mixtures[-1], single, "modes")
        verdict.append(
            report.claim(
                f"{mixtures[-1]['method']} captures more modes than {single['method']}",
                "more than 2 standard errors",
                got,
                holds,
            )
        )
    got, worse = report.separated(mixtures[-1], latin, "modes")
    verdict.append(
        report.claim(
            "Latin pairing at equal cost captures no fewer modes than full pairing",
            "full not ahead by more than 2 standard errors",
            got,
            not worse,
        )
    )
    return verdict


def draw(run: harness.Run, states: dict[str, mg.MixGanState], rows: list[dict[str, Any]]) -> dict:
    """The figures, all of seed 0: samples of every method, and the payoffs of the largest mixture."""
    config = run.config
    every = {method.name: method for method in methods(config)}
    samples, captions = {}, {}
    for row in rows:
        name = row["method"]
        setup = build(config, every[name])
        generators = jax.tree.map(lambda leaf: leaf[0], states[name].generators)
        latents = jax.random.normal(
            jax.random.key(0), (generators.num_components, 500, config.latent_size)
        )
        samples[name], _ = mg.generate(setup.generator, generators, latents)
        captions[name] = f"{report.cell(row, 'modes', 2)} modes"
    target = setup.target
    panels = mg.plots.plot_sample_panels(
        {name: np.asarray(value) for name, value in samples.items()},
        log_prob=target.log_prob,
        centres=np.asarray(target.means),
        captions=captions,
    )
    largest = f"MIX+GAN k={max(config.components)}"
    state = jax.tree.map(lambda leaf: leaf[0], states[largest])
    values = held_out(
        build(config, every[largest]), config.latent_size, jax.random.key(1), state
    ).mean(axis=0)
    weights = (np.asarray(state.generators.weights), np.asarray(state.discriminators.weights))
    exact = mg.zero_sum_equilibrium(np.asarray(values), maximum_entropy=True)
    payoffs = mg.plots.plot_payoffs(
        np.asarray(values),
        *weights,
        equilibrium=(exact.generator, exact.discriminator),
        value=float(exact.value),
        nash_conv=float(mg.nash_conv(mg.zero_sum(values), *weights)),
    )
    return {
        "samples": mg.plots.save(panels, run.folder / "samples.png"),
        "payoffs": mg.plots.save(payoffs, run.folder / "payoffs.png"),
    }


def main(argv: list[str] | None = None) -> None:
    """Trains every method, measures, reports."""
    run = harness.start("mix_gan_ring", __doc__, PRESETS, argv)
    rows, states = [], {}
    with harness.ProgressBar() as bar:
        for method in methods(run.config):
            row, states[method.name] = train(run, method, bar)
            rows.append(row)
    verdict = judge(run.config, rows)
    results = report.save_results(
        run, rows=rows, verdict=verdict, seeds=range(run.config.seeds), columns=COLUMNS
    )
    files = {**draw(run, states, rows), "results": results, "run folder": run.folder}
    report.show(f"{run.experiment}, preset {run.preset}", rows, COLUMNS, verdict, files)


if __name__ == "__main__":
    main()
