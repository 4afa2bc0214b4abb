"""Where gradient descent-ascent on the mean-matching game turns unstable: measured factors a step, and predicted ones."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments.parts import mean_matching
from experiments.parts.mean_matching import Problem
from mixgan_jax.theory import gda_contraction, gda_edge
from mixgan_jax.theory.linearized_gda import Order
from mixgan_jax.types import Array

CASES: dict[str, tuple[Order, float]] = {
    "mu = 1": ("simultaneous", 1.0),
    "mu = 0.5": ("simultaneous", 0.5),
    "mu = 0.25": ("simultaneous", 0.25),
    "GDmax": ("alternating", 1.0),
}
SMALL = 0.01  # how far from its solution a net starts, of the first error
FITTED = (1e-3, 10.0)  # norms over the first one between which a factor is fitted
GAMES = ("linearised", "near", "start")


def measure(
    problems: Problem, solutions: Array, case: str, ratios: Sequence[float], steps: int
) -> dict[str, Any]:
    """Factors a step at step sizes of ``ratios`` times the predicted edge.

    Three games for each seed: the generator linearised at its start; the network from near its solution, the target
    being moved by a hundredth; the network from its start.

    Args:
        problems: of all seeds, leaves ``[S, ...]``.
        solutions: hidden weights ``[S, K, Z]`` at which each problem's error is 0.
        case: a name in ``CASES``.
        ratios: R of them.
        steps: of each run.

    Returns:
        ``predicted`` and ``factor`` by game ``[R, S]`` (NaN for what leaves the fitted range at once); ``left``
        ``[R, S]``, the last norm of the run from the start; and ``sharpness`` ``[R, S]``, at its end the largest
        ``eta s^2`` over the edge's.
    """
    order, mu = CASES[case]
    edge = gda_edge(mu, order)
    at_start, solved = problems, problems._replace(hidden=solutions)
    spectra = {"start": eigenvalues(at_start), "near": eigenvalues(solved)}
    spectra["linearised"] = spectra["start"]
    sizes = {
        game: np.asarray(ratios)[:, None] * edge / own[:, -1] for game, own in spectra.items()
    }
    played = jax.device_get(
        _play(problems, solutions, jax.tree.map(jnp.float32, sizes), jnp.float32(mu), order, steps)
    )
    found: dict[str, Any] = {"ratios": list(ratios), "edge": edge}
    for game in GAMES:
        norms = np.hypot(played[game]["error"], played[game]["critic"])
        strengths = jnp.float32(sizes[game][..., None] * spectra[game])
        found[f"{game}_predicted"] = np.asarray(gda_contraction(strengths, mu, order)).max(axis=-1)
        fit = partial(mean_matching.decay, low=FITTED[0], high=FITTED[1])
        found[f"{game}_factor"] = np.apply_along_axis(fit, -1, np.float64(norms))
    found["left"] = played["start"]["error"][..., -1]
    ends = jax.vmap(lambda hidden: jax.vmap(mean_matching.kernel)(problems._replace(hidden=hidden)))
    kernels = np.float64(jax.jit(ends)(played["start"]["hidden"]))
    found["sharpness"] = sizes["start"] * largest(kernels) / edge
    return found


@partial(jax.jit, static_argnames=("order", "steps"))
def _play(
    problems: Problem,
    solutions: Array,
    sizes: dict[str, Array],
    mu: Array,
    order: Order,
    steps: int,
) -> dict[str, Any]:
    """Trajectories by game, ``[R, S, steps]``; sizes are ``[R, S]``."""

    def one(problem: Problem, solution: Array, sizes: dict[str, Array]) -> dict[str, Any]:
        error = partial(mean_matching.mean_error, problem)
        shifted = problem._replace(target=problem.target + SMALL * error(problem.hidden))
        games = {
            "linearised": (mean_matching.linearised(error, problem.hidden), problem.hidden),
            "near": (partial(mean_matching.mean_error, shifted), solution),
            "start": (error, problem.hidden),
        }
        return {
            name: mean_matching.trajectory(game, hidden, sizes[name], mu, order, steps)
            for name, (game, hidden) in games.items()
        }

    return jax.vmap(jax.vmap(one), in_axes=(None, None, 0))(problems, solutions, sizes)


def eigenvalues(problems: Problem) -> np.ndarray:
    """Of every seed's tangent kernel, ``[S, D]`` rising; found on the host, one by one, where batches of them are safe."""
    kernels = np.asarray(jax.jit(jax.vmap(mean_matching.kernel))(problems), np.float64)
    return np.linalg.eigvalsh(kernels)


def largest(kernels: np.ndarray) -> np.ndarray:
    """The largest eigenvalues ``[...]`` of kernels ``[..., D, D]``; NaN for those that are not finite."""
    finite = np.isfinite(kernels).all(axis=(-1, -2))
    known = np.where(finite[..., None, None], kernels, 0.0)
    return np.where(finite, np.linalg.eigvalsh(known)[..., -1], np.nan)
