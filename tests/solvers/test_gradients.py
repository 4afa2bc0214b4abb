"""The gradients of mixtures against ``jax.grad`` of objectives written out pair by pair, at unequal weights."""

import inspect
from collections.abc import Iterator
from itertools import product
from typing import Any

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from helpers import (
    BATCH,
    DISCRIMINATOR,
    FEATURES,
    GENERATOR,
    LATENT,
    batch,
    first_quick,
    spread,
    train,
)

import mixgan_jax as mg
from mixgan_jax.networks import MLP
from mixgan_jax.solvers.core.game import Game
from mixgan_jax.solvers.core.gradients import discriminator_gradients, generator_gradients
from mixgan_jax.types import Array, Key

NUM_G, NUM_D = 2, 3
PAIRS = tuple(product(range(NUM_G), range(NUM_D)))
BARRIER = 0.7
R1, R2 = 0.3, 0.8
PAIRINGS = ("full", "latin", "stratified")
LOSSES = {loss.name: loss for loss in (mg.losses.minimax(), mg.losses.non_saturating())}
LOSSES |= {"relativistic": mg.losses.relativistic()}

softplus = jax.nn.softplus
TERMS = {  # what a discriminator and a generator minimise, of a real logit r and a fake logit f
    "minimax": (lambda r, f: softplus(-r) + softplus(f), lambda r, f: -softplus(f)),
    "non-saturating": (lambda r, f: softplus(-r) + softplus(f), lambda r, f: softplus(-f)),
    "relativistic": (lambda r, f: softplus(f - r), lambda r, f: softplus(r - f)),
}


def both_penalties(key: Key, critic: Any, real: Array, fake: Array) -> Array:
    """R1 and R2 as one penalty ``[B]``: nothing random, and one of them depends on the generator."""
    on_fakes = jnp.mean(mg.penalties.r2(R2)(key, critic, real, fake))
    return mg.penalties.r1(R1)(key, critic, real, fake) + on_fakes


def game(loss: mg.GanLoss, pairing: str) -> Game:
    return Game(
        generator=GENERATOR,
        discriminator=DISCRIMINATOR,
        loss=loss,
        sizes=(NUM_G, NUM_D),
        latent_size=LATENT,
        latent_sampler=jax.random.normal,
        shared_latents=False,
        penalty=both_penalties,
        weight_barrier=BARRIER,
        pairing=pairing,
        strategy="auto",
    )


@pytest.fixture(scope="module")
def mixtures() -> tuple[mg.Mixture, mg.Mixture]:
    """Weights of about (0.12, 0.88) and (0.09, 0.24, 0.67); biases, zero at first, are moved as well."""
    keys = jax.random.split(jax.random.key(0), 4)
    generators = mg.uniform(keys[0], GENERATOR, NUM_G, jnp.zeros((2, LATENT)))
    discriminators = mg.uniform(keys[1], DISCRIMINATOR, NUM_D, jnp.zeros((2, FEATURES)))

    def away(key: Key, mixture: mg.Mixture) -> mg.Mixture:
        params = jax.tree.map(lambda p: p + 0.5 * jax.random.normal(key, p.shape), mixture.params)
        return spread(mg.Mixture(params, mixture.state, mixture.log_weights))

    return away(keys[2], generators), away(keys[3], discriminators)


def one(tree: Any, k: int) -> Any:
    return jax.tree.map(lambda leaf: leaf[k], tree)


def judge(discriminator: Any, x: Array) -> Array:
    return DISCRIMINATOR.apply(discriminator, {}, x, train=True)[0]


def all_fakes(generators: Any, latents: Array, pairing: str) -> list:
    """The fakes of every pair, ``[i][j]``.

    Latin: discriminator j gets part (j - i) mod 3 of the 3 equal parts of generator i's; else everybody gets all.
    """
    fakes = [
        GENERATOR.apply(one(generators, i), {}, latents[i], train=True)[0] for i in range(NUM_G)
    ]
    if pairing != "latin":
        return [[fakes[i]] * NUM_D for i in range(NUM_G)]
    size = BATCH // NUM_D
    starts = [[(j - i) % NUM_D * size for j in range(NUM_D)] for i in range(NUM_G)]
    return [[fakes[i][start : start + size] for start in starts[i]] for i in range(NUM_G)]


