"""Checkpoints of a run: saved while training goes on, restored bit for bit.

A run's directory holds ``config.json`` and ``checkpoints/<step>/``, written by Orbax, with up to three
items: ``state``, all that training needs; ``generators``, the mixture of generators alone; ``layout``,
path, shape, dtype and checksum of every leaf, so that damage is noticed, and a template that does not fit is
refused in words.
"""

import dataclasses
import os
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Self, TypeVar

import jax

from mixgan_jax.checks import check_count, check_path, fail
from mixgan_jax.players.mixture import Mixture
from mixgan_jax.storage import layout
from mixgan_jax.storage.manager import open_manager, quiet, stored_layout
from mixgan_jax.storage.placement import place, target
from mixgan_jax.storage.records import store_config

T = TypeVar("T")

FOLDER_NAME = "checkpoints"


class SaveError(OSError):
    """A checkpoint could not be written, as on a full disk; those before it are as they were."""


class Checkpoints:
    """The checkpoints of one run; a context manager that waits for what is still being written.

    Args:
        directory: the run's directory, created where it does not exist.
        config: what the run was started with, a (nested) dict of JSON values: written to ``config.json`` at the
            first opening, compared with it later. None compares nothing.
        max_to_keep: how many checkpoints stay, >= 1. With 2 or more, one is left where the newest is damaged.

    Raises:
        ValueError: the directory belongs to a run with another config; the fields are named.
        TypeError: a config that JSON cannot hold.
    """

    def __init__(
        self,
        directory: str | os.PathLike[str],
        config: Mapping[str, Any] | None = None,
        *,
        max_to_keep: int = 2,
    ) -> None:
        """Opens the directory; see the class."""
        check_count("max_to_keep", max_to_keep)
        self.directory = check_path("directory", directory).absolute()
        self.directory.mkdir(parents=True, exist_ok=True)
        if config is not None:
            store_config(self.directory, config)
        self._manager = open_manager(self.directory / FOLDER_NAME, max_to_keep=max_to_keep)
        self._unreadable: list[int] = []

    @property
    def steps(self) -> list[int]:
        """The steps with a checkpoint, rising; one that is still being written counts."""
        return sorted(set(self._manager.all_steps()) - set(self._unreadable))

    @property
    def kept(self) -> str:
        """In words, the newest checkpoint that is whole on disk, as far as is known without reading it."""
        found = self.directory.glob(f"{FOLDER_NAME}/*")
        steps = {int(path.name) for path in found if path.name.isdecimal()} - set(self._unreadable)
        newest = f"the checkpoint of step {max(steps)} is" if steps else "no checkpoint is"
        return f"{newest} kept in {self.directory}"

    def read_log(self, step: int) -> Any:
        """What :meth:`save` was given as ``log`` at a step; None where it was given none."""
        return layout.read_log(stored_layout(self._manager, step))

    def save(
        self,
        step: int,
        state: Any,
        *,
        generators: Mixture | Mapping[str, Any] | None = None,
        log: Any = None,
    ) -> bool:
        """Starts to write a checkpoint, and returns as soon as the arrays are copied to the host.

        The caller may donate the state to the next step at once.

        Args:
            step: how many steps led to this state, >= 0.
            state: any tree of arrays, typed keys and numbers; nodes may be NamedTuples or registered dataclasses.
            generators: a :class:`Mixture` (or a dict of its fields) also stored apart, for
                :func:`load_for_sampling`. Runs vmapped over seeds have a leading axis ``S``.
            log: JSON values to be kept with it, for :meth:`read_log`.

        Returns:
            Whether one is written: not where ``step`` is saved already.

        Raises:
            ValueError: ``step`` is below the latest saved one, the generators lack a field, or Orbax cannot write
                an array (of size 0, or two of one name).
            SaveError: this one, or the one before it, could not be written.
        """
        import orbax.checkpoint as ocp

        step = check_count("step", step, minimum=0)
        trees = as_trees(state, generators)
        latest = max(self.steps, default=-1)
        if step < latest:
            raise fail("step", step, f">= {latest}, the latest step saved in {self.directory}")
        if step == latest:
            return False
        # Left in place they would count as the latest steps and push whole checkpoints out.
        while self._unreadable:
            self._manager.delete(self._unreadable.pop())
        # Each tree stands below a root: Orbax refuses an item that is an empty tree.
        items = {item: ocp.args.StandardSave({"root": tree}) for item, tree in trees.items()}
        described = ocp.args.JsonSave(layout.describe_trees(trees, log))
        with self._saving():
            self._manager.save(step, args=ocp.args.Composite(layout=described, **items), force=True)
        return True

    def restore_latest(self, like: T) -> tuple[int, T] | None:
        """The newest checkpoint that can be read, bit for bit.

        Where the newest is damaged, a warning says so and the one before is taken; the next
        :meth:`save` deletes the damaged one.

        Args:
            like: the tree to fill: a state of the same shapes and dtypes, or ``jax.eval_shape`` of the function that
                makes one. Arrays come back with the sharding of its leaves, on any mesh; leaves without one go to
                the default device, uncommitted. Leaves of NumPy stay such, unless ``like`` is abstract.

        Returns:
            The step and the state; None where there is no checkpoint.

        Raises:
            ValueError: ``like`` has other leaves, shapes or dtypes than the checkpoint (the first few are named), or
                no checkpoint can be read.
        """
        self.wait()
        found = _newest_readable(self._manager, self.steps, "state", like)
        if found is not None:
            self._unreadable += [step for step in self.steps if step > found[0]]
        return found

    def wait(self) -> None:
        """Returns once everything is on disk.

        Raises:
            SaveError: something is not, and will not be.
        """
        with self._saving():
            self._manager.wait_until_finished()

    def close(self) -> None:
        """Waits, then releases the directory; a second call does nothing.

        Raises:
            SaveError: as :meth:`wait`.
        """
        with self._saving():
            self._manager.close()

    @contextmanager
    def _saving(self) -> Iterator[None]:
        """Turns what Orbax raises, here or from its threads, into a SaveError."""
        try:
            yield
        except Exception as error:  # Orbax, TensorStore and the file system each raise their own
            raise SaveError(
                f"cannot save in {self.directory} ({_reason(error)}); {self.kept}"
            ) from error

    def __enter__(self) -> Self:
        """The checkpoints themselves."""
        return self

    def __exit__(self, *exception: object) -> None:
        """Waits and closes."""
        self.close()


