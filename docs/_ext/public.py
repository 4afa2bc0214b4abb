"""What is public in mixgan_jax, read from the source: the path that users type, where it is defined, and what it is."""

import ast
import copy
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
ONE_FILE = (
    "adjustments",
    "history",
    "penalties",
    "spectrum",
    "types",
)  # public rooms without a folder


class Public(NamedTuple):
    """One public name.

    Attributes:
        path: what users type: ``mixgan_jax.gda``.
        home: where it is defined: ``mixgan_jax.solvers.gda.gda``.
        node: its definition: a function, a class, or an alias of a type.
        about: the docstring of an alias; functions and classes have their own.
    """

    path: str
    home: str
    node: ast.stmt
    about: str

    @property
    def room(self) -> str:
        """The room that defines it."""
        return self.home.split(".")[1]


@cache
def all_public() -> dict[str, Public]:
    """Finds all public names, by where they are defined; the path is the package's where it hands a name on."""
    package = ROOT / "mixgan_jax"
    rooms = [*ONE_FILE, *(face.parent.name for face in package.glob("*/__init__.py"))]
    homes = {name: _home("mixgan_jax", name) for name in _handed_on("mixgan_jax")}
    found = {}
    for room in rooms:
        module = f"mixgan_jax.{room}"
        names = _definitions(module) if room in ONE_FILE else _handed_on(module)
        for name in names:
            home = _home(module, name)
            where, _, last = home.rpartition(".")
            short = homes.get(name) == home
            path = f"mixgan_jax.{name}" if short else f"{module}.{name}"
            found[home] = Public(path, home, *_definitions(where)[last])
    return found


class Alias(NamedTuple):
    """What an alias of a type stands for, in the words of the module that defines it."""

    module: str
    value: ast.expr


def find_alias(module: str, name: str) -> Alias | None:
    """Finds the alias of a type that a module knows under a name."""
    home, _, name = _home(module, name).rpartition(".")
    for node in tree(home).body:
        if isinstance(node, ast.Assign | ast.AnnAssign) and _target(node) == name:
            kind = node.annotation if isinstance(node, ast.AnnAssign) else node.value
            if re.match(r"TypeAlias$|(Annotated|Literal)\[", ast.unparse(kind)):
                return Alias(home, copy.deepcopy(node.value))  # the caller rewrites it
    return None


@cache
def tree(module: str) -> ast.Module:
    """Parses a module."""
    path = ROOT.joinpath(*module.split("."))
    file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    return ast.parse(file.read_text(encoding="utf-8"))


def _handed_on(module: str) -> list[str]:
    """The public names of a face, which it imports as ``name as name``."""
    return [alias.asname for _, alias in _imports(module) if alias.name == alias.asname]


def _home(module: str, name: str) -> str:
    sources = {alias.asname or alias.name: source for source, alias in _imports(module)}
    source = sources.get(name, "")
    return _home(source, name) if source.startswith("mixgan_jax") else f"{module}.{name}"


def _imports(module: str) -> list[tuple[str, ast.alias]]:
    nodes = (node for node in tree(module).body if isinstance(node, ast.ImportFrom))
    return [(node.module, alias) for node in nodes for alias in node.names if node.module != module]


@cache
def _definitions(module: str) -> dict[str, tuple[ast.stmt, str]]:
    """The functions, the classes and the documented aliases of a module, those without an underscore."""
    return {name: found for name, *found in _statements(module) if not name.startswith("_")}


def _statements(module: str) -> Iterator[tuple[str, ast.stmt, str]]:
    body = tree(module).body
    for node, after in zip(body, [*body[1:], ast.Pass()], strict=True):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.name, node, ""
        elif isinstance(node, ast.Assign | ast.AnnAssign) and _is_docstring(after):
            yield _target(node), node, after.value.value


def _is_docstring(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _target(node: ast.Assign | ast.AnnAssign) -> str:
    return ast.unparse(node.target if isinstance(node, ast.AnnAssign) else node.targets[0])
