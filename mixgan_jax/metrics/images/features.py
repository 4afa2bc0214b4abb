"""Features of images that know their extractor, computed block by block in one compiled pass."""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Annotated, Any, TypeAlias

import jax
import numpy as np
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from mixgan_jax.checked import checked
from mixgan_jax.checks import check_array, check_kind, fail
from mixgan_jax.data.levels import Range
from mixgan_jax.types import Array, Count, Tree, Whole


def check_features(name: str, value: Any) -> Array:
    """Returns finite floating-point features ``[N, D]``, N and D >= 1; from NumPy they stay there."""
    array = check_array(name, value, rank=2, floating=True, finite=True, moved=False)
    if 0 in array.shape:
        raise ValueError(f"{name} must have shape [N, D], none of it 0, got {array.shape}")
    return array


FeatureRows: TypeAlias = Annotated[Array, check_features]
"""Features ``[N, D]``, one row for each image."""


def check_widths(real: Array, fake: Array) -> None:
    """Refuses sets whose rows have different lengths."""
    if real.shape[1] != fake.shape[1]:
        raise ValueError(f"fake must have {real.shape[1]} features each, got {fake.shape[1]}")


@checked
@dataclass(frozen=True)
class Extractor:
    """A function from images to features, with all that decides its numbers.

    Attributes:
        function: maps images ``[B, H, W, C]`` to features ``[B, ...]``, one row for each image, whatever the others in
            the batch are. It is compiled once.
        name: which network and layer, such as ``"cifar10 classifier, pool"``.
        weights_sha256: the hash of the weights, from :func:`hash_weights` or of their file; None without weights.
        resize: how images were brought to the network's size, such as ``"bilinear 299, antialiased"``; None if not.
        value_range: the lowest and the highest value that an image may have, ``(-1.0, 1.0)``; None if not known.
    """

    function: Callable[[Array], Array] = field(compare=False, repr=False)
    name: str
    weights_sha256: str | None = None
    resize: str | None = None
    value_range: Range | None = None

    def __post_init__(self) -> None:
        """The rules of the fields run here."""


@checked
@dataclass(frozen=True, eq=False)
class Features:
    """Features of one set of images, which :func:`score` takes.

    Attributes:
        array: ``[N, D]``, floating point and finite. NumPy's is not copied: do not write to it.
        extractor: what computed them.
        seed: of the images: from which they were generated, or drawn from the data set; None for none.
    """

    array: Annotated[
        Array, partial(check_array, rank=2, floating=True, finite=True, moved=False)
    ] = field(repr=False)
    extractor: Extractor
    seed: Whole | None = None

    def __post_init__(self) -> None:
        """The rules of the fields run here."""

    @cached_property
    def sha256(self) -> str:
        """The hash of the array, from :func:`hash_weights`; computed once."""
        return hash_weights(self.array)


def _check_devices(name: str, value: Any) -> Sequence[jax.Device]:
    devices = check_kind(name, value, Sequence)
    if not devices:
        raise fail(name, value, "one device or more")
    return [check_kind(f"{name}[{index}]", one, jax.Device) for index, one in enumerate(devices)]


