"""Inception-v3 in its FID variant: its layers, its input, its file, and agreement with two other implementations."""

import json
import math

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mixgan_jax import metrics, networks
from mixgan_jax.metrics import inception as command
from mixgan_jax.metrics.images import inception, weights
from mixgan_jax.networks import inception as network

SMALL = {"a.weight": (2, 3), "b": (4,)}
TENSORS = {
    name: np.arange(math.prod(shape), dtype=np.float32).reshape(shape)
    for name, shape in SMALL.items()
}


def random_tensors(seed=0):
    """Tensors of the whole network at random, with activations of about 1 in every layer."""
    rng = np.random.default_rng(seed)

    def fill(name, shape):
        values = rng.standard_normal(shape, np.float32)
        if name.endswith("running_var"):
            return 1 + np.abs(values)
        if name.endswith("bn.weight"):
            return 1 + 0.1 * values
        return values * (math.sqrt(2 / math.prod(shape[1:])) if len(shape) > 1 else 0.1)

    return {
        name: fill(name, shape).astype(np.float32)
        for name, shape in inception.file_shapes().items()
    }


# --- layers


def test_means_do_not_count_the_padding():
    x = jnp.arange(9.0).reshape(1, 3, 3, 1)
    y = network._average(x)[0, :, :, 0]
    assert y[0, 0] == pytest.approx((0 + 1 + 3 + 4) / 4)
    assert y[1, 0] == pytest.approx((0 + 1 + 3 + 4 + 6 + 7) / 6)
    assert y[1, 1] == pytest.approx(4)


@pytest.mark.parametrize("largest", [False, True])
def test_the_last_block_takes_maxima(largest):
    """All kernels are 0 but the pooling branch's, which hands the first channel on."""
    block = network._BlockE(largest=largest)
    x = jnp.arange(9.0).reshape(1, 3, 3, 1)
    shapes = jax.eval_shape(block.init, jax.random.key(0), x)
    variables = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape), shapes)
    unit = {"kernel": jnp.ones((1, 1, 1, 192)), "scale": jnp.ones(192), "bias": jnp.zeros(192)}
    variables["params"]["branch_pool"] = unit
    variables["batch_stats"]["branch_pool"]["var"] = jnp.full(192, 1 - network._EPSILON)
    y = jax.jit(block.apply)(variables, x)[0, :, :, -1]
    first, middle = (4, 8) if largest else (2, 4)
    np.testing.assert_allclose([y[0, 0], y[1, 1]], [first, middle], rtol=1e-6)


def test_a_unit_normalises_by_the_running_averages():
    """Against Flax's convolution and batch norm."""
    x = jax.random.normal(jax.random.key(0), (2, 5, 5, 3))
    unit = network._Unit(4, (1, 7))
    kernel = jax.random.normal(jax.random.key(1), (1, 7, 3, 4))
    four = jnp.arange(1.0, 5.0)
    norm = {"scale": four, "bias": 0.1 * four}, {"mean": 0.2 * four, "var": 0.3 * four}
    found = unit.apply({"params": {"kernel": kernel, **norm[0]}, "batch_stats": norm[1]}, x)
    y = nn.Conv(4, (1, 7), use_bias=False).apply({"params": {"kernel": kernel}}, x)
    flax = nn.BatchNorm(use_running_average=True, epsilon=1e-3)
    expected = nn.relu(flax.apply({"params": norm[0], "batch_stats": norm[1]}, y))
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.slow
def test_shapes():
    """Torchvision's names, shapes and number of parameters."""
    shapes = inception.file_shapes()
    assert len(shapes) == 94 * 5 + 2
    assert shapes["Conv2d_1a_3x3.conv.weight"] == (32, 3, 3, 3)
    assert shapes["Mixed_6b.branch7x7_2.conv.weight"] == (128, 128, 1, 7)
    assert shapes["Mixed_7c.branch3x3dbl_3b.bn.running_mean"] == (384,)
    assert shapes["fc.weight"] == (1008, 2048)
    trained = sum(math.prod(size) for name, size in shapes.items() if "running" not in name)
    # torchvision's inception_v3 without the auxiliary classifier has 23,834,568 with 1,000 classes.
    assert trained == 23_834_568 + 8 * 2049


# --- input


