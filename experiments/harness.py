"""What every experiment script shares: command line, run folder, compilation cache, progress, stopwatch.

Nothing here knows an algorithm. A script's own files live in its run folder,
``runs/<experiment>/<preset>-<hash of the config>``: the same command finds the same folder and continues there,
another config gets another folder.
"""

import argparse
import contextlib
import dataclasses
import hashlib
import itertools
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import jax
import numpy as np
import rich
import tyro
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

import mixgan_jax as mg
from mixgan_jax.checks import check_choice
from mixgan_jax.data.cache import cache_folder
from mixgan_jax.types import Array, Key

C = TypeVar("C")


class Run(NamedTuple):
    """One start of an experiment.

    Attributes:
        experiment: the script's name.
        preset: the preset's name.
        config: the preset with the command line's overrides.
        protocol: the same without what only says where things are: it is what results are recorded with.
        is_preset: whether nothing was overridden, so that the results may stand for the preset.
        folder: where checkpoints, logs and figures of this config live.
        commit: of the code that runs.
    """

    experiment: str
    preset: str
    config: Any
    protocol: Any
    is_preset: bool
    folder: Path
    commit: str


class Setup(NamedTuple):
    """What a method trains with.

    Attributes:
        generator: the generators' architecture.
        discriminator: the discriminators'.
        solver: trains them.
        feed: gives it batches, or a stream does.
    """

    generator: mg.Player
    discriminator: mg.Player
    solver: mg.Solver
    feed: mg.Feed | mg.Stream


def start(
    experiment: str,
    doc: str,
    presets: Mapping[str, C],
    argv: list[str] | None = None,
    check: Callable[[C], None] = lambda config: None,
    unhashed: tuple[str, ...] = (),
) -> Run:
    """Reads the command line ``[--preset NAME] [--runs FOLDER] [--field value ...]`` and opens the run folder.

    Args:
        experiment: the script's name, as in ``python -m experiments.<name>``.
        doc: the script's docstring, shown by ``--help``.
        presets: configs by name; the first is the default. All are of one frozen dataclass.
        argv: the arguments; those of the process if not given.
        check: raises ValueError for a config that could not run to its end.
        unhashed: fields that say where things are, not what is computed: they neither choose the run folder nor
            count as overrides of the preset.

    Returns:
        A :class:`Run`. A bad argument ends the process with a message and status 2.
    """
    own = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    own.add_argument("--preset", default=next(iter(presets)))
    own.add_argument("--runs", default="runs")
    options, rest = own.parse_known_args(argv)
    with _refusing(experiment):
        preset = presets[check_choice("--preset", options.preset, presets)]
    names = ", ".join(presets)
    config = tyro.cli(
        type(preset),
        args=rest,
        default=preset,
        prog=f"python -m experiments.{experiment}",
        description=f"{doc}\n\nAlso: --preset NAME (one of {names}; now {options.preset}), "
        f"--runs FOLDER (now {options.runs}).",
        config=(tyro.conf.FlagConversionOff,),
    )
    with _refusing(experiment):
        check(config)
    use_compilation_cache()
    use_all_cores()
    hashed = dataclasses.replace(config, **{name: getattr(preset, name) for name in unhashed})
    folder = Path(options.runs) / experiment / f"{options.preset}-{fingerprint(hashed)}"
    folder.mkdir(parents=True, exist_ok=True)
    return Run(experiment, options.preset, config, hashed, hashed == preset, folder, commit())


@contextlib.contextmanager
def _refusing(experiment: str) -> Iterator[None]:
    """A ValueError inside ends the process with its message and status 2, not with a traceback."""
    try:
        yield
    except ValueError as error:
        print(f"{experiment}: {error}", file=sys.stderr)
        raise SystemExit(2) from None


