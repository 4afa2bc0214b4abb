r"""Numbers of samples and of components that the theorems of Arora et al. 2017 (arXiv 1703.00573) ask for.

The paper states ``m >= c p Delta^2 log(L L_phi p / eps) / eps^2`` with a universal constant. We derived the explicit
constants here ourselves, in proofs short enough to check. A class of discriminators has four constants:

    num_parameters   p >= 1       parameters of the discriminator D_v, with v in the unit ball of R^p
    payoff_bound     Delta > 0    the measuring function phi has values in [-Delta, Delta]
    lipschitz        L > 0        Lipschitz constant of v -> D_v(x), for every x
    phi_lipschitz    L_phi > 0    Lipschitz constant of phi

    F    E_real phi(D_v(x)) + E_fake phi(1 - D_v(x)), whose supremum over v, less 2 phi(1/2), is the distance d

The unit ball has an r-net of at most ``(1 + 2 / r)^p`` points, and v -> phi(D_v(x)) is ``L L_phi``-Lipschitz.

Both arguments hold with probability at least ``1 - exp(-p)``. They are worst-case over P: expect a far smaller error in
a measurement, with the same rate, error ~ sqrt(p log(1/error) / m).
"""

import math
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from mixgan_jax.checked import checked
from mixgan_jax.types import Count, NonNegative, Positive


class _Class(NamedTuple):
    """The constants of a class of discriminators; see the table above."""

    num_parameters: int
    payoff_bound: float
    lipschitz: float
    phi_lipschitz: float

    @property
    def steepness(self) -> float:
        """``L L_phi``."""
        return self.lipschitz * self.phi_lipschitz


@checked
def sufficient_samples(  # noqa: D417
    error: Positive,
    num_parameters: Count,
    *,
    payoff_bound: Positive = 1.0,
    lipschitz: Positive = 1.0,
    phi_lipschitz: Positive = 1.0,
) -> int:
    """Returns how many samples m of *each* distribution bring the neural net distance within ``error`` of the true one.

    ``m >= (32 Delta^2 / eps^2) (p log(1 + 16 L L_phi / eps) + p + log 4)``. Derivation: take an
    ``eps / (8 L L_phi)``-net. At each of its points Hoeffding's inequality holds both empirical means, of terms in
    ``[-Delta, Delta]``, to ``eps / 4``, except with probability ``4 exp(-m eps^2 / (32 Delta^2))``. Off the net F and
    its empirical counterpart move by at most ``2 L L_phi r = eps / 4`` each, so all errors add up to eps. The union
    over the net must be below ``exp(-p)``.

    Args:
        error: eps > 0, in units of the payoff.
        num_parameters, payoff_bound, lipschitz, phi_lipschitz: p, Delta, L and L_phi of the module's table.

    Returns:
        m, the least whole number that the formula allows.

    Example:
        >>> import mixgan_jax as mg
        >>> mg.theory.sufficient_samples(0.1, 10), mg.theory.sufficient_components(0.1, 10)
        (199042, 43156)
    """
    needed = _samples(_Class(num_parameters, payoff_bound, lipschitz, phi_lipschitz), error)
    return max(1, math.ceil(needed))


@checked
def sampling_error(  # noqa: D417
    num_samples: Count,
    num_parameters: Count,
    *,
    payoff_bound: Positive = 1.0,
    lipschitz: Positive = 1.0,
    phi_lipschitz: Positive = 1.0,
) -> float:
    """Returns the error eps that ``num_samples`` of each distribution guarantee; inverts :func:`sufficient_samples`.

    The error also bounds the distance of P to m of its own samples (low diversity: discriminators tell a generator that
    plays m samples of P from P by at most eps). No two payoffs differ by more than ``4 Delta``, so a larger eps says
    nothing.

    Args:
        num_samples: m >= 1.
        num_parameters, payoff_bound, lipschitz, phi_lipschitz: p, Delta, L and L_phi of the module's table.

    Returns:
        eps, the least error for which m samples suffice.
    """
    constants = _Class(num_parameters, payoff_bound, lipschitz, phi_lipschitz)
    return _least_error(partial(_samples, constants), num_samples)


