"""Training as a process: steps in one program, whole runs with a folder, several devices, signals and NaNs."""

from mixgan_jax.runs.fit import fit as fit
from mixgan_jax.runs.interrupt import Interrupted as Interrupted
from mixgan_jax.runs.on_mesh import on_mesh as on_mesh
from mixgan_jax.runs.parallel import (
    distributed as distributed,
    make_mesh as make_mesh,
    map_runs as map_runs,
    spread_over_devices as spread_over_devices,
)
from mixgan_jax.runs.quarantine import (
    Frozen as Frozen,
    NonFiniteError as NonFiniteError,
    Unsound as Unsound,
)
from mixgan_jax.runs.steps import (
    evaluation_key as evaluation_key,
    init_run as init_run,
    run as run,
    run_steps as run_steps,
)
