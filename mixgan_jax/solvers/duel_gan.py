"""DuelGAN: discriminators that judge samples, and each other's judgement."""

from dataclasses import dataclass, replace

import jax
import jax.numpy as jnp

from mixgan_jax.checked import checked
from mixgan_jax.checks import fail, is_concrete
from mixgan_jax.losses.core import Loss
from mixgan_jax.optim.components import Transform
from mixgan_jax.players.mixture import Mixture
from mixgan_jax.players.player import Discriminator, Generator
from mixgan_jax.solvers.core.game import DiscriminatorPenalty, Game
from mixgan_jax.solvers.core.gradients import ExtraTerm
from mixgan_jax.solvers.core.side import HasCurrent, MixGanState, make_rules
from mixgan_jax.solvers.core.turns import alternating, current_opponents, first_state
from mixgan_jax.solvers.duel import Duel, duel_term
from mixgan_jax.solvers.solver import Solver
from mixgan_jax.types import Array, Count, Info, Key, LatentSampler, NonNegative, Share


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class DuelState(HasCurrent):
    """State of DuelGAN.

    Attributes:
        current: the players and their optimisers.
        count: int32 ``[]``, steps so far.
    """

    current: MixGanState
    count: Array

    @property
    def iterate(self) -> tuple[Mixture, Mixture]:
        """Both mixtures, without optimisers; see ``solvers/around/iterate.py``."""
        return self.current.iterate

    def with_iterate(self, iterate: tuple[Mixture, Mixture]) -> "DuelState":
        """Replaces both mixtures; optimisers and count stay."""
        return replace(self, current=self.current.with_iterate(iterate))


@checked
def duel_gan(
    generator: Generator,
    discriminator: Discriminator,
    loss: Loss,
    *,
    num_steps: Count | None,
    latent_size: Count,
    generator_tx: Transform,
    discriminator_tx: Transform,
    alpha: Share = 0.3,
    beta: NonNegative = 0.5,
    num_generators: Count = 1,
    num_discriminators: Count = 2,
    weight_tx: Transform | None = None,
    weight_barrier: NonNegative = 0.1,
    penalty: DiscriminatorPenalty | None = None,
    latent_sampler: LatentSampler = jax.random.normal,
) -> Solver:
    r"""DuelGAN (Wei et al. 2022, arXiv 2101.07524): discriminators of one role that learn from each other.

    Beside its own loss each discriminator D_i minimises ``beta`` times the duel

    .. math:: E_x\, l(D_i(x), Y_i(x)) - \alpha\, E_{x_1, x_2}\, l(D_i(x_1), Y_i(x_2))

    where x is real or fake with probability 1/2, l is the cross-entropy and Y_i, held constant, the peer's probability
    of real. The first term asks D_i to agree with its peer; the second takes back the reward for agreement on unrelated
    samples. The generators see no duel and minimise the discriminators' mean loss. With ``r = step / num_steps`` both
    coefficients follow ``4 r (1 - r)``: 0 at the start and the end, full halfway.

    Where fakes are distributed as reals and all discriminators say 1/2, nothing moves, whatever alpha: labels are
    probabilities, not decisions. Against a fixed Y the best discriminator of a logarithmic loss is, with
    ``rho = f / (f + g)`` of the densities f of reals and g of fakes and pi the mean of Y,
    ``[rho + (beta / 2) (Y - alpha pi)] / [1 + (beta / 2) (1 - alpha)]``.

    The code released with the paper computes the duel but detaches it from its graph, so it trains two discriminators
    that do not influence each other. Here that is ``beta = 0``, which is :func:`mix_gan` bit for bit, with weights
    that stay uniform.

    Departures: terms are means over the batch, not sums, of logits' cross-entropy. The pairs (x_1, x_2) are all pairs
    of the batch (see ``solvers/duel.py``); the released code shuffles in place in a way that repeats rows. All
    discriminators move from the same point, not one after the other. Generators answer on fresh latents. r rises with
    every step, there with every epoch. Labels are soft there too. For J > 2 discriminators Y_i is the mean of the
    peers' probabilities, which is the mean of the pairwise duels. Several generators, and weights that are trained,
    make duelling mixtures; means then use the weights.

    Args:
        generator: latents ``[B, Z]`` to samples ``[B, ...]``.
        discriminator: samples ``[B, ...]`` to logits ``[B]`` of the probability of real.
        loss: both sides' losses; ``losses.non_saturating()`` in the paper.
        num_steps: length >= 1 of the run, over which alpha and beta rise and fall; afterwards they are 0. None keeps
            them constant.
        latent_size: Z >= 1.
        generator_tx: optimiser of one generator; each component has a state of its own.
        discriminator_tx: optimiser of one discriminator; each component has a state of its own.
        alpha: the largest alpha, in [0, 1].
        beta: the largest beta, >= 0, in units of the loss.
        num_generators: I >= 1.
        num_discriminators: J >= 2.
        weight_tx: optimiser of the log-weights of both sides; None keeps weights uniform, as in the paper.
        weight_barrier: as in :func:`mix_gan`.
        penalty: as in :func:`mix_gan`.
        latent_sampler: ``sampler(key, shape)``, as ``jax.random.normal``.

    Returns:
        A :class:`Solver` whose state is a :class:`DuelState`; ``step`` takes reals ``[B, ...]`` and reports what
        :func:`mix_gan` does, losses and values without the duel, and ``alpha`` and ``beta`` ``[]`` of the step.
    """
    if num_discriminators < 2:
        raise fail("num_discriminators", num_discriminators, "at least 2: a duel needs a peer")
    sizes = (num_generators, num_discriminators)
    game = Game(
        generator, discriminator, loss, sizes, latent_size, latent_sampler, penalty, weight_barrier
    )
    rules = make_rules(generator_tx, discriminator_tx, weight_tx, default=0.0)

    def init(key: Key) -> DuelState:
        return DuelState(first_state(game, rules, key), count=jnp.int32(0))

    largest = Duel(alpha, beta)

    def extra_of(state: DuelState) -> ExtraTerm | None:
        # Adding 0 times a duel would be the same but for rounding.
        none = is_concrete(largest.beta) and largest.beta == 0.0
        return None if none else duel_term(scheduled(largest, num_steps, state.count))

    turns = alternating(game, rules, current_opponents, extra_of=extra_of)

    def step(key: Key, state: DuelState, batch: Array) -> tuple[DuelState, Info]:
        moved, info = turns(key, state, batch)
        duel = scheduled(largest, num_steps, state.count)
        return replace(moved, count=moved.count + 1), {**info, **duel._asdict()}

    return Solver(init, step)


def scheduled(duel: Duel, num_steps: int | None, count: Array) -> Duel:
    """Scales the coefficients by ``4 r (1 - r)`` with ``r = count / num_steps`` <= 1, at step ``count`` from 0."""
    if num_steps is None:
        share = jnp.float32(1.0)
    else:
        ratio = jnp.minimum(count.astype(jnp.float32) / num_steps, 1.0)
        share = 4.0 * ratio * (1.0 - ratio)
    return Duel(duel.alpha * share, duel.beta * share)
