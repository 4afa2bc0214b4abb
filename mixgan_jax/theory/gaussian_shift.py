r"""A generator that shifts a Gaussian against a linear discriminator: exact expected losses, Jacobian, spectrum.

Data are ``N(mean, std^2 1)``, the generator makes ``phi + z`` with ``z ~ N(0, std^2 1)``, the discriminator's logit is
``theta . x`` (plus the loss's neutral logit): the toy of Nie and Patel (2019, arXiv 1806.09235, supplement). The
equilibrium is ``phi = mean, theta = 0``. Its directions are those of the eigenvectors of ``C = std^2 1 + mean mean^T``,
with variances ``m = std^2`` or ``std^2 + |mean|^2``. The two parameters of a direction turn by the pull ``a`` between
the players against ``theta``'s curvature ``c m``.

``theta . x`` is Gaussian, so an expected loss is an integral over the line. Gauss-Hermite quadrature computes it.
"""

from collections.abc import Callable
from functools import cache, partial
from typing import Annotated, Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np

from mixgan_jax.checked import checked
from mixgan_jax.checks import fail
from mixgan_jax.losses import GanLoss
from mixgan_jax.losses.core import Term, check_loss
from mixgan_jax.theory.linear_games import Matrices, fake_slopes, host_numbers
from mixgan_jax.types import Array, ArrayLike, Positive, Shaped

NODES = 64


def check_separable(name: str, value: Any) -> GanLoss:
    """Returns a loss of reals and fakes apart."""
    loss = check_loss(name, value)
    if loss.relativistic:
        raise fail(name, loss.name, "one of reals and fakes apart, not of their pairs")
    return loss


def check_variances(name: str, value: Any) -> Matrices:
    """Returns numbers >= 0 in float64."""
    values = host_numbers(name, value)
    if np.any(values < 0):
        raise fail(name, value, "numbers >= 0")
    return values


SeparableLoss: TypeAlias = Annotated[GanLoss, check_separable]
"""A loss of reals and fakes apart, not a relativistic one."""


@checked
def gaussian_shift_losses(
    loss: SeparableLoss,
    mean: Annotated[Array, Shaped(1, floating=True, finite=True)],
    std: Positive,
) -> Callable[[tuple[Array, Array]], tuple[Array, Array]]:
    """Makes both players' exact expected losses, functions of their parameters.

    Derivatives of any order exist everywhere, at ``theta = 0`` too: by the heat equation the derivative with respect to
    the variance of ``theta . x`` is half the mean of the second derivative, and no square root is differentiated.

    Args:
        loss: smooth, of reals and fakes apart; not a relativistic one.
        mean: of the data, ``[D]``.
        std: of the data and of the latents, > 0.

    Returns:
        ``losses(players)``, for ``adjustments.gradient_field`` or ``gradient_play``: from ``(phi, theta)``, each
        ``[D]``, to the generator's and the discriminator's loss ``[]``. Quadrature with 64 nodes; for the logarithmic
        losses exact to float32 while ``|theta| std < 3``.
    """
    neutral = loss.neutral

    def discriminators_real(logits: Array) -> Array:
        return loss.discriminator(real=logits, fake=jnp.full_like(logits, neutral))

    def discriminators_fake(logits: Array) -> Array:
        return loss.discriminator(real=jnp.full_like(logits, neutral), fake=logits)

    def losses(players: tuple[Array, Array]) -> tuple[Array, Array]:
        shift, direction = players
        variance = std**2 * jnp.vdot(direction, direction)
        real = neutral + jnp.vdot(direction, mean.astype(direction.dtype))
        fake = neutral + jnp.vdot(direction, shift)
        both = jnp.full_like(variance, neutral)
        discriminator = (
            _gaussian_mean(discriminators_real, real, variance)
            + _gaussian_mean(discriminators_fake, fake, variance)
            # Each of the two contains the other side's neutral term.
            - loss.discriminator(real=both, fake=both)
        )
        generator = _gaussian_mean(lambda logits: loss.generator(fake=logits), fake, variance)
        return generator, discriminator

    return losses


@checked
def gaussian_shift_jacobian(
    loss: SeparableLoss, variances: Annotated[ArrayLike, check_variances]
) -> Matrices:
    r"""Returns the Jacobian at the equilibrium, for each direction ``[[0, -a], [b, c m]]``.

    ``-a`` and ``b`` are the slopes of the players' losses in a fake's logit, ``c`` the sum of the discriminator's
    second derivatives in a real's and a fake's. For the minimax loss a = b = c = 1/2, and the eigenvalues are
    ``(m +- sqrt(m^2 - 4)) / 4``. For m < 2 imaginary parts are ``sqrt(4 - m^2) / m`` times as large as real parts; for
    large m the eigenvalues are real, with ratio about ``m^2``.

    Args:
        loss: smooth, of reals and fakes apart; not a relativistic one.
        variances: m of each direction ``[...]``, >= 0.

    Returns:
        ``[..., 2, 2]`` float64, of the fields ``(dL_G/du, dL_D/dtheta)`` in ``(u, theta)``, u the shift less the mean.
    """
    values = np.asarray(variances)
    slope, pull = fake_slopes(loss)
    with jax.ensure_compile_time_eval():
        neutral = jnp.asarray(loss.neutral, jnp.float32)

        def moved(real: Array, fake: Array) -> Array:
            return loss.discriminator(real=neutral + real, fake=neutral + fake)

        zero = jnp.zeros(())
        curvature = sum(
            float(jax.grad(jax.grad(moved, index), index)(zero, zero)) for index in (0, 1)
        )
    matrices = np.zeros((*values.shape, 2, 2))
    matrices[..., 0, 1], matrices[..., 1, 0] = slope, pull
    matrices[..., 1, 1] = curvature * values
    return matrices


@cache
def _quadrature() -> tuple[np.ndarray, np.ndarray]:
    """Returns nodes and weights of a standard normal."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(NODES)
    return nodes, weights / weights.sum()


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def _gaussian_mean(term: Term, mean: Array, variance: Array) -> Array:
    """Returns ``E term(x)`` for x ~ N(mean, variance), scalars."""
    nodes, weights = (jnp.asarray(part, mean.dtype) for part in _quadrature())
    return jnp.vdot(weights, term(mean + jnp.sqrt(variance) * nodes))


@_gaussian_mean.defjvp
def _gaussian_mean_jvp(
    term: Term, primals: tuple[Array, Array], tangents: tuple[Array, Array]
) -> tuple[Array, Array]:
    slope = partial(_derivative, term)
    by_mean = _gaussian_mean(slope, *primals)
    by_variance = 0.5 * _gaussian_mean(partial(_derivative, slope), *primals)
    return _gaussian_mean(term, *primals), by_mean * tangents[0] + by_variance * tangents[1]


def _derivative(term: Term, points: Array) -> Array:
    return jax.jvp(term, (points,), (jnp.ones_like(points),))[1]
