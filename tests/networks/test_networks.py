"""Networks: shapes, parameter counts, ranges, what batch norm averages, components under ``vmap``."""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import first_quick, slow
from jax.sharding import Mesh, PartitionSpec as P

from mixgan_jax.networks import (
    MLP,
    Conv,
    ConvClassifier,
    ConvTranspose,
    DCGANDiscriminator,
    DCGANGenerator,
    MetzDiscriminator,
    MetzGenerator,
    ResidualClassifier,
    ResidualDiscriminator,
    ResidualGenerator,
    SNGANDiscriminator,
    maxout,
    pacgan_discriminator,
    pacgan_generator,
    widen,
)
from mixgan_jax.networks.classifier import _pool

KEY = jax.random.key(0)


def normal(seed, *shape):
    return jnp.asarray(np.random.default_rng(seed).standard_normal(shape), jnp.float32)


def compiled(function, *arguments):
    """The jitted result, from code generated without optimisation: that takes most of the time here."""
    lowered = jax.jit(function).lower(*arguments)
    return lowered.compile(compiler_options={"xla_backend_optimization_level": 0})(*arguments)


def shapes_of(module, *example, **options):
    """Variables of a module as shapes, nothing computed."""
    return jax.eval_shape(functools.partial(module.init, train=False, **options), KEY, *example)


def random_variables(module, *example, components=None):
    """Variables at random, without running the initialisers: kernels small, averages of squares positive."""
    rng = np.random.default_rng(3)
    lead = () if components is None else (components,)

    def fill(path, leaf):
        assert leaf.dtype == jnp.float32
        values = 0.3 * rng.standard_normal((*lead, *leaf.shape))
        positive = path[-1].key in ("var", "scale")
        return jnp.asarray(1 + np.abs(values) if positive else values, jnp.float32)

    return jax.tree_util.tree_map_with_path(fill, shapes_of(module, *example))


def count(variables, collection="params"):
    return sum(leaf.size for leaf in jax.tree.leaves(variables.get(collection, {})))


# --- multi-layer perceptrons


def test_pacgan_parameter_counts():
    """As derived from the released code; the generator's include the scales and shifts of its batch norm."""
    points = jnp.zeros((5, 2))
    generator = shapes_of(pacgan_generator(), points)
    assert count(generator) == 484_802
    assert count(generator, "batch_stats") == 2 * 4 * 400
    discriminator = pacgan_discriminator()
    assert count(shapes_of(discriminator, points)) == 405_201
    assert count(shapes_of(discriminator, jnp.zeros((5, 8)))) == 405_201 + 3 * 2_000


def test_pacgan_initial_values():
    kernels = jax.tree.leaves(
        {name: layer["kernel"] for name, layer in _params(pacgan_discriminator()).items()}
    )
    biases = [layer["bias"] for layer in _params(pacgan_discriminator()).values()]
    assert np.std(np.concatenate([np.ravel(k) for k in kernels])) == pytest.approx(0.02, rel=0.01)
    assert all(not np.any(bias) for bias in biases)


@functools.cache
def _params(module):
    return jax.jit(functools.partial(module.init, train=False))(KEY, jnp.zeros((3, 2)))["params"]


def test_mlp_by_hand():
    """Two layers of known numbers, with outputs and with a logit per example."""
    params = {
        "Dense_0": {"kernel": jnp.array([[1.0, -1.0]]), "bias": jnp.array([0.0, 1.0])},
        "Dense_1": {"kernel": jnp.array([[2.0], [3.0]]), "bias": jnp.array([0.5])},
    }
    x = jnp.array([[2.0], [-3.0], [0.5]])
    # relu(x, 1 - x) is (2, 0), (0, 4), (0.5, 0.5)
    logits = MLP(features=(2,)).apply({"params": params}, x, train=True)
    np.testing.assert_allclose(logits, [4.5, 12.5, 3.0])
    outputs = MLP(features=(2,), outputs=1).apply({"params": params}, x, train=True)
    np.testing.assert_allclose(outputs, logits[:, None])
    assert logits.shape == (3,)


