"""Convolutions against ``lax``: values, gradients, second order, alone and under ``vmap``, ``scan``, ``shard_map``."""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import first_quick, slow
from jax import lax
from jax.sharding import Mesh, PartitionSpec as P

from mixgan_jax.networks import _canonical, conv, conv_general_dilated, conv_transpose

LAYOUT = ("NHWC", "HWIO", "NHWC")
CHANNELS = 3, 4
BATCH = 2

# image, kernel, strides, padding, dilation
CONV_CASES = [
    ((8, 8), (1, 1), 1, "SAME", 1),
    ((7, 8), (1, 1), 2, "VALID", 1),  # the last row is never seen; stride above the kernel
    ((7, 7), (3, 3), 1, "SAME", 1),
    ((7, 6), (3, 3), 2, "SAME", 1),
    ((28, 28), (4, 4), 2, "SAME", 1),
    ((7, 7), (5, 5), 2, "SAME", 1),
    ((8, 8), (5, 5), 2, "SAME", 1),
    ((7, 7), (7, 7), 1, "VALID", 1),
    ((9, 8), (3, 2), (2, 3), "VALID", 1),
    ((6, 7), (3, 3), (2, 1), ((2, 0), (-1, 3)), 1),  # crops a column
    ((9, 9), (3, 3), 2, "SAME", 2),
]
# Strides that tile the kernel: the input gradient has a way of its own on CPU.
TILED_CASES = [
    ((8, 8), (4, 4), 2, ((1, 1), (1, 1)), 1),
    ((9, 7), (4, 4), 2, ((1, 2), (2, 1)), 1),
    ((9, 8), (4, 4), 2, ((-1, 2), (1, -2)), 1),
    ((10, 8), (6, 6), 3, ((2, 2), (1, 3)), 1),
    ((7, 6), (2, 2), 2, ((0, 0), (0, 0)), 1),
    ((5, 8), (4, 2), (2, 1), ((1, 0), (0, 1)), 1),
]
OTHER_CASES = [
    ((7, 8), (3, 3), 2, ((1, 1), (0, 2)), 1),
    ((9, 10), (3, 2), 2, ((2, 2), (1, 0)), 2),
    ((9, 9), (4, 4), (2, 1), ((-1, 3), (1, 1)), (1, 2)),
]
TRANSPOSE_CASES = [
    ((4, 4), (4, 4), 2, "SAME"),
    ((7, 7), (5, 5), 2, "SAME"),
    ((3, 4), (3, 3), 1, "SAME"),
    ((3, 4), (1, 1), 2, "SAME"),
    ((3, 4), (2, 3), (3, 2), "SAME"),
    ((4, 3), (4, 4), 2, "VALID"),
    ((4, 3), (1, 2), 3, "VALID"),
    ((1, 1), (7, 7), 1, "VALID"),
    ((4, 4), (5, 5), 2, ((2, 2), (3, 1))),
]


def pair(value):
    return (value, value) if isinstance(value, int) else value


def conv_case(image, kernel, strides, padding, dilation=1):
    """Ours, the reference and the shapes of one case."""
    ours = functools.partial(conv, strides=strides, padding=padding, dilation=dilation)

    def reference(x, k):
        spread = pair(dilation)
        return lax.conv_general_dilated(
            x, k, pair(strides), padding, rhs_dilation=spread, dimension_numbers=LAYOUT
        )

    return ours, reference, (BATCH, *image, CHANNELS[0]), (*kernel, *CHANNELS)


def transpose_case(image, kernel, strides, padding):
    ours = functools.partial(conv_transpose, strides=strides, padding=padding)

    def reference(x, k):
        return lax.conv_transpose(x, k, pair(strides), padding, dimension_numbers=LAYOUT)

    return ours, reference, (BATCH, *image, CHANNELS[0]), (*kernel, *CHANNELS)


ALL_CONV_CASES = CONV_CASES + TILED_CASES[1:5]
CASES = [pytest.param(conv_case, case, id=f"conv{i}") for i, case in enumerate(ALL_CONV_CASES)] + [
    pytest.param(transpose_case, case, id=f"transpose{i}") for i, case in enumerate(TRANSPOSE_CASES)
]
AXES = [
    pytest.param((0, 0), id="both"),
    pytest.param((0, None), id="images"),
    pytest.param((None, 0), id="kernels"),
]
# The same three suffice where a transformation, not the geometry, is tested.
FEW = [
    pytest.param(conv_case, ((8, 8), (4, 4), 2, "SAME", 1), id="conv"),
    pytest.param(conv_case, ((6, 5), (3, 3), 2, "VALID", 1), id="conv-odd"),
    pytest.param(transpose_case, TRANSPOSE_CASES[0], id="transpose"),
]


