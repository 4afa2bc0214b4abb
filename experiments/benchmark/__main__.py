"""How fast is it, and where does the time go? Measures this machine, prints tables, keeps them as JSON.

    python -m experiments benchmark                     everything, a quarter of an hour on two CPU cores
    python -m experiments benchmark --preset gpu        on a GPU, five minutes; PyTorch runs there too
    python -m experiments benchmark --only mlp dcgan    against PyTorch (pip install -e '.[bench]')
    python -m experiments benchmark --keep              copies what was measured to experiments/results/benchmark

Programs that are compared do the same work (the losses of both sides are compared first) and run in turn; a time is
the median over rounds, with the lowest and the highest; a ratio is the median over rounds of the ratio within a round.
"""

import argparse
import importlib
import importlib.util
import math
import os
import platform
import shutil
import sys
import time
import traceback
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

from rich import box
from rich.console import Console
from rich.table import Table

import mixgan_jax as mg
from experiments.benchmark import (
    logs,
    meshes,
    parts,
    programs,
    scaling,
    strategies,
    streaming,
    tables,
)
from experiments.benchmark.tables import KEPT, kept_name
from experiments.common import harness, report
from mixgan_jax.checks import check_path
from mixgan_jax.files import write_json


class Section(NamedTuple):
    """One table: how it is measured, with which sizes to try it out and on a GPU, and what is drawn of it.

    Sections without sizes for a GPU are left out of its preset.
    """

    title: str
    measure: Callable[..., Any]
    smoke: dict[str, Any]
    gpu: dict[str, Any] | None = None
    plot: Callable[[Any], Any] | None = None


def _against_torch(module: str, name: str) -> Callable[..., Any]:
    """A table of a module that imports PyTorch."""

    def measure(**sizes: Any) -> Any:
        return getattr(importlib.import_module(f"experiments.benchmark.{module}"), name)(**sizes)

    return measure


SECTIONS = {
    "mlp": Section(
        "Ring MLP, against PyTorch",
        _against_torch("against_torch", "mlp"),
        {"batches": (16,), "seeds": (2,), "steps": 5, "rounds": 1},
        {"batches": (512,), "seeds": (64, 256), "steps": 100, "rounds": 5, "compiled": True},
    ),
    "dcgan": Section(
        "MIX+DCGAN, against PyTorch",
        _against_torch("dcgan", "table"),
        {"preset": "smoke", "rounds": 1, "work": 1},
        {"preset": "gpu", "work": 30},
    ),
    "strategies": Section(
        "How components are mapped over",
        strategies.table,
        {"components": (2,), "batch": 4, "width": 4, "rounds": 1},
        {"components": (3, 8)},
    ),
    "parts": Section("What each decision is worth", parts.measure, {"width": 4, "rounds": 1}),
    "work": Section(
        "Operations, bytes, share of the matrix peak",
        programs.work,
        {"components": (1,), "rounds": 1},
    ),
    "memory": Section("Memory of a step", programs.memory, {"components": (1,)}),
    "starts": Section(
        "The first step, compilation included", programs.starts, {"names": ("ring MLP k=5, full",)}
    ),
    "k": Section(
        "Cost against the number of components",
        scaling.against_k,
        {"components": (1, 2), "rounds": 1, "width": 4},
        plot=scaling.plot_against_k,
    ),
    "seeds": Section(
        "Cost against seeds, microseconds of a GAN-step",
        scaling.against_seeds,
        {"seeds": (1, 2), "steps": 5, "rounds": 1},
    ),
    "batch": Section(
        "Cost of one example, against the batch",
        scaling.against_batch,
        {"batches": (16, 32), "rounds": 1},
    ),
    "mesh": Section(
        "One game on a mesh of devices",
        meshes.table,
        {"shapes": ((1, 1), (2, 1)), "components": 2, "each": 1, "pairings": ("latin",)}
        | {"batch": 4, "width": 4, "steps": 2, "rounds": 1},
        {"shapes": ((1, 1),), "pairings": ("latin",), "width": 64, "steps": 200},
    ),
    "streaming": Section(
        "Streaming from disk, against resident images",
        streaming.table,
        {"widths": (4,), "steps": 2, "rounds": 1, "images": 100},
    ),
    "logs": Section(
        "Milliseconds between log entries, with logging on and off",
        logs.table,
        {"steps": 60, "save_every": 20, "rounds": 1},
        plot=logs.plot,
    ),
}


