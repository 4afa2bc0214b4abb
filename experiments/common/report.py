"""Results of an experiment: means and standard errors, the verdict, the table, the JSON file."""

import dataclasses
import os
import platform
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax
import numpy as np
from rich import box
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table

import mixgan_jax as mg
from experiments.common import verdicts
from experiments.common.harness import Run
from experiments.common.identity import as_known
from mixgan_jax.files import read_json, write_json

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLOURS_KEPT = 256
WIDEST = 1000  # characters of a printed table
RESULTS = Path(__file__).parents[1] / "results"
RESULTS_NAME = "results.json"
COLOURS = {"holds": "green", "fails": "red", "undecided": "yellow"}


def row(method: str, metrics: Mapping[str, Sequence[float]], **extra: Any) -> dict[str, Any]:
    """Makes one row of a results table from one value of each metric for each seed.

    Args:
        method: the row's name.
        metrics: values ``[n]`` of each metric, one for each seed.
        **extra: further entries, as they are.

    Returns:
        ``method``, ``n``, and ``<metric>_mean``, ``<metric>_stderr`` (sample standard deviation / sqrt n; None for a
        single seed, of which nothing can be said) and ``<metric>_by_seed``.
    """
    counts = {len(values) for values in metrics.values()}
    if len(counts) != 1:
        raise ValueError(f"metrics must have one value for each seed, got lengths {sorted(counts)}")
    n = counts.pop()
    result: dict[str, Any] = {"method": method, "n": n, **extra}
    for name, values in metrics.items():
        result[f"{name}_mean"], result[f"{name}_stderr"] = verdicts.mean_and_error(values)
        result[f"{name}_by_seed"] = np.asarray(values, np.float64).tolist()
    return result


def measured_once(**values: float) -> dict[str, Any]:
    """Makes further entries of a row, for measures with one value for all seeds and so no standard error."""
    means = {f"{name}_mean": value for name, value in values.items()}
    return means | {f"{name}_stderr": None for name in values}


def save_figure(run: Run, figure: "Figure", name: str) -> Path:
    """Writes a figure to the run folder, as ``name.png`` for pages and ``name.svg`` for papers; the former's path.

    The repository keeps the PNG alone, see :func:`keep_picture`.
    """
    mg.plots.save(figure, run.folder / f"{name}.svg")
    return mg.plots.save(figure, run.folder / f"{name}.png")


def save_results(
    run: Run,
    *,
    rows: Sequence[Mapping[str, Any]],
    verdict: Sequence[Mapping[str, Any]],
    columns: Mapping[str, tuple[str, int]],
    figures: Callable[[], Mapping[str, Path]],
    kept: Mapping[str, str] | None = None,
    published: Sequence[Mapping[str, Any]] = (),
) -> tuple[dict[str, Any], Mapping[str, Path]]:
    """Writes ``results.json`` in the run folder, then draws; see ``python -m experiments --keep``.

    A figure that cannot be drawn costs the figures alone: the results are there before the first one is begun. Of
    several processes the first alone writes and draws.

    Args:
        run: what ran.
        rows: the table's rows.
        verdict: its claims.
        columns: heading and digits by metric.
        figures: draws, and returns the files, all in the run folder, by what they show.
        kept: which of them are kept with the results, by the name that they get there; all, by their own, if not given.
        published: rows with a paper's numbers, shown below ours; columns that it has nothing for are left out.

    Returns:
        The results, and the figures.
    """
    results: dict[str, Any] = {
        "experiment": run.experiment,
        "preset": run.preset,
        "config": dataclasses.asdict(run.protocol),
        "commit": run.commit,
        "date": datetime.now(UTC).date().isoformat(),
        "versions": {name: version(name) for name in ("jax", "jaxlib", "flax", "optax", "numpy")}
        | {"python": platform.python_version()},
        "hardware": hardware(),
        "seeds": list(run.seeds),
        "seconds": round(sum(row["seconds"] for row in rows), 1),
        "columns": columns,
        "rows": list(rows),
        "published": list(published),
        "verdict": list(verdict),
        "figures": {},
    }
    if jax.process_index() > 0:
        return results, {}
    write_json(run.folder / RESULTS_NAME, results, default=str)
    drawn = figures()
    kept = {name: name for name in drawn} if kept is None else kept
    results["figures"] = {name: drawn[shown].name for name, shown in kept.items()}
    write_json(run.folder / RESULTS_NAME, results, default=str)
    return results, drawn


