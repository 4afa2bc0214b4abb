"""MIX+DCGAN on real digits: what each component draws, and whether the weights are an equilibrium of their game.

Claim: the mixture draws all ten digits; the learned weights are no further from an equilibrium of the game between the
components than uniform ones (our own claims: Arora et al. 2017, arXiv 1703.00573, show samples of MIX+DCGAN, and we
know of no number for MNIST to check against).
Time: 12 minutes on two CPU cores; paper wants a GPU and has not been timed.

    python -m experiments mix_gan_mnist --data-dir DIR                    MNIST on two CPU cores
    python -m experiments mix_gan_mnist --data-dir DIR --preset paper     full width, k up to 5, all pairs
    python -m experiments mix_gan_mnist --data-dir DIR --preset gpu       the same in minutes, for a tenth of the steps
    python -m experiments mix_gan_mnist --dataset digits                  scikit-learn's 8x8 digits, no data needed

Protocol, departures and trials are in experiments/images/README.md.
"""

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

import mixgan_jax as mg
from experiments.common import harness, options, report, verdicts
from experiments.common.image_classifier import Classifier, load_or_train
from experiments.common.image_data import load_or_exit
from experiments.common.session import session
from experiments.common.setup import Setup
from mixgan_jax.data import Images, feed_or_stream
from mixgan_jax.metrics import class_coverage, component_class_coverage, equilibrium_report
from mixgan_jax.networks import DCGANDiscriminator, DCGANGenerator
from mixgan_jax.players.pairing import Pairing
from mixgan_jax.types import Array, Key


@dataclass(frozen=True)
class Config(options.Mixing):
    """Everything a run depends on but the data themselves."""

    data_dir: str | None = None
    """Folder with the data; not needed for digits. Defaults to $TFDS_DATA_DIR."""
    dataset: str = "mnist"
    """Name of the data set, or digits for scikit-learn's bundled ones."""
    memory_budget: options.Budget = None
    """Memory in MiB that training images may take; larger sets are streamed."""
    components: options.Components = (1, 3)
    """Numbers of generators to compare; there are as many discriminators."""
    steps: options.Count = 3_000
    batch: options.Count = 60
    pairing: Pairing = "latin"
    """Which fakes meet which discriminators."""
    latent_size: options.Count = 64
    width: options.Count = 32
    """Channels of DCGAN's narrowest hidden layer."""
    loss: options.LossName = "non_saturating"
    """Loss of both players, a name in mixgan_jax.losses."""
    learning_rate: options.Rate = 3e-4
    """Learning rate of Adam, both players; it falls to 0 over the run, along a cosine."""
    samples: options.Samples = 2_000
    """Number of images on which the table's measures are taken."""
    log_every: options.Count = 50


LARGE = Config(batch=64, pairing="full", latent_size=100, width=64, samples=10_000)
PRESETS = {
    "cpu": Config(),
    "paper": replace(LARGE, components=(1, 2, 3, 5), seeds=5, steps=30_000, log_every=200),
    "gpu": replace(LARGE, components=(1, 3, 5), seeds=3, steps=3_000, log_every=100),
    "smoke": Config(
        dataset="digits",
        components=(1, 2),
        seeds=2,
        steps=20,
        batch=16,
        width=4,
        samples=64,
        log_every=10,
    ),
}

COLUMNS = {
    "classes": ("digits", 1),
    "component_classes": ("by each", 1),
    "reverse_kl": ("reverse KL", 3),
    "effective_components": ("eff. k", 1),
    "nash_conv": ("NashConv", 3),
    "nash_conv_uniform": ("if uniform", 3),
}


def check(config: Config) -> None:
    """Raises ValueError for a config that would fail after hours."""
    for components in config.components:
        try:
            mg.fakes_per_generator(config.pairing, config.batch, components, components)
        except ValueError as error:  # "batch must be ..."
            raise ValueError(f"--{error}") from None


