"""Gradient penalties against hand-computed values, and the regularisers of mixture weights."""

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mixgan_jax import penalties
from mixgan_jax.types import Critic

KEY = jax.random.key(0)


def _linear(weights: jax.Array) -> Critic:
    return lambda x: jnp.einsum("bhw,hw->b", x, weights) + 0.5


def _data(n_real: int, n_fake: int) -> tuple[jax.Array, jax.Array]:
    real = jax.random.normal(jax.random.key(1), (n_real, 3, 2))
    return real, 2.0 + jax.random.normal(jax.random.key(2), (n_fake, 3, 2))


def _terms(
    penalty: penalties.Penalty, critic: Critic, real: jax.Array, fake: jax.Array
) -> jax.Array:
    return jax.jit(lambda real, fake: penalty(KEY, critic, real, fake))(real, fake)


@pytest.mark.parametrize(("n_real", "n_fake"), [(1, 1), (64, 64), (7, 4), (4, 9)])
def test_unit_linear_critic_has_penalty_zero_at_every_batch_size(n_real: int, n_fake: int) -> None:
    """A known fault elsewhere: the gradient of the batch mean, or a norm over the batch, breaks this."""
    weights = jnp.full((3, 2), 1.0 / math.sqrt(6.0))
    terms = _terms(penalties.gradient_penalty(), _linear(weights), *_data(n_real, n_fake))
    assert terms.shape == (min(n_real, n_fake),)
    np.testing.assert_allclose(terms, 0.0, atol=1e-10)


def test_linear_critic_by_hand() -> None:
    """Norm of the weights 3: 10 (3 - 1)^2, and gamma / 2 * 9 for R1 and R2, one term per example."""
    critic = _linear(jnp.array([[1.0, 2.0], [0.0, 0.0], [2.0, 0.0]]))
    real, fake = _data(5, 3)
    full = _terms(penalties.gradient_penalty(), critic, real, fake)
    np.testing.assert_allclose(full, np.full(3, 40.0), rtol=1e-6)
    aimed = _terms(penalties.gradient_penalty(0.1, target=5.0), critic, real, fake)
    np.testing.assert_allclose(aimed, np.full(3, 0.4), rtol=1e-6)
    one_sided = penalties.gradient_penalty(0.1, target=5.0, one_sided=True)
    np.testing.assert_array_equal(_terms(one_sided, critic, real, fake), np.zeros(3))
    above = _terms(penalties.gradient_penalty(one_sided=True), critic, real, fake)
    np.testing.assert_allclose(above, np.full(3, 40.0), rtol=1e-6)
    r1, r2 = penalties.r1(0.2), penalties.r2(0.2)
    np.testing.assert_allclose(_terms(r1, critic, real, fake), np.full(5, 0.9), rtol=1e-6)
    np.testing.assert_allclose(_terms(r2, critic, real, fake), np.full(3, 0.9), rtol=1e-6)


def test_where_each_penalty_looks() -> None:
    """D(x) = |x|^2 / 2 has gradient x: R1 shows the reals, R2 the fakes, WGAN-GP the points between, pairwise."""

    def critic(x: jax.Array) -> jax.Array:
        return 0.5 * jnp.sum(x**2, axis=1)

    real = jnp.array([[3.0, 0.0], [0.0, 1.0], [0.0, 2.0], [5.0, 5.0]])
    fake = jnp.array([[7.0, 0.0], [0.0, 4.0], [0.0, 6.0]])
    np.testing.assert_allclose(penalties.r1(2.0)(KEY, critic, real, fake), [9.0, 1.0, 4.0, 50.0])
    np.testing.assert_allclose(penalties.r2(2.0)(KEY, critic, real, fake), [49.0, 16.0, 36.0])
    both = penalties.r1_r2(2.0)(KEY, critic, real[:3], fake)
    np.testing.assert_allclose(both, [9.0 + 49.0, 1.0 + 16.0, 4.0 + 36.0])
    to_norms = penalties.gradient_penalty(1.0, target=0.0)
    keys = jax.random.split(KEY, 2000)
    norms = jnp.sqrt(jax.jit(jax.vmap(lambda key: to_norms(key, critic, real, fake)))(keys))
    share = (np.asarray(norms) - [3.0, 1.0, 2.0]) / [4.0, 3.0, 4.0]  # 1 - eps of each example
    assert share.shape == (2000, 3)
    assert share.min() > -1e-5
    assert share.max() < 1 + 1e-5
    np.testing.assert_allclose(share.mean(axis=0), 0.5, atol=0.03)
    np.testing.assert_allclose(share.var(axis=0), 1 / 12, atol=0.01)
    # each example has an eps of its own
    assert np.all(np.abs(np.corrcoef(share.T) - np.eye(3)) < 0.1)


