"""The extractor of the published Frechet Inception distances and Inception scores, with weights from your file."""

import functools
from pathlib import Path
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np

from mixgan_jax.checked import checked
from mixgan_jax.checks import fail
from mixgan_jax.metrics.images.features import Extractor
from mixgan_jax.metrics.images.weights import Shapes, read_tensors
from mixgan_jax.networks import InceptionV3
from mixgan_jax.types import Array, FilePath, Tree

_SIDE = 299  # pixels
_LEVELS = 127.5  # of -1..1 in 0..255, from the middle
_NAMES = {
    "kernel": "conv.weight",
    "scale": "bn.weight",
    "bias": "bn.bias",
    "mean": "bn.running_mean",
    "var": "bn.running_var",
}
_DENSE = {"kernel": "weight", "bias": "bias"}


@checked
def inception_extractor(
    path: FilePath,
    *,
    output: Literal["features", "probabilities"] = "features",
    sha256: str | None = None,
) -> Extractor:
    """Makes an extractor of Inception-v3 in its FID variant; the weights come from a file that you name.

    No weights come with this package. Get ``pt_inception-2015-12-05-6726825d.pth``, which the package pytorch-fid
    offers with its release ``fid_weights``, and convert it once, for which PyTorch must be installed::

        python -m mixgan_jax.metrics.inception convert pt_inception-2015-12-05-6726825d.pth inception.safetensors

    Images are rounded to 256 levels, as saved ones are. They grow or shrink to 299 x 299 pixels by the bilinear rule of
    TensorFlow 1, whose corners do not align and which does not filter. Values become ``(level - 128) / 128``. Grey
    images count as coloured ones of three equal channels. Products are in full float32 on accelerators too. The
    probabilities are of 1,008 logits without the last layer's bias, as in the first code of the Inception score. To
    compare with published numbers::

        inception = mg.metrics.inception_extractor("inception.safetensors")
        real, fake = mg.metrics.extract(inception, reals), mg.metrics.extract(inception, fakes)
        mg.metrics.score(mg.metrics.frechet_distance, real=real, fake=fake)

    Args:
        path: a safetensors file with torchvision's names, as the command above writes it. Reading it runs no code.
        output: the 2,048 means over pixels, for :func:`~mixgan_jax.metrics.frechet_distance` and other metrics, or
            class probabilities, for :func:`~mixgan_jax.metrics.inception_score`.
        sha256: what the file's hash must be; None accepts any file of the right tensors.

    Returns:
        An :class:`Extractor` for images ``[B, H, W, C]``, C = 3 or 1, in -1..1, which knows the file's sha256. Of 256
        images at once, the default of :func:`extract`, it takes 2.1 GB on a CPU, and of fewer in proportion.

    Raises:
        FileNotFoundError: no such file.
        ValueError: it is not that network's, or has another hash; the message says what differs.
    """
    variables, found = load_inception(Path(path), sha256)
    network = InceptionV3()

    def function(images: Array) -> Array:
        with jax.default_matmul_precision("highest"):
            pool: Any = network.apply(variables, prepare_images(images), features=True)
            if output == "features":
                return pool
            return jax.nn.softmax(pool @ variables["params"]["fc"]["kernel"], axis=-1)

    return Extractor(
        function,
        f"Inception-v3 of 2015-12-05, {output}",
        weights_sha256=found,
        resize=f"256 levels, bilinear {_SIDE} of TensorFlow 1",
        value_range=(-1.0, 1.0),
    )


def load_inception(path: Path, sha256: str | None = None) -> tuple[Tree, str]:
    """Reads the network's variables, and the file's sha256."""
    shapes = file_shapes()
    tensors, found = read_tensors(path, shapes, sha256)

    def pick(path: Any, leaf: jax.ShapeDtypeStruct) -> Array:
        own = tensors[_name_in_file(path)]
        # PyTorch has kernels [O, C, kh, kw] and [O, C].
        axes = {4: (2, 3, 1, 0), 2: (1, 0), 1: (0,)}[own.ndim]
        return jnp.asarray(own.transpose(axes))

    return jax.tree_util.tree_map_with_path(pick, _variables()), found


def file_shapes() -> Shapes:
    """Returns the shapes of the tensors of a file, by torchvision's names."""
    back = {4: (3, 2, 0, 1), 2: (1, 0), 1: (0,)}
    leaves = jax.tree_util.tree_leaves_with_path(_variables())
    return {
        _name_in_file(path): tuple(leaf.shape[axis] for axis in back[len(leaf.shape)])
        for path, leaf in leaves
    }


@functools.cache
def _variables() -> Tree:
    """Returns the shapes of the network's variables."""
    example = jax.ShapeDtypeStruct((1, 75, 75, 3), np.float32)
    return jax.eval_shape(InceptionV3().init, jax.random.key(0), example)


def _name_in_file(path: Any) -> str:
    _, *modules, leaf = (part.key for part in path)
    return ".".join([*modules, (_DENSE if modules == ["fc"] else _NAMES)[leaf]])


def prepare_images(images: Array) -> Array:
    """Brings images ``[B, H, W, C]`` in -1..1 to the size, channels and values that the network was trained on."""
    if images.ndim != 4 or images.shape[3] not in (1, 3):
        raise fail("images", images, "[B, H, W, 3] or [B, H, W, 1]")
    levels = jnp.round((images.astype(jnp.float32) + 1.0) * _LEVELS)
    rows, columns = (_bilinear(size) for size in levels.shape[1:3])
    resized = jnp.einsum("ih,bhwc,jw->bijc", rows, levels, columns, precision="highest")
    return jnp.broadcast_to((resized - 128.0) / 128.0, (*resized.shape[:3], 3))


def _bilinear(size: int) -> Array:
    """Returns the weights ``[299, size]`` of pixels: place i is ``i size / 299``, between its two neighbours."""
    places = np.arange(_SIDE, dtype=np.float32) * np.float32(size / _SIDE)
    lower = np.floor(places).astype(np.int64)
    weights = np.zeros((_SIDE, size), np.float32)
    for row, (place, low) in enumerate(zip(places, lower, strict=True)):
        weights[row, low] += 1.0 - (place - low)
        weights[row, min(low + 1, size - 1)] += place - low
    return jnp.asarray(weights)
