"""Training algorithms, each a :class:`Solver` made from players, a loss and optimisers, or around another solver."""

from mixgan_jax.solvers.around.averaging import (
    Averaged as Averaged,
    averaged as averaged,
    lookahead as lookahead,
)
from mixgan_jax.solvers.around.extragradient import (
    extragradient as extragradient,
    past_extragradient as past_extragradient,
)
from mixgan_jax.solvers.around.iterate import Around as Around
from mixgan_jax.solvers.best_response import best_response as best_response
from mixgan_jax.solvers.core.side import MixGanState as MixGanState
from mixgan_jax.solvers.duel_gan import DuelState as DuelState, duel_gan as duel_gan
from mixgan_jax.solvers.fictitious_gan import (
    FictitiousState as FictitiousState,
    fictitious_gan as fictitious_gan,
)
from mixgan_jax.solvers.gda import gda as gda
from mixgan_jax.solvers.gradient_play import (
    GradientPlayState as GradientPlayState,
    gradient_play as gradient_play,
)
from mixgan_jax.solvers.mix_gan import mix_gan as mix_gan
from mixgan_jax.solvers.mix_gan_2017 import mix_gan_2017 as mix_gan_2017
from mixgan_jax.solvers.oracle.double_oracle import (
    DoubleOracleState as DoubleOracleState,
    double_oracle as double_oracle,
)
from mixgan_jax.solvers.solver import Solver as Solver
from mixgan_jax.solvers.unrolled_gan import unrolled_gan as unrolled_gan
