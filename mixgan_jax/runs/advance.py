"""Takes a run from one entry of the log to the next: compiled steps, and their batches on the device in time."""

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
from mixgan_jax.runs.on_mesh import batch_sharding, replicated
from mixgan_jax.runs.parallel import map_runs
from mixgan_jax.runs.steps import chunk_end, run_keys, run_steps
from mixgan_jax.solvers.solver import Solver
from mixgan_jax.types import Array, Info, Key, Tree


@dataclass(frozen=True)
class Advance:
    """Takes one run, or S runs, from one entry of the log to the next.

    Attributes:
        run: ``run(state, start, stop) -> (state, info)``.
        info_of: ``info_of(state)`` returns shapes and dtypes of the first chunk's info; it needs no more than the
            state's shapes and dtypes.
    """

    run: Callable[[Tree, int, int], tuple[Tree, Info]]
    info_of: Callable[[Tree], Tree]

    def __call__(self, state: Tree, start: int, stop: int) -> tuple[Tree, Info]:
        """Returns the state after step ``stop``, and the info averaged over the steps.

        Call it for every chunk in turn (:func:`chunk_end`). It donates the state.
        """
        return self.run(state, start, stop)


# Bytes of the batches that one compiled scan gets; memory holds about five times as much.
_PIECE = 4 * 2**20


@contextlib.contextmanager
def advancing(
    key: Key,
    solver: Solver,
    feed: Feed | Stream,
    start: int,
    num_steps: int,
    log_every: int,
    hold: Callable[[], contextlib.AbstractContextManager[None]] = contextlib.nullcontext,
) -> Iterator[Advance]:
    """Makes the :class:`Advance` of one run, or of S runs.

    While the device computes, a thread reads the next batches of a stream, stacks them and puts them on the device.
    Nothing waits for the host unless reading is slower than computing. A chunk of many steps is computed in pieces, so
    that memory does not grow with ``log_every``.

    Args:
        key: one run's key ``[]``, or keys ``[S]``.
        solver: the algorithm that trains.
        feed: the source of batches.
        start: the step to begin at. It alone says where in a stream's epoch to go on.
        num_steps: the step where the run ends.
        log_every: steps between entries of the log.
        hold: a context that keeps an error of reading to itself, if other processes must hear of it first. The steps
            then get black images, and are not to be kept.

    Yields:
        The :class:`Advance`. Threads end with the context.
    """
    compiled = _compiled(key, solver, feed)

    def info_of(arrays: Tree, num_steps: int, state: Tree) -> Tree:
        # The first call of the jitted function finds this trace.
        return compiled.eval_shape(key, state, arrays, jnp.int32(start), num_steps=num_steps)[1]

    if not isinstance(feed, Stream):

        def run(state: Tree, start: int, stop: int) -> tuple[Tree, Info]:
            return compiled(key, state, feed.arrays, jnp.int32(start), num_steps=stop - start)

        first = chunk_end(start, log_every, num_steps) - start
        yield Advance(run, partial(info_of, feed.arrays, first))
        return
    most = min(log_every, _most_steps(feed, runs=key.size))
    plan = _pieces(start, num_steps, log_every, most)
    first = next(_pieces(start, num_steps, log_every, most), _Piece(start, start)).stop - start
    shape = (*key.shape, first, feed.batch_size, *feed.source.shape[1:])
    with contextlib.ExitStack() as stack:
        part = _own_part(key, feed.batch_size)
        seeds = _shuffle_seeds(key)[part.runs]
        opened = open_stream(feed, seeds, start, num_steps, ahead=most, rows=part.rows)
        batches = stack.enter_context(opened)
        own = (len(seeds), part.rows.stop - part.rows.start, *feed.source.shape[1:])

        def prepare(piece: _Piece) -> Array:
            return _placed(key, part, feed.batch_size, _stacked(batches, hold, own, piece))

        pieces = stack.enter_context(_ahead(prepare, plan))
        run = partial(_in_pieces, partial(compiled, key), pieces)
        yield Advance(run, partial(info_of, jax.ShapeDtypeStruct(shape, np.uint8), first))


