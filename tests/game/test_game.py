"""Matrix games: values by hand, exact equilibria against independent programs, degenerate games, errors."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import linprog

from mixgan_jax import game, theory

# Rows: the generator, which minimises. p^T V = (3.25, 0.5, 5.25), V q = (2.3, 3.8), p^T V q = 3.425.
VALUE = jnp.array([[1.0, 2.0, 3.0], [4.0, 0.0, 6.0]])
ROWS = jnp.array([0.25, 0.75])
COLUMNS = jnp.array([0.2, 0.3, 0.5])
RPS = np.array([[0.0, 1.0, -1.0], [-1.0, 0.0, 1.0], [1.0, -1.0, 0.0]])


def test_expected_payoff_by_hand():
    np.testing.assert_allclose(game.expected_payoff(VALUE, ROWS, COLUMNS), 3.425, rtol=1e-6)


def test_best_responses_by_hand():
    generator, discriminator = game.best_responses(game.zero_sum(VALUE), ROWS, COLUMNS)
    np.testing.assert_allclose(generator.payoffs, [-2.3, -3.8], rtol=1e-6)
    np.testing.assert_allclose(discriminator.payoffs, [3.25, 0.5, 5.25], rtol=1e-6)
    assert (int(generator.strategy), int(discriminator.strategy)) == (0, 2)
    np.testing.assert_allclose([generator.payoff, discriminator.payoff], [-2.3, 5.25], rtol=1e-6)


def test_regrets_and_nash_conv_by_hand():
    payoffs = game.zero_sum(VALUE)
    np.testing.assert_allclose(game.regrets(payoffs, ROWS, COLUMNS), [1.125, 1.825], rtol=1e-5)
    np.testing.assert_allclose(game.nash_conv(payoffs, ROWS, COLUMNS), 2.95, rtol=1e-5)


def test_nash_conv_without_zero_sum():
    """Prisoner's dilemma: both defect (index 1) is the only equilibrium; each gains 1 by leaving (0, 0)."""
    mine = jnp.array([[3.0, 0.0], [4.0, 1.0]])
    payoffs = game.Payoffs(generator=mine, discriminator=mine.T)
    first, second = jnp.array([1.0, 0.0]), jnp.array([0.0, 1.0])
    assert float(game.nash_conv(payoffs, second, second)) == 0.0
    assert float(game.nash_conv(payoffs, first, first)) == 2.0
    assert float(game.nash_conv(payoffs, first, second)) == 1.0


def test_nash_conv_is_zero_only_at_equilibrium():
    payoffs = game.zero_sum(jnp.asarray(RPS, jnp.float32))
    third = jnp.full(3, 1 / 3)
    assert float(game.nash_conv(payoffs, third, third)) < 1e-7
    assert float(game.nash_conv(payoffs, third, jnp.array([0.5, 0.25, 0.25]))) > 0.2


def test_nash_conv_is_never_negative():
    keys = jax.random.split(jax.random.key(0), 3)
    values = 1e3 + jax.random.normal(keys[0], (500, 4, 3))
    rows = jax.nn.softmax(4.0 * jax.random.normal(keys[1], (500, 4)))
    columns = jax.nn.softmax(4.0 * jax.random.normal(keys[2], (500, 3)))
    gaps = jax.jit(game.nash_conv)(game.zero_sum(values), rows, columns)
    assert float(gaps.min()) >= 0.0


def test_permuting_components_permutes_results():
    order, other = np.array([1, 0]), np.array([2, 0, 1])
    moved = game.zero_sum(VALUE[order][:, other])
    responses = game.best_responses(game.zero_sum(VALUE), ROWS, COLUMNS)
    permuted = game.best_responses(moved, ROWS[order], COLUMNS[other])
    pairs = zip(permuted, responses, (order, other), strict=True)
    for after, before, moves in pairs:
        np.testing.assert_allclose(after.payoffs, before.payoffs[moves], rtol=1e-5)
        assert int(moves[after.strategy]) == int(before.strategy)


