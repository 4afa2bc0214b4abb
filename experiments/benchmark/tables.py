"""The benchmark's kept tables as Markdown: all of them, and six rows for the README."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from experiments.common import pages, report
from mixgan_jax.files import read_json

KEPT = report.RESULTS / "benchmark"
HIDDEN = {"seconds", "times"}  # raw values, in the JSON only


class Shown(NamedTuple):
    """One row of the README's table of speed.

    Attributes:
        file: the kept table, without its suffix.
        task: what is trained.
        row: entries by which its row is found.
        ours: column or program of ours.
        theirs: column of PyTorch's time, or None where the row says how many times as fast it is.
    """

    file: str
    task: str
    row: Mapping[str, Any]
    ours: str
    theirs: str | None = None


SHOWN = (
    Shown(
        "mlp.gpu",
        "one GAN of small networks, batch 512",
        {"batch": 512, "program": "jax scan"},
        "us a step",
    ),
    Shown(
        "mlp.gpu",
        "256 of them at once, time for each",
        {"batch": 512, "program": "jax scan, 256 seeds"},
        "us a step",
    ),
    Shown(
        "dcgan.gpu",
        "MIX+DCGAN, k = 8, all pairs, batch 512, bfloat16",
        {"k": 8, "pairing": "full", "batch": 512, "precision": "bfloat16"},
        "jax ms",
        "torch graph ms",
    ),
    Shown(
        "mlp",
        "one GAN of small networks, batch 64",
        {"batch": 64, "program": "jax scan"},
        "us a step",
    ),
    Shown("dcgan", "DCGAN, batch 64", {"k": 1, "pairing": "full"}, "jax ms", "torch tuned ms"),
    Shown(
        "dcgan",
        "MIX+DCGAN, k = 5, all pairs, batch 60",
        {"k": 5, "pairing": "full"},
        "jax ms",
        "torch tuned ms",
    ),
)


def cells(row: Mapping[str, Any]) -> dict[str, str]:
    """Shows a row's entries as text."""

    def text(value: Any) -> str:
        if isinstance(value, float):
            return f"{value:.1e}" if 0 < abs(value) < 1e-3 else f"{value:.3g}"
        return str(value)

    return {name: text(value) for name, value in row.items() if name not in HIDDEN}


def columns(rows: Iterable[Mapping[str, Any]]) -> list[str]:
    """Lists the names of all entries that some row shows."""
    return list(dict.fromkeys(name for row in rows for name in cells(row)))


def markdown(result: Mapping[str, Any]) -> str:
    """Shows one table as docs/performance.md has it."""
    names = columns(result["rows"])
    rows = [cells(row) for row in result["rows"]]
    file = kept_name(result["section"], result["preset"])
    where = f"[`{file}`](../experiments/results/benchmark/{file}), {result['hardware']}, {result['date']}"
    return "\n\n".join(
        [
            f"### {result['title']}{'' if result['preset'] == 'cpu' else ', on a GPU'}",
            pages.table(names, [[row.get(name, "") for name in names] for row in rows]),
            where,
        ]
    )


def kept_name(section: str, preset: str, suffix: str = ".json") -> str:
    """Names a kept file; tables of the preset cpu are named by their section alone."""
    return f"{section}{'' if preset == 'cpu' else f'.{preset}'}{suffix}"


def kept(sections: Iterable[str]) -> list[dict[str, Any]]:
    """Reads the kept tables of these sections in their order, those of the CPU first."""
    files = [KEPT / kept_name(name, preset) for name in sections for preset in ("cpu", "gpu")]
    return [read_json(file, "restore it from the repository") for file in files if file.exists()]


def performance(sections: Iterable[str]) -> str:
    """Shows all kept tables of these sections."""
    return "\n\n".join(map(markdown, kept(sections)))


def speed_table() -> str:
    """Shows the README's rows: our time of a step, and the fastest PyTorch's for the same work."""
    rows = []
    for shown in SHOWN:
        file = f"{shown.file}.json"
        result = read_json(KEPT / file, "restore it from the repository")
        (row,) = (each for each in result["rows"] if shown.row.items() <= each.items())
        unit = " us" if shown.theirs is None else " ms"
        if shown.theirs is None:
            (other,) = (
                each
                for each in result["rows"]
                if (each["batch"], each["program"]) == (row["batch"], row["against"])
            )
            theirs, ratio = other[shown.ours], row["times as fast"]
        else:
            name = shown.theirs.removeprefix("torch ").removesuffix(" ms")
            theirs, ratio = row[shown.theirs], row[f"{name} / jax"]
        link = f"[{result['hardware']}](experiments/results/benchmark/{file})"
        rows.append([shown.task, link, row[shown.ours] + unit, theirs + unit, f"{ratio:.2f}"])
    return pages.table(["a step of", "on", "ours", "PyTorch, its fastest", "times as fast"], rows)
