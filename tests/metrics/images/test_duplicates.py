"""The birthday test on features: that of metrics, on batches in order."""

import jax
import numpy as np
import pytest

from mixgan_jax import metrics


def test_it_is_the_birthday_test_on_batches_in_order_and_can_be_scored():
    numbers = np.asarray(jax.random.randint(jax.random.key(0), (1230, 1), 0, 300), np.float32)
    whole = metrics.birthday_test(numbers[:1200].reshape(12, 100, 1), threshold=0.5)
    found = metrics.birthday_support(fake=numbers, batch=100, threshold=0.5)
    assert found == {name: value for name, value in whole.items() if name in found}
    assert 200 < found["support_low"] < 300 < found["support_high"] < 450
    features = metrics.Features(numbers, metrics.Extractor(lambda images: images, "numbers"))
    scores = metrics.score(metrics.birthday_support, fake=features, batch=100, threshold=0.5)
    assert scores["support"].value == found["support"]
    assert ("batch", "100") in scores["support"].provenance.options


def test_every_number_of_the_support_is_handed_on():
    rows = np.arange(8, dtype=np.float32)[:, None]
    found = metrics.birthday_support(fake=rows, batch=4, threshold=0.0)
    assert set(found) == set(metrics.support_size([0, 0], 4))
    assert found["support"] == np.inf


def test_less_than_a_batch_is_refused():
    with pytest.raises(ValueError, match="fake must be batch, 9, images or more, got 8"):
        metrics.birthday_support(fake=np.ones((8, 1), np.float32), batch=9, threshold=0.0)
