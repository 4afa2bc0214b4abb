"""Checkpoints of a run: saved while training goes on, restored bit for bit.

A run's directory holds ``config.json`` and ``checkpoints/<step>/``, which Orbax writes, with up to three items.
``state`` is all that training needs. ``generators`` is the mixture of generators alone. ``layout`` lists path, shape,
dtype and checksum of every leaf: it reveals damage, and says in words where a template does not fit.
"""

import dataclasses
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self, TypeVar

from mixgan_jax.checked import checked
from mixgan_jax.checks import fail
from mixgan_jax.messages import reason
from mixgan_jax.players.mixture import Mixture
from mixgan_jax.storage import layout
from mixgan_jax.storage.barrier import Barrier
from mixgan_jax.storage.manager import open_manager, quiet, reading, stored_layout
from mixgan_jax.storage.records import store_config
from mixgan_jax.storage.restore import newest_readable
from mixgan_jax.types import Count, FilePath, Tree, Whole

T = TypeVar("T")

FOLDER_NAME = "checkpoints"


class SaveError(OSError):
    """A checkpoint could not be written, as on a full disk. Those before it are as they were."""


class Checkpoints:
    """The checkpoints of one run; a context manager that waits for what is still being written.

    Args:
        directory: the run's directory, created where it does not exist.
        config: the run's configuration, a (nested) dict of JSON values. The first opening writes it to
            ``config.json``, later ones compare it. None compares nothing.
        max_to_keep: number of checkpoints that stay, >= 1. With 2 or more, one is left where the newest is damaged.

    Raises:
        ValueError: the directory belongs to a run with another config; the message names the fields.
    """

    @checked
    def __init__(
        self,
        directory: FilePath,
        config: Mapping[str, Any] | None = None,
        *,
        max_to_keep: Count = 2,
    ) -> None:
        """Opens the directory; see the class."""
        self.directory = Path(directory).absolute()
        self.directory.mkdir(parents=True, exist_ok=True)
        if config is not None:
            store_config(self.directory, config)
        self._barrier = Barrier(str(self.directory))
        folder = self.directory / FOLDER_NAME
        self._manager = open_manager(folder, max_to_keep=max_to_keep, barrier=self._barrier)
        self._unreadable: list[int] = []

    @property
    def steps(self) -> list[int]:
        """The steps with a checkpoint, in rising order; one that is still being written counts."""
        return sorted(set(self._manager.all_steps()) - set(self._unreadable))

    @property
    def kept(self) -> str:
        """Words for the newest checkpoint that is whole on disk, as far as is known without reading it."""
        found = self.directory.glob(f"{FOLDER_NAME}/*")
        steps = {int(path.name) for path in found if path.name.isdecimal()} - set(self._unreadable)
        newest = f"the checkpoint of step {max(steps)} is" if steps else "no checkpoint is"
        return f"{newest} kept in {self.directory}"

    def read_log(self, step: int) -> Any:
        """Returns the ``log`` that :meth:`save` got at a step, or None."""
        with reading(self._manager) as reader:
            return layout.read_log(stored_layout(reader, step))

    @checked
    def save(
        self,
        step: Whole,
        state: Tree,
        *,
        generators: Mixture | Mapping[str, Any] | None = None,
        log: Any = None,
    ) -> bool:
        """Starts to write a checkpoint, and returns as soon as the arrays are copied to the host.

        The caller may donate the state to the next step at once.

        Args:
            step: number of steps that led to this state, >= 0, and not below the latest saved one.
            state: any tree of arrays, typed keys and numbers; nodes may be NamedTuples or registered dataclasses.
                Orbax cannot write arrays of size 0, or two leaves of one name.
            generators: a :class:`Mixture` (or a dict of its fields) also stored apart, for
                :func:`load_for_sampling`. Runs vmapped over seeds have a leading axis ``S``.
            log: JSON values kept with it, for :meth:`read_log`.

        Returns:
            Whether it writes one: it does not where ``step`` is saved already.

        Raises:
            SaveError: this one, or the one before it, could not be written.
        """
        import orbax.checkpoint as ocp

        trees = as_trees(state, generators)
        latest = max(self.steps, default=-1)
        if step < latest:
            raise fail("step", step, f">= {latest}, the latest step saved in {self.directory}")
        if step == latest:
            return False
        # If they stayed, they would count as the latest steps, and whole checkpoints would be deleted in their place.
        while self._unreadable:
            self._manager.delete(self._unreadable.pop())
        # Orbax refuses an item that is an empty tree, so each tree stands below a root.
        items = {item: ocp.args.StandardSave({"root": tree}) for item, tree in trees.items()}
        described = ocp.args.JsonSave(layout.describe_trees(trees, log))
        with self._saving():
            self._barrier.after_first(self._try_folder)
            self._manager.save(step, args=ocp.args.Composite(layout=described, **items), force=True)
        return True

    def restore_latest(self, like: T) -> tuple[int, T] | None:
        """Reads the newest checkpoint that is whole, bit for bit.

        If the newest is damaged, a warning says so, and the one before is taken. The next :meth:`save` deletes the
        damaged one.

        Args:
            like: the tree to fill: a state of the same shapes and dtypes, or ``jax.eval_shape`` of the function that
                makes one. Arrays come back with the sharding of its leaves, on any mesh; leaves without one go to
                the default device, uncommitted. Leaves of NumPy stay such, unless ``like`` is abstract.

        Returns:
            The step and the state; None where there is no checkpoint.

        Raises:
            ValueError: ``like`` has other leaves, shapes or dtypes than the checkpoint (the message names the first
                few), or no checkpoint can be read.
        """
        self.wait()
        found = newest_readable(self._manager, self.steps, "state", like)
        if found is not None:
            self._unreadable += [step for step in self.steps if step > found[0]]
        return found

    def wait(self) -> None:
        """Returns once everything is on disk.

        Raises:
            SaveError: something could not be written.
        """
        with self._saving():
            self._manager.wait_until_finished()

    def close(self) -> None:
        """Waits, then releases the directory. A second call does nothing.

        Raises:
            SaveError: something could not be written.
        """
        with self._saving():
            self._manager.close()

    def _try_folder(self) -> None:
        """Makes a folder, and removes it: if process 0 could not, the others would wait for it in Orbax."""
        tempfile.TemporaryDirectory(dir=self.directory).cleanup()

    @contextmanager
    def _saving(self) -> Iterator[None]:
        """Turns what Orbax raises, here or from its threads, into a SaveError."""
        try:
            yield
        except Exception as error:  # Orbax, TensorStore and the file system each raise their own
            why = self._barrier.fail(reason(error))
            raise SaveError(f"cannot save in {self.directory} ({why}); {self.kept}") from error

    def __enter__(self) -> Self:
        """Returns the checkpoints themselves."""
        return self

    def __exit__(self, *exception: object) -> None:
        """Waits and closes."""
        self.close()


