"""A history: the last C mixtures of one side in a ring of fixed size, and the mixture of all of them.

Fictitious play answers the average of an opponent's past play. Past players are frozen, so a history is arrays of fixed
shape that are written in place: it goes through jit, scan and vmap, and into checkpoints.
"""

from dataclasses import dataclass
from typing import Annotated, Any

import jax
import jax.numpy as jnp

from mixgan_jax.checked import checked
from mixgan_jax.checks import check_array, fail
from mixgan_jax.players.mixture import Mixture
from mixgan_jax.types import Array, Count, ModelState, Params, Share


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class History:
    """The last C entries, each a mixture of K players.

    Attributes:
        params: leaves ``[C, K, ...]``.
        state: leaves ``[C, K, ...]``.
        log_weights: ``[C, K]``.
        count: int32 ``[]``, number of entries recorded so far. Entry n is in slot ``n mod C``; slots not written yet
            hold copies of the first entry.
    """

    params: Params
    state: ModelState
    log_weights: Array
    count: Array

    @property
    def capacity(self) -> int:
        """Number ``C`` of entries that are kept."""
        return self.log_weights.shape[-2]


@checked
def start(mixture: Mixture, capacity: Count) -> History:
    """Starts a history with one entry.

    Args:
        mixture: the first entry, of K players.
        capacity: C >= 1, entries that are kept; the oldest is dropped for the next.

    Returns:
        A :class:`History`.
    """

    def fill(leaf: Array) -> Array:
        return jnp.repeat(leaf[None], capacity, axis=0)

    params, state, log_weights = jax.tree.map(fill, _trees(mixture))
    return History(params, state, log_weights, jnp.int32(1))


def _check_when(name: str, value: Any) -> Array:
    when = check_array(name, value, rank=0)
    if when.dtype != bool:
        raise fail(name, when, "True or False", TypeError)
    return when


@checked
def record(
    history: History, mixture: Mixture, when: Annotated[Array | bool, _check_when] = True
) -> History:
    """Adds one entry to a history.

    Args:
        history: C entries.
        mixture: the new entry, with the shapes of the others.
        when: bool ``[]``, whether to record at all; may be traced.

    Returns:
        The new history.
    """
    old, new = _trees(history), _trees(mixture)
    shapes = (jax.tree.map(lambda leaf: leaf.shape[1:], old), jax.tree.map(jnp.shape, new))
    if shapes[0] != shapes[1]:
        raise ValueError(
            f"mixture must have the shapes of the history's, {shapes[0]}, got {shapes[1]}"
        )
    when = jnp.asarray(when)
    slot = history.count % history.capacity

    def write(leaf: Array, entry: Array) -> Array:
        return leaf.at[slot].set(jnp.where(when, entry, leaf[slot]))

    params, state, log_weights = jax.tree.map(write, old, new)
    return History(params, state, log_weights, history.count + when.astype(jnp.int32))


@checked
def average(history: History, decay: Share = 1.0) -> Mixture:
    """Makes the mixture of all entries: an opponent's average play.

    Entry weights are proportional to ``decay^age``, the newest having age 0: uniform for a decay of 1, as in fictitious
    play (Brown 1951). Slots that were never written have weight 0.

    Args:
        history: C entries of K players.
        decay: in [0, 1]; 0 for the newest entry alone.

    Returns:
        A :class:`Mixture` of ``C K`` players, entry after entry.
    """
    capacity = history.capacity
    slots = jnp.arange(capacity, dtype=jnp.int32)
    age = (history.count - 1 - slots) % capacity
    ages = age.astype(jnp.float32)
    # Weight the ages: decay^age in logarithms, with 0^0 = 1.
    log_age_weights = jnp.where(age == 0, 0.0, ages * jnp.log(jnp.float32(decay)))
    log_age_weights = jnp.where(slots < history.count, log_age_weights, -jnp.inf)
    log_weights = jax.nn.log_softmax(log_age_weights)[:, None] + history.log_weights

    def merge(leaf: Array) -> Array:
        return leaf.reshape(-1, *leaf.shape[2:])

    params, state = jax.tree.map(merge, (history.params, history.state))
    return Mixture(params, state, log_weights.reshape(-1))


def _trees(holder: Mixture | History) -> tuple[Params, ModelState, Array]:
    return holder.params, holder.state, holder.log_weights
