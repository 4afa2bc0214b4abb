"""Mixtures and equilibria of GANs, as pure functions.

The core is flat: players, mixtures, solvers, runs, and the exact solution of the game between components. Families of
functions stay in their public modules: ``losses``, ``penalties``, ``adjustments``, ``spectrum``, ``history``,
``networks``, ``data``, ``metrics``, ``plots``, ``theory``.
"""

from mixgan_jax import (
    adjustments as adjustments,
    data as data,
    history as history,
    losses as losses,
    metrics as metrics,
    networks as networks,
    penalties as penalties,
    plots as plots,
    spectrum as spectrum,
    theory as theory,
)
from mixgan_jax.data import Feed as Feed, Stream as Stream
from mixgan_jax.game import (
    Equilibrium as Equilibrium,
    EquilibriumError as EquilibriumError,
    Payoffs as Payoffs,
    approximate_equilibrium as approximate_equilibrium,
    best_responses as best_responses,
    expected_payoff as expected_payoff,
    nash_conv as nash_conv,
    regrets as regrets,
    simplex_equilibrium as simplex_equilibrium,
    zero_sum as zero_sum,
    zero_sum_equilibrium as zero_sum_equilibrium,
)
from mixgan_jax.losses import GanLoss as GanLoss
from mixgan_jax.messages import suggest_names
from mixgan_jax.metrics import duality_gap_curve as duality_gap_curve
from mixgan_jax.optim import (
    exponentiated_gradient as exponentiated_gradient,
    optimistic_exponentiated_gradient as optimistic_exponentiated_gradient,
    per_component as per_component,
    projected_gradient as projected_gradient,
    regret_matching_plus as regret_matching_plus,
    softmax_adam as softmax_adam,
    softmax_sgd as softmax_sgd,
)
from mixgan_jax.players import (
    Mixture as Mixture,
    Outcome as Outcome,
    Player as Player,
    effective_components as effective_components,
    entropy as entropy,
    fakes_per_generator as fakes_per_generator,
    from_linen as from_linen,
    generate as generate,
    held_out_values as held_out_values,
    map_components as map_components,
    meet as meet,
    pack as pack,
    sample as sample,
    uniform as uniform,
)
from mixgan_jax.runs import (
    Frozen as Frozen,
    Interrupted as Interrupted,
    NonFiniteError as NonFiniteError,
    Unsound as Unsound,
    distributed as distributed,
    evaluation_key as evaluation_key,
    fit as fit,
    init_run as init_run,
    make_mesh as make_mesh,
    on_mesh as on_mesh,
    run as run,
    run_steps as run_steps,
    spread_over_devices as spread_over_devices,
)
from mixgan_jax.solvers import (
    Around as Around,
    Averaged as Averaged,
    DoubleOracleState as DoubleOracleState,
    DuelState as DuelState,
    FictitiousState as FictitiousState,
    GradientPlayState as GradientPlayState,
    MixGanState as MixGanState,
    Solver as Solver,
    averaged as averaged,
    best_response as best_response,
    double_oracle as double_oracle,
    duel_gan as duel_gan,
    extragradient as extragradient,
    fictitious_gan as fictitious_gan,
    gda as gda,
    gradient_play as gradient_play,
    lookahead as lookahead,
    mix_gan as mix_gan,
    mix_gan_2017 as mix_gan_2017,
    past_extragradient as past_extragradient,
    unrolled_gan as unrolled_gan,
)
from mixgan_jax.storage import (
    Checkpoints as Checkpoints,
    FolderInUseError as FolderInUseError,
    Records as Records,
    SaveError as SaveError,
    load_for_sampling as load_for_sampling,
    read_records as read_records,
)

__version__ = "0.1.0"


suggest_names(__name__)
