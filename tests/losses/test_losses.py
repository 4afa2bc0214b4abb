"""Losses: values by hand, signs, precision, broadcasting, errors; what they bound is in test_losses_divergences."""

import inspect
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import DISCRIMINATOR, FEATURES, public_names, solver

import mixgan_jax as mg
from mixgan_jax import losses

LOG2 = math.log(2.0)
PHI_BOUNDED = losses.phi_bounded_log(0.1)
HALF_BOUNDED = math.log(0.55)


class Case(NamedTuple):
    """A loss, and what it is worth: at the neutral logit, and at ``real = 1, fake = -2``."""

    loss: losses.GanLoss
    equilibrium: tuple[float, float, float]  # value, discriminator, generator
    elsewhere: tuple[float, float]  # value, generator
    zero_sum: bool = True


def _softplus(v: float) -> float:
    return math.log1p(math.exp(v))


def _sigmoid(v: float) -> float:
    return 1.0 / (1.0 + math.exp(-v))


_MINIMAX_VALUE = -_softplus(-1.0) - _softplus(-2.0)
_BOUNDED = [math.log(0.1 + 0.9 * _sigmoid(v)) for v in (1.0, 2.0)]

CASES = [
    Case(losses.minimax(), (-2 * LOG2, 2 * LOG2, -LOG2), (_MINIMAX_VALUE, -_softplus(-2.0))),
    Case(losses.logistic(), (-2 * LOG2, 2 * LOG2, -LOG2), (_MINIMAX_VALUE, -_softplus(-2.0))),
    Case(
        losses.non_saturating(),
        (-2 * LOG2, 2 * LOG2, LOG2),
        (_MINIMAX_VALUE, _softplus(2.0)),
        zero_sum=False,
    ),
    Case(losses.wasserstein(), (0.0, 0.0, 0.0), (3.0, 2.0)),
    Case(losses.hinge(), (-2.0, 2.0, 0.0), (0.0, 2.0), zero_sum=False),
    Case(losses.least_squares(), (-0.25, 0.25, 0.125), (-2.0, 4.5), zero_sum=False),
    Case(losses.least_squares(1.0, -1.0, 0.0), (-1.0, 1.0, 0.0), (-0.5, 2.0), zero_sum=False),
    Case(
        losses.relativistic(),
        (-LOG2, LOG2, LOG2),
        (-_softplus(-3.0), _softplus(3.0)),
        zero_sum=False,
    ),
    Case(
        losses.measuring(losses.phi_log()),
        (-2 * LOG2, 2 * LOG2, -LOG2),
        (_MINIMAX_VALUE, -_softplus(-2.0)),
    ),
    Case(
        losses.measuring(losses.phi_identity()),
        (1.0, -1.0, 0.5),
        (_sigmoid(1.0) + _sigmoid(2.0), _sigmoid(2.0)),
    ),
    Case(
        losses.measuring(PHI_BOUNDED),
        (2 * HALF_BOUNDED, -2 * HALF_BOUNDED, HALF_BOUNDED),
        (sum(_BOUNDED), _BOUNDED[1]),
    ),
    Case(
        losses.brier(),
        (-0.5, 0.5, -0.25),
        (-(_sigmoid(-1.0) ** 2) - _sigmoid(-2.0) ** 2, -(_sigmoid(-2.0) ** 2)),
    ),
    Case(
        losses.exponential(),
        (-2.0, 2.0, -1.0),
        (-math.exp(-0.5) - math.exp(-1.0), -math.exp(-1.0)),
    ),
    Case(losses.kl(), (0.0, 0.0, -1.0), (2.0 - math.exp(-2.0), -math.exp(-2.0))),
    Case(losses.reverse_kl(), (0.0, 0.0, 1.0), (3.0 - math.exp(-1.0), 3.0)),
    Case(
        losses.jensen_shannon(),
        (0.0, 0.0, 0.0),
        (2 * LOG2 + _MINIMAX_VALUE, LOG2 - _softplus(-2.0)),
    ),
    Case(
        losses.squared_hellinger(),
        (0.0, 0.0, 0.0),
        (2.0 - math.exp(-0.5) - math.exp(-1.0), 1.0 - math.exp(-1.0)),
    ),
    Case(
        losses.pearson(),
        (0.0, 0.0, 0.0),
        (2 * (math.e - 1) + 1 - math.exp(-4.0), 1 - math.exp(-4.0)),
    ),
    Case(
        losses.total_variation(),
        (0.0, 0.0, 0.0),
        (0.5 * (math.tanh(1.0) + math.tanh(2.0)), 0.5 * math.tanh(2.0)),
    ),
]
IDS = [f"{number} {case.loss.name}" for number, case in enumerate(CASES)]
every_loss = pytest.mark.parametrize("case", CASES, ids=IDS)


