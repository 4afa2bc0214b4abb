"""A process that JAX aborts leaves one last line; one that ends by itself, in whatever way, leaves none."""

import subprocess
import sys

import pytest
from helpers import first_quick

PROGRAM = (
    "import os, sys; from mixgan_jax.runs.last_words import leave_last_words; leave_last_words(); "
)


@pytest.mark.parametrize(
    ("end", "status", "speaks"),
    first_quick(
        [
            ("os.abort()", -6, True),
            ("1 / 0", 1, False),
            ("os.kill(os.getpid(), 9)", -9, True),
            ("sys.exit(3)", 3, False),
        ],
        quick=2,
    ),
)
def test_only_a_process_that_was_ended_leaves_a_line(end, status, speaks):
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM + end], capture_output=True, text=True, check=False
    )
    assert done.returncode == status, done.stderr
    last = "the same command continues\n"
    assert done.stderr.endswith(last) if speaks else last not in done.stderr
