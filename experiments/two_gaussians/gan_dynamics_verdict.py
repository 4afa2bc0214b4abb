"""The claims of gan_dynamics, each against its result."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from experiments.common import exponents, report, verdicts
from experiments.two_gaussians import interval_examples, interval_orders
from experiments.two_gaussians.interval_runs import cells

MERGED_TV = 0.0581  # total variation of the best generator whose two means are equal


def of_optimum(found: Sequence[Mapping[str, Any]], side: int) -> list[dict[str, Any]]:
    """Judges the claims on the optimal discriminator, from maps over the grid for each step size."""
    apart = np.diff(cells(side), axis=0)[0] > 0
    worst = min(np.min(np.array(own["map"])[apart]) for own in found)
    best = max(np.max(np.array(own["map"])[~apart]) for own in found)
    stuck = np.concatenate([np.array(own["map_tv"])[~apart] for own in found])
    return [
        verdicts.claim(
            "with the optimal discriminator every start off the diagonal succeeds, at both step sizes",
            "100 % of cells",
            f"{100 * worst:.0f} % in the worst cell",
            worst == 1.0,
        ),
        verdicts.claim(
            "and none on the diagonal, where total variation stays at 0.0581",
            "0 %, TV 0.0581 in all cells",
            f"{100 * best:.0f} %, TV {stuck.min():.4f} to {stuck.max():.4f}",
            best == 0.0 and np.abs(stuck - MERGED_TV).max() < 1e-3,
        ),
    ]


def of_gradients(
    rows: Mapping[str, Any], plain: Sequence[str], unrolled: str, sizes: tuple[float, float]
) -> list[dict[str, Any]]:
    """Judges the claims on gradient steps on the grid; ``plain`` and ``unrolled`` are names of rows."""
    first, ordered, through = (
        rows[name] for name in ("simultaneous", "simultaneous, in order", unrolled)
    )
    most = max(max(rows[name]["success_mean"], rows[name]["large_mean"]) for name in plain)
    ever, error = verdicts.mean_and_error(100.0 * np.array(first["ever_inverted"][f"{sizes[0]:g}"]))
    in_order = max(ordered["success_mean"], ordered["large_mean"])
    return [
        verdicts.claim(
            f"simultaneous gradient steps of {sizes[0]:g} succeed in about a tenth of at least 5000 runs",
            "8 to 14 %",
            f"{report.cell(first, 'success', 2)} % of {first['runs']} runs",
            verdicts.within(first["success_mean"], first["success_stderr"], 8.0, 14.0)
            if first["runs"] >= 5000
            else "fails",
        ),
        verdicts.claim(
            "discriminator steps that are kept do not help, however many",
            "< 30 % for every k and both step sizes",
            f"at most {most:.1f} %",
            _below([rows[name] for name in plain], 30.0),
        ),
        verdicts.claim(
            f"{unrolled}, differentiated through, does",
            f">= 70 % at {sizes[0]:g}, >= 90 % at {sizes[1]:g}",
            f"{report.cell(through, 'success', 1)} %, {report.cell(through, 'large', 1)} %",
            verdicts.all_of(
                verdicts.of_mean(through, metric, ">=", least)
                for metric, least in (("success", 70.0), ("large", 90.0))
            ),
        ),
        verdicts.claim(
            "discriminator collapse is the rule: most simultaneous runs invert an interval at some step",
            "> 50 %",
            f"{ever:.1f} %; {report.cell(first, 'inverted', 1)} % at the end",
            verdicts.decide(ever, error, ">", 50.0),
        ),
        verdicts.claim(
            "and it is not the inverted intervals that make runs fail: kept in order, they fail too",
            "success < 30 % at both step sizes",
            f"at most {in_order:.1f} %",
            _below([ordered], 30.0),
        ),
    ]


def _below(rows: Sequence[Mapping[str, Any]], percent: float) -> verdicts.Outcome:
    """Judges the claim that every row succeeds less often than that, with either step size."""
    metrics = ("success", "large")
    return verdicts.all_of(
        verdicts.of_mean(row, metric, "<", percent) for row in rows for metric in metrics
    )


def of_single_runs(found: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Judges the claims on single, deterministic runs."""
    error, at = found["one_step_error"], found["collapse"]["inverts"]
    ends = {name: np.array(path[-1]) for name, path in found["far"].items()}
    goal = np.array(interval_examples.FAR[1])
    return [
        verdicts.claim(
            "single steps agree with an implementation in NumPy",
            "within 1e-7, float64",
            f"{error:.1e}",
            error <= 1e-7,
        ),
        verdicts.claim(
            "an interval on which the data are rarer shrinks until it is inverted",
            "at step 60",
            f"at step {at}",
            at == 60,
        ),
        verdicts.claim(
            "far out the heavy mean overtakes the light one with steps eta, and gets stuck; not with eta / w_j",
            "swapped and off by > 0.1; within 0.1",
            "; ".join(f"{name}: {end[0]:.3f}, {end[1]:.3f}" for name, end in ends.items()),
            ends["eta"][0] > ends["eta"][1]
            and np.abs(ends["eta"] - goal).max() > 0.1
            and np.abs(ends["eta / w"] - goal).max() < 0.1,
        ),
    ]


