"""Samples of a run's generators from its folder alone, and a grid of a few of each component."""

from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

import mixgan_jax as mg
from experiments.common.recipe import Recipe, read_recipe, row_of
from mixgan_jax.checks import check_choice, check_count, check_path, fail

_SHOWN = 200  # points of each component in a figure
_ACROSS = 20  # images of each component in a grid


class Drawn(NamedTuple):
    """Samples of one mixture, and a few of each component.

    Attributes:
        samples: ``[N, ...]``.
        components: ``[N]``, which generator made each.
        weights: of the generators ``[K]``.
        by_component: ``[K, 200, ...]``, further samples of every generator.
        row: the row's name.
        training_seed: of the run that was trained.
    """

    samples: np.ndarray
    components: np.ndarray
    weights: np.ndarray
    by_component: np.ndarray
    row: str
    training_seed: int


def draw(
    folder: str | Path,
    n: int = 10_000,
    *,
    component: int | None = None,
    seed: int = 0,
    row: str | None = None,
    seed_index: int = 0,
) -> Drawn:
    """Draws from a run's newest checkpoint.

    Args:
        folder: a run folder, or the folder of one of its rows.
        n: number of samples.
        component: the generator that makes them all, from 0; None draws one for each sample by the mixture's weights.
        seed: of the draw: the same samples every time.
        row: which row of the table; may be None where there is one.
        seed_index: which of the runs that were trained at once, from 0.

    Raises:
        FileNotFoundError: no such folder.
        ValueError: the folder holds no generators that can be drawn from, or an argument does not fit it.
    """
    check_count("n", n)
    check_count("seed", seed, minimum=0)
    place, recipe = _find_row(check_path("RUN_FOLDER", folder), row)
    sweep = mg.load_for_sampling(place)
    _check_index("seed_index", seed_index, len(recipe.seeds))
    mixture = jax.tree.map(lambda leaf: leaf[seed_index], sweep)
    weights, numbers = mixture.weights, jnp.arange(mixture.num_components)
    latents_key, choice, few = jax.random.split(jax.random.key(seed), 3)
    shown = recipe.latents(few, (len(numbers), _SHOWN, recipe.latent_size))
    by_component, _ = mg.generate(recipe.generator, mixture, shown)
    if component is not None:
        _check_index("component", component, len(numbers))
        numbers = numbers[component : component + 1]
        mixture = jax.tree.map(lambda leaf: leaf[numbers], mixture)
        mixture = mg.Mixture(mixture.params, mixture.state, jnp.zeros(1))
    latents = recipe.latents(latents_key, (n, recipe.latent_size))
    samples, chosen = mg.sample(choice, recipe.generator, mixture, latents, block=512)
    arrays = jax.device_get((samples, numbers[chosen], weights, by_component))
    return Drawn(*map(np.asarray, arrays), recipe.row, recipe.seeds[seed_index])


def _check_index(name: str, value: int, count: int) -> None:
    if value not in range(count):
        raise fail(name, value, f"one of {list(range(count))}")


def _find_row(folder: Path, row: str | None) -> tuple[Path, Recipe]:
    """Returns the folder of a row and its recipe."""
    if not folder.is_dir():
        raise FileNotFoundError(f"RUN_FOLDER must be an existing folder, got {str(folder)!r}")
    places = (folder, *sorted(folder.iterdir()))
    rows = {row_of(place): place for place in places if (place / "checkpoints").is_dir()}
    if not rows:
        raise ValueError(
            f"RUN_FOLDER must hold checkpoints of generators, got {str(folder)!r}: its experiment keeps none, or has "
            "not reached its first"
        )
    if row is None and len(rows) > 1:
        raise ValueError(f"row must be one of {list(rows)}, got none")
    place = rows[check_choice("row", row or next(iter(rows)), rows)]
    return place, read_recipe(place)


def draw_grid(drawn: Drawn, path: Path) -> Path:
    """Draws a few images, or points of the plane, of each component."""
    few, weights = drawn.by_component, drawn.weights
    if few.ndim == 5 and few.shape[-1] in (1, 3):
        figure = mg.plots.image_grid(few[:, :_ACROSS], weights=weights, value_range=(-1.0, 1.0))
    elif few.shape[2:] == (2,):
        figure = mg.plots.plot_samples(few, weights=weights)
    else:
        raise ValueError(f"--grid draws images or points of the plane, got samples {few.shape[2:]}")
    return mg.plots.save(figure, path)
