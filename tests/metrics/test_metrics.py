"""Coverage of modes and classes: values by hand, ceilings and floors, invariances."""

import itertools
import math
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mixgan_jax.data import gaussian_mixture, grid, ring
from mixgan_jax.metrics import (
    class_coverage,
    component_class_coverage,
    component_coverage,
    histogram_overlap,
    histogram_reverse_kl,
    mode_coverage,
    mode_histogram,
)

CENTERS = jnp.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [5.0, 5.0]])
# Nearest modes 0, 0, 0, 1, then none of high quality: 0.31 from mode 0, and far away.
SAMPLES = jnp.array([[0.0, 0.0], [0.1, 0.1], [0.0, -0.29], [1.2, 0.1], [0.22, 0.22], [9.0, -9.0]])


def test_mode_coverage_by_hand() -> None:
    """Four of six samples are of high quality, three at mode 0 and one at mode 1."""
    np.testing.assert_array_equal(mode_histogram(SAMPLES, CENTERS, 0.1), [3, 1, 0, 0])
    result = mode_coverage(SAMPLES, CENTERS, 0.1)
    assert set(result) == {"modes", "high_quality", "reverse_kl", "reverse_kl_floor"}
    assert all(value.shape == () and value.dtype == jnp.float32 for value in result.values())
    np.testing.assert_allclose(result["modes"], 2)
    np.testing.assert_allclose(result["high_quality"], 4 / 6, rtol=1e-6)
    expected = 0.75 * math.log(3) + 0.25 * math.log(1)  # sum p log(4 p)
    np.testing.assert_allclose(result["reverse_kl"], expected, rtol=1e-6)
    np.testing.assert_allclose(result["reverse_kl_floor"], 3 / 8, rtol=1e-6)


def test_threshold_and_width_of_each_mode_decide_quality() -> None:
    """(0.4, 0) is 4 widths from mode 0 but 2 widths (0.3) from mode 1, so nearest to the latter."""
    sample = jnp.array([[0.4, 0.0]])
    std = jnp.array([0.1, 0.3, 0.1, 0.1])
    np.testing.assert_array_equal(mode_histogram(sample, CENTERS, std), [0, 1, 0, 0])
    np.testing.assert_array_equal(mode_histogram(sample, CENTERS, 0.1), [0, 0, 0, 0])
    np.testing.assert_array_equal(mode_histogram(sample, CENTERS, 0.1, threshold=4.1), [1, 0, 0, 0])


@pytest.mark.parametrize(("target", "floor"), [(ring(), 0.0014), (grid(), 0.0048)])
def test_perfect_sampler_reaches_ceiling_and_floor(target, floor) -> None:
    """2,500 samples of the target, over 40 seeds under vmap: 98.9 % and (M - 1) / 2n."""
    keys = jax.random.split(jax.random.key(0), 40)
    result = jax.jit(
        jax.vmap(lambda key: mode_coverage(target.sample(key, 2500), target.means, target.std))
    )(keys)
    np.testing.assert_array_equal(result["modes"], target.means.shape[0])
    np.testing.assert_allclose(jnp.mean(result["high_quality"]), 1 - math.exp(-4.5), atol=2e-3)
    np.testing.assert_allclose(result["reverse_kl_floor"], floor, rtol=0.03)
    np.testing.assert_allclose(
        jnp.mean(result["reverse_kl"]), jnp.mean(result["reverse_kl_floor"]), rtol=0.3
    )


def test_unequal_weights_are_the_reference_of_the_kl() -> None:
    target = gaussian_mixture([[0.0, 0.0], [4.0, 0.0], [0.0, 4.0]], 0.1, [1, 3, 6])
    samples = target.sample(jax.random.key(0), 4000)
    given = mode_coverage(samples, target.means, target.std, weights=target.weights)
    uniform = mode_coverage(samples, target.means, target.std)
    assert given["reverse_kl"] < 0.003
    entropy = -sum(p * math.log(p) for p in (0.1, 0.3, 0.6))
    np.testing.assert_allclose(uniform["reverse_kl"], math.log(3) - entropy, atol=0.03)


