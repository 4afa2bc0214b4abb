"""Runs an experiment by its name, or lists them all.

python -m experiments                    every experiment, a line each
python -m experiments NAME --help        its claim, presets and flags
python -m experiments NAME [flags]       runs it
python -m experiments benchmark          measures speed and memory
"""

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console

from experiments.common import (
    architecture,
    catalogue,
    pages,
    paper_pages,
    process,
    rejudge,
    report,
    result_pages,
)
from mixgan_jax.checks import check_path


def list_experiments() -> None:
    """Prints what there is to run, room by room."""
    console = Console(highlight=False)
    scripts = catalogue.scripts()
    width = max(map(len, scripts))
    for room, about in catalogue.rooms().items():
        console.print(f"[bold]{room}[/]: {about}", soft_wrap=True)
        for script in scripts.values():
            if script.room == room:
                line = f"  {script.name:{width}}  {script.doc.splitlines()[0]}"
                console.print(line, soft_wrap=True, markup=False)
        console.print()
    console.print("python -m experiments NAME --help says what one claims, and how it is run")


def all_pages() -> dict[Path, str]:
    """Makes every page of the documentation that has generated parts, by its path."""
    from experiments.benchmark import __main__ as benchmark, pods, tables

    def filled(path: Path, **sections: str) -> dict[Path, str]:
        text = path.read_text(encoding="utf-8")
        for name, inside in sections.items():
            text = pages.section(text, name, inside)
        return {path: text}

    return {
        **{
            pages.DOCS / "results" / f"{room}.md": result_pages.room_page(room)
            for room in catalogue.rooms()
        },
        **filled(pages.DOCS / "results.md", claims=result_pages.index()),
        **filled(pages.DOCS / "performance.md", tables=tables.performance(benchmark.SECTIONS)),
        **filled(
            pages.DOCS / "papers.md", papers=paper_pages.page(), methods=paper_pages.methods()
        ),
        **filled(pages.DOCS / "architecture.md", rooms=architecture.page()),
        **filled(pages.DOCS / "pods.md", costs=pods.page()),
        **filled(
            pages.ROOT / "README.md",
            theorems=result_pages.theorem_table(),
            speed=tables.speed_table(),
            experiments=result_pages.experiment_table(),
        ),
    }


def keep(parser: argparse.ArgumentParser, folder: str) -> None:
    """Copies a run's results, or ends the process with the reason why not."""

    def presets(experiment: str) -> Mapping[str, Any]:
        return catalogue.load(experiment).PRESETS

    try:
        for path in report.keep_results(check_path("--keep", folder), presets):
            print(path)
    except (ValueError, OSError) as error:
        parser.error(str(error))


def run(parser: argparse.ArgumentParser, name: str, flags: list[str]) -> None:
    """Runs one experiment, or ends the process with the names that may have been meant."""
    if name == "benchmark":
        from experiments.benchmark.__main__ import main as measure

        return measure(flags)
    try:
        script = catalogue.load(name)
    except ValueError as error:
        parser.error(str(error))
    return script.main(flags)


def main(argv: list[str] | None = None) -> None:
    """Runs an experiment, lists all, or does with kept results what an option says."""
    parser = argparse.ArgumentParser(
        prog="python -m experiments",
        usage="python -m experiments [NAME [flags] | --keep RUN_FOLDER | --rejudge | --pages | --papers]",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--keep", metavar="RUN_FOLDER", help="copy a run to experiments/results")
    parser.add_argument("--rejudge", action="store_true", help="judge kept results anew")
    parser.add_argument("--pages", action="store_true", help="write the generated documentation")
    parser.add_argument("--papers", action="store_true", help="print what was repeated of papers")
    argv = sys.argv[1:] if argv is None else argv
    if argv and not argv[0].startswith("-"):
        return run(parser, argv[0], argv[1:])
    process.prepare_process()
    options = parser.parse_args(argv)
    if options.keep is not None:
        keep(parser, options.keep)
    elif options.rejudge:
        for path in pages.stored_files():
            print(rejudge.rejudge_file(catalogue.load(path.name.split(".")[0]), path))
    elif options.pages:
        for path in pages.write(all_pages()):
            print(path)
    elif options.papers:
        print(paper_pages.page())
    else:
        list_experiments()
    return None


if __name__ == "__main__":
    main()
