"""Names components whose updates are not finite, then stops the run or goes on without them.

A solver that freezes such components says so in each step's info: entries ``frozen_<players>`` ``[K]`` of 0 and 1
(``frozen_generators``). Its ``state.frozen`` holds the same. The quarantine looks at losses and values in info too: if
one is not finite and no component is named, the run stops, or warns, all the same. It looks only at the logged
averages, so the device never waits.
"""

import warnings
from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np

PREFIX = "frozen_"

LOSSES = (
    "generator_loss",
    "discriminator_loss",
    "value",
    "values",
    "generator_gain",
    "discriminator_gain",
)
"""Names of the entries of info that must be finite."""

OnNan: TypeAlias = Literal["stop", "freeze"]
"""What to do at a component whose update is not finite: stop the run, or go on with the component frozen."""


class Frozen(NamedTuple):
    """A component that is not updated any more.

    Attributes:
        player: ``generator`` or ``discriminator``.
        component: its index.
        seed: the run of a sweep, by index; None for a single run.
        step: the step whose update was not finite, counted from 1; None where an earlier start saw it.
        losses: names of the losses and values that were not finite in the same entry of the log.
    """

    player: str
    component: int
    seed: int | None
    step: int | None
    losses: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Says it in words."""
        when = "in an earlier start" if self.step is None else f"at step {self.step}"
        beside = f" ({', '.join(self.losses)} not finite)" if self.losses else ""
        return (
            f"{self.player} {self.component}{_of(self.seed)} had a non-finite update {when}{beside}"
        )


class Unsound(NamedTuple):
    """A loss or value that is not finite, while the solver names no component.

    Attributes:
        name: the entry's name in the log.
        seed: the run of a sweep, by index; None for a single run.
        first: the first of the steps that the entry averages.
        last: the last of them.
    """

    name: str
    seed: int | None
    first: int
    last: int

    def __str__(self) -> str:
        """Says it in words."""
        return f"{self.name}{_of(self.seed)} was not finite in steps {self.first} to {self.last}"


class NonFiniteError(ArithmeticError):
    """Components had updates that are not finite, or losses or values were not finite.

    Attributes:
        components: all of them, a tuple of :class:`Frozen`; of :class:`Unsound` where no component is named.
    """

    def __init__(self, components: tuple[Frozen | Unsound, ...], kept: str) -> None:
        """Takes the components, and words for what there is to go on from."""
        named = "; ".join(map(str, components[:8]))
        more = f"; and {len(components) - 8} more" if len(components) > 8 else ""
        super().__init__(f"{named}{more}; {kept}")
        self.components, self._kept = components, kept

    def __reduce__(self) -> tuple[Any, ...]:
        """Tells pickle how to make an equal one."""
        return type(self), (self.components, self._kept)


class Quarantine:
    """Watches a run's log; see :meth:`look`.

    Args:
        on_nan: ``stop`` or ``freeze``.
        frozen: the state's ``frozen`` at the start; empty for solvers that freeze nothing.
        kept: returns words for what there is to go on from, which end an error.
        sweep: whether entries have a leading axis of runs.

    Raises:
        NonFiniteError: components are frozen already, and ``on_nan`` is ``stop``.
    """

    def __init__(
        self,
        on_nan: OnNan,
        frozen: Mapping[str, Any],
        kept: Callable[[], str],
        sweep: bool = False,
    ) -> None:
        """Notes the components that are frozen at the start."""
        self._on_nan, self._kept, self._sweep = on_nan, kept, sweep
        self._known = {name: np.asarray(value) for name, value in frozen.items()}
        self._told: set[tuple[str, int | None]] = set()
        found = [one for name in frozen for one in _named(name, self._known[name])]
        if found and on_nan == "stop":
            raise NonFiniteError(tuple(found), kept())

    def look(self, start: int, step: int, entry: Mapping[str, np.ndarray]) -> None:
        """Looks at the log's entry for the steps after ``start`` up to ``step``.

        An entry is an average over these n steps, and a component stays frozen. So an average of m / n says that the
        component was frozen in the last m of them: the update at step ``step - m + 1`` was not finite.

        Args:
            start: number of steps done before those that the entry averages.
            step: number of steps done after them.
            entry: the solver's info by name, averaged: ``[...]``, or ``[S, ...]`` in a sweep.

        Raises:
            NonFiniteError: a component was frozen in these steps, or a loss or value was not finite, and ``on_nan`` is
                ``stop``. With ``freeze``, one warning names each.
        """
        losses = self._losses_not_finite(entry)
        found: list[Frozen] = []
        frozen_seeds = set()
        for name in filter(lambda name: name in self._known, entry):
            average = np.asarray(entry[name])
            new = (average > 0) & ~self._known.get(name, np.zeros(average.shape, bool))
            found += _named(name, new, step - np.rint(average * (step - start)).astype(int) + 1)
            self._known[name] = average > 0
            frozen_seeds |= {one.seed for one in _named(name, average > 0)}
        found = [one._replace(losses=tuple(losses.get(one.seed, ()))) for one in found]
        # In its run, a frozen component explains losses that are not finite.
        unnamed = [
            Unsound(name, seed, start + 1, step)
            for seed, names in losses.items()
            for name in names
            if seed not in frozen_seeds and (name, seed) not in self._told
        ]
        self._told |= {(one.name, one.seed) for one in unnamed}
        if (found or unnamed) and self._on_nan == "stop":
            raise NonFiniteError((*found, *unnamed), self._kept())
        for one in found:
            warnings.warn(f"{one} and is not updated any more", stacklevel=2)
        for loss in unnamed:
            warnings.warn(f"{loss}; the solver names no component and goes on", stacklevel=2)

    def _losses_not_finite(self, entry: Mapping[str, np.ndarray]) -> dict[int | None, list[str]]:
        """Returns, by seed, the names of losses and values that are not finite."""
        found: dict[int | None, list[str]] = {}
        for name in filter(entry.__contains__, LOSSES):
            bad = ~np.isfinite(entry[name])
            runs = dict(enumerate(bad)) if self._sweep else {None: bad}
            for seed in (seed for seed, one in runs.items() if one.any()):
                found.setdefault(seed, []).append(name)
        return found


def _of(seed: int | None) -> str:
    return "" if seed is None else f" of seed {seed}"


def _named(name: str, frozen: np.ndarray, steps: np.ndarray | None = None) -> list[Frozen]:
    """Lists the components marked in ``frozen`` ``[K]`` or ``[S, K]``, with their ``steps`` of the same shape."""
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