def test_maxout_by_hand():
    """A unit with pieces x and -x is the absolute value; first pieces of all units come first."""
    params = {
        "Dense_0": {"kernel": jnp.array([[1.0, 2.0, -1.0, 0.0]]), "bias": jnp.zeros(4)},
        "Dense_1": {"kernel": jnp.array([[1.0], [10.0]]), "bias": jnp.zeros(1)},
    }
    net = MLP(features=(2,), activation=maxout(2))
    logits = net.apply({"params": params}, jnp.array([[3.0], [-2.0]]), train=False)
    np.testing.assert_allclose(logits, [3 + 10 * 6, 2 + 10 * 0])
    assert maxout(2) == maxout(2) != maxout(3)
    assert repr(maxout(2)) == "maxout(2)"
    with pytest.raises(ValueError, match="multiple of 2 features"):
        maxout(2)(jnp.zeros((3, 5)))


def test_maxout_has_the_derivatives_of_the_maximum():
    """Forward and reverse, first and second: those of ``jnp.max`` wherever pieces differ."""

    def ours(x):
        return jnp.sum(jnp.sin(maxout(3)(x)))

    def plain(x):
        return jnp.sum(jnp.sin(jnp.max(x.reshape(4, 3, 2), axis=-2)))

    x, direction = normal(0, 4, 6), normal(1, 4, 6)
    for derivative in (jax.grad, jax.hessian, jax.jacfwd):
        np.testing.assert_allclose(derivative(ours)(x), derivative(plain)(x), rtol=1e-5, atol=1e-7)
    along = [jax.jvp(function, (x,), (direction,))[1] for function in (ours, plain)]
    np.testing.assert_allclose(*along, rtol=1e-5)


def test_mlp_flattens_images():
    net = MLP(features=(6,), outputs=4, activation=nn.tanh)
    variables = random_variables(net, jnp.zeros((3, 4, 5, 2)))
    x = normal(0, 3, 4, 5, 2)
    np.testing.assert_array_equal(
        net.apply(variables, x, train=True), net.apply(variables, x.reshape(3, -1), train=True)
    )


def test_mlp_without_hidden_layers_is_linear():
    net = MLP(features=(), outputs=3)
    variables = random_variables(net, jnp.zeros((5, 2)))
    layer = variables["params"]["Dense_0"]
    x = normal(0, 5, 2)
    expected = x @ layer["kernel"] + layer["bias"][None]
    np.testing.assert_allclose(net.apply(variables, x, train=True), expected, rtol=1e-5)


def test_hidden_layers_before_batch_norm_have_no_bias():
    params = shapes_of(MLP(features=(7, 6), outputs=3, batch_norm=True), jnp.zeros((5, 2)))
    assert {name for name, layer in params["params"].items() if "bias" in layer} == {
        "BatchNorm_0",
        "BatchNorm_1",
        "Dense_2",
    }


def test_batch_norm_averages_by_hand():
    """In training the batch's own statistics; the averages move by 1 - momentum; afterwards they are used."""
    net = MLP(features=(3,), outputs=2, batch_norm=True, activation=lambda x: x, norm_momentum=0.95)
    x = normal(0, 50, 4)
    variables = random_variables(net, x)
    hidden = np.asarray(x @ variables["params"]["Dense_0"]["kernel"])
    old = variables["batch_stats"]["BatchNorm_0"]
    norm, last = variables["params"]["BatchNorm_0"], variables["params"]["Dense_1"]

    def outputs(mean, var):
        normalised = (hidden - mean) / np.sqrt(var + 1e-5) * norm["scale"] + norm["bias"]
        return normalised @ last["kernel"] + last["bias"]

    y, updates = net.apply(variables, x, train=True, mutable=["batch_stats"])
    with jax.numpy_rank_promotion("allow"):
        np.testing.assert_allclose(y, outputs(hidden.mean(0), hidden.var(0)), atol=1e-4)
        still = net.apply(variables, x, train=False)
        np.testing.assert_allclose(still, outputs(old["mean"], old["var"]), atol=1e-4)
    new = updates["batch_stats"]["BatchNorm_0"]
    np.testing.assert_allclose(new["mean"], 0.95 * old["mean"] + 0.05 * hidden.mean(0), atol=1e-5)
    np.testing.assert_allclose(new["var"], 0.95 * old["var"] + 0.05 * hidden.var(0), atol=1e-5)


