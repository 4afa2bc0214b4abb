"""Cases: synthetic distributions, images, feeds, networks, convolutions."""

import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from hypothesis import strategies as st
from properties.arguments import array, counts, floats, integers
from properties.case import Case
from properties.games_and_losses import is_finite, is_not_nan, on_the_simplex

import mixgan_jax as mg
from mixgan_jax import data, networks
from mixgan_jax.data.stream import open_stream

positive = floats(0.125, 4)


def mixture_is_normal(given: Any, result: data.GaussianMixture) -> None:
    on_the_simplex(result.weights)
    is_finite(given, (result, result.sample(jax.random.key(0), 2)))
    assert np.all(np.asarray(result.std) > 0)


def batches_have_the_size(given: Any, feed: mg.Feed) -> None:
    batch = jax.eval_shape(feed.sample, jax.random.key(0), feed.arrays)
    assert batch.shape[0] == given["batch_size"]


def reads_batches_of_the_size(given: Any, stream: mg.Stream) -> None:
    with open_stream(stream, [0], 0, 2, ahead=1) as batches:
        first, _ = batches
    batch = stream.sample(jax.random.key(0), first[0])
    assert batch.shape == (given["batch_size"], *stream.source.shape[1:])
    levels_come_back({"images": first[0]}, batch)


def gives_batches_of_the_size(given: Any, result: mg.Feed | mg.Stream) -> None:
    assert isinstance(result, mg.Stream) == isinstance(given["images"], data.ImageSource)
    holds = reads_batches_of_the_size if isinstance(result, mg.Stream) else batches_have_the_size
    holds(given, result)


def reads_the_same(given: Any, source: data.ImageSource) -> None:
    images = given["images"]
    if images is not source:
        np.testing.assert_array_equal(source.read(range(len(source))), images)


def splits_agree(given: Any, result: data.Images) -> None:
    train = result[0]
    if isinstance(train, data.ImageSource):
        train = train.read(range(len(train)))
    for images, labels in ((train, result[1]), (result[2], result[3])):
        assert images.dtype == np.uint8
        assert images.ndim == 4
        assert labels is None or labels.shape == (len(images),)


def indices_lie_below(bound: int, indices: Any) -> None:
    assert np.all((np.asarray(indices) >= 0) & (np.asarray(indices) < bound))


def packs_are_of_stacks(given: Any, packs: Any) -> None:
    known = {tuple(row) for row in np.asarray(given["stacks"]).tolist()}
    slots = np.asarray(packs).reshape(-1, np.shape(given["stacks"])[1])
    assert {tuple(slot) for slot in slots.tolist()} <= known


def levels_come_back(given: Any, result: Any) -> None:
    np.testing.assert_array_equal(data.to_uint8(result), given["images"])


def levels_are_near(given: Any, result: Any) -> None:
    wanted = np.asarray(given["images"], np.float64)
    np.testing.assert_allclose(data.to_float(result), wanted, atol=0.5 / 127.5 + 2e-3)


