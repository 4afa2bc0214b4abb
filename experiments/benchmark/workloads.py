"""The games that are timed, in JAX and, from the same initial parameters, in PyTorch."""

import math
import time
from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import NamedSharding, PartitionSpec

import mixgan_jax as mg
from mixgan_jax.networks import MLP, DCGANDiscriminator, DCGANGenerator
from mixgan_jax.players.pairing import Pairing
from mixgan_jax.runs.parallel import map_runs
from mixgan_jax.types import Array

WEIGHT_RATE, BARRIER = 1e-3, 0.1


class Game(NamedTuple):
    """One size of a game between k generators and k discriminators; see ``mix_gan``.

    ``width`` is that of the networks, which compute in bfloat16 if ``half`` is true.
    """

    generator: mg.Player
    discriminator: mg.Player
    shape: tuple[int, ...]
    batch: int
    latent_size: int
    learning_rate: float
    components: int = 1
    pairing: Pairing = "full"
    width: int = 64
    half: bool = False

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

    def precision(self) -> str:
        """Returns the kind of number that products are of, on the device that JAX has."""
        full = "tf32" if jax.default_backend() == "gpu" else "float32"
        return "bfloat16" if self.half else full

    def real(self) -> np.ndarray:
        """Draws a batch ``[B, ...]`` in [-1, 1]."""
        shape = (self.batch, *self.shape)
        return np.random.RandomState(0).uniform(-1, 1, shape).astype(np.float32)


def ring_game(batch: int, components: int = 1, pairing: Pairing = "full", width: int = 128) -> Game:
    """Makes a game of networks with two hidden layers on points of the plane."""
    generator = mg.from_linen(MLP((width, width), outputs=2))
    discriminator = mg.from_linen(MLP((width, width)))
    return Game(generator, discriminator, (2,), batch, 16, 1e-3, components, pairing, width)


def dcgan_game(
    batch: int,
    components: int = 1,
    pairing: Pairing = "full",
    width: int = 64,
    *,
    half: bool = False,
) -> Game:
    """Makes a game of DCGANs on images of 32x32 pixels and three channels; ``half``: they compute in bfloat16."""
    shape, dtype = (32, 32, 3), jnp.bfloat16 if half else None
    generator = mg.from_linen(DCGANGenerator(shape, width=width, dtype=dtype))
    discriminator = mg.from_linen(DCGANDiscriminator(width=width, dtype=dtype))
    return Game(generator, discriminator, shape, batch, 100, 2e-4, components, pairing, width, half)


class Training:
    """A program that goes on training at each call; ``prepare`` compiles it, or else its first call does.

    Attributes:
        compiling: seconds that ``prepare`` took.
    """

    def __init__(self, begin: Callable[[], tuple[Any, Callable[[Any], Any]]]) -> None:
        """Takes a function that compiles, and returns a state and the compiled function from state to state."""
        self._begin, self._advance, self.compiling = begin, None, 0.0

    def prepare(self) -> None:
        """Compiles, in a thread if you like, unless that was done."""
        if self._advance is not None:
            return
        began = time.perf_counter()
        self._state, self._advance = self._begin()
        self.compiling = time.perf_counter() - began

    def __call__(self) -> Any:
        """Trains on, and returns the state."""
        self.prepare()
        self._state = self._advance(self._state)
        return self._state


def chunk_of(solver: mg.Solver, steps: int) -> Callable[[Array, Any, Array], Any]:
    """Makes a function of key, state and batch that trains by ``steps`` steps, one scan."""

    def chunk(key: Array, state: Any, real: Array) -> Any:
        def body(state: Any, index: Array) -> tuple[Any, None]:
            return solver.step(jax.random.fold_in(key, index), state, real)[0], None

        return jax.lax.scan(body, state, jnp.arange(steps))[0]

    return chunk


