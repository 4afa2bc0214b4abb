r"""Continuous zero-sum games: pure functions f(x, y) whose mixed equilibria are known exactly.

The rows' player picks x and minimises, the columns' player picks y and maximises. A mixed strategy is a measure, here
of finite support: ``mu = sum_i p_i delta_{x_i}`` and ``nu = sum_j q_j delta_{y_j}``, each a :class:`Particles`. MIX+GAN
is such a game in which x are a generator's parameters, y a discriminator's, and f their payoff.

Where f has finitely many features, ``f(x, y) = phi(x)' A psi(y)``, there are equilibria with at most one atom more than
features on either side (Caratheodory); all games made here have that form. :func:`mixed_equilibrium`
finds them, and :func:`nikaido_isoda` measures how far a pair of strategies is from one.
"""

from collections.abc import Callable
from typing import Annotated, Any, Literal, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp

from mixgan_jax.checked import checked, unchecked
from mixgan_jax.checks import check_counts
from mixgan_jax.losses import GanLoss, separable
from mixgan_jax.players.player import Player
from mixgan_jax.types import Array, Count, Key, ModelState, Params, Shaped

Domain: TypeAlias = Literal["torus", "box"]
"""Where positions lie: ``torus`` is [0, 1) in each coordinate, periodic; ``box`` is [-1, 1]."""

Features: TypeAlias = Callable[[Array], Array]
"""A function from a position ``[D]`` to features ``[N]``."""


class ContinuousGame(NamedTuple):
    """A zero-sum game between two positions.

    Attributes:
        payoff: ``f(x, y)``, from positions ``[D]`` and ``[E]`` to a scalar; x minimises, y maximises. Pure, twice
            differentiable, and in the dtype of its arguments.
        dimensions: the numbers D and E of coordinates.
        domain: where positions lie.
    """

    payoff: Callable[[Array, Array], Array]
    dimensions: tuple[int, int] = (1, 1)
    domain: Domain = "torus"


class Particles(NamedTuple):
    """A mixed strategy of finite support.

    Attributes:
        positions: ``[K, D]``.
        weights: ``[K]``, >= 0 and of sum 1.
    """

    positions: Any
    weights: Any


def _check_dimensions(name: str, value: object) -> tuple[int, int]:
    first, second = check_counts(name, value, 2)
    return first, second


@checked
def feature_game(
    matrix: Annotated[Array, Shaped(2, floating=True)],
    row_features: Features,
    column_features: Features,
    *,
    dimensions: Annotated[tuple[int, int], _check_dimensions] = (1, 1),
    domain: Domain = "torus",
) -> ContinuousGame:
    """Makes the game ``f(x, y) = phi(x)' A psi(y)``.

    Args:
        matrix: A ``[M, N]``.
        row_features: phi, from ``[D]`` to ``[M]``.
        column_features: psi, from ``[E]`` to ``[N]``.
        dimensions: D and E.
        domain: where positions lie.

    Returns:
        The game. It computes in the dtype of the positions.
    """
    for name, features, dimension, size in zip(
        ("row_features", "column_features"),
        (row_features, column_features),
        dimensions,
        matrix.shape,
        strict=True,
    ):
        found = jax.eval_shape(features, jax.ShapeDtypeStruct((dimension,), jnp.float32))
        shape = getattr(found, "shape", None)
        if shape != (size,):
            raise ValueError(
                f"{name} must return {size} features, as the matrix {matrix.shape} has, got shape {shape}"
            )

    def payoff(x: Array, y: Array) -> Array:
        return row_features(x) @ matrix.astype(x.dtype) @ column_features(y)

    return ContinuousGame(payoff, dimensions, domain)


def trigonometric_features(frequencies: int, dimension: int) -> Features:
    """Makes the features 1, ``cos 2 pi k.x`` and ``sin 2 pi k.x`` for ``0 < |k_1| + ... + |k_D| <= frequencies``.

    Only one of k and -k is used. On the circle there are ``1 + 2 frequencies`` features.
    """

    def vectors(length: int, budget: int) -> list[tuple[int, ...]]:
        if not length:
            return [()]
        first = range(-budget, budget + 1)
        return [(k, *rest) for k in first for rest in vectors(length - 1, budget - abs(k))]

    zero = (0,) * dimension
    positive = [vector for vector in vectors(dimension, frequencies) if vector > zero]

    def features(x: Array) -> Array:
        angles = 2.0 * jnp.pi * (jnp.asarray(positive, x.dtype) @ x)
        return jnp.concatenate([jnp.ones((1,), x.dtype), jnp.cos(angles), jnp.sin(angles)])

    return features


@checked
def trigonometric_game(key: Key, frequencies: Count = 3, dimension: Count = 1) -> ContinuousGame:
    """Draws a game on the circle or torus whose payoff is a trigonometric polynomial in either position.

    ``f(x, y) = phi(x)' A phi(y)`` with A standard normal and the features 1, ``cos 2 pi k.x`` and ``sin 2 pi k.x`` for
    all whole k, of k and -k one, with ``0 < |k_1| + ... + |k_D| <= frequencies``.

    Args:
        key: consumed by A. Its entries are float32 numbers in any precision of JAX, so the game is the same.
        frequencies: the largest frequency >= 1.
        dimension: D >= 1, of either player.

    Returns:
        The game on the torus.

    Example:
        >>> import jax
        >>> from mixgan_jax import theory
        >>> game = theory.trigonometric_game(jax.random.key(0))
        >>> found = theory.mixed_equilibrium(game)
        >>> len(found.rows.weights) <= 8, found.gap < 1e-9
        (True, True)
    """
    features = trigonometric_features(frequencies, dimension)
    size = jax.eval_shape(features, jax.ShapeDtypeStruct((dimension,), jnp.float32)).shape[0]
    matrix = jax.random.normal(key, (size, size), jnp.float32)
    return feature_game(matrix, features, features, dimensions=(dimension, dimension))


