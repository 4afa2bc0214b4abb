"""Components whose update is not finite: named with their step, frozen, the others untouched."""

import dataclasses
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from helpers import DISCRIMINATOR, GENERATOR, LATENT, feed, first_quick, same, solver

import mixgan_jax as mg
from mixgan_jax.runs.steps import run_keys
from mixgan_jax.solvers.core.side import Gradients, Rules, start_side, update_side
from mixgan_jax.storage.checkpoint import FOLDER_NAME

KEY = jax.random.key(7)
OPTIONS = {"num_steps": 12, "log_every": 4}
SIDES = ["generator", "discriminator"]
COMPONENT = {"generator": 1, "discriminator": 2}


def marked(player):
    """The player with a parameter that it does not use: 1 marks the component that is to fail."""

    def init(key, *example):
        params, state = player.init(key, *example)
        return {"net": params, "marker": jnp.zeros(())}, state

    def apply(params, state, x, *, train):
        return player.apply(params["net"], state, x, train=train)

    return mg.Player(init, apply)


def failing(at, skip=False):
    """Adam whose update number ``at`` (from 0) is NaN for a marked component; or which merely stops updating it."""
    tx = optax.adam(1e-2)

    def init(params):
        return tx.init(params), jnp.int32(0)

    def update(updates, state, params):
        inner, count = state
        steps, new = tx.update(updates, inner, params)
        if skip:
            stop = (params["marker"] == 1) & (count >= at)
            steps, new = jax.tree.map(
                lambda zero, leaf: jnp.where(stop, zero, leaf),
                (jax.tree.map(jnp.zeros_like, steps), inner),
                (steps, new),
            )
        else:
            bad = (params["marker"] == 1) & (count == at)
            steps = jax.tree.map(lambda leaf: jnp.where(bad, jnp.nan, leaf), steps)
        return steps, (new, count + 1)

    return optax.GradientTransformation(init, update)


def game(side, at, *, skip=False, only=None, **options):
    """MIX+GAN, two against three, in which a component of ``side`` fails; of the run with init key ``only``."""
    settings = {
        "num_generators": 2,
        "num_discriminators": 3,
        "latent_size": LATENT,
        "weight_tx": mg.exponentiated_gradient(0.1),
        "generator_tx": optax.adam(1e-2),
        "discriminator_tx": optax.adam(2e-2),
        f"{side}_tx": failing(at, skip),
    }
    rule = mg.mix_gan(
        marked(GENERATOR), marked(DISCRIMINATOR), mg.losses.non_saturating(), **settings | options
    )

    def init(key):
        state = rule.init(key)
        old = getattr(state, f"{side}_side")
        marker = jnp.arange(old.frozen.shape[0]) == COMPONENT[side]
        if only is not None:
            marker &= jnp.all(jax.random.key_data(key) == jax.random.key_data(only))
        params = old.mixture.params | {"marker": marker.astype(jnp.float32)}
        mixture = dataclasses.replace(old.mixture, params=params)
        return dataclasses.replace(
            state, **{f"{side}_side": dataclasses.replace(old, mixture=mixture)}
        )

    return mg.Solver(init, rule.step)


def all_finite(tree):
    return all(bool(jnp.all(jnp.isfinite(leaf))) for leaf in jax.tree.leaves(tree))


@pytest.mark.slow
@pytest.mark.parametrize("update", ["alternating", "simultaneous"])
@pytest.mark.parametrize("side", SIDES)
def test_the_others_train_as_if_the_component_were_merely_not_updated(side, update):
    """Operation by operation, since XLA may fuse two programs differently."""
    bad = COMPONENT[side]
    options = {"num_steps": 6, "log_every": 3, "on_nan": "freeze"}
    with jax.disable_jit(), pytest.warns(UserWarning, match=f"{side} {bad} .* update at step 3"):
        state = mg.fit(KEY, game(side, 2, update=update), feed(), **options)
        expected = mg.fit(KEY, game(side, 2, skip=True, update=update), feed(), **options)
    assert all_finite(state)
    for name in (f"{player}s" for player in SIDES):
        assert same(getattr(state, name), getattr(expected, name))
        assert float(getattr(state, name).weights.sum()) == pytest.approx(1.0, abs=1e-5)
        frozen = np.flatnonzero(state.frozen[f"frozen_{name}"]).tolist()
        assert frozen == ([bad] if name == f"{side}s" else [])
    # The optimiser of the frozen component stands still, the others' go on.
    counts = getattr(state, f"{side}_side").opt_state[1].tolist()
    assert counts == [2 if k == bad else 6 for k in range(len(counts))]