def keep_results(folder: Path, presets: Callable[[str], Mapping[str, Any]]) -> list[Path]:
    """Copies a run's results and figures to ``experiments/results``.

    Args:
        folder: the run folder.
        presets: an experiment's presets by its name.

    Returns:
        The files written.

    Raises:
        ValueError: no results in ``folder``, or not those of a preset as it stands now, or those of ``smoke``.
    """
    path = folder / RESULTS_NAME
    if not path.is_file():
        raise ValueError(f"{folder} must hold {RESULTS_NAME}, which a run writes at its end")
    results = read_json(path, "the command of that run writes it again")
    experiment, preset = results["experiment"], results["preset"]
    if preset == "smoke":
        raise ValueError(f"{folder} must be the run of another preset than smoke")
    current = presets(experiment).get(preset)
    if current is None or results["config"] != as_known(current, results["config"]):
        raise ValueError(f"{folder} must be a run of the preset {preset} as it stands")
    if results["seeds"] != list(range(current.seeds)):
        first = results["seeds"][0]
        raise ValueError(f"{folder} must be a run with --seed-offset 0, got seeds from {first} on")
    RESULTS.mkdir(exist_ok=True)
    stem = f"{experiment}.{preset}"
    write_json(RESULTS / f"{stem}.json", results)
    pictures = {folder / file: f"{stem}.{name}.png" for name, file in results["figures"].items()}
    return [
        RESULTS / f"{stem}.json",
        *(keep_picture(source, RESULTS / name) for source, name in pictures.items()),
    ]


def keep_picture(source: Path, target: Path) -> Path:
    """Copies a PNG with at most 256 colours: a figure looks the same, and takes a third of the bytes."""
    from PIL import Image

    with Image.open(source) as picture:
        few = picture.convert("RGB").quantize(COLOURS_KEPT, dither=Image.Dither.NONE)
    few.save(target, optimize=True)
    return target


def hardware() -> str:
    """Describes the machine in words: devices, processor, cores."""
    devices = jax.devices()
    processor = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        models = [line for line in cpuinfo.read_text().splitlines() if "model name" in line]
        processor = models[0].split(":")[1].strip() if models else processor
    kind = f"{len(devices)} x {devices[0].device_kind}, " if devices[0].platform != "cpu" else ""
    return f"{kind}{processor}, {os.cpu_count()} cores"


def cell(row: Mapping[str, Any], metric: str, digits: int) -> str:
    """Writes ``mean ± standard error`` of a row's metric; nothing for a paper's row that lacks it."""
    if f"{metric}_mean" not in row:
        return ""
    mean, error = row[f"{metric}_mean"], row[f"{metric}_stderr"]
    return f"{mean:.{digits}f}" + (f" ± {error:.{digits}f}" if error is not None else "")


def show(run: Run, results: Mapping[str, Any], files: Mapping[str, Path]) -> None:
    """Prints the table, the verdict, and where everything is saved, on the first process.

    Args:
        run: what ran.
        results: those of :func:`save_results`.
        files: paths by what else they hold.
    """
    if jax.process_index() > 0:
        return
    files = {**files, "results": run.folder / RESULTS_NAME, "run folder": run.folder}
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
    for entry in [*rows, *results["published"]]:
        cells = (cell(entry, metric, digits) for metric, (_, digits) in columns.items())
        table.add_row(entry["method"], *(text.replace(" ± ", "±") for text in cells))
    if console.is_terminal:
        console.print(table)
    else:  # a file need not be narrow: nothing of the table is cut
        wide = Console(width=WIDEST)
        wide.width = Measurement.get(wide, wide.options, table).maximum
        wide.print(table)
    for line in results["verdict"]:
        outcome = verdicts.outcome_of(line)
        console.print(
            f"[{COLOURS[outcome]}]{outcome}[/]: {line['claim']} (expected: {line['expected']}; got: {line['got']})"
        )
    for what, path in files.items():
        console.print(f"{what}: {path}", soft_wrap=True)


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
