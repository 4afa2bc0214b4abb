"""Results of an experiment: means and standard errors, the verdict, the table, the JSON file, the README's table."""

import dataclasses
import json
import math
import os
import platform
import shutil
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jax
import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table

import mixgan_jax as mg
from experiments.harness import Run

RESULTS = Path(__file__).parent / "results"


def row(method: str, metrics: Mapping[str, Sequence[float]], **extra: Any) -> dict[str, Any]:
    """One row of a results table from one value of each metric for each seed.

    Args:
        method: the row's name.
        metrics: values ``[n]`` of each metric, one for each seed.
        **extra: further entries, as they are.

    Returns:
        ``method``, ``n``, and ``<metric>_mean`` and ``<metric>_stderr`` (sample standard deviation / sqrt n; None
        for a single seed, of which nothing can be said).
    """
    counts = {len(values) for values in metrics.values()}
    if len(counts) != 1:
        raise ValueError(f"metrics must have one value for each seed, got lengths {sorted(counts)}")
    n = counts.pop()
    result: dict[str, Any] = {"method": method, "n": n, **extra}
    for name, values in metrics.items():
        array = np.asarray(values, np.float64)
        result[f"{name}_mean"] = float(array.mean())
        result[f"{name}_stderr"] = float(array.std(ddof=1) / math.sqrt(n)) if n > 1 else None
    return result


def claim(text: str, expected: str, got: str, holds: bool) -> dict[str, Any]:
    """One line of a verdict."""
    return {"claim": text, "expected": expected, "got": got, "holds": bool(holds)}


def separated(better: Mapping, worse: Mapping, metric: str) -> tuple[str, bool]:
    """In words, by how much a metric's means differ, and whether by more than 2 standard errors of the difference."""
    text, difference, error = _difference(better, worse, metric)
    return text, error is not None and difference > 2 * error


def at_most_behind(row: Mapping, other: Mapping, metric: str, margin: float) -> tuple[str, bool]:
    """In words, how far a row is behind, and whether that is at most ``margin``, 2 standard errors included."""
    text, difference, error = _difference(other, row, metric)
    return text, error is not None and difference + 2 * error <= margin


def _difference(a: Mapping, b: Mapping, metric: str) -> tuple[str, float, float | None]:
    difference = a[f"{metric}_mean"] - b[f"{metric}_mean"]
    errors = (a[f"{metric}_stderr"], b[f"{metric}_stderr"])
    if None in errors:
        return f"difference {difference:.2f}, one seed: no standard error", difference, None
    error = math.hypot(*errors)
    return f"difference {difference:.2f}, standard error {error:.2f}", difference, error


def save_results(
    run: Run,
    *,
    rows: Sequence[Mapping[str, Any]],
    verdict: Sequence[Mapping[str, Any]],
    seeds: Sequence[int],
    columns: Mapping[str, tuple[str, int]],
) -> tuple[dict[str, Any], Path]:
    """Writes the results; to ``experiments/results`` if the preset ran as it is, else to the run folder alone.

    Returns:
        The results and the file's path.
    """
    results = {
        "experiment": run.experiment,
        "preset": run.preset,
        "config": dataclasses.asdict(run.protocol),
        "commit": run.commit,
        "date": datetime.now(UTC).date().isoformat(),
        "versions": {name: version(name) for name in ("jax", "jaxlib", "flax", "optax", "numpy")}
        | {"python": platform.python_version()},
        "hardware": hardware(),
        "seeds": list(seeds),
        "seconds": round(sum(row["seconds"] for row in rows), 1),
        "columns": columns,
        "rows": list(rows),
        "verdict": list(verdict),
    }
    text = json.dumps(results, indent=1, default=str) + "\n"
    path = run.folder / "results.json"
    path.write_text(text)
    if run.is_preset and run.preset != "smoke":
        RESULTS.mkdir(exist_ok=True)
        path = RESULTS / f"{run.experiment}.{run.preset}.json"
        path.write_text(text)
    return results, path


def keep_figure(run: Run, name: str, path: Path) -> None:
    """Copies a figure beside the committed results, where they are a preset's."""
    if run.is_preset and run.preset != "smoke":
        shutil.copy(path, RESULTS / f"{run.experiment}.{run.preset}.{name}{path.suffix}")


