r"""Gradient descent-ascent on a GAN whose discriminator is linear: its linearisation, and the effect of width on it.

The game of Balaji et al. (2021, arXiv 2104.05605): a generator ``f(W)``, the mean of its outputs, against a linear
discriminator with a quadratic regulariser,

    min_W max_d  <d, x - f(W)> - |d|^2 / 2,        x the mean of the data, e = x - f(W) the error.

Its saddles have ``e = d = 0``: only means are matched. Ascent with step mu in (0, 1], descent with step eta, to first
order in the move of W, with ``K = J J^T`` and J the Jacobian of f (our own derivation):

    d' = (1 - mu) d + mu e,        e' = e - eta K d        (simultaneous),    e' = e - eta K d'    (alternating).

Each eigenvalue ``s^2`` of K has a game of its own, of two numbers, which depends on ``x = eta s^2`` and mu alone:

    simultaneous  [[1 - mu, mu], [-x, 1]],                     stable for x < 1, whatever mu is;
    alternating   [[1 - mu, mu], [-x (1 - mu), 1 - x mu]],     stable for x < 4 / mu - 2.

A discriminator that is maximised exactly before each step of the generator is the alternating one with mu = 1.
"""

import math
from typing import Annotated, Any, Literal, TypeAlias

import jax.numpy as jnp
from annotated_types import Gt, Le

from mixgan_jax.checked import checked
from mixgan_jax.checks import check_array, check_count, fail
from mixgan_jax.types import Array, ArrayLike, Shaped

_LARGEST = 10_000  # whole numbers of so many bits are summed exactly in milliseconds


def check_size(name: str, value: Any) -> int:
    """Returns a whole number in 1..10,000."""
    size = check_count(name, value)
    if size > _LARGEST:
        raise fail(name, value, f"at most {_LARGEST}")
    return size


def check_square(name: str, value: Any) -> Array:
    """Returns a finite floating-point matrix ``[D, D]``, D >= 1."""
    matrix = check_array(name, value, rank=2, floating=True, finite=True)
    if matrix.shape[0] != matrix.shape[1] or not matrix.size:
        raise ValueError(f"{name} must have shape [D, D], D >= 1, got {matrix.shape}")
    return matrix


Order: TypeAlias = Literal["simultaneous", "alternating"]
"""Whether the generator answers the discriminator before or after its step."""

Strength: TypeAlias = Annotated[ArrayLike, Shaped(floating=True, finite=True)]
"""Strengths ``x = eta s^2``, ``[...]``."""

Step: TypeAlias = Annotated[float, Gt(0), Le(1)]
"""A step of the discriminator, mu in (0, 1]."""

Matrix: TypeAlias = Annotated[Array, Shaped(2, floating=True, finite=True)]
"""A finite matrix."""

Size: TypeAlias = Annotated[int, check_size]
"""A whole number in 1..10,000."""


@checked
def gda_matrix(
    strength: Strength, discriminator_step: Step, order: Order = "simultaneous"
) -> Array:
    """Returns the linear map of (d, e) of one step of gradient descent-ascent, for one eigenvalue of K.

    ``[[1 - mu, mu], [-x, 1]]``, or ``[[1 - mu, mu], [-x (1 - mu), 1 - x mu]]`` if it alternates (our derivation;
    the game is Balaji et al.'s, 2021, arXiv 2104.05605).

    Args:
        strength: x = eta s^2, ``[...]``, floating point.
        discriminator_step: mu, a number in (0, 1].
        order: simultaneous or alternating.

    Returns:
        ``[..., 2, 2]``, in the dtype of ``strength``.
    """
    x = jnp.asarray(strength)
    mu = jnp.asarray(discriminator_step, x.dtype)
    mu = jnp.broadcast_to(mu, x.shape)
    last = (-x, jnp.ones_like(x)) if order == "simultaneous" else (-x * (1 - mu), 1 - x * mu)
    rows = [jnp.stack(row, axis=-1) for row in ((1 - mu, mu), last)]
    return jnp.stack(rows, axis=-2)


@checked
def gda_contraction(
    strength: Strength, discriminator_step: Step, order: Order = "simultaneous"
) -> Array:
    """Returns the factor by which a step shrinks the error in the long run: the spectral radius of :func:`gda_matrix`.

    With trace t and determinant D of the matrix it is ``sqrt(D)`` where ``t^2 < 4 D``, and then (d, e) spirals; else
    ``|t| / 2 + sqrt(t^2 / 4 - D)``.

    Args:
        strength: x = eta s^2, ``[...]``, floating point.
        discriminator_step: mu, a number in (0, 1].
        order: simultaneous or alternating.

    Returns:
        ``[...]``, >= 0; below 1 where the iteration converges.
    """
    x = jnp.asarray(strength)
    mu = jnp.asarray(discriminator_step, x.dtype)
    if order == "simultaneous":
        half, determinant = jnp.broadcast_to(1 - mu / 2, x.shape), 1 - mu + mu * x
        spread = mu * (mu / 4 - x)  # half^2 - determinant, without cancellation
    else:
        half, determinant = 1 - mu / 2 - x * mu / 2, jnp.broadcast_to(1 - mu, x.shape)
        spread = half**2 - determinant
    real = jnp.abs(half) + jnp.sqrt(jnp.maximum(spread, 0))
    return jnp.where(spread < 0, jnp.sqrt(jnp.maximum(determinant, 0)), real)


