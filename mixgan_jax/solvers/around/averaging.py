"""Averages of iterates around any solver: lookahead, which trains on from them, and averages beside training."""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from mixgan_jax.checked import checked
from mixgan_jax.checks import fail
from mixgan_jax.solvers.around.iterate import Around, blended, players_of
from mixgan_jax.solvers.core.side import choose
from mixgan_jax.solvers.solver import Solver
from mixgan_jax.types import Array, Batch, Count, Fraction, Info, Key, Positive, Share


@checked
def lookahead(solver: Solver, period: Count = 5, rate: Share = 0.5) -> Solver:
    r"""Wraps a solver in lookahead: every ``period`` steps all players go back part of the way.

    .. math:: s \leftarrow s + \alpha (w - s), \qquad w \leftarrow s

    after each k steps of ``solver`` (Zhang et al. 2019, arXiv 1907.08610; for games, where both players must go back
    together, Chavdarova et al. 2021, arXiv 2006.14567, algorithm 1). The line back cuts across the orbit of a rotating
    game. Optimisers keep their states.

    Args:
        solver: a solver whose state has an ``iterate``, as those of this package.
        period: k >= 1 steps.
        rate: alpha in [0, 1]; 1 does nothing, 0 never leaves the start.

    Returns:
        A :class:`Solver`. The state's ``inner`` is ``solver``'s. Its ``kept`` has ``slow``, the players to go back to,
        and ``count`` int32 ``[]``, steps so far.
    """

    def init(key: Key) -> Around:
        state = solver.init(key)
        return Around(state, {"slow": _copy(players_of(state)), "count": jnp.int32(0)})

    def step(key: Key, state: Around, batch: Batch) -> tuple[Around, Info]:
        end, info = solver.step(key, state.inner, batch)
        count = state.kept["count"] + 1
        back = blended(state.kept["slow"], end.iterate, rate)
        due = count % period == 0
        slow = choose(due, back, state.kept["slow"])
        inner = end.with_iterate(choose(due, back, end.iterate))
        return Around(inner, {"slow": slow, "count": count}), info

    return Solver(init, step)


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Averaged(Around):
    """State of :func:`averaged`: ``generators`` and ``iterate`` are in training, ``average`` is beside them."""

    @property
    def average(self) -> Any:
        """Inner state with the averaged players: sample from it, or measure it."""
        return self.inner.with_iterate(self.kept["average"])


@checked
def averaged(
    solver: Solver, decay: Fraction | None = None, *, half_life: Positive | None = None
) -> Solver:
    r"""Wraps a solver to average its iterates beside training, which does not see the average.

    The average is uniform over all steps, :math:`\bar w_t = \frac1t \sum_{s=1}^t w_s`, by which no-regret learning in a
    convex game is known to converge. Or it is exponential, :math:`\bar w_t = \beta \bar w_{t-1} + (1 - \beta) w_t` from
    the first players on (Yazici et al. 2019, arXiv 1806.04498). For networks it is an average of parameters, not the
    mixture of past players: that is a mixture over a history.

    Args:
        solver: a solver whose state has an ``iterate``, as those of this package.
        decay: beta in (0, 1) for the exponential average; None for the uniform one.
        half_life: number of reals after which the average has forgotten half of what it held, > 0, instead of
            ``decay``: beta is ``0.5 ** (B / half_life)`` for batches ``[B, ...]``, whatever their size.

    Returns:
        A :class:`Solver` with state :class:`Averaged`, whose ``average`` is the state with averaged players.

    Example:
        >>> import jax
        >>> import mixgan_jax as mg
        >>> import optax
        >>> generator = mg.from_linen(mg.networks.MLP((16,), outputs=2))
        >>> critic = mg.from_linen(mg.networks.MLP((16,)))
        >>> adam = optax.adam(1e-3)
        >>> solver = mg.gda(
        ...     generator, critic, mg.losses.hinge(), latent_size=3, generator_tx=adam, discriminator_tx=adam
        ... )
        >>> solver = mg.averaged(solver, half_life=10_000)
        >>> feed = mg.data.feed_from_distribution(mg.data.ring(), batch_size=64)
        >>> state, _ = mg.run(jax.random.key(0), solver, feed, num_steps=2, log_every=1)
        >>> latents = jax.random.normal(jax.random.key(1), (5, 3))
        >>> players = state.average.generators  # state.generators are those in training
        >>> mg.sample(jax.random.key(2), generator, players, latents)[0].shape
        (5, 2)
    """
    if decay is not None and half_life is not None:
        raise fail("decay", decay, "None where half_life is given")

    def init(key: Key) -> Averaged:
        state = solver.init(key)
        return Averaged(state, {"average": _copy(players_of(state)), "count": jnp.int32(0)})

    def step(key: Key, state: Averaged, batch: Batch) -> tuple[Averaged, Info]:
        end, info = solver.step(key, state.inner, batch)
        count = state.kept["count"] + 1
        rate: Array | float = 1.0 / count.astype(jnp.float32)
        if half_life is not None:
            rate = 1.0 - 0.5 ** (jax.tree.leaves(batch)[0].shape[0] / half_life)
        elif decay is not None:
            rate = 1.0 - decay
        average = blended(state.kept["average"], end.iterate, rate)
        return Averaged(end, {"average": average, "count": count}), info

    return Solver(init, step)


def _copy(tree: Any) -> Any:
    # The inner state is donated with this one, and no buffer may be donated twice.
    return jax.tree.map(jnp.copy, tree)
