"""The form of every training algorithm of this package."""

from collections.abc import Callable
from typing import Any, NamedTuple

from mixgan_jax.types import Batch, Info, Key


class Solver(NamedTuple):
    """A training algorithm as two pure functions; players, losses and optimisers are closed over.

    Attributes:
        init: ``init(key) -> state``.
        step: ``step(key, state, batch) -> (state, info)``. The next step needs ``state``; ``info`` is for people to
            read. A solver that freezes components that fail reports them as ``quarantine.py`` describes. The caller
            passes ``fold_in(run_key, step)``, so a step depends on nothing else.
    """

    init: Callable[[Key], Any]
    step: Callable[[Key, Any, Batch], tuple[Any, Info]]
