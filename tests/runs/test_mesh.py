"""One game on a mesh: the numbers of one device on every mesh, nothing but samples exchanged, no work done twice.

States are compared in float64 after gradient steps with momentum: in float32, or with Adam, rounding hides mistakes.
"""

import re
from dataclasses import replace

import chex
import helpers
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from helpers import first_quick
from jax.sharding import NamedSharding, PartitionSpec as P

import mixgan_jax as mg
from experiments.benchmark.meshes import EXCHANGES, exchanges
from mixgan_jax.networks import DCGANDiscriminator, DCGANGenerator
from mixgan_jax.runs.parallel import map_runs

BATCH = 32
MESHES = [(4, 2), (1, 1), (4, 1), (1, 4), (2, 4)]
PAIRINGS = ["latin", "full", "stratified"]
SGD = optax.sgd(0.1, momentum=0.5)
IMAGE_PLAYERS = (
    mg.from_linen(DCGANGenerator((8, 8, 3), width=2, stages=2)),
    mg.from_linen(DCGANDiscriminator(width=2, stages=2)),
)
OPTIMISERS = {"latent_size": helpers.LATENT, "generator_tx": SGD, "discriminator_tx": SGD}
PLAYERS = (helpers.GENERATOR, helpers.DISCRIMINATOR)
LOSS = mg.losses.non_saturating()


def mesh(component=1, data=1, runs=1):
    return mg.make_mesh(component=component, data=data, runs=runs)


def game(players=PLAYERS, loss=LOSS, make=mg.mix_gan, **options):
    sizes = {"num_generators": 4, "num_discriminators": 8}
    if make is mg.mix_gan:
        options = {"weight_tx": mg.exponentiated_gradient(0.1), **options}
    return make(*players, loss, **{**sizes, **OPTIMISERS, **options})


def reals(index, shape=(2,)):
    return jnp.tanh(1.0 + jax.random.normal(jax.random.key(index), (BATCH, *shape)))


def wide(tree):
    def one(leaf):
        return leaf.astype(jnp.float64) if jnp.issubdtype(leaf.dtype, jnp.floating) else leaf

    return jax.tree.map(one, tree)


def trained(solver, state, shape, steps):
    step = jax.jit(solver.step)
    for index in range(steps):
        state, info = step(jax.random.key(index), state, wide(reals(index, shape)))
    return jax.device_get((state, info))


