"""The sides of a game in training: mixtures, their optimisers, and how gradients move them.

A component whose update is not finite is put under quarantine. It keeps what it had before that update and is never
updated again, so opponents and checkpoints see its last good networks and no NaN. It still plays, and its weight is
still trained. An update also counts as not finite where its objective is not: the component's loss, its penalty, or the
``value`` of a pair that a discriminator is in. The gradient may be finite there, but it is the gradient of nothing. A
frozen component whose loss stays not finite keeps its side's weights where they are.

The component whose update is not finite gets the blame. A component with finite parameters but outputs that are not, or
a discriminator at whose logits the loss is not finite, spoils its opponents' updates in the same turn; then all of them
are frozen.
"""

from dataclasses import dataclass, replace
from functools import reduce
from typing import Any, NamedTuple, TypeVar

import chex
import jax
import jax.numpy as jnp
import optax

from mixgan_jax.optim import (
    exponentiated_gradient,
    per_component,
    update_log_weights,
    with_other_keys,
)
from mixgan_jax.players.mesh import place
from mixgan_jax.players.mixture import Mixture
from mixgan_jax.players.player import in_dtypes_of
from mixgan_jax.types import Array, Info, ModelState, Params

T = TypeVar("T")


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Side:
    """One side of the game in training.

    Attributes:
        mixture: K components, leaves ``[K, ...]``, and their log-weights ``[K]``.
        opt_state: the components' optimisers, leaves ``[K, ...]``.
        weight_opt_state: the optimiser of the weights.
        frozen: bool ``[K]``, components that are not updated any more because an update, or its loss, was not finite.
    """

    mixture: Mixture
    opt_state: Any
    weight_opt_state: Any
    frozen: Array


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class MixGanState:
    """State of MIX+GAN: both sides in training.

    Attributes:
        generator_side: I generators and their optimisers.
        discriminator_side: J discriminators and their optimisers.
    """

    generator_side: Side
    discriminator_side: Side

    @property
    def sides(self) -> tuple[Side, Side]:
        """Sides of the generators and of the discriminators."""
        return self.generator_side, self.discriminator_side

    def with_sides(self, generator_side: Side, discriminator_side: Side) -> "MixGanState":
        """Replaces both sides."""
        return MixGanState(generator_side, discriminator_side)

    @property
    def generators(self) -> Mixture:
        """Mixture of generators."""
        return self.generator_side.mixture

    @property
    def discriminators(self) -> Mixture:
        """Mixture of discriminators."""
        return self.discriminator_side.mixture

    @property
    def iterate(self) -> tuple[Mixture, Mixture]:
        """Both mixtures, without optimisers; see ``solvers/around/iterate.py``."""
        return self.generators, self.discriminators

    def with_iterate(self, iterate: tuple[Mixture, Mixture]) -> "MixGanState":
        """Replaces both mixtures; optimisers, and which components are frozen, stay."""
        return MixGanState(
            replace(self.generator_side, mixture=iterate[0]),
            replace(self.discriminator_side, mixture=iterate[1]),
        )

    @property
    def frozen_info(self) -> Info:
        """Flags of :attr:`frozen` as float32, for ``info``."""
        return {name: flags.astype(jnp.float32) for name, flags in self.frozen.items()}

    @property
    def frozen(self) -> dict[str, Array]:
        """Frozen components: ``frozen_generators`` ``[I]`` and ``frozen_discriminators`` ``[J]``, bool."""
        return {
            "frozen_generators": self.generator_side.frozen,
            "frozen_discriminators": self.discriminator_side.frozen,
        }


class HasCurrent:
    """State with a ``MixGanState`` inside. Exposes its players, so code that reads players works unchanged.

    Attributes:
        current: the players and their optimisers.
    """

    current: MixGanState

    @property
    def sides(self) -> tuple[Side, Side]:
        """Sides of the generators and of the discriminators."""
        return self.current.sides

    def with_sides(self, generator_side: Side, discriminator_side: Side) -> Any:
        """Replaces both sides in training."""
        state: Any = self
        return replace(state, current=MixGanState(generator_side, discriminator_side))

    @property
    def generators(self) -> Mixture:
        """Generators in training."""
        return self.current.generators

    @property
    def discriminators(self) -> Mixture:
        """Discriminators in training."""
        return self.current.discriminators

    @property
    def frozen(self) -> dict[str, Array]:
        """Frozen components, as in ``MixGanState``."""
        return self.current.frozen

    @property
    def frozen_info(self) -> Info:
        """Flags of :attr:`frozen` as float32, for ``info``."""
        return self.current.frozen_info


