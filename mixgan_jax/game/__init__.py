"""Matrix games: values, best responses, regrets, and equilibria with a certificate."""

from mixgan_jax.game.matrix import (
    BestResponse as BestResponse,
    BestResponses as BestResponses,
    Equilibrium as Equilibrium,
    EquilibriumError as EquilibriumError,
    Payoffs as Payoffs,
    approximate_equilibrium as approximate_equilibrium,
    best_responses as best_responses,
    expected_payoff as expected_payoff,
    nash_conv as nash_conv,
    regrets as regrets,
    simplex_equilibrium as simplex_equilibrium,
    zero_sum as zero_sum,
    zero_sum_equilibrium as zero_sum_equilibrium,
)