def test_every_constructor_has_a_case() -> None:
    constructors = {
        name
        for name in public_names(losses)
        if inspect.isfunction(function := getattr(losses, name))
        and inspect.signature(function, eval_str=True).return_annotation is losses.GanLoss
    }
    made = {case.loss.name.split(" (")[0].replace(" ", "_").replace("-", "_") for case in CASES}
    assert constructors - {"separable"} == made


@every_loss
def test_values_by_hand(case: Case) -> None:
    loss = case.loss
    at_neutral = losses.equilibrium_values(loss)
    assert list(at_neutral) == ["value", "discriminator", "generator"]
    np.testing.assert_allclose(list(at_neutral.values()), case.equilibrium, atol=3e-7)
    real, fake = jnp.array([1.0]), jnp.array([-2.0])
    value, generator = case.elsewhere
    np.testing.assert_allclose(loss.value(real=real, fake=fake), [value], rtol=2e-6, atol=1e-7)
    np.testing.assert_allclose(loss.generator(real=real, fake=fake), [generator], rtol=2e-6)


@every_loss
def test_signs_and_flags(case: Case) -> None:
    """The discriminator minimises minus the value; zero-sum means one gradient for the generator and the value."""
    loss = case.loss
    real, fake = jnp.linspace(-0.9, 2.1, 5), jnp.linspace(1.7, -2.3, 5)
    np.testing.assert_array_equal(
        loss.discriminator(real=real, fake=fake), -loss.value(real=real, fake=fake)
    )
    of_value = jax.grad(lambda fake: jnp.sum(loss.value(real=real, fake=fake)))(fake)
    of_generator = jax.grad(lambda fake: jnp.sum(loss.generator(real=real, fake=fake)))(fake)
    assert loss.zero_sum == case.zero_sum
    assert np.allclose(of_value, of_generator, rtol=1e-5) == case.zero_sum
    # A higher logit on a fake never pleases the discriminator; nor does a lower one on a real.
    if "least squares" not in loss.name:
        assert np.all(of_value <= 0)
        of_real = jax.grad(lambda real: jnp.sum(loss.value(real=real, fake=fake)))(real)
        assert np.all(of_real >= 0)
        assert np.all(of_generator <= 0)


@every_loss
def test_neutral_logit_is_stationary_where_real_and_fake_agree(case: Case) -> None:
    def one_logit(logit: jax.Array) -> jax.Array:
        return case.loss.value(real=logit, fake=logit)

    neutral = jnp.float32(case.loss.neutral)
    assert abs(float(jax.grad(one_logit)(neutral))) < 1e-6
    for away in (-1.5, 1.5):
        assert float(one_logit(neutral + away)) <= float(one_logit(neutral)) + 1e-6


@every_loss
def test_only_relativistic_losses_need_reals_in_the_generator(case: Case) -> None:
    loss, fake = case.loss, jnp.array([0.3, -0.4, 2.0])
    if loss.relativistic:
        with pytest.raises(ValueError, match="real must be the real logits, got None"):
            loss.generator(fake=fake)
        shifted = loss.generator(fake=fake, real=fake + 1.0)
        assert not np.allclose(shifted, loss.generator(fake=fake, real=fake))
    else:
        alone = loss.generator(fake=fake)
        assert alone.shape == (3,)
        np.testing.assert_array_equal(alone, loss.generator(fake=fake, real=jnp.ones((2, 7))))


