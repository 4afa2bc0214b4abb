"""Metrics: arrays in, a dict of arrays out, scalars unless they are per component.

Metrics of images take features. :func:`score` joins their numbers with where the features came from, and
:func:`compare` refuses scores that measure different things.
"""

from mixgan_jax.metrics.birthday import (
    birthday_test as birthday_test,
    detectable_support as detectable_support,
    duplicate_probability as duplicate_probability,
    shared_support as shared_support,
    support_size as support_size,
)
from mixgan_jax.metrics.coverage import (
    class_coverage as class_coverage,
    component_class_coverage as component_class_coverage,
)
from mixgan_jax.metrics.distances import (
    empirical_jensen_shannon as empirical_jensen_shannon,
    exact_wasserstein as exact_wasserstein,
    maximum_mean_discrepancy as maximum_mean_discrepancy,
    sliced_wasserstein as sliced_wasserstein,
)
from mixgan_jax.metrics.duality_gap import duality_gap_curve as duality_gap_curve
from mixgan_jax.metrics.equilibrium import equilibrium_report as equilibrium_report
from mixgan_jax.metrics.frechet import frechet_distance as frechet_distance
from mixgan_jax.metrics.histograms import (
    histogram_overlap as histogram_overlap,
    histogram_reverse_kl as histogram_reverse_kl,
)
from mixgan_jax.metrics.images.atlas import component_atlas as component_atlas
from mixgan_jax.metrics.images.duplicates import birthday_support as birthday_support
from mixgan_jax.metrics.images.estimates import (
    inception_score as inception_score,
    kernel_distance as kernel_distance,
)
from mixgan_jax.metrics.images.features import (
    Extractor as Extractor,
    Features as Features,
    extract as extract,
    hash_weights as hash_weights,
)
from mixgan_jax.metrics.images.inception import inception_extractor as inception_extractor
from mixgan_jax.metrics.images.neighbours import (
    density_coverage as density_coverage,
    precision_recall as precision_recall,
)
from mixgan_jax.metrics.images.scores import (
    Estimate as Estimate,
    Provenance as Provenance,
    Score as Score,
    compare as compare,
    score as score,
)
from mixgan_jax.metrics.images.similarity import ms_ssim_diversity as ms_ssim_diversity
from mixgan_jax.metrics.modes import (
    component_coverage as component_coverage,
    mode_coverage as mode_coverage,
    mode_histogram as mode_histogram,
)
from mixgan_jax.metrics.neural import (
    best_discriminator as best_discriminator,
    neural_net_distance as neural_net_distance,
)
from mixgan_jax.metrics.pairs import closest_pairs as closest_pairs
