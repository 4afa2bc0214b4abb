"""Neural net distance: how far a class of discriminators can tell two distributions apart, found by training.

Defined by Arora, Ge, Liang, Ma and Zhang (2017, arXiv 1703.00573). With a measuring function phi and a class F of
discriminators D with values in [0, 1],

``d_{F,phi}(P, Q) = sup_{D in F} E_P phi(D) + E_Q phi(1 - D) - 2 phi(1/2)``.

Here ``D = sigmoid(logit)``, and F is a :class:`~mixgan_jax.Player` with its whole vector of parameters in the
Euclidean ball of radius ``bound``: the theorem's bounded set. With all functions for F and ``phi(t) = t`` it is the
total variation, with ``phi = log`` twice the Jensen-Shannon divergence. Those two do not generalise from samples; that
this distance does is the point of the theory.

Gradient ascent approaches the supremum, so a *value on the training samples* is a lower bound of the distance between
these. On *held-out samples* the discriminator is only judged. There the mean of the value is a lower bound of the
distance between the distributions that the samples come from.

For a capacity sweep, loop over players with the same key and samples, and give each a ball that fits its size.
"""

import math
from functools import partial
from typing import Annotated, Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import optax

from mixgan_jax.checked import checked, unchecked
from mixgan_jax.checks import check_kind, check_logits, fail
from mixgan_jax.losses import MeasuringFunction
from mixgan_jax.metrics.distances import Samples
from mixgan_jax.players.player import AnyPlayer, Player, apply_player, start_player
from mixgan_jax.types import Array, Count, Key, Params, Positive

_ROWS_AT_ONCE = 4096  # of the samples over which a mean is taken


def check_phi(name: str, value: Any) -> MeasuringFunction:
    """Returns a bounded measuring function."""
    phi = check_kind(name, value, MeasuringFunction)
    if not math.isfinite(phi.bound):
        expected = "bounded, as the theorem needs: phi_bounded_log(delta) or phi_identity()"
        raise ValueError(f"{name} must be {expected}, got {phi.name!r}")
    return phi


BoundedPhi: TypeAlias = Annotated[MeasuringFunction, check_phi]
"""A measuring function that is bounded on [0, 1]."""


@checked
def neural_net_distance(
    key: Key,
    player: AnyPlayer,
    phi: BoundedPhi,
    real: Samples,
    fake: Samples,
    held_out_real: Samples,
    held_out_fake: Samples,
    *,
    bound: Positive,
    steps: Count = 2000,
    restarts: Count = 4,
    learning_rate: Positive = 0.01,
    batch: Count | None = None,
) -> dict[str, Array]:
    """Estimates ``d_{F,phi}`` between two sets of samples, and judges the discriminator found on other samples.

    Adam ascends the payoff; after each step the parameters are projected onto the ball. The learning rate falls to 0
    along a cosine, and the last iterate counts. All restarts see the same batches and differ by their initial
    parameters. The one with the largest *training* value is reported. Can be jitted (with ``player``, ``phi`` and the
    numbers constant) and vmapped over keys and samples, for example over seeds.

    Args:
        key: consumed: initial parameters, and batches.
        player: the class F: samples ``[B, ...]`` to one logit each, ``[B]``. It has no state (no batch norm), so that
            a discriminator is a function of one sample.
        phi: a bounded measuring function, as ``phi_identity()`` or ``phi_bounded_log(0.1)``.
        real: ``[N, ...]``, of P, to train on.
        fake: ``[M, ...]``, of Q, to train on; M may differ from N.
        held_out_real: ``[N', ...]``, of P, not trained on.
        held_out_fake: ``[M', ...]``, of Q. If Q is the uniform distribution on the samples ``fake``, pass these again.
        bound: radius of the ball of parameters, > 0. A class of p parameters of size at most c has ``c sqrt p``. With
            the same radius for all p a larger network is hardly a larger class.
        steps: of Adam.
        restarts: R, initial parameters to start from.
        learning_rate: of the first step.
        batch: samples of either side in a step, drawn with replacement; a side with no more than these is used whole.
            None to use both whole.

    Returns:
        - ``value``: scalar, on the training samples, of the restart chosen; at most ``2 phi(1) - 2 phi(1/2)``.
        - ``held_out``: scalar, of the same discriminator on the held-out samples.
        - ``gap``: scalar, ``value - held_out``.
        - ``values``, ``held_out_values``: ``[R]``, of all restarts. Their spread says how far local optima differ.
        - ``norm``: scalar, of the parameters chosen; equal to ``bound`` where the ball holds them back.
        - ``restart``: scalar, the index of the restart chosen.
        - ``parameters``, ``steps``, ``restarts``, ``bound``: scalars, the number p of parameters, and the arguments.
    """
    return unchecked(best_discriminator)(
        key,
        player,
        phi,
        real,
        fake,
        held_out_real,
        held_out_fake,
        bound=bound,
        steps=steps,
        restarts=restarts,
        learning_rate=learning_rate,
        batch=batch,
    )[1]


