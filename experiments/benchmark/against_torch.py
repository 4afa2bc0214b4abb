"""MIX+GAN here and in PyTorch: the same arithmetic, the same initial parameters, timed in turn.

Both run on the device that JAX has: a GPU, if there is one, else the CPU. On a GPU the precision "default" multiplies
float32 matrices in TF32, JAX's default, on both sides; "highest" is full float32.
"""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, Literal

import jax
import numpy as np
import torch

from experiments.benchmark import torch_side
from experiments.benchmark.timing import Timing, interleaved, ratio
from experiments.benchmark.workloads import (
    BARRIER,
    WEIGHT_RATE,
    Game,
    dcgan_game,
    initial_parameters,
    jax_losses,
    looped,
    ring_game,
    scanned,
)

Draw = Callable[[int], torch.Tensor]
Precision = Literal["default", "highest"]
DIGITS = 1e-4  # how far apart, relatively, the losses of both sides may be


@contextlib.contextmanager
def both_at(precision: Precision) -> Iterator[None]:
    """Sets the precision of float32 products on both sides: JAX's default, TF32 on a GPU, or full."""
    tf32 = precision == "default"
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = tf32
    with jax.default_matmul_precision("default" if tf32 else "highest"):
        yield


def torch_step(
    game: Game, draw: Draw, tuned: bool, compiled: bool = False
) -> Callable[[], tuple[torch.Tensor, torch.Tensor]]:
    """Makes one step of the game in PyTorch, from the same initial parameters."""
    images = len(game.shape) == 3
    kinds = (
        (torch_side.DCGANGenerator, torch_side.DCGANDiscriminator)
        if images
        else (torch_side.MLPGenerator, torch_side.MLPDiscriminator)
    )
    sides = [
        torch_side.Side([kind(each) for each in params], game.learning_rate, tuned, compiled)
        for kind, params in zip(kinds, initial_parameters(game), strict=True)
    ]
    step = torch_side.mix_gan_step(
        *sides,
        draw,
        latin=game.pairing == "latin",
        tuned=tuned,
        weight_rate=WEIGHT_RATE,
        barrier=BARRIER,
    )
    real = game.real()
    return partial(step, torch_side.images(real, tuned) if images else torch_side.on_device(real))


def disagreement(game: Game) -> float:
    """Computes the largest relative difference of both sides' losses in a step from the same parameters and latents.

    The generators' loss comes after the discriminators' update, and so speaks for their gradients and optimiser too.
    Later steps tell less: where a gradient is nearly zero, Adam's first updates turn rounding into full steps.

    Raises:
        ArithmeticError: it is above ``1e-4``: the sides do not do the same work, and must not be compared.
    """
    shape = (game.components, game.batch, game.latent_size)
    latents = np.random.RandomState(1).standard_normal(shape).astype(np.float32)
    with both_at("highest"):
        ours, worst = jax_losses(game, latents), 0.0
        for tuned in (False, True):
            step = torch_step(game, lambda batch: torch_side.on_device(latents), tuned)
            theirs = np.asarray([float(loss) for loss in step()])
            worst = max(worst, float(np.max(np.abs(theirs / ours - 1))))
    if not worst <= DIGITS:
        raise ArithmeticError(f"losses of JAX and PyTorch must agree to {DIGITS}, got {worst:.2g}")
    return worst


def repeated(step: Callable[[], Any], times: int) -> Callable[[], None]:
    """Repeats ``step``, for clocks that are too coarse for one; the call returns when the device is done."""

    def program() -> None:
        for _ in range(times):
            step()
        if torch_side.ON_GPU:
            torch.cuda.synchronize()

    return program


def torch_programs(game: Game, steps: int, compiled: bool = False) -> dict[str, Callable[[], Any]]:
    """Makes plain and tuned steps with fresh normal latents; on a GPU also a CUDA graph, and ``torch.compile``."""

    def draw(batch: int) -> torch.Tensor:
        return torch.randn(game.components, batch, game.latent_size, device=torch_side.DEVICE)

    programs = {
        "torch plain": torch_step(game, draw, tuned=False),
        "torch tuned": torch_step(game, draw, tuned=True),
    }
    if compiled:
        programs["torch compiled"] = torch_step(game, draw, tuned=True, compiled=True)
    if torch_side.ON_GPU:
        programs["torch graph"] = torch_side.captured(torch_step(game, draw, tuned=True))
    return {name: repeated(step, steps) for name, step in programs.items()}


