"""Opens Orbax, the library that writes checkpoints. Functions import it when they run, since it is heavy."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


def open_manager(folder: Path, *, max_to_keep: int = 1, read_only: bool = False) -> Any:
    """Opens the manager of the checkpoints in a folder."""
    import orbax.checkpoint as ocp

    # A manager that may write would delete a checkpoint that a live run is writing.
    options = ocp.CheckpointManagerOptions(
        max_to_keep=None if read_only else max_to_keep,
        save_interval_steps=0 if read_only else 1,
        read_only=read_only,
        create=not read_only,
    )
    handlers = {item: ocp.StandardCheckpointHandler() for item in ("state", "generators")}
    handlers["layout"] = ocp.JsonCheckpointHandler()
    return ocp.CheckpointManager(folder, options=options, item_handlers=handlers)


def stored_layout(manager: Any, step: int) -> Any:
    """Reads the layout that was saved at a step; see ``layout.py``."""
    import orbax.checkpoint as ocp

    return manager.restore(step, args=ocp.args.Composite(layout=ocp.args.JsonRestore())).layout


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
