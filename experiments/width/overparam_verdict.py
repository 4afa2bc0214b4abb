"""The verdict of overparam_gda: what was claimed before the run against the results."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from experiments.common import report, verdicts
from experiments.width.stability_edge import CASES
from mixgan_jax.theory import reachable_probability

ALL_CONVERGE = 32  # k from which on every run is expected to converge
EXPECTED_STEPS = {32: 200, 2048: 24}  # medians of an independent simulation of 10 seeds
WITHIN = 1.5  # factor within which medians agree
CATAPULT = 1.5  # step sizes over the edge's up to which a run from the start should settle
NEAREST = 0.02  # share of the edge within which step sizes are not told apart


def judge(
    config: Any, rows: Sequence[Mapping[str, Any]], edges: Mapping[str, Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """Judges all claims of the script."""
    return [
        *counts(config, rows),
        reached(config, rows),
        as_wendel_says(config, rows),
        *speed(rows),
        conditioning(config, rows),
        decays_as_linearised(rows),
        *stability(edges),
        from_the_start(edges),
    ]


def counts(config: Any, rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Judges the share of runs that converge: it rises; none of the narrow ones, all of the wide ones."""
    shares = {
        name: [row[f"{name}_mean"] for row in rows] for name in ("converged", "max_converged")
    }
    text = "; ".join(
        f"{label} {', '.join(f'{share:.0f}' for share in shares[name])}"
        for label, name in (("GDA", "converged"), ("GDmax", "max_converged"))
    )
    low, high, places = config.dimension, ALL_CONVERGE, np.log([row["width"] for row in rows])
    narrow = [row["converged_mean"] for row in rows if row["width"] <= low]
    wide = [row["converged_mean"] for row in rows if row["width"] >= high]
    return [
        verdicts.claim(
            "the share of runs that converge rises with the width",
            "slope of % on log k above 0",
            text,
            verdicts.all_of(verdicts.trend(rows, places, name)[1] for name in shares),
        ),
        verdicts.claim(
            f"none converges with k <= {low}",
            "0 %",
            f"at most {max(narrow):.1f} % (Wendel at k = {low}: "
            f"{100 * reachable_probability(low, low):.1f} %)",
            max(narrow) == 0,
        ),
        verdicts.claim(
            f"all converge with k >= {high}",
            "100 %",
            f"at least {min(wide):.1f} %",
            min(wide) == 100,
        ),
    ]


