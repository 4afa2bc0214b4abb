"""Stacked MNIST, 1,000 modes: do packing, mixing, unrolling, or packing and mixing together find the most of them?

Claim: modes rise with the packing degree, the number of components and the depth of unrolling (cpu); GAN and PacGAN2-4
come out as in PacGAN's tables (paper presets; Lin et al. 2018, arXiv 1712.04086). The goal is that packed mixtures
show more modes than the best packed GAN.
Time: cpu 18 minutes on two CPU cores; the paper presets want a GPU and have not been timed (on one CPU core a step of
paper takes 61 ms for the GAN's row, one seed: 500,000 are 8 hours).

    python -m experiments stacked_mnist                                       scikit-learn's digits, on two CPU cores
    python -m experiments stacked_mnist --data-dir DIR --preset paper         MNIST, Metz's networks, D = 1/4 G
    python -m experiments stacked_mnist --data-dir DIR --preset paper_half    the same, D = 1/2 G
    python -m experiments stacked_mnist --data-dir DIR --preset paper_dcgan   MNIST, DCGAN's networks

Protocol, departures and trials are in experiments/family/README.md.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np

import mixgan_jax as mg
from experiments.common import harness, options, report
from experiments.common.image_classifier import Classifier, load_or_train
from experiments.common.image_data import load_or_exit
from experiments.common.session import session
from experiments.common.setup import num_parameters
from experiments.family import stacked_figure
from experiments.family.stacked_measures import BATCH, evaluate, of_real_stacks, show_samples
from experiments.family.stacked_methods import DEPTH, Method, build, methods, pixels
from experiments.family.stacked_verdict import MEASURES, judge, judge_orderings, published
from mixgan_jax.data import Images
from mixgan_jax.types import Array


@dataclass(frozen=True)
class Config(options.Mixing):
    """Everything a run depends on but the data themselves."""

    protocol: Literal["metz", "dcgan"] = "metz"
    """Whose networks, latents, data and final normalisation to use."""
    data_dir: str | None = None
    """Folder with the data; not needed for digits. Defaults to $TFDS_DATA_DIR."""
    dataset: str = "digits"
    """Name of a data set of digits in that folder, or digits for scikit-learn's bundled ones."""
    packings: options.Degrees = (2, 4)
    """Packing degrees of PacGAN."""
    components: options.Degrees = (3,)
    """Numbers of components of MIX+GAN."""
    packed_components: options.Degrees = (2,)
    """Numbers of components of MIX+PacGAN, a mixture with packed discriminators."""
    mixture_packing: options.Count = 4
    """Packing degree of MIX+PacGAN."""
    depths: options.Degrees = (1, 5)
    """Numbers of virtual turns that unrolled GANs look ahead; for protocol metz."""
    relativistic: bool = True
    """Whether the row with R3GAN's loss is run."""
    steps: options.Count = 2000
    """Number of updates of the discriminators."""
    batch: options.Count = 32
    """Number of packs of reals in a step, and of packs of fakes of each generator."""
    generator_steps: options.Count = 1
    """Number of updates of the generators in a step."""
    latent_size: options.Count = 64
    """Number of latents: standard normal, or uniform on (-1, 1) in protocol dcgan."""
    generator_width: options.Count = 16
    """Channels of the generators' last hidden layer."""
    discriminator_width: options.Count = 16
    """Channels of the discriminators' first layer."""
    generator_rate: options.Rate = 5e-4
    """Learning rate of the generators' Adam."""
    discriminator_rate: options.Rate = 5e-4
    """Learning rate of the discriminators' Adam."""
    beta1: options.Decay = 0.5
    """First-moment decay beta1 of Adam; R3GAN's loss has 0 instead."""
    beta2: options.Decay = 0.99
    """Second-moment decay beta2 of Adam."""
    gamma: options.Rate = 1.0
    """Coefficient of the penalties R1 and R2 in the row with R3GAN's loss."""
    samples: options.Count = 12_800
    """Number of stacks in which modes are counted, a multiple of 128."""
    classifier_updates: options.Count = 1400
    """Number of updates that train the classifier."""
    accuracy: options.Fraction = 0.985
    """Accuracy on test images that is expected of the classifier."""
    log_every: options.Count = 50


_PAPER = Config(
    dataset="mnist",
    packings=(2, 3, 4),
    components=(2, 3, 5),
    packed_components=(3,),
    depths=(1, 5, 10),
    seeds=5,
    steps=500_000,
    batch=128,
    latent_size=256,
    generator_width=8,
    discriminator_width=2,
    generator_rate=1e-4,
    discriminator_rate=2e-4,
    samples=25_600,
    classifier_updates=2800,
    accuracy=0.99,
    log_every=1000,
)
_DCGAN = replace(
    _PAPER,
    protocol="dcgan",
    depths=(),
    batch=64,
    generator_steps=2,
    latent_size=100,
    generator_width=64,
    discriminator_width=64,
    generator_rate=2e-4,
    beta2=0.999,
    samples=26_112,
    seeds=10,
    steps=100_000,
)
PRESETS = {
    "cpu": Config(),
    "paper": _PAPER,
    "paper_half": replace(_PAPER, discriminator_width=4),
    "paper_dcgan": _DCGAN,
    "smoke": Config(
        packings=(),
        components=(),
        mixture_packing=2,
        depths=(),
        relativistic=False,
        seeds=2,
        steps=20,
        batch=8,
        latent_size=8,
        generator_width=2,
        discriminator_width=2,
        samples=256,
        classifier_updates=50,
        log_every=10,
    ),
}

