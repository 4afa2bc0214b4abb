"""Stacked MNIST, 1,000 modes: do packing, mixing, unrolling, or packing and mixing together find the most of them?

Claim: modes rise with the packing degree, the number of components and the depth of unrolling; the goal is that packed
mixtures show more than the best packed GAN.
Time: TODO.

    python -m experiments.stacked_mnist --data-dir DIR                        few steps, on two CPU cores
    python -m experiments.stacked_mnist --data-dir DIR --preset paper         Metz's networks, D = 1/4 G
    python -m experiments.stacked_mnist --data-dir DIR --preset paper_half    the same, D = 1/2 G
    python -m experiments.stacked_mnist --data-dir DIR --preset paper_dcgan   DCGAN's networks
    python -m experiments.stacked_mnist --dataset digits                      scikit-learn's digits, no data needed

TODO protocol
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import jax
import numpy as np
import rich

import mixgan_jax as mg
from experiments.common import harness, options, report
from experiments.common.progress import Stopwatch
from experiments.common.session import session
from experiments.parts import stacked_figure
from experiments.parts.digit_classifier import Classifier, load_or_train
from experiments.parts.digit_images import load_digits
from experiments.parts.stacked_measures import BATCH, draw, evaluate, of_real_stacks
from experiments.parts.stacked_methods import DEPTH, Method, build, methods, parameters, pixels
from experiments.parts.stacked_verdict import judge, published
from mixgan_jax.data import Images
from mixgan_jax.types import Array


@dataclass(frozen=True)
class Config:
    """Everything a run depends on but the data themselves."""

    protocol: Literal["metz", "dcgan"] = "metz"
    """Whose networks, latents, data and normalisation at the end."""
    data_dir: str | None = None
    """Folder with the data; not needed for digits. Defaults to $TFDS_DATA_DIR."""
    dataset: str = "mnist"
    """Name of a data set of digits, or digits for scikit-learn's bundled ones."""
    like_paper: bool = False
    """Whether the paper's numbers are what is expected: else it is orderings."""
    packings: options.Degrees = (2, 4)
    """Of PacGAN."""
    components: options.Degrees = (3,)
    """Of MIX+GAN."""
    packed_components: options.Degrees = (2,)
    """Of MIX+PacGAN, a mixture with packed discriminators."""
    mixture_packing: options.Count = 4
    """Its packing degree."""
    depths: options.Degrees = (1, 5)
    """Virtual turns that unrolled GANs look ahead; for protocol metz."""
    relativistic: bool = True
    """Whether there is the row with R3GAN's loss."""
    seeds: options.Count = 2
    """Runs of each method, seeds 0, 1, ..."""
    steps: options.Count = 1500
    """Updates of the discriminators."""
    batch: options.Count = 32
    """Packs of reals in a step, and packs of fakes of each generator."""
    generator_steps: options.Count = 1
    """Updates of the generators in a step."""
    latent_size: options.Count = 256
    """Standard normal, or uniform on (-1, 1) in protocol dcgan."""
    generator_width: options.Count = 8
    """Channels of the generators' last hidden layer."""
    discriminator_width: options.Count = 2
    """Channels of the discriminators' first layer."""
    generator_rate: options.Rate = 1e-3
    """Learning rate of Adam."""
    discriminator_rate: options.Rate = 2e-3
    """The same, of the discriminators."""
    beta1: options.Decay = 0.5
    """Of Adam; 0 for R3GAN's loss."""
    beta2: options.Decay = 0.99
    """Of Adam."""
    gamma: options.Rate = 1.0
    """Of the penalties R1 and R2 that R3GAN's loss has."""
    weight_rate: options.Rate = 1e-3
    """Step size of exponentiated gradient."""
    weight_barrier: options.Rate = 0.1
    """Coefficient of -(1/k) sum log w."""
    samples: options.Count = 12_800
    """Stacks that modes are counted in, whole batches of 128."""
    classifier_updates: options.Count = 1400
    """Of the classifier's training."""
    accuracy: options.Fraction = 0.985
    """Of the classifier, expected on MNIST's test images."""
    log_every: options.Count = 50
    """Steps between entries of the log."""


_PAPER = Config(
    like_paper=True,
    packings=(2, 3, 4),
    components=(2, 3, 5),
    packed_components=(3,),
    depths=(1, 5, 10),
    seeds=5,
    steps=500_000,
    batch=128,
    generator_rate=1e-4,
    discriminator_rate=2e-4,
    samples=25_600,
    classifier_updates=4200,
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
        dataset="digits",
        packings=(2,),
        components=(),
        mixture_packing=2,
        depths=(),
        relativistic=False,
        steps=20,
        batch=8,
        latent_size=8,
        generator_width=2,
        samples=256,
        classifier_updates=50,
        log_every=10,
    ),
}

