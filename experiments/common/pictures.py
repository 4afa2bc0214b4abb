"""A picture of the images that each component makes, while a run trains."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
import rich

from experiments.common.progress import OnLog
from experiments.common.sampling import draw, draw_grid
from experiments.common.setup import Setup
from mixgan_jax.players.linen import module_of

_NAME = "images.png"


def picturing(folder: Path, row: str, setup: Setup, every: int, on_log: OnLog) -> OnLog:
    """Returns an ``on_log`` that also draws the newest checkpoint's images, of seed 0, and prints where they are.

    Args:
        folder: the row's folder, with its recipe.
        row: the row's name.
        setup: only generators that say the shape of an image are drawn.
        every: steps between pictures, at which checkpoints are begun.
        on_log: called first.
    """
    shape: Any = getattr(module_of(setup.generator), "shape", ())
    # All processes of a job would have to read the checkpoint.
    if len(shape) != 3 or shape[-1] not in (1, 3) or jax.process_count() > 1:
        return on_log

    def pictured(step: int, info: Mapping[str, np.ndarray]) -> None:
        on_log(step, info)
        if step % every == 0:
            try:
                drawn = draw(folder, 1)
            except (FileNotFoundError, ValueError):  # no checkpoint is whole on disk yet
                return
            path = draw_grid(drawn, folder / _NAME)
            rich.print(f"{row}: images of the newest checkpoint in {path}")

    return pictured