def check_images(config: Config, images: Images) -> None:
    """Raises ValueError for images on which training or judging could not reach its end."""
    if len(images.test_images) < 2 * config.batch:
        raise ValueError(
            f"--batch must be at most half of the {len(images.test_images)} test images, got {config.batch}"
        )
    build(config, images, 1)


def build(config: Config, images: Images, components: int) -> Setup:
    """Builds players, loss, optimisers and data."""
    shape = images.train_images.shape[1:]
    generator = mg.from_linen(DCGANGenerator(shape, width=config.width))
    discriminator = mg.from_linen(DCGANDiscriminator(width=config.width))
    schedule = optax.cosine_decay_schedule(config.learning_rate, config.steps)
    tx = optax.adam(schedule, b1=config.beta1)
    loss = options.loss_of(config)
    solver = mg.mix_gan(
        generator,
        discriminator,
        loss,
        num_generators=components,
        num_discriminators=components,
        latent_size=config.latent_size,
        generator_tx=tx,
        discriminator_tx=tx,
        weight_tx=mg.exponentiated_gradient(config.weight_rate),
        weight_barrier=config.weight_barrier,
        pairing=config.pairing,
    )
    feed = feed_or_stream(images.train_images, config.batch)
    return Setup(generator, discriminator, solver, feed, loss, config.latent_size)