@every_loss
def test_broadcasting_over_a_grid(case: Case) -> None:
    """Reals ``[J, 1, B']`` against fakes ``[J, I, B]``, put on a grid: terms are those of the single pairs.

    A separable loss is a sum of a term of the real and a term of the fake, so partners can be exchanged.
    """
    loss = case.loss
    real = 0.7 * jax.random.normal(jax.random.key(1), (2, 1, 1, 5))
    fake = 0.7 * jax.random.normal(jax.random.key(2), (2, 3, 4, 1))
    value = loss.value(real=real, fake=fake)
    assert value.shape == (2, 3, 4, 5)
    one = loss.value(real=real[1, 0, 0, 3], fake=fake[1, 2, 1, 0])
    np.testing.assert_allclose(value[1, 2, 1, 3], one, rtol=1e-6)
    in_jit = jax.jit(lambda real, fake: loss.discriminator(real=real, fake=fake))(real, fake)
    np.testing.assert_allclose(in_jit, -value, rtol=1e-5, atol=1e-6)
    if not loss.relativistic:
        np.testing.assert_allclose(
            value[0, 2, 1, 3] + value[0, 1, 0, 2],
            value[0, 2, 1, 2] + value[0, 1, 0, 3],
            rtol=1e-5,
            atol=1e-6,
        )


@every_loss
def test_half_precision_is_promoted(case: Case) -> None:
    wide = {"real": jnp.array([0.5, -1.0, 2.0]), "fake": jnp.array([-0.25, 0.75, 3.0])}
    real, fake = wide["real"].astype(jnp.bfloat16), wide["fake"].astype(jnp.float16)
    for function in (case.loss.value, case.loss.discriminator, case.loss.generator):
        terms = function(real=real, fake=fake)
        assert terms.dtype == jnp.float32
        np.testing.assert_array_equal(terms, function(**wide))


@every_loss
def test_float64_is_kept(case: Case) -> None:
    with jax.enable_x64(True):
        real, fake = jnp.array([0.3, -1.1]), jnp.array([0.2, 0.9])
        assert real.dtype == jnp.float64
        for function in (case.loss.value, case.loss.discriminator, case.loss.generator):
            assert function(real=real, fake=fake).dtype == jnp.float64
        assert case.loss.value(real=real, fake=fake.astype(jnp.bfloat16)).dtype == jnp.float64


# The losses that hold e^v, with the logits of real and fake up to which float32 can hold their sum.
OVERFLOW = {
    "exponential": ((-176.0, math.inf), (-math.inf, 176.0)),
    "kl": ((-math.inf, math.inf), (-math.inf, 88.0)),
    "reverse kl": ((-88.0, math.inf), (-math.inf, math.inf)),
    "squared hellinger": ((-176.0, math.inf), (-math.inf, 176.0)),
    "pearson": ((-math.inf, 87.0), (-math.inf, 44.0)),
}
EVERYWHERE = ((-math.inf, math.inf), (-math.inf, math.inf))


@every_loss
def test_finite_far_out(case: Case) -> None:
    """Values and gradients at +-1e4, or as far out as the docstring says that float32 goes."""
    real_range, fake_range = OVERFLOW.get(case.loss.name, EVERYWHERE)
    real = jnp.clip(jnp.array([-1e4, -1e4, 1e4, 1e4]), *real_range)
    fake = jnp.clip(jnp.array([-1e4, 1e4, -1e4, 1e4]), *fake_range)

    def terms(real: jax.Array, fake: jax.Array) -> list[jax.Array]:
        return [function(real=real, fake=fake) for function in case.loss[1:4]]

    pair = jax.vmap(lambda real, fake: (terms(real, fake), jax.jacrev(terms, (0, 1))(real, fake)))
    outputs = jax.tree.leaves(jax.jit(pair)(real, fake))
    assert len(outputs) == 9  # three terms, each with two derivatives
    assert all(np.all(np.isfinite(output)) for output in outputs)