COLUMNS = {
    **MEASURES,
    "component_modes": ("of each", 1),
    "effective_components": ("eff. k", 1),
    "parameters": ("params", 0),
    "step_ms": ("ms/step", 1),
}


def check(config: Config) -> None:
    """Raises ValueError for a config that would fail after hours."""
    if config.samples % BATCH:
        raise ValueError(f"--samples must be a multiple of {BATCH}, got {config.samples}")
    options.check_timed(config)
    for flag, degrees in (
        ("packings", config.packings),
        ("components", config.components),
        ("packed-components", config.packed_components),
        ("mixture-packing", (config.mixture_packing,)),
    ):
        if 1 in degrees:
            raise ValueError(f"--{flag} must be above 1, which is a row of its own, got {degrees}")
    if config.depths and (config.protocol != "metz" or config.generator_steps != 1):
        raise ValueError(
            f"--depths must be empty but for protocol metz with one generator step, got {config.depths}"
        )


def check_images(config: Config, images: Images) -> None:
    """Raises ValueError for images on which training could not start."""
    build(config, pixels(config, images), Method("GAN"))


def measure(
    run: harness.Run, digits: Array, classifier: Classifier, method: Method, bar: Any
) -> tuple[dict[str, Any], np.ndarray]:
    """Trains all seeds of a method at once; returns the table's row, and samples of seed 0 ``[n, H, W, 3]``."""
    config = run.config
    setup = build(config, digits, method)
    states, seconds = harness.train(run, method.name, setup, bar)
    keys = mg.spread_over_devices(harness.seed_keys(run.seeds))
    keys = mg.evaluation_key(keys, config.steps)
    measures = evaluate(config, setup, classifier, keys, states.generators)
    first = harness.seed(states, 0)
    row = report.row(
        method.name,
        {name: [values[name] for values in measures] for name in measures[0]},
        seconds=seconds,
        **report.measured_once(
            parameters=num_parameters(first),
            step_ms=harness.step_milliseconds(run, method.name),
        ),
    )
    return row, show_samples(config, setup, first)


def draw_figures(
    run: harness.Run,
    rows: Sequence[Mapping[str, Any]],
    pictures: Mapping[str, np.ndarray],
    theirs: Sequence[Mapping[str, Any]],
    reals: Mapping[str, float],
    total: int,
) -> dict[str, Path]:
    """Draws the figures; returns their paths by the names under which they are kept."""
    captions = {row["method"]: f"{report.cell(row, 'modes', 0)} modes" for row in rows}
    strips = stacked_figure.samples(pictures, captions)
    bars = stacked_figure.bars(rows, theirs, reals, total)
    return {
        "samples": report.save_figure(run, strips, "samples"),
        "modes": report.save_figure(run, bars, "modes"),
    }


def judge_rows(config: Config, rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    return judge_orderings(config, rows, [], is_theirs=False)


def main(argv: list[str] | None = None) -> None:
    """Trains every method, measures, reports."""
    run = harness.start(
        "stacked_mnist", __doc__, PRESETS, argv, check, unhashed=("data_dir",), by_train=True
    )
    config = run.config
    images = load_or_exit(run.experiment, config.dataset, config.data_dir, None)
    with harness.refusing(run.experiment):
        check_images(config, images)
    with session(run) as bar:
        classifier = load_or_train(images, config.classifier_updates)
        reals = of_real_stacks(images, classifier, config.samples)
        digits, rows, pictures = pixels(config, images), [], {}
        for method in methods(config):
            row, pictures[method.name] = measure(run, digits, classifier, method, bar)
            rows.append(row)
        theirs = published(config)
        verdict = judge(
            config,
            rows,
            theirs,
            reals,
            classifier.test_accuracy,
            is_theirs=harness.is_paper_protocol(run),
        )
        counts = reals, classifier.num_classes**DEPTH
        draws = partial(draw_figures, run, rows, pictures, theirs, *counts)
        results, files = report.save_results(
            run, rows=rows, verdict=verdict, columns=COLUMNS, figures=draws, published=theirs
        )
    report.show(run, results, files)
    print(
        f"Stacks of real digits have {reals['modes']:.0f} modes at KL {reals['kl']:.4f}, "
        f"of which {reals['floor']:.4f} is the sampling floor."
    )


if __name__ == "__main__":
    main()