@pytest.fixture(autouse=True)
def double():
    """Everything in float64, so that a wrong term cannot hide in rounding."""
    with jax.enable_x64(True):
        yield


def normal(seed, *shape):
    return jnp.asarray(np.random.default_rng(seed).standard_normal(shape))


def compiled(function, *arguments):
    """The jitted result. Code generation without optimisation takes a fifth of the time, which is most of it here."""
    lowered = jax.jit(function).lower(*arguments)
    return lowered.compile(compiler_options={"xla_backend_optimization_level": 0})(*arguments)


def close(actual, desired, tolerance=1e-10):
    """Equal trees, to ``tolerance`` of each leaf's largest value, which must not be zero."""
    for a, b in zip(jax.tree.leaves(actual), jax.tree.leaves(desired), strict=True):
        assert a.shape == b.shape
        assert a.dtype == b.dtype == jnp.float64
        scale = np.abs(b).max()
        assert scale > 0
        np.testing.assert_allclose(a / scale, b / scale, rtol=0, atol=tolerance)


def loss(op, x, kernel):
    """Not linear in the convolution, so that second derivatives are not zero."""
    return jnp.sum(jnp.sin(op(x, kernel)))


def penalty(op, x, kernel):
    """Sum of squares of the input's gradient."""
    return jnp.sum(jax.grad(loss, argnums=1)(op, x, kernel) ** 2)


def everything(op, x, kernel):
    """Value, both gradients, and both gradients of the gradient penalty."""
    return (
        op(x, kernel),
        jax.grad(loss, argnums=(1, 2))(op, x, kernel),
        jax.grad(penalty, argnums=(1, 2))(op, x, kernel),
    )


@pytest.mark.parametrize(
    ("make", "case"), [case if number % 6 == 3 else slow(case) for number, case in enumerate(CASES)]
)
def test_value_gradients_and_second_order(make, case):
    ours, reference, x_shape, k_shape = make(*case)
    x, kernel = normal(0, *x_shape), normal(1, *k_shape)
    close(*[compiled(functools.partial(everything, op), x, kernel) for op in (ours, reference)])


def sizes(image, kernel, strides, padding, dilation):
    """The geometry of a case, and an image, a kernel and an output of its shapes."""
    ours, _, x_shape, k_shape = conv_case(image, kernel, strides, padding, dilation)
    x, taps = normal(0, *x_shape), normal(1, *k_shape)
    g = normal(2, *jax.eval_shape(ours, x, taps).shape)
    pairs = pair(strides), padding, pair(dilation)
    return _canonical.Geometry(image, kernel, g.shape[1:3], *pairs), x, taps, g


@pytest.mark.parametrize("case", TILED_CASES, ids=str)
def test_both_ways_to_the_input_gradient_agree(case):
    geometry, _, kernel, g = sizes(*case)
    product = _canonical._input_gradient_by_matmul(geometry, g, kernel)
    close(product, _canonical._input_gradient_by_convolution(geometry, g, kernel))


@pytest.mark.parametrize("case", TILED_CASES + OTHER_CASES, ids=str)
def test_both_ways_to_the_weight_gradient_agree(case):
    geometry, x, _, g = sizes(*case)
    product = _canonical._weight_gradient_by_matmul(geometry, x, g)
    close(product, _canonical._weight_gradient_by_convolution(geometry, x, g))


@pytest.mark.parametrize("channels", [_canonical._FEW_CHANNELS, _canonical._FEW_CHANNELS + 1])
def test_many_channels_take_the_other_way_to_the_same(channels):
    ours, reference, x_shape, _ = conv_case(*TILED_CASES[0])
    x, kernel = normal(0, *x_shape[:3], channels), normal(1, 4, 4, channels, 2)
    close(*[compiled(functools.partial(everything, op), x, kernel) for op in (ours, reference)])


