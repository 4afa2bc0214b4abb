"""Training: a solver and a feed or a stream, as a loop of scans that logs, saves and resumes."""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import jax
import numpy as np

from mixgan_jax.checks import (
    check_choice,
    check_count,
    check_flag,
    check_function,
    check_key,
    check_kind,
    check_path,
    fail,
)
from mixgan_jax.data.feed import Feed
from mixgan_jax.data.stream import Stream
from mixgan_jax.runs.advance import advancing
from mixgan_jax.runs.interrupt import Inbox, Interrupted, deferred_signals
from mixgan_jax.runs.log import Log, check_entry, kept
from mixgan_jax.runs.parallel import map_runs
from mixgan_jax.runs.quarantine import OnNan, Quarantine
from mixgan_jax.runs.steps import chunk_end, evaluation_key, init_run
from mixgan_jax.solvers.solver import Solver
from mixgan_jax.storage.checkpoint import Checkpoints, as_trees
from mixgan_jax.storage.lock import lock_folder
from mixgan_jax.storage.records import Records
from mixgan_jax.types import Array, Key


def fit(
    key: Key,
    solver: Solver,
    feed: Feed | Stream,
    *,
    num_steps: int,
    log_every: int = 100,
    folder: str | os.PathLike[str] | None = None,
    save_every: int | None = None,
    config: Mapping[str, Any] | None = None,
    tensorboard: bool = False,
    evaluate: Callable[[Key, Any], Mapping[str, Array]] | None = None,
    evaluate_every: int | None = None,
    on_nan: OnNan = "stop",
    on_log: Callable[[int, Mapping[str, np.ndarray]], None] | None = None,
) -> Any:
    """Trains; with a ``folder`` it also logs and saves, and continues where an earlier start was stopped or killed.

    Each ``log_every`` steps are one compiled scan. Its log is fetched after the next one has been dispatched, so
    the device does not wait for the host. A continued run ends with the numbers of an uninterrupted one.

    What the log or a checkpoint would refuse is refused before the first step: ``evaluate`` is traced there. A
    checkpoint is begun before ``evaluate`` and ``on_log`` are called for its step, and keeps the solver's entry of the
    log: if one of them fails, the next start evaluates and logs that step again.

    With a folder, Ctrl-C, SIGTERM, SIGHUP and SIGUSR1 (SLURM's notice before a job's end) save at the end of the
    current scan and then raise ``Interrupted``; a second Ctrl-C or SIGTERM stops at once. A component whose update, or
    the loss that it descends, is not finite is frozen by the solver (see ``mix_gan``) and named with its step; losses
    and values in a solver's info that are not finite stop the run too (``quarantine.LOSSES`` has their names; losses
    of ``gradient_play``, whose divergence is a result, are not among them). Checkpoints from before the failure are
    kept. Restarting the run fails at the same step unless ``on_nan="freeze"``.

    Args:
        key: one run's key ``[]``, or keys ``[S]``: then S runs are trained at once, and state, info and evaluation
            have a leading axis S. The runs are vmapped; keys that lie on several devices (see
            ``parallel.spread_over_devices``) are vmapped on each, so that every device trains its own runs.
        solver: what trains.
        feed: where batches come from. Of a stream, every run has its own order, and the next steps' batches are read
            while the device computes; the step that a checkpoint holds is the stream's position too.
        num_steps: where the run ends; steps that the folder's newest checkpoint holds are not done again.
        log_every: steps that one entry of the log averages.
        folder: of this run, for checkpoints and ``metrics.jsonl``; ``~`` is the home folder; None keeps nothing.
        save_every: steps between checkpoints, a multiple of ``log_every``; None for only at the end.
        config: JSON values kept in the folder, beside the key; a folder with another config or key is refused.
        tensorboard: whether to write TensorBoard files too (needs ``tensorboardX``).
        evaluate: ``evaluate(key, state) -> scalars`` of one run, jitted here; its entries join the log's, under names
            that the solver does not use.
        evaluate_every: steps between evaluations, a multiple of ``log_every``; None for only at the end.
        on_nan: ``stop`` at a component whose update or loss is not finite, or ``freeze``: warn, and go on without
            updating it.
        on_log: called with the step and each log entry, for progress bars.

    Returns:
        The state after ``num_steps``.

    Raises:
        TypeError, ValueError: a key that is not a typed one, or keys of a sweep that ``vmap`` does not keep apart
            (``rbg``); an interval that is not a multiple of ``log_every``; a folder of another run, or of one that is
            past ``num_steps``; what needs a folder without one; a folder that is no local path, or that several
            processes would share; what cannot be logged or saved.
        NonFiniteError: a component's update or loss was not finite, and ``on_nan`` is ``stop``.
        Interrupted: a signal came, and the run has been saved.
        FolderInUseError: another process trains in the folder.
        SaveError: a checkpoint or the log could not be written.
    """
    check_key("key", key, sweep=True)
    check_kind("solver", solver, Solver)
    check_kind("feed", feed, Feed, Stream)
    check_flag("tensorboard", tensorboard)
    check_choice("on_nan", on_nan, ("stop", "freeze"))
    _check_optional(config=config, evaluate=evaluate, on_log=on_log)
    _check_steps(num_steps, log_every, save_every=save_every, evaluate_every=evaluate_every)
    path = _check_folder(folder, save_every=save_every, config=config, tensorboard=tensorboard)
    init = jax.jit(map_runs(key, partial(init_run, solver=solver)))
    look = jax.jit(map_runs(key, evaluate)) if evaluate else None

    def due(step: int, every: int | None) -> bool:
        return step == num_steps or (every is not None and step % every == 0)

    with _opened(path, key, config) as (inbox, checkpoints), ExitStack() as stack:
        before, state = _begin(init, key, checkpoints, num_steps)
        records = stack.enter_context(_records(path, before, tensorboard))
        known, is_sweep = getattr(state, "frozen", {}), key.ndim > 0
        quarantine = Quarantine(on_nan, known, partial(kept, checkpoints), sweep=is_sweep)
        log = Log(records, quarantine, checkpoints, on_log)
        advance = stack.enter_context(advancing(key, solver, feed, before, num_steps, log_every))
        if before < num_steps:
            _check_outputs(advance.info_of(state), _traced(look, key, state), checkpoints, state)

        def measure(step: int, state: Any) -> None:
            if look and due(step, evaluate_every):
                log.add(look(evaluation_key(key, step), state))

        if log.restore(before):
            measure(before, state)
        while before < num_steps:
            step = chunk_end(before, log_every, num_steps)
            state, info = advance(state, before, step)
            log.put(before, step, info)
            signal = inbox.signal
            saver = checkpoints if signal or due(step, save_every) else None
            if saver:
                # What is computed is kept before anything of the caller's can fail.
                generators = getattr(state, "generators", None)
                saver.save(step, state, generators=generators, log=log.keep())
            measure(step, state)
            if saver:
                log.flush()
            if saver and signal:
                saver.wait()
                raise Interrupted(signal, step, saver.directory)
            before = step
        log.flush()
    return state


