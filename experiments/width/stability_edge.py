"""Where gradient descent-ascent on the mean-matching game turns unstable: factors a step, measured and predicted."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments.width import mean_matching
from experiments.width.mean_matching import Problem
from mixgan_jax.theory import gda_contraction, gda_edge
from mixgan_jax.theory.linearized_gda import Order
from mixgan_jax.types import Array

CASES: dict[str, tuple[Order, float]] = {
    "mu = 1": ("simultaneous", 1.0),
    "mu = 0.5": ("simultaneous", 0.5),
    "mu = 0.25": ("simultaneous", 0.25),
    "GDmax": ("alternating", 1.0),
}
SMALL = 0.002  # a network's distance from its solution at the start, over the first error
FITTED = (0.01, 10.0)  # range of norms, over the first one, in which a factor is fitted
GAMES = ("linearised", "near")  # games with a fitted factor


def measure(
    problems: Problem, solutions: Array, case: str, ratios: Sequence[float], steps: int
) -> dict[str, Any]:
    """Measures factors a step at step sizes of ``ratios`` times the predicted edge of the kernel's largest eigenvalue.

    Three games are played for each seed: the generator linearised at its start; the network near its solution; and the
    network from its start. In the first two the target is moved along the eigenvector, so that a single mode is
    excited.

    Args:
        problems: all seeds' problems, leaves ``[S, ...]``.
        solutions: hidden weights ``[S, K, Z]`` at which each problem's error is 0.
        case: a name in ``CASES``.
        ratios: R step sizes over the edge.
        steps: number of steps of each run.

    Returns:
        ``predicted`` ``[R]``, and ``factor`` by game ``[R, S]`` (NaN for a run that leaves the fitted range at once);
        ``left`` ``[R, S]``, the last error of the run from the start; and ``sharpness`` ``[R, S]``, the largest
        ``eta s^2`` at that run's end, over the edge's.
    """
    order, mu = CASES[case]
    edge = gda_edge(mu, order)
    starts = {"start": problems.hidden, "near": solutions}
    spectra = {name: np.linalg.eigh(kernels(problems, hidden)) for name, hidden in starts.items()}
    strengths = edge * np.asarray(ratios)
    sizes = {name: strengths[:, None] / own[0][:, -1] for name, own in spectra.items()}
    modes = {name: own[1][..., -1] for name, own in spectra.items()}
    single = jax.tree.map(jnp.float32, (sizes, modes))
    played = jax.device_get(_play(problems, solutions, *single, jnp.float32(mu), order, steps))
    fit = partial(mean_matching.decay, low=FITTED[0], high=FITTED[1])
    factors = {
        f"{game}_factor": np.apply_along_axis(
            fit, -1, np.hypot(played[game]["error"], played[game]["critic"], dtype=np.float64)
        )
        for game in GAMES
    }
    ends = np.stack([kernels(problems, hidden) for hidden in played["start"]["hidden"]])
    return {
        "ratios": list(ratios),
        "edge": edge,
        "predicted": np.asarray(gda_contraction(jnp.float32(strengths), mu, order)),
        **factors,
        "left": played["start"]["error"][..., -1],
        "sharpness": sizes["start"] * largest(ends) / edge,
    }


@partial(jax.jit, static_argnames=("order", "steps"))
def _play(
    problems: Problem,
    solutions: Array,
    sizes: dict[str, Array],
    modes: dict[str, Array],
    mu: Array,
    order: Order,
    steps: int,
) -> dict[str, Any]:
    """Plays all games: trajectories by game, leaves ``[R, S, ...]``; sizes are ``[R, S]``, modes ``[S, D]``."""

    def one(
        problem: Problem, solution: Array, sizes: dict[str, Array], modes: dict[str, Array]
    ) -> dict[str, Any]:
        def moved(hidden: Array, distance: Array, mode: Array) -> mean_matching.ErrorOf:
            target = problem.target - error(hidden) + distance * mode
            return partial(mean_matching.mean_error, problem._replace(target=target))

        error = partial(mean_matching.mean_error, problem)
        first = jnp.linalg.norm(error(problem.hidden))
        tangent = mean_matching.linearised(
            moved(problem.hidden, first, modes["start"]), problem.hidden
        )
        games = {
            "linearised": (tangent, problem.hidden, sizes["start"]),
            "near": (moved(solution, SMALL * first, modes["near"]), solution, sizes["near"]),
            "start": (error, problem.hidden, sizes["start"]),
        }
        return {
            name: mean_matching.trajectory(game, hidden, size, mu, order, steps)
            for name, (game, hidden, size) in games.items()
        }

    over_seeds = jax.vmap(one, in_axes=(0, 0, 0, 0))
    return jax.vmap(over_seeds, in_axes=(None, None, 0, None))(problems, solutions, sizes, modes)


def kernels(problems: Problem, hidden: Any) -> np.ndarray:
    """Computes every seed's tangent kernel ``[S, D, D]`` at hidden weights ``[S, K, Z]``, on the host.

    Eigenvalues are computed on the host too: on a CPU, batches of LAPACK's programs can hang JAX.
    """
    at = problems._replace(hidden=jnp.asarray(hidden))
    return np.float64(_kernels(at))


_kernels = jax.jit(jax.vmap(mean_matching.kernel))


def largest(kernels: np.ndarray) -> np.ndarray:
    """Computes the largest eigenvalues ``[...]`` of kernels ``[..., D, D]``; NaN for kernels that are not finite."""
    finite = np.isfinite(kernels).all(axis=(-1, -2))
    known = np.where(finite[..., None, None], kernels, 0.0)
    return np.where(finite, np.linalg.eigvalsh(known)[..., -1], np.nan)