def test_gradient_of_the_weight_gradient():
    """The third piece: a function of the kernel's gradient, differentiated with respect to all it depends on."""
    ours, reference, x_shape, k_shape = conv_case(*CONV_CASES[5])
    x, kernel = normal(0, *x_shape), normal(1, *k_shape)

    def outer(op, x, kernel):
        return jnp.sum(jnp.cos(jax.grad(loss, argnums=2)(op, x, kernel)))

    gradient = jax.grad(outer, argnums=(1, 2))
    close(*[compiled(functools.partial(gradient, op), x, kernel) for op in (ours, reference)])


def test_third_order():
    ours, reference, x_shape, k_shape = conv_case((4, 4), (3, 3), 2, "SAME")
    x, kernel = normal(0, *x_shape), normal(1, *k_shape)

    def third(op):
        def squares(x, kernel):
            return sum(jnp.sum(g**2) for g in jax.grad(penalty, (1, 2))(op, x, kernel))

        return compiled(jax.grad(squares, (0, 1)), x, kernel)

    close(third(ours), third(reference))


@pytest.mark.parametrize(("make", "case"), first_quick(FEW))
@pytest.mark.parametrize("axes", AXES)
def test_vmap(make, case, axes):
    ours, reference, x_shape, k_shape = make(*case)
    lead = [() if axis is None else (3,) for axis in axes]
    x, kernel = normal(0, *lead[0], *x_shape), normal(1, *lead[1], *k_shape)
    results = [
        compiled(jax.vmap(functools.partial(everything, op), axes), x, kernel)
        for op in (ours, reference)
    ]
    close(*results)


@pytest.mark.parametrize(
    "outer", [slow(pytest.param((0, None))), slow(pytest.param((None, 0))), (0, 0)]
)
@pytest.mark.parametrize(
    "inner", [slow(pytest.param((0, None))), (None, 0), slow(pytest.param((0, 0)))]
)
def test_nested_vmap(outer, inner):
    """Components over pairs: every combination of axes that image and kernel may have, 2 (outer) and 3 (inner)."""
    ours, reference, x_shape, k_shape = conv_case((6, 5), (3, 3), 2, "VALID")
    leads = [
        tuple(n for n, axis in ((2, outer[i]), (3, inner[i])) if axis is not None) for i in (0, 1)
    ]
    x, kernel = normal(0, *leads[0], *x_shape), normal(1, *leads[1], *k_shape)

    def both(op):
        def gradients(x, kernel):
            return op(x, kernel), jax.grad(loss, (1, 2))(op, x, kernel)

        return compiled(jax.vmap(jax.vmap(gradients, inner), outer), x, kernel)

    close(both(ours), both(reference))


def test_gradient_of_a_vmapped_sum():
    """``grad`` outside, ``vmap`` inside, with a kernel that all images share."""
    ours, reference, x_shape, k_shape = conv_case(*CONV_CASES[3])
    x, kernel = normal(0, 3, *x_shape), normal(1, *k_shape)

    def total(op, x, kernel):
        return jnp.sum(jax.vmap(functools.partial(loss, op), (0, None))(x, kernel))

    gradient = jax.grad(total, argnums=(1, 2))
    close(*[compiled(functools.partial(gradient, op), x, kernel) for op in (ours, reference)])


def test_many_kernels_are_looped_over():
    """Past the limit the program must not grow with the number of kernels."""

    def lines(count):
        x, kernel = normal(0, count, 1, 3, 3, 1), normal(1, count, 2, 2, 1, 1)
        text = jax.jit(jax.vmap(conv)).lower(x, kernel).as_text()
        return text.count("convolution")

    assert lines(5) == 5
    assert lines(70) == 1
    x, kernel = normal(0, 70, 1, 3, 3, 1), normal(1, 70, 2, 2, 1, 1)
    _, reference, *_ = conv_case((3, 3), (2, 2), 1, "SAME")
    results = [
        compiled(jax.vmap(functools.partial(everything, op)), x, kernel) for op in (conv, reference)
    ]
    close(*results)


