"""Players inside the state of any solver, and arithmetic on them, for solvers that wrap another one.

A state's ``iterate`` is the tree of its players without optimisers: Mixtures, or plain trees of parameters.
``state.with_iterate(iterate)`` is the same state with other players. Parameters are moved linearly. A mixture's weights
are added as log-weights, as exponentiated gradient does, and averaged as weights, which is the average of strategies.
Batch statistics are neither: the newest stay.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from mixgan_jax.players.mixture import Mixture
from mixgan_jax.types import Array


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Around:
    """State of a wrapping solver. Exposes the inner state's players, so code that reads players works unchanged.

    Attributes:
        inner: state of the inner solver.
        kept: the wrapping solver's own state.
    """

    inner: Any
    kept: Any

    @property
    def iterate(self) -> Any:
        """Players of the inner state."""
        return self.inner.iterate

    def with_iterate(self, iterate: Any) -> "Around":
        """Replaces the players of the inner state."""
        return type(self)(self.inner.with_iterate(iterate), self.kept)

    @property
    def generators(self) -> Mixture:
        """Mixture of generators, where the inner state is a GAN's."""
        return self.inner.generators

    @property
    def discriminators(self) -> Mixture:
        """Mixture of discriminators, where the inner state is a GAN's."""
        return self.inner.discriminators

    @property
    def frozen(self) -> dict[str, Array]:
        """Frozen components of the inner state."""
        return getattr(self.inner, "frozen", {})


def players_of(state: Any) -> Any:
    """Returns the iterate of a state, or raises TypeError where it has none."""
    if not (hasattr(state, "iterate") and hasattr(state, "with_iterate")):
        raise TypeError(
            "solver must have states with iterate and with_iterate, as those of gda, mix_gan and gradient_play, "
            f"got {type(state).__name__}"
        )
    return state.iterate


def shifted(origin: Any, start: Any, end: Any) -> Any:
    """Moves ``origin`` as ``start`` moved to ``end``.

    Where a log-weight is not finite (a rule may give weights of 0), it takes the end itself.
    """

    def add(origin: Array, start: Array, end: Array) -> Array:
        return origin + (end - start)

    def mixtures(origin: Mixture, start: Mixture, end: Mixture) -> Mixture:
        params = jax.tree.map(add, origin.params, start.params, end.params)
        logs = add(origin.log_weights, start.log_weights, end.log_weights)
        logs = jnp.where(jnp.isfinite(logs), logs, end.log_weights)
        return Mixture(params, end.state, jax.nn.log_softmax(logs))

    return _map(mixtures, add, origin, start, end)


def blended(old: Any, new: Any, rate: Array | float) -> Any:
    """Computes ``old + rate * (new - old)``."""

    def between(old: Array, new: Array) -> Array:
        return old + jnp.asarray(rate, old.dtype) * (new - old)

    def mixtures(old: Mixture, new: Mixture) -> Mixture:
        params = jax.tree.map(between, old.params, new.params)
        # Normalise: over a million steps of an average rounding adds up.
        logs = jax.nn.log_softmax(jnp.log(between(old.weights, new.weights)))
        return Mixture(params, new.state, logs)

    return _map(mixtures, between, old, new)


def _map(of_mixtures: Callable[..., Any], of_arrays: Callable[..., Any], *trees: Any) -> Any:
    def one(*nodes: Any) -> Any:
        return (of_mixtures if isinstance(nodes[0], Mixture) else of_arrays)(*nodes)

    return jax.tree.map(one, *trees, is_leaf=lambda node: isinstance(node, Mixture))
