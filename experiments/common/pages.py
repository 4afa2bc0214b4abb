"""Kept results as the README shows them."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from experiments.common import verdicts
from experiments.common.report import RESULTS, cell
from mixgan_jax.files import read_json

MARKS = {"holds": "Holds", "fails": "**Fails**", "undecided": "*Undecided*"}


def markdown(results: Mapping[str, Any]) -> str:
    """The results as the README shows them: a table, and the verdict below it."""
    columns = results["columns"]
    lines = [
        "| method | " + " | ".join(heading for heading, _ in columns.values()) + " |",
        "|---" + "|---:" * len(columns) + "|",
    ]
    for entry in [*results["rows"], *results.get("published", ())]:
        cells = [cell(entry, metric, digits) for metric, (_, digits) in columns.items()]
        lines.append(f"| {entry['method']} | " + " | ".join(cells) + " |")
    lines.append("")
    for line in results["verdict"]:
        mark = MARKS[verdicts.outcome_of(line)]
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


def stored_files() -> list[Path]:
    """The results files in ``experiments/results``, by experiment and preset; smoke runs left out."""
    return [path for path in sorted(RESULTS.glob("*.json")) if ".smoke." not in path.name]


def stored_results() -> list[dict[str, Any]]:
    """What those files hold."""
    return [read_json(path, "restore it from the repository") for path in stored_files()]


def write_section(name: str, text: str) -> None:
    """Replaces what stands in the README between ``<!-- name: ... -->`` and ``<!-- end of name -->``."""
    readme = Path(__file__).parents[2] / "README.md"
    pattern = rf"(<!-- {name}: [^\n]*-->\n).*?(<!-- end of {name} -->)"
    whole, count = re.subn(
        pattern,
        lambda found: f"{found[1]}\n{text}\n{found[2]}",
        readme.read_text(),
        flags=re.DOTALL,
    )
    if count != 1:
        raise ValueError(
            f"README.md must have one section {name!r} between its markers, got {count}"
        )
    readme.write_text(whole)
