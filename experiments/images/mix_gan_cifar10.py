"""MIX+DCGAN and MIX+WGAN on CIFAR-10: is a mixture better than one GAN, and than one with k times the parameters?

Claim: it is better than both, by the Inception score and by the Frechet distance, of our own classifier (Arora et al.
2017, arXiv 1703.00573, table 1, have Inception scores of mixtures of five above both). A row with k times the steps
shows what the mixture's compute buys otherwise.
Time: 49 minutes on two CPU cores that other work shared; before, once, 24 CPU minutes for the classifier.

    python -m experiments mix_gan_cifar10 --data-dir DIR                   narrow networks, two CPU cores
    python -m experiments mix_gan_cifar10 --data-dir DIR --preset jpeg     the same on a JPEG copy, cifar10_jpeg.npz
    python -m experiments mix_gan_cifar10 --data-dir DIR --preset gpu      full width, k = 5, DCGAN alone; gpu_jpeg
    python -m experiments mix_gan_cifar10 --data-dir DIR --preset paper    both, and the paper's length

Protocol, departures and trials are in experiments/images/README.md.
"""

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import jax
import numpy as np

import mixgan_jax as mg
from experiments.common import harness, options, report
from experiments.common.image_classifier import load_or_train
from experiments.common.image_data import load_or_exit
from experiments.common.session import session
from experiments.common.setup import Setup, num_parameters
from experiments.images import image_scores
from experiments.images.image_methods import Method, build, evaluations, methods
from experiments.images.image_scores import NEIGHBOURS
from experiments.images.image_verdict import judge, judge_rows as judge_rows
from mixgan_jax.data import Images, to_float
from mixgan_jax.metrics import equilibrium_report
from mixgan_jax.types import Key


@dataclass(frozen=True)
class Config(options.Mixing):
    """Everything a run depends on but the data themselves."""

    data_dir: str | None = None
    """Folder with the data. Defaults to $TFDS_DATA_DIR."""
    dataset: str = "cifar10"
    """Name of the data set, or digits for scikit-learn's bundled ones."""
    memory_budget: options.Budget = None
    """Memory in MiB that training images may take; larger sets are streamed."""
    inception: str | None = None
    """File of Inception-v3's weights, of mixgan_jax.metrics.inception convert; adds scores by that network."""
    families: tuple[Literal["dcgan", "wgan_gp", "sngan", "r3"], ...] = ("dcgan", "wgan_gp")
    """Which GANs to mix."""
    components: options.Samples = 3
    """Number of the mixtures' generators, and of their discriminators."""
    pairings: tuple[Literal["full", "latin"], ...] = ("latin",)
    """Which fakes meet which discriminators; a row for each."""
    seeds: options.Count = 3
    steps: options.Count = 2_000
    batch: options.Count = 30
    latent_size: options.Count = 64
    width: options.Count = 16
    """Channels of DCGAN's narrowest hidden layer, both players."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """What layers compute in."""
    learning_rate: options.Rate = 1e-3
    """Learning rate of Adam; it falls to 0 over the run, along a cosine."""
    wgan_generator_rate: options.Rate = 5e-4
    """Learning rate of WGAN-GP's generators."""
    critic_steps: options.Count = 1
    """Updates of WGAN-GP's critics for each of their generators'."""
    samples: options.Samples = 5_000
    """Number of images on which scores are taken."""
    log_every: options.Count = 50


PAPER = Config(
    components=5,
    pairings=("full", "latin"),
    batch=100,
    latent_size=100,
    width=64,
    learning_rate=2e-4,
    wgan_generator_rate=2e-4,
    critic_steps=5,
    samples=50_000,
)
GPU = replace(
    PAPER, families=("dcgan",), steps=3_000, precision="bfloat16", samples=10_000, log_every=100
)
PRESETS = {
    "cpu": Config(),
    "jpeg": Config(dataset="cifar10_jpeg"),
    "paper": replace(PAPER, steps=100_000, log_every=500),
    "gpu": GPU,
    "gpu_jpeg": replace(GPU, dataset="cifar10_jpeg"),
    "smoke": Config(
        dataset="digits",
        components=2,
        seeds=2,
        steps=10,
        batch=16,
        width=2,
        samples=64,
        log_every=5,
    ),
}

