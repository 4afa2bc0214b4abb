"""Figures: samples over a density, payoff matrices with both mixtures, curves over steps, image grids.

Each function returns a ``matplotlib.figure.Figure`` that pyplot does not know: nothing needs closing, and no window
opens. Settings are Matplotlib's defaults and ours, never those of the caller. Colours are those of Okabe and Ito, which
colour-blind readers can tell apart. Markers and line styles differ too, for prints in grey. Components are numbered
from 0.
"""

from mixgan_jax.plots.atlas import plot_atlas as plot_atlas
from mixgan_jax.plots.panels import (
    image_grid as image_grid,
    plot_curves as plot_curves,
    plot_payoffs as plot_payoffs,
    plot_sample_panels as plot_sample_panels,
    plot_samples as plot_samples,
    plot_weights as plot_weights,
    save as save,
)
