r"""How many samples, and how many components, the theorems of Arora et al. 2017 (arXiv 1703.00573) ask for.

The paper states ``m >= c p Delta^2 log(L L_phi p / eps) / eps^2`` with a universal constant. The constants here are our
own derivation, short enough to check, and explicit. Throughout:

    p      parameters of the discriminator D_v, with v in the unit ball of R^p
    L      Lipschitz constant of v -> D_v(x), for every x
    phi    the measuring function, with values in [-Delta, Delta] and Lipschitz constant L_phi
    F      E_real phi(D_v(x)) + E_fake phi(1 - D_v(x)), whose supremum over v, less 2 phi(1/2), is the distance d

The unit ball has an r-net of at most ``(1 + 2 / r)^p`` points, and v -> phi(D_v(x)) is ``L L_phi``-Lipschitz.

Both arguments hold with probability at least ``1 - exp(-p)``. They are worst-case over P: expect what is measured to be
far smaller, with the same rate, error ~ sqrt(p log(1/error) / m).
"""

import math
from collections.abc import Callable

from mixgan_jax.checks import check_count, check_number


def sufficient_samples(
    error: float,
    num_parameters: int,
    *,
    payoff_bound: float = 1.0,
    lipschitz: float = 1.0,
    phi_lipschitz: float = 1.0,
) -> int:
    """Samples m of *each* distribution that bring the empirical neural net distance within ``error`` of the true one.

    ``m >= (32 Delta^2 / eps^2) (p log(1 + 16 L L_phi / eps) + p + log 4)``. Derivation: on an ``eps / (8 L L_phi)``-net
    Hoeffding's inequality holds both empirical means, of terms in ``[-Delta, Delta]``, to ``eps / 4``, but for
    ``4 exp(-m eps^2 / (32 Delta^2))`` at each point; off the net F and its empirical counterpart move by at most
    ``2 L L_phi r = eps / 4`` each, so in all by eps; the union over the net is asked to be below ``exp(-p)``.

    Args:
        error: eps > 0, in units of the payoff.
        num_parameters: p >= 1.
        payoff_bound: Delta > 0.
        lipschitz: L > 0.
        phi_lipschitz: L_phi > 0.

    Returns:
        m, the least whole number that the formula allows.

    Raises:
        TypeError, ValueError: an argument is not such a number.
    """
    needed = _samples(num_parameters, payoff_bound, lipschitz, phi_lipschitz)
    return _whole(needed(_positive("error", error)))


def sampling_error(
    num_samples: int,
    num_parameters: int,
    *,
    payoff_bound: float = 1.0,
    lipschitz: float = 1.0,
    phi_lipschitz: float = 1.0,
) -> float:
    """The error eps that ``num_samples`` of each distribution guarantee: the inverse of :func:`sufficient_samples`.

    It also bounds the distance of P to m of its own samples (low diversity: a generator that plays m samples of P is
    told apart by at most eps). Above ``4 Delta``, more than which no two payoffs differ by, it says nothing.

    Args:
        num_samples: m >= 1.
        num_parameters: p >= 1.
        payoff_bound: Delta > 0.
        lipschitz: L > 0.
        phi_lipschitz: L_phi > 0.

    Returns:
        eps, the least error for which m samples suffice.

    Raises:
        TypeError, ValueError: an argument is not such a number.
    """
    check_count("num_samples", num_samples)
    return _inverse(_samples(num_parameters, payoff_bound, lipschitz, phi_lipschitz), num_samples)


def sufficient_components(
    error: float,
    num_parameters: int,
    *,
    payoff_bound: float = 1.0,
    lipschitz: float = 1.0,
    phi_lipschitz: float = 1.0,
) -> int:
    """Generators T whose uniform mixture no discriminator of p parameters beats by more than ``error``.

    The mixed theorem's (4.2 as recalled): T generators drawn from an infinite mixture that reproduces P, played
    uniformly, against the discriminator D = 1/2 are an eps-approximate equilibrium of value ``2 phi(1/2)``.
    ``T >= (8 Delta^2 / eps^2) (p log(1 + 8 L L_phi / eps) + p)``. Derivation: against the infinite mixture D gets
    ``E_P [phi(D) + phi(1 - D)] <= 2 phi(1/2)``, phi being concave. Of the mixture of T only the fake term differs, a
    mean of T independent terms in ``[-Delta, Delta]``: one-sided Hoeffding holds it to ``eps / 2`` on an
    ``eps / (4 L L_phi)``-net but for ``exp(-T eps^2 / (8 Delta^2))`` at each point, and off the net the two means move
    by ``L L_phi r = eps / 4`` each.

    Components that only come near the points of P add :func:`blur_error`.

    Args:
        error: eps > 0, in units of the payoff.
        num_parameters: p >= 1, of the discriminator.
        payoff_bound: Delta > 0.
        lipschitz: L > 0.
        phi_lipschitz: L_phi > 0.

    Returns:
        T, the least whole number that the formula allows.

    Raises:
        TypeError, ValueError: an argument is not such a number.
    """
    needed = _components(num_parameters, payoff_bound, lipschitz, phi_lipschitz)
    return _whole(needed(_positive("error", error)))


