"""A run's folder: checkpoints, the log, the config, and the lock."""

from mixgan_jax.storage.checkpoint import (
    Checkpoints as Checkpoints,
    SaveError as SaveError,
    load_for_sampling as load_for_sampling,
)
from mixgan_jax.storage.lock import FolderInUseError as FolderInUseError
from mixgan_jax.storage.records import (
    Records as Records,
    read_records as read_records,
)
