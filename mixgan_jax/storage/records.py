"""The readable files of a run: its config, and a log that survives a kill and a restart."""

import contextlib
import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Self

import jax
import jax.numpy as jnp
import numpy as np
from annotated_types import Ge

from mixgan_jax.checked import checked
from mixgan_jax.checks import fail, to_host
from mixgan_jax.files import read_json, replacing
from mixgan_jax.types import FilePath, Whole

FILE_NAME = "metrics.jsonl"
CONFIG_NAME = "config.json"

MAX_VALUES = 10_000
"""The most numbers one value may hold; larger arrays belong in a checkpoint or an ``.npz`` file."""

# JSON has no such numbers. As text they stay apart from one another, and the file stays valid JSON.
_NON_FINITE = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


class Records:
    """A log in the file ``metrics.jsonl`` of a run's directory: each :meth:`write` appends one line at once.

    Each line is a JSON object ``{"step": ..., name: value, ...}``. Numbers read back exactly. JSON lacks NaN and the
    infinities: they are written as the strings ``"NaN"``, ``"Infinity"`` and ``"-Infinity"``, and :func:`read_records`
    turns them into numbers again. A line counts once its newline is written. The next opening drops what a killed
    process left after the last newline.

    A run resumed from a checkpoint at step ``s`` passes ``resume_step=s``. Lines of later steps are then dropped, since
    the resumed run writes them again: its log equals that of an uninterrupted run. The file is replaced atomically.
    Where several processes train together, only one may write.

    Args:
        run_directory: created where it does not exist.
        resume_step: the last step whose lines are kept: >= 0, or -1 for a run that starts anew. None keeps every
            complete line.
        tensorboard: writes TensorBoard event files to the same directory too (needs ``tensorboardX``).

    Attributes:
        path: the file.
        last_step: the step of the last line that was there at the opening; None where there was none.

    Raises:
        ValueError: a corrupt line in the file.
        ImportError: ``tensorboard`` without ``tensorboardX``.
    """

    @checked
    def __init__(
        self,
        run_directory: FilePath,
        *,
        resume_step: Annotated[int, Ge(-1)] | None = None,
        tensorboard: bool = False,
    ) -> None:
        """Opens the log; see the class."""
        directory = Path(run_directory)
        directory.mkdir(parents=True, exist_ok=True)
        self.path = directory / FILE_NAME
        self._board = _summary_writer(directory, resume_step) if tensorboard else None
        self.last_step = _repair(self.path, resume_step)
        # Unbuffered, so that bytes which a full disk refused are not tried again later.
        self._file = self.path.open("ab", buffering=0)

    @checked
    def write(self, /, step: Whole, **values: Any) -> None:
        """Appends one line.

        A name that is no Python identifier is passed as ``write(step, **{"loss/generator": value})``.

        Args:
            step: a whole number >= 0; the caller keeps it from falling.
            **values: numbers, booleans, or NumPy or JAX arrays of any rank with at most ``MAX_VALUES`` entries;
                nested lists of numbers pass as arrays.

        Raises:
            ValueError: the log is closed, or a value is unfit; the message names it.
            OSError: the line could not be written, as on a full disk; the file is as it was before.
        """
        if self._file.closed:
            raise ValueError(f"write must be called before close: {self.path} is closed")
        arrays = {name: _as_numbers(name, value) for name, value in values.items()}
        line = {"step": step} | {name: _to_json(a.tolist()) for name, a in arrays.items()}
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
        """Returns once all lines are safe from a power cut."""
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """Closes the file. A second call does nothing."""
        self._file.close()
        if self._board is not None:
            self._board.close()
            self._board = None

    def __enter__(self) -> Self:
        """Returns the log itself."""
        return self

    def __exit__(self, *exception: object) -> None:
        """Closes the file."""
        self.close()


@checked
def read_records(path: FilePath) -> list[dict[str, Any]]:
    """Reads the lines of a log, in the order written.

    Args:
        path: the file, or the run's directory that holds it.

    Returns:
        One dict per complete line: ``"step"`` is an int, other values are numbers, booleans or nested lists of them,
        with NaN and the infinities as floats. An incomplete last line is left out.

    Raises:
        FileNotFoundError: no such file.
        ValueError: a complete line that is no JSON object with a step; the message has its number.

    Example:
        >>> import tempfile
        >>> import mixgan_jax as mg
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with mg.Records(folder) as records:
        ...         records.write(100, loss=0.5, weights=[0.25, 0.75])
        ...     mg.read_records(folder)
        [{'step': 100, 'loss': 0.5, 'weights': [0.25, 0.75]}]
    """
    path = Path(path)
    if path.is_dir():
        path = path / FILE_NAME
    return [_from_json(_parse(path, number, line)) for number, line in _complete_lines(path)]


def store_config(run_directory: str | os.PathLike[str], config: Mapping[str, Any]) -> None:
    """Writes ``config.json`` at a run's first start; at later starts, insists on the same config.

    Args:
        run_directory: an existing directory.
        config: a (nested) dict of JSON values; NumPy scalars pass as numbers, tuples as lists.

    Raises:
        ValueError: the stored config differs; the message has the fields with both values.
    """
    path = Path(run_directory) / CONFIG_NAME
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
    """Returns one line for each name under which two tables differ."""
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
    """Drops an incomplete last line, and the lines after ``resume_step``; returns the last step that is left."""
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
    """Turns arrays of numbers by name into JSON values that read back exactly."""
    return {name: _to_json(_as_numbers(name, value).tolist()) for name, value in entry.items()}


def entry_from_json(values: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Turns the values back into arrays; floating-point ones have double precision."""
    return {name: np.asarray(_from_json(value)) for name, value in values.items()}


def _as_numbers(name: str, value: object) -> np.ndarray:
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


def _to_json(value: object) -> Any:
    if isinstance(value, list):
        return [_to_json(entry) for entry in value]
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value


def _from_json(value: object) -> Any:
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


def _plain_number(value: object) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{type(value).__name__} is no JSON value")


def _fields(config: object, prefix: str = "") -> dict[str, str]:
    """Returns the dotted names of a nested config's fields, each with its value as JSON."""
    if not isinstance(config, dict) or (not config and prefix):
        return {prefix: json.dumps(config)}
    fields: dict[str, str] = {}
    for name, value in config.items():
        fields |= _fields(value, f"{prefix}.{name}" if prefix else name)
    return fields
