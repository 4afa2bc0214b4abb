r"""The Jacobian of a game's simultaneous gradients: eigenvalues, how much of it is rotation, stable and best steps.

With field v (see ``adjustments``), players w and ``J = dv/dw``, a step of simultaneous descent near an equilibrium
multiplies the distance by ``1 - eta J``. Descent converges where the eigenvalues of J have positive real parts.
Imaginary parts are rotation (Mescheder, Nowozin and Geiger 2017, arXiv 1705.10461). The functions use products with J,
and write J out only where all of its eigenvalues are wanted.
"""

from collections.abc import Callable
from typing import Annotated, Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

from mixgan_jax.adjustments import Field, Players
from mixgan_jax.checked import checked
from mixgan_jax.checks import check_kind, fail, to_host
from mixgan_jax.types import Array, ArrayLike, Count, Key

DENSE_LIMIT = 5000
"""The most parameters for a Jacobian written out: 5,000 take 100 MB in float32."""


def _check_floating(name: str, value: Any) -> Players:
    leaves = jax.tree.leaves(check_kind(name, value, tuple))
    kinds = {jnp.result_type(leaf) for leaf in leaves}
    if len(kinds) != 1 or not jnp.issubdtype(kinds.pop(), jnp.floating):
        raise fail(name, value, "a tuple of trees of arrays of one floating dtype", TypeError)
    return value


def _check_eigenvalues(name: str, value: Any) -> np.ndarray:
    numbers = to_host(name, value, "an array of numbers", complex_too=True)
    values = np.atleast_1d(numbers).astype(np.complex128)
    if values.ndim != 1 or not values.size or not np.isfinite(values).all():
        raise fail(name, value, "one finite number or more, in one axis")
    return values


FloatingPlayers: TypeAlias = Annotated[Players, _check_floating]
"""Players whose arrays have one floating dtype."""

Eigenvalues: TypeAlias = Annotated[ArrayLike | complex, _check_eigenvalues]
"""Finite numbers ``[n]``, complex or real, one or more."""


@checked
def jacobian(field: Field, players: FloatingPlayers) -> Array:
    """Writes out the game's Jacobian, ``J[a, b] = dv_a / dw_b``.

    Args:
        field: simultaneous gradients, such as ``adjustments.gradient_field`` makes.
        players: the point; N <= 5,000 parameters of one floating dtype, in the order of ``jax.tree.leaves``.

    Returns:
        ``[N, N]``.
    """
    flat, function = _flattened(field, players)
    if flat.size > DENSE_LIMIT:
        raise fail(
            "players",
            f"{flat.size} parameters",
            f"at most {DENSE_LIMIT} for a Jacobian written out",
        )
    return jax.jit(jax.jacfwd(function))(flat)


@checked
def eigenvalues(field: Field, players: FloatingPlayers, num: Count | None = None) -> np.ndarray:
    """Computes eigenvalues of the game's Jacobian: all, or those of largest modulus by Arnoldi's method.

    The largest ones decide which steps are stable (:func:`stable_step`), unless another one has a much smaller real
    part for its size. Those nearest to 0, which decide how fast descent is, need all.

    Args:
        field: simultaneous gradients, as for :func:`jacobian`.
        players: the point.
        num: how many, 1 <= num <= N - 2, by implicitly restarted Arnoldi (ARPACK, through SciPy) from Jacobian-vector
            products; None for all N of a Jacobian written out.

    Returns:
        complex ``[N]`` or ``[num]``, sorted by falling modulus, on the host.

    Raises:
        scipy.sparse.linalg.ArpackNoConvergence: Arnoldi's method did not converge.
    """
    if num is None:
        dense = np.asarray(jacobian(field, players), np.float64)
        if not np.isfinite(dense).all():
            raise fail("players", "players", "where the field's Jacobian is finite")
        found = np.linalg.eigvals(dense)
    else:
        found = _arnoldi(*_flattened(field, players), num)
    return found[np.argsort(-np.abs(found), kind="stable")]


def _arnoldi(flat: Array, function: Callable[[Array], Array], num: int) -> np.ndarray:
    from scipy.sparse.linalg import LinearOperator, eigs

    if num > flat.size - 2:
        raise fail("num", num, f"at most {flat.size - 2}, two below the number of parameters")
    product = jax.jit(lambda vector: jax.jvp(function, (flat,), (vector,))[1])

    def times(vector: np.ndarray) -> np.ndarray:
        result = np.asarray(product(jnp.asarray(vector.reshape(-1), flat.dtype)), np.float64)
        if not np.isfinite(result).all():
            raise fail("players", "players", "where the field's Jacobian is finite")
        return result

    operator = LinearOperator((flat.size, flat.size), matvec=times, dtype=np.float64)
    start = np.ones(flat.size) / np.sqrt(flat.size)  # ARPACK's own start is random
    # Products are float32: asking for float64's precision would never end.
    precision = 10 * float(jnp.finfo(flat.dtype).eps)
    return eigs(operator, k=num, which="LM", v0=start, tol=precision, return_eigenvectors=False)


