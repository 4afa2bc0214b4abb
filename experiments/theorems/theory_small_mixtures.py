"""Mixed equilibria are small: do k strategies sampled from one of n = 256 do almost as well?

Claim: k strategies of each side, drawn from an exact equilibrium and played with equal weights, have a NashConv in the
whole game that falls as k^(-1/2) and stays below R sqrt(2 log n / k), with R the range of the payoffs. The k strategies
of largest weight, with the best weights, do no worse. MIX+GAN with 8 trained components has a smaller NashConv against
all pure strategies of the population than one GAN (after Arora et al. 2017, arXiv 1703.00573).
Time: 6 minutes on two CPU cores; paper wants a GPU and has not been timed.

    python -m experiments theory_small_mixtures                  n = 256, two CPU cores
    python -m experiments theory_small_mixtures --preset paper   wider networks, longer training, 20 seeds

Protocol, departures and trials are in experiments/theorems/README.md.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import mixgan_jax as mg
from experiments.common import harness, options, report, verdicts
from experiments.common.session import session
from experiments.theorems import few_strategies, few_strategies_figure, populations
from experiments.theorems.populations import LOSSES, Networks

SNAPSHOTS = 16
SHOWN = 8  # k in the table
LARGEST_SPARSE = 64
CURVES = ("supports", "gap", "sampled", "in_support", "sparse", "sparse_exact", "mix_gan")


@dataclass(frozen=True)
class Config:
    """Everything a run depends on."""

    size: options.Count = 256
    """Number n of strategies of each side; a multiple of the 16 snapshots of a GAN."""
    strategies: options.Components = (1, 2, 4, 8, 16, 32, 64, 128, 256)
    """Numbers k of strategies sampled from each side; 8 must be among them."""
    components: options.ComponentsToCompare = (2, 4, 8)
    """Numbers of components of MIX+GAN."""
    seeds: options.Count = 8
    """Number of populations, with seeds 0, 1, ..."""
    resamples: options.Count = 500
    """Number of draws of k strategies."""
    samples: options.Count = 256
    """Number of reals, and of fakes of each generator, behind each payoff."""
    steps: options.Count = 1600
    """Number of training steps; a multiple of the snapshots."""
    batch: options.Count = 64
    """Number of reals in a step, and of fakes of each generator."""
    width: options.Count = 32
    """Number of units in each of the two hidden layers of every network."""
    latent_size: options.Count = 8
    """Number of standard normal latents."""
    learning_rate: options.Rate = 1e-3
    """Learning rate of Adam, with beta1 0.5."""
    sparse_steps: options.Count = 4000
    """Number of steps of optimistic exponentiated gradient for the k-sparse weights."""


PRESETS = {
    "cpu": Config(),
    "paper": Config(seeds=20, samples=2048, steps=16_000, width=128, latent_size=16),
    "smoke": Config(
        size=16,
        strategies=(4, 8, 16),
        components=(2,),
        seeds=2,
        resamples=5,
        samples=8,
        steps=32,
        batch=8,
        width=8,
        sparse_steps=100,
    ),
}

COLUMNS = {
    "range": ("R", 2),
    "support": ("support", 1),
    "sampled": (f"% of R, {SHOWN} sampled", 2),
    "sparse": (f"% of R, {SHOWN} best", 3),
}


def check(config: Config) -> None:
    """Raises ValueError for a config that would fail after minutes."""
    if config.size % SNAPSHOTS:
        raise ValueError(f"--size must be a multiple of {SNAPSHOTS}, got {config.size}")
    if config.steps % SNAPSHOTS:
        raise ValueError(f"--steps must be a multiple of {SNAPSHOTS}, got {config.steps}")
    fitted = [k for k in config.strategies if k >= 4]
    if SHOWN not in fitted or len(fitted) < 3 or fitted[-1] > config.size:
        raise ValueError(
            f"--strategies must hold {SHOWN} and two more from 4 to size = {config.size}, "
            f"got {config.strategies}"
        )


def kinds() -> list[tuple[str, str, str]]:
    """Lists the rows: name, origin of the strategies, loss."""
    networks = [
        (f"{origin}, {loss}", origin, loss) for origin in ("random", "trained") for loss in LOSSES
    ]
    return [("normal payoffs", "normal", ""), *networks]


@cache
def networks_program(config: Config, origin: str) -> Callable[..., dict[str, Any]]:
    """Makes a program from keys ``[S]`` and a loss's number to games ``[S, n, n]`` and NashConv ``[S, components]``."""

    def game(key: Any, which: Any) -> dict[str, Any]:
        networks = Networks(
            config.width,
            config.latent_size,
            config.batch,
            config.learning_rate,
            populations.one_of(which),
            gain=4.0 if origin == "random" else 1.0,
        )
        if origin == "random":
            return populations.random_game(key, networks, config.size, config.samples)
        return populations.trained_game(
            key,
            networks,
            config.size,
            config.samples,
            steps=config.steps,
            snapshots=SNAPSHOTS,
            components=config.components,
        )

    return jax.jit(jax.vmap(game, in_axes=(0, None)))