def hardware() -> str:
    """The machine in words: devices, processor, cores."""
    devices = jax.devices()
    processor = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        models = [line for line in cpuinfo.read_text().splitlines() if "model name" in line]
        processor = models[0].split(":")[1].strip() if models else processor
    kind = f"{len(devices)} x {devices[0].device_kind}, " if devices[0].platform != "cpu" else ""
    return f"{kind}{processor}, {os.cpu_count()} cores"


def cell(row: Mapping[str, Any], metric: str, digits: int) -> str:
    """``mean ± standard error`` of a row's metric."""
    mean, error = row[f"{metric}_mean"], row[f"{metric}_stderr"]
    return f"{mean:.{digits}f}" + (f" ± {error:.{digits}f}" if error is not None else "")


def show(results: Mapping[str, Any], files: Mapping[str, Path]) -> None:
    """Prints the table, the verdict, and where everything is saved.

    Args:
        results: of :func:`save_results`.
        files: paths by what they hold.
    """
    console = Console()
    rows, columns = results["rows"], results["columns"]
    table = Table(
        title=f"{results['experiment']}, preset {results['preset']}",
        caption=f"mean ± standard error of the mean, n = {rows[0]['n']} seeds",
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
    )
    table.add_column("method", no_wrap=True)
    for heading, _ in columns.values():
        table.add_column(heading, justify="right", no_wrap=True)
    for entry in rows:
        cells = (cell(entry, metric, digits) for metric, (_, digits) in columns.items())
        table.add_row(entry["method"], *(text.replace(" ± ", "±") for text in cells))
    console.print(table)
    for line in results["verdict"]:
        mark = "[green]holds[/]" if line["holds"] else "[red]does not hold[/]"
        console.print(f"{mark}: {line['claim']} (expected: {line['expected']}; got: {line['got']})")
    for what, path in files.items():
        console.print(f"{what}: {path}", soft_wrap=True)


def markdown(results: Mapping[str, Any]) -> str:
    """The results as the README shows them: a table, and the verdict below it."""
    columns = results["columns"]
    lines = [
        "| method | " + " | ".join(heading for heading, _ in columns.values()) + " |",
        "|---" + "|---:" * len(columns) + "|",
    ]
    for entry in results["rows"]:
        cells = [cell(entry, metric, digits) for metric, (_, digits) in columns.items()]
        lines.append(f"| {entry['method']} | " + " | ".join(cells) + " |")
    lines.append("")
    for line in results["verdict"]:
        mark = "Holds" if line["holds"] else "**Does not hold**"
        lines.append(f"- {mark}: {line['claim']} (got: {line['got']}).")
    minutes = results["seconds"] / 60
    lines += [
        "",
        f"n = {results['rows'][0]['n']} seeds, mean ± standard error; training took {minutes:.1f} minutes on "
        f"{results['hardware']}; "
        f"[`{results['experiment']}.{results['preset']}.json`]"
        f"(experiments/results/{results['experiment']}.{results['preset']}.json).",
    ]
    return "\n".join(lines)


def payoff_figure(
    matrix: Any, generators: mg.Mixture, discriminators: mg.Mixture, path: Path
) -> Path:
    """Draws a payoff matrix ``[I, J]`` between the learned weights and those of an exact equilibrium."""
    matrix = np.asarray(matrix)
    weights = (np.asarray(generators.weights), np.asarray(discriminators.weights))
    exact = mg.zero_sum_equilibrium(matrix, maximum_entropy=True)
    figure = mg.plots.plot_payoffs(
        matrix,
        *weights,
        equilibrium=(exact.generator, exact.discriminator),
        value=float(mg.expected_payoff(matrix, *weights)),
        nash_conv=float(mg.nash_conv(mg.zero_sum(matrix), *weights)),
    )
    return mg.plots.save(figure, path)


def stored_results() -> list[dict[str, Any]]:
    """All results kept in ``experiments/results``, by experiment and preset; smoke runs left out."""
    files = sorted(RESULTS.glob("*.json"))
    return [json.loads(path.read_text()) for path in files if ".smoke." not in path.name]