@checked
def load_for_sampling(
    directory: FilePath, *, step: int | None = None, like: Mixture | None = None
) -> Mixture:
    """Reads the generators of a run, without its training code. It is safe while the run goes on.

    Args:
        directory: the run's directory, as given to :class:`Checkpoints` or :func:`~mixgan_jax.fit`.
        step: one of the saved steps; None takes the newest checkpoint that can be read.
        like: a mixture of the same shapes (or ``jax.eval_shape`` of one) whose tree and sharding the result takes.
            Without it the trees are nested dicts and lists on the default device, as Linen's are anyway. A player whose
            parameters are classes (Equinox, NNX, NamedTuples) needs ``like``, for instance
            ``jax.eval_shape(solver.init, key).generators``; a warning says so.

    Returns:
        The :class:`Mixture` that was saved as ``generators``.

    Raises:
        FileNotFoundError: no checkpoint in ``directory``.
        ValueError: none at ``step``, none with generators, or ``like`` does not fit.

    Example:
        >>> import jax, tempfile
        >>> import jax.numpy as jnp
        >>> import mixgan_jax as mg
        >>> player = mg.from_linen(mg.networks.MLP((8,)))
        >>> mixture = mg.uniform(jax.random.key(0), player, 3, jnp.zeros((1, 2)))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with mg.Checkpoints(folder) as checkpoints:
        ...         started = checkpoints.save(100, state=mixture, generators=mixture)
        ...     generators = mg.load_for_sampling(folder)
        >>> generators.num_components
        3
    """
    directory = Path(directory).absolute()
    missing = FileNotFoundError(f"directory must hold a run with checkpoints, got {directory}")
    if not (directory / FOLDER_NAME).is_dir():
        raise missing
    with quiet(), open_manager(directory / FOLDER_NAME, read_only=True) as manager:
        steps = sorted(manager.all_steps())
        if step is not None and step not in steps:
            raise fail("step", step, f"one of the saved steps {steps} of {directory}")
        steps = steps if step is None else [step]
        found = newest_readable(manager, steps, "generators", like, stacklevel=4)
        if found is None:
            raise missing
        stored = stored_layout(manager, found[0])
    classes = layout.read_classes(stored, "generators")
    if classes and like is None:
        text = (
            f"the generators were saved with nodes of class {', '.join(classes)}, which come back as dicts; to have "
            "them as they were pass like=jax.eval_shape(solver.init, key).generators"
        )
        warnings.warn(text, stacklevel=3)
    return _as_mixture(found[1])


def as_trees(state: Tree, generators: Mixture | Mapping[str, Any] | None) -> dict[str, Tree]:
    """Returns the trees of a checkpoint by name, or refuses what cannot be written. Shapes and dtypes are enough."""
    trees = {"state": state}
    if generators is not None:
        trees["generators"] = _as_mixture(generators)
    layout.check_savable(trees)
    return trees


def _as_mixture(generators: Mixture | Mapping[str, Any]) -> Mixture:
    if isinstance(generators, Mixture):
        return generators
    names = [field.name for field in dataclasses.fields(Mixture)]
    if not isinstance(generators, Mapping) or set(generators) != set(names):
        raise fail("generators", generators, f"a Mixture or a dict with exactly {names}")
    return Mixture(**generators)
