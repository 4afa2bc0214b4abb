"""Closed forms and constructions from theorems on GANs and on mixtures of GANs, without any training loop."""

from mixgan_jax.theory.continuous_games import (
    ContinuousGame as ContinuousGame,
    ParticlePlayers as ParticlePlayers,
    Particles as Particles,
    feature_game as feature_game,
    particle_players as particle_players,
    point_gan as point_gan,
    polynomial_game as polynomial_game,
    trigonometric_game as trigonometric_game,
)
from mixgan_jax.theory.dirac_gan import (
    dirac_gan_inward_pull as dirac_gan_inward_pull,
    dirac_gan_jacobian as dirac_gan_jacobian,
    dirac_gan_losses as dirac_gan_losses,
)
from mixgan_jax.theory.divergences import (
    line_divergences as line_divergences,
    parallel_segments as parallel_segments,
)
from mixgan_jax.theory.folding import Folded as Folded, fold as fold, folded_size as folded_size
from mixgan_jax.theory.gaussian_shift import (
    gaussian_shift_jacobian as gaussian_shift_jacobian,
    gaussian_shift_losses as gaussian_shift_losses,
)
from mixgan_jax.theory.interval_dynamics import Dynamics as Dynamics, interval_step as interval_step
from mixgan_jax.theory.interval_game import (
    IntervalGame as IntervalGame,
    IntervalState as IntervalState,
    interval_game as interval_game,
    interval_gradients as interval_gradients,
    interval_payoff as interval_payoff,
    interval_start as interval_start,
)
from mixgan_jax.theory.interval_optimum import (
    best_interval as best_interval,
    optimal_intervals as optimal_intervals,
    total_variation as total_variation,
)
from mixgan_jax.theory.limited_discriminator import best_polynomial_logit as best_polynomial_logit
from mixgan_jax.theory.linear_games import (
    adjusted_jacobian as adjusted_jacobian,
    linear_descent as linear_descent,
)
from mixgan_jax.theory.linearized_gda import (
    best_gda_step as best_gda_step,
    condition_number as condition_number,
    gda_contraction as gda_contraction,
    gda_edge as gda_edge,
    gda_matrix as gda_matrix,
    reachable_probability as reachable_probability,
    relu_kernel as relu_kernel,
)
from mixgan_jax.theory.mixed_equilibria import (
    MixedEquilibrium as MixedEquilibrium,
    mixed_equilibrium as mixed_equilibrium,
)
from mixgan_jax.theory.nikaido_isoda import (
    nikaido_isoda as nikaido_isoda,
    nikaido_isoda_bound as nikaido_isoda_bound,
    potentials as potentials,
)
from mixgan_jax.theory.packing import (
    mode_collapse_region as mode_collapse_region,
    packed_total_variation as packed_total_variation,
    packing_bounds as packing_bounds,
    packing_bounds_with_collapse as packing_bounds_with_collapse,
    packing_bounds_without_collapse as packing_bounds_without_collapse,
)
from mixgan_jax.theory.past_play import atom_play as atom_play, fictitious_play as fictitious_play
from mixgan_jax.theory.sample_size import (
    blur_error as blur_error,
    mixture_error as mixture_error,
    sampling_error as sampling_error,
    sufficient_components as sufficient_components,
    sufficient_samples as sufficient_samples,
)
from mixgan_jax.theory.scoring_rules import (
    ScoringRule as ScoringRule,
    bayes_risk as bayes_risk,
    induced_divergence as induced_divergence,
    scoring_rules as scoring_rules,
)
from mixgan_jax.theory.selector import (
    chosen_component as chosen_component,
    gates as gates,
    ramp_mass as ramp_mass,
    thresholds as thresholds,
)