@checked
def rotational_share(
    field: Field, players: FloatingPlayers, key: Key | None = None, num_probes: Count = 100
) -> Array:
    r"""Computes the share of rotation in the Jacobian, ``||A||^2 / ||J||^2``, ``A = (J - J^T) / 2``, Frobenius norms.

    0 in a potential game, whose players might as well be one; 1 in a Hamiltonian one such as ``min_x max_y x y``
    (Balduzzi et al. 2018, arXiv 1802.05642, name the two). Since ``||A||^2 = (||J||^2 - tr J^2) / 2``, products with
    random vectors z of signs are enough: ``||J||^2 = E ||J z||^2`` and ``tr J^2 = E <J^T z, J z>`` (Hutchinson 1990).

    Args:
        field: simultaneous gradients, as for :func:`jacobian`.
        players: the point.
        key: key of the estimate, consumed; None for the exact share of a Jacobian written out.
        num_probes: number of random vectors, >= 1.

    Returns:
        ``[]``; in [0, 1] if exact, near it otherwise. NaN where J is 0.
    """
    if key is None:
        matrix = jacobian(field, players)
        square, trace = jnp.sum(matrix * matrix), jnp.sum(matrix * matrix.T)
    else:
        flat, function = _flattened(field, players)
        _, push = jax.linearize(function, flat)
        pull = jax.linear_transpose(push, flat)

        def probe(key: Key) -> tuple[Array, Array]:
            signs = jax.random.rademacher(key, flat.shape, flat.dtype)
            pushed = push(signs)
            return jnp.vdot(pushed, pushed), jnp.vdot(pull(signs)[0], pushed)

        squares, traces = jax.lax.map(probe, jax.random.split(key, num_probes))
        square, trace = jnp.mean(squares), jnp.mean(traces)
    return 0.5 * (1.0 - trace / square)


@checked
def stable_step(eigenvalues: Eigenvalues) -> float:
    r"""Computes the step below which simultaneous descent converges locally, ``min 2 Re(lambda) / |lambda|^2``.

    It follows from ``|1 - eta lambda| < 1`` for each eigenvalue of J. It is 0 where one has a real part <= 0: no step
    is stable then, as in a bilinear game. Leave out eigenvalues that are 0 up to rounding: they belong to parameters
    that nothing depends on.

    Args:
        eigenvalues: ``[n]``, complex or real, finite, one or more.

    Returns:
        The step, >= 0, infinite where all eigenvalues are exactly 0.
    """
    values = np.asarray(eigenvalues)
    values = values[values != 0]
    if not values.size:
        return float("inf")
    with np.errstate(over="ignore", under="ignore", divide="ignore", invalid="ignore"):
        steps = 2.0 * (values.real / np.abs(values)) / np.abs(values)
    return max(0.0, float(steps.min()))


@checked
def best_step(eigenvalues: Eigenvalues) -> tuple[float, float]:
    r"""Computes the step with which simultaneous descent converges fastest locally, and its contraction per step.

    It solves ``min_eta max_i |1 - eta lambda_i|`` exactly. Squared, each term is a parabola in eta, so the minimum is
    at the vertex of one or where two cross.

    Args:
        eigenvalues: ``[n]``, complex or real, finite, one or more.

    Returns:
        The step and the largest ``|1 - step lambda|``, in [0, 1): in the long run each step multiplies a distance by
        it. ``(0, 1)`` where a real part is <= 0: nothing converges then.
    """
    values = np.asarray(eigenvalues)
    if not np.all(values.real > 0):
        return 0.0, 1.0
    with np.errstate(over="ignore", under="ignore", divide="ignore", invalid="ignore"):
        scale = np.abs(values).max()
        slopes = (values / scale).real
        squares = np.abs(values / scale) ** 2
        crossings = 2.0 * np.subtract.outer(slopes, slopes) / np.subtract.outer(squares, squares)
        steps = np.concatenate([slopes / squares, crossings.ravel(), [0.0]])
        steps = steps[np.isfinite(steps) & (steps >= 0)]
        worst = np.max(1.0 - 2.0 * steps * slopes[:, None] + steps**2 * squares[:, None], axis=0)
        best = int(np.argmin(worst))
        return float(steps[best] / scale), float(np.sqrt(np.clip(worst[best], 0.0, 1.0)))


@checked
def phase_factor(eigenvalues: Eigenvalues) -> float:
    """Computes how much a game turns: the largest ``|Im / Re|`` (Nie and Patel 2019, arXiv 1806.09235).

    Args:
        eigenvalues: ``[n]``, complex or real, finite, one or more.

    Returns:
        >= 0: 0 where all are real, infinite where one is imaginary.
    """
    values = np.asarray(eigenvalues)
    turning = values[values.imag != 0]
    with np.errstate(over="ignore", under="ignore", divide="ignore", invalid="ignore"):
        return float(np.max(np.abs(turning.imag / turning.real), initial=0.0))


@checked
def conditioning_factor(eigenvalues: Eigenvalues) -> float:
    """Computes how unequal a game's speeds are: the largest modulus over the smallest (Nie and Patel 2019).

    Args:
        eigenvalues: ``[n]``, complex or real, finite, one or more.

    Returns:
        >= 1; infinite where one is 0.
    """
    sizes = np.abs(np.asarray(eigenvalues))
    if sizes.min() == 0:
        return float("inf")
    with np.errstate(over="ignore"):
        return float(sizes.max() / sizes.min())


def _flattened(field: Field, players: Players) -> tuple[Array, Callable[[Array], Array]]:
    """Returns the players as one vector ``[N]``, and the field between such vectors."""
    flat, unravel = ravel_pytree(players)

    def function(vector: Array) -> Array:
        gradients = field(unravel(vector))
        shapes = jax.tree.map(jnp.shape, gradients)
        if shapes != jax.tree.map(jnp.shape, players):
            raise fail("field", field, "a function that returns trees of the players' shapes")
        return ravel_pytree(gradients)[0]

    return flat, function
