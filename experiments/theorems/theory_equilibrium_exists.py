"""How many generators does an approximate equilibrium need? Mixtures of T Gaussians about samples of the data.

Claim: what the best discriminator of p parameters gains over 2 phi(1/2) against T samples of the data, each convolved
with a narrow Gaussian and played uniformly, falls as T^(-1/2), for every p. It stays below the explicit bound of the
theorem that T ~ p log p / eps^2 generators are enough (Arora et al. 2017, arXiv 1703.00573, mixed equilibria). The same
mixture folded into one network of ReLUs earns the same against the same discriminators.
Time: 6 minutes on two CPU cores; paper wants a GPU, not timed.

    python -m experiments theory_equilibrium_exists                    p = 13, 49, 193, 10 seeds, on two CPU cores
    python -m experiments theory_equilibrium_exists --preset paper     up to p = 1,537, T = 32,768, 10 seeds

Protocol, departures and trials are in experiments/theorems/README.md.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

import mixgan_jax as mg
from experiments.common import harness, report, verdicts
from experiments.common.exponents import agrees, exponents, in_words
from experiments.common.options import Components, Count, Positive, Samples
from experiments.common.session import session
from experiments.theorems.atom_game import CHUNK, Game, compare_folded, draw_samples
from mixgan_jax.plots import drawing
from mixgan_jax.types import Array, Key

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Config:
    """Everything a run depends on."""

    dimension: Count = 4
    """Dimension d of the data."""
    std: Positive = 0.05
    """Standard deviation of a generator's Gaussian; the data's is 1."""
    widths: Components = (2, 8, 32)
    """Numbers of hidden units of the discriminators; p = (d + 2) times the number, plus 1."""
    mixtures: Components = (256, 512, 1024, 2048, 4096)
    """Numbers T of generators in a mixture."""
    samples: Samples = 262_144
    """Number of samples of P, and of the mixture, to train on; as many are held out."""
    weight: Positive = 1.0
    """Largest root mean square of a discriminator's parameters."""
    steps: Count = 1000
    """Number of steps that train a discriminator."""
    batch: Count = 2048
    """Number of reals, and of fakes, in a step."""
    restarts: Count = 8
    """Number of times that each discriminator is trained, from new initial parameters."""
    learning_rate: Positive = 0.05
    """Learning rate of the discriminators."""
    folded_samples: Count = 2048
    """Number of latents on which the folded network is compared."""
    ramp: Positive = 1e-6
    """Width of the selector's ramps, in standard deviations of its seed."""
    seeds: Count = 10
    """Number of seeds: 0, 1, ..."""


PRESETS = {
    "cpu": Config(),
    "paper": Config(
        widths=(2, 8, 32, 256),
        mixtures=(512, 2048, 8192, 32_768),
        samples=4_194_304,
        steps=5000,
        batch=8192,
        restarts=16,
    ),
    "smoke": Config(
        widths=(4,),
        mixtures=(4, 16),
        samples=512,
        steps=40,
        batch=64,
        restarts=2,
        folded_samples=64,
        seeds=2,
    ),
}

COLUMNS = {
    "held_out": ("held-out gain", 4),
    "value": ("training", 4),
    "gap": ("gap", 4),
    "norm": ("norm/radius", 2),
}


def check(config: Config) -> None:
    """Raises ValueError for a config that would fail after hours."""
    if len(config.mixtures) < 2:
        raise ValueError(f"--mixtures must be two or more for a slope, got {config.mixtures}")
    if config.folded_samples % CHUNK:
        raise ValueError(
            f"--folded-samples must be a multiple of {CHUNK}, got {config.folded_samples}"
        )


def discriminator(width: int) -> mg.Player:
    return mg.from_linen(mg.networks.MLP((width,)))


def num_parameters(config: Config, width: int) -> int:
    """Computes p = ``(d + 2) h + 1``."""
    return (config.dimension + 2) * width + 1


