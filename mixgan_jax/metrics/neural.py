"""Neural net distance: how far a class of discriminators can tell two distributions apart, found by training.

Defined by Arora, Ge, Liang, Ma and Zhang (2017, arXiv 1703.00573): with a measuring function phi and a class F of
discriminators D with values in [0, 1],

``d_{F,phi}(P, Q) = sup_{D in F} E_P phi(D) + E_Q phi(1 - D) - 2 phi(1/2)``.

Here ``D = sigmoid(logit)``, and F is a :class:`~mixgan_jax.Player` with its whole vector of parameters in the
Euclidean ball of radius ``bound``: the theorem's bounded set. With all functions for F and ``phi(t) = t`` it is the
total variation, with ``phi = log`` twice the Jensen-Shannon divergence. That it generalises, as those two do not, is
the point of the theory.

The supremum is approached by gradient ascent, so a *value on the training samples* is a lower bound of the distance
between these. On *held-out samples* the discriminator found is only judged, so there the mean of the value is a lower
bound of the distance between the distributions that the samples come from.

A capacity sweep is a loop over players, with the same key and samples, and a ball for each that fits its size.
"""

import math
from collections.abc import Mapping
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from mixgan_jax.checks import (
    check_array,
    check_count,
    check_key,
    check_kind,
    check_logits,
    check_number,
    fail,
)
from mixgan_jax.losses import MeasuringFunction
from mixgan_jax.players.player import Player, apply_player, check_player, start_player
from mixgan_jax.types import Array, Key, Params

_ROWS_AT_ONCE = 4096  # of the samples over which a mean is taken


def neural_net_distance(
    key: Key,
    player: Player,
    phi: MeasuringFunction,
    real: Array,
    fake: Array,
    held_out_real: Array,
    held_out_fake: Array,
    *,
    bound: float,
    steps: int = 2000,
    restarts: int = 4,
    learning_rate: float = 0.01,
    batch: int | None = None,
) -> dict[str, Array]:
    """The distance ``d_{F,phi}`` between two sets of samples, and what the discriminator found is worth on others.

    Adam ascends the payoff; after each step the parameters are projected onto the ball. The learning rate falls to 0
    along a cosine, the last iterate counts. All restarts see the same batches and differ by their initial parameters;
    the one with the largest *training* value is reported. Can be jitted (``player``, ``phi`` and the numbers being
    constants) and vmapped over keys and samples, as over seeds.

    Args:
        key: consumed: initial parameters, and batches.
        player: the class F: samples ``[B, ...]`` to one logit each, ``[B]``. It has no state (no batch norm), so that
            a discriminator is a function of one sample.
        phi: the measuring function, a bounded one, as ``phi_identity()`` or ``phi_bounded_log(0.1)``.
        real: ``[N, ...]``, of P, to train on.
        fake: ``[M, ...]``, of Q, to train on; M may differ from N.
        held_out_real: ``[N', ...]``, of P, not trained on.
        held_out_fake: ``[M', ...]``, of Q. Where Q is the uniform distribution on the samples ``fake``, these again.
        bound: radius of the ball of parameters, > 0. A class whose parameters may each be of size c has ``c sqrt p``:
            with the same radius for all p a larger network is hardly a larger class.
        steps: of Adam.
        restarts: R, initial parameters to start from.
        learning_rate: of the first step.
        batch: samples of either side in a step, drawn with replacement; a side with no more than these is used whole.
            None to use both whole.

    Returns:
        - ``value``: scalar, on the training samples, of the restart chosen; at most ``2 phi(1) - 2 phi(1/2)``.
        - ``held_out``: scalar, of the same discriminator on the held-out samples.
        - ``gap``: scalar, ``value - held_out``.
        - ``values``, ``held_out_values``: ``[R]``, of all restarts: their spread says how far local optima differ.
        - ``norm``: scalar, of the parameters chosen; equal to ``bound`` where the ball holds them back.
        - ``restart``: scalar, which was chosen.
        - ``parameters``, ``steps``, ``restarts``, ``bound``: scalars, what the value was found with: p, and the
          arguments.

    Raises:
        TypeError: an argument of the wrong kind.
        ValueError: samples of different shapes, or none; a ``phi`` that is not bounded, as ``phi_log()``; a player
            with state, without parameters, or with other than one logit for each sample.
    """
    return best_discriminator(
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


def best_discriminator(
    key: Key,
    player: Player,
    phi: MeasuringFunction,
    real: Array,
    fake: Array,
    held_out_real: Array,
    held_out_fake: Array,
    *,
    bound: float,
    steps: int = 2000,
    restarts: int = 4,
    learning_rate: float = 0.01,
    batch: int | None = None,
) -> tuple[Params, dict[str, Array]]:
    """The discriminator that :func:`neural_net_distance` finds: a best response, with the distance it attains.

    Args:
        key: consumed.
        player: the class F: samples ``[B, ...]`` to logits ``[B]``.
        phi: a bounded measuring function.
        real: ``[N, ...]``, to train on.
        fake: ``[M, ...]``, to train on.
        held_out_real: ``[N', ...]``.
        held_out_fake: ``[M', ...]``.
        bound: radius of the ball of parameters, > 0.
        steps: of Adam.
        restarts: initial parameters to start from.
        learning_rate: of the first step.
        batch: samples of either side in a step; None for all.

    Returns:
        The parameters, as the player's ``init`` makes them, and what :func:`neural_net_distance` returns: scalars,
        and values ``[R]`` by restart.

    Raises:
        TypeError, ValueError: as :func:`neural_net_distance`.
    """
    check_key("key", key)
    settings = _Settings(
        check_player("player", player),
        _checked_phi(phi),
        check_number("bound", bound, minimum=0.0, strict=True),
        check_count("steps", steps),
        check_count("restarts", restarts),
        check_number("learning_rate", learning_rate, minimum=0.0, strict=True),
        None if batch is None else check_count("batch", batch),
    )
    train, held_out = _checked_samples(
        {"real": real, "fake": fake, "held_out_real": held_out_real, "held_out_fake": held_out_fake}
    )
    init_key, batch_key = jax.random.split(key)
    start = _initial(settings, init_key, train)
    params = _ascend(settings, batch_key, start, train)

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
        "steps": jnp.asarray(settings.steps, jnp.int32),
        "restarts": jnp.asarray(settings.restarts, jnp.int32),
        "bound": jnp.asarray(settings.bound, jnp.float32),
    }


