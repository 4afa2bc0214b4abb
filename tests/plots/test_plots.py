"""Figures: what is drawn, and how it is labelled; not its pixels."""

import subprocess
import sys

import jax
import jax.numpy as jnp
import matplotlib
import numpy as np
import pytest
from matplotlib.collections import PathCollection
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from mixgan_jax import plots
from mixgan_jax.data.synthetic import ring


def drawn(axes):
    """The point clouds of an axes, in the order drawn."""
    return [np.asarray(c.get_offsets()) for c in axes.collections if isinstance(c, PathCollection)]


def texts(fig):
    legends = fig.legends + [axes.get_legend() for axes in fig.axes if axes.get_legend()]
    return [text.get_text() for legend in legends for text in legend.get_texts()]


@pytest.fixture
def groups():
    """Samples ``[K, N, 2]`` for K = 3, N = 7, away from the axes' corners."""
    return np.random.default_rng(0).normal(size=(3, 7, 2))


def test_samples_by_component_over_the_density(groups):
    target = ring(8, 2.0, 0.02)
    fig = plots.plot_samples(
        jnp.asarray(groups, jnp.float32),
        log_prob=target.log_prob,
        centers=target.means,
        weights=[0.5, 0.3, 0.2],
        limits=(-3.0, 3.0),
        title="ring",
    )
    (axes,) = fig.axes
    (bar,) = axes.child_axes
    clouds = drawn(axes)
    assert len(clouds) == 4
    np.testing.assert_allclose(np.stack(clouds[:3]), groups, atol=1e-6)
    np.testing.assert_allclose(clouds[3], target.means, atol=1e-6)
    colours = {to_hex(collection.get_facecolor()[0]) for collection in axes.collections[:3]}
    assert len(colours) == 3
    assert texts(fig) == [f"component {i}, w = {w:.2f}" for i, w in enumerate((0.5, 0.3, 0.2))]
    assert axes.get_title() == "ring" and axes.get_xlim() == axes.get_ylim() == (-3.0, 3.0)
    assert "density" in bar.get_ylabel() and "0.06" in bar.get_ylabel()


def test_the_shaded_density_is_smoothed_keeps_its_mass_and_stands_in_place():
    """A mode of std 0.02 must be several cells wide, where the density puts it."""
    std, width = 0.02, 0.08

    def log_prob(x):
        offset = (x - jnp.array([[1.0, -0.5]])) / std
        return -0.5 * jnp.sum(offset**2, axis=-1) - jnp.log(2 * jnp.pi * std**2)

    fig = plots.plot_samples(
        np.zeros((4, 2)), log_prob=log_prob, limits=(-2.0, 2.0), bandwidth=width
    )
    image = np.asarray(fig.axes[0].images[0].get_array())
    cell = 4.0 / (len(image) - 1)
    assert image.sum() * cell**2 == pytest.approx(1.0, rel=0.01)
    row, column = np.unravel_index(image.argmax(), image.shape)
    assert (-2 + column * cell, -2 + row * cell) == (
        pytest.approx(1, abs=0.02),
        pytest.approx(-0.5, abs=0.02),
    )
    assert image.max() == pytest.approx(1 / (2 * np.pi * (std**2 + width**2)), rel=0.03)
    assert fig.axes[0].images[0].origin == "lower"


def test_plain_samples_need_no_legend_and_at_most_max_points_are_drawn():
    samples = np.random.default_rng(1).normal(size=(50, 2))
    fig = plots.plot_samples(samples, max_points=11)
    (axes,) = fig.axes
    np.testing.assert_allclose(drawn(axes)[0], samples[:11], rtol=1e-6)
    assert texts(fig) == []
    low, high = axes.get_xlim()
    assert low < np.quantile(samples, 0.01) and high > np.quantile(samples, 0.99)


def test_panels_share_axes_and_keep_the_order_of_methods(groups):
    target = ring()
    samples = {"GAN": groups[0], "wide GAN": groups[1] * 9, "MIX+GAN": groups}
    fig = plots.plot_sample_panels(
        samples, centers=target.means, captions={"MIX+GAN": "6.8 of 8 modes"}
    )
    assert [axes.get_title() for axes in fig.axes] == list(samples)
    assert [axes.get_xlabel() for axes in fig.axes] == ["", "", "6.8 of 8 modes"]
    assert len({(axes.get_xlim(), axes.get_ylim()) for axes in fig.axes}) == 1
    assert [len(drawn(axes)) for axes in fig.axes] == [2, 2, 4]
    np.testing.assert_allclose(drawn(fig.axes[1])[0], groups[1] * 9, rtol=1e-6)


