"""A mixture of T generators folded into ONE network by the multi-way selector."""

from typing import Annotated, Any, Literal, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np

from mixgan_jax.checked import checked
from mixgan_jax.checks import check_array, is_concrete
from mixgan_jax.players.mixture import Mixture, map_components, uniform
from mixgan_jax.players.player import AnyPlayer, Player, apply_player
from mixgan_jax.players.sampling import generate
from mixgan_jax.theory.selector import ramps_missing, thresholds
from mixgan_jax.types import Array, Count, Key, ModelState, Params, Positive

Output: TypeAlias = Literal["linear", "relu"]
"""Whether samples are the last pre-activations themselves, of either sign, or their ReLUs."""

SIGNS: dict[Output, tuple[float, ...]] = {"linear": (1.0, -1.0), "relu": (1.0,)}


def check_latents(name: str, value: Any) -> Array:
    """Returns a finite floating-point array ``[B, Z]``, B, Z >= 1."""
    latents = check_array(name, value, rank=2, floating=True, finite=True)
    if 0 in latents.shape:
        raise ValueError(f"{name} must have shape [B, Z], B, Z >= 1, got {latents.shape}")
    return latents


class Folded(NamedTuple):
    """One generator that plays a mixture.

    Attributes:
        player: maps latents ``[B, Z + 1]``, the seed last, to samples ``[B, ...]``; its ``init`` makes new components.
        params: ``components``, the mixture's own, leaves ``[T, ...]``; ``ramps``; ``gated`` and ``output``, the layers
            behind, for C copies (2 for signed outputs, else 1) of D outputs.
        state: the components', leaves ``[T, ...]``.
    """

    player: Player
    params: Params
    state: ModelState


@checked
def fold(
    player: AnyPlayer,
    mixture: Mixture,
    latents: Annotated[Array, check_latents],
    *,
    output: Output = "linear",
    bound: Positive | None = None,
    width: Positive = 1e-5,
) -> Folded:
    """Makes the single network whose samples are the mixture's, by the gates of :func:`gates`.

    If the seed is in no ramp, the output is that of component :func:`chosen_component` on the same latents.

    Beyond ``bound`` closed gates leak: each adds ``max(0, |z_i| - M)`` to the output. A larger bound costs no accuracy
    here. In the theorems the Lipschitz constant of the folded network grows as ``M / width``, and sample sizes hold its
    logarithm.

    Args:
        player: a component up to its last layer's pre-activations ``[B, ...]`` (for ``linear`` outputs, these are the
            samples).
        mixture: T components with their weights.
        latents: ``[B, Z]``, floating point: examples on which the pre-activations are bounded.
        output: ``linear`` for samples z, ``relu`` for samples ``ReLU(z)``.
        bound: M > 0, at least the largest ``|z_i|`` on ``latents``; by default four times that, and 1 at least.
        width: of a ramp, > 0, in standard deviations of the seed. A component whose seeds span less is never selected
            in full.

    Returns:
        :class:`Folded`, with :func:`folded_size` parameters.
    """
    copies = jnp.broadcast_to(latents[None], (mixture.log_weights.shape[-1], *latents.shape))
    examples, _ = generate(player, mixture, copies)
    largest = _bound(jnp.max(jnp.abs(examples.astype(jnp.float32))), bound)
    log_weights, signs = mixture.log_weights, SIGNS[output]
    count = log_weights.shape[0]

    def assemble(components: Params, shape: tuple[int, ...]) -> Params:
        features = int(np.prod(shape))
        return {"components": components, **_layers(log_weights, signs, features, largest, width)}

    def init(key: Key, example: Array) -> tuple[Params, ModelState]:
        fresh = uniform(key, player, count, example[:, :-1])
        made = jax.eval_shape(
            lambda params, state: _apply_all(player, count, params, state, example[:, :-1], False)[
                0
            ],
            *(fresh.params, fresh.state),
        )
        return assemble(fresh.params, made.shape[2:]), fresh.state

    def apply(
        params: Params, state: ModelState, latents: Array, *, train: bool
    ) -> tuple[Array, ModelState]:
        inputs, seeds = latents[:, :-1], latents[:, -1]
        z, new_state = _apply_all(player, count, params["components"], state, inputs, train)
        flat = z.reshape(*z.shape[:2], -1).astype(jnp.float32)  # [T, B, D]
        made = _select(params, flat, seeds)
        return made.reshape(z.shape[1:]).astype(z.dtype), new_state

    params = assemble(mixture.params, examples.shape[2:])
    return Folded(Player(init, apply), params, mixture.state)


