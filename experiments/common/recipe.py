"""What it takes to draw from a run's generators without its script or data: kept beside their checkpoints."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

import mixgan_jax as mg
from experiments.common.setup import Latents, Setup
from mixgan_jax.files import read_json, write_json
from mixgan_jax.networks.layers import Maxout
from mixgan_jax.players.linen import module_of

FILE_NAME = "generator.json"
_REMEDY = "the command that trained the run writes it anew, and trains no step again"
_UNUSED = {
    "parent",
    "name",
    "kernel_init",
}  # initial kernels do not matter once there are trained ones


class Recipe(NamedTuple):
    """How to draw from the generators of one row.

    Attributes:
        row: the row's name.
        generator: the generators' architecture.
        latents: the distribution of their latents.
        latent_size: number of latents.
        seeds: of the runs that were trained at once.
    """

    row: str
    generator: mg.Player
    latents: Latents
    latent_size: int
    seeds: list[int]


def store_recipe(folder: Path, row: str, setup: Setup, seeds: Sequence[int]) -> None:
    """Writes a row's recipe to its folder; where there can be none, the reason."""
    if jax.process_index() != 0:
        return
    try:
        network = _describe_network(module_of(setup.generator))
    except ValueError as error:
        write_json(folder / FILE_NAME, {"row": row, "refused": str(error)})
        return
    values = {
        "row": row,
        **network,
        "latents": list(setup.latents),
        "latent_size": setup.latent_size,
        "seeds": list(seeds),
    }
    write_json(folder / FILE_NAME, values)


def row_of(folder: Path) -> str:
    """Returns the name of the row that a folder is of; the folder's own where it has no recipe."""
    path = folder / FILE_NAME
    return read_json(path, _REMEDY)["row"] if path.exists() else folder.name


def read_recipe(folder: Path) -> Recipe:
    """Reads a row's recipe.

    Raises:
        ValueError: there is none, it is damaged, or it says why there can be none.
    """
    path = folder / FILE_NAME
    if not path.exists():
        raise ValueError(f"{folder} must hold {FILE_NAME}, which older runs lack: {_REMEDY}")
    values = read_json(path, _REMEDY)
    if "refused" in values:
        raise ValueError(
            f"{values['row']} cannot be sampled without its script: {values['refused']}"
        )
    try:
        network = getattr(mg.networks, values["network"])
        fields = {name: _field(value) for name, value in values["fields"].items()}
        return Recipe(
            values["row"],
            mg.from_linen(network(**fields)),
            Latents(*values["latents"]),
            values["latent_size"],
            values["seeds"],
        )
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError(f"{path} does not fit this version ({error}); {_REMEDY}") from error


def _describe_network(module: nn.Module | None) -> dict[str, Any]:
    """Returns the name of a network's class and its fields, as JSON values."""
    kind = type(module).__name__
    if module is None or getattr(mg.networks, kind, None) is not type(module):
        raise ValueError("its generator is no network of mixgan_jax.networks")
    names = {field.name for field in dataclasses.fields(module)} - _UNUSED
    return {
        "network": kind,
        "fields": {name: _plain(name, getattr(module, name)) for name in sorted(names)},
    }


def _plain(name: str, value: Any) -> Any:
    """Returns a field's value as JSON; those that JSON lacks as a dict of one entry."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Sequence) and all(isinstance(one, int) for one in value):
        return list(map(int, value))
    if isinstance(value, Maxout):
        return {"maxout": value.pieces}
    label = getattr(value, "__name__", "")
    if label and getattr(nn, label, None) is value:
        return {"function": label}
    if name == "dtype":
        return {"dtype": jnp.dtype(value).name}
    raise ValueError(f"its generator's {name} is no plain value, but {value!r}")


def _field(value: Any) -> Any:
    """Makes a field's value of its JSON."""
    match value:
        case {"maxout": pieces}:
            return mg.networks.maxout(pieces)
        case {"function": label}:
            return getattr(nn, label)
        case {"dtype": name}:
            return jnp.dtype(name)
        case list():
            return tuple(value)
    return value