@pytest.mark.parametrize("at", first_quick([3, 0, 4, 11]))
def test_the_step_is_exact_wherever_in_the_log_it_falls(at):
    with pytest.raises(mg.NonFiniteError, match="nothing is kept without a folder") as caught:
        mg.fit(KEY, game("generator", at), feed(), **OPTIONS)
    assert caught.value.components == (mg.Frozen("generator", 1, None, at + 1),)


@pytest.mark.slow
def test_of_a_sweep_the_seed_is_named_and_the_other_seeds_go_on():
    keys = jax.random.split(KEY, 3)
    rule = game("discriminator", 6, only=run_keys(keys[1]).init)
    with pytest.warns(UserWarning) as caught:
        state = mg.fit(keys, rule, feed(), on_nan="freeze", **OPTIONS)
    assert [str(warning.message) for warning in caught] == [
        "discriminator 2 of seed 1 had a non-finite update at step 7 and is not updated any more"
    ]
    assert np.argwhere(state.frozen["frozen_discriminators"]).tolist() == [[1, 2]]
    healthy = mg.fit(keys, game("discriminator", 6, only=KEY), feed(), **OPTIONS)
    others = jnp.array([0, 2])
    assert same(*(jax.tree.map(lambda leaf: leaf[others], run) for run in (state, healthy)))


def test_a_stopped_run_keeps_good_checkpoints_stops_again_and_goes_on_if_told_so(tmp_path):
    rule, options = game("generator", 9), {**OPTIONS, "log_every": 2, "save_every": 4}
    for _ in range(2):
        with pytest.raises(mg.NonFiniteError) as caught:
            mg.fit(KEY, rule, feed(), folder=tmp_path / "run", **options)
        assert (
            "generator 1 had a non-finite update at step 10; the checkpoint of step 8 is kept"
            in str(caught.value)
        )
        saved = {path.name for path in (tmp_path / "run" / FOLDER_NAME).iterdir()}
        assert saved == {"4", "8"}
    runs = []
    for name in ("run", "whole"):
        with pytest.warns(UserWarning, match="step 10"):
            runs.append(
                mg.fit(KEY, rule, feed(), folder=tmp_path / name, on_nan="freeze", **options)
            )
    assert same(*runs)
    logs = [(tmp_path / name / "metrics.jsonl").read_text() for name in ("run", "whole")]
    assert logs[0] == logs[1]


def test_a_restart_with_a_frozen_component_is_the_uninterrupted_run_and_warns_no_more(tmp_path):
    rule, options = game("generator", 2), {"log_every": 2, "on_nan": "freeze"}
    with pytest.warns(UserWarning, match="step 3"):
        whole = mg.fit(KEY, rule, feed(), num_steps=12, **options)
    with pytest.warns(UserWarning, match="step 3"):
        mg.fit(KEY, rule, feed(), num_steps=6, folder=tmp_path, **options)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        resumed = mg.fit(KEY, rule, feed(), num_steps=12, folder=tmp_path, **options)
    assert same(resumed, whole)
    with pytest.raises(
        mg.NonFiniteError, match="generator 1 had a non-finite update in an earlier start"
    ):
        mg.fit(KEY, rule, feed(), num_steps=12, folder=tmp_path, log_every=2)


