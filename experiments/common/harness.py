"""What every experiment script shares: command line, run folder, compilation cache, training of all seeds.

Nothing here knows an algorithm. A script's own files live in its run folder,
``runs/<experiment>/<preset>-<hash of the config>``: the same command finds the same folder and continues there,
another config gets another folder.
"""

import argparse
import contextlib
import dataclasses
import importlib.util
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import jax
import numpy as np
import tyro

import mixgan_jax as mg
from experiments.common.identity import fingerprint, store_config_of
from experiments.common.meshes import job_of, mesh_axes, num_devices, where, whole
from experiments.common.options import check_config
from experiments.common.pictures import picturing
from experiments.common.process import prepare_process, use_all_cores, use_caches
from experiments.common.progress import ProgressBar, Stopwatch, trace_options, tracing
from experiments.common.recipe import store_recipe
from experiments.common.setup import Setup
from mixgan_jax.checks import check_choice, check_count, check_path
from mixgan_jax.data.cache import make_folder
from mixgan_jax.files import read_json, write_json
from mixgan_jax.processes import on_first
from mixgan_jax.types import Array, Key

C = TypeVar("C")

MESH_HELP = (
    ", --mesh component=4,data=2 (devices that share each game), "
    "--distributed [ADDRESS:PORT,PROCESSES,NUMBER] (in each process of a job)."
)


class Run(NamedTuple):
    """One start of an experiment.

    Attributes:
        experiment: the script's name.
        preset: the preset's name.
        config: the preset with the command line's overrides.
        protocol: the config without fields that only say where things are; results are recorded with it.
        is_preset: whether nothing was overridden, so that the results may stand for the preset.
        folder: where checkpoints, logs and figures of this config live.
        commit: the commit of the code that runs.
        options: the options of the command line that do not change what is computed.
        seeds: the seeds of the run; a preset's begin with 0.
        stored: the protocol as the run folder keeps it, without later fields that have their defaults.
    """

    experiment: str
    preset: str
    config: Any
    protocol: Any
    is_preset: bool
    folder: Path
    commit: str
    options: argparse.Namespace
    seeds: range
    stored: Mapping[str, Any]