class Gradients(NamedTuple):
    """Gradients of one side, and what else its update needs.

    Attributes:
        params: leaves ``[K, ...]``.
        weights: ``[K]``, with respect to the weights, not the log-weights.
        state: the components' new model state, leaves ``[K, ...]``.
        losses: the differentiated losses, and values measured with them, leaves ``[K, ...]``. Only whether they are
            finite matters.
    """

    params: Params
    weights: Array
    state: ModelState
    losses: Any = ()


class Rules(NamedTuple):
    """Optimisers of one side.

    Attributes:
        tx: the optimiser of a single component.
        weight_tx: the optimiser of log-weights, fed gradients with respect to the weights (see ``optim``); its result
            is normalised.
    """

    tx: optax.GradientTransformation
    weight_tx: optax.GradientTransformation


def make_rules(
    generator_tx: optax.GradientTransformation,
    discriminator_tx: optax.GradientTransformation,
    weight_tx: optax.GradientTransformation | None,
    default: float = 1e-3,
) -> tuple[Rules, Rules]:
    """Makes the rules of the generators and of the discriminators.

    A transform with a key in its state may serve both sides: each side draws numbers of its own.

    Args:
        generator_tx: optimiser of one generator.
        discriminator_tx: optimiser of one discriminator.
        weight_tx: optimiser of the log-weights of both sides, or None for ``exponentiated_gradient(default)``.
        default: step size of that rule; 0 keeps the weights as they are.
    """
    weight_tx = exponentiated_gradient(default) if weight_tx is None else weight_tx
    others = Rules(with_other_keys(discriminator_tx), with_other_keys(weight_tx))
    return Rules(generator_tx, weight_tx), others


def start_side(rules: Rules, mixture: Mixture) -> Side:
    """Starts a side with fresh optimiser states and no frozen component."""
    opt_state = per_component(rules.tx, mixture.num_components).init(mixture.params)
    frozen = jnp.zeros(mixture.log_weights.shape, bool)
    return Side(mixture, opt_state, rules.weight_tx.init(mixture.log_weights), frozen)


def update_side(rules: Rules, side: Side, gradients: Gradients) -> Side:
    """Updates the components and the weights of a side once, both from the same point.

    A component whose losses, new parameters or model state are not all finite is frozen, with what it had before.
    Weights that would not be finite stay as they are.
    """
    mixture = side.mixture
    chex.assert_equal_shape((gradients.weights, mixture.log_weights, side.frozen))
    # Update the components
    updates, opt_state = per_component(rules.tx).update(
        gradients.params, side.opt_state, mixture.params
    )
    # Update the weights; outside of jit their rules refuse gradients that are not finite
    weight_gradient = place(gradients.weights)
    known = jnp.all(jnp.isfinite(weight_gradient))
    log_weights, weight_opt_state = update_log_weights(
        rules.weight_tx,
        jnp.where(known, weight_gradient, 0.0),
        side.weight_opt_state,
        mixture.log_weights,
    )
    # Freeze broken components
    params = optax.apply_updates(mixture.params, updates)
    frozen = side.frozen | ~_finite(
        (params, gradients.state, gradients.losses), side.frozen.shape[0]
    )
    params, state, opt_state = choose(
        ~frozen,
        (params, gradients.state, opt_state),
        (mixture.params, mixture.state, side.opt_state),
    )
    # Keep finite weights
    dropped = jnp.isneginf(log_weights) & jnp.isneginf(mixture.log_weights)
    log_weights, weight_opt_state = choose(
        known & jnp.all(jnp.isfinite(log_weights) | dropped),
        (log_weights, weight_opt_state),
        (mixture.log_weights, side.weight_opt_state),
    )
    return Side(Mixture(params, state, log_weights), opt_state, weight_opt_state, frozen)


def choose(condition: Array, new: T, old: T) -> T:
    """Takes the tree ``new`` where ``condition`` holds, else ``old``, in the dtypes of ``old``.

    Args:
        condition: ``[]``, or ``[K]`` for leaves ``[K, ...]``.
        new: a tree of any dtypes: under ``jax_enable_x64`` batch statistics and moments come out in float64.
        old: a part of the state; a loop wants the dtypes it had.
    """

    def one(new: Array, old: Array) -> Array:
        ones = [1] * (old.ndim - condition.ndim)
        return jnp.where(condition.reshape(*condition.shape, *ones), new, old)

    return jax.tree.map(one, in_dtypes_of(old, new), old)


def _finite(tree: Any, num_components: int) -> Array:
    """Returns whether all leaves of each component are finite, ``[K]``."""
    parts = [
        jnp.all(jnp.isfinite(leaf), axis=tuple(range(1, leaf.ndim)))
        for leaf in jax.tree.leaves(tree)
        if jnp.issubdtype(leaf.dtype, jnp.inexact)
    ]
    return reduce(jnp.logical_and, parts, jnp.ones(num_components, bool))