COLUMNS = {
    "inception_score": ("IS", 2),
    "frechet": ("Frechet", 2),
    "kernel": ("kernel", 3),
    "precision": ("precision", 2),
    "recall": ("recall", 2),
    "effective_components": ("eff. k", 1),
    "nash_conv": ("NashConv", 3),
    "parameters": ("parameters", 0),
    "evaluations": ("M evaluations", 1),
}
BY_INCEPTION = {
    f"{image_scores.INCEPTION}inception_score": ("IS, Inception", 2),
    f"{image_scores.INCEPTION}frechet": ("FID", 2),
}


def columns(config: Config) -> dict[str, tuple[str, int]]:
    """Returns the table's columns: those by Inception if there is a file of its weights."""
    return COLUMNS if config.inception is None else COLUMNS | BY_INCEPTION


def check(config: Config) -> None:
    """Raises ValueError for a config that would fail after hours."""
    for pairing in config.pairings:
        try:
            mg.fakes_per_generator(pairing, config.batch, config.components, config.components)
        except ValueError as error:  # "batch must be ..."
            raise ValueError(f"--{error}") from None
    for name in ("families", "pairings"):
        found = getattr(config, name)
        if not found or len(set(found)) < len(found):
            raise ValueError(f"--{name} must be one or more, each once, got {found}")
    fewest = (NEIGHBOURS + 1) * config.components
    if config.samples < fewest:
        raise ValueError(f"--samples must be {fewest} or more, got {config.samples}")
    if "r3" in config.families and config.pairings != ("full",):
        raise ValueError(
            f"--pairings must be full with r3, whose loss pairs reals with fakes, got {config.pairings}"
        )


def check_images(config: Config, images: Images) -> None:
    """Raises ValueError for images on which training or judging could not reach its end."""
    held_out = len(image_scores.held_out_images(images))
    if held_out < 2 * config.batch:
        raise ValueError(f"--batch must be at most {held_out // 2}, got {config.batch}")
    if config.samples > len(images.train_images):
        raise ValueError(
            f"--samples must be at most the {len(images.train_images)} training images, got {config.samples}"
        )
    for method in methods(config):
        build(config, images, method)


def evaluate(
    config: Config,
    images: Images,
    judges: list[image_scores.Judge],
    setup: Setup,
    method: Method,
    key: Key,
    seed: int,
    state: mg.MixGanState,
) -> dict[str, Any]:
    """Measures one run: scores of the mixture, its atlas, and how far its weights are from an equilibrium."""
    keys = jax.random.split(key, 3)
    generators = state.generators
    scores = image_scores.score_images(
        judges, image_scores.draw(config, setup, keys[0], generators), seed
    )
    known = image_scores.held_out_images(images)
    matrices = setup.image_values(keys[1], state, known, config.batch, method.pairing)
    game = equilibrium_report(matrices, generators.log_weights, state.discriminators.log_weights)
    atlas = {}
    if generators.num_components > 1:
        count = config.samples // generators.num_components
        atlas = image_scores.map_components(
            judges[0], setup, keys[2], generators, game["matrix"], count
        )
    return image_scores.values(scores) | {
        "effective_components": float(mg.effective_components(generators.log_weights)),
        "nash_conv": float(game["nash_conv"]),
        "game": game,
        "atlas": atlas,
        "provenance": image_scores.provenance(scores),
    }


