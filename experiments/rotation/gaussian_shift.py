"""The Gaussian toy of jare: its spectrum, and its decay in the linear game, without noise, and with batches."""

import math
from collections.abc import Mapping, Sequence
from functools import cache, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

import mixgan_jax as mg
from experiments.common import verdicts
from mixgan_jax import adjustments, losses, spectrum, theory
from mixgan_jax.adjustments import Adjustment, Players
from mixgan_jax.types import Array, Key


class Toy(NamedTuple):
    """Data ``N((0, distance), std^2)`` and the settings of training on them.

    Attributes:
        std: standard deviation s of the data.
        distance: distance |v| of the data's mean from 0, where the discriminator is centred.
        learning_rate: step size of gradient descent.
        steps: numbers of steps after which the distance from the equilibrium is measured, rising.
        batch: batch of the run with noise.
        start: start of each coordinate: of the shift less the mean, and of the discriminator.
    """

    std: float
    distance: float
    learning_rate: float
    steps: tuple[int, ...]
    batch: int
    start: float


class Method(NamedTuple):
    """One row: which player is penalised, and how much."""

    name: str
    rule: Any
    gamma: float

    @property
    def adjustment(self) -> Adjustment | None:
        """Returns the row as an adjustment of gradients."""
        return {
            "none": None,
            "consensus": adjustments.consensus(self.gamma),
            "jare": adjustments.jare(self.gamma),
        }[self.rule]


def factors(std: float, distance: float, rule: Any, gamma: float) -> dict[str, Any]:
    """Computes phase and conditioning factor, the best step's contraction, its iterations to 1e-3, and determinants."""
    matrices = theory.adjusted_jacobian(_jacobian(std, distance), gamma, rule)
    values = np.linalg.eigvals(matrices).ravel()
    _, contraction = spectrum.best_step(values)
    return {
        "phase": spectrum.phase_factor(values),
        "conditioning": spectrum.conditioning_factor(values),
        "contraction": contraction,
        "iterations": math.log(1e-3) / math.log(contraction),
        "determinants": np.linalg.det(matrices),
    }


def predicted(toy: Toy, method: Method) -> list[float]:
    """Computes the linear game's distances from the equilibrium after each of the numbers of steps."""
    matrices = theory.adjusted_jacobian(_jacobian(toy.std, toy.distance), method.gamma, method.rule)
    start = np.full((2, 2), toy.start)
    ends = [theory.linear_descent(matrices, start, toy.learning_rate, n) for n in toy.steps]
    return [float(np.linalg.norm(end)) for end in ends]


def noise_free(toy: Toy, method: Method) -> Array:
    """Runs the exact expected losses: distances ``[T]``, in float64, since they fall below what float32 resolves."""
    with jax.enable_x64(True):
        exact = theory.gaussian_shift_losses(losses.minimax(), _mean(toy), toy.std)
        rule = _solver(toy, method, lambda key, players, batch: exact(players))
        return jax.jit(partial(_distances, rule, toy, lambda key: None))(jax.random.key(0))


def with_noise(toy: Toy, method: Method, keys: Key) -> Array:
    """Runs with a batch of reals and one of fakes in each step: distances ``[S, T]``."""
    loss = losses.minimax()

    def sampled(key: Key, players: Players, reals: Array) -> tuple[Array, Array]:
        shift, direction = players
        fakes = shift[None] + toy.std * jax.random.normal(key, reals.shape)
        logits = {"real": reals @ direction, "fake": fakes @ direction}
        return jnp.mean(loss.generator(**logits)), jnp.mean(loss.discriminator(**logits))

    def draw(key: Key) -> Array:
        return _mean(toy)[None] + toy.std * jax.random.normal(key, (toy.batch, 2))

    rule = _solver(toy, method, sampled)
    return jax.jit(jax.vmap(partial(_distances, rule, toy, draw)))(keys)