@pytest.mark.parametrize("axes", [slow(pytest.param(None, id="plain")), AXES[0], slow(AXES[2])])
@pytest.mark.parametrize(("make", "case"), first_quick(FEW))
def test_gradient_descent_in_scan(make, case, axes):
    """Steps on the kernel inside ``scan``, alone and over components, end where ``lax`` ends."""
    ours, reference, x_shape, k_shape = make(*case)
    lead = [() if axis is None else (3,) for axis in axes or (None, None)]
    x, kernel = normal(0, *lead[0], *x_shape), normal(1, *lead[1], *k_shape)

    def train(op):
        gradient = jax.grad(functools.partial(loss, op), argnums=1)
        if axes:
            gradient = jax.vmap(gradient, axes)

        def step(kernel, _):
            return kernel - 0.01 * gradient(x, kernel), None

        return compiled(lambda k: lax.scan(step, k, None, length=4)[0], kernel)

    close(train(ours), train(reference))


@pytest.mark.parametrize("shape", [(4, 2), slow(pytest.param((2, 4)))])
@pytest.mark.parametrize(("make", "case"), first_quick(FEW[1:]))
def test_shard_map(make, case, shape):
    """Eight components of a network split over a mesh, images over its other axis: gradients as unsharded ``lax``."""
    ours, reference, x_shape, k_shape = make(*case)
    mesh = Mesh(np.array(jax.devices()[:8]).reshape(shape), ("component", "data"))
    components, batch = 8, 8
    x, kernel = normal(0, batch, *x_shape[1:]), normal(1, components, *k_shape)
    shared = normal(2, *k_shape)

    def total(op, shared, kernels, x):
        def one(kernel):
            y = op(x, kernel + shared)
            return jnp.sum(jnp.sin(y)) + jnp.sum(jnp.sin(op(x, shared)) ** 2)

        return jnp.mean(jax.vmap(one)(kernels)) / batch

    def sharded(shared, kernels, x):
        def local(shared, kernels, x):
            def mean(shared, kernels):
                value = total(ours, shared, kernels, x) * batch / x.shape[0]
                return lax.pmean(value, ("component", "data"))

            return jax.value_and_grad(mean, argnums=(0, 1))(shared, kernels)

        split = P("component")
        specs = {"in_specs": (P(), split, P("data")), "out_specs": (P(), (P(), split))}
        return jax.shard_map(local, mesh=mesh, **specs)(shared, kernels, x)

    desired = jax.value_and_grad(functools.partial(total, reference), argnums=(0, 1))
    close(compiled(sharded, shared, kernel, x), compiled(desired, shared, kernel, x))


def test_second_order_in_shard_map():
    """A gradient penalty, whose terms mix operands that vary over different axes of the mesh."""
    ours, reference, x_shape, k_shape = conv_case((6, 5), (3, 3), 2, "SAME")
    mesh = Mesh(np.array(jax.devices()[:8]).reshape(4, 2), ("component", "data"))
    x, kernel = normal(0, 8, *x_shape[1:]), normal(1, 8, *k_shape)

    def total(op, kernels, x):
        return jnp.sum(jax.vmap(lambda kernel: penalty(op, x, kernel))(kernels))

    def local(kernels, x):
        # Each component has its own penalty: without this the images' gradient would be summed over components.
        x = lax.pcast(x, "component", to="varying")

        def summed(kernels):
            return lax.psum(total(ours, kernels, x), ("component", "data"))

        return jax.grad(summed)(kernels)

    split = P("component")
    sharded = jax.shard_map(local, mesh=mesh, in_specs=(split, P("data")), out_specs=split)
    desired = jax.grad(functools.partial(total, reference))
    close(compiled(sharded, kernel, x), compiled(desired, kernel, x))


@pytest.mark.parametrize("image", [(7, 7), (28, 28), (5, 6)])
@pytest.mark.parametrize("kernel_size", [4, 5])
def test_transposed_same_doubles_the_image(image, kernel_size):
    x, kernel = normal(0, BATCH, *image, 2), normal(1, kernel_size, kernel_size, 2, 3)
    y = conv_transpose(x, kernel, strides=2, padding="SAME")
    assert y.shape == (BATCH, 2 * image[0], 2 * image[1], 3)


def test_transposed_is_linens():
    layer = nn.ConvTranspose(4, (5, 5), strides=(2, 2), use_bias=False, param_dtype=jnp.float64)
    x, kernel = normal(0, BATCH, 7, 6, 3), normal(1, 5, 5, 3, 4)
    close(conv_transpose(x, kernel, strides=2), layer.apply({"params": {"kernel": kernel}}, x))


