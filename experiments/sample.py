"""Draws samples of a finished or running experiment's generators, from its run folder alone.

python -m experiments.sample RUN_FOLDER --n 10000 --to samples.npz --grid grid.png [--component 2] [--seed 0]

The run folder may have been copied from another machine. Neither its script nor its data is read. In one line
of Python: ``draw("runs/mix_gan_mnist/cpu-0193bc9a", 10_000, row="MIX+GAN k=3").samples``. It works for every experiment
that trains networks of ``mixgan_jax.networks`` through ``experiments/common/harness.py``, and refuses others.
"""

import argparse
from pathlib import Path

import numpy as np

from experiments.common.process import prepare_process
from experiments.common.sampling import Drawn, draw as draw, draw_grid as draw_grid
from mixgan_jax.checks import check_path
from mixgan_jax.files import replacing


def main(argv: list[str] | None = None) -> None:
    """Reads the command line, draws, and prints what it wrote."""
    prepare_process()
    parser = argparse.ArgumentParser(
        prog="python -m experiments.sample",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("folder", metavar="RUN_FOLDER", help="the run's, or one of its rows'")
    parser.add_argument("--n", type=int, default=10_000, help="number of samples")
    parser.add_argument("--to", help="the .npz file of samples, components and weights")
    parser.add_argument("--grid", help="the picture of a few samples of each component")
    parser.add_argument("--component", type=int, help="takes all samples from one, 0, 1, ...")
    parser.add_argument("--seed", type=int, default=0, help="of the draw")
    parser.add_argument("--row", help="which row of the table")
    parser.add_argument("--seed-index", type=int, default=0, help="which of the seeds trained")
    options = vars(parser.parse_args(argv))
    to, grid = options.pop("to"), options.pop("grid")
    if to is None and grid is None:
        parser.error("--to or --grid must say where the samples go")
    try:
        drawn = draw(**options)
        print(f"{len(drawn.samples)} samples of {drawn.row}, seed {drawn.training_seed}")
        if to is not None:
            print(_save(drawn, check_path("--to", to)))
        if grid is not None:
            print(draw_grid(drawn, check_path("--grid", grid)))
    except (ValueError, OSError) as error:
        parser.error(str(error))


def _save(drawn: Drawn, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as file:
        np.savez(file, samples=drawn.samples, components=drawn.components, weights=drawn.weights)
    return path


if __name__ == "__main__":
    main()
