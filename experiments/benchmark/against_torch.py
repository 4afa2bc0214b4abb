"""MIX+GAN here and in PyTorch: the same arithmetic, the same initial parameters, timed in turn."""

from collections.abc import Callable
from functools import partial
from typing import Any

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
DIGITS = 1e-4  # how far apart, relatively, the losses of both sides may be


def torch_step(game: Game, draw: Draw, tuned: bool) -> Callable[[], Any]:
    """One step of the game in PyTorch, from the same initial parameters."""
    images = len(game.shape) == 3
    kinds = (
        (torch_side.DCGANGenerator, torch_side.DCGANDiscriminator)
        if images
        else (torch_side.MLPGenerator, torch_side.MLPDiscriminator)
    )
    sides = [
        torch_side.Side([kind(each) for each in params], game.learning_rate, tuned)
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
    return partial(step, torch_side.images(real, tuned) if images else torch.from_numpy(real))


def disagreement(game: Game) -> float:
    """The largest relative difference between both sides' losses in a step from the same parameters and latents.

    The generators' loss comes after the discriminators' update, and so speaks for their gradients and optimiser too.
    Later steps tell less: where a gradient is nearly zero, Adam's first updates turn rounding into full steps.

    Raises:
        ArithmeticError: it is above ``1e-4``: they do not do the same work, and must not be compared.
    """
    shape = (game.components, game.batch, game.latent_size)
    latents = np.random.RandomState(1).standard_normal(shape).astype(np.float32)
    ours, worst = jax_losses(game, latents), 0.0
    for tuned in (False, True):
        step = torch_step(game, lambda batch: torch.from_numpy(latents), tuned)
        theirs = np.asarray([float(loss) for loss in step()])
        worst = max(worst, float(np.max(np.abs(theirs / ours - 1))))
    if not worst <= DIGITS:
        raise ArithmeticError(f"losses of JAX and PyTorch must agree to {DIGITS}, got {worst:.2g}")
    return worst


def repeated(step: Callable[[], Any], times: int) -> Callable[[], None]:
    """``step`` several times, for clocks that are too coarse for one."""

    def program() -> None:
        for _ in range(times):
            step()

    return program


def torch_programs(game: Game, steps: int) -> dict[str, Callable[[], Any]]:
    """Plain and tuned, with fresh normal latents."""

    def draw(batch: int) -> torch.Tensor:
        return torch.randn(game.components, batch, game.latent_size)

    return {
        name: repeated(torch_step(game, draw, tuned), steps)
        for name, tuned in (("torch plain", False), ("torch tuned", True))
    }


def mlp(
    *, batches: tuple[int, ...] = (64, 512), seeds: int = 8, steps: int = 200, rounds: int = 9
) -> list[dict[str, Any]]:
    """Networks with two hidden layers of 128 on points of the plane, one of each side; ``seeds`` of them at once.

    PyTorch has three forms: a module for each network, the same tuned, and stacked networks whose layers are batched
    products, with one fused Adam for all seeds. One run is compared with the fastest of them for one run, several
    with the fastest of all.
    """
    rows = []
    for batch in batches:
        game = ring_game(batch)
        agreement = disagreement(game)
        alone = {
            "jax loop": looped(game, steps),
            "jax scan": scanned(game, steps),
            **torch_programs(game, steps),
            "torch stacked": repeated(stacked_step(game, 1), steps),
        }
        together = {
            f"jax scan, {seeds} seeds": scanned(game, steps, seeds),
            f"jax scan, {seeds} seeds over devices": scanned(game, steps, seeds, spread=True),
            f"torch stacked, {seeds} seeds": repeated(stacked_step(game, seeds), steps),
        }
        # A step of all seeds is as many GAN-steps.
        units = dict.fromkeys(alone, steps) | dict.fromkeys(together, steps * seeds)
        times = interleaved(alone | together, units, rounds)
        for group in (alone, alone | together):
            best = min((name for name in group if "torch" in name), key=lambda n: times[n].median)
            rows += [
                {
                    "batch": batch,
                    "program": name,
                    "steps / s": round(1 / times[name].median),
                    "us a step": times[name].text(1e6, 0),
                    "against": best,
                    "times as fast": ratio(times[best], times[name]),
                    "losses differ by": agreement,
                }
                for name in (group if group is alone else together)
            ]
    return rows


def stacked_step(game: Game, seeds: int) -> Callable[[], Any]:
    """PyTorch's step for several seeds at once."""
    params = [each[0] for each in initial_parameters(game)]
    real = torch.from_numpy(game.real()).expand(seeds, -1, -1)
    return torch_side.stacked_gan_step(*params, real, game.latent_size, game.learning_rate)


def dcgan(
    *,
    components: tuple[int, ...] = (1, 3, 5, 8),
    batch: int = 64,
    width: int = 64,
    rounds: int = 5,
) -> list[dict[str, Any]]:
    """MIX+DCGAN on 32x32x3 images, full and Latin pairing, against plain and tuned PyTorch."""
    rows = []
    for k in components:
        each = batch // k * k  # Latin pairing deals the batch out to k discriminators
        for pairing in ("full", "latin") if k > 1 else ("full",):
            game = dcgan_game(each, k, pairing, width)
            agreement = disagreement(game)
            steps = {1: 8, 3: 2}.get(k, 1)
            programs = {"jax": scanned(game, steps), **torch_programs(game, steps)}
            times = interleaved(programs, dict.fromkeys(programs, steps), rounds)
            rows.append(_dcgan_row(game, times, agreement))
    return rows


def _dcgan_row(game: Game, times: dict[str, Timing], agreement: float) -> dict[str, Any]:
    return {
        "k": game.components,
        "pairing": game.pairing,
        "batch": game.batch,
        **{f"{name} ms": timing.text(1e3, 0) for name, timing in times.items()},
        "plain / jax": ratio(times["torch plain"], times["jax"]),
        "tuned / jax": ratio(times["torch tuned"], times["jax"]),
        "seconds": {name: timing.rounds for name, timing in times.items()},
        "losses differ by": agreement,
    }