def _compiled(runs: Key, solver: Solver, feed: Feed | Stream) -> Any:
    """Returns a jitted scan that donates the state. All runs share a feed's arrays."""

    @partial(jax.jit, static_argnames="num_steps", donate_argnames="state")
    def advance(
        key: Key, state: Tree, arrays: Tree, start: Array, num_steps: int
    ) -> tuple[Tree, Info]:
        def one(key: Key, state: Tree, arrays: Tree, start: Array) -> tuple[Tree, Info]:
            return run_steps(key, solver, feed, arrays, state, start, num_steps)

        shared = 1 if isinstance(feed, Stream) else 2
        return map_runs(runs, one, shared=shared)(key, state, arrays, start)

    return advance


def _shuffle_seeds(key: Key) -> list[int]:
    def one(key: Key) -> Array:
        return jax.random.bits(run_keys(key).shuffle)

    seeds = jax.vmap(one)(key) if key.ndim else one(key)
    return np.atleast_1d(replicated(key, seeds)).tolist()


class _Part(NamedTuple):
    """What this process reads of each step: which runs, and which rows of their batches."""

    runs: slice
    rows: slice


def _own_part(key: Key, batch_size: int) -> _Part:
    whole = _Part(slice(0, key.size), slice(0, batch_size))
    sharding = batch_sharding(key)
    if sharding is None or sharding.is_fully_addressable:
        return whole
    shape = (*key.shape, 1, batch_size)
    indices: Any = sharding.addressable_devices_indices_map(shape).values()
    found = [
        [axis.indices(size)[:2] for axis, size in zip(index, shape, strict=True)]
        for index in indices
    ]
    starts, stops = np.min(found, axis=0)[:, 0].tolist(), np.max(found, axis=0)[:, 1].tolist()
    rows = slice(starts[-1], stops[-1])
    return _Part(slice(starts[0], stops[0]) if key.ndim else whole.runs, rows)


def _placed(key: Key, part: _Part, batch_size: int, batches: np.ndarray) -> Array:
    """Puts batches ``[S, n, B, ...]``, of which this process has its part, on the devices of their runs."""
    local, place = batches if key.ndim else batches[0], batch_sharding(key)
    if place is None or place.is_fully_addressable:
        return jax.device_put(local, place)
    shape = (*key.shape, batches.shape[1], batch_size, *batches.shape[3:])
    offsets = (*[part.runs.start] * key.ndim, 0, part.rows.start)

    def own(index: Any) -> np.ndarray:
        bounds = [axis.indices(size) for axis, size in zip(index, shape, strict=True)]
        moved = zip(bounds, (*offsets, *[0] * (len(shape) - len(offsets))), strict=True)
        return local[tuple(slice(start - by, stop - by) for (start, stop, _), by in moved)]

    return jax.make_array_from_callback(shape, place, own)


class _Piece(NamedTuple):
    """Steps ``start .. stop - 1``, computed as one scan."""

    start: int
    stop: int


def _most_steps(stream: Stream, runs: int) -> int:
    """Returns the number of steps whose batches fit into one piece, >= 1."""
    return max(1, _PIECE // (runs * stream.batch_size * int(np.prod(stream.source.shape[1:]))))


def _pieces(start: int, num_steps: int, log_every: int, most: int) -> Iterator[_Piece]:
    """Cuts chunks into pieces of equal length: one program runs them all, and a chunk's average is that of its pieces.

    The length is the largest divisor of the chunk's length that is <= ``most``: a prime ``log_every`` gives single
    steps.
    """
    while start < num_steps:
        stop = chunk_end(start, log_every, num_steps)
        chunk = stop - start
        length = max(n for n in range(1, min(most, chunk) + 1) if chunk % n == 0)
        yield from (_Piece(at, at + length) for at in range(start, stop, length))
        start = stop


def _stacked(
    batches: Iterator[np.ndarray], hold: Callable, shape: tuple[int, ...], piece: _Piece
) -> np.ndarray:
    """Reads the batches ``[S, B, ...]`` of a piece as ``[S, n, B, ...]``."""
    steps = [np.zeros(shape, np.uint8)] * (piece.stop - piece.start)
    with hold():
        steps = [next(batches) for _ in steps]
    return np.stack(steps, axis=1)


@contextlib.contextmanager
def _ahead(
    prepare: Callable[[_Piece], Array], plan: Iterator[_Piece]
) -> Iterator[Iterator[tuple[_Piece, Array]]]:
    """Yields pieces with their batches on the devices of their runs. A thread prepares the next while one is in use."""

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
    state: Tree,
    start: int,
    stop: int,
) -> tuple[Tree, Info]:
    """Computes one chunk, with at most two pieces dispatched at a time."""
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