@pytest.mark.slow
def test_leading_axes_jit_and_vmap_agree():
    """Many matrices, or many weights against one matrix, by broadcasting and by ``vmap``."""
    keys = jax.random.split(jax.random.key(1), 2)
    values = jax.random.normal(keys[0], (5, 2, 3))
    rows = jax.nn.softmax(jax.random.normal(keys[1], (5, 2)))

    def gap(value, weights):
        return game.nash_conv(game.zero_sum(value), weights, COLUMNS)

    np.testing.assert_allclose(gap(values, rows), jax.jit(jax.vmap(gap))(values, rows), rtol=1e-5)
    one = gap(VALUE, rows)
    assert one.shape == (5,)
    np.testing.assert_allclose(one[3], gap(VALUE, rows[3]), rtol=1e-6)
    assert jnp.isfinite(jax.grad(lambda value: gap(value, ROWS))(VALUE)).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"generator_weights": jnp.log(ROWS)}, "not log-weights"),
        ({"generator_weights": jnp.array([0.5, 0.6])}, "sum to 1"),
        ({"discriminator_weights": ROWS}, r"discriminator_weights must have shape \[\.\.\., 3\]"),
        ({"payoffs": game.zero_sum(VALUE)._replace(generator=VALUE.T)}, "one shape"),
        ({"payoffs": game.Payoffs(VALUE.at[1, 2].set(jnp.nan), VALUE)}, "finite"),
        ({"payoffs": game.Payoffs(VALUE[0], VALUE[0])}, r"shape \[\.\.\., I, J\]"),
    ],
)
def test_bad_games_are_named(change, message):
    arguments = {
        "payoffs": game.zero_sum(VALUE),
        "generator_weights": ROWS,
        "discriminator_weights": COLUMNS,
    }
    with pytest.raises(ValueError, match=message):
        game.nash_conv(**(arguments | change))


# Exact equilibria -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("matrix", "rows", "columns", "value"),
    [
        ([[1, -1], [-1, 1]], [0.5, 0.5], [0.5, 0.5], 0),  # matching pennies
        (RPS, [1 / 3] * 3, [1 / 3] * 3, 0),
        (np.diag([1, 2, 4]), [4 / 7, 2 / 7, 1 / 7], [4 / 7, 2 / 7, 1 / 7], 4 / 7),
        ([[3, 0], [1, 2]], [1 / 4, 3 / 4], [1 / 2, 1 / 2], 3 / 2),
        ([[2, 1, 0], [5, 4, 6]], [1, 0], [1, 0, 0], 2),  # a pure saddle point
        ([[3, 2, 5]], [1], [0, 0, 1], 5),  # one generator: the discriminator's maximum
        ([[3], [2], [5]], [0, 1, 0], [1], 2),
        ([[7]], [1], [1], 7),
    ],
)
@pytest.mark.parametrize("maximum_entropy", [False, True])
def test_known_equilibria(matrix, rows, columns, value, maximum_entropy):
    found = game.zero_sum_equilibrium(matrix, maximum_entropy=maximum_entropy)
    np.testing.assert_allclose(found.generator, rows, atol=1e-9)
    np.testing.assert_allclose(found.discriminator, columns, atol=1e-9)
    assert found.value == pytest.approx(value, abs=1e-9)
    assert 0.0 <= found.gap <= 1e-8 * max(np.ptp(matrix), 1e-300)
    assert found.generator.dtype == np.float64


@pytest.mark.parametrize(
    ("matrix", "rows", "columns"),
    [
        (np.full((3, 4), 2.5), [1 / 3] * 3, [1 / 4] * 4),  # all is equal
        # matching pennies with its first row twice: the copies share its weight
        ([[1, -1], [1, -1], [-1, 1]], [1 / 4, 1 / 4, 1 / 2], [1 / 2, 1 / 2]),
        (RPS[[0, 1, 1, 2]][:, [0, 0, 1, 2, 2]], [1 / 3, 1 / 6, 1 / 6, 1 / 3], [1 / 6] * 2 + [1 / 3] + [1 / 6] * 2),
        # The second column binds: of 3 a <= b + c the most even choice is a = 1/4.
        ([[0, 3], [0, -1], [0, -1]], [1 / 4, 3 / 8, 3 / 8], [1, 0]),
        # ... and its mirror image for the other side
        ([[0, 0, 0], [-3, 1, 1]], [1, 0], [1 / 4, 3 / 8, 3 / 8]),
        # Rank one: u = (1, -1, 0) must average to 0, which uniform weights do.
        (np.outer([1, -1, 0], [1, -1]), [1 / 3] * 3, [1 / 2] * 2),
    ],
)  # fmt: skip
def test_maximum_entropy_by_hand(matrix, rows, columns):
    found = game.zero_sum_equilibrium(matrix, maximum_entropy=True)
    np.testing.assert_allclose(found.generator, rows, atol=1e-9)
    np.testing.assert_allclose(found.discriminator, columns, atol=1e-9)


