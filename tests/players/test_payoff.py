"""Payoff matrices: by hand, pairings unbiased for the same gradients, batch-norm semantics, errors."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import BATCH, DISCRIMINATOR, FEATURES, GENERATOR, LATENT, batch, close, spread

import mixgan_jax as mg
from mixgan_jax.networks import MLP
from mixgan_jax.players.pairing import PAIRINGS, deal, sum_shares
from mixgan_jax.players.payoff import column

I, J = 2, 3  # noqa: E741


def players() -> tuple[mg.Mixture, mg.Mixture]:
    generators = mg.uniform(jax.random.key(0), GENERATOR, I, jnp.zeros((2, LATENT)))
    discriminators = mg.uniform(jax.random.key(1), DISCRIMINATOR, J, jnp.zeros((2, FEATURES)))
    return spread(generators), spread(discriminators)


def component(mixture: mg.Mixture, k: int):
    return jax.tree.map(lambda leaf: leaf[k], (mixture.params, mixture.state))


@pytest.mark.parametrize("strategy", ["vmap", "unroll", "scan"])
@pytest.mark.parametrize("pairing", PAIRINGS)
def test_payoffs_are_the_means_of_each_pair(pairing, strategy):
    """Against two loops over pairs that know which fakes each discriminator is dealt."""
    _, discriminators = players()
    loss = mg.losses.non_saturating()
    real = batch(jax.random.key(2))
    count = mg.fakes_per_generator(pairing, BATCH, I, J)
    fakes = jax.random.normal(jax.random.key(3), (I, count, FEATURES))
    outcome = mg.meet(
        DISCRIMINATOR, discriminators, real, fakes, loss, pairing=pairing, strategy=strategy
    )
    for i in range(I):
        for j in range(J):
            share = fakes[i]
            if pairing == "latin":
                share = share.reshape(J, -1, FEATURES)[(j - i) % J]

            def logits(x, j=j):
                return DISCRIMINATOR.apply(*component(discriminators, j), x, train=True)[0]

            r, f = logits(real), logits(share)
            value = -jnp.mean(jax.nn.softplus(-r)) - jnp.mean(jax.nn.softplus(f))
            np.testing.assert_allclose(outcome.values[i, j], value, rtol=1e-5)
            np.testing.assert_allclose(outcome.payoffs.discriminator[i, j], value, rtol=1e-5)
            np.testing.assert_allclose(
                outcome.payoffs.generator[i, j], -jnp.mean(jax.nn.softplus(-f)), rtol=1e-5
            )


def test_every_fake_is_dealt_exactly_once_in_a_latin_square():
    fakes = jnp.arange(I * BATCH).reshape(I, BATCH, 1)
    shares = deal(fakes, J)
    assert shares.shape == (J, I, BATCH // J, 1)
    assert sorted(shares.ravel().tolist()) == list(range(I * BATCH))
    chunks = shares[:, :, 0, 0] % BATCH // (BATCH // J)
    assert all(len(set(chunks[:, i].tolist())) == J for i in range(I))
    assert all(len(set(chunks[j].tolist())) == I for j in range(J)), "shared latents would repeat"


def dealt(fakes, pairing):
    """What each discriminator sees, ``[J, I, F, ...]``."""
    if pairing == "latin":
        return deal(fakes, J)
    return jnp.broadcast_to(fakes, (J, *fakes.shape))


@pytest.mark.parametrize("pairing", PAIRINGS)
def test_summing_shares_is_the_adjoint_of_dealing_fakes(pairing):
    """Inner products agree, of whole numbers: exactly."""
    count = mg.fakes_per_generator(pairing, BATCH, I, J)
    fakes = jnp.round(5.0 * jax.random.normal(jax.random.key(0), (I, count, FEATURES)))
    given = dealt(fakes, pairing)
    shares = jnp.round(5.0 * jax.random.normal(jax.random.key(1), given.shape))
    summed = sum_shares(shares, pairing)
    assert summed.shape == fakes.shape
    assert jnp.vdot(given, shares) == jnp.vdot(fakes, summed) != 0.0


@pytest.mark.parametrize("train", [True, False])
@pytest.mark.parametrize("pairing", PAIRINGS)
def test_column_is_a_column_of_meet(pairing, train):
    player = mg.from_linen(MLP((4,), batch_norm=True))
    discriminators = mg.uniform(jax.random.key(1), player, J, jnp.zeros((2, FEATURES)))
    real, loss = batch(jax.random.key(2)), mg.losses.non_saturating()
    count = mg.fakes_per_generator(pairing, BATCH, I, J)
    fakes = jax.random.normal(jax.random.key(3), (I, count, FEATURES))
    options = {"pairing": pairing, "train": train}
    all_pairs = mg.meet(player, discriminators, real, fakes, loss, **options)
    for j in range(J):
        share = dealt(fakes, pairing)[j]
        one, _ = column(player, *component(discriminators, j), real, share, loss, **options)
        expected = (
            jax.tree.map(lambda matrix, j=j: matrix[:, j], (all_pairs.payoffs, all_pairs.values)),
            jax.tree.map(lambda leaf, j=j: leaf[j], all_pairs.state),
        )
        assert one.values.shape == (I,)
        assert close(((one.payoffs, one.values), one.state), expected, 1e-5)


@pytest.mark.parametrize("pairing", ["latin", "stratified"])
@pytest.mark.parametrize("side", ["discriminators", "generators", "weights"])
def test_pairings_have_the_full_pairings_gradient_in_expectation(pairing, side):
    """Means over many draws agree within five standard errors, with unequal weights on both sides."""
    generators, discriminators = players()
    loss = mg.losses.minimax()

    def gradient(key, pairing):
        real_key, latent_key = jax.random.split(key)
        count = mg.fakes_per_generator(pairing, BATCH, I, J)
        real = batch(real_key)
        latents = jax.random.normal(latent_key, (I, count, LATENT))

        def objective(generator_params, discriminator_params, log_weights):
            ours = mg.Mixture(generator_params, {}, generators.log_weights)
            theirs = mg.Mixture(discriminator_params, {}, discriminators.log_weights)
            fakes, _ = mg.generate(GENERATOR, ours, latents, train=True)
            values = mg.meet(DISCRIMINATOR, theirs, real, fakes, loss, pairing=pairing).values
            return jnp.exp(log_weights) @ values @ theirs.weights

        index = ["generators", "discriminators", "weights"].index(side)
        grads = jax.grad(objective, argnums=index)(
            generators.params, discriminators.params, generators.log_weights
        )
        return jnp.concatenate([leaf.ravel() for leaf in jax.tree.leaves(grads)])

    keys = jax.random.split(jax.random.key(5), 4000)
    full, other = (
        np.asarray(jax.jit(jax.vmap(lambda k, p=p: gradient(k, p)))(keys))
        for p in ("full", pairing)
    )
    # The two share their reals, so only the variance of each is used: an upper bound.
    error = np.sqrt((full.var(axis=0) + other.var(axis=0)) / len(keys))
    z = np.abs(full.mean(axis=0) - other.mean(axis=0)) / np.maximum(error, 1e-9)
    assert z.max() < 5.0
    assert np.abs(full.mean(axis=0)).max() > 20 * error.max(), "the test could not see a bias"


def test_many_passes_of_convolutions_are_a_loop():
    """A column of nine generators is those of five and of four, and twenty are no larger a program than nine."""

    def apply(params, state, x, *, train):
        seen = jax.lax.conv(x, params["kernel"], (1, 1), "SAME")
        return jnp.mean(jnp.tanh(seen), axis=(1, 2, 3)), {"count": state["count"] + jnp.mean(x)}

    player = mg.Player(lambda key, x: ({}, {}), apply)
    params = {"kernel": jax.random.normal(jax.random.key(0), (3, 1, 2, 2))}
    state, loss = {"count": jnp.float32(0)}, mg.losses.non_saturating()
    real, fakes = (
        jax.random.normal(jax.random.key(seed), (*lead, 4, 1, 3, 3))
        for seed, lead in enumerate([(), (20,)])
    )

    def gradient(params, fakes):
        def objective(params, fakes):
            outcome, _ = column(player, params, state, real, fakes, loss)
            return jnp.sum(outcome.values), outcome

        return jax.grad(objective, argnums=(0, 1), has_aux=True)(params, fakes)

    (slope, by_fake), nine = jax.jit(gradient)(params, fakes[:9])
    parts = [jax.jit(gradient)(params, part) for part in (fakes[:5], fakes[5:9])]
    assert close(nine.values, jnp.concatenate([part.values for _, part in parts]))
    assert close(slope, jax.tree.map(jnp.add, *(own for (own, _), _ in parts)))
    assert close(by_fake, jnp.concatenate([own for (_, own), _ in parts]))
    assert close(nine.state["count"], (jnp.mean(real) + jnp.mean(fakes[:9])) / 2)
    convolutions = [
        str(jax.make_jaxpr(gradient)(params, fakes[:count])).count("conv_general_dilated[")
        for count in (4, 8, 9, 20)
    ]
    assert convolutions[0] < convolutions[1] > convolutions[2] == convolutions[3]


def test_relativistic_payoffs_use_every_real_for_each_fake():
    _, discriminators = players()
    loss = mg.losses.relativistic()
    real = batch(jax.random.key(2))
    fakes = jax.random.normal(jax.random.key(3), (I, BATCH, FEATURES))
    outcome = mg.meet(DISCRIMINATOR, discriminators, real, fakes, loss, pairing="latin")
    r, _ = DISCRIMINATOR.apply(*component(discriminators, 1), real, train=True)
    share = fakes[0].reshape(J, -1, FEATURES)[1]
    f, _ = DISCRIMINATOR.apply(*component(discriminators, 1), share, train=True)
    pairs = r.reshape(-1, share.shape[0]) - f[None]
    np.testing.assert_allclose(
        outcome.payoffs.discriminator[0, 1], -jnp.mean(jax.nn.softplus(-pairs)), rtol=1e-5
    )


def test_batch_norm_sees_each_generators_batch_alone_with_full_pairing():
    """Moving generator 1's fakes changes nothing for generator 0 with "full"; it does where fakes are merged."""
    player = mg.from_linen(MLP((4,), batch_norm=True))
    discriminators = mg.uniform(jax.random.key(1), player, J, jnp.zeros((2, FEATURES)))
    real = batch(jax.random.key(2))
    loss = mg.losses.minimax()

    def first_row(pairing, shift):
        count = mg.fakes_per_generator(pairing, BATCH, I, J)
        fakes = jax.random.normal(jax.random.key(3), (I, count, FEATURES)).at[1].add(shift)
        return mg.meet(player, discriminators, real, fakes, loss, pairing=pairing).values[0]

    np.testing.assert_array_equal(first_row("full", 0.0), first_row("full", 5.0))
    assert not np.allclose(first_row("stratified", 0.0), first_row("stratified", 5.0))


