"""Does a wider DCGAN fit digits better, and does it overfit?

Claim: the Frechet distance to held-out digits falls with each doubling of the networks' width, and the gap between the
distances to held-out and to training images does not grow (after Balaji et al. 2021, arXiv 2104.05605, whose figure
shows that for CIFAR-10; the numbers here are our own).
Time: 8 minutes on two CPU cores that had other work; paper wants a GPU and has not been timed.

    python -m experiments overparam_mnist --data-dir DIR                    widths 4 to 32 on two CPU cores
    python -m experiments overparam_mnist --data-dir DIR --preset paper     widths 4 to 64, longer training
    python -m experiments overparam_mnist --dataset digits                  scikit-learn's 8x8 digits, no data needed

Protocol, departures and trials are in experiments/width/README.md.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np
import optax

import mixgan_jax as mg
from experiments.common import harness, options, report, verdicts
from experiments.common.image_classifier import Classifier, load_or_train
from experiments.common.image_data import load_or_exit
from experiments.common.session import session
from experiments.common.setup import Setup
from experiments.width import overparam_mnist_figures
from mixgan_jax.data import Images, as_source, feed_or_stream, to_float
from mixgan_jax.metrics import frechet_distance
from mixgan_jax.networks import DCGANDiscriminator, DCGANGenerator
from mixgan_jax.types import Array, Key

AT_ONCE = 1000  # images that the classifier maps at once


@dataclass(frozen=True)
class Config(options.Training):
    """Everything a run depends on but the data themselves."""

    data_dir: str | None = None
    """Folder with the data; not needed for digits. Defaults to $TFDS_DATA_DIR."""
    dataset: str = "mnist"
    """Name of the data set, or digits for scikit-learn's bundled ones."""
    memory_budget: options.Budget = None
    """Memory in MiB that training images may take; larger sets are streamed."""
    widths: options.Sizes = (4, 8, 16, 32)
    """Channels of DCGAN's narrowest hidden layer, in both networks."""
    seeds: options.Count = 4
    """Number of runs of each width, with seeds 0, 1, ..."""
    steps: options.Count = 1_500
    batch: options.Count = 64
    """Number of reals in a step, and of fakes."""
    latent_size: options.Count = 64
    loss: options.LossName = "non_saturating"
    """Loss of both players, a name in mixgan_jax.losses."""
    learning_rate: options.Rate = 1e-3
    """Learning rate of Adam, both players; it falls to 0 over the run, along a cosine."""
    samples: options.Samples = 10_000
    """Number of images of each kind between which distances are taken; fewer where there are fewer."""
    log_every: options.Count = 50


PRESETS = {
    "cpu": Config(),
    "paper": Config(
        widths=(4, 8, 16, 32, 64),
        seeds=5,
        steps=30_000,
        latent_size=100,
        learning_rate=3e-4,
        log_every=200,
    ),
    "smoke": Config(
        dataset="digits", widths=(2, 4), seeds=2, steps=20, batch=16, samples=64, log_every=10
    ),
}

COLUMNS = {
    "train": ("to training images", 2),
    "held_out": ("to held-out images", 2),
    "gap": ("gap", 2),
}
REAL = "real digits"


def check(config: Config) -> None:
    """Raises ValueError for a config that would fail after hours."""
    if len(config.widths) < 2:
        raise ValueError(f"--widths must be two or more, got {config.widths}")


def build(config: Config, images: Images, width: int) -> Setup:
    """Builds players, loss, optimisers and data."""
    generator = mg.from_linen(DCGANGenerator(images.train_images.shape[1:], width=width))
    discriminator = mg.from_linen(DCGANDiscriminator(width=width))
    schedule = optax.cosine_decay_schedule(config.learning_rate, config.steps)
    tx = optax.adam(schedule, b1=config.beta1)
    loss = options.loss_of(config)
    solver = mg.gda(
        generator,
        discriminator,
        loss,
        latent_size=config.latent_size,
        generator_tx=tx,
        discriminator_tx=tx,
    )
    feed = feed_or_stream(images.train_images, config.batch)
    return Setup(generator, discriminator, solver, feed, loss, config.latent_size)


