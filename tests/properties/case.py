"""What a public function promises of any arguments: a result that keeps its invariant, or an error that names one."""

import contextlib
import inspect
import re
import warnings
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from hypothesis import strategies as st
from properties.arguments import anything
from properties.strategies import strategies_of


class Case(NamedTuple):
    """One row of the table.

    Attributes:
        call: the function, with keyword arguments.
        arguments: good values for the arguments whose annotation says too little, or which must fit one another.
        holds: of the arguments and the result: asserts what must be true of it.
        names: further words that an error may name: fields and items of arguments.
        errors: errors besides TypeError and ValueError that the docstring promises.
    """

    call: Callable[..., Any]
    arguments: Mapping[str, st.SearchStrategy] = {}
    holds: Callable[[Mapping[str, Any], Any], None] = lambda given, result: None
    names: tuple[str, ...] = ()
    errors: tuple[type[Exception], ...] = ()


def fuzzed(case: Case) -> dict[str, st.SearchStrategy]:
    """Good values for each argument: the table's, and else what the annotation allows."""
    return {**strategies_of(case.call), **case.arguments}


@st.composite
def arguments_of(draw: st.DrawFn, case: Case) -> dict[str, Any]:
    """Good arguments, of which up to two are replaced by anything at all."""
    given = {name: draw(strategy) for name, strategy in fuzzed(case).items()}
    spoilt = (
        st.lists(st.sampled_from(sorted(given)), max_size=2, unique=True) if given else st.just([])
    )
    return given | {name: draw(anything) for name in draw(spoilt)}


def check(case: Case, given: dict[str, Any]) -> bool:
    """Calls the function: its result keeps the invariant, or its error names an argument and what it must be.

    Returns whether there was a result.
    """
    names = {*parameters(case.call), *case.names, *given}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            result = case.call(**given)
    except case.errors:
        return False
    except (TypeError, ValueError) as error:
        assert type(error) in (TypeError, ValueError), f"an error of its own: {error!r}"
        named = re.search(rf"(?<![\w.])({'|'.join(map(re.escape, names))})\b.* must\b", str(error))
        assert named, f"must name an argument and what it must be: {error!r}"
        return False
    case.holds(given, result)
    return True


def parameters(function: Callable[..., Any]) -> set[str]:
    with contextlib.suppress(TypeError, ValueError):
        return set(inspect.signature(function).parameters) - {"args", "kwargs"}
    return set()
