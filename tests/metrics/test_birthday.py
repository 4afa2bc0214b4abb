"""The birthday test: closest pairs against brute force, support sizes against known ones."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mixgan_jax import metrics


def brute_force(rows, columns=None):
    """All distances of pairs that count, in float64."""
    other = rows if columns is None else columns
    rows, other = (np.asarray(a, np.float64).reshape(len(a), -1) for a in (rows, other))
    distances = np.sqrt(((rows[:, None] - other[None]) ** 2).sum(-1))
    return distances[np.triu_indices(len(rows), 1)] if columns is None else distances.ravel()


def draws(key, support, batch, repeats):
    """Batches of a uniform distribution on so many points of the plane."""
    numbers = jax.random.randint(jax.random.key(key), (repeats, batch), 0, support)
    return jnp.stack([numbers // 1000, numbers % 1000], axis=-1).astype(jnp.float32)


@pytest.mark.parametrize("block", [1, 4, 7, 23, 500])
@pytest.mark.parametrize("across", [False, True])
def test_blockwise_is_brute_force(block, across):
    rows = jax.random.normal(jax.random.key(0), (23, 2, 3))
    columns = jax.random.normal(jax.random.key(1), (9, 2, 3)) if across else None
    found = metrics.closest_pairs(rows, columns, num_pairs=12, threshold=1.9, block=block)
    expected = np.sort(brute_force(rows, columns))
    np.testing.assert_allclose(found["distance"], expected[:12], rtol=1e-5)
    assert found["duplicates"] == np.sum(expected <= 1.9) > 0
    near = brute_force(rows, rows if columns is None else columns) <= 1.9
    near = near.reshape(len(rows), -1) & (across or ~np.eye(len(rows), dtype=bool))
    np.testing.assert_array_equal(found["neighbours"], near.sum(1))
    if across:
        np.testing.assert_array_equal(found["neighbours_of_others"], near.sum(0))
    partners = rows if columns is None else columns
    for distance, first, second in zip(
        found["distance"], found["first"], found["second"], strict=True
    ):
        pair = np.asarray(rows[first] - partners[second])
        assert np.linalg.norm(pair) == pytest.approx(float(distance), rel=1e-5)
        assert across or first < second


def test_fewer_pairs_than_asked_for_are_all():
    found = metrics.closest_pairs(jnp.asarray([[0.0], [3.0], [7.0]]), num_pairs=10)
    np.testing.assert_array_equal(found["distance"], [3, 4, 7])
    np.testing.assert_array_equal(found["first"], [0, 1, 0])
    np.testing.assert_array_equal(found["second"], [1, 2, 2])


def test_the_threshold_counts_what_lies_on_it():
    """Distances 3, 4, 7; and at threshold 0 the equal ones alone, large numbers or not."""
    line = jnp.asarray([[0.0], [3.0], [7.0]])
    counts = {t: int(metrics.closest_pairs(line, threshold=t)["duplicates"]) for t in (2.999, 3, 7)}
    assert counts == {2.999: 0, 3: 1, 7: 3}
    large = 1000.0 + jax.random.normal(jax.random.key(0), (30, 50))
    again = jnp.concatenate([large, large[3:5], large[3:4]])
    found = metrics.closest_pairs(again, num_pairs=5)
    assert found["duplicates"] == 4  # three pairs among three copies, and one pair
    np.testing.assert_array_equal(found["distance"][:4], 0)
    assert found["distance"][4] > 1


def test_features_decide_what_is_a_duplicate():
    images = jnp.asarray([[0, 5], [1, 5], [0, 9], [3, 3]], jnp.int32)

    def last(samples):
        return samples[:, 1:].astype(jnp.float32)

    assert metrics.closest_pairs(images)["duplicates"] == 0
    found = metrics.closest_pairs(images, features=last, num_pairs=1)
    assert found["duplicates"] == 1
    assert (found["first"][0], found["second"][0]) == (0, 1)
    with pytest.raises(ValueError, match=r"features must give 4 rows, one for each of samples"):
        metrics.closest_pairs(images, features=lambda samples: samples[:2])


def test_bytes_do_not_wrap_around():
    images = jnp.asarray([[0], [255], [250]], jnp.uint8)
    np.testing.assert_array_equal(metrics.closest_pairs(images)["distance"], [5, 250, 255])


def test_it_runs_under_jit_and_over_seeds():
    batches = draws(0, 50, 20, 3)
    found = jax.jit(jax.vmap(lambda batch: metrics.closest_pairs(batch, num_pairs=2, block=8)))(
        batches
    )
    np.testing.assert_array_equal(
        found["duplicates"], [np.sum(brute_force(batch) == 0) for batch in batches]
    )


def test_the_fact_sheets_numbers():
    assert round(metrics.detectable_support(400)) == 115_127
    assert round(metrics.detectable_support(1000)) == 720_626
    assert metrics.duplicate_probability(720_626, 1000) == pytest.approx(0.5, abs=1e-6)
    assert metrics.duplicate_probability(10**6, 1000) == pytest.approx(0.393, abs=5e-4)
    power = metrics.duplicate_probability(5000.0, 40, repeats=7)
    assert metrics.detectable_support(40, repeats=7, power=power) == pytest.approx(5000.0)


@pytest.mark.parametrize(("support", "batch"), [(365, 23), (100_000, 400), (10, 5)])
def test_the_power_is_never_too_large(support, batch):
    exact = 1.0 - math.prod(1.0 - i / support for i in range(batch))
    power = metrics.duplicate_probability(support, batch)
    assert exact * 0.9 < power <= exact
    if support == 365:
        assert exact == pytest.approx(0.507, abs=1e-3)


@pytest.mark.parametrize(
    ("support", "batch", "repeats"), [(500, 60, 4), (20_000, 300, 3), (40, 30, 2)]
)
def test_the_intervals_cover_a_known_support(support, batch, repeats):
    """400 tests at 90 %: a Poisson interval covers at least as often, but for three standard errors."""
    random = np.random.default_rng(0)
    hits, by_batches, seen = 0, 0, []
    for _ in range(400):
        numbers = random.integers(0, support, (repeats, batch))
        copies = [np.unique(row, return_counts=True)[1] for row in numbers]
        pairs = np.array([np.sum(c * (c - 1) // 2) for c in copies])
        found = metrics.support_size(pairs, batch, confidence=0.9)
        hits += found["support_low"] <= support <= found["support_high"]
        by_batches += found["support_by_batches_low"] <= support <= found["support_by_batches_high"]
        seen.append(repeats * batch * (batch - 1) / 2 / found["support"])
    assert hits >= 400 * 0.9 - 3 * math.sqrt(400 * 0.09)
    assert by_batches >= 400 * 0.9 - 3 * math.sqrt(400 * 0.09) or support < batch**2 / 10
    assert np.mean(seen) == pytest.approx(repeats * batch * (batch - 1) / 2 / support, rel=0.05)


def copies(batches):
    """Duplicates and wedges of each batch of numbers ``[R, s]``."""
    counts = [np.unique(row, return_counts=True)[1].astype(int) for row in batches]
    pairs = [np.sum(c * (c - 1) // 2) for c in counts]
    return np.array(pairs), np.array([np.sum(c * (c - 1) * (c - 2) // 2) for c in counts])


@pytest.mark.parametrize(("batch", "repeats"), [(50, 4), (100, 10)])
@pytest.mark.parametrize("kind", ["uniform", "Zipf", "one heavy atom"])
def test_the_intervals_cover_whatever_the_distribution(kind, batch, repeats):
    """300 tests at 95 %: not below by more than 3 standard errors, each interval for its own quantity."""
    p = {
        "uniform": np.ones(1000),
        "Zipf": 1.0 / np.arange(1, 10_001),
        "one heavy atom": np.append(0.05 * 20_000 / 0.95, np.ones(20_000)),
    }[kind]
    p /= p.sum()
    support = 1.0 / np.sum(p**2)
    random = np.random.default_rng(0)
    # The probability that a batch has no duplicate: s! times the elementary symmetric polynomial of p.
    none = np.zeros(batch + 1)
    none[0] = 1.0
    for share in p:
        none[1:] += np.arange(1, batch + 1) * share * none[:-1]
    by_batches = batch * (batch - 1) / 2 / -math.log(none[-1])
    hits = dict.fromkeys(("known", "unknown", "batches"), 0)
    for drawn in np.searchsorted(np.cumsum(p), random.random((300, repeats, batch)) * p.sum()):
        pairs, wedges = copies(drawn)
        found = metrics.support_size(pairs, batch, wedges=wedges)
        blind = metrics.support_size(pairs, batch)
        hits["known"] += found["support_low"] <= support <= found["support_high"]
        hits["unknown"] += blind["support_low"] <= support <= blind["support_high"]
        low, high = found["support_by_batches_low"], found["support_by_batches_high"]
        hits["batches"] += low <= by_batches <= high
    assert min(hits.values()) >= 300 * 0.95 - 3 * math.sqrt(300 * 0.95 * 0.05), hits
    assert by_batches > support or kind == "uniform"  # the second bound is the larger one


def test_a_support_by_hand():
    """Three pairs in two batches of 100, for the worst distribution: level(m) = 2 (sqrt(1 + 2 sqrt m) - 1)."""
    found = metrics.support_size(np.array([3, 0]), 100)
    assert found["support"] == 3300
    levels = [2 * (math.sqrt(1 + 2 * math.sqrt(m)) - 1) for m in (3, 4 + 2 * math.sqrt(3))]
    ends = [max(level, 0) for level in (levels[0] - 1.959964, levels[1] + 1.959964)]
    means = [(((1 + end / 2) ** 2 - 1) / 2) ** 2 for end in ends]
    assert found["support_low"] == pytest.approx(9900 / means[1], rel=1e-5)
    assert found["support_high"] == pytest.approx(9900 / means[0], rel=1e-5)
    assert found["detected"] == 0.5
    assert found["support_by_batches"] == pytest.approx(4950 / math.log(2))
    # 1 of 2: Clopper and Pearson's interval has ends 1 - sqrt(0.975) and sqrt(0.975).
    assert found["support_by_batches_high"] == pytest.approx(4950 / -math.log(0.975**0.5), rel=1e-6)
    assert found["support_by_batches_low"] == pytest.approx(
        4950 / -math.log(1 - 0.975**0.5), rel=1e-6
    )
    assert metrics.duplicate_probability(found["support_seen"], 100, repeats=2) == pytest.approx(
        0.95
    )


def test_wedges_that_were_not_seen_narrow_the_interval():
    """Many pairs and no triple: the distribution is flat, and C nearly a Poisson number (Garwood: 1751 to 1881)."""
    duplicates, none = np.full(40, 75), np.zeros(40, int)
    blind = metrics.support_size(duplicates, 100)
    found = metrics.support_size(duplicates, 100, wedges=none)
    assert blind["support_low"] < found["support_low"] < found["support"]
    assert found["support_low"] == pytest.approx(64 * 1000 / 1000 + 0.2, abs=1.5)
    assert found["support_high"] == pytest.approx(68.4, abs=0.5)
    with pytest.raises(ValueError, match=r"wedges must be \[R\] as duplicates"):
        metrics.support_size(duplicates, 100, wedges=none[:3])


def test_no_duplicates_bound_the_support_from_below_only():
    found = metrics.support_size(np.zeros(5, int), 100)
    assert found["support"] == found["support_high"] == math.inf
    # Of all distributions with that sum of squares a single frequent sample hides best. With x for its mean number in a
    # batch, no duplicate is as likely as ((1 + x) e^-x)^5.
    x = math.sqrt(100 * 99 / found["support_low"])
    assert ((1 + x) * math.exp(-x)) ** 5 == pytest.approx(0.025, abs=0.02)
    assert found["support_by_batches"] == math.inf
    assert found["detected"] == 0


def test_no_support_is_below_one():
    """One point: every pair is a duplicate, and every batch has one."""
    found = metrics.birthday_test(jnp.zeros((3, 20, 1)), threshold=0.0)
    assert found["support"] == 1
    names = [name for name in found if name.startswith("support_by") or name == "support_low"]
    assert min(found[name] for name in names) == 1


def test_duplicates_beyond_int32_are_exact(monkeypatch):
    """On the host they are summed up as int64; under jit, where only int32 is to be had, they are refused."""
    monkeypatch.setattr("mixgan_jax.metrics.pairs.MAX_COUNT", 100)
    equal = metrics.closest_pairs(jnp.zeros((30, 1)), block=7)["duplicates"]
    assert (equal, equal.dtype) == (math.comb(30, 2), np.int64)
    across = metrics.closest_pairs(jnp.zeros((30, 1)), jnp.zeros((5, 1)), block=7)["duplicates"]
    assert (across, across.dtype) == (150, np.int64)
    monkeypatch.undo()
    with pytest.raises(ValueError, match="samples must have at most 2147483647 pairs under jit"):
        jax.eval_shape(metrics.closest_pairs, jax.ShapeDtypeStruct((66_000, 1), jnp.float32))
    assert metrics.support_size(np.array([math.comb(92_700, 2)]), 92_700)["support"] == 1


def test_batches_from_samples_to_support():
    samples = draws(1, 3000, 200, 6)
    found = metrics.birthday_test(samples, threshold=0.0, num_pairs=4)
    by_hand = [np.sum(brute_force(batch) == 0) for batch in samples]
    np.testing.assert_array_equal(found["duplicates"], by_hand)
    assert found["distance"].shape == (6, 4)
    assert found["support_low"] < 3000 < found["support_high"] < 6000
    noisy = samples + 1e-3 * jax.random.normal(jax.random.key(5), samples.shape)
    assert metrics.birthday_test(noisy, threshold=0.0)["support"] == math.inf
    assert metrics.birthday_test(noisy, threshold=0.02)["support"] == found["support"]


def test_generators_that_share_half_of_their_support():
    """Uniform on 0..999 and on 500..1499: sum p q is half of sum p^2."""
    first, second = draws(2, 1000, 200, 8), draws(3, 1000, 200, 8)
    shift = jnp.asarray([[[0.0, 500.0]]])
    cases = {0.0: jnp.asarray([[[5.0, 0.0]]]), 0.5: shift, 1.0: 0 * shift}
    for expected, moved in cases.items():
        found = metrics.shared_support(first, second + moved, threshold=0.0)
        assert found["overlap_low"] <= expected <= found["overlap_high"]
        assert found["overlap"] == pytest.approx(expected, abs=0.25)
        assert found["overlap_high"] - found["overlap_low"] < 0.6
        assert found["duplicates_across"].shape == (8,)
    within = metrics.birthday_test(first, threshold=0.0)["duplicates"]
    np.testing.assert_array_equal(found["duplicates_within_first"], within)


def test_the_interval_of_the_overlap_covers_where_samples_are_frequent():
    """One sample has a tenth of p and a fiftieth of q; 100 tests at 95 %. Binomial counts miss half of the time."""
    random = np.random.default_rng(0)
    rest = np.ones(20_000) / 20_000
    p, q = np.append(0.1, 0.9 * rest), np.append(0.02, 0.98 * rest)
    overlap = 2 * np.sum(p * q) / np.sum(p**2 + q**2)
    hits = 0
    for _ in range(100):
        sides = [
            np.searchsorted(np.cumsum(side), random.random((4, 60)) * 0.999999) for side in (p, q)
        ]
        first, second = (jnp.asarray(side[..., None], jnp.float32) for side in sides)
        found = metrics.shared_support(first, second, threshold=0.0, num_pairs=1)
        hits += found["overlap_low"] <= overlap <= found["overlap_high"]
    assert hits >= 95 - 3 * math.sqrt(100 * 0.95 * 0.05)


def test_without_any_duplicate_nothing_is_known_of_the_overlap():
    first = jnp.arange(10.0).reshape(1, 10, 1)
    found = metrics.shared_support(first, first + 0.5, threshold=0.0)
    assert math.isnan(found["overlap"])
    assert (found["overlap_low"], found["overlap_high"]) == (0.0, math.inf)
    same = metrics.shared_support(first, first, threshold=0.0)  # 10 across, none within
    assert same["overlap"] == math.inf
    assert same["overlap_low"] > 1


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: metrics.closest_pairs(jnp.ones((1, 2))), "samples must be 2 or more, got 1"),
        (
            lambda: metrics.closest_pairs(jnp.ones((3, 2)), jnp.ones((3, 4))),
            "others must have 2 features each, as samples, got 4",
        ),
        (
            lambda: metrics.closest_pairs(jnp.ones((3, 2)), threshold=-1.0),
            "threshold must be a finite number >= 0, got -1.0",
        ),
        (
            lambda: metrics.birthday_test(jnp.ones((3,)), threshold=1.0),
            r"samples must have shape \[R, s, ...\], s >= 2",
        ),
        (
            lambda: metrics.support_size(np.array([7]), 4),
            r"duplicates must be whole numbers \[R\] in 0..6",
        ),
        (
            lambda: metrics.shared_support(jnp.ones((1, 3, 2)), jnp.ones((1, 4, 2)), threshold=0.0),
            "second must have the shape of first",
        ),
        (lambda: metrics.duplicate_probability(0.5, 10), "support must be a finite number >= 1"),
    ],
)
def test_bad_arguments(call, message):
    with pytest.raises(ValueError, match=message):
        call()
