"""Class coverage: which classes the samples fall into, by the predictions of a classifier.

The counterpart of :mod:`mixgan_jax.metrics.modes` for images. The modes are classes (the ten digits, or the 1,000
triples of stacked MNIST), and a sample belongs to the class that a classifier predicts. No sample is dropped for low
confidence: counts with and without such a filter cannot be compared.
"""

from typing import Annotated

import jax
import jax.numpy as jnp
import numpy as np

from mixgan_jax.checked import checked
from mixgan_jax.checks import on_host
from mixgan_jax.metrics.histograms import (
    Frequencies,
    compare_histograms,
    label_histogram,
    normalised_reference,
    summarise_histogram,
)
from mixgan_jax.penalties import weight_entropy
from mixgan_jax.types import Array, Count, Shaped, Share


@checked
def class_coverage(
    predictions: Annotated[Array, Shaped((1, 2), finite=True, moved=False)],
    num_classes: Count,
    *,
    reference: Frequencies | None = None,
    min_fraction: Share = 0.0,
) -> dict[str, Array]:
    """Counts covered classes; returns their effective number and the reverse KL of the classes' histogram.

    Args:
        predictions: predicted labels, integers 0..C-1 ``[N]``; or probabilities or logits ``[N, C]``, of which the
            largest decides (the first of equal ones). Labels out of range and rows that are not finite are errors.
            Where values are not read (under ``jit``, on an accelerator), the histogram leaves them out.
        num_classes: C, a whole number >= 1.
        reference: the classes' true frequencies ``[C]``, in any scale, for example the counts of the training
            labels; None for equal ones. A class that is 0 there makes ``reverse_kl`` infinite once predicted.
        min_fraction: a class is covered if it has one sample or more, and at least this fraction of them, 0..1. The
            default counts a single sample, as papers on stacked MNIST do. Raise it if the classifier's errors alone
            would put a sample into every class.

    Returns:
        Scalars, float32:

        - ``classes``: number of classes covered, 0..C.
        - ``effective_classes``: ``exp(entropy)`` of the histogram, 1..C; C if all are equally frequent. Unlike
          ``classes`` it hardly depends on single samples.
        - ``reverse_kl``: of the histogram to the reference, in nats, as
          :func:`~mixgan_jax.metrics.histogram_reverse_kl`: 0..log C for equal frequencies.
        - ``reverse_kl_floor``: its mean for a perfect sampler, ``(C - 1) / (2 N)`` to first order: 0.0193 for 1,000
          classes and 26,000 samples. With as few samples as classes it is 0.50, the mean 0.573.
    """
    labels = _labels(predictions, num_classes, rank=1)
    frequencies = normalised_reference("reference", reference, num_classes)
    return _coverage(labels, frequencies, min_fraction)


@checked
def component_class_coverage(
    predictions: Annotated[Array, Shaped((2, 3), finite=True, moved=False)],
    num_classes: Count,
    *,
    reference: Frequencies | None = None,
    min_fraction: Share = 0.0,
) -> dict[str, Array]:
    """Measures the class coverage of each component alone, and how far components produce the same classes.

    Args:
        predictions: labels ``[K, N]``, or probabilities or logits ``[K, N, C]``, for N samples of each component.
        num_classes: C, a whole number >= 1.
        reference: the classes' true frequencies ``[C]``, in any scale; None for equal ones.
        min_fraction: as :func:`class_coverage`; ``classes_shared`` and ``classes_union`` count single samples.

    Returns:
        - ``classes``, ``effective_classes``, ``reverse_kl``, ``reverse_kl_floor``: ``[K]`` each.
        - ``histogram``: samples of each component in each class ``[K, C]``.
        - ``overlap``: scalar, 0..1, :func:`~mixgan_jax.metrics.histogram_overlap`.
        - ``classes_shared``: scalar, number of classes that two or more components produce.
        - ``classes_union``: scalar, number of classes that any component produces.
    """
    labels = _labels(predictions, num_classes, rank=2)
    frequencies = normalised_reference("reference", reference, num_classes)
    return _component_coverage(labels, frequencies, min_fraction)


@jax.jit
def _coverage(labels: Array, reference: Array, min_fraction: float) -> dict[str, Array]:
    return _summary(label_histogram(labels, reference.shape[0]), reference, min_fraction)


@jax.jit
def _component_coverage(labels: Array, reference: Array, min_fraction: float) -> dict[str, Array]:
    histogram = jax.vmap(lambda own: label_histogram(own, reference.shape[0]))(labels)
    summary = jax.vmap(lambda counts: _summary(counts, reference, min_fraction))(histogram)
    return {**summary, "histogram": histogram, **compare_histograms(histogram, "classes")}


def _summary(histogram: Array, reference: Array, min_fraction: float) -> dict[str, Array]:
    summary = summarise_histogram(histogram, reference)
    p = histogram / jnp.maximum(jnp.sum(histogram), 1.0)
    occupied = p > 0
    del summary["captured"]  # here a class may need more than one sample
    return {
        "classes": jnp.sum(occupied & (p >= min_fraction)).astype(jnp.float32),
        "effective_classes": jnp.exp(weight_entropy(p)),
        **summary,
    }


def _labels(predictions: Array, num_classes: int, rank: int) -> Array:
    """Returns integer labels of this rank, -1 where a row of probabilities is not finite."""
    floating = jnp.issubdtype(predictions.dtype, jnp.floating)
    if floating != (predictions.ndim == rank + 1) or predictions.dtype == jnp.bool_:
        raise TypeError(
            f"predictions must be integer labels of rank {rank} or floating-point probabilities of "
            f"rank {rank + 1}, got shape {predictions.shape} and dtype {predictions.dtype}"
        )
    if 0 in predictions.shape:
        raise ValueError(f"predictions must not be empty, got shape {predictions.shape}")
    if floating:
        if predictions.shape[-1] != num_classes:
            raise ValueError(
                f"predictions must have {num_classes} classes on their last axis, "
                f"got shape {predictions.shape}"
            )
        finite = jnp.all(jnp.isfinite(predictions), axis=-1)
        return jnp.where(finite, jnp.argmax(predictions, axis=-1).astype(jnp.int32), -1)
    if on_host(predictions):
        low, high = int(np.min(np.asarray(predictions))), int(np.max(np.asarray(predictions)))
        if low < 0 or high >= num_classes:
            raise ValueError(
                f"predictions must lie in 0..{num_classes - 1}, got labels from {low} to {high}"
            )
    return jnp.asarray(predictions, jnp.int32)