def num_samples(config: Config, images: Images) -> int:
    """Counts the images of each kind: as many as asked for, or as there are (two sets of training images)."""
    return min(config.samples, len(images.test_images), len(images.train_images) // 2)


def features(classifier: Classifier, images: Any) -> np.ndarray:
    """Computes features ``[N, 128]`` of images, uint8 or float in [-1, 1]."""
    parts = np.array_split(np.arange(len(images)), max(1, len(images) // AT_ONCE))
    chosen = (images[part] for part in parts)
    floats = (to_float(part) if part.dtype == np.uint8 else part for part in chosen)
    return np.concatenate([np.asarray(classifier.features(part)) for part in floats])


def references(run: harness.Run, images: Images, classifier: Classifier) -> list[dict[str, Any]]:
    """Computes each seed's features of training images, of as many others, and of held-out images."""
    count, source = num_samples(run.config, images), as_source(images.train_images)
    found = []
    for seed in run.seeds:
        rng = np.random.default_rng(seed)
        chosen = rng.permutation(len(source))[: 2 * count]
        held_out = images.test_images[rng.permutation(len(images.test_images))[:count]]
        parts = {
            "train": source.read(chosen[:count]),
            "others": source.read(chosen[count:]),
            "held_out": held_out,
        }
        found.append({name: features(classifier, part) for name, part in parts.items()})
    return found


def distances(reference: Mapping[str, Any], own: np.ndarray) -> dict[str, float]:
    """Takes the table's measures of one set of images, from its features."""
    train, held_out = (frechet_distance(reference[name], own) for name in ("train", "held_out"))
    return {"train": train, "held_out": held_out, "gap": held_out - train}


def draw_fakes(setup: Setup, key: Key, state: mg.MixGanState, count: int) -> Array:
    """Draws ``count`` images of one run's generator."""
    latents = jax.random.normal(key, (1, count, setup.latent_size))
    parts = np.array_split(np.arange(count), max(1, count // AT_ONCE))
    made = [
        mg.generate(setup.generator, state.generators, latents[:, part])[0][0] for part in parts
    ]
    return np.concatenate([np.asarray(part) for part in made])


def summarise(name: str, runs: Sequence[Mapping[str, float]], **extra: Any) -> dict[str, Any]:
    """Makes the table's row from every seed's measures."""
    return report.row(name, {key: [run[key] for run in runs] for key in COLUMNS}, **extra)


def judge(
    config: Config, rows: Sequence[Mapping[str, Any]], classifier: Classifier
) -> list[dict[str, Any]]:
    """Returns the verdict: what was claimed before the run against the results."""
    verdict = judge_rows(config, rows)
    if config.dataset == "mnist":
        accuracy = 100 * classifier.test_accuracy
        text = "the classifier whose features are compared can be trusted"
        verdict.append(verdicts.claim(text, ">= 98.5 %", f"{accuracy:.2f} %", accuracy >= 98.5))
    return verdict


def judge_rows(config: Config, rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Judges the claims that the table's rows decide."""
    *trained, real = rows
    falling = verdicts.trend(trained, np.log(config.widths), "held_out", "<")
    narrow, wide = trained[0], trained[-1]
    better, far = verdicts.contrast(wide, narrow, "held_out", "<")
    growth, small = verdicts.contrast(
        wide, narrow, "gap", "<=", real["held_out_mean"], by_seed=True
    )
    return [
        verdicts.claim(
            "the distance to held-out digits falls with the width",
            "slope on log width below 0",
            *falling,
        ),
        verdicts.claim(
            f"it is smaller at width {config.widths[-1]} than at {config.widths[0]}",
            verdicts.BELOW,
            better,
            far,
        ),
        verdicts.claim(
            f"the gap is not larger at width {config.widths[-1]} than at {config.widths[0]}, by seed",
            f"mean difference by seed + 2 standard errors <= {real['held_out_mean']:.2f}, that of real digits",
            growth,
            small,
        ),
    ]


def main(argv: list[str] | None = None) -> None:
    """Trains every width, measures, reports."""
    run = harness.start(
        "overparam_mnist", __doc__, PRESETS, argv, check, unhashed=("data_dir",), by_train=True
    )
    config = run.config
    images = load_or_exit(run.experiment, config.dataset, config.data_dir, config.memory_budget)
    with harness.refusing(run.experiment):
        build(config, images, config.widths[0])
    with session(run) as bar:
        results, files = train_all(run, images, bar)
    report.show(run, results, files)


def train_all(run: harness.Run, images: Images, bar: harness.ProgressBar) -> tuple[dict, dict]:
    """Trains all widths one after the other; returns the results, and figures by what they show."""
    config, classifier = run.config, load_or_train(images)
    keys = mg.evaluation_key(harness.seed_keys(run.seeds), config.steps)
    known = references(run, images, classifier)
    rows, drawn = [], []
    for width in config.widths:
        setup = build(config, images, width)
        states, seconds = harness.train(run, f"width {width}", setup, bar)
        fakes = [
            draw_fakes(setup, key, harness.seed(states, index), num_samples(config, images))
            for index, key in enumerate(keys)
        ]
        measures = [
            distances(reference, features(classifier, own))
            for reference, own in zip(known, fakes, strict=True)
        ]
        rows.append(summarise(f"width {width}", measures, seconds=seconds, width=width))
        drawn.append(fakes[0][:20])
    real = [distances(reference, reference["others"]) for reference in known]
    rows.append(summarise(REAL, real, seconds=0.0, width=None))

    def draw() -> dict[str, Path]:
        pictures = {
            "distances": overparam_mnist_figures.over_width(config.widths, rows),
            "images": overparam_mnist_figures.images_by_width(config.widths, drawn),
        }
        return {name: report.save_figure(run, own, name) for name, own in pictures.items()}

    return report.save_results(
        run,
        rows=rows,
        verdict=judge(config, rows, classifier),
        columns=COLUMNS,
        figures=draw,
    )


if __name__ == "__main__":
    main()
