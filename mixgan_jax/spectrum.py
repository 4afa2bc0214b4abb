r"""The Jacobian of a game's simultaneous gradients: eigenvalues, how much of it is rotation, stable and best steps.

With field v (see ``adjustments``), players w and ``J = dv/dw``, a step of simultaneous descent near an equilibrium
multiplies what is left by ``1 - eta J``. Eigenvalues of J with positive real part are what makes it converge, imaginary
parts are rotation (Mescheder, Nowozin and Geiger 2017, arXiv 1705.10461). J is asked for products only; it is written
out where all of its eigenvalues are wanted.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

from mixgan_jax.adjustments import Field, Players
from mixgan_jax.checks import check_count, check_function, check_key, check_kind, fail, to_host
from mixgan_jax.types import Array, Key

DENSE_LIMIT = 5000
"""Parameters up to which a Jacobian is written out: 5,000 are 100 MB in float32."""


def jacobian(field: Field, players: Players) -> Array:
    """The game's Jacobian written out, ``J[a, b] = dv_a / dw_b``.

    Args:
        field: simultaneous gradients, such as ``adjustments.gradient_field`` gives.
        players: where; N <= 5,000 parameters of one floating dtype, in the order of ``jax.tree.leaves``.

    Returns:
        ``[N, N]``.

    Raises:
        TypeError, ValueError: an argument of the wrong kind; too many parameters; a field of another structure.
    """
    flat, function = _flattened(field, players)
    if flat.size > DENSE_LIMIT:
        raise fail(
            "players",
            f"{flat.size} parameters",
            f"at most {DENSE_LIMIT} for a Jacobian written out",
        )
    return jax.jit(jax.jacfwd(function))(flat)


def eigenvalues(field: Field, players: Players, num: int | None = None) -> np.ndarray:
    """Eigenvalues of the game's Jacobian: all of them, or those of largest modulus by Arnoldi's method.

    The largest ones decide which steps are stable (:func:`stable_step`) where no other has a much smaller real part for
    its size; those nearest to 0, which decide how fast descent is, need all.

    Args:
        field: as for :func:`jacobian`.
        players: where.
        num: how many, 1 <= num <= N - 2, by implicitly restarted Arnoldi (ARPACK, through SciPy) from Jacobian-vector
            products; None for all N of a Jacobian written out.

    Returns:
        complex ``[N]`` or ``[num]``, sorted by falling modulus; computed on the host.

    Raises:
        TypeError, ValueError: as :func:`jacobian`; ``num`` out of range; a Jacobian that is not finite.
        scipy.sparse.linalg.ArpackNoConvergence: Arnoldi's method did not converge.
    """
    if num is None:
        dense = np.asarray(jacobian(field, players), np.float64)
        if not np.isfinite(dense).all():
            raise fail("players", "players", "where the field's Jacobian is finite")
        found = np.linalg.eigvals(dense)
    else:
        found = _arnoldi(*_flattened(field, players), check_count("num", num))
    return found[np.argsort(-np.abs(found), kind="stable")]


def _arnoldi(flat: Array, function: Any, num: int) -> np.ndarray:
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


def rotational_share(
    field: Field, players: Players, key: Key | None = None, num_probes: int = 100
) -> Array:
    r"""How much of the game's Jacobian is rotation: ``||A||^2 / ||J||^2``, ``A = (J - J^T) / 2``, Frobenius norms.

    0 in a potential game, whose players might as well be one; 1 in a Hamiltonian one such as ``min_x max_y x y``
    (Balduzzi et al. 2018, arXiv 1802.05642, name the two). By ``||A||^2 = (||J||^2 - tr J^2) / 2`` it needs no more
    than products with random vectors z of signs: ``||J||^2 = E ||J z||^2`` and ``tr J^2 = E <J^T z, J z>``
    (Hutchinson 1990).

    Args:
        field: as for :func:`jacobian`.
        players: where.
        key: for the estimate, consumed; None for the exact share of a Jacobian written out.
        num_probes: random vectors >= 1.

    Returns:
        ``[]``; in [0, 1] if exact, near it otherwise. NaN where J is 0.

    Raises:
        TypeError, ValueError: as :func:`jacobian`; a bad ``key`` or ``num_probes``.
    """
    check_count("num_probes", num_probes)
    if key is None:
        matrix = jacobian(field, players)
        square, trace = jnp.sum(matrix * matrix), jnp.sum(matrix * matrix.T)
    else:
        check_key("key", key)
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


def stable_step(eigenvalues: Any) -> float:
    r"""The step below which simultaneous descent converges locally, ``min 2 Re(lambda) / |lambda|^2``.

    From ``|1 - eta lambda| < 1`` for each eigenvalue of J. 0 where one has a real part <= 0: no step is stable then, as
    in a bilinear game. Eigenvalues that are 0 up to rounding, of parameters that nothing depends on, are for the caller
    to leave out.

    Args:
        eigenvalues: ``[n]``, complex or real, finite, one or more.

    Returns:
        The step, >= 0, infinite where all eigenvalues are exactly 0.

    Raises:
        TypeError, ValueError: ``eigenvalues`` of the wrong kind, empty or not finite.
    """
    values = _numbers(eigenvalues)
    values = values[values != 0]
    if not values.size:
        return float("inf")
    with np.errstate(over="ignore", under="ignore", divide="ignore", invalid="ignore"):
        steps = 2.0 * (values.real / np.abs(values)) / np.abs(values)
    return max(0.0, float(steps.min()))


def best_step(eigenvalues: Any) -> tuple[float, float]:
    r"""The step with which simultaneous descent converges fastest locally, and its contraction per step.

    ``min_eta max_i |1 - eta lambda_i|``, exactly: squared, each term is a parabola in eta, so the minimum is at the
    vertex of one or where two cross.

    Args:
        eigenvalues: ``[n]``, complex or real, finite, one or more.

    Returns:
        The step and the largest ``|1 - step lambda|``, in [0, 1): a distance is multiplied by it at each step, in the
        long run. ``(0, 1)`` where a real part is <= 0: nothing converges then.

    Raises:
        TypeError, ValueError: ``eigenvalues`` of the wrong kind, empty or not finite.
    """
    values = _numbers(eigenvalues)
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


def phase_factor(eigenvalues: Any) -> float:
    """How much a game turns: the largest ``|Im / Re|`` of its eigenvalues (Nie and Patel 2019, arXiv 1806.09235).

    Args:
        eigenvalues: ``[n]``, complex or real, finite, one or more.

    Returns:
        >= 0: 0 where all are real, infinite where one is imaginary.

    Raises:
        TypeError, ValueError: ``eigenvalues`` of the wrong kind, empty or not finite.
    """
    values = _numbers(eigenvalues)
    turning = values[values.imag != 0]
    with np.errstate(over="ignore", under="ignore", divide="ignore", invalid="ignore"):
        return float(np.max(np.abs(turning.imag / turning.real), initial=0.0))


def conditioning_factor(eigenvalues: Any) -> float:
    """How unequal a game's speeds are: the largest modulus of its eigenvalues over the smallest (as above).

    Args:
        eigenvalues: ``[n]``, complex or real, finite, one or more.

    Returns:
        >= 1; infinite where one is 0.

    Raises:
        TypeError, ValueError: ``eigenvalues`` of the wrong kind, empty or not finite.
    """
    sizes = np.abs(_numbers(eigenvalues))
    if sizes.min() == 0:
        return float("inf")
    with np.errstate(over="ignore"):
        return float(sizes.max() / sizes.min())


def _numbers(eigenvalues: Any) -> np.ndarray:
    numbers = to_host("eigenvalues", eigenvalues, "an array of numbers", complex_too=True)
    values = np.atleast_1d(numbers).astype(np.complex128)
    if values.ndim != 1 or not values.size or not np.isfinite(values).all():
        raise fail("eigenvalues", eigenvalues, "one finite number or more, in one axis")
    return values


def _flattened(field: Field, players: Players) -> tuple[Array, Any]:
    """The players as one vector ``[N]``, and the field between such vectors."""
    check_function("field", field)
    check_kind("players", players, tuple)
    leaves = jax.tree.leaves(players)
    kinds = {jnp.result_type(leaf) for leaf in leaves}
    if len(kinds) != 1 or not jnp.issubdtype(kinds.pop(), jnp.floating):
        raise fail(
            "players", players, "a tuple of trees of arrays of one floating dtype", TypeError
        )
    flat, unravel = ravel_pytree(players)

    def function(vector: Array) -> Array:
        gradients = field(unravel(vector))
        shapes = jax.tree.map(jnp.shape, gradients)
        if shapes != jax.tree.map(jnp.shape, players):
            raise fail("field", field, "a function that returns trees of the players' shapes")
        return ravel_pytree(gradients)[0]

    return flat, function
