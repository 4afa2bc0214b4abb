r"""Adjusted gradients of a game: directions to descend where plain gradients turn around an equilibrium.

Players ``w = (w_1, ..., w_n)`` each minimise a loss of their own. Their simultaneous gradients
``v(w) = (dL_1/dw_1, ..., dL_n/dw_n)`` form a *field*, a function from players to one gradient for each. Its Jacobian
``J = dv/dw`` decides the dynamics near an equilibrium. J is symmetric for a potential, and antisymmetric for a zero-sum
game without curvature. Imaginary eigenvalues mean rotation: descent along v then spirals outwards.

An *adjustment* is a function ``adjust(field, players) -> gradients``. It asks the field for products with J or its
transpose. Each product costs about a gradient, and J is never formed. ``mix_gan``, ``gda`` and ``gradient_play`` take
an adjustment as ``adjust``; the optimisers then see the adjusted gradients in place of v.
"""

from collections.abc import Callable
from functools import reduce
from typing import Annotated, Any, TypeAlias

import jax
import jax.numpy as jnp

from mixgan_jax.checked import checked
from mixgan_jax.checks import check_count, check_kind, fail
from mixgan_jax.types import Array, NonNegative, Params

Players: TypeAlias = tuple[Params, ...]
"""One tree of parameters for each player."""

Field: TypeAlias = Callable[[Players], Players]
"""``field(players) -> gradients``: the gradient that each player would descend, in the player's structure."""

Adjustment: TypeAlias = Callable[[Field, Players], Players]
"""``adjust(field, players) -> gradients``: the gradients that the players descend instead."""


def _check_indices(name: str, value: Any) -> tuple[int, ...]:
    return tuple(check_count(name, index, minimum=0) for index in check_kind(name, value, tuple))


Indices: TypeAlias = Annotated[tuple[int, ...], _check_indices]
"""Indices of players, whole numbers >= 0."""


@checked
def gradient_field(losses: Callable[[Players], tuple[Array, ...]]) -> Field:
    """Makes the field of simultaneous gradients of a differentiable game, ``v_p = dL_p / dw_p``.

    Args:
        losses: a function of the players that returns one scalar for each. Each player minimises its own.

    Returns:
        The field. It raises a ValueError where there are not as many losses as players.
    """

    def field(players: Players) -> Players:
        check_kind("players", players, tuple)

        def own(index: int) -> Params:
            def loss(player: Params) -> Array:
                values = losses((*players[:index], player, *players[index + 1 :]))
                if len(values) != len(players):
                    raise ValueError(
                        f"losses must give one for each of {len(players)} players, got {len(values)}"
                    )
                return values[index]

            return jax.grad(loss)(players[index])

        return tuple(own(index) for index in range(len(players)))

    return field


@checked
def consensus(gamma: NonNegative) -> Adjustment:
    r"""Makes consensus optimisation: every player also descends the squared norm of all gradients.

    ``v + gamma J^T v`` adds the gradient of ``gamma / 2 ||v||^2`` to every player's (Mescheder, Nowozin and Geiger
    2017, arXiv 1705.10461, algorithm 2). It damps rotation, and squares the spread of a badly conditioned game.

    Args:
        gamma: finite and >= 0; 10 in the authors' code.
    """

    def adjust(field: Field, players: Players) -> Players:
        gradients, pull = jax.vjp(field, players)
        (back,) = pull(gradients)
        return _add(gradients, back, gamma)

    return adjust


@checked
def jare(gamma: NonNegative, players: Indices | None = None) -> Adjustment:
    r"""Makes JARE's adjustment: each player also descends the squared norm of the *others'* gradients.

    Player p descends ``L_p + gamma / 2 sum_{q != p} ||dL_q / dw_q||^2`` (Nie and Patel 2019, arXiv 1806.09235). This
    takes only the blocks off the diagonal from ``J^T v``. The Jacobian's determinant at an equilibrium then does not
    depend on the curvature within a player. A large gamma makes the game both free of rotation and well conditioned.

    Args:
        gamma: finite and >= 0; in the authors' code 10 for a Gaussian, 100 for images, 1000 for a ring.
        players: indices of the penalised players; None penalises all. ``(0,)`` or ``(1,)`` is the one-sided penalty
            that the authors compare JARE with.

    Returns:
        The adjustment. It raises a ValueError where there is no player of an index in ``players``.
    """
    penalised = players

    def adjust(field: Field, players: Players) -> Players:
        gradients, pull = jax.vjp(field, players)
        chosen = range(len(players)) if penalised is None else penalised
        if any(index >= len(players) for index in chosen):
            raise fail("players", penalised, f"indices below {len(players)}, one for each player")
        adjusted = list(gradients)
        for index in chosen:
            silent = jax.tree.map(jnp.zeros_like, gradients[index])
            (back,) = pull((*gradients[:index], silent, *gradients[index + 1 :]))
            adjusted[index] = _add(gradients[index], back[index], gamma)
        return tuple(adjusted)

    return adjust


@checked
def symplectic(coefficient: NonNegative = 1.0, align: bool = True) -> Adjustment:
    r"""Makes the symplectic gradient adjustment, a push towards the centre of rotation.

    The players descend ``v + lambda A^T v``. The antisymmetric part of the Jacobian, ``A = (J - J^T) / 2``, is 0 in a
    potential game (Balduzzi et al. 2018, arXiv 1802.05642). With ``align``, as in the authors' code,

    .. math:: \lambda = c \cdot \mathrm{sign}(\langle v, J^T v \rangle \langle A^T v, J^T v \rangle / n + 1/10)

    with n the number of parameters. The adjustment then points towards stable equilibria and away from unstable ones.

    Args:
        coefficient: c, finite and >= 0.
        align: whether to choose the sign by this formula; ``lambda = c`` otherwise.
    """

    def adjust(field: Field, players: Players) -> Players:
        gradients, pull = jax.vjp(field, players)
        # A^T v is half of J^T v - J v.
        (back,) = pull(gradients)
        _, forth = jax.jvp(field, (players,), (gradients,))
        turn = jax.tree.map(lambda b, f: 0.5 * (b - f), back, forth)
        if not align:
            return _add(gradients, turn, coefficient)
        size = sum(leaf.size for leaf in jax.tree.leaves(players))
        agreement = _inner(gradients, back) * _inner(turn, back) / size + 0.1
        return _add(gradients, turn, coefficient * jnp.sign(agreement))

    return adjust


def _add(first: Params, second: Params, factor: float | Array) -> Params:
    return jax.tree.map(lambda a, b: a + jnp.asarray(factor).astype(a.dtype) * b, first, second)


def _inner(first: Params, second: Params) -> Array:
    products = jax.tree.map(lambda a, b: jnp.vdot(a, b).astype(jnp.float32), first, second)
    return reduce(jnp.add, jax.tree.leaves(products))