def evaluate(
    config: Config,
    images: Images,
    classifier: Classifier,
    setup: Setup,
    key: Key,
    state: mg.MixGanState,
) -> dict[str, Any]:
    """Computes the table's measures of one run."""
    keys = jax.random.split(key, 4)
    latents = jax.random.normal(keys[0], (config.samples, config.latent_size))
    drawn, _ = mg.sample(keys[1], setup.generator, state.generators, latents)
    probabilities = classifier.probabilities(drawn)
    test_histogram = np.bincount(images.test_labels, minlength=classifier.num_classes)
    whole = class_coverage(probabilities, classifier.num_classes, reference=test_histogram)
    num_components = state.generators.num_components
    by_component, _ = mg.generate(
        setup.generator,
        state.generators,
        jax.random.normal(keys[2], (num_components, config.samples // 2, config.latent_size)),
        block=1000,
    )
    labels = jnp.stack([jnp.argmax(classifier.probabilities(x), axis=-1) for x in by_component])
    # A digit counts for a component from 1 % of its samples on: single misread images do not.
    parts = component_class_coverage(labels, classifier.num_classes, min_fraction=0.01)
    game = equilibrium_report(
        setup.image_values(keys[3], state, images.test_images, config.batch, config.pairing),
        state.generators.log_weights,
        state.discriminators.log_weights,
    )
    return {
        "classes": float(whole["classes"]),
        "component_classes": float(jnp.mean(parts["classes"])),
        "reverse_kl": float(whole["reverse_kl"]),
        "confidence": float(jnp.mean(jnp.max(probabilities, axis=-1))),
        "overlap": float(parts["overlap"]),
        "effective_components": float(mg.effective_components(state.generators.log_weights)),
        "game": game,
        "by_component": np.asarray(parts["classes"]).tolist(),
    }


def summarise(name: str, runs: list[dict[str, Any]], seconds: float) -> dict[str, Any]:
    """Makes the table's row from every seed's measures, and keeps each seed's whole equilibrium report."""
    for measures in runs:
        measures |= {key: measures["game"][key] for key in ("nash_conv", "nash_conv_uniform")}
    names = (*COLUMNS, "confidence", "overlap")
    metrics = {key: [measures[key] for measures in runs] for key in names}
    games = [
        {key: np.asarray(value).tolist() for key, value in run["game"].items()} for run in runs
    ]
    extra = {
        "equilibrium_reports": games,
        "digits_by_component": [run["by_component"] for run in runs],
    }
    return report.row(name, metrics, seconds=seconds, **extra)


def judge(config: Config, rows: list[dict[str, Any]], classifier: Classifier) -> list[dict]:
    """Returns the verdict: what was claimed before the run against the results."""
    mixture, accuracy = rows[-1], 100 * classifier.test_accuracy
    got, count = report.cell(mixture, "classes", 1), classifier.num_classes
    text, drawn = f"{mixture['method']} draws every class", mixture["classes_mean"] == count
    verdict = [verdicts.claim(text, f"{count} in every seed", got, drawn), *judge_rows(rows)]
    if config.dataset == "mnist":
        text = "the classifier that counts digits can be trusted"
        verdict.append(verdicts.claim(text, ">= 98.5 %", f"{accuracy:.2f} %", accuracy >= 98.5))
    return verdict


def judge_rows(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Judges the claims on the mixture's weights, which the table's rows decide."""
    if rows[-1]["method"] == "GAN":
        return []
    learned, uniform = (
        {f"gap_{part}": rows[-1][f"{name}_{part}"] for part in ("mean", "stderr")}
        for name in ("nash_conv", "nash_conv_uniform")
    )
    text = "learned weights are no further from an equilibrium than uniform ones"
    further = verdicts.contrast(learned, uniform, "gap", "<=", digits=4)
    return [verdicts.claim(text, "difference of NashConv <= 0", *further)]


def draw(
    run: harness.Run, trained: dict[str, tuple[Setup, mg.MixGanState, Array]]
) -> dict[str, Path]:
    """Draws seed 0 of every method: images by component, and payoffs between the weights."""
    files = {}
    for name, (setup, state, matrix) in trained.items():
        generators, stem = state.generators, f"{run.folder / name.replace(' ', '_')}"
        sizes = generators.num_components, 20, run.config.latent_size
        latents = jax.random.normal(jax.random.key(1), sizes)
        drawn, _ = mg.generate(setup.generator, generators, latents)
        weights = np.asarray(generators.weights)
        grid = mg.plots.image_grid(np.asarray(drawn), weights=weights, value_range=(-1.0, 1.0))
        files[f"{name}, images"] = mg.plots.save(grid, f"{stem}.images.png")
        if generators.num_components > 1:
            players, path = (generators, state.discriminators), Path(f"{stem}.payoffs.png")
            files[f"{name}, payoffs"] = report.payoff_figure(matrix, *players, path)
    return files


def main(argv: list[str] | None = None) -> None:
    """Trains every method, measures, reports."""
    run = harness.start(
        "mix_gan_mnist", __doc__, PRESETS, argv, check, unhashed=("data_dir",), by_train=True
    )
    config = run.config
    images = load_or_exit(run.experiment, config.dataset, config.data_dir, config.memory_budget)
    with harness.refusing(run.experiment):
        check_images(config, images)
    with session(run) as bar:
        results, files = train_all(run, images, bar)
    report.show(run, results, files)


def train_all(run: harness.Run, images: Images, bar: harness.ProgressBar) -> tuple[dict, dict]:
    """Trains all methods one after the other; returns the results, and figures by what they show."""
    config, classifier = run.config, load_or_train(images)
    keys = mg.evaluation_key(harness.seed_keys(run.seeds), config.steps)
    rows, trained = [], {}
    for components in config.components:
        name = "GAN" if components == 1 else f"MIX+GAN k={components}"
        setup = build(config, images, components)
        states, seconds = harness.train(run, name, setup, bar)
        measures = [
            evaluate(config, images, classifier, setup, key, harness.seed(states, index))
            for index, key in enumerate(keys)
        ]
        rows.append(summarise(name, measures, seconds))
        trained[name] = setup, harness.seed(states, 0), measures[0]["game"]["matrix"]
    verdict, kept = judge(config, rows, classifier), {"images": f"{name}, images"}
    draws = partial(draw, run, trained)
    return report.save_results(
        run, rows=rows, verdict=verdict, columns=COLUMNS, figures=draws, kept=kept
    )


if __name__ == "__main__":
    main()
