"""The games that are timed, in JAX and, from the same initial parameters, in PyTorch."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

import mixgan_jax as mg
from mixgan_jax.networks import MLP, DCGANDiscriminator, DCGANGenerator
from mixgan_jax.players.pairing import Pairing
from mixgan_jax.runs.parallel import map_runs
from mixgan_jax.types import Array

WEIGHT_RATE, BARRIER = 1e-3, 0.1


class Game(NamedTuple):
    """One size of a game between k generators and k discriminators; see ``mix_gan``."""

    generator: mg.Player
    discriminator: mg.Player
    shape: tuple[int, ...]
    batch: int
    latent_size: int
    learning_rate: float
    components: int = 1
    pairing: Pairing = "full"

    def solver(self, **options: Any) -> mg.Solver:
        """Makes MIX+GAN with Adam and exponentiated gradient."""
        tx = optax.adam(self.learning_rate, b1=0.5)
        return mg.mix_gan(
            self.generator,
            self.discriminator,
            mg.losses.non_saturating(),
            num_generators=self.components,
            num_discriminators=self.components,
            latent_size=self.latent_size,
            generator_tx=tx,
            discriminator_tx=tx,
            weight_tx=mg.exponentiated_gradient(WEIGHT_RATE),
            weight_barrier=BARRIER,
            pairing=self.pairing,
            **options,
        )

    def real(self) -> np.ndarray:
        """Draws a batch ``[B, ...]`` in [-1, 1]."""
        shape = (self.batch, *self.shape)
        return np.random.RandomState(0).uniform(-1, 1, shape).astype(np.float32)


def ring_game(batch: int, components: int = 1, pairing: Pairing = "full", width: int = 128) -> Game:
    """Makes a game of networks with two hidden layers on points of the plane."""
    generator = mg.from_linen(MLP((width, width), outputs=2))
    discriminator = mg.from_linen(MLP((width, width)))
    return Game(generator, discriminator, (2,), batch, 16, 1e-3, components, pairing)


def dcgan_game(batch: int, components: int = 1, pairing: Pairing = "full", width: int = 64) -> Game:
    """Makes a game of DCGANs on images of 32x32 pixels and three channels."""
    shape = (32, 32, 3)
    generator = mg.from_linen(DCGANGenerator(shape, width=width))
    discriminator = mg.from_linen(DCGANDiscriminator(width=width))
    return Game(generator, discriminator, shape, batch, 100, 2e-4, components, pairing)


def scanned(
    game: Game, steps: int, seeds: int | None = None, *, spread: bool = False, **options: Any
) -> Callable[[], Any]:
    """Makes a compiled program that goes on training by ``steps`` steps at each call.

    Args:
        game: the game to train.
        steps: number of steps of one call, one scan.
        seeds: number of vmapped runs; None for one run without vmap.
        spread: whether the runs are dealt out to all devices.
        **options: options of ``mix_gan``.
    """
    solver, real = game.solver(**options), jnp.asarray(game.real())

    def chunk(key: Array, state: Any) -> Any:
        def body(state: Any, index: Array) -> tuple[Any, None]:
            return solver.step(jax.random.fold_in(key, index), state, real)[0], None

        return jax.lax.scan(body, state, jnp.arange(steps))[0]

    keys = jax.random.split(jax.random.key(1), seeds) if seeds else jax.random.key(1)
    keys = mg.spread_over_devices(keys) if spread else keys
    state = jax.jit(map_runs(keys, solver.init))(keys)
    compiled = jax.jit(map_runs(keys, chunk), donate_argnums=1).lower(keys, state).compile()

    def program() -> Any:
        nonlocal state
        state = compiled(keys, state)
        return state

    return program


def looped(game: Game, steps: int) -> Callable[[], Any]:
    """Makes a program that trains in a Python loop of jitted steps."""
    solver, real = game.solver(), jnp.asarray(game.real())
    step = jax.jit(lambda key, state: solver.step(key, state, real)[0], donate_argnums=1)
    keys = list(jax.random.split(jax.random.key(1), steps))
    state = solver.init(jax.random.key(0))

    def program() -> Any:
        nonlocal state
        for key in keys:
            state = step(key, state)
        return state

    return program


def jax_losses(game: Game, latents: np.ndarray) -> np.ndarray:
    """Computes losses ``[2]`` of discriminators and generators in the first step, with fixed latents ``[I, B, Z]``."""
    solver = game.solver(latent_sampler=lambda key, shape: jnp.asarray(latents))
    state = solver.init(jax.random.key(0))
    _, info = jax.jit(solver.step)(jax.random.key(0), state, jnp.asarray(game.real()))
    return np.asarray([float(info["discriminator_loss"]), float(info["generator_loss"])])


def initial_parameters(game: Game) -> tuple[list[dict], list[dict]]:
    """Returns Linen's parameters of each generator and each discriminator, as NumPy arrays."""
    state = jax.device_get(game.solver().init(jax.random.key(0)))

    def each(mixture: mg.Mixture) -> list[dict]:
        return [
            jax.tree.map(lambda leaf, k=k: leaf[k], mixture.params) for k in range(game.components)
        ]

    return each(state.generators), each(state.discriminators)
