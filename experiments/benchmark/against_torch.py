"""MIX+GAN here and in PyTorch: the same arithmetic, the same initial parameters, timed in turn.

Both run on the device that JAX has: a GPU, if there is one, else the CPU. On a GPU both multiply float32 matrices in
TF32, which is JAX's default.
"""

import functools
import gc
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import jax
import numpy as np
import torch

from experiments.benchmark import torch_side
from experiments.benchmark.programs import product, share_of_peak
from experiments.benchmark.timing import Call, Timing, interleaved, preparations, prepare, ratio
from experiments.benchmark.workloads import (
    BARRIER,
    WEIGHT_RATE,
    Game,
    flops,
    initial_parameters,
    jax_losses,
    looped,
    ring_game,
    scanned,
    small,
)

Draw = Callable[[int], torch.Tensor]
DIGITS = {
    False: 1e-4,
    True: 1e-2,
}  # how far apart, relatively, losses may be in float32 and bfloat16


def torch_step(
    game: Game,
    draw: Draw,
    tuned: bool,
    compiled: bool = False,
    device: torch.device = torch_side.DEVICE,
) -> Callable[[], tuple[torch.Tensor, torch.Tensor]]:
    """Makes one step of the game in PyTorch, from the same initial parameters."""
    images = len(game.shape) == 3
    kinds = (
        (torch_side.DCGANGenerator, torch_side.DCGANDiscriminator)
        if images
        else (torch_side.MLPGenerator, torch_side.MLPDiscriminator)
    )
    with device:
        sides = [
            torch_side.Side([kind(each) for each in params], game.learning_rate, tuned, compiled)
            for kind, params in zip(kinds, initial_parameters(game), strict=True)
        ]
    step = torch_side.mix_gan_step(
        *sides,
        draw,
        device,
        latin=game.pairing == "latin",
        half=game.half,
        tuned=tuned,
        weight_rate=WEIGHT_RATE,
        barrier=BARRIER,
    )
    real = game.real()
    if images:
        return partial(step, torch_side.images(real, tuned, device))
    return partial(step, torch_side.on_device(real, device))


AGREEMENTS: dict[tuple, float] = {}  # by the kind of the game


def agreement(game: Game) -> float:
    """Computes the disagreement of the same game at a small size; each kind of game is compared once."""
    kind = len(game.shape), game.components > 1, game.pairing, game.half
    if kind not in AGREEMENTS:
        AGREEMENTS[kind] = disagreement(small(game))
    return AGREEMENTS[kind]


def disagreement(game: Game) -> float:
    """Computes the largest relative difference of both sides' losses in a step from the same parameters and latents.

    Both compute on the CPU. The generators' loss comes after the discriminators' update, and so speaks for their
    gradients and optimiser too. Later steps tell less: where a gradient is nearly zero, Adam's first updates turn
    rounding into full steps.

    Raises:
        ArithmeticError: it is above ``1e-4``, or ``1e-2`` in bfloat16: the sides do not do the same work, and must
            not be compared.
    """
    shape = (game.components, game.batch, game.latent_size)
    latents = np.random.RandomState(1).standard_normal(shape).astype(np.float32)
    ours, worst, cpu = jax_losses(game, latents), 0.0, torch_side.CPU
    for tuned in (False, True):
        step = torch_step(game, lambda batch: torch_side.on_device(latents, cpu), tuned, device=cpu)
        theirs = np.asarray([float(loss) for loss in step()])
        worst = max(worst, float(np.max(np.abs(theirs / ours - 1))))
    if not worst <= DIGITS[game.half]:
        raise ArithmeticError(
            f"losses of JAX and PyTorch must agree to {DIGITS[game.half]}, got {worst:.2g}"
        )
    return worst


def repeated(make: Callable[[], Call], times: int) -> Call:
    """Makes a program of ``times`` steps, for clocks that are too coarse for one.

    The step is made at the first call, so that what fails then is this program. A call returns when the device is
    done.
    """
    made = functools.cache(make)

    def program(times: int = times) -> None:
        step = made()
        for _ in range(times):
            step()
        if torch_side.ON_GPU:
            torch.cuda.synchronize()

    return program


def torch_programs(game: Game, steps: int) -> dict[str, Call]:
    """Makes plain and tuned steps with fresh normal latents; on a GPU also the tuned one as a CUDA graph."""
    makers = {"torch plain": _maker(game, False), "torch tuned": _maker(game, True)}
    if torch_side.ON_GPU:
        makers["torch graph"] = partial(_captured, _maker(game, True))
    return {name: repeated(make, steps) for name, make in makers.items()}