@checked
def folded_size(
    num_components: Count, component_size: Count, features: Count, *, output: Output = "linear"
) -> int:
    """Counts the parameters of the folded network: ``T p + 4 (T - 1) + C D (5 T - 2)``, which is ``T p + O(T D)``.

    Ramps: two ReLUs for each threshold, with a weight and a bias each. Gated layer: for each of the T C D units one
    weight from its pre-activation and one bias, and a weight from each of the neighbouring ramps. Output: one weight
    from each unit.

    Args:
        num_components: T >= 1.
        component_size: p >= 1, the parameters of one component.
        features: D >= 1, the outputs of one component.
        output: C is 2 for ``linear`` outputs, 1 for ``relu``.

    Returns:
        The number of parameters.
    """
    units = features * len(SIGNS[output])
    ramps = 4 * (num_components - 1)
    return num_components * component_size + ramps + units * (5 * num_components - 2)


def _bound(largest: Array, bound: float | None) -> Array:
    if is_concrete(largest) and not bool(jnp.isfinite(largest)):
        raise ValueError("latents must give finite pre-activations, got inf or NaN among them")
    if bound is None:
        return jnp.maximum(4.0 * largest, 1.0)
    if is_concrete(largest) and is_concrete(bound) and largest > bound:
        raise ValueError(
            f"bound must be at least the largest pre-activation on latents, {float(largest):.4g}, got {bound:.4g}"
        )
    return jnp.asarray(bound, jnp.float32)


def _layers(
    log_weights: Array, signs: tuple[float, ...], features: int, bound: Array, width: float
) -> dict[str, Any]:
    """Makes the weights behind the components: ramps ``[T - 1]``, gated units ``[T, C, D]`` and their sum."""
    edges, count = thresholds(log_weights), log_weights.shape[0]
    steepness = 1.0 / jnp.asarray(width, jnp.float32)
    ones = jnp.ones_like(edges)
    shape = (len(signs), features)
    # Below threshold i, where its ramp is missing, the first entry opens component i, the second closes i + 1.
    pair = jnp.stack([bound, -bound])[None, :, None, None]
    last = jnp.arange(count) == count - 1  # its upper ramp is the constant r_T = 0
    signed = jnp.broadcast_to(jnp.asarray(signs)[None, :, None], (count, *shape))
    return {
        "ramps": {
            "kernel": steepness * ones,
            "bias": -steepness * edges,
            "clamp_kernel": -ones,
            "clamp_bias": ones,
        },
        "gated": {
            "from_components": signed,
            "from_ramps": jnp.broadcast_to(pair, (count - 1, 2, *shape)),
            "bias": jnp.broadcast_to(jnp.where(last, 0.0, -bound)[:, None, None], (count, *shape)),
        },
        "output": signed,
    }


def _select(params: Params, z: Array, seeds: Array) -> Array:
    """Sums, ``[B, D]``, the gated units of pre-activations ``[T, B, D]``."""
    gated = params["gated"]
    missing = ramps_missing(params["ramps"], seeds).T[:, :, None, None]  # [T - 1, B, 1, 1]
    effect = missing[:, None] * gated["from_ramps"][:, :, None]  # [T - 1, 2, B, C, D]
    nothing = ((0, 0), (0, 0), (0, 0))
    own = jnp.pad(effect[:, 0], ((0, 1), *nothing))
    other = jnp.pad(effect[:, 1], ((1, 0), *nothing))
    # -M (1 - g_i) is exactly 0 or -M outside the ramps, if summed before z is added.
    closing = (own + other) + gated["bias"][:, None]
    units = jax.nn.relu(z[:, :, None] * gated["from_components"][:, None] + closing)
    return jnp.sum(units * params["output"][:, None], axis=(0, 2))


def _apply_all(
    player: Player, count: int, params: Params, state: ModelState, latents: Array, train: bool
) -> tuple[Array, ModelState]:
    """Runs every component on the same latents; returns pre-activations ``[T, B, ...]`` and the new state."""

    def apply(own: Params, own_state: ModelState, _index: Array) -> tuple[Array, ModelState]:
        return apply_player("player", player, own, own_state, latents, train=train)

    # The indices count the components, which may have neither parameters nor state.
    return map_components(apply, params, state, jnp.arange(count))
