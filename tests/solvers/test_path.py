"""How far it is from ``run_steps`` to the update of parameters: files, frames and functions of one step of mix_gan."""

import functools
import sys
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import jax
import jax.numpy as jnp
from helpers import feed, solver

import mixgan_jax as mg
from mixgan_jax.runs.steps import run_steps

ROOT = Path(mg.__file__).parent
CHECKS = {ROOT / f"{name}.py" for name in ("arrays", "checks", "checked", "messages")}
# What a caller hands in: a loss of the room of losses, and a rule for weights.
HANDED_IN = {ROOT / "losses" / "classic.py", ROOT / "optim" / "exponentiated.py"}


@functools.cache
def is_ours(file: str) -> bool:
    """Whether a file is the package's, and no check."""
    path = Path(file)
    return ROOT in path.parents and path not in CHECKS


def path_of_a_step() -> tuple[set[CodeType], list[CodeType]]:
    """The package's functions that one step is traced through, without checks, and the deepest stack of them.

    Comprehensions are frames of their own on some versions of Python only, so they do not count.
    """
    rule, batches = solver(), feed()
    state = rule.init(jax.random.key(0))
    called: set[CodeType] = set()
    stack: list[CodeType] = []
    deepest: list[CodeType] = []

    def watch(frame: FrameType, event: str, _: Any) -> None:
        code = frame.f_code
        comprehension = code.co_name.startswith("<") and code.co_name != "<lambda>"
        if comprehension or not is_ours(code.co_filename):
            return
        if event == "call":
            called.add(code)
            stack.append(code)
            if len(stack) > len(deepest):
                deepest[:] = stack
        elif event == "return":
            stack.pop()

    def step(state: Any) -> Any:
        return run_steps(jax.random.key(0), rule, batches, (), state, jnp.int32(0), 1)

    sys.setprofile(watch)
    try:
        jax.eval_shape(step, state)
    finally:
        sys.setprofile(None)
    return called, deepest


def test_the_path_of_a_step_is_short() -> None:
    """Before there was one room for it: 17 files, 22 frames. Meshes added a file. A longer one needs a reason too."""
    called, deepest = path_of_a_step()
    files = {Path(code.co_filename) for code in called}
    names = [f"{Path(code.co_filename).relative_to(ROOT)}: {code.co_name}" for code in deepest]
    assert names[0] == "runs/steps.py: run_steps"
    assert len(deepest) <= 16, names
    assert len(files - HANDED_IN) <= 13, sorted(files - HANDED_IN)
    assert len(called) <= 95, len(called)


if __name__ == "__main__":  # PYTHONPATH=tests python tests/solvers/test_path.py
    called, deepest = path_of_a_step()
    files = {code.co_filename for code in called}
    print(f"{len(files)} files, {len(deepest)} frames, {len(called)} functions")
    for code in deepest:
        print(Path(code.co_filename).relative_to(ROOT), code.co_qualname)
