"""What the theorems on mixtures of GANs state and build: closed forms and constructions, no training loop."""

from mixgan_jax.theory.folding import Folded, fold, folded_size
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
from mixgan_jax.theory.sample_size import (
    blur_error,
    mixture_error,
    sampling_error,
    sufficient_components,
    sufficient_samples,
)
from mixgan_jax.theory.selector import chosen_component, gates, ramp_mass, thresholds

__all__ = [
    "Dynamics",
    "Folded",
    "IntervalGame",
    "IntervalState",
    "best_interval",
    "blur_error",
    "chosen_component",
    "fold",
    "folded_size",
    "gates",
    "interval_game",
    "interval_gradients",
    "interval_payoff",
    "interval_start",
    "interval_step",
    "mixture_error",
    "optimal_intervals",
    "ramp_mass",
    "sampling_error",
    "sufficient_components",
    "sufficient_samples",
    "thresholds",
    "total_variation",
]
