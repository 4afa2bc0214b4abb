"""One game on a mesh of devices: time of a step, work of a device, and what devices exchange.

``python -m experiments benchmark --only mesh`` makes eight virtual devices of a CPU, which share its cores: times there
say what a mesh costs, and only FLOPs and bytes tell how a game would scale.
"""

import re
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import mixgan_jax as mg
from experiments.benchmark.timing import interleaved, ratio
from experiments.benchmark.workloads import Game, Training, chunk_of, dcgan_game, ring_game
from mixgan_jax.players.pairing import PAIRINGS, Pairing

Shape = tuple[int, int]
"""Devices that share components, and devices that share a batch."""

SHAPES: tuple[Shape, ...] = ((1, 1), (2, 1), (4, 1), (8, 1), (4, 2), (2, 4), (1, 8))

VIRTUAL = 8
"""Devices that a CPU is split into."""

EXCHANGES = ("all-gather", "all-to-all", "reduce-scatter", "all-reduce", "collective-permute")


def exchanges(compiled: Any) -> list[tuple[str, int]]:
    """Lists a compiled program's exchanges between devices: the kind, and the bytes of the result on one device."""
    found = []
    pattern = rf"= (.*?) ({'|'.join(EXCHANGES)})(?:-start)?\("
    for shapes, kind in re.findall(pattern, compiled.as_text()):
        arrays = re.findall(r"([a-z]+)(\d+)\[([\d,]*)\]", shapes)
        sizes = [
            int(bits) // 8 * int(np.prod([int(n) for n in dims.split(",") if n]))
            for _, bits, dims in arrays
        ]
        found.append((kind, sum(sizes)))
    return found


def table(
    *,
    shapes: tuple[Shape, ...] = SHAPES,
    components: int = 8,
    each: int = 2,
    pairings: tuple[Pairing, ...] = PAIRINGS,
    batch: int = 64,
    width: int = 8,
    steps: int = 20,
    rounds: int = 5,
) -> Iterator[list[dict[str, Any]]]:
    """Measures games on meshes that the devices at hand can make.

    Args:
        shapes: the meshes.
        components: number of generators and of discriminators of games of one size; the DCGAN has half of them.
        each: components to a device in games that grow with the mesh (weak scaling).
        pairings: pairings of the ring's MLP; the DCGAN takes the first of them.
        batch: examples in a batch.
        width: width of the DCGAN on 32x32x3 images.
        steps: steps in one call of the MLP; the DCGAN takes one.
        rounds: rounds in which the programs of a game run in turn.
    """
    shapes = tuple(shape for shape in shapes if np.prod(shape) <= len(jax.devices()))
    for pairing in pairings:
        game = ring_game(batch, components, pairing, 64)
        yield _rows(f"MLP, {pairing}", {shape: game for shape in (None, *shapes)}, steps, rounds)
    game = dcgan_game(batch, components // 2, pairings[0], width)
    few = (None, *(shape for shape in shapes if shape in ((1, 1), (4, 1), (4, 2))))
    # Written out, so that all components' FLOPs count.
    yield _rows(f"DCGAN, {pairings[0]}", dict.fromkeys(few, game), 1, rounds, strategy="unroll")
    growing = {
        shape: ring_game(batch, each * shape[0], "latin", 64) for shape in shapes if shape[1] == 1
    }
    if len(growing) > 1:
        yield _rows("MLP, latin, growing", growing, steps, rounds)


def _rows(
    name: str, games: dict[Shape | None, Game], steps: int, rounds: int, **options: Any
) -> list[dict[str, Any]]:
    """Measures one game on several meshes; the first is what the others are compared with."""
    costs: dict[Shape | None, dict[str, Any]] = {}
    programs = {shape: _on(shape, game, steps, costs, **options) for shape, game in games.items()}
    times = interleaved(programs, dict.fromkeys(programs, steps), rounds)
    first = next(iter(games))
    return [
        {
            "game": name,
            "k": game.components,
            "component x data": "no mesh" if shape is None else f"{shape[0]} x {shape[1]}",
            "ms a step": times[shape].text(1e3, 2),
            "times the first's": ratio(times[shape], times[first]),
            "FLOPs a device, of the first's": costs[shape]["flops"] / costs[first]["flops"],
            "KiB exchanged": costs[shape]["exchanged"],
            "MiB of temporaries": costs[shape]["temporaries"] / 2**20,
            "seconds": times[shape].rounds,
        }
        for shape, game in games.items()
    ]


def _on(
    shape: Shape | None, game: Game, steps: int, costs: dict[Shape | None, Any], **options: Any
) -> Training:
    """Makes a program that trains by ``steps`` steps, one scan; once compiled, its costs are in ``costs``."""
    solver, real, key = game.solver(**options), jnp.asarray(game.real()), jax.random.key(1)
    if shape is not None:
        solver = mg.on_mesh(solver, mg.make_mesh(component=shape[0], data=shape[1]))
    chunk = chunk_of(solver, steps)

    def begin() -> tuple[Any, Callable[[Any], Any]]:
        state = jax.jit(solver.init)(key)
        # XLA counts a loop's body once: these are costs of one step.
        compiled = jax.jit(chunk, donate_argnums=1).lower(key, state, real).compile()
        sizes: dict[str, int] = {}
        for kind, size in exchanges(compiled):
            sizes[kind] = sizes.get(kind, 0) + size
        costs[shape] = {
            "flops": compiled.cost_analysis()["flops"],
            "exchanged": ", ".join(f"{kind} {size / 1024:.1f}" for kind, size in sizes.items()),
            "temporaries": compiled.memory_analysis().temp_size_in_bytes,
        }
        return state, lambda state: compiled(key, state, real)

    return Training(begin)