def load_for_sampling(
    directory: str | os.PathLike[str], *, step: int | None = None, like: Mixture | None = None
) -> Mixture:
    """The generators of a run, without its training code; safe while the run goes on.

    Args:
        directory: the run's directory, as given to :class:`Checkpoints`.
        step: which checkpoint; None takes the newest that can be read.
        like: a mixture of the same shapes (or ``jax.eval_shape`` of one) whose tree and sharding the result takes.
            Without it the trees are nested dicts and lists on the default device. Linen's are anyway; a player whose
            parameters are classes (Equinox, NNX, NamedTuples) needs ``like``, for instance
            ``jax.eval_shape(solver.init, key).generators``. A warning says so.

    Returns:
        The :class:`Mixture` that was saved as ``generators``.

    Raises:
        FileNotFoundError: no checkpoint in ``directory``.
        ValueError: none at ``step``, none with generators, or ``like`` does not fit.
    """
    directory = check_path("directory", directory).absolute()
    missing = FileNotFoundError(f"directory must hold a run with checkpoints, got {directory}")
    if not (directory / FOLDER_NAME).is_dir():
        raise missing
    with quiet(), open_manager(directory / FOLDER_NAME, read_only=True) as manager:
        steps = sorted(manager.all_steps())
        if step is not None and step not in steps:
            raise fail("step", step, f"one of the saved steps {steps} of {directory}")
        steps = steps if step is None else [step]
        found = _newest_readable(manager, steps, "generators", like)
        if found is None:
            raise missing
        classes = (
            []
            if like is not None
            else layout.read_classes(stored_layout(manager, found[0]), "generators")
        )
    if classes:
        text = (
            f"the generators were saved with nodes of class {', '.join(classes)}, which come back as dicts; to have "
            "them as they were pass like=jax.eval_shape(solver.init, key).generators"
        )
        warnings.warn(text, stacklevel=2)
    return _as_mixture(found[1])


def _reason(error: Exception) -> str:
    """An error in one line that is not too long."""
    return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"


def _newest_readable(
    manager: Any, steps: list[int], item: str, like: Any
) -> tuple[int, Any] | None:
    failure: Exception | None = None
    for step in reversed(steps):
        try:
            return step, _read_item(manager, step, item, like)
        except layout.LayoutError:
            raise
        except Exception as error:  # Orbax, TensorStore and the file system each raise their own
            failure = error
            where = f"the checkpoint at step {step} of {manager.directory}"
            text = f"{where} cannot be read and is passed over ({_reason(error)})"
            warnings.warn(text, stacklevel=3)
    if failure is not None:
        raise ValueError(f"no checkpoint of {manager.directory} can be read: {steps}") from failure
    return None


def _read_item(manager: Any, step: int, item: str, like: Any) -> Any:
    import orbax.checkpoint as ocp

    stored = layout.read_layout(step, stored_layout(manager, step), item)
    if like is None:
        tree = manager.item_metadata(step)[item].tree["root"]
        like = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), tree)
    else:
        layout.compare_layout(step, stored, like)
    wanted = ocp.args.StandardRestore({"root": jax.tree.map(target, like)})
    restored = manager.restore(step, args=ocp.args.Composite(**{item: wanted}))[item]["root"]
    layout.verify(stored, restored)
    return jax.tree.map(place, restored, like)


def as_trees(state: Any, generators: Any) -> dict[str, Any]:
    """What a checkpoint holds, by name; a ValueError where it cannot be written. Shapes and dtypes are enough."""
    trees = {"state": state}
    if generators is not None:
        trees["generators"] = _as_mixture(generators)
    layout.check_savable(trees)
    return trees


def _as_mixture(generators: Any) -> Mixture:
    if isinstance(generators, Mixture):
        return generators
    names = [field.name for field in dataclasses.fields(Mixture)]
    if not isinstance(generators, Mapping) or set(generators) != set(names):
        raise fail("generators", generators, f"a Mixture or a dict with exactly {names}")
    return Mixture(**generators)