@checked
def sufficient_components(  # noqa: D417
    error: Positive,
    num_parameters: Count,
    *,
    payoff_bound: Positive = 1.0,
    lipschitz: Positive = 1.0,
    phi_lipschitz: Positive = 1.0,
) -> int:
    """Returns how many generators T make a uniform mixture that no discriminator beats by more than ``error``.

    This is the mixed theorem's number (4.2 as recalled). Draw T generators from an infinite mixture that reproduces P
    and play them uniformly. Against the discriminator D = 1/2 they are an eps-approximate equilibrium of value
    ``2 phi(1/2)`` if ``T >= (8 Delta^2 / eps^2) (p log(1 + 8 L L_phi / eps) + p)``. Derivation: against the infinite
    mixture D gets ``E_P [phi(D) + phi(1 - D)] <= 2 phi(1/2)``, since phi is concave. In the mixture of T only the fake
    term differs, a mean of T independent terms in ``[-Delta, Delta]``. At each point of an ``eps / (4 L L_phi)``-net
    one-sided Hoeffding holds it to ``eps / 2``, except with probability ``exp(-T eps^2 / (8 Delta^2))``. Off the net
    the two means move by ``L L_phi r = eps / 4`` each.

    Components that only come near the points of P add :func:`blur_error`.

    Args:
        error: eps > 0, in units of the payoff.
        num_parameters, payoff_bound, lipschitz, phi_lipschitz: p, Delta, L and L_phi of the module's table.

    Returns:
        T, the least whole number that the formula allows.
    """
    needed = _components(_Class(num_parameters, payoff_bound, lipschitz, phi_lipschitz), error)
    return max(1, math.ceil(needed))


@checked
def mixture_error(  # noqa: D417
    num_components: Count,
    num_parameters: Count,
    *,
    payoff_bound: Positive = 1.0,
    lipschitz: Positive = 1.0,
    phi_lipschitz: Positive = 1.0,
) -> float:
    """Returns the gain over ``2 phi(1/2)`` that T components leave; inverts :func:`sufficient_components`.

    Args:
        num_components: T >= 1.
        num_parameters, payoff_bound, lipschitz, phi_lipschitz: p, Delta, L and L_phi of the module's table.

    Returns:
        eps, the least gain for which T components suffice.
    """
    constants = _Class(num_parameters, payoff_bound, lipschitz, phi_lipschitz)
    return _least_error(partial(_components, constants), num_components)


@checked
def blur_error(
    std: NonNegative,
    dimension: Count,
    *,
    input_lipschitz: Positive = 1.0,
    phi_lipschitz: Positive = 1.0,
) -> float:
    """Bounds what a discriminator gains if components are Gaussians about points of P instead of the points.

    ``L_phi L' sigma sqrt(d)``: a draw of ``N(x, sigma^2 I)`` lies at most ``sigma sqrt(d)`` from x on average, and
    ``phi(1 - D)`` moves by at most ``L_phi L'`` times that, where L' is the Lipschitz constant of x -> D_v(x).

    Args:
        std: sigma >= 0.
        dimension: d >= 1.
        input_lipschitz: L' > 0.
        phi_lipschitz: L_phi > 0.

    Returns:
        The error, in units of the payoff.
    """
    return input_lipschitz * phi_lipschitz * std * math.sqrt(dimension)


def _samples(of: _Class, error: float) -> float:
    ratio = of.payoff_bound / error
    net = of.num_parameters * math.log1p(16.0 * of.steepness / error)
    return 32.0 * ratio * ratio * (net + of.num_parameters + math.log(4.0))


def _components(of: _Class, error: float) -> float:
    ratio = of.payoff_bound / error
    net = of.num_parameters * math.log1p(8.0 * of.steepness / error)
    return 8.0 * ratio * ratio * (net + of.num_parameters)


def _least_error(needed: Callable[[float], float], count: int) -> float:
    """Returns the least error for which ``count`` is enough; ``needed`` falls from infinity to 0."""
    low = high = 1.0
    while needed(high) > count:
        high *= 2.0
    while needed(low) <= count:
        low /= 2.0
    for _ in range(200):
        middle = math.sqrt(low * high)
        low, high = (low, middle) if needed(middle) <= count else (middle, high)
    return high
