"""A GAN small enough to be solved: its equilibrium to rounding, all eigenvalues there, steps around the stable one.

One latent and one feature, two tanh networks with one hidden layer, a fixed set of reals and latents, so that the game
is a deterministic one; R1 and a little weight decay make equilibria that attract. All in float64.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.flatten_util import ravel_pytree

import mixgan_jax as mg
from experiments.common import verdicts
from mixgan_jax import adjustments, penalties, spectrum
from mixgan_jax.types import Array, Key

FACTORS = (0.5, 0.8, 0.95, 1.05, 1.2, 2.0)
"""Step sizes that are tried, in units of the predicted stable one."""

NOMINAL = 0.5
"""Unit of the step sizes at an equilibrium that no step makes stable."""


class Solved(NamedTuple):
    """A seed's game and its equilibrium.

    Attributes:
        data: reals and latents, ``[B, 1]`` each.
        players: generator and discriminator at the equilibrium.
        residual: ``[]``, the norm of the players' gradients.
    """

    data: tuple[Array, Array]
    players: Any
    residual: Array


class SmallGan(NamedTuple):
    """The game.

    Attributes:
        width: number of hidden units of either network.
        batch: number of reals, and of latents.
        gamma: coefficient of R1.
        decay: coefficient of ``||w||^2 / 2``, in both players' losses.
    """

    width: int
    batch: int
    gamma: float
    decay: float

    def losses(self, data: tuple[Array, Array], players: Any) -> tuple[Array, Array]:
        """Computes both players' losses, zero-sum but for penalty and decay."""
        reals, latents = data
        generator, discriminator = players
        loss = mg.losses.minimax()
        fakes = network(generator, latents)[:, None]
        logits = {"real": network(discriminator, reals), "fake": network(discriminator, fakes)}
        penalty = penalties.r1(self.gamma)(
            jax.random.key(0), lambda x: network(discriminator, x), reals, fakes
        )
        return (
            jnp.mean(loss.generator(**logits)) + self.decay * squares(generator),
            jnp.mean(loss.discriminator(**logits))
            + jnp.mean(penalty)
            + self.decay * squares(discriminator),
        )

    def field(self, data: tuple[Array, Array]) -> adjustments.Field:
        """Computes the simultaneous gradients."""
        return adjustments.gradient_field(partial(self.losses, data))


def network(params: Any, inputs: Array) -> Array:
    """Maps inputs ``[B, 1]`` to outputs ``[B]``."""
    return jnp.tanh(inputs @ params["in"] + params["shift"][None]) @ params["out"] + params["bias"]


def squares(params: Any) -> Array:
    """Computes half of the squared norm."""
    return 0.5 * optax.tree.norm(params, squared=True)


def first_network(key: Key, width: int) -> Any:
    """Draws parameters of a network with ``width`` hidden units."""
    keys = jax.random.split(key, 3)
    return {
        "in": jax.random.normal(keys[0], (1, width)),
        "shift": jax.random.normal(keys[1], (width,)),
        "out": jax.random.normal(keys[2], (width,)) / np.sqrt(width),
        "bias": jnp.zeros(()),
    }


def solve(game: SmallGan, steps: int, step_size: float, key: Key) -> Solved:
    """Draws a seed's game and finds its equilibrium by consensus optimisation, then Newton's method on the gradients.

    Args:
        game: the game without its data.
        steps: number of steps of consensus optimisation.
        step_size: step size of consensus optimisation.
        key: consumed.
    """
    keys = jax.random.split(key, 5)
    signs = jax.random.rademacher(keys[0], (game.batch, 1), jnp.float64)
    reals = signs + 0.3 * jax.random.normal(keys[1], (game.batch, 1))
    data = (reals, jax.random.normal(keys[2], (game.batch, 1)))
    solver = mg.gradient_play(
        lambda key: tuple(first_network(k, game.width) for k in jax.random.split(key)),
        lambda key, players, batch: game.losses(data, players),
        (optax.sgd(step_size),) * 2,
        adjust=adjustments.consensus(1.0),
    )

    def body(state: Any, _: None) -> tuple[Any, None]:
        return solver.step(keys[4], state, None)[0], None

    state, _ = jax.lax.scan(body, solver.init(keys[3]), None, length=steps)
    flat, unravel = ravel_pytree(state.players)

    def gradient(flat: Array) -> Array:
        return ravel_pytree(game.field(data)(unravel(flat)))[0]

    def newton(_: int, flat: Array) -> Array:
        return flat - jnp.linalg.solve(jax.jacfwd(gradient)(flat), gradient(flat))

    flat = jax.lax.fori_loop(0, 30, newton, flat)
    return Solved(data, unravel(flat), jnp.linalg.norm(gradient(flat)))


def distances(game: SmallGan, steps: int, key: Key, found: Solved, step_size: Array) -> Array:
    """Computes ``||w - w*||`` after each step of simultaneous descent that starts 1e-8 beside the equilibrium."""
    centre, unravel = ravel_pytree(found.players)
    nudge = jax.random.normal(key, centre.shape)
    start = unravel(centre + 1e-8 * nudge / jnp.linalg.norm(nudge))
    solver = mg.gradient_play(
        lambda key: start,
        lambda key, players, batch: game.losses(found.data, players),
        (optax.sgd(step_size),) * 2,
    )

    def body(state: Any, _: None) -> tuple[Any, Array]:
        state, _ = solver.step(key, state, None)
        return state, jnp.linalg.norm(ravel_pytree(state.players)[0] - centre)

    return jax.lax.scan(body, solver.init(key), None, length=steps)[1]