def test_collapse_and_no_quality_at_all_both_give_log_modes() -> None:
    collapsed = mode_coverage(jnp.zeros((9, 2)), CENTERS, 0.1)
    np.testing.assert_allclose(collapsed["modes"], 1)
    np.testing.assert_allclose(collapsed["reverse_kl"], math.log(4), rtol=1e-6)
    for useless in (jnp.full((9, 2), -50.0), jnp.full((9, 2), jnp.nan), jnp.full((9, 2), jnp.inf)):
        result = mode_coverage(useless, CENTERS, 0.1)
        np.testing.assert_allclose(result["modes"], 0)
        np.testing.assert_allclose(result["high_quality"], 0)
        np.testing.assert_allclose(result["reverse_kl"], math.log(4), rtol=1e-6)
        np.testing.assert_allclose(result["reverse_kl_floor"], math.log(4), rtol=1e-6)


def test_coverage_ignores_the_order_of_samples_and_modes() -> None:
    rng = np.random.RandomState(0)
    expected = mode_coverage(SAMPLES, CENTERS, 0.1)
    shuffled = mode_coverage(SAMPLES[rng.permutation(6)], CENTERS[rng.permutation(4)], 0.1)
    for name, value in expected.items():
        np.testing.assert_allclose(shuffled[name], value, rtol=1e-6)


def test_jit_and_other_dtypes_agree() -> None:
    expected = mode_coverage(SAMPLES, CENTERS, 0.1)
    others = (
        jax.jit(mode_coverage)(SAMPLES, CENTERS, jnp.float32(0.1)),
        mode_coverage(np.asarray(SAMPLES, np.float64), np.asarray(CENTERS, np.float64), 0.1),
        jax.jit(lambda s: mode_coverage(s, CENTERS, 0.1))(SAMPLES.astype(jnp.bfloat16)),
    )
    for other in others:
        for name, value in expected.items():
            np.testing.assert_allclose(other[name], value, rtol=1e-6)


def test_component_coverage_by_hand() -> None:
    """Three components of two samples: at modes (0, 1), (0, 0), and (3, none)."""
    far = [50.0, 50.0]
    samples = jnp.array([[[0, 0], [1, 0]], [[0, 0], [0, 0]], [[5, 5], far]], jnp.float32)
    result = component_coverage(samples, CENTERS, 0.1)
    np.testing.assert_array_equal(result["modes"], [2, 1, 1])
    np.testing.assert_allclose(result["high_quality"], [1, 1, 0.5])
    np.testing.assert_allclose(result["reverse_kl"], np.log([2, 4, 4]), rtol=1e-6)
    np.testing.assert_array_equal(result["histogram"], [[1, 1, 0, 0], [2, 0, 0, 0], [0, 0, 0, 1]])
    np.testing.assert_allclose(result["overlap"], 0.5 / 3, rtol=1e-6)  # only the first two meet
    np.testing.assert_allclose(result["modes_shared"], 1)
    np.testing.assert_allclose(result["modes_union"], 3)


def test_components_alone_are_plain_coverage_and_permute_with_their_order() -> None:
    target = ring(5, 1.0, 0.1)
    keys = jax.random.split(jax.random.key(0), 3)
    samples = (
        jax.vmap(lambda key: target.sample(key, 40))(keys) * jnp.array([1, 0.9, 0.8])[:, None, None]
    )
    result = component_coverage(samples, target.means, target.std)
    order = np.array([2, 0, 1])
    permuted = component_coverage(samples[order], target.means, target.std)
    for k in range(3):
        for name, value in mode_coverage(samples[k], target.means, target.std).items():
            np.testing.assert_allclose(result[name][k], value, rtol=1e-6)
    for name, value in result.items():
        expected = value[order] if value.ndim else value
        np.testing.assert_allclose(permuted[name], expected, rtol=1e-6)


def test_overlap_is_the_mean_over_pairs() -> None:
    """Against the plain double loop, a component without counts included."""
    counts = np.random.RandomState(0).randint(0, 6, (5, 7)).astype(np.float32)
    counts[3] = 0
    p = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    pairs = [np.minimum(p[i], p[j]).sum() for i, j in itertools.combinations(range(5), 2)]
    np.testing.assert_allclose(histogram_overlap(counts), np.mean(pairs), rtol=1e-5)
    total_variation = 0.5 * np.abs(p[0] - p[1]).sum()
    np.testing.assert_allclose(histogram_overlap(counts[:2]), 1 - total_variation, rtol=1e-5)


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ([[1, 2, 3], [2, 4, 6], [10, 20, 30]], 1.0),
        ([[1, 0, 0], [0, 7, 0], [0, 0, 3]], 0.0),
        ([[1, 2, 3]], 0.0),
        ([[0, 0], [0, 0]], 0.0),
    ],
)
def test_overlap_at_its_ends(counts, expected) -> None:
    np.testing.assert_allclose(
        histogram_overlap(jnp.array(counts, jnp.float32)), expected, atol=1e-6
    )


