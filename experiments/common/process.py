"""Prepares a process for experiments: its devices, its caches, its output."""

import contextlib
import io
import os
import sys

import jax

from mixgan_jax.data.cache import cache_folder


def prepare_process() -> None:
    """Sends figures to files, whatever Jupyter has set; shows a character that the terminal lacks as ``?``."""
    os.environ["MPLBACKEND"] = "agg"
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def use_caches() -> None:
    """Keeps compiled programs and Matplotlib's list of fonts, so that an experiment's second start compiles nothing."""
    os.environ.setdefault("MPLCONFIGDIR", str(cache_folder() / "matplotlib"))
    if jax.config.jax_compilation_cache_dir is None:
        jax.config.update("jax_compilation_cache_dir", str(cache_folder() / "xla"))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)


def use_all_cores(at_least: int = 1) -> None:
    """Makes each core a CPU device, so that runs of small networks can be spread over them; a mesh may want more."""
    if at_least > 1:
        # XLA's threads for all devices: with one for each, devices that wait for each other can take them all.
        os.environ.setdefault("NPROC", str(4 * at_least))
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    with contextlib.suppress(RuntimeError):  # JAX has started already, as in the tests
        jax.config.update("jax_num_cpu_devices", max(cores or 1, at_least))