def scanned(
    game: Game, steps: int, seeds: int | None = None, *, spread: bool = False, **options: Any
) -> Training:
    """Makes a program that goes on training by ``steps`` steps at each call, one scan, and traces it.

    Args:
        game: the game to train.
        steps: number of steps of one call.
        seeds: number of vmapped runs; None for one run without vmap.
        spread: whether the runs are dealt out to all devices.
        **options: options of ``mix_gan``.
    """
    solver, real = game.solver(**options), jnp.asarray(game.real())
    chunk = chunk_of(solver, steps)
    keys = jax.random.split(jax.random.key(1), seeds) if seeds else jax.random.key(1)
    keys = mg.spread_over_devices(keys) if spread else keys
    sharding = keys.sharding if spread else None
    if spread:
        real = jax.device_put(real, NamedSharding(keys.sharding.mesh, PartitionSpec()))
    init, run = map_runs(keys, solver.init), map_runs(keys, chunk, shared=1)
    state = jax.tree.map(lambda leaf: leaf.update(sharding=sharding), jax.eval_shape(init, keys))
    start = jax.jit(init, out_shardings=sharding).lower(keys)
    # The batch is an argument: XLA would compute with a constant while it compiles.
    lowered = jax.jit(run, donate_argnums=1).lower(keys, state, real)

    def begin() -> tuple[Any, Callable[[Any], Any]]:
        compiled = lowered.compile()
        return start.compile()(keys), lambda state: compiled(keys, state, real)

    return Training(begin)


def looped(game: Game, steps: int) -> Training:
    """Makes a program that trains in a Python loop of jitted steps."""
    solver, real = game.solver(), jnp.asarray(game.real())
    step = jax.jit(lambda key, state, real: solver.step(key, state, real)[0], donate_argnums=1)
    keys = list(jax.random.split(jax.random.key(1), steps))

    def train(state: Any) -> Any:
        for key in keys:
            state = step(key, state, real)
        return state

    return Training(lambda: (step(keys[0], jax.jit(solver.init)(jax.random.key(0)), real), train))


def small(game: Game) -> Game:
    """Makes the same game at a size that a CPU compares in seconds: at most two components, four examples."""
    components, pairing = min(game.components, 2), game.pairing
    if len(game.shape) == 1:
        return ring_game(4, components, pairing, 8)
    return dcgan_game(4, components, pairing, 4, half=game.half)


def flops(game: Game) -> int:
    """Counts the operations of a step's matrix products and convolutions: two for each product of two numbers.

    A backward pass has two products for each of the forward pass, but that the gradient of a network's input is
    needed only where discriminators judge fakes for the generators, which need no gradient of the discriminators.
    """
    state = jax.eval_shape(game.solver().init, jax.random.key(0))
    generator, generator_first = _layers(state.generators.params, game.shape[0])
    discriminator, discriminator_first = _layers(state.discriminators.params, game.shape[0])
    k, batch = game.components, game.batch
    fakes = batch * (k if game.pairing == "full" else 1)  # that one discriminator sees
    of_discriminators = generator * batch + (batch + fakes) * (
        3 * discriminator - discriminator_first
    )
    of_generators = batch * (3 * generator - generator_first) + fakes * 2 * discriminator
    return k * (of_discriminators + of_generators)


def _layers(params: Any, side: int) -> tuple[int, int]:
    """Counts the operations of a network's forward pass and of its first layer, for one example."""
    stages, counts = sum(name.startswith("Conv") for name in params), {}
    for name, layer in params.items():
        kind, _, index = name.partition("_")
        if "kernel" in layer:
            halved = {"Conv": int(index) + 1, "ConvTranspose": stages - int(index)}.get(kind)
            pixels = 1 if halved is None else (side >> halved) ** 2  # of the smaller image
            counts[name] = 2 * pixels * math.prod(layer["kernel"].shape[1:])
    return sum(counts.values()), counts.get("Conv_0", counts["Dense_0"])


def on_cpu() -> Any:
    """Makes a context in which JAX computes on the CPU."""
    return jax.default_device(jax.local_devices(backend="cpu")[0])


def jax_losses(game: Game, latents: np.ndarray) -> np.ndarray:
    """Computes losses ``[2]`` of discriminators and generators in the first step, with fixed latents ``[I, B, Z]``."""
    solver = game.solver(latent_sampler=lambda key, shape: jnp.asarray(latents))
    with on_cpu():
        state = solver.init(jax.random.key(0))
        _, info = jax.jit(solver.step)(jax.random.key(0), state, jnp.asarray(game.real()))
    return np.asarray([float(info["discriminator_loss"]), float(info["generator_loss"])])


@lru_cache(maxsize=1)  # all forms of one game's step begin there
def initial_parameters(game: Game) -> tuple[list[dict], ...]:
    """Returns Linen's parameters of each generator and each discriminator, as NumPy arrays."""
    with on_cpu():
        state = game.solver().init(jax.random.key(0))
    sides = jax.device_get((state.generators.params, state.discriminators.params))
    return tuple(
        [jax.tree.map(lambda leaf, k=k: leaf[k], side) for k in range(game.components)]
        for side in sides
    )
