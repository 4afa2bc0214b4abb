"""Pages: in step with the kept results, and every link, call and command in them leads somewhere."""

import configparser
import re
from pathlib import Path

import pytest

import mixgan_jax as mg
from experiments import __main__ as overview
from experiments.common import architecture, catalogue, pages, paper_pages, result_pages

WRITTEN = [pages.ROOT / "README.md", pages.ROOT / "CONTRIBUTING.md", *pages.DOCS.rglob("*.md")]
ids = [str(path.relative_to(pages.ROOT)) for path in WRITTEN]


def test_generated_pages_are_those_of_the_kept_files():
    for path, text in overview.all_pages().items():
        assert pages.holds(path, text), f"{path}: run python -m experiments --pages"


def test_the_readme_is_short():
    assert len((pages.ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 250


def test_the_readme_names_every_extra():
    setup = configparser.ConfigParser()
    setup.read(pages.ROOT / "setup.cfg", encoding="utf-8")
    text = (pages.ROOT / "README.md").read_text(encoding="utf-8")
    assert [name for name in setup["options.extras_require"] if f"`{name}`" not in text] == []


@pytest.mark.parametrize("path", WRITTEN, ids=ids)
def test_links_lead_to_files_and_headings(path):
    for target in re.findall(r"\]\(([^)\s]+)\)", path.read_text(encoding="utf-8")):
        if target.startswith("http"):
            continue
        name, _, anchor = target.partition("#")
        file = path.parent / name if name else path
        assert file.exists(), target
        assert not anchor or anchor in anchors(file), target


def anchors(path: Path) -> set[str]:
    headings = re.findall(r"^#+ (.*)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("path", WRITTEN, ids=ids)
def test_calls_and_commands_exist(path):
    text = path.read_text(encoding="utf-8")
    for call in re.findall(r"\bmg((?:\.\w+)+)", text):
        found = mg
        for name in call.split(".")[1:]:
            if hasattr(found, "__name__") or found is mg:  # modules and functions, not results
                found = getattr(found, name)
    for name in re.findall(r"python -m experiments ([a-z]\w+)", text):
        assert name == "benchmark" or name in catalogue.scripts(), name


def numbers_of(result: object) -> set[float]:
    """All numbers of a kept result, those within its texts too."""
    if isinstance(result, dict):
        return set().union(*map(numbers_of, result.values()))
    if isinstance(result, list):
        return set().union(*map(numbers_of, result))
    if isinstance(result, str):
        return {float(text) for text in re.findall(r"-?\d+\.?\d*", result)}
    return {float(result)} if isinstance(result, int | float) else set()


def test_measured_numbers_of_the_findings_are_in_the_results_that_they_name():
    """A number with decimals is one of a result that its section links, rounded."""
    kept = {(each["experiment"], each["preset"]): each for each in pages.stored_results()}
    text = (pages.DOCS / "findings.md").read_text(encoding="utf-8")
    for section in text.split("\n## ")[1:]:
        linked = set(re.findall(r"results/\w+\.md#(\w+?)-\w+\)", section))
        known = [numbers_of(kept[key]) for key in kept if key[0] in linked]
        for number in re.findall(r"(?<![\w.-])-?\d+\.\d+", section):
            digits = len(number.split(".")[1])
            found = any(round(value, digits) == float(number) for value in set().union(*known))
            assert found, f"{number} of {section.splitlines()[0]!r} is in no result that it links"


def test_tables_escape_what_would_end_a_cell():
    assert pages.table(["a", "b"], [["x | y", "2"]], "---:").splitlines() == [
        "| a | b |",
        "|---|---:|",
        r"| x \| y | 2 |",
    ]


def test_sections_are_replaced_between_their_markers_alone():
    page = "before\n<!-- x: by hand -->\nold\n<!-- end of x -->\nafter\n"
    new = pages.section(page, "x", r"new \1")
    assert new == "before\n<!-- x: by hand -->\n\nnew \\1\n\n<!-- end of x -->\nafter\n"
    assert pages.section(new, "x", r"new \1") == new
    with pytest.raises(ValueError, match="one section 'y'"):
        pages.section(page, "y", "")


def test_only_pages_that_differ_are_written(tmp_path):
    path = tmp_path / "docs" / "a.md"
    assert pages.write({path: "text"}) == [path]
    assert pages.write({path: "text"}) == []


def test_a_paper_is_reproduced_only_by_its_own_preset_with_all_claims():
    held, failed = {"outcome": "holds"}, {"outcome": "fails"}
    assert paper_pages.status("paper", None) == "not attempted"
    assert paper_pages.status("cpu", {"verdict": [held]}) == "at a smaller size"
    assert paper_pages.status("paper_grid", {"verdict": [held, held]}) == "reproduced"
    assert paper_pages.status("paper", {"verdict": [held, failed]}) == "attempted"


def test_every_theorem_of_the_readme_is_one_judged_claim(monkeypatch):
    missing = result_pages.THEOREMS[0]._replace(claim="no such claim")
    monkeypatch.setattr(result_pages, "THEOREMS", [missing])
    with pytest.raises(ValueError, match="one claim 'no such claim', got 0"):
        result_pages.theorem_table()


@pytest.mark.parametrize("theorem", result_pages.THEOREMS, ids=lambda theorem: theorem.statement)
def test_the_room_of_a_theorem_uses_the_call_that_the_readme_names(theorem):
    room = catalogue.HERE / catalogue.scripts()[theorem.result.split(".")[0]].room
    code = "".join(path.read_text(encoding="utf-8") for path in room.glob("*.py"))
    for call in theorem.call.split(", "):
        assert re.search(rf"\b{call.split('.')[-1]}\b", code), call


def test_rooms_import_only_what_stands_on_lower_floors():
    rows = [line.split(" | ") for line in architecture.page().splitlines() if line[:3] != "|  "]
    floors = {row[1].strip("`"): int(row[0][2:]) for row in rows if row[0][2:].isdigit()}
    assert floors["messages"] == 1
    assert floors["players"] < floors["solvers"] < floors["runs"]
    for row in rows:
        if row[0][2:].isdigit():
            used = row[3].removesuffix(" |").split(", ") if row[3].strip(" |") else []
            assert all(floors[name] < int(row[0][2:]) for name in used), row
