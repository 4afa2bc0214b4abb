"""Computes the exact panels of first_principles, by quadrature, Newton's method or a closed form."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import logsumexp
from jax.scipy.stats import norm

import mixgan_jax as mg
from mixgan_jax import theory
from mixgan_jax.types import Array

STDS = (0.05, 0.1, 0.2, 0.3, 0.5, 1.0, 2.0)  # of the Gaussians at distance 1 in A1
EXCESSES = (0.1, 0.01, 0.001, 0.0001)  # loss above the best discriminator's, in A2
DEGREES = (1, 2, 3, 4, 6, 8, 10)  # degrees of the discriminator's logit, in A3 and A4
OFFSETS = (1.0, 2.0, 3.0)  # offsets of the two modes from 0, in A4
MODE_STD = 0.5
OBJECTIVES = ("kl", "reverse_kl", "jensen_shannon", "non_saturating", "total_variation")
TARGETS: Mapping[str, tuple[float, float]] = {  # offset of the modes, weight of the left one
    "modes at ±2": (2.0, 0.5),
    "modes at ±2, 0.6 left": (2.0, 0.6),
    "modes at ±1": (1.0, 0.5),
}
TIED = 1e-6  # minima that differ by less are one minimum, and its mirror image


def line() -> Array:
    """Makes quadrature nodes wide enough for every density of A3 to A5: tails decide on logits of high degree."""
    return jnp.linspace(-20.0, 20.0, 3001)


def two_modes(nodes: Array, offset: float, left: float) -> Array:
    """Computes the log-density of Gaussians of std 1/2 at ± offset, with the weight ``left`` at -offset."""
    modes = [
        jnp.log(weight) + norm.logpdf(nodes, mean, MODE_STD)
        for weight, mean in ((left, -offset), (1.0 - left, offset))
    ]
    return logsumexp(jnp.stack(modes), axis=0)


def degenerate() -> dict[str, Any]:
    """Computes A1: divergences of N(0, s^2) and N(theta, s^2) at theta = 1, and their derivatives in theta, by s.

    Then the parallel segments at four offsets, in closed form and between 64 points of each.
    """

    def divergences(theta: Array, std: Array) -> dict[str, Array]:
        nodes = 0.5 + std * jnp.linspace(-16.0, 16.0, 4001) + jnp.linspace(-0.5, 0.5, 4001)
        return theory.line_divergences(
            norm.logpdf(nodes, 0.0, std), norm.logpdf(nodes, theta, std), nodes
        )

    stds = jnp.asarray(STDS)
    both = [jax.vmap(f, (None, 0)) for f in (divergences, jax.jacfwd(divergences))]
    values, slopes = jax.jit(lambda theta: [f(theta, stds) for f in both])(1.0)
    names = ("kl", "jensen_shannon", "total_variation", "wasserstein")
    found = {name: values[name] for name in names}
    found |= {f"d_{name}": slopes[name] for name in names}
    offsets = (0.0, 0.25, 0.5, 1.0)
    segments = [theory.parallel_segments(offset) for offset in offsets]
    points = np.linspace(0.0, 1.0, 64, dtype=np.float32)
    pairs = [
        [np.stack([np.full_like(points, offset), points], axis=1) for offset in (0.0, theta)]
        for theta in offsets
    ]
    return {
        "gaussians": found,
        "offsets": offsets,
        "segments": {name: [segment[name] for segment in segments] for name in names},
        "points": {
            "jensen_shannon": [mg.metrics.empirical_jensen_shannon(*pair) for pair in pairs],
            "wasserstein": [mg.metrics.exact_wasserstein(*pair) for pair in pairs],
        },
    }


def pulls() -> dict[str, Any]:
    """Computes A2: the gradient that reaches a generator on 1, with data on 0, by the discriminator's excess loss.

    The discriminator has the logit a (1/2 - x). Its best expected loss is that of a perfect one; ``slope`` is the
    least a whose loss is within the excess of that, and ``pull`` the derivative of the generator's loss in its point.
    """
    losses: dict[str, mg.GanLoss] = {
        "logistic": mg.losses.minimax(),
        "Brier": mg.losses.brier(),
        "exponential": mg.losses.exponential(),
        "hinge": mg.losses.hinge(),
        "non-saturating": mg.losses.non_saturating(),
    }
    found = {}
    for name, loss in losses.items():
        slopes, pull = jax.jit(slopes_and_pulls, static_argnums=0)(loss, jnp.asarray(EXCESSES))
        found[name] = {"slope": slopes, "pull": pull}
    # A critic of Lipschitz constant 1 is best with the slope 1, whatever the excess.
    critic = mg.losses.wasserstein()
    pull = float(jax.grad(lambda x: critic.generator(fake=0.5 - x))(1.0))
    found["Wasserstein"] = {"slope": [1.0] * len(EXCESSES), "pull": [pull] * len(EXCESSES)}
    return found


def slopes_and_pulls(loss: mg.GanLoss, excesses: Array) -> tuple[Array, Array]:
    """Finds the least a whose loss at logits ± a/2 is an excess over the best loss, 0, and the pull there; ``[E]``."""

    def halve(_: Any, ends: tuple[Array, Array]) -> tuple[Array, Array]:
        low, high = ends
        middle = 0.5 * (low + high)
        enough = loss.discriminator(real=0.5 * middle, fake=-0.5 * middle) <= excesses
        return jnp.where(enough, low, middle), jnp.where(enough, middle, high)

    def generator(x: Array, slope: Array) -> Array:
        return loss.generator(fake=slope * (0.5 - x))

    ends = (jnp.zeros_like(excesses), jnp.full_like(excesses, 200.0))
    _, slopes = jax.lax.fori_loop(0, 60, halve, ends)
    return slopes, jax.vmap(jax.grad(generator), (None, 0))(jnp.ones(()), slopes)


def induced() -> dict[str, Any]:
    """Computes A2: the divergence that each scoring rule has the generator minimise, N(0, s^2) against N(1, s^2)."""
    found: dict[str, list[float]] = {}
    for std in STDS:
        nodes = 0.5 + std * jnp.linspace(-16.0, 16.0, 4001) + jnp.linspace(-0.5, 0.5, 4001)
        densities = (norm.logpdf(nodes, mean, std) for mean in (0.0, 1.0))
        pair = tuple(densities)
        for rule in theory.scoring_rules():
            value = theory.induced_divergence(rule, *pair, nodes)
            found.setdefault(rule.loss.name, []).append(float(value))
    return found


def limited_discriminator() -> dict[str, Any]:
    """Computes A3: how far the best logit of each degree tells two modes from the moment-matched Gaussian."""
    nodes = line()
    real = two_modes(nodes, 2.0, 0.5)
    fake = norm.logpdf(nodes, 0.0, moment_std(2.0))
    best = [theory.best_polynomial_logit(real, fake, nodes, degree) for degree in DEGREES]
    shown = [int(np.searchsorted(nodes, x)) for x in np.linspace(-5.0, 5.0, 201)]
    return {
        "bounds": [found["divergence"] for found in best],
        "gradient": max(found["gradient"] for found in best),
        "jensen_shannon": jensen_shannon(real, 0.0, moment_std(2.0)),
        "shown": np.asarray(nodes)[shown],
        "densities": np.exp(np.stack([np.asarray(real)[shown], np.asarray(fake)[shown]])),
        "log_ratio": np.asarray(real - fake)[shown],
        "logits": np.stack([found["logits"][shown] for found in best]),
    }


def limited_generator() -> dict[str, Any]:
    """Computes A4: the loss of N(0, s^2) against the best discriminator of each degree, by s, and where it is least.

    ``fooled`` is the loss at the moment-matched Gaussian, for each offset of the modes, and ``jensen_shannon`` the true
    one there.
    """
    nodes = line()
    stds = np.linspace(0.5, 4.0, 29)
    real = two_modes(nodes, 2.0, 0.5)

    def loss(target: Array, std: float, degree: int) -> float:
        fake = norm.logpdf(nodes, 0.0, std)
        return theory.best_polynomial_logit(target, fake, nodes, degree)["divergence"]

    curves = {str(degree): [loss(real, std, degree) for std in stds] for degree in (2, 3, 4, 6)}
    targets = [(two_modes(nodes, offset, 0.5), moment_std(offset)) for offset in OFFSETS]
    return {
        "stds": stds,
        "curves": curves,
        "true": [jensen_shannon(real, 0.0, std) for std in stds],
        "fooled": {str(n): [loss(*target, n) for target in targets] for n in DEGREES},
        "jensen_shannon": [jensen_shannon(target, 0.0, std) for target, std in targets],
    }


def moment_std(offset: float) -> float:
    """Returns the standard deviation of the Gaussian with the variance of equal modes at ± offset."""
    return float(np.sqrt(offset**2 + MODE_STD**2))


def objectives(target: Array, params: Array) -> Array:
    """Computes the five objectives from a target's log-density and ``(m, log s)``."""
    nodes = line()
    fake = norm.logpdf(nodes, params[0], jnp.exp(params[1]))
    found = theory.line_divergences(target, fake, nodes)
    return jnp.stack([found[name] for name in OBJECTIVES])