def test_one_epsilon_for_all_axes_of_an_example() -> None:
    """Between ones and zeros a point is eps everywhere: D(x) = x_j^2 / 2 reads it off, entry by entry."""
    penalty = penalties.gradient_penalty(1.0, target=0.0)

    def entry(row: int, column: int) -> jax.Array:
        def critic(x: jax.Array) -> jax.Array:
            return 0.5 * x[:, row, column] ** 2

        return jnp.sqrt(penalty(KEY, critic, jnp.ones((4, 3, 2)), jnp.zeros((4, 3, 2))))

    entries = np.stack([entry(row, column) for row in range(3) for column in range(2)], axis=1)
    np.testing.assert_allclose(entries, np.broadcast_to(entries[:, :1], (4, 6)), rtol=1e-6)
    assert np.unique(entries[:, 0]).size == 4


@pytest.mark.parametrize(
    "penalty",
    [penalties.gradient_penalty(), penalties.gradient_penalty(one_sided=True), penalties.r1(1.0)],
    ids=["two-sided", "one-sided", "r1"],
)
def test_penalty_gradients_are_finite_at_a_constant_critic(penalty: penalties.Penalty) -> None:
    """The norm has no derivative at 0; taken naively it makes every parameter NaN at the first step."""

    def loss(weights: jax.Array) -> jax.Array:
        return jnp.mean(penalty(KEY, _linear(weights), *_data(5, 4)))

    value, gradient = jax.jit(jax.value_and_grad(loss))(jnp.zeros((3, 2)))
    assert np.isfinite(value)
    np.testing.assert_array_equal(gradient, np.zeros((3, 2)))


def test_second_order_gradient_of_wgan_gp_by_hand() -> None:
    """For a linear critic d/dw [c (|w| - t)^2] = 2 c (|w| - t) w / |w|."""
    weights = jnp.array([[0.3, -1.2], [0.7, 0.1], [-0.4, 0.9]])
    penalty = penalties.gradient_penalty(10.0, target=1.0)

    def loss(weights: jax.Array) -> jax.Array:
        return jnp.mean(penalty(KEY, _linear(weights), *_data(6, 4)))

    norm = float(jnp.sqrt(jnp.sum(weights**2)))
    np.testing.assert_allclose(
        jax.jit(jax.grad(loss))(weights), 20.0 * (norm - 1.0) / norm * weights, rtol=1e-5
    )


def test_second_order_gradient_of_r1_by_hand() -> None:
    """D(x) = a tanh(b x): grad_x = a b s with s = 1 - tanh^2(bx), so both parameters' gradients are closed forms."""
    x = np.array([-0.8, 0.1, 0.5, 1.3, -0.2])
    a, b, gamma = 1.7, 0.6, 3.0
    penalty = penalties.r1(gamma)

    def loss(parameters: tuple[jax.Array, jax.Array]) -> jax.Array:
        a, b = parameters
        return jnp.mean(
            penalty(KEY, lambda x: a * jnp.tanh(b * x[:, 0]), jnp.float32(x)[:, None], jnp.ones(1))
        )

    s = 1 - np.tanh(b * x) ** 2
    slope = a * b * s
    slope_b = a * s - 2 * a * b * s * np.tanh(b * x) * x
    expected = gamma * np.mean(slope * b * s), gamma * np.mean(slope * slope_b)
    got = jax.jit(jax.grad(loss))((jnp.float32(a), jnp.float32(b)))
    np.testing.assert_allclose(got, expected, rtol=1e-5)


