"""Runs an experiment by its name, or lists them all.

python -m experiments                    every experiment, a line each
python -m experiments NAME --help        its claim, presets and flags
python -m experiments NAME [flags]       runs it
python -m experiments benchmark          measures speed and memory
"""

import argparse
import sys
from collections.abc import Mapping
from typing import Any

from rich.console import Console

from experiments.common import catalogue, harness, pages, rejudge, report, verdicts
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


def results_section() -> str:
    """What stands between the README's markers."""
    scripts = catalogue.scripts()
    return "\n".join(
        f"<details>\n<summary><b>{entry['experiment']}</b>, preset {entry['preset']}, "
        f"{verdicts.count(entry['verdict'])}: {scripts[entry['experiment']].doc.splitlines()[0]}</summary>\n\n"
        f"{pages.markdown(entry)}\n\n</details>\n"
        for entry in pages.stored_results()
    )


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
        usage="python -m experiments [NAME [flags] | --keep RUN_FOLDER | --rejudge | --readme]",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--keep", metavar="RUN_FOLDER", help="copy a run to experiments/results")
    parser.add_argument("--rejudge", action="store_true", help="judge kept results anew")
    parser.add_argument("--readme", action="store_true", help="write kept results into README.md")
    argv = sys.argv[1:] if argv is None else argv
    if argv and not argv[0].startswith("-"):
        return run(parser, argv[0], argv[1:])
    harness.prepare_process()
    options = parser.parse_args(argv)
    if options.keep is not None:
        keep(parser, options.keep)
    elif options.rejudge:
        for path in pages.stored_files():
            print(rejudge.rejudge_file(catalogue.load(path.name.split(".")[0]), path))
    elif options.readme:
        pages.write_section("results", results_section())
    else:
        list_experiments()
    return None


if __name__ == "__main__":
    main()
