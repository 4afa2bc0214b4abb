"""The rooms of the package and of the experiments, read from their files: what each is, and what it imports."""

import ast
import re
from pathlib import Path

from experiments.common import catalogue, pages

PACKAGE = pages.ROOT / "mixgan_jax"


def page() -> str:
    """Lists the package's rooms from the ground up, then those of the experiments."""
    imports = {room: room_imports(files) for room, files in _rooms().items()}
    heights: dict[str, int] = {}
    for _ in imports:  # each pass settles at least one more room
        for room, used in imports.items():
            heights[room] = 1 + max((heights.get(other, 0) for other in used), default=0)
    rows = []
    for room in sorted(imports, key=lambda name: (heights[name], name)):
        used = ", ".join(sorted(imports[room], key=lambda name: (heights[name], name)))
        rows.append([str(heights[room]), f"`{room}`", first_line(_face(PACKAGE / room)), used])
        rows += [
            ["", f"`{room}/{face.parent.name}`", first_line(face), ""]
            for face in sorted((PACKAGE / room).glob("*/__init__.py"))
        ]
    experiments = [[f"`{room}`", about] for room, about in catalogue.rooms().items()]
    return "\n\n".join(
        [
            pages.table(["floor", "room", "what it is", "imports"], rows),
            pages.table(["room of experiments", "what it asks"], experiments),
        ]
    )


def room_imports(files: list[Path]) -> set[str]:
    """Names the other rooms of the package that some of these files import."""
    found = set()
    for path in files:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names: list[str] = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module:
                names = [f"{node.module}.{alias.name}" for alias in node.names]
            found.update(name.split(".")[1] for name in names if name.startswith("mixgan_jax."))
    return found - {files[0].relative_to(PACKAGE).parts[0].removesuffix(".py")}


def first_line(path: Path) -> str:
    """Reads the first line of a module's docstring, without Sphinx's roles."""
    doc = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return re.sub(r":\w+:`~?([^`]*)`", r"`\1`", doc.splitlines()[0]).replace("``", "`")


def _rooms() -> dict[str, list[Path]]:
    packages = {face.parent.name: face.parent for face in PACKAGE.glob("*/__init__.py")}
    modules = {path.stem: [path] for path in PACKAGE.glob("[!_]*.py")}
    return modules | {name: sorted(folder.rglob("*.py")) for name, folder in packages.items()}


def _face(path: Path) -> Path:
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