def test_terms_do_not_depend_on_the_rest_of_the_batch() -> None:
    """Gradients of the sum of logits are per-example gradients: a batch of one gives the same terms."""
    first = jax.random.normal(jax.random.key(4), (6, 8))

    def critic(x: jax.Array) -> jax.Array:
        return jnp.sum(jnp.sin(x.reshape(-1, 6) @ first), axis=1)

    real, fake = _data(5, 3)
    for penalty, data in ((penalties.r1(1.0), real), (penalties.r2(1.0), fake)):
        batch = _terms(penalty, critic, real, fake)
        by_one = jax.jit(lambda x, penalty=penalty: penalty(KEY, critic, x, x)[0])
        alone = [by_one(data[i : i + 1]) for i in range(len(data))]
        np.testing.assert_allclose(batch, alone, rtol=1e-5)


def test_half_precision_data_gives_float32_terms() -> None:
    real, fake = _data(4, 5)
    weights = jnp.full((3, 2), 1.0 / math.sqrt(6.0), jnp.bfloat16)

    def critic(x: jax.Array) -> jax.Array:
        return jnp.einsum("bhw,hw->b", x, weights)

    for penalty in (penalties.gradient_penalty(), penalties.r1(1.0), penalties.r2(1.0)):
        terms = _terms(penalty, critic, real.astype(jnp.bfloat16), fake.astype(jnp.bfloat16))
        assert terms.dtype == jnp.float32
    critic, half = _linear(jnp.ones((3, 2))), fake.astype(jnp.float16)
    mixed = _terms(penalties.gradient_penalty(), critic, real, half)
    np.testing.assert_allclose(mixed, 10 * (math.sqrt(6) - 1) ** 2, rtol=1e-5)


def test_bad_penalty_arguments_are_named() -> None:
    with pytest.raises(ValueError, match="coefficient must be a finite number >= 0, got -1"):
        penalties.gradient_penalty(-1.0)
    with pytest.raises(ValueError, match="target must be a finite number >= 0, got inf"):
        penalties.gradient_penalty(target=math.inf)
    for constructor in (penalties.r1, penalties.r2, penalties.r1_r2):
        with pytest.raises(ValueError, match="gamma must be a finite number >= 0, got nan"):
            constructor(math.nan)
    critic, (real, fake) = _linear(jnp.ones((3, 2))), _data(4, 5)
    penalty = penalties.gradient_penalty()
    with pytest.raises(ValueError, match=r"one shape, got real \(4, 3, 2\) and fake \(5, 3, 1\)"):
        penalty(KEY, critic, real, fake[:, :, :1])
    with pytest.raises(TypeError, match="fake must be floating point, got dtype uint8"):
        penalty(KEY, critic, real, fake.astype(jnp.uint8))
    with pytest.raises(ValueError, match=r"as many examples, got real \(4, 3, 2\) and fake \(5,"):
        penalties.r1_r2(1.0)(KEY, critic, real, fake)
    with pytest.raises(ValueError, match=r"real must have shape \[B, ...\] with B >= 1"):
        penalties.r1(1.0)(KEY, critic, real[:0], fake)
    with pytest.raises(ValueError, match=r"critic must return one logit per example, shape \(4,\)"):
        penalties.r1(1.0)(KEY, lambda x: critic(x)[:, None], real, fake)


# Mixture weights.


def test_weight_barrier_by_hand() -> None:
    weights = jnp.array([[0.5, 0.25, 0.25], [1 / 3, 1 / 3, 1 / 3]])
    expected = [5 * math.log(2) / 3, math.log(3)]
    np.testing.assert_allclose(penalties.weight_barrier(weights, epsilon=0.0), expected, rtol=1e-6)
    # KL(uniform || w) + log k
    kl = np.sum(np.log((1 / 3) / np.asarray(weights)) / 3, axis=1)
    np.testing.assert_allclose(expected, kl + math.log(3), rtol=1e-6)
    corner = penalties.weight_barrier(jnp.array([1.0, 0.0]))
    np.testing.assert_allclose(corner, 0.5 * 6 * math.log(10), rtol=1e-5)
    # not the Shannon entropy, whose largest value this least one shares
    assert abs(float(penalties.weight_entropy(weights[0])) - expected[0]) > 0.1


def test_weight_barrier_gradient() -> None:
    weights = jnp.array([0.7, 0.2, 0.06, 0.04])
    np.testing.assert_allclose(
        jax.grad(penalties.weight_barrier)(weights), -1 / (4 * (weights + 1e-6)), rtol=1e-5
    )
    assert np.all(np.isfinite(jax.grad(penalties.weight_barrier)(jnp.array([1.0, 0.0]))))