def summarise(
    config: Config, method: Method, runs: list[dict[str, Any]], size: int, seconds: float
) -> dict[str, Any]:
    """Makes the table's row from every seed's measures, and keeps each seed's atlas and equilibrium report."""
    measured = [name for name in columns(config) if name not in ("parameters", "evaluations")]
    metrics = {name: [run[name] for run in runs] for name in measured}
    once = report.measured_once(parameters=size, evaluations=evaluations(config, method))
    kept = {
        name: [jax.tree.map(lambda leaf: np.asarray(leaf).tolist(), run[own]) for run in runs]
        for name, own in (("atlases", "atlas"), ("equilibrium_reports", "game"))
    }
    provenance = runs[0]["provenance"]
    return report.row(method.name, metrics, seconds=seconds, provenance=provenance, **kept, **once)


def draw(
    run: harness.Run, images: Images, trained: dict[str, tuple[Setup, mg.MixGanState, dict]]
) -> dict[str, Path]:
    """Draws seed 0 of every row by component, below reals; and the atlas of every mixture."""
    files = {}
    for name, (setup, state, atlas) in trained.items():
        generators, stem = state.generators, harness.method_folder(run, name)
        drawn = image_scores.component_images(setup, jax.random.key(1), generators, 20)
        weights = np.asarray(generators.weights)
        options = {"weights": weights, "value_range": (-1.0, 1.0), "title": name}
        grid = mg.plots.image_grid(np.asarray(drawn), **options)
        files[f"{name}, images"] = mg.plots.save(grid, f"{stem}.images.png")
        if atlas:
            figure = mg.plots.plot_atlas(atlas)
            files[f"{name}, atlas"] = mg.plots.save(figure, f"{stem}.atlas.png")
    reals = to_float(images.test_images[:20])[None]
    grid = mg.plots.image_grid(np.asarray(reals), value_range=(-1.0, 1.0), title="reals")
    return files | {"reals": mg.plots.save(grid, run.folder / "reals.png")}


def main(argv: list[str] | None = None) -> None:
    """Trains every row, scores, reports."""
    run = harness.start(
        "mix_gan_cifar10",
        __doc__,
        PRESETS,
        argv,
        check,
        unhashed=("data_dir", "inception"),
        by_train=True,
    )
    config = run.config
    images = load_or_exit(run.experiment, config.dataset, config.data_dir, config.memory_budget)
    with harness.refusing(run.experiment):
        check_images(config, images)
    with session(run) as bar:
        results, files = train_all(run, images, bar)
    report.show(run, results, files)


def train_all(run: harness.Run, images: Images, bar: harness.ProgressBar) -> tuple[dict, dict]:
    """Trains all rows one after the other; returns the results, and figures by what they show."""
    config, classifier = run.config, load_or_train(images)
    judges = image_scores.make_judges(classifier, images, config.inception)
    rows, trained = [], {}
    for method in methods(config):
        setup = build(config, images, method)
        own = run._replace(config=replace(config, steps=method.steps(config)))
        states, seconds = harness.train(own, method.name, setup, bar)
        keys = mg.evaluation_key(harness.seed_keys(run.seeds), own.config.steps)
        measures = [
            evaluate(config, images, judges, setup, method, key, seed, harness.seed(states, index))
            for index, (key, seed) in enumerate(zip(keys, run.seeds, strict=True))
        ]
        first = harness.seed(states, 0)
        rows.append(summarise(config, method, measures, num_parameters(first), seconds))
        trained[method.name] = setup, first, measures[0]["atlas"]
    verdict = judge(config, rows, classifier)
    reals = [image_scores.score_reals(judges, images, config.samples, seed) for seed in run.seeds]
    measured = {name: [scores[name].value for scores in reals] for name in reals[0]}
    rows.append(report.row("training images", measured, seconds=0.0))
    draws, shown = partial(draw, run, images, trained), columns(config)
    first, *_, last = (each.name for each in methods(config) if each.family == config.families[0])
    kept = {"one": f"{first}, images", "mixture": f"{last}, images", "atlas": f"{last}, atlas"}
    return report.save_results(
        run,
        rows=rows,
        verdict=verdict,
        columns=shown,
        figures=draws,
        kept=kept | {"reals": "reals"},
    )


if __name__ == "__main__":
    main()