def mixture_error(
    num_components: int,
    num_parameters: int,
    *,
    payoff_bound: float = 1.0,
    lipschitz: float = 1.0,
    phi_lipschitz: float = 1.0,
) -> float:
    """The gain over ``2 phi(1/2)`` that T components leave: the inverse of :func:`sufficient_components`.

    Args:
        num_components: T >= 1.
        num_parameters: p >= 1, of the discriminator.
        payoff_bound: Delta > 0.
        lipschitz: L > 0.
        phi_lipschitz: L_phi > 0.

    Returns:
        eps, the least gain for which T components suffice.

    Raises:
        TypeError, ValueError: an argument is not such a number.
    """
    check_count("num_components", num_components)
    return _inverse(
        _components(num_parameters, payoff_bound, lipschitz, phi_lipschitz), num_components
    )


def blur_error(
    std: float, dimension: int, *, input_lipschitz: float = 1.0, phi_lipschitz: float = 1.0
) -> float:
    """What a discriminator may gain because components are Gaussians about points of P, and not the points.

    ``L_phi L' sigma sqrt(d)``: a draw of ``N(x, sigma^2 I)`` lies at most ``sigma sqrt(d)`` from x on average, and
    ``phi(1 - D)`` moves by at most ``L_phi L'`` times that, L' being the Lipschitz constant of x -> D_v(x).

    Args:
        std: sigma >= 0.
        dimension: d >= 1.
        input_lipschitz: L' > 0.
        phi_lipschitz: L_phi > 0.

    Returns:
        The error, in units of the payoff.

    Raises:
        TypeError, ValueError: an argument is not such a number.
    """
    std = check_number("std", std, minimum=0.0)
    steepness = _positive("input_lipschitz", input_lipschitz)
    steepness *= _positive("phi_lipschitz", phi_lipschitz)
    return steepness * std * math.sqrt(check_count("dimension", dimension))


def _samples(
    p: int, delta: float, lipschitz: float, phi_lipschitz: float
) -> Callable[[float], float]:
    p, delta, steepness = _class(p, delta, lipschitz, phi_lipschitz)

    def needed(error: float) -> float:
        ratio = delta / error
        net = p * math.log1p(16.0 * steepness / error)
        return 32.0 * ratio * ratio * (net + p + math.log(4.0))

    return needed


def _components(
    p: int, delta: float, lipschitz: float, phi_lipschitz: float
) -> Callable[[float], float]:
    p, delta, steepness = _class(p, delta, lipschitz, phi_lipschitz)

    def needed(error: float) -> float:
        ratio = delta / error
        return 8.0 * ratio * ratio * (p * math.log1p(8.0 * steepness / error) + p)

    return needed


def _class(
    p: int, delta: float, lipschitz: float, phi_lipschitz: float
) -> tuple[int, float, float]:
    """The class of discriminators, checked: p, Delta and ``L L_phi``."""
    steepness = _positive("lipschitz", lipschitz) * _positive("phi_lipschitz", phi_lipschitz)
    return check_count("num_parameters", p), _positive("payoff_bound", delta), steepness


def _inverse(needed: Callable[[float], float], count: int) -> float:
    """The least error for which ``count`` is enough; ``needed`` falls from infinity to 0."""
    low = high = 1.0
    while needed(high) > count:
        high *= 2.0
    while needed(low) <= count:
        low /= 2.0
    for _ in range(200):
        middle = math.sqrt(low * high)
        low, high = (low, middle) if needed(middle) <= count else (middle, high)
    return high


def _whole(needed: float) -> int:
    return max(1, math.ceil(needed))


def _positive(name: str, value: float) -> float:
    return float(check_number(name, value, minimum=0.0, strict=True))
