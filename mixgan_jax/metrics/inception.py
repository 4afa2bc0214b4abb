"""Converts PyTorch's file of Inception-v3 in its FID variant to safetensors, which is read without PyTorch.

python -m mixgan_jax.metrics.inception convert SOURCE.pth DEST.safetensors
"""

import argparse
import pickle
import sys
from pathlib import Path

from mixgan_jax.metrics.images.inception import file_shapes
from mixgan_jax.metrics.images.weights import find_difference, write_tensors


def convert(source: Path, dest: Path) -> str:
    """Writes the tensors of a PyTorch file, all that the network has and nothing else, under their names.

    Args:
        source: a state dict of float32 tensors, such as ``pt_inception-2015-12-05-6726825d.pth`` of pytorch-fid.
        dest: where the safetensors file goes; one that is there is replaced.

    Returns:
        The sha256 of the new file, the same on every machine.

    Raises:
        FileNotFoundError: no such source.
        ImportError: PyTorch is not installed.
        ValueError: the source has other tensors; the message says what differs.
    """
    try:
        import torch
    except ImportError as error:
        raise ImportError("convert needs PyTorch: pip install torch") from error
    try:
        # weights_only: the file holds a pickle, which must not run code.
        found = torch.load(source, map_location="cpu", weights_only=True)
        tensors = {
            name: tensor
            for name, tensor in found.items()
            if not name.endswith("num_batches_tracked")
        }
        entries = {
            name: {
                "dtype": "F32" if tensor.dtype == torch.float32 else str(tensor.dtype),
                "shape": list(tensor.shape),
            }
            for name, tensor in tensors.items()
        }
    except (pickle.UnpicklingError, RuntimeError, EOFError, AttributeError) as error:
        text = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ValueError(
            f"source must be a PyTorch file of tensors by name, got {str(source)!r}: {text}"
        ) from error
    problem = find_difference(entries, file_shapes())
    if problem is not None:
        raise ValueError(f"source must hold the network's weights, got {str(source)!r}: {problem}")
    return write_tensors(dest, {name: tensor.numpy() for name, tensor in tensors.items()})


def main(argv: list[str] | None = None) -> None:
    """Reads the command line, converts, and prints the new file's hash."""
    parser = argparse.ArgumentParser(
        prog="python -m mixgan_jax.metrics.inception", description=__doc__.splitlines()[0]
    )
    commands = parser.add_subparsers(required=True, metavar="convert")
    command = commands.add_parser("convert", help="write SOURCE's tensors to DEST")
    command.add_argument("source", type=Path, metavar="SOURCE.pth")
    command.add_argument("dest", type=Path, metavar="DEST.safetensors")
    options = parser.parse_args(argv)
    try:
        print(f"{options.dest}: sha256 {convert(options.source, options.dest)}")
    except (ImportError, OSError, ValueError) as error:
        print(error, file=sys.stderr)
        raise SystemExit(2) from None


if __name__ == "__main__":
    main()
