"""Solvers on a mesh: where each leaf of a state lies, and what keeps it there."""

from collections.abc import Callable
from dataclasses import replace
from typing import Annotated, Any, TypeAlias, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec as P, Sharding

from mixgan_jax.checked import checked
from mixgan_jax.checks import check_kind, fail
from mixgan_jax.data.feed import Feed
from mixgan_jax.data.stream import Stream
from mixgan_jax.history import History
from mixgan_jax.players.mesh import (
    AXES,
    COMPONENT,
    DATA,
    RUNS,
    axis_size,
    is_spread,
    place,
)
from mixgan_jax.players.mixture import Mixture
from mixgan_jax.solvers.core.side import Side
from mixgan_jax.solvers.solver import Solver
from mixgan_jax.types import Batch, Info, Key, Tree

T = TypeVar("T")


def _check_mesh(name: str, mesh: Any) -> Mesh:
    check_kind(name, mesh, Mesh)
    if mesh.axis_names != AXES or set(mesh.axis_types) != {AxisType.Auto}:
        expected = f"one of make_mesh, with the axes {', '.join(AXES)}"
        raise fail(name, mesh.axis_names, expected)
    return mesh


GameMesh: TypeAlias = Annotated[Mesh, _check_mesh]
"""A mesh from :func:`make_mesh`."""


@checked
def on_mesh(solver: Solver, mesh: GameMesh) -> Solver:
    """Spreads one game over the devices of a mesh: the same solver, and the same numbers up to the order of sums.

    Components are split over the axis ``component``: each device has its own, with their optimisers, and they never
    move. Of the other side's components it gets samples only. Batches are split over the axis ``data``. Weights, losses
    and info are whole on every device.

    ``fit(..., mesh=mesh)`` does this and more. Use ``on_mesh`` in loops of your own, under ``jax.jit``. Other functions
    of this package, such as ``sample`` and ``held_out_values``, leave components where they are inside of
    ``with jax.set_mesh(mesh)``.

    Args:
        solver: its states hold components in a :class:`Mixture`, as those of this package do. What else they hold is
            whole on every device.
        mesh: from :func:`make_mesh`. Its axes must divide the numbers of components above 1, and the batch.

    Returns:
        A :class:`Solver` whose states lie on ``mesh``. ``init`` makes each component on its own device.

    Example:
        >>> import jax
        >>> import mixgan_jax as mg
        >>> import optax
        >>> generator, critic = mg.from_linen(mg.networks.MLP((16,), outputs=2)), mg.from_linen(mg.networks.MLP((16,)))
        >>> solver = mg.mix_gan(
        ...     generator, critic, mg.losses.minimax(), num_generators=4, num_discriminators=4, latent_size=8,
        ...     generator_tx=optax.adam(1e-3), discriminator_tx=optax.adam(1e-3),
        ... )
        >>> solver = mg.on_mesh(solver, mg.make_mesh())  # of one device here
        >>> state = jax.jit(solver.init)(jax.random.key(0))
        >>> state, info = jax.jit(solver.step)(jax.random.key(1), state, jax.numpy.zeros((32, 2)))
        >>> info["values"].shape
        (4, 4)
    """

    def init(key: Key) -> Tree:
        return _place_state(solver.init(key))

    def step(key: Key, state: Tree, batch: Batch) -> tuple[Tree, Info]:
        for leaf in jax.tree.leaves(batch):
            _check_batch_size(leaf.shape[0], axis_size(DATA))
        state, info = solver.step(key, _place_state(state), place(batch, DATA))
        return _place_state(state), place(info)

    return Solver(traced_for(mesh, init), traced_for(mesh, step))


def _check_batch_size(batch: int, size: int) -> None:
    """Refuses a batch that the ``size`` devices of the data axis do not divide."""
    if batch % size:
        raise ValueError(
            f"batch must be a multiple of the mesh's {DATA} axis of {size}, got {batch}"
        )


def traced_for(mesh: Mesh, function: Callable[..., T]) -> Callable[..., T]:
    """Returns the function, traced for a mesh. Its first argument is whole on every device."""

    def traced(first: Any, *rest: Any) -> T:
        context = dict(jax.sharding.get_abstract_mesh().shape)
        # map_runs has dealt out the runs, or jax.set_mesh has set this mesh
        if context == dict(mesh.shape):
            return function(first, *rest)
        if context:
            raise ValueError(f"mesh must be the one that is set, {context}, got {dict(mesh.shape)}")
        # A concrete sharding: without one, a program whose arguments are nowhere yet is compiled for one device.
        everywhere = NamedSharding(mesh, P())
        first = jax.tree.map(lambda leaf: lax.with_sharding_constraint(leaf, everywhere), first)
        with jax.sharding.use_abstract_mesh(mesh.abstract_mesh):
            return function(first, *rest)

    return traced


