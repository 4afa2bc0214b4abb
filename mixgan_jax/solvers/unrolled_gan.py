"""Unrolled GAN: generators answer the discriminators that they are about to meet."""

from functools import partial

import jax
import jax.numpy as jnp
import optax

from mixgan_jax.checked import checked
from mixgan_jax.losses.core import Loss
from mixgan_jax.optim.components import Transform
from mixgan_jax.players.mixture import Mixture, make_samples
from mixgan_jax.players.player import Discriminator, Generator
from mixgan_jax.solvers.core.game import DiscriminatorPenalty, Game
from mixgan_jax.solvers.core.gradients import Reaction, discriminator_gradients
from mixgan_jax.solvers.core.side import MixGanState, Rules, Side, make_rules, update_side
from mixgan_jax.solvers.core.turns import (
    SideName,
    alternating,
    current_opponents,
    draw_latents,
    first_state,
)
from mixgan_jax.solvers.solver import Solver
from mixgan_jax.types import Array, Count, Key, LatentSampler, NonNegative, Params, Whole


@checked
def unrolled_gan(
    generator: Generator,
    discriminator: Discriminator,
    loss: Loss,
    *,
    depth: Whole,
    latent_size: Count,
    generator_tx: Transform,
    discriminator_tx: Transform,
    num_generators: Count = 1,
    num_discriminators: Count = 1,
    weight_tx: Transform | None = None,
    weight_barrier: NonNegative = 0.1,
    penalty: DiscriminatorPenalty | None = None,
    latent_sampler: LatentSampler = jax.random.normal,
) -> Solver:
    r"""Unrolled GAN (Metz, Poole, Pfau and Sohl-Dickstein 2016, arXiv 1611.02163).

    The discriminators take one turn. Then the generators descend their loss against the discriminators after ``depth``
    further, virtual turns,

    .. math:: u \leftarrow u - \eta\, \frac{d}{du} f(u, v^{k}(u)), \qquad v^{k + 1} = v^k + \Delta(u, v^k),

    by its total derivative, through all of a virtual turn: the loss with its penalty, the optimiser's arithmetic, the
    discriminators' weights. So a generator sees how its opponents will react, and does not rush to the one mode that
    they praise now. Virtual turns start from the updated discriminators and their optimisers' states and are thrown
    away. ``depth = 0`` is :func:`mix_gan` bit for bit.

    As in the authors' demonstration, all virtual turns of a step see one batch of reals. Departures: virtual turns have
    latents of their own, which the demonstration shares with the generators' turn. There virtual turns start where the
    step does, so the first of them is the discriminators' real turn, differentiated. Here the real turn is past, and
    generators are as far ahead with a depth smaller by 1.

    The reaction's influence grows with the depth and with the length of a discriminator's step. Adam's step is about
    the learning rate in each parameter, however small its gradient, and the reaction is to one batch. With long steps
    and small batches depth costs modes instead of saving them (``experiments/family/unrolled_ring.py``).

    Adam divides by the root of a mean of squares. Where a gradient has always been 0, as for a dead unit, that root has
    no finite derivative, and back-propagation gives NaN. The derivative along such an entry, or one so small that its
    square underflows, is set to 0. Just above, the derivative of Adam's first steps grows up to the learning rate over
    ``eps``; ``optax.adam(..., eps_root=1e-8)`` bounds it better.

    A virtual turn takes a little longer than a whole step of :func:`mix_gan` (1.2 times on a CPU). Each adds memory for
    one copy of the discriminators and their optimisers; the rest of a turn is computed again for its derivative. Frozen
    discriminators (see ``solvers/core/side.py``) are not unrolled. Others whose virtual turns are not finite spoil the
    generators' update.

    Args:
        generator: latents ``[B, Z]`` to samples ``[B, ...]``.
        discriminator: samples ``[B, ...]`` to logits ``[B]``.
        loss: both sides' losses, and the value of the game between them; the generators minimise their own.
        depth: number k >= 0 of virtual turns.
        latent_size: Z >= 1.
        generator_tx: optimiser of one generator; each component has a state of its own.
        discriminator_tx: optimiser of one discriminator, real or virtual.
        num_generators: I >= 1.
        num_discriminators: J >= 1.
        weight_tx: as in :func:`mix_gan`; virtual turns use it too.
        weight_barrier: as in :func:`mix_gan`.
        penalty: as in :func:`mix_gan`; virtual turns share its random numbers.
        latent_sampler: ``sampler(key, shape)``, as ``jax.random.normal``.

    Returns:
        A :class:`Solver` whose state is a :class:`MixGanState`; ``step`` takes reals ``[B, ...]`` and reports what
        :func:`mix_gan` does. ``generator_loss`` is against the discriminators ``depth`` turns ahead.
    """
    sizes = (num_generators, num_discriminators)
    game = Game(
        generator, discriminator, loss, sizes, latent_size, latent_sampler, penalty, weight_barrier
    )
    rules = make_rules(generator_tx, discriminator_tx, weight_tx)
    step = alternating(game, rules, partial(_opponents, game, rules[1], depth))
    return Solver(partial(first_state, game, rules), step)