def slow_resize(levels, size):
    """One pixel after the other, as the kernel of TensorFlow 1 without half-pixel centres does it."""
    height, width = levels.shape
    out = np.zeros((size, size))
    for i in range(size):
        for j in range(size):
            y, x = i * height / size, j * width / size
            top, left = int(y), int(x)
            down, right = min(top + 1, height - 1), min(left + 1, width - 1)
            above = levels[top, left] + (levels[top, right] - levels[top, left]) * (x - left)
            below = levels[down, left] + (levels[down, right] - levels[down, left]) * (x - left)
            out[i, j] = above + (below - above) * (y - top)
    return out


@pytest.mark.parametrize("shape", [(5, 8), (310, 400)], ids=["grows", "shrinks"])
def test_images_become_what_the_network_was_trained_on(shape):
    levels = np.random.default_rng(0).integers(0, 256, shape)
    image = jnp.asarray(levels / 127.5 - 1, jnp.float32)[None, :, :, None]
    found = inception.prepare_images(image)
    assert found.shape == (1, 299, 299, 3)
    assert np.all(found[..., 0] == found[..., 2])
    expected = (slow_resize(levels.astype(float), 299) - 128) / 128
    # TensorFlow's places of pixels are in float32 too.
    np.testing.assert_allclose(found[0, :, :, 0], expected, atol=1e-4)


def test_images_are_rounded_to_256_levels():
    image = jnp.linspace(-1, 1, 48).reshape(1, 4, 4, 3)
    rounded = jnp.round((image + 1) * 127.5) / 127.5 - 1
    assert not np.array_equal(image, rounded)
    both = map(inception.prepare_images, (image, rounded))
    np.testing.assert_array_equal(*both)


def test_images_of_other_channels_are_refused():
    with pytest.raises(ValueError, match=r"images must be \[B, H, W, 3\] or \[B, H, W, 1\]"):
        inception.prepare_images(jnp.zeros((1, 4, 4, 2)))


# --- file


def test_a_file_comes_back(tmp_path):
    digest = weights.write_tensors(tmp_path / "w", TENSORS)
    found, again = weights.read_tensors(tmp_path / "w", SMALL, digest.upper())
    assert again == digest
    assert {name: array.tolist() for name, array in found.items()} == {
        name: array.tolist() for name, array in TENSORS.items()
    }
    other_order = dict(reversed(TENSORS.items()))
    assert weights.write_tensors(tmp_path / "v", other_order) == digest


def test_the_format_is_safetensors(tmp_path):
    """Eight bytes, JSON, numbers: by hand, with a tensor that PyTorch counts batches in, and metadata."""
    header = {
        "__metadata__": {"format": "pt"},
        "b.num_batches_tracked": {"dtype": "I64", "shape": [], "data_offsets": [0, 8]},
        "b": {"dtype": "F32", "shape": [2], "data_offsets": [8, 16]},
    }
    text = json.dumps(header).encode()
    numbers = np.int64(7).tobytes() + np.array([1.5, -2], "<f4").tobytes()
    (tmp_path / "w").write_bytes(len(text).to_bytes(8, "little") + text + numbers)
    found, _ = weights.read_tensors(tmp_path / "w", {"b": (2,)})
    assert found["b"].tolist() == [1.5, -2]
    safetensors = pytest.importorskip("safetensors.numpy")
    weights.write_tensors(tmp_path / "v", TENSORS)
    assert safetensors.load_file(tmp_path / "v")["b"].tolist() == TENSORS["b"].tolist()


def headed(entries):
    text = json.dumps(entries).encode()
    return len(text).to_bytes(8, "little") + text + bytes(64)


def entry(name, **changes):
    """A header in which one entry of a tensor has changed."""
    plain = {
        "a.weight": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]},
        "b": {"dtype": "F32", "shape": [4], "data_offsets": [24, 40]},
    }
    return headed(plain | {name: plain.get(name, {}) | changes})


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "no safetensors file"),
        (b"PK\x03\x04" + bytes(100), "no safetensors file; python -m mixgan_jax.metrics.inception"),
        (b"\xff" * 100, "no safetensors file"),
        ((90).to_bytes(8, "little") + b"[" * 90, "no safetensors file"),
        (headed([]), "no safetensors file"),
        (headed({"a.weight": 3}), "no safetensors file"),
        (headed({"b": {}}), "it lacks 'a.weight'"),
        (headed({"c": {}}), "it lacks 'a.weight' and 1 more, it has 'c'"),
        (entry("a.weight", shape=[3, 2]), "'a.weight' must be F32 of shape .2, 3., and is F32 of"),
        (entry("a.weight", dtype="BF16"), "and is BF16 of shape"),
        (entry("b", data_offsets=[24, 32]), "'b' must have 16 bytes, and has the offsets .24, 32."),
        (entry("b", data_offsets=[-16, 0]), "'b' must have 16 bytes"),
        (entry("b", data_offsets="24"), "'b' must have 16 bytes"),
        (entry("b", data_offsets=[100, 116]), "it is cut off: 'b' ends at byte 116 of its 64"),
    ],
)
def test_a_bad_file_is_refused(tmp_path, content, message):
    (tmp_path / "w").write_bytes(content)
    with pytest.raises(ValueError, match=f"path must hold the network's weights, got .*{message}"):
        weights.read_tensors(tmp_path / "w", SMALL)


