"""The option ``--mesh component=4,data=2``: over how many devices an experiment spreads each game."""

import argparse
import math
from collections.abc import Mapping

import jax
from jax.sharding import Mesh

import mixgan_jax as mg
from mixgan_jax.checks import check_count
from mixgan_jax.types import Key

AXES = ("runs", "component", "data")


def mesh_axes(text: str) -> dict[str, int]:
    """Reads ``component=4,data=2``; an error names the option."""
    axes: dict[str, int] = {}
    for part in text.split(","):
        name, _, number = part.strip().partition("=")
        if name not in AXES or name in axes or not number.isdecimal():
            raise ValueError(
                f"--mesh must be like component=4,data=2, with the axes {', '.join(AXES)}, got {text!r}"
            )
        axes[name] = check_count(f"{name} in --mesh", int(number))
    return axes


def num_devices(axes: Mapping[str, int]) -> int:
    """Returns the number of devices that a mesh takes."""
    return math.prod(axes.values())


def where(options: argparse.Namespace, keys: Key, solver: mg.Solver) -> tuple[Key, Mesh | None]:
    """Returns the seeds' keys and the mesh for ``fit``; without ``--mesh`` devices share the seeds.

    Raises:
        ValueError: the mesh has more devices than there are, or does not divide the solver's components.
    """
    if options.mesh is None:
        return mg.spread_over_devices(keys), None
    mesh = mg.make_mesh(**options.mesh)
    jax.eval_shape(mg.on_mesh(solver, mesh).init, keys[0])
    return keys, mesh