def compiled_programs(game: Game, steps: int) -> dict[str, Call]:
    """Makes the tuned step with networks through ``torch.compile``; on a GPU also as a CUDA graph.

    They come last: after a capture that fails PyTorch draws no more random numbers.
    """
    make = functools.cache(_maker(game, True, True))
    programs = {"torch compiled": repeated(make, steps)}
    if torch_side.ON_GPU:
        programs["torch compiled graph"] = repeated(partial(_captured, make), steps)
    return programs


def _maker(game: Game, *how: bool) -> Callable[[], Call]:
    def draw(batch: int) -> torch.Tensor:
        return torch.randn(game.components, batch, game.latent_size, device=torch_side.DEVICE)

    return partial(torch_step, game, draw, *how)


def _captured(make: Callable[[], Call]) -> Call:
    return torch_side.captured(make())


def warm(program: Any) -> None:
    """Takes one step of the program that ``torch.compile`` makes.

    This happens while XLA compiles and measures its own kernels, so cuDNN does not measure now.
    """
    torch.backends.cudnn.benchmark = False
    try:
        program(1)
    finally:
        torch.backends.cudnn.benchmark = True


def free() -> None:
    """Gives PyTorch's unused memory back to the device."""
    gc.collect()
    if torch_side.ON_GPU:
        torch.cuda.empty_cache()


def mlp(
    *,
    batches: Sequence[int] = (64, 512),
    seeds: Sequence[int] = (8,),
    steps: int = 200,
    rounds: int = 9,
    compiled: bool = False,
) -> Iterator[list[dict[str, Any]]]:
    """Times networks with two hidden layers of 128 on points of the plane, one of each side, for ``seeds`` at once.

    PyTorch has three forms: a module for each network, the same tuned, and stacked networks whose layers are batched
    products, with one fused Adam for all seeds. On a GPU the tuned and the stacked form are also captured as CUDA
    graphs; ``compiled`` adds ``torch.compile``. One run is compared with the fastest of them for one run, several with
    the fastest of all.
    """
    for batch in batches:
        game = ring_game(batch)
        alone = {
            "jax loop": looped(game, steps),
            "jax scan": scanned(game, steps),
            **torch_programs(game, steps),
            **stacked(game, 1, steps),
        }
        last = compiled_programs(game, steps) if compiled else {}
        units = dict.fromkeys(alone | last, steps)
        together: dict[str, Call] = {}
        for count in seeds:
            at_once: dict[str, Call] = {f"jax scan, {count} seeds": scanned(game, steps, count)}
            if len(jax.devices()) > 1:
                spread = scanned(game, steps, count, spread=True)
                at_once[f"jax scan, {count} seeds over devices"] = spread
            at_once |= stacked(game, count, steps)
            together |= at_once
            units |= dict.fromkeys(at_once, steps * count)  # a step of all seeds is as many
        programs = alone | together | {"peak": product()} | last
        here = [partial(warm, each) for name, each in last.items() if "graph" not in name]
        prepare(preparations(programs.values()), [*here, partial(agreement, game)])
        times = interleaved(programs, units | {"peak": 1}, rounds, go_on=True)
        yield _mlp_rows(game, [*alone, *last], times, agreement(game))
        free()


def _mlp_rows(
    game: Game, alone: list[str], times: dict[str, Timing], agreed: float
) -> list[dict[str, Any]]:
    rows = []
    peak, operations = times.pop("peak"), flops(game)
    for name, timing in times.items():
        row: dict[str, Any] = {"batch": game.batch, "precision": game.precision(), "program": name}
        rows.append(row)
        if timing.failure:
            row["us a step"] = timing.failure
            continue
        group = [each for each in (alone if name in alone else times) if "torch" in each]
        best = min(group, key=lambda each: times[each].median)
        row |= {
            "steps / s": round(1 / timing.median),
            "us a step": timing.text(1e6, 0 if timing.median > 1e-5 else 2),
            "against": best,
            "times as fast": ratio(times[best], timing),
            "share of peak": share_of_peak(operations, peak, timing),
            "losses differ by": agreed,
        }
    return rows


def stacked(game: Game, seeds: int, steps: int) -> dict[str, Callable[[], Any]]:
    """Makes PyTorch's step for several seeds at once, by name; on a GPU also as a CUDA graph."""
    params = [each[0] for each in initial_parameters(game)]
    real = torch_side.on_device(game.real()).expand(seeds, -1, -1)
    make = partial(torch_side.stacked_gan_step, *params, real, game.latent_size, game.learning_rate)
    several = f", {seeds} seeds" if seeds > 1 else ""
    programs = {f"torch stacked{several}": repeated(make, steps)}
    if torch_side.ON_GPU:
        programs[f"torch stacked graph{several}"] = repeated(partial(_captured, make), steps)
    return programs
