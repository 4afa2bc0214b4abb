"""What the theorems on mixtures of GANs state and build: closed forms and constructions, no training loop."""

from mixgan_jax.theory.folding import Folded, fold, folded_size
from mixgan_jax.theory.packing import (
    mode_collapse_region,
    packed_total_variation,
    packing_bounds,
    packing_bounds_with_collapse,
    packing_bounds_without_collapse,
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
    "blur_error",
    "chosen_component",
    "fold",
    "folded_size",
    "gates",
    "mixture_error",
    "mode_collapse_region",
    "packed_total_variation",
    "packing_bounds",
    "packing_bounds_with_collapse",
    "packing_bounds_without_collapse",
    "ramp_mass",
    "sampling_error",
    "sufficient_components",
    "sufficient_samples",
    "thresholds",
]