def assert_same_on(where, solver, shape=(2,), steps=3, change=lambda state: state):
    """Trains from one state on the mesh and on one device."""
    # Linen's batch norm promotes, which the settings of these tests refuse.
    with jax.enable_x64(True), jax.numpy_dtype_promotion("standard"):
        on_mesh = mg.on_mesh(solver, where)
        start = change(wide(solver.init(jax.random.key(0))))
        places = jax.tree.map(lambda leaf: leaf.sharding, jax.jit(on_mesh.init)(jax.random.key(0)))
        expected = trained(solver, start, shape, steps)
        got = trained(on_mesh, jax.device_put(start, places), shape, steps)
    for a, b in zip(jax.tree.leaves(got), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize(
    ("component", "data", "pairing"),
    first_quick([(*shape, pairing) for shape in MESHES for pairing in PAIRINGS]),
)
def test_all_meshes_agree(component, data, pairing):
    assert_same_on(mesh(component, data), game(pairing=pairing))


@pytest.mark.slow
@pytest.mark.parametrize("pairing", PAIRINGS)
def test_batch_norm_and_convolutions_agree(pairing):
    options = {"num_generators": 2, "num_discriminators": 4, "pairing": pairing}
    assert_same_on(mesh(2, 2), game(IMAGE_PLAYERS, **options), (8, 8, 3))


OPTIONS = {
    "adjusted": {
        "update": "simultaneous",
        "adjust": mg.adjustments.consensus(0.1),
        "pairing": "latin",
    },
    "random penalty": {"penalty": mg.penalties.gradient_penalty(1.0), "pairing": "latin"},
    "turns": {"discriminator_steps": 2, "generator_steps": 2, "strategy": "scan"},
    "relativistic": {"loss": mg.losses.relativistic(), "shared_latents": True},
    "packs": {
        "players": (helpers.GENERATOR, mg.pack(helpers.DISCRIMINATOR, 2)),
        "pairing": "stratified",
        "strategy": "unroll",
    },
    "clipped": {"generator_tx": optax.chain(optax.clip_by_global_norm(0.01), SGD)},
    "sparse": {"pairing": "sparse", "meetings": 2, "penalty": mg.penalties.r2(1.0)},
    "sums in loops": {"num_discriminators": 20, "strategy": "scan"},
    "one generator": {"num_generators": 1, "pairing": "latin"},
    "shared latents": {"num_generators": 2, "pairing": "latin", "shared_latents": True},
    "one discriminator": {"num_discriminators": 1, "num_generators": 4},
}


@pytest.mark.parametrize("name", first_quick(OPTIONS, quick=0))
def test_options_agree(name):
    assert_same_on(mesh(2, 2), game(**OPTIONS[name]))


def recurrent(hidden=3):
    """A generator whose scan starts from zeros, which shard_map's own bookkeeping refuses."""

    def init(key, latents):
        return {"w": jax.random.normal(key, (latents.shape[-1], hidden))}, {}

    def apply(params, state, latents, *, train):
        def turn(carry, _):
            carry = jnp.tanh(carry + latents @ params["w"].astype(latents.dtype))
            return carry, carry[:, 0]

        start = jnp.zeros((latents.shape[0], hidden), latents.dtype)
        return jax.lax.scan(turn, start, length=2)[1].T, state

    return mg.Player(init, apply)


@pytest.mark.slow
def test_a_recurrent_player_agrees():
    assert_same_on(mesh(2, 2), game((recurrent(), helpers.DISCRIMINATOR), pairing="latin"))


@pytest.mark.slow
def test_the_same_components_are_frozen():
    def spoil(state):
        side = state.generator_side
        moments = jax.tree.map(
            lambda leaf: leaf.at[2].set(jnp.nan) if leaf.ndim > 1 else leaf, side.opt_state
        )
        return state.with_sides(replace(side, opt_state=moments), state.discriminator_side)

    assert_same_on(mesh(2, 2), game(), change=spoil)


OTHERS = {
    "duel_gan": lambda: game(make=mg.duel_gan, num_steps=None),
    "unrolled_gan": lambda: game(make=mg.unrolled_gan, depth=2),
    "fictitious_gan": lambda: game(make=mg.fictitious_gan, capacity=4),
    "double_oracle": lambda: mg.double_oracle(
        *PLAYERS, LOSS, capacity=4, response_steps=1, measure_steps=1, tolerance=0.0, **OPTIMISERS
    ),
    "extragradient": lambda: mg.extragradient(game()),
    "past_extragradient": lambda: mg.past_extragradient(game()),
    "lookahead": lambda: mg.lookahead(game(), period=2),
    "averaged": lambda: mg.averaged(game()),
    "best_response": lambda: mg.best_response(
        "discriminator",
        *PLAYERS,
        LOSS,
        mg.uniform(jax.random.key(5), helpers.GENERATOR, 4, jnp.zeros((1, helpers.LATENT))),
        4,
        latent_size=helpers.LATENT,
        tx=SGD,
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", OTHERS)
def test_other_solvers_agree(name):
    assert_same_on(mesh(2, 2), OTHERS[name](), steps=4)


def exchanged(solver, where):
    """``(operation, bytes of its result on a device)`` of a compiled step, and its FLOPs."""
    solver = mg.on_mesh(solver, where)
    state = jax.jit(solver.init)(jax.random.key(0))
    step = jax.jit(solver.step).lower(jax.random.key(0), state, reals(0)).compile()
    return exchanges(step), step.cost_analysis()["flops"]


# I = 4 generators of B = 32 samples of two float32, 4 discriminators on 4 devices.
SAMPLES = {
    # All fakes to each device, twice a step; the gradients of its own come back.
    "full": {("all-gather", 4 * BATCH * 8): 2, ("reduce-scatter", BATCH * 8): 1},
    # A device's share of them, twice to the discriminators and once back.
    "latin": {("all-to-all", BATCH * 8): 3},
    "stratified": {("all-gather", BATCH * 8): 2, ("reduce-scatter", BATCH * 8 // 4): 1},
}


@pytest.mark.parametrize("pairing", first_quick(SAMPLES))
def test_only_samples_are_exchanged(pairing):
    solver = game(num_discriminators=4, pairing=pairing)
    found, flops = exchanged(solver, mesh(4))
    expected = SAMPLES[pairing]
    assert {entry: found.count(entry) for entry in expected} == expected, found
    rest = sum(size for entry in found for size in entry[1:] if entry not in expected)
    assert rest <= 64 * (4 * 4 + 4 + 4), "payoffs, losses, flags"
    _, alone = exchanged(solver, mesh())
    assert flops <= 1.2 * alone / 4
    _, with_data_axis = exchanged(solver, mesh(4, 2))
    assert with_data_axis <= 1.2 * alone / 8


def test_sixty_four_components_are_no_longer_a_program_than_eight():
    def length(components):
        sizes = {"num_generators": components, "num_discriminators": components}
        solver = game(IMAGE_PLAYERS, **sizes)
        state = jax.eval_shape(solver.init, jax.random.key(0))
        return len(
            jax.jit(solver.step).lower(jax.random.key(0), state, reals(0, (8, 8, 3))).as_text()
        )

    assert length(64) < 2 * length(8)


def test_components_stay_on_their_devices():
    solver = mg.on_mesh(game(), mesh(4, 2))
    state = jax.jit(solver.init)(jax.random.key(0))
    state, info = jax.jit(solver.step)(jax.random.key(0), state, reals(0))
    for side in state.sides:
        for leaf in jax.tree.leaves((side.mixture.params, side.opt_state)):
            assert leaf.sharding.spec == P("component"), leaf.sharding
        assert side.mixture.log_weights.sharding.is_fully_replicated
    assert all(leaf.sharding.is_fully_replicated for leaf in info.values())


def test_a_mesh_of_one_device_changes_no_bit():
    solver, results = game(pairing="latin"), []
    for one in (solver, mg.on_mesh(solver, mesh())):
        state, step = jax.jit(one.init)(jax.random.key(0)), jax.jit(one.step)
        for index in range(2):
            state, info = step(jax.random.key(index), state, reals(index))
        results.append((state, info))
    chex.assert_trees_all_equal(*results)


def held_out(key, state):
    reals = jax.random.normal(jax.random.key(3), (2, BATCH, 2))
    players = (state.generators, state.discriminators)
    return mg.held_out_values(key, *PLAYERS, *players, LOSS, reals, latent_size=helpers.LATENT)


def sampled(key, state):
    latents = jax.random.normal(jax.random.key(3), (BATCH, helpers.LATENT))
    return mg.sample(key, helpers.GENERATOR, state.generators, latents)[0]


def gaps(key, state):
    reals = jax.random.normal(jax.random.key(3), (2, BATCH, 2))
    players = (*PLAYERS, state.generators, state.discriminators)
    options = {"budgets": (1, 2), "latent_size": helpers.LATENT, "tx": SGD}
    return mg.duality_gap_curve(key, *players, LOSS, helpers.feed(BATCH), reals, **options)["gap"]


# Bytes gathered by each device: of held_out its part of the fakes and the values, of gaps those of all deviations too.
GATHERED = [(sampled, 0), (held_out, 4 * BATCH // 2 * 8 + 4 * 8 * 4), (gaps, 2048)]


@pytest.mark.parametrize(("measure", "limit"), first_quick(GATHERED))
def test_measures_leave_components_on_their_devices(measure, limit):
    where, key = mesh(4, 2), jax.random.key(1)
    expected = measure(key, game().init(jax.random.key(0)))
    state = jax.jit(mg.on_mesh(game(), where).init)(jax.random.key(0))
    with jax.set_mesh(where):
        compiled = jax.jit(measure).lower(key, state).compile()
        np.testing.assert_allclose(compiled(key, state), expected, rtol=1e-5, atol=1e-5)
    gathered = [size for kind, size in exchanges(compiled) if kind != "all-reduce"]
    assert sum(gathered) <= limit


@pytest.mark.slow
def test_runs_are_a_third_axis():
    where, keys = mesh(2, 2, runs=2), jax.random.split(jax.random.key(1), 4)
    options = {"num_steps": 4, "log_every": 2}
    state = mg.fit(keys, game(), helpers.feed(BATCH), mesh=where, **options)
    assert helpers.close(state, mg.fit(keys, game(), helpers.feed(BATCH), **options))
    kernel = jax.tree.leaves(state.generators.params)[0]
    assert kernel.sharding == NamedSharding(where, P("runs", "component"))


def step_of_two_runs(where):
    solver = mg.on_mesh(game(num_discriminators=4), where)
    keys = jax.device_put(jax.random.split(jax.random.key(1), 2), NamedSharding(where, P("runs")))
    states = jax.jit(map_runs(keys, solver.init))(keys)
    step = jax.jit(map_runs(keys, lambda key, state: solver.step(key, state, reals(0))))
    return step.lower(keys, states).compile()


def test_nothing_crosses_runs():
    assert exchanges(step_of_two_runs(mesh(runs=2))) == []
    # With all three axes, devices 0 to 3 have the first run: whoever exchanges is on one side.
    groups = partners(step_of_two_runs(mesh(2, 2, runs=2)))
    assert groups
    for group in groups:
        assert len({device // 4 for device in group}) == 1, group


def test_what_crosses_runs_is_seen():
    numbers = jax.device_put(jnp.zeros((8, 8)), NamedSharding(mesh(2, 2, runs=2), P("runs")))
    summed = jax.jit(lambda numbers: numbers.sum(axis=0)).lower(numbers).compile()
    assert partners(summed) == [[0, 4], [1, 5], [2, 6], [3, 7]]


def numbers_in(text):
    return [int(one) for one in re.findall(r"\d+", text)]


def partners(compiled):
    """Lists the groups of devices that exchange something with each other in a compiled program.

    XLA writes groups in three forms: {{0,1},{2,3}}; [groups,members]<=[sizes]T(order), the devices counted through
    transposed axes; and mesh['a'=2,'b'=4] {'a'}, groups along some axes of a mesh.
    """
    groups, found = [], 0
    for line in compiled.as_text().splitlines():
        if not re.search(rf" ({'|'.join(EXCHANGES)})(-start)?\(", line):
            continue
        found += 1
        if listed := re.search(r"(?:replica_groups|source_target_pairs)=\{(\{.*?\})\}", line):
            groups += [numbers_in(each) for each in re.findall(r"\{(.*?)\}", listed[1])]
            continue
        counted = re.search(r"replica_groups=\[([\d,]+)\]<=\[([\d,]+)\](?:T\(([\d,]+)\))?", line)
        if counted:
            shape, sizes = numbers_in(counted[1]), numbers_in(counted[2])
            order = numbers_in(counted[3]) if counted[3] else range(len(sizes))
            devices = np.arange(8).reshape(sizes).transpose(order)
            groups += devices.reshape(shape).tolist()
            continue
        named = re.search(r"replica_groups=mesh\[([^\]]*)\] \{([^}]*)\}", line)
        assert named, line
        names, along = re.findall(r"'(\w+)'=", named[1]), re.findall(r"'(\w+)'", named[2])
        devices = np.arange(8).reshape([int(size) for size in re.findall(r"=(\d+)", named[1])])
        places = [names.index(name) for name in along]
        devices = np.moveaxis(devices, places, range(-len(places), 0))
        members = int(np.prod(devices.shape[-len(places) :]))
        groups += devices.reshape(-1, members).tolist()
    assert found == len(exchanges(compiled))
    return groups


@pytest.mark.slow
def test_a_run_goes_on_on_another_mesh_on_none_and_back(tmp_path):
    options = {"log_every": 2, "save_every": 2}
    key, feed = jax.random.key(2), helpers.feed(BATCH)

    def measure(key, state):
        latents = jax.random.normal(key, (4, 16, helpers.LATENT))
        samples, _ = mg.generate(helpers.GENERATOR, state.generators, latents)
        return {"mean": jnp.mean(samples)}

    def train(steps, name, where):
        return mg.fit(
            key,
            game(),
            feed,
            num_steps=steps,
            folder=tmp_path / name,
            mesh=where,
            evaluate=measure,
            **options,
        )

    whole = train(8, "whole", None)
    train(2, "parts", mesh(4, 2))
    train(4, "parts", mesh(2, 4))
    train(6, "parts", None)
    assert helpers.close(train(8, "parts", mesh(4, 2)), whole, 1e-5)
    logs = [mg.read_records(tmp_path / name)[-1] for name in ("parts", "whole")]
    assert logs[0]["mean"] == pytest.approx(logs[1]["mean"], abs=1e-5)
    assert logs[0]["value"] == pytest.approx(logs[1]["value"], abs=1e-5)


@pytest.mark.parametrize("sweep", first_quick([True, False]))
def test_steps_are_traced_once(sweep):
    traces = []
    inner = game(num_generators=2, num_discriminators=2)

    def step(key, state, batch):
        traces.append(batch.shape)
        return inner.step(key, state, batch)

    keys = jax.random.split(jax.random.key(0), 2) if sweep else jax.random.key(0)
    where = mesh(2, 1, runs=1 + sweep)
    mg.fit(
        keys, mg.Solver(inner.init, step), helpers.feed(BATCH), num_steps=6, log_every=2, mesh=where
    )
    assert traces == [(BATCH, 2)]


@pytest.mark.parametrize(
    ("where", "sweep", "words"),
    [
        (
            {"component": 3},
            0,
            "components must be a multiple of the mesh's component axis of 3, got 4",
        ),
        ({"data": 5}, 0, "batch must be a multiple of the mesh's data axis of 5, got 32"),
        ({"runs": 2}, 0, "keys must be a multiple of the mesh's runs axis of 2, got 1"),
        ({"runs": 2}, 3, "keys must be a multiple of the mesh's runs axis of 2, got 3"),
    ],
)
def test_what_does_not_divide_is_refused_before_anything_compiles(where, sweep, words, monkeypatch):
    key = jax.random.split(jax.random.key(0), sweep) if sweep else jax.random.key(0)
    where = mg.make_mesh(**where)
    monkeypatch.setattr("jax._src.compiler.compile_or_get_cached", None)
    with pytest.raises(ValueError, match=words):
        mg.fit(key, game(), helpers.feed(BATCH), num_steps=2, log_every=2, mesh=where)


def test_parts_of_a_batch_that_do_not_divide_are_refused():
    solver = mg.on_mesh(game(discriminator_steps=2), mesh(data=4))
    state = jax.eval_shape(solver.init, jax.random.key(0))
    words = "discriminator_steps = 2 times the mesh's data axis of 4, got 4 reals"
    with pytest.raises(ValueError, match=words):
        jax.eval_shape(solver.step, jax.random.key(0), state, reals(0)[:4])


@pytest.mark.parametrize("num_generators", [3, 4])
def test_given_fakes_meet_whom_they_meet_on_one_device(num_generators):
    fakes = jnp.stack([reals(index) for index in range(num_generators)])
    state = game().init(jax.random.key(0))

    def values(discriminators, fakes):
        judged = (helpers.DISCRIMINATOR, discriminators, reals(9), fakes, LOSS)
        return mg.meet(*judged, pairing="latin").values

    with jax.set_mesh(mesh(2, 2)):
        got = jax.jit(values)(state.discriminators, fakes)
    np.testing.assert_allclose(got, values(state.discriminators, fakes), rtol=1e-5, atol=1e-6)


def test_another_mesh_in_the_context_is_refused():
    solver = mg.on_mesh(game(), mesh(2))
    with jax.set_mesh(mesh(4)), pytest.raises(ValueError, match="mesh must be the one that is set"):
        jax.eval_shape(solver.init, jax.random.key(0))


def test_meshes_that_cannot_be_are_refused():
    with pytest.raises(ValueError, match="component = 16, data = 1 needs 16 devices, got 8"):
        mg.make_mesh(component=16)
    other = jax.make_mesh((2,), ("model",), devices=jax.devices()[:2])
    with pytest.raises(
        ValueError, match="mesh must be one of make_mesh, with the axes runs, component, data"
    ):
        mg.on_mesh(game(), other)
    explicit = jax.make_mesh((1, 2, 2), ("runs", "component", "data"), devices=jax.devices()[:4])
    with pytest.raises(ValueError, match="mesh must be one of make_mesh"):
        mg.on_mesh(game(), explicit)
