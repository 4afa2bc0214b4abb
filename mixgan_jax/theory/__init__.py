"""What theorems on GANs and their mixtures state and build: closed forms and constructions, no training loop."""

from mixgan_jax.theory.folding import Folded, fold, folded_size
from mixgan_jax.theory.linearized_gda import (
    best_gda_step,
    condition_number,
    gda_contraction,
    gda_edge,
    gda_matrix,
    reachable_probability,
    relu_kernel,
)
from mixgan_jax.theory.sample_size import (
    blur_error,
    mixture_error,
    sampling_error,
    sufficient_components,
    sufficient_samples,
)
from mixgan_jax.theory.selector import chosen_component, gates, ramp_mass, thresholds

__all__ = [
    "Folded",
    "best_gda_step",
    "blur_error",
    "chosen_component",
    "condition_number",
    "fold",
    "folded_size",
    "gates",
    "gda_contraction",
    "gda_edge",
    "gda_matrix",
    "mixture_error",
    "ramp_mass",
    "reachable_probability",
    "relu_kernel",
    "sampling_error",
    "sufficient_components",
    "sufficient_samples",
    "thresholds",
]
