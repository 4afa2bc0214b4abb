"""What theorems on GANs, and on mixtures of them, state and build: closed forms and constructions, no training loop."""

from mixgan_jax.theory.dirac_gan import dirac_gan_inward_pull, dirac_gan_jacobian, dirac_gan_losses
from mixgan_jax.theory.divergences import line_divergences, parallel_segments
from mixgan_jax.theory.folding import Folded, fold, folded_size
from mixgan_jax.theory.gaussian_shift import gaussian_shift_jacobian, gaussian_shift_losses
from mixgan_jax.theory.interval_dynamics import Dynamics, interval_step
from mixgan_jax.theory.interval_game import (
    IntervalGame,
    IntervalState,
    interval_game,
    interval_gradients,
    interval_payoff,
    interval_start,
)
from mixgan_jax.theory.interval_optimum import best_interval, optimal_intervals, total_variation
from mixgan_jax.theory.limited_discriminator import best_polynomial_logit
from mixgan_jax.theory.linear_games import adjusted_jacobian, linear_descent
from mixgan_jax.theory.linearized_gda import (
    best_gda_step,
    condition_number,
    gda_contraction,
    gda_edge,
    gda_matrix,
    reachable_probability,
    relu_kernel,
)
from mixgan_jax.theory.packing import (
    mode_collapse_region,
    packed_total_variation,
    packing_bounds,
    packing_bounds_with_collapse,
    packing_bounds_without_collapse,
)
from mixgan_jax.theory.past_play import atom_play, fictitious_play
from mixgan_jax.theory.sample_size import (
    blur_error,
    mixture_error,
    sampling_error,
    sufficient_components,
    sufficient_samples,
)
from mixgan_jax.theory.scoring_rules import (
    ScoringRule,
    bayes_risk,
    induced_divergence,
    scoring_rules,
)
from mixgan_jax.theory.selector import chosen_component, gates, ramp_mass, thresholds

__all__ = [
    "Dynamics",
    "Folded",
    "IntervalGame",
    "IntervalState",
    "ScoringRule",
    "adjusted_jacobian",
    "atom_play",
    "bayes_risk",
    "best_gda_step",
    "best_interval",
    "best_polynomial_logit",
    "blur_error",
    "chosen_component",
    "condition_number",
    "dirac_gan_inward_pull",
    "dirac_gan_jacobian",
    "dirac_gan_losses",
    "fictitious_play",
    "fold",
    "folded_size",
    "gates",
    "gaussian_shift_jacobian",
    "gaussian_shift_losses",
    "gda_contraction",
    "gda_edge",
    "gda_matrix",
    "induced_divergence",
    "interval_game",
    "interval_gradients",
    "interval_payoff",
    "interval_start",
    "interval_step",
    "line_divergences",
    "linear_descent",
    "mixture_error",
    "mode_collapse_region",
    "optimal_intervals",
    "packed_total_variation",
    "packing_bounds",
    "packing_bounds_with_collapse",
    "packing_bounds_without_collapse",
    "parallel_segments",
    "ramp_mass",
    "reachable_probability",
    "relu_kernel",
    "sampling_error",
    "scoring_rules",
    "sufficient_components",
    "sufficient_samples",
    "thresholds",
    "total_variation",
]
