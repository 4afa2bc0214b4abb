"""Extragradient methods around any solver: move as one would move from where one would be."""

from typing import Any

import jax
import jax.numpy as jnp

from mixgan_jax.checks import check_kind
from mixgan_jax.solvers.around.iterate import Around, players_of, shifted
from mixgan_jax.solvers.solver import Solver
from mixgan_jax.types import Batch, Info, Key


def extragradient(solver: Solver) -> Solver:
    r"""Extragradient: two steps of ``solver``, of which only the second one's move is made, from where one stood.

    .. math:: \tilde w = w + u(w), \qquad w' = w + u(\tilde w)

    with u the update that the solver makes (Korpelevich 1976; for GANs Gidel et al. 2019, arXiv 1802.10551,
    algorithm 2). With plain gradient steps of size eta on ``min_x max_y x y`` the distance to the equilibrium shrinks
    by ``sqrt(1 - eta^2 + eta^4)`` a step. With Adam inside it is ExtraAdam: one optimiser state sees both half-steps.

    Both half-steps see the same batch, with latents of their own. A component that is frozen in either stays frozen.

    Args:
        solver: any whose state has an ``iterate``: those of this package.

    Returns:
        A :class:`Solver` with ``solver``'s own state; info is the second half-step's, at the extrapolated players.

    Raises:
        TypeError: ``solver`` is not a Solver, or, at ``init``, its state has no iterate.
    """
    check_kind("solver", solver, Solver)

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


def past_extragradient(solver: Solver) -> Solver:
    r"""Extragradient at the price of one gradient: one extrapolates by the update made last.

    .. math:: \tilde w_t = w_t + u(\tilde w_{t-1}), \qquad w_{t+1} = w_t + u(\tilde w_t)

    (Popov 1980; for GANs Gidel et al. 2019, arXiv 1802.10551, section 3.3). The first step extrapolates by nothing.
    With plain gradient steps of size eta the extrapolated players move by ``-2 eta v_t + eta v_(t-1)``: that is
    optimistic descent, ``optax.optimistic_gradient_descent``, but for its first step, which is a plain one.

    Args:
        solver: any whose state has an ``iterate``: those of this package.

    Returns:
        A :class:`Solver`. The state's ``inner`` is ``solver``'s, at ``w_t``, and its ``kept`` what that would be at
        the extrapolated players; info is of the step taken there.

    Raises:
        TypeError: ``solver`` is not a Solver, or, at ``init``, its state has no iterate.
    """
    check_kind("solver", solver, Solver)

    def init(key: Key) -> Around:
        state = solver.init(key)
        return Around(state, jax.tree.map(jnp.copy, players_of(state)))

    def step(key: Key, state: Around, batch: Batch) -> tuple[Around, Info]:
        end, info = solver.step(key, state.inner.with_iterate(state.kept), batch)
        moved = shifted(state.iterate, state.kept, end.iterate)
        ahead = shifted(moved, state.kept, end.iterate)
        return Around(end.with_iterate(moved), ahead), info

    return Solver(init, step)