@checked
def polynomial_game(matrix: Annotated[Array, Shaped(2, floating=True)]) -> ContinuousGame:
    """Makes a polynomial game on the box [-1, 1], ``f(x, y) = sum_mn a_mn x^m y^n``.

    Such games have equilibria of finite support (Dresher, Karlin and Shapley 1950), often with atoms on the walls.

    Args:
        matrix: a ``[M, N]``, coefficients of the powers 0..M-1 of x and 0..N-1 of y.

    Returns:
        The game.
    """

    def powers(count: int) -> Features:
        def features(x: Array) -> Array:
            return jnp.cumprod(jnp.concatenate([jnp.ones_like(x), *[x] * (count - 1)]))

        return features

    return unchecked(feature_game)(matrix, *map(powers, matrix.shape), domain="box")


@checked
def point_gan(
    data: Annotated[Array, Shaped(1, floating=True)], frequencies: Count = 3
) -> ContinuousGame:
    r"""Makes the GAN whose generator is a point on the circle and whose discriminator is a wave packet around y.

    .. math:: f(x, y) = \frac1N \sum_n D(x_n - y) - D(x - y), \qquad D(t) = \sum_{k = 1}^K \cos(2 \pi k t),

    the payoff of a Wasserstein GAN. A mixture of points is at an equilibrium, of value 0, exactly if its first K
    Fourier coefficients are those of the data: no discriminator then tells them apart. Weights must move where modes of
    the data have unequal mass.

    Args:
        data: N points of the circle ``[N]``.
        frequencies: K >= 1.

    Returns:
        The game on the torus.
    """
    waves = trigonometric_features(frequencies, 1)
    moments = jnp.mean(jax.vmap(waves)(data[:, None]), axis=0)[1:]
    matrix = jnp.concatenate([moments[None], -jnp.eye(len(moments), dtype=moments.dtype)])
    return unchecked(feature_game)(matrix, waves, lambda y: waves(y)[1:])


class ParticlePlayers(NamedTuple):
    """The players of a game of positions, for ``mix_gan`` and the other solvers.

    Attributes:
        generator: a point: its parameters are its position ``[D]``, and all its samples are that.
        discriminator: its parameters are its position y ``[E]``, and its logit of a sample x is ``f(x, y)``.
        loss: its value is the logit of the fake, whatever the real.
    """

    generator: Player
    discriminator: Player
    loss: GanLoss


@checked
def particle_players(game: ContinuousGame) -> ParticlePlayers:
    r"""Makes players whose parameters are positions, so that a mixture of players is a mixed strategy.

    With them ``mix_gan(..., component_speed="equal", update="simultaneous", weight_barrier=0)``, gradient steps
    ``sgd(eta sigma)`` and ``exponentiated_gradient(eta)`` make the step of Wasserstein-Fisher-Rao descent-ascent
    (Domingo-Enrich, Jelassi, Mensch, Rotskoff and Bruna 2020, arXiv 2002.06277),

    .. math::
        p_i \propto p_i e^{-\eta F(x_i)}, \qquad x_i \leftarrow x_i - \eta \sigma \nabla F(x_i), \qquad
        F(x) = \sum_j q_j f(x, y_j),

    and for y and q the same with plus signs. On the torus positions are not wrapped, since f is periodic. On the box
    nothing holds them inside. Latents and reals are not looked at: take batches ``[1, D]`` of zeros. ``extragradient``
    around ``mix_gan`` is mirror-prox, on weights as on positions: its first step is a whole one.

    Solvers start weights in float32, also under ``jax.enable_x64``; for errors below 1e-7 cast the first state.

    Args:
        game: the game; both sides start uniformly at random on its domain.

    Returns:
        The players and the loss.
    """
    least = 0.0 if game.domain == "torus" else -1.0

    def starting(dimension: int) -> Callable[..., tuple[Params, ModelState]]:
        def init(key: Key, _example: Array) -> tuple[Params, ModelState]:
            return jax.random.uniform(key, (dimension,), minval=least), {}

        return init

    def make(
        x: Params, state: ModelState, latents: Array, *, train: bool
    ) -> tuple[Array, ModelState]:
        del train
        return jnp.broadcast_to(x, (latents.shape[0], *x.shape)), state

    def judge(y: Params, state: ModelState, x: Array, *, train: bool) -> tuple[Array, ModelState]:
        del train
        return jax.vmap(game.payoff, (0, None))(x, y), state

    rows, columns = game.dimensions
    loss = separable("payoff", real=jnp.zeros_like, fake=lambda logits: logits)
    return ParticlePlayers(Player(starting(rows), make), Player(starting(columns), judge), loss)
