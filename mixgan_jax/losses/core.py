"""The type of a GAN loss: three element-wise functions of logits, and their values at the equilibrium."""

from collections.abc import Callable
from typing import Annotated, Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np

from mixgan_jax.checked import checked
from mixgan_jax.checks import check_array, check_function, check_kind
from mixgan_jax.types import Array, ArrayLike, Number

Term: TypeAlias = Callable[[Array], Array]
"""An element-wise function of logits, float32 or wider."""

# Logits as in a payoff matrix: every fake of each generator meets several reals. No two sizes are equal, so a mean over
# any axis shows.
_REALS = jax.ShapeDtypeStruct((1, 3, 5), jnp.float32)
_FAKES = jax.ShapeDtypeStruct((2, 1, 5), jnp.float32)


class GanLoss(NamedTuple):
    """A loss as functions of logits: keyword-only ``real=`` and ``fake=`` in, unreduced terms out.

    All three work element by element. ``real`` and ``fake`` have the same rank and broadcast against each other
    (axes of length 1). The terms have the broadcast shape. The functions average nothing and smooth no label.
    They compute in float32 for float16 and bfloat16 logits, otherwise in the wider dtype of the two.

    Where ``relativistic`` is False, each function is a term of the reals plus a term of the fakes. Its mean over a
    broadcast grid is then the mean over the reals plus the mean over the fakes.

    Attributes:
        name: the loss's name in tables and plots.
        value: ``value(*, real, fake)``, the payoff of the zero-sum game: the discriminator maximises it, the
            generator minimises it. Equilibrium measures use this one.
        discriminator: ``discriminator(*, real, fake)``, the term that the discriminator minimises: ``-value``.
        generator: ``generator(*, fake, real=None)``, the term that the generator minimises. It has the shape of
            ``fake``, or the broadcast shape where ``relativistic`` is True. Otherwise ``real`` is ignored.
        zero_sum: whether ``generator`` is ``value`` up to terms without ``fake``.
        relativistic: whether the loss compares reals and fakes in pairs, so that ``generator`` needs ``real``.
        neutral: the logit of a discriminator that cannot tell real from fake, D = 1/2.
    """

    name: str
    value: Callable[..., Array]
    discriminator: Callable[..., Array]
    generator: Callable[..., Array]
    zero_sum: bool
    relativistic: bool
    neutral: float


@checked
def separable(
    name: str, *, real: Term, fake: Term, generator: Term | None = None, neutral: Number = 0.0
) -> GanLoss:
    """Makes the loss whose payoff is a term of the real logits plus a term of the fake logits.

    ``value = real(r) + fake(f)``, ``discriminator = -value``. Every loss of this package except the relativistic one
    is made here. So can your own be.

    Args:
        name: the loss's name in tables and plots.
        real: element-wise term of the real logits; the discriminator maximises it.
        fake: element-wise term of the fake logits; the discriminator maximises it.
        generator: element-wise term of the fake logits that the generator minimises. None takes ``fake``, which makes
            the game zero-sum.
        neutral: the logit at D = 1/2, any finite number.

    Returns:
        The loss, not relativistic, with the checks and the precision that :class:`GanLoss` states.
    """
    generator_term = fake if generator is None else generator
    for argument, term in {"real": real, "fake": fake, "generator": generator_term}.items():
        check_terms(name, argument, jax.eval_shape(term, _FAKES), _FAKES.shape)

    # In the functions below `real` and `fake` are logits: the terms need names of their own.
    real_term, fake_term = real, fake

    def value(*, real: ArrayLike, fake: ArrayLike) -> Array:
        real, fake = logits_pair(real, fake)
        return real_term(real) + fake_term(fake)

    def discriminator(*, real: ArrayLike, fake: ArrayLike) -> Array:
        real, fake = logits_pair(real, fake)
        return -(real_term(real) + fake_term(fake))

    def generator_loss(*, fake: ArrayLike, real: ArrayLike | None = None) -> Array:
        del real
        return generator_term(as_logits("fake", fake))

    return GanLoss(name, value, discriminator, generator_loss, generator is None, False, neutral)


