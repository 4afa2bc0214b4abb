"""The duel: a term by which a discriminator learns from its peers, the other discriminators."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from mixgan_jax.losses.core import as_logits
from mixgan_jax.players.mixture import Mixture
from mixgan_jax.players.pairing import map_discriminators
from mixgan_jax.players.payoff import Logits, column
from mixgan_jax.solvers.core.game import Game
from mixgan_jax.solvers.core.gradients import ExtraTerm
from mixgan_jax.types import Array, ModelState, Params


class Duel(NamedTuple):
    """Coefficients of the duel at one step.

    Attributes:
        alpha: ``[]`` in [0, 1], share of the reward for blind agreement that is taken back.
        beta: ``[]`` >= 0, weight of the duel in a discriminator's loss.
    """

    alpha: Array | float
    beta: Array | float


def duel_term(duel: Duel) -> ExtraTerm:
    """Makes the duel a term of each discriminator's loss."""

    def loss(labels: Logits, duel: Duel, seen: Logits, p: Array) -> Array:
        return duel.beta * duel_loss(duel.alpha, seen, labels, p)

    return ExtraTerm(_labels, loss, shared=duel)


def _labels(game: Game, discriminators: Mixture, real: Array, fakes: Array) -> Logits:
    """Runs all discriminators on the batch, and averages the labels of each one's peers, leaves ``[J, ...]``."""
    if game.pairing != "full":
        raise ValueError(f"pairing must be 'full' for a duel, got {game.pairing!r}")

    def logits(params: Params, state: ModelState, _q: Array, fakes: Array, real: Array) -> Any:
        return column(game.discriminator, params, state, real, fakes, game.loss)[1]

    seen = map_discriminators(
        logits, discriminators, fakes=fakes, shared=(real,), strategy=game.strategy
    )
    return peer_labels(seen, discriminators.log_weights)


def peer_labels(seen: Logits, log_weights: Array) -> Logits:
    """Averages the peers' probabilities of real with their weights, for each discriminator.

    The cross-entropy is linear in the label, so the mean of the labels stands for the mean of the pairwise duels.

    Args:
        seen: logits of all J discriminators, leaves ``[J, ...]``.
        log_weights: log-weights of the discriminators, ``[J]`` with J >= 2. A discriminator's own is left out, and the
            others are normalised.

    Returns:
        Labels in [0, 1], shaped as ``seen`` and constant: no gradient goes to the peers.
    """
    others = ~jnp.eye(log_weights.shape[0], dtype=bool)
    shares = jax.nn.softmax(jnp.where(others, log_weights[None], -jnp.inf))

    def average(logits: Array) -> Array:
        probabilities = jax.nn.sigmoid(as_logits("logits", logits))
        precise = jax.lax.Precision.HIGHEST
        labels = jnp.tensordot(
            shares.astype(probabilities.dtype), probabilities, 1, precision=precise
        )
        return jax.lax.stop_gradient(labels)

    return Logits(*map(average, seen))


def duel_loss(alpha: Array | float, seen: Logits, labels: Logits, p: Array) -> Array:
    r"""Computes one discriminator's duel against its peers' labels.

    .. math:: E_x\, l(D(x), Y(x)) - \alpha\, E_{x_1, x_2}\, l(D(x_1), Y(x_2))

    with the cross-entropy ``l(d, y) = softplus(d) - y d`` of a logit. x runs over a pool, half of it reals and half
    one generator's fakes. x_1 and x_2 run over *all* pairs of the pool: the average over its random permutations,
    without their noise. By linearity in the label it is ``mean softplus(d) - mean(y) mean(d)``. Pools of several
    generators are averaged with the weights p.

    Args:
        alpha: ``[]`` in [0, 1].
        seen: the discriminator's logits, ``[B / M]`` and ``[I, F / M]``.
        labels: this discriminator's part of :func:`peer_labels`.
        p: weights of the generators, ``[I]``.

    Returns:
        ``[]``, in nats.
    """

    def pools(real: Array, fake: Array) -> Array:
        # Either half of a pool counts 1/2.
        return 0.5 * (jnp.mean(real) + jnp.mean(fake, axis=-1))

    logits = Logits(*(as_logits("logits", leaf) for leaf in seen))
    softplus = pools(*map(jax.nn.softplus, logits))
    matched = pools(logits.real * labels.real, logits.fake * labels.fake)
    crossed = pools(*logits) * pools(*labels)
    return p @ (softplus - matched - alpha * (softplus - crossed))
