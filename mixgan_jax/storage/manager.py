"""Orbax, as checkpoints use it; it is imported where it is used."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


def open_manager(folder: Path, *, max_to_keep: int = 1, read_only: bool = False) -> Any:
    """The manager of the checkpoints in a folder."""
    import orbax.checkpoint as ocp

    # A manager that may write removes the half-written checkpoint of a run still going on.
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
    """The layout that was saved at a step; see ``layout.py``."""
    import orbax.checkpoint as ocp

    return manager.restore(step, args=ocp.args.Composite(layout=ocp.args.JsonRestore())).layout


@contextmanager
def quiet() -> Iterator[None]:
    """No warnings of Orbax, which gives one at each opening that is for reading only."""
    logger = logging.getLogger("absl")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)