def with_slope(term: Term, slope: Term) -> Term:
    """Gives ``term`` the derivative ``slope``, where JAX's own would round to 0 or overflow far out.

    Args:
        term: element-wise function of logits.
        slope: its derivative, element-wise, itself differentiable.
    """
    function = jax.custom_jvp(term)

    @function.defjvp
    def jvp(primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
        return function(*primals), slope(*primals) * tangents[0]

    return function


def check_loss(name: str, loss: GanLoss) -> GanLoss:
    """Calls the three functions of a loss abstractly: each must return one term for each example."""
    check_kind(name, loss, GanLoss)
    logits = {"real": _REALS, "fake": _FAKES}
    pairs = np.broadcast_shapes(_REALS.shape, _FAKES.shape)
    for function in ("value", "discriminator", "generator"):
        terms = jax.eval_shape(
            check_function(f"{name}.{function}", getattr(loss, function)), **logits
        )
        check_terms(loss.name, function, terms, *_term_shapes(loss, function, _FAKES.shape, pairs))
    return loss


Loss: TypeAlias = Annotated[GanLoss, check_loss]
"""A loss whose three functions return one term for each example."""


@checked
def equilibrium_values(loss: Loss) -> dict[str, float]:
    """Evaluates the three functions of a loss where the discriminator cannot tell real from fake.

    Training curves of a GAN carry little meaning by themselves; these are the lines to draw beside them. A curve at
    its line is necessary for the equilibrium, not sufficient: a discriminator that learns nothing sits there too.

    Args:
        loss: any loss.

    Returns:
        ``{"value", "discriminator", "generator"}`` at ``real = fake = loss.neutral``, as floats in the loss's units
        (nats for the logarithmic ones), in float32 precision.
    """
    with jax.ensure_compile_time_eval():
        neutral = jnp.asarray(loss.neutral, jnp.float32)
        terms = {
            "value": loss.value(real=neutral, fake=neutral),
            "discriminator": loss.discriminator(real=neutral, fake=neutral),
            "generator": loss.generator(real=neutral, fake=neutral),
        }
        # Adding 0.0 leaves no "-0.0" for a legend.
        return {name: float(term) + 0.0 for name, term in terms.items()}


def mean_term(loss: GanLoss, function: str, real: Array, fake: Array) -> Array:
    """Averages a loss's function over the last two axes: all pairs of a real and a fake.

    Args:
        loss: any loss that returns one term for each example.
        function: ``value``, ``discriminator`` or ``generator``.
        real: logits that broadcast against ``fake``, of the same rank.
        fake: logits ``[..., M, N]``.
    """
    terms = getattr(loss, function)(real=real, fake=fake)
    pairs = np.broadcast_shapes(real.shape, fake.shape)
    check_terms(loss.name, function, terms, *_term_shapes(loss, function, fake.shape, pairs))
    return jnp.mean(terms, axis=(-2, -1))


def check_terms(loss_name: str, function: str, terms: Any, *shapes: tuple[int, ...]) -> None:
    """Raises a ValueError that names the loss, unless its terms have one of ``shapes``."""
    shape = tuple(terms.shape) if hasattr(terms, "shape") else type(terms).__name__
    if shape not in shapes:
        raise ValueError(
            f"{function} of the loss {loss_name!r} must return one term for each example, shape {shapes[0]} here, got "
            f"{shape}: leave the mean over the batch to the solver"
        )


def _term_shapes(
    loss: GanLoss, function: str, fakes: tuple[int, ...], pairs: tuple[int, ...]
) -> tuple[tuple[int, ...], ...]:
    """Returns the shapes that terms may have. A generator that sees no reals has one term for each fake."""
    return (fakes, pairs) if function == "generator" and not loss.relativistic else (pairs,)


def as_logits(name: str, logits: ArrayLike) -> Array:
    """Returns floating-point logits in float32 or wider; an error calls them ``name``."""
    array = check_array(name, logits, floating=True)
    return array.astype(jnp.float32) if array.dtype.itemsize < 4 else array


def logits_pair(real: ArrayLike, fake: ArrayLike) -> tuple[Array, Array]:
    """Returns real and fake logits in the wider of their dtypes, float32 at least, if their shapes broadcast.

    Ranks must agree (a scalar goes with anything): ``[B]`` against ``[B, 1]`` would quietly make ``[B, B]`` terms.
    """
    real, fake = as_logits("real", real), as_logits("fake", fake)
    try:
        np.broadcast_shapes(real.shape, fake.shape)
        fits = real.ndim == fake.ndim or 0 in (real.ndim, fake.ndim)
    except ValueError:
        fits = False
    if not fits:
        raise ValueError(
            "real and fake must be logits of the same rank whose shapes broadcast, "
            f"got real {real.shape} and fake {fake.shape}"
        )
    dtype = max(real.dtype, fake.dtype, key=lambda dtype: dtype.itemsize)
    return real.astype(dtype), fake.astype(dtype)
