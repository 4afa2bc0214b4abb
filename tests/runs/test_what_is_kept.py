"""What can fail comes before what must be kept: faults cost no training, and what was computed is on disk."""

import errno
import os
import pickle
import pkgutil
import signal
import subprocess
import sys
import warnings
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import mixgan_jax as mg
from mixgan_jax import files
from mixgan_jax.checks import check_path
from mixgan_jax.data import cache
from mixgan_jax.game.exact import EquilibriumError
from mixgan_jax.runs import interrupt
from mixgan_jax.storage import lock
from mixgan_jax.storage.layout import LayoutError

KEY = jax.random.key(0)
FEED = mg.data.feed_from_distribution(lambda key, n: jax.random.normal(key, (n, 2)), batch_size=4)
OPTIONS: dict[str, Any] = {"num_steps": 4, "log_every": 2}


class State(NamedTuple):
    """Of a solver that compiles at once: two generators that drift."""

    generators: mg.Mixture
    more: Any


def solver(more: Any = (), **info: Any) -> mg.Solver:
    def init(key):
        weights = jax.nn.log_softmax(jnp.zeros(2))
        return State(mg.Mixture({"w": jax.random.normal(key, (2, 3))}, {}, weights), more)

    def step(key, state, batch):
        w = state.generators.params["w"] + 0.1 * jax.random.normal(key, (2, 3)) + batch.mean()
        mixture = mg.Mixture({"w": w}, {}, state.generators.log_weights)
        return State(mixture, state.more), {"loss": w.sum(), **info}

    return mg.Solver(init, step)


def steps_saved(folder: Path) -> set[str]:
    return {path.name for path in (folder / "checkpoints").glob("*")}


def fails(*_: Any) -> Any:
    raise RuntimeError("out of memory")


def at_run_time(key: Any, state: Any) -> dict[str, Any]:
    """Traces, and then fails on the device, as one that needs too much memory does."""
    return {"far": jax.pure_callback(fails, jax.ShapeDtypeStruct((), jnp.float32), state.more)}


EVALUATIONS = {
    "raises": (fails, RuntimeError, "out of memory"),
    "on the host": (
        lambda key, state: {"f": float(state.generators.params["w"][0, 0])},
        jax.errors.ConcretizationTypeError,
        "traced",
    ),
    "a number alone": (lambda key, state: jnp.float32(1), TypeError, "dict of arrays by name"),
    "too many": (lambda key, state: {"x": jnp.zeros(20_000)}, ValueError, "'x'.*10000 numbers"),
    "complex": (lambda key, state: {"x": jnp.ones(3, jnp.complex64)}, TypeError, "'x'.*real"),
    "nested": (lambda key, state: {"x": {"train": 1.0}}, TypeError, "'x'.*array of real numbers"),
    "a number's name": (lambda key, state: {0: 1.0}, ValueError, "must be text"),
    "step": (lambda key, state: {"step": 1.0}, ValueError, "not 'step'"),
    "the solver's": (lambda key, state: {"loss": 1.0}, ValueError, "names of its own, got 'loss'"),
}


@pytest.mark.parametrize("fault", EVALUATIONS)
def test_an_evaluation_that_cannot_be_logged_costs_no_step(fault, tmp_path):
    evaluate, error, message = EVALUATIONS[fault]
    seen: list[int] = []
    with pytest.raises(error, match=message):
        mg.fit(
            KEY,
            solver(),
            FEED,
            folder=tmp_path,
            evaluate=evaluate,
            on_log=lambda step, _: seen.append(step),
            **OPTIONS,
        )
    assert not seen


def test_a_name_of_the_callers_is_no_verdict(tmp_path):
    measured = {"frozen_classifier_accuracy": jnp.full(2, 0.9), "frozen_fid": 12.0, "self": 1.0}
    options = {**OPTIONS, "folder": tmp_path, "on_nan": "stop"}
    # The same of a solver whose state says that nothing of it can be frozen.
    rule = solver(frozen_layers=jnp.float32(3.0))
    mg.fit(KEY, rule, FEED, evaluate=lambda key, state: measured, **options)
    last = mg.read_records(tmp_path)[-1]
    assert last.keys() == {"step", "loss", "frozen_layers", *measured}
    assert (last["frozen_fid"], last["frozen_layers"]) == (12.0, 3.0)


