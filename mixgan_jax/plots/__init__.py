"""Figures: samples over a density, payoff matrices with both mixtures, curves over steps, image grids.

Each function returns a ``matplotlib.figure.Figure`` that belongs to nobody else: pyplot and its global state are never
touched, so nothing needs closing and no window opens. Settings are Matplotlib's defaults and ours, never the caller's.
Colours are those of Okabe and Ito, told apart by colour-blind readers; markers and line styles differ too, so that a
print in grey still reads. Components are numbered from 0.
"""

from mixgan_jax.plots.panels import (
    image_grid as image_grid,
    plot_curves as plot_curves,
    plot_payoffs as plot_payoffs,
    plot_sample_panels as plot_sample_panels,
    plot_samples as plot_samples,
    plot_weights as plot_weights,
    save as save,
)
