r"""Adjusted gradients of a game: what players descend where plain gradients turn around an equilibrium.

Players ``w = (w_1, ..., w_n)`` each minimise a loss of their own. Their simultaneous gradients
``v(w) = (dL_1/dw_1, ..., dL_n/dw_n)`` form a *field*, a function from players to one gradient for each, and the
dynamics near an equilibrium are those of its Jacobian ``J = dv/dw``. J is symmetric for a potential, antisymmetric for
a zero-sum game without curvature, and imaginary eigenvalues mean rotation: descent along v then spirals outwards.

An *adjustment* is a function ``adjust(field, players) -> gradients`` that asks the field for products with J or its
transpose (one Jacobian-vector product each, of the order of a gradient; J is never formed). ``mix_gan``, ``gda`` and
``gradient_play`` take one as ``adjust``; the optimisers then see the adjusted gradients in place of v.
"""

from collections.abc import Callable
from functools import reduce
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp

from mixgan_jax.checks import (
    check_count,
    check_flag,
    check_function,
    check_kind,
    check_number,
    fail,
)
from mixgan_jax.types import Array

Players: TypeAlias = tuple[Any, ...]
"""One tree of parameters for each player."""

Field: TypeAlias = Callable[[Players], Players]
"""``field(players) -> gradients``: for each player, in its own structure, what it would descend."""

Adjustment: TypeAlias = Callable[[Field, Players], Players]
"""``adjust(field, players) -> gradients``: what the players descend instead."""


def gradient_field(losses: Callable[[Players], tuple[Array, ...]]) -> Field:
    """The simultaneous gradients of a differentiable game, ``v_p = dL_p / dw_p``.

    Args:
        losses: from the players to as many scalars; each is minimised by its own player.

    Returns:
        The field. Called, it raises ValueError where there are not as many losses as players.
    """
    check_function("losses", losses)

    def field(players: Players) -> Players:
        check_kind("players", players, tuple)

        def own(index: int) -> Any:
            def loss(player: Any) -> Array:
                values = losses((*players[:index], player, *players[index + 1 :]))
                if len(values) != len(players):
                    raise ValueError(
                        f"losses must give one for each of {len(players)} players, got {len(values)}"
                    )
                return values[index]

            return jax.grad(loss)(players[index])

        return tuple(own(index) for index in range(len(players)))

    return field


def consensus(gamma: float) -> Adjustment:
    r"""Consensus optimisation: everybody also descends the squared norm of all gradients.

    ``v + gamma J^T v``, the gradient of ``gamma / 2 ||v||^2`` added to every player's (Mescheder, Nowozin and Geiger
    2017, arXiv 1705.10461, algorithm 2). It damps rotation, and squares the spread of a badly conditioned game.

    Args:
        gamma: finite and >= 0; 10 in the authors' code.

    Returns:
        The adjustment.

    Raises:
        ValueError: ``gamma`` negative or not finite.
    """
    gamma = check_number("gamma", gamma, minimum=0.0)

    def adjust(field: Field, players: Players) -> Players:
        gradients, pull = jax.vjp(field, players)
        (back,) = pull(gradients)
        return _add(gradients, back, gamma)

    return adjust


def jare(gamma: float, players: tuple[int, ...] | None = None) -> Adjustment:
    r"""JARE: each player also descends the squared norm of the *others'* gradients.

    Player p descends ``L_p + gamma / 2 sum_{q != p} ||dL_q / dw_q||^2`` (Nie and Patel 2019, arXiv 1806.09235): of
    ``J^T v`` only the blocks off the diagonal. The Jacobian's determinant at an equilibrium then does not depend on
    the curvature within a player, and a large gamma makes the game both free of rotation and well conditioned.

    Args:
        gamma: finite and >= 0; in the authors' code 10 for a Gaussian, 100 for images, 1000 for a ring.
        players: indices of those who are penalised; everybody if not given. ``(0,)`` alone, or ``(1,)``, is the
            one-sided penalty that JARE is compared with.

    Returns:
        The adjustment. Called, it raises ValueError where there is no player of an index in ``players``.

    Raises:
        TypeError, ValueError: ``gamma`` negative or not finite, or ``players`` no tuple of whole numbers >= 0.
    """
    gamma = check_number("gamma", gamma, minimum=0.0)
    penalised = players
    for index in check_kind("players", players, tuple, type(None)) or ():
        check_count("players", index, minimum=0)

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


def symplectic(coefficient: float = 1.0, align: bool = True) -> Adjustment:
    r"""Symplectic gradient adjustment: a push towards the centre of rotation.

    ``v + lambda A^T v`` with ``A = (J - J^T) / 2``, the antisymmetric part of the Jacobian, which is 0 in a potential
    game (Balduzzi et al. 2018, arXiv 1802.05642). With ``align``, as in the authors' code,

    .. math:: \lambda = c \cdot \mathrm{sign}(\langle v, J^T v \rangle \langle A^T v, J^T v \rangle / n + 1/10)

    with n the number of parameters: the adjustment then points towards stable equilibria and away from unstable ones.

    Args:
        coefficient: c, finite and >= 0.
        align: whether the sign is chosen so; ``lambda = c`` otherwise.

    Returns:
        The adjustment.

    Raises:
        TypeError, ValueError: ``coefficient`` negative or not finite, ``align`` not a bool.
    """
    coefficient = check_number("coefficient", coefficient, minimum=0.0)
    check_flag("align", align)

    def adjust(field: Field, players: Players) -> Players:
        gradients, pull = jax.vjp(field, players)
        (back,) = pull(gradients)
        _, forth = jax.jvp(field, (players,), (gradients,))
        turn = jax.tree.map(lambda b, f: 0.5 * (b - f), back, forth)
        if not align:
            return _add(gradients, turn, coefficient)
        size = sum(leaf.size for leaf in jax.tree.leaves(players))
        agreement = _inner(gradients, back) * _inner(turn, back) / size + 0.1
        return _add(gradients, turn, coefficient * jnp.sign(agreement))

    return adjust


def _add(first: Any, second: Any, factor: float | Array) -> Any:
    return jax.tree.map(lambda a, b: a + jnp.asarray(factor).astype(a.dtype) * b, first, second)


def _inner(first: Any, second: Any) -> Array:
    products = jax.tree.map(lambda a, b: jnp.vdot(a, b).astype(jnp.float32), first, second)
    return reduce(jnp.add, jax.tree.leaves(products))
