"""Code as users write it, for ``test_types.py``: mypy accepts all lines but those whose comment says why not."""

from typing import reveal_type

import jax
import jax.numpy as jnp
import numpy as np
import optax

import mixgan_jax as mg

KEY = jax.random.key(0)
GENERATOR = mg.from_linen(mg.networks.MLP((16,), outputs=2))
DISCRIMINATOR = mg.Player(lambda key, x: ({}, {}), lambda params, state, x, train: (x, state))


def right() -> None:
    ring = mg.data.ring(8, radius=2, std=[0.1] * 8, rotation=np.pi)
    mg.data.gaussian_mixture(np.zeros((3, 2)), 0.1, [1, 2, 3])
    mg.data.gaussian_mixture([[0.0, 1.0]], jnp.ones(1), weights=None)
    feed = mg.data.feed_from_distribution(ring, 32)
    solver = mg.mix_gan(
        GENERATOR,
        mg.pack(DISCRIMINATOR, 2),
        mg.losses.minimax(),
        latent_size=4,
        num_generators=3,
        num_discriminators=2,
        generator_tx=optax.adam(1e-3),
        discriminator_tx=optax.chain(optax.clip(1.0), optax.adam(1e-3)),
        weight_tx=mg.exponentiated_gradient(optax.constant_schedule(0.1)),
        penalty=mg.penalties.r1(1),
    )
    solver = mg.extragradient(mg.lookahead(solver, period=5, rate=0.5))
    state = mg.fit(KEY, solver, feed, num_steps=10, folder="runs/a", config={"seed": 0})
    mg.sample(KEY, GENERATOR, state.generators, jnp.zeros((5, 4)))
    mg.zero_sum_equilibrium([[1, 2], [3, 4]], tolerance=1e-6)


def wrong() -> None:
    mg.data.ring("8")  # error: Argument 1 to "ring" has incompatible type "str"; expected "int"
    mg.data.ring(num_mode=8)  # error: Unexpected keyword argument "num_mode" for "ring"
    mg.data.gaussian_mixture([[0.0]])  # error: Missing positional argument "std"
    mg.run(KEY, mg.data.ring(), 1, num_steps=2, log_every=1)  # error: expected "Solver"
    mg.read_records(3)  # error: expected "str | PathLike[str]"
    mg.run_step  # noqa: B018  # error: Module has no attribute "run_step"


reveal_type(mg.data.ring)
reveal_type(mg.evaluation_key)
