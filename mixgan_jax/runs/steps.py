"""A run as pure functions: its keys, its first state, its steps as one scan.

Step t of a run uses ``fold_in(steps_key, t)`` and nothing else that is random, so (config, seed, t) reproduces it
whether the run was one scan, a loop, or killed and started again. With a stream it also uses batch t of the order that
the run's key shuffles, which needs no more than t either.
"""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from mixgan_jax.checks import check_array, check_count, check_key, check_kind, fail
from mixgan_jax.data.feed import Feed
from mixgan_jax.data.stream import Stream
from mixgan_jax.solvers.solver import Solver
from mixgan_jax.types import Array, Info, Key


class RunKeys(NamedTuple):
    """The keys that a run's key is made into; no two uses of randomness share one.

    Attributes:
        init: consumed by the solver's ``init``.
        steps: step t folds t into it.
        evaluation: an evaluation after step t folds t into it.
        shuffle: consumed by the order of a stream.
    """

    init: Key
    steps: Key
    evaluation: Key
    shuffle: Key


def run_keys(key: Key) -> RunKeys:
    """Splits a run's key ``[]``."""
    # Folded in, not split into four: the other three stay what they were before there were streams.
    init, steps, evaluation = jax.random.split(key, 3)
    return RunKeys(init, steps, evaluation, jax.random.fold_in(key, 3))


def chunk_end(step: int, log_every: int, num_steps: int) -> int:
    """The step of the next entry of the log: on the grid of ``log_every``, also where ``step`` is beside it."""
    return min((step // log_every + 1) * log_every, num_steps)


def evaluation_key(key: Key, step: int) -> Key:
    """What ``fit`` hands to ``evaluate`` after a step.

    Args:
        key: the run's key ``[]``, or keys ``[S]``.
        step: how many steps were done.

    Returns:
        A key ``[]``, or keys ``[S]``, that nothing else in the run uses.
    """
    check_key("key", key, sweep=True)
    check_count("step", step, minimum=0)

    def one(key: Key) -> Key:
        return jax.random.fold_in(run_keys(key).evaluation, step)

    return jax.vmap(one)(key) if key.ndim else one(key)


def init_run(key: Key, solver: Solver) -> Any:
    """The state a run starts with.

    Args:
        key: the run's key, the same that :func:`run_steps` gets.
        solver: what will train.

    Returns:
        The solver's state.

    Raises:
        TypeError, ValueError: an argument of the wrong kind.
    """
    check_key("key", key)
    check_kind("solver", solver, Solver)
    return solver.init(run_keys(key).init)


def run_steps(
    key: Key,
    solver: Solver,
    feed: Feed | Stream,
    arrays: Any,
    state: Any,
    start: Array,
    num_steps: int,
) -> tuple[Any, Info]:
    """Steps ``start .. start + num_steps - 1`` of a run as one ``lax.scan``: pure, for jit and vmap over seeds.

    Args:
        key: the run's key.
        solver: what trains.
        feed: where batches come from.
        arrays: the feed's arrays, an argument so that jit does not bake a data set into the program; of a stream,
            the images of these steps, uint8 ``[num_steps, B, ...]``.
        state: the state before step ``start``.
        start: int32 ``[]``.
        num_steps: how many steps, >= 1.

    Returns:
        The state after the last step, and the info averaged over these steps.

    Raises:
        TypeError, ValueError: an argument of the wrong kind.
    """
    check_key("key", key)
    check_kind("solver", solver, Solver)
    check_kind("feed", feed, Feed, Stream)
    start = check_array("start", start, rank=0)
    if not jnp.issubdtype(start.dtype, jnp.integer):
        raise fail("start", start, "a whole number", TypeError)
    check_count("num_steps", num_steps)
    start = start.astype(jnp.int32)
    steps_key = run_keys(key).steps
    streamed = isinstance(feed, Stream)

    def body(state: Any, at: tuple[Array, Any]) -> tuple[Any, Info]:
        index, own = at
        batch_key, step_key = jax.random.split(jax.random.fold_in(steps_key, index))
        batch = feed.sample(batch_key, own if streamed else arrays)
        return solver.step(step_key, state, batch)

    indices = start + jnp.arange(num_steps, dtype=jnp.int32)
    state, infos = jax.lax.scan(body, state, (indices, arrays if streamed else None))
    return state, jax.tree.map(partial(jnp.mean, axis=0), infos)


def run(
    key: Key, solver: Solver, feed: Feed, *, num_steps: int, log_every: int
) -> tuple[Any, Info]:
    """A whole run as one program: ``jit(vmap(partial(run, ...)))(keys)`` is a sweep over seeds.

    Keys of a sweep must be threefry's, as ``jax.random.key`` makes them by default: under ``vmap`` keys of ``rbg`` all
    draw from the first of them. :func:`fit` refuses those; here a mapped key cannot be told from a single one.

    Args:
        key: the run's key.
        solver: what trains.
        feed: where batches come from; its arrays become constants of the program, so keep them small.
        num_steps: a multiple of ``log_every``.
        log_every: steps that one entry of the log averages.

    Returns:
        The last state, and infos with a leading axis of ``num_steps / log_every``.

    Raises:
        TypeError, ValueError: ``log_every`` does not divide ``num_steps``, or an argument of the wrong kind; a stream,
            which is read while a run computes, is :func:`fit`'s.
    """
    check_kind("feed", feed, Feed)
    check_count("num_steps", num_steps)
    check_count("log_every", log_every)
    if num_steps % log_every:
        raise ValueError(f"log_every must divide num_steps = {num_steps}, got {log_every}")

    def chunk(state: Any, start: Array) -> tuple[Any, Info]:
        return run_steps(key, solver, feed, feed.arrays, state, start, log_every)

    starts = jnp.arange(0, num_steps, log_every, dtype=jnp.int32)
    return jax.lax.scan(chunk, init_run(key, solver), starts)
