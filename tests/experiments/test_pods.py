"""The cost model of a pod against XLA's own count."""

import jax
import jax.numpy as jnp
import pytest
from helpers import first_quick

from experiments.benchmark.pods import Costs, costs_of, step_costs
from experiments.benchmark.workloads import dcgan_game


@pytest.mark.parametrize("pairing", first_quick(["latin", "full", "stratified"]))
def test_flops_of_a_step_are_those_that_xla_counts(pairing):
    game = dcgan_game(16, 2, pairing, width=16)
    solver = game.solver(strategy="unroll")  # XLA counts the body of a loop once
    state = jax.eval_shape(solver.init, jax.random.key(0))
    real = jax.ShapeDtypeStruct((16, 32, 32, 3), jnp.float32)
    counted = jax.jit(solver.step).lower(jax.random.key(0), state, real).cost_analysis()["flops"]
    flops = step_costs(costs_of(game), pairing, 2, 1, 16).flops
    assert flops == pytest.approx(counted, rel=0.02)


def test_a_step_on_a_pod_by_hand():
    """k = 4 on 2 devices, batch 8; players of 1 FLOP, samples of 1 number, 1 byte kept."""
    costs = Costs(10, 20, 1.0, 1.0, 1.0, 1)
    full = step_costs(costs, "full", 4, 2, 8)
    assert full.flops == 2 * (4 * 8 + 3 * 8 + 5 * 32)
    assert full.received == 3 * 32 * 2 / 2
    assert full.memory == 16 * 2 * 30 + 4 * (32 + 2 * 32) + (8 + 32)
    latin = step_costs(costs, "latin", 4, 2, 8)
    assert latin.flops == 2 * (4 * 8 + 8 * 8)
    assert latin.received == 3 * 16 * 2 / 2
    stratified = step_costs(costs, "stratified", 4, 2, 8)
    assert stratified.flops == 2 * (4 * 2 + 8 * 8)
    assert stratified.received == 3 * 8 * 2 / 2