def test_reverse_kl_of_histograms_by_hand() -> None:
    kl = histogram_reverse_kl
    np.testing.assert_allclose(kl(jnp.array([3, 3, 3])), 0.0, atol=1e-7)
    np.testing.assert_allclose(kl(jnp.array([0, 5, 0])), math.log(3), rtol=1e-6)
    np.testing.assert_allclose(kl(jnp.array([0, 5, 0]), [1, 2, 1]), math.log(2), rtol=1e-6)
    np.testing.assert_allclose(kl(jnp.array([0, 0, 0]), [1, 2, 1]), math.log(4), rtol=1e-6)
    np.testing.assert_allclose(kl(jnp.array([0, 4, 4]), [0, 1, 1]), 0.0, atol=1e-7)
    assert jnp.isinf(kl(jnp.array([1, 4, 4]), [0, 1, 1]))


def test_class_coverage_by_hand() -> None:
    """Counts 4, 2, 0, 2: entropy 1.5 bits, so 2^1.5 effective classes."""
    labels = jnp.array([0, 0, 0, 0, 1, 1, 3, 3])
    result = class_coverage(labels, 4)
    assert all(value.shape == () and value.dtype == jnp.float32 for value in result.values())
    np.testing.assert_allclose(result["classes"], 3)
    np.testing.assert_allclose(result["effective_classes"], 2**1.5, rtol=1e-6)
    np.testing.assert_allclose(result["reverse_kl"], 0.5 * math.log(2), rtol=1e-6)
    np.testing.assert_allclose(result["reverse_kl_floor"], 3 / 16, rtol=1e-6)
    np.testing.assert_allclose(class_coverage(labels, 4, min_fraction=0.3)["classes"], 1)
    np.testing.assert_allclose(class_coverage(labels, 4, min_fraction=0.25)["classes"], 3)
    matched = class_coverage(labels, 4, reference=[40, 20, 0, 20])
    np.testing.assert_allclose(matched["reverse_kl"], 0.0, atol=1e-6)


def test_probabilities_count_as_their_largest() -> None:
    labels = jnp.array([2, 0, 2, 1, 2, 2, 0])
    logits = 3.0 * jax.nn.one_hot(labels, 5) - 1.0
    for name, value in class_coverage(labels, 5).items():
        for predictions in (logits, jax.nn.softmax(logits, axis=-1)):
            np.testing.assert_allclose(class_coverage(predictions, 5)[name], value)


def test_class_collapse_and_perfect_classes() -> None:
    collapsed = class_coverage(jnp.full(50, 7), 10)
    np.testing.assert_allclose(collapsed["classes"], 1)
    np.testing.assert_allclose(collapsed["effective_classes"], 1, rtol=1e-6)
    np.testing.assert_allclose(collapsed["reverse_kl"], math.log(10), rtol=1e-6)
    even = class_coverage(jnp.tile(jnp.arange(10), 5), 10)
    np.testing.assert_allclose(even["classes"], 10)
    np.testing.assert_allclose(even["effective_classes"], 10, rtol=1e-5)
    np.testing.assert_allclose(even["reverse_kl"], 0, atol=1e-6)


def test_floor_of_stacked_mnist() -> None:
    """A perfect sampler of 1,000 equal classes with 26,000 samples: 0.0193."""
    labels = jax.random.randint(jax.random.key(0), (26_000,), 0, 1000)
    result = class_coverage(labels, 1000)
    np.testing.assert_allclose(result["reverse_kl_floor"], 0.0193, rtol=0.01)
    np.testing.assert_allclose(result["reverse_kl"], result["reverse_kl_floor"], rtol=0.15)


def test_floor_is_of_first_order() -> None:
    """At three samples a class it is 10 % too small; at one a class 0.50, where the mean is 0.573 (Poisson's)."""
    for count, rtol in ((3_000, 0.12), (1_000, 0.16)):
        keys = jax.random.split(jax.random.key(1), 20)
        labels = jax.vmap(lambda key, n=count: jax.random.randint(key, (n,), 0, 1000))(keys)
        found = component_class_coverage(labels, 1000)
        np.testing.assert_allclose(found["reverse_kl_floor"], 999 / (2 * count), rtol=1e-5)
        np.testing.assert_allclose(
            jnp.mean(found["reverse_kl"]), found["reverse_kl_floor"][0], rtol=rtol
        )
    np.testing.assert_allclose(jnp.mean(found["reverse_kl"]), 0.573, rtol=0.01)