def test_a_file_of_another_hash_is_refused(tmp_path):
    digest = weights.write_tensors(tmp_path / "w", TENSORS)
    with pytest.raises(ValueError, match=f"path must be the file of sha256 00, got .* of {digest}"):
        weights.read_tensors(tmp_path / "w", SMALL, "00")


def test_a_long_header_is_not_read(tmp_path):
    """A header of 3 MB, of spaces and one right entry."""
    text = b" " * 3 * 2**20 + b"{}"
    (tmp_path / "w").write_bytes(len(text).to_bytes(8, "little") + text)
    with pytest.raises(ValueError, match="no safetensors file"):
        weights.read_tensors(tmp_path / "w", {})


def test_a_file_that_is_not_there():
    with pytest.raises(FileNotFoundError):
        metrics.inception_extractor("no such file")


# --- converter


@pytest.fixture
def small(monkeypatch):
    """The converter wants two small tensors."""
    monkeypatch.setattr(command, "file_shapes", lambda: SMALL)
    return pytest.importorskip("torch")


def test_convert(small, tmp_path, capsys):
    state = {name: small.tensor(array) for name, array in TENSORS.items()}
    small.save(state | {"b.num_batches_tracked": small.tensor(3)}, tmp_path / "w.pth")
    command.main(["convert", str(tmp_path / "w.pth"), str(tmp_path / "w.safetensors")])
    found, digest = weights.read_tensors(tmp_path / "w.safetensors", SMALL)
    assert found["a.weight"].tolist() == TENSORS["a.weight"].tolist()
    assert digest in capsys.readouterr().out


class Evil:
    """A pickle of it runs code."""

    def __reduce__(self):
        return print, ("code ran",)


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ({"a.weight": (2, 3)}, "it lacks 'b'"),
        ({"a.weight": (2, 3), "b": (5,)}, "'b' must be F32 of shape .4., and is F32 of shape .5."),
        ([1], "source must be a PyTorch file of tensors by name"),
        ({"a.weight": Evil()}, "source must be a PyTorch file of tensors by name"),
    ],
)
def test_other_files_are_not_converted(small, tmp_path, capsys, state, message):
    if isinstance(state, dict):
        state = {
            name: small.zeros(value) if isinstance(value, tuple) else value
            for name, value in state.items()
        }
    small.save(state, tmp_path / "w.pth")
    with pytest.raises(SystemExit) as ended:
        command.main(["convert", str(tmp_path / "w.pth"), str(tmp_path / "w.safetensors")])
    assert ended.value.code == 2
    printed = capsys.readouterr()
    assert message.replace(".4.", "[4]").replace(".5.", "[5]") in printed.err
    assert printed.out == ""
    assert not (tmp_path / "w.safetensors").exists()


def test_what_torch_cannot_read_is_not_converted(small, tmp_path):
    (tmp_path / "w.pth").write_bytes(b"no pickle")
    with pytest.raises(ValueError, match="source must be a PyTorch file"):
        command.convert(tmp_path / "w.pth", tmp_path / "w.safetensors")
    with pytest.raises(FileNotFoundError):
        command.convert(tmp_path / "none.pth", tmp_path / "w.safetensors")


# --- the whole network


