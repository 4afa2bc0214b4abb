"""The log of a run: what an entry may hold, when it is written, and what a checkpoint keeps of it."""

import contextlib
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np

from mixgan_jax.checks import fail
from mixgan_jax.runs.quarantine import NonFiniteError, Quarantine
from mixgan_jax.runs.summaries import is_summarised, summarise
from mixgan_jax.storage.checkpoint import Checkpoints, SaveError
from mixgan_jax.storage.records import MAX_VALUES, Records, entry_from_json, entry_to_json


def check_entry(name: str, values: object, *, stored: bool, sweep: bool | None = None) -> None:
    """Refuses an entry of the log that :class:`Records` would refuse later. Shapes and dtypes are enough.

    Args:
        name: words for the values, as the message should have them.
        values: a mapping of text to arrays of real numbers, or to their shapes and dtypes.
        stored: whether they will be written, so that each may hold at most ``MAX_VALUES`` numbers.
        sweep: whether each has a leading axis of runs, where larger ones will be summarised; None refuses these.
    """
    if not isinstance(values, Mapping):
        raise fail(name, values, "a dict of arrays by name", TypeError)
    for key, value in values.items():
        if not isinstance(key, str) or key == "step":
            raise fail(f"a name in {name}", key, "text, and not 'step'", ValueError)
        is_real = hasattr(value, "dtype") and any(
            jnp.issubdtype(value.dtype, kind) for kind in (np.bool_, np.integer, np.floating)
        )
        entry = f"{key!r} in {name}"
        if stored and not is_real:
            raise fail(entry, value, "a number or an array of real numbers", TypeError)
        is_summary = sweep is not None and is_summarised(value, sweep)
        if stored and value.size > MAX_VALUES and not is_summary:
            raise fail(entry, value, f"at most {MAX_VALUES} numbers, to be written to the log")


def kept(checkpoints: Checkpoints | None) -> str:
    """Says in words what a run that stops leaves to go on from."""
    if checkpoints is None:
        return "nothing is kept without a folder"
    checkpoints.wait()
    return checkpoints.kept


class Log:
    """A log that holds one entry back, so that fetching it never waits for work that was just dispatched.

    An entry has two parts, which stay apart until they are written: the solver's info, and what ``evaluate`` measured.
    The quarantine and checkpoints see only the solver's info. The quarantine sees all of it; a folder's log, and the
    checkpoints that keep its last entry, get summaries of arrays that are too large.
    """

    def __init__(
        self,
        records: Records | None,
        quarantine: Quarantine,
        checkpoints: Checkpoints | None,
        on_log: Callable | None,
        sweep: bool = False,
    ) -> None:
        """Takes the receivers of entries: file, quarantine, checkpoints, callback; whether entries are ``[S, ...]``."""
        self._records, self._quarantine, self._checkpoints = records, quarantine, checkpoints
        self._on_log, self._sweep = on_log, sweep
        self._held: tuple[int, int, Mapping[str, Any]] | None = None
        self._measures: Mapping[str, Any] = {}
        self._is_looked_at = False

    def put(self, start: int, step: int, info: Mapping[str, Any]) -> None:
        """Takes the solver's info of the steps after ``start``, and writes the entry before it."""
        try:
            self.flush()
        finally:
            self._held, self._measures, self._is_looked_at = (start, step, info), {}, False

    def add(self, measures: Mapping[str, Any]) -> None:
        """Takes what ``evaluate`` measured after the steps of the entry."""
        self._measures = measures

    def look(self) -> None:
        """Fetches the solver's info and shows it to the quarantine, once."""
        if self._held is None or self._is_looked_at:
            return
        start, step, info = self._held
        known = _fetch(info)
        small = summarise(known, self._sweep) if self._records else known
        self._held, self._is_looked_at = (start, step, small), True
        try:
            self._quarantine.look(start, step, known)
        except NonFiniteError:
            with contextlib.suppress(SaveError):  # the worse news
                self._write()
            raise

    def keep(self) -> Any:
        """Returns the held entry as a checkpoint keeps it, for :meth:`restore`. All earlier entries are on disk."""
        self.look()
        if self._held is None or self._records is None:
            return None
        self._records.sync()
        return {"start": self._held[0], "info": entry_to_json(self._held[2])}

    def restore(self, step: int) -> bool:
        """Takes the entry from the checkpoint at ``step`` if the log lacks it, and returns whether it did.

        A run may be killed after the checkpoint and before the line of the log. With this, the log is that of an
        uninterrupted run all the same.
        """
        records, checkpoints = self._records, self._checkpoints
        if not (step and records and checkpoints) or records.last_step == step:
            return False
        kept, last = checkpoints.read_log(step), records.last_step or 0
        if kept is None or last < kept["start"]:
            text = (
                f"{records.path} lacks what was logged between steps {last} and {step}; it is lost"
            )
            warnings.warn(text, stacklevel=3)
        if kept is not None:
            self.put(kept["start"], step, entry_from_json(kept["info"]))
        return kept is not None

    def flush(self) -> None:
        """Writes the held entry, and calls ``on_log``."""
        if self._held is None:
            return
        self.look()
        step, entry = self._write()
        self._held = None
        if self._on_log:
            self._on_log(step, entry)

    def _write(self) -> tuple[int, dict[str, np.ndarray]]:
        assert self._held is not None
        _, step, info = self._held
        entry = _fetch({**info, **self._measures})
        if self._records:
            try:
                self._records.write(step, **entry)
            except OSError as error:
                text = f"cannot write the log ({error}); {kept(self._checkpoints)}"
                raise SaveError(text) from error
        return step, entry


def _fetch(entry: Mapping[str, Any]) -> dict[str, np.ndarray]:
    return {name: np.asarray(value) for name, value in entry.items()}
