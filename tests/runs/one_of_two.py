"""One of the processes that tests/runs/test_processes.py starts: it trains, is disturbed, and writes down what came.

``python one_of_two.py PORT PROCESS PLAN FOLDER``: the plan names functions below, which are called in turn.
"""

import errno
import json
import os
import resource
import signal
import sys
import time
from pathlib import Path

import jax
import numpy as np
import optax
import orbax.checkpoint as ocp

import mixgan_jax as mg

BATCH, IMAGES = 32, 48
KEY = jax.random.key
SGD = optax.sgd(0.1, momentum=0.5)


def game(pairing="full"):
    import helpers

    return mg.mix_gan(
        helpers.GENERATOR,
        helpers.DISCRIMINATOR,
        mg.losses.non_saturating(),
        num_generators=4,
        num_discriminators=4,
        latent_size=helpers.LATENT,
        generator_tx=SGD,
        discriminator_tx=SGD,
        weight_tx=mg.exponentiated_gradient(0.1),
        pairing=pairing,
    )


def stream(read=None):
    """Images of which a player sees two numbers; ``read`` gets the indices read."""
    images = np.random.default_rng(0).integers(0, 256, (IMAGES, 1, 2, 1), dtype=np.uint8)

    def take(indices):
        if read is not None:
            read.extend(np.asarray(indices).tolist())
        return images[np.asarray(indices)]

    made = mg.data.stream_from_images(mg.data.ImageSource(images.shape, take), BATCH)
    return made._replace(sample=lambda key, batch: made.sample(key, batch).reshape(BATCH, 2))


def train(folder, *, pairing="full", read=None, component=2, data=4, key=None, **options):
    key = KEY(0) if key is None else key
    given = {"num_steps": 12, "log_every": 2, "save_every": 4, "config": {"rate": 0.1}}
    given |= {"evaluate": lambda key, state: {"norm": norm(state)}, "evaluate_every": 4}
    given["mesh"] = mg.make_mesh(component=component, data=data)
    return mg.fit(key, game(pairing), stream(read), folder=folder, **{**given, **options})


def norm(state):
    return optax.tree.norm((state.generators.params, state.discriminators.params))


def outcome(call):
    """What a call of fit raises, in words, with its seconds."""
    start = time.monotonic()
    try:
        call()
    except (Exception, KeyboardInterrupt) as error:
        found = [type(error).__name__, str(error)]
    else:
        found = ["nothing", ""]
    return [*found, time.monotonic() - start]


# Each of these runs in both processes at once.


def full(root):
    """Components are in both processes, batches in each: it reads all rows."""
    logged = []
    train(root / "full", on_log=lambda step, _: logged.append(step))
    return logged


def latin(root):
    """Batches are split over both processes: each reads its half of the rows."""
    read = []
    train(root / "latin", pairing="latin", read=read, component=1, data=8)
    return read


def locked(root):
    return outcome(lambda: train(root / "locked"))


def other_config(root):
    own = {"rate": 0.1 * (1 + jax.process_index())}
    return outcome(lambda: train(root / "other", config=own))


def folder_of_each(root):
    """The same relative path, from different places."""
    own = root / f"home{jax.process_index()}"
    own.mkdir()
    os.chdir(own)
    return outcome(lambda: train("run"))


class Unreadable(list):
    """Indices read, until process 1 cannot read on."""

    def extend(self, indices):
        super().extend(indices)
        if jax.process_index() == 1 and len(self) > 6 * BATCH:
            raise OSError(errno.EIO, "Input/output error")


def unreadable_stream(root):
    return outcome(lambda: train(root / "unreadable", read=Unreadable()))


def log_on_a_full_disk(root):
    def refuse(self, line):
        raise OSError(errno.ENOSPC, "No space left on device")

    whole, mg.Records._append = mg.Records._append, refuse
    try:
        return outcome(lambda: train(root / "full_disk"))
    finally:
        mg.Records._append = whole


def part_over_a_quota(root):
    """Process 1, and it alone, may write no file of more than 16 bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    if jax.process_index() == 1:
        resource.setrlimit(resource.RLIMIT_FSIZE, (16, before[1]))
    try:
        return outcome(lambda: train(root / "quota"))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def no_new_folder(root):
    """Process 0 cannot make the folder of a checkpoint."""
    make = os.mkdir

    def refuse(path, *rest, **options):
        inside = os.fspath(path).partition("no_new_folder/")[2]
        if jax.process_index() == 0 and inside and inside != "checkpoints":
            raise OSError(errno.ENOSPC, "No space left on device")
        return make(path, *rest, **options)

    os.mkdir = refuse
    try:
        return outcome(lambda: train(root / "no_new_folder"))
    finally:
        os.mkdir = make


def unreadable_part(root):
    """Process 1, and it alone, reads no checkpoint."""
    handler = ocp.StandardCheckpointHandler
    whole = handler.restore

    def refuse(*_, **__):
        raise OSError(errno.EIO, "Input/output error")

    if jax.process_index() == 1:
        handler.restore = refuse
    try:
        return outcome(lambda: train(root / "full", num_steps=16))
    finally:
        handler.restore = whole


def disturb(number, at):
    """Sends a signal to process 1, and to it alone, when it would log a step."""
    from mixgan_jax.runs.agreement import SilentRecords

    def write(self, /, step, **values):
        if step == at:
            os.kill(os.getpid(), number)

    SilentRecords.write = write


def sweep(root):
    """Runs are split too: each process reads for its own two."""
    read, mesh = [], mg.make_mesh(runs=2, component=2, data=2)
    train(root / "sweep", read=read, key=jax.random.split(KEY(0), 4), mesh=mesh)
    return len(read)


def stopped(root):
    disturb(signal.SIGTERM, at=4)
    found = outcome(lambda: train(root / "stopped"))
    disturb(signal.SIGTERM, at=None)
    return found


def continued(root):
    """One process has trained up to step 4 on another mesh."""
    train(root / "continued")


def killed(root):
    """Process 1 dies when step 8 is being saved, if it has not died before."""
    disturb(signal.SIGKILL, at=10)
    train(root / "killed")


def again(root):
    train(root / "killed")


if __name__ == "__main__":
    port, process, plan, root = sys.argv[1:]
    sys.path.insert(0, str(Path(__file__).parents[1]))
    jax.config.update("jax_num_cpu_devices", 4)
    mg.distributed(f"localhost:{port}", 2, int(process), heartbeat_seconds=10)
    results = {}
    for name in plan.split(","):
        results[name] = globals()[name](Path(root))
        (Path(root) / f"{name}.{process}.json").write_text(json.dumps(results[name]))
