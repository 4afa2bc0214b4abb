"""The wording of errors: the nearest name is suggested, and what cannot be written out is named by its type."""

from pathlib import Path

import jax
import numpy as np
import pytest
from flax import linen

import mixgan_jax as mg
from mixgan_jax.checks import describe

WRONG_NAMES = [
    (mg, "mix_gann", "mix_gan"),
    (mg.adjustments, "consenus", "consensus"),
    (mg.data, "load_npy", "load_npz"),
    (mg.history, "Histroy", "History"),
    (mg.losses, "non_saturatin", "non_saturating"),
    (mg.metrics, "mode_coverag", "mode_coverage"),
    (mg.networks, "DCGANGenrator", "DCGANGenerator"),
    (mg.optim, "softmax_sdg", "softmax_sgd"),
    (mg.penalties, "weight_entropie", "weight_entropy"),
    (mg.plots, "plot_payoff", "plot_payoffs"),
    (mg.solvers, "gradientplay", "gradient_play"),
    (mg.spectrum, "jacobean", "jacobian"),
    (mg.theory, "packing_bound", "packing_bounds"),
]


@pytest.mark.parametrize(("module", "wrong", "near"), WRONG_NAMES, ids=lambda x: str(x)[:30])
def test_a_wrong_name_suggests_the_nearest(module, wrong, near) -> None:
    assert hasattr(module, near) and not hasattr(module, wrong)
    with pytest.raises(AttributeError, match=f"^{module.__name__} has no .*did you mean '{near}'"):
        getattr(module, wrong)


def test_names_that_are_far_from_all_get_no_suggestion() -> None:
    for name in ("xyzzy", "__wrapped__"):
        with pytest.raises(AttributeError, match=rf"^mixgan_jax has no '{name}'$"):
            getattr(mg, name)


def test_a_type_checker_still_knows_which_names_exist() -> None:
    """No module defines ``__getattr__`` in its text: mypy would believe every name then."""
    package = Path(mg.__file__).parent
    assert not [p for p in package.rglob("*.py") if "def __getattr__" in p.read_text("utf-8")]


class Wordy:
    def __repr__(self) -> str:
        return "x" * 1000


@pytest.mark.parametrize(
    ("value", "described"),
    [
        (1.5, "1.5"),
        ([1, 2], "[1, 2]"),
        (Wordy(), f"an object of type {__name__}.Wordy"),
        (linen.Dense(3), "an object of type flax.linen.linear.Dense"),
        (list(range(1000)), "a list of 1000 entries"),
        ({str(i): i for i in range(1000)}, "a dict of 1000 entries"),
        ("a" * 1000, f"'{'a' * 199}..."),
        (np.zeros((2, 3)), "an array of shape (2, 3) and dtype float64"),
        (jax.random.key(0), "a PRNGKeyArray of dtype key<fry>"),
    ],
)
def test_values_are_described_in_a_line(value, described) -> None:
    assert describe(value) == described
