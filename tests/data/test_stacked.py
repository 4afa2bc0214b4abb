"""Stacked MNIST: stacks and packs by hand, the classes of stacks, apportioning, the paper's tables and protocols."""

import dataclasses
import re
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import mixgan_jax as mg
from experiments.common.image_classifier import Classifier
from experiments.family import (
    pacgan_tables,
    stacked_measures,
    stacked_methods,
    stacked_mnist,
    stacked_verdict,
)
from experiments.family.stacked_methods import Method
from mixgan_jax.data import digits, feed_from_stacks, fixed_packs, fixed_stacks, stack_labels

KEY = jax.random.key(0)
# Image n is n everywhere, so that a pixel of a stack says which images it is made of.
NUMBERED = np.tile(np.arange(7, dtype=np.uint8)[:, None, None, None] * 30, (1, 2, 3, 1))


def which(stacks: jax.Array, low: float = -1.0) -> np.ndarray:
    """The images ``[..., depth]`` that stacks are made of."""
    levels = (np.asarray(stacks) - low) / (1 - low) * 255 / 30
    np.testing.assert_allclose(levels, np.rint(levels), atol=1e-4)
    assert np.all(levels == levels[..., :1, :1, :])
    return np.rint(levels[..., 0, 0, :]).astype(int)


@pytest.mark.parametrize("low", [-1.0, 0.0])
def test_stacks_are_drawn_channel_by_channel(low) -> None:
    feed = feed_from_stacks(NUMBERED, 7_000, low=low)
    batch = feed.sample(KEY, feed.arrays)
    assert batch.shape == (7_000, 2, 3, 3) and batch.dtype == jnp.float32
    made_of = which(batch, low)
    for channel in range(3):
        np.testing.assert_allclose(np.bincount(made_of[:, channel]) / 7_000, 1 / 7, atol=0.02)
    triples = np.bincount(made_of @ [49, 7, 1], minlength=343)
    assert abs(np.var(triples) / np.mean(triples) - 1) < 0.3  # Poisson: channels are independent


def test_a_table_holds_the_only_stacks_there_are_and_packs_stay_together() -> None:
    """Two packs of two stacks of three: every batch is made of them, in their order."""
    table = jnp.array([[0, 1, 2, 3, 4, 5], [6, 5, 6, 5, 6, 5]])
    feed = feed_from_stacks(NUMBERED, 40, table=table)
    made_of = which(feed.sample(KEY, feed.arrays)).reshape(20, 6)
    assert {tuple(pack) for pack in made_of.tolist()} == {tuple(row) for row in table.tolist()}


def test_as_pack_joins_them() -> None:
    """The discriminator's pack p is row p of the table: its channels are the row's images in order."""
    seen = []

    def apply(params, state, x, *, train):
        seen.append(x)
        return x[:, 0, 0, 0], state

    table = fixed_packs(KEY, fixed_stacks(KEY, 7, 50), 2)
    feed = feed_from_stacks(NUMBERED, 8, table=table)
    batch = feed.sample(KEY, feed.arrays)
    mg.pack(mg.Player(lambda key, x: ({}, {}), apply), 2).apply({}, {}, batch, train=True)
    rows = {tuple(row) for row in table.tolist()}
    assert seen[0].shape == (4, 2, 3, 6)
    assert {tuple(row) for row in which(seen[0]).tolist()} <= rows


def test_fixed_sets_are_small_tables() -> None:
    stacks = fixed_stacks(KEY, 60_000)
    assert stacks.shape == (128_000, 3) and stacks.nbytes < 1.6e6
    assert 59_900 < int(stacks.max()) < 60_000 and int(stacks.min()) < 100
    packs = fixed_packs(KEY, stacks[:50], 4)
    assert packs.shape == (50, 12)
    known = {tuple(row) for row in stacks[:50].tolist()}
    slots = np.asarray(packs).reshape(200, 3)
    assert {tuple(slot) for slot in slots.tolist()} <= known
    assert len({tuple(slot) for slot in slots[::4].tolist()}) < 50  # with replacement in each slot
    np.testing.assert_array_equal(fixed_packs(KEY, stacks, 1), stacks)