# --- DCGAN


@pytest.mark.parametrize(
    ("shape", "sizes"),
    [
        ((28, 28, 1), [7, 14, 28]),
        ((28, 28, 3), [7, 14, 28]),
        ((32, 32, 3), [4, 8, 16, 32]),
        ((8, 8, 1), [2, 4, 8]),
        ((12, 12, 2), [3, 6, 12]),
        ((64, 64, 3), [4, 8, 16, 32, 64]),
        ((20, 20, 1), [5, 10, 20]),
    ],
    ids=str,
)
def test_dcgan_shapes(shape, sizes):
    """Both networks have one stage per doubling, with channels doubling the other way."""
    width, stages = 5, len(sizes) - 1
    generator, discriminator = DCGANGenerator(shape, width=width), DCGANDiscriminator(width=width)
    latents, images = jnp.zeros((3, 7)), jnp.zeros((3, *shape))
    variables = shapes_of(generator, latents)
    made = jax.eval_shape(functools.partial(generator.apply, train=False), variables, latents)
    assert made.shape == images.shape
    assert variables["params"]["Dense_0"]["kernel"].shape == (
        7,
        sizes[0] ** 2 * width * 2 ** (stages - 1),
    )
    judging = shapes_of(discriminator, images)
    judged = jax.eval_shape(functools.partial(discriminator.apply, train=False), judging, images)
    assert judged.shape == (3,)
    for stage in range(stages):
        last = stage == stages - 1
        into, out = width * 2 ** (stages - 1 - stage), width * 2 ** (stages - 2 - stage)
        kernel = variables["params"][f"ConvTranspose_{stage}"]["kernel"]
        assert kernel.shape == (4, 4, into, shape[2] if last else out)
        kernel = judging["params"][f"Conv_{stage}"]["kernel"]
        before = shape[2] if stage == 0 else width * 2 ** (stage - 1)
        assert kernel.shape == (4, 4, before, width * 2**stage)
    assert judging["params"]["Dense_0"]["kernel"].shape[0] == sizes[0] ** 2 * width * 2 ** (
        stages - 1
    )


def test_dcgan_of_pacgans_stacked_mnist():
    """Four stages through odd sizes, 2, 4, 7, 14, 28, and the parameters of the released code's 5x5 kernels."""
    generator = DCGANGenerator((28, 28, 3), stages=4, kernel_size=5)
    discriminator = DCGANDiscriminator(stages=4, kernel_size=5)
    latents, images = jnp.zeros((3, 100)), jnp.zeros((3, 28, 28, 3))
    variables = shapes_of(generator, latents)
    made = jax.eval_shape(functools.partial(generator.apply, train=False), variables, latents)
    assert made.shape == images.shape
    kernels = 25 * (3 * 64 + 64 * 128 + 128 * 256 + 256 * 512)
    norms = 2 * (512 + 256 + 128 + 64)
    assert count(variables) == 100 * 2048 + kernels + norms + 3
    norms = 2 * (128 + 256 + 512)
    assert count(shapes_of(discriminator, images)) == kernels + 64 + norms + 2048 + 1
    packed = shapes_of(discriminator, jnp.zeros((3, 28, 28, 6)))
    assert count(packed) == kernels + 64 + norms + 2048 + 1 + 4_800


def test_metz_networks_have_the_parameters_of_the_released_code():
    """4, 7, 14, 28; 287,875 parameters, and 585 or 1,889 with 54 or 108 for each further stack; biases everywhere."""
    latents, images = jnp.zeros((3, 256)), jnp.zeros((3, 28, 28, 3))
    generator = MetzGenerator()
    variables = shapes_of(generator, latents)
    made = jax.eval_shape(functools.partial(generator.apply, train=False), variables, latents)
    assert made.shape == images.shape
    assert count(variables) == 287_875
    assert variables["params"]["Dense_0"]["kernel"].shape == (256, 4 * 4 * 64)
    for width, size, slot in ((2, 585, 54), (4, 1_889, 108)):
        net = MetzDiscriminator(width=width)
        judging = shapes_of(net, images)
        assert count(judging) == size
        assert count(shapes_of(net, jnp.zeros((3, 28, 28, 9)))) == size + 2 * slot
        logits = jax.eval_shape(functools.partial(net.apply, train=False), judging, images)
        assert logits.shape == (3,)
    plain = shapes_of(MetzDiscriminator(batch_norm=False), images)
    assert count(plain) == 585 - 2 * (2 + 4 + 8) and set(plain) == {"params"}