def measure(toy: Toy, methods: list[Method], keys: Key) -> dict[str, Any]:
    """Measures the whole toy by method: factors, ``predicted`` and ``noise_free`` ``[T]``, ``with_noise`` ``[S, T]``.

    ``predicted_near`` and ``noise_free_near`` belong to runs that start half as far away.
    """
    near = toy._replace(start=toy.start / 2)
    return {
        method.name: {
            "factors": factors(toy.std, toy.distance, method.rule, method.gamma),
            "predicted": predicted(toy, method),
            "predicted_near": predicted(near, method),
            "noise_free": noise_free(toy, method),
            "noise_free_near": noise_free(near, method),
            "with_noise": with_noise(toy, method, keys),
        }
        for method in methods
    }


def deviation(found: Mapping[str, Any], start: str = "") -> float:
    """Computes the largest relative difference of noise-free runs from the linear game; ``start`` may be ``_near``."""
    ratios = np.array(found[f"noise_free{start}"]) / np.array(found[f"predicted{start}"])
    return float(np.abs(ratios - 1.0).max())


def claims(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Judges the toy's claims on the rows of simultaneous descent, consensus, JARE, and JARE with other gammas."""
    plain, consensus, jare, *_ = rows
    phases, conditions, iterations = (
        [row["toy"]["factors"][name] for row in (jare, plain, consensus)]
        for name in ("phase", "conditioning", "iterations")
    )
    spread = max(np.ptp(row["toy"]["factors"]["determinants"]) for row in rows[2:])
    verdict = [
        verdicts.claim(
            f"{jare['method']} has smaller phase and conditioning factors than simultaneous descent",
            "both smaller",
            f"{phases[0]:.3g} < {phases[1]:.3g}, {conditions[0]:.3g} < {conditions[1]:.3g}",
            phases[0] < phases[1] and conditions[0] < conditions[1],
        ),
        verdicts.claim(
            f"{consensus['method']} has a smaller phase factor and a larger conditioning factor",
            "smaller and larger",
            f"{phases[2]:.3g} < {phases[1]:.3g}, {conditions[2]:.3g} > {conditions[1]:.3g}",
            phases[2] < phases[1] and conditions[2] > conditions[1],
        ),
        verdicts.claim(
            "the determinant of JARE's Jacobian does not depend on the data's variance in a direction",
            "difference < 1e-9",
            f"{spread:.1e}",
            spread < 1e-9,
        ),
        verdicts.claim(
            f"iterations to 1e-3 at the best step rise from {jare['method']} by way of simultaneous "
            f"descent to {consensus['method']}",
            "rising",
            " < ".join(f"{count:.0f}" for count in iterations),
            iterations[0] < iterations[1] < iterations[2],
        ),
    ]
    starts = {
        "the noise-free toy decays as the linear game says, at every number of steps": "",
        "so it does from half as far": "_near",
    }
    for text, start in starts.items():
        off = max(deviation(row["toy"], start) for row in (plain, consensus, jare))
        verdict.append(verdicts.claim(text, "within 5 %", f"{100 * off:.1f} %", off <= 0.05))
    return verdict


@cache
def _jacobian(std: float, distance: float) -> np.ndarray:
    """Computes the Jacobians of both directions: across the mean and along it."""
    variances = np.array([std**2, std**2 + distance**2])
    return theory.gaussian_shift_jacobian(losses.minimax(), variances)


def _mean(toy: Toy) -> Array:
    return jnp.array([0.0, toy.distance])


def _solver(toy: Toy, method: Method, game: Any) -> mg.Solver:
    def init(key: Key) -> Players:
        return _mean(toy) + toy.start, jnp.full((2,), toy.start)

    txs = (optax.sgd(toy.learning_rate),) * 2
    return mg.gradient_play(init, game, txs, adjust=method.adjustment)


def _distances(rule: mg.Solver, toy: Toy, draw: Any, key: Key) -> Array:
    """Computes one run's distances after each of the numbers of steps."""

    def body(state: Any, index: Array) -> tuple[Any, Array]:
        batch_key, step_key = jax.random.split(jax.random.fold_in(key, index))
        state, _ = rule.step(step_key, state, draw(batch_key))
        shift, direction = state.iterate
        return state, jnp.hypot(jnp.linalg.norm(shift - _mean(toy)), jnp.linalg.norm(direction))

    _, distances = jax.lax.scan(body, rule.init(key), jnp.arange(toy.steps[-1]))
    return distances[np.array(toy.steps) - 1]
