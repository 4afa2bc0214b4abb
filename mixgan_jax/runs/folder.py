"""Opens the folder of a run: its lock, config, checkpoints and log, for one process or for several."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import jax

from mixgan_jax.checks import fail
from mixgan_jax.processes import check_same, code_versions, on_first, share_error
from mixgan_jax.runs.agreement import SilentRecords
from mixgan_jax.runs.interrupt import Inbox, deferred_signals
from mixgan_jax.storage import lock
from mixgan_jax.storage.checkpoint import Checkpoints
from mixgan_jax.storage.lock import lock_folder
from mixgan_jax.storage.records import FILE_NAME, Records, store_config
from mixgan_jax.types import Key


def identity_of(key: Key, config: Mapping[str, Any] | None) -> dict[str, Any]:
    """Returns what a folder keeps of a run, and compares at each start."""
    identity = {"key": jax.random.key_data(key).tolist(), "config": dict(config or {})}
    implementation = str(jax.random.key_impl(key))
    if implementation != "threefry2x32":  # which older folders do not mention
        identity["key_impl"] = implementation
    return identity


def check_call(identity: Mapping[str, Any], **options: Any) -> None:
    """Insists that all processes make the same call with the same code."""
    if jax.process_count() > 1:
        config = {f"config.{name}": value for name, value in identity["config"].items()}
        check_same({**identity, "config": None, **config, **options, **code_versions()})


@contextmanager
def opened(
    folder: Path | None, identity: Mapping[str, Any]
) -> Iterator[tuple[Inbox, Checkpoints | None]]:
    """Holds the folder for this run, with its signals in the inbox. Without a folder it leaves signals alone."""
    if folder is None:
        yield Inbox(), None
        return
    with deferred_signals() as inbox, ExitStack() as stack:
        on_first(lambda: stack.enter_context(lock_folder(folder)))
        if jax.process_count() > 1:
            _check_shared(folder)
            on_first(lambda: store_config(folder, identity))
        yield inbox, stack.enter_context(Checkpoints(folder, identity))


def _check_shared(folder: Path) -> None:
    """Refuses a folder that is another one in other processes: process 0 has just written who holds it."""

    def holder() -> str:
        path = folder / lock.FILE_NAME
        return path.read_text(encoding="utf-8") if path.exists() else ""

    is_shared = holder() == on_first(holder)
    share_error(None if is_shared else fail("folder", folder, "one that all processes see"))


@contextmanager
def records_of(folder: Path | None, start: int, tensorboard: bool) -> Iterator[Records | None]:
    """Opens the log of a run that begins at step ``start``. Process 0 writes it."""
    if folder is None:
        yield None
        return
    with ExitStack() as stack:

        def open_records() -> int | None:
            opened = Records(folder, resume_step=start or -1, tensorboard=tensorboard)
            held.append(stack.enter_context(opened))
            return opened.last_step

        held: list[Records] = []
        last_step = on_first(open_records)
        yield held[0] if held else SilentRecords(folder / FILE_NAME, last_step)