def run(name: str, preset: str, folder: Path, until: float = math.inf) -> dict[str, Any]:
    """Measures one table, and writes its JSON after each row, its figure at the end.

    What was measured in turn is one list of rows. No row is begun after ``until`` on the clock of
    ``time.perf_counter``.
    """
    section = SECTIONS[name]
    began = time.perf_counter()
    sizes = {"cpu": {}, "gpu": section.gpu, "smoke": section.smoke}[preset]
    rows: list[dict[str, Any]] = []
    result = {
        "section": name,
        "title": section.title,
        "preset": preset,
        "date": datetime.now(UTC).date().isoformat(),
        "commit": harness.commit(),
        "versions": {
            package: version(package)
            for package in ("jax", "jaxlib", "flax", "optax", "numpy", "torch")
            if importlib.util.find_spec(package)
        }
        | {"python": platform.python_version()},
        "hardware": report.hardware(),
        "rows": rows,
    }
    folder.mkdir(parents=True, exist_ok=True)
    for measured in section.measure(**sizes):
        rows += measured if isinstance(measured, list) else [measured]
        result["took"] = round(time.perf_counter() - began, 1)
        write_json(folder / f"{name}.json", result)
        if time.perf_counter() > until:
            print(f"{name}: the time is over after {len(rows)} rows", file=sys.stderr)
            break
    if section.plot:
        mg.plots.save(section.plot(rows), folder / f"{name}.png")
    return result


def show(result: dict[str, Any]) -> None:
    """Prints one table."""
    table = Table(title=result["title"], box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    names = tables.columns(result["rows"])
    for name in names:
        table.add_column(name)
    for row in result["rows"]:
        shown = tables.cells(row)
        table.add_row(*(shown.get(name, "") for name in names))
    Console().print(table)


def keep(folder: Path, preset: str) -> None:
    """Copies measured tables and figures to ``experiments/results/benchmark``."""
    KEPT.mkdir(parents=True, exist_ok=True)
    for path in sorted([*folder.glob("*.json"), *folder.glob("*.png")]):
        copy = report.keep_picture if path.suffix == ".png" else shutil.copy
        print(copy(path, KEPT / kept_name(path.stem, preset, path.suffix)))


def main(argv: list[str] | None = None) -> None:
    """Measures, or keeps what was measured."""
    parser = argparse.ArgumentParser(
        prog="python -m experiments benchmark",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--only", nargs="+", choices=SECTIONS)
    parser.add_argument("--preset", choices=("cpu", "gpu", "smoke"), default="cpu")
    parser.add_argument("--runs", default="runs")
    parser.add_argument("--seconds", type=float, default=math.inf, help="begin no row after these")
    parser.add_argument("--keep", action="store_true")
    harness.prepare_process()
    options = parser.parse_args(argv)
    with harness.refusing("benchmark"):
        folder = check_path("--runs", options.runs) / "benchmark" / options.preset
    if options.keep:
        if options.preset == "smoke" or not any(folder.glob("*.json")):
            parser.error(f"--keep needs tables of the preset cpu or gpu in {folder}")
        keep(folder, options.preset)
        return
    known = [n for n, each in SECTIONS.items() if options.preset != "gpu" or each.gpu is not None]
    only = options.only or known
    if not set(only) <= set(known):
        parser.error(f"--only must be of {', '.join(known)} for the preset gpu, got {only}")
    if {"mlp", "dcgan"} & set(only) and importlib.util.find_spec("torch") is None:
        parser.error("--only mlp and dcgan need PyTorch: pip install -e '.[bench]'")
    # PyTorch shares the device.
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    # Other tables would be slower on virtual devices.
    harness.use_all_cores(meshes.VIRTUAL if only == ["mesh"] else 1)
    if not measure_all(only, options.preset, folder, time.perf_counter() + options.seconds):
        sys.exit(1)


def measure_all(names: Iterable[str], preset: str, folder: Path, until: float) -> bool:
    """Measures and shows the sections in turn, also after one that failed; returns whether none did."""
    good = True
    for name in names:
        if time.perf_counter() > until:
            print(f"no time is left for: {name}", file=sys.stderr)
            continue
        print(f"measuring: {SECTIONS[name].title}", file=sys.stderr)
        try:
            show(run(name, preset, folder, until))
        except Exception:
            traceback.print_exc()
            good = False
    return good


if __name__ == "__main__":
    main()