def of_extensions(rows: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Judges the claims on rows beyond the grid, at the smaller step size."""
    plain, scaled = (rows[f"unequal, in order, {step}"] for step in ("eta", "eta/w"))
    one, three, first = (
        rows[name] for name in ("single, optimal", "three, optimal", "three, simultaneous")
    )
    gained, better = verdicts.contrast(three, first, "success")
    return [
        verdicts.claim(
            "with weights 0.1 and 0.9 a step eta / w_j succeeds from all starts in order",
            "100 %",
            f"{report.cell(scaled, 'success', 1)} %; with eta {report.cell(plain, 'success', 1)} %",
            verdicts.of_mean(scaled, "success", ">=", 100.0),
        ),
        verdicts.claim(
            "three components are learned by the optimal discriminator more often than by gradient steps",
            f"{verdicts.ABOVE}, in %",
            gained,
            better,
        ),
        verdicts.claim(
            "two intervals are needed: with one, even the optimal discriminator fails from some starts",
            "50 to 99 %",
            f"{report.cell(one, 'success', 1)} %",
            verdicts.within(one["success_mean"], one["success_stderr"], 50.0, 99.0),
        ),
    ]


def of_theorem(hits: Mapping[str, Any], limit: int) -> list[dict[str, Any]]:
    """Judges the claims on Theorem 4.1, from steps until TV <= delta by series."""
    arrived = max(np.max(values) for values in hits.values()) < limit
    fits = interval_orders.orders(hits)
    growth = np.diff(np.mean(hits["separation"], axis=0))[1:]
    got = ", ".join(
        f"{interval_orders.SERIES[name][0]}: {exponents.in_words(fits[name])}"
        for name in ("delta", "box")
    )
    return [
        verdicts.claim(
            "every run with the optimal discriminator reaches TV <= delta, in a number of steps of polynomial order",
            "at most 1.2 in 1 / delta and 1 in e^(C^2)",
            f"{got}{'' if arrived else '; not all arrived'}",
            verdicts.all_of(
                verdicts.inside(fits[name]["low"], fits[name]["high"], -np.inf, most)
                for name, most in (("delta", 1.2), ("box", 1.0))
            )
            if arrived
            else "fails",
        ),
        verdicts.claim(
            "in the separation the steps grow as its logarithm: by as many with each halving",
            "increments within 10 % of each other",
            ", ".join(f"{step:.0f}" for step in growth),
            bool(np.ptp(growth) <= 0.1 * growth.mean()),
        ),
    ]
