"""The folder for files that outlive a run."""

import contextlib
import functools
import os
import tempfile
import warnings
from pathlib import Path

from mixgan_jax.checks import check_path


def cache_folder() -> Path:
    """Returns the cache folder, and makes it if need be: ``$XDG_CACHE_HOME/mixgan_jax`` or ``~/.cache/mixgan_jax``.

    If that cannot be written to, or there is no home folder, the cache is in the temporary folder of the system, and a
    warning says so.
    """
    try:
        base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        folder = check_path("XDG_CACHE_HOME", base) / "mixgan_jax"
        make_folder("XDG_CACHE_HOME", folder)
    except (ValueError, RuntimeError) as error:  # RuntimeError: no home folder
        folder = _temporary_folder()
        warnings.warn(f"the cache is in {folder}, where it may be deleted: {error}", stacklevel=2)
    return folder


@functools.cache
def _temporary_folder() -> Path:
    """Returns a folder of this user in the temporary folder; one that belongs to another user is not trusted."""
    user = getattr(os, "getuid", lambda: "")()
    folder = Path(tempfile.gettempdir()) / f"mixgan_jax-{user}"
    with contextlib.suppress(OSError):
        folder.mkdir(mode=0o700, exist_ok=True)
        if not folder.is_symlink() and folder.stat().st_uid == user:
            return folder
    return Path(tempfile.mkdtemp(prefix="mixgan_jax-"))


def make_folder(name: str, folder: Path) -> None:
    """Creates a folder that can be written to; a ValueError names the setting ``name`` that it comes from."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise ValueError(
            f"{name} must be where files can be written, got {str(folder)!r}: {error.strerror}"
        ) from error