@pytest.mark.parametrize(
    ("loss", "real", "fake"),
    [
        (losses.exponential(), -178.0, 0.0),
        (losses.exponential(), 0.0, 178.0),
        (losses.kl(), 0.0, 89.0),
        (losses.reverse_kl(), -89.0, 0.0),
        (losses.squared_hellinger(), -178.0, 0.0),
        (losses.squared_hellinger(), 0.0, 178.0),
        (losses.pearson(), 89.0, 0.0),
        (losses.pearson(), 0.0, 44.5),
    ],
)
def test_overflow_is_where_the_docstrings_say(
    loss: losses.GanLoss, real: float, fake: float
) -> None:
    """Infinite just past the stated logit, finite 1.2 before it: nothing is clipped on the way."""
    assert np.isinf(loss.value(real=jnp.float32(real), fake=jnp.float32(fake)))
    inner_real, inner_fake = real - 1.2 * np.sign(real), fake - 1.2 * np.sign(fake)
    assert np.isfinite(loss.value(real=jnp.float32(inner_real), fake=jnp.float32(inner_fake)))


def test_saturating_terms_are_exact_far_out() -> None:
    """log(1 - sigmoid(v)) computed naively is -inf at v = 50; the loss must be linear there, with slope -1."""
    loss = losses.minimax()
    far = jnp.float32(1e4)
    assert float(loss.value(real=-far, fake=far)) == -2e4
    assert float(jax.grad(lambda fake: loss.generator(fake=fake))(far)) == -1.0
    bounded = losses.measuring(PHI_BOUNDED)
    np.testing.assert_allclose(bounded.value(real=-far, fake=far), 2 * math.log(0.1), rtol=1e-6)
    np.testing.assert_allclose(bounded.value(real=far, fake=-far), 0.0, atol=1e-6)


def test_relativistic_depends_on_differences_alone() -> None:
    loss = losses.relativistic()
    real, fake = jnp.array([[0.5], [1.0]]), jnp.array([[0.25, -1.0, 3.0]])
    for function in (loss.value, loss.discriminator, loss.generator):
        np.testing.assert_allclose(
            function(real=real, fake=fake), function(real=real + 8.0, fake=fake + 8.0), rtol=1e-6
        )
        assert function(real=real, fake=fake).shape == (2, 3)


def test_separable_makes_a_loss_of_ones_own() -> None:
    def cube(v: jax.Array) -> jax.Array:
        return v**3

    loss = losses.separable("cubic", real=cube, fake=lambda v: -cube(v), neutral=0.5)
    np.testing.assert_allclose(loss.value(real=jnp.array([2.0]), fake=jnp.array([1.0])), [7.0])
    assert loss.zero_sum
    assert not loss.relativistic
    assert losses.equilibrium_values(loss) == {
        "value": 0.0,
        "discriminator": 0.0,
        "generator": -0.125,
    }


def test_equilibrium_values_are_known_inside_jit() -> None:
    shifted = jax.jit(lambda x: x + losses.equilibrium_values(losses.minimax())["discriminator"])
    np.testing.assert_allclose(shifted(1.0), 1.0 + 2 * LOG2, rtol=1e-6)


@every_loss
def test_bad_logits_are_named(case: Case) -> None:
    loss, good = case.loss, jnp.zeros(3)
    with pytest.raises(TypeError, match="real must be floating point, got dtype int32"):
        loss.value(real=jnp.zeros(3, jnp.int32), fake=good)
    with pytest.raises(TypeError, match="fake must be floating point, got dtype int32"):
        loss.generator(real=good, fake=jnp.zeros(3, jnp.int32))
    with pytest.raises(ValueError, match=r"real \(3,\) and fake \(4,\)"):
        loss.discriminator(real=good, fake=jnp.zeros(4))
    with pytest.raises(ValueError, match=r"same rank .* real \(3,\) and fake \(3, 1\)"):
        loss.value(real=good, fake=jnp.zeros((3, 1)))
    with pytest.raises(TypeError, match="positional"):
        loss.value(good, good)


