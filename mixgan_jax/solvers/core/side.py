"""The sides of a game in training: mixtures, their optimisers, and how gradients move them.

A component whose update is not finite is put under quarantine: it keeps what it had before that update and is never
updated again, so that its opponents, and checkpoints, see its last good networks and no NaN. It still plays, and its
weight is still trained. An update counts as not finite, too, where what it descends is not: the component's loss, its
penalty, or the ``value`` of a pair that a discriminator is in. The gradient may be finite there, but it is the gradient
of nothing. A frozen component whose loss stays so keeps its side's weights where they are.

Blame goes by whose update is not finite: a component whose parameters are finite but whose outputs are not, or a
discriminator at whose logits the loss is not, spoils its opponents' updates in the same turn, and then all of them are
frozen.
"""

from dataclasses import dataclass, replace
from functools import reduce
from typing import Any, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import optax

from mixgan_jax.optim import (
    check_transform,
    exponentiated_gradient,
    per_component,
    update_log_weights,
    with_other_keys,
)
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
    """What the next step needs.

    Attributes:
        generator_side: I generators and their optimisers.
        discriminator_side: J discriminators and their optimisers.
    """

    generator_side: Side
    discriminator_side: Side

    @property
    def sides(self) -> tuple[Side, Side]:
        """The generators' side, and the discriminators'."""
        return self.generator_side, self.discriminator_side

    def with_sides(self, generator_side: Side, discriminator_side: Side) -> "MixGanState":
        """The state with these sides."""
        return MixGanState(generator_side, discriminator_side)

    @property
    def generators(self) -> Mixture:
        """The mixture of generators."""
        return self.generator_side.mixture

    @property
    def discriminators(self) -> Mixture:
        """The mixture of discriminators."""
        return self.discriminator_side.mixture

    @property
    def iterate(self) -> tuple[Mixture, Mixture]:
        """Both mixtures, without optimisers; see ``solvers/around/iterate.py``."""
        return self.generators, self.discriminators

    def with_iterate(self, iterate: tuple[Mixture, Mixture]) -> "MixGanState":
        """The same optimisers, and who is frozen, with other mixtures."""
        return MixGanState(
            replace(self.generator_side, mixture=iterate[0]),
            replace(self.discriminator_side, mixture=iterate[1]),
        )

    @property
    def frozen_info(self) -> Info:
        """:attr:`frozen` as float32, for ``info``."""
        return {name: flags.astype(jnp.float32) for name, flags in self.frozen.items()}

    @property
    def frozen(self) -> dict[str, Array]:
        """``frozen_generators`` ``[I]`` and ``frozen_discriminators`` ``[J]``, bool, as ``info`` names them."""
        return {
            "frozen_generators": self.generator_side.frozen,
            "frozen_discriminators": self.discriminator_side.frozen,
        }


class HasCurrent:
    """A state that holds players in training beside what its solver needs of its own, and has their properties.

    Attributes:
        current: the players and their optimisers.
    """

    current: MixGanState

    @property
    def sides(self) -> tuple[Side, Side]:
        """The generators' side, and the discriminators'."""
        return self.current.sides

    def with_sides(self, generator_side: Side, discriminator_side: Side) -> Any:
        """The same state with these sides in training."""
        state: Any = self
        return replace(state, current=MixGanState(generator_side, discriminator_side))

    @property
    def generators(self) -> Mixture:
        """The generators in training."""
        return self.current.generators

    @property
    def discriminators(self) -> Mixture:
        """The discriminators in training."""
        return self.current.discriminators

    @property
    def frozen(self) -> dict[str, Array]:
        """As of ``MixGanState``."""
        return self.current.frozen

    @property
    def frozen_info(self) -> Info:
        """As of ``MixGanState``."""
        return self.current.frozen_info


class Gradients(NamedTuple):
    """What moves a side.

    Attributes:
        params: leaves ``[K, ...]``.
        weights: ``[K]``, with respect to the weights, not the log-weights.
        state: the components' new model state, leaves ``[K, ...]``.
        losses: what the gradients are of, and values measured with it, leaves ``[K, ...]``: looked at only for whether
            they are finite.
    """

    params: Params
    weights: Array
    state: ModelState
    losses: Any = ()