@checked
def extract(
    extractor: Extractor,
    images: Array | Iterable[Array],
    *,
    block: Count = 256,
    seed: Whole | None = None,
    devices: Annotated[Sequence[jax.Device], _check_devices] | None = None,
) -> Features:
    """Computes the features of a set of images in one compiled pass, block by block.

    The last block is filled up with copies, so that one program does for all. While one block is computed, the features
    of the block before move to the host.

    Args:
        extractor: what computes them.
        images: ``[N, H, W, C]``, or an iterable of batches of such images, of any sizes.
        block: images that go through the extractor at once, a multiple of the number of devices.
        seed: of the images, for the provenance of scores.
        devices: share each block; None for JAX's default device alone.

    Returns:
        Features ``[N, D]`` on the host, of the dtype that the extractor computes; axes after the first are flattened.
    """
    places = None
    if devices is not None:
        if block % len(devices):
            raise ValueError(f"block must be a multiple of the {len(devices)} devices, got {block}")
        # Explicit axes, the default, want a sharding said at every product of a network.
        mesh = jax.make_mesh((len(devices),), ("data",), (AxisType.Auto,), devices=devices)
        places = NamedSharding(mesh, PartitionSpec("data"))
    compute = jax.jit(extractor.function)
    parts: list[np.ndarray] = []
    pending: tuple[Array, int] | None = None
    for images_at_once in _blocks(images, block, extractor.value_range):
        count = len(images_at_once)
        filled = np.pad(images_at_once, _at_end(block - count, images_at_once.ndim), mode="edge")
        computed = compute(jax.device_put(filled, places)), count
        if pending is not None:
            parts.append(_fetch(*pending, block))
        pending = computed
    if pending is None:
        raise ValueError("images must have one image or more, got none")
    parts.append(_fetch(*pending, block))
    return Features(np.concatenate(parts), extractor, seed)  # type: ignore[arg-type]


def _blocks(
    images: Array | Iterable[Array], block: int, value_range: tuple[float, float] | None
) -> Iterator[np.ndarray]:
    """Cuts batches of any sizes into blocks of one size, and a last one that may be smaller."""
    if not hasattr(images, "shape") and not isinstance(images, Iterable):
        raise fail("images", images, "an array or an iterable of arrays", TypeError)
    batches = [images] if hasattr(images, "shape") else images
    held: np.ndarray | None = None
    for batch in batches:
        array = np.asarray(check_array("images", batch, finite=True, moved=False))
        if array.ndim < 2 or 0 in array.shape:
            raise ValueError(f"images must be [N, H, W, C], none of it 0, got shape {array.shape}")
        _check_values(array, value_range)
        if held is not None:
            if array.shape[1:] != held.shape[1:] or array.dtype != held.dtype:
                raise ValueError(
                    f"images must all be {held.dtype} of shape {held.shape[1:]}, got {array.dtype}, {array.shape[1:]}"
                )
            array = np.concatenate([held, array])
        full = len(array) // block * block
        for start in range(0, full, block):
            yield array[start : start + block]
        held = array[full:]
    if held is not None and len(held):
        yield held


def _check_values(array: np.ndarray, value_range: tuple[float, float] | None) -> None:
    if value_range is not None:
        low, high = float(array.min()), float(array.max())
        if low < value_range[0] or high > value_range[1]:
            raise ValueError(f"images must lie in {value_range}, got {low:g} to {high:g}")


def _at_end(count: int, rank: int) -> list[tuple[int, int]]:
    return [(0, count)] + [(0, 0)] * (rank - 1)


def _fetch(features: Array, count: int, block: int) -> np.ndarray:
    """Waits for the features of a block, and returns those of its first ``count`` images, ``[count, D]``."""
    name = "what the extractor returns"
    array = np.asarray(check_array(name, features, floating=True))
    if array.ndim < 1 or len(array) != block or 0 in array.shape:
        raise ValueError(f"extractor must return one row for each image, got shape {array.shape}")
    rows = array[:count].reshape(count, -1)
    if not np.isfinite(rows).all():
        raise ValueError("extractor must return finite features, got NaN or infinity")
    return rows


@checked
def hash_weights(weights: Tree) -> str:
    """Returns the sha256 of a tree of weights: of the names, shapes, dtypes and bytes of its arrays.

    Args:
        weights: a tree of arrays, such as a network's parameters, or parameters and batch averages.

    Returns:
        64 hexadecimal digits, the same on every machine.
    """
    digest = hashlib.sha256()
    for path, leaf in jax.tree_util.tree_leaves_with_path(weights):
        array = np.asarray(check_array(f"weights{jax.tree_util.keystr(path)}", leaf, moved=False))
        little = array.astype(array.dtype.newbyteorder("<"), copy=False)
        digest.update(f"{jax.tree_util.keystr(path)} {array.dtype.name} {array.shape}".encode())
        digest.update(np.ascontiguousarray(little).tobytes())
    return digest.hexdigest()
