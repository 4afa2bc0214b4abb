"""GAN losses: pure, element-wise functions of logits, and their values at the equilibrium.

A loss is a :class:`GanLoss`: keyword-only ``real=`` and ``fake=`` logits in, unreduced terms out. ``r`` and ``f`` stand
for the logits of a real and of a fake. The table gives each loss's values at D = 1/2:

    =====================  ===========  =============  =========  ========
    loss                   value        discriminator  generator  zero-sum
    =====================  ===========  =============  =========  ========
    minimax, logistic      -2 log 2     2 log 2        -log 2     yes
    non_saturating         -2 log 2     2 log 2        log 2      no
    wasserstein            0            0              0          yes
    hinge                  -2           2              0          no
    least_squares          -1/4         1/4            1/8        no
    relativistic           -log 2       log 2          log 2      no
    measuring(phi)         2 phi(1/2)   -2 phi(1/2)    phi(1/2)   yes
    brier                  -1/2         1/2            -1/4       yes
    exponential            -2           2              -1         yes
    kl                     0            0              -1         yes
    reverse_kl             0            0              1          yes
    other f-divergences    0            0              0          yes
    =====================  ===========  =============  =========  ========
"""

from mixgan_jax.losses.classic import (
    hinge as hinge,
    least_squares as least_squares,
    minimax as minimax,
    non_saturating as non_saturating,
    relativistic as relativistic,
    wasserstein as wasserstein,
)
from mixgan_jax.losses.core import (
    GanLoss as GanLoss,
    equilibrium_values as equilibrium_values,
    separable as separable,
)
from mixgan_jax.losses.divergences import (
    jensen_shannon as jensen_shannon,
    kl as kl,
    pearson as pearson,
    reverse_kl as reverse_kl,
    squared_hellinger as squared_hellinger,
    total_variation as total_variation,
)
from mixgan_jax.losses.scoring import (
    MeasuringFunction as MeasuringFunction,
    brier as brier,
    exponential as exponential,
    logistic as logistic,
    measuring as measuring,
    phi_bounded_log as phi_bounded_log,
    phi_identity as phi_identity,
    phi_log as phi_log,
)
