"""The figure of a component atlas: its bars and cells are the atlas's numbers."""

import numpy as np
import pytest

from mixgan_jax import metrics, plots


def test_the_figure_shows_the_numbers_of_the_atlas():
    rng = np.random.default_rng(0)
    fake = (rng.normal(size=(3, 20, 2)) + np.arange(3)[:, None, None]).astype(np.float32)
    atlas = metrics.component_atlas(
        real=fake.reshape(60, 2),
        fake=fake,
        weights=[0.5, 0.3, 0.2],
        payoffs=rng.normal(size=(3, 2)),
        neighbours=2,
    )
    figure = plots.plot_atlas(atlas)
    left, middle, *losses = figure.axes[:4]
    heights = [[bar.get_height() for bar in bars] for bars in left.containers]
    np.testing.assert_allclose(heights, [atlas["coverage"], atlas["coverage_alone"]])
    np.testing.assert_allclose(middle.images[0].get_array(), atlas["overlap"])
    for axes, entry in zip(losses, ("frechet_loss", "payoff_loss"), strict=True):
        np.testing.assert_allclose([bar.get_height() for bar in axes.containers[0]], atlas[entry])


def test_a_mixture_that_is_one_component_can_be_drawn():
    rows = np.random.default_rng(1).normal(size=(1, 9, 2)).astype(np.float32)
    atlas = metrics.component_atlas(real=rows[0], fake=rows, neighbours=2)
    assert np.isnan(atlas["frechet_loss"]).all()
    assert len(plots.plot_atlas(atlas).axes) >= 3


def test_what_is_no_atlas_is_refused():
    with pytest.raises(ValueError, match=r"atlas must have the entries of component_atlas"):
        plots.plot_atlas({"coverage": [1.0]})
    atlas = {"coverage": [1.0, 0.5], "coverage_alone": [1.0, 0.5], "frechet_loss": [0.0, 0.0]}
    with pytest.raises(ValueError, match=r"atlas\['overlap'\] must be of 2 components"):
        plots.plot_atlas({**atlas, "overlap": np.eye(3)})
