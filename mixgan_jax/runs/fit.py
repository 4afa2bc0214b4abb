"""Trains a solver on a feed or a stream: a loop of scans that logs, saves and resumes."""

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Annotated, Any, TypeAlias

import jax
import numpy as np
from jax.sharding import Mesh

from mixgan_jax.checked import checked
from mixgan_jax.checks import check_kind, fail
from mixgan_jax.data.feed import Feed
from mixgan_jax.data.stream import Stream
from mixgan_jax.runs.advance import advancing
from mixgan_jax.runs.agreement import Agreement
from mixgan_jax.runs.folder import check_call, identity_of, opened, records_of
from mixgan_jax.runs.interrupt import Interrupted
from mixgan_jax.runs.log import Log, check_entry, kept
from mixgan_jax.runs.on_mesh import (
    GameMesh,
    on_mesh,
    replicated,
    spread,
    traced_for,
    with_shardings,
)
from mixgan_jax.runs.parallel import map_runs
from mixgan_jax.runs.quarantine import OnNan, Quarantine
from mixgan_jax.runs.steps import RunKey, chunk_end, evaluation_key, init_run
from mixgan_jax.runs.summaries import logged_names
from mixgan_jax.solvers.solver import Solver
from mixgan_jax.storage.checkpoint import Checkpoints, as_trees
from mixgan_jax.types import Array, Count, FilePath, Info, Key, Tree

Measures: TypeAlias = Callable[[Key, Any], Mapping[str, Array]]
"""``evaluate(key, state) -> scalars`` by name, of one run."""


def _check_config(name: str, value: Any) -> Any:
    return check_kind(name, value, Mapping)