@checked
def best_discriminator(
    key: Key,
    player: AnyPlayer,
    phi: BoundedPhi,
    real: Samples,
    fake: Samples,
    held_out_real: Samples,
    held_out_fake: Samples,
    *,
    bound: Positive,
    steps: Count = 2000,
    restarts: Count = 4,
    learning_rate: Positive = 0.01,
    batch: Count | None = None,
) -> tuple[Params, dict[str, Array]]:
    """Trains the discriminator of :func:`neural_net_distance`: a best response, and the distance it attains.

    Args:
        key: consumed: initial parameters, and batches.
        player: the class F: samples ``[B, ...]`` to one logit each, ``[B]``, without state.
        phi: a bounded measuring function.
        real: ``[N, ...]``, of P, to train on.
        fake: ``[M, ...]``, of Q, to train on.
        held_out_real: ``[N', ...]``, of P, not trained on.
        held_out_fake: ``[M', ...]``, of Q.
        bound: radius of the ball of parameters, > 0.
        steps: of Adam.
        restarts: R, initial parameters to start from.
        learning_rate: of the first step.
        batch: samples of either side in a step; None for all.

    Returns:
        The parameters, as the player's ``init`` makes them, and the dict of :func:`neural_net_distance`: scalars, and
        values ``[R]`` by restart.
    """
    settings = _Settings(player, phi, bound, steps, restarts, learning_rate, batch)
    train, held_out = (real, fake), (held_out_real, held_out_fake)
    _check_alike(real, fake=fake, held_out_real=held_out_real, held_out_fake=held_out_fake)
    init_key, batch_key = jax.random.split(key)
    # train every restart
    start = _initial(settings, init_key, train)
    params = _ascend(settings, batch_key, start, train)
    # judge on both sets
    over_restarts = jax.vmap(partial(_value, settings), (0, None))
    values, held_out_values = over_restarts(params, train), over_restarts(params, held_out)
    chosen = jnp.argmax(jnp.where(jnp.isfinite(values), values, -jnp.inf))
    best = jax.tree.map(lambda leaf: leaf[chosen], params)
    return best, {
        "value": values[chosen],
        "held_out": held_out_values[chosen],
        "gap": values[chosen] - held_out_values[chosen],
        "values": values,
        "held_out_values": held_out_values,
        "norm": optax.tree.norm(best),
        "restart": chosen,
        "parameters": jnp.asarray(sum(leaf.size for leaf in jax.tree.leaves(best)), jnp.int32),
        "steps": jnp.asarray(steps, jnp.int32),
        "restarts": jnp.asarray(restarts, jnp.int32),
        "bound": jnp.asarray(bound, jnp.float32),
    }


class _Settings(NamedTuple):
    player: Player
    phi: MeasuringFunction
    bound: float
    steps: int
    restarts: int
    learning_rate: float
    batch: int | None