levels = partial(integers, high=255, dtype=np.uint8)
few_labels = st.none() | integers(4, high=9)
images = {"images": levels(3, 2, 2, 1)}
source = {"images": levels(3, 2, 2, 1) | levels(3, 2, 2, 1).map(data.as_source)}
ranges = st.sampled_from([None, (0, 255), (0.0, 1000.0)])
FOLDER = Path(tempfile.mkdtemp(prefix="mixgan_properties"))
np.savez(FOLDER / "some.npz", train_images=np.arange(36, dtype=np.uint8).reshape(3, 4, 3))
IDX = FOLDER / "train-images-idx3-ubyte"
IDX.write_bytes(bytes([0, 0, 8, 3, 0, 0, 0, 3, 0, 0, 0, 2, 0, 0, 0, 2, *range(12)]))
RING = data.ring(3)
positive_or_none = st.none() | array(3, low=0.125, high=2)
DATA = {
    "data.ring": Case(data.ring, {"std": positive, "weights": positive_or_none}, mixture_is_normal),
    "data.grid": Case(
        data.grid,
        {"side": counts(3), "std": positive, "weights": st.none() | array(4, low=0.125, high=2)},
        mixture_is_normal,
    ),
    "data.gaussian_mixture": Case(
        data.gaussian_mixture,
        {"std": positive | array(3, low=0.125, high=2), "weights": positive_or_none},
        mixture_is_normal,
    ),
    "data.spirals": Case(
        data.spirals,
        holds=lambda given, result: is_finite(given, result.sample(jax.random.key(0), 2)),
    ),
    "data.GaussianMixture, sample": Case(RING.sample, holds=is_finite),
    "data.GaussianMixture, log_prob": Case(RING.log_prob, {"x": array(3, 2)}),
    "data.Spirals, sample": Case(data.spirals().sample, holds=is_finite),
    "data.feed_from_distribution": Case(
        data.feed_from_distribution,
        {"distribution": st.sampled_from([RING, data.spirals(), RING.sample])},
        batches_have_the_size,
    ),
    "data.feed_from_images": Case(data.feed_from_images, images, batches_have_the_size),
    "data.feed_from_packs": Case(
        data.feed_from_packs,
        {"samples": array(5, 2), "batch_size": st.sampled_from([2, 4])},
        batches_have_the_size,
    ),
    "data.feed_from_stacks": Case(
        data.feed_from_stacks,
        {
            **images,
            "depth": st.just(2),
            "table": st.none() | integers(4, 2, high=2),
            "low": st.sampled_from([-1.0, 0.0]),
        },
        batches_have_the_size,
    ),
    "data.augmented": Case(
        data.augmented,
        {
            "source": st.sampled_from(
                [
                    data.feed_from_images(np.zeros((3, 2, 2, 1), np.uint8), 4),
                    data.stream_from_images(np.zeros((3, 2, 2, 1), np.uint8), 4),
                ]
            ),
            "augment": st.just(data.random_flip),
        },
        lambda given, result: is_finite(
            given, result.sample(jax.random.key(0), np.zeros((4, 2, 2, 1), np.uint8))
        ),
    ),
    "data.diff_augment": Case(data.diff_augment, {"images": array(2, 4, 3, 1)}, is_finite),
    "data.random_colour": Case(data.random_colour, {"images": array(2, 4, 3, 1)}, is_finite),
    "data.random_cutout": Case(data.random_cutout, {"images": array(2, 4, 3, 1)}, is_finite),
    "data.random_flip": Case(data.random_flip, {"images": array(2, 4, 3, 1)}, is_finite),
    "data.random_translation": Case(
        data.random_translation, {"images": array(2, 4, 3, 1)}, is_finite
    ),
    "data.fixed_stacks": Case(
        data.fixed_stacks,
        holds=lambda given, stacks: indices_lie_below(given["num_images"], stacks),
    ),
    "data.fixed_packs": Case(
        data.fixed_packs, {"stacks": integers(4, 2, high=9)}, packs_are_of_stacks
    ),
    "data.stack_labels": Case(
        data.stack_labels,
        {"labels": integers(4, 3, high=9), "num_classes": st.just(10)},
        lambda given, labels: indices_lie_below(1000, labels),
    ),
    "data.stream_from_images": Case(data.stream_from_images, source, reads_batches_of_the_size),
    "data.feed_or_stream": Case(data.feed_or_stream, source, gives_batches_of_the_size),
    "data.as_source": Case(
        data.as_source, {**source, "channels": st.sampled_from([None, "last"])}, reads_the_same
    ),
    "data.from_arrays": Case(
        data.from_arrays,
        {
            "images": levels(4, 2, 2, 1) | levels(4, 2, 2),
            "labels": few_labels,
            "test_images": st.none() | levels(4, 2, 2, 1),
            "test_labels": st.none() | few_labels,
            "value_range": ranges,
        },
        splits_agree,
        names=("train_images", "train_labels"),
    ),
    "data.to_float": Case(data.to_float, {"images": levels(2, 3)}, levels_come_back),
    "data.to_uint8": Case(
        data.to_uint8,
        {
            "images": array(2, 3, low=-1, high=1),
            "value_range": st.sampled_from([None, (-1, 1), (-1.0, 1.0)]),
        },
        levels_are_near,
    ),
    "data.load_images": Case(
        data.load_images,
        {
            "name": st.sampled_from(["some", "mnist"]),
            "data_dir": st.sampled_from([FOLDER, "no such folder"]),
        },
        splits_agree,
        errors=(FileNotFoundError,),
    ),
    "data.load_idx": Case(
        data.load_idx,
        {"path": st.sampled_from([FOLDER, IDX, "no such file"])},
        splits_agree,
        errors=(FileNotFoundError,),
    ),
    "data.load_folder": Case(
        data.load_folder,
        {
            "path": st.sampled_from([FOLDER, "no such folder"]),
            "test_path": st.sampled_from([None, FOLDER]),
        },
        splits_agree,
        errors=(FileNotFoundError, ImportError),
    ),
    "data.load_npz": Case(
        data.load_npz,
        {"path": st.sampled_from([FOLDER / "some.npz", "no such file.npz"]), "value_range": ranges},
        splits_agree,
        errors=(FileNotFoundError,),
    ),
}


