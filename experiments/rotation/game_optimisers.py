"""Optimisers made for games: which of them turn rotation into convergence, in a bilinear game and in GANs?

Claim: measured contraction on ``min_x max_y x y`` is the closed form's to 1e-5, and optimistic descent diverges at step
0.6 where extragradient converges; the eigenvalues of a GAN's Jacobian at an equilibrium predict which steps of
simultaneous descent diverge; on a ring of Gaussians (PacGAN's: Lin et al. 2018, arXiv 1712.04086) extragradient,
consensus and the symplectic adjustment capture more modes than simultaneous Adam.
Time: 2 minutes on two CPU cores; paper wants a GPU and has not been timed.

    python -m experiments game_optimisers                    8 seeds of the ring, on two CPU cores
    python -m experiments game_optimisers --preset paper     PacGAN's networks, ring and number of steps, 10 seeds

Protocol, departures and trials are in experiments/rotation/README.md.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, get_args

import jax
import jax.numpy as jnp
import numpy as np
import optax

import mixgan_jax as mg
from experiments.common import harness, options, plane, report, verdicts
from experiments.common.session import session
from experiments.common.setup import Setup
from experiments.rotation import game_methods, game_optimisers_figure, small_gan
from experiments.rotation.game_methods import BILINEAR_STEPS, Method, Name, reported
from mixgan_jax import adjustments, spectrum
from mixgan_jax.data import feed_from_distribution, ring
from mixgan_jax.types import Array, Key


@dataclass(frozen=True)
class Config(plane.Config):
    """Everything a run depends on: the plane's fields with one component, and the methods' coefficients."""

    components: options.Components = (1,)
    """Number of components: one GAN."""
    methods: tuple[Name, ...] = get_args(Name)
    """Methods trained on the ring; all of them play the bilinear game."""
    seeds: options.Count = 8
    """Number of runs of each method, of random starts of the bilinear game, and of small GANs."""
    consensus: options.Rate = 10.0
    """Coefficient gamma of consensus optimisation on the ring."""
    jare: options.Rate = 1000.0
    """Coefficient gamma of JARE on the ring."""
    symplectic: options.Rate = 1.0
    """Coefficient of the symplectic adjustment."""
    lookahead_period: options.Count = 5
    """Number of steps between two looks back."""
    average_decay: options.Fraction = 0.999
    """Decay of the exponential average."""
    bilinear_steps: options.Samples = 200
    """Number of steps of the bilinear game; the second half is measured."""
    small_width: options.Count = 6
    """Number of hidden units of the small GAN's networks."""
    small_steps: options.Count = 20_000
    """Number of steps of the small GAN towards its equilibrium."""
    descent_steps: options.Count = 4000
    """Number of steps of the small GAN that start beside its equilibrium."""


PRESETS = {
    "cpu": Config(),
    "paper": Config(
        **{
            **{
                f.name: getattr(plane.PROTOCOLS["paper"], f.name)
                for f in dataclasses.fields(plane.Config)
            },
            "components": (1,),
        }
    ),
    "smoke": Config(
        methods=("simultaneous", "extragradient"),
        seeds=2,
        steps=20,
        batch=24,
        width=8,
        log_every=10,
        small_width=2,
        bilinear_steps=20,
        small_steps=50,
        descent_steps=40,
    ),
}

COLUMNS = {
    **{f"bilinear_{step}": (f"rate at {step}", 5) for step in BILINEAR_STEPS},
    **{name: plane.COLUMNS[name] for name in ("modes", "high_quality", "reverse_kl")},
    "rotation": ("rotation", 2),
    "step_ms": ("ms/step", 2),
}


def check(config: Config) -> None:
    """Raises ValueError for a config that would fail after minutes."""
    if config.components != (1,):
        raise ValueError(f"--components must be 1, got {config.components}")
    if "simultaneous" not in config.methods:
        raise ValueError(f"--methods must have 'simultaneous' among them, got {config.methods}")
    options.check_timed(config)


def methods(config: Config) -> list[Method]:
    """Lists all methods, with the config's coefficients on the ring."""
    return game_methods.methods(
        consensus=config.consensus,
        jare=config.jare,
        symplectic=config.symplectic,
        period=config.lookahead_period,
        decay=config.average_decay,
    )


def build(config: Config, method: Method) -> Setup:
    """Builds players, loss, optimiser and data of a method on the ring."""
    generator, discriminator = plane.players(config, wide=False)
    rate = config.learning_rate
    schedule = optax.cosine_decay_schedule(rate, config.steps) if config.cosine_decay else rate
    adam = optax.optimistic_adam_v2 if method.optimistic else optax.adam
    tx = adam(schedule, b1=config.beta1)
    loss = options.loss_of(config)
    solver = mg.gda(
        generator,
        discriminator,
        loss,
        latent_size=config.latent_size,
        generator_tx=tx,
        discriminator_tx=tx,
        update=method.update,
        adjust=method.adjust,
    )
    feed = feed_from_distribution(ring(8, config.radius, config.std), config.batch)
    return Setup(generator, discriminator, method.around(solver), feed, loss, config.latent_size)


