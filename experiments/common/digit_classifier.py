"""The classifier that counts digits in generated images: trained once on real images, then kept in the cache folder."""

import hashlib
import zipfile
import zlib
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import rich

import mixgan_jax as mg
from mixgan_jax.data import Images, as_source, to_float
from mixgan_jax.data.cache import cache_folder
from mixgan_jax.files import replacing
from mixgan_jax.networks import ConvClassifier
from mixgan_jax.types import Array

BATCH = 128
UPDATES = 1400  # three epochs of MNIST
AT_ONCE = 50  # updates whose images are read together: 5 MB of MNIST


class Classifier(NamedTuple):
    """A trained classifier.

    Attributes:
        probabilities: maps images ``[N, H, W, C]`` float32 in [-1, 1] to class probabilities ``[N, classes]``.
        features: maps images to the last hidden layer ``[N, 128]``, for distances between sets of images.
        num_classes: number of classes.
        test_accuracy: share of the test images that it gets right.
    """

    probabilities: Any
    features: Any
    num_classes: int
    test_accuracy: float


def load_or_train(images: Images, updates: int | None = None) -> Classifier:
    """Loads the classifier of a labelled set of images from the cache, or trains it.

    Args:
        images: images with labels ``0 .. classes - 1``.
        updates: number of training updates; ``UPDATES`` if not given.

    Returns:
        A :class:`Classifier`; deterministic, so that the cached one is what training again would give.

    Raises:
        ValueError: a set without labels.
    """
    if images.train_labels is None or images.test_labels is None:
        raise ValueError(f"images must have labels to train a classifier, {images.name} has none")
    updates = UPDATES if updates is None else updates
    num_classes = int(images.train_labels.max()) + 1
    network = ConvClassifier(num_classes)
    player = mg.from_linen(network)
    template = jax.eval_shape(
        lambda key: player.init(key, jnp.zeros((1, *images.train_images.shape[1:])))[0],
        jax.random.key(0),
    )
    path = _path(images, updates)
    params = _read(path, template)
    if params is None:
        rich.print(f"training a classifier of {images.name} (once; kept in {path})")
        params = _train(player, images, updates)
        _write(path, params)
    probabilities = partial(_probabilities, player, params)
    predicted = predict(probabilities, images.test_images)
    accuracy = float(np.mean(predicted == images.test_labels))
    return Classifier(probabilities, partial(_features, network, params), num_classes, accuracy)


def predict(probabilities: Any, images: np.ndarray) -> np.ndarray:
    """Predicts the classes ``[N]`` of images, uint8 ``[N, H, W, C]``, about a thousand at a time."""
    parts = np.array_split(images, max(1, len(images) // 1000))
    return np.concatenate(
        [np.asarray(jnp.argmax(probabilities(to_float(part)), axis=-1)) for part in parts]
    )


@partial(jax.jit, static_argnums=0)
def _probabilities(player: mg.Player, params: Any, images: Array) -> Array:
    return jax.nn.softmax(player.apply(params, {}, images, train=False)[0])


@partial(jax.jit, static_argnums=0)
def _features(network: ConvClassifier, params: Any, images: Array) -> Array:
    return network.apply({"params": params}, images, features=True)


def _train(player: mg.Player, images: Images, updates: int) -> Any:
    """Trains with Adam and a cosine schedule on batches drawn with replacement, a compiled scan of some at a time.

    Images are read by index, so that those above a memory budget are not loaded; the numbers are the same either way.
    """
    tx = optax.adam(optax.cosine_decay_schedule(2e-3, updates))

    def loss(params: Any, x: Array, labels: Array) -> Array:
        logits, _ = player.apply(params, {}, x, train=True)
        return jnp.mean(optax.softmax_cross_entropy_with_integer_labels(logits, labels))

    def step(carry: tuple[Any, Any], batch: tuple[Array, Array]) -> tuple[tuple[Any, Any], None]:
        params, opt_state = carry
        gradient = jax.grad(loss)(params, to_float(batch[0]), batch[1])
        with jax.numpy_dtype_promotion("standard"):  # optax's Adam mixes dtypes
            updates, opt_state = tx.update(gradient, opt_state, params)
        return (optax.apply_updates(params, updates), opt_state), None

    @jax.jit
    def run(carry: tuple[Any, Any], batches: tuple[Array, Array]) -> tuple[Any, Any]:
        return jax.lax.scan(step, carry, batches)[0]

    key, source = jax.random.key(0), as_source(images.train_images)
    params = jax.jit(player.init)(key, to_float(source.read([0])))[0]
    carry = params, tx.init(params)
    draw = jax.vmap(lambda key: jax.random.randint(key, (BATCH,), 0, len(source)))
    order = np.asarray(draw(jax.random.split(key, updates)))
    for indices in np.split(order, range(AT_ONCE, updates, AT_ONCE)):
        reals = source.read(indices.ravel()).reshape(*indices.shape, *source.shape[1:])
        carry = run(carry, (reals, images.train_labels[indices]))
    return jax.device_get(carry[0])


def _path(images: Images, updates: int) -> Path:
    """Names the file by what training depends on, so that another data set never finds this one's classifier."""
    digest = hashlib.sha256(f"{BATCH} {updates} 1".encode())
    source = as_source(images.train_images)
    for start in range(0, len(source), 1000):
        digest.update(source.read(range(start, min(start + 1000, len(source)))).data)
    digest.update(np.ascontiguousarray(images.train_labels).data)
    return cache_folder() / "classifiers" / f"{images.name}-{digest.hexdigest()[:12]}.npz"


def _write(path: Path, params: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    leaves = {jax.tree_util.keystr(at): leaf for at, leaf in jax.tree.leaves_with_path(params)}
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