def games(run: harness.Run, origin: str, loss: str) -> dict[str, Any]:
    """Makes each seed's game ``[S, n, n]``; for trained populations also MIX+GAN's NashConv, one GAN's first."""
    config, keys = run.config, mg.spread_over_devices(harness.seed_keys(run.seeds))
    if origin == "normal":
        shape = (config.size, config.size)
        return {"values": jax.vmap(lambda key: jax.random.normal(key, shape))(keys)}
    return networks_program(config, origin)(keys, jnp.int32(list(LOSSES).index(loss)))


def measure(run: harness.Run, origin: str, loss: str) -> dict[str, Any]:
    """Measures one kind of game by seed; NashConv is in units of the payoffs' range."""
    config, found = run.config, jax.device_get(games(run, origin, loss))
    values = np.asarray(found["values"], np.float64)
    spreads = np.ptp(values, axis=(1, 2))
    values = values / spreads[:, None, None]
    exact = [mg.zero_sum_equilibrium(game) for game in values]
    sides = [(game.generator, game.discriminator) for game in exact]
    supports = [
        [float((weights > few_strategies.SUPPORT).sum()) for weights in pair] for pair in sides
    ]
    few = [k for k in config.strategies if k <= LARGEST_SPARSE]
    sparse = few_strategies.best(values, sides, few, config.sparse_steps)
    drawn = [
        few_strategies.sampled(game, pair, config.strategies, config.resamples, seed)
        for seed, game, pair in zip(run.seeds, values, sides, strict=True)
    ]
    mixtures = found.get("mix_gan", np.zeros((config.seeds, 0))) / spreads[:, None]
    return {
        "range": spreads,
        "supports": supports,
        "gap": [game.gap for game in exact],
        **{name: np.stack([one[name] for one in drawn]) for name in drawn[0]},
        **sparse,
        "mix_gan": mixtures,
    }


def row(config: Config, name: str, found: Mapping[str, Any]) -> dict[str, Any]:
    """Makes a row of the table; keeps the numbers behind it, and the exponent where there is one."""
    at = config.strategies.index(SHOWN)
    metrics = {
        "range": found["range"],
        "support": np.mean(found["supports"], axis=1),
        "sampled": 100.0 * np.array(found["sampled"])[:, at],
        "sparse": 100.0 * np.array(found["sparse"])[:, at],
    }
    fits = {
        name: few_strategies.exponent(config.strategies, np.array(found[name]))
        for name in ("sampled", "in_support")
    }
    pure = int(np.sum(np.max(found["supports"], axis=1) == 1))
    curves = {key: found[key] for key in CURVES}
    return report.row(
        name,
        metrics,
        seconds=found["seconds"],
        exponents=fits,
        pure=pure,
        curves=curves,
    )


def judge(config: Config, rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Returns the verdict: what was claimed before the run against the results."""
    verdict = [
        few_strategies.falls(rows, "sampled", "sampled NashConv falls as k^(-1/2)"),
        few_strategies.falls(
            rows, "in_support", "so it does where only deviations within the support count"
        ),
    ]
    curves = [entry["curves"] for entry in rows]
    bound = few_strategies.bound(config.size, config.strategies)
    sampled = [
        verdicts.mean_and_error(gaps)
        for c in curves
        for gaps in np.transpose(c["sampled"]) / bound[:, None]
    ]
    ratio = max(mean for mean, _ in sampled)
    verdict.append(
        verdicts.claim(
            "sampled NashConv is below R sqrt(2 log n / k) for every game and k",
            "largest ratio <= 1",
            f"{ratio:.2f}",
            verdicts.all_of(verdicts.decide(mean, error, "<=", 1.0) for mean, error in sampled),
        )
    )
    excesses = [excess for c in curves for excess in few_strategies.excess(c)]
    verdict.append(
        verdicts.claim(
            "the k strategies of largest weight, at their best weights, do no worse than k sampled ones",
            "largest difference of means <= 0.001 R",
            f"{max(mean for mean, _ in excesses):.4f} R",
            verdicts.all_of(verdicts.decide(mean, error, "<=", 1e-3) for mean, error in excesses),
        )
    )
    ks = (1, *config.components)
    trained = (entry for entry in rows if np.size(entry["curves"]["mix_gan"]))
    return [*verdict, *(few_strategies.improves(ks, entry) for entry in trained)]


def main(argv: list[str] | None = None) -> None:
    """Solves every kind of game, samples from its equilibrium, reports."""
    run = harness.start("theory_small_mixtures", __doc__, PRESETS, argv, check)
    config = run.config
    with session(run):
        rows = [
            row(
                config,
                name,
                harness.once(run, name, lambda o=origin, x=loss: measure(run, o, x)),
            )
            for name, origin, loss in kinds()
        ]

        def draw() -> dict[str, Path]:
            names = (1, *config.components), list(LOSSES)
            picture = few_strategies_figure.curves(rows, config.size, config.strategies, *names)
            return {"nash_conv": report.save_figure(run, picture, "nash_conv")}

        results, figures = report.save_results(
            run, rows=rows, verdict=judge(config, rows), columns=COLUMNS, figures=draw
        )
    report.show(run, results, figures)


if __name__ == "__main__":
    main()
