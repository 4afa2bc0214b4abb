"""The measures of stacked MNIST: which of the 1,000 triples of digits a classifier reads, and how evenly.

Every sample counts, however unsure the classifier is: a filter by confidence makes numbers incomparable with the
papers' (a re-run with one reports about 100 modes for every method).
"""

from collections.abc import Mapping
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import mixgan_jax as mg
from experiments.common.image_classifier import Classifier, predict
from experiments.common.setup import Setup
from experiments.family.stacked_methods import DEPTH, latent_sampler
from mixgan_jax.data import Images, stack_labels
from mixgan_jax.metrics import class_coverage, component_class_coverage
from mixgan_jax.runs.parallel import map_runs
from mixgan_jax.types import Array, Key

BATCH = 128  # samples that a generator draws at once; in protocol metz their own statistics normalise them


def read_digits(classifier: Classifier, stacks: Array) -> Array:
    """Reads the classes ``[N]`` of stacks ``[N, H, W, 3]`` in [-1, 1], one batch of digits for each channel."""
    digits = [
        jnp.argmax(classifier.probabilities(stacks[..., channel, None]), axis=-1)
        for channel in range(DEPTH)
    ]
    return stack_labels(jnp.stack(digits, axis=-1), classifier.num_classes)


def read_components(
    config: Any, setup: Setup, classifier: Classifier, key: Key, generators: mg.Mixture
) -> Array:
    """Reads the classes of ``config.samples`` samples of each component, by batch: ``[K, N / 128, 128]``."""
    count = config.samples // BATCH

    def component(inputs: tuple[Any, Any, Key]) -> Array:
        params, state, keys = inputs

        def batch(key: Key) -> Array:
            stacks = draw(config, setup, params, state, key, BATCH)
            return read_digits(classifier, stacks)

        return jax.lax.map(batch, keys)

    keys = jax.random.split(key, (generators.num_components, count))
    return jax.lax.map(component, (generators.params, generators.state, keys))


def draw(config: Any, setup: Setup, params: Any, state: Any, key: Key, count: int) -> Array:
    """Draws samples of one generator, in [-1, 1] once it has learned the range of its data.

    In protocol dcgan data are in [0, 1], though generators end in tanh, and running averages normalise.
    """
    latents = latent_sampler(config)(key, (count, config.latent_size))
    stacks, _ = setup.generator.apply(params, state, latents, train=config.protocol == "metz")
    return 2.0 * stacks - 1.0 if config.protocol == "dcgan" else stacks


def show_samples(config: Any, setup: Setup, state: mg.MixGanState) -> np.ndarray:
    """Picks stacks for the figure, the components in turn: the first of a batch of each."""
    shown = 18
    generators = state.generators
    parts = []
    for index in range(generators.num_components):
        one = jax.tree.map(lambda leaf, i=index: leaf[i], (generators.params, generators.state))
        stacks = draw(config, setup, *one, jax.random.key(index), BATCH)
        parts.append(np.asarray(stacks[:shown]))
    return np.stack(parts, axis=1).reshape(-1, *parts[0].shape[1:])[:shown]


def evaluate(
    config: Any, setup: Setup, classifier: Classifier, keys: Key, generators: mg.Mixture
) -> list[dict[str, float]]:
    """Takes the table's measures of all runs.

    Args:
        config: the script's config.
        setup: players, solver and data.
        classifier: reads digits.
        keys: the runs' keys ``[S]``, on the devices where their states are.
        generators: the mixtures of all runs, leaves ``[S, K, ...]``.

    Returns:
        By run, the measures of a sample of the mixture, and the mean over its components of those of as many samples
        of each alone.
    """
    read = partial(read_components, config, setup, classifier)
    classes = np.asarray(jax.jit(map_runs(keys, read))(keys, generators))
    weights = np.asarray(jnp.exp(generators.log_weights))
    total = classifier.num_classes**DEPTH
    return [_measures(*run, total) for run in zip(classes, weights, strict=True)]


def _measures(classes: np.ndarray, weights: np.ndarray, total: int) -> dict[str, float]:
    shares = apportion(weights, classes.shape[1])
    mixture = np.concatenate(
        [own[:share].ravel() for own, share in zip(classes, shares, strict=True)]
    )
    whole = class_coverage(mixture, total)
    parts = component_class_coverage(classes.reshape(len(classes), -1), total)
    return {
        "modes": float(whole["classes"]),
        "kl": float(whole["reverse_kl"]),
        "component_modes": float(jnp.mean(parts["classes"])),
        "component_kl": float(jnp.mean(parts["reverse_kl"])),
        "overlap": float(parts["overlap"]),
        "effective_components": float(mg.effective_components(jnp.log(weights))),
    }


def apportion(weights: np.ndarray, count: int) -> np.ndarray:
    """Deals ``count`` whole batches to the components, as near to the weights as can be (largest remainders).

    Batches are not shared, since each is normalised by its own statistics.

    Args:
        weights: the mixture's weights ``[K]``.
        count: number of batches, >= 0.

    Returns:
        Whole numbers ``[K]`` that sum to ``count``.
    """
    quota = np.asarray(weights, np.float64) / np.sum(weights, dtype=np.float64) * count
    shares = np.floor(quota).astype(int)
    most = np.argsort(shares - quota, kind="stable")[: count - shares.sum()]
    shares[most] += 1
    return shares


def of_real_stacks(images: Images, classifier: Classifier, samples: int) -> Mapping[str, float]:
    """Measures stacks of test images: the ceiling for a generator, which includes the classifier's errors.

    Returns:
        ``modes`` and ``kl`` of such a sample, and ``floor``: the KL of as many draws from equal frequencies.
    """
    digits = predict(classifier.probabilities, images.test_images)
    stacks = np.random.default_rng(0).integers(len(digits), size=(samples, DEPTH))
    total = classifier.num_classes**DEPTH
    found = class_coverage(stack_labels(digits[stacks], classifier.num_classes), total)
    return {
        "modes": float(found["classes"]),
        "kl": float(found["reverse_kl"]),
        "floor": float(found["reverse_kl_floor"]),
    }