def test_payoffs_with_learned_and_equilibrium_weights():
    matrix = np.arange(6.0).reshape(2, 3) - 1.386
    learned, best = ([0.4, 0.6], [0.2, 0.3, 0.5]), ([1.0, 0.0], [0.0, 0.25, 0.75])
    fig = plots.plot_payoffs(
        matrix, *learned, equilibrium=best, value=-1.386, nash_conv=0.0123, label="payoff (nats)"
    )
    heat, left, top = fig.axes
    (bar,) = heat.child_axes
    np.testing.assert_allclose(heat.images[0].get_array(), matrix, rtol=1e-6)
    assert {t.get_text() for t in heat.texts} == {f"{entry:.2f}" for entry in matrix.flat}
    numbers = {tuple(np.round(t.get_position())): t.get_text() for t in heat.texts}
    assert numbers[(2, 0)] == "0.61"  # column 2, row 0
    widths = [[patch.get_width() for patch in bars] for bars in left.containers]
    heights = [[patch.get_height() for patch in bars] for bars in top.containers]
    np.testing.assert_allclose(widths, [learned[0], best[0]])
    np.testing.assert_allclose(heights, [learned[1], best[1]], atol=1e-7)
    assert left.get_ylabel() == "generator" and heat.get_xlabel() == "discriminator"
    assert bar.get_ylabel() == "payoff (nats)"
    assert texts(fig) == ["learned", "equilibrium"]
    assert top.get_title() == "value -1.386, NashConv 0.0123"
    # Row 0 is on top in the matrix, and its bar beside it.
    assert left.get_ylim() == heat.get_ylim() and heat.get_ylim()[0] > heat.get_ylim()[1]


def test_large_payoff_matrices_are_not_written_out():
    fig = plots.plot_payoffs(np.zeros((9, 4)), np.full(9, 1 / 9), np.full(4, 0.25))
    assert len(fig.axes[0].texts) == 0 and texts(fig) == [] and fig.axes[2].get_title() == ""


@pytest.mark.parametrize("layout", ["seeds inside", "a log per seed"])
def test_curves_are_means_over_seeds_with_a_standard_error(layout):
    values = np.random.default_rng(2).normal(size=(6, 4))  # steps, seeds
    steps = np.arange(6) * 10
    if layout == "seeds inside":
        records = [
            {"step": int(t), "loss": row.tolist()} for t, row in zip(steps, values, strict=True)
        ]
        records.insert(3, {"step": 25, "fid": 3.0})
    else:
        records = [
            [{"step": int(t), "loss": float(v)} for t, v in zip(steps, column, strict=True)]
            for column in values.T
        ]
    fig = plots.plot_curves(records, ["loss"], equilibrium={"loss": 2 * np.log(2)}, ylabel="nats")
    (axes,) = fig.axes
    curve, level = axes.lines[:2]
    np.testing.assert_array_equal(curve.get_xdata(), steps)
    np.testing.assert_allclose(curve.get_ydata(), values.mean(axis=1))
    assert set(level.get_ydata()) == {2 * np.log(2)} and level.get_linestyle() == ":"
    vertices = axes.collections[0].get_paths()[0].vertices
    error = values.std(axis=1, ddof=1) / 2
    at_second = vertices[vertices[:, 0] == 10, 1]
    mean = values.mean(axis=1)[1]
    assert at_second.min() == pytest.approx(mean - error[1])
    assert at_second.max() == pytest.approx(mean + error[1])
    assert texts(fig) == ["loss", "equilibrium"]
    assert axes.get_xlabel() == "step" and axes.get_ylabel() == "nats"
    assert [text.get_text() for text in axes.texts] == ["1.39"]


def test_a_single_seed_has_no_band_and_curves_differ_without_colour():
    records = [{"step": step, "a": 1.0 * step, "b": 2.0} for step in range(4)]
    axes = plots.plot_curves(records, ["a", "b"]).axes[0]
    assert not axes.collections
    assert len({str(line.get_linestyle()) for line in axes.lines}) == 2


