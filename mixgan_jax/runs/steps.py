"""A run as pure functions: its keys, its first state, its steps as one scan.

Step t draws all its randomness from ``fold_in(steps_key, t)``. So (config, seed, t) reproduces a step, whether the run
was one scan, a loop, or killed and restarted. With a stream, step t also reads batch t of the order that the run's key
shuffles, and t alone finds it.
"""

from functools import partial
from typing import Annotated, Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp

from mixgan_jax.checked import checked
from mixgan_jax.checks import check_array, check_key, fail
from mixgan_jax.data.feed import Feed
from mixgan_jax.data.stream import Stream
from mixgan_jax.solvers.solver import Solver
from mixgan_jax.storage.records import MAX_VALUES
from mixgan_jax.types import Array, ArrayLike, Count, Info, Key, Tree, Whole

RunKey: TypeAlias = Annotated[jax.Array, partial(check_key, sweep=True)]
"""The key of one run ``[]``, or the keys of S runs ``[S]``."""


def _check_step(name: str, value: Any) -> Array:
    step = check_array(name, value, rank=0)
    if not jnp.issubdtype(step.dtype, jnp.integer):
        raise fail(name, value, "a whole number", TypeError)
    return step.astype(jnp.int32)


class RunKeys(NamedTuple):
    """The keys that a run derives from its own; no two uses of randomness share one.

    Attributes:
        init: consumed by the solver's ``init``.
        steps: step t uses ``fold_in(steps, t)``.
        evaluation: an evaluation after step t uses ``fold_in(evaluation, t)``.
        shuffle: consumed by the order of a stream.
    """

    init: Key
    steps: Key
    evaluation: Key
    shuffle: Key


def run_keys(key: Key) -> RunKeys:
    """Splits a run's key ``[]``."""
    # Splitting into four would change the other three, and with them the results of older runs.
    init, steps, evaluation = jax.random.split(key, 3)
    return RunKeys(init, steps, evaluation, jax.random.fold_in(key, 3))