def test_outputs_that_are_not_finite_spoil_the_opponents_and_all_are_named():
    """The limit of attribution: here the generator is at fault, but the discriminators are updated first."""

    def apply(params, state, z, *, train):
        samples, state = GENERATOR.apply(params["net"], state, z, train=train)
        return samples * jnp.where(params["marker"] == 1, jnp.nan, 1.0), state

    rule = game("generator", 99)
    player = marked(GENERATOR)._replace(apply=apply)
    bad = mg.mix_gan(
        player,
        marked(DISCRIMINATOR),
        mg.losses.non_saturating(),
        num_generators=2,
        num_discriminators=3,
        latent_size=LATENT,
        generator_tx=failing(99),
        discriminator_tx=optax.adam(1e-2),
        skip_discriminator_below=0.1,
    )
    with pytest.raises(mg.NonFiniteError) as caught:
        mg.fit(KEY, mg.Solver(rule.init, bad.step), feed(), **OPTIONS)
    assert {(one.player, one.component, one.step) for one in caught.value.components} == {
        ("generator", 1, 1),
        *(("discriminator", j, 1) for j in range(3)),
    }


def test_bad_model_state_freezes_and_bad_weight_gradients_leave_the_weights():
    rules = Rules(optax.sgd(0.1, momentum=0.9), mg.optimistic_exponentiated_gradient(0.1))
    mixture = mg.Mixture(
        {"w": jnp.ones((3, 2))}, {"mean": jnp.zeros((3, 4))}, jnp.log(jnp.full(3, 1 / 3))
    )
    side = start_side(rules, mixture)
    state = {"mean": jnp.ones((3, 4)).at[1, 2].set(jnp.inf)}
    bad = Gradients({"w": jnp.ones((3, 2))}, jnp.array([0.0, jnp.nan, 1.0]), state)
    moved = update_side(rules, side, bad)
    assert moved.frozen.tolist() == [False, True, False]
    assert all_finite(moved)
    assert moved.mixture.state["mean"][:, 0].tolist() == [1.0, 0.0, 1.0]
    assert moved.mixture.params["w"][1].tolist() == [1.0, 1.0]
    assert same(moved.mixture.log_weights, mixture.log_weights)
    assert same(moved.weight_opt_state, side.weight_opt_state)
    good = bad._replace(weights=jnp.array([0.0, 1.0, 1.0]), state={"mean": jnp.ones((3, 4))})
    again = update_side(rules, moved, good)
    assert again.frozen.tolist() == [False, True, False], "frozen for good"
    assert again.mixture.params["w"][1].tolist() == [1.0, 1.0]
    assert again.mixture.log_weights[0] > mixture.log_weights[0], "its weight is still trained"


@pytest.mark.slow
def test_the_plain_gan_and_the_2017_preset_freeze_too():
    adam = optax.adam(1e-2)
    options = {"latent_size": LATENT, "generator_tx": optax.sgd(jnp.nan), "discriminator_tx": adam}
    single = mg.gda(GENERATOR, DISCRIMINATOR, mg.losses.minimax(), **options)
    with pytest.raises(mg.NonFiniteError, match="generator 0 had a non-finite update at step 1"):
        mg.fit(KEY, single, feed(), num_steps=2, log_every=1)
    sizes = {"num_components": 2, "latent_size": LATENT}
    rate = lambda count: jnp.where(count < 2, 1e-4, jnp.nan)  # noqa: E731
    wild = mg.mix_gan_2017(GENERATOR, DISCRIMINATOR, learning_rate=rate, **sizes)
    with pytest.warns(UserWarning, match="discriminator 1 had a non-finite update at step 3"):
        state = mg.fit(KEY, wild, feed(), num_steps=4, log_every=2, on_nan="freeze")
    assert all_finite(state)
    assert all(value.all() for value in state.frozen.values())


def test_another_choice_is_refused():
    with pytest.raises(
        ValueError, match=r"on_nan must be one of \['stop', 'freeze'\], got 'frezee'"
    ):
        mg.fit(KEY, solver(), feed(), num_steps=2, on_nan="frezee")


