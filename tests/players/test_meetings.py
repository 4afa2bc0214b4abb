"""The sparse pairing: who meets whom, exact means over its offsets, and MIX+GAN with it."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from helpers import (
    BATCH,
    DISCRIMINATOR,
    FEATURES,
    GENERATOR,
    LATENT,
    batch,
    close,
    feed,
    first_quick,
    solver,
    spread,
)

import mixgan_jax as mg
from mixgan_jax.players.meetings import Meetings, draw_meetings
from mixgan_jax.players.mesh import deal
from mixgan_jax.players.pairing import sum_shares
from mixgan_jax.solvers.core.game import Game
from mixgan_jax.solvers.core.gradients import discriminator_gradients, generator_gradients

SIZES = [(2, 4, 2), (6, 3, 1), (6, 4, 2), (3, 3, 3)]
"""Numbers of generators, discriminators and meetings."""


def meetings(offset: Any, size: tuple[int, int, int]) -> Meetings:
    return Meetings(jnp.asarray(offset, jnp.int32), size[:2], size[2])


@pytest.mark.parametrize("size", SIZES)
def test_chunks_meet_whom_the_formula_says(size: tuple[int, int, int]) -> None:
    """Against a loop over the chunks, for every offset."""
    num_g, num_d, r = size
    fakes = jnp.arange(num_g * BATCH).reshape(num_g, BATCH, 1)
    for offset in range(num_d):
        met = meetings(offset, size)
        dealt, generators = met.deal(fakes), met.generators
        assert dealt.shape == (num_d, num_g * r // num_d, BATCH // r, 1)
        for i in range(num_g):
            for c in range(r):
                j = (i + offset + c * num_d // r) % num_d
                slot = generators[j].tolist().index(i)
                chunk = fakes[i].reshape(r, -1, 1)[c]
                np.testing.assert_array_equal(dealt[j, slot], chunk)


@pytest.mark.parametrize("size", SIZES)
def test_summing_shares_is_the_adjoint_of_dealing(size: tuple[int, int, int]) -> None:
    """Inner products agree, of whole numbers: exactly."""
    met = meetings(size[1] - 1, size)
    fakes = jnp.round(5.0 * jax.random.normal(jax.random.key(0), (size[0], BATCH, FEATURES)))
    dealt = met.deal(fakes)
    shares = jnp.round(5.0 * jax.random.normal(jax.random.key(1), dealt.shape))
    summed = sum_shares(shares, "sparse", met)
    assert summed.shape == fakes.shape
    assert jnp.vdot(dealt, shares) == jnp.vdot(fakes, summed) != 0.0


def test_who_meets_everybody_at_no_offset_plays_the_latin_square() -> None:
    fakes = jnp.arange(2 * BATCH).reshape(2, BATCH, 1)
    np.testing.assert_array_equal(meetings(0, (2, 3, 3)).deal(fakes), deal(fakes, 3))


@pytest.mark.parametrize("size", first_quick([pytest.param(size) for size in SIZES[:3]]))
def test_the_mean_over_offsets_is_the_full_pairing(size: tuple[int, int, int]) -> None:
    """Each pair meets once on each chunk: gradients, losses and matrix are exact, at unequal weights."""
    num_g, num_d, r = size

    def mixture(seed: int, player: mg.Player, count: int, width: int) -> mg.Mixture:
        return spread(mg.uniform(jax.random.key(seed), player, count, jnp.zeros((2, width))))

    generators = mixture(0, GENERATOR, num_g, LATENT)
    discriminators = mixture(1, DISCRIMINATOR, num_d, FEATURES)
    real = batch(jax.random.key(2))
    latents = jax.random.normal(jax.random.key(3), (num_g, BATCH, LATENT))

    def gradients(pairing: Any, met: Meetings | None) -> Any:
        loss, penalty = mg.losses.non_saturating(), mg.penalties.r2(0.5)
        game = Game(
            GENERATOR,
            DISCRIMINATOR,
            loss,
            (num_g, num_d),
            LATENT,
            jax.random.normal,
            penalty,
            pairing=pairing,
            meetings=r,
        )
        fakes, _ = mg.generate(GENERATOR, generators, latents, train=True)
        down, info = discriminator_gradients(
            game, jax.random.key(4), generators.weights, discriminators, real, fakes, met=met
        )
        up, more = generator_gradients(game, generators, discriminators, real, latents, met)
        return (down.params, down.weights, up.params, up.weights), {**info, **more}

    of_offsets = jax.jit(jax.vmap(lambda offset: gradients("sparse", meetings(offset, size))))(
        jnp.arange(num_d)
    )
    expected = jax.jit(lambda: gradients("full", None))()
    assert close(jax.tree.map(lambda leaf: jnp.mean(leaf, axis=0), of_offsets), expected)
    assert np.count_nonzero(of_offsets[1]["values"][0]) == num_g * r < num_g * num_d


@pytest.mark.parametrize("update", first_quick(["alternating", "simultaneous"]))
def test_mix_gan_draws_new_meetings_in_each_step(update: Any) -> None:
    options: dict[str, Any] = {"num_generators": 4, "num_discriminators": 4, "update": update}
    rule = solver(pairing="sparse", meetings=2, generator_tx=optax.sgd(0.1), **options)
    seen: list[Any] = []
    key = jax.random.key(0)
    mg.fit(
        key, rule, feed(), num_steps=12, log_every=1, on_log=lambda step, entry: seen.append(entry)
    )
    matrices = np.stack([entry["values"] for entry in seen])
    assert (np.count_nonzero(matrices, axis=(1, 2)) == 4 * 2).all()
    assert {tuple(np.flatnonzero(matrix)) for matrix in matrices} == {
        tuple(np.flatnonzero(meetings(offset, (4, 4, 2)).matrix(jnp.ones((4, 2))).T))
        for offset in range(2)
    }, "offsets that differ by J / r are the same meetings on other chunks"


def test_offsets_are_uniform() -> None:
    keys = jax.random.split(jax.random.key(0), 6000)
    offsets = jax.vmap(lambda key: draw_meetings(key, 6, 6, 2).offset)(keys)
    counts = np.bincount(offsets, minlength=6)
    assert len(counts) == 6
    assert np.abs(counts - 1000).max() < 5 * np.sqrt(1000 * 5 / 6)


def test_bad_meetings_are_named() -> None:
    sizes: dict[str, Any] = {"num_generators": 4, "num_discriminators": 6}
    for bad in (4, 1, 12):
        with pytest.raises(ValueError, match=f"meetings must be a divisor .* got {bad}"):
            solver(pairing="sparse", meetings=bad, **sizes)
    with pytest.raises(ValueError, match="meetings must be 1 with pairing 'latin'"):
        solver(pairing="latin", meetings=3, **sizes)
    rule = solver(pairing="sparse", meetings=3, **sizes)
    state = jax.eval_shape(rule.init, jax.random.key(0))
    with pytest.raises(ValueError, match=r"multiple of meetings = 3 .* got a batch of 10"):
        jax.eval_shape(rule.step, jax.random.key(0), state, batch(jax.random.key(1), 10))
