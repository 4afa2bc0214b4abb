"""Every public function, fed anything: a result that keeps its invariant, or an error that names the argument.

No case is marked slow: by them the quick tests call all that is public.
``MIXGAN_EXAMPLES=1000 pytest tests/test_properties.py`` looks at as many examples of each, and at new ones each time.
"""

import inspect

import pytest
from hypothesis import given, strategies as st
from properties import (
    data_and_networks,
    dynamics,
    games_and_losses,
    numbers,
    packing,
    runs_and_files,
    theory_and_supports,
)
from properties.case import Case, arguments_of, check, fuzzed
from test_package import public_callables

import mixgan_jax as mg
from mixgan_jax.checked import rules_of

CASES = (
    games_and_losses.GAMES
    | games_and_losses.MIXTURES
    | games_and_losses.LOSSES
    | numbers.PENALTIES
    | dynamics.DYNAMICS
    | packing.PACKING
    | numbers.RULES
    | numbers.METRICS
    | data_and_networks.DATA
    | data_and_networks.NETWORKS
    | runs_and_files.SOLVERS
    | runs_and_files.RUNS
    | runs_and_files.FILES
    | runs_and_files.FIGURES
    | theory_and_supports.THEORY
    | theory_and_supports.PLAY
    | theory_and_supports.SUPPORTS
)

CONTAINERS = "holds what it is given; who uses it checks it"
NO_ARGUMENTS = "has no arguments"
EXCEPTIONS = {
    "data.digits": NO_ARGUMENTS,
    "losses.phi_identity": NO_ARGUMENTS,
    "losses.phi_log": NO_ARGUMENTS,
    "theory.scoring_rules": NO_ARGUMENTS,
    "networks.pacgan_discriminator": NO_ARGUMENTS,
    "metrics.duality_gap_curve": "has its case as duality_gap_curve",
    "networks.conv_general_dilated": "hands all it does not know to lax, whose errors are lax's own",
    **dict.fromkeys(
        ("EquilibriumError", "FolderInUseError", "Interrupted", "NonFiniteError", "SaveError"),
        "an exception",
    ),
    **dict.fromkeys(
        ("Equilibrium", "Feed", "Frozen", "GanLoss", "MixGanState", "Mixture", "Outcome"),
        CONTAINERS,
    ),
    **dict.fromkeys(
        ("Payoffs", "Player", "Solver", "Stream", "Unsound", "history.History"), CONTAINERS
    ),
    **dict.fromkeys(
        (
            "Around",
            "Averaged",
            "DoubleOracleState",
            "DuelState",
            "FictitiousState",
            "GradientPlayState",
        ),
        CONTAINERS,
    ),
    **dict.fromkeys(
        ("data.Feed", "data.ImageSource", "data.Images", "data.Stream"),
        CONTAINERS,
    ),
    **dict.fromkeys(
        ("losses.GanLoss", "losses.MeasuringFunction", "theory.Folded", "theory.ScoringRule"),
        CONTAINERS,
    ),
    **dict.fromkeys(("theory.IntervalGame", "theory.IntervalState"), CONTAINERS),
}


NOT_FUZZED = {}


@pytest.fixture
def below(tmp_path, monkeypatch):
    """Paths that are made up lie in a folder of the test's."""
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.usefixtures("below")
@given(data=st.data())
def test_any_arguments_give_what_is_promised_or_an_error_that_names_one(name, data):
    case = CASES[name]
    check(case, data.draw(arguments_of(case)))


def test_every_public_function_has_a_case_or_a_reason():
    covered = {name.split(",")[0] for name in CASES}
    public = {name for name, _ in public_callables()}
    assert public == covered | set(EXCEPTIONS)
    assert not covered & set(EXCEPTIONS)


def test_every_argument_of_a_function_is_fuzzed():
    """A new argument needs a strategy: where its annotation gives none, the table has it."""
    public = dict(public_callables())
    for name, case in CASES.items():
        if case.call is public.get(name) and inspect.isfunction(case.call):
            assert set(fuzzed(case)) == set(inspect.signature(case.call).parameters), name


def checked_functions():
    """Public functions, and methods of public classes, that ``@checked`` wraps; by the name that a case has."""
    for name, value in public_callables():
        found = {f"{name}, {method}": part for method, part in vars(value).items()}
        found = {name: value} if inspect.isfunction(value) else found
        for label, function in found.items():
            if (
                getattr(function, "__code__", None) is mg.data.ring.__code__
            ):  # all wrappers have the same
                yield label.replace(", __init__", ""), function


def test_every_rule_is_fuzzed():
    found = {
        label: set(rules_of(function)) - fuzzed_in(label) for label, function in checked_functions()
    }
    assert {label: names for label, names in found.items() if names} == NOT_FUZZED


def fuzzed_in(label):
    """The arguments that are fuzzed in the cases of a function, or of a method."""
    cases = [case for name, case in CASES.items() if label in (name, name.split(",")[0])]
    return {argument for case in cases for argument in fuzzed(case)}


@pytest.mark.parametrize(
    "call",
    [
        lambda size: {}[size],
        lambda size: 1 / 0,
        lambda size: size.shape,
        lambda size: (_ for _ in ()).throw(ValueError("bad size")),
        lambda size: (_ for _ in ()).throw(UnicodeDecodeError("utf-8", b"", 0, 1, "size must")),
        lambda size: float("nan"),
    ],
)
def test_the_check_can_fail(call):
    case = Case(call, {"size": st.just(1)}, games_and_losses.is_finite)
    with pytest.raises((AssertionError, KeyError, ZeroDivisionError, AttributeError)):
        check(case, {"size": 1})
