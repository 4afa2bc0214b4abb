"""The package as a whole: what imports what, what is public, what is written down about it, what is committed."""

import ast
import importlib
import inspect
import json
import re
import shutil
import subprocess
import sys
import types
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "mixgan_jax"

# Rooms, from the ground up: one may import what stands on earlier lines.
ORDER = (
    {"messages", "files", "processes"},
    {"arrays"},
    {"checks"},
    {"checked"},
    {"types"},
    {"losses", "penalties", "optim", "adjustments", "networks", "data"},
    {"game", "spectrum", "plots"},
    {"players"},
    {"history", "theory", "storage"},
    {"solvers"},
    {"metrics", "runs"},
)
# Networks, data and figures are handed to those who use them: only these rooms may import them. Of networks, metrics
# know the one that the Inception distances are defined by.
HANDED = {"networks": {"metrics"}, "data": {"plots", "metrics", "runs"}, "plots": set()}

LAZY = (
    "tensorflow",
    "tensorflow_datasets",
    "grain",
    "orbax",
    "matplotlib",
    "scipy",
    "tensorboardX",
    "sklearn",
    "torch",
)


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def unit(path: Path) -> str:
    """The part of the package that a file belongs to: ``losses`` or ``solvers``."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported(path: Path) -> set[str]:
    """Full names of all that a file imports, wherever in it the import stands."""
    names: set[str] = set()
    relative = path.relative_to(ROOT).with_suffix("").parts
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = [*relative[: -node.level]] if node.level else []
            source = ".".join([*base, *([node.module] if node.module else [])])
            names.update(f"{source}.{alias.name}" for alias in node.names)
    return names


def imported_units(path: Path) -> set[str]:
    inside = (name.split(".") for name in imported(path) if name.startswith("mixgan_jax."))
    return {name[1] for name in inside} - {unit(path)}


def allowed_units(name: str) -> set[str]:
    place = next(i for i, rooms in enumerate(ORDER) if name in rooms)
    earlier = set().union(*ORDER[:place])
    return earlier - {room for room, users in HANDED.items() if name not in users}


def committed_files() -> list[Path]:
    """Files that are, or are about to be, committed."""
    if not (shutil.which("git") and (ROOT / ".git").exists()):
        pytest.skip("what is committed is known in a git checkout only")
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    paths = [ROOT / name for name in listed.stdout.split("\0") if name]
    return [path for path in paths if path.is_file()]


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_go_one_way(path):
    name = unit(path)
    if name in {"__init__", "__main__"}:
        return
    assert name in set().union(*ORDER), (
        f"mixgan_jax.{name} has no place in the order of imports: give it one in {Path(__file__).name}"
    )
    wrong = imported_units(path) - allowed_units(name)
    assert not wrong, f"mixgan_jax.{name} must not import {sorted(wrong)}"


def test_the_import_scan_sees_every_form(tmp_path, monkeypatch):
    """Plain, from, relative and nested imports are all found: otherwise the tests above could not fail."""
    monkeypatch.setattr(sys.modules[__name__], "ROOT", tmp_path)
    monkeypatch.setattr(sys.modules[__name__], "PACKAGE", tmp_path / "mixgan_jax")
    path = tmp_path / "mixgan_jax" / "data" / "feed.py"
    path.parent.mkdir(parents=True)
    path.write_text(
        "import mixgan_jax.runs.fit\nfrom mixgan_jax import losses\nfrom mixgan_jax.solvers import gda\n"
        "from ..players import meet\nfrom . import images\n\ndef f():\n    import scipy.stats\n"
    )
    assert imported_units(path) == {"runs", "losses", "solvers", "players"}
    assert "scipy.stats" in imported(path)


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_only_networks_and_linen_players_know_flax(path):
    libraries = {name.split(".")[0] for name in imported(path)}
    assert "flax" not in libraries or unit(path) == "networks" or path.stem == "linen"


def test_no_room_of_experiments_imports_another_and_no_script_a_script():
    files = sorted((ROOT / "experiments").glob("*/*.py"))
    scripts = {path.stem for path in files if re.search(r"^PRESETS\b", path.read_text(), re.M)}
    for path in files:
        room = path.parent.name
        names = [name.split(".") for name in imported(path) if name.startswith("experiments.")]
        rooms = {name[1] for name in names} - {room, "common"}
        assert not rooms, f"{path} must not import the rooms {rooms}"
        wrong = scripts & {name[2] for name in names if len(name) > 2}
        assert not wrong, f"{path} must not import the scripts {wrong}"


def test_import_is_light():
    """Heavy libraries are imported where they are used, not with the package."""
    code = f"import sys, mixgan_jax; print([name for name in {LAZY} if name in sys.modules])"
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout.strip() == "[]", f"importing mixgan_jax also imports {run.stdout.strip()}"


def handed_on(face: Path) -> set[str]:
    """The public names of a package: what its face imports as ``name as name``."""
    imports = (n for n in ast.parse(face.read_text()).body if isinstance(n, ast.ImportFrom))
    return {alias.name for node in imports for alias in node.names if alias.name == alias.asname}


def public_callables() -> list[tuple[str, object]]:
    """Public functions and classes by name; of public modules, the public ones that they define."""
    package = importlib.import_module("mixgan_jax")
    found: dict[str, object] = {}
    for name in handed_on(PACKAGE / "__init__.py"):
        value = getattr(package, name)
        if isinstance(value, types.ModuleType):
            members = {f"{name}.{n}": v for n, v in vars(value).items() if not n.startswith("_")}
            found |= {n: v for n, v in members.items() if defined_in(v, value.__name__)}
        elif defined_in(value, "mixgan_jax"):
            found[name] = value
    return sorted(found.items())


def defined_in(value: object, module: str) -> bool:
    return callable(value) and f"{getattr(value, '__module__', '')}.".startswith(f"{module}.")


def test_no_public_name_is_lost():
    """A name that was public stays where it was; ``public_names.txt`` grows, but loses no line."""
    names = (ROOT / "tests" / "public_names.txt").read_text().split()
    assert len(names) > 280
    for name in names:
        module, _, last = name.rpartition(".")
        assert hasattr(importlib.import_module(module), last), f"{name} is gone"
    assert len(public_callables()) >= 150


def test_public_modules_are_documented():
    sources = {path: ast.parse(path.read_text(encoding="utf-8")) for path in modules()}
    bare = [
        str(path.relative_to(ROOT)) for path, tree in sources.items() if not ast.get_docstring(tree)
    ]
    assert not bare


def test_public_docstrings():
    """A function's docstring explains its parameters, a class's its fields, and arrays come with shapes."""
    found = [
        f"{n}: {what}" for n, value in public_callables() for what in docstring_problems(value)
    ]
    assert not found, "\n".join(found)


def docstring_problems(value: object) -> list[str]:
    text = value.__doc__ or ""
    name = getattr(value, "__name__", "")
    if not text.strip() or text.startswith(
        f"{name}("
    ):  # the latter: made by NamedTuple or dataclass
        return ["no docstring"]
    problems = []
    annotations = annotations_of(value)
    parameters = set(annotations) - {"return"}
    if parameters and not re.search(r"^\s*(Args|Attributes):", text, re.MULTILINE):
        problems.append("parameters or fields without a section Args: or Attributes:")
    unnamed = [p for p in sorted(parameters) if not re.search(rf"\b{p.lstrip('*')}\b", text)]
    if unnamed:
        problems.append(f"{', '.join(unnamed)} not mentioned")
    arrays = [p for p, kind in annotations.items() if p != "key" and is_of_arrays(kind)]
    if arrays and not re.search(r"``[^`]*\[[^`]*\][^`]*``|\bscalar", text):
        problems.append(f"arrays ({', '.join(arrays)}) without a shape as in ``[B, ...]``")
    return problems


def is_of_arrays(annotation: str) -> bool:
    """Whether an annotation is an array, an optional one, or a tuple of them; not a function of arrays."""
    rest = re.sub(r"[\w.]*\b(Array|ndarray)\b", "", annotation)
    return rest != annotation and not re.sub(r"None|tuple|[\[\], |.]", "", rest)


def annotations_of(value: object) -> dict[str, str]:
    """Parameters of a function with "return", or fields of a class, and their annotations as text."""
    if inspect.isclass(value):
        from_linen = any(base.__module__.startswith("flax.") for base in value.__mro__)
        hidden = {"name", "parent"} if from_linen else set()  # fields that every Linen module has
        fields = inspect.get_annotations(value)
        shown = {n: kind for n, kind in fields.items() if n[0] != "_" and n not in hidden}
        return {n: inspect.formatannotation(kind) for n, kind in shown.items()}
    signature = inspect.signature(value)
    kinds = {name: parameter.annotation for name, parameter in signature.parameters.items()}
    kinds["return"] = signature.return_annotation
    return {name: inspect.formatannotation(kind) for name, kind in kinds.items()}


def test_the_docstring_rules_can_fail():
    import jax

    def bare(logits: jax.Array) -> jax.Array: ...

    def no_shape(logits: jax.Array) -> jax.Array:
        """Scale.

        Args:
            logits: the logits.
        """

    def good(key: jax.Array, logits: jax.Array) -> jax.Array:
        """Scale.

        Args:
            key: consumed.
            logits: of shape ``[B]``.
        """

    assert docstring_problems(bare) == ["no docstring"]
    assert docstring_problems(no_shape) == [
        "arrays (logits, return) without a shape as in ``[B, ...]``"
    ]
    assert docstring_problems(good) == []
    assert is_of_arrays("tuple[jax.Array, ...] | None")
    assert not is_of_arrays("collections.abc.Callable[[jax.Array], jax.Array]")


def test_files_are_short():
    files = [*modules(), *(ROOT / "experiments").rglob("*.py")]
    lengths = {
        str(p.relative_to(ROOT)): len(p.read_text(encoding="utf-8").splitlines()) for p in files
    }
    long = {name: length for name, length in lengths.items() if length > 300}
    assert not long, f"split by noun what has more than 300 lines: {long}"


def test_no_file_names_a_place_on_one_machine():
    """Paths of the machine that a file was written on mean nothing on another."""
    places = ["/".join(parts) for parts in (("", "work", ""), ("", "tmp", "v"), ("..", "shared"))]
    places += ["/".join(("", home, "")) for home in ("root", "home", "Users")]
    found = []
    for path in committed_files():
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue  # an image
        found += [f"{path.relative_to(ROOT)}: {place}" for place in places if place in text]
    assert not found, found


def test_notebooks_are_stored_without_outputs():
    notebooks = [path for path in committed_files() if path.suffix == ".ipynb"]
    assert notebooks
    for path in notebooks:
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        run = [c for c in cells if c.get("outputs") or c.get("execution_count") is not None]
        assert not run, f"{path.relative_to(ROOT)}: clear the outputs of {len(run)} cells"
