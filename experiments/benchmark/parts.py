"""What each decision is worth: the DCGAN step as it is, against the same step with one decision taken back."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp

import mixgan_jax as mg
from experiments.benchmark.timing import interleaved, ratio
from experiments.benchmark.workloads import Game, dcgan_game, looped, scanned
from mixgan_jax.networks import DCGANDiscriminator, DCGANGenerator, _canonical
from mixgan_jax.solvers.core import side

Program = Callable[[], Any]


def measure(*, width: int = 64, rounds: int = 3) -> list[dict[str, Any]]:
    """Times whole steps in turn; ``cost`` is the ratio to the step as it is."""
    one, three = dcgan_game(64, 1, width=width), dcgan_game(63, 3, width=width)
    plain = one._replace(
        generator=mg.from_linen(DCGANGenerator(one.shape, width=width, batch_norm=False)),
        discriminator=mg.from_linen(DCGANDiscriminator(width=width, batch_norm=False)),
    )
    singles = {
        "as it is": scanned(one, 8),
        "gradients of convolutions as convolutions": _without(_matrix_products, one, 8),
        "no check for NaN": _without(_quarantine, one, 8),
        "a Python loop of jitted steps": looped(one, 8),
        "no batch norm (another network)": scanned(plain, 8),
    }
    mixtures = {
        "as it is": scanned(three, 2),
        "gradients of convolutions as convolutions": _without(_matrix_products, three, 2),
        "components written out (unroll)": scanned(three, 2, strategy="unroll"),
        "components batched (vmap)": scanned(three, 2, strategy="vmap"),
        "Latin pairing (another estimator)": scanned(three._replace(pairing="latin"), 2),
    }
    return [
        *_rows("DCGAN k=1", singles, 8, rounds),
        *_rows("DCGAN k=3, full", mixtures, 2, rounds),
    ]


def _rows(name: str, programs: dict[str, Program], steps: int, rounds: int) -> list[dict[str, Any]]:
    times = interleaved(programs, dict.fromkeys(programs, steps), rounds)
    return [
        {
            "step": name,
            "taken back": what,
            "ms": timing.text(1e3, 0),
            "cost": ratio(timing, times["as it is"]),
        }
        for what, timing in times.items()
    ]


def _without(taken_back: Callable[[], Any], game: Game, steps: int) -> Program:
    """Traces and compiles the program while one decision is taken back."""
    with taken_back():
        return scanned(game, steps)


@contextlib.contextmanager
def _matrix_products() -> Iterator[None]:
    few, tile = _canonical._FEW_CHANNELS, _canonical._strides_tile_kernel
    _canonical._FEW_CHANNELS, _canonical._strides_tile_kernel = 0, lambda geometry: False
    jax.clear_caches()  # traced pieces are kept
    try:
        yield
    finally:
        _canonical._FEW_CHANNELS, _canonical._strides_tile_kernel = few, tile
        jax.clear_caches()


@contextlib.contextmanager
def _quarantine() -> Iterator[None]:
    before = side._finite, side.choose
    side._finite = lambda tree, num_components: jnp.ones(num_components, bool)
    side.choose = lambda condition, new, old: new
    try:
        yield
    finally:
        side._finite, side.choose = before
