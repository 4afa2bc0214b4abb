"""Neural net distance: exact answers where they exist, the split, the ball, the choice among restarts."""

import math
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import mixgan_jax as mg
from mixgan_jax.losses import phi_bounded_log, phi_identity, phi_log
from mixgan_jax.metrics import best_discriminator, neural_net_distance
from mixgan_jax.networks import MLP

LINEAR = mg.from_linen(MLP(()))
KEY = jax.random.key(0)


def distance(real, fake, held_out_real=None, held_out_fake=None, key=KEY, **options):
    held_out_real = real if held_out_real is None else held_out_real
    held_out_fake = fake if held_out_fake is None else held_out_fake
    options = {"player": LINEAR, "phi": phi_identity(), "bound": 50.0, **options}
    options = {"steps": 300, "restarts": 2, "learning_rate": 0.3, **options}
    player, phi = options.pop("player"), options.pop("phi")
    return neural_net_distance(
        key, player, phi, real, fake, held_out_real, held_out_fake, **options
    )


def on_points(*counts: int) -> jax.Array:
    """Each of the points of a finite set, one-hot, so many times: linear logits are all functions of them."""
    return jnp.repeat(jnp.eye(len(counts)), jnp.array(counts), axis=0)


REAL, FAKE = on_points(5, 1, 2, 2), on_points(1, 3, 2, 14)


def test_all_functions_and_the_identity_give_the_total_variation() -> None:
    p, q = np.array([5, 1, 2, 2]) / 10, np.array([1, 3, 2, 14]) / 20
    result = distance(REAL, FAKE)
    np.testing.assert_allclose(result["value"], 0.5 * np.abs(p - q).sum(), atol=2e-3)
    assert result["value"] <= 0.5 * np.abs(p - q).sum() + 1e-6  # never above the supremum


def test_all_functions_and_a_bounded_log_give_its_divergence() -> None:
    """The best D is (p - delta q) / ((1 - delta)(p + q)) cut to [0, 1], point by point."""
    p, q, delta = np.array([5, 1, 2, 2]) / 10, np.array([1, 3, 2, 14]) / 20, 0.1
    best = np.clip((p - delta * q) / ((1 - delta) * (p + q)), 0, 1)

    def phi(t):
        return np.log(delta + (1 - delta) * t)

    expected = np.sum(p * phi(best) + q * phi(1 - best)) - 2 * phi(0.5)
    result = distance(REAL, FAKE, phi=phi_bounded_log(delta))
    np.testing.assert_allclose(result["value"], expected, atol=1e-3)


def test_a_linear_class_finds_the_total_variation_of_shifted_gaussians() -> None:
    """N(0, I) and N(mu, I): the likelihood ratio is linear, so the distance is TV = 2 Phi(|mu| / 2) - 1."""
    mu = jnp.array([1.2, -1.6])
    real, fake, held_out_real, held_out_fake = jax.random.normal(KEY, (4, 4000, 2))
    fake, held_out_fake = fake + mu[None], held_out_fake + mu[None]
    result = distance(real, fake, held_out_real, held_out_fake, batch=1000)
    expected = math.erf(1 / math.sqrt(2))
    # Standard error of a mean of indicators over 4,000 and 4,000: 0.007.
    np.testing.assert_allclose(result["held_out"], expected, atol=0.022)
    np.testing.assert_allclose(result["value"], expected, atol=0.025)


@pytest.mark.slow
def test_equal_means_fool_every_linear_discriminator_but_not_a_wider_class() -> None:
    """N(0, 1) and N(0, 4): TV is 0.32, of which the half-lines see 0.16 at most, one side's difference."""
    normal = jax.random.normal(KEY, (4, 2000, 1)) * jnp.array([1.0, 2.0, 1.0, 2.0])[:, None, None]
    real, fake, *held_out = normal
    linear = distance(real, fake, *held_out)
    wide = distance(real, fake, *held_out, player=mg.from_linen(MLP((8,))), learning_rate=0.05)
    assert linear["held_out"] < 0.2
    assert 0.26 < wide["held_out"] < 0.36


def test_the_ball_bounds_what_a_linear_class_can_say() -> None:
    """Points +1 and -1 and logits w x + b, |(w, b)| <= r: the value is 2 sigmoid(r) - 1, at b = 0."""
    real, fake = jnp.ones((3, 1)), -jnp.ones((5, 1))
    for radius in (0.1, 1.0):
        result = distance(real, fake, bound=radius)
        expected = 2 / (1 + math.exp(-radius)) - 1
        np.testing.assert_allclose(result["value"], expected, rtol=1e-3)
        np.testing.assert_allclose(result["norm"], radius, rtol=1e-5)