@pytest.mark.parametrize("late", ["evaluate", "on_log"])
def test_what_fails_after_the_last_step_costs_nothing(late, tmp_path):
    def measure(key, state):
        return {"far": state.generators.params["w"].max()}

    whole = mg.fit(KEY, solver(), FEED, evaluate=measure, folder=tmp_path / "whole", **OPTIONS)
    cut = tmp_path / "cut"
    options: dict[str, Any] = {"evaluate": at_run_time if late == "evaluate" else measure}
    if late == "on_log":
        options["on_log"] = lambda step, _: fails() if step == 4 else None
    with pytest.raises(Exception, match="out of memory"):
        mg.fit(KEY, solver(), FEED, folder=cut, **options, **OPTIONS)
    assert steps_saved(cut) == {"4"}
    again = mg.fit(KEY, solver(), FEED, evaluate=measure, folder=cut, **OPTIONS)
    assert np.array_equal(again.generators.params["w"], whole.generators.params["w"])
    logs = [(folder / "metrics.jsonl").read_bytes() for folder in (tmp_path / "whole", cut)]
    assert logs[0] == logs[1], "the evaluation is made up for"


def test_entries_that_are_lost_are_said(tmp_path):
    mg.fit(KEY, solver(), FEED, folder=tmp_path, num_steps=8, log_every=2)
    path = tmp_path / "metrics.jsonl"
    path.write_bytes(path.read_bytes().splitlines(keepends=True)[0])
    with pytest.warns(UserWarning, match="lacks what was logged between steps 2 and 8"):
        mg.fit(KEY, solver(), FEED, folder=tmp_path, num_steps=10, log_every=2)
    assert [record["step"] for record in mg.read_records(tmp_path)] == [2, 8, 10]


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"a": jnp.zeros((0, 3))}, "no arrays of size 0 to be saved, got state.more.a"),
        (
            {"a.b": jnp.ones(2), "a": {"b": jnp.ones(3)}},
            "names that differ.* got state.more.a.b twice",
        ),
    ],
)
def test_a_state_that_cannot_be_saved_is_refused_before_the_first_step(more, message, tmp_path):
    seen: list[int] = []
    options = {**OPTIONS, "on_log": lambda step, _: seen.append(step)}
    with pytest.raises(ValueError, match=message):
        mg.fit(KEY, solver(more), FEED, folder=tmp_path, **options)
    assert not seen
    mg.fit(KEY, solver(more), FEED, **options)  # and without a folder it trains
    assert seen == [2, 4]


def test_several_processes_are_told_at_once_that_they_cannot_save(tmp_path, monkeypatch):
    monkeypatch.setattr(jax, "process_count", lambda: 2)
    with pytest.raises(ValueError, match="folder must be None, where 2 processes train together"):
        mg.fit(KEY, solver(), FEED, folder=tmp_path / "run", **OPTIONS)
    assert not (tmp_path / "run").exists()


