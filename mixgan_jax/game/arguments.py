"""The arguments of a matrix game, for :mod:`mixgan_jax.game` alone: rules of one, and alignment of several."""

from typing import Annotated, Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np

from mixgan_jax.checks import check_array, fail
from mixgan_jax.game.exact import known_matrix
from mixgan_jax.types import Array, ArrayLike, Weights


def _check_matrices(name: str, value: Any) -> Array:
    """Returns non-empty payoffs; whole numbers become JAX's default float."""
    matrix = check_array(name, value, finite=True)
    if not jnp.issubdtype(matrix.dtype, jnp.floating):
        matrix = matrix.astype(jax.dtypes.canonicalize_dtype(jnp.float64))
    if matrix.ndim < 2 or 0 in matrix.shape[-2:]:
        raise ValueError(f"{name} must have shape [..., I, J], I, J >= 1, got {matrix.shape}")
    return matrix


def _check_matrix(name: str, value: Any) -> Array:
    return check_array(name, _check_matrices(name, value), rank=2)


def _check_bimatrix(name: str, value: Any) -> tuple[Array, Array]:
    if not isinstance(value, tuple) or len(value) != 2:
        raise fail(name, value, "Payoffs, a matrix for each side", TypeError)
    generator = _check_matrices(f"{name}.generator", value[0])
    discriminator = _check_matrices(f"{name}.discriminator", value[1])
    if generator.shape != discriminator.shape:
        raise ValueError(
            f"{name} must hold two matrices of one shape, got {generator.shape} and "
            f"{discriminator.shape}"
        )
    return generator, discriminator


Matrices: TypeAlias = Annotated[ArrayLike, _check_matrices]
"""Payoffs ``[..., I, J]``, finite, I, J >= 1."""

Matrix: TypeAlias = Annotated[ArrayLike, _check_matrix]
"""Payoffs ``[I, J]``, finite, I, J >= 1."""

KnownMatrix: TypeAlias = Annotated[ArrayLike, known_matrix]
"""Payoffs ``[I, J]``, finite, I, J >= 1, outside ``jit``."""

Bimatrix: TypeAlias = Annotated[tuple[ArrayLike, ArrayLike], _check_bimatrix]
"""Payoffs of the generator and of the discriminator, ``[..., I, J]`` each; ``Payoffs`` or a plain tuple."""


def align(matrix: Array, **weights: Weights) -> tuple[Array, Array, Array]:
    """Gives payoffs and the weights of rows and columns the same leading axes; errors name the weights."""
    rows, columns = map(jnp.asarray, weights.values())
    for name, side, size in zip(weights, (rows, columns), matrix.shape[-2:], strict=True):
        if side.shape[-1] != size:
            raise ValueError(
                f"{name} must have shape [..., {size}], as the payoffs, got {side.shape}"
            )
    leading = matrix.shape[:-2], rows.shape[:-1], columns.shape[:-1]
    try:
        lead = np.broadcast_shapes(*leading)
    except ValueError:
        raise ValueError(
            f"{' and '.join(weights)} must have leading axes that broadcast with the "
            f"payoffs', got leading axes {leading[1]}, {leading[2]} and {leading[0]}"
        ) from None
    return (
        jnp.broadcast_to(matrix, lead + matrix.shape[-2:]),
        jnp.broadcast_to(rows, lead + rows.shape[-1:]),
        jnp.broadcast_to(columns, lead + columns.shape[-1:]),
    )


def align_game(
    payoffs: Bimatrix, generator_weights: Weights, discriminator_weights: Weights
) -> tuple[Array, Array, Array, Array]:
    """Gives both sides' payoffs and weights the same leading axes."""
    generator, discriminator = map(jnp.asarray, payoffs)
    generator, rows, columns = align(
        generator,
        generator_weights=generator_weights,
        discriminator_weights=discriminator_weights,
    )
    return generator, jnp.broadcast_to(discriminator, generator.shape), rows, columns
