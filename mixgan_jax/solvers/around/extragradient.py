"""Extragradient methods around any solver: players move by the gradient at the point that they would reach."""

from typing import Any

import jax
import jax.numpy as jnp

from mixgan_jax.checked import checked
from mixgan_jax.solvers.around.iterate import Around, players_of, shifted
from mixgan_jax.solvers.solver import Solver
from mixgan_jax.types import Batch, Info, Key


@checked
def extragradient(solver: Solver) -> Solver:
    r"""Wraps a solver in extragradient: the players look ahead one step, and move from the start by the second.

    .. math:: \tilde w = w + u(w), \qquad w' = w + u(\tilde w)

    with u the update that the solver makes (Korpelevich 1976; for GANs Gidel et al. 2019, arXiv 1802.10551,
    algorithm 2). With plain gradient steps of size eta on ``min_x max_y x y`` the distance to the equilibrium shrinks
    by ``sqrt(1 - eta^2 + eta^4)`` a step. With Adam inside it is ExtraAdam: one optimiser state sees both half-steps.

    Both half-steps see the same batch, with latents of their own. A component that is frozen in either stays frozen.

    Args:
        solver: a solver whose state has an ``iterate``, as those of this package.

    Returns:
        A :class:`Solver` with ``solver``'s own state; info is of the second half-step, at the extrapolated players.

    Example:
        >>> import jax
        >>> import mixgan_jax as mg
        >>> import optax
        >>> bilinear = mg.gradient_play(
        ...     lambda key: (jax.numpy.float32(1), jax.numpy.float32(1)),
        ...     lambda key, xy, batch: (xy[0] * xy[1], -xy[0] * xy[1]),
        ...     [optax.sgd(0.5), optax.sgd(0.5)],
        ... )
        >>> solver = mg.extragradient(bilinear)
        >>> state, _ = solver.step(jax.random.key(0), solver.init(jax.random.key(1)), ())
        >>> [float(player) for player in state.players]
        [0.25, 1.25]
    """

    def init(key: Key) -> Any:
        state = solver.init(key)
        players_of(state)
        return state

    def step(key: Key, state: Any, batch: Batch) -> tuple[Any, Info]:
        first_key, second_key = jax.random.split(key)
        ahead, _ = solver.step(first_key, state, batch)
        end, info = solver.step(second_key, ahead, batch)
        moved = shifted(players_of(state), players_of(ahead), players_of(end))
        return end.with_iterate(moved), info

    return Solver(init, step)


@checked
def past_extragradient(solver: Solver) -> Solver:
    r"""Wraps a solver in extragradient with one gradient a step: the last update extrapolates.

    .. math:: \tilde w_t = w_t + u(\tilde w_{t-1}), \qquad w_{t+1} = w_t + u(\tilde w_t)

    (Popov 1980; for GANs Gidel et al. 2019, arXiv 1802.10551, section 3.3). The first step extrapolates by nothing.
    With plain gradient steps of size eta the extrapolated players move by ``-2 eta v_t + eta v_(t-1)``: that is
    optimistic descent, ``optax.optimistic_gradient_descent``, but for its first step, which is a plain one.

    Args:
        solver: a solver whose state has an ``iterate``, as those of this package.

    Returns:
        A :class:`Solver`. The state's ``inner`` is ``solver``'s, at ``w_t``; its ``kept`` holds the extrapolated
        players. Info is of the step taken there.
    """

    def init(key: Key) -> Around:
        state = solver.init(key)
        return Around(state, jax.tree.map(jnp.copy, players_of(state)))

    def step(key: Key, state: Around, batch: Batch) -> tuple[Around, Info]:
        end, info = solver.step(key, state.inner.with_iterate(state.kept), batch)
        moved = shifted(state.iterate, state.kept, end.iterate)
        ahead = shifted(moved, state.kept, end.iterate)
        return Around(end.with_iterate(moved), ahead), info

    return Solver(init, step)