def test_paths_are_expanded_or_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert check_path("folder", "~/runs") == tmp_path / "runs"
    assert check_path("folder", "./~") == Path("~")
    for kept in ("a:b", "C:/runs", "run 1", "lr:0.1/a"):
        assert check_path("folder", kept) == Path(kept)
    for url in ("s3://bucket/run", "gs://bucket/run", "s3:", "file:///tmp", Path("s3://bucket")):
        with pytest.raises(ValueError, match="folder must be a local path"):
            mg.fit(KEY, solver(), FEED, folder=url, **OPTIONS)
    with pytest.raises(ValueError, match="folder must be a path, not empty"):
        mg.fit(KEY, solver(), FEED, folder="", **OPTIONS)
    with pytest.raises(ValueError, match="known home folder"):
        mg.load_for_sampling("~nobody-of-that-name/run")
    mg.fit(KEY, solver(), FEED, folder="~/mine", **OPTIONS)
    assert mg.load_for_sampling("~/mine").num_components == 2
    assert mg.read_records("~/mine")
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP, errno.EINVAL])
def test_a_file_system_without_locks_is_said_and_used(number, tmp_path, monkeypatch):
    def no_flock(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(lock.fcntl, "flock", no_flock)
    with pytest.warns(UserWarning, match="cannot be locked"):
        mg.fit(KEY, solver(), FEED, folder=tmp_path, **OPTIONS)
    assert steps_saved(tmp_path) == {"4"}


def test_windows_has_no_fcntl_and_fewer_signals(tmp_path):
    code = (
        "import signal, sys\n"
        "sys.modules['fcntl'] = None\n"
        "del signal.SIGHUP, signal.SIGUSR1\n"
        "import mixgan_jax.storage.lock\n"
        "with mixgan_jax.storage.lock.lock_folder(sys.argv[1]): print('held')\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert run.stdout == "held\n", run.stderr
    assert "cannot be locked" in run.stderr


@pytest.mark.parametrize("name", ["SIGHUP", "SIGUSR1"])
def test_notices_save_too_and_do_not_count_as_the_second_signal(name, tmp_path):
    number = signal.Signals[name]

    def notice(step, _):
        if step == 2:
            for received in (number, number, signal.SIGTERM):
                os.kill(os.getpid(), received)

    with pytest.raises(mg.Interrupted) as caught:
        mg.fit(KEY, solver(), FEED, folder=tmp_path, num_steps=8, log_every=2, on_log=notice)
    assert (caught.value.signal, caught.value.step) == (signal.SIGTERM, 4)
    assert steps_saved(tmp_path) == {"4"}
    inbox = interrupt.Inbox()
    inbox.receive(number, None)
    assert inbox.signal is number


@pytest.mark.parametrize("base", ["file", "s3://bucket", "nobody"])
def test_a_cache_is_no_reason_to_stop(base, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setattr(cache.tempfile, "gettempdir", lambda: str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file") if base == "file" else base)
    if base == "nobody":
        monkeypatch.delenv("XDG_CACHE_HOME")
        monkeypatch.setattr(Path, "home", fails)
    cache._temporary_folder.cache_clear()
    with pytest.warns(UserWarning, match="where it may be deleted"):
        folder = cache.cache_folder()
    assert folder.parent == tmp_path and folder.stat().st_mode & 0o077 == 0
    cache._temporary_folder.cache_clear()


ERRORS = [
    mg.NonFiniteError((mg.Frozen("generator", 0, None, 3),), "nothing is kept"),
    mg.NonFiniteError((mg.Unsound("generator_loss", 1, 11, 20),), "nothing is kept"),
    mg.Interrupted(signal.SIGINT, 3, "/x"),
    mg.FolderInUseError("in use"),
    mg.SaveError("cannot save"),
    EquilibriumError("none"),
    LayoutError("another"),
]


def own_errors() -> set[type]:
    names = [module.name for module in pkgutil.walk_packages(mg.__path__, "mixgan_jax.")]
    values = [value for name in names for value in vars(import_module(name)).values()]
    return {
        value
        for value in values
        if isinstance(value, type)
        and issubclass(value, BaseException)
        and value.__module__.startswith("mixgan_jax")
    }


def test_every_error_survives_pickle():
    """In a pool of processes one that does not hangs the caller for ever."""
    assert {type(error) for error in ERRORS} == own_errors()
    for error in ERRORS:
        copy = pickle.loads(pickle.dumps(error))
        assert type(copy) is type(error) and str(copy) == str(error)
        shown = {name: value for name, value in vars(error).items() if name[0] != "_"}
        assert shown.items() <= vars(copy).items()


def test_a_file_is_replaced_as_a_whole_and_is_on_disk_before_it_has_the_name(tmp_path, monkeypatch):
    path, synced = tmp_path / "part.json", []
    files.write_json(path, {"a": 1})
    monkeypatch.setattr(files.os, "fsync", lambda handle: synced.append(path.read_bytes()))
    files.write_json(path, {"a": 2})
    assert synced[0] == b'{\n "a": 1\n}\n', "the old content is there until the new one is synced"
    assert files.read_json(path, "") == {"a": 2}
    with pytest.raises(RuntimeError), files.replacing(path) as file:
        file.write(b"half")
        fails()
    assert files.read_json(path, "") == {"a": 2} and len(list(tmp_path.iterdir())) == 1


def test_lists_of_numbers_take_a_line_and_everything_is_read_back(tmp_path):
    path = tmp_path / "part.json"
    value = {
        "a": [1, -2.5e-300, None, True],
        "b": [[], [1.0], ["[\n 1\n]", "x"]],
        "c": [{"d": [0]}],
    }
    files.write_json(path, value)
    assert files.read_json(path, "") == value
    assert '"a": [1, -2.5e-300, null, true],\n' in path.read_text()


def test_a_damaged_config_is_named_with_what_to_do(tmp_path):
    mg.fit(KEY, solver(), FEED, folder=tmp_path, **OPTIONS)
    (tmp_path / "config.json").write_bytes(b"")
    with pytest.raises(ValueError, match=r"config.json \(0 bytes\) must hold JSON.*; delete it"):
        mg.fit(KEY, solver(), FEED, folder=tmp_path, **OPTIONS)
    (tmp_path / "config.json").unlink()
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        mg.fit(KEY, solver(), FEED, folder=tmp_path, **OPTIONS)
