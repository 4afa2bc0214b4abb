"""Fictitious GAN: each side answers the average of the other side's past play."""

from dataclasses import dataclass, replace
from functools import partial

import jax
import jax.numpy as jnp

from mixgan_jax import history
from mixgan_jax.checked import checked
from mixgan_jax.history import History
from mixgan_jax.losses.core import Loss
from mixgan_jax.optim.components import Transform
from mixgan_jax.players.mixture import Mixture
from mixgan_jax.players.player import Discriminator, Generator
from mixgan_jax.solvers.core.game import DiscriminatorPenalty, Game
from mixgan_jax.solvers.core.side import HasCurrent, MixGanState, make_rules
from mixgan_jax.solvers.core.turns import SideName, alternating, first_state
from mixgan_jax.solvers.solver import Solver
from mixgan_jax.types import Array, Count, Info, Key, LatentSampler, NonNegative, Share


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class FictitiousState(HasCurrent):
    """State of fictitious GAN. Sample from ``generators``, the last ones, or from the average of their history.

    Attributes:
        current: the players in training, and their optimisers.
        generator_history: C entries of generators.
        discriminator_history: C entries of discriminators.
        count: int32 ``[]``, steps so far.
    """

    current: MixGanState
    generator_history: History
    discriminator_history: History
    count: Array


@checked
def fictitious_gan(
    generator: Generator,
    discriminator: Discriminator,
    loss: Loss,
    *,
    capacity: Count,
    latent_size: Count,
    generator_tx: Transform,
    discriminator_tx: Transform,
    record_every: Count = 1,
    decay: Share = 1.0,
    num_generators: Count = 1,
    num_discriminators: Count = 1,
    weight_tx: Transform | None = None,
    weight_barrier: NonNegative = 0.1,
    penalty: DiscriminatorPenalty | None = None,
    latent_sampler: LatentSampler = jax.random.normal,
) -> Solver:
    r"""Fictitious GAN (Ge, Xia, Chen, Berry and Wu 2018, arXiv 1803.08647): fictitious play by gradient steps.

    The discriminators descend their loss against the average of the last C generators, then the generators theirs
    against the average of the last C discriminators,

    .. math:: \max_v \sum_{c} \rho_c F(u_c, v), \qquad \min_u \sum_c \rho_c F(u, v_c).

    Past players are frozen. In the game of distributions and unlimited discriminators the average of the generators
    converges to the data, while the last one need not. With a short history the average of the *history* goes on
    turning, and only the long average is right. The discriminators' step makes C times as many fakes; the generators'
    step has its fakes judged by C times as many discriminators. With ``num_generators`` or ``num_discriminators`` above
    1 it is fictitious MIX+GAN: an entry of a history is a mixture. A capacity of 1, recorded at every step, is
    ``mix_gan``, bit for bit.

    With ``record_every`` above 1 both sides train in the same steps, against histories that stand still: generators
    meet the discriminators of a period from its last step on. The first players, untrained, are entries like others
    until C are recorded. Departure: as far as we know, the paper trains one side after the other for some steps; we do
    not know the lengths of its queues.

    Args:
        generator: latents ``[B, Z]`` to samples ``[B, ...]``.
        discriminator: samples ``[B, ...]`` to logits ``[B]``.
        loss: both sides' losses, and the value of the game between them.
        capacity: C >= 1, entries of either history.
        latent_size: Z >= 1.
        generator_tx: optimiser of one generator.
        discriminator_tx: optimiser of one discriminator.
        record_every: steps between two entries; the histories stand still meanwhile.
        decay: in [0, 1], factor of an entry's weight for each younger entry; 1 for the uniform average.
        num_generators: I >= 1, in training.
        num_discriminators: J >= 1, in training.
        weight_tx: optimiser of the log-weights of both sides; ``exponentiated_gradient(1e-3)`` if not given.
        weight_barrier: coefficient >= 0 of the regulariser of the weights.
        penalty: a regulariser of each discriminator.
        latent_sampler: ``sampler(key, shape)``, as ``jax.random.normal``.

    Returns:
        A :class:`Solver` with state :class:`FictitiousState`; ``step`` takes reals ``[B, ...]`` and reports
        ``generator_loss``, ``discriminator_loss`` and ``value`` ``[]`` against the histories,
        ``generator_weights`` ``[I]``, ``discriminator_weights`` ``[J]``, ``frozen_generators`` ``[I]`` and
        ``frozen_discriminators`` ``[J]``.

    Example:
        >>> import jax
        >>> import mixgan_jax as mg
        >>> import optax
        >>> generator = mg.from_linen(mg.networks.MLP((16,), outputs=2))
        >>> discriminator = mg.from_linen(mg.networks.MLP((16,)))
        >>> solver = mg.fictitious_gan(
        ...     generator, discriminator, mg.losses.non_saturating(), capacity=10, latent_size=8,
        ...     generator_tx=optax.adam(1e-3), discriminator_tx=optax.adam(1e-3),
        ... )
        >>> state = solver.init(jax.random.key(0))
        >>> mg.history.average(state.generator_history).num_components
        10
    """
    sizes = (num_generators, num_discriminators)
    game = Game(
        generator, discriminator, loss, sizes, latent_size, latent_sampler, penalty, weight_barrier
    )
    rules = make_rules(generator_tx, discriminator_tx, weight_tx)

    def init(key: Key) -> FictitiousState:
        current = first_state(game, rules, key)
        return FictitiousState(
            current,
            history.start(current.generators, capacity),
            history.start(current.discriminators, capacity),
            count=jnp.int32(0),
        )

    turns = alternating(
        game, rules, partial(_opponents, decay), remember=partial(_remember, record_every)
    )

    def step(key: Key, state: FictitiousState, batch: Array) -> tuple[FictitiousState, Info]:
        moved, info = turns(key, state, batch)
        # The matrix of values is C times as large here, and describes the histories.
        info = {name: value for name, value in info.items() if name != "values"}
        return replace(moved, count=moved.count + 1), info

    return Solver(init, step)


def _opponents(
    decay: float, side: SideName, state: FictitiousState, _key: Key, _real: Array
) -> Mixture:
    """Averages the other side's history."""
    past = state.generator_history if side == "discriminators" else state.discriminator_history
    return history.average(past, decay)


def _remember(record_every: int, side: SideName, state: FictitiousState) -> FictitiousState:
    """Records the side that has moved, where an entry is due."""
    due = (state.count + 1) % record_every == 0
    if side == "generators":
        recorded = history.record(state.generator_history, state.generators, due)
        return replace(state, generator_history=recorded)
    recorded = history.record(state.discriminator_history, state.discriminators, due)
    return replace(state, discriminator_history=recorded)