@lru_cache
def best_response(config: Config, width: int) -> Callable[..., tuple[Any, dict[str, Array]]]:
    """Makes ``(keys [S], games) -> (parameters, gains)`` for all seeds at once; one program for every T."""
    radius = config.weight * math.sqrt(num_parameters(config, width))

    def one(key: Key, game: Game) -> tuple[Any, dict[str, Array]]:
        best, found = mg.metrics.best_discriminator(
            jax.random.fold_in(key, width),
            discriminator(width),
            mg.losses.phi_identity(),
            *game[1:],
            bound=radius,
            steps=config.steps,
            restarts=config.restarts,
            learning_rate=config.learning_rate,
            batch=config.batch,
        )
        gains = {name: found[name] for name in ("value", "held_out", "gap")}
        return best, gains | {"norm": found["norm"] / radius}

    return jax.jit(jax.vmap(one))


def respond(run: harness.Run, width: int, count: int | None) -> dict[str, Array]:
    """Trains the best discriminators for all seeds of one p and T: their gains, and the folded mixtures' payoffs."""
    config = run.config
    keys = mg.spread_over_devices(harness.seed_keys(run.seeds))
    sizes = {"count": count, "samples": config.samples, "dimension": config.dimension}
    games = jax.jit(jax.vmap(partial(draw_samples, std=config.std, **sizes)))(keys)
    best, result = best_response(config, width)(keys, games)
    if count:
        settings = {"samples": config.folded_samples, "ramp": config.ramp}
        compare = partial(compare_folded, player=discriminator(width), **settings)
        result |= jax.jit(jax.vmap(compare))(keys, games.mixture, best)
    return result


def measure(run: harness.Run, width: int, count: int | None) -> dict[str, Any]:
    """Measures all seeds of one p and T; returns the table's row."""
    config = run.config
    p = num_parameters(config, width)
    name = f"p = {p}, T = {count or 'inf'}"
    part = harness.once(run, name, lambda: respond(run, width, count))
    seconds = part.pop("seconds")
    return report.row(name, part, parameters=p, components=count, seconds=seconds)


def of_size(rows: Sequence[Mapping[str, Any]], p: int) -> tuple[list[Any], Mapping[str, Any]]:
    """Picks the rows of one p by rising T, and the row of T = inf."""
    own = [row for row in rows if row["parameters"] == p]
    return [row for row in own if row["components"]], own[-1]


def theorem(config: Config, p: int, count: int) -> float:
    """Computes the bound on the gain, with the least Lipschitz constant that the class can have."""
    radius = config.weight * math.sqrt(p)
    return mg.theory.mixture_error(count, p, payoff_bound=0.5, lipschitz=radius / 4)


