"""Metrics: arrays in, a dict of arrays out, scalars unless they are per component."""

from mixgan_jax.metrics.birthday import (
    birthday_test,
    detectable_support,
    duplicate_probability,
    shared_support,
    support_size,
)
from mixgan_jax.metrics.coverage import class_coverage, component_class_coverage
from mixgan_jax.metrics.distances import (
    empirical_jensen_shannon,
    exact_wasserstein,
    maximum_mean_discrepancy,
    sliced_wasserstein,
)
from mixgan_jax.metrics.equilibrium import equilibrium_report
from mixgan_jax.metrics.frechet import frechet_distance
from mixgan_jax.metrics.modes import (
    component_coverage,
    histogram_overlap,
    histogram_reverse_kl,
    mode_coverage,
    mode_histogram,
)
from mixgan_jax.metrics.neural import best_discriminator, neural_net_distance
from mixgan_jax.metrics.pairs import closest_pairs

__all__ = [
    "best_discriminator",
    "birthday_test",
    "class_coverage",
    "closest_pairs",
    "component_class_coverage",
    "component_coverage",
    "detectable_support",
    "duplicate_probability",
    "empirical_jensen_shannon",
    "equilibrium_report",
    "exact_wasserstein",
    "frechet_distance",
    "histogram_overlap",
    "histogram_reverse_kl",
    "maximum_mean_discrepancy",
    "mode_coverage",
    "mode_histogram",
    "neural_net_distance",
    "shared_support",
    "sliced_wasserstein",
    "support_size",
]
