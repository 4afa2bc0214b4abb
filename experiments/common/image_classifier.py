"""The classifier that reads and compares generated images: trained once on real ones, then kept in the cache folder."""

import hashlib
import zipfile
import zlib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import rich

import mixgan_jax as mg
from mixgan_jax.data import Images, as_source, random_flip, to_float
from mixgan_jax.data.cache import cache_folder
from mixgan_jax.files import replacing
from mixgan_jax.metrics import Extractor, hash_weights
from mixgan_jax.networks import ConvClassifier, ResidualClassifier
from mixgan_jax.types import Array, Key

BATCH = 128
UPDATES = 1400  # of grey images: three epochs of MNIST
COLOUR_UPDATES = 5400  # fourteen epochs of CIFAR-10
SHIFT = 2  # pixels by which colour images are moved at most
AT_ONCE = 50  # updates whose images are read together: 5 MB of MNIST


class Classifier(NamedTuple):
    """A trained classifier.

    Attributes:
        probabilities: maps images ``[N, H, W, C]`` float32 in [-1, 1] to class probabilities ``[N, classes]``.
        features: maps images to the last hidden layer ``[N, D]``, for distances between sets of images.
        num_classes: number of classes.
        test_accuracy: share of the test images that it gets right.
        name: of the classifier, for the provenance of scores.
        weights_sha256: hash of its weights.
    """

    probabilities: Callable[[Array], Array]
    features: Callable[[Array], Array]
    num_classes: int
    test_accuracy: float
    name: str = "classifier"
    weights_sha256: str | None = None

    def extractor(self, what: str) -> Extractor:
        """Makes an extractor of ``"features"`` or ``"probabilities"``."""
        return Extractor(
            getattr(self, what), f"{self.name}, {what}", self.weights_sha256, None, (-1.0, 1.0)
        )


class Recipe(NamedTuple):
    """How a classifier is trained.

    Attributes:
        network: a Linen module.
        updates: number of training updates.
        tx: optimiser.
        augment: changes a batch of images at random; None to leave it.
        mirrors: whether an image and its mirror image are judged, and their probabilities averaged.
    """

    network: Any
    updates: int
    tx: optax.GradientTransformation
    augment: Callable[[Key, Array], Array] | None = None
    mirrors: bool = False