def applies_to(*shape: int, **options: Any) -> Any:
    """That a network can be initialised, and that what it puts out has as many examples and no NaN."""

    def holds(given: Any, net: nn.Module) -> None:
        example = jnp.zeros(shape)
        outputs, _ = jax.eval_shape(
            lambda key: net.init_with_output(key, example, **options), jax.random.key(0)
        )
        assert outputs.shape[0] == shape[0]

    return holds


steps = st.sampled_from([1, 2, (1, 2)])
pads = st.sampled_from(["SAME", "VALID", ((1, 1), (0, 1))])
one_layer = {
    "kernel_size": st.sampled_from([(1, 1), (3, 3), (2, 3)]),
    "strides": steps,
    "padding": pads,
}
convolved = {
    "x": array(1, 3, 4, 2),
    "kernel": array(2, 2, 2, 1),
    "strides": steps,
    "padding": pads,
}


def is_not_nan_of_moderate(given: Any, result: Any) -> None:
    if all(np.all(np.abs(np.asarray(given[name], np.float64)) <= 10) for name in ("x", "kernel")):
        is_not_nan(given, result)


NETWORKS = {
    "networks.MLP": Case(
        networks.MLP,
        {
            "features": st.sampled_from([(), (2,), (3, 2)]),
            "activation": st.sampled_from([nn.relu, networks.maxout(2)]),
        },
        applies_to(2, 3, train=False),
    ),
    "networks.MLP, applied": Case(
        lambda x: jax.eval_shape(
            lambda key: networks.MLP((2,)).init_with_output(key, x, train=False)[0],
            jax.random.key(0),
        ),
        {"x": array(2, 3)},
    ),
    "networks.DCGANGenerator": Case(
        networks.DCGANGenerator,
        {"shape": st.sampled_from([(8, 8, 1), (12, 8, 3), [8, 8, 2]])},
        applies_to(2, 3, train=False),
    ),
    "networks.DCGANDiscriminator": Case(
        networks.DCGANDiscriminator, holds=applies_to(2, 16, 16, 1, train=False)
    ),
    "networks.MetzGenerator": Case(
        networks.MetzGenerator,
        {"shape": st.sampled_from([(8, 8, 1), (7, 8, 3)])},
        applies_to(2, 3, train=False),
    ),
    "networks.MetzDiscriminator": Case(
        networks.MetzDiscriminator, holds=applies_to(2, 16, 16, 1, train=False)
    ),
    "networks.ResidualGenerator": Case(
        networks.ResidualGenerator,
        {"shape": st.sampled_from([(8, 8, 1), (12, 8, 3)])},
        applies_to(2, 3, train=False),
    ),
    "networks.ResidualDiscriminator": Case(
        networks.ResidualDiscriminator, holds=applies_to(2, 16, 16, 1, train=False)
    ),
    "networks.SNGANGenerator": Case(
        networks.SNGANGenerator,
        {"shape": st.sampled_from([(8, 8, 1), (12, 8, 3)])},
        applies_to(2, 3, train=False),
    ),
    "networks.SNGANDiscriminator": Case(
        networks.SNGANDiscriminator, holds=applies_to(2, 16, 16, 1, train=False)
    ),
    "networks.ConvClassifier": Case(networks.ConvClassifier, holds=applies_to(2, 8, 8, 1)),
    "networks.ResidualClassifier": Case(
        networks.ResidualClassifier, holds=applies_to(2, 8, 8, 3, train=False)
    ),
    "networks.InceptionV3": Case(networks.InceptionV3),
    "networks.Conv": Case(networks.Conv, one_layer, applies_to(2, 4, 4, 1)),
    "networks.ConvTranspose": Case(networks.ConvTranspose, one_layer, applies_to(2, 4, 4, 1)),
    "networks.conv": Case(
        networks.conv,
        {**convolved, "dilation": st.sampled_from([1, 1, 2])},
        is_not_nan_of_moderate,
    ),
    "networks.conv_transpose": Case(networks.conv_transpose, convolved, is_not_nan_of_moderate),
    "networks.maxout": Case(
        networks.maxout,
        holds=lambda given, act: is_finite(given, act(jnp.ones((2, 12 * int(given["pieces"]))))),
    ),
    "networks.maxout, applied": Case(networks.maxout(3), {"x": array(2, 6)}),
    "networks.widen": Case(networks.widen, {"net": st.just(networks.MLP((2, 2)))}),
    "from_linen": Case(mg.from_linen, {"module": st.just(networks.MLP((2,)))}),
}
