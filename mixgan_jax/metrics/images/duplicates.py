"""The birthday test on the features of one set of images."""

from typing import Annotated

from annotated_types import Ge

from mixgan_jax.checked import checked, unchecked
from mixgan_jax.metrics.birthday import birthday_test
from mixgan_jax.metrics.images.features import FeatureRows
from mixgan_jax.types import Fraction, NonNegative


@checked
def birthday_support(
    *,
    fake: FeatureRows,
    batch: Annotated[int, Ge(2)],
    threshold: NonNegative,
    confidence: Fraction = 0.95,
) -> dict[str, float]:
    """Estimates how many different images a generator makes, from near duplicates among their features.

    Cuts the features into batches and hands them to :func:`~mixgan_jax.metrics.birthday_test`, as a metric of
    :func:`~mixgan_jax.metrics.score`.

    Args:
        fake: features ``[N, D]`` of independent images, N >= batch; what is left after the last whole batch is unused.
        batch: s, images in a batch.
        threshold: two features at this distance or less are a duplicate, >= 0.
        confidence: of the intervals, in (0, 1).

    Returns:
        The scalars of :func:`~mixgan_jax.metrics.support_size`.
    """
    repeats = len(fake) // batch
    if repeats == 0:
        raise ValueError(f"fake must be batch, {batch}, images or more, got {len(fake)}")
    batches = fake[: repeats * batch].reshape(repeats, batch, fake.shape[1])
    found = unchecked(birthday_test)(batches, threshold=threshold, confidence=confidence)
    return {name: value for name, value in found.items() if isinstance(value, float)}
