"""Agreement with torch-fidelity and prdc on the same features, where they are installed (the extra ``scores``)."""

import jax
import numpy as np
import pytest

from mixgan_jax import metrics

CLOSE = 1e-4  # relative


def sets(size):
    rng = np.random.default_rng(5)
    real = rng.normal(size=(310, size)).astype(np.float32)
    fake = (0.8 * rng.normal(size=(270, size)) + 0.2).astype(np.float32)
    return real, fake


@pytest.mark.parametrize("k", [1, 5])
def test_prdc(k):
    prdc = pytest.importorskip("prdc")
    real, fake = sets(8)
    found = metrics.precision_recall(real=real, fake=fake, neighbours=k)
    found |= metrics.density_coverage(real=real, fake=fake, neighbours=k)
    expected = prdc.compute_prdc(real, fake, nearest_k=k)
    assert found == pytest.approx(expected, rel=CLOSE)


def test_precision_and_recall_of_torch_fidelity():
    torch, _ = pytest.importorskip("torch"), pytest.importorskip("torch_fidelity")
    from torch_fidelity.metric_prc import prc_features_to_metric

    real, fake = sets(8)
    found = metrics.precision_recall(real=real, fake=fake)
    theirs = prc_features_to_metric(torch.tensor(fake), torch.tensor(real), verbose=False)
    assert found == pytest.approx({name: theirs[name] for name in found}, rel=CLOSE)


@pytest.mark.parametrize("size", [8, 400], ids=["narrow", "fewer samples than features"])
def test_frechet_and_kernel_distances_of_torch_fidelity(size):
    """One subset of all samples: theirs then draws none."""
    torch, _ = pytest.importorskip("torch"), pytest.importorskip("torch_fidelity")
    from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric
    from torch_fidelity.metric_kid import kid_features_to_metric

    real, fake = sets(size)
    tensors = [torch.tensor(rows) for rows in (fake, real)]
    fid = fid_statistics_to_metric(*map(fid_features_to_statistics, tensors), verbose=False)
    found = metrics.frechet_distance(real=real, fake=fake)
    assert found == pytest.approx(fid["frechet_inception_distance"], rel=CLOSE)

    fake, real = (rows[: len(fake)] for rows in (fake, real))
    tensors = [torch.tensor(rows, dtype=torch.float64) for rows in (fake, real)]
    kid = kid_features_to_metric(*tensors, kid_subsets=1, kid_subset_size=len(fake), verbose=False)
    value, _ = metrics.kernel_distance(jax.random.key(0), real=real, fake=fake, num_subsets=1)
    assert value == pytest.approx(kid["kernel_inception_distance_mean"], rel=CLOSE)


def test_inception_score_of_torch_fidelity():
    torch, _ = pytest.importorskip("torch"), pytest.importorskip("torch_fidelity")
    from torch_fidelity.metric_isc import isc_features_to_metric

    _, logits = sets(10)
    found = metrics.inception_score(fake=jax.nn.softmax(logits, axis=-1), splits=7)
    theirs = isc_features_to_metric(torch.tensor(logits), splits=7, shuffle=False)
    assert found.value == pytest.approx(theirs["inception_score_mean"], rel=CLOSE)
    # Theirs is the standard deviation over N.
    spread = theirs["inception_score_std"] / np.sqrt(6)
    assert found.stderr == pytest.approx(spread, rel=CLOSE)
