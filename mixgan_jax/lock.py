"""One process at a time in a run's folder."""

import fcntl
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

FILE_NAME = "lock"


class FolderInUseError(RuntimeError):
    """Another process, or another thread of this one, works in the folder."""


@contextmanager
def lock_folder(folder: str | os.PathLike[str]) -> Iterator[None]:
    """Holds the folder for as long as the context lasts; the system lets go of it when the process dies.

    The file ``lock`` stays; it says who holds the folder, or held it last.

    Args:
        folder: created where it does not exist.

    Raises:
        FolderInUseError: somebody else holds it; the message says who.
    """
    path = Path(folder) / FILE_NAME
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            holder = file.read().strip() or "another process"
            raise FolderInUseError(f"{path.parent} is in use by {holder}") from None
        file.truncate(0)
        file.write(f"process {os.getpid()} on {platform.node()}\n")
        file.flush()
        yield
