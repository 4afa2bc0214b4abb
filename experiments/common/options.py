"""Types of the fields of an experiment's ``Config``: each says what a field may hold, checked before any long work.

A field's type states its rule, ``steps: Count = 100``, as in :mod:`mixgan_jax.checked`. :func:`check_config` runs all
rules; an error names the flag, the value and what was expected.
"""

import inspect
import itertools
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, TypeAlias

from annotated_types import Ge, Lt

import mixgan_jax as mg
from mixgan_jax.checked import rules_of
from mixgan_jax.checks import check_choice, check_number
from mixgan_jax.types import (
    Count as Count,
    Fraction as Fraction,
    NonNegative,
    Positive as Positive,
    Share as Share,
    Whole,
)

Rate: TypeAlias = NonNegative
"""A learning rate or coefficient: finite, >= 0."""

Samples: TypeAlias = Annotated[int, Ge(2)]
"""A whole number >= 2, to be halved."""

Budget: TypeAlias = Whole | None
"""Memory in MiB, >= 0, or None for no bound."""

Decay: TypeAlias = Annotated[float, Ge(0), Lt(1)]
"""The weight of the past in a moving average, in [0, 1)."""


def _rising(reach: int, name: str, value: tuple[int, ...]) -> None:
    rises = all(a < b for a, b in itertools.pairwise((0, *value)))
    if not rises or max(value, default=0) < reach:
        raise ValueError(f"{name} must be >= 1, rise, and reach {reach}, got {value}")


Components: TypeAlias = Annotated[tuple[int, ...], partial(_rising, 1)]
"""Numbers of components, each more than the one before."""

ComponentsToCompare: TypeAlias = Annotated[tuple[int, ...], partial(_rising, 2)]
"""Numbers of components, each more than the one before, of which one is 2 or more."""


Sizes: TypeAlias = Annotated[tuple[int, ...], partial(_rising, 1)]
"""Whole numbers >= 1 at which something is measured, each more than the one before."""

SizesReachingFive: TypeAlias = Annotated[tuple[int, ...], partial(_rising, 5)]
"""Whole numbers >= 1, each more than the one before, of which one is 5 or more."""

Degrees: TypeAlias = Annotated[tuple[int, ...], partial(_rising, 0)]
"""Whole numbers >= 1, each more than the one before; may be empty, which leaves a method out."""


def _positive(name: str, value: tuple[float, ...]) -> None:
    if not value:
        raise ValueError(f"{name} must be one number or more, got {value}")
    for number in value:
        check_number(name, number, minimum=0.0, strict=True)


Tolerances: TypeAlias = Annotated[tuple[float, ...], _positive]
"""Finite numbers > 0, one or more."""

Coefficients: TypeAlias = Tolerances
"""Coefficients of penalties: finite numbers > 0, one or more."""


def _losses() -> dict[str, Any]:
    """The losses that a name alone makes."""
    found = {name: make for name, make in vars(mg.losses).items() if inspect.isfunction(make)}
    signatures = {name: inspect.signature(make) for name, make in found.items()}
    return {
        name: found[name]
        for name, signature in signatures.items()
        if signature.return_annotation is mg.GanLoss
        and all(p.default is not p.empty for p in signature.parameters.values())
    }


def _check_loss(name: str, value: str) -> None:
    check_choice(name, value, _losses())


LossName: TypeAlias = Annotated[str, _check_loss]
"""The name of a loss in ``mixgan_jax.losses`` that needs no arguments."""


@dataclass(frozen=True)
class Training:
    """What runs that train by Adam depend on; a script's ``Config`` has it as a base, with defaults of its own."""

    seeds: Count = 4
    """Number of runs of each method, with seeds 0, 1, ..."""
    steps: Count = 10_000
    """Number of updates of each player."""
    batch: Count = 64
    """Number of reals in a step, and of fakes of each generator."""
    latent_size: Count = 16
    """Number of standard normal latents."""
    beta1: Decay = 0.5
    """First-moment decay beta1 of Adam."""
    log_every: Count = 500
    """Number of steps between entries of the log."""


@dataclass(frozen=True)
class Mixing(Training):
    """What runs that train a mixture's weights depend on too."""

    weight_rate: Rate = 1e-3
    """Step size of exponentiated gradient on the mixture weights."""
    weight_barrier: Rate = 0.1
    """Coefficient of the barrier -(1/k) sum log w on the mixture weights."""


def loss_of(config: Any) -> mg.GanLoss:
    """Makes the loss that ``config.loss`` names."""
    return _losses()[config.loss]()


def check_timed(config: Any) -> None:
    """Raises ValueError for a run that logs only once: the time of a step is taken between two entries of the log."""
    if config.steps <= config.log_every:
        raise ValueError(
            f"--steps must be more than log_every = {config.log_every}, got {config.steps}"
        )


def check_config(config: Any) -> None:
    """Raises TypeError or ValueError for the first field that breaks its rule; its flag is named."""
    for field, rule in rules_of(type(config)).items():
        rule(f"--{field.replace('_', '-')}", getattr(config, field))
