"""Unrolled GAN: generators answer the discriminators that they are about to meet."""

from functools import partial

import jax
import jax.numpy as jnp
import optax

from mixgan_jax.checks import check_count
from mixgan_jax.losses import GanLoss
from mixgan_jax.penalties import Penalty
from mixgan_jax.players.mixture import Mixture, generate
from mixgan_jax.players.player import Player
from mixgan_jax.solvers.core.game import Game, check_game
from mixgan_jax.solvers.core.gradients import Reaction, discriminator_gradients, draw_latents
from mixgan_jax.solvers.core.side import MixGanState, Rules, Side, make_rules, move
from mixgan_jax.solvers.core.turns import SideName, alternating, current_opponents, first_state
from mixgan_jax.solvers.solver import Solver
from mixgan_jax.types import Array, Key, LatentSampler, Params


def unrolled_gan(
    generator: Player,
    discriminator: Player,
    loss: GanLoss,
    *,
    depth: int,
    latent_size: int,
    generator_tx: optax.GradientTransformation,
    discriminator_tx: optax.GradientTransformation,
    num_generators: int = 1,
    num_discriminators: int = 1,
    weight_tx: optax.GradientTransformation | None = None,
    weight_barrier: float = 0.1,
    penalty: Penalty | None = None,
    latent_sampler: LatentSampler = jax.random.normal,
) -> Solver:
    r"""Unrolled GAN (Metz, Poole, Pfau and Sohl-Dickstein 2016, arXiv 1611.02163).

    The discriminators take one turn. Then the generators descend their loss against the discriminators that ``depth``
    further, virtual turns would make of them,

    .. math:: u \leftarrow u - \eta\, \frac{d}{du} f(u, v^{k}(u)), \qquad v^{k + 1} = v^k + \Delta(u, v^k),

    by its total derivative, through all of a virtual turn: the loss with its penalty, the optimiser's arithmetic, the
    discriminators' weights. So a generator is told how its opponents will react, which speaks against a move to where
    one mode is praised just now. Virtual turns start from the updated discriminators and their optimisers' states and
    are thrown away. ``depth = 0`` is :func:`mix_gan` bit for bit.

    As in the authors' demonstration, all virtual turns of a step see one batch: its reals, and latents of their own,
    not those on which the generators are judged afterwards (departure: the demonstration shares these). Departure too:
    there virtual turns start where the step does, so that the first of them is the discriminators' real turn,
    differentiated; here the real turn is past, and generators are as far ahead with a depth smaller by 1.

    How much the reaction weighs goes with the depth and with the length of a discriminator's step, which by Adam is a
    learning rate for each parameter, however small its gradient; and it is the reaction to one batch. With long steps
    and small batches depth costs modes instead of saving them (``experiments/family/unrolled_ring.py``).

    Adam divides by the root of a mean of squares. Where a gradient is 0 and never was anything else, as of a dead unit,
    that root has no finite derivative, and back-propagation gives NaN: what comes back along such an entry, or one so
    small that its square underflows, is taken to be 0. Just above, the derivative of Adam's first steps grows up to
    the learning rate over ``eps``; ``optax.adam(..., eps_root=1e-8)`` bounds it better.

    A virtual turn takes a little longer than a whole step of :func:`mix_gan` (1.2 times on a CPU), and memory grows by
    one copy of the discriminators and their optimisers with each: what a turn needs to be differentiated is computed
    again. Frozen discriminators (see ``solvers/core/side.py``) are not unrolled; others whose virtual turns are not
    finite spoil the generators' update.

    Args:
        generator: latents ``[B, Z]`` to samples ``[B, ...]``.
        discriminator: samples ``[B, ...]`` to logits ``[B]``.
        loss: both sides' losses, and the value of the game between them; the generators minimise their own.
        depth: of unrolling, k >= 0 virtual turns.
        latent_size: Z >= 1.
        generator_tx: optimiser of one generator; each component has a state of its own.
        discriminator_tx: optimiser of one discriminator, likewise, and of the virtual ones.
        num_generators: I >= 1.
        num_discriminators: J >= 1.
        weight_tx: as of :func:`mix_gan`, virtual turns included.
        weight_barrier: as of :func:`mix_gan`.
        penalty: as of :func:`mix_gan`; virtual turns share the numbers that it draws.
        latent_sampler: ``sampler(key, shape)``, as ``jax.random.normal``.

    Returns:
        A :class:`Solver` whose state is a :class:`MixGanState`; ``step`` takes reals ``[B, ...]`` and reports what
        :func:`mix_gan` does. ``generator_loss`` is against the discriminators ``depth`` turns ahead.

    Raises:
        TypeError, ValueError: a bad argument, at once; players that do not fit each other, at ``init``; a batch that
            does not fit, when ``step`` is traced.
    """
    depth = check_count("depth", depth, minimum=0)
    game = Game(
        generator,
        discriminator,
        loss,
        num_generators,
        num_discriminators,
        latent_size,
        latent_sampler,
        penalty=penalty,
        weight_barrier=weight_barrier,
    )
    game = check_game(game)
    rules = make_rules(generator_tx, discriminator_tx, weight_tx)
    step = alternating(game, rules, partial(_opponents, game, rules[1], depth))
    return Solver(partial(first_state, game, rules), step)


def _opponents(
    game: Game, rules: Rules, depth: int, side: SideName, state: MixGanState, key: Key, real: Array
) -> Mixture | Reaction:
    """The current generators; the discriminators after ``depth`` turns on one batch, as a function of generators."""
    if side == "discriminators" or depth == 0:
        return current_opponents(side, state, key, real)
    # Turn 0 has the key that mix_gan gives it, so that a depth of 0 is that, bit for bit.
    latents_key, penalty_key = jax.random.split(jax.random.fold_in(key, 1))
    latents = draw_latents(game, latents_key, real.shape[0])

    def reaction(generators: Mixture, p: Array) -> Mixture:
        fakes, _ = generate(game.generator, generators, latents, train=True)
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
    """The discriminators after ``depth`` turns against fakes ``[I, B, ...]``, as a function of these."""
    rules = rules._replace(tx=_without_spikes(rules.tx))
    # Who is frozen stands still, and may have gradients that are not finite: nothing is to come back through these.
    frozen = side.frozen

    def turn(side: Side, _: None) -> tuple[Side, None]:
        gradients = discriminator_gradients(
            game, key, p, side.mixture, real, fakes, constant=frozen
        )
        return move(rules, side, gradients[0]), None

    side, _ = jax.lax.scan(jax.checkpoint(turn, prevent_cse=False), side, length=depth)
    return side.mixture


def _without_spikes(tx: optax.GradientTransformation) -> optax.GradientTransformation:
    """``tx``, whose derivative is 0 where it would not be finite for a gradient of 0, or of next to nothing.

    Adam takes the square root of a mean of squares, whose derivative at 0 is infinite; and a gradient that is 0 for
    all players nearby, as of a dead unit, makes 0 times that.
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
