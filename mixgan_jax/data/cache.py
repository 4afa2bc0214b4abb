"""Where files that outlive a run are kept."""

import os
from pathlib import Path


def cache_folder() -> Path:
    """The cache folder, made if need be: ``$XDG_CACHE_HOME/mixgan_jax`` or ``~/.cache/mixgan_jax``."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    folder = Path(base) / "mixgan_jax"
    folder.mkdir(parents=True, exist_ok=True)
    return folder
