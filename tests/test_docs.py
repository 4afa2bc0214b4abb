"""The site's sources, without Sphinx: papers, names in docstrings, pages of the API. ``make docs`` checks the rest."""

import functools
import importlib
import importlib.util
import re
import types
from pathlib import Path

import pytest

from experiments.common import bibliography

ROOT = Path(__file__).parents[1]
FOLDERS = ("mixgan_jax", "experiments", "docs", "notebooks")
MODULES = sorted(
    path
    for folder in FOLDERS[:2]
    for path in (ROOT / folder).rglob("*.py")
    if path.stem != "__main__"
)


@functools.cache
def texts() -> dict[str, str]:
    """All that may cite a paper, with blanks for line ends."""
    files = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*")]
    files = [path for path in files if path.suffix in {".py", ".md", ".ipynb"}]
    found = {
        str(p.relative_to(ROOT)): p.read_text(encoding="utf-8")
        for p in [*files, ROOT / "README.md"]
    }
    return {name: re.sub(r"\s+", " ", text) for name, text in found.items()}


@functools.cache
def cited_numbers(text: str) -> set[str]:
    return set(re.findall(r"arxiv[^0-9]{1,12}(\d{4}\.\d{4,5})", text, re.IGNORECASE))


def is_cited(entry: bibliography.Entry, text: str) -> bool:
    """By its arXiv number, or by the first author and the year, or without a year by the title."""
    if entry.arxiv:
        return entry.arxiv in cited_numbers(text)
    if entry.year:
        return (plain(entry.authors[0]), entry.year) in cited_authors(text)
    return entry.title.partition(" (")[0] in text


def test_every_arxiv_number_is_in_the_bibliography():
    known = {entry.arxiv for entry in bibliography.entries().values()}
    missing = {name: cited_numbers(text) - known for name, text in texts().items()}
    assert {name: numbers for name, numbers in missing.items() if numbers} == {}


def test_every_paper_of_the_bibliography_is_cited():
    text = " ".join(texts().values())
    idle = [key for key, entry in bibliography.entries().items() if not is_cited(entry, text)]
    assert not idle


def test_every_author_and_year_is_in_the_bibliography():
    """``Wendel 1962``, ``Lipton and Young (1994)``, ``Lin et al. 2018``: what has no arXiv number too."""
    known = {(plain(entry.authors[0]), entry.year) for entry in bibliography.entries().values()}
    missing = {name: cited_authors(text) - known for name, text in texts().items()}
    assert {name: papers for name, papers in missing.items() if papers} == {}


@functools.cache
def cited_authors(text: str) -> set[tuple[str, str]]:
    name = r"[A-ZÖ][\w-]+"
    others = rf"(?:(?:, {name})*(?: and {name})| et al\.|'s)?"
    return {(plain(a), y) for a, y in re.findall(rf"\b({name}){others} \(?((?:19|20)\d\d)\b", text)}


def plain(name: str) -> str:
    return name.replace("ö", "o")


def test_the_citation_rules_can_fail():
    assert cited_numbers("(arXiv 1703.00573; https://arxiv.org/abs/1712.04086)") == {
        "1703.00573",
        "1712.04086",
    }
    entry = bibliography.Entry(("Lipton", "Young"), "Simple strategies", "1994", "")
    assert is_cited(entry, "(Lipton and Young 1994)")
    assert is_cited(entry, "Lipton and Young (1994)")
    assert not is_cited(entry, "Lipton and Young 1993; another 1994")
    assert entry.heading == "Lipton and Young (1994)"


def test_the_bibliography_is_read_whole():
    text = bibliography.FILE.read_text(encoding="utf-8")
    entries = bibliography.entries()
    assert len(entries) == text.count("\n@") > 50
    assert len({entry.arxiv for entry in entries.values() if entry.arxiv}) == text.count("eprint =")


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(ROOT)))
def test_names_in_docstrings_exist(path):
    """A role names an attribute of its module, of a class in it or of the package, or else a public name."""
    roles = re.findall(
        r":(?:func|class|meth|mod|data|exc|attr):`~?([^`]+)`", path.read_text(encoding="utf-8")
    )
    if roles:
        name = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        module = importlib.import_module(name)
        classes = [value for value in vars(module).values() if isinstance(value, type)]
        places = [module, *classes, importlib.import_module("mixgan_jax")]
        wrong = [role for role in roles if not any(leads(place, role) for place in places)]
        assert [
            role for role in wrong if not any(p.endswith(f".{role}") for p in public_paths())
        ] == []


def leads(place: object, target: str) -> bool:
    for name in target.removeprefix("mixgan_jax.").split("."):
        place = getattr(place, name, None)
    return place is not None


def test_every_public_name_has_a_page():
    shown = [resolve(path) for path in public_paths()]
    pages = {path.stem for path in (ROOT / "docs" / "api").glob("*.md")}
    assert set(public_paths().values()) == pages
    for name in (ROOT / "tests" / "public_names.txt").read_text().split():
        value = resolve(name)
        is_page = isinstance(value, types.ModuleType) and name.split(".")[1] in pages
        assert is_page or any(value is other for other in shown), f"{name} is on no page"


@functools.cache
def public_paths() -> dict[str, str]:
    """The names that the site documents, each with its room."""
    spec = importlib.util.spec_from_file_location("public", ROOT / "docs" / "_ext" / "public.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return {public.path: public.room for public in module.all_public().values()}


def resolve(path: str) -> object:
    return functools.reduce(getattr, path.split(".")[1:], importlib.import_module("mixgan_jax"))
