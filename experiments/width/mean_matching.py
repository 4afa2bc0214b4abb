"""A one-hidden-layer generator against a discriminator that is linear in fixed features: the game and its play.

Once a problem is drawn all is deterministic: latents are fixed, and gradients use the full batch.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt

from mixgan_jax.theory import relu_kernel
from mixgan_jax.theory.linearized_gda import Order
from mixgan_jax.types import Array, Key

ErrorOf = Callable[[Array], Array]
"""Maps hidden weights ``[K, Z]`` to the error: mean features of the data less the generator's, ``[P]``."""


class Problem(NamedTuple):
    """One seed's problem.

    Attributes:
        hidden: W at the start, ``[K, Z]``, entries from N(0, 1 / Z).
        output: V, ``[D, K]``, entries from N(0, 1 / K), never trained.
        latents: latents ``[N, Z]``, standard normal.
        target: mean of the data, ``[D]``, standard normal.
    """

    hidden: Array
    output: Array
    latents: Array
    target: Array


def draw(key: Key, width: int, latent_size: int, dimension: int, num_latents: int) -> Problem:
    """Draws a problem; its latents and target are the same at every width."""
    keys = jax.random.split(key, 4)
    return Problem(
        jax.random.normal(keys[0], (width, latent_size)) / np.sqrt(latent_size),
        jax.random.normal(keys[1], (dimension, width)) / np.sqrt(width),
        jax.random.normal(keys[2], (num_latents, latent_size)),
        jax.random.normal(keys[3], (dimension,)),
    )


def mean_error(problem: Problem, hidden: Array) -> Array:
    """Computes the error that a linear discriminator sees: ``x - V mean_i ReLU(W z_i)``, ``[D]``."""
    active = jax.nn.relu(hidden @ problem.latents.T)
    return problem.target - problem.output @ jnp.mean(active, axis=1)


def linearised(error: ErrorOf, hidden: Array) -> ErrorOf:
    """Linearises the error in W at ``hidden``."""
    value, tangent = jax.linearize(error, hidden)
    return lambda moved: value + tangent(moved - hidden)


def kernel(problem: Problem) -> Array:
    """Computes the tangent kernel at the start, ``[D, D]``."""
    return relu_kernel(problem.hidden, problem.output, problem.latents)


def step(
    error: ErrorOf, hidden: Array, critic: Array, step_size: Array, mu: Array, order: Order
) -> tuple[Array, Array]:
    """Takes a step of gradient descent-ascent on ``<d, error(W)> - |d|^2 / 2``; returns new hidden weights and d.

    Alternating with mu = 1 is GDmax, since ``d = error(W)`` is the maximiser.
    """
    now, pull = jax.vjp(error, hidden)
    moved = (1 - mu) * critic + mu * now
    (gradient,) = pull(critic if order == "simultaneous" else moved)
    return hidden - step_size * gradient, moved


def play(
    error: ErrorOf,
    hidden: Array,
    step_size: Array,
    order: Order,
    *,
    tolerance: float,
    most: int,
) -> dict[str, Array]:
    """Plays with mu = 1 from d = 0 until the error has fallen to ``tolerance`` of its first value, or ``most`` steps.

    Returns:
        ``steps`` ``[]`` int32, ``error`` ``[]`` (the last over the first), ``hidden`` ``[K, Z]``, the last.
    """
    first = error(hidden)
    one = jnp.ones(())

    def relative(hidden: Array) -> Array:
        return jnp.linalg.norm(error(hidden)) / jnp.linalg.norm(first)

    def goes_on(carry: tuple[Array, Array, Array, Array]) -> Array:
        count, _, _, left = carry
        # NaN and infinity stay above the tolerance: such a run cannot recover.
        return (count < most) & (left > tolerance) & jnp.isfinite(left)

    def body(carry: tuple[Array, Array, Array, Array]) -> tuple[Array, Array, Array, Array]:
        count, hidden, critic, _ = carry
        hidden, critic = step(error, hidden, critic, step_size, one, order)
        return count + 1, hidden, critic, relative(hidden)

    start = jnp.int32(0), hidden, jnp.zeros_like(first), one
    count, hidden, _, left = jax.lax.while_loop(goes_on, body, start)
    return {"steps": count, "error": left, "hidden": hidden}


def reachable(problem: Problem) -> bool:
    """Tells whether some hidden weights have error 0: the target must lie in the cone of the output layer's columns."""
    from scipy.optimize import nnls

    target = np.asarray(problem.target, np.float64)
    distance = nnls(np.asarray(problem.output, np.float64), target)[1]
    return bool(distance <= 1e-6 * np.linalg.norm(target))


def trajectory(
    error: ErrorOf, hidden: Array, step_size: Array, mu: Array, order: Order, steps: int
) -> dict[str, Array]:
    """Plays ``steps`` steps from d = 0.

    Returns:
        ``error`` and ``critic`` ``[steps]``, norms before each step, over the first error's; ``hidden`` ``[K, Z]``.
    """
    first = error(hidden)

    def body(
        carry: tuple[Array, Array], _: None
    ) -> tuple[tuple[Array, Array], tuple[Array, Array]]:
        hidden, critic = carry
        norms = jnp.linalg.norm(error(hidden)), jnp.linalg.norm(critic)
        return step(error, hidden, critic, step_size, mu, order), norms

    start = hidden, jnp.zeros_like(first)
    (hidden, _), (errors, critics) = jax.lax.scan(body, start, None, length=steps)
    scale = jnp.linalg.norm(first)
    return {"error": errors / scale, "critic": critics / scale, "hidden": hidden}


def decay(norms: npt.NDArray[np.float64], low: float, high: float) -> float:
    """Fits the factor a step to the logarithms of the values until they leave ``low`` to ``high``.

    NaN where fewer than four steps are left to fit. The first third is left out, since fast modes still show in it.
    """
    inside = np.isfinite(norms) & (norms > low) & (norms < high)
    stop = len(norms) if inside.all() else int(np.argmin(inside))
    start = stop // 3
    if stop - start < 4:
        return float("nan")
    return float(np.exp(np.polyfit(np.arange(start, stop), np.log(norms[start:stop]), 1)[0]))
