"""Cases: adjusted gradients, gradient play, solvers around solvers, the game Jacobian."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from hypothesis import strategies as st
from properties.arguments import array
from properties.case import Case
from properties.games_and_losses import lies_in

import mixgan_jax as mg
from mixgan_jax import adjustments, spectrum


def losses(players: Any) -> Any:
    """A quadratic game of two players with 2 and 3 parameters."""
    first, second = players
    both = jnp.sum(first) * jnp.sum(second)
    return jnp.sum(first * first) + both, jnp.sum(second * second) - both


FIELD = adjustments.gradient_field(losses)
players = st.tuples(array(2), array(3))
game = {"field": st.just(FIELD), "players": players}
eigenvalues = {"eigenvalues": array(4)}
two_steps = st.just((optax.sgd(0.1), optax.adam(0.1)))


def first_players(key: Any) -> Any:
    return jax.random.normal(key, (2,)), jnp.zeros(3)


PLAY = mg.gradient_play(
    first_players, lambda key, players, batch: losses(players), (optax.sgd(0.1),) * 2
)
solver = {"solver": st.just(PLAY)}


def adjusts_a_finite_field(given: Any, result: Any) -> None:
    adjusted = result(FIELD, (jnp.ones(2), jnp.ones(3)))
    assert [leaf.shape for leaf in adjusted] == [(2,), (3,)]


def contracts_at_a_step(given: Any, result: tuple[float, float]) -> None:
    step, contraction = result
    assert step >= 0
    assert 0 <= contraction <= 1


def can_start(given: Any, result: mg.Solver) -> None:
    assert isinstance(result, mg.Solver)
    result.init(jax.random.key(0))


DYNAMICS = {
    "adjustments.gradient_field": Case(adjustments.gradient_field, {"losses": st.just(losses)}),
    "adjustments.consensus": Case(adjustments.consensus, holds=adjusts_a_finite_field),
    "adjustments.jare": Case(
        adjustments.jare,
        {"players": st.sampled_from([None, (0,), (1,), (0, 1)])},
        adjusts_a_finite_field,
    ),
    "adjustments.symplectic": Case(adjustments.symplectic, holds=adjusts_a_finite_field),
    "spectrum.jacobian": Case(
        spectrum.jacobian,
        game,
        lambda given, result: np.testing.assert_array_equal(result.shape, (5, 5)),
        names=("leaf",),
    ),
    "spectrum.eigenvalues": Case(
        spectrum.eigenvalues, {**game, "num": st.sampled_from([None, 1, 3])}
    ),
    "spectrum.rotational_share": Case(spectrum.rotational_share, game),
    "spectrum.stable_step": Case(spectrum.stable_step, eigenvalues, lies_in(0, np.inf)),
    "spectrum.best_step": Case(spectrum.best_step, eigenvalues, contracts_at_a_step),
    "spectrum.phase_factor": Case(spectrum.phase_factor, eigenvalues, lies_in(0, np.inf)),
    "spectrum.conditioning_factor": Case(
        spectrum.conditioning_factor, eigenvalues, lies_in(1, np.inf)
    ),
    "gradient_play": Case(
        mg.gradient_play,
        {
            "init": st.just(first_players),
            "losses": st.just(lambda key, players, batch: losses(players)),
            "txs": two_steps,
            "update": st.just("simultaneous"),
            "adjust": st.sampled_from([None, adjustments.consensus(1.0)]),
        },
    ),
    "extragradient": Case(mg.extragradient, solver, can_start),
    "past_extragradient": Case(mg.past_extragradient, solver, can_start),
    "lookahead": Case(mg.lookahead, solver, can_start),
    "averaged": Case(mg.averaged, solver, can_start),
}
