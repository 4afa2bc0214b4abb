"""The methods that game_optimisers compares, and their runs on the bilinear game."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Literal, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
import optax

import mixgan_jax as mg
from mixgan_jax import adjustments
from mixgan_jax.types import Array, Key

BILINEAR_STEPS = (0.1, 0.3, 0.6)

Name: TypeAlias = Literal[
    "simultaneous",
    "alternating",
    "optimistic",
    "extragradient",
    "past extragradient",
    "consensus",
    "JARE",
    "symplectic",
    "lookahead",
    "uniform average",
    "exponential average",
]
"""The methods, in the order of the table. The averages average alternating descent."""


class Method(NamedTuple):
    """One row of the table: a choice of order of moves, gradients, optimiser, and wrapping solver.

    Attributes:
        name: the row's name.
        update: order of moves of the inner solver.
        adjust: adjustment of its gradients, on the ring.
        adjust_bilinear: adjustment of its gradients, in the bilinear game.
        optimistic: whether the optimiser is an optimistic one.
        around: wraps a solver in another one.
        rate: closed form of the bilinear rate by step size, where there is one.
    """

    name: Name
    update: Any = "simultaneous"
    adjust: Any = None
    adjust_bilinear: Any = None
    optimistic: bool = False
    around: Callable[[mg.Solver], mg.Solver] = lambda solver: solver
    rate: Callable[[float], float] | None = None


def _optimistic_rate(step: float) -> float:
    return float(max(abs(np.roots([1, -(1 + 2j * step), 1j * step]))))


def methods(
    *, consensus: float, jare: float, symplectic: float, period: int, decay: float
) -> list[Method]:
    """Lists all methods, with their coefficients on the ring; in the bilinear game consensus and JARE have 1.

    In the bilinear game a step multiplies ``z = x + i y`` by a complex number whose modulus is ``rate``. For optimistic
    descent that number is the larger root of ``m^2 - (1 - 2 i s) m - i s``. The game's Jacobian is antisymmetric and
    off-diagonal, so that consensus, JARE and the symplectic adjustment are the same.
    """
    damped = {"rate": lambda step: abs(1 - step - 1j * step)}
    unit = {"jare": adjustments.jare(1.0), "consensus": adjustments.consensus(1.0)}
    return [
        Method("simultaneous", rate=lambda step: abs(1 - 1j * step)),
        Method("alternating", "alternating"),
        Method("optimistic", optimistic=True, rate=_optimistic_rate),
        Method(
            "extragradient",
            around=mg.extragradient,
            rate=lambda step: abs(1 - 1j * step * (1 - 1j * step)),
        ),
        Method("past extragradient", around=mg.past_extragradient, rate=_optimistic_rate),
        Method(
            "consensus",
            "simultaneous",
            adjustments.consensus(consensus),
            unit["consensus"],
            **damped,
        ),
        Method("JARE", "simultaneous", adjustments.jare(jare), unit["jare"], **damped),
        Method(
            "symplectic",
            "simultaneous",
            *(adjustments.symplectic(symplectic),) * 2,
            **damped,
        ),
        Method("lookahead", around=partial(mg.lookahead, period=period)),
        Method("uniform average", "alternating", around=mg.averaged),
        Method(
            "exponential average",
            "alternating",
            around=partial(mg.averaged, decay=decay),
        ),
    ]


def bilinear(method: Method, steps: int, size: Array, key: Key) -> Array:
    """Runs a method on ``min_x max_y x y``: its place ``[steps + 1, 2]`` at the start and after each step."""
    tx = optax.optimistic_gradient_descent(size) if method.optimistic else optax.sgd(size)
    solver = method.around(
        mg.gradient_play(
            lambda key: tuple(jax.random.normal(key, (2,), jnp.float64)),
            lambda key, players, batch: (players[0] * players[1], -players[0] * players[1]),
            (tx, tx),
            update=method.update,
            adjust=method.adjust_bilinear,
        )
    )

    def body(state: Any, _: None) -> tuple[Any, Array]:
        state, _ = solver.step(key, state, None)
        return state, jnp.stack(reported(state).iterate)

    first = solver.init(key)
    points = jax.lax.scan(body, first, None, length=steps)[1]
    return jnp.concatenate([jnp.stack(first.iterate)[None], points])


def reported(state: Any) -> Any:
    """Picks the state whose players are reported: the average where there is one."""
    return state.average if isinstance(state, mg.Averaged) else state


def bilinear_rates(methods: Sequence[Method], steps: int, keys: Key) -> dict[str, Any]:
    """Measures each method: ``rates`` ``[seeds, sizes]`` over the steps' second half; seed 0's ``path`` at 0.3."""
    found = {}
    with jax.enable_x64(True):
        for method in methods:
            over_keys = jax.vmap(partial(bilinear, method, steps), (None, 0))
            sizes = jnp.asarray(BILINEAR_STEPS)
            paths = np.asarray(jax.jit(jax.vmap(over_keys, (0, None)))(sizes, keys))
            lengths = np.linalg.norm(paths, axis=-1)  # [sizes, seeds, steps + 1]
            half = steps // 2
            rates = (lengths[..., -1] / lengths[..., -1 - half]) ** (1.0 / half)
            found[method.name] = {"rates": rates.T, "path": paths[1, 0]}
    return found