def observed_rate(distances: np.ndarray) -> float:
    """Computes the factor a step, over the second half of the steps below 1e-4, where the game is nearly linear.

    NaN where those are fewer than 4, for example where no equilibrium was found.
    """
    linear = np.flatnonzero(~(distances < 1e-4))
    end = int(linear[0]) if linear.size else len(distances)
    end = min(end, int(np.flatnonzero(distances > 1e-13)[-1]) + 1)  # only rounding is left
    if end < 4:
        return float("nan")
    half = end // 2
    return float((distances[end - 1] / distances[half - 1]) ** (1.0 / (end - half)))


def measure(
    keys: Key, game: SmallGan, *, solve_steps: int, step_size: float, steps: int
) -> dict[str, Any]:
    """Predicted and observed stability of every seed's equilibrium.

    Args:
        keys: ``[S]``, consumed.
        game: the game without its data, which are a seed's own.
        solve_steps: number of steps of consensus optimisation, towards the equilibrium.
        step_size: step size of consensus optimisation.
        steps: number of steps of simultaneous descent at each factor of :data:`FACTORS`.

    Returns:
        By seed, ``[S]`` or longer: ``residual``, ``eigenvalues`` real and imaginary ``[S, N, 2]``, ``stable_step``,
        ``share`` of rotation, ``predicted`` and ``observed`` rates ``[S, factors]``; and ``arnoldi``, the largest
        relative error in the six largest moduli by Arnoldi's method, of the first seed.
    """
    with jax.enable_x64(True):
        solved = jax.jit(jax.vmap(partial(solve, game, solve_steps, step_size)))(keys)
        matrices, shares = jax.jit(jax.vmap(partial(_rotation, game)))(solved)
        values = np.linalg.eigvals(np.asarray(matrices))
        stable_steps = np.array([spectrum.stable_step(own) for own in values])
        sizes = np.where(stable_steps > 0, stable_steps, NOMINAL)[:, None] * FACTORS
        descend = partial(distances, game, steps)
        over_steps = jax.vmap(descend, (None, None, 0))
        curves = np.asarray(jax.jit(jax.vmap(over_steps))(keys, solved, jnp.asarray(sizes)))
        error = _arnoldi_error(game, jax.tree.map(lambda leaf: leaf[0], solved), values[0])
    factors = np.abs(1.0 - sizes[:, :, None] * values[:, None, :])
    return {
        "residual": np.asarray(solved.residual),
        "eigenvalues": np.stack([values.real, values.imag], axis=-1),
        "stable_step": stable_steps,
        "share": np.asarray(shares),
        "arnoldi": error,
        "predicted": factors.max(axis=-1),
        "observed": np.array([[observed_rate(curve) for curve in own] for own in curves]),
    }


def _rotation(game: SmallGan, found: Solved) -> tuple[Array, Array]:
    """Computes the Jacobian ``[N, N]``, and its share of rotation ``[]``."""
    field = game.field(found.data)
    return spectrum.jacobian(field, found.players), spectrum.rotational_share(field, found.players)


def _arnoldi_error(game: SmallGan, found: Solved, values: np.ndarray) -> float:
    """Computes the largest relative error of Arnoldi's method in the six largest moduli, against all eigenvalues."""
    largest = np.abs(spectrum.eigenvalues(game.field(found.data), found.players, 6))
    exact = np.sort(np.abs(values))[::-1][:6]
    return float(np.max(np.abs(largest / exact - 1.0)))


def judge(small: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Judges the claims on the small GAN, which its eigenvalues predict."""
    solved = np.asarray(small["residual"]) < 1e-9
    stable = np.asarray(small["stable_step"]) > 0
    predicted, observed = (np.asarray(small[name])[solved] for name in ("predicted", "observed"))
    right = (predicted > 1) == (observed > 1)
    near = np.abs(predicted - observed)[:, :-1] <= 0.01
    counts = f"{solved.sum()} equilibria of {solved.size} seeds, {(solved & stable).sum()} attract"
    return [
        verdicts.claim(
            "beside a small GAN's equilibrium descent grows where the eigenvalues say so, and only there",
            "all runs, equilibria in at least half of the seeds",
            f"{right.sum()} of {right.size}; {counts}",
            right.all() and solved.mean() >= 0.5,
        ),
        verdicts.claim(
            "at up to 1.2 of the stable step the observed factor a step is the predicted one",
            "within 0.01 in 95 % of runs",
            f"{near.sum()} of {near.size}",
            near.size > 0 and near.mean() >= 0.95,
        ),
        verdicts.claim(
            "Arnoldi's six largest eigenvalues are those of the Jacobian written out",
            "moduli within 1e-6",
            f"largest error {small['arnoldi']:.1e}",
            small["arnoldi"] <= 1e-6,
        ),
    ]
