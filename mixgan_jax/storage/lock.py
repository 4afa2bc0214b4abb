"""Keeps a run's folder for one process at a time."""

import errno
import os
import platform
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

FILE_NAME = "lock"


class FolderInUseError(RuntimeError):
    """Another process, or another thread of this one, works in the folder."""


@contextmanager
def lock_folder(folder: str | os.PathLike[str]) -> Iterator[None]:
    """Holds the folder while the context lasts. The system releases it when the process dies.

    The file ``lock`` stays; it says who holds the folder, or held it last. Some file systems (Lustre, NFS) and Windows
    have no locks: then a warning says so, and nothing is held.

    Args:
        folder: created where it does not exist.

    Raises:
        FolderInUseError: another process holds it; the message says which.
    """
    path = Path(folder) / FILE_NAME
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+", encoding="utf-8") as file:
        try:
            _lock(file)
        except BlockingIOError:
            file.seek(0)
            holder = file.read().strip() or "another process"
            raise FolderInUseError(f"{path.parent} is in use by {holder}") from None
        except OSError as error:
            warnings.warn(
                f"{path.parent} cannot be locked ({error.strerror}): let no second process work in it",
                stacklevel=3,
            )
        file.truncate(0)
        file.write(f"process {os.getpid()} on {platform.node()}\n")
        file.flush()
        yield


def _lock(file: IO[str]) -> None:
    if fcntl is None:
        raise OSError(errno.ENOSYS, "this system has no flock")
    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