def evaluate(setup: Setup, key: Key, state: Any) -> dict[str, Array]:
    """Takes the plane's measures, and the share of rotation in the game between the trained networks."""
    state = reported(state)
    coverage = plane.evaluate(setup, key, state)
    real_key, latent_key, probe_key = jax.random.split(jax.random.fold_in(key, 1), 3)
    reals = setup.feed.arrays.sample(real_key, 512)
    latents = jax.random.normal(latent_key, (512, setup.latent_size))
    networks = (state.generators, state.discriminators)
    states = [jax.tree.map(lambda leaf: leaf[0], side.state) for side in networks]

    def losses(players: Any) -> tuple[Array, Array]:
        fakes, _ = setup.generator.apply(players[0], states[0], latents, train=False)
        logits = {
            name: setup.discriminator.apply(players[1], states[1], inputs, train=False)[0]
            for name, inputs in (("real", reals), ("fake", fakes))
        }
        loss = setup.loss
        return jnp.mean(loss.generator(**logits)), jnp.mean(loss.discriminator(**logits))

    players = tuple(jax.tree.map(lambda leaf: leaf[0], side.params) for side in networks)
    share = spectrum.rotational_share(
        adjustments.gradient_field(losses), players, probe_key, num_probes=20
    )
    return {**coverage, "rotation": share}


def measure(run: harness.Run, method: Method, rates: Any, bar: Any) -> dict[str, Any]:
    """Trains all seeds of a method on the ring at once; returns the table's row."""
    setup = build(run.config, method)
    state, seconds = harness.train(run, method.name, setup, bar)
    metrics = harness.evaluate_seeds(run, partial(evaluate, setup), state)
    toy = {
        f"bilinear_{s}": rate for s, rate in zip(BILINEAR_STEPS, np.asarray(rates).T, strict=True)
    }
    row = report.row(method.name, {**toy, **metrics}, seconds=seconds)
    return row | report.measured_once(step_ms=harness.step_milliseconds(run, method.name))


def judge(
    config: Config,
    rows: Sequence[Mapping[str, Any]],
    toy: Mapping[str, Any],
    small: Mapping[str, Any],
) -> list[dict[str, Any]]:
    """Returns the verdict: what was claimed before the run against the results."""
    errors = [
        np.abs(np.asarray(toy[method.name]["rates"]) - [method.rate(s) for s in BILINEAR_STEPS])
        for method in methods(config)
        if method.rate
    ]
    error = float(np.max(errors))
    past, extra = (np.mean(toy[n]["rates"], axis=0)[2] for n in ("optimistic", "extragradient"))
    verdict = [
        verdicts.claim(
            "rates on the bilinear game are those of the closed forms",
            "every error <= 1e-5",
            f"largest {error:.1e}",
            error <= 1e-5,
        ),
        verdicts.claim(
            "at 0.6 optimistic descent diverges and extragradient converges",
            "rates > 1 and < 1",
            f"{past:.5f} and {extra:.5f}",
            past > 1 > extra,
        ),
        *small_gan.judge(small),
    ]
    return verdict + judge_rows(rows)


def judge_rows(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Judges the claims on the ring, which the table's rows decide."""
    by_name, verdict = {row["method"]: row for row in rows}, []
    for name in ("extragradient", "consensus", "symplectic"):
        if name not in by_name:
            continue
        got, holds = verdicts.contrast(by_name[name], by_name["simultaneous"], "modes")
        text = f"{name} captures more modes of the ring than simultaneous Adam"
        verdict.append(verdicts.claim(text, verdicts.ABOVE, got, holds))
    return verdict


def draw(run: harness.Run, toy: Mapping[str, Any], small: Mapping[str, Any]) -> dict[str, Path]:
    """Draws the figure; returns its path by the name under which it is kept."""
    figure = game_optimisers_figure.dynamics(toy, small)
    return {"dynamics": report.save_figure(run, figure, "dynamics")}


def main(argv: list[str] | None = None) -> None:
    """Measures the toys, trains with every method, reports."""
    run = harness.start("game_optimisers", __doc__, PRESETS, argv, check, by_train=True)
    config, seeds = run.config, harness.seed_keys(run.seeds)
    with session(run) as bar:
        toy = harness.once(
            run,
            "bilinear",
            lambda: game_methods.bilinear_rates(methods(config), config.bilinear_steps, seeds),
        )
        game = small_gan.SmallGan(config.small_width, 64, gamma=1.0, decay=0.02)
        descend = partial(
            small_gan.measure,
            seeds,
            game,
            solve_steps=config.small_steps,
            step_size=0.02,
            steps=config.descent_steps,
        )
        small = harness.once(run, "small GAN", descend)
        trained = [m for m in methods(config) if m.name in config.methods]
        rows = [measure(run, m, toy[m.name]["rates"], bar) for m in trained]
        verdict = judge(config, rows, toy, small)
        results, figures = report.save_results(
            run, rows=rows, verdict=verdict, columns=COLUMNS, figures=lambda: draw(run, toy, small)
        )
    report.show(run, results, figures)


if __name__ == "__main__":
    main()