def spread(mesh: Mesh, key: Key, feed: Feed | Stream) -> tuple[Key, Feed | Stream]:
    """Deals keys ``[S]`` out to the axis ``runs``; a single key and the feed's arrays are whole on every device."""
    runs, size = mesh.shape[RUNS], mesh.shape[DATA]
    if key.size % runs:
        raise ValueError(
            f"keys must be a multiple of the mesh's {RUNS} axis of {runs}, got {key.size}"
        )
    if isinstance(feed, Stream):
        _check_batch_size(feed.batch_size, size)
    else:
        one = key[0] if key.ndim else key
        for leaf in jax.tree.leaves(jax.eval_shape(feed.sample, one, feed.arrays)):
            _check_batch_size(leaf.shape[0], size)
        feed = feed._replace(arrays=_put(feed.arrays, NamedSharding(mesh, P())))
    return _put(key, NamedSharding(mesh, P(*[RUNS] * key.ndim))), feed


def _put(tree: T, sharding: NamedSharding) -> T:
    """Puts arrays that every process has in full on the devices of a mesh, other processes' included."""
    if jax.process_count() == 1:
        return jax.device_put(tree, sharding)

    def one(leaf: Any) -> Any:
        if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
            data = one(jax.random.key_data(leaf))
            return jax.random.wrap_key_data(data, impl=jax.random.key_impl(leaf))
        known = np.asarray(leaf)
        return jax.make_array_from_callback(known.shape, sharding, lambda index: known[index])

    return jax.tree.map(one, tree)


def replicated(key: Key, tree: T) -> T:
    """Makes the results of the runs of a key whole in every process that trains them. It does not wait for them."""
    mesh = _mesh_of(key)
    if mesh is None or jax.process_count() == 1:
        return tree
    return jax.jit(_same, out_shardings=NamedSharding(mesh, P()))(tree)


def _same(tree: T) -> T:
    return tree


def batch_sharding(key: Key) -> Sharding | None:
    """Returns where a stream's batches ``[n, B, ...]``, or ``[S, n, B, ...]``, belong for the runs of a key."""
    mesh = _mesh_of(key)
    if mesh is not None:
        return NamedSharding(mesh, P(*[RUNS] * key.ndim, None, DATA))
    # If the key is tied to no device, batches must not be: they would tie the state, and chunk 2 would compile again.
    return key.sharding if key.committed else None


def with_shardings(key: Key, state: Tree) -> Tree:
    """Adds to the shapes of a state, or of states ``[S, ...]``, where each leaf belongs for the runs of a key."""
    mesh = _mesh_of(key)
    if mesh is None:
        places = jax.tree.map(lambda _: key.sharding if key.ndim else None, state)
    else:
        one = jax.tree.map(
            lambda leaf: jax.ShapeDtypeStruct(leaf.shape[key.ndim :], leaf.dtype), state
        )
        specs = _state_specs(one, mesh.shape[COMPONENT])
        runs = [RUNS] * key.ndim
        places = jax.tree.map(lambda _, spec: NamedSharding(mesh, P(*runs, *spec)), state, specs)

    def placed(leaf: Any, place: Sharding | None) -> jax.ShapeDtypeStruct:
        return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=place)

    return jax.tree.map(placed, state, places)


def _mesh_of(key: Key) -> Mesh | None:
    """Returns the mesh of :func:`make_mesh` that a run's key, or a sweep's keys, were spread over."""
    sharding = key.sharding
    mesh = sharding.mesh if isinstance(sharding, NamedSharding) else None
    return mesh if isinstance(mesh, Mesh) and mesh.axis_names == AXES else None


def _place_state(state: Tree) -> Tree:
    if not is_spread():
        return state
    specs = _state_specs(state, axis_size(COMPONENT))
    return jax.tree.map(lax.with_sharding_constraint, state, specs)


def _state_specs(state: Tree, size: int) -> Tree:
    """Returns each leaf's PartitionSpec: components are split over ``size`` devices, all else is whole."""
    whole: Any = P()

    def split(tree: Tree, count: int) -> Tree:
        spec = P(COMPONENT) if count > 1 and size > 1 else whole
        if count > 1 and count % size:
            raise ValueError(
                f"components must be a multiple of the mesh's {COMPONENT} axis of {size}, got {count}"
            )
        return jax.tree.map(lambda leaf: spec if leaf.shape[:1] == (count,) else P(), tree)

    def mixture(tree: Mixture) -> Tree:
        params, state = (split(part, tree.num_components) for part in (tree.params, tree.state))
        return replace(tree, params=params, state=state, log_weights=whole)

    def node(tree: Any) -> Tree:
        if isinstance(tree, Mixture):
            return mixture(tree)
        if isinstance(tree, Side):
            own = split(tree.opt_state, tree.mixture.num_components)
            weights = jax.tree.map(lambda _: whole, tree.weight_opt_state)
            return replace(
                tree,
                mixture=mixture(tree.mixture),
                opt_state=own,
                weight_opt_state=weights,
                frozen=whole,
            )
        if isinstance(tree, History) and tree.capacity % size == 0:
            # Entries are split, not their components: an average over all of them then moves no player.
            params, state = (split(part, tree.capacity) for part in (tree.params, tree.state))
            return replace(tree, params=params, state=state, log_weights=whole, count=whole)
        return jax.tree.map(lambda _: whole, tree)

    return jax.tree.map(
        node, state, is_leaf=lambda leaf: isinstance(leaf, Mixture | Side | History)
    )