SHAPES = [(2, 3), (5, 5), (7, 2), (16, 12), (10, 64), (64, 40), (64, 64)]


def random_game(kind: str, shape: tuple[int, int], seed: int) -> np.ndarray:
    random = np.random.default_rng([seed, *shape])
    rows, columns = shape
    normal = random.normal(size=shape)
    if kind == "integer":
        return random.integers(-1, 2, shape).astype(float)
    if kind == "rank one":
        return np.outer(normal[:, 0], normal[0])
    if kind == "rank two":
        return normal[:, :2] @ random.normal(size=(2, columns))
    if kind == "copies":
        return normal[random.integers(0, (rows + 2) // 3, rows)][
            :, random.integers(0, (columns + 2) // 3, columns)
        ]
    if kind == "averages":  # half of the rows are mixtures of the others
        half = (rows + 1) // 2
        normal[half:] = random.dirichlet(np.ones(half), rows - half) @ normal[:half]
    if kind == "constant lines":
        normal[random.integers(rows)], normal[:, random.integers(columns)] = 0.3, 0.1
    if (
        kind == "saddle"
    ):  # row 0 holds every column down to at most 0, column 0 every row up to at least 0
        normal[0], normal[:, 0] = -np.abs(normal[0]), np.abs(normal[:, 0])
        normal[0, 0] = 0.0
    if kind == "sparse":
        return (normal > 1.5).astype(float)
    return normal


KINDS = [
    "normal", "integer", "rank one", "rank two", "copies", "averages", "constant lines", "saddle",
    "sparse",
]  # fmt: skip
EACH = 4  # games per kind and shape: 9 * 7 * 4 = 252 in all


def discriminator_program(matrix: np.ndarray) -> float:
    """The value of the game from the other side's program, solved on its own by an interior-point method."""
    rows, columns = matrix.shape
    solved = linprog(
        np.append(np.zeros(columns), -1.0),
        A_ub=np.column_stack([-matrix, np.ones(rows)]),
        b_ub=np.zeros(rows),
        A_eq=np.append(np.ones(columns), 0.0)[None],
        b_eq=[1.0],
        bounds=[(0, None)] * columns + [(None, None)],
        method="highs-ipm",
    )
    assert solved.success, solved.message
    return -solved.fun


@pytest.mark.parametrize("kind", KINDS)
def test_agrees_with_the_other_players_program(kind):
    for shape in SHAPES:
        for seed in range(EACH):
            matrix = random_game(kind, shape, seed)
            spread = np.ptp(matrix) or 1.0
            expected = discriminator_program(matrix)
            for maximum_entropy in (False, True):
                found = game.zero_sum_equilibrium(matrix, maximum_entropy=maximum_entropy)
                # the certificate, recomputed from nothing but the weights
                above = (found.generator @ matrix).max()
                below = (matrix @ found.discriminator).min()
                assert above - below <= 1e-8 * spread
                assert found.gap == pytest.approx(max(above - below, 0.0), abs=1e-12 * spread)
                for weights in found[:2]:
                    assert weights.min() >= 0.0
                    assert weights.sum() == pytest.approx(1.0, abs=1e-12)
                assert found.value == pytest.approx(expected, abs=1e-7 * spread)
            if kind == "saddle":
                assert found.value == pytest.approx(0.0, abs=1e-8)


def entropy_left(matrix: np.ndarray, weights: np.ndarray, value: float) -> float:
    """A bound on how much more entropy an optimal strategy of the row player could have.

    Entropy is concave, so over the optimal set no strategy exceeds the linear model at ``weights``: another program.
    """
    logs = np.log(np.maximum(weights, 1e-9))
    solved = linprog(
        logs,
        A_ub=matrix.T,
        b_ub=np.full(matrix.shape[1], value + 1e-10),
        A_eq=np.ones((1, weights.size)),
        b_eq=[1.0],
        options={"primal_feasibility_tolerance": 1e-10},
    )
    assert solved.success, solved.message
    return float(-solved.fun + weights @ logs)


@pytest.mark.parametrize("kind", KINDS)
def test_no_equilibrium_has_more_entropy(kind):
    for shape in SHAPES[:5]:
        for seed in range(EACH):
            matrix = random_game(kind, shape, seed)
            matrix = matrix / (np.ptp(matrix) or 1.0)
            found = game.zero_sum_equilibrium(matrix, maximum_entropy=True)
            assert entropy_left(matrix, found.generator, found.value) < 1e-3
            assert entropy_left(-matrix.T, found.discriminator, -found.value) < 1e-3


def test_the_entropy_test_can_fail():
    """A vertex of a degenerate game is an equilibrium, but not the one of largest entropy."""
    matrix = np.array([[1.0, -1.0], [1.0, -1.0], [-1.0, 1.0]])
    assert entropy_left(matrix, np.array([0.5, 0.0, 0.5]), 0.0) > 1.0


def test_identical_components_get_equal_weights():
    copied = random_game("normal", (6, 5), 0)[[0, 1, 2, 3, 4, 5, 0, 3]][:, [0, 1, 2, 3, 4, 4]]
    found = game.zero_sum_equilibrium(copied, maximum_entropy=True)
    np.testing.assert_allclose(found.generator[[0, 3]], found.generator[[6, 7]], atol=1e-12)
    assert found.discriminator[4] == pytest.approx(found.discriminator[5], abs=1e-12)


@pytest.mark.parametrize(("scale", "offset"), [(1e-6, 0.0), (1e6, 0.0), (1e-6, 1.0), (-1e6, 1e9)])
@pytest.mark.parametrize("maximum_entropy", [False, True])
def test_scale_and_offset_do_not_matter(scale, offset, maximum_entropy):
    matrix = random_game("copies", (7, 5), 2)
    plain = game.zero_sum_equilibrium(
        matrix if scale > 0 else -matrix, maximum_entropy=maximum_entropy
    )
    found = game.zero_sum_equilibrium(scale * matrix + offset, maximum_entropy=maximum_entropy)
    assert found.gap <= 1e-8 * abs(scale) * np.ptp(matrix)
    assert (found.value - offset) / abs(scale) == pytest.approx(plain.value, abs=1e-7)
    if maximum_entropy:  # otherwise the equilibrium need not be the same one
        np.testing.assert_allclose(found.generator, plain.generator, atol=1e-6)


def test_near_ties_are_solved():
    """Differences of 1e-5 and 1e-7 of the range decide."""
    for noise in (1e-5, 1e-7):
        for seed in range(10):
            random = np.random.default_rng(seed)
            matrix = random.integers(-1, 2, (9, 7)) + noise * random.normal(size=(9, 7))
            found = game.zero_sum_equilibrium(matrix, maximum_entropy=True)
            assert found.gap <= 1e-8 * np.ptp(matrix)


def test_large_game():
    matrix = np.random.default_rng(0).normal(size=(256, 256))
    found = game.zero_sum_equilibrium(matrix)
    assert found.gap <= 1e-8 * np.ptp(matrix)


def test_equilibrium_beats_nash_conv_of_anything_else():
    matrix = random_game("normal", (4, 6), 5)
    found = game.zero_sum_equilibrium(matrix)
    payoffs = game.zero_sum(jnp.asarray(matrix, jnp.float32))
    weights = [jnp.asarray(w, jnp.float32) for w in found[:2]]
    assert float(game.nash_conv(payoffs, *weights)) < 1e-5
    assert float(game.nash_conv(payoffs, jnp.full(4, 0.25), jnp.full(6, 1 / 6))) > 0.1


@pytest.mark.parametrize("bad", ["status", "weights"])
def test_a_failing_solver_raises(monkeypatch, bad):
    """A solver that reports failure, or success with wrong weights, is never believed."""
    import scipy.optimize

    def broken(c, **_):
        result = scipy.optimize.OptimizeResult(success=bad == "weights", message="out of luck")
        result.x = np.append(np.eye(3)[0], 0.0)
        result.ineqlin = scipy.optimize.OptimizeResult(marginals=-np.eye(3)[0])
        return result

    monkeypatch.setattr(scipy.optimize, "linprog", broken)
    message = "out of luck" if bad == "status" else "certificate"
    with pytest.raises(game.EquilibriumError, match=message):
        game.zero_sum_equilibrium(RPS)


def test_bad_matrices_are_named():
    with pytest.raises(ValueError, match="value_matrix must be finite"):
        game.zero_sum_equilibrium([[1.0, np.nan]])
    with pytest.raises(ValueError, match=r"value_matrix must have shape \[I, J\]"):
        game.zero_sum_equilibrium(np.zeros((2, 0)))
    with pytest.raises(ValueError, match=r"value_matrix must have shape \[I, J\]"):
        game.zero_sum_equilibrium(np.zeros(3))
    with pytest.raises(TypeError, match="value_matrix must be a matrix of real numbers"):
        game.zero_sum_equilibrium([["a"]])
    with pytest.raises(TypeError, match="value_matrix must be known, outside jit"):
        jax.jit(game.zero_sum_equilibrium)(VALUE)
    with pytest.raises(ValueError, match="tolerance must be a finite number > 0"):
        game.zero_sum_equilibrium(RPS, tolerance=0.0)


# The solver inside jit ------------------------------------------------------------------------------------------


def test_approximate_equilibrium_brackets_the_exact_value():
    """Under ``jit(vmap)``, at three scales; the gap it reports is its own NashConv and bounds its error."""
    matrices = np.stack([random_game("normal", (4, 3), seed) for seed in range(12)])
    solve = jax.jit(jax.vmap(game.approximate_equilibrium))
    for scale in (1e-6, 1.0, 1e6):
        values = jnp.asarray(scale * matrices, jnp.float32)
        found = solve(values)
        spread = np.ptp(matrices, axis=(1, 2)) * scale
        assert (np.asarray(found.gap) < 2e-3 * spread).all()
        assert np.median(found.gap / spread) < 1e-5
        gap = game.nash_conv(game.zero_sum(values), found.generator, found.discriminator)
        np.testing.assert_allclose(found.gap / spread, gap / spread, atol=1e-5)
        for i, matrix in enumerate(matrices):
            exact = scale * game.zero_sum_equilibrium(matrix).value
            assert abs(float(found.value[i]) - exact) <= found.gap[i] + 1e-5 * spread[i]


def test_approximate_equilibrium_keeps_ties():
    copied = jnp.asarray(random_game("normal", (3, 5), 1)[[0, 1, 1, 2]], jnp.float32)
    found = game.approximate_equilibrium(copied, num_steps=500)
    assert float(found.generator[1]) == pytest.approx(float(found.generator[2]), abs=1e-6)
    constant = game.approximate_equilibrium(jnp.full((4, 5), 3.0), num_steps=500)
    np.testing.assert_allclose(constant.discriminator, [0.2] * 5, rtol=1e-6)
    assert (float(constant.value), float(constant.gap)) == (3.0, 0.0)


def test_approximate_equilibrium_returns_the_better_of_last_and_average():
    """With a step far too long the last iterate runs away from rock, paper, scissors; the average does not."""
    start = jnp.asarray(RPS + np.diag([0.0, 0.3, 0.6]), jnp.float32)
    found = game.approximate_equilibrium(start, num_steps=3000, step_size=20.0)
    assert float(found.gap) < 0.05


def test_approximate_equilibrium_errors():
    with pytest.raises(ValueError, match="rank 2"):
        game.approximate_equilibrium(jnp.zeros((2, 3, 4)))
    with pytest.raises(ValueError, match="num_steps"):
        game.approximate_equilibrium(VALUE, num_steps=0)
    with pytest.raises(ValueError, match="step_size"):
        game.approximate_equilibrium(VALUE, step_size=0.0)


@pytest.mark.parametrize("kind", ["normal", "integer", "rank two", "copies", "saddle"])
def test_simplex_equilibrium_is_exact(kind):
    """Under ``jit(vmap)``, at two scales, for games with ties, copies and saddle points."""
    matrices = np.stack([random_game(kind, (5, 4), seed) for seed in range(12)])
    solve = jax.jit(jax.vmap(game.simplex_equilibrium))
    spread = np.maximum(np.ptp(matrices, axis=(1, 2)), 1e-3)
    for scale in (1e-4, 1e4):
        found = solve(jnp.asarray(scale * matrices, jnp.float32))
        assert (np.asarray(found.gap) < 1e-5 * scale * spread).all()
        for i, matrix in enumerate(matrices):
            exact = game.zero_sum_equilibrium(matrix).value
            assert float(found.value[i]) / scale == pytest.approx(exact, rel=1e-5, abs=1e-5)


def test_simplex_equilibrium_is_sparse():
    """One of two copies has all the weight, who is dominated has none; a constant game is solved."""
    copied = jnp.asarray(RPS, jnp.float32)[jnp.asarray([0, 1, 1, 2])]
    worse = jnp.concatenate([copied, copied[:1] + 1.0])
    found = game.simplex_equilibrium(worse)
    np.testing.assert_allclose(
        sorted(found.generator.tolist()), [0, 0, 1 / 3, 1 / 3, 1 / 3], atol=1e-6
    )
    assert float(found.generator[4]) == 0.0
    assert sorted(found.generator.tolist())[1] == 0.0
    constant = game.simplex_equilibrium(jnp.full(worse.shape, 3.0))
    assert (float(constant.value), float(constant.gap)) == (3.0, 0.0)
    with pytest.raises(ValueError, match="rank 2"):
        game.simplex_equilibrium(jnp.zeros((2, 3, 4)))


@pytest.mark.parametrize("maximum_entropy", [False, True])
def test_payoffs_whose_range_is_beyond_the_dtype(maximum_entropy):
    """Rock, paper, scissors and a shifted game, near the ends of float64 and of float32."""
    for scale in (1.5e308, 1e300, 1e-300):
        found = game.zero_sum_equilibrium(scale * np.asarray(RPS), maximum_entropy=maximum_entropy)
        np.testing.assert_allclose(found.generator, 1 / 3, atol=1e-9)
        assert abs(found.value) <= 1e-9 * scale
    found = game.zero_sum_equilibrium([[1.7e308, -1.7e308], [-1.7e308, 0.0]])
    np.testing.assert_allclose(found.generator, [1 / 3, 2 / 3], atol=1e-9)
    assert found.value == pytest.approx(-1.7e308 / 3)
    large = jnp.asarray([[3e38, -3e38], [-3e38, 0.0]])
    for found in (game.simplex_equilibrium(large), game.approximate_equilibrium(large)):
        np.testing.assert_allclose(found.generator, [1 / 3, 2 / 3], atol=2e-3)
        assert float(found.value) == pytest.approx(-1e38, rel=1e-2)


def test_matrices_of_whole_numbers_are_taken_everywhere():
    """Each function gives what it gives for the same numbers as floats."""
    whole, half = np.array([[0, 1, -1], [-1, 0, 1], [1, -1, 0]]), np.full(3, 1 / 3, np.float32)
    functions = [
        game.zero_sum,
        game.zero_sum_equilibrium,
        game.simplex_equilibrium,
        game.approximate_equilibrium,
        lambda matrix: game.expected_payoff(matrix, half, half),
        lambda matrix: game.nash_conv(game.Payoffs(-matrix, matrix), half, half),
        lambda matrix: game.regrets(game.Payoffs(-matrix, matrix), half, half),
        lambda matrix: game.best_responses(game.Payoffs(-matrix, matrix), half, half),
        lambda matrix: theory.fictitious_play(matrix, 5),
    ]
    for function in functions:
        for matrix in (whole, jnp.asarray(whole), whole.astype(np.int8)):
            got, expected = function(matrix), function(whole.astype(np.float32))
            jax.tree.map(np.testing.assert_array_equal, got, expected)