def test_stacks_are_put_together_on_the_device() -> None:
    """No stack set in memory, nor a constant in the program: digits and table are arguments."""
    feed = feed_from_stacks(np.zeros((900, 2, 2, 1), np.uint8), 4, table=fixed_stacks(KEY, 900))
    assert sum(leaf.nbytes for leaf in jax.tree.leaves(feed.arrays)) == 900 * 4 + 128_000 * 12
    jaxpr = jax.make_jaxpr(feed.sample)(KEY, feed.arrays)
    assert all(np.size(constant) < 100 for constant in jaxpr.consts)


def test_labels_of_stacks_by_hand() -> None:
    labels = stack_labels(jnp.array([[1, 2, 3], [0, 0, 9], [9, 9, 9], [0, 1, 0]]))
    np.testing.assert_array_equal(labels, [123, 9, 999, 10])
    np.testing.assert_array_equal(stack_labels(jnp.array([[[2, 1]]]), 3), [[7]])
    # 2^31 classes are the most that int32 can number.
    np.testing.assert_array_equal(stack_labels(jnp.ones((1, 31), jnp.int32), 2), [2**31 - 1])
    for depth, classes in ((32, 2), (10, 10)):
        with pytest.raises(ValueError, match=rf"at most 2\^31 classes, got {classes}\^{depth}"):
            stack_labels(jnp.ones((1, depth), jnp.int32), classes)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (partial(feed_from_stacks, NUMBERED[..., 0], 2), ValueError, r"images must have shape \[N"),
        (partial(feed_from_stacks, NUMBERED, 2, low=1.0), ValueError, "low must be a number below"),
        (
            partial(feed_from_stacks, NUMBERED, 3, table=jnp.zeros((4, 6), jnp.int32)),
            ValueError,
            "batch_size must be a multiple of the 2 stacks in a pack, got 3",
        ),
        (
            partial(feed_from_stacks, NUMBERED, 3, table=jnp.zeros((4, 5), jnp.int32)),
            ValueError,
            r"table must have shape \[P, M \* 3\]",
        ),
        (
            partial(feed_from_stacks, NUMBERED, 3, table=jnp.full((4, 3), 7)),
            ValueError,
            r"table must hold indices 0..6 of the images, got values in \[7, 7\]",
        ),
        (
            partial(feed_from_stacks, NUMBERED, 3, table=jnp.zeros((4, 3))),
            TypeError,
            "table must be whole numbers, got 'dtype float32'",
        ),
        (partial(fixed_stacks, KEY, 0), ValueError, "num_images must be a whole number >= 1"),
        (partial(fixed_packs, KEY, jnp.zeros((2, 3), int), 0), ValueError, "packing must be"),
        (partial(stack_labels, jnp.array([[1, 10]])), ValueError, r"labels must lie in 0..9, got"),
        (partial(stack_labels, jnp.array(3)), ValueError, r"labels must have shape \[..., depth\]"),
    ],
)
def test_bad_stacks_are_refused(call, error, message) -> None:
    with pytest.raises(error, match=message):
        call()


def test_batches_are_apportioned_by_weight() -> None:
    """Largest remainders by hand: quotas 3.5, 4.9, 1.6 of ten give 3, 5, 2."""
    apportion = stacked_measures.apportion
    np.testing.assert_array_equal(apportion(np.array([0.35, 0.49, 0.16]), 10), [3, 5, 2])
    np.testing.assert_array_equal(apportion(np.array([1.0]), 100), [100])
    np.testing.assert_array_equal(apportion(np.full(3, 1 / 3), 100), [34, 33, 33])
    np.testing.assert_array_equal(apportion(np.array([0.0, 1.0]), 7), [0, 7])


def test_measures_of_a_mixture_by_hand() -> None:
    """Component 0 makes class 0 only, component 1 two classes; by weights 3/4 and 1/4, batches of four."""
    classes = np.stack([np.zeros((4, 4), int), np.tile([1, 1, 2, 2], (4, 1))])
    measures = stacked_measures._measures(classes, np.array([0.75, 0.25]), 8)
    assert measures["modes"] == 3
    assert measures["component_modes"] == 1.5
    entropy = -(0.75 * np.log(0.75) + 2 * 0.125 * np.log(0.125))
    assert measures["kl"] == pytest.approx(np.log(8) - entropy, rel=1e-5)
    assert measures["component_kl"] == pytest.approx(np.log(8) - np.log(2) / 2, rel=1e-5)
    assert measures["overlap"] == 0
    assert measures["effective_components"] == pytest.approx(np.exp(0.5623351), rel=1e-5)