def judge(config: Config, rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Returns the verdict: what was claimed before the run against the results."""
    claims, below, worst = [], [], -math.inf
    for p in sorted({row["parameters"] for row in rows}):
        finite, blurred = of_size(rows, p)
        counts = [row["components"] for row in finite]
        values = np.array([row["held_out_by_seed"] for row in finite]).T
        text, outcome = "a gain that is not positive: no exponent", "fails"
        if values.min() > 0:
            fit = exponents({"T": counts}, values)["T"]
            text = f"{in_words(fit)}, residual {fit['residual']:.2f} of log gain"
            outcome = agrees(fit, -0.5)
        what = f"the gain of p = {p} falls as T^(-1/2)"
        claims.append(verdicts.claim(what, "95 % interval of the exponent has -0.5", text, outcome))
        floor = max(0.0, blurred["held_out_mean"])
        for row in finite:
            bound = theorem(config, p, row["components"]) + floor
            below.append(verdicts.of_mean(row, "held_out", "<=", bound))
            worst = max(worst, row["held_out_mean"] / bound)
    text = "no gain is larger than the theorem's eps for its T and p, and the blur's"
    got = f"at most {worst:.2f} of it"
    claims.append(verdicts.claim(text, "gain <= eps, for all rows", got, verdicts.all_of(below)))
    return [*claims, *folding_claims(config, [row for row in rows if row["components"]])]


def folding_claims(config: Config, rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Judges the claims that the folded mixture pays the same, but for few latents."""
    largest = max(max(row["folded_difference_by_seed"]) for row in rows)
    shares, rare = [], []
    for row in rows:
        uniform = jnp.full(row["components"], -math.log(row["components"]), jnp.float32)
        bound = mg.theory.ramp_mass(uniform, config.ramp)["bound"]
        share = row["in_ramps_mean"]
        error = math.sqrt(share / (config.folded_samples * row["n"]))
        rare.append(verdicts.decide(share, error, "<=", bound))
        shares.append(share / bound)
    return [
        verdicts.claim(
            "outside the ramps the mixture folded into one network pays the same",
            "difference <= 1e-5, in all rows and seeds",
            f"at most {largest:.1e}",
            largest <= 1e-5,
        ),
        verdicts.claim(
            "the seed falls into a ramp no more often than (T - 1) width / sqrt(2 pi)",
            "share <= that, for all rows",
            f"at most {max(shares):.2f} of it",
            verdicts.all_of(rare),
        ),
    ]


@drawing.styled
def gains(config: Config, rows: Sequence[Mapping[str, Any]]) -> "Figure":
    """Draws the gain against T for each p, with the blur's own gain; and against p log p / T."""
    figure = drawing.new_figure(6.8, 2.9)
    left, right = figure.subplots(1, 2, sharey=True)
    sizes = sorted({row["parameters"] for row in rows})
    beyond = 2.0 * config.mixtures[-1]
    for p, colour, marker, line in zip(
        sizes, drawing.COLOURS, drawing.MARKERS, drawing.LINES, strict=False
    ):
        finite, blurred = of_size(rows, p)
        counts = np.array([row["components"] for row in finite], float)
        mean = np.array([row["held_out_mean"] for row in finite])
        error = np.array([row["held_out_stderr"] or 0.0 for row in finite])
        look: Any = {"color": colour, "fmt": marker, "capsize": 2, "ms": 4}
        left.errorbar(counts, mean, yerr=error, label=f"p = {p}", ls=line, lw=1.0, **look)
        right.errorbar(p * math.log(p) / counts, mean, yerr=error, ls="none", **look)
        if blurred["held_out_mean"] > 0:
            left.plot(beyond, blurred["held_out_mean"], marker, color=colour, mfc="none", ms=4)
    highest = max(row["held_out_mean"] for row in rows if not row["components"])
    if highest > 0:
        above: Any = {"xytext": (0, 7), "textcoords": "offset points", "ha": "center"}
        left.annotate("T = ∞", (beyond, highest), fontsize=8, **above)
    first, last = config.mixtures[0], config.mixtures[-1]
    top = 1.3 * max(row["held_out_mean"] for row in rows)
    fall = top * math.sqrt(first / last)
    guide: Any = {"color": "0.3", "ls": ":", "lw": 1.0}
    left.plot([first, last], [top, fall], label="slope ∓1/2", **guide)
    most = sizes[-1] * math.log(sizes[-1])
    right.plot([most / first, most / last], [top, fall], **guide)
    left.set(xscale="log", yscale="log", xlabel="generators T", ylabel="held-out gain over 2φ(1/2)")
    left.set_xticks(config.mixtures, map(str, config.mixtures))
    left.minorticks_off()
    right.set(xscale="log", xlabel="p log p / T")
    figure.legend(loc="outside right center")
    return figure


def draw(run: harness.Run, rows: Sequence[Mapping[str, Any]]) -> dict[str, Path]:
    """Draws the figure; returns its path by the name under which it is kept."""
    return {"gains": report.save_figure(run, gains(run.config, rows), "gains")}


def main(argv: list[str] | None = None) -> None:
    """Trains discriminators against mixtures of every size, judges, reports."""
    run = harness.start("theory_equilibrium_exists", __doc__, PRESETS, argv, check)
    with session(run):
        counts = (*run.config.mixtures, None)
        rows = [measure(run, width, count) for width in run.config.widths for count in counts]
        verdict, draws = judge(run.config, rows), partial(draw, run, rows)
        results, figures = report.save_results(
            run, rows=rows, verdict=verdict, columns=COLUMNS, figures=draws
        )
    report.show(run, results, figures)


if __name__ == "__main__":
    main()
