r"""Games of two numbers near an equilibrium: their Jacobians, penalised or not, and what descent makes of them.

A generator and a discriminator of one parameter each descend ``v(w) = (dL_G/dw_G, dL_D/dw_D)``; at an equilibrium
v = 0 and ``J = dv/dw`` is a 2 x 2 matrix, generator first. A toy whose directions do not mix has one for each. What a
penalty of gradients adds to J is there a product of J with itself, since the terms with v drop out.
"""

from typing import Any, Literal, TypeAlias, get_args

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt

from mixgan_jax.checks import check_choice, check_count, check_number, fail, to_host
from mixgan_jax.losses import GanLoss
from mixgan_jax.losses.core import check_loss

Matrices: TypeAlias = npt.NDArray[np.float64]

Rule: TypeAlias = Literal["none", "consensus", "symplectic", "jare", "generator", "discriminator"]
"""Who descends what besides the own loss: see :func:`adjusted_jacobian`."""

RULES: tuple[str, ...] = get_args(Rule)
_OFF_DIAGONAL = np.array([[0.0, 1.0], [1.0, 0.0]])
_PENALISED = {
    "jare": np.array([[1.0], [1.0]]),
    "generator": np.array([[1.0], [0.0]]),
    "discriminator": np.array([[0.0], [1.0]]),
}


def adjusted_jacobian(jacobian: Any, gamma: float, rule: Rule) -> Matrices:
    r"""The Jacobian at an equilibrium of gradients that ``adjustments`` adjusts.

    .. math::
        \mathrm{none} &: J                        &  \mathrm{consensus} &: J + \gamma J^T J \\
        \mathrm{jare} &: J + \gamma B^T J         & \mathrm{symplectic} &: J + \gamma A^T J

    with B the entries of J off the diagonal and ``A = (J - J^T) / 2``. ``generator`` and ``discriminator`` are the
    one-sided penalties: jare's second term in that player's row alone. With ``J = [[0, -a], [a, c]]``, c the curvature
    within the discriminator's loss, the traces are ``c``, ``c + gamma (2 a^2 + c^2)`` of consensus, ``c + 2 gamma a^2``
    of jare, and the determinants ``a^2``, ``a^2 + gamma a^2 c + gamma^2 a^4``, ``a^2 + gamma^2 a^4``: jare's does not
    depend on c (Nie and Patel 2019, arXiv 1806.09235; our algebra).

    Args:
        jacobian: ``[..., 2, 2]``, generator first, finite.
        gamma: of the penalty ``gamma / 2 ||gradient||^2``, or of the symplectic adjustment, there unaligned; finite
            and >= 0.
        rule: which.

    Returns:
        ``[..., 2, 2]`` float64; computed on the host.

    Raises:
        TypeError, ValueError: a bad argument.
    """
    matrix = _matrices(jacobian)
    gamma = check_number("gamma", gamma, minimum=0.0)
    check_choice("rule", rule, RULES)
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


def linear_descent(jacobian: Any, start: Any, step_size: float, steps: int) -> Matrices:
    """Where descent of linear gradients ``J w`` ends: ``(1 - step_size J)^steps w``.

    Args:
        jacobian: ``[..., 2, 2]``, finite.
        start: w, ``[..., 2]``, finite, the distance of each player from the equilibrium at 0.
        step_size: finite, >= 0.
        steps: how many, >= 0.

    Returns:
        ``[..., 2]`` float64; computed on the host. Infinite or NaN where descent diverges beyond what float64 holds.

    Raises:
        TypeError, ValueError: a bad argument.
    """
    matrix, point = _matrices(jacobian), host_numbers("start", start)
    step_size = check_number("step_size", step_size, minimum=0.0)
    steps = check_count("steps", steps, minimum=0)
    if point.shape != matrix.shape[:-1]:
        raise fail("start", start, f"of shape {matrix.shape[:-1]}, as the jacobian's rows")
    with np.errstate(over="ignore", invalid="ignore"):
        power = np.linalg.matrix_power(np.eye(2) - step_size * matrix, steps)
        return np.squeeze(power @ point[..., None], axis=-1)


def fake_slopes(loss: GanLoss) -> tuple[float, float]:
    """Slopes of both players' losses in a fake's logit, at the neutral one: what they pull with.

    Args:
        loss: any loss.

    Returns:
        Of the generator, negative, and of the discriminator, positive: minus each other in a zero-sum game.
    """
    check_loss("loss", loss)

    def slope(term: Any) -> float:
        neutral = jnp.asarray(loss.neutral, jnp.float32)
        return float(jax.grad(lambda fake: term(real=neutral, fake=fake))(neutral))

    with jax.ensure_compile_time_eval():
        return slope(loss.generator), slope(loss.discriminator)


def _matrices(jacobian: Any) -> Matrices:
    matrix = host_numbers("jacobian", jacobian)
    if matrix.ndim < 2 or matrix.shape[-2:] != (2, 2):
        raise fail("jacobian", jacobian, "2 x 2 matrices, shape [..., 2, 2]")
    return matrix


def host_numbers(name: str, value: Any) -> Matrices:
    """Finite numbers in float64, of a size whose powers float64 holds.

    Args:
        name: of the argument.
        value: anything.

    Returns:
        The same as an array of float64, on the host.

    Raises:
        TypeError, ValueError: not numbers, not finite, or larger than 1e100.
    """
    array = to_host(name, value).astype(np.float64)
    if not np.all(np.abs(array) <= 1e100):  # also true of NaN
        raise fail(name, value, "finite, of numbers up to 1e100")
    return array