@jax.jit
def value_and_slope(params: Array, target: Array, objective: Array) -> tuple[Array, Array]:
    """Computes one objective, and its gradient in ``(m, log s)``."""
    return jax.value_and_grad(lambda own: objectives(target, own)[objective])(params)


def jensen_shannon(target: Array, mean: float, std: float) -> float:
    """Computes JS of a target and a Gaussian."""
    objective = jnp.asarray(OBJECTIVES.index("jensen_shannon"))
    return float(value_and_slope(jnp.asarray([mean, np.log(std)]), target, objective)[0])


def fits() -> dict[str, Any]:
    """Computes A5: the best Gaussian under each objective, for each target: mean, std, value; all minima found."""
    found: dict[str, Any] = {}
    for name, (offset, left) in TARGETS.items():
        target = two_modes(line(), offset, left)
        found[name] = {
            objective: best_gaussian(target, index) for index, objective in enumerate(OBJECTIVES)
        }
    return found


def best_gaussian(target: Array, objective: int) -> dict[str, Any]:
    """Fits a Gaussian by quasi-Newton from four starts, within the nodes' range; of tied minima takes the left one."""
    from scipy.optimize import minimize

    def both(params: Any) -> tuple[float, Any]:
        value, slope = value_and_slope(jnp.asarray(params), target, jnp.asarray(objective))
        return float(value), np.asarray(slope)

    minima = []
    for start in ((0.0, 0.7), (-2.0, -0.7), (2.0, -0.7), (-1.0, 0.0)):
        result = minimize(
            both,
            np.asarray(start),
            jac=True,
            method="L-BFGS-B",
            bounds=((-6.0, 6.0), (-2.0, 1.4)),
            options={"gtol": 1e-9, "ftol": 1e-15},
        )
        minima.append((float(result.fun), float(result.x[0]), float(np.exp(result.x[1]))))
    least = min(minima)[0]
    value, mean, std = min(
        (found for found in minima if found[0] < least + TIED), key=lambda found: found[1]
    )
    return {"mean": mean, "std": std, "value": value, "minima": sorted(minima)}


def exact_panels() -> dict[str, Any]:
    """Computes A1 to A5, in float64."""
    with jax.enable_x64(True):
        found = {
            "A1": degenerate(),
            "A2": {"pulls": pulls(), "induced": induced()},
            "A3": limited_discriminator(),
            "A4": limited_generator(),
            "A5": fits(),
        }
        return jax.tree.map(
            lambda leaf: np.asarray(leaf).tolist() if isinstance(leaf, jax.Array) else leaf, found
        )
