"""Type aliases and the shape letters that every docstring of the package uses.

Shape letters:
    ``I`` generators; ``J`` discriminators; ``K`` components of either side; ``B`` batch;
    ``Z`` latent size; ``S`` seeds; ``D`` features of a data point; ``N`` samples;
    ``H``, ``W``, ``C`` height, width and channels of an image (always in this order).
"""

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import jax

Array: TypeAlias = jax.Array
"""A JAX array."""

Key: TypeAlias = jax.Array
"""A typed random key, ``jax.random.key(seed)``; always the first argument, always named ``key``."""

Params: TypeAlias = Any
"""A tree of trainable arrays. Stacked over components it has a leading axis ``K``."""

ModelState: TypeAlias = Any
"""A tree of arrays that training changes but no gradient does (batch-norm averages); may be empty."""

Batch: TypeAlias = Any
"""What one training step consumes; for the solvers of this package an array ``[B, ...]``."""

Info: TypeAlias = Mapping[str, Array]
"""What a person wants to know of a step: named arrays that the next step does not need."""

Critic: TypeAlias = Callable[[Array], Array]
"""One discriminator with its parameters fixed: inputs ``[B, ...]`` to logits ``[B]``."""

LatentSampler: TypeAlias = Callable[..., Array]
"""``sampler(key, shape) -> latents``, as ``jax.random.normal``."""
