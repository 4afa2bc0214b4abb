"""The examples in docstrings run, and the names that people type most have one."""

import doctest
import inspect
from typing import Any

import pytest
from test_package import public_callables

NEEDED = [
    *("from_linen", "pack", "uniform", "generate", "sample", "meet"),
    *("mix_gan", "gda", "double_oracle", "fictitious_gan", "extragradient"),
    *("fit", "run", "load_for_sampling", "read_records"),
    *("data.ring", "data.grid", "data.gaussian_mixture", "data.feed_from_distribution"),
    *("networks.MLP", "metrics.mode_coverage", "metrics.equilibrium_report"),
    *("losses.minimax", "losses.wasserstein", "penalties.r1"),
    *("exponentiated_gradient", "per_component"),
    *("zero_sum", "nash_conv", "zero_sum_equilibrium", "approximate_equilibrium"),
]


def examples_of(name: str, value: Any) -> list[doctest.DocTest]:
    """The examples of a function or class and its methods; a wrapper's are those of what it wraps."""
    found = doctest.DocTestFinder().find(value, name, module=False, globs={})  # type: ignore[arg-type]
    return [test for test in found if test.examples]


EXAMPLES = {
    test.name: test for name, value in public_callables() for test in examples_of(name, value)
}


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_prints_what_it_says(name: str) -> None:
    report: list[str] = []
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE)
    runner.run(EXAMPLES[name], out=report.append)
    assert not runner.failures, "".join(report)


def test_what_people_type_most_has_an_example() -> None:
    missing = [name for name in NEEDED if name not in EXAMPLES]
    assert not missing
    assert len(NEEDED) >= 25


def test_examples_are_found_behind_wrappers_and_can_fail() -> None:
    public = dict(public_callables())
    assert inspect.unwrap(public["run"]) is not public["run"]
    (test,) = examples_of("run", public["run"])
    wrong = test.examples[-1]
    wrong.want = "0\n"
    runner = doctest.DocTestRunner(verbose=False)
    runner.run(test, out=lambda text: None)
    assert runner.failures == 1
