"""Rules in annotations: which rule an annotation states, what a call costs, and what is left alone."""

import inspect
import sys
import time
import timeit
from collections.abc import Callable
from dataclasses import dataclass
from types import FrameType
from typing import Annotated, Any, Literal

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from annotated_types import Ge, Gt

import mixgan_jax as mg
from mixgan_jax import checks
from mixgan_jax.checked import checked, rule_of
from mixgan_jax.types import (
    ArrayLike,
    Count,
    Fraction,
    Key,
    NonNegative,
    Number,
    Positive,
    Shaped,
    Share,
    StepSize,
    Weights,
    Whole,
)

PLAYER = mg.from_linen(mg.networks.MLP(()))
OPTIONS = {
    "latent_size": 2,
    "generator_tx": optax.sgd(0.1),
    "discriminator_tx": optax.sgd(0.1),
}

ACCEPTED = [
    (Count, 3, 3),
    (Count, np.int8(3), 3),
    (Whole, 0, 0),
    (Number, -2, -2.0),
    (NonNegative, 0.0, 0.0),
    (Share, np.float32(1.0), 1.0),
    (Fraction, 0.5, 0.5),
    (StepSize, 0.1, 0.1),
    (Count | None, None, None),
    (Literal["full", "latin"], "latin", "latin"),
    (bool, True, True),
    (str, "ring", "ring"),
    (mg.GanLoss | None, None, None),
]
REFUSED = [
    (Count, 0, ValueError, "x must be a whole number >= 1, got 0"),
    (Count, 2.0, TypeError, "x must be a whole number >= 1, got 2.0"),
    (Whole, -1, ValueError, "x must be a whole number >= 0, got -1"),
    (Number, np.inf, ValueError, "x must be a finite number, got inf"),
    (Positive, 0.0, ValueError, "x must be a finite number > 0, got 0.0"),
    (Share, 1.5, ValueError, "x must be a finite number >= 0 and <= 1, got 1.5"),
    (Fraction, 1.0, ValueError, "x must be a finite number > 0 and < 1, got 1.0"),
    (Count | None, 0, ValueError, "x must be a whole number >= 1, got 0"),
    (Weights, [0.5, 0.6], ValueError, "x must be non-negative and sum to 1"),
    (Weights, [np.nan, 1.0], ValueError, "x must be finite, got nan at index"),
    (Annotated[ArrayLike, Shaped(2)], [1.0], ValueError, "x must have rank 2, got shape"),
    (Key, 0, TypeError, "x must be a typed random key"),
    (Literal["full", "latin"], "lattin", ValueError, "did you mean 'latin'"),
    (bool, 1, TypeError, "x must be True or False, got 1"),
    (str, 1, TypeError, "x must be a str, got 1"),
    (Callable[[int], int], 1, TypeError, "x must be a function, got 1"),
    (mg.GanLoss, 1, TypeError, "x must be a GanLoss, got 1"),
    (mg.Feed | mg.Stream, 1, TypeError, "x must be a Feed or a Stream, got 1"),
]


@pytest.mark.parametrize(("hint", "value", "result"), ACCEPTED)
def test_a_rule_returns_what_the_function_gets(hint: Any, value: Any, result: Any) -> None:
    found = rule_of(hint)("x", value)
    assert found == result
    assert type(found) is type(result)


@pytest.mark.parametrize(("hint", "value", "kind", "message"), REFUSED)
def test_a_rule_refuses(hint: Any, value: Any, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message.replace("[", r"\[")):
        rule_of(hint)("x", value)


@pytest.mark.parametrize("hint", [Any, int, float, jax.Array, list[int], int | str, inspect._empty])
def test_other_annotations_state_no_rule(hint: Any) -> None:
    assert rule_of(hint) is None


@checked
def example(
    first: Count, *rest: Any, second: Positive = 2.0, weights: Weights | None = None, **others: Any
) -> tuple[Any, ...]:
    """An example."""
    return first, rest, second, weights, others


