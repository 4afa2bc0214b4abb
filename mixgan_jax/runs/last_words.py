"""The last line of a process that JAX ends, as it does where another process of the job is lost."""

import atexit
import os
import platform
import subprocess
import sys

import jax

# Waits for the end of the process that started it, and speaks up if that came without a word.
_WATCHER = "import sys; sys.stdin.read() or print(sys.argv[1], file=sys.stderr, flush=True)"


def leave_last_words() -> None:
    """Has a small process of its own print the line: JAX aborts, after lines of its own, and runs no Python then."""
    text = (
        f"mixgan_jax: process {os.getpid()} on {platform.node()} was killed, or ended by JAX because another one was "
        "lost (see above); checkpoints are whole, and the same command continues"
    )
    watcher = subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", _WATCHER, text],
        stdin=subprocess.PIPE,
        text=True,
        start_new_session=True,  # Ctrl-C is for this process
    )

    def end() -> None:
        try:
            jax.distributed.shutdown()  # waits for the other processes, and aborts where one is lost
        finally:
            watcher.communicate("ended by itself")

    atexit.register(end)