def test_metz_discriminator_normalises_its_first_stage_and_leaks_by_three_tenths():
    """A batch's shift and scale do not matter to a normalised first stage; the slope is told from a linear net."""
    net = MetzDiscriminator(width=2, stages=1)
    images = normal(0, 6, 4, 4, 3)
    variables = random_variables(net, images)
    apply = functools.partial(net.apply, train=True, mutable=["batch_stats"])
    inner = net.clone(batch_norm=False)
    params = variables["params"]
    np.testing.assert_allclose(
        apply(variables, 9.0 * images)[0], apply(variables, images)[0], rtol=1e-3, atol=1e-3
    )
    below = {"params": jax.tree.map(jnp.zeros_like, params)}
    below["params"]["Conv_0"]["bias"] = jnp.full(2, -10.0)
    below["params"]["Dense_0"]["kernel"] = jnp.ones((8, 1))
    np.testing.assert_allclose(inner.apply(below, images, train=True), -0.3 * 10 * 8, rtol=1e-6)


def test_dcgan_kernels_are_those_of_the_paper():
    """N(0, 0.02^2) everywhere, batch norm nowhere in the discriminator's first stage nor at the generator's end."""
    generator = DCGANGenerator((8, 8, 1), width=32)
    init = jax.jit(functools.partial(generator.init, train=False))
    params = init(KEY, jnp.zeros((2, 16)))["params"]
    for name in ("Dense_0", "ConvTranspose_0"):
        assert np.std(params[name]["kernel"]) == pytest.approx(0.02, rel=0.05)
    assert "bias" not in params["Dense_0"] and "bias" not in params["ConvTranspose_0"]
    assert "bias" in params["ConvTranspose_1"]
    judging = shapes_of(DCGANDiscriminator(width=4), jnp.zeros((2, 8, 8, 1)))
    assert set(judging["params"]) == {"Conv_0", "Conv_1", "BatchNorm_0", "Dense_0"}
    assert "bias" in judging["params"]["Conv_0"] and "bias" not in judging["params"]["Conv_1"]


def test_dcgan_images_lie_between_minus_one_and_one():
    generator = DCGANGenerator((8, 8, 2), width=3)
    z = normal(0, 5, 6)
    x = generator.apply(random_variables(generator, z), 10 * z, train=False)
    assert x.shape == (5, 8, 8, 2)
    assert np.abs(x).max() <= 1
    assert np.min(x) < -0.5 < 0.5 < np.max(x)


def test_dcgan_without_batch_norm():
    generator = DCGANGenerator((8, 8, 1), width=3, batch_norm=False)
    discriminator = DCGANDiscriminator(width=3, batch_norm=False)
    for module, example in (
        (generator, jnp.zeros((2, 6))),
        (discriminator, jnp.zeros((2, 8, 8, 1))),
    ):
        variables = shapes_of(module, example)
        assert set(variables) == {"params"}
        assert all("bias" in layer for layer in variables["params"].values())


