"""Gradient play: descent of any number of players on losses of their own, for games that are not GANs of networks."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Annotated, Any

import jax
import jax.numpy as jnp
import optax

from mixgan_jax.adjustments import Adjustment, Players, gradient_field
from mixgan_jax.checked import checked
from mixgan_jax.checks import check_key, fail
from mixgan_jax.optim import check_transform
from mixgan_jax.optim.simplex import as_optax_expects
from mixgan_jax.solvers.core.turns import Update
from mixgan_jax.solvers.solver import Solver
from mixgan_jax.types import Array, Batch, Info, Key


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class GradientPlayState:
    """State of gradient play.

    Attributes:
        players: a tree of parameters for each player.
        opt_states: the state of each player's optimiser.
    """

    players: Players
    opt_states: tuple[Any, ...]

    @property
    def iterate(self) -> Players:
        """All players; see ``solvers/around/iterate.py``."""
        return self.players

    def with_iterate(self, iterate: Players) -> "GradientPlayState":
        """Replaces the players; optimisers stay."""
        return replace(self, players=iterate)


def _check_transforms(name: str, txs: Any) -> Sequence[optax.GradientTransformation]:
    if not isinstance(txs, Sequence) or not txs:
        raise fail(name, txs, "a sequence of optimisers, one for each player", TypeError)
    for index, tx in enumerate(txs):
        check_transform(f"{name}[{index}]", tx)
    return txs


@checked
def gradient_play(
    init: Callable[[Key], Players],
    losses: Callable[[Key, Players, Batch], tuple[Array, ...]],
    txs: Annotated[Sequence[optax.GradientTransformation], _check_transforms],
    *,
    update: Update = "simultaneous",
    adjust: Adjustment | None = None,
) -> Solver:
    """Descends every player's own loss: the dynamics of ``gda``, for any differentiable game.

    Take it for bilinear and quadratic games, the Dirac-GAN, linear discriminators. A zero-sum game has
    ``losses = (f, -f)``. A state that is not finite is not held back: in a toy divergence is the result.

    Args:
        init: a function of a key, consumed, that returns a tuple of the players' parameters, a tree for each.
        losses: a function of a key, the players and a batch that returns one scalar loss for each player.
        txs: the optimiser of each player.
        update: ``simultaneous`` (all gradients at one point) or ``alternating`` (in order, each player answering
            those before it).
        adjust: a function of simultaneous gradients, from ``adjustments``.

    Returns:
        A :class:`Solver` with state :class:`GradientPlayState`; ``step``'s info has ``losses`` ``[n]`` and
        ``gradient_norms`` ``[n]``, both before the player moved; norms are of the adjusted gradients.
    """
    if update == "alternating" and adjust is not None:
        raise fail("update", update, "'simultaneous' where gradients are adjusted")

    def start(key: Key) -> GradientPlayState:
        check_key("key", key)
        players = init(key)
        if not isinstance(players, tuple) or len(players) != len(txs):
            raise TypeError(f"init must return a tuple of {len(txs)} players, one for each of txs")
        states = tuple(tx.init(player) for tx, player in zip(txs, players, strict=True))
        return GradientPlayState(players, states)

    step = partial(_together, adjust) if update == "simultaneous" else _in_turns
    return Solver(start, partial(step, losses, tuple(txs)))


def _together(
    adjust: Adjustment | None,
    losses: Callable[[Key, Players, Batch], tuple[Array, ...]],
    txs: tuple[optax.GradientTransformation, ...],
    key: Key,
    state: GradientPlayState,
    batch: Batch,
) -> tuple[GradientPlayState, Info]:
    def at(players: Players) -> tuple[Array, ...]:
        return losses(key, players, batch)

    field = gradient_field(at)
    gradients = field(state.players) if adjust is None else adjust(field, state.players)
    moved = [
        _update_player(tx, gradient, opt_state, player)
        for tx, gradient, opt_state, player in zip(
            txs, gradients, state.opt_states, state.players, strict=True
        )
    ]
    players, opt_states = zip(*moved, strict=True)
    info = _info(at(state.players), gradients)
    return GradientPlayState(players, opt_states), info


def _in_turns(
    losses: Callable[[Key, Players, Batch], tuple[Array, ...]],
    txs: tuple[optax.GradientTransformation, ...],
    key: Key,
    state: GradientPlayState,
    batch: Batch,
) -> tuple[GradientPlayState, Info]:
    players, opt_states = list(state.players), list(state.opt_states)
    values, gradients = [], []
    for index, tx in enumerate(txs):
        turn_key = jax.random.fold_in(key, index)

        def at(players: Players, key: Key = turn_key) -> tuple[Array, ...]:
            return losses(key, players, batch)

        values.append(at(tuple(players))[index])
        gradients.append(gradient_field(at)(tuple(players))[index])
        players[index], opt_states[index] = _update_player(
            tx, gradients[index], opt_states[index], players[index]
        )
    return GradientPlayState(tuple(players), tuple(opt_states)), _info(values, gradients)


def _update_player(
    tx: optax.GradientTransformation, gradient: Any, opt_state: Any, player: Any
) -> tuple[Any, Any]:
    with as_optax_expects():
        updates, opt_state = tx.update(gradient, opt_state, player)
    return optax.apply_updates(player, updates), opt_state


def _info(values: Sequence[Array], gradients: Sequence[Any]) -> Info:
    norms = [optax.tree.norm(gradient) for gradient in gradients]
    return {"losses": jnp.stack(values), "gradient_norms": jnp.stack(norms)}