def test_bad_arguments_are_named() -> None:
    with pytest.raises(ValueError, match="real_label must differ from fake_label, got 1"):
        losses.least_squares(1.0, 1.0)
    with pytest.raises(ValueError, match="generator_target must be a finite number, got nan"):
        losses.least_squares(generator_target=math.nan)
    for delta in (0.0, 1.0, -0.2, 1.5):
        with pytest.raises(ValueError, match="delta must be"):
            losses.phi_bounded_log(delta)
    with pytest.raises(TypeError, match="phi must be a MeasuringFunction"):
        losses.measuring("log")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="neutral must be a finite number, got inf"):
        losses.separable("bad", real=jnp.sin, fake=jnp.sin, neutral=math.inf)


def _averaged(loss: losses.GanLoss, function: str, mean) -> losses.GanLoss:
    """The loss with a mean taken inside one of its functions."""
    return loss._replace(
        name="mine", **{function: lambda **logits: mean(getattr(loss, function)(**logits))}
    )


MEANS = {
    "all": jnp.mean,
    "last": lambda terms: jnp.mean(terms, axis=-1),
    "last kept": lambda terms: jnp.mean(terms, axis=-1, keepdims=True),
    "first kept": lambda terms: jnp.mean(terms, axis=0, keepdims=True),
}
ASKED = "of the loss 'mine' must return one term for each example"


@pytest.mark.parametrize("mean", MEANS.values(), ids=MEANS)
@pytest.mark.parametrize("function", ["value", "discriminator", "generator"])
@pytest.mark.parametrize("make", [losses.minimax, losses.relativistic])
def test_averaged_terms_are_named_when_a_solver_is_made(make, function, mean):
    loss = _averaged(make(), function, mean)
    for pairing in ("full", "latin", "stratified"):
        with pytest.raises(ValueError, match=f"{function} {ASKED}"):
            solver(loss, pairing=pairing)
    with pytest.raises(ValueError, match=f"{function} {ASKED}"):
        losses.equilibrium_values(loss)


@pytest.mark.parametrize("mean", MEANS.values(), ids=MEANS)
@pytest.mark.parametrize("function", ["real", "fake", "generator"])
def test_averaged_terms_are_named_when_a_loss_is_made(function, mean):
    terms = {"real": lambda r: r, "fake": lambda f: -f, "generator": lambda f: -f}
    losses.separable("mine", **terms)
    term = terms[function]
    with pytest.raises(ValueError, match=f"{function} {ASKED}"):
        losses.separable("mine", **{**terms, function: lambda logits: mean(term(logits))})


def test_a_phi_that_averages_is_named():
    phi = losses.phi_identity()._replace(at_logit=lambda logits: jnp.mean(jax.nn.sigmoid(logits)))
    with pytest.raises(ValueError, match="must return one term for each example"):
        losses.measuring(phi)


@pytest.mark.parametrize("packing", [1, 2])
@pytest.mark.parametrize("function", ["value", "discriminator", "generator"])
def test_averaged_terms_are_named_where_players_meet(function, packing):
    """Also for a batch of one pack, where a mean over the examples is each term itself."""
    loss = _averaged(losses.relativistic(), function, jnp.mean)
    judge = mg.pack(DISCRIMINATOR, packing)
    reals = jnp.ones((packing, FEATURES))
    mixture = mg.uniform(jax.random.key(0), judge, 3, jnp.ones((2 * packing, FEATURES)))
    fakes = jnp.ones((2, packing, FEATURES))
    with pytest.raises(ValueError, match=f"{function} {ASKED}"):
        mg.meet(judge, mixture, reals, fakes, loss)


def test_a_loss_may_look_at_pairs_or_at_fakes_alone():
    """A generator that is not relativistic may return one term for each fake or for each pair."""
    loss = losses.minimax()
    pairs = loss._replace(
        generator=lambda *, fake, real: loss.generator(fake=fake) + jnp.zeros_like(real)
    )
    assert losses.equilibrium_values(pairs) == losses.equilibrium_values(loss)
    solver(pairs)
