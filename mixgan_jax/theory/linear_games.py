r"""Games of two numbers near an equilibrium: their Jacobians, with and without penalties, and where descent leads.

A generator and a discriminator of one parameter each descend ``v(w) = (dL_G/dw_G, dL_D/dw_D)``. At an equilibrium
v = 0, and ``J = dv/dw`` is a 2 x 2 matrix, generator first. A toy whose directions do not mix has one for each
direction. A penalty of gradients adds to J a product of J with itself, since the terms with v drop out.
"""

from typing import Annotated, Any, Literal, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt

from mixgan_jax.checked import checked
from mixgan_jax.checks import fail, to_host
from mixgan_jax.losses import GanLoss
from mixgan_jax.types import ArrayLike, NonNegative, Whole

Matrices: TypeAlias = npt.NDArray[np.float64]

Rule: TypeAlias = Literal["none", "consensus", "symplectic", "jare", "generator", "discriminator"]
"""Which gradients players descend besides their own: see :func:`adjusted_jacobian`."""


def host_numbers(name: str, value: Any) -> Matrices:
    """Returns finite numbers in float64 on the host, of a size whose powers float64 holds: at most 1e100."""
    array = to_host(name, value).astype(np.float64)
    if not np.all(np.abs(array) <= 1e100):  # also true of NaN
        raise fail(name, value, "finite, of numbers up to 1e100")
    return array


def check_jacobian(name: str, value: Any) -> Matrices:
    """Returns 2 x 2 matrices ``[..., 2, 2]``."""
    matrix = host_numbers(name, value)
    if matrix.ndim < 2 or matrix.shape[-2:] != (2, 2):
        raise fail(name, value, "2 x 2 matrices, shape [..., 2, 2]")
    return matrix


HostNumbers: TypeAlias = Annotated[ArrayLike, host_numbers]
"""Finite numbers of any shape, in float64 on the host."""

Jacobian: TypeAlias = Annotated[ArrayLike, check_jacobian]
"""2 x 2 matrices ``[..., 2, 2]``, in float64 on the host."""

_OFF_DIAGONAL = np.array([[0.0, 1.0], [1.0, 0.0]])
_PENALISED = {
    "jare": np.array([[1.0], [1.0]]),
    "generator": np.array([[1.0], [0.0]]),
    "discriminator": np.array([[0.0], [1.0]]),
}


@checked
def adjusted_jacobian(jacobian: Jacobian, gamma: NonNegative, rule: Rule) -> Matrices:
    r"""Returns the Jacobian at an equilibrium of gradients that ``adjustments`` adjusts.

    .. math::
        \mathrm{none} &: J                        &  \mathrm{consensus} &: J + \gamma J^T J \\
        \mathrm{jare} &: J + \gamma B^T J         & \mathrm{symplectic} &: J + \gamma A^T J

    Here B has the entries of J off the diagonal, and ``A = (J - J^T) / 2``. ``generator`` and ``discriminator`` are the
    one-sided penalties: jare's second term in that player's row alone. With ``J = [[0, -a], [a, c]]``, c the curvature
    within the discriminator's loss, the traces are ``c``, for consensus ``c + gamma (2 a^2 + c^2)``, and for jare
    ``c + 2 gamma a^2``. The determinants are ``a^2``, ``a^2 + gamma a^2 c + gamma^2 a^4``, and ``a^2 + gamma^2 a^4``:
    jare's does not depend on c (Nie and Patel 2019, arXiv 1806.09235; our algebra).

    Args:
        jacobian: ``[..., 2, 2]``, generator first, finite.
        gamma: of the penalty ``gamma / 2 ||gradient||^2``, or of the symplectic adjustment (unaligned); finite and
            >= 0.
        rule: which adjustment.

    Returns:
        ``[..., 2, 2]`` float64; computed on the host.
    """
    matrix = np.asarray(jacobian)
    if rule == "none":
        return matrix
    transposed = np.swapaxes(matrix, -1, -2)
    if rule == "consensus":
        push = transposed @ matrix
    elif rule == "symplectic":
        push = 0.5 * (transposed - matrix) @ matrix
    else:
        push = _PENALISED[rule] * ((_OFF_DIAGONAL * transposed) @ matrix)
    return matrix + gamma * push


@checked
def linear_descent(
    jacobian: Jacobian, start: HostNumbers, step_size: NonNegative, steps: Whole
) -> Matrices:
    """Returns the point at which descent of linear gradients ``J w`` ends: ``(1 - step_size J)^steps w``.

    Args:
        jacobian: ``[..., 2, 2]``, finite.
        start: w, ``[..., 2]``, finite, the distance of each player from the equilibrium at 0.
        step_size: finite, >= 0.
        steps: number of steps, >= 0.

    Returns:
        ``[..., 2]`` float64; computed on the host. Infinite or NaN where descent diverges beyond what float64 holds.
    """
    matrix, point = np.asarray(jacobian), np.asarray(start)
    if point.shape != matrix.shape[:-1]:
        raise fail("start", start, f"of shape {matrix.shape[:-1]}, as the jacobian's rows")
    with np.errstate(over="ignore", invalid="ignore"):
        power = np.linalg.matrix_power(np.eye(2) - step_size * matrix, steps)
        return np.squeeze(power @ point[..., None], axis=-1)


def fake_slopes(loss: GanLoss) -> tuple[float, float]:
    """Returns the slopes of both players' losses in a fake's logit, at the neutral one: the pull of each player.

    The generator's is negative, the discriminator's positive. In a zero-sum game they are minus each other.
    """

    def slope(term: Any) -> float:
        neutral = jnp.asarray(loss.neutral, jnp.float32)
        return float(jax.grad(lambda fake: term(real=neutral, fake=fake))(neutral))

    with jax.ensure_compile_time_eval():
        return slope(loss.generator), slope(loss.discriminator)