def chunk_end(step: int, log_every: int, num_steps: int) -> int:
    """Returns the step of the log's next entry: the next multiple of ``log_every``, or the end."""
    return min((step // log_every + 1) * log_every, num_steps)


@checked
def evaluation_key(key: RunKey, step: Whole) -> Key:
    """Returns the key that ``fit`` hands to ``evaluate`` after a step.

    Args:
        key: the run's key ``[]``, or keys ``[S]``.
        step: number of steps done, >= 0.

    Returns:
        A key ``[]``, or keys ``[S]``, that nothing else in the run uses.
    """

    def one(key: Key) -> Key:
        return jax.random.fold_in(run_keys(key).evaluation, step)

    return jax.vmap(one)(key) if key.ndim else one(key)


@checked
def init_run(key: Key, solver: Solver) -> Tree:
    """Makes the state that a run starts with.

    Args:
        key: the run's key, the same that :func:`run_steps` gets.
        solver: the algorithm that will train.

    Returns:
        The solver's state.
    """
    return solver.init(run_keys(key).init)


@checked
def run_steps(
    key: Key,
    solver: Solver,
    feed: Feed | Stream,
    arrays: Tree,
    state: Tree,
    start: Annotated[ArrayLike, _check_step],
    num_steps: Count,
) -> tuple[Tree, Info]:
    """Runs steps ``start .. start + num_steps - 1`` as one ``lax.scan``. It is pure, for jit and for vmap over seeds.

    Args:
        key: the run's key.
        solver: the algorithm that trains.
        feed: the source of batches.
        arrays: the feed's arrays. They are an argument, so that jit does not compile a data set into the program. For
            a stream, the images of these steps, uint8 ``[num_steps, B, ...]``.
        state: the state before step ``start``.
        start: a whole number ``[]``; may be traced.
        num_steps: number of steps, >= 1.

    Returns:
        The state after the last step, and the info averaged over these steps.
    """
    steps_key = run_keys(key).steps
    streamed = isinstance(feed, Stream)

    @partial(jax.jit, inline=True)  # whose trace the scan finds
    def step(state: Tree, at: tuple[Array, Tree]) -> tuple[Tree, Info]:
        index, own = at
        batch_key, step_key = jax.random.split(jax.random.fold_in(steps_key, index))
        batch = feed.sample(batch_key, own if streamed else arrays)
        return solver.step(step_key, state, batch)

    def body(carry: tuple[Tree, list[Array]], at: Any) -> tuple[tuple[Tree, list], list[Array]]:
        state, info = step(carry[0], at)
        small, large = _split(info)
        return (state, list(map(_add, carry[1], large))), small

    # Infos are stacked and then averaged. Those with more numbers than the log takes are summed in the loop instead: a
    # stack of 100 payoff matrices of 1024 players takes 0.4 GB. Such a sum has other bits than a stack's, so smaller
    # infos, which all logs hold, are not summed.
    indices = jnp.asarray(start) + jnp.arange(num_steps, dtype=jnp.int32)
    inputs = (indices, arrays if streamed else None)
    form = jax.eval_shape(step, state, jax.tree.map(lambda leaf: leaf[0], inputs))[1]
    zeros = [jnp.zeros(leaf.shape, _sum_dtype(leaf)) for leaf in _split(form)[1]]
    (state, totals), stacked = jax.lax.scan(body, (state, zeros), inputs)
    small = iter([jnp.mean(leaf, axis=0) for leaf in stacked])
    large = iter([total / num_steps for total in totals])
    return state, jax.tree.map(lambda leaf: next(large if _is_large(leaf) else small), form)


def _add(total: Array, leaf: Array) -> Array:
    return total + leaf.astype(total.dtype)


def _sum_dtype(leaf: Any) -> Any:
    """Returns float32 for whole numbers, truth values and short floats, the leaf's own dtype for others."""
    is_long = jnp.issubdtype(leaf.dtype, jnp.inexact) and leaf.dtype.itemsize >= 4
    return leaf.dtype if is_long else jnp.float32


def _is_large(leaf: Any) -> bool:
    return leaf.size > MAX_VALUES


def _split(info: Info) -> tuple[list[Any], list[Any]]:
    """Splits an info's leaves into small ones and large ones."""
    leaves = jax.tree.leaves(info)
    return [leaf for leaf in leaves if not _is_large(leaf)], list(filter(_is_large, leaves))


@checked
def run(
    key: Key, solver: Solver, feed: Feed, *, num_steps: Count, log_every: Count
) -> tuple[Tree, Info]:
    """Trains a whole run as one program: ``jit(vmap(partial(run, ...)))(keys)`` is a sweep over seeds.

    A sweep needs keys of threefry, the default of ``jax.random.key``. Under ``vmap`` keys of ``rbg`` all draw from the
    first of them. :func:`fit` refuses those; here a mapped key looks like a single one.

    Args:
        key: the run's key.
        solver: the algorithm that trains.
        feed: the source of batches. Its arrays become constants of the program, so keep them small. A stream needs
            :func:`fit`, which reads it while the run computes.
        num_steps: a multiple of ``log_every``.
        log_every: steps that one entry of the log averages.

    Returns:
        The last state, and infos with a leading axis of ``num_steps / log_every``.

    Example:
        >>> import jax
        >>> import mixgan_jax as mg
        >>> solver = mg.Solver(lambda key: 1.0, lambda key, state, batch: (0.5 * state, {"size": state}))
        >>> feed = mg.data.feed_from_distribution(mg.data.ring(), 4)
        >>> state, info = mg.run(jax.random.key(0), solver, feed, num_steps=4, log_every=2)
        >>> float(state), info["size"].tolist()
        (0.0625, [0.75, 0.1875])
    """
    if num_steps % log_every:
        raise ValueError(f"log_every must divide num_steps = {num_steps}, got {log_every}")

    def chunk(state: Tree, start: Array) -> tuple[Tree, Info]:
        return run_steps(key, solver, feed, feed.arrays, state, start, log_every)

    starts = jnp.arange(0, num_steps, log_every, dtype=jnp.int32)
    return jax.lax.scan(chunk, init_run(key, solver), starts)
