"""Scores: numbers that carry where they came from, so that two that measure different things are never compared."""

import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Annotated, Any, NamedTuple

import jax
import numpy as np

from mixgan_jax.checked import checked
from mixgan_jax.checks import check_choice
from mixgan_jax.metrics.images.features import Extractor, Features, check_widths, hash_weights


class Estimate(NamedTuple):
    """A number and its standard error.

    Attributes:
        value: a scalar.
        stderr: a scalar; NaN where it is not known.
    """

    value: float
    stderr: float


@dataclass(frozen=True)
class Provenance:
    """Where a score came from: all that must agree before two scores may be compared.

    Attributes:
        extractor: its name.
        weights_sha256: the hash of its weights, or None.
        resize: how images were brought to its size, or None.
        value_range: of the images it takes, or None.
        dtype: of the features.
        num_real: the number of reals; 0 for a metric of fakes alone.
        num_fake: the number of fakes.
        seed: of the fakes, or None.
        real_sha256: the hash of the reals' features, or None: two sets of reals give different scores.
        options: the metric's options and their values as text, defaults included; of an array its hash.
    """

    extractor: str
    weights_sha256: str | None
    resize: str | None
    value_range: tuple[float, float] | None
    dtype: str
    num_real: int
    num_fake: int
    seed: int | None
    real_sha256: str | None = None
    options: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Score:
    """A number of :func:`score`, with where it came from.

    Attributes:
        metric: the metric's name, and after a point that of the entry, if it has several.
        value: the number.
        stderr: its standard error; None where the metric states none.
        provenance: where it came from.
    """

    metric: str
    value: float
    stderr: float | None
    provenance: Provenance


@checked
def score(
    metric: Callable[..., Any], *, fake: Features, real: Features | None = None, **options: Any
) -> Any:
    """Applies a metric to features, and joins its numbers with where they came from.

    A metric is any function of features with arguments named ``fake`` and ``real``, or ``fake`` alone, that returns
    scalars: those of this room, or your own. It sees arrays. Reals and fakes must come from one extractor.

    Args:
        metric: ``metric(real=[N, D], fake=[M, D], **options)``. It returns a number, an :class:`Estimate`, or a
            dict of these.
        fake: the features ``[M, D]`` of generated images.
        real: the features ``[N, D]`` of real images; None for a metric of fakes alone.
        options: handed to the metric. A random ``key`` does not become part of the provenance.

    Returns:
        A :class:`Score`; for a metric that returns a dict, a dict of them.

    Example:
        >>> import jax, mixgan_jax as mg
        >>> pixels = mg.metrics.Extractor(lambda images: images, "pixels")
        >>> real, fake = (
        ...     mg.metrics.extract(pixels, jax.random.normal(jax.random.key(i), (100, 4)), seed=i) for i in range(2)
        ... )
        >>> fid = mg.metrics.score(mg.metrics.frechet_distance, real=real, fake=fake)
        >>> fid.metric, fid.provenance.extractor, fid.provenance.num_fake
        ('frechet_distance', 'pixels', 100)
    """
    if real is not None:
        _check_alike(real, fake)
    sets = {} if real is None else {"real": real.array}
    name = _name_of(metric)
    result = metric(fake=fake.array, **sets, **options)
    provenance = _provenance(real, fake, _stated_options(metric, options))
    if not isinstance(result, Mapping):
        return _score(name, result, provenance)
    return {entry: _score(f"{name}.{entry}", own, provenance) for entry, own in result.items()}


_PARTS = [field.name for field in fields(Provenance)]


def _check_parts(name: str, value: Any) -> Sequence[str]:
    return [check_choice(name, one, _PARTS) for one in value]


@checked
def compare(a: Score, b: Score, *, ignore: Annotated[Sequence[str], _check_parts] = ()) -> Estimate:
    """Subtracts one score from another, and refuses if they are of different metrics or provenance.

    Args:
        a: a score.
        b: another score.
        ignore: fields of :class:`Provenance` that may differ, such as ``["seed"]``.

    Returns:
        ``a - b`` and its standard error, for independent scores: NaN where a score has none.
    """
    if a.metric != b.metric:
        raise ValueError(f"b must be of a's metric, {a.metric}, got {b.metric}")
    for name in _PARTS:
        first, second = (getattr(one.provenance, name) for one in (a, b))
        if first != second and name not in ignore:
            raise ValueError(f"b must have a's {name}, {first!r}, got {second!r}")
    errors = [math.nan if one.stderr is None else one.stderr for one in (a, b)]
    return Estimate(a.value - b.value, math.hypot(*errors))


def _check_alike(real: Features, fake: Features) -> None:
    """Refuses features of different extractors, and names what differs."""
    check_widths(real.array, fake.array)
    known = [field.name for field in fields(Extractor) if field.compare]
    for name in [*known, "dtype"]:
        own, other = (
            one.array.dtype.name if name == "dtype" else getattr(one.extractor, name)
            for one in (real, fake)
        )
        if own != other:
            raise ValueError(f"fake must have the {name} of real, {own!r}, got {other!r}")


def _provenance(
    real: Features | None, fake: Features, options: tuple[tuple[str, str], ...]
) -> Provenance:
    source = fake.extractor
    return Provenance(
        extractor=source.name,
        weights_sha256=source.weights_sha256,
        resize=source.resize,
        value_range=source.value_range,
        dtype=str(fake.array.dtype),
        num_real=0 if real is None else len(real.array),
        num_fake=len(fake.array),
        real_sha256=None if real is None else real.sha256,
        seed=fake.seed,
        options=options,
    )


def _stated_options(
    metric: Callable[..., Any], options: Mapping[str, Any]
) -> tuple[tuple[str, str], ...]:
    """Returns names and values of all options, defaults among them, without the sets and random keys."""
    known = inspect.signature(metric).parameters.values()
    defaults = {one.name: one.default for one in known if one.default is not one.empty}
    stated = {**defaults, **options}
    return tuple(
        (name, _text(value))
        for name, value in sorted(stated.items())
        if name not in ("real", "fake") and not _is_key(value)
    )


def _is_key(value: Any) -> bool:
    return isinstance(value, jax.Array) and jax.dtypes.issubdtype(value.dtype, jax.dtypes.prng_key)


def _text(value: Any) -> str:
    """Returns a text that differs for options that differ."""
    if isinstance(value, np.ndarray | jax.Array) and np.ndim(value):
        return f"{value.dtype}{list(value.shape)} {hash_weights(value)}"
    return repr(value.item() if isinstance(value, np.ndarray | np.generic | jax.Array) else value)


def _name_of(metric: Callable[..., Any]) -> str:
    """Returns a metric's name: two metrics of one name would be compared."""
    name = str(getattr(getattr(metric, "func", metric), "__name__", "<unnamed>"))
    if name.startswith("<"):
        raise ValueError(f"metric must be a function with a name, got {metric}")
    return name


def _score(name: str, result: Any, provenance: Provenance) -> Score:
    if isinstance(result, Estimate):
        return Score(name, result.value, result.stderr, provenance)
    if np.ndim(result) != 0:
        raise ValueError(f"metric must return scalars, got {name} of shape {np.shape(result)}")
    return Score(name, float(result), None, provenance)