def _check_optional(config: Any, **functions: Any) -> None:
    if config is not None:
        check_kind("config", config, Mapping)
    for name, function in functions.items():
        if function is not None:
            check_function(name, function)


def _check_steps(num_steps: int, log_every: int, **intervals: int | None) -> None:
    check_count("num_steps", num_steps)
    check_count("log_every", log_every)
    for name, every in intervals.items():
        if every is not None and check_count(name, every) % log_every:
            raise ValueError(f"{name} must be a multiple of log_every = {log_every}, got {every}")


def _check_folder(folder: Any, **options: Any) -> Path | None:
    for name, given in options.items():
        if given and folder is None:
            raise ValueError(f"folder must be given for {name} = {given!r}, got None")
    if folder is not None and jax.process_count() > 1:
        expected = f"None, where {jax.process_count()} processes train together: none of them saves"
        raise fail("folder", folder, expected)
    return None if folder is None else check_path("folder", folder)


def _traced(look: Any, key: Key, state: Any) -> Any:
    """Shapes and dtypes of what ``evaluate`` returns; its errors come before the first step."""
    if look is None:
        return {}
    try:
        return look.eval_shape(key, state)
    except Exception as error:
        error.add_note(
            "evaluate must be a function that jax.jit can trace; fit tried it before the first step"
        )
        raise


def _check_outputs(info: Any, measures: Any, checkpoints: Checkpoints | None, state: Any) -> None:
    """Refuses what the log or a checkpoint would refuse after the steps are done."""
    stored = checkpoints is not None
    check_entry("solver.step's info", info, stored=stored)
    check_entry("what evaluate returns", measures, stored=stored)
    for name in measures:
        if name in info:
            raise ValueError(
                f"evaluate must return names of its own, got {name!r}, which the solver logs"
            )
    if checkpoints:
        as_trees(state, getattr(state, "generators", None))


@contextmanager
def _opened(
    folder: Path | None, key: Key, config: Mapping[str, Any] | None
) -> Iterator[tuple[Inbox, Checkpoints | None]]:
    """A folder held for this run: signals wait in the inbox. Without a folder signals are as ever."""
    if folder is None:
        yield Inbox(), None
        return
    identity = {"key": jax.random.key_data(key).tolist(), "config": dict(config or {})}
    implementation = str(jax.random.key_impl(key))
    if implementation != "threefry2x32":  # folders are older than this entry
        identity["key_impl"] = implementation
    with (
        deferred_signals() as inbox,
        lock_folder(folder),
        Checkpoints(folder, identity) as checkpoints,
    ):
        yield inbox, checkpoints


def _records(
    folder: Path | None, start: int, tensorboard: bool
) -> AbstractContextManager[Records | None]:
    """The log of a run that begins at step ``start``."""
    if folder is None:
        return nullcontext()
    return Records(folder, resume_step=start or -1, tensorboard=tensorboard)


def _begin(
    init: Callable[[Key], Any], key: Key, checkpoints: Checkpoints | None, num_steps: int
) -> tuple[int, Any]:
    """The newest checkpoint's step and state, or 0 and a fresh state."""
    restored = checkpoints.restore_latest(jax.eval_shape(init, key)) if checkpoints else None
    if restored is None:
        return 0, init(key)
    start, state = restored
    if start > num_steps:
        expected = f">= {start}, the step that the folder's checkpoint has reached"
        raise fail("num_steps", num_steps, expected)
    return start, jax.device_put(state, key.sharding) if key.ndim else state
