"""Pages made from kept results: Markdown tables, whole pages, and sections between markers."""

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from experiments.common import verdicts
from experiments.common.report import RESULTS, cell
from mixgan_jax.files import read_json

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
MARKS = {"holds": "Holds", "fails": "**Fails**", "undecided": "*Undecided*"}
WRITTEN = "<!-- Written by python -m experiments --pages: do not edit. -->"


def markdown(results: Mapping[str, Any], results_folder: str = "experiments/results") -> str:
    """Shows one result: the table, the verdict, and how it was measured.

    Args:
        results: what a kept file holds.
        results_folder: path of the kept files, as seen from the page.
    """
    columns = results["columns"]
    rows = [
        [entry["method"], *(cell(entry, metric, digits) for metric, (_, digits) in columns.items())]
        for entry in [*results["rows"], *results.get("published", ())]
    ]
    lines = [table(["method", *(heading for heading, _ in columns.values())], rows, "---:"), ""]
    for line in results["verdict"]:
        mark = MARKS[verdicts.outcome_of(line)]
        lines.append(
            f"- {mark}: {line['claim']}. Expected: {line['expected']}; got: {line['got']}."
        )
    minutes = results["seconds"] / 60
    name = f"{results['experiment']}.{results['preset']}.json"
    lines += [
        "",
        f"n = {results['rows'][0]['n']} seeds, mean ± standard error; training took {minutes:.1f} minutes on "
        f"{results['hardware']}; [`{name}`]({results_folder}/{name}).",
    ]
    return "\n".join(lines)


def table(headings: Sequence[str], rows: Iterable[Sequence[str]], align: str = "---") -> str:
    """Writes a Markdown table, first column to the left; a ``|`` in a cell is escaped."""

    def line(cells: Sequence[str]) -> str:
        return "| " + " | ".join(text.replace("|", r"\|") for text in cells) + " |"

    rule = "|---" + f"|{align}" * (len(headings) - 1) + "|"
    return "\n".join([line(headings), rule, *map(line, rows)])


def stored_files() -> list[Path]:
    """Lists the files in ``experiments/results``, by experiment and preset, without smoke runs."""
    return [path for path in sorted(RESULTS.glob("*.json")) if ".smoke." not in path.name]


def stored_results() -> list[dict[str, Any]]:
    """Reads those files."""
    return [read_json(path, "restore it from the repository") for path in stored_files()]


def section(page: str, name: str, text: str) -> str:
    """Replaces what a page holds between ``<!-- name: ... -->`` and ``<!-- end of name -->``."""
    whole, count = re.subn(
        rf"(<!-- {name}: [^\n]*-->\n).*?(<!-- end of {name} -->)",
        lambda found: f"{found[1]}\n{text}\n\n{found[2]}",
        page,
        flags=re.DOTALL,
    )
    if count != 1:
        raise ValueError(f"the page must have one section {name!r} between markers, got {count}")
    return whole


def write(pages: Mapping[Path, str]) -> list[Path]:
    """Writes the pages that differ from what is on the disk, and returns their paths."""
    changed = [path for path, text in pages.items() if not holds(path, text)]
    for path in changed:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(pages[path], encoding="utf-8")
    return changed


def holds(path: Path, text: str) -> bool:
    """Tells whether a file has exactly this text."""
    return path.exists() and path.read_text(encoding="utf-8") == text
