"""Training algorithms: each a :class:`Solver`, made from players, a loss and optimisers, or around another solver."""

from mixgan_jax.solvers.averaging import Averaged, averaged, lookahead
from mixgan_jax.solvers.best_response import best_response
from mixgan_jax.solvers.double_oracle import DoubleOracleState, double_oracle
from mixgan_jax.solvers.duel_gan import DuelState, duel_gan
from mixgan_jax.solvers.extragradient import extragradient, past_extragradient
from mixgan_jax.solvers.fictitious_gan import FictitiousState, fictitious_gan
from mixgan_jax.solvers.gda import gda
from mixgan_jax.solvers.gradient_play import GradientPlayState, gradient_play
from mixgan_jax.solvers.iterate import Around
from mixgan_jax.solvers.mix_gan import mix_gan
from mixgan_jax.solvers.mix_gan_2017 import mix_gan_2017
from mixgan_jax.solvers.side import MixGanState
from mixgan_jax.solvers.solver import Solver
from mixgan_jax.solvers.unrolled_gan import unrolled_gan

__all__ = [
    "Around",
    "Averaged",
    "DoubleOracleState",
    "DuelState",
    "FictitiousState",
    "GradientPlayState",
    "MixGanState",
    "Solver",
    "averaged",
    "best_response",
    "double_oracle",
    "duel_gan",
    "extragradient",
    "fictitious_gan",
    "gda",
    "gradient_play",
    "lookahead",
    "mix_gan",
    "mix_gan_2017",
    "past_extragradient",
    "unrolled_gan",
]