COLUMNS = {
    "modes": ("modes", 1),
    "kl": ("KL", 3),
    "component_modes": ("modes by each", 1),
    "effective_components": ("eff. k", 1),
    "parameters": ("parameters", 0),
    "step_ms": ("ms/step", 1),
}


def check(config: Config) -> None:
    """Raises ValueError for what would otherwise fail after hours."""
    if config.samples % BATCH:
        raise ValueError(f"--samples must be a multiple of {BATCH}, got {config.samples}")
    if config.steps <= config.log_every:
        # The time of a step is taken between two entries of the log.
        raise ValueError(
            f"--steps must be more than log_every = {config.log_every}, got {config.steps}"
        )
    for flag, degrees in (
        ("packings", config.packings),
        ("components", config.components),
        ("packed-components", config.packed_components),
    ):
        if 1 in degrees:
            raise ValueError(f"--{flag} must be above 1, which is a row of its own, got {degrees}")
    if config.depths and (config.protocol != "metz" or config.generator_steps != 1):
        raise ValueError(
            f"--depths must be empty but for protocol metz with one generator step, got {config.depths}"
        )


def check_images(config: Config, images: Images) -> None:
    """Raises ValueError for images that could not be trained on."""
    build(config, pixels(config, images), Method("GAN"))


def measure(
    run: harness.Run, digits: Array, classifier: Classifier, method: Method, bar: Any
) -> tuple[dict[str, Any], np.ndarray]:
    """Trains all seeds of a method at once; the table's row, and samples of seed 0 ``[n, H, W, 3]``."""
    config = run.config
    setup = build(config, digits, method)
    states, seconds = harness.train(run, method.name, setup, bar)
    keys = mg.spread_over_devices(harness.seed_keys(config.seeds))
    keys = mg.evaluation_key(keys, config.steps)
    measures = evaluate(config, setup, classifier, keys, states.generators)
    first = harness.seed(states, 0)
    row = report.row(
        method.name,
        {name: [values[name] for values in measures] for name in measures[0]},
        seconds=seconds,
        parameters_mean=parameters(setup, first),
        parameters_stderr=None,
        step_ms_mean=1000.0 * Stopwatch(harness.method_folder(run, method.name)).step_seconds,
        step_ms_stderr=None,
    )
    return row, show_samples(config, setup, first)


def show_samples(config: Config, setup: Any, state: mg.MixGanState) -> np.ndarray:
    """Stacks for the figure, the components in turn: the first of a batch of each."""
    shown = 18
    generators = state.generators
    parts = []
    for index in range(generators.num_components):
        one = harness.seed((generators.params, generators.state), index)
        stacks = draw(config, setup, *one, jax.random.key(index), BATCH)
        parts.append(np.asarray(stacks[:shown]))
    return np.stack(parts, axis=1).reshape(-1, *parts[0].shape[1:])[:shown]


def draw_figures(
    run: harness.Run,
    rows: Sequence[Mapping[str, Any]],
    pictures: Mapping[str, np.ndarray],
    reals: Mapping[str, float],
    total: int,
) -> dict[str, Path]:
    """The figures, by the name under which they are kept."""
    captions = {row["method"]: f"{report.cell(row, 'modes', 0)} modes" for row in rows}
    note = "the paper's" if run.config.like_paper else "the paper's, after 500,000 steps"
    strips = stacked_figure.samples(pictures, captions)
    bars = stacked_figure.bars(rows, published(run.config), reals, total, note)
    return {
        "samples": report.save_figure(run, strips, "samples"),
        "modes": report.save_figure(run, bars, "modes"),
    }


def main(argv: list[str] | None = None) -> None:
    """Trains every method, measures, reports."""
    run = harness.start("stacked_mnist", __doc__, PRESETS, argv, check, unhashed=("data_dir",))
    config = run.config
    images = load_digits(run.experiment, config.dataset, config.data_dir, None)
    with harness.refusing(run.experiment):
        check_images(config, images)
    with session(run) as bar:
        classifier = load_or_train(images, config.classifier_updates)
        reals = of_real_stacks(images, classifier, config.samples)
        digits, rows, pictures = pixels(config, images), [], {}
        for method in methods(config):
            row, pictures[method.name] = measure(run, digits, classifier, method, bar)
            rows.append(row)
        files = draw_figures(run, rows, pictures, reals, classifier.num_classes**DEPTH)
        verdict = judge(config, rows, reals, classifier.test_accuracy)
        results = report.save_results(
            run, rows=rows, verdict=verdict, columns=COLUMNS, figures=files
        )
    report.show(run, results, files)
    rich.print(f"stacks of real digits: {reals['modes']:.0f} modes, KL {reals['kl']:.4f}; ")


if __name__ == "__main__":
    main()