def test_weights_over_steps_with_the_uniform_line():
    weights = np.array([[0.2, 0.3, 0.5], [0.1, 0.2, 0.7]])
    fig = plots.plot_weights([0, 100], jnp.asarray(weights, jnp.float32))
    (axes,) = fig.axes
    np.testing.assert_allclose([line.get_ydata() for line in axes.lines[:3]], weights.T, atol=1e-6)
    assert set(axes.lines[3].get_ydata()) == {1 / 3}
    assert len({line.get_marker() for line in axes.lines[:3]}) == 3
    assert texts(fig) == ["component 0", "component 1", "component 2", "uniform"]
    assert axes.get_ylim()[0] == 0 and axes.get_ylim()[1] > 0.7


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("kind", ["uint8", "float"])
def test_image_grid_places_every_image(channels, kind):
    images = np.random.default_rng(3).integers(0, 256, (2, 5, 4, 6, channels), dtype=np.uint8)
    given = images if kind == "uint8" else (images / 127.5 - 1).astype(np.float32)
    fig = plots.image_grid(given, weights=[0.25, 0.75], columns=3, title="digits")
    assert [axes.get_ylabel() for axes in fig.axes] == [
        "component 0\nw = 0.25",
        "component 1\nw = 0.75",
    ]
    assert fig.axes[0].get_title() == "digits"
    for k, axes in enumerate(fig.axes):
        picture = np.asarray(axes.images[0].get_array())
        assert picture.shape == (2 * 4 + 1, 3 * 6 + 2, 3) and picture.dtype == np.uint8
        for n in range(5):
            top, left = (n // 3) * 5, (n % 3) * 7
            tile = picture[top : top + 4, left : left + 6]
            np.testing.assert_array_equal(tile, np.broadcast_to(images[k, n], (4, 6, 3)))
        assert np.all(picture[5:, 14:] == 255)  # the sixth place is empty


def test_bad_arguments_are_named(groups):
    third, half = np.full(3, 1 / 3), np.full(2, 0.5)
    matrix, images = np.zeros((3, 2)), np.zeros((1, 2, 4, 4, 1))
    bad = [
        ("samples", lambda: plots.plot_samples(np.zeros(4))),
        ("samples", lambda: plots.plot_samples(np.zeros((4, 3)))),
        ("samples", lambda: plots.plot_samples(np.full((4, 2), np.nan))),
        ("centers", lambda: plots.plot_samples(groups, centers=np.zeros(2))),
        ("centers", lambda: plots.plot_samples(groups, centers=np.zeros((4, 3)))),
        ("limits", lambda: plots.plot_samples(groups, limits=(1.0, -1.0))),
        ("weights", lambda: plots.plot_samples(groups, weights=half)),
        ("bandwidth", lambda: plots.plot_samples(groups, log_prob=jnp.sum, bandwidth=0.0)),
        ("log_prob", lambda: plots.plot_samples(groups, log_prob=jnp.sum)),
        ("max_points", lambda: plots.plot_samples(groups, max_points=0)),
        ("samples", lambda: plots.plot_sample_panels({})),
        (r"samples\['b'\]", lambda: plots.plot_sample_panels({"a": groups, "b": np.zeros(2)})),
        ("captions", lambda: plots.plot_sample_panels({"a": groups}, captions={"c": "x"})),
        ("value_matrix", lambda: plots.plot_payoffs(np.zeros(3), third, half)),
        ("generator_weights", lambda: plots.plot_payoffs(matrix, half, half)),
        ("discriminator_weights", lambda: plots.plot_payoffs(matrix, third, third)),
        (
            r"equilibrium\[1\]",
            lambda: plots.plot_payoffs(matrix, third, half, equilibrium=(third, third)),
        ),
        ("names", lambda: plots.plot_curves([{"step": 0, "loss": 1.0}], ["los"])),
        (r"records\['a'\]", lambda: plots.plot_curves([{"step": 0, "a": [[1.0]]}], ["a"])),
        (
            "equilibrium",
            lambda: plots.plot_curves([{"step": 0, "a": 1.0}], ["a"], equilibrium={"b": 0.0}),
        ),
        ("steps", lambda: plots.plot_weights([0], np.full((2, 2), 0.5))),
        ("weights", lambda: plots.plot_weights([0, 1], np.log(np.full((2, 2), 0.5)))),
        ("images", lambda: plots.image_grid(images[0])),
        ("images", lambda: plots.image_grid(images.astype(int))),
        ("images", lambda: plots.image_grid(images + 2.0)),
        ("images", lambda: plots.image_grid(images * np.nan)),
        ("images", lambda: plots.image_grid(np.zeros((1, 2, 4, 4, 2)))),
        ("columns", lambda: plots.image_grid(images, columns=0)),
    ]
    for name, call in bad:
        with pytest.raises((ValueError, TypeError), match=rf"^{name} must"):
            call()


def test_figures_are_saved_and_leave_no_trace(tmp_path, groups):
    before = dict(matplotlib.rcParams)
    fig = plots.plot_samples(groups)
    assert isinstance(fig, Figure)
    for name in ("a.png", "deep/b.pdf"):
        path = plots.save(fig, tmp_path / name)
        assert path == tmp_path / name and path.stat().st_size > 1000
    vector = [plots.save(plots.plot_samples(groups), tmp_path / f"{i}.svg") for i in range(2)]
    assert vector[0].read_bytes() == vector[1].read_bytes()
    assert dict(matplotlib.rcParams) == before
    assert "matplotlib.pyplot" not in sys.modules or not matplotlib.pyplot.get_fignums()


def test_settings_of_the_caller_have_no_part_in_a_figure(tmp_path, groups):
    """Pictures upside down, LaTeX that is not installed, other sizes: the file is the same byte for byte."""
    images = np.random.default_rng(0).integers(0, 256, (1, 2, 4, 4, 1), dtype=np.uint8)

    def files(folder):
        drawn = plots.image_grid(images, title="images"), plots.plot_samples(groups, title="$x$")
        paths = [plots.save(fig, tmp_path / folder / f"{i}.svg") for i, fig in enumerate(drawn)]
        return [path.read_bytes() for path in paths]

    expected = files("usual")
    odd = {"image.origin": "lower", "text.usetex": True, "axes.grid": True, "font.size": 20}
    with matplotlib.rc_context(odd | {"lines.linewidth": 9, "savefig.facecolor": "black"}):
        before = dict(matplotlib.rcParams)
        assert files("odd") == expected
        assert dict(matplotlib.rcParams) == before


def test_images_in_zero_to_one_need_a_range():
    """Taken for [-1, 1] their black would be grey."""
    levels = np.arange(256, dtype=np.uint8).reshape(1, 1, 16, 16, 1)
    with pytest.raises(ValueError, match=r"^images must lie in .*value_range=\(0, 1\)"):
        plots.image_grid(levels / 255)
    for images, value_range in ((levels / 255, (0, 1)), (levels / 127.5 - 1, None)):
        fig = plots.image_grid(images, value_range=value_range)
        shown = np.asarray(fig.axes[0].images[0].get_array())[..., :1]
        np.testing.assert_array_equal(shown, levels[0, 0])


def test_matplotlib_is_imported_only_for_a_figure():
    program = (
        "import sys, mixgan_jax.plots as plots\n"
        "assert 'matplotlib' not in sys.modules\n"
        "plots.plot_weights([0, 1], [[1.0], [1.0]])\n"
        "assert 'matplotlib.figure' in sys.modules and 'matplotlib.pyplot' not in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_arrays_of_any_device_are_fetched():
    device = jax.devices()[-1]
    samples = jax.device_put(jnp.ones((3, 2)), device)
    np.testing.assert_array_equal(drawn(plots.plot_samples(samples).axes[0])[0], np.ones((3, 2)))


def test_crowded_axes_are_an_image_in_an_svg_and_others_stay_vectors(tmp_path):
    few, many = np.ones((50, 2)), np.random.default_rng(0).normal(size=(10_000, 2))
    figure = Figure()
    left, right = figure.subplots(1, 2)
    left.plot(*few.T)
    right.plot(*many.T)
    left.set_title("few")
    path = plots.save(figure, tmp_path / "a.svg")
    assert not left.lines[0].get_rasterized() and right.lines[0].get_rasterized()
    assert path.read_text().count("<image") == 1 and path.stat().st_size < 200_000
