"""What a run does about components whose updates are not finite: names them, then stops or goes on without them.

A solver that freezes such components says so in each step's info, by entries ``frozen_<players>`` ``[K]`` of 0 and 1
(``frozen_generators``), and its state has the same as ``state.frozen``. Only the logged averages are looked at, so the
device never waits.
"""

import warnings
from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np

PREFIX = "frozen_"

OnNan: TypeAlias = Literal["stop", "freeze"]
"""Whether a run stops at a component whose update is not finite, or goes on with it frozen."""


class Frozen(NamedTuple):
    """A component that is not updated any more.

    Attributes:
        player: ``generator`` or ``discriminator``.
        component: its index.
        seed: the run of a sweep, by index; None for a single run.
        step: of the update that was not finite, the first step being 1; None where an earlier start saw it.
    """

    player: str
    component: int
    seed: int | None
    step: int | None

    def __str__(self) -> str:
        """In words."""
        seed = "" if self.seed is None else f" of seed {self.seed}"
        when = "in an earlier start" if self.step is None else f"at step {self.step}"
        return f"{self.player} {self.component}{seed} had a non-finite update {when}"


class NonFiniteError(ArithmeticError):
    """Components had updates that are not finite.

    Attributes:
        components: every one of them, a tuple of :class:`Frozen`.
    """

    def __init__(self, components: tuple[Frozen, ...], kept: str) -> None:
        """``kept`` says what there is to go on from."""
        named = "; ".join(map(str, components[:8]))
        more = f"; and {len(components) - 8} more" if len(components) > 8 else ""
        super().__init__(f"{named}{more}; {kept}")
        self.components, self._kept = components, kept

    def __reduce__(self) -> tuple[Any, ...]:
        """What pickle makes an equal one from."""
        return type(self), (self.components, self._kept)


class Quarantine:
    """Watches a run's log; see :meth:`look`.

    Args:
        on_nan: ``stop`` or ``freeze``.
        frozen: the state's ``frozen`` at the start; empty for solvers that freeze nothing.
        kept: what there is to go on from, in words, for errors.

    Raises:
        NonFiniteError: components are frozen already, and ``on_nan`` is ``stop``.
    """

    def __init__(self, on_nan: OnNan, frozen: Mapping[str, Any], kept: Callable[[], str]) -> None:
        """Takes what the run starts with; see the class."""
        self._on_nan, self._kept = on_nan, kept
        self._known = {name: np.asarray(value) for name, value in frozen.items()}
        found = [one for name in frozen for one in _named(name, self._known[name])]
        if found and on_nan == "stop":
            raise NonFiniteError(tuple(found), kept())

    def look(self, start: int, step: int, entry: Mapping[str, np.ndarray]) -> None:
        """Looks at the log's entry for the steps after ``start`` up to ``step``.

        An entry is an average over these n steps, and a component stays frozen. So an average of m / n says that
        it was frozen in the last m of them, and that the update at step ``step - m + 1`` was not finite.

        Args:
            start: how many steps were done before those that the entry averages.
            step: how many after.
            entry: names and averages ``[K]``, or ``[S, K]`` of a sweep.

        Raises:
            NonFiniteError: a component was frozen in these steps, and ``on_nan`` is ``stop``. Where it is
                ``freeze``, one warning names each.
        """
        found: list[Frozen] = []
        for name in filter(lambda name: name in self._known, entry):
            average = np.asarray(entry[name])
            new = (average > 0) & ~self._known.get(name, np.zeros(average.shape, bool))
            found += _named(name, new, step - np.rint(average * (step - start)).astype(int) + 1)
            self._known[name] = average > 0
        if found and self._on_nan == "stop":
            raise NonFiniteError(tuple(found), self._kept())
        for one in found:
            warnings.warn(f"{one} and is not updated any more", stacklevel=2)


def _named(name: str, frozen: np.ndarray, steps: np.ndarray | None = None) -> list[Frozen]:
    """The components that are marked in ``frozen``, ``[K]`` or ``[S, K]``; ``steps`` has its shape."""
    player = name.removeprefix(PREFIX).removesuffix("s")
    return [
        Frozen(
            player,
            int(index[-1]),
            int(index[0]) if len(index) > 1 else None,
            None if steps is None else int(steps[tuple(index)]),
        )
        for index in np.argwhere(frozen)
    ]
