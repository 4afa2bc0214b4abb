"""Opens Orbax, the library that writes checkpoints. Functions import it when they run, since it is heavy."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jax

from mixgan_jax.storage.barrier import Barrier


def open_manager(
    folder: Path,
    *,
    max_to_keep: int = 1,
    read_only: bool = False,
    barrier: Barrier | None = None,
) -> Any:
    """Opens the manager of the checkpoints in a folder. Processes that write share a barrier; each reads by itself."""
    import orbax.checkpoint as ocp

    own = jax.process_index()
    alone = ocp.options.MultiprocessingOptions(primary_host=own, active_processes={own})
    # A manager that may write would delete a checkpoint that a live run is writing.
    options = ocp.CheckpointManagerOptions(
        max_to_keep=None if read_only else max_to_keep,
        save_interval_steps=0 if read_only else 1,
        read_only=read_only,
        create=not read_only,
        multiprocessing_options=alone if read_only else ocp.options.MultiprocessingOptions(),
        async_options=ocp.AsyncOptions(barrier_sync_fn=barrier),
    )
    handlers = {item: ocp.StandardCheckpointHandler() for item in ("state", "generators")}
    handlers["layout"] = ocp.JsonCheckpointHandler()
    return ocp.CheckpointManager(folder, options=options, item_handlers=handlers)


def stored_layout(manager: Any, step: int) -> Any:
    """Reads the layout that was saved at a step; see ``layout.py``."""
    import orbax.checkpoint as ocp

    return manager.restore(step, args=ocp.args.Composite(layout=ocp.args.JsonRestore())).layout


@contextmanager
def reading(manager: Any) -> Iterator[Any]:
    """Yields a manager of the same folder that waits for no other process: one of them alone may fail to read."""
    if jax.process_count() == 1:
        yield manager
        return
    with quiet(), open_manager(manager.directory, read_only=True) as reader:
        yield reader


@contextmanager
def quiet() -> Iterator[None]:
    """Silences Orbax, which warns at each opening that is for reading only."""
    logger = logging.getLogger("absl")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)
