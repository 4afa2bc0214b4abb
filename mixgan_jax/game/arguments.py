"""Checks of a matrix game's arguments, for :mod:`mixgan_jax.game` alone."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from mixgan_jax.checks import check_array, check_weights, fail
from mixgan_jax.types import Array


def check_matrix(name: str, value: Any) -> Array:
    """Payoffs ``[..., I, J]``: non-empty and, where known, finite; whole numbers become JAX's default float."""
    matrix = check_array(name, value, finite=True)
    if not jnp.issubdtype(matrix.dtype, jnp.floating):
        matrix = matrix.astype(jax.dtypes.canonicalize_dtype(jnp.float64))
    if matrix.ndim < 2 or 0 in matrix.shape[-2:]:
        raise ValueError(f"{name} must have shape [..., I, J], I, J >= 1, got {matrix.shape}")
    return matrix


def align(
    matrix: Array, row_weights: tuple[str, Any], column_weights: tuple[str, Any]
) -> tuple[Array, Array, Array]:
    """Check both weights against ``matrix`` and give all three the same leading axes."""
    rows = check_weights(*row_weights, matrix.shape[-2])
    columns = check_weights(*column_weights, matrix.shape[-1])
    leading = matrix.shape[:-2], rows.shape[:-1], columns.shape[:-1]
    try:
        lead = np.broadcast_shapes(*leading)
    except ValueError:
        raise ValueError(
            f"{row_weights[0]} and {column_weights[0]} must have leading axes that broadcast with the "
            f"payoffs', got leading axes {leading[1]}, {leading[2]} and {leading[0]}"
        ) from None
    return (
        jnp.broadcast_to(matrix, lead + matrix.shape[-2:]),
        jnp.broadcast_to(rows, lead + rows.shape[-1:]),
        jnp.broadcast_to(columns, lead + columns.shape[-1:]),
    )


def check_game(
    payoffs: Any, generator_weights: Any, discriminator_weights: Any
) -> tuple[Array, Array, Array, Array]:
    """Both sides' payoffs ``[..., I, J]``, rows ``[..., I]`` and columns ``[..., J]``, checked and aligned."""
    if not isinstance(payoffs, tuple) or len(payoffs) != 2:
        raise fail("payoffs", payoffs, "Payoffs, a matrix for each side", TypeError)
    generator = check_matrix("payoffs.generator", payoffs[0])
    discriminator = check_matrix("payoffs.discriminator", payoffs[1])
    if generator.shape != discriminator.shape:
        raise ValueError(
            f"payoffs must hold two matrices of one shape, got {generator.shape} and "
            f"{discriminator.shape}"
        )
    named = (
        ("generator_weights", generator_weights),
        ("discriminator_weights", discriminator_weights),
    )
    generator, rows, columns = align(generator, *named)
    return generator, jnp.broadcast_to(discriminator, generator.shape), rows, columns
