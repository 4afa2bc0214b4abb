"""Every public function, fed anything: a result that keeps its invariant, or an error that names the argument.

By these cases the quick tests call all that is public. Only those of ``DEAR`` are slow; tests of their own call these.
``MIXGAN_EXAMPLES=1000 pytest tests/test_properties.py`` looks at as many examples of each, and at new ones each time.
"""

import ast
import inspect
from pathlib import Path

import pytest
from helpers import slow
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
from mixgan_jax.checked import checked, rules_of
from mixgan_jax.types import Count

TABLES = (
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
        ("metrics.Estimate", "metrics.Provenance", "metrics.Score"),
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
    **dict.fromkeys(("theory.ContinuousGame", "theory.MixedEquilibrium"), CONTAINERS),
    **dict.fromkeys(("theory.ParticlePlayers", "theory.Particles"), CONTAINERS),
}


# A function that needs no row is fuzzed by its annotations alone.
CASES = TABLES | {
    name: Case(value)
    for name, value in public_callables()
    if inspect.isfunction(value) and name not in TABLES and name not in EXCEPTIONS
}

# Each example trains or solves with shapes of its own, so that it is compiled anew.
DEAR = {
    "duality_gap_curve": "metrics/test_duality_gap.py",
    "metrics.best_discriminator": "metrics/test_neural_distance.py",
    "metrics.neural_net_distance": "metrics/test_neural_distance.py",
    "theory.best_interval": "theory/test_interval_game.py",
    "theory.mixed_equilibrium": "theory/test_continuous_games.py",
}


def test_what_is_slow_here_has_tests_of_its_own():
    for name, file in DEAR.items():
        assert name in CASES
        tree = ast.parse((Path(__file__).parent / file).read_text(encoding="utf-8"))
        quick = [  # and what they call
            function
            for function in tree.body
            if isinstance(function, ast.FunctionDef)
            and not any("mark.slow" in ast.unparse(mark) for mark in function.decorator_list)
        ]
        assert any(name.split(".")[-1] in ast.unparse(function) for function in quick)
        assert any(function.name.startswith("test_") for function in quick)


@pytest.fixture
def below(tmp_path, monkeypatch):
    """Paths that are made up lie in a folder of the test's."""
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("name", [slow(name) if name in DEAR else name for name in CASES])
@pytest.mark.usefixtures("below")
def test_any_arguments_give_what_is_promised_or_an_error_that_names_one(name):
    case = CASES[name]
    results = []

    @given(data=st.data())
    def fuzz(data):
        results.append(check(case, data.draw(arguments_of(case))))

    fuzz()
    assert any(results) or case.errors, "all of these arguments were refused: none was good"


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
            parameters = inspect.signature(case.call).parameters.values()
            named = {one.name for one in parameters if one.kind is not one.VAR_KEYWORD}
            assert set(fuzzed(case)) == named, name


def checked_functions():
    """Public functions, and methods of public classes, that ``@checked`` wraps; by the name that a case has."""
    for name, value in public_callables():
        found = {f"{name}, {method}": part for method, part in vars(value).items()}
        found = {name: value} if inspect.isfunction(value) else found
        for label, function in found.items():
            # All wrappers have the same code.
            if getattr(function, "__code__", None) is mg.data.ring.__code__:
                yield label.removesuffix(", __init__"), function


def fuzzed_in(label):
    """The arguments that are fuzzed in the cases of a function, or of a method."""
    cases = [case for name, case in CASES.items() if label in (name, name.split(",")[0])]
    return {argument for case in cases for argument in fuzzed(case)}


def test_every_rule_is_fuzzed():
    found = {
        label: set(rules_of(function)) - fuzzed_in(label)
        for label, function in checked_functions()
        if label not in EXCEPTIONS
    }
    assert len(found) >= 100
    assert not {label: names for label, names in found.items() if names}


HANDED_ON = {
    "effective_components": "entropy checks the same argument",
    "networks.maxout": "the class that it makes checks its field",
}


def is_checked(value):
    """Whether ``@checked`` is on a class, or on a function, there perhaps below other decorators."""
    if inspect.isclass(value):
        return getattr(value, "__post_init__", value).__qualname__.startswith("_check_fields.")
    while value is not None and value.__code__ is not mg.data.ring.__code__:
        value = getattr(value, "__wrapped__", None)
    return value is not None


def unchecked_rules(name, value):
    """Names of a function, or of a class and its public methods, whose annotations state rules that nothing runs."""
    methods = vars(value).items() if inspect.isclass(value) else ()
    called = {
        f"{name}.{label}": method
        for label, method in methods
        if inspect.isfunction(method) and (label[0] != "_" or label == "__call__")
    }
    # What makes a dataclass has the rules of its fields.
    own = value.__init__ if inspect.isclass(value) and not is_checked(value) else value
    found = {name: own, **called}
    return {label for label, part in found.items() if rules_of(part) and not is_checked(part)}


def test_stated_rules_are_run():
    public = dict(public_callables())
    found = set().union(*(unchecked_rules(n, v) for n, v in public.items() if n not in EXCEPTIONS))
    assert found == set(HANDED_ON)


def test_rules_that_nothing_runs_are_found():
    @checked
    def runs(count: Count): ...

    def idle(count: Count): ...

    class Holds:
        def __init__(self, count: Count): ...

        @checked
        def grow(self, count: Count): ...

        def shrink(self, count: Count): ...

    assert not unchecked_rules("runs", runs)
    assert unchecked_rules("idle", idle) == {"idle"}
    assert unchecked_rules("Holds", Holds) == {"Holds", "Holds.shrink"}


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