def test_weight_barrier_minimiser() -> None:
    """With fixed g, sum w_i g_i + lambda R(w) is least at w_i = lambda / (k (g_i + nu)), nu by bisection."""
    g, coefficient = np.array([0.3, -0.2, 0.9, 0.1, 0.35]), 0.1
    low, high = -g.min() + 1e-9, -g.min() + 1.0
    for _ in range(200):
        nu = (low + high) / 2
        total = np.sum(coefficient / (len(g) * (g + nu)))
        low, high = (nu, high) if total > 1 else (low, nu)
    closed = coefficient / (len(g) * (g + nu))
    np.testing.assert_allclose(closed.sum(), 1.0, rtol=1e-9)

    def objective(logits: jax.Array) -> jax.Array:
        weights = jax.nn.softmax(logits)
        regulariser = penalties.weight_barrier(weights, epsilon=0.0)
        return jnp.sum(weights * jnp.asarray(g)) + coefficient * regulariser

    with jax.enable_x64(True):
        descend = lambda logits, _: (logits - 2.0 * jax.grad(objective)(logits), None)  # noqa: E731
        logits, _ = jax.lax.scan(descend, jnp.zeros(len(g)), length=4000)
        np.testing.assert_allclose(jax.nn.softmax(logits), closed, rtol=1e-6)
    assert closed.argmax() == g.argmin()


def test_weight_entropy_by_hand() -> None:
    weights = jnp.array([[0.5, 0.25, 0.25, 0.0], [0.25, 0.25, 0.25, 0.25], [0.0, 0.0, 1.0, 0.0]])
    entropy = penalties.weight_entropy(weights)
    np.testing.assert_allclose(entropy, [1.5 * math.log(2), 2 * math.log(2), 0.0], atol=1e-7)
    np.testing.assert_array_equal(penalties.weight_entropy(weights[::-1]), entropy[::-1])
    np.testing.assert_allclose(penalties.weight_entropy(weights[:, ::-1]), entropy, atol=1e-7)


def test_weight_entropy_gradient_is_finite_at_zero() -> None:
    gradient = jax.grad(penalties.weight_entropy)(jnp.array([0.6, 0.4, 0.0]))
    np.testing.assert_allclose(gradient, [-math.log(0.6) - 1, -math.log(0.4) - 1, 0.0], rtol=1e-6)


@pytest.mark.parametrize("regulariser", [penalties.weight_barrier, penalties.weight_entropy])
def test_weight_regularisers_take_leading_axes_and_half_precision(
    regulariser: Callable[[jax.Array], jax.Array],
) -> None:
    weights = jax.nn.softmax(jax.random.normal(KEY, (2, 3, 5)))
    terms = regulariser(weights)
    assert terms.shape == (2, 3)
    np.testing.assert_allclose(terms[1, 2], regulariser(weights[1, 2]), rtol=1e-6)
    np.testing.assert_allclose(jax.jit(jax.vmap(regulariser))(weights), terms, rtol=1e-6)
    exact = jnp.array([0.5, 0.25, 0.25], jnp.bfloat16)
    assert regulariser(exact).dtype == jnp.float32
    np.testing.assert_array_equal(regulariser(exact), regulariser(exact.astype(jnp.float32)))


@pytest.mark.parametrize("regulariser", [penalties.weight_barrier, penalties.weight_entropy])
def test_bad_weights_are_named(regulariser: Callable[[jax.Array], jax.Array]) -> None:
    with pytest.raises(ValueError, match="weights must be non-negative and sum to 1"):
        regulariser(jnp.array([0.5, 0.6]))
    with pytest.raises(ValueError, match=r"got minimum -0\.5"):
        regulariser(jnp.array([1.5, -0.5]))
    with pytest.raises(ValueError, match="weights must be finite"):
        regulariser(jnp.array([math.nan, 0.5]))
    with pytest.raises(TypeError, match="weights must be floating point"):
        regulariser(jnp.array([1, 0]))
    with pytest.raises(ValueError, match=r"weights must have shape \[..., K\]"):
        regulariser(jnp.float32(1.0))
    with pytest.raises(ValueError, match="epsilon must be a finite number >= 0"):
        penalties.weight_barrier(jnp.array([1.0]), epsilon=-1e-6)
