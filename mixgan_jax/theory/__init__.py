"""What the theorems on mixtures of GANs state and build: closed forms and constructions, no training loop."""

from mixgan_jax.theory.dirac_gan import dirac_gan_inward_pull, dirac_gan_jacobian, dirac_gan_losses
from mixgan_jax.theory.folding import Folded, fold, folded_size
from mixgan_jax.theory.gaussian_shift import gaussian_shift_jacobian, gaussian_shift_losses
from mixgan_jax.theory.linear_games import adjusted_jacobian, linear_descent
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
    "adjusted_jacobian",
    "blur_error",
    "chosen_component",
    "dirac_gan_inward_pull",
    "dirac_gan_jacobian",
    "dirac_gan_losses",
    "fold",
    "folded_size",
    "gates",
    "gaussian_shift_jacobian",
    "gaussian_shift_losses",
    "linear_descent",
    "mixture_error",
    "ramp_mass",
    "sampling_error",
    "sufficient_components",
    "sufficient_samples",
    "thresholds",
]
