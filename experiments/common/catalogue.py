"""Finds the experiments, without imports: the modules of the rooms that have presets."""

import ast
import difflib
import importlib
import re
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

HERE = Path(__file__).parents[1]
NOT_ROOMS = {"benchmark", "common"}


class Script(NamedTuple):
    """One experiment.

    Attributes:
        name: its name in ``python -m experiments NAME``.
        room: the folder that it is in.
        doc: its docstring.
    """

    name: str
    room: str
    doc: str


def rooms() -> dict[str, str]:
    """Lists the rooms, each with the first line of its docstring."""
    found = {path.parent.name: _doc(path) for path in sorted(HERE.glob("*/__init__.py"))}
    return {room: doc.splitlines()[0] for room, doc in found.items() if room not in NOT_ROOMS}


def scripts() -> dict[str, Script]:
    """Lists all experiments by name, room after room."""
    files = [path for room in rooms() for path in sorted((HERE / room).glob("*.py"))]
    return {
        path.stem: Script(path.stem, path.parent.name, _doc(path))
        for path in files
        if re.search(r"^PRESETS\b", path.read_text(encoding="utf-8"), re.MULTILINE)
    }


def load(name: str) -> ModuleType:
    """Imports the module of an experiment.

    Raises:
        ValueError: there is none of that name; the message has the nearest ones.
    """
    known = scripts()
    if name not in known:
        near = difflib.get_close_matches(name, known, n=3, cutoff=0.4)
        advice = (
            f"did you mean {' or '.join(near)}?" if near else "python -m experiments lists them"
        )
        raise ValueError(f"NAME must be an experiment, got {name!r}: {advice}")
    return importlib.import_module(f"experiments.{known[name].room}.{name}")


def _doc(path: Path) -> str:
    return ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