def _initial(settings: _Settings, key: Key, samples: tuple[Array, Array]) -> Params:
    """Draws parameters ``[R, ...]`` within the ball."""
    example = samples[0][:2]

    def one(key: Key) -> Params:
        params, state = start_player("player", settings.player, key, example)
        if jax.tree.leaves(state):
            raise fail("player", settings.player, "without state (batch norm): it maps one sample")
        if not jax.tree.leaves(params):
            raise fail("player", settings.player, "with parameters")
        play = partial(apply_player, "player", settings.player, train=False)
        check_logits("player", jax.eval_shape(play, params, state, example)[0], example.shape[0])
        return _project(params, settings.bound)

    return jax.vmap(one)(jax.random.split(key, settings.restarts))


def _project(params: Params, bound: float) -> Params:
    scale = jnp.minimum(1.0, bound / jnp.maximum(optax.tree.norm(params), 1e-30))
    return jax.tree.map(lambda leaf: leaf * scale.astype(leaf.dtype), params)


def _ascend(settings: _Settings, key: Key, params: Params, samples: tuple[Array, Array]) -> Params:
    """Returns all restarts' parameters ``[R, ...]`` after the last step."""
    tx = optax.adam(optax.cosine_decay_schedule(settings.learning_rate, settings.steps))

    def loss(params: Params, batch: tuple[Array, Array]) -> Array:
        return -jnp.sum(jax.vmap(lambda own: _value(settings, own, batch))(params))

    def step(carry: tuple[Params, Any], key: Key) -> tuple[tuple[Params, Any], None]:
        params, opt_state = carry
        keys = jax.random.split(key)
        batch = tuple(
            _draw(own, side, settings.batch) for own, side in zip(keys, samples, strict=True)
        )
        gradient = jax.grad(loss)(params, batch)
        # optax mixes dtypes, which strict promotion refuses
        with jax.numpy_dtype_promotion("standard"):
            updates, opt_state = tx.update(gradient, opt_state, params)
        params = optax.apply_updates(params, updates)
        return (jax.vmap(lambda own: _project(own, settings.bound))(params), opt_state), None

    keys = jax.random.split(key, settings.steps)
    (params, _), _ = jax.lax.scan(step, (params, tx.init(params)), keys)
    return params


def _draw(key: Key, samples: Array, batch: int | None) -> Array:
    if batch is None or samples.shape[0] <= batch:
        return samples
    return samples[jax.random.randint(key, (batch,), 0, samples.shape[0])]


def _value(settings: _Settings, params: Params, samples: tuple[Array, Array]) -> Array:
    """Returns ``E phi(D(real)) + E phi(1 - D(fake)) - 2 phi(1/2)`` for one discriminator."""
    real, fake = samples
    half = settings.phi.at_logit(jnp.zeros(()))
    return _mean(settings, params, real, 1.0) + _mean(settings, params, fake, -1.0) - 2.0 * half


def _mean(settings: _Settings, params: Params, samples: Array, sign: float) -> Array:
    """Returns the mean of ``phi(sigmoid(sign * logit))``, in chunks, so that memory does not grow with N."""

    def total(rows: Array) -> Array:
        logits, _ = settings.player.apply(params, {}, rows, train=False)
        return jnp.sum(settings.phi.at_logit(sign * logits.astype(jnp.float32)))

    whole, rest = divmod(samples.shape[0], _ROWS_AT_ONCE)
    if whole == 0:
        return total(samples) / samples.shape[0]
    chunks = samples[: whole * _ROWS_AT_ONCE].reshape(whole, _ROWS_AT_ONCE, *samples.shape[1:])
    mean = jnp.sum(jax.lax.map(total, chunks))
    if rest:
        mean += total(samples[-rest:])
    return mean / samples.shape[0]


def _check_alike(real: Array, **others: Array) -> None:
    for name, array in others.items():
        if array.shape[1:] != real.shape[1:]:
            raise ValueError(
                f"{name} must be samples like real, of shape [N, {', '.join(map(str, real.shape[1:]))}], "
                f"got {array.shape}"
            )