def test_generator_grows_as_the_discriminator_shrinks():
    """Each stage is the adjoint of a stride-2 convolution: one bright pixel reaches the same place either way."""
    for kernel_size, large in ((4, 8), (5, 7)):
        down = Conv(1, (kernel_size, kernel_size), strides=2, use_bias=False)
        small = -(-large // 2)
        generator = DCGANGenerator(
            (large, large, 1), width=1, stages=1, kernel_size=kernel_size, batch_norm=False
        )
        z = jnp.zeros((1, 1))
        zeros = jax.tree.map(lambda s: jnp.zeros(s.shape), shapes_of(generator, z))
        kernel = normal(0, kernel_size, kernel_size, 1, 1)
        pixels = jnp.abs(normal(1, small * small))
        zeros["params"]["Dense_0"]["bias"] = pixels
        zeros["params"]["ConvTranspose_0"]["kernel"] = 1e-2 * kernel[::-1, ::-1]
        grown = jnp.arctanh(generator.apply(zeros, z, train=False))

        def inner(x, kernel=kernel, down=down, pixels=pixels, small=small):
            y = down.apply({"params": {"kernel": 1e-2 * kernel}}, x)
            return jnp.sum(y * pixels.reshape(1, small, small, 1))

        adjoint = jax.grad(inner)(jnp.zeros((1, large, large, 1)))
        np.testing.assert_allclose(grown, adjoint, atol=1e-5)


# --- components, meshes


@pytest.mark.parametrize(
    ("module", "shape", "shared"),
    [
        pytest.param(MLP((6, 5), outputs=3, batch_norm=True), (7, 4), False, id="mlp"),
        slow(pytest.param(MLP((6,), activation=maxout(3)), (7, 4), False, id="maxout")),
        slow(pytest.param(DCGANGenerator((8, 8, 2), width=3), (7, 4), False, id="generator")),
        pytest.param(DCGANDiscriminator(width=3), (7, 8, 8, 2), False, id="discriminator"),
        slow(pytest.param(DCGANDiscriminator(width=3), (7, 8, 8, 2), True, id="same-real-batch")),
        slow(pytest.param(SNGANDiscriminator(width=3), (7, 8, 8, 2), False, id="spectral")),
        slow(pytest.param(ResidualGenerator((8, 8, 2), width=3), (7, 4), False, id="residual")),
        slow(
            pytest.param(
                ResidualDiscriminator(width=3), (7, 7, 8, 2), False, id="residual-spectral"
            )
        ),
    ],
)
def test_components_are_separate_networks(module, shape, shared):
    """Outputs, gradients and new averages under ``vmap`` over stacked variables are those of each network alone."""
    components = 3
    variables = random_variables(module, jnp.zeros(shape), components=components)
    x = normal(0, *shape) if shared else normal(0, components, *shape)

    def one(variables, x):
        def total(params):
            y, updates = module.apply(
                {**variables, "params": params}, x, train=True, mutable=["batch_stats"]
            )
            return jnp.sum(jnp.sin(y)), (y, updates)

        return jax.value_and_grad(total, has_aux=True)(variables["params"])

    def alone(variables, x):
        return [
            one(jax.tree.map(lambda leaf, n=n: leaf[n], variables), x if shared else x[n])
            for n in range(components)
        ]

    together = compiled(jax.vmap(one, (0, None if shared else 0)), variables, x)
    for n, expected in enumerate(compiled(alone, variables, x)):
        got = jax.tree.map(lambda leaf, n=n: leaf[n], together)
        for a, b in zip(jax.tree.leaves(got), jax.tree.leaves(expected), strict=True):
            np.testing.assert_allclose(a, b, rtol=2e-4, atol=2e-4)


def test_pooling_takes_the_largest_also_at_odd_sides():
    x = jnp.abs(normal(0, 2, 5, 4, 3))
    pooled = _pool(x)
    assert pooled.shape == (2, 3, 2, 3)
    np.testing.assert_array_equal(pooled, nn.max_pool(x, (2, 2), (2, 2), "SAME"))


@pytest.mark.parametrize(
    ("module", "shape"),
    first_quick(
        [
            (MLP(features=(6,), outputs=3, batch_norm=True, axis_name="data"), (8, 4)),
            (DCGANGenerator((4, 4, 2), width=3, axis_name="data"), (8, 4)),
            (DCGANDiscriminator(width=3, axis_name="data"), (8, 4, 4, 2)),
        ]
    ),
    ids=["mlp", "generator", "discriminator"],
)
def test_batch_norm_over_a_mesh_axis_sees_the_whole_batch(module, shape):
    mesh = Mesh(np.array(jax.devices()[:2]), ("data",))
    whole = module.clone(axis_name=None)
    variables, x = random_variables(whole, jnp.zeros(shape)), normal(0, *shape)

    def forward(module, variables, x):
        return module.apply(variables, x, train=True, mutable=["batch_stats"])

    sharded = jax.shard_map(
        functools.partial(forward, module),
        mesh=mesh,
        in_specs=(P(), P("data")),
        out_specs=(P("data"), P()),
    )
    got = compiled(sharded, variables, x)
    expected = compiled(functools.partial(forward, whole), variables, x)
    for a, b in zip(jax.tree.leaves(got), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4)


# --- layers and the classifier


@pytest.mark.parametrize(
    ("ours", "linens"), [(Conv, nn.Conv), (ConvTranspose, nn.ConvTranspose)], ids=["conv", "up"]
)
def test_layers_are_linens(ours, linens):
    x = normal(0, 2, 6, 5, 3)
    kernel, bias = normal(1, 4, 3, 3, 7), normal(2, 7)
    variables = {"params": {"kernel": kernel, "bias": bias}}
    with jax.numpy_rank_promotion("allow"):
        expected = linens(7, (4, 3), strides=(2, 2)).apply(variables, x)
    got = ours(7, (4, 3), strides=2).apply(variables, x)
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-4)
    init = jax.eval_shape(ours(7, (4, 3), strides=2).init, KEY, x)
    assert jax.tree.map(jnp.shape, init) == jax.tree.map(jnp.shape, variables)