BRIGHTNESS = Classifier(
    lambda x: jax.nn.one_hot(jnp.clip((jnp.mean(x, (1, 2, 3)) + 1) * 5, 0, 9).astype(int), 10),
    None,
    10,
    1.0,
)


def test_digits_are_read_channel_by_channel() -> None:
    """A classifier that reads brightness: 0.1 and 0.3 above black are digits 0 and 1."""
    stacks = jnp.broadcast_to(jnp.array([-0.7, 0.9, -0.9])[None, None, None], (5, 4, 4, 3))
    np.testing.assert_array_equal(
        stacked_measures.read_digits(BRIGHTNESS, stacks), jnp.full(5, 190)
    )


@pytest.mark.parametrize("protocol", ["metz", "dcgan"])
def test_normalisation_and_range_at_evaluation(protocol) -> None:
    """Batch statistics and [-1, 1] in protocol metz; running averages and [0, 1] in protocol dcgan."""
    calls = []

    def apply(params, state, z, *, train):
        calls.append((train, z))
        return jnp.zeros((z.shape[0], 2, 2, 3)), state

    player = mg.Player(lambda key, z: ({}, {}), apply)
    config = dataclasses.replace(stacked_mnist.PRESETS["smoke"], protocol=protocol)
    setup = stacked_methods.Setup(player, player, None, None, None, 8)
    drawn = stacked_measures.draw(config, setup, {}, {}, KEY, 500)
    train, latents = calls[0]
    assert train == (protocol == "metz")
    assert (float(jnp.max(jnp.abs(latents))) > 1) == (protocol == "metz")
    np.testing.assert_array_equal(drawn, 0.0 if protocol == "metz" else -1.0)


def test_paper_presets_are_the_papers_protocols() -> None:
    """Parameters of the paper's networks, packs in a batch, data range, update ratios, rates."""
    images = np.zeros((8, 28, 28, 1), np.uint8)
    of_generator = {"paper": 287_875, "paper_half": 287_875, "paper_dcgan": 4_512_323}
    of_discriminator = {"paper": 585, "paper_half": 1_889, "paper_dcgan": 4_309_505}
    per_slot = {"paper": 54, "paper_half": 108, "paper_dcgan": 4_800}
    for preset, expected in of_generator.items():
        config = stacked_mnist.PRESETS[preset]
        sizes = []
        for packing in (1, 3):
            method = Method("", packing=packing)
            players = stacked_methods.players(config, (28, 28), method)
            latents, stacks = jnp.zeros((2, config.latent_size)), jnp.zeros((6, 28, 28, 3))
            shapes = [
                jax.eval_shape(player.init, KEY, example)[0]
                for player, example in zip(players, (latents, stacks), strict=True)
            ]
            sizes.append([sum(leaf.size for leaf in jax.tree.leaves(tree)) for tree in shapes])
        assert sizes[0] == [expected, of_discriminator[preset]]
        assert sizes[1] == [expected, of_discriminator[preset] + 2 * per_slot[preset]]
        feed = stacked_methods.build(config, jnp.asarray(images), method).feed
        batch = jax.eval_shape(feed.sample, KEY, feed.arrays)
        assert batch.shape == (config.batch * 3, 28, 28, 3)
        assert (feed.arrays[1] is None) == (config.protocol == "metz")
    rates = [
        (c.generator_rate, c.discriminator_rate, c.beta1, c.beta2, c.batch, c.generator_steps)
        for c in map(stacked_mnist.PRESETS.get, ("paper", "paper_dcgan"))
    ]
    assert rates == [(1e-4, 2e-4, 0.5, 0.99, 128, 1), (2e-4, 2e-4, 0.5, 0.999, 64, 2)]


def test_rows_are_held_against_the_paper() -> None:
    """Within two standard errors of the difference for both measures, not for one of them."""
    (theirs,) = pacgan_tables.published(pacgan_tables.TABLE_3["quarter"], ["PacGAN4"])

    def outcome(modes, kl, kl_stderr=0.2):
        row = {"modes_mean": modes, "modes_stderr": 21.75, "kl_mean": kl, "kl_stderr": kl_stderr}
        return pacgan_tables.as_published(row, theirs, stacked_verdict.MEASURES)["outcome"]

    # from 667.4 +- 29.00 and 1.81 +- 0.15, 72.5 and 0.5 are allowed
    assert outcome(600.0, 2.2) == "holds"
    assert outcome(590.0, 1.81) == outcome(667.4, 2.4) == "fails"
    assert outcome(667.4, 1.81, kl_stderr=None) == "undecided"