def recipe_for(images: Images, updates: int | None = None) -> Recipe:
    """Chooses by the number of channels: two plain convolutions for grey images, a residual network for colour ones.

    Left and right are not exchanged in grey images, which may be digits.
    """
    assert images.train_labels is not None
    num_classes = int(images.train_labels.max()) + 1
    if images.train_images.shape[-1] == 1:
        updates = UPDATES if updates is None else updates
        adam = optax.adam(optax.cosine_decay_schedule(2e-3, updates))
        return Recipe(ConvClassifier(num_classes), updates, adam)
    updates = COLOUR_UPDATES if updates is None else updates
    schedule = optax.warmup_cosine_decay_schedule(0.0, 5e-3, updates // 5, max(updates, 2))
    adamw = optax.adamw(schedule, weight_decay=5e-3)
    return Recipe(ResidualClassifier(num_classes), updates, adamw, flip_and_shift, mirrors=True)


def flip_and_shift(key: Key, images: Array) -> Array:
    """Mirrors half of the images ``[B, H, W, C]``, and moves each by up to 2 pixels; its edge pixels fill the gap."""
    keys = jax.random.split(key)
    count, height, width, channels = images.shape
    images = random_flip(keys[0], images)
    corners = jax.random.randint(keys[1], (count, 2), 0, 2 * SHIFT + 1)
    frame = ((0, 0), (SHIFT, SHIFT), (SHIFT, SHIFT), (0, 0))
    padded = jnp.pad(images, frame, mode="edge")

    def crop(image: Array, corner: Array) -> Array:
        return jax.lax.dynamic_slice(
            image, (corner[0], corner[1], jnp.zeros_like(corner[0])), (height, width, channels)
        )

    return jax.vmap(crop)(padded, corners)


def load_or_train(images: Images, updates: int | None = None) -> Classifier:
    """Loads the classifier of a labelled set of images from the cache, or trains it.

    Args:
        images: images with labels ``0 .. classes - 1``.
        updates: number of training updates; the recipe's if not given.

    Returns:
        A :class:`Classifier`; deterministic, so that the cached one is what training again would give.

    Raises:
        ValueError: a set without labels.
    """
    if images.train_labels is None or images.test_labels is None:
        raise ValueError(f"images must have labels to train a classifier, {images.name} has none")
    recipe = recipe_for(images, updates)
    player = mg.from_linen(recipe.network)
    template = jax.eval_shape(
        lambda key: player.init(key, jnp.zeros((1, *images.train_images.shape[1:]))),
        jax.random.key(0),
    )
    path = _path(images, recipe)
    variables = _read(path, template)
    if variables is None:
        rich.print(f"training a classifier of {images.name} (once; kept in {path})")
        variables = _train(player, images, recipe)
        _write(path, variables)
    probabilities = partial(_probabilities, player, recipe.mirrors, variables)
    predicted = predict(probabilities, images.test_images)
    return Classifier(
        probabilities,
        partial(_features, recipe.network, variables),
        recipe.network.num_classes,
        float(np.mean(predicted == images.test_labels)),
        f"classifier of {images.name}",
        hash_weights(variables),
    )


def predict(probabilities: Any, images: np.ndarray) -> np.ndarray:
    """Predicts the classes ``[N]`` of images, uint8 ``[N, H, W, C]``, about a thousand at a time."""
    parts = np.array_split(images, max(1, len(images) // 1000))
    return np.concatenate(
        [np.asarray(jnp.argmax(probabilities(to_float(part)), axis=-1)) for part in parts]
    )


@partial(jax.jit, static_argnums=(0, 1))
def _probabilities(player: mg.Player, mirrors: bool, variables: Any, images: Array) -> Array:
    views = [images, images[:, :, ::-1]] if mirrors else [images]
    judged = [jax.nn.softmax(player.apply(*variables, view, train=False)[0]) for view in views]
    return sum(judged[1:], start=judged[0]) / len(judged)


@partial(jax.jit, static_argnums=0)
def _features(network: Any, variables: Any, images: Array) -> Array:
    params, state = variables
    return network.apply({"params": params, **state}, images, train=False, features=True)


def _train(player: mg.Player, images: Images, recipe: Recipe) -> Any:
    """Trains on batches drawn with replacement, a compiled scan of some at a time.

    Images are read by index, so that those above a memory budget are not loaded; the numbers are the same either way.
    """

    def loss(params: Any, state: Any, x: Array, labels: Array) -> tuple[Array, Any]:
        logits, state = player.apply(params, state, x, train=True)
        return jnp.mean(optax.softmax_cross_entropy_with_integer_labels(logits, labels)), state

    def step(carry: Any, batch: tuple[Array, Array, Key]) -> tuple[Any, None]:
        params, state, opt_state = carry
        x, labels, key = batch
        x = to_float(x) if recipe.augment is None else recipe.augment(key, to_float(x))
        gradient, state = jax.grad(loss, has_aux=True)(params, state, x, labels)
        with jax.numpy_dtype_promotion("standard"):  # optax's Adam mixes dtypes
            updates, opt_state = recipe.tx.update(gradient, opt_state, params)
        return (optax.apply_updates(params, updates), state, opt_state), None

    @jax.jit
    def run(carry: Any, batches: tuple[Array, Array, Key]) -> Any:
        return jax.lax.scan(step, carry, batches)[0]

    key, source = jax.random.key(0), as_source(images.train_images)
    params, state = jax.jit(player.init)(key, to_float(source.read([0])))
    carry = params, state, recipe.tx.init(params)
    keys = jax.random.split(key, recipe.updates)
    draw = jax.vmap(lambda key: jax.random.randint(key, (BATCH,), 0, len(source)))
    order = np.asarray(draw(keys))
    augmenting = jax.vmap(partial(jax.random.fold_in, data=1))(keys)
    for start in range(0, recipe.updates, AT_ONCE):
        now = slice(start, start + AT_ONCE)
        reals = source.read(order[now].ravel()).reshape(*order[now].shape, *source.shape[1:])
        carry = run(carry, (reals, images.train_labels[order[now]], augmenting[now]))
    return jax.device_get(carry[:2])


def _path(images: Images, recipe: Recipe) -> Path:
    """Names the file by what training depends on, so that another data set never finds this one's classifier."""
    # Raise the last number with any other change of recipes or training.
    digest = hashlib.sha256(f"{BATCH} {recipe.updates} {recipe.network} 2".encode())
    source = as_source(images.train_images)
    for start in range(0, len(source), 1000):
        digest.update(source.read(range(start, min(start + 1000, len(source)))).data)
    digest.update(np.ascontiguousarray(images.train_labels).data)
    return cache_folder() / "classifiers" / f"{images.name}-{digest.hexdigest()[:12]}.npz"


def _write(path: Path, variables: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    leaves = {jax.tree_util.keystr(at): leaf for at, leaf in jax.tree.leaves_with_path(variables)}
    with replacing(path) as file:
        np.savez(file, **leaves)


def _read(path: Path, template: Any) -> Any | None:
    if not path.exists():
        return None
    try:
        with np.load(path, allow_pickle=False) as stored:
            return jax.tree.map_with_path(lambda at, _: stored[jax.tree_util.keystr(at)], template)
    except (OSError, EOFError, KeyError, ValueError, zipfile.BadZipFile, zlib.error):
        return None  # a damaged file: train again, and overwrite it