def commit() -> str:
    """The checked-out commit, with ``+`` behind it where tracked files differ; ``unknown`` outside a checkout."""
    here = Path(__file__).parent

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(here), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    try:
        changed = git("status", "--porcelain", "--untracked-files=no")
        return git("rev-parse", "HEAD") + ("+" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def check_components(components: tuple[int, ...], reach: int = 1) -> None:
    """Numbers of components, rising from 1 or more to at least ``reach``."""
    rising = all(a < b for a, b in itertools.pairwise((0, *components)))
    if not rising or max(components, default=0) < reach:
        raise ValueError(f"--components must be >= 1, rise, and reach {reach}, got {components}")


def fingerprint(config: Any) -> str:
    """Eight hexadecimal digits that tell configs apart."""
    text = json.dumps(dataclasses.asdict(config), sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def use_compilation_cache() -> None:
    """Keeps compiled programs between starts: the second start of an experiment compiles nothing."""
    if jax.config.jax_compilation_cache_dir is None:
        jax.config.update("jax_compilation_cache_dir", str(cache_folder() / "xla"))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)


def use_all_cores() -> None:
    """One CPU device for each core, so that runs of small networks can be spread over them."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    with contextlib.suppress(RuntimeError):  # JAX has started already, as in the tests
        jax.config.update("jax_num_cpu_devices", cores)


class Stopwatch:
    """Seconds that a method has trained, over all starts: the sum is kept in a file of its folder."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / "seconds"
        self.seconds = float(self._path.read_text()) if self._path.exists() else 0.0
        self._last = time.perf_counter()

    def lap(self) -> None:
        """Adds the time since the last lap, and writes the sum down."""
        now = time.perf_counter()
        self.seconds, self._last = round(self.seconds + now - self._last, 3), now
        part = self._path.with_suffix(".part")
        part.write_text(str(self.seconds))
        part.replace(self._path)


def seed(tree: Any, index: int) -> Any:
    """One run of a sweep: entry ``index`` of the leading axis of every leaf."""
    return jax.tree.map(lambda leaf: leaf[index], tree)


class ProgressBar:
    """One bar for each method on a terminal; one line for each method where there is none.

    Use as a context manager; :meth:`method` starts the next bar and gives ``fit`` its ``on_log``.
    """

    def __init__(self) -> None:
        self._progress = Progress(
            TextColumn("{task.description:<28}"),
            BarColumn(),
            TextColumn("{task.completed:>7.0f}/{task.total:.0f} steps"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}"),
            disable=not sys.stdout.isatty(),
        )

    def __enter__(self) -> "ProgressBar":
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def method(self, name: str, num_steps: int, stopwatch: Stopwatch) -> Any:
        """``on_log`` for a method's training."""
        task = self._progress.add_task(name, total=num_steps, note="compiling")
        started = time.perf_counter()

        def on_log(step: int, info: Mapping[str, np.ndarray]) -> None:
            stopwatch.lap()
            note = f"value {float(np.mean(info['value'])):+.3f}"
            self._progress.update(task, completed=step, note=note)
            if step == num_steps and not sys.stdout.isatty():
                rich.print(f"{name}: {num_steps} steps, {time.perf_counter() - started:.0f} s")

        return on_log


def train(
    run: Run,
    name: str,
    setup: Setup,
    bar: ProgressBar,
    evaluate: Callable[[Key, Any], Mapping[str, Array]] | None = None,
) -> tuple[Any, float]:
    """Trains all seeds of a method at once in its own folder, or goes on where an earlier start ended.

    Args:
        run: its config has ``seeds``, ``steps`` and ``log_every``.
        name: of the method.
        setup: what it trains with.
        bar: shows the progress.
        evaluate: of one run; logged ten times or so.

    Returns:
        The state, leaves ``[S, ...]``, and the seconds that training took.
    """
    config = run.config
    folder = run.folder / name.replace(" ", "_").replace(",", "")
    stopwatch = Stopwatch(folder)
    tenth = config.log_every * max(1, config.steps // config.log_every // 10)
    state = mg.fit(
        mg.spread_over_devices(seed_keys(config.seeds)),
        setup.solver,
        setup.feed,
        num_steps=config.steps,
        log_every=config.log_every,
        save_every=tenth,
        evaluate=evaluate,
        evaluate_every=tenth,
        folder=folder,
        config=dataclasses.asdict(run.protocol),
        on_log=bar.method(name, config.steps, stopwatch),
    )
    return state, stopwatch.seconds


def seed_keys(seeds: int) -> Key:
    """The keys of seeds 0, 1, ..., ``[seeds]``."""
    return jax.vmap(jax.random.key)(np.arange(seeds))