def test_orderings_and_goals() -> None:
    """Every kind of claim, of rows by hand: an ordering that is not decided, and a goal out of reach of two errors."""
    config = dataclasses.replace(stacked_mnist.PRESETS["cpu"], packings=(2, 4), depths=(1, 5))
    names = [method.name for method in stacked_methods.methods(config)]
    modes = dict.fromkeys(names, 50.0)
    modes |= {"PacGAN2": 60.0, "PacGAN4": 70.0, "MIX+GAN k=3": 80.0, "MIX+PacGAN4 k=2": 90.0}
    modes |= {"unrolled 1": 55.0, "unrolled 5": 54.0}
    rows = [
        {"method": name, "modes_mean": modes[name], "modes_stderr": 5.0, "kl_mean": 1.0}
        | {"kl_stderr": 0.1}
        for name in names
    ]
    reals = {"modes": 1000.0, "kl": 0.05, "floor": 0.04}
    verdict = stacked_verdict.judge(config, rows, [], reals, 0.98, is_theirs=False)
    assert [line["outcome"] for line in verdict] == [
        *("fails", "holds", "holds", "holds", "undecided", "holds")
    ]
    paper = stacked_mnist.PRESETS["paper"]
    rows = [
        {**rows[0], "method": method.name, "modes_mean": 700.0}
        for method in stacked_methods.methods(paper)
    ]
    theirs = stacked_verdict.published(paper)
    verdict = stacked_verdict.judge(paper, rows, theirs, reals, 1.0, is_theirs=True)
    found = {line["claim"]: line["outcome"] for line in verdict}
    assert sum(name.endswith("as in PacGAN's paper") for name in found) == 4
    assert found["PacGAN2 as in PacGAN's paper"] == "fails"
    goal = "goal: MIX+PacGAN4 k=3 shows more modes than "
    assert found[goal + "any row of the paper"] == "holds"
    assert found[goal + "PacGAN2, the best packed GAN"] == "undecided"


def test_the_table_is_that_of_the_discriminators_width() -> None:
    paper, half = (stacked_mnist.PRESETS[name] for name in ("paper", "paper_half"))
    modes = [stacked_verdict.published(config)[3]["modes_mean"] for config in (paper, half)]
    assert modes == [667.4, 820.2]  # of PacGAN4
    assert not stacked_verdict.published(dataclasses.replace(paper, discriminator_width=3))
    assert not stacked_verdict.published(dataclasses.replace(paper, dataset="digits"))
    rows = [row["published"] for row in stacked_verdict.published(paper)]
    assert rows == list(pacgan_tables.TABLE_3["quarter"])


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--samples", "100"], "--samples must be a multiple of 128, got 100"),
        (["--protocol", "dcgan"], "--depths must be empty but for protocol metz"),
        (["--steps", "50"], "--steps must be more than log_every = 50, got 50"),
        (["--packed-components", "1", "2"], "--packed-components must be above 1"),
    ],
)
def test_fields_that_do_not_fit_are_refused(argv, message, capsys, tmp_path) -> None:
    with pytest.raises(SystemExit) as stop:
        stacked_mnist.main([*argv, "--runs", str(tmp_path)])
    assert stop.value.code == 2
    assert message in re.sub(r"\s+", " ", capsys.readouterr().err)


def test_scikit_learns_digits_can_be_stacked() -> None:
    config = stacked_mnist.PRESETS["smoke"]
    for protocol in ("metz", "dcgan"):
        other = dataclasses.replace(config, protocol=protocol)
        setup = stacked_methods.build(
            other, stacked_methods.pixels(other, digits()), Method("", packing=2)
        )
        batch = jax.eval_shape(setup.feed.sample, KEY, setup.feed.arrays)
        state = jax.eval_shape(setup.solver.init, KEY)
        jax.eval_shape(setup.solver.step, KEY, state, batch)
        assert len(setup.feed.arrays[0]) == (1797 if protocol == "dcgan" else 1437)
