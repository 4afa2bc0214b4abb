"""Which way of mapping over components is fastest on this device, and with which convolutions?

``map_components`` chooses by these tables what ``auto`` means; ``networks.conv`` is written for CPU.
"""

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any, get_args

from jax import lax

from experiments.benchmark.timing import interleaved, ratio
from experiments.benchmark.workloads import Training, dcgan_game, ring_game, scanned
from mixgan_jax.networks import layers
from mixgan_jax.networks._canonical import LAYOUT
from mixgan_jax.networks.conv import check_pair
from mixgan_jax.players.mixture import Strategy
from mixgan_jax.types import Array

STRATEGIES = tuple(name for name in get_args(Strategy) if name != "auto")


MOST_WRITTEN_OUT = 5  # components: the pairs of more take minutes to compile


def table(
    *, components: Sequence[int] = (3,), batch: int = 64, width: int = 64, rounds: int = 3
) -> Iterator[list[dict[str, Any]]]:
    """Measures milliseconds a step, full pairing, for each strategy, with our convolutions and with XLA's own.

    The programs of one k are compiled several at a time, which the seconds of compilation show.
    """
    for k in components:
        each = batch // k * k
        ring, images = ring_game(each, k), dcgan_game(each, k, width=width)
        programs: dict[Any, Training] = {}
        for strategy in STRATEGIES if k <= MOST_WRITTEN_OUT else ("vmap", "scan"):
            for name, game in (("ring MLP", ring), ("DCGAN", images), ("DCGAN, XLA's", images)):
                with xla_convolutions() if "XLA" in name else contextlib.nullcontext():
                    programs[name, strategy] = scanned(game, _steps(name), strategy=strategy)
        units = {program: _steps(program[0]) for program in programs}
        times = interleaved(programs, units, rounds, go_on=True)
        yield [
            {
                "program": f"{name} k={k}",
                "precision": images.precision(),
                "strategy": strategy,
                "ms a step": timing.text(1e3, 3),
                f"over {STRATEGIES[0]}": ratio(timing, times[name.split(",")[0], STRATEGIES[0]]),
                "compile s": programs[name, strategy].compiling,
                "seconds": timing.rounds,
            }
            for (name, strategy), timing in times.items()
        ]


def _steps(name: str) -> int:
    return 200 if "MLP" in name else 4


@contextlib.contextmanager
def xla_convolutions() -> Iterator[None]:
    """Gives networks that are traced inside ``lax``'s convolutions in place of ours."""
    ours = layers.conv, layers.conv_transpose
    layers.conv, layers.conv_transpose = _conv, _conv_transpose
    try:
        yield
    finally:
        layers.conv, layers.conv_transpose = ours


def _conv(x: Array, kernel: Array, *, strides: Any, padding: Any) -> Array:
    steps = check_pair("strides", strides)
    return lax.conv_general_dilated(x, kernel, steps, padding, dimension_numbers=LAYOUT)


def _conv_transpose(x: Array, kernel: Array, *, strides: Any, padding: Any) -> Array:
    steps = check_pair("strides", strides)
    return lax.conv_transpose(x, kernel, steps, padding, dimension_numbers=LAYOUT)