def start(
    experiment: str,
    doc: str,
    presets: Mapping[str, C],
    argv: list[str] | None = None,
    check: Callable[[C], None] = lambda config: None,
    unhashed: tuple[str, ...] = (),
    by_train: bool = False,
) -> Run:
    """Reads the command line ``[--preset NAME] [--runs FOLDER] [--field value ...]`` and opens the run folder.

    Three options neither choose the folder nor count as overrides: ``--on-nan stop`` (or ``freeze``), see ``fit``;
    ``--tensorboard`` writes TensorBoard files too; ``--profile`` writes a profiler's trace of every method's second
    entry of the log, to ``profile`` in its folder. ``--seed-offset N`` takes seeds N, N + 1, ... instead of 0, 1, ...:
    such a run has a folder of its own and does not stand for the preset. ``--mesh component=4,data=2`` spreads each
    game over devices; a run may go on with another mesh. ``--distributed`` joins the processes of a job, each of which
    was started with this command; it may name them, ``--distributed 10.0.0.1:1234,2,0``.

    Args:
        experiment: the script's name, as in ``python -m experiments NAME``.
        doc: the script's docstring, shown by ``--help``.
        presets: configs by name; the first is the default. All are of one frozen dataclass.
        argv: the arguments; the process's if not given.
        check: raises ValueError for a config that could not run to its end.
        unhashed: fields that say where things are, not what is computed: they neither choose the run folder nor
            count as overrides of the preset.
        by_train: whether the script trains by :func:`train`, which knows ``--mesh``; others refuse that option.

    Returns:
        A :class:`Run`. A bad argument, and a folder that cannot be written, end the process with a message and
        status 2.
    """
    prepare_process()
    own = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    own.add_argument("--preset", default=next(iter(presets)))
    own.add_argument("--runs", default="runs")
    own.add_argument("--on-nan", default="stop")
    own.add_argument("--tensorboard", action="store_true")
    own.add_argument("--profile", action="store_true")
    own.add_argument("--seed-offset", type=int, default=0)
    own.add_argument("--mesh")
    own.add_argument("--distributed", nargs="?", const="auto")
    options, rest = own.parse_known_args(argv)
    with refusing(experiment):
        preset = presets[check_choice("--preset", options.preset, presets)]
        check_choice("--on-nan", options.on_nan, ("stop", "freeze"))
        first = check_count("--seed-offset", options.seed_offset, minimum=0)
        options.mesh = None if options.mesh is None else mesh_axes(options.mesh)
        if options.mesh and not by_train:
            raise ValueError(
                f"--mesh is not for {experiment}, which deals out its seeds to devices"
            )
        job = None if options.distributed is None else job_of(options.distributed)
        if job is not None and not options.mesh:
            raise ValueError("--distributed needs --mesh, over devices of all processes")
        if options.tensorboard and importlib.util.find_spec("tensorboardX") is None:
            raise ValueError("--tensorboard needs tensorboardX: pip install tensorboardX")
    names = ", ".join(presets)
    config = tyro.cli(
        type(preset),
        args=rest,
        default=preset,
        prog=f"python -m experiments {experiment}",
        description=f"{doc}\n\nAlso: --preset NAME (one of {names}; now {options.preset}), "
        f"--runs FOLDER (now {options.runs}), --on-nan stop|freeze (at a component that becomes NaN), "
        "--tensorboard, --profile, --seed-offset N (seeds N, N + 1, ...)"
        + (MESH_HELP if by_train else "."),
        config=(tyro.conf.FlagConversionOff,),
    )
    hashed = dataclasses.replace(config, **{name: getattr(preset, name) for name in unhashed})
    # Before anything starts JAX: how seeds are dealt out to devices decides their last bits.
    use_all_cores(num_devices(options.mesh or {}))
    with refusing(experiment):
        if job is not None:
            mg.distributed(*job)
        check_config(config)
        check(config)
        runs = check_path("--runs", options.runs)
        name = f"{options.preset}-{fingerprint(hashed)}"
        folder = runs / experiment / (f"{name}-from-seed-{first}" if first else name)
        make_folder("--runs", folder)
        use_caches()
        stored = on_first(lambda: store_config_of(folder, hashed))
    is_preset, seeds = hashed == preset and first == 0, range(first, first + config.seeds)
    preset_name, code = options.preset, commit()
    return Run(
        experiment, preset_name, config, hashed, is_preset, folder, code, options, seeds, stored
    )


def is_paper_protocol(run: Run) -> bool:
    """Whether a run should reproduce a paper's numbers: its preset is named for the paper, with no overrides."""
    return run.is_preset and run.preset.startswith("paper")


@contextlib.contextmanager
def refusing(experiment: str) -> Iterator[None]:
    """Ends the process on a TypeError or ValueError inside, with its message and status 2, without a traceback."""
    try:
        yield
    except (TypeError, ValueError) as error:
        print(f"{experiment}: {error}", file=sys.stderr)
        raise SystemExit(2) from None


