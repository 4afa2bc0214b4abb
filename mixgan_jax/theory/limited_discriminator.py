"""The best logistic discriminator whose logit is a polynomial: a discriminator of limited capacity."""

from typing import Any

import numpy as np

from mixgan_jax.checked import checked
from mixgan_jax.theory.divergences import LogDensity, Nodes, check_line, trapezoid
from mixgan_jax.types import Count

_UPDATES = 200
_GRADIENT = 1e-12  # Newton's method stops at it
_GIVEN_UP = 1e12  # with so much damping no step lowers the loss by more than rounding


@checked
def best_polynomial_logit(
    log_real: LogDensity, log_fake: LogDensity, nodes: Nodes, degree: Count
) -> dict[str, Any]:
    r"""Finds the best discriminator with a polynomial logit; its payoff is a lower bound of JS.

    .. math:: L_G = \log 2 + \tfrac12 \max_{\deg v \le n} \{E_p \log \sigma(v) + E_q \log \sigma(-v)\} \le JS(p, q),

    with equality if ``log p/q`` is such a polynomial. L_G is 0 if and only if p and q agree in their first n moments:
    the derivatives at v = 0 are the differences of the moments, and the problem is convex. It is a logistic regression
    on the nodes' masses, solved by Newton's method with damping, in a basis orthonormal under ``(p + q) / 2``, on the
    host in float64.

    Args:
        log_real: ``[N]``, log p on the nodes; minus infinity where p is 0.
        log_fake: ``[N]``, log q.
        nodes: ``[N]``, rising, wide enough to hold both densities.
        degree: n >= 1, below N.

    Returns:
        ``divergence``, L_G in nats; ``logits`` ``[N]``, v on the nodes, NumPy float64; and ``gradient``, the largest
        derivative of the payoff that is left, a certificate. Below 1e-9 all digits of L_G are right. If a polynomial
        separates the densities, there is no best one, and more of the derivative is left.
    """
    log_real, log_fake, nodes = check_line(log_real, log_fake, nodes)
    if degree >= len(nodes):
        raise ValueError(f"degree must be below the number of nodes, {len(nodes)}, got {degree}")
    # masses at the nodes
    weights, places = (np.asarray(array, np.float64) for array in (trapezoid(nodes), nodes))
    real, fake = (weights * np.exp(np.asarray(line, np.float64)) for line in (log_real, log_fake))
    real, fake = real / real.sum(), fake / fake.sum()
    # logistic regression
    basis = _orthonormal(places, 0.5 * (real + fake), degree)
    coefficients, gradient = _newton(basis, real, fake)
    logits = basis @ coefficients
    return {
        "divergence": float(np.log(2.0) - _loss(logits, real, fake)),
        "logits": logits,
        "gradient": float(np.max(np.abs(gradient))),
    }


def _orthonormal(nodes: np.ndarray, masses: np.ndarray, degree: int) -> np.ndarray:
    """Returns polynomials of degree 0..n on the nodes, ``[N, n + 1]``, orthonormal under the masses (Stieltjes)."""
    columns = [np.ones_like(nodes)]
    scaled = nodes / np.abs(nodes).max()
    for _ in range(degree):
        new = scaled * columns[-1]
        for _ in range(2):  # twice is enough
            for old in columns:
                new = new - (masses @ (new * old)) * old
        size = np.sqrt(masses @ new**2)
        columns.append(new / size if size > 0 else new)
    return np.stack(columns, axis=1)


def _newton(basis: np.ndarray, real: np.ndarray, fake: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Minimises the loss by Levenberg and Marquardt's damped steps; returns coefficients and the gradient there."""
    coefficients, damping = np.zeros(basis.shape[1]), 1e-3
    for _ in range(_UPDATES):
        logits = basis @ coefficients
        probability, other = _sigmoid(logits), _sigmoid(-logits)
        gradient = 0.5 * basis.T @ (fake * probability - real * other)
        if np.max(np.abs(gradient)) < _GRADIENT:
            break
        hessian = 0.5 * basis.T @ (((real + fake) * probability * other)[:, None] * basis)
        scale = np.diag(np.diag(hessian) + np.finfo(np.float64).tiny)
        now = _loss(logits, real, fake)
        while damping < _GIVEN_UP:
            # By least squares: where the loss is flat there is no step.
            step = np.linalg.lstsq(hessian + damping * scale, gradient, rcond=None)[0]
            if _loss(logits - basis @ step, real, fake) <= now:
                break
            damping *= 4.0
        else:
            break
        coefficients, damping = coefficients - step, max(damping / 10.0, 1e-15)
    return coefficients, gradient


def _loss(logits: np.ndarray, real: np.ndarray, fake: np.ndarray) -> float:
    return 0.5 * float(real @ np.logaddexp(0.0, -logits) + fake @ np.logaddexp(0.0, logits))


def _sigmoid(logits: np.ndarray) -> np.ndarray:
    return np.exp(-np.logaddexp(0.0, -logits))