def test_every_way_to_hand_over_an_argument_is_checked() -> None:
    assert example(1, "a", second=3, other=0) == (1, ("a",), 3.0, None, {"other": 0})
    assert example(first=np.int64(2))[0] == 2
    with pytest.raises(ValueError, match="first must be"):
        example(0)
    with pytest.raises(ValueError, match="first must be"):
        example(first=0)
    with pytest.raises(ValueError, match="second must be"):
        example(1, second=0.0)
    assert isinstance(example(1, weights=[0.5, 0.5])[3], jax.Array)


def test_the_signature_stays_plain() -> None:
    assert example.__name__ == "example"
    assert example.__doc__ == "An example."
    shown = str(inspect.signature(mg.data.ring))
    assert shown.startswith("(num_modes: int = 8, radius: float = 2.0, std:")
    assert "Annotated" not in shown


@checked
@dataclass(frozen=True)
class Settings:
    size: Count
    rate: NonNegative = 0.1

    def __post_init__(self) -> None:
        assert type(self.size) is int  # rules run first


@checked
class Dense(nn.Module):
    features: Count = 1

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        return nn.Dense(self.features)(x)


def test_fields_are_checked() -> None:
    assert Settings(np.int32(2), 0) == Settings(2, 0.0)
    with pytest.raises(ValueError, match="rate must be"):
        Settings(2, -1.0)
    with pytest.raises(ValueError, match="features must be a whole number >= 1, got 0"):
        Dense(features=0)
    assert Dense(3).init_with_output(jax.random.key(0), jnp.ones((2, 4)))[0].shape == (2, 3)


def test_what_cannot_be_checked_is_refused() -> None:
    for hint in (Annotated[int, Gt(0)], Annotated[int | None, Ge(1)], Count | float):
        with pytest.raises(TypeError, match=r"bounds must be|union of one rule"):
            rule_of(hint)
    with pytest.raises(TypeError, match="Late must have a"):

        @checked
        @dataclass
        class Late:
            size: Count


def test_a_call_costs_less_than_20_microseconds() -> None:
    def plain(a: int, b: float, *, c: bool, d: str) -> int:
        return a

    @checked
    def with_rules(
        a: Count, b: Positive, *, c: bool, d: Literal["full", "latin"], e: StepSize | None = None
    ) -> int:
        return a

    def seconds(function: Callable[..., Any]) -> float:
        def call() -> int:
            return function(1, 2.0, c=True, d="full")

        return min(timeit.repeat(call, time.process_time, number=500, repeat=20)) / 500

    assert seconds(with_rules) - seconds(plain) < 20e-6


def test_nothing_is_recorded_in_a_trace() -> None:
    @checked
    def entropy(weights: Weights, scale: Positive) -> jax.Array:
        return -scale * jnp.sum(weights * jnp.log(weights))

    weights = jnp.array([0.25, 0.75])
    with_rules = jax.make_jaxpr(entropy)(weights, 2.0)
    assert str(with_rules) == str(jax.make_jaxpr(inspect.unwrap(entropy))(weights, 2.0))


def names_of_checked_calls(call: Callable[[], Any]) -> list[str]:
    """The checked functions whose rules a call runs."""
    names = []

    def watch(frame: FrameType, event: str, _: Any) -> None:
        if event == "call" and frame.f_code is example.__code__:  # that of every wrapper
            names.append(frame.f_locals["function"].__name__)

    sys.setprofile(watch)
    try:
        call()
    finally:
        sys.setprofile(None)
    return names


def one_distance(samples: jax.Array) -> Any:
    data = (samples,) * 4
    phi = mg.losses.phi_identity()
    return mg.metrics.neural_net_distance(jax.random.key(0), PLAYER, phi, *data, bound=1.0)