def _opponents(
    game: Game, rules: Rules, depth: int, side: SideName, state: MixGanState, key: Key, real: Array
) -> Mixture | Reaction:
    """Returns the current generators; or the discriminators' reaction, ``depth`` turns on one batch."""
    if side == "discriminators" or depth == 0:
        return current_opponents(side, state, key, real)
    # Turn 0 keeps the key that mix_gan gives it: a depth of 0 is mix_gan bit for bit.
    latents_key, penalty_key = jax.random.split(jax.random.fold_in(key, 1))
    latents = draw_latents(game, latents_key, real.shape[0])

    def reaction(generators: Mixture, p: Array) -> Mixture:
        fakes, _ = make_samples(game.generator, generators, latents, train=True)
        return _ahead(game, rules, penalty_key, p, state.discriminator_side, real, fakes, depth)

    return reaction


def _ahead(
    game: Game,
    rules: Rules,
    key: Key,
    p: Array,
    side: Side,
    real: Array,
    fakes: Array,
    depth: int,
) -> Mixture:
    """Updates the discriminators ``depth`` times against fakes ``[I, B, ...]``, differentiably in these."""
    rules = rules._replace(tx=_without_spikes(rules.tx))
    # Frozen discriminators stand still, and their gradients may be NaN: nothing may come back through them.
    frozen = side.frozen

    def turn(side: Side, _: None) -> tuple[Side, None]:
        gradients = discriminator_gradients(
            game, key, p, side.mixture, real, fakes, constant=frozen
        )
        return update_side(rules, side, gradients[0]), None

    side, _ = jax.lax.scan(jax.checkpoint(turn, prevent_cse=False), side, length=depth)
    return side.mixture


def _without_spikes(tx: optax.GradientTransformation) -> optax.GradientTransformation:
    """Sets the derivative of ``tx`` to 0 where a gradient near 0 makes it not finite.

    Adam takes the square root of a mean of squares, whose derivative at 0 is infinite. A gradient that is 0 for all
    players nearby, as for a dead unit, makes it 0 times infinity.
    """

    def update(updates: Params, state: object, params: Params | None = None) -> tuple:
        return tx.update(jax.tree.map(_calm, updates), state, params)

    return optax.GradientTransformation(tx.init, update)


@jax.custom_vjp
def _calm(gradient: Array) -> Array:
    return gradient


def _calm_forward(gradient: Array) -> tuple[Array, Array]:
    return gradient, jnp.square(gradient) < 1e-30  # whose mean of squares may underflow


def _calm_backward(tiny: Array, cotangent: Array) -> tuple[Array]:
    return (jnp.where(tiny & ~jnp.isfinite(cotangent), 0.0, cotangent),)


_calm.defvjp(_calm_forward, _calm_backward)
