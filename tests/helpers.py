"""Small players and games that several tests share. Numbers of components, batch and axes are all different."""

from collections.abc import Callable, Iterable
from pathlib import Path
from types import ModuleType
from typing import Any

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import mixgan_jax as mg
from mixgan_jax.types import Array, Key

LATENT = 3
FEATURES = 2
BATCH = 12  # divisible by 2, 3 and 4


def public_names(module: ModuleType) -> list[str]:
    """What a public module hands on."""
    return [
        name
        for name, value in vars(module).items()
        if name[0] != "_" and not isinstance(value, ModuleType)
    ]


def first_quick(cases: Iterable[Any], quick: int = 1) -> list[Any]:
    """Cases for ``parametrize``, all but the first few marked slow; a tuple is one case of several names."""
    return [slow(case) if number >= quick else param(case) for number, case in enumerate(cases)]


def slow(case: Any) -> Any:
    """Mark a case for ``parametrize`` as slow, also one that is a ``pytest.param``."""
    found = param(case)
    return found._replace(marks=(*found.marks, pytest.mark.slow))


def param(case: Any) -> Any:
    """Wrap a case in ``pytest.param``, unless it is one; a tuple is one case of several names."""
    if isinstance(case, type(pytest.param())):
        return case
    return pytest.param(*case) if type(case) is tuple else pytest.param(case)


def affine_init(key: Key, sizes: tuple[int, ...]) -> list[dict[str, Array]]:
    keys = jax.random.split(key, len(sizes) - 1)
    return [
        {"w": jax.random.normal(k, (a, b)) / jnp.sqrt(a), "b": jnp.zeros(b)}
        for k, a, b in zip(keys, sizes[:-1], sizes[1:], strict=True)
    ]


def plain_mlp(hidden: int, outputs: int | None) -> mg.Player:
    """One hidden layer in plain JAX; ``outputs=None`` for one logit per example."""

    def init(key: Key, x: Array) -> tuple[Any, Any]:
        return affine_init(key, (x.shape[-1], hidden, outputs or 1)), {}

    def apply(params: Any, state: Any, x: Array, *, train: bool) -> tuple[Array, Any]:
        first, last = params
        hidden_units = jnp.tanh(x @ first["w"] + first["b"][None])
        out = hidden_units @ last["w"] + last["b"][None]
        return (out[:, 0] if outputs is None else out), state

    return mg.Player(init, apply)


GENERATOR = plain_mlp(5, FEATURES)
DISCRIMINATOR = plain_mlp(4, None)


def solver(
    loss: mg.GanLoss | None = None,
    make: Callable[..., mg.Solver] = mg.mix_gan,
    generator: mg.Player = GENERATOR,
    discriminator: mg.Player = DISCRIMINATOR,
    **options: Any,
) -> mg.Solver:
    """MIX+GAN with two generators and three discriminators unless told otherwise."""
    settings: dict[str, Any] = {
        "num_generators": 2,
        "num_discriminators": 3,
        "latent_size": LATENT,
        "generator_tx": optax.adam(1e-2),
        "discriminator_tx": optax.adam(2e-2),
        "weight_tx": mg.exponentiated_gradient(0.1),
    }
    loss = mg.losses.non_saturating() if loss is None else loss
    return make(generator, discriminator, loss, **{**settings, **options})


def batch(key: Key, size: int = BATCH) -> Array:
    return 1.0 + jax.random.normal(key, (size, FEATURES))


def feed(size: int = BATCH) -> mg.Feed:
    return mg.Feed((), lambda key, _: batch(key, size))


def train(solver: mg.Solver, steps: int, size: int = BATCH, seed: int = 0) -> Any:
    """The state after a few steps of a compiled loop."""
    key = jax.random.key(seed)
    state = solver.init(key)
    step = jax.jit(solver.step)
    for index in range(steps):
        batch_key, step_key = jax.random.split(jax.random.fold_in(key, index))
        state, _ = step(step_key, state, batch(batch_key, size))
    return state


def check_protocol(rule: mg.Solver, folder: Path) -> None:
    """What every solver of GANs promises: one trace, one shape of state, restarts, and runs side by side."""
    key = jax.random.key(3)
    state = jax.eval_shape(rule.init, key)
    after, info = jax.eval_shape(rule.step, key, state, batch(key))
    chex.assert_trees_all_equal_shapes_and_dtypes(state, after)
    assert {"generator_loss", "discriminator_loss", "value"} <= set(info)
    for name in ("generators", "discriminators"):
        size = getattr(state, name).log_weights.shape
        assert info[f"{name[:-1]}_weights"].shape == info[f"frozen_{name}"].shape == size

    keys = mg.spread_over_devices(jax.random.split(key, 2))
    assert len(keys.sharding.device_set) == 2
    options: dict[str, Any] = {"log_every": 2, "save_every": 2}
    whole = mg.fit(keys, rule, feed(), num_steps=4, folder=folder / "a", **options)
    mg.fit(keys, rule, feed(), num_steps=2, folder=folder / "b", **options)
    resumed = mg.fit(keys, rule, feed(), num_steps=4, folder=folder / "b", **options)
    assert same(resumed, whole)

    chex.clear_trace_counter()
    traced = mg.Solver(rule.init, chex.assert_max_traces(lambda *given: rule.step(*given), n=1))
    alone = mg.fit(jax.random.split(key, 2)[1], traced, feed(), num_steps=4, log_every=2)
    second = jax.tree.map(lambda leaf: leaf[1], whole)
    for name in ("generators", "discriminators"):
        assert close(getattr(alone, name), getattr(second, name))


def same(a: Any, b: Any) -> bool:
    """Whether two trees are equal bit for bit."""
    equal = jax.tree.map(lambda x, y: bool(jnp.array_equal(x, y, equal_nan=True)), a, b)
    return all(jax.tree.leaves(equal))


def close(a: Any, b: Any, tolerance: float = 1e-5) -> bool:
    """Whether two trees agree to ``tolerance``, absolutely and relatively."""
    near = jax.tree.map(lambda x, y: bool(jnp.allclose(x, y, rtol=tolerance, atol=tolerance)), a, b)
    return all(jax.tree.leaves(near))


def spread(mixture: mg.Mixture, values: Callable[[int], Array] | None = None) -> mg.Mixture:
    """The same components with unequal weights: at uniform ones many mistakes do not show."""
    k = mixture.num_components
    logits = jnp.linspace(-1.0, 1.0, k) if k > 1 else jnp.zeros(1)
    return mg.Mixture(mixture.params, mixture.state, jax.nn.log_softmax(logits))


def unequal(state: Any) -> Any:
    """The state of a solver with unequal weights on both sides."""
    return state.with_iterate(tuple(spread(mixture) for mixture in state.iterate))


def some_images(count: int, seed: int = 0, shape: tuple[int, ...] = (5, 6, 1)) -> np.ndarray:
    """Noise of 256 levels, ``[count, *shape]``."""
    return np.random.RandomState(seed).randint(0, 256, (count, *shape)).astype(np.uint8)


class Killed(Exception):
    """Raised from a callback, where a real kill would strike."""


def kill_at(step: int) -> Callable[[int, Any], None]:
    """``fit``'s ``on_log`` that kills the run at the first entry from ``step`` on."""

    def on_log(now: int, info: Any) -> None:
        if now >= step:
            raise Killed

    return on_log
