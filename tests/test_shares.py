"""How much of the package checks arguments, and how often a type says nothing: shares that may not grow."""

import ast
from collections.abc import Iterator
from pathlib import Path

from test_package import PACKAGE, modules

# The rooms whose business checks are.
CHECKS = {PACKAGE / f"{name}.py" for name in ["arrays", "checks", "checked", "types", "messages"]}
FILES = [path for path in modules() if path not in CHECKS]
TREES = {path: ast.parse(path.read_text(encoding="utf-8")) for path in FILES}

MOST_CHECKS, MOST_ANY = 0.052, 0.07


def called(value: ast.AST | None) -> str:
    """The name of the function that an expression calls, without a leading underscore."""
    function = value.func if isinstance(value, ast.Call) else None
    name = function.id if isinstance(function, ast.Name) else getattr(function, "attr", "")
    return name.removeprefix("_")


def refuses(statement: ast.stmt) -> bool:
    """Whether a statement raises what a bad argument raises."""
    made = statement.exc if isinstance(statement, ast.Raise) else None
    return called(made) in ("fail", "ValueError", "TypeError")


def is_check(node: ast.AST) -> bool:
    """Whether a node is a call of a check, or an ``if`` that only refuses."""
    if isinstance(node, ast.Expr | ast.Assign | ast.AnnAssign | ast.Return):
        return called(node.value).startswith("check_")
    return isinstance(node, ast.If) and not node.orelse and all(map(refuses, node.body))


def checking_lines(tree: ast.Module) -> set[int]:
    """Numbers of the lines of all checks, at any depth."""
    spans = (range(node.lineno, node.end_lineno + 1) for node in ast.walk(tree) if is_check(node))
    return {line for span in spans for line in span}


def annotations(tree: ast.Module) -> Iterator[ast.expr]:
    """Of all arguments that have one."""
    arguments = (node for node in ast.walk(tree) if isinstance(node, ast.arg))
    return (one.annotation for one in arguments if one.annotation)


def says_nothing(annotation: ast.expr) -> bool:
    return isinstance(annotation, ast.Name) and annotation.id == "Any"


def lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines()


def test_algorithms_are_not_drowned_in_checks() -> None:
    checks = {
        path: sum(bool(lines(path)[number - 1].strip()) for number in checking_lines(tree))
        for path, tree in TREES.items()
    }
    total = sum(bool(line.strip()) for path in FILES for line in lines(path))
    share = sum(checks.values()) / total
    most = sorted(checks, key=lambda path: -checks[path])[:8]
    named = ", ".join(f"{path.relative_to(PACKAGE)} {checks[path]}" for path in most)
    assert share < MOST_CHECKS, (
        f"{sum(checks.values())} of {total} lines check arguments, {share:.1%}: {named}"
    )


def test_types_of_arguments_say_something() -> None:
    found = [one for tree in TREES.values() for one in annotations(tree)]
    share = sum(map(says_nothing, found)) / len(found)
    assert share < MOST_ANY, (
        f"{share:.1%} of {len(found)} annotated arguments are Any, which says nothing"
    )


def test_checks_are_counted_in_every_form() -> None:
    text = '''
def _check_size(size: Any) -> None:
    """Says why."""
    if size < 1:
        raise ValueError("size must be >= 1")

def f(size: int, rate: float) -> int:
    rate = check_number("rate", rate)
    _check_size(size)
    for one in range(size):
        if one > rate:
            raise fail(
                "rate", rate, "larger")
    if size == 3:
        raise RuntimeError("three")
    return size
'''
    tree = ast.parse(text)
    assert checking_lines(tree) == {4, 5, 8, 9, 11, 12, 13}
    assert [says_nothing(one) for one in annotations(tree)] == [True, False, False]
