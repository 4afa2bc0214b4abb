"""The page that writes MIX+GAN out in sixteen lines says what ``mix_gan`` does."""

import re
from pathlib import Path
from typing import Any

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
from helpers import BATCH, DISCRIMINATOR, GENERATOR, LATENT, batch

import mixgan_jax as mg
from mixgan_jax.solvers.core.turns import turn_keys
from mixgan_jax.types import Array, Key

PAGE = Path(__file__).parents[2] / "docs" / "mix_gan_in_sixteen_lines.md"
I, J = 2, 3  # noqa: E741


def test_sixteen_lines_are_mix_gan() -> None:
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert len([line for line in code.splitlines() if line]) == 16
    loss = mg.losses.non_saturating()
    names: dict[str, Any] = {"G": GENERATOR, "D": DISCRIMINATOR, "LOSS": loss, "RATE": 0.1}
    names |= {"ETA": 0.2, "BARRIER": 0.1, "mg": mg, "jax": jax, "jnp": jnp}
    exec(code, names)
    step = jax.jit(names["step"])
    rule = mg.mix_gan(
        GENERATOR,
        DISCRIMINATOR,
        loss,
        num_generators=I,
        num_discriminators=J,
        latent_size=LATENT,
        generator_tx=optax.sgd(0.1),
        discriminator_tx=optax.sgd(0.1),
        weight_tx=mg.exponentiated_gradient(0.2),
        weight_barrier=0.1,
    )

    def latents(key: Key) -> Array:
        return jax.random.normal(key, (I, BATCH, LATENT))

    state, solver_step = rule.init(jax.random.key(0)), jax.jit(rule.step)
    start = (state.generators, state.discriminators)
    ours = (*(m.params for m in start), *(m.weights for m in start))
    for key in jax.random.split(jax.random.key(1), 20):
        real = batch(jax.random.fold_in(key, 1))
        state, _ = solver_step(key, state, real)
        (down,), up = turn_keys(key)
        own, fresh = jax.random.split(down)[0], jax.random.fold_in(up, 0)
        ours = step(*ours, real, latents(own), latents(fresh))
    u, v, p, q = ours
    chex.assert_trees_all_close(u, state.generators.params, rtol=0, atol=1e-6)
    chex.assert_trees_all_close(v, state.discriminators.params, rtol=0, atol=1e-6)
    np.testing.assert_allclose(p, state.generators.weights, rtol=0, atol=1e-6)
    np.testing.assert_allclose(q, state.discriminators.weights, rtol=0, atol=1e-6)
    assert np.abs(q - 1 / J).max() > 1e-3, "the weights have not moved"
    assert not np.allclose(u[0]["w"], start[0].params[0]["w"], atol=1e-3), "nobody has moved"
