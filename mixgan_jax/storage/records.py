"""What a run leaves to read: its config, and a log that survives a kill and a restart."""

import contextlib
import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import jax
import jax.numpy as jnp
import numpy as np

from mixgan_jax.checks import check_count, check_flag, check_path, fail, to_host
from mixgan_jax.files import read_json, replacing

FILE_NAME = "metrics.jsonl"
CONFIG_NAME = "config.json"

MAX_VALUES = 10_000
"""The most numbers one value may hold; larger arrays belong in a checkpoint or an ``.npz`` file."""

# JSON has no such numbers. As text they stay apart from one another, and the file stays valid JSON.
_NON_FINITE = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


class Records:
    """Writes ``metrics.jsonl`` in a run's directory, one line per :meth:`write`, written at once.

    Each line is a JSON object ``{"step": ..., name: value, ...}``. Numbers are written so that they
    read back exactly; NaN and the infinities, which JSON lacks, as the strings ``"NaN"``,
    ``"Infinity"`` and ``"-Infinity"`` (:func:`read_records` turns them into numbers again). A line
    counts once its newline is written: what a killed process left after the last newline is dropped
    when the file is opened again.

    A run resumed from a checkpoint at step ``s`` passes ``resume_step=s``: lines of later steps, which
    the resumed run will write again, are dropped, so that its log equals that of an uninterrupted
    run. The file is replaced atomically in doing so. Where several processes train together, only one
    may write.

    Args:
        run_directory: created where it does not exist.
        resume_step: the last step whose lines are kept: >= 0, or -1 for a run that starts anew; None
            keeps every complete line.
        tensorboard: also write TensorBoard event files to the same directory (needs
            ``tensorboardX``).

    Attributes:
        path: of the file.
        last_step: the step of the last line that was there at the opening; None where there was none.

    Raises:
        TypeError, ValueError: a ``resume_step`` that is no whole number >= -1; a corrupt line in the
            file.
        ImportError: ``tensorboard`` without ``tensorboardX``.
    """

    def __init__(
        self,
        run_directory: str | os.PathLike[str],
        *,
        resume_step: int | None = None,
        tensorboard: bool = False,
    ) -> None:
        """Opens the log; see the class."""
        if resume_step is not None:
            check_count("resume_step", resume_step, minimum=-1)
        check_flag("tensorboard", tensorboard)
        directory = check_path("run_directory", run_directory)
        directory.mkdir(parents=True, exist_ok=True)
        self.path = directory / FILE_NAME
        self._board = _summary_writer(directory, resume_step) if tensorboard else None
        self.last_step = _repair(self.path, resume_step)
        # Unbuffered: what a full disk did not take is not kept back to be tried again.
        self._file = self.path.open("ab", buffering=0)

    def write(self, /, step: int, **values: Any) -> None:
        """Appends one line.

        Names that are no Python identifiers go in by ``write(step, **{"loss/generator": value})``.

        Args:
            step: a whole number >= 0; the caller keeps it from falling.
            **values: numbers, booleans, or NumPy or JAX arrays of any rank with at most
                ``MAX_VALUES`` entries; nested lists of numbers pass as arrays.

        Raises:
            TypeError: a value that is no number or array of numbers (the name is given).
            ValueError: an array too large, a ragged list, a negative step, or a closed log.
            OSError: the line could not be written, as on a full disk; the file is as it was before.
        """
        if self._file.closed:
            raise ValueError(f"write must be called before close: {self.path} is closed")
        check_count("step", step, minimum=0)
        arrays = {name: _as_numbers(name, value) for name, value in values.items()}
        line = {"step": int(step)} | {name: _to_json(a.tolist()) for name, a in arrays.items()}
        self._append(json.dumps(line, allow_nan=False).encode() + b"\n")
        if self._board is not None:
            for name, array in arrays.items():
                for index, number in np.ndenumerate(array):
                    self._board.add_scalar("/".join([name, *map(str, index)]), number, step)
            self._board.flush()

    def _append(self, line: bytes) -> None:
        end = self._file.seek(0, os.SEEK_END)
        try:
            while line:
                line = line[self._file.write(line) :]
        except OSError:
            self._file.truncate(end)
            raise

    def sync(self) -> None:
        """Returns once all lines would outlive a power cut."""
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """Closes the file; a second call does nothing."""
        self._file.close()
        if self._board is not None:
            self._board.close()
            self._board = None

    def __enter__(self) -> Self:
        """The log itself."""
        return self

    def __exit__(self, *exception: object) -> None:
        """Closes the file."""
        self.close()


def read_records(path: str | os.PathLike[str]) -> list[dict[str, Any]]:
    """The lines of a log, in the order written.

    Args:
        path: the file, or the run's directory that holds it.

    Returns:
        One dict per complete line: ``"step"`` an int, other values numbers, booleans or nested lists
        of them, with NaN and the infinities as floats. An incomplete last line is left out.

    Raises:
        FileNotFoundError: no such file.
        ValueError: a complete line that is no JSON object with a step (the line number is given).
    """
    path = check_path("path", path)
    if path.is_dir():
        path = path / FILE_NAME
    return [_from_json(_parse(path, number, line)) for number, line in _complete_lines(path)]