@checked
def gda_edge(discriminator_step: Step, order: Order = "simultaneous") -> float:
    """Returns the edge of stability: the strength ``x = eta s^2`` at which gradient descent-ascent stops converging.

    1 for simultaneous updates, where the determinant ``1 - mu + mu x`` reaches 1; ``4 / mu - 2`` for alternating
    ones, where an eigenvalue reaches -1. So it is 2 if the discriminator is maximised exactly.

    Args:
        discriminator_step: mu, a number in (0, 1].
        order: simultaneous or alternating.

    Returns:
        A number >= 1.
    """
    mu = discriminator_step
    return 1.0 if order == "simultaneous" else 4.0 / mu - 2.0


@checked
def best_gda_step(discriminator_step: Step, order: Order = "simultaneous") -> tuple[float, float]:
    """Returns the strength at which gradient descent-ascent converges fastest, and its factor there.

    The two eigenvalues meet there: ``x = mu / 4`` with factor ``1 - mu / 2``, simultaneous;
    ``x = (1 - sqrt(1 - mu))^2 / mu`` with factor ``sqrt(1 - mu)``, alternating (the smallest such x).

    Args:
        discriminator_step: mu, a number in (0, 1].
        order: simultaneous or alternating.

    Returns:
        The strength ``x = eta s^2``, and the factor of :func:`gda_contraction` there.
    """
    mu = discriminator_step
    if order == "simultaneous":
        return mu / 4, 1 - mu / 2
    root = math.sqrt(1 - mu)
    return (1 - root) ** 2 / mu, root


@checked
def relu_kernel(hidden: Matrix, output: Matrix, latents: Matrix) -> Array:
    """Returns the tangent kernel ``K = J J^T`` of the mean output of a one-hidden-layer ReLU generator.

    ``f(W) = (1/N) sum_i V ReLU(W z_i)`` with V held fixed has ``K = V diag(|S_1|^2, ..., |S_k|^2) V^T``,
    ``S_w = (1/N) sum_i 1[<w, z_i> > 0] z_i`` (after Balaji et al. 2021, arXiv 2104.05605). At a kink the derivative
    is 0.

    Args:
        hidden: W, ``[K, Z]``, floating point: the weights of K hidden units.
        output: V, ``[D, K]``.
        latents: z_i, ``[N, Z]``.

    Returns:
        ``[D, D]``, symmetric, positive semidefinite.
    """
    arrays = (hidden, output, latents)
    w, v, z = (array.astype(jnp.result_type(*arrays)) for array in arrays)
    if 0 in w.shape:
        raise ValueError(f"hidden must have shape [K, Z], both >= 1, got {w.shape}")
    if v.shape[1] != w.shape[0] or 0 in v.shape:
        raise ValueError(f"output must have shape [D, {w.shape[0]}], D >= 1, got {v.shape}")
    if z.shape[1] != w.shape[1] or 0 in z.shape:
        raise ValueError(f"latents must have shape [N, {w.shape[1]}], N >= 1, got {z.shape}")
    active = (w @ z.T > 0).astype(w.dtype)
    squares = jnp.sum((active @ z / z.shape[0]) ** 2, axis=1)
    return (v * squares[None]) @ v.T


@checked
def condition_number(matrix: Annotated[Array, check_square]) -> Array:
    """Returns the largest over the smallest eigenvalue of a symmetric positive semidefinite matrix.

    Args:
        matrix: ``[D, D]``, floating point.

    Returns:
        A scalar >= 1; infinite if the smallest eigenvalue is 0 up to rounding, of D machine precisions.
    """
    eigenvalues = jnp.linalg.eigvalsh(matrix)
    smallest, largest = eigenvalues[0], eigenvalues[-1]
    rounding = matrix.shape[0] * jnp.finfo(matrix.dtype).eps * largest
    return jnp.where(smallest > rounding, largest / jnp.maximum(smallest, rounding), jnp.inf)


@checked
def reachable_probability(width: Size, dimension: Size) -> float:
    """Returns the chance that a mean can be reached at all: that it lies in the cone of V's columns.

    A ReLU unit's mean output is >= 0, and any such number is in reach. So ``f(W) = x`` has a solution if and only if x
    is a combination of V's columns with coefficients >= 0. For k columns of a distribution symmetric about 0 in D
    dimensions that has probability ``1 - 2^-k sum_(i < D) C(k, i)``: 0 for k < D, a half at ``k = 2 D - 1``. It is
    Wendel's theorem (1962) for the columns and -x, which then lie in no half-space.

    Args:
        width: k >= 1, hidden units, at most 10,000.
        dimension: D >= 1, of the outputs, at most 10,000.

    Returns:
        A probability.
    """
    within = sum(math.comb(width, i) for i in range(min(dimension, width + 1)))
    return 1.0 - within / 2**width
