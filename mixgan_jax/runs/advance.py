"""From one entry of the log to the next: compiled steps, and the batches that they need, on the device in time."""

import contextlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from mixgan_jax.checks import fail
from mixgan_jax.data.feed import Feed
from mixgan_jax.data.stream import Stream, open_stream
from mixgan_jax.runs.parallel import map_runs
from mixgan_jax.runs.steps import chunk_end, run_keys, run_steps
from mixgan_jax.solvers.solver import Solver
from mixgan_jax.types import Array, Info, Key


@dataclass(frozen=True)
class Advance:
    """What takes a run, or runs, from one entry of the log to the next.

    Attributes:
        run: ``run(state, start, stop) -> (state, info)``.
        info_of: shapes and dtypes of the first chunk's info for a state, of which shapes and dtypes are enough.
    """

    run: Callable[[Any, int, int], tuple[Any, Info]]
    info_of: Callable[[Any], Any]

    def __call__(self, state: Any, start: int, stop: int) -> tuple[Any, Info]:
        """The state after step ``stop``, and the info averaged over the steps.

        It is to be called for every chunk in turn (:func:`chunk_end`); the state is donated.
        """
        return self.run(state, start, stop)


_PIECE = (
    4 * 2**20
)  # bytes of the batches that one compiled scan gets; about five times as much is in memory


@contextlib.contextmanager
def advancing(
    key: Key, solver: Solver, feed: Feed | Stream, start: int, num_steps: int, log_every: int
) -> Iterator[Advance]:
    """What takes a run, or runs, from one entry of the log to the next.

    Of a stream, the batches of the next steps are read, stacked and put on the device while it computes; nothing
    waits for the host unless reading is slower than computing. A chunk of many steps is computed in pieces, so that
    memory does not grow with ``log_every``.

    Args:
        key: one run's key ``[]``, or keys ``[S]``.
        solver: what trains.
        feed: where batches come from.
        start: the step to begin at; nothing else is needed to go on in the middle of a stream's epoch.
        num_steps: where the run ends.
        log_every: steps between entries of the log.

    Yields:
        The :class:`Advance`. Threads end with the context.
    """
    compiled = _compiled(key, solver, feed)

    def info_of(arrays: Any, num_steps: int, state: Any) -> Any:
        # The jitted function keeps this trace for its first call.
        return compiled.eval_shape(key, state, arrays, jnp.int32(start), num_steps=num_steps)[1]

    if not isinstance(feed, Stream):

        def run(state: Any, start: int, stop: int) -> tuple[Any, Info]:
            return compiled(key, state, feed.arrays, jnp.int32(start), num_steps=stop - start)

        first = chunk_end(start, log_every, num_steps) - start
        yield Advance(run, partial(info_of, feed.arrays, first))
        return
    most = min(log_every, _most_steps(feed, runs=key.size))
    plan = _pieces(start, num_steps, log_every, most)
    first = next(_pieces(start, num_steps, log_every, most), _Piece(start, start)).stop - start
    shape = (*key.shape, first, feed.batch_size, *feed.source.shape[1:])
    with contextlib.ExitStack() as stack:
        batches = open_stream(feed, _shuffle_seeds(key), start, num_steps, ahead=most)
        pieces = _ahead(key, stack.enter_context(batches), plan)
        run = partial(_in_pieces, partial(compiled, key), stack.enter_context(pieces))
        yield Advance(run, partial(info_of, jax.ShapeDtypeStruct(shape, np.uint8), first))


def _compiled(runs: Key, solver: Solver, feed: Feed | Stream) -> Any:
    """Compiled once for each ``num_steps``; the state is donated. A feed's arrays are shared by all runs."""

    @partial(jax.jit, static_argnames="num_steps", donate_argnames="state")
    def advance(
        key: Key, state: Any, arrays: Any, start: Array, num_steps: int
    ) -> tuple[Any, Info]:
        def one(key: Key, state: Any, arrays: Any, start: Array) -> tuple[Any, Info]:
            return run_steps(key, solver, feed, arrays, state, start, num_steps)

        shared = 1 if isinstance(feed, Stream) else 2
        return map_runs(runs, one, shared=shared)(key, state, arrays, start)

    return advance


def _shuffle_seeds(key: Key) -> list[int]:
    def one(key: Key) -> Array:
        return jax.random.bits(run_keys(key).shuffle)

    return np.atleast_1d(jax.vmap(one)(key) if key.ndim else one(key)).tolist()


class _Piece(NamedTuple):
    """Steps ``start .. stop - 1``, computed as one scan."""

    start: int
    stop: int


def _most_steps(stream: Stream, runs: int) -> int:
    """How many steps' batches one piece may hold."""
    return max(1, _PIECE // (runs * stream.batch_size * int(np.prod(stream.source.shape[1:]))))


def _pieces(start: int, num_steps: int, log_every: int, most: int) -> Iterator[_Piece]:
    """Chunks cut into pieces of equal length: one program, and the chunk's average is that of its pieces.

    The length is the largest divisor of the chunk's that is <= ``most``: a prime ``log_every`` means single steps.
    """
    while start < num_steps:
        stop = chunk_end(start, log_every, num_steps)
        chunk = stop - start
        length = max(n for n in range(1, min(most, chunk) + 1) if chunk % n == 0)
        yield from (_Piece(at, at + length) for at in range(start, stop, length))
        start = stop


@contextlib.contextmanager
def _ahead(
    key: Key, batches: Iterator[np.ndarray], plan: Iterator[_Piece]
) -> Iterator[Iterator[tuple[_Piece, Array]]]:
    """The pieces with their batches, ``[n, B, ...]`` or ``[S, n, B, ...]``, on the devices of their runs.

    While one piece is in use, a thread prepares the next.
    """
    # Arrays tied to a device where the key is not would tie the state too, and have its second chunk compiled again.
    place = key.sharding if key.committed else None

    def prepare(piece: _Piece) -> Array:
        steps = [next(batches) for _ in range(*piece)]
        stacked = np.stack(steps, axis=1)
        return jax.device_put(stacked if key.ndim else stacked[0], place)

    def pieces(thread: ThreadPoolExecutor) -> Iterator[tuple[_Piece, Array]]:
        under_way = ((piece, thread.submit(prepare, piece)) for piece in plan)
        following = next(under_way, None)
        while following:
            piece, arrays = following[0], following[1].result()
            following = next(under_way, None)
            yield piece, arrays

    thread = ThreadPoolExecutor(1, thread_name_prefix="mixgan-stream")
    try:
        yield pieces(thread)
    finally:
        thread.shutdown(wait=True, cancel_futures=True)


def _in_pieces(
    compiled: Callable,
    pieces: Iterator[tuple[_Piece, Array]],
    state: Any,
    start: int,
    stop: int,
) -> tuple[Any, Info]:
    """One chunk. The piece before the last one dispatched is waited for: two are under way, never more."""
    total: Any = None
    count = 0
    while start < stop:
        piece, arrays = next(pieces)
        if piece.start != start:
            raise fail("start", start, f"{piece.start}, where the last chunk ended")
        length = piece.stop - piece.start
        state, info = compiled(state, arrays, jnp.int32(start), num_steps=length)
        jax.block_until_ready(total)
        total = info if total is None else _add(total, info)
        start, count = piece.stop, count + 1
    return state, total if count == 1 else _divide(total, count)


@jax.jit
def _add(a: Info, b: Info) -> Info:
    return jax.tree.map(jnp.add, a, b)


@partial(jax.jit, static_argnums=1)
def _divide(total: Info, count: int) -> Info:
    return jax.tree.map(lambda leaf: leaf / count, total)