@pytest.mark.slow
def test_the_extractor(tmp_path):
    """Kernels lie as JAX has them, grey is colour of equal channels, and the provenance has the file's hash."""
    tensors = random_tensors()
    digest = weights.write_tensors(tmp_path / "w.safetensors", tensors)
    extractor = metrics.inception_extractor(tmp_path / "w.safetensors", sha256=digest)
    assert extractor.weights_sha256 == digest
    assert extractor.value_range == (-1.0, 1.0)
    variables, _ = inception.load_inception(tmp_path / "w.safetensors")
    kernel = variables["params"]["Mixed_6b"]["branch7x7_2"]["kernel"]
    own = tensors["Mixed_6b.branch7x7_2.conv.weight"]
    assert kernel.shape == (1, 7, 128, 128)
    assert kernel[0, 3, 5, 9] == own[9, 5, 0, 3]

    images = jax.random.uniform(jax.random.key(1), (2, 12, 12, 1), minval=-1.0)
    grey = metrics.extract(extractor, images, block=2)
    assert grey.array.shape == (2, 2048)
    colour = inception.prepare_images(jnp.repeat(images, 3, axis=3))
    np.testing.assert_array_equal(inception.prepare_images(images), colour)
    guess = metrics.inception_extractor(tmp_path / "w.safetensors", output="probabilities")
    found = metrics.extract(guess, images, block=2).array
    expected = jax.nn.softmax(grey.array @ tensors["fc.weight"].T, axis=-1)
    np.testing.assert_allclose(found, expected, rtol=1e-4)
    with pytest.raises(ValueError, match="images must lie in"):
        metrics.extract(extractor, 255 * images)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A PyTorch file of random weights, with what PyTorch counts, and the safetensors file made of it."""
    torch = pytest.importorskip("torch")
    folder = tmp_path_factory.mktemp("weights")
    state = {name: torch.tensor(array) for name, array in random_tensors().items()}
    norms = [name.removesuffix("running_var") for name in state if name.endswith("running_var")]
    counts = {f"{name}num_batches_tracked": torch.tensor(0) for name in norms}
    torch.save(state | counts, folder / "w.pth")
    command.convert(folder / "w.pth", folder / "w.safetensors")
    return folder / "w.pth", folder / "w.safetensors"


@pytest.mark.slow
def test_agreement_with_torch_fidelity(files):
    """From levels to features and probabilities, resize included."""
    torch, _ = pytest.importorskip("torch"), pytest.importorskip("torch_fidelity")
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    outputs = ["2048", "logits_unbiased"]
    theirs = FeatureExtractorInceptionV3(
        "inception", outputs, feature_extractor_weights_path=str(files[0])
    )
    levels = np.random.default_rng(1).integers(0, 256, (2, 32, 40, 3)).astype(np.uint8)
    features, logits = theirs(torch.tensor(levels).permute(0, 3, 1, 2))
    expected = {"features": features.numpy(), "probabilities": jax.nn.softmax(logits.numpy())}
    for output, wanted in expected.items():
        extractor = metrics.inception_extractor(files[1], output=output)
        found = metrics.extract(extractor, levels / np.float32(127.5) - 1, block=2).array
        np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-4 * wanted.max())


def pooled_as_fid(module, largest=False):
    """Has a block of torchvision pool as in the FID variant: its own pool counts the padding."""
    torch = pytest.importorskip("torch")
    pool = torch.nn.functional

    def forward(x):
        theirs = pool.avg_pool2d

        def average(x, kernel_size, stride, padding):
            if largest:
                return pool.max_pool2d(x, kernel_size, stride, padding)
            return theirs(x, kernel_size, stride, padding, count_include_pad=False)

        pool.avg_pool2d = average
        try:
            return type(module).forward(module, x)
        finally:
            pool.avg_pool2d = theirs

    module.forward = forward


@pytest.mark.slow
def test_agreement_with_torchvision(files):
    """The network alone, to its logits; torchvision's blocks get the pools of the FID variant."""
    torch, torchvision = pytest.importorskip("torch"), pytest.importorskip("torchvision")
    theirs = torchvision.models.inception_v3(
        weights=None, num_classes=1008, aux_logits=False, init_weights=False
    )
    theirs.load_state_dict(torch.load(files[0], weights_only=True))
    for name, block in theirs.named_children():
        if name.startswith(("Mixed_5", "Mixed_6", "Mixed_7")):
            pooled_as_fid(block, largest=name == "Mixed_7c")
    x = np.random.default_rng(2).uniform(-1, 1, (1, 299, 299, 3)).astype(np.float32)
    with torch.no_grad():
        expected = theirs.eval()(torch.tensor(x).permute(0, 3, 1, 2)).numpy()
    variables, _ = inception.load_inception(files[1])
    found = jax.jit(networks.InceptionV3().apply)(variables, x)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)