def store_config(run_directory: str | os.PathLike[str], config: Mapping[str, Any]) -> None:
    """Writes ``config.json`` at a run's start; at a later start, insists on the same config.

    Args:
        run_directory: an existing directory.
        config: a (nested) dict of JSON values; NumPy scalars pass as numbers, tuples as lists.

    Raises:
        ValueError: the stored config differs; the fields are named with both values.
        TypeError: a config that JSON cannot hold.
    """
    path = check_path("run_directory", run_directory) / CONFIG_NAME
    try:
        text = json.dumps(dict(config), indent=2, sort_keys=True, default=_plain_number)
    except (TypeError, ValueError) as error:
        raise fail("config", config, f"a dict of JSON values ({error})", TypeError) from error
    if path.exists():
        remedy = "delete it, and this start's config is written in its place"
        lines = differences(_fields(read_json(path, remedy)), _fields(json.loads(text)))
        if lines:
            raise ValueError(
                f"config must equal that of the run in {path.parent}; they differ in\n  "
                + "\n  ".join(lines)
            )
    elif jax.process_index() == 0:
        with replacing(path) as file:
            file.write(text.encode() + b"\n")


def differences(stored: dict[str, str], given: dict[str, str]) -> list[str]:
    """One line for each name under which two tables differ."""
    return [
        f"{name}: stored {stored.get(name, 'nothing')}, given {given.get(name, 'nothing')}"
        for name in stored | given
        if stored.get(name) != given.get(name)
    ]


def _complete_lines(path: Path) -> list[tuple[int, bytes]]:
    lines = path.read_bytes().split(b"\n")[:-1]
    return list(enumerate(lines, start=1))


def _parse(path: Path, number: int, line: bytes) -> dict[str, Any]:
    record = None
    with contextlib.suppress(ValueError):  # bad JSON and bad UTF-8 alike
        record = json.loads(line)
    if not isinstance(record, dict) or not isinstance(record.get("step"), int):
        raise ValueError(
            f"{path} must hold one JSON object with a step per line: see line {number}"
        )
    return record


def _repair(path: Path, resume_step: int | None) -> int | None:
    """Drops an incomplete last line, and the lines after ``resume_step``; the last step that is left."""
    if not path.exists():
        return None
    lines = [(_parse(path, number, line)["step"], line) for number, line in _complete_lines(path)]
    kept = [(step, line) for step, line in lines if resume_step is None or step <= resume_step]
    content = b"".join(line + b"\n" for _, line in kept)
    if content != path.read_bytes():
        with replacing(path) as file:
            file.write(content)
    return kept[-1][0] if kept else None


def entry_to_json(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Arrays of numbers by name, as JSON values that read back exactly."""
    return {name: _to_json(_as_numbers(name, value).tolist()) for name, value in entry.items()}


def entry_from_json(values: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """The arrays again, floating point ones in double precision."""
    return {name: np.asarray(_from_json(value)) for name, value in values.items()}


def _as_numbers(name: str, value: Any) -> np.ndarray:
    is_key = isinstance(value, jax.Array) and jnp.issubdtype(value.dtype, jax.dtypes.prng_key)
    if is_key:
        raise fail(name, value, "numbers", TypeError)
    try:
        rectangular = np.asanyarray(value)  # a mask stays for the check
    except ValueError as error:
        raise fail(name, value, "a number or a rectangular array of numbers") from error
    array = to_host(name, rectangular, "a number or an array of numbers")
    if array.size > MAX_VALUES:
        raise fail(name, array, f"at most {MAX_VALUES} numbers")
    if array.dtype == bool or np.issubdtype(array.dtype, np.integer):
        return array
    return array.astype(np.float64)  # bfloat16 and float8: their own tolist() gives no floats


def _to_json(value: Any) -> Any:
    if isinstance(value, list):
        return [_to_json(entry) for entry in value]
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value


def _from_json(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _from_json(entry) for name, entry in value.items()}
    if isinstance(value, list):
        return [_from_json(entry) for entry in value]
    return _NON_FINITE.get(value, value) if isinstance(value, str) else value


def _summary_writer(directory: Path, resume_step: int | None) -> Any:
    try:
        from tensorboardX import SummaryWriter
    except ImportError as error:
        raise ImportError(
            "tensorboard=True needs the package tensorboardX: pip install tensorboardX"
        ) from error
    # TensorBoard hides what earlier event files hold from this step on.
    purge_step = None if resume_step is None else resume_step + 1
    return SummaryWriter(str(directory), purge_step=purge_step)


def _plain_number(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{type(value).__name__} is no JSON value")


def _fields(config: Any, prefix: str = "") -> dict[str, str]:
    """Dotted names of a nested config's fields, each with its value as JSON."""
    if not isinstance(config, dict) or (not config and prefix):
        return {prefix: json.dumps(config)}
    fields: dict[str, str] = {}
    for name, value in config.items():
        fields |= _fields(value, f"{prefix}.{name}" if prefix else name)
    return fields
