"""MIX+GAN: gradient descent-ascent between two mixtures whose weights are trained too."""

from functools import partial

import jax

from mixgan_jax.adjustments import Adjustment
from mixgan_jax.checked import checked
from mixgan_jax.checks import fail
from mixgan_jax.losses.core import Loss
from mixgan_jax.optim.components import Transform
from mixgan_jax.players.meetings import check_meetings
from mixgan_jax.players.mixture import Strategy
from mixgan_jax.players.pairing import TrainingPairing
from mixgan_jax.players.player import Discriminator, Generator
from mixgan_jax.players.precision import Precision, in_precision
from mixgan_jax.solvers.core.game import Augment, ComponentSpeed, DiscriminatorPenalty, Game
from mixgan_jax.solvers.core.side import make_rules
from mixgan_jax.solvers.core.simultaneous import simultaneous
from mixgan_jax.solvers.core.turns import (
    GeneratorSteps,
    Update,
    alternating,
    current_opponents,
    first_state,
)
from mixgan_jax.solvers.solver import Solver
from mixgan_jax.types import Count, LatentSampler, NonNegative, Number


@checked
def mix_gan(
    generator: Generator,
    discriminator: Discriminator,
    loss: Loss,
    *,
    num_generators: Count,
    num_discriminators: Count,
    latent_size: Count,
    generator_tx: Transform,
    discriminator_tx: Transform,
    weight_tx: Transform | None = None,
    weight_barrier: NonNegative = 0.1,
    component_speed: ComponentSpeed = "weighted",
    penalty: DiscriminatorPenalty | None = None,
    augment: Augment | None = None,
    latent_sampler: LatentSampler = jax.random.normal,
    shared_latents: bool = False,
    pairing: TrainingPairing = "full",
    meetings: Count = 1,
    update: Update = "alternating",
    adjust: Adjustment | None = None,
    discriminator_steps: Count = 1,
    generator_steps: GeneratorSteps = 1,
    skip_discriminator_below: Number | None = None,
    precision: Precision | None = None,
    strategy: Strategy = "auto",
) -> Solver:
    r"""MIX+GAN (Arora, Ge, Liang, Ma and Zhang 2017, arXiv 1703.00573, section 5).

    I generators u_i with weights p and J discriminators v_j with weights q play

    .. math:: \min_{u, p} \max_{v, q} \sum_{ij} p_i q_j F(u_i, v_j)

    by gradient steps on the components and exponentiated gradient on the weights. Each side minimises its own
    loss, averaged over the opponents' mixture, plus ``weight_barrier * R(p)`` with ``R(p) = -(1/K) sum_k log p_k``,
    which keeps the mixture from collapsing to one component. With I = J = 1 this is ordinary GAN training.

    Departures from the paper: the gradient of component k is multiplied by K, so that under uniform weights every
    component moves as a single GAN would; ``component_speed`` has other factors. I and J may differ. There are pairings
    other than ``full``.

    Args:
        generator: latents ``[B, Z]`` to samples ``[B, ...]``.
        discriminator: samples ``[B, ...]`` to logits ``[B]``.
        loss: both sides' losses, and the value of the game between them.
        num_generators: I >= 1.
        num_discriminators: J >= 1.
        latent_size: Z >= 1.
        generator_tx: optimiser of one generator; each component has a state of its own.
        discriminator_tx: optimiser of one discriminator; each component has a state of its own.
        weight_tx: optimiser of the log-weights of both sides, fed gradients with respect to the weights; any optax
            transform, since log-weights are normalised after it. ``exponentiated_gradient(1e-3)`` if not given.
        weight_barrier: coefficient >= 0 of R; 0.1 in the released code.
        component_speed: ``weighted``, the default, multiplies the gradient of component k, and its penalty, by K times
            its weight: all components then descend one function, K times their side's loss. ``equal`` lets every
            component descend its own loss, whatever its weight. With SGD, exponentiated gradient and no barrier,
            simultaneous steps are then Wasserstein-Fisher-Rao descent-ascent (Domingo-Enrich et al. 2020,
            arXiv 2002.06277); see :func:`particle_players`.
        penalty: a regulariser of each discriminator, added to its loss but not to the payoffs. Over the fakes of
            several generators it is averaged with weights p.
        augment: ``augment(key, samples)`` changes what discriminators see, reals and fakes, in both sides' turns and in
            the penalty, with new numbers each time; see ``data.diff_augment``. Gradients of the generators pass through
            it. Evaluation goes without.
        latent_sampler: ``sampler(key, shape)``, as ``jax.random.normal``.
        shared_latents: whether all generators get the same latents, as in the released code.
        pairing: which fakes meet which discriminators; see ``pairing``. With ``sparse``, hundreds of players on each
            side take the work of ``latin``, at any batch that ``meetings`` divides.
        meetings: number r of discriminators that each generator meets in a step with ``sparse``, drawn at random: a
            divisor of J such that J / r divides I. At the same batch samples are worse than with ``latin``: with I = J
            = 8 on a ring of Gaussians 33 % are good with r = 4, and 94 % with ``latin``.
        update: ``alternating`` (the generators answer the updated discriminators, with fresh latents) or
            ``simultaneous`` (both sides' gradients at one point, on the same fakes).
        adjust: a function of simultaneous gradients, from ``adjustments``, between the components at fixed weights.
        discriminator_steps: updates of the discriminators in each step, each on its own part of the batch.
        generator_steps: updates of the generators in each step, each with fresh latents: a number, or a function
            from the discriminators' loss ``[]`` to an int32 ``[]``.
        skip_discriminator_below: the discriminators stand still where their loss is below this; None for never.
        precision: ``"bfloat16"``: the layers of all players compute in it, on a GPU in less time and memory. Parameters
            and their optimisers, batch statistics, logits, losses, penalties and weights stay float32. So the state is
            that of any run, and evaluation computes as its players say. None: as the players say.
        strategy: how components are mapped over; see ``mixture.map_components``.

    Returns:
        A :class:`Solver`. ``init(key)`` returns a :class:`MixGanState`; ``step(key, state, batch)`` takes reals
        ``[discriminator_steps * B, ...]``. Its info has, before each side moved, ``generator_loss``,
        ``discriminator_loss`` and ``value`` ``[]``, averaged over both mixtures, ``values`` ``[I, J]``,
        ``generator_weights`` ``[I]`` and ``discriminator_weights`` ``[J]``. With ``sparse`` a step estimates all of
        these losses and values without bias from the pairs that met: ``values`` has J / r times their payoffs, and 0
        for the others, so that its average over many steps is the matrix. Of the state after the step it has
        ``frozen_generators`` ``[I]`` and ``frozen_discriminators`` ``[J]``: 1 for a component whose update, or the
        loss that it descends, was not finite (NaN or infinite). From then on the component plays as it was before that
        update; see ``solvers/core/side.py``.

    Example:
        >>> import jax
        >>> import mixgan_jax as mg
        >>> import optax
        >>> generator = mg.from_linen(mg.networks.MLP((16,), outputs=2))
        >>> discriminator = mg.from_linen(mg.networks.MLP((16,)))
        >>> solver = mg.mix_gan(
        ...     generator, discriminator, mg.losses.non_saturating(), num_generators=4, num_discriminators=3,
        ...     latent_size=8, generator_tx=optax.adam(1e-3), discriminator_tx=optax.adam(1e-3),
        ... )
        >>> state = solver.init(jax.random.key(0))
        >>> state.generators.num_components, state.discriminators.weights.shape
        (4, (3,))
    """
    game = Game(
        in_precision(generator, precision),
        in_precision(discriminator, precision),
        loss,
        (num_generators, num_discriminators),
        latent_size,
        latent_sampler,
        penalty,
        weight_barrier,
        shared_latents,
        pairing,
        strategy,
        meetings,
        component_speed,
        augment,
    )
    if pairing == "sparse":
        check_meetings(meetings, num_generators, num_discriminators)
    elif meetings != 1:
        raise fail("meetings", meetings, f"1 with pairing {pairing!r}; 'sparse' takes more")
    rules = make_rules(generator_tx, discriminator_tx, weight_tx)
    several = (discriminator_steps, generator_steps, skip_discriminator_below) != (1, 1, None)
    if update == "simultaneous" and several:
        raise fail("update", update, "'alternating' where sides take several steps or skip some")
    if update == "alternating" and adjust is not None:
        raise fail("update", update, "'simultaneous' where gradients are adjusted")
    if component_speed == "equal" and adjust is not None:
        raise fail("component_speed", component_speed, "'weighted' where gradients are adjusted")
    if update == "simultaneous":
        step = simultaneous(game, rules, adjust)
    else:
        step = alternating(
            game,
            rules,
            current_opponents,
            discriminator_steps=discriminator_steps,
            generator_steps=generator_steps,
            skip_discriminator_below=skip_discriminator_below,
        )
    return Solver(partial(first_state, game, rules), step)
