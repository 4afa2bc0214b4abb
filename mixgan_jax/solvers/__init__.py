"""Training algorithms: each a :class:`Solver`, made from players, a loss and optimisers."""

from mixgan_jax.solvers.best_response import best_response
from mixgan_jax.solvers.gda import gda
from mixgan_jax.solvers.mix_gan import mix_gan
from mixgan_jax.solvers.mix_gan_2017 import mix_gan_2017
from mixgan_jax.solvers.side import MixGanState
from mixgan_jax.solvers.solver import Solver

__all__ = ["MixGanState", "Solver", "best_response", "gda", "mix_gan", "mix_gan_2017"]