class Rules(NamedTuple):
    """How a side is updated.

    Attributes:
        tx: the optimiser of a single component.
        weight_tx: the optimiser of log-weights, fed gradients with respect to the weights (see ``optim``); what it
            does to them is normalised.
    """

    tx: optax.GradientTransformation
    weight_tx: optax.GradientTransformation


def make_rules(
    generator_tx: optax.GradientTransformation,
    discriminator_tx: optax.GradientTransformation,
    weight_tx: optax.GradientTransformation | None,
    default: float = 1e-3,
) -> tuple[Rules, Rules]:
    """Rules of the generators and of the discriminators, checked; an error names the argument.

    Where one transform with a key in its state serves both sides, either draws numbers of its own.

    Args:
        generator_tx: of one generator.
        discriminator_tx: of one discriminator.
        weight_tx: of the log-weights of both sides, or None for ``exponentiated_gradient(default)``.
        default: that step size; 0 keeps the weights as they are.
    """
    weight_tx = exponentiated_gradient(default) if weight_tx is None else weight_tx
    check_transform("generator_tx", generator_tx)
    check_transform("discriminator_tx", discriminator_tx)
    check_transform("weight_tx", weight_tx)
    others = Rules(with_other_keys(discriminator_tx), with_other_keys(weight_tx))
    return Rules(generator_tx, weight_tx), others


def enter(rules: Rules, mixture: Mixture) -> Side:
    """The side that ``mixture`` starts with: fresh optimiser states, nothing frozen."""
    opt_state = per_component(rules.tx, mixture.num_components).init(mixture.params)
    frozen = jnp.zeros(mixture.log_weights.shape, bool)
    return Side(mixture, opt_state, rules.weight_tx.init(mixture.log_weights), frozen)


def move(rules: Rules, side: Side, gradients: Gradients) -> Side:
    """The side after one update of its components and its weights, both from the same point.

    A component whose losses, new parameters or model state are not all finite is frozen, with what it had before.
    Weights that would not be finite stay as they are.
    """
    mixture = side.mixture
    updates, opt_state = per_component(rules.tx).update(
        gradients.params, side.opt_state, mixture.params
    )
    # Outside of jit the rules of weights refuse what is not finite; the weights then stay as they are.
    known = jnp.all(jnp.isfinite(gradients.weights))
    log_weights, weight_opt_state = update_log_weights(
        rules.weight_tx,
        jnp.where(known, gradients.weights, 0.0),
        side.weight_opt_state,
        mixture.log_weights,
    )
    params = optax.apply_updates(mixture.params, updates)
    frozen = side.frozen | ~_finite(
        (params, gradients.state, gradients.losses), side.frozen.shape[0]
    )
    params, state, opt_state = choose(
        ~frozen,
        (params, gradients.state, opt_state),
        (mixture.params, mixture.state, side.opt_state),
    )
    dropped = jnp.isneginf(log_weights) & jnp.isneginf(mixture.log_weights)
    log_weights, weight_opt_state = choose(
        known & jnp.all(jnp.isfinite(log_weights) | dropped),
        (log_weights, weight_opt_state),
        (mixture.log_weights, side.weight_opt_state),
    )
    return Side(Mixture(params, state, log_weights), opt_state, weight_opt_state, frozen)


def choose(condition: Array, new: T, old: T) -> T:
    """The tree ``new`` where ``condition`` holds, else ``old``, in its dtypes: moments and counters too.

    Args:
        condition: ``[]``, or ``[K]`` for leaves ``[K, ...]``.
        new: in any dtype: under ``jax_enable_x64`` batch statistics and moments come out in float64.
        old: a part of the state, which a loop must find in the dtypes that it had.
    """

    def one(new: Array, old: Array) -> Array:
        ones = [1] * (old.ndim - condition.ndim)
        return jnp.where(condition.reshape(*condition.shape, *ones), new, old)

    return jax.tree.map(one, in_dtypes_of(old, new), old)


def _finite(tree: Any, num_components: int) -> Array:
    """Which components' leaves are all finite: ``[K]``."""
    parts = [
        jnp.all(jnp.isfinite(leaf), axis=tuple(range(1, leaf.ndim)))
        for leaf in jax.tree.leaves(tree)
        if jnp.issubdtype(leaf.dtype, jnp.inexact)
    ]
    return reduce(jnp.logical_and, parts, jnp.ones(num_components, bool))