def test_residual_classifier_has_the_parameters_of_its_layers_and_dense_logits_of_its_features():
    net, width = ResidualClassifier(num_classes=5, width=4), 4
    x = normal(0, 3, 16, 12, 3)
    variables = jax.jit(functools.partial(net.init, train=False))(KEY, x)
    channels = [(3, width)]
    for own in (8, 16, 32):
        channels += [(own // 2, own), (own, own), (own, own)]
    expected = sum(9 * below * own + 2 * own for below, own in channels) + 32 * 5 + 5
    assert sum(leaf.size for leaf in jax.tree.leaves(variables["params"])) == expected
    features = net.apply(variables, x, train=False, features=True)
    dense = variables["params"]["Dense_0"]
    np.testing.assert_allclose(
        net.apply(variables, x, train=False),
        features @ dense["kernel"] + dense["bias"][None],
        rtol=1e-6,
    )


def test_classifier_learns_to_tell_two_images_apart():
    """A few steps of gradient descent on noisy stripes: horizontal or vertical."""
    net = ConvClassifier(num_classes=2)
    stripes = jnp.tile(jnp.array([[1.0, 1.0, -1.0, -1.0]]), (8, 2))
    x = jnp.stack([stripes, stripes.T] * 8)[..., None] + 0.3 * normal(0, 16, 8, 8, 1)
    labels = jnp.tile(jnp.eye(2), (8, 1))
    variables = jax.jit(net.init)(KEY, x)
    features = jax.eval_shape(functools.partial(net.apply, features=True), variables, x)
    assert features.shape == (16, 128)

    def cross_entropy(variables):
        return -jnp.mean(jnp.sum(labels * jax.nn.log_softmax(net.apply(variables, x)), axis=-1))

    def train(variables):
        def step(variables, _):
            value, gradient = jax.value_and_grad(cross_entropy)(variables)
            return jax.tree.map(lambda v, g: v - 0.05 * g, variables, gradient), value

        return jax.lax.scan(step, variables, None, length=30)

    _, losses = compiled(train, variables)
    assert losses[0] > 0.4
    assert losses[-1] < 0.1


@pytest.mark.parametrize(
    ("module", "shape"),
    [
        (MLP((8, 8), batch_norm=True), (6, 3)),
        slow((DCGANGenerator((8, 8, 1), width=4), (6, 5))),
        (DCGANDiscriminator(width=4), (6, 8, 8, 1)),
        slow((MetzGenerator((8, 8, 1), stages=2), (6, 5))),
        slow((ResidualGenerator((8, 8, 1), width=4), (6, 5))),
        slow((ResidualDiscriminator(width=4), (6, 8, 8, 1))),
        slow((SNGANDiscriminator(width=4), (6, 8, 8, 1))),
    ],
    ids=lambda case: type(case).__name__,
)
def test_networks_compute_in_bfloat16_and_keep_float32(module, shape):
    """Outputs are near those in float32, and not theirs; parameters, batch statistics and outputs stay float32."""
    x, half = normal(0, *shape), module.clone(dtype=jnp.bfloat16)
    variables = random_variables(module, x)
    assert shapes_of(half, x) == shapes_of(module, x)

    def apply(net):
        return compiled(lambda v: net.apply(v, x, train=True, mutable=["batch_stats"]), variables)

    (narrow, state), (wide, _) = apply(half), apply(module)
    assert {leaf.dtype for leaf in jax.tree.leaves((narrow, state))} == {jnp.dtype("float32")}
    error = float(jnp.max(jnp.abs(narrow - wide)) / jnp.max(jnp.abs(wide)))
    assert 1e-5 < error < 0.05


# --- errors


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: MLP(features=(3, 0)), ValueError, r"features\[1\] must be .* got 0"),
        (lambda: MLP(outputs=0), ValueError, "outputs must be"),
        (lambda: maxout(0), ValueError, "pieces must be"),
        (
            lambda: DCGANGenerator((28, 28)),
            ValueError,
            "shape must be a sequence of 3 whole numbers",
        ),
        (lambda: DCGANGenerator((28, 28, 0)), ValueError, r"shape\[2\] must be"),
        (lambda: DCGANGenerator((30, 28, 1)), ValueError, "divisible by 4 .* got .30, 28, 1."),
        (lambda: DCGANGenerator((8, 8, 1), stages=4), ValueError, "above 8 for stages=4"),
        (lambda: DCGANGenerator(width=0), ValueError, "width must be"),
        (lambda: DCGANGenerator(kernel_size=1), ValueError, "kernel_size must be"),
        (lambda: DCGANDiscriminator(stages=0), ValueError, "stages must be"),
        (lambda: ConvClassifier(num_classes=1), ValueError, "num_classes must be"),
        (lambda: ResidualClassifier(num_classes=1), ValueError, "num_classes must be"),
        (lambda: MLP(dtype=jnp.int32), TypeError, "dtype must be a floating-point dtype or None"),
    ],
)
def test_bad_settings_are_named(make, error, words):
    with pytest.raises(error, match=words):
        make()