def commit() -> str:
    """Returns the checked-out commit, followed by ``+`` if tracked files differ; ``unknown`` outside a checkout."""
    here = Path(__file__).parent

    def git(*arguments: str) -> str:
        # Without optional locks git only reads; otherwise it would refresh its index.
        command = ["git", "--no-optional-locks", "-C", str(here), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    try:
        changed = git("status", "--porcelain", "--untracked-files=no")
        return git("rev-parse", "HEAD") + ("+" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def seed(tree: Any, index: int) -> Any:
    """Picks one run of a sweep: entry ``index`` of the leading axis of every leaf."""
    return jax.tree.map(lambda leaf: leaf[index], tree)


def train(
    run: Run,
    name: str,
    setup: Setup,
    bar: ProgressBar,
    evaluate: Callable[[Key, Any], Mapping[str, Array]] | None = None,
) -> tuple[Any, float]:
    """Trains all seeds of a method at once in its own folder, or goes on where an earlier start ended.

    Args:
        run: the run, whose config has ``seeds``, ``steps`` and ``log_every``.
        name: the method's name.
        setup: players, solver and data.
        bar: shows the progress.
        evaluate: measures one run; its results are logged about ten times.

    Returns:
        The state, leaves ``[S, ...]``, whole in each process, and the seconds that training took.
    """
    config = run.config
    folder = method_folder(run, name)
    stopwatch = Stopwatch(folder)
    store_recipe(folder, name, setup, run.seeds)
    tenth = config.log_every * max(1, config.steps // config.log_every // 10)
    show = bar.method(name, config.steps, stopwatch)
    show = picturing(folder, name, setup, tenth, show)
    with refusing(run.experiment):
        keys, mesh = where(run.options, seed_keys(run.seeds), setup.solver)
    with tracing(folder / "profile" if run.options.profile else None, show) as on_log:
        state = mg.fit(
            keys,
            setup.solver,
            setup.feed,
            num_steps=config.steps,
            log_every=config.log_every,
            save_every=tenth,
            evaluate=evaluate,
            evaluate_every=tenth,
            folder=folder,
            config=run.stored,
            tensorboard=run.options.tensorboard,
            on_nan=run.options.on_nan,
            on_log=on_log,
            mesh=mesh,
        )
    return whole(state), stopwatch.seconds


def evaluate_seeds(
    run: Run, evaluate: Callable[[Key, Any], Mapping[str, Array]], state: Any
) -> dict[str, np.ndarray]:
    """Measures every run after the last step, with keys that training has not used; arrays ``[S]``."""
    keys = mg.evaluation_key(seed_keys(run.seeds), run.config.steps)
    return jax.device_get(jax.jit(jax.vmap(evaluate))(keys, state))


def once(run: Run, name: str, compute: Callable[[], Mapping[str, Any]]) -> dict[str, Any]:
    """Computes a part of the results without ``fit``, once: a later start in the same run folder reads it.

    Args:
        run: the run; with ``--profile`` the part's profiler trace is written, to ``profile`` in its folder.
        name: the part's name, unique in a run.
        compute: returns numbers, strings and arrays (which become lists) by name; called if no start has finished it.

    Returns:
        What ``compute`` returned, as JSON keeps it, and ``seconds``, the time that it took.
    """
    folder = method_folder(run, name)
    path = folder / "part.json"
    if not on_first(path.exists):
        make_folder(name, folder)
        trace = contextlib.nullcontext()
        if run.options.profile:
            trace = jax.profiler.trace(folder / "profile", profiler_options=trace_options())
        with trace:
            started = time.perf_counter()
            values = jax.tree.map(_as_json, jax.device_get(dict(compute())))
            seconds = round(time.perf_counter() - started, 3)
        on_first(lambda: write_json(path, {**values, "seconds": seconds}))
        if jax.process_index() == 0 and not sys.stdout.isatty():
            print(f"{name}: {seconds:.0f} s")
    return on_first(lambda: read_json(path, "delete it, and it is computed again"))


def _as_json(leaf: Any) -> Any:
    return leaf.tolist() if isinstance(leaf, np.ndarray | np.generic) else leaf


def method_folder(run: Run, name: str) -> Path:
    """Returns the folder of a method's checkpoints, log and times."""
    return run.folder / name.replace(" ", "_").replace(",", "")


def step_milliseconds(run: Run, name: str) -> float:
    """Returns the median milliseconds a step, all seeds together, between entries of the log; NaN if none is left."""
    return 1000.0 * Stopwatch(method_folder(run, name)).step_seconds


def seed_keys(seeds: Sequence[int]) -> Key:
    """Returns the keys of a run's seeds, ``[S]``."""
    return jax.vmap(jax.random.key)(np.asarray(seeds))