def mlp(
    *,
    batches: Sequence[int] = (64, 512),
    seeds: Sequence[int] = (8,),
    steps: int = 200,
    rounds: int = 9,
) -> list[dict[str, Any]]:
    """Times networks with two hidden layers of 128 on points of the plane, one of each side, for ``seeds`` at once.

    PyTorch has three forms: a module for each network, the same tuned, and stacked networks whose layers are batched
    products, with one fused Adam for all seeds. On a GPU the tuned and the stacked form are also captured as CUDA
    graphs. One run is compared with the fastest of them for one run, several with the fastest of all.
    """
    rows = []
    for batch in batches:
        game = ring_game(batch)
        agreement = disagreement(game)
        alone = {
            "jax loop": looped(game, steps),
            "jax scan": scanned(game, steps),
            **torch_programs(game, steps),
            **stacked(game, 1, steps),
        }
        units = dict.fromkeys(alone, steps)
        together: dict[str, Callable[[], Any]] = {}
        for count in seeds:
            at_once = {f"jax scan, {count} seeds": scanned(game, steps, count)}
            if len(jax.devices()) > 1:
                spread = scanned(game, steps, count, spread=True)
                at_once[f"jax scan, {count} seeds over devices"] = spread
            at_once |= stacked(game, count, steps)
            together |= at_once
            units |= dict.fromkeys(at_once, steps * count)  # a step of all seeds is as many
        times = interleaved(alone | together, units, rounds)
        for group in (alone, alone | together):
            best = min((name for name in group if "torch" in name), key=lambda n: times[n].median)
            rows += [
                {
                    "batch": batch,
                    "program": name,
                    "steps / s": round(1 / times[name].median),
                    "us a step": times[name].text(1e6, 0 if times[name].median > 1e-5 else 2),
                    "against": best,
                    "times as fast": ratio(times[best], times[name]),
                    "losses differ by": agreement,
                }
                for name in (group if group is alone else together)
            ]
    return rows


def stacked(game: Game, seeds: int, steps: int) -> dict[str, Callable[[], Any]]:
    """Makes PyTorch's step for several seeds at once, by name; on a GPU also as a CUDA graph."""
    params = [each[0] for each in initial_parameters(game)]
    real = torch_side.on_device(game.real()).expand(seeds, -1, -1)
    make = partial(torch_side.stacked_gan_step, *params, real, game.latent_size, game.learning_rate)
    several = f", {seeds} seeds" if seeds > 1 else ""
    programs = {f"torch stacked{several}": repeated(make(), steps)}
    if torch_side.ON_GPU:
        programs[f"torch stacked graph{several}"] = repeated(torch_side.captured(make()), steps)
    return programs


def dcgan(
    *,
    components: Sequence[int] = (1, 3, 5, 8),
    batch: int = 64,
    width: int = 64,
    rounds: int = 5,
    precisions: Sequence[Precision] = ("default",),
    compiled: Sequence[int] = (),
    work: int = 8,
) -> list[dict[str, Any]]:
    """Times MIX+DCGAN on 32x32x3 images, full and Latin pairing, against plain and tuned PyTorch.

    ``compiled`` are the numbers of components at which PyTorch's networks are compiled too; ``work`` is the number of
    steps that one timed call takes for k = 1, fewer for more.
    """
    rows = []
    for k in components:
        each = batch // k * k  # Latin pairing deals the batch out to k discriminators
        for pairing in ("full", "latin") if k > 1 else ("full",):
            game = dcgan_game(each, k, pairing, width)
            agreement = disagreement(game)
            steps = max(1, round(work / k**1.3))
            for precision in precisions:
                with both_at(precision):
                    others = torch_programs(game, steps, k in compiled and pairing == "full")
                    programs = {"jax": scanned(game, steps), **others}
                    times = interleaved(programs, dict.fromkeys(programs, steps), rounds)
                rows.append(_dcgan_row(game, times, agreement, precision))
    return rows


def _dcgan_row(
    game: Game, times: dict[str, Timing], agreement: float, precision: Precision
) -> dict[str, Any]:
    return {
        "k": game.components,
        "pairing": game.pairing,
        "batch": game.batch,
        **({"precision": precision} if torch_side.ON_GPU else {}),
        **{
            f"{name} ms": timing.text(1e3, 2 if torch_side.ON_GPU else 0)
            for name, timing in times.items()
        },
        **{
            f"{name.removeprefix('torch ')} / jax": ratio(timing, times["jax"])
            for name, timing in times.items()
            if name != "jax"
        },
        "seconds": {name: timing.rounds for name, timing in times.items()},
        "losses differ by": agreement,
    }
