"""Where the time goes: a step's floating-point operations, bytes, memory and compilation."""

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

from experiments.benchmark.timing import Timing, interleaved, ratio
from experiments.benchmark.workloads import Game, dcgan_game, ring_game, scanned
from mixgan_jax.types import Array


def size() -> int:
    """Returns the size of the square matrices whose product measures the device's peak."""
    return 2048 if jax.default_backend() == "cpu" else 8192


PRODUCTS = 8  # of one call, one after the other


@cache
def product(half: bool = False) -> Callable[[], Any]:
    """Makes a program that multiplies random matrices, in float32 or bfloat16.

    Random, since a GPU draws less power, and runs faster, on matrices of ones.
    """
    dtype, scale = jnp.bfloat16 if half else jnp.float32, size() ** -0.5
    a = scale * jax.random.normal(jax.random.key(0), (size(), size()))

    @jax.jit
    def multiply(a: Array) -> Array:
        return jax.lax.fori_loop(0, PRODUCTS, lambda _, power: power @ a, a)

    return partial(multiply, a.astype(dtype))


def peak(timing: Timing) -> float:
    """Computes the operations a second of :func:`product`."""
    return PRODUCTS * 2 * size() ** 3 / timing.median


def share_of_peak(operations: float, product: Timing, timing: Timing) -> float:
    """Computes which share of the matrix peak a program of so many operations reaches."""
    return operations / (PRODUCTS * 2 * size() ** 3) * ratio(product, timing)


def work(*, components: tuple[int, ...] = (1, 5), rounds: int = 7) -> list[dict[str, Any]]:
    """Counts a step's operations and bytes, by XLA's analysis of the compiled program, and the share of matrix peak.

    The counted program has components written out, since XLA counts one round of a loop. The times are those of the
    program that training uses.
    """
    games = {f"DCGAN k={k}, full": dcgan_game(64, k) for k in components}
    games |= {
        f"DCGAN k={k}, Latin": dcgan_game(64 // k * k, k, "latin") for k in components if k > 1
    }
    games["ring MLP k=1"] = ring_game(512)
    rows = []
    for name, game in games.items():
        steps = 100 if "ring" in name else max(1, 8 // game.components**2)
        programs = {"product": product(), "step": scanned(game, steps)}
        times = interleaved(programs, {"product": 1, "step": steps}, rounds)
        counted = lowered_step(game, strategy="unroll").compile().cost_analysis()
        rows.append(
            {
                "program": name,
                "GFLOP a step": counted["flops"] / 1e9,
                "GB a step": counted["bytes accessed"] / 1e9,
                "ms a step": times["step"].text(1e3, 1),
                "matrix peak GFLOP/s": peak(times["product"]) / 1e9,
                "share of peak": share_of_peak(counted["flops"], times["product"], times["step"]),
            }
        )
    return rows


def lowered_step(game: Game, **options: Any) -> Any:
    """Traces one step."""
    solver = game.solver(**options)
    state = jax.eval_shape(solver.init, jax.random.key(0))
    real = jax.ShapeDtypeStruct((game.batch, *game.shape), jnp.float32)
    return jax.jit(solver.step, donate_argnums=1).lower(jax.random.key(0), state, real)


def memory(*, components: tuple[int, ...] = (1, 5)) -> list[dict[str, Any]]:
    """Reads the peak memory of one step, which XLA plans for arguments, results and temporaries."""
    rows, single = [], None
    for k in components:
        for pairing in ("full", "latin") if k > 1 else ("full",):
            planned = lowered_step(dcgan_game(64 // k * k, k, pairing)).compile().memory_analysis()
            total = (
                planned.temp_size_in_bytes
                + planned.argument_size_in_bytes
                + planned.output_size_in_bytes
                - planned.alias_size_in_bytes
            )
            single = single or total
            rows.append(
                {
                    "program": f"DCGAN k={k}, {pairing}",
                    "MB": total / 1e6,
                    "over k singles": total / (k * single),
                }
            )
    return rows


STARTS = {
    "DCGAN k=5, full": dcgan_game(60, 5),
    "DCGAN k=5, Latin": dcgan_game(60, 5, "latin"),
    "ring MLP k=5, full": ring_game(64, 5),
}


def starts(*, names: tuple[str, ...] = tuple(STARTS)) -> list[dict[str, Any]]:
    """Measures seconds to the first step's end in new processes: with an empty compilation cache, then a full one.

    Also measures the largest resident memory of the second process, which compiles nothing.
    """
    rows = []
    for name in names:
        with tempfile.TemporaryDirectory() as cache:
            environment = {**os.environ, "JAX_COMPILATION_CACHE_DIR": cache}
            environment["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
            command = [sys.executable, "-m", "experiments.benchmark.programs", name]
            cold, warm = (
                json.loads(subprocess.check_output(command, env=environment)) for _ in range(2)
            )
        rows.append(
            {
                "program": name,
                "first step s": cold["seconds"],
                "with a warm cache s": warm["seconds"],
                "of it tracing s": warm["traced"],
                "peak memory MB": warm["peak_mb"],
            }
        )
    return rows


def first_step(name: str) -> dict[str, float]:
    """Traces, compiles and runs one step from an initial state, in a new process."""
    game = STARTS[name]
    solver = game.solver()
    state = jax.block_until_ready(jax.jit(solver.init)(jax.random.key(0)))
    real = jnp.asarray(game.real())
    began = time.perf_counter()
    lowered = jax.jit(solver.step, donate_argnums=1).lower(jax.random.key(1), state, real)
    traced = time.perf_counter() - began
    jax.block_until_ready(lowered.compile()(jax.random.key(1), state, real))
    seconds = time.perf_counter() - began
    return {"seconds": seconds, "traced": traced, "peak_mb": peak_resident() / 1e6}


def peak_resident() -> int:
    """Reads the most bytes that were resident since this program started."""
    status = Path("/proc/self/status")
    if (
        status.exists()
    ):  # getrusage counts what stood there before this program, of the process that started it
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return 1024 * int(line.split()[1])
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


if __name__ == "__main__":
    print(json.dumps(first_step(sys.argv[1])))
