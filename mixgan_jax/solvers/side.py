"""The sides of a game in training: mixtures, their optimisers, and how gradients move them."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from mixgan_jax.mixture import Mixture
from mixgan_jax.optim import per_component
from mixgan_jax.types import Array, ModelState, Params


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Side:
    """One side of the game in training.

    Attributes:
        mixture: K components, leaves ``[K, ...]``, and their log-weights ``[K]``.
        opt_state: the components' optimisers, leaves ``[K, ...]``.
        weight_opt_state: the optimiser of the weights.
    """

    mixture: Mixture
    opt_state: Any
    weight_opt_state: Any


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class MixGanState:
    """What the next step needs.

    Attributes:
        generator_side: I generators and their optimisers.
        discriminator_side: J discriminators and their optimisers.
    """

    generator_side: Side
    discriminator_side: Side

    @property
    def generators(self) -> Mixture:
        """The mixture of generators."""
        return self.generator_side.mixture

    @property
    def discriminators(self) -> Mixture:
        """The mixture of discriminators."""
        return self.discriminator_side.mixture


class Gradients(NamedTuple):
    """What moves a side.

    Attributes:
        params: leaves ``[K, ...]``.
        weights: ``[K]``, with respect to the weights, not the log-weights.
        state: the components' new model state, leaves ``[K, ...]``.
    """

    params: Params
    weights: Array
    state: ModelState


class Rules(NamedTuple):
    """How a side is updated.

    Attributes:
        tx: the optimiser of a single component.
        weight_tx: the optimiser of log-weights, fed gradients with respect to the weights (see ``optim``).
    """

    tx: optax.GradientTransformation
    weight_tx: optax.GradientTransformation


def enter(rules: Rules, mixture: Mixture) -> Side:
    """The side that ``mixture`` starts with: fresh optimiser states."""
    opt_state = per_component(rules.tx).init(mixture.params)
    return Side(mixture, opt_state, rules.weight_tx.init(mixture.log_weights))


def move(rules: Rules, side: Side, gradients: Gradients) -> Side:
    """The side after one update of its components and its weights, both from the same point."""
    mixture = side.mixture
    updates, opt_state = per_component(rules.tx).update(
        gradients.params, side.opt_state, mixture.params
    )
    weight_updates, weight_opt_state = rules.weight_tx.update(
        gradients.weights, side.weight_opt_state, mixture.log_weights
    )
    moved = Mixture(
        params=optax.apply_updates(mixture.params, updates),
        state=gradients.state,
        log_weights=optax.apply_updates(mixture.log_weights, weight_updates),
    )
    return Side(moved, opt_state, weight_opt_state)


def choose(condition: Array, yes: Side, no: Side) -> Side:
    """``yes`` where the scalar ``condition`` holds, else ``no``: parameters, moments, counters and weights."""
    return jax.tree.map(lambda a, b: jnp.where(condition, a, b), yes, no)
