"""Under ``jax_enable_x64`` everything traces and trains: where a loop starts in float32, it goes on in float32.

Most of it is traced only. Promotion is JAX's own here, as for whoever sets the flag.
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from helpers import DISCRIMINATOR, GENERATOR, LATENT, first_quick, public_names

import mixgan_jax as mg
from mixgan_jax import adjustments, losses, metrics, networks, penalties, solvers
from mixgan_jax.solvers.core.side import Gradients, Rules, start_side, update_side

KEY = jax.random.key(0)
ADAM = optax.adam(1e-3)
COMMON = {"latent_size": LATENT, "generator_tx": ADAM, "discriminator_tx": ADAM}
TWO = {"num_generators": 2, "num_discriminators": 2}
LOSS = losses.non_saturating()
LINEN = (
    mg.from_linen(networks.MLP((4,), outputs=2, batch_norm=True)),
    mg.from_linen(networks.MLP((4,))),
)
PLAYERS = {"linen": LINEN, "plain": (GENERATOR, DISCRIMINATOR)}


@pytest.fixture(autouse=True)
def _x64():
    with jax.enable_x64(True), jax.numpy_dtype_promotion("standard"):
        yield


def ring_feed():
    return mg.data.feed_from_distribution(mg.data.ring(), 8)


def image_feed(size=8, channels=1):
    return mg.data.feed_from_images(np.zeros((20, size, size, channels), np.uint8), 8)


def trace(solver, feed, num_steps=4):
    """A scan refuses a state that comes out in other dtypes than it went in."""
    run = partial(mg.run, solver=solver, feed=feed, num_steps=num_steps, log_every=2)
    return jax.eval_shape(run, KEY)


def mixed(players, **options):
    return mg.mix_gan(*players, LOSS, **TWO, **COMMON, **options)


def respond(responder, players):
    state = jax.jit(mixed(players).init)(KEY)
    opponents = state.discriminators if responder == "generator" else state.generators
    return mg.best_response(responder, *players, LOSS, opponents, 2, latent_size=LATENT, tx=ADAM)


def bilinear():
    def init(key):
        return jnp.ones(2), jnp.ones(2)

    def both(key, players, batch):
        value = jnp.vdot(players[0], players[1])
        return value, -value

    return mg.gradient_play(init, both, (ADAM, ADAM), adjust=adjustments.symplectic())


SOLVERS = {
    "averaged": lambda p: mg.averaged(mixed(p)),
    "best_response": partial(respond, "generator"),
    "best_response, discriminator": partial(respond, "discriminator"),
    "double_oracle": lambda p: mg.double_oracle(
        *p, LOSS, capacity=3, response_steps=1, measure_steps=1, tolerance=0.01, **COMMON
    ),
    "duel_gan": lambda p: mg.duel_gan(*p, LOSS, num_steps=4, weight_tx=ADAM, **COMMON),
    "extragradient": lambda p: mg.extragradient(mixed(p)),
    "fictitious_gan": lambda p: mg.fictitious_gan(*p, LOSS, capacity=2, decay=0.5, **TWO, **COMMON),
    "gda": lambda p: mg.gda(
        *p, LOSS, adjust=adjustments.consensus(1.0), update="simultaneous", **COMMON
    ),
    "gradient_play": lambda p: bilinear(),
    "lookahead": lambda p: mg.lookahead(mixed(p)),
    "mix_gan": lambda p: mixed(p, penalty=penalties.r1(1.0), pairing="latin"),
    "mix_gan, several steps": lambda p: mixed(p, discriminator_steps=2, generator_steps=2),
    "mix_gan, unequal turns": lambda p: mixed(
        p, generator_steps=lambda loss: jnp.int32(2), skip_discriminator_below=0.5
    ),
    "mix_gan_2017": lambda p: mg.mix_gan_2017(*p, num_components=2, latent_size=LATENT),
    "past_extragradient": lambda p: mg.past_extragradient(mixed(p, pairing="stratified")),
    "unrolled_gan": lambda p: mg.unrolled_gan(*p, LOSS, depth=1, **TWO, **COMMON),
}


def test_every_solver_is_traced():
    rules = {name for name in public_names(solvers) if name[0].islower()}
    assert {name.partition(",")[0] for name in SOLVERS} == rules


@pytest.mark.parametrize("players", first_quick(PLAYERS))
@pytest.mark.parametrize("name", first_quick(SOLVERS, 3))
def test_solvers_trace(name, players):
    trace(SOLVERS[name](PLAYERS[players]), ring_feed())


@pytest.mark.slow
def test_training_ends_with_finite_players_and_weights_on_the_simplex(tmp_path):
    solver = mixed(LINEN, weight_tx=mg.optimistic_exponentiated_gradient(0.1))
    options = {"log_every": 2, "folder": tmp_path / "run"}
    for num_steps in (2, 4):  # the second start reads what the first has saved
        state = mg.fit(KEY, solver, ring_feed(), num_steps=num_steps, **options)
    assert all(bool(jnp.isfinite(leaf).all()) for leaf in jax.tree.leaves(state.iterate))
    np.testing.assert_allclose(state.generators.weights.sum(), 1.0, atol=1e-6)


WEIGHT_RULES = {
    "exponentiated_gradient": mg.exponentiated_gradient(0.1),
    "optimistic_exponentiated_gradient": mg.optimistic_exponentiated_gradient(0.1),
    "projected_gradient": mg.projected_gradient(0.1),
    "regret_matching_plus": mg.regret_matching_plus(1.0),
    "softmax_adam": mg.softmax_adam(0.1),
    "softmax_sgd": mg.softmax_sgd(optax.linear_schedule(0.0, 0.1, 3)),
    "adam": ADAM,
    "adafactor": optax.adafactor(0.1),
}


@pytest.mark.parametrize("name", first_quick(WEIGHT_RULES, 2))
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_weight_rules_and_optimisers_train(name, dtype):
    """With gradients in either width; float32 log-weights stay so in a solver."""
    params = {"w": jnp.zeros((3, 2), jnp.float32)}
    logs = jax.nn.log_softmax(jnp.zeros(3, jnp.float32))
    rules = Rules(ADAM, WEIGHT_RULES[name])
    start = start_side(rules, mg.Mixture(params, {}, logs))
    gradients = Gradients({"w": jnp.ones((3, 2), dtype)}, jnp.arange(3, dtype=dtype), {})
    end, _ = jax.lax.scan(
        lambda side, _: (update_side(rules, side, gradients), None), start, length=3
    )
    assert end.mixture.log_weights.dtype == jnp.float32
    assert float(end.mixture.weights.sum()) == pytest.approx(1.0, abs=1e-6)


@pytest.mark.parametrize("family", first_quick(["DCGAN", "Metz", "Residual", "SNGAN"]))
def test_convolutional_networks_train(family):
    shape, options = ((8, 8, 3), {"stages": 1}) if family == "Metz" else ((8, 8, 1), {})
    generator = getattr(networks, f"{family}Generator")(shape, width=4, **options)
    discriminator = getattr(networks, f"{family}Discriminator")(width=4, **options)
    players = mg.from_linen(generator), mg.from_linen(discriminator)
    trace(mixed(players), image_feed(channels=shape[-1]))


@pytest.mark.parametrize(
    "net",
    [
        networks.MLP((4,), activation=networks.maxout(2)),
        networks.MLP((4, 3), outputs=2, batch_norm=True),
        networks.pacgan_discriminator(),
        networks.pacgan_generator(),
    ],
)
def test_dense_networks_keep_their_parameters_dtype(net):
    player = mg.from_linen(net)
    x = jnp.zeros((4, 2))
    params, state = jax.eval_shape(player.init, KEY, x)

    def loss(params, state):
        outputs, state = player.apply(params, state, x, train=True)
        return outputs.sum(), state

    gradients, _ = jax.eval_shape(jax.grad(loss, has_aux=True), params, state)
    assert jax.tree.map(lambda leaf: leaf.dtype, gradients) == jax.tree.map(
        lambda leaf: leaf.dtype, params
    )


MADE = {
    name: getattr(losses, name)
    for name in public_names(losses)
    if name[0].islower() and name != "equilibrium_values"
}
MADE |= {
    "measuring": lambda: losses.measuring(losses.phi_bounded_log(0.1)),
    "separable": lambda: losses.separable("own", real=jax.nn.softplus, fake=jax.nn.softplus),
}
GAN_LOSSES = [name for name in MADE if not name.startswith("phi_")]


@pytest.mark.parametrize("name", first_quick(GAN_LOSSES, 2))
def test_losses_keep_the_logits_dtype_and_train(name):
    loss = MADE[name]()
    for dtype in (jnp.float32, jnp.float64):
        logits = jax.ShapeDtypeStruct((4,), dtype)
        for term in (loss.value, loss.discriminator, loss.generator):
            assert (
                jax.eval_shape(lambda r, f, t=term: t(real=r, fake=f), logits, logits).dtype
                == dtype
            )
    assert all(np.isfinite(value) for value in losses.equilibrium_values(loss).values())
    trace(mg.mix_gan(*LINEN, loss, **TWO, **COMMON), ring_feed(), num_steps=2)


SAMPLES = np.random.RandomState(0).normal(size=(2, 6, 2))
CENTERS = np.zeros((1, 2))
CLASSES = np.array([[0, 1, 1], [2, 0, 0]])
NEURAL = {"bound": 1.0, "steps": 2, "restarts": 2}


def neural(function, x, batch=None):
    phi = losses.phi_identity()
    samples = (x[0], x[1], x[0], x[1])
    return jax.eval_shape(lambda: function(KEY, LINEN[1], phi, *samples, batch=batch, **NEURAL))


PIXELS = metrics.Extractor(lambda images: images, "pixels")


def scored(x):
    real, fake = (metrics.Features(side, PIXELS) for side in x)
    return metrics.score(metrics.frechet_distance, real=real, fake=fake)


METRICS = {
    "best_discriminator": lambda x: neural(metrics.best_discriminator, x),
    "birthday_support": lambda x: metrics.birthday_support(fake=x[0], batch=3, threshold=0.1),
    "birthday_test": lambda x: metrics.birthday_test(x, threshold=0.1),
    "class_coverage": lambda x: metrics.class_coverage(CLASSES[0], 3),
    "closest_pairs": lambda x: metrics.closest_pairs(x[0]),
    "closest_pairs, across": lambda x: metrics.closest_pairs(x[0], x[1], block=2, num_pairs=3),
    "compare": lambda x: metrics.compare(*[scored(x)] * 2),
    "component_atlas": lambda x: metrics.component_atlas(real=x[0], fake=x, neighbours=2),
    "component_class_coverage": lambda x: metrics.component_class_coverage(CLASSES, 3),
    "component_coverage": lambda x: metrics.component_coverage(x, CENTERS, 1.0),
    "density_coverage": lambda x: metrics.density_coverage(real=x[0], fake=x[1]),
    "detectable_support": lambda x: metrics.detectable_support(5),
    "duplicate_probability": lambda x: metrics.duplicate_probability(10.0, 5),
    "empirical_jensen_shannon": lambda x: metrics.empirical_jensen_shannon(x[0], x[1]),
    "equilibrium_report": lambda x: metrics.equilibrium_report(
        np.stack([x[0, :2], x[1, :2]]), np.log([0.5, 0.5]), np.log([0.5, 0.5]), num_bootstrap=5
    ),
    "extract": lambda x: metrics.extract(PIXELS, x[0], block=4).array,
    "exact_wasserstein": lambda x: metrics.exact_wasserstein(x[0], x[1]),
    "frechet_distance": lambda x: metrics.frechet_distance(x[0], x[1]),
    "hash_weights": lambda x: int(metrics.hash_weights(x) > ""),
    "histogram_overlap": lambda x: metrics.histogram_overlap(np.array([[1, 2], [3, 0]])),
    "histogram_reverse_kl": lambda x: metrics.histogram_reverse_kl(np.array([1, 2])),
    "inception_score": lambda x: metrics.inception_score(fake=np.full_like(x[0], 0.5), splits=2),
    "kernel_distance": lambda x: metrics.kernel_distance(KEY, real=x[0], fake=x[1]),
    "maximum_mean_discrepancy": lambda x: metrics.maximum_mean_discrepancy(
        x[0], x[1], bandwidth=1.0
    ),
    "mode_coverage": lambda x: metrics.mode_coverage(x[0], CENTERS, 1.0),
    "mode_histogram": lambda x: metrics.mode_histogram(x[0], CENTERS, 1.0),
    "ms_ssim_diversity": lambda x: metrics.ms_ssim_diversity(
        KEY, fake=np.tile(x.reshape(2, 12, 1, 1), (1, 1, 12, 1)), span=20.0
    ),
    "neural_net_distance": lambda x: neural(metrics.neural_net_distance, x, batch=3),
    "precision_recall": lambda x: metrics.precision_recall(real=x[0], fake=x[1]),
    "score": lambda x: scored(x).value,
    "shared_support": lambda x: metrics.shared_support(x, x, threshold=0.1),
    "sliced_wasserstein": lambda x: metrics.sliced_wasserstein(KEY, x[0], x[1], num_projections=4),
    "support_size": lambda x: metrics.support_size(np.array([1, 0]), 10),
}


def test_every_metric_is_run():
    # The first has a test of its own, the second reads a file of weights.
    others = {"duality_gap_curve", "inception_extractor"}
    names = {name for name in public_names(metrics) if name[0].islower()} - others
    assert {name.partition(",")[0] for name in METRICS} == names


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", first_quick(METRICS, 2))
def test_metrics_run(name, dtype):
    METRICS[name](SAMPLES.astype(dtype))


def test_games_of_either_width_are_solved():
    for dtype in ("float32", "float64"):
        value = SAMPLES[0].astype(dtype)
        for solve in (mg.simplex_equilibrium, partial(mg.approximate_equilibrium, num_steps=50)):
            found = jax.jit(solve)(value)
            assert found.value.dtype == dtype
            np.testing.assert_allclose(found.value, mg.zero_sum_equilibrium(value).value, atol=0.05)


@pytest.mark.slow
def test_the_duality_gap_traces():
    state = mixed(LINEN).init(KEY)
    curve = partial(
        mg.duality_gap_curve,
        KEY,
        *LINEN,
        state.generators,
        state.discriminators,
        LOSS,
        ring_feed(),
        jnp.zeros((2, 8, 2)),
        budgets=(1, 2),
        latent_size=LATENT,
        tx=ADAM,
        num_cold=1,
        num_perturbed=1,
    )
    assert jax.eval_shape(curve)["gap"].shape == (3,)
