"""The scores of images: of a mixture as a whole, of its components, and of the reals themselves for comparison."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, NamedTuple

import jax
import numpy as np

import mixgan_jax as mg
from experiments.common.image_classifier import Classifier
from experiments.common.setup import Setup
from mixgan_jax import metrics
from mixgan_jax.data import Images, as_source, to_float
from mixgan_jax.types import Array, Key

BLOCK = 250  # images that a network sees at once
INCEPTION = "inception."
NEIGHBOURS = 5  # of the atlas's balls


class Judge(NamedTuple):
    """What judges images.

    Attributes:
        prefix: of the names of its scores.
        features: computes the features that distances are between.
        probabilities: computes class probabilities, for the inception score.
        reals: features of the test images.
    """

    prefix: str
    features: metrics.Extractor
    probabilities: metrics.Extractor
    reals: metrics.Features


def make_judges(classifier: Classifier, images: Images, inception: str | None) -> list[Judge]:
    """Makes a judge of the classifier, and one of Inception-v3 if there is a file of its weights.

    Reals are the test images, which neither classifier nor players were trained on.
    """
    tests, names = np.asarray(to_float(images.test_images)), ("features", "probabilities")
    networks = {"": [classifier.extractor(name) for name in names]}
    if inception is not None:
        networks[INCEPTION] = [metrics.inception_extractor(inception, name) for name in names]
    return [
        Judge(prefix, *extractors, metrics.extract(extractors[0], tests, block=BLOCK))
        for prefix, extractors in networks.items()
    ]


def score_images(
    judges: Sequence[Judge], images: np.ndarray, seed: int
) -> dict[str, metrics.Score]:
    """Scores images ``[N, H, W, C]`` in [-1, 1]: Inception score, Frechet and kernel distance, precision and recall."""
    return {
        f"{judge.prefix}{name}": score
        for judge in judges
        for name, score in _scores(judge, images, seed).items()
    }


def _scores(judge: Judge, images: np.ndarray, seed: int) -> dict[str, metrics.Score]:
    fake = metrics.extract(judge.features, images, block=BLOCK, seed=seed)
    classes = metrics.extract(judge.probabilities, images, block=BLOCK, seed=seed)
    real, key = judge.reals, jax.random.key(0)  # which samples meet in a subset
    return {
        "inception_score": metrics.score(metrics.inception_score, fake=classes),
        "frechet": metrics.score(metrics.frechet_distance, real=real, fake=fake),
        "kernel": metrics.score(metrics.kernel_distance, real=real, fake=fake, key=key),
        **metrics.score(metrics.precision_recall, real=real, fake=fake),
    }


def values(scores: Mapping[str, metrics.Score]) -> dict[str, float]:
    """Returns the numbers alone."""
    return {name: score.value for name, score in scores.items()}


def provenance(scores: Mapping[str, metrics.Score]) -> dict[str, Any]:
    """Returns where the Frechet distances came from."""
    return {
        name: asdict(score.provenance) for name, score in scores.items() if name.endswith("frechet")
    }


def score_reals(
    judges: Sequence[Judge], images: Images, count: int, seed: int
) -> dict[str, metrics.Score]:
    """Scores training images as if they were generated: what a perfect generator would get."""
    source = as_source(images.train_images)
    places = np.asarray(jax.random.permutation(jax.random.key(seed), len(source)))[:count]
    return score_images(judges, np.asarray(to_float(source.read(places))), seed)


def draw(config: Any, setup: Setup, key: Key, generators: mg.Mixture) -> np.ndarray:
    """Draws ``config.samples`` images of the mixture, in float32."""
    latents_key, key = jax.random.split(key)
    latents = jax.random.normal(latents_key, (config.samples, config.latent_size))
    return np.asarray(mg.sample(key, setup.generator, generators, latents, block=1024)[0])


def component_images(setup: Setup, key: Key, generators: mg.Mixture, count: int) -> Array:
    """Draws ``[K, count, H, W, C]`` images of each component."""
    sizes = (generators.num_components, count, setup.latent_size)
    latents = jax.random.normal(key, sizes)
    return mg.generate(setup.generator, generators, latents, block=1024)[0]


def held_out_images(images: Images) -> np.ndarray:
    """Returns the test images on which payoffs are computed, 2,000 at most."""
    return images.test_images[:2_000]


def map_components(
    judge: Judge, setup: Setup, key: Key, generators: mg.Mixture, payoffs: Array, count: int
) -> dict[str, np.ndarray]:
    """Computes the atlas of a mixture: what each component covers, shares, and adds, in distance and in payoff."""
    drawn = np.asarray(component_images(setup, key, generators, count))
    fakes = [metrics.extract(judge.features, images, block=BLOCK).array for images in drawn]
    return metrics.component_atlas(
        real=judge.reals.array,
        fake=np.stack(fakes),
        weights=np.asarray(generators.weights),
        payoffs=payoffs,
        neighbours=NEIGHBOURS,
    )