@pytest.mark.parametrize(
    "options",
    [{}, {"strides": 2}, {"padding": "VALID"}, {"kernel_dilation": 2}, {"feature_group_count": 3}],
    ids=str,
)
def test_in_linens_conv(options):
    """Groups, which we don't do, go to ``lax``; all give what Linen's own convolution gives."""
    ours, native = (
        nn.Conv(6, (3, 3), param_dtype=jnp.float64, conv_general_dilated=op, **options)
        for op in (conv_general_dilated, None)
    )
    x = normal(0, BATCH, 8, 9, 3)
    kernel = normal(1, 3, 3, 3 // options.get("feature_group_count", 1), 6)
    variables = {"params": {"kernel": kernel, "bias": normal(2, 6)}}
    close(ours.apply(variables, x), native.apply(variables, x))


def test_linens_conv_is_not_grouped_under_vmap():
    """What the module is for: no grouped convolution in the program."""
    x, kernel = normal(0, 3, *(BATCH, 8, 8, 3)), normal(1, 3, *(4, 4, 3, 5))

    def program(op):
        def one(x, kernel):
            return jnp.sum(op(x, kernel, (2, 2), "SAME", dimension_numbers=LAYOUT) ** 2)

        gradient = jax.jit(jax.vmap(jax.grad(one, argnums=(0, 1))))
        return gradient.lower(x, kernel).as_text()

    grouped = ("feature_group_count = 3", "batch_group_count = 3")
    assert not any(words in program(conv_general_dilated) for words in grouped)
    assert any(words in program(lax.conv_general_dilated) for words in grouped)


def test_other_layouts_go_to_lax():
    x, kernel = normal(0, BATCH, 3, 8, 8), normal(1, 4, 3, 3, 3)
    numbers = ("NCHW", "OIHW", "NCHW")
    arguments = (x, kernel, (1, 1), "SAME")
    close(
        conv_general_dilated(*arguments, dimension_numbers=numbers),
        lax.conv_general_dilated(*arguments, dimension_numbers=numbers),
    )


def test_forward_mode_is_refused():
    """Documented as unsupported: it must fail, not be wrong."""
    x, kernel = normal(0, 1, 4, 4, 1), normal(1, 3, 3, 1, 1)
    with pytest.raises(TypeError, match="forward-mode"):
        jax.jvp(lambda k: conv(x, k), (kernel,), (kernel,))


@pytest.mark.parametrize(
    ("x", "kernel", "options", "error", "words"),
    [
        ((2, 8, 3), (3, 3, 3, 4), {}, ValueError, r"x must have shape \[B, H, W, C\]"),
        ((2, 8, 8, 3), (3, 3, 4), {}, ValueError, "kernel must have shape"),
        ((2, 8, 8, 3), (3, 3, 2, 4), {}, ValueError, "kernel must have as many input channels"),
        ((2, 8, 8, 3), (3, 3, 3, 4), {"strides": 0}, ValueError, "strides must be .* got 0"),
        ((2, 8, 8, 3), (3, 3, 3, 4), {"strides": 1.5}, TypeError, "strides must be"),
        ((2, 8, 8, 3), (3, 3, 3, 4), {"strides": (1, 2, 3)}, ValueError, "strides must be"),
        ((2, 8, 8, 3), (3, 3, 3, 4), {"padding": "SAMME"}, ValueError, "did you mean 'SAME'"),
        ((2, 8, 8, 3), (3, 3, 3, 4), {"padding": (1, 1)}, ValueError, "padding must be"),
    ],
)
@pytest.mark.parametrize("op", [conv, conv_transpose])
def test_bad_arguments_are_named(op, x, kernel, options, error, words):
    with pytest.raises(error, match=words):
        op(jnp.zeros(x), jnp.zeros(kernel), **options)


def test_other_bad_arguments():
    x, kernel = jnp.zeros((1, 4, 4, 1)), jnp.zeros((5, 5, 1, 1))
    with pytest.raises(ValueError, match="kernel must fit into the padded image"):
        conv(x, kernel, padding="VALID")
    with pytest.raises(ValueError, match="padding must leave at least one pixel"):
        conv_transpose(x, kernel, padding=((-2, -2), (0, 0)))
    with pytest.raises(ValueError, match="dilation must be"):
        conv(x, kernel, dilation=0)
    with pytest.raises(TypeError, match="kernel must have the dtype of x"):
        conv(x, kernel.astype(jnp.float32))