def test_running_averages_are_the_mean_of_the_real_and_the_fake_pass():
    player = mg.from_linen(MLP((4,), batch_norm=True))
    discriminators = mg.uniform(jax.random.key(1), player, J, jnp.zeros((2, FEATURES)))
    real = batch(jax.random.key(2))
    fakes = jax.random.normal(jax.random.key(3), (I, BATCH, FEATURES))
    outcome = mg.meet(player, discriminators, real, fakes, mg.losses.minimax())
    params, state = component(discriminators, 2)
    passes = [player.apply(params, state, x, train=True)[1] for x in (real, *fakes)]
    expected = jax.tree.map(lambda r, a, b: 0.5 * r + 0.25 * (a + b), *passes)
    got = jax.tree.map(lambda leaf: leaf[2], outcome.state)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7), got, expected)


def test_held_out_values_average_to_the_matrix_and_use_new_latents():
    generators, discriminators = players()
    reals = batch(jax.random.key(4), 40).reshape(4, 10, FEATURES)
    values = mg.held_out_values(
        jax.random.key(0),
        GENERATOR,
        DISCRIMINATOR,
        generators,
        discriminators,
        mg.losses.minimax(),
        jnp.concatenate([reals[:1], reals[:1], reals[2:]]),
        latent_size=LATENT,
    )
    assert values.shape == (4, I, J)
    assert not np.allclose(values[0], values[1]), "equal reals, so only new latents can differ"