def pair_losses(side: int, name: str, fakes: list, discriminators: Any, real: Array) -> list:
    """``side`` 0: what discriminator j minimises against generator i; 1: the other way round. ``[i][j]``."""
    real_logits = [judge(one(discriminators, j), real) for j in range(NUM_D)]

    def of_pair(i: int, j: int) -> Array:
        f = judge(one(discriminators, j), fakes[i][j])
        return jnp.mean(TERMS[name][side](real_logits[j], jnp.tile(f, BATCH // f.size)))

    return [[of_pair(i, j) for j in range(NUM_D)] for i in range(NUM_G)]


def slopes(discriminator: Any, x: Array) -> Array:
    """The mean squared norm of the discriminator's gradients at inputs ``[B, F]``."""
    gradient = jax.vmap(jax.grad(lambda point: judge(discriminator, point[None])[0]))(x)
    return jnp.mean(jnp.sum(gradient**2, axis=1))


def weighted(matrix: list, w: Array, v: Array) -> Array:
    return sum(w[i] * v[j] * matrix[i][j] for i, j in PAIRS)


def barrier(w: Array) -> Array:
    return -BARRIER * jnp.mean(jnp.log(w + 1e-6))


@pytest.mark.parametrize("pairing", PAIRINGS)
@pytest.mark.parametrize("name", first_quick(LOSSES))
def test_gradients_are_those_of_the_written_out_game(name: str, pairing: str, mixtures) -> None:
    (g, d), (w, v) = [[getattr(m, part) for m in mixtures] for part in ("params", "weights")]
    real = batch(jax.random.key(1))
    fakes_each = BATCH // NUM_G if pairing == "stratified" else BATCH
    z = jax.random.normal(jax.random.key(2), (NUM_G, fakes_each, LATENT))

    def d_loss(d: Any, v: Array) -> tuple[Array, Array]:
        losses = pair_losses(0, name, all_fakes(g, z, pairing), d, real)
        return weighted(losses, w, v), jnp.stack([jnp.stack(row) for row in losses])

    def g_loss(g: Any, w: Array) -> Array:
        return weighted(pair_losses(1, name, all_fakes(g, z, pairing), d, real), w, v)

    def penalty(d: Any) -> Array:
        players, fakes = [one(d, j) for j in range(NUM_D)], all_fakes(g, z, pairing)
        on_reals = [0.5 * R1 * slopes(players[j], real) for j in range(NUM_D)]
        on_fakes = [
            [0.5 * R2 * slopes(players[j], fakes[i][j]) for j in range(NUM_D)] for i in range(NUM_G)
        ]
        return sum(w[i] * v[j] * (on_reals[j] + on_fakes[i][j]) for i, j in PAIRS)

    @jax.jit
    def expected() -> tuple:
        (loss, matrix), (down, down_weights) = jax.value_and_grad(d_loss, (0, 1), has_aux=True)(
            d, v
        )
        down = jax.tree.map(lambda a, b: NUM_D * (a + b), down, jax.grad(penalty)(d))
        up_loss, (up, up_weights) = jax.value_and_grad(g_loss, (0, 1))(g, w)
        up = jax.tree.map(lambda a: NUM_G * a, up)
        down_weights += jax.grad(barrier)(v)
        up_weights += jax.grad(barrier)(w)
        return (down, down_weights, up, up_weights), (loss, up_loss, -matrix)

    @jax.jit
    def got(generators: mg.Mixture, discriminators: mg.Mixture) -> tuple:
        rules = game(LOSSES[name], pairing)
        key = jax.random.key(3)
        fakes, _ = mg.generate(GENERATOR, generators, z, train=True)
        down, d_info = discriminator_gradients(
            rules, key, generators.weights, discriminators, real, fakes
        )
        up, g_info = generator_gradients(rules, generators, discriminators, real, z)
        infos = (d_info["discriminator_loss"], g_info["generator_loss"], d_info["values"])
        return (down.params, down.weights, up.params, up.weights), infos

    (gradients, infos), (expected_gradients, expected_infos) = got(*mixtures), expected()
    for part, expected_part in zip(gradients, expected_gradients, strict=True):
        chex.assert_trees_all_close(part, expected_part, rtol=1e-5, atol=1e-5)
        leaves = [np.abs(leaf).reshape(len(leaf), -1) for leaf in jax.tree.leaves(expected_part)]
        assert np.all(np.concatenate(leaves, axis=1).max(axis=1) > 1e-3), "nothing was compared"
    chex.assert_trees_all_close(infos, expected_infos, rtol=1e-5, atol=1e-5)


RATE = 0.125
# Few different shapes: without jit every operation is compiled for each of its shapes.
BATCH_NORM_GENERATOR = MLP((FEATURES,), outputs=FEATURES, batch_norm=True, activation=nn.tanh)
BATCH_NORM_DISCRIMINATOR = MLP((FEATURES,), batch_norm=True, activation=nn.tanh)


def batch_norm_gan(update: str, g: dict, d: dict, draws: Iterator[Array], reals: list) -> tuple:
    """A GAN with Linen's batch norm and plain gradient steps, without this package's mixtures and solvers."""

    def apply(module: nn.Module, params: Any, variables: dict, x: Array) -> tuple[Array, Any]:
        variables = {"params": params, "batch_stats": variables["batch_stats"]}
        y, changed = module.apply(variables, x, train=True, mutable=["batch_stats"])
        return y, changed["batch_stats"]

    def d_loss(d_params: Any, d: dict, g: dict, real: Array, z: Array) -> tuple[Array, Any]:
        fakes, _ = apply(BATCH_NORM_GENERATOR, g["params"], g, z)
        r, after_real = apply(BATCH_NORM_DISCRIMINATOR, d_params, d, real)
        f, after_fake = apply(BATCH_NORM_DISCRIMINATOR, d_params, d, fakes)
        stats = jax.tree.map(lambda a, b: 0.5 * (a + b), after_real, after_fake)
        return -jnp.mean(r - f), stats

    def g_loss(g_params: Any, g: dict, d: dict, z: Array) -> tuple[Array, Any]:
        fakes, stats = apply(BATCH_NORM_GENERATOR, g_params, g, z)
        f, _ = apply(BATCH_NORM_DISCRIMINATOR, d["params"], d, fakes)
        return -jnp.mean(f), stats

    def moved(player: dict, gradient: Any, stats: Any) -> dict:
        params = jax.tree.map(lambda p, slope: p - RATE * slope, player["params"], gradient)
        return {"params": params, "batch_stats": stats}

    for real in reals:
        z = next(draws)
        gradient, stats = jax.grad(d_loss, has_aux=True)(d["params"], d, g, real, z)
        new_d = moved(d, gradient, stats)
        z, opponent = (z, d) if update == "simultaneous" else (next(draws), new_d)
        gradient, stats = jax.grad(g_loss, has_aux=True)(g["params"], g, opponent, z)
        g, d = moved(g, gradient, stats), new_d
    return g, d


@pytest.mark.slow
@pytest.mark.parametrize("update", ["alternating", "simultaneous"])
def test_a_mixture_of_one_with_batch_norm_is_the_plain_gan_bit_for_bit(update: str) -> None:
    """Running averages too: the discriminator's are the mean of its passes over reals and fakes, in its own turn."""
    draw = np.random.default_rng(0).standard_normal((6, BATCH, FEATURES), np.float32)
    *latents, real, other_real = map(jnp.asarray, draw)
    reals, draws = [real, other_real], iter(latents)
    rule = mg.mix_gan(
        mg.from_linen(BATCH_NORM_GENERATOR),
        mg.from_linen(BATCH_NORM_DISCRIMINATOR),
        mg.losses.wasserstein(),
        num_generators=1,
        num_discriminators=1,
        latent_size=FEATURES,
        generator_tx=optax.sgd(RATE),
        discriminator_tx=optax.sgd(RATE),
        update=update,
        latent_sampler=lambda key, shape: next(draws).reshape(shape),  # which key is no matter here
    )
    state = jax.jit(rule.init)(jax.random.key(0))

    def alone(mixture: mg.Mixture) -> dict:
        return {"params": one(mixture.params, 0), **one(mixture.state, 0)}

    g, d = alone(state.generators), alone(state.discriminators)
    with jax.disable_jit():
        expected = batch_norm_gan(update, g, d, iter(latents), reals)
        for index, real in enumerate(reals):
            state, _ = rule.step(jax.random.key(index), state, real)
    got = (alone(state.generators), alone(state.discriminators))
    chex.assert_trees_all_equal(got, expected)
    for before, after in zip((g, d), got, strict=True):
        averages = (jax.tree.leaves(player["batch_stats"]) for player in (before, after))
        assert not any(map(np.array_equal, *averages)), "running averages stood still"


# Several steps go with alternating updates only, an adjustment with simultaneous ones only.
@pytest.mark.parametrize(
    "options",
    [
        {"update": "alternating", "adjust": None, "discriminator_steps": 2, "generator_steps": 3},
        {
            "update": "simultaneous",
            "adjust": mg.adjustments.consensus(0.1),
            "discriminator_steps": 1,
            "generator_steps": 1,
        },
    ],
    ids=lambda options: options["update"],
)
@pytest.mark.slow
def test_gda_hands_every_option_on(options) -> None:
    players = (GENERATOR, DISCRIMINATOR, mg.losses.non_saturating())
    required = {
        "latent_size": LATENT,
        "generator_tx": optax.adam(1e-2),
        "discriminator_tx": optax.adam(2e-2),
    }
    options = {
        "penalty": mg.penalties.gradient_penalty(10.0),
        "augment": lambda key, samples: samples + jax.random.normal(key, samples.shape),
        "latent_sampler": jax.random.uniform,
        "precision": "bfloat16",
        **options,
    }
    parameters = inspect.signature(mg.gda).parameters.values()
    optional = {each.name for each in parameters if each.default is not each.empty}
    assert set(options) == optional, "a new option belongs into this test"
    single = mg.gda(*players, **required, **options)
    ones = {"num_generators": 1, "num_discriminators": 1}
    mixture = mg.mix_gan(*players, **ones, **required, **options)
    chex.assert_trees_all_equal(train(single, 3), train(mixture, 3))


def test_weights_must_fit_the_players_that_they_weigh() -> None:
    p, fakes = jnp.full(3, 1 / 3), jnp.zeros((2, 5, 2))
    with pytest.raises(AssertionError, match="shape"):
        discriminator_gradients(None, jax.random.key(0), p, None, None, fakes)


@pytest.mark.parametrize("pairing", first_quick(["full", "stratified"]))
def test_gradients_of_fakes_are_summed_in_a_long_loop(pairing: str, mixtures) -> None:
    """Nine discriminators: the gradients of ``vmap``, and no array that has an entry of each for each fake."""
    generators, _ = mixtures
    many = mg.uniform(jax.random.key(4), DISCRIMINATOR, 9, jnp.zeros((2, FEATURES)))
    fakes_each = BATCH // NUM_G if pairing == "stratified" else BATCH
    z = jax.random.normal(jax.random.key(2), (NUM_G, fakes_each, LATENT))
    real = batch(jax.random.key(1))

    def gradients(strategy: str) -> Any:
        rules = game(mg.losses.non_saturating(), pairing)
        rules = rules._replace(sizes=(NUM_G, 9), strategy=strategy)
        found, info = generator_gradients(rules, generators, spread(many), real, z)
        return (found.params, found.weights), info

    programs = {name: jax.make_jaxpr(lambda n=name: gradients(n))() for name in ("vmap", "scan")}
    every = f"f32[9,{NUM_G},{fakes_each},{FEATURES}]"
    assert every in str(programs["vmap"])
    assert every not in str(programs["scan"])
    looped, batched = (jax.jit(lambda n=name: gradients(n))() for name in ("scan", "vmap"))
    chex.assert_trees_all_close(looped, batched, rtol=1e-5, atol=1e-5)
