"""Mixtures and equilibria of GANs, as pure functions.

The core is flat: players, mixtures, solvers, the exact solution of the game between components. Families of functions
stay in their modules, which are public too: ``losses``, ``penalties``, ``adjustments``, ``spectrum``, ``history``,
``networks``, ``data``, ``metrics``, ``plots``, ``theory``.
"""

from mixgan_jax import (
    adjustments,
    data,
    history,
    losses,
    metrics,
    networks,
    penalties,
    plots,
    spectrum,
    theory,
)
from mixgan_jax._messages import suggest_names
from mixgan_jax.checkpoint import Checkpoints, SaveError, load_for_sampling
from mixgan_jax.data import Feed, Stream
from mixgan_jax.duality_gap import duality_gap_curve
from mixgan_jax.fit import fit
from mixgan_jax.game import (
    Equilibrium,
    EquilibriumError,
    Payoffs,
    approximate_equilibrium,
    best_responses,
    expected_payoff,
    nash_conv,
    regrets,
    simplex_equilibrium,
    zero_sum,
    zero_sum_equilibrium,
)
from mixgan_jax.interrupt import Interrupted
from mixgan_jax.lock import FolderInUseError
from mixgan_jax.losses import GanLoss
from mixgan_jax.mixture import (
    Mixture,
    effective_components,
    entropy,
    generate,
    map_components,
    sample,
    uniform,
)
from mixgan_jax.optim import (
    exponentiated_gradient,
    optimistic_exponentiated_gradient,
    per_component,
    projected_gradient,
    regret_matching_plus,
    softmax_adam,
    softmax_sgd,
)
from mixgan_jax.pairing import fakes_per_generator
from mixgan_jax.parallel import spread_over_devices
from mixgan_jax.payoff import Outcome, held_out_values, meet
from mixgan_jax.player import Player, from_linen, pack
from mixgan_jax.quarantine import Frozen, NonFiniteError
from mixgan_jax.records import Records, read_records
from mixgan_jax.solvers import (
    Around,
    Averaged,
    DoubleOracleState,
    DuelState,
    FictitiousState,
    GradientPlayState,
    MixGanState,
    Solver,
    averaged,
    best_response,
    double_oracle,
    duel_gan,
    extragradient,
    fictitious_gan,
    gda,
    gradient_play,
    lookahead,
    mix_gan,
    mix_gan_2017,
    past_extragradient,
    unrolled_gan,
)
from mixgan_jax.steps import evaluation_key, init_run, run, run_steps

__version__ = "0.1.0"

__all__ = [
    "Around",
    "Averaged",
    "Checkpoints",
    "DoubleOracleState",
    "DuelState",
    "Equilibrium",
    "EquilibriumError",
    "Feed",
    "FictitiousState",
    "FolderInUseError",
    "Frozen",
    "GanLoss",
    "GradientPlayState",
    "Interrupted",
    "MixGanState",
    "Mixture",
    "NonFiniteError",
    "Outcome",
    "Payoffs",
    "Player",
    "Records",
    "SaveError",
    "Solver",
    "Stream",
    "adjustments",
    "approximate_equilibrium",
    "averaged",
    "best_response",
    "best_responses",
    "data",
    "double_oracle",
    "duality_gap_curve",
    "duel_gan",
    "effective_components",
    "entropy",
    "evaluation_key",
    "expected_payoff",
    "exponentiated_gradient",
    "extragradient",
    "fakes_per_generator",
    "fictitious_gan",
    "fit",
    "from_linen",
    "gda",
    "generate",
    "gradient_play",
    "held_out_values",
    "history",
    "init_run",
    "load_for_sampling",
    "lookahead",
    "losses",
    "map_components",
    "meet",
    "metrics",
    "mix_gan",
    "mix_gan_2017",
    "nash_conv",
    "networks",
    "optimistic_exponentiated_gradient",
    "pack",
    "past_extragradient",
    "penalties",
    "per_component",
    "plots",
    "projected_gradient",
    "read_records",
    "regret_matching_plus",
    "regrets",
    "run",
    "run_steps",
    "sample",
    "simplex_equilibrium",
    "softmax_adam",
    "softmax_sgd",
    "spectrum",
    "spread_over_devices",
    "theory",
    "uniform",
    "unrolled_gan",
    "zero_sum",
    "zero_sum_equilibrium",
]

suggest_names(__name__)
