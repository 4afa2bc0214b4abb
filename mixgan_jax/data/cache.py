"""Where files that outlive a run are kept."""

import os
import tempfile
from pathlib import Path


def cache_folder() -> Path:
    """The cache folder, made if need be: ``$XDG_CACHE_HOME/mixgan_jax`` or ``~/.cache/mixgan_jax``.

    Raises:
        ValueError: it cannot be made, or not be written to.
    """
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    folder = Path(base) / "mixgan_jax"
    make_folder("XDG_CACHE_HOME", folder)
    return folder


def make_folder(name: str, folder: Path) -> None:
    """Creates a folder that can be written to; a ValueError names what it was made from."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise ValueError(
            f"{name} must be where files can be written, got {str(folder)!r}: {error.strerror}"
        ) from error