@pytest.mark.parametrize(
    ("module", "shape", "words"),
    [
        (MLP(), (5,), r"x must have shape \[B, ...\]"),
        (DCGANGenerator(), (5, 2, 2), r"z must have shape \[B, Z\]"),
        (DCGANDiscriminator(), (5, 64), r"x must have shape \[B, H, W, C\]"),
        (DCGANDiscriminator(), (5, 30, 30, 1), "divisible by 4"),
        (ConvClassifier(), (5, 64), r"x must have shape \[B, H, W, C\]"),
        (Conv(3, (3, 3)), (5, 64), r"x must have shape \[B, H, W, C\]"),
    ],
    ids=str,
)
def test_bad_inputs_are_named(module, shape, words):
    options = {} if isinstance(module, Conv) else {"train": False}
    with pytest.raises(ValueError, match=words):
        module.init(KEY, jnp.zeros(shape), **options)


def test_widen_gives_the_narrowest_net_with_enough_parameters():
    def size(net):
        start = functools.partial(net.init, train=False)
        params = jax.eval_shape(start, jax.random.key(0), jnp.zeros((2, 3)))["params"]
        return sum(leaf.size for leaf in jax.tree.leaves(params))

    net = MLP((6, 6), outputs=2, batch_norm=True)
    assert widen(net, 1, 3).features == (6, 6)
    wide = widen(net, 4, 3)
    narrower = net.clone(features=(wide.features[0] - 1,) * 2)
    assert size(narrower) < 4 * size(net) <= size(wide)
    with pytest.raises(ValueError, match="net must have hidden layers of one width"):
        widen(MLP((6, 5)), 2, 3)
    with pytest.raises(ValueError, match="times must be a whole number >= 1, got 0"):
        widen(net, 0, 3)
