"""Mixed precision: players that compute in bfloat16, while all that training keeps stays in float32."""

from typing import Any, Literal, TypeAlias

import jax
import jax.numpy as jnp

from mixgan_jax.players.player import Player
from mixgan_jax.types import Array, ModelState, Params

Precision: TypeAlias = Literal["bfloat16"]
"""What the layers of all players compute in."""


def in_precision(player: Player, precision: Precision | None) -> Player:
    """Returns a player whose layers compute in ``precision``, with float32 parameters, state, inputs and outputs.

    A player that knows how, as those of :mod:`mixgan_jax.networks`, keeps batch statistics, spectral norms and its last
    activation in float32. Another one gets all its parameters and inputs in ``precision``.
    """
    if precision is None:
        return player
    dtype = jnp.dtype(precision)
    inner = _cast(player, dtype) if player.at_dtype is None else player.at_dtype(dtype)

    def apply(
        params: Params, state: ModelState, *inputs: Array, train: bool
    ) -> tuple[Array, ModelState]:
        outputs, new_state = inner.apply(params, state, *inputs, train=train)
        return outputs.astype(jnp.float32), new_state

    return player._replace(apply=apply)


def _cast(player: Player, dtype: Any) -> Player:
    """Returns a player that casts its parameters and inputs."""

    def narrow(leaf: Array) -> Array:
        return leaf.astype(dtype) if jnp.issubdtype(leaf.dtype, jnp.floating) else leaf

    def apply(
        params: Params, state: ModelState, *inputs: Array, train: bool
    ) -> tuple[Array, ModelState]:
        params, inputs = jax.tree.map(narrow, (params, inputs))
        return player.apply(params, state, *inputs, train=train)

    return player._replace(apply=apply)