class _Settings(NamedTuple):
    player: Player
    phi: MeasuringFunction
    bound: Any
    steps: int
    restarts: int
    learning_rate: Any
    batch: int | None


def _initial(settings: _Settings, key: Key, samples: tuple[Array, Array]) -> Params:
    """Parameters ``[R, ...]`` within the ball."""
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


def _project(params: Params, bound: Any) -> Params:
    scale = jnp.minimum(1.0, bound / jnp.maximum(optax.tree.norm(params), 1e-30))
    return jax.tree.map(lambda leaf: leaf * scale.astype(leaf.dtype), params)


def _ascend(settings: _Settings, key: Key, params: Params, samples: tuple[Array, Array]) -> Params:
    """All restarts' parameters ``[R, ...]`` after the last step."""
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
        # optax mixes dtypes, which JAX may be set to refuse
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
    """``E phi(D(real)) + E phi(1 - D(fake)) - 2 phi(1/2)`` of one discriminator."""
    real, fake = samples
    half = settings.phi.at_logit(jnp.zeros(()))
    return _mean(settings, params, real, 1.0) + _mean(settings, params, fake, -1.0) - 2.0 * half


def _mean(settings: _Settings, params: Params, samples: Array, sign: float) -> Array:
    """The mean of ``phi(sigmoid(sign * logit))``, over so many samples at once that memory does not grow with N."""

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


def _checked_phi(phi: Any) -> MeasuringFunction:
    check_kind("phi", phi, MeasuringFunction)
    if not math.isfinite(phi.bound):
        expected = "bounded, as the theorem needs: phi_bounded_log(delta) or phi_identity()"
        raise ValueError(f"phi must be {expected}, got {phi.name!r}")
    return phi


def _checked_samples(
    samples: Mapping[str, Any],
) -> tuple[tuple[Array, Array], tuple[Array, Array]]:
    arrays = {
        name: check_array(name, value, floating=True, finite=True)
        for name, value in samples.items()
    }
    real = arrays["real"]
    for name, array in arrays.items():
        if array.ndim < 2 or 0 in array.shape:
            raise ValueError(f"{name} must have shape [N, ...], none of it 0, got {array.shape}")
        if array.shape[1:] != real.shape[1:]:
            raise ValueError(
                f"{name} must be samples like real, of shape [N, {', '.join(map(str, real.shape[1:]))}], "
                f"got {array.shape}"
            )
    return (real, arrays["fake"]), (arrays["held_out_real"], arrays["held_out_fake"])