@checked
def fit(
    key: RunKey,
    solver: Solver,
    feed: Feed | Stream,
    *,
    num_steps: Count,
    log_every: Count = 100,
    folder: FilePath | None = None,
    save_every: Count | None = None,
    config: Annotated[Mapping[str, Any], _check_config] | None = None,
    tensorboard: bool = False,
    evaluate: Measures | None = None,
    evaluate_every: Count | None = None,
    on_nan: OnNan = "stop",
    on_log: Callable[[int, Mapping[str, np.ndarray]], None] | None = None,
    mesh: GameMesh | None = None,
) -> Tree:
    """Trains. With a ``folder`` it also logs, saves, and continues where an earlier start was stopped or killed.

    Each ``log_every`` steps are one compiled scan. Its log is fetched after the next scan has been dispatched, so the
    device does not wait for the host. A continued run ends with the numbers of an uninterrupted one.

    What the log or a checkpoint would refuse is refused before the first step: ``fit`` traces ``evaluate`` there. A
    checkpoint is begun before ``evaluate`` and ``on_log`` are called for its step, and keeps the solver's entry of the
    log. If one of them fails, the next start evaluates and logs that step again.

    Several processes (:func:`distributed`) train together if all make the same call with a ``mesh``, and with a
    ``folder`` that all of them see. Process 0 alone logs and calls ``on_log``. A signal, or an error of process 0,
    stops all of them at the same step.

    With a folder, Ctrl-C, SIGTERM, SIGHUP and SIGUSR1 (SLURM's notice before a job's end) save at the end of the
    current scan and then raise ``Interrupted``. A second Ctrl-C or SIGTERM stops at once.

    A folder's log holds at most 10,000 numbers under one name. Of a larger array in the solver's info, such as
    ``values`` of 128 by 128 players, it holds ``values_mean``, ``values_min`` and ``values_max``, in a sweep of each
    run; ``on_log`` gets these too. :func:`held_out_values` measures the whole matrix of a state.

    The solver freezes a component whose update or loss is not finite (see ``mix_gan``), and ``fit`` names it with its
    step. Losses and values in a solver's info that are not finite stop the run too. ``quarantine.LOSSES`` has their
    names; the losses of ``gradient_play``, whose divergence is a result, are not among them. Checkpoints from before
    the failure are kept. Restarting the run fails at the same step unless ``on_nan="freeze"``.

    Args:
        key: one run's key ``[]``, or keys ``[S]``. S keys train S runs at once: state, info and evaluation then have a
            leading axis S. The runs are vmapped. If the keys lie on several devices (``spread_over_devices`` puts them
            there), every device trains its own runs.
        solver: the algorithm that trains.
        feed: the source of batches. On a stream every run has its own order, and the next steps' batches are read
            while the device computes. The step in a checkpoint is the stream's position too.
        num_steps: the step where the run ends. Steps up to the folder's newest checkpoint are not done again.
        log_every: steps that one entry of the log averages.
        folder: keeps this run's checkpoints and ``metrics.jsonl``. ``~`` is the home folder. None keeps nothing.
        save_every: steps between checkpoints, a multiple of ``log_every``. None saves only at the end.
        config: JSON values kept in the folder, beside the key. A folder with another config or key is refused.
        tensorboard: writes TensorBoard files too (needs ``tensorboardX``).
        evaluate: ``evaluate(key, state) -> scalars`` of one run, jitted here. Its entries join the log's, under names
            that the solver does not use.
        evaluate_every: steps between evaluations, a multiple of ``log_every``. None evaluates only at the end.
        on_nan: ``stop`` at a component whose update or loss is not finite, or ``freeze``: warn, and go on without
            updating it.
        on_log: called with the step and each log entry, for progress bars.
        mesh: from :func:`make_mesh`. Its devices share each game's components and batches, and S keys are dealt out to
            its axis ``runs``; see :func:`on_mesh`. A folder may be continued on another mesh, or on none: numbers then
            agree up to the order of sums.

    Returns:
        The state after ``num_steps``.

    Raises:
        ValueError: the folder holds another run, or one that is past ``num_steps``.
        NonFiniteError: a component's update or loss was not finite, and ``on_nan`` is ``stop``.
        Interrupted: a signal came, and the run has been saved.
        FolderInUseError: another process trains in the folder.
        SaveError: a checkpoint or the log could not be written.
        ImportError: ``tensorboard`` without ``tensorboardX``.

    Example:
        >>> import jax, tempfile
        >>> import mixgan_jax as mg
        >>> solver = mg.Solver(lambda key: 1.0, lambda key, state, batch: (0.5 * state, {"size": state}))
        >>> feed = mg.data.feed_from_distribution(mg.data.ring(), 4)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     state = mg.fit(jax.random.key(0), solver, feed, num_steps=4, log_every=2, folder=folder)
        ...     print([line["size"] for line in mg.read_records(folder)])
        [0.75, 0.1875]
    """
    _check_intervals(log_every, save_every=save_every, evaluate_every=evaluate_every)
    path = _check_folder(
        folder, mesh, save_every=save_every, config=config, tensorboard=tensorboard
    )
    identity = identity_of(key, config)
    if mesh is not None:
        options = {"num_steps": num_steps, "log_every": log_every, "save_every": save_every}
        options |= {"evaluate": evaluate is not None, "evaluate_every": evaluate_every}
        devices = [device.id for device in mesh.devices.flat]
        check_call(
            identity, mesh=mesh.shape, devices=devices, folder=path, on_nan=on_nan, **options
        )
        key, feed = spread(mesh, key, feed)
        solver = on_mesh(solver, mesh)
        evaluate = evaluate and traced_for(mesh, evaluate)
    init = jax.jit(map_runs(key, partial(init_run, solver=solver)))
    look = jax.jit(map_runs(key, evaluate)) if evaluate else None

    def due(step: int, every: int | None) -> bool:
        return step == num_steps or (every is not None and step % every == 0)

    together = Agreement(mesh)
    with opened(path, identity) as (inbox, checkpoints), ExitStack() as stack:
        before, state = _begin(init, key, checkpoints, num_steps)
        records = stack.enter_context(records_of(path, before, tensorboard))
        known, is_sweep = replicated(key, getattr(state, "frozen", {})), key.ndim > 0
        quarantine = Quarantine(on_nan, known, partial(kept, checkpoints), sweep=is_sweep)
        told = on_log if mesh is None or jax.process_index() == 0 else None
        log = Log(records, quarantine, checkpoints, told, is_sweep)
        steps = (before, num_steps, log_every)
        advancer = advancing(key, solver, feed, *steps, hold=together.holding_errors)
        advance = stack.enter_context(advancer)
        if before < num_steps:
            measures = _traced(look, key, state)
            _check_outputs(advance.info_of(state), measures, checkpoints, state, is_sweep)

        def measure(step: int, state: Tree) -> None:
            if look and due(step, evaluate_every):
                log.add(replicated(key, look(evaluation_key(key, step), state)))

        if log.restore(before):
            measure(before, state)
        while before < num_steps:
            step = chunk_end(before, log_every, num_steps)
            state, info = advance(state, before, step)
            # Processes vote first: steps after an error of one of them are not logged.
            voted = together.stop_signal(inbox.signal, wait=step == num_steps)
            with together.holding_errors():
                log.put(before, step, replicated(key, info))
            signal = inbox.signal if together.alone else voted
            saver = checkpoints if signal or due(step, save_every) else None
            if saver:
                # Save first: evaluate and on_log may fail.
                with together.holding_errors():
                    entry = log.keep()
                    if not together.alone:
                        saver.wait()  # as Orbax would, but all hear of a failure
                together.check()
                generators = getattr(state, "generators", None)
                saver.save(step, state, generators=generators, log=entry)
            measure(step, state)
            if saver:
                with together.holding_errors():
                    log.flush()
            if saver and signal:
                with together.holding_errors():
                    saver.wait()
                together.check()
                raise Interrupted(signal, step, saver.directory)
            before = step
        with together.holding_errors():
            log.flush()
        together.check()
    return state


