"""Types of arguments, and the shape letters that every docstring of the package uses.

Shape letters:
    ``I`` generators; ``J`` discriminators; ``K`` components of either side; ``B`` batch;
    ``Z`` latent size; ``S`` seeds; ``D`` features of a data point; ``N`` samples;
    ``H``, ``W``, ``C`` height, width and channels of an image (always in this order).

An ``Annotated`` type states a rule, which ``mixgan_jax.checked.checked`` runs where a public function has it.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, TypeAlias

import jax
import numpy as np
from annotated_types import Ge, Gt, Le, Lt

from mixgan_jax.checks import (
    check_array,
    check_key,
    check_log_weights,
    check_number,
    check_path,
    check_step_size,
    check_weights,
)

Count: TypeAlias = Annotated[int, Ge(1)]
"""A whole number >= 1."""

Whole: TypeAlias = Annotated[int, Ge(0)]
"""A whole number >= 0."""

Number: TypeAlias = Annotated[float, check_number]
"""A finite number."""

NonNegative: TypeAlias = Annotated[float, Ge(0)]
"""A finite number >= 0."""

Positive: TypeAlias = Annotated[float, Gt(0)]
"""A finite number > 0."""

Share: TypeAlias = Annotated[float, Ge(0), Le(1)]
"""A number in [0, 1]."""

Fraction: TypeAlias = Annotated[float, Gt(0), Lt(1)]
"""A number in (0, 1)."""

StepSize: TypeAlias = Annotated[float | Callable[[Any], Any], check_step_size]
"""A step size or coefficient: a finite number >= 0, or an optax schedule (a function of the step)."""

FilePath: TypeAlias = Annotated[str | os.PathLike[str], check_path]
"""A local path; a leading ``~`` stands for the home folder."""

Array: TypeAlias = jax.Array
"""A JAX array."""

ArrayLike: TypeAlias = jax.Array | np.ndarray | np.generic | float | Sequence[Any]
"""What becomes a JAX array of real numbers: an array of JAX's or NumPy's, a number, a list of them."""


@dataclass(frozen=True)
class Shaped:
    """The rule of an array of real numbers, which becomes a JAX array.

    Attributes:
        rank: number of axes, or several that are allowed; None for any.
        floating: whether whole numbers are refused.
        finite: whether NaN and infinity are refused, where the values are on the host.
        moved: whether NumPy arrays become JAX arrays; if not, the function can still check their values.
    """

    rank: int | Sequence[int] | None = None
    floating: bool = False
    finite: bool = False
    moved: bool = True

    def __call__(self, name: str, value: Any) -> Array:
        """Returns the array, or raises an error that names the argument."""
        return check_array(
            name,
            value,
            rank=self.rank,
            floating=self.floating,
            finite=self.finite,
            moved=self.moved,
        )


Weights: TypeAlias = Annotated[ArrayLike, check_weights]
"""Weights ``[..., K]``: >= 0, with sum 1 over the last axis."""

LogWeights: TypeAlias = Annotated[ArrayLike, check_log_weights]
"""Natural logarithms of weights, ``[..., K]``, with logsumexp 0 over the last axis."""

Key: TypeAlias = Annotated[jax.Array, check_key]
"""A typed random key, ``jax.random.key(seed)``; always the first argument, always named ``key``."""

Params: TypeAlias = Any
"""A tree of trainable arrays. Stacked over components it has a leading axis ``K``."""

ModelState: TypeAlias = Any
"""A tree of arrays that training changes but no gradient does (batch-norm averages); may be empty."""

Tree: TypeAlias = Any
"""Any tree of arrays: the state of a solver, what a checkpoint holds."""

Batch: TypeAlias = Any
"""What one training step consumes; for the solvers of this package an array ``[B, ...]``."""

Info: TypeAlias = Mapping[str, Array]
"""What a person wants to know of a step: named arrays that the next step does not need."""

Critic: TypeAlias = Callable[[Array], Array]
"""One discriminator with its parameters fixed: inputs ``[B, ...]`` to logits ``[B]``."""

LatentSampler: TypeAlias = Callable[..., Array]
"""``sampler(key, shape) -> latents``, as ``jax.random.normal``."""