def reached(config: Any, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Compares, run by run, convergence with reachability of the target."""
    converged = np.array([row["converged_by_seed"] for row in rows]) > 0
    reachable = np.array([row["reachable"] for row in rows])
    missed, impossible = reachable & ~converged, converged & ~reachable
    share = 100.0 * (1.0 - missed.sum() / max(1, reachable.sum()))
    return verdicts.claim(
        "a run converges if its target is in the cone of V's columns, and only then",
        "none out of reach, and 95 % of those in reach, all widths together",
        f"{converged.size} runs: {int(impossible.sum())} out of reach, {share:.1f} % of "
        f"{int(reachable.sum())} in reach, all but {int(missed.sum())}",
        not impossible.any() and share >= 95,
    )


def as_wendel_says(config: Any, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Compares the share of targets in reach with the exact probability."""
    worst = 0.0
    for row in rows:
        chance = reachable_probability(row["width"], config.dimension)
        spread = np.sqrt(max(chance * (1 - chance), 1e-9) / row["n"])
        worst = max(worst, abs(np.mean(row["reachable"]) - chance) / spread)
    return verdicts.claim(
        "targets are in reach as often as Wendel's theorem says",
        "within 3 standard errors at every width",
        f"at most {worst:.1f} standard errors",
        worst <= 3,
    )


def speed(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Judges the steps: fewer with more units, and about as many as an independent simulation took."""
    medians = {row["width"]: float(np.median(row["steps_by_seed"])) for row in rows}
    wide = {k: steps for k, steps in medians.items() if k >= ALL_CONVERGE}
    text = ", ".join(f"{steps:.0f} at k = {k}" for k, steps in wide.items())
    logs = [
        report.row("", {"log_steps": np.log(row["steps_by_seed"])})
        for row in rows
        if row["width"] in wide
    ]
    slope, outcome = verdicts.trend(logs, np.log(list(wide)), "log_steps", "<")
    known = {k: steps for k, steps in wide.items() if k in EXPECTED_STEPS}
    ratios = [known[k] / EXPECTED_STEPS[k] for k in known]
    claims = [
        verdicts.claim(
            f"beyond k = {ALL_CONVERGE} the number of steps falls with the width",
            "slope of log steps on log k below 0",
            f"{slope.split(';')[0]}; medians {text}",
            outcome,
        )
    ]
    if ratios:
        claims.append(
            verdicts.claim(
                "it is that of an independent simulation, "
                + " and ".join(f"{EXPECTED_STEPS[k]} at k = {k}" for k in known),
                f"within a factor of {WITHIN}",
                "ratios " + ", ".join(f"{ratio:.2f}" for ratio in ratios),
                all(1 / WITHIN <= ratio <= WITHIN for ratio in ratios),
            )
        )
    return claims


def conditioning(config: Any, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Judges the condition number of the tangent kernel over the width."""
    own = [row for row in rows if row["width"] >= config.dimension]
    numbers = [10 ** row["log_condition_mean"] for row in own]
    return verdicts.claim(
        "the tangent kernel's condition number falls with the width",
        "slope of its logarithm on log k below 0",
        ", ".join(f"{c:.3g} at k = {row['width']}" for c, row in zip(numbers, own, strict=True)),
        verdicts.trend(own, np.log([row["width"] for row in own]), "log_condition", "<")[1],
    )


def decays_as_linearised(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Compares the widest network's fitted factor a step with that of the game linearised at its start."""
    widest = rows[-1]
    logs = {name: np.log(widest[f"{name}_decay"]) for name in ("net", "linear")}
    ratio = logs["net"] / logs["linear"]
    mean, error = verdicts.mean_and_error(ratio)
    return verdicts.claim(
        f"at k = {widest['width']} the error decays as fast as the linearisation at the start says",
        "mean ratio of the logarithms of the fitted factors in [0.9, 1.1]",
        f"{mean:.3f}, standard error {error or 0.0:.3f}",
        verdicts.within(mean, error, 0.9, 1.1),
    )


def stability(edges: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Judges growth above the edge and decay below it, by the predicted factors: linearised, and near a solution."""
    claims = []
    words = {"linearised": "the linearised generator", "near": "the network near a solution"}
    for game, who in words.items():
        wrong, runs, worst = 0, 0, 0.0
        for case in CASES:
            factor, predicted, ratios = (
                np.array(edges[case][name], np.float64)
                for name in (f"{game}_factor", "predicted", "ratios")
            )
            # A run that leaves the fitted range in fewer steps than a fit needs has no factor.
            known = np.isfinite(factor)
            wrong += int(((factor > 1) != (ratios > 1)[:, None])[known].sum())
            runs += int(known.sum())
            gaps = np.abs(factor - predicted[:, None])[known & (np.abs(ratios - 1) < 0.11)[:, None]]
            worst = max(worst, float(gaps.max(initial=0.0)))
        claims.append(
            verdicts.claim(
                f"{who} turns unstable at eta s^2 = 1, and at 2 with GDmax",
                "errors grow in all runs above and fall in all below, from 2 % on",
                f"{wrong} of {runs} runs on the wrong side",
                wrong == 0,
            )
        )
        claims.append(
            verdicts.claim(
                f"there its error changes by the predicted factor ({who}, within 11 % of the edge)",
                f"largest difference <= {NEAREST}",
                f"{worst:.4f}",
                worst <= NEAREST,
            )
        )
    return claims


def from_the_start(edges: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Judges where runs from the start end, with step sizes a little and far above the edge there."""
    ratios, left, sharpness = (
        np.concatenate([np.asarray(own[name], np.float64) for own in edges.values()])
        for name in ("ratios", "left", "sharpness")
    )
    near, far = ((ratios > 1) & (ratios <= CATAPULT), ratios > CATAPULT)
    smaller, flat = left < 1, sharpness < 1  # False for NaN
    runs = left[near].size
    settled = int((smaller & flat)[near].sum())
    lost = int((~smaller | (sharpness == 0))[far].sum())
    beyond = f"; further out {lost} of {left[far].size} diverge or end with all units off"
    return verdicts.claim(
        f"from the start networks do not diverge up to {CATAPULT:g} times the edge, but move to where "
        "the kernel is smaller",
        "the last error below the first, and eta s^2 below the edge, in 95 % of the runs",
        f"{settled} of {runs} runs{beyond if far.any() else ''}",
        settled >= 0.95 * runs,
    )