def test_bad_arguments_are_named():
    _, discriminators = players()
    loss = mg.losses.minimax()
    real = batch(jax.random.key(2), 10)
    with pytest.raises(ValueError, match="batch must be a multiple of the 3 discriminators"):
        mg.fakes_per_generator("latin", 10, I, J)
    with pytest.raises(ValueError, match="batch must be a multiple of the 2 generators"):
        mg.fakes_per_generator("stratified", 7, I, J)
    with pytest.raises(ValueError, match="pairing must be one of"):
        mg.fakes_per_generator("latins", 10, I, J)
    with pytest.raises(ValueError, match=r"real must have the shape .* \[B, 3\], got \(10, 2\)"):
        mg.meet(DISCRIMINATOR, discriminators, real, jnp.zeros((I, 10, 3)), loss)
    with pytest.raises(ValueError, match="fakes must hold 10 samples of each generator"):
        mg.meet(DISCRIMINATOR, discriminators, real, jnp.zeros((I, 9, FEATURES)), loss)
    two_dimensional = mg.Player(
        DISCRIMINATOR.init,
        lambda p, s, x, *, train: (DISCRIMINATOR.apply(p, s, x, train=train)[0][:, None], s),
    )
    with pytest.raises(ValueError, match=r"discriminator must return one logit per example"):
        mg.meet(two_dimensional, discriminators, real, jnp.zeros((I, 10, FEATURES)), loss)
