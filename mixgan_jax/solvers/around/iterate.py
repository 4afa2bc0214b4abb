"""What the solvers that stand around others need of a state: the players in it, and arithmetic on them.

A state's ``iterate`` is a tree of what the game is played with, without optimisers: Mixtures, or plain trees of
parameters; ``state.with_iterate(iterate)`` is the same state with other players. Parameters are moved linearly. The
weights of a mixture are added to as log-weights, which is how exponentiated gradient adds, and averaged as weights,
which is what an average of strategies means. Batch statistics are never computed with: the newest stay.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import jax
import jax.numpy as jnp

from mixgan_jax.players.mixture import Mixture
from mixgan_jax.types import Array


class HasIterate(Protocol):
    """A state with players that can be replaced."""

    @property
    def iterate(self) -> Any:
        """The players."""

    def with_iterate(self, iterate: Any) -> Any:
        """The same with others."""


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Around:
    """State of a wrapping solver. Exposes the inner state's players, so code that reads players works unchanged.

    Attributes:
        inner: the state of the solver inside.
        kept: what the solver around it needs.
    """

    inner: Any
    kept: Any

    @property
    def iterate(self) -> Any:
        """The players of the state inside."""
        return self.inner.iterate

    def with_iterate(self, iterate: Any) -> "Around":
        """The same with others."""
        return type(self)(self.inner.with_iterate(iterate), self.kept)

    @property
    def generators(self) -> Mixture:
        """The mixture of generators, of a GAN."""
        return self.inner.generators

    @property
    def discriminators(self) -> Mixture:
        """The mixture of discriminators, of a GAN."""
        return self.inner.discriminators

    @property
    def frozen(self) -> dict[str, Array]:
        """As the state inside says, which quarantines its components."""
        return getattr(self.inner, "frozen", {})


def players_of(state: Any) -> Any:
    """The iterate of a state; TypeError where it has none."""
    if not (hasattr(state, "iterate") and hasattr(state, "with_iterate")):
        raise TypeError(
            "solver must have states with iterate and with_iterate, as those of gda, mix_gan and gradient_play, "
            f"got {type(state).__name__}"
        )
    return state.iterate


def shifted(origin: Any, start: Any, end: Any) -> Any:
    """``origin`` moved as ``start`` moved to ``end``.

    Where a log-weight is not finite (a rule that gives weights of 0), the end itself is taken.
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
    """``old + rate * (new - old)``."""

    def between(old: Array, new: Array) -> Array:
        return old + jnp.asarray(rate, old.dtype) * (new - old)

    def mixtures(old: Mixture, new: Mixture) -> Mixture:
        params = jax.tree.map(between, old.params, new.params)
        # Normalised: over a million steps of an average rounding adds up.
        logs = jax.nn.log_softmax(jnp.log(between(old.weights, new.weights)))
        return Mixture(params, new.state, logs)

    return _map(mixtures, between, old, new)


def _map(of_mixtures: Callable[..., Any], of_arrays: Callable[..., Any], *trees: Any) -> Any:
    def one(*nodes: Any) -> Any:
        return (of_mixtures if isinstance(nodes[0], Mixture) else of_arrays)(*nodes)

    return jax.tree.map(one, *trees, is_leaf=lambda node: isinstance(node, Mixture))