def test_the_split_shows_what_was_only_learnt_by_heart() -> None:
    """16 points each of one distribution in 64 dimensions: told apart in training, new ones not."""
    samples = jax.random.normal(KEY, (4, 16, 64))
    result = distance(*samples, learning_rate=0.05)
    assert result["value"] > 0.9
    assert abs(result["held_out"]) < 0.6
    np.testing.assert_allclose(result["gap"], result["value"] - result["held_out"], rtol=1e-6)


@pytest.mark.slow
def test_the_restart_is_chosen_by_its_training_value_alone() -> None:
    """The held-out sides are swapped: what is best in training is worst there, and is reported all the same."""
    result = distance(REAL, FAKE, FAKE, REAL, steps=5, restarts=5, learning_rate=0.1)
    assert result["values"].shape == result["held_out_values"].shape == (5,)
    chosen = int(np.argmax(result["values"]))
    assert result["restart"] == chosen
    assert result["value"] == result["values"][chosen]
    assert result["held_out"] == result["held_out_values"][chosen] < 0


def test_provenance_and_the_discriminator_itself() -> None:
    options = {"bound": 3.0, "steps": 20, "restarts": 3}
    params, result = best_discriminator(
        KEY, LINEAR, phi_identity(), REAL, FAKE, REAL, FAKE, **options
    )
    assert {name: float(result[name]) for name in ("parameters", *options)} == {
        "parameters": 5,
        **options,
    }
    d = [jax.nn.sigmoid(LINEAR.apply(params, {}, x, train=False)[0]).mean() for x in (REAL, FAKE)]
    np.testing.assert_allclose(result["value"], d[0] - d[1], atol=1e-6)
    squares = sum(jnp.sum(leaf**2) for leaf in jax.tree.leaves(params))
    np.testing.assert_allclose(result["norm"], jnp.sqrt(squares), rtol=1e-6)


def test_many_samples_are_gone_through_in_pieces(monkeypatch) -> None:
    from mixgan_jax.metrics import neural

    whole = distance(REAL, FAKE, steps=10)
    monkeypatch.setattr(neural, "_ROWS_AT_ONCE", 3)
    pieces = distance(REAL, FAKE, steps=10)
    for name in ("value", "held_out", "norm"):
        np.testing.assert_allclose(pieces[name], whole[name], rtol=1e-5)


def test_a_batch_that_holds_all_is_the_whole_and_a_smaller_one_is_not() -> None:
    whole = distance(REAL, FAKE, steps=10)
    np.testing.assert_array_equal(
        distance(REAL, FAKE, steps=10, batch=20)["values"], whole["values"]
    )
    assert np.all(distance(REAL, FAKE, steps=10, batch=4)["values"] != whole["values"])


def test_seeds_are_vmapped_and_equal_runs_one_by_one() -> None:
    keys = jax.random.split(KEY, 3)
    one = partial(distance, REAL, FAKE, steps=20, batch=4)
    together = jax.jit(jax.vmap(lambda key: one(key=key)))(keys)
    assert together["values"].shape == (3, 2)
    for index, key in enumerate(keys):
        np.testing.assert_allclose(together["value"][index], one(key=key)["value"], rtol=1e-5)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"phi": phi_log()}, "phi must be bounded, as the theorem needs"),
        ({"player": mg.from_linen(MLP((3,), batch_norm=True))}, "player must be without state"),
        ({"player": mg.from_linen(MLP((), outputs=2))}, "player must return one logit per example"),
        ({"bound": math.inf}, "bound must be a finite number > 0"),
        ({"steps": 0}, "steps must be a whole number >= 1"),
        ({"batch": 0}, "batch must be a whole number >= 1"),
    ],
)
def test_a_class_that_the_theorem_does_not_cover_is_refused(change, message) -> None:
    with pytest.raises(ValueError, match=message):
        distance(REAL, FAKE, **change)


def test_samples_of_another_dimension_are_named() -> None:
    with pytest.raises(ValueError, match=r"held_out_fake must be samples like real, .*\[N, 4\]"):
        distance(REAL, FAKE, REAL, jnp.ones((5, 3)))
    with pytest.raises(ValueError, match="fake must have shape"):
        distance(REAL, jnp.ones((0, 4)))
