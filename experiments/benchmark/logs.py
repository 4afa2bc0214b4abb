"""Whether the loop waits for the host: times between log entries with everything kept, and with nothing kept."""

import tempfile
import time
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

import mixgan_jax as mg
from experiments.benchmark.workloads import ring_game
from mixgan_jax.data import feed_from_distribution, ring
from mixgan_jax.plots import drawing

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def measure(
    *, steps: int = 4_000, log_every: int = 10, save_every: int = 1_000, rounds: int = 5
) -> dict[str, Any]:
    """Measures milliseconds a step of the ring's MIX+GAN, k = 5, from one entry of the log to the next.

    ``off``: ``fit`` without a folder. ``on``: a folder with a log line each ``log_every`` steps, TensorBoard files,
    and a checkpoint each ``save_every``. Both in turn.
    """
    game = ring_game(60, 5, "latin", 64)
    solver, feed = game.solver(), feed_from_distribution(ring(), game.batch)
    times: dict[str, list[float]] = {"off": [], "on": []}
    whole: dict[str, list[float]] = {"off": [], "on": []}
    for index in range(rounds + 1):
        for kind in times:
            with tempfile.TemporaryDirectory() as folder:
                kept = {"folder": folder, "save_every": save_every, "tensorboard": True}
                marks: list[float] = []
                mg.fit(
                    jax.random.key(0),
                    solver,
                    feed,
                    num_steps=steps,
                    log_every=log_every,
                    on_log=lambda step, info, marks=marks: marks.append(time.perf_counter()),
                    **(kept if kind == "on" else {}),
                )
            if index:  # the first round warms up
                # Each start compiles; from the second entry on nothing does.
                times[kind] += [1e3 * gap / log_every for gap in np.diff(marks[1:])]
                whole[kind].append((marks[-1] - marks[1]) / (len(marks) - 2) / log_every)
    ratios = [on / off for on, off in zip(whole["on"], whole["off"], strict=True)]
    quantiles = {
        kind: {f"{q} %": float(np.percentile(each, q)) for q in (5, 50, 95, 99)}
        for kind, each in times.items()
    }
    return {"ms": quantiles, "on / off": float(np.median(ratios)), "times": times}


def table(**sizes: int) -> list[dict[str, Any]]:
    """Makes rows of :func:`measure`'s results."""
    result = measure(**sizes)
    return [
        {
            "kept": {"off": "nothing", "on": "log, TensorBoard, checkpoints"}[kind],
            **result["ms"][kind],
            "whole run, on / off": result["on / off"] if kind == "on" else "",
            "times": result["times"][kind],
        }
        for kind in result["times"]
    ]


@drawing.styled
def plot(rows: list[dict[str, Any]]) -> "Figure":
    """Draws both histograms, on the same logarithmic bins."""
    figure = drawing.new_figure(6.0, 3.5)
    axis = figure.add_subplot()
    values = np.concatenate([row["times"] for row in rows])
    bins = np.geomspace(values.min(), values.max(), 60)
    for row in rows:
        axis.hist(row["times"], bins, histtype="step", label=f"kept: {row['kept']}")
    axis.set_xscale("log")
    axis.set_yscale("log")
    axis.set_xlabel("milliseconds of a step, between entries of the log")
    axis.set_ylabel("entries")
    axis.set_title(f"whole run, on / off: {rows[-1]['whole run, on / off']:.3f}")
    axis.legend()
    return figure
