"""The methods and scores of the experiments on images, without a whole run."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import mixgan_jax as mg
from experiments.common import image_classifier
from experiments.common.image_classifier import Classifier, flip_and_shift
from experiments.common.setup import num_parameters
from experiments.images import image_scores
from experiments.images.image_methods import FAMILIES, Method, build, evaluations, methods
from experiments.images.mix_gan_cifar10 import COLUMNS, PRESETS, columns, judge_rows
from mixgan_jax.data import Images

SMOKE = PRESETS["smoke"]
PIXELS = np.random.default_rng(0).integers(0, 256, (40, 8, 8, 1), np.uint8)
IMAGES = Images(PIXELS, np.arange(40) % 4, PIXELS[:32], np.arange(32) % 4, "noise")


def brightness(images):
    """Classes by the mean of an image, and two features."""
    mean = jnp.mean(images, axis=(1, 2, 3))
    return jax.nn.softmax(jnp.stack([mean, -mean], axis=-1))


FAKE_CLASSIFIER = Classifier(brightness, lambda images: images[:, :2, :2, 0], 2, 1.0, "brightness")


def test_rows_are_x_its_two_rivals_and_a_mixture_for_each_pairing():
    config = replace(PRESETS["paper"], families=("dcgan",))
    assert [method.name for method in methods(config)] == [
        "DCGAN",
        "DCGAN, 5 times the parameters",
        "DCGAN, 5 times the steps",
        "MIX+DCGAN k=5",
        "MIX+DCGAN k=5, Latin",
    ]


@pytest.mark.slow
def test_the_larger_rival_has_the_parameters_of_the_mixture():
    config = replace(SMOKE, components=4, width=12)

    def count(method):
        setup = build(config, IMAGES, method)
        state = jax.eval_shape(setup.solver.init, jax.random.key(0))
        return num_parameters(state)

    for family in FAMILIES:
        larger, mixture = (
            count(Method(family, **options)) for options in ({"larger": 4}, {"components": 4})
        )
        assert abs(larger / mixture - 1.0) < 0.05


@pytest.mark.parametrize(
    ("method", "batches"),
    [
        # Discriminators: fakes made, reals and fakes judged. Generators: fakes made and judged.
        (Method("dcgan"), (1 + 2) + (1 + 1)),
        (Method("dcgan", larger=3), (1 + 2) + (1 + 1)),
        (Method("dcgan", longer=3), 3 * 5),
        (Method("dcgan", components=3, pairing="latin"), (3 + 6) + (3 + 3)),
        (Method("dcgan", components=3), (3 + 3 + 9) + (3 + 9)),
        (Method("sngan", components=3, pairing="latin"), (3 + 6) + (3 + 3)),
        # Its penalty judges all again, and its generators' loss reals too.
        (Method("r3"), (1 + 2 + 2) + (1 + 2)),
        (Method("r3", components=3), (3 + 12 + 12) + (3 + 9 + 3)),
        # Two turns of the critic, each with points between reals and fakes.
        (Method("wgan_gp"), 2 * (1 + 3) + (1 + 1)),
        (Method("wgan_gp", components=3, pairing="latin"), 2 * (3 + 9) + (3 + 3)),
    ],
    ids=str,
)
def test_evaluations_are_counted_by_hand(method, batches):
    config = replace(SMOKE, steps=1000, batch=50, critic_steps=2)
    assert evaluations(config, method) == pytest.approx(batches * 50e3 / 1e6)


def test_a_mixture_is_judged_against_both_rivals_by_both_scores():
    rows = [
        {
            "method": method.name,
            "inception_score_mean": 4.0 + (method.components > 1),
            "inception_score_stderr": 0.1,
            "frechet_mean": 10.0 + 5 * (method.larger > 1) - 3 * (method.components > 1),
            "frechet_stderr": 2.0,
        }
        for method in methods(SMOKE)
    ]
    verdict = judge_rows(SMOKE, rows)
    assert [line["outcome"] for line in verdict] == ["holds", "undecided", "holds", "holds"] * 2


@pytest.mark.slow
@pytest.mark.parametrize("method", [Method("sngan", 2, pairing="latin"), Method("r3", 2)], ids=str)
def test_further_families_train(method):
    setup = build(SMOKE, IMAGES, method)
    state = mg.fit(jax.random.key(0), setup.solver, setup.feed, num_steps=3, log_every=1)
    drawn = image_scores.component_images(setup, jax.random.key(1), state.generators, 2)
    assert drawn.shape == (2, 2, 8, 8, 1)
    assert bool(jnp.isfinite(drawn).all())


def test_scores_of_the_reals_against_themselves_are_the_best_there_are():
    judges = image_scores.make_judges(FAKE_CLASSIFIER, IMAGES, None)
    scores = image_scores.score_reals(judges, IMAGES._replace(train_images=PIXELS[:32]), 32, seed=3)
    assert scores["frechet"].value == pytest.approx(0.0, abs=1e-6)
    assert scores["precision"].value == scores["recall"].value == 1.0
    found = image_scores.provenance(scores)["frechet"]
    assert (found["extractor"], found["num_real"], found["num_fake"], found["seed"]) == (
        "brightness, features",
        32,
        32,
        3,
    )


def test_a_second_judge_scores_the_same_images_under_names_of_its_own(monkeypatch):
    """In place of Inception, whose weights no test has."""
    monkeypatch.setattr(
        image_scores.metrics,
        "inception_extractor",
        lambda path, what: FAKE_CLASSIFIER.extractor(what),
    )
    judges = image_scores.make_judges(FAKE_CLASSIFIER, IMAGES, "weights.safetensors")
    scores = image_scores.score_images(judges, np.asarray(mg.data.to_float(PIXELS)), 0)
    shown = columns(replace(SMOKE, inception="weights.safetensors"))
    assert set(shown) - set(COLUMNS) <= set(scores)
    assert scores["inception.frechet"].value == scores["frechet"].value > 0


def test_the_atlas_of_a_mixture_is_taken_on_images_of_each_component():
    setup = build(SMOKE, IMAGES, Method("dcgan", components=2, pairing="latin"))
    state = jax.jit(setup.solver.init)(jax.random.key(0))
    (judge,) = image_scores.make_judges(FAKE_CLASSIFIER, IMAGES, None)
    atlas = image_scores.map_components(
        judge, setup, jax.random.key(1), state.generators, jnp.eye(2), 8
    )
    np.testing.assert_allclose(atlas["payoff_loss"], 0.5, rtol=1e-6)
    assert atlas["overlap"].shape == (2, 2)
    assert np.isfinite(atlas["frechet_loss"]).all()


def test_augmented_images_are_shifted_and_mirrored_copies():
    images = jnp.arange(2 * 6 * 5 * 3, dtype=jnp.float32).reshape(2, 6, 5, 3)
    reach = image_classifier.SHIFT
    seen = set()
    for seed in range(20):
        for image, got in zip(images, flip_and_shift(jax.random.key(seed), images), strict=True):
            found = [
                (mirrored, down, right)
                for mirrored in (False, True)
                for down in range(-reach, reach + 1)
                for right in range(-reach, reach + 1)
                if np.array_equal(got, _moved(image, mirrored, down, right))
            ]
            assert found
            seen |= set(found)
    assert {mirrored for mirrored, *_ in seen} == {False, True}
    assert {down for _, down, _ in seen} == set(range(-reach, reach + 1))


def _moved(image, mirrored, down, right):
    image = np.asarray(image)[:, ::-1] if mirrored else np.asarray(image)
    rows = np.clip(np.arange(image.shape[0]) + down, 0, image.shape[0] - 1)
    columns = np.clip(np.arange(image.shape[1]) + right, 0, image.shape[1] - 1)
    return image[rows][:, columns]


@pytest.mark.slow
def test_colour_images_get_a_residual_classifier_that_judges_mirror_images_alike(
    tmp_path, monkeypatch
):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(image_classifier, "BATCH", 8)
    colours = np.repeat(PIXELS, 3, axis=-1)
    images = IMAGES._replace(train_images=colours, test_images=colours[:32])
    classifier = image_classifier.load_or_train(images, 2)
    x = mg.data.to_float(images.test_images)
    np.testing.assert_allclose(
        classifier.probabilities(x), classifier.probabilities(x[:, :, ::-1]), rtol=1e-5
    )
    again = image_classifier.load_or_train(images, 2)  # from the cache
    assert again.weights_sha256 == classifier.weights_sha256
    assert again.test_accuracy == classifier.test_accuracy
    assert classifier.features(x).shape == (32, 128)