def _check_intervals(log_every: int, **intervals: int | None) -> None:
    for name, every in intervals.items():
        if every is not None and every % log_every:
            raise ValueError(f"{name} must be a multiple of log_every = {log_every}, got {every}")


def _check_folder(folder: FilePath | None, mesh: Mesh | None, **options: object) -> Path | None:
    for name, given in options.items():
        if given and folder is None:
            raise ValueError(f"folder must be given for {name} = {given!r}, got None")
    if folder is not None and mesh is None and jax.process_count() > 1:
        expected = f"None, where {jax.process_count()} processes train together without a mesh"
        raise fail("folder", folder, expected)
    return None if folder is None else Path(folder)


def _traced(look: Any, key: Key, state: Tree) -> Info:
    """Returns shapes and dtypes of what ``evaluate`` returns, so that its errors come before the first step."""
    if look is None:
        return {}
    try:
        return look.eval_shape(key, state)
    except Exception as error:
        error.add_note(
            "evaluate must be a function that jax.jit can trace; fit tried it before the first step"
        )
        raise


def _check_outputs(
    info: Info, measures: Info, checkpoints: Checkpoints | None, state: Tree, sweep: bool
) -> None:
    """Refuses early what the log or a checkpoint would refuse after the steps."""
    stored = checkpoints is not None
    check_entry("solver.step's info", info, stored=stored, sweep=sweep)
    check_entry("what evaluate returns", measures, stored=stored)
    names = logged_names(info, sweep) if stored else list(info)
    if len(set(names)) < len(names):
        raise fail("the names in solver.step's info", sorted(names), "no summary's name")
    for name in measures:
        if name in names:
            raise ValueError(
                f"evaluate must return names of its own, got {name!r}, which the solver logs"
            )
    if checkpoints:
        as_trees(state, getattr(state, "generators", None))


def _begin(
    init: Callable[[Key], Tree], key: Key, checkpoints: Checkpoints | None, num_steps: int
) -> tuple[int, Tree]:
    """Returns the newest checkpoint's step and state, or 0 and a fresh state."""
    like = with_shardings(key, jax.eval_shape(init, key))
    restored = checkpoints.restore_latest(like) if checkpoints else None
    if restored is None:
        return 0, init(key)
    start, state = restored
    if start > num_steps:
        expected = f">= {start}, the step that the folder's checkpoint has reached"
        raise fail("num_steps", num_steps, expected)
    return start, state
