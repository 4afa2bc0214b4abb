"""What a step costs against the number of components, of seeds, and of examples in a batch."""

from typing import TYPE_CHECKING, Any

import numpy as np

from experiments.benchmark.timing import interleaved
from experiments.benchmark.workloads import Game, dcgan_game, ring_game, scanned
from mixgan_jax.players.pairing import PAIRINGS, Pairing
from mixgan_jax.plots import drawing

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def against_k(
    *, components: tuple[int, ...] = (1, 2, 3, 5, 8, 16), rounds: int = 3, width: int = 16
) -> list[dict[str, Any]]:
    """Measures milliseconds a step for k generators and k discriminators, by pairing, and over the step of k = 1.

    The games are a DCGAN of small width on 32x32x3 images, and the ring's MLP. Batches are 64, rounded down to a
    multiple of k.
    """

    def games(k: int, pairing: Pairing) -> dict[str, Game]:
        batch = 64 // k * k
        return {
            "DCGAN": dcgan_game(batch, k, pairing, width),
            "MLP": ring_game(batch, k, pairing, 64),
        }

    rows = []
    for kind in ("DCGAN", "MLP"):
        for pairing in PAIRINGS:
            steps = {
                k: max(1, (32 if kind == "DCGAN" else 800) // (k * (k if pairing == "full" else 1)))
                for k in components
            }
            programs = {k: scanned(games(k, pairing)[kind], steps[k]) for k in components}
            times = interleaved(programs, steps, rounds)
            medians = [times[k].median for k in components]
            # Where cost has settled into a power of k.
            tail = [index for index, k in enumerate(components) if k >= 3 or len(components) < 4]
            slope = np.polyfit(
                np.log([components[i] for i in tail]), np.log([medians[i] for i in tail]), 1
            )[0]
            rows.append(
                {
                    "network": kind,
                    "pairing": pairing,
                    **{f"k={k}": times[k].text(1e3, 1) for k in components},
                    **{f"k={k} over k=1": times[k].median / medians[0] for k in components[1:]},
                    "log-log slope, k >= 3": float(slope),
                    "seconds": {str(k): times[k].rounds for k in components},
                }
            )
    return rows


def against_seeds(
    *, seeds: tuple[int, ...] = (1, 2, 4, 8, 16), steps: int = 200, rounds: int = 7
) -> list[dict[str, Any]]:
    """Measures microseconds a GAN-step of the ring's MLP, batch 64: runs vmapped on one device, or dealt out to all."""
    game, rows = ring_game(64), []
    for name, spread in (("vmapped", False), ("vmapped on each device", True)):
        programs = {count: scanned(game, steps, count, spread=spread) for count in seeds}
        times = interleaved(programs, {count: steps * count for count in seeds}, rounds)
        rows.append({"runs": name, **{f"S={count}": times[count].text(1e6, 0) for count in seeds}})
    return rows


def against_batch(
    *, batches: tuple[int, ...] = (16, 64, 256, 1024), rounds: int = 7
) -> list[dict[str, Any]]:
    """Measures the time of a step for one example, k = 1: microseconds for the ring's MLP, milliseconds for DCGAN."""
    rows = []
    for kind, make, scale in (("MLP, us", ring_game, 1e6), ("DCGAN width 16, ms", _small, 1e3)):
        steps = {batch: max(1, (20_000 if kind[0] == "M" else 1_024) // batch) for batch in batches}
        programs = {batch: scanned(make(batch), steps[batch]) for batch in batches}
        times = interleaved(programs, {b: n * b for b, n in steps.items()}, rounds)
        rows.append({"network": kind, **{f"B={b}": times[b].text(scale, 3) for b in batches}})
    return rows


def _small(batch: int) -> Game:
    return dcgan_game(batch, width=16)


@drawing.styled
def plot_against_k(rows: list[dict[str, Any]]) -> "Figure":
    """Draws the time of a step over that of k = 1 against k, on logarithmic axes, with lines of slopes 1 and 2."""
    figure = drawing.new_figure(9.0, 4.0)
    axes = figure.subplots(1, 2, sharey=True)
    for axis, kind in zip(axes, ("DCGAN", "MLP"), strict=True):
        for row in (row for row in rows if row["network"] == kind):
            k = np.asarray([int(count) for count in row["seconds"]])
            cost = np.asarray([np.median(each) for each in row["seconds"].values()])
            label = f"{row['pairing']}, slope {row['log-log slope, k >= 3']:.2f}"
            axis.loglog(k, cost / cost[0], marker="o", label=label)
        for power in (1, 2):
            axis.loglog(k, k**power, color="0.75", linewidth=1, zorder=0)
            axis.annotate(f"k^{power}" if power > 1 else "k", (k[-1], k[-1] ** power), color="0.5")
        axis.set_xticks(k, [str(count) for count in k])
        axis.minorticks_off()
        axis.set_title(kind)
        axis.set_xlabel("components k of either side")
        axis.legend()
    axes[0].set_ylabel("time of a step, over k = 1")
    return figure