@pytest.mark.parametrize(
    ("outer", "inner", "call"),
    [
        ("gda", "mix_gan", lambda: mg.gda(PLAYER, PLAYER, mg.losses.hinge(), **OPTIONS)),
        ("mix_gan_2017", "mix_gan", lambda: mg.mix_gan_2017(PLAYER, PLAYER)),
        (
            "optimistic_exponentiated_gradient",
            "exponentiated_gradient",
            lambda: mg.optimistic_exponentiated_gradient(0.1),
        ),
        (
            "neural_net_distance",
            "best_discriminator",
            lambda: jax.eval_shape(one_distance, jnp.ones((3, 2))),
        ),
    ],
)
def test_who_hands_checked_arguments_on_does_not_check_them_again(
    outer: str, inner: str, call: Callable[[], Any]
) -> None:
    names = names_of_checked_calls(call)
    assert outer in names
    assert inner not in names


@pytest.mark.parametrize(
    "call",
    [
        lambda: mg.data.ring(std=-1.0),
        lambda: mg.data.gaussian_mixture([[np.nan, 0.0]], 1.0),
        lambda: mg.nash_conv(mg.zero_sum([[0.0, 1.0]]), [0.9], [0.5, 0.5]),
        lambda: mg.nash_conv(mg.zero_sum([[np.nan, 1.0]]), [1.0], [0.5, 0.5]),
        lambda: mg.metrics.class_coverage(np.array([0, 99]), 10),
        lambda: mg.metrics.class_coverage(np.array([0, 1]), 2, reference=[1.0, -1.0]),
        lambda: mg.metrics.mode_coverage(np.zeros((2, 2)), np.zeros((1, 2)), -1.0),
        lambda: mg.data.stack_labels(np.array([[1, 12, 3]])),
        lambda: mg.effective_components([0.0, 0.0]),
        lambda: mg.theory.packed_total_variation([0.9, 0.9], [0.5, 0.5], 2),
    ],
)
def test_values_that_come_from_the_host_are_checked_on_every_machine(
    monkeypatch: pytest.MonkeyPatch, call: Callable[[], Any]
) -> None:
    put_arrays_on_an_accelerator(monkeypatch)
    with pytest.raises(ValueError, match="must"):
        call()


def put_arrays_on_an_accelerator(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes every check believe that JAX's arrays lie there."""
    for name, module in list(sys.modules.items()):
        if name.startswith("mixgan_jax") and hasattr(module, "on_host"):
            monkeypatch.setattr(module, "on_host", lambda value: not isinstance(value, jax.Array))


@pytest.mark.parametrize(
    "call",
    [
        lambda bad: mg.plots.plot_payoffs(bad, bad[0], bad[0]),
        lambda bad: mg.metrics.equilibrium_report(bad[None].repeat(2, 0), [0.0], [-0.7, -0.7]),
        lambda bad: mg.metrics.exact_wasserstein(bad, bad),
        lambda bad: mg.theory.packed_total_variation(bad[0], bad[0], 2),
    ],
)
def test_what_is_computed_on_the_host_is_checked_there(
    monkeypatch: pytest.MonkeyPatch, call: Callable[[jax.Array], Any]
) -> None:
    put_arrays_on_an_accelerator(monkeypatch)
    with pytest.raises(ValueError, match=r"must be finite, got nan at index .* \(\d such of \d\)"):
        call(jnp.array([[np.nan, 1.0]]))


def test_what_is_computed_on_the_host_is_not_rounded() -> None:
    assert checks.check_on_host(rule_of(Weights), "x", [0.1, 0.9]).tolist() == [0.1, 0.9]


def test_no_rule_reads_an_array_on_an_accelerator(monkeypatch: pytest.MonkeyPatch) -> None:
    matrix, weights = jnp.eye(3) * jnp.nan, jnp.ones(3)
    scalar = jnp.float32(-1.0)
    put_arrays_on_an_accelerator(monkeypatch)

    def read(self: Any, *args: Any, **kwargs: Any) -> Any:
        raise AssertionError("a value was read")

    with monkeypatch.context() as patch:
        patch.setattr(type(matrix), "__array__", read)
        patch.setattr(type(matrix), "_value", property(read))
        assert rule_of(Annotated[ArrayLike, Shaped(finite=True)])("x", matrix) is matrix
        assert rule_of(Weights)("x", weights) is weights
        assert rule_of(Positive)("x", scalar) is scalar
        mg.nash_conv(mg.zero_sum(matrix), weights, weights)
