"""The log of a run while it trains: what an entry may hold, when it is written, and what a checkpoint keeps of it."""

import warnings
from collections.abc import Callable, Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np

from mixgan_jax.checks import fail
from mixgan_jax.runs.quarantine import NonFiniteError, Quarantine
from mixgan_jax.storage.checkpoint import Checkpoints, SaveError
from mixgan_jax.storage.records import MAX_VALUES, Records, entry_from_json, entry_to_json


def check_entry(name: str, values: Any, *, stored: bool) -> None:
    """Checks the shapes and dtypes (as ``jax.eval_shape`` finds them) of what a log's entry will hold.

    Args:
        name: what the values are, in words.
        values: must be a mapping of text to arrays of real numbers.
        stored: whether they will be written, so that each may hold at most ``MAX_VALUES`` numbers.

    Raises:
        TypeError, ValueError: they would be refused later; the message names the value.
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
        if stored and value.size > MAX_VALUES:
            raise fail(entry, value, f"at most {MAX_VALUES} numbers, to be written to the log")


def kept(checkpoints: Checkpoints | None) -> str:
    """What a run that stops leaves to go on from, in words."""
    if checkpoints is None:
        return "nothing is kept without a folder"
    checkpoints.wait()
    return checkpoints.kept


class Log:
    """Holds one entry back, so that fetching it never waits for work that was just dispatched.

    The solver's part of an entry and what ``evaluate`` measured stay apart until they are written: only the former is
    looked at by the quarantine, and kept in a checkpoint.
    """

    def __init__(
        self,
        records: Records | None,
        quarantine: Quarantine,
        checkpoints: Checkpoints | None,
        on_log: Callable | None,
    ) -> None:
        """Takes where entries go: the file, the quarantine, the caller."""
        self._records, self._quarantine, self._checkpoints = records, quarantine, checkpoints
        self._on_log = on_log
        self._held: tuple[int, int, Mapping[str, Any]] | None = None
        self._measures: Mapping[str, Any] = {}
        self._is_looked_at = False

    def put(self, start: int, step: int, info: Mapping[str, Any]) -> None:
        """Takes the solver's entry of the steps after ``start``, once the one before is written."""
        self.flush()
        self._held, self._measures, self._is_looked_at = (start, step, info), {}, False

    def add(self, measures: Mapping[str, Any]) -> None:
        """Takes what was measured after the steps of the entry."""
        self._measures = measures

    def look(self) -> None:
        """Fetches the solver's part, and has the quarantine look at it, once."""
        if self._held is None or self._is_looked_at:
            return
        start, step, info = self._held
        known = _fetch(info)
        self._held, self._is_looked_at = (start, step, known), True
        try:
            self._quarantine.look(start, step, known)
        except NonFiniteError:
            self._write()
            raise

    def keep(self) -> Any:
        """What a checkpoint keeps of the entry that is held, for :meth:`restore`; all before it is on disk."""
        self.look()
        if self._held is None or self._records is None:
            return None
        self._records.sync()
        return {"start": self._held[0], "info": entry_to_json(self._held[2])}

    def restore(self, step: int) -> bool:
        """Takes the entry that the checkpoint at ``step`` keeps, where the log lacks it; returns whether it does.

        A run may end between the checkpoint and the line of the log; then its log is to be that of an uninterrupted
        one all the same.
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
        """Writes the entry that is held, and calls back."""
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