def test_unknown_labels_are_left_out_under_jit() -> None:
    """Where values cannot be checked, neither a label of -1 nor a row of NaN may count as a class."""
    expected = class_coverage(jnp.array([0, 2, 2]), 3)
    labels = jax.jit(partial(class_coverage, num_classes=3))(jnp.array([0, -1, 2, 2, 3]))
    rows = jax.nn.one_hot(jnp.array([0, 1, 2, 2]), 3).at[1, 0].set(jnp.nan)
    probabilities = jax.jit(partial(class_coverage, num_classes=3))(rows)
    for name, value in expected.items():
        np.testing.assert_allclose(labels[name], value, rtol=1e-6)
        np.testing.assert_allclose(probabilities[name], value, rtol=1e-6)


def test_component_class_coverage_by_hand() -> None:
    labels = jnp.array([[0, 0, 1, 1], [1, 1, 2, 2], [3, 3, 3, 3]])
    result = component_class_coverage(labels, 5)
    np.testing.assert_array_equal(result["classes"], [2, 2, 1])
    np.testing.assert_allclose(result["effective_classes"], [2, 2, 1], rtol=1e-6)
    np.testing.assert_allclose(result["reverse_kl"], np.log([2.5, 2.5, 5]), rtol=1e-6)
    np.testing.assert_array_equal(result["histogram"].sum(axis=-1), [4, 4, 4])
    np.testing.assert_allclose(result["overlap"], 0.5 / 3, rtol=1e-6)
    np.testing.assert_allclose(result["classes_shared"], 1)
    np.testing.assert_allclose(result["classes_union"], 4)
    from_logits = jax.jit(partial(component_class_coverage, num_classes=5))(
        jax.nn.one_hot(labels, 5)
    )
    for name, value in result.items():
        np.testing.assert_allclose(from_logits[name], value, rtol=1e-6)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: mode_coverage(jnp.zeros(3), CENTERS, 0.1), ValueError, "samples must have rank 2"),
        (
            lambda: mode_coverage(jnp.zeros((5, 3)), CENTERS, 0.1),
            ValueError,
            r"samples must be \[N, 2\] .* got \(5, 3\)",
        ),
        (lambda: mode_coverage(jnp.zeros((0, 2)), CENTERS, 0.1), ValueError, "N >= 1"),
        (lambda: mode_coverage(SAMPLES, CENTERS, 0.0), ValueError, "std must be > 0, got 0"),
        (
            lambda: mode_coverage(SAMPLES, CENTERS, [0.1, 0.2]),
            ValueError,
            "std must be a number or",
        ),
        (
            lambda: mode_coverage(SAMPLES, CENTERS, 0.1, threshold=0.0),
            ValueError,
            "threshold must be a finite number > 0",
        ),
        (
            lambda: mode_coverage(SAMPLES, CENTERS, 0.1, weights=[1, 1]),
            ValueError,
            r"weights must have shape \(4,\)",
        ),
        (
            lambda: mode_coverage(SAMPLES, CENTERS, 0.1, weights=[1, 1, -1, 1]),
            ValueError,
            "weights must be >= 0",
        ),
        (lambda: component_coverage(SAMPLES, CENTERS, 0.1), ValueError, "samples must have rank 3"),
        (lambda: class_coverage(jnp.array([0, 3]), 3), ValueError, "predictions must lie in 0..2"),
        (
            lambda: class_coverage(jnp.array([0.0, 1.0]), 3),
            TypeError,
            "predictions must be integer",
        ),
        (lambda: class_coverage(jnp.zeros((4, 2)), 3), ValueError, "must have 3 classes on their"),
        (lambda: class_coverage(jnp.zeros(0, jnp.int32), 3), ValueError, "must not be empty"),
        (lambda: class_coverage(jnp.array([0]), 0), ValueError, "num_classes must be a whole"),
        (
            lambda: class_coverage(jnp.array([0]), 3, min_fraction=2.0),
            ValueError,
            "min_fraction must be a finite number >= 0 and <= 1, got 2.0",
        ),
    ],
)
def test_bad_arguments_are_refused(call, error, message) -> None:
    with pytest.raises(error, match=message):
        call()
