"""``python -m experiments``: every experiment with its claim, command, time and last result.

``python -m experiments --keep RUN_FOLDER`` copies a finished run's results and figures to ``experiments/results``;
``python -m experiments --readme`` writes those into the README, between its markers;
``python -m experiments --rejudge`` judges them anew from their rows, by the claims as they stand in the scripts.
"""

import argparse
import importlib
import pkgutil
import re
from collections.abc import Mapping
from typing import Any

from rich.console import Console

import experiments
from experiments.common import harness, readme, rejudge, report, verdicts
from mixgan_jax.checks import check_path


def scripts() -> dict[str, str]:
    """The experiments' names and docstrings: the modules that have presets."""
    names = sorted(module.name for module in pkgutil.iter_modules(experiments.__path__))
    modules = {
        name: importlib.import_module(f"experiments.{name}") for name in names if name[0] != "_"
    }
    return {name: module.__doc__ for name, module in modules.items() if hasattr(module, "PRESETS")}


def list_experiments() -> None:
    """Prints what there is to run, and what came of it last."""
    console = Console(highlight=False)
    results = readme.stored_results()
    for name, doc in scripts().items():
        console.print(f"[bold]{name}[/]: {doc.splitlines()[0]}", soft_wrap=True)
        claim = re.search(r"^Claim: .*?(?=\n\n)", doc, re.MULTILINE | re.DOTALL)
        console.print(claim[0] if claim else "", soft_wrap=True)
        for line in doc.splitlines():
            if line.startswith("    python -m"):
                console.print(line, soft_wrap=True)
        for entry in results:
            if entry["experiment"] == name:
                console.print(
                    f"    last result, preset {entry['preset']}: {verdicts.count(entry['verdict'])}, "
                    f"n = {entry['rows'][0]['n']}, {entry['seconds'] / 60:.1f} minutes on {entry['hardware']}, "
                    f"{entry['date']}",
                    soft_wrap=True,
                )
        console.print()


def results_section() -> str:
    """What stands between the README's markers."""
    docs = scripts()
    return "\n".join(
        f"<details>\n<summary><b>{entry['experiment']}</b>, preset {entry['preset']}, "
        f"{verdicts.count(entry['verdict'])}: {docs[entry['experiment']].splitlines()[0]}</summary>\n\n"
        f"{readme.markdown(entry)}\n\n</details>\n"
        for entry in readme.stored_results()
    )


def keep(parser: argparse.ArgumentParser, folder: str) -> None:
    """Copies a run's results, or ends the process with the reason why not."""

    def presets(experiment: str) -> Mapping[str, Any]:
        return importlib.import_module(f"experiments.{experiment}").PRESETS

    try:
        for path in report.keep_results(check_path("--keep", folder), presets):
            print(path)
    except (ValueError, OSError) as error:
        parser.error(str(error))


def main(argv: list[str] | None = None) -> None:
    """Lists the experiments, keeps a run's results, judges kept ones anew, or writes them into the README."""
    parser = argparse.ArgumentParser(prog="python -m experiments", description=__doc__)
    parser.add_argument("--readme", action="store_true", help="write the results into README.md")
    parser.add_argument("--rejudge", action="store_true", help="judge kept results anew")
    parser.add_argument("--keep", metavar="RUN_FOLDER", help="keep a run's results")
    harness.prepare_process()
    options = parser.parse_args(argv)
    if options.keep is not None:
        keep(parser, options.keep)
    elif options.rejudge:
        for path in readme.stored_files():
            script = importlib.import_module(f"experiments.{path.name.split('.')[0]}")
            print(rejudge.rejudge_file(script, path))
    elif options.readme:
        readme.write_section("results", results_section())
    else:
        list_experiments()


if __name__ == "__main__":
    main()