def negative_if_marked():
    """A discriminator whose logits are positive, but where it is marked: no logarithm of these is a number."""

    def apply(params, state, x, *, train):
        logits, state = DISCRIMINATOR.apply(params["net"], state, x, train=train)
        sign = jnp.where(params["marker"] == 1, -1.0, 1.0)
        return sign * (jnp.abs(logits) + 1.0), state

    return marked(DISCRIMINATOR)._replace(apply=apply)


def logarithmic(part):
    """A loss of which one part is NaN at negative logits, where its gradient, 1 / r, is finite."""
    good = mg.losses.non_saturating()

    def bad(*, real, fake):
        return jnp.log(fake) + 0.0 * real

    return good._replace(**{part: bad}, zero_sum=False)


@pytest.mark.parametrize(
    ("part", "named"),
    first_quick(
        [
            ("discriminator", {("discriminator", 1)}),
            ("value", {("discriminator", 1)}),
            ("generator", {("generator", 0), ("generator", 1)}),
        ]
    ),
)
def test_a_loss_that_is_not_finite_is_named_though_its_gradient_is(part, named):
    rule = mg.mix_gan(
        marked(GENERATOR),
        negative_if_marked(),
        logarithmic(part),
        num_generators=2,
        num_discriminators=3,
        latent_size=LATENT,
        generator_tx=optax.sgd(1e-3),
        discriminator_tx=optax.sgd(1e-3),
    )

    def init(key):
        state = rule.init(key)
        side = state.discriminator_side
        params = side.mixture.params | {"marker": jnp.array([0.0, 1.0, 0.0])}
        side = dataclasses.replace(side, mixture=dataclasses.replace(side.mixture, params=params))
        return dataclasses.replace(state, discriminator_side=side)

    bad = mg.Solver(init, rule.step)
    with pytest.raises(mg.NonFiniteError, match="not finite") as caught:
        mg.fit(KEY, bad, feed(), **OPTIONS)
    found = caught.value.components
    assert {(one.player, one.component) for one in found} == named
    assert {one.step for one in found} == {1}
    with pytest.warns(UserWarning, match="is not updated any more") as warned:
        state = mg.fit(KEY, bad, feed(), on_nan="freeze", **OPTIONS)
    assert len(warned) == len(named)
    assert all_finite(state)
    for name, flags in state.frozen.items():
        player = name.removeprefix("frozen_").removesuffix("s")
        assert {(player, int(k)) for k in np.flatnonzero(flags)} == {
            one for one in named if one[0] == player
        }


def test_a_penalty_that_is_not_finite_is_named():
    def penalty(key, critic, real, fake):
        return jnp.where(critic(real) < 1e9, jnp.nan, 0.0)

    with pytest.raises(
        mg.NonFiniteError, match="discriminator 2 had a non-finite update at step 1"
    ):
        mg.fit(KEY, solver(penalty=penalty), feed(), **OPTIONS)


def test_losses_of_a_solver_that_freezes_nothing_are_looked_at():
    """The step is known to an entry of the log; what ``evaluate`` says is the caller's."""

    def step(key, state, batch):
        return state + 1, {"value": jnp.where(state >= 5, jnp.nan, 1.0)}

    rule = mg.Solver(lambda key: jnp.int32(0), step)
    with pytest.raises(mg.NonFiniteError, match="value was not finite in steps 5 to 8; nothing"):
        mg.fit(KEY, rule, feed(), **OPTIONS)
    with pytest.warns(UserWarning) as warned:
        mg.fit(jax.random.split(KEY, 2), rule, feed(), on_nan="freeze", **OPTIONS)
    assert [str(one.message) for one in warned] == [
        f"value of seed {seed} was not finite in steps 5 to 8; the solver names no component and goes on"
        for seed in (0, 1)
    ]
    sound = mg.Solver(lambda key: jnp.int32(0), lambda key, state, batch: (state + 1, {}))
    mg.fit(KEY, sound, feed(), evaluate=lambda key, state: {"value": jnp.nan}, **OPTIONS)
