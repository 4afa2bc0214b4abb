"""Arrays from elsewhere: of other byte orders and long doubles, which are mended; masked and complex, which are not."""

import jax
import numpy as np
import pytest
from helpers import some_images

import mixgan_jax as mg
from mixgan_jax import data, metrics, plots, spectrum, theory

SQUARE = np.array([[0.25, -1.0], [0.5, 2.0]])
WEIGHTS = np.array([0.25, 0.75])
LABELS = np.array([1, 0, 3, 2, 1])


def labels_of(labels):
    return data.from_arrays(some_images(5), labels, some_images(1)).train_labels


def logged(tmp_path):
    def write(value):
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        with mg.Records(folder) as records:
            records.write(1, value=value)
        return mg.read_records(folder)[0]["value"]

    return write


# An array, the argument that holds it, and a function of it.
CASES = {
    "samples": (SQUARE, lambda x: metrics.mode_coverage(x, np.zeros((1, 2)), 1.0)["modes"]),
    "real": (SQUARE, lambda x: metrics.frechet_distance(x, SQUARE + 1)),
    "train_labels": (LABELS, labels_of),
    "images": (SQUARE / 2, data.to_uint8),
    "means": (SQUARE, lambda x: data.gaussian_mixture(x, 0.1).means),
    "value_matrix": (SQUARE, lambda x: mg.zero_sum_equilibrium(x).value),
    "log_weights": (np.log(WEIGHTS), mg.entropy),
    "p": (WEIGHTS, lambda x: theory.packed_total_variation(x, [0.5, 0.5], 2)),
    "start": (WEIGHTS, lambda x: theory.linear_descent(SQUARE, x, 0.1, 3)),
    "eigenvalues": (np.array([1.0, 0.5]), spectrum.best_step),
    "weights": (
        np.array([[0.25, 0.75]]),
        lambda x: plots.plot_weights([1.0], x).axes[0].lines[0].get_ydata(),
    ),
}


def others(array):
    """The same numbers in the other byte order, and as long doubles."""
    yield array.astype(array.dtype.newbyteorder())
    if array.dtype.kind == "f":
        yield array.astype(np.longdouble)


def masked(array):
    return np.ma.MaskedArray(array, mask=np.arange(array.size).reshape(array.shape) == 0)


@pytest.mark.parametrize("name", [*CASES, "value"])
def test_arrays_from_elsewhere(name, tmp_path) -> None:
    array, function = CASES.get(name) or (WEIGHTS, logged(tmp_path))
    expected = jax.tree.leaves(function(array))
    for other in others(array):
        for one, two in zip(jax.tree.leaves(function(other)), expected, strict=True):
            np.testing.assert_array_equal(one, two)
    unmasked = function(np.ma.MaskedArray(array, mask=False))
    for one, two in zip(jax.tree.leaves(unmasked), expected, strict=True):
        np.testing.assert_array_equal(one, two)
    with pytest.raises(TypeError, match=rf"^{name} must be .* without masked entries"):
        function(masked(array))
    if array.ndim == 2 and name != "images":
        with pytest.raises(TypeError, match=rf"^{name} must be .* without masked entries"):
            function(list(masked(array)))
    if name not in (
        "eigenvalues",
        "images",
    ):  # the first may be complex, the second says what it wants
        with pytest.raises(
            TypeError, match=rf"^{name} must be .* real numbers|^{name} .*numbers, got"
        ):
            function(array + 0j)


@pytest.mark.parametrize(
    "take",
    [
        data.from_arrays,
        data.as_source,
        data.to_float,
        lambda images: data.feed_from_images(images, 2),
        lambda images: data.feed_from_stacks(images, 2),
        lambda images: data.stream_from_images(images, 2),
    ],
    ids=["from_arrays", "as_source", "to_float", "feed", "stacks", "stream"],
)
def test_images_with_masked_pixels_are_refused(take) -> None:
    with pytest.raises(TypeError, match=r"images must be .* without masked entries"):
        take(masked(some_images(3)))


def test_long_doubles_that_float64_cannot_hold_are_refused() -> None:
    large = np.array([np.longdouble("1e4000"), 1.0])
    if not np.isfinite(large).all():
        pytest.skip("long doubles are doubles here")
    with pytest.raises(ValueError, match=r"start must fit into float64, got 1e\+4000"):
        theory.linear_descent(SQUARE, large, 0.1, 3)
